"""Files of PyTorch, read without PyTorch and without running anything that is in them.

``torch.save`` writes a pickle that describes the tensors, beside their bytes: since PyTorch 1.6 in
a ZIP archive, before that one after the other. The pickle is read by an unpickler that can build
dicts, lists and descriptions of tensors; every other class it names becomes an inert
:class:`Foreign` that remembers what it was given and does nothing.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from winogen.common.opening import check_regular
from winogen.network.definition import MAX_WEIGHTS

#: Most bytes of the pickle, which only describes the arrays.
_MAX_PICKLE = 1 << 24
#: Most tuples and sets of a pickle: hashing nested ones recurses in C.
_MAX_TUPLES = 50_000
#: Most classes that a pickle may name; whole models name some dozens.
_MAX_CLASSES = 1000
#: The first pickle of a file from before PyTorch 1.6: a number, and nothing else.
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "BFloat16Storage": "<u2",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_OPCODES = {
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
    "SHORT_BINBYTES", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "GLOBAL",
    "STACK_GLOBAL", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "BINPERSID", "BINPUT", "LONG_BINPUT",
    "BINGET", "LONG_BINGET", "MEMOIZE", "FRAME", "POP", "POP_MARK",
}  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """The bytes of one or more tensors, by the key that the file gives them."""

    dtype: np.dtype[Any]
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file, not yet read: sizes and strides in elements of its storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Foreign:
    """Stands for an object of a class that is not known here; nothing of the class is run.

    ``kind`` is the class's name, ``state`` what the object was built from, ``entries`` what it
    was given as a dict.
    """

    kind = "object"

    def __init__(self, *arguments: Any, **named: Any):
        self.arguments = arguments
        self.state: Any = named or None
        self.entries: dict[Any, Any] = {}

    def __new__(cls, *arguments: Any, **named: Any) -> Foreign:
        """An object as ``pickle`` makes it, which may leave its constructor out."""
        made = object.__new__(cls)
        Foreign.__init__(made, *arguments, **named)
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """Take an item of a list, which nobody needs."""

    extend = add = update = append

    def __call__(self, *arguments: Any, **named: Any) -> Foreign:
        """What a function that is not known would give: another object."""
        return Foreign()


class _Function:
    """What a pickle may call; it cannot be changed from within the pickle."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("its pickle is damaged")


