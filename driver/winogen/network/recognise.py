"""A definition for weights that come without one: DCGAN-like chains, by names and shapes alone.

A state dict has the layers' weights in order, so kernels, channels, norms and biases are known.
Strides, padding and activation functions are not in it: what generators of this kind have is
assumed and said, and where two readings are as likely the question is asked.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError
from winogen.network.statedict import modules_of

#: Most readings that a question lists.
_MAX_CANDIDATES = 8
#: Fewest rows of a picture that a linear layer makes; less is no picture.
_MIN_SIDE = 8
_NORM = {
    "weight": "bn_gamma",
    "bias": "bn_beta",
    "running_mean": "bn_mean",
    "running_var": "bn_var",
}
_OWN_NORM = tuple(_NORM.values())
_WAY_OUT = "write its layers into a layers.yaml, or export the network to ONNX"
#: Words in a module's name that say what it is.
_UP = re.compile(r"de_?conv|t_?conv|conv_?t|trans|up|ct\d*$", re.IGNORECASE)
_CONV = re.compile(r"conv", re.IGNORECASE)


@dataclass(frozen=True)
class Recognised:
    """What a network without a definition was taken for.

    ``definition`` is the text of its layers.yaml, ``arrays`` its parameters by the names there,
    ``notes`` what was assumed.
    """

    definition: str
    arrays: dict[str, NDArray[Any]]
    notes: tuple[str, ...]


@dataclass
class _Layer:
    """One layer with weights: what the file says of it."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    norm: dict[str, NDArray[Any]] = field(default_factory=dict)
    alpha: NDArray[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape


@dataclass(frozen=True)
class _Geometry:
    """How a layer may move over its input, and in words."""

    op: str
    stride: int
    pad: int
    extra: int = 0

    def size(self, size: int, kernel: int) -> int:
        """Rows or columns that it makes of ``size``."""
        if self.op == "conv":
            return (size + 2 * self.pad - kernel) // self.stride + 1
        return (size - 1) * self.stride + kernel - 2 * self.pad + self.extra


def recognise(
    arrays: Mapping[str, NDArray[Any]], source: str, candidate: int | None = None
) -> Recognised:
    """The generator that a state dict is of.

    Parameters
    ----------
    arrays : its parameters, by the author's names or by those of a definition, in order
    source : the file, for messages
    candidate : which reading to take, counted from 1, where a refusal lists several

    Raises
    ------
    ModelError : it is no chain of linear layers and (transposed) convolutions that makes a picture
        from a latent vector; or there are several readings, which are listed
    InputError : there is no such candidate
    """
    notes: list[str] = []
    layers = _layers(arrays, source, notes)
    readings = list(itertools.islice(_readings(layers, source), _MAX_CANDIDATES))
    if not readings:
        shapes = ", ".join(f"{layer.name} {layer.shape}" for layer in layers[:6])
        raise ModelError(
            f"{source} holds weights without a definition, and they are no chain that makes a "
            f"picture from a latent vector ({shapes[:300]}); {_WAY_OUT}"
        )
    if candidate is None and len(readings) > 1:
        listed = "; ".join(f"({i}) {_words(layers, r)}" for i, r in enumerate(readings, 1))
        raise ModelError(
            f"{source} holds weights without a definition, and their shapes leave a doubt about "
            f"the layers: {listed}; choose one with --candidate, or {_WAY_OUT}"
        )
    if candidate is not None and not 1 <= candidate <= len(readings):
        raise InputError(f"--candidate must be 1 to {len(readings)} for {source}, not {candidate}")
    return _definition(layers, readings[(candidate or 1) - 1], source, notes)


# What the file says


def _layers(arrays: Mapping[str, NDArray[Any]], source: str, notes: list[str]) -> list[_Layer]:
    """The layers of a state dict, each with the norm and the slope that follow it."""
    layers: list[_Layer] = []
    for module in modules_of(arrays, source, notes):
        name, own = module.name, module.arrays
        weight = own.get("weight")
        if weight is not None and weight.ndim >= 2:
            norm = {k: own[k] for k in _OWN_NORM if k in own}
            layers.append(_Layer(name, weight, own.get("bias"), norm, own.get("alpha")))
        elif ("running_mean" in own or "bn_mean" in own) and (not layers or layers[-1].norm):
            raise ModelError(
                f"{source}: the norm '{name[:80]}' does not follow a layer with weights; {_WAY_OUT}"
            )
        elif "bn_mean" in own:
            layers[-1].norm = {k: own[k] for k in _OWN_NORM if k in own}
        elif "running_mean" in own:
            length = len(own["running_mean"])
            ones = {"weight": np.ones(length, np.float32), "bias": np.zeros(length, np.float32)}
            whole = {**ones, **own}  # a norm may have no parameters of its own
            layers[-1].norm = {ours: whole[theirs] for theirs, ours in _NORM.items()}
        elif weight is not None and "bias" in own:
            raise ModelError(
                f"{source}: '{name[:80]}' is a norm without running statistics, and the file does "
                f"not say whether it is an instance, group or layer norm; {_WAY_OUT}"
            )
        elif weight is not None and layers:
            layers[-1].alpha = weight
    if not layers:
        raise ModelError(f"{source} holds no layers with weights; {_WAY_OUT}")
    return layers


# What that may be


def _readings(layers: Sequence[_Layer], source: str) -> Iterator[list[_Geometry | None]]:
    """Every way to read the layers as a generator; None stands for a linear layer.

    Layers of one kernel are read alike, so that a question has few answers.
    """
    first = next((i for i, layer in enumerate(layers) if layer.weight.ndim == 4), len(layers))
    if any(layer.weight.ndim != 2 for layer in layers[:first]):
        return
    if first == len(layers):  # linear layers alone
        if _fits(layers, [None] * first):
            yield [None] * first
        return
    if any(layer.weight.ndim != 4 for layer in layers[first:]):
        return
    keys = [
        (layer.shape[2], _hint(layer), layer.shape[0] == layer.shape[1]) for layer in layers[first:]
    ]
    kinds = list(dict.fromkeys(keys[1:] if not first else keys))
    options = [_geometries(*kind) for kind in kinds]
    for chosen in itertools.product(*options):
        by_kind = dict(zip(kinds, chosen))
        reading: list[_Geometry | None] = [None] * first
        if not first:  # one pixel: its stride changes nothing
            reading.append(_Geometry("deconv", 1, 0))
        reading += [by_kind[key] for key in keys[len(reading) - first :]]
        if _fits(layers, reading):
            yield reading
    course = _course(layers)
    if course and _fits(layers, course):
        yield course


def _hint(layer: _Layer) -> str:
    """What a layer's name says it is."""
    last = layer.name.rpartition(".")[2]
    if _UP.search(last):
        return "deconv"
    return "conv" if _CONV.search(last) else ""


def _geometries(kernel: int, hint: str, square: bool) -> list[_Geometry]:
    """What a layer of this kernel may be, the likeliest first."""
    if kernel == 1:
        return [_Geometry(hint or "conv", 1, 0), _Geometry("deconv", 1, 0)][: 2 - bool(hint)]
    if kernel % 2 == 0:  # which keeps no size, so it is a layer that doubles it
        return [_Geometry("deconv", 2, (kernel - 2) // 2)]
    same, twice = kernel // 2, _Geometry("deconv", 2, kernel // 2, 1)
    found = [] if hint == "conv" else [twice, _Geometry("deconv", 1, same)]
    if hint != "deconv":
        found.append(_Geometry("conv", 1, same))
    return found


def _course(layers: Sequence[_Layer]) -> list[_Geometry | None] | None:
    """The generator of a well-known course: 28 x 28 pixels without padding."""
    if [layer.shape[2:] for layer in layers] != [(3, 3), (4, 4), (3, 3), (4, 4)]:
        return None
    return [_Geometry("deconv", stride, 0) for stride in (2, 1, 2, 2)]


def _fits(layers: Sequence[_Layer], reading: Sequence[_Geometry | None]) -> bool:
    """Whether channels and sizes of the layers agree, and a picture comes out."""
    try:
        sizes = _sizes(layers, reading)
    except ValueError:
        return False
    channels, rows, columns = sizes[-1]
    return channels in (1, 3) and min(rows, columns) > 1


def _sizes(
    layers: Sequence[_Layer], reading: Sequence[_Geometry | None]
) -> list[tuple[int, int, int]]:
    """Shape after every layer; ValueError if they do not fit together."""
    made: list[tuple[int, int, int]] = []
    for at, (layer, geometry) in enumerate(zip(layers, reading)):
        if geometry is None:
            outputs, inputs = layer.shape
            if made and inputs != made[-1][0]:
                raise ValueError
            made.append((outputs, 1, 1))
            continue
        if layer.shape[2] != layer.shape[3]:
            raise ValueError
        deconv = geometry.op == "deconv"
        cin, cout = layer.shape[:2] if deconv else layer.shape[1::-1]
        if at and reading[at - 1] is None:  # a vector becomes an image of its channels
            side = math.isqrt(made[-1][0] // cin)
            if side < 1 or cin * side * side != made[-1][0]:
                raise ValueError
            made[-1] = (cin, side, side)
        channels, rows, _ = made[-1] if made else (cin, 1, 1)
        side = geometry.size(rows, layer.shape[2])
        if channels != cin or not 0 < side <= 1 << 12:
            raise ValueError
        made.append((cout, side, side))
    if reading[-1] is None:  # all that the last linear layer makes is the picture
        outputs = made[-1][0]
        for channels in (1, 3):
            side = math.isqrt(outputs // channels)
            if channels * side * side == outputs and side >= _MIN_SIDE:
                made[-1] = (channels, side, side)
                break
    return made


# What was found


def _words(layers: Sequence[_Layer], reading: Sequence[_Geometry | None]) -> str:
    """A reading in some words."""
    channels, rows, columns = _sizes(layers, reading)[-1]
    kinds: dict[str, None] = {}  # a set in order
    for layer, geometry in zip(layers, reading):
        if geometry is not None:
            kernel = layer.shape[2]
            name = "convolutions" if geometry.op == "conv" else "transposed convolutions"
            kinds[f"{kernel} x {kernel} {name} of stride {geometry.stride}"] = None
    linear = sum(geometry is None for geometry in reading)
    if linear:
        kinds[f"{linear} linear layer{'s' * (linear > 1)}"] = None
    plural = "s" * (channels > 1)
    return f"{rows} x {columns} pixels in {channels} channel{plural}, {', '.join(kinds)}"


def _definition(
    layers: Sequence[_Layer], reading: Sequence[_Geometry | None], source: str, notes: list[str]
) -> Recognised:
    sizes = _sizes(layers, reading)
    arrays: dict[str, NDArray[Any]] = {}
    entries: list[dict[str, Any]] = []
    for at, (layer, geometry, size) in enumerate(zip(layers, reading, sizes)):
        name = f"{'linear' if geometry is None else geometry.op}{at + 1}"
        weight, bias, norm = layer.weight, layer.bias, layer.norm
        if norm and len(norm["bn_mean"]) != size[0]:
            if geometry is not None or len(norm["bn_mean"]) != len(weight):
                raise ModelError(
                    f"{source}: the norm after '{layer.name[:80]}' has {len(norm['bn_mean'])} "
                    f"channels, not {size[0]}; {_WAY_OUT}"
                )
            weight, bias = _folded(weight, bias, norm)  # of every value, before they are an image
            norm = {}
            notes.append(f"the norm of every value of '{layer.name}' is computed into its weights")
        entry: dict[str, Any] = {"name": name}
        if geometry is None:
            entry |= {"op": "linear", "shape": list(size)}
        else:
            entry |= {"op": geometry.op, "cout": size[0], "k": layer.shape[2]}
            entry |= {"stride": geometry.stride, "pad": geometry.pad}
            if geometry.extra:
                entry["output_padding"] = geometry.extra
        entry["bias"] = bias is not None
        if norm:
            entry["norm"] = "batch"
        last = at == len(layers) - 1
        entry["act"] = "prelu" if layer.alpha is not None else "tanh" if last else "relu"
        entries.append(entry)
        arrays[f"{name}.weight"] = weight
        if bias is not None:
            arrays[f"{name}.bias"] = bias
        arrays |= {f"{name}.{k}": v for k, v in norm.items()}
        if layer.alpha is not None:
            one = layer.alpha.size == 1
            arrays[f"{name}.alpha"] = np.broadcast_to(layer.alpha, size[:1]) if one else layer.alpha
    first = layers[0]
    latent = first.shape[1] if first.weight.ndim == 2 else first.shape[0]
    data = {
        "name": re.sub(r"\W+", "-", source.partition(".")[0]).strip("-") or "network",
        "input": {"latent": latent, "dist": "normal"},
        "output": {"range": [-1, 1]},
    }
    lines = [yaml.safe_dump(data, sort_keys=False, default_flow_style=None).rstrip(), "layers:"]
    for entry in entries:
        text = yaml.safe_dump(entry, sort_keys=False, default_flow_style=True, width=1 << 16)
        lines.append(f"- {text.strip()}")
    told = (
        f"{source} has no definition; its names and shapes are those of a generator from {latent} "
        f"latents to {_words(layers, reading)}; assumed, because weights do not say it: these "
        "strides, padding that keeps whole multiples, normal latents, "
        f"{'norms before activation functions, ' if any('norm' in e for e in entries) else ''}"
        f"{_activations(entries)}"
    )
    return Recognised("\n".join(lines) + "\n", arrays, (told, *notes))


def _activations(entries: Sequence[Mapping[str, Any]]) -> str:
    """The activation functions, in words."""
    hidden = {entry["act"] for entry in entries[:-1]}
    words = {"relu": "ReLU", "prelu": "PReLU", "tanh": "tanh"}
    between = " and ".join(words[a] for a in sorted(hidden))
    after = words[entries[-1]["act"]]
    return (f"{between} between the layers and " if between else "") + f"{after} after the last"


def _folded(
    weight: NDArray[Any], bias: NDArray[Any] | None, norm: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A linear layer followed by a norm (of the usual epsilon) of each of its outputs."""
    values = {k: v.astype(np.float64) for k, v in norm.items()}
    scale = values["bn_gamma"] / np.sqrt(values["bn_var"] + 1e-5)
    shift = (0 if bias is None else bias.astype(np.float64)) - values["bn_mean"]
    return (
        (weight.astype(np.float64) * scale[:, None]).astype(np.float32),
        (shift * scale + values["bn_beta"]).astype(np.float32),
    )
