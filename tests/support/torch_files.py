"""Files as ``torch.save`` writes them, without PyTorch: archives, and those of before 1.6.

Arrays become tensors; a :class:`Made` becomes an object of a class that need not exist.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}
_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Global:
    """A name in a module, which need not exist."""

    module: str
    name: str

    def __call__(self) -> None:
        """pickle asks whether it could be called."""


@dataclass(frozen=True)
class Made:
    """An object of a class: ``function(*arguments)``, then its state."""

    kind: Global
    state: Any = None
    arguments: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Parameter:
    """A tensor that is a ``torch.nn.Parameter``."""

    array: NDArray[Any]


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    def __init__(self, stream: Any, protocol: int, legacy: bool):
        super().__init__(stream, protocol)
        self.storages: list[NDArray[Any]] = []
        self._legacy = legacy

    def save(self, item: Any, save_persistent_id: bool = True) -> None:
        if isinstance(item, Global):
            if self.proto < 4:
                self.write(b"c" + f"{item.module}\n{item.name}\n".encode())
            else:
                super().save(item.module)
                super().save(item.name)
                self.write(pickle.STACK_GLOBAL)
        elif isinstance(item, np.ndarray):
            self._tensor(item)
        elif isinstance(item, Parameter):
            self._call(Global("torch._utils", "_rebuild_parameter"),
                       (item.array, True, OrderedDict()))  # fmt: skip
        elif isinstance(item, Made) and id(item) in self.memo:
            self.write(self.get(self.memo[id(item)][0]))
        elif isinstance(item, Made):
            if item.arguments is None:
                self.save(item.kind)
                self.save(())
                self.write(pickle.NEWOBJ)
            else:
                self._call(item.kind, item.arguments)
            self.memoize(item)
            if item.state is not None:
                self.save(item.state)
                self.write(pickle.BUILD)
        else:
            super().save(item, save_persistent_id)

    def _call(self, function: Global, arguments: tuple[Any, ...]) -> None:
        self.save(function)
        self.save(arguments)
        self.write(pickle.REDUCE)

    def _tensor(self, array: NDArray[Any]) -> None:
        key = str(len(self.storages))
        order = np.argsort([-s for s in array.strides], kind="stable")  # as the memory has it
        self.storages.append(np.ascontiguousarray(array.transpose(order)).ravel())
        strides = tuple(s // array.itemsize for s in array.strides) if array.size else array.shape
        self.save(Global("torch._utils", "_rebuild_tensor_v2"))
        self.write(pickle.MARK)
        pid = ["storage", Global("torch", _STORAGES[str(array.dtype)]), key, "cpu", array.size]
        self.write(pickle.MARK)
        for part in [*pid, *([None] if self._legacy else [])]:
            self.save(part)
        self.write(pickle.TUPLE + pickle.BINPERSID)
        for part in (0, tuple(array.shape), strides, False, OrderedDict()):
            self.save(part)
        self.write(pickle.TUPLE + pickle.REDUCE)


def save(item: Any, path: Path, *, protocol: int = 2, legacy: bool = False) -> Path:
    """Write what ``torch.save(item, path, pickle_protocol=protocol)`` writes."""
    stream = io.BytesIO()
    pickler = _Pickler(stream, protocol, legacy)
    pickler.dump(item)
    storages = dict(enumerate(pickler.storages))
    if legacy:
        about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
        with path.open("wb") as file:
            for first in (_MAGIC, 1001, about):
                pickle.dump(first, file, protocol)
            file.write(stream.getvalue())
            keys = sorted(map(str, storages))
            pickle.dump(keys, file, protocol)
            for key in keys:
                array = storages[int(key)]
                file.write(struct.pack("<q", array.size) + array.tobytes())
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return path
