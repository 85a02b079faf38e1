"""Exact matrix products of bytes: activations of 8 bits times weights of 8 bits, in 32 bits.

onnxruntime's ``MatMulInteger`` has kernels for what a processor offers (VNNI, AMX), several times
as fast as float32. Some of its kernels for older processors add pairs of products in 16 bits, which
saturate; so it is asked, once in a process, for products at their extremes, and not used where one
is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What activations are moved by to have no sign: onnxruntime is fast for bytes without one only.
ZERO = 128
#: The longest sum of products of bytes that cannot leave 32 bits.
LONGEST = ((1 << 31) - 1) // (255 * 128)
#: Float32 holds every integer below; a product this short is done before onnxruntime has begun.
_EXACT_32 = 1 << 24
_SHORT = 1 << 19
#: Products that are worth a second thread; and how many, at most: each product has its own.
_LONG = 1 << 26
_MOST_THREADS = 16

Matrix = NDArray[np.int8]


class NoProduct(Exception):
    """onnxruntime cannot make a product here; numpy does without it."""


class Product:
    """Products with one matrix, (rows, terms) bytes times (terms, columns) to int32.

    ``rows`` is how many rows there will be, about. Raises NoProduct where onnxruntime fails.
    """

    def __init__(self, matrix: Matrix, rows: int):
        self.nbytes = matrix.nbytes
        multiplies = rows * matrix.size
        largest = int(np.abs(matrix.astype(np.int32)).sum(axis=0).max(initial=0)) * ZERO
        self.largest = largest
        self._floats: NDArray[np.float32] | None = None
        if multiplies <= _SHORT and largest < _EXACT_32:
            self._floats = matrix.astype(np.float32)
            self.nbytes *= 4
        else:
            try:
                self._session = _session(matrix, _threads() if multiplies >= _LONG else 1)
            except Exception as error:  # it has no room for the matrix or its threads
                raise NoProduct from error

    def __call__(self, codes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The product of ``codes - ZERO`` (rows, terms) and the matrix."""
        if self._floats is not None:
            signed = (codes ^ np.uint8(ZERO)).view(np.int8)
            return (signed.astype(np.float32) @ self._floats).astype(np.int32)
        product: NDArray[np.int32] = self._session.run(None, {"a": codes})[0]
        return product


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether onnxruntime is installed and its products of bytes are exact on this processor."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return False
    try:
        return _is_exact()
    except Exception:  # a build without the operator, or for another processor: numpy does it
        return False


def _is_exact() -> bool:
    rng = np.random.default_rng(1)
    for rows, terms, columns in ((1, 64, 16), (5, 67, 33), (64, 256, 64)):
        codes = rng.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), (rows, terms))
        matrix = rng.choice(np.array([-128, -127, -1, 0, 126, 127], np.int8), (terms, columns))
        codes[0], matrix[:, 0], matrix[:, -1] = 255, 127, -128
        wanted = (codes.astype(np.int64) - ZERO) @ matrix.astype(np.int64)
        got = _session(matrix, 1).run(None, {"a": codes})[0]
        if not np.array_equal(got, wanted):
            return False
    return True


def _threads() -> int:
    """As many as there are processors for this process, or as OMP_NUM_THREADS says, as for BLAS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, _MOST_THREADS)


def _session(matrix: Matrix, threads: int) -> Any:
    """An onnxruntime session that multiplies by a matrix, which it keeps in its own order."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        _model(matrix), settings, providers=["CPUExecutionProvider"]
    )


def _model(matrix: Matrix) -> bytes:
    """An ONNX model of one MatMulInteger, without the package onnx: a dozen fields, see onnx.proto.

    Its input ``a`` has the matrix's rows as columns, and any number of rows.
    """
    terms, columns = matrix.shape
    uint8, int8, int32 = 2, 3, 6

    def tensor(name: bytes, kind: int, shape: tuple[int, ...], data: bytes) -> bytes:
        dims = b"".join(_number(1, size) for size in shape)
        return dims + _number(2, kind) + _bytes(8, name) + _bytes(9, data)

    def value(name: bytes, kind: int, size: int) -> bytes:
        shape = _bytes(1, _bytes(2, b"rows")) + _bytes(1, _number(1, size))
        return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))

    inputs = b"".join(_bytes(1, name) for name in (b"a", b"b", b"zero"))
    node = inputs + _bytes(2, b"c") + _bytes(4, b"MatMulInteger")
    graph = (
        _bytes(1, node)
        + _bytes(2, b"product")
        + _bytes(5, tensor(b"b", int8, matrix.shape, np.ascontiguousarray(matrix).tobytes()))
        + _bytes(5, tensor(b"zero", uint8, (), bytes([ZERO])))
        + _bytes(11, value(b"a", uint8, terms))
        + _bytes(12, value(b"c", int32, columns))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _number(field: int, value: int) -> bytes:
    """A field of a protobuf message that holds a number."""
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    """A field of a protobuf message that holds bytes, text or a message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
