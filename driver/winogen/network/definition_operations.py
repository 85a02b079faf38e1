"""Operations of a definition: the names, the keys that they take, and the nodes that they become.

What the graph has no operation for becomes one that it has: a convolution by ones, say. The layouts
of parameters, and the orders of channels, are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.network import definition_activations as activations
from winogen.network import definition_norms as norms
from winogen.network import filters
from winogen.network.definition_layer import Layer
from winogen.network.graph import Graph
from winogen.network.interleave import repeats
from winogen.network.sampling import PAD_MODES, Axis, align_corners, half_pixel
from winogen.network.yaml_values import MAX_SIZE, choice, edges, integer, integers, number, pair

_NO_PAD = (0, 0, 0, 0)
#: Largest whole factor by which pixels are repeated, or put into channels.
_MAX_FACTOR = 64
#: The cubic kernel's coefficient in PyTorch.
_CUBIC = Fraction(-3, 4)


class Operation(NamedTuple):
    """What adds the nodes of an operation, and the keys that it takes."""

    build: Callable[[Layer], None]
    keys: tuple[str, ...] = ()


# With weights


def _conv(layer: Layer) -> None:
    cout, kernel, stride, groups, dilation = _geometry(layer)
    pad = edges(layer.get("pad", 0), layer.at("pad"), negative=False)
    mode = choice(layer.get("pad_mode", "zero"), _PAD_MODES, layer.at("pad_mode"))
    if not layer.known:
        return
    if mode in PAD_MODES and any(pad):
        layer.add("pad", suffix=".pad", mode=mode, edges=pad)
        pad = _NO_PAD
    cin = layer.shape[0]
    shape = (cout, cin // groups, *kernel)
    weight = _expanded(layer, layer.weight(shape, math.prod(shape[1:])), groups, dilation)
    kernel = (weight.shape[2], weight.shape[3])
    params = {"weight": weight, **_bias(layer, cout)}
    layer.add("conv", params=params, kernel=kernel, stride=stride, pad=pad)


def _deconv(layer: Layer) -> None:
    cout, kernel, stride, groups, dilation = _geometry(layer)
    pad = edges(layer.get("pad", 0), layer.at("pad"), negative=False)
    extra = integer(layer.get("output_padding", 0), layer.at("output_padding"), 0)
    crop = (pad[0], pad[1] - extra, pad[2], pad[3] - extra)
    crop = edges(layer.get("crop"), layer.at("crop")) if "crop" in layer.keys else crop
    if not layer.known:
        return
    cin, *size = layer.shape
    shape = (cin, cout // groups, *kernel)
    single = size == [1, 1]  # every tap of one pixel is an output of its own
    meeting = cin if single else cin * math.prod(kernel) / math.prod(stride)
    weight = _expanded(layer, layer.weight(shape, meeting / groups), groups, dilation)
    kernel = (weight.shape[2], weight.shape[3])
    params = {"weight": weight, **_bias(layer, cout)}
    layer.add("deconv", params=params, kernel=kernel, stride=stride, crop=crop)


def _geometry(
    layer: Layer,
) -> tuple[int, tuple[int, int], tuple[int, int], int, tuple[int, int]]:
    """Output channels, kernel, stride, groups and dilation."""
    cout = integer(layer.require("cout"), layer.at("cout"))
    kernel = pair(layer.require("k"), layer.at("k"))
    stride = pair(layer.get("stride", 1), layer.at("stride"))
    dilation = pair(layer.get("dilation", 1), layer.at("dilation"))
    cin = layer.shape[0]
    groups = layer.get("groups", 1)
    if groups == "depthwise":
        groups = cin if layer.known else 1
    groups = integer(groups, layer.at("groups"))
    if layer.known and layer.get("cin", cin) != cin:
        raise ModelError(
            f"{layer.where}: cin is {layer.get('cin')} but its input has {cin} channels"
        )
    if cout % groups or (layer.known and cin % groups):
        raise ModelError(
            f"{layer.at('groups')}: {cin} input and {cout} output channels are not {groups} "
            "equal groups"
        )
    whole = filters.dilated_kernel(kernel, dilation)
    if max(whole) > MAX_SIZE:
        raise ModelError(
            f"{layer.at('dilation')}: a kernel of {whole[0]} x {whole[1]} is too large"
        )
    return cout, kernel, stride, groups, dilation


def _expanded(
    layer: Layer, weight: NDArray[np.float32], groups: int, dilation: tuple[int, int]
) -> NDArray[np.float32]:
    """A weight without groups and dilation."""
    if weight.ndim != 4:
        return weight  # which is refused by its shape
    return filters.dense(layer.where, filters.dilated(layer.where, weight, dilation), groups)


def _bias(layer: Layer, outputs: int) -> dict[str, NDArray[np.float32]]:
    wanted = layer.flag("bias", "norm" not in layer.keys)
    return {"bias": layer.parameter("bias", (outputs,))} if wanted else {}


def _linear(layer: Layer) -> None:
    target = layer.get("shape", layer.get("reshape"))
    if target is None:
        target = [layer.require("cout"), 1, 1]
    target = integers(target, 3, layer.at("shape"))
    if not layer.known:
        return
    outputs, inputs = math.prod(target), math.prod(layer.shape)
    weight = layer.weight((outputs, inputs), inputs)
    layer.add("linear", params={"weight": weight, **_bias(layer, outputs)}, shape=target)


def _constant(layer: Layer) -> None:
    """Learned values, whatever the input is: a linear layer by zeros, of a pixel of the input."""
    if "from" in layer.keys:
        raise ModelError(f"{layer.where}: a constant reads no layer; leave 'from' out")
    shape = integers(layer.require("shape"), 3, layer.at("shape"))
    if not layer.known:
        return
    channels, rows, columns = layer.network.shape(Graph.INPUT_NAME)
    layer.inputs = (Graph.INPUT_NAME,)
    if (rows, columns) != (1, 1):
        first = np.zeros((channels, 1, 1, 1), np.float32)
        first[0] = 1
        layer.add("deconv", suffix=".pixel", params={"weight": first}, kernel=(1, 1),
                  stride=(1, 1), crop=(0, rows - 1, 0, columns - 1))  # fmt: skip
        channels = 1
    count = math.prod(shape)
    filters.check_sparse(layer.where, count * channels)
    value = layer.parameter("value", shape)
    if value.shape != shape:
        raise ModelError(f"{layer.where}: its value has shape {value.shape}, expected {shape}")
    zeros = np.zeros((count, channels), np.float32)
    layer.add("linear", params={"weight": zeros, "bias": value.ravel()}, shape=shape)


# Of several values


def _add(layer: Layer) -> None:
    if _by_number(layer, lambda value: activations.scale(layer, 1.0, value)):
        return
    if not layer.known:
        return
    rows, columns = (max(shape[axis] for shape in layer.shapes) for axis in (1, 2))
    layer.inputs = tuple(
        _spread(layer, index, (rows, columns)) for index in range(len(layer.inputs))
    )
    layer.last = None
    layer.add("add")


def _spread(layer: Layer, index: int, size: tuple[int, int]) -> str:
    """An input of an add; one pixel repeated to this size, which one for each channel may be.

    In steps, since what one pixel becomes in a layer has to fit on the chip; beyond the size where
    it has no small factors, and then cut.
    """
    name, (_, *own) = layer.inputs[index], layer.shapes[index]
    if own != [1, 1] or size == (1, 1):
        return name
    total, factors = repeats(max(size))
    inputs: tuple[str, ...] | None = (name,)
    for step, factor in enumerate(factors):
        layer.add("upsample", suffix=f".repeat{index}.{step}", inputs=inputs, factor=factor)
        inputs = None
    if (total, total) != size:
        crop = (0, total - size[0], 0, total - size[1])
        _moved(layer, crop, f".repeat{index}.cut")
    assert layer.last is not None
    return layer.last


def _multiply(layer: Layer) -> None:
    if _by_number(layer, lambda value: activations.scale(layer, value, 0.0)):
        return
    if layer.known and len(layer.inputs) != 2:
        raise ModelError(
            f"{layer.where}: multiply takes two layers, or one and a 'value', not "
            f"{len(layer.inputs)}"
        )
    layer.add("multiply")


def _by_number(layer: Layer, build: Callable[[float], None]) -> bool:
    """Add the nodes of an operation with a number, if the layer has one."""
    if "value" not in layer.keys:
        return False
    value = number(layer.get("value"), layer.at("value"))
    if len(layer.inputs) > 1:
        raise ModelError(
            f"{layer.where}: 'value' goes with one layer, not {len(layer.inputs)}; leave it out, "
            "or add a layer for it"
        )
    build(value)
    return True


# Pixels from elsewhere


def _pad(layer: Layer) -> None:
    mode = choice(layer.get("mode", "zero"), _PAD_MODES, layer.at("mode"))
    around = edges(layer.require("pad"), layer.at("pad"), negative=False)
    if mode in PAD_MODES:
        layer.add("pad", mode=mode, edges=around)
    else:
        _moved(layer, tuple(-edge for edge in around))


def _crop(layer: Layer) -> None:
    _moved(layer, edges(layer.require("crop"), layer.at("crop"), negative=False))


def _moved(layer: Layer, crop: tuple[int, ...], suffix: str = "") -> None:
    """Rows and columns taken off, or zeros put around: a transposed convolution by ones."""
    if layer.known:
        weight = filters.alike(layer.where, layer.shape[0], (1, 1), 1.0)
        layer.add("deconv", suffix=suffix, params={"weight": weight}, kernel=(1, 1), stride=(1, 1),
                  crop=crop)  # fmt: skip


def _upsample(layer: Layer) -> None:
    layer.add(
        "upsample", factor=integer(layer.get("factor", 2), layer.at("factor"), 1, _MAX_FACTOR)
    )


def _max_pool(layer: Layer) -> None:
    kernel, stride, pad = _windows(layer)
    layer.add("maxpool", kernel=kernel, stride=stride, pad=pad)


def _average_pool(layer: Layer) -> None:
    """A convolution by equal weights where padding counts, as zeros."""
    kernel, stride, pad = _windows(layer)
    if not layer.flag("count_pad", True) and any(pad):
        layer.add("avgpool", kernel=kernel, stride=stride, pad=pad)
    else:
        _average(layer, kernel, stride, pad)


def _average(
    layer: Layer,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int] = _NO_PAD,
) -> None:
    if layer.known:
        taps = filters.alike(layer.where, layer.shape[0], kernel, 1 / math.prod(kernel))
        layer.add("conv", params={"weight": taps}, kernel=kernel, stride=stride, pad=pad)


def _windows(
    layer: Layer,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    kernel = pair(layer.require("k"), layer.at("k"))
    stride = pair(layer.get("stride", list(kernel)), layer.at("stride"))
    pad = edges(layer.get("pad", 0), layer.at("pad"), negative=False)
    if any(max(pad[2 * i : 2 * i + 2]) >= k for i, k in enumerate(kernel)):
        raise ModelError(
            f"{layer.at('pad')}: windows of {kernel[0]} x {kernel[1]} would lie outside the image; "
            "pad by less than their size"
        )
    return kernel, stride, pad


def _global_max(layer: Layer) -> None:
    _, rows, columns = layer.shape
    layer.add("maxpool", kernel=(rows, columns), stride=(1, 1), pad=_NO_PAD)


def _global_average(layer: Layer) -> None:
    _, rows, columns = layer.shape
    _average(layer, (rows, columns), (1, 1))


# Resizing


def _resize(layer: Layer) -> None:
    mode = choice(layer.get("mode", "nearest"), ("nearest", "bilinear", "bicubic"),
                  layer.at("mode"))  # fmt: skip
    corners = layer.flag("align_corners", False)
    if corners and mode == "nearest":
        raise ModelError(f"{layer.at('align_corners')} is for bilinear and bicubic; leave it out")
    if ("factor" in layer.keys) == ("size" in layer.keys):
        raise ModelError(f"{layer.where}: resize needs one of 'factor' and 'size'")
    scales: list[Fraction] = []
    sizes: tuple[int, ...] = ()
    if "size" in layer.keys:
        sizes = integers(layer.get("size"), 2, layer.at("size"))
    else:
        scales = _factors(layer)
    if not layer.known:
        return
    own = layer.shape[1:]
    if scales:
        sizes = tuple(math.floor(n * float(scale)) for n, scale in zip(own, scales))
        if not 1 <= min(sizes) <= max(sizes) <= MAX_SIZE:
            raise ModelError(
                f"{layer.at('factor')}: {own[0]} x {own[1]} pixels would become {sizes[0]} x "
                f"{sizes[1]}"
            )
    else:
        scales = [Fraction(size, n) for size, n in zip(sizes, own)]
    if mode == "nearest":
        _nearest(layer, sizes, scales)
        return
    place = align_corners if corners else half_pixel
    cubic = _CUBIC if mode == "bicubic" else None
    axes = tuple(
        Axis(n, size, *place(scale, n, size), cubic) for n, size, scale in zip(own, sizes, scales)
    )
    layer.add("resample", axes=axes)


def _factors(layer: Layer) -> list[Fraction]:
    """Factors of rows and columns, as exact as the file has them."""
    given = layer.get("factor")
    given = given if isinstance(given, list) else [given] * 2
    if len(given) != 2:
        raise ModelError(f"{layer.at('factor')}: expected a number, or [rows, columns]")
    factors = []
    for value in given:
        factor = number(value, layer.at("factor"))
        if not 1 / _MAX_FACTOR <= factor <= _MAX_FACTOR:
            raise ModelError(
                f"{layer.at('factor')}: expected 1/{_MAX_FACTOR} to {_MAX_FACTOR}, not {factor:g}"
            )
        factors.append(Fraction(factor))
    return factors


def _nearest(layer: Layer, sizes: tuple[int, ...], scales: list[Fraction]) -> None:
    """Every pixel repeated; or for each the one at its place in the input, rounded down."""
    channels, *own = layer.shape
    rows, columns = (size // n if size % n == 0 else 0 for size, n in zip(sizes, own))
    if rows and columns:
        if rows == columns:
            layer.add("upsample", factor=rows)
            return
        order = np.broadcast_to(np.arange(channels)[:, None, None], (channels, rows, columns))
        _interleave(layer, order)
        return
    axes = tuple(
        Axis(n, size, Fraction(0), 1 / scale, nearest="floor")
        for n, size, scale in zip(own, sizes, scales)
    )
    layer.add("resample", axes=axes)


# Channels in another order


def _interleave(layer: Layer, order: NDArray[np.int64]) -> None:
    """Output (c, y*r + dy, x*s + dx) is channel ``order[c, dy, dx]`` at (y, x)."""
    weight = filters.copies(layer.where, order, layer.shape[0])
    block = (order.shape[1], order.shape[2])
    layer.add("deconv", params={"weight": weight}, kernel=block, stride=block, crop=_NO_PAD)


def _pixel_shuffle(layer: Layer) -> None:
    factor = integer(layer.require("factor"), layer.at("factor"), 1, _MAX_FACTOR)
    channels = layer.shape[0]
    if not layer.known:
        return
    if channels % factor**2:
        raise ModelError(
            f"{layer.where}: {channels} channels do not make blocks of {factor} x {factor} pixels"
        )
    _interleave(layer, np.arange(channels).reshape(-1, factor, factor))


def _pixel_unshuffle(layer: Layer) -> None:
    factor = integer(layer.require("factor"), layer.at("factor"), 1, _MAX_FACTOR)
    if not layer.known:
        return
    channels, rows, columns = layer.shape
    if rows % factor or columns % factor:
        raise ModelError(
            f"{layer.where}: {rows} x {columns} pixels do not make blocks of {factor} x {factor}"
        )
    count = channels * factor**2
    filters.check_sparse(layer.where, count * count)
    weight = np.eye(count, dtype=np.float32).reshape(count, channels, factor, factor)
    layer.add("conv", params={"weight": weight}, kernel=(factor, factor), stride=(factor, factor),
              pad=_NO_PAD)  # fmt: skip


def _channel_shuffle(layer: Layer) -> None:
    groups = integer(layer.require("groups"), layer.at("groups"))
    channels = layer.shape[0]
    if not layer.known:
        return
    if channels % groups:
        raise ModelError(f"{layer.at('groups')}: {channels} channels are not {groups} equal groups")
    order = np.arange(channels).reshape(groups, -1).T.ravel()
    _interleave(layer, order[:, None, None])


def _slice(layer: Layer) -> None:
    """Channels from the first up to, and without, the second of two numbers."""
    first, end = integers(layer.require("channels"), 2, layer.at("channels"), low=0)
    channels = layer.shape[0]
    if not layer.known:
        return
    if not first < end <= channels:
        raise ModelError(
            f"{layer.at('channels')}: [{first}, {end}] takes nothing, or more than the {channels} "
            "that there are; the second number is the first channel that is left out"
        )
    _interleave(layer, np.arange(first, end)[:, None, None])


_PAD_MODES = ("zero", *PAD_MODES)
_KERNEL = ("cout", "k", "stride", "pad", "groups", "dilation", "bias")
_DENSE = Operation(_linear, ("cout", "shape", "reshape", "bias"))
_WINDOWS = ("k", "stride", "pad")
_CHANNELS = Operation(_slice, ("channels",))

#: Operations by name, but for norms and activations that are layers of their own.
_OPERATIONS: Mapping[str, Operation] = {
    "linear": _DENSE,
    "dense": _DENSE,
    "conv": Operation(_conv, (*_KERNEL, "pad_mode")),
    "deconv": Operation(_deconv, (*_KERNEL, "crop", "output_padding")),
    "constant": Operation(_constant, ("shape",)),
    "add": Operation(_add, ("value",)),
    "multiply": Operation(_multiply, ("value",)),
    "concat": Operation(lambda layer: layer.add("concat")),
    "slice": _CHANNELS,
    "split": _CHANNELS,
    "upsample": Operation(_upsample, ("factor",)),
    "resize": Operation(_resize, ("mode", "factor", "size", "align_corners")),
    "pixel_shuffle": Operation(_pixel_shuffle, ("factor",)),
    "pixel_unshuffle": Operation(_pixel_unshuffle, ("factor",)),
    "channel_shuffle": Operation(_channel_shuffle, ("groups",)),
    "pad": Operation(_pad, ("mode", "pad")),
    "crop": Operation(_crop, ("crop",)),
    "maxpool": Operation(_max_pool, _WINDOWS),
    "avgpool": Operation(_average_pool, (*_WINDOWS, "count_pad")),
    "global_maxpool": Operation(_global_max),
    "global_avgpool": Operation(_global_average),
}


def _norm(kind: str, op: str) -> Operation:
    def build(layer: Layer) -> None:
        norms.normalisation(layer, kind)

    return Operation(build, norms.keys_of(kind, op))


def _act(kind: str) -> Operation:
    def build(layer: Layer) -> None:
        activations.activation(layer, kind)

    return Operation(build, activations.keys_of(kind))


#: Every operation that a layer may be.
OPERATIONS: Mapping[str, Operation] = {
    **_OPERATIONS,
    **{op: _norm(kind, op) for op, kind in norms.OPERATIONS.items()},
    **{kind: _act(kind) for kind in activations.NAMES},
}
