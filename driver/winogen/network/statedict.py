"""Trained parameters with an author's own names, matched with the layers of a definition.

A state dict names its arrays after the author's modules; a definition has its own names. Where
the names agree, they decide. Elsewhere both list the same layers in the same order, so they are
matched by kind and order, which is told, and every array must fit and be used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.common.text import few

#: Longest list of names in a note.
_MAX_NOTE = 600


@dataclass(eq=False)
class Module:
    """The arrays of one module of the network, and which of them were asked for."""

    name: str
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``norm``, ``slope``, ``weighted``; ``stray`` if it has no parameters of a layer.

        ``affine`` is what follows a norm by the image's own statistics.
        """
        if "running_mean" in self.arrays or (
            "bn_mean" in self.arrays and "weight" not in self.arrays
        ):
            return "norm"
        weight = self.arrays.get("weight")
        if weight is None:
            return "weighted" if "bias" in self.arrays else "stray"
        if weight.ndim > 1:
            return "weighted"
        return "affine" if "bias" in self.arrays else "slope"

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What tells modules of one kind apart."""
        return tuple(sorted((name, array.shape) for name, array in self.arrays.items()))


#: What a definition asks for: the kind of module, and the name there.
_WANTED = {
    "weight": ("weighted", "weight"),
    "bias": ("weighted", "bias"),
    "bn_gamma": ("norm", "weight"),
    "bn_beta": ("norm", "bias"),
    "bn_mean": ("norm", "running_mean"),
    "bn_var": ("norm", "running_var"),
    "norm_gamma": ("affine", "weight"),
    "norm_beta": ("affine", "bias"),
    "alpha": ("slope", "weight"),
}
#: Kinds of modules that a definition asks for.
_KINDS = ("weighted", "norm", "affine", "slope")


class Wanted:
    """What a definition asks for (``definition.Parameters``): its layers, before they are read."""

    def __init__(self) -> None:
        #: Layers by the kind of module, each once and in order.
        self.layers: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        #: Shapes of constants, by their layers.
        self.constants: dict[str, tuple[int, ...]] = {}
        #: Every parameter.
        self.names: list[str] = []

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """Any parameter of this shape."""
        self.names.append(name)
        layer, _, entry = name.rpartition(".")
        if entry == "value":
            self.constants[layer] = shape
        else:
            layers = self.layers[_WANTED[entry][0]]
            if layer not in layers:
                layers.append(layer)
        return np.broadcast_to(np.float32(1), shape)


def _check_order(modules: Sequence[Module], source: str) -> None:
    """Refuse modules of equal shapes that only words tell apart: these have no order."""
    names: dict[Any, dict[str, str]] = {}
    for module in modules:
        stem = re.sub(r"\d+", "#", module.name)
        names.setdefault((module.kind, module.shapes), {}).setdefault(stem, module.name)
    for alike in names.values():
        if len(alike) > 1:
            first, second = list(alike.values())[:2]
            raise ModelError(
                f"{source} does not say which of '{first[:80]}' and '{second[:80]}' comes first, "
                "and they have the same shapes: save the state dict as .pth, or name the "
                "definition's layers so"
            )


def _number(name: str) -> str:
    """The last number of a name, which tells bn2 that it belongs to conv2."""
    return (re.findall(r"\d+", name) or [""])[-1]


def modules_of(arrays: Mapping[str, NDArray[Any]], source: str, notes: list[str]) -> list[Module]:
    """The modules of a state dict that are layers, in order.

    Weights that normalizations keep in parts are put together; what belongs to no layer is left
    out. ``notes`` gets both. ModelError if parts are missing.
    """
    modules: dict[str, Module] = {}
    for name, array in arrays.items():
        # A weight in parts: parametrizations.weight.original0 is an entry of its module.
        module, _, entry = name.rpartition(".")
        if ".parametrizations." in f".{module}.":
            module, _, inner = f".{module}".partition(".parametrizations.")
            module, entry = module.removeprefix("."), f"{inner}.{entry}"
        if entry != "num_batches_tracked":
            modules.setdefault(module, Module(module)).arrays[entry] = array
    for found in modules.values():
        _put_together(found, source, notes)
    stray = [m for m in modules.values() if m.kind == "stray"]
    names = [f"{m.name}.{entry}".lstrip(".") for m in stray for entry in m.arrays]
    if names:
        notes.append(f"{source}: no layer has such parameters, left out: {_few(names)}")
    return [m for m in modules.values() if m.kind != "stray"]


class StateDict:
    """Parameters for a definition (``definition.Parameters``) from a state dict.

    ``wanted`` says what the definition asks for, so that names can decide; without it only order
    does. ``notes`` say what was matched, recomputed and left out.
    """

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], source: str, wanted: Wanted | None = None
    ):
        self._source = source
        self.notes: list[str] = []
        self._free: dict[str, list[Module]] = {kind: [] for kind in _KINDS}
        #: Layers that are constants to the names of their arrays.
        self._constants = _constants(arrays, wanted.constants if wanted else {})
        self._arrays = {name: arrays[name] for name in self._constants.values()}
        rest = {k: v for k, v in arrays.items() if k not in self._arrays}
        for found in modules_of(rest, source, self.notes):
            self._free[found.kind].append(found)
        #: Layer and kind to the module that it took.
        self._taken: dict[tuple[str, str], Module] = {}
        if wanted is not None:
            self._match(wanted)
        elif source.endswith(".safetensors"):
            _check_order([m for free in self._free.values() for m in free], source)

    def _note(self, text: str) -> None:
        self.notes.append(text if len(text) <= _MAX_NOTE else f"{text[: _MAX_NOTE - 3]}...")

    # Matching

    def _match(self, wanted: Wanted) -> None:
        """Give every layer its module: by name where names agree, else by order."""
        named: dict[str, list[str]] = {}
        for kind, layers in wanted.layers.items():
            named[kind] = self._by_name(kind, layers, bool(named.get("weighted")))
        ordered: dict[str, list[str]] = {}
        for kind, layers in wanted.layers.items():
            rest = [layer for layer in layers if layer not in named[kind]]
            modules = self._free[kind][: len(rest)]
            if self._source.endswith(".safetensors") and kind in ("weighted", "norm", "affine"):
                _check_order(self._free[kind], self._source)
            self._warn_alike(modules)
            for layer, module in zip(rest, modules):
                self._taken[layer, kind] = module
                ordered.setdefault(layer, []).append(module.name)
            self._free[kind] = self._free[kind][len(rest) :]
        if any(names != [layer] for layer, names in ordered.items()):
            pairs = (f"{layer} = {' + '.join(names)}" for layer, names in ordered.items())
            self._note(f"{self._source} is matched with the layers by order: {', '.join(pairs)}")

    def _by_name(self, kind: str, layers: Sequence[str], numbered: bool) -> list[str]:
        """Take the modules that are named as the layers; which layers found one."""
        free = self._free[kind]
        pairs = {layer: [m for m in free if self._short(m) == layer] for layer in layers}
        if numbered and kind != "weighted" and not any(pairs.values()):
            # Layers are known by name: bn2 is the norm of conv2, if all numbers agree.
            numbers = [_number(m.name) for m in free]
            if all(numbers.count(_number(layer)) == 1 for layer in layers):
                pairs = {
                    layer: [m for m in free if _number(m.name) == _number(layer)]
                    for layer in layers
                }
        found = []
        for layer, alike in pairs.items():
            if len(alike) == 1 and alike[0] in self._free[kind]:
                self._free[kind].remove(alike[0])
                self._taken[layer, kind] = alike[0]
                found.append(layer)
        return found

    @staticmethod
    def _short(module: Module) -> str:
        """A module's name without what it is part of."""
        return module.name.rpartition(".")[2]

    def _warn_alike(self, modules: Sequence[Module]) -> None:
        """Tell of modules that only their order in the file tells apart."""
        groups: dict[Any, list[Module]] = {}
        for module in modules:
            groups.setdefault(module.shapes, []).append(module)
        for alike in groups.values():
            names = [m.name for m in alike]
            stems = {re.sub(r"\d+", "#", name) for name in names}
            numbers = [[int(n) for n in re.findall(r"\d+", name)] for name in names]
            if len(names) > 1 and (len(stems) > 1 or numbers != sorted(numbers)):
                self._note(
                    f"{self._source}: {_few(names)} have equal shapes, so only their order in the "
                    "file tells which is which; if the network uses them in another order its "
                    "pictures are wrong: name the definition's layers as the file does, and names "
                    "decide"
                )

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """The parameter of the layer's module; ModelError if there is none that fits."""
        layer, _, entry = name.rpartition(".")
        if entry == "value":
            return self._constant(layer, shape, where)
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
        return _as_float32(value, f"{where}: '{module.name}.{key}'")

    def _constant(self, layer: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        if layer not in self._constants:
            raise ModelError(
                f"{where}: {self._source} does not hold one array of shape {shape} that may be its "
                "constant; name the layer as the file names the array"
            )
        name = self._constants[layer]
        return _as_float32(self._arrays[name].reshape(shape), f"{where}: '{name}'")

    def check_all_used(self) -> None:
        """ModelError if the state dict has layers or parameters that the definition does not."""
        left = [m for free in self._free.values() for m in free]
        left += [m for m in self._taken.values() if m.arrays]
        if left:
            names = ", ".join(f"{m.name}.{k}" for m in left[:3] for k in m.arrays)
            raise ModelError(
                f"{self._source} holds parameters that the network's definition does not have: "
                f"{names[:200]}; the two are different networks, or the file holds several "
                "(--weights-key chooses)"
            )


def _constants(
    arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """Layers that are constants, and the array of each: by its name, or the only one that fits."""
    found: dict[str, str] = {}
    for layer, shape in wanted.items():
        fitting = [
            name
            for name, array in arrays.items()
            if array.shape in (shape, (1, *shape))
            and name.rpartition(".")[2] not in ("weight", "bias")
            and name not in found.values()
        ]
        named = [name for name in fitting if layer in name.split(".")]
        chosen = named if len(named) == 1 else fitting
        if len(chosen) == 1:
            found[layer] = chosen[0]
    return found


def _as_float32(value: NDArray[Any], what: str) -> NDArray[np.float32]:
    if not np.issubdtype(value.dtype, np.floating):
        raise ModelError(f"{what} holds {value.dtype} values")
    with np.errstate(over="ignore"):  # what overflows is refused as infinity
        return value.astype(np.float32)


#: What PyTorch's spectral and weight normalization put in place of a weight.
_PARTS = ("weight_orig", "weight_u", "weight_v", "weight_g")


def _put_together(module: Module, source: str, notes: list[str]) -> None:
    """Weight and spectral normalization in evaluation: the weight that they compute."""
    arrays = module.arrays
    for gain, direction in (("weight_g", "weight_v"),
                            ("weight.original0", "weight.original1")):  # fmt: skip
        if gain in arrays and direction in arrays:
            arrays["weight"] = _weight_norm(arrays.pop(gain), arrays.pop(direction))
            notes.append(f"{source}: weight normalization of '{module.name}' is computed")
    for whole, left, right in (("weight_orig", "weight_u", "weight_v"),
                               ("weight.original", "weight.0._u", "weight.0._v")):  # fmt: skip
        if {whole, left, right} <= arrays.keys():
            weight = _spectral_norm(arrays[whole], arrays[left], arrays[right])
            if weight is not None:
                for name in (whole, left, right):
                    del arrays[name]
                arrays["weight"] = weight
                notes.append(f"{source}: spectral normalization of '{module.name}' is computed")
    part = next((k for k in arrays if k in _PARTS or k.startswith("weight.")), None)
    if part is not None:
        raise ModelError(
            f"{source} holds '{module.name[:80]}.{part[:40]}', a weight in parts "
            "(spectral or weight normalization) that cannot be put together: remove the "
            "normalization in PyTorch before saving, which keeps the network the same"
        )


def _weight_norm(gain: NDArray[Any], direction: NDArray[Any]) -> NDArray[np.float32]:
    """``gain * direction / |direction|``, the norm over the axes where ``gain`` has one value."""
    v = direction.astype(np.float64)
    axes = tuple(i for i, n in enumerate(gain.shape) if n == 1) if gain.ndim == v.ndim else None
    norm = np.sqrt(np.sum(v * v, axis=axes, keepdims=True))
    with np.errstate(all="ignore"):  # what is no number is refused by the layer
        return (gain.astype(np.float64) * v / norm).astype(np.float32)


def _spectral_norm(
    weight: NDArray[Any], left: NDArray[Any], right: NDArray[Any]
) -> NDArray[np.float32] | None:
    """``weight / (left . W . right)``; None if the shapes do not say over which axis.

    W has the outputs as rows: the first axis, or the second of a transposed convolution.
    """
    w = weight.astype(np.float64)
    fits = []
    for axis in range(min(2, w.ndim)):
        matrix = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
        if left.shape == matrix.shape[:1] and right.shape == matrix.shape[1:]:
            fits.append(float(left.astype(np.float64) @ matrix @ right.astype(np.float64)))
    if len(fits) != 1 or not fits[0] > 0:
        return None
    return (w / fits[0]).astype(np.float32)


def _few(names: Sequence[str]) -> str:
    """Some of the names, in quotes."""
    return few([f"'{name[:60]}'" for name in names])
