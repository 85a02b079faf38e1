"""Trained parameters from PyTorch: state dicts (``.pt``, ``.pth``) and ``.safetensors``.

A state dict names its arrays after the author's modules; a definition has its own names. Both
list the same layers in the same order, so they are matched by kind and order, and every array
must fit and be used.

A ``.pth`` file is a ZIP archive with a pickle that describes the tensors. The pickle is read by an
unpickler that knows the few names which a state dict uses and can call nothing else; PyTorch is
not needed.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError, one_line
from winogen.common.files import ARRAY_FILE_ERRORS
from winogen.network.definition import MAX_WEIGHTS, load_weights

#: Most bytes of the pickle in a state dict, which only describes the arrays.
_MAX_PICKLE = 1 << 22
#: Keys under which training scripts keep the generator's state dict.
_WRAPPERS = ("state_dict", "model_state_dict", "generator", "netG", "params_ema", "params", "model")
SUFFIXES = (".npz", ".pt", ".pth", ".safetensors")


def read_parameters(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a parameter file by name, in the order of its layers.

    Raises ModelError if the file is damaged or holds anything but arrays; InputError if it is of
    another kind.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"cannot read weights from {path}: its name must end in {', '.join(SUFFIXES)}"
        )
    if path.suffix == ".npz":
        return load_weights(path)
    if not path.is_file():
        raise ModelError(f"weights file {path} does not exist")
    try:
        arrays = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except (*ARRAY_FILE_ERRORS, pickle.UnpicklingError, AttributeError, IndexError,
            RecursionError, AssertionError) as error:  # fmt: skip
        raise ModelError(f"cannot read weights file {path}: {one_line(error)}") from None
    if not arrays:
        raise ModelError(f"weights file {path} holds no arrays")
    return arrays


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise InputError(
            "reading .safetensors needs the package safetensors: pip install 'winogen[onnx]'"
        ) from None
    try:
        with safe_open(path, framework="np") as file:
            # The format does not keep the order of layers: main.2 comes before main.10.
            return {name: file.get_tensor(name) for name in sorted(file.keys(), key=_natural)}
    except (SafetensorError, AttributeError) as error:
        raise ValueError(one_line(error)) from None


def _natural(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(p)) if p.isdigit() else (1, p) for p in re.split(r"(\d+)", name[:200]) if p]


# PyTorch's archive


@dataclass(frozen=True)
class _Storage:
    """One array file of the archive."""

    dtype: np.dtype[Any]
    key: str
    count: int


_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "BFloat16Storage": "<u2",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


_OPCODES = {
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "BINUNICODE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "REDUCE", "BUILD",
    "BINPERSID", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
}  # fmt: skip


#: Wrappers around a state dict, and tuples of a pickle: hashing nested tuples recurses in C.
_MAX_DEPTH = 8
_MAX_TUPLES = 50_000


class _Unpickler(pickle.Unpickler):
    """Rebuilds dicts of tensors, and refuses every other name."""

    def __init__(self, data: bytes, archive: zipfile.ZipFile, root: str):
        super().__init__(io.BytesIO(data))
        self._archive = archive
        self._root = root
        self._left = 4 * MAX_WEIGHTS

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(
            f"it holds a {module}.{name}, not only tensors; save model.state_dict() alone"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError("it is no state dict")
        if not (isinstance(storage, str) and isinstance(key, str) and isinstance(count, int)):
            raise pickle.UnpicklingError("it is no state dict")
        return _Storage(np.dtype(_STORAGES[storage]), key, count)

    def _tensor(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...],
        *_: Any,
    ) -> NDArray[Any]:  # fmt: skip
        """The array that torch.Tensor.as_strided gives, read from the archive."""
        if len(size) != len(stride) or min((*size, *stride, offset), default=0) < 0:
            raise pickle.UnpicklingError("a tensor has a wrong shape")
        last = offset + sum((n - 1) * s for n, s in zip(size, stride))
        values = math.prod(size)
        self._left -= max(values, storage.count)  # all of the storage is read
        if self._left < 0:
            raise pickle.UnpicklingError(f"it holds over {4 * MAX_WEIGHTS:,} values")
        info = self._archive.getinfo(f"{self._root}/data/{storage.key}")
        width = storage.dtype.itemsize
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < storage.count * width:
            raise pickle.UnpicklingError("one of its arrays is truncated")
        if values and (last >= storage.count or values > storage.count):
            raise pickle.UnpicklingError("a tensor reaches outside its storage")
        data = np.frombuffer(self._archive.read(info), storage.dtype, storage.count)
        strides = [s * width for s in stride]
        array = np.lib.stride_tricks.as_strided(data[offset:], size, strides).copy()
        if storage.dtype == np.uint16:  # bfloat16 is the upper half of float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array


def _check_opcodes(data: bytes) -> None:
    """Refuse what torch.save does not write, such as a memo index that would take gigabytes."""
    tuples = 0
    for opcode, argument, _ in pickletools.genops(data):
        tuples += "TUPLE" in opcode.name
        if tuples > _MAX_TUPLES:
            raise pickle.UnpicklingError(f"its pickle has over {_MAX_TUPLES:,} tuples")
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(
                f"its pickle uses {opcode.name}, which no state dict does; save model.state_dict()"
            )
        if opcode.name.endswith("PUT") and int(argument or 0) > len(data):
            raise pickle.UnpicklingError("its pickle is damaged")


def _read_torch(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no archive of PyTorch 1.6 or newer; load and save it again there")
    with zipfile.ZipFile(path) as archive:
        pickles = [i for i in archive.infolist() if i.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE:
            raise ValueError("it is no state dict of PyTorch")
        root = pickles[0].filename.rsplit("/", 1)[0]
        data = archive.read(pickles[0])
        _check_opcodes(data)
        state = _Unpickler(data, archive, root).load()
    depth = 0
    while isinstance(state, dict) and not any(isinstance(v, np.ndarray) for v in state.values()):
        inner = [state[k] for k in _WRAPPERS if isinstance(state.get(k), dict)]
        if len(inner) != 1:
            names = ", ".join(str(k)[:40] for k in list(state)[:8])
            raise ValueError(f"it holds no tensors but {names}; save model.state_dict() alone")
        state, depth = inner[0], depth + 1
        if depth > _MAX_DEPTH:
            raise ValueError("its checkpoint is nested without end; save model.state_dict() alone")
    if not isinstance(state, dict):
        raise ValueError("it holds no state dict; save model.state_dict()")
    return {str(k): v for k, v in state.items() if isinstance(v, np.ndarray)}


# Matching with a definition


@dataclass
class _Module:
    """The arrays of one module of the network, and which of them were asked for."""

    name: str
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        if "running_mean" in self.arrays:
            return "norm"
        weight = self.arrays.get("weight")
        return "slope" if weight is not None and weight.ndim <= 1 else "weighted"


#: What PyTorch's spectral and weight normalization put in place of a weight.
_REPARAMETRISED = ("weight_orig", "weight_u", "weight_v", "weight_g")
#: What a definition asks for: the kind of module, and the name there.
_WANTED = {
    "weight": ("weighted", "weight"),
    "bias": ("weighted", "bias"),
    "bn_gamma": ("norm", "weight"),
    "bn_beta": ("norm", "bias"),
    "bn_mean": ("norm", "running_mean"),
    "bn_var": ("norm", "running_var"),
    "alpha": ("slope", "weight"),
}


def _check_order(modules: list[_Module], source: str) -> None:
    """Refuse modules of equal shapes that only words tell apart: these have no order."""
    names: dict[Any, dict[str, str]] = {}
    for module in modules:
        shapes = tuple(sorted((name, array.shape) for name, array in module.arrays.items()))
        stem = re.sub(r"\d+", "#", module.name)
        names.setdefault((module.kind, shapes), {}).setdefault(stem, module.name)
    for alike in names.values():
        if len(alike) > 1:
            first, second = list(alike.values())[:2]
            raise ModelError(
                f"{source} does not say which of '{first[:80]}' and '{second[:80]}' comes first, "
                "and they have the same shapes: save the state dict as .pth"
            )


class StateDict:
    """Parameters for a definition (``model_yaml.Parameters``) from a state dict, by order."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], source: str):
        self._source = source
        modules: dict[str, _Module] = {}
        for name, array in arrays.items():
            module, _, entry = name.rpartition(".")
            if entry == "num_batches_tracked":
                continue
            if entry in _REPARAMETRISED or "parametrizations" in module:
                raise ModelError(
                    f"{source} holds '{name[:80]}', a weight in parts (spectral or weight "
                    "normalization): remove the normalization in PyTorch before saving, which "
                    "keeps the network the same"
                )
            modules.setdefault(module, _Module(module)).arrays[entry] = array
        if source.endswith(".safetensors"):
            _check_order(list(modules.values()), source)
        self._free: dict[str, list[_Module]] = {"weighted": [], "norm": [], "slope": []}
        for found in modules.values():
            self._free[found.kind].append(found)
        #: Layer and kind to the module that it took.
        self._taken: dict[tuple[str, str], _Module] = {}

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """The next module's parameter for ``name``; ModelError if there is none that fits."""
        layer, _, entry = name.rpartition(".")
        kind, key = _WANTED[entry]
        module = self._taken.get((layer, kind))
        if module is None:
            if not self._free[kind]:
                raise ModelError(f"{where}: {self._source} has no more layers of its kind for it")
            module = self._taken[layer, kind] = self._free[kind].pop(0)
        if key not in module.arrays:
            raise ModelError(
                f"{where}: its {entry} is missing: '{module.name}' of {self._source} has "
                f"{', '.join(module.arrays) or 'no arrays left'}"
            )
        value = module.arrays.pop(key)
        if entry == "alpha" and value.size == 1:
            value = np.broadcast_to(value, shape)
        if value.shape != shape:
            raise ModelError(
                f"{where}: '{module.name}.{key}' of {self._source} has shape {value.shape}, "
                f"expected {shape}"
            )
        if not np.issubdtype(value.dtype, np.floating):
            raise ModelError(f"{where}: '{module.name}.{key}' holds {value.dtype} values")
        with np.errstate(over="ignore"):  # what overflows is refused as infinity
            return value.astype(np.float32)

    def check_all_used(self) -> None:
        """ModelError if the state dict has layers or parameters that the definition does not."""
        left = [m for free in self._free.values() for m in free]
        left += [m for m in self._taken.values() if m.arrays]
        if left:
            names = ", ".join(f"{m.name}.{k}" for m in left[:3] for k in m.arrays)
            raise ModelError(
                f"{self._source} holds parameters that the network's definition does not have: "
                f"{names[:200]}; the two are different networks"
            )