def _tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    if not isinstance(storage, _Storage) or not all(
        isinstance(n, int) for n in (offset, *size, *stride)
    ):
        raise pickle.UnpicklingError("a tensor is described wrongly")
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _typed(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor with attributes of its own."""
    return function(*arguments) if isinstance(function, _Function) else Foreign()


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    return str(text).encode("latin1", "replace")


_REBUILT = {
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Function(_parameter),
    ("torch._tensor", "_rebuild_from_type_v2"): _Function(_typed),
    ("_codecs", "encode"): _Function(_bytes),
    ("collections", "defaultdict"): _Function(lambda *_: OrderedDict()),
    ("builtins", "dict"): _Function(lambda *_: {}),
}


class _Unpickler(pickle.Unpickler):
    """Builds dicts, lists, descriptions of tensors, and stand-ins for everything else."""

    def __init__(self, stream: BinaryIO):
        super().__init__(stream, encoding="latin1")
        self._classes: dict[tuple[str, str], type[Foreign]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a class or function that the pickle names: never that itself."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in _REBUILT:
            return _REBUILT[module, name]
        if module == "torch" and name in _STORAGES:
            return name
        if len(self._classes) >= _MAX_CLASSES:
            raise pickle.UnpicklingError(f"it names over {_MAX_CLASSES} classes")
        kind = f"{module}.{name}"[:120]
        return self._classes.setdefault((module, name), type("Foreign", (Foreign,), {"kind": kind}))

    def persistent_load(self, pid: Any) -> Any:
        """The storage of a tensor."""
        kind, storage, key, _, count = pid[:5]
        known = isinstance(storage, str) and isinstance(key, str) and isinstance(count, int)
        if kind != "storage" or (known and storage not in _STORAGES):
            raise pickle.UnpicklingError("it is no state dict")
        if not known:
            return Foreign()  # a storage of a type that is not known
        return _Storage(np.dtype(_STORAGES[storage]), key, count)


def _check_opcodes(stream: BinaryIO, size: int) -> None:
    """Refuse what torch.save does not write, such as a memo index that would take gigabytes.

    The stream is left where it was.
    """
    start = stream.tell()
    tuples = 0
    for opcode, argument, at in pickletools.genops(stream):
        tuples += "TUPLE" in opcode.name or opcode.name[-3:] == "SET"
        if tuples > _MAX_TUPLES:
            raise pickle.UnpicklingError(f"its pickle has over {_MAX_TUPLES:,} tuples")
        if (at or 0) - start > _MAX_PICKLE:
            raise pickle.UnpicklingError(f"its pickle has over {_MAX_PICKLE:,} bytes")
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(
                f"its pickle uses {opcode.name}, which torch.save does not write; save "
                "model.state_dict() with torch.save"
            )
        if opcode.name.endswith("PUT") and int(argument or 0) > size:
            raise pickle.UnpicklingError("its pickle is damaged")
    stream.seek(start)


def _load(stream: BinaryIO, size: int) -> Any:
    _check_opcodes(stream, size)
    return _Unpickler(stream).load()


class TorchFile:
    """The objects of a file (``root``), and its tensors when they are asked for.

    Raises ValueError, pickle.UnpicklingError or OSError if the file is damaged, or is none.
    """

    def __init__(self, path: Path):
        check_regular(path)
        self._path = path
        self._left = 4 * MAX_WEIGHTS
        self._at: dict[str, tuple[int, int]] = {}
        self._archive = zipfile.is_zipfile(path)
        self._prefix, self._big = "", False
        with path.open("rb") as stream:
            self.root = self._read_archive(stream) if self._archive else self._read_legacy(stream)

    def _read_archive(self, stream: BinaryIO) -> Any:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            if any(n.endswith("/constants.pkl") for n in names):
                raise ValueError(
                    "it is a TorchScript archive, a network with its code; export it to ONNX, or "
                    "save the state_dict() of what torch.jit.load gives"
                )
            pickles = [i for i in archive.infolist() if i.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE:
                raise ValueError("it is no state dict of PyTorch")
            self._prefix = pickles[0].filename.rsplit("/", 1)[0]
            order = f"{self._prefix}/byteorder"
            self._big = order in names and archive.read(order).strip() == b"big"
            data = archive.read(pickles[0])
        return _load(io.BytesIO(data), len(data))

    def _read_legacy(self, stream: BinaryIO) -> Any:
        """A file from before PyTorch 1.6: pickles, then the storages one after the other."""
        size = self._path.stat().st_size
        if stream.read(len(LEGACY_START)) != LEGACY_START:
            raise ValueError("it was not written by torch.save")
        _load(stream, size)  # the version of the format
        about = _load(stream, size)
        self._big = isinstance(about, dict) and about.get("little_endian") is False
        root = _load(stream, size)
        keys = _load(stream, size)
        if not isinstance(keys, list) or len(keys) > _MAX_TUPLES:
            raise ValueError("its list of storages is damaged")
        storages = {t.storage.key: t.storage for t in _tensors(root)}
        for key in keys:
            if key not in storages:
                break  # of a tensor that is not known, which nobody asks for
            (count,) = struct.unpack("<q", stream.read(8))
            width = storages[key].dtype.itemsize
            if count < 0 or stream.tell() + count * width > size:
                raise ValueError("one of its arrays is truncated")
            self._at[key] = (stream.tell(), count)
            stream.seek(count * width, io.SEEK_CUR)
        return root

    def read(self, tensor: Tensor) -> NDArray[Any]:
        """The array that torch.Tensor.as_strided gives; bfloat16 as float32."""
        storage, size, stride = tensor.storage, tensor.shape, tensor.stride
        if len(size) != len(stride) or min((*size, *stride, tensor.offset), default=0) < 0:
            raise pickle.UnpicklingError("a tensor has a wrong shape")
        last = tensor.offset + sum((n - 1) * s for n, s in zip(size, stride))
        values = math.prod(size)
        self._left -= max(values, storage.count)  # all of the storage is read
        if self._left < 0:
            raise pickle.UnpicklingError(f"it holds over {4 * MAX_WEIGHTS:,} values")
        width = storage.dtype.itemsize
        if values and (last >= storage.count or values > storage.count):
            raise pickle.UnpicklingError("a tensor reaches outside its storage")
        raw = self._raw(storage, storage.count * width)
        dtype = storage.dtype.newbyteorder(">") if self._big else storage.dtype
        data = np.frombuffer(raw, dtype, storage.count).astype(storage.dtype, copy=False)
        strides = [s * width for s in stride]
        array = np.lib.stride_tricks.as_strided(data[tensor.offset :], size, strides).copy()
        if storage.dtype == np.uint16:  # bfloat16 is the upper half of float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array

    def _raw(self, storage: _Storage, size: int) -> bytes:
        if not self._archive:
            at, count = self._at.get(storage.key, (0, -1))
            if count < storage.count:
                raise pickle.UnpicklingError("one of its arrays is truncated")
            with self._path.open("rb") as stream:
                stream.seek(at)
                return stream.read(size)
        with zipfile.ZipFile(self._path) as archive:
            info = archive.getinfo(f"{self._prefix}/data/{storage.key}")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size < size:
                raise pickle.UnpicklingError("one of its arrays is truncated")
            return archive.read(info)


def _tensors(root: Any) -> list[Tensor]:
    """All tensors that an object leads to."""
    found: list[Tensor] = []
    seen: set[int] = set()
    left = [root]
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            found.append(item)
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, (list, tuple)):
            left += item
        elif isinstance(item, Foreign):
            left += [item.state, item.entries, item.arguments]
    return found
