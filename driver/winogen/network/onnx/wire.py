"""A look at a protobuf message before it is parsed: how many objects parsing would make.

An empty message takes two bytes in a file and over a hundred in memory, so a parser cannot be
given a file that nobody has counted. Real models have a few objects a node; weights are one
object a tensor, whatever their size.
"""

from __future__ import annotations

from typing import Any

import onnx

from winogen.common.errors import ModelError

#: Most messages, strings and single numbers of one file.
MAX_OBJECTS = 1 << 20
#: Most bytes of packed integers, each of which may take eight bytes in memory.
MAX_PACKED = 1 << 26
MAX_DEPTH = 64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GROUP = (3, 4)


def check_model_bytes(data: bytes) -> None:
    """Raise ModelError if parsing ``data`` as a model would make too many or too deep objects.

    Bytes that are no message at all are left to the parser to refuse.
    """
    _Counter(memoryview(data)).message(0, len(data), onnx.ModelProto.DESCRIPTOR, 0)


class _Damaged(Exception):
    """The bytes are no protobuf message."""


class _Counter:
    def __init__(self, data: memoryview):
        self._data = data
        self._objects = 0
        self._packed = 0

    def message(self, start: int, end: int, descriptor: Any, depth: int) -> None:
        """Count what is between two offsets."""
        if depth > MAX_DEPTH:
            raise ModelError(f"the file holds messages nested over {MAX_DEPTH} deep")
        try:
            self._fields(start, end, descriptor, depth)
        except _Damaged:
            return  # the parser stops here too

    def _fields(self, at: int, end: int, descriptor: Any, depth: int) -> None:
        fields = descriptor.fields_by_number
        while at < end:
            tag, at = self._number(at, end)
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                raise ModelError(
                    f"the file holds over {MAX_OBJECTS:,} objects, no model needs that"
                )
            kind, field = tag & 7, fields.get(tag >> 3)
            if kind == _VARINT:
                _, at = self._number(at, end)
            elif kind == _FIXED64:
                at += 8
            elif kind == _FIXED32:
                at += 4
            elif kind == _BYTES:
                length, at = self._number(at, end)
                if length > end - at:
                    raise _Damaged
                if field is not None and field.message_type is not None:
                    self.message(at, at + length, field.message_type, depth + 1)
                elif field is not None and field.cpp_type in (
                    field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT64,
                ):  # fmt: skip
                    self._packed += length
                    if self._packed > MAX_PACKED:
                        raise ModelError(
                            f"the file holds over {MAX_PACKED:,} bytes of packed integers; save "
                            "tensors as raw data"
                        )
                at += length
            elif kind not in _GROUP:  # whose fields follow like any others
                raise _Damaged

    def _number(self, at: int, end: int) -> tuple[int, int]:
        """A variable-length number and the offset after it."""
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
        raise _Damaged
