"""Operators that act on each value alone, and sums: affines, activations, Add, Concat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.functions import TABULATED, Function
from winogen.network.graph import batchnorm_affine
from winogen.network.onnx.build import Builder
from winogen.network.onnx.operators import Inputs, Operator, constant, data
from winogen.network.onnx.read import Op
from winogen.network.onnx.tensors import FLOAT_TYPES
from winogen.network.onnx.view import BATCH, Factor, View

#: Values that a constant may have when written out for all channels.
_MAX_SPREAD = 1 << 24


class DiffersByPixelError(UnsupportedLayerError):
    """A constant that is not one value a channel."""


def of_one_image(b: Builder, op: Op, value: View, constant: NDArray[Any], what: str) -> NDArray:
    """``constant`` of as many dimensions as ``value``, with one image for all of the batch.

    Raises UnsupportedLayerError if it does not fit, or differs from image to image.
    """
    array = np.asarray(constant, np.float64)
    rank = len(value.dims)
    while array.ndim > rank and array.shape[0] == 1:
        array = array[0]
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    fits = array.ndim == rank and all(n in (1, m) for n, m in zip(array.shape, value.shape))
    if not fits or not array.size:
        raise UnsupportedLayerError(
            f"{op.where}: {what} of shape {constant.shape} does not fit its input of shape "
            f"{b.shape_text(value)}; only scalars and one value a channel work"
        )
    for axis, dim in enumerate(value.dims):
        if array.shape[axis] > 1 and any(f.stride == BATCH for f in dim):
            one = array.take([0], axis)
            if len(dim) > 1 or not np.array_equal(np.broadcast_to(one, array.shape), array):
                raise UnsupportedLayerError(
                    f"{op.where}: {what} of shape {constant.shape} differs from image to image of "
                    "the batch; export the model with a batch of 1, and make what differs a part "
                    "of its input"
                )
            array = one
    if not np.all(np.isfinite(array)):
        raise ModelError(f"{op.where}: {what} holds NaN or infinity")
    return array


def by_value(
    b: Builder, op: Op, value: View, constant: NDArray[Any], what: str
) -> NDArray[np.float64] | None:
    """What broadcasting ``constant`` to ``value`` gives every value of its source (C, H, W).

    None if the view repeats a value, with different constants for it.
    """
    array = of_one_image(b, op, value, constant, what)
    if math.prod(value.size) > _MAX_SPREAD:
        return None
    offsets = value.offsets()
    spread = np.broadcast_to(array, offsets.shape)
    out = np.full(math.prod(value.size), np.nan)
    out[offsets.ravel()] = spread.ravel()
    if not np.array_equal(out[offsets], spread) or np.any(np.isnan(out)):
        return None
    return out.reshape(value.size)


def per_channel(b: Builder, op: Op, value: View, constant: NDArray[Any], what: str) -> NDArray:
    """The (channels,) float64 values that broadcasting ``constant`` to ``value`` amounts to.

    Raises DiffersByPixelError if they differ from pixel to pixel.
    """
    array = of_one_image(b, op, value, constant, what)
    if np.all(array == array.flat[0]):
        return np.full(value.size[0], float(array.flat[0]))
    # Where the constant repeats, the first row and column stand for all, but every channel counts.
    area = value.size[1] * value.size[2]
    dims = tuple(
        dim if n > 1 else tuple(f for f in dim if f.stride >= area)
        for n, dim in zip(array.shape, value.dims)
    )
    values = math.prod(f.size for dim in dims for f in dim)
    if values <= _MAX_SPREAD:
        channels = View(value.source, value.size, dims).offsets() // area
        spread = np.broadcast_to(array, channels.shape)
        out = np.full(value.size[0], np.nan)
        out[channels.ravel()] = spread.ravel()
        if np.array_equal(out[channels], spread) and not np.any(np.isnan(out)):
            return out
    raise DiffersByPixelError(
        f"{op.where}: {what} of shape {constant.shape} differs from pixel to pixel, which no layer "
        "of the accelerator can do; use one value a channel"
    )


def with_channels(
    b: Builder, op: Op, value: View, constant: NDArray[Any], what: str
) -> tuple[View, NDArray]:
    """The view, and the values of :func:`per_channel` for it.

    Where the view shows one channel as several, and the constant differs there, they are made.
    """
    try:
        return value, per_channel(b, op, value, constant, what)
    except DiffersByPixelError:
        if len(value.dims) != 4 or all(f.stride for dim in value.dims for f in dim):
            raise
        value = b.image_view(b.image(op, value))
        return value, per_channel(b, op, value, constant, what)


def affine(b: Builder, op: Op, value: View, scale: NDArray, shift: NDArray) -> View:
    """``scale * value + shift``, both (channels,)."""
    if np.all(scale == 1) and np.all(shift == 0):
        return value
    channels = value.size[0]
    source = b.add(
        op, "batchnorm", value.source, eps=0.0, gamma=scale, beta=shift,
        mean=np.zeros(channels), var=np.ones(channels),
    )  # fmt: skip
    return value.follow(source)


def _uniform(kind: str) -> Any:
    def handle(b: Builder, op: Op, inputs: Inputs) -> View:
        value = b.settled(op, data(op, inputs, 0))
        return value.follow(b.add(op, kind, value.source))

    return handle


def applied(b: Builder, op: Op, value: View, function: Function) -> View:
    """A function of every value, by a table."""
    value = b.settled(op, value)
    if function.name in ("sigmoid", "tanh"):
        return value.follow(b.add(op, function.name, value.source))
    return value.follow(b.add(op, "function", value.source, function=function))


def _tabulated(b: Builder, op: Op, inputs: Inputs) -> View:
    attrs = {k: v for k, v in op.attrs.items() if isinstance(v, (int, float, str))}
    return applied(b, op, data(op, inputs, 0), Function.of(op.type, attrs))


def _power(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    exponent = _scalar(op, inputs, 1, "exponent", 1.0)
    return applied(b, op, value, Function.of("Pow", {}, exponent))


def _leaky_relu(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    slope = -1.0 if op.type == "Abs" else float(op.attrs.get("alpha", 0.01))
    return value.follow(b.add(op, "leaky_relu", value.source, slope=slope))


def _prelu(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    slope = constant(op, inputs, 1, "slope")
    value, alpha = with_channels(b, op, value, slope, "its slope")
    return value.follow(b.add(op, "prelu", value.source, alpha=alpha))


def clamp(b: Builder, op: Op, value: View, low: float, high: float) -> View:
    """Limit to ``low`` and ``high``, either of which may be infinite."""
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ModelError(f"{op.where}: its bounds {low} and {high} make no interval")
    if (low, high) == (-math.inf, math.inf):
        return value
    if (low, high) == (0.0, math.inf):
        return value.follow(b.add(op, "relu", value.source))
    return value.follow(b.add(op, "clamp", value.source, low=low, high=high))


def _scalar(op: Op, inputs: Inputs, index: int, what: str, default: float) -> float:
    if index >= len(inputs) or inputs[index] is None:
        return default
    array = constant(op, inputs, index, what)
    if array.size != 1:
        raise UnsupportedLayerError(f"{op.where}: its {what} has {array.size} values; use one")
    return float(array.ravel()[0])


def _clip(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    low = _scalar(op, inputs, 1, "lower bound", -math.inf)
    high = _scalar(op, inputs, 2, "upper bound", math.inf)
    finfo = np.finfo(np.float32)  # exporters write "no bound" as the largest float too
    low = -math.inf if low <= finfo.min else low
    high = math.inf if high >= finfo.max else high
    return clamp(b, op, value, low, high)


def _extreme(b: Builder, op: Op, inputs: Inputs) -> View:
    """Max and Min of any number of activations and constants."""
    first, *views = (b.settled(op, i) for i in inputs if isinstance(i, View))
    for view in views:
        first = _leaky_extreme(b, op, [first, view]) or _extreme_of_two(b, op, first, view)
    for index, item in enumerate(inputs):
        if not isinstance(item, View):
            bound = _scalar(op, inputs, index, "bound", 0.0)
            bounds = (bound, math.inf) if op.type == "Max" else (-math.inf, bound)
            first = clamp(b, op, first, *bounds)
    return first


def _extreme_of_two(b: Builder, op: Op, left: View, right: View) -> View:
    """``right + relu(left - right)``, or ``left - relu(left - right)``: sums of the array's."""
    minus = -np.ones(right.size[0])
    difference = add(b, op, [left, affine(b, op, right, minus, 0 * minus)])
    above = difference.follow(b.add(op, "relu", difference.source))
    if op.type == "Max":
        return add(b, op, [right, above])
    minus = -np.ones(above.size[0])
    return add(b, op, [left, affine(b, op, above, minus, 0 * minus)])


def _leaky_extreme(b: Builder, op: Op, views: Sequence[View]) -> View | None:
    """``max(x, s * x)`` with s up to 1, or the minimum with s from 1: how TensorFlow's leaky ReLU
    is written out.
    """
    for value, scaled in (views, reversed(views)):
        node = b.node(scaled.source)
        if node is None or node.op != "batchnorm" or node.inputs != (value.source,):
            continue
        if (value.size, value.dims) != (scaled.size, scaled.dims):
            continue
        slope, shift = batchnorm_affine(node)
        if np.any(shift) or not np.all(slope <= 1 if op.type == "Max" else slope >= 1):
            continue
        if np.all(slope == slope[0]):
            return value.follow(b.add(op, "leaky_relu", value.source, slope=float(slope[0])))
        return value.follow(b.add(op, "prelu", value.source, alpha=slope))
    return None


def _hard_sigmoid(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    ones = np.ones(value.size[0])
    scale, shift = op.attrs.get("alpha", 0.2), op.attrs.get("beta", 0.5)
    return clamp(b, op, affine(b, op, value, ones * scale, ones * shift), 0.0, 1.0)


def _batchnorm(b: Builder, op: Op, inputs: Inputs) -> View:
    if op.attrs.get("training_mode", 0) or any(op.outputs[1:]):
        raise UnsupportedLayerError(
            f"{op.where} runs on the statistics of its batch, which cannot be folded into weights; "
            "export the model in evaluation mode (model.eval())"
        )
    value = b.settled(op, data(op, inputs, 0))
    if len(value.dims) < 2:
        raise ModelError(f"{op.where}: its input of shape {b.shape_text(value)} has no channels")
    names = ("gamma", "beta", "mean", "var")
    params = {}
    columns = {}
    for index, name in enumerate(names, 1):
        array = constant(op, inputs, index, name)
        if array.shape != value.shape[1:2]:
            raise ModelError(
                f"{op.where}: its {name} has shape {array.shape}, expected {value.shape[1:2]}"
            )
        columns[name] = array.reshape((-1,) + (1,) * (len(value.dims) - 2))
    for name, column in columns.items():
        value, _ = with_channels(b, op, value, column, f"its {name}")
    for name, column in columns.items():  # of the view that all of them fit
        params[name] = per_channel(b, op, value, column, f"its {name}")
    eps = float(op.attrs.get("epsilon", 1e-5))
    return value.follow(b.add(op, "batchnorm", value.source, eps=eps, **params))


def with_constant(b: Builder, op: Op, value: View, array: NDArray[Any], first: bool) -> View:
    """A binary operator of a view and a constant; ``first`` if the view is the first operand."""
    value = b.settled(op, value)
    array = np.asarray(array)
    if value.is_vector and array.ndim == len(value.dims) == 4:
        letters = value.axes() or ""
        if letters == "N11C" and max(array.shape[1:3]) > 1:  # channels last
            turned = value.transpose((0, 3, 1, 2)), array.transpose(0, 3, 1, 2)
            return _over_pixels(b, op, *turned, first).transpose((0, 2, 3, 1))
        if value.shape[2:] == (1, 1) and max(array.shape[2:]) > 1:
            return _over_pixels(b, op, value, array, first)
    if op.type == "Div" and not first:
        value = applied(b, op, value, Function.of("Reciprocal", {}))
        return with_constant(b, replace(op, type="Mul"), value, array, first)
    try:
        value, values = with_channels(b, op, value, array, "its constant")
        return affine(b, op, value, *_scale_shift(op, values, first))
    except DiffersByPixelError:
        each = by_value(b, op, value, array, "its constant")
        if each is None:
            raise
        scale, shift = _scale_shift(op, each, first)
        node = b.node(value.source)
        if node is not None and node.op == "linear":  # every value has weights of its own
            column = scale.ravel()
            weight = node.params["weight"] * column[:, None]
            bias = node.params.get("bias", np.float32(0)) * column + shift.ravel()
            shape = node.attrs["shape"]
            made = b.add(op, "linear", *node.inputs, weight=weight, bias=bias, shape=shape)
            return value.follow(made)
        if np.ptp(scale):  # Mul or Div: nothing is added
            alike = bool(np.all(scale == scale[:1]))
            factor = b.constant(op, scale[:1] if alike else scale, value.source)
            return value.follow(b.add(op, "multiply", value.source, factor))
        ones = np.full(value.size[0], scale.flat[0])
        value = affine(b, op, value, ones, 0 * ones)
        return value.follow(b.add(op, "add", value.source, b.constant(op, shift, value.source)))


def _over_pixels(b: Builder, op: Op, value: View, array: NDArray[Any], first: bool) -> View:
    """An operator of one number a channel and a constant image: a linear layer.

    So StyleGAN's learned constant meets the style of the first layer.
    """
    channels, rows, columns = value.size[0], *array.shape[2:]
    if array.shape[:2] not in ((1, channels), (1, 1)):
        raise UnsupportedLayerError(
            f"{op.where}: its constant of shape {array.shape} does not fit its input of shape "
            f"{b.shape_text(value)}"
        )
    if op.type == "Div" and not first:
        value = applied(b, op, value, Function.of("Reciprocal", {}))
    constant = np.broadcast_to(array[0].astype(np.float64), (channels, rows, columns))
    kind = "Mul" if op.type == "Div" and not first else op.type
    scale, shift = _scale_shift(replace(op, type=kind), constant, first)
    b.check_sparse(op, channels * constant.size)
    weight = np.zeros((channels, rows, columns, channels), np.float32)
    each = np.arange(channels)
    weight[each, :, :, each] = scale
    source = b.add(
        op, "linear", b.image(op, value), weight=weight.reshape(-1, channels), bias=shift.ravel(),
        shape=constant.shape,
    )  # fmt: skip
    return b.image_view(source)


def _scale_shift(op: Op, values: NDArray, first: bool) -> tuple[NDArray, NDArray]:
    """The affine that Add, Sub, Mul or Div by ``values`` is."""
    ones, zeros = np.ones_like(values), np.zeros_like(values)
    if op.type == "Div" and np.any(values == 0):
        raise ModelError(f"{op.where} divides by zero")
    if op.type == "Add":
        return ones, values
    if op.type == "Sub":
        return (ones, -values) if first else (-ones, values)
    return (values if op.type == "Mul" else 1 / values), zeros


def _arithmetic(b: Builder, op: Op, inputs: Inputs) -> View:
    left, right = inputs
    if isinstance(left, View) and isinstance(right, View):
        if op.type == "Mul":
            return product(b, op, left, right)
        if op.type == "Div":
            return product(b, op, left, applied(b, op, right, Function.of("Reciprocal", {})))
        if op.type == "Sub":
            ones = np.ones(right.size[0])
            right = affine(b, op, b.settled(op, right), -ones, 0 * ones)
        return add(b, op, [left, right])
    view = left if isinstance(left, View) else right
    array = right if isinstance(left, View) else left
    assert isinstance(view, View) and isinstance(array, np.ndarray)
    return with_constant(b, op, view, array, isinstance(left, View))


def channels_first(value: View) -> tuple[int, ...]:
    """The order of a view's four dimensions in which it is (N, C, H, W)."""
    letters = value.axes() or ""
    found = [letters.find(letter) for letter in "NCHW"]
    if sorted(found) == [0, 1, 2, 3]:
        return tuple(found)
    return (0, 3, 1, 2) if letters == "N11C" else (0, 1, 2, 3)


def product(b: Builder, op: Op, left: View, right: View) -> View:
    """The product of two activations, of which one may be a number a channel, or a channel."""
    left, right = b.settled(op, left), b.settled(op, right)
    if (left.size, left.dims) == (right.size, right.dims):
        return left.follow(b.add(op, "multiply", left.source, right.source))
    _shapes(b, op, [left, right])
    if len(left.dims) == len(right.dims) == 4:
        wide = max((left, right), key=lambda v: math.prod(v.shape))
        order = channels_first(wide)
        names = [b.image(op, v.transpose(order)) for v in (left, right)]
        made = b.image_view(b.add(op, "multiply", *names))
        return made.transpose([order.index(i) for i in range(4)])
    wide = max((left, right), key=lambda v: len(v.dims))
    if len(wide.dims) == 2:
        names = [b.chosen(op, v, v.offsets().ravel()) for v in (left, right)]
        return b.vector_view(b.add(op, "multiply", *names))
    raise UnsupportedLayerError(
        f"{op.where} multiplies {b.shape_text(left)} by {b.shape_text(right)}; multiply images "
        "(N, C, H, W) or vectors (N, n)"
    )


def add(b: Builder, op: Op, views: Sequence[View]) -> View:
    """Sum of activations of one shape."""
    views = [b.settled(op, v) for v in views]
    first = views[0]
    if any(v.shape != first.shape for v in views[1:]):
        shape = np.broadcast_shapes(*_shapes(b, op, views))
        views = [v if v.shape == shape else v.expanded(shape) or v for v in views]
        first = views[0]
    if len(first.dims) == 3 and any((v.size, v.dims) != (first.size, first.dims) for v in views):
        views = [b.with_channels(op, v, 2) for v in views]  # tokens
        first = views[0]
    if any((v.size, v.dims) != (first.size, first.dims) for v in views):
        names = [b.image(op, v) for v in views]
        first = b.image_view(names[0])
    else:
        names = [v.source for v in views]
    # A value added to itself is scaled.
    distinct: dict[str, int] = {}
    for name in names:
        distinct[name] = distinct.get(name, 0) + 1
    sources = []
    for name, times in distinct.items():
        view = first.follow(name)
        ones = np.ones(view.size[0])
        sources.append(affine(b, op, view, times * ones, 0 * ones).source)
    if len(sources) == 1:
        return first.follow(sources[0])
    return first.follow(_prelu_of_two(b, op, sources) or b.add(op, "add", *sources))


def _shapes(b: Builder, op: Op, views: Sequence[View]) -> list[tuple[int, ...]]:
    """Shapes that broadcast to one of them all, or an error."""
    shapes = [v.shape for v in views]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        told = " and ".join(b.shape_text(v) for v in views[:4])
        raise UnsupportedLayerError(
            f"{op.where} of shapes {told} is not supported; both must have one shape: crop, resize "
            "or expand one of them before it"
        ) from None
    return shapes


def _prelu_of_two(b: Builder, op: Op, sources: Sequence[str]) -> str | None:
    """``relu(x) + s * relu(-x)``, which is how Keras writes PReLU, as one layer."""
    for first, second in (sources, reversed(sources)) if len(sources) == 2 else ():
        positive, scaled = b.node(first), b.node(second)
        if positive is None or scaled is None or (positive.op, scaled.op) != ("relu", "batchnorm"):
            continue
        negative = b.node(scaled.inputs[0])
        turned = b.node(negative.inputs[0]) if negative and negative.op == "relu" else None
        if turned is None or turned.op != "batchnorm" or turned.inputs != positive.inputs:
            continue
        sign, slope = batchnorm_affine(turned), batchnorm_affine(scaled)
        if np.all(sign[0] == -1) and not np.any(sign[1]) and not np.any(slope[1]):
            return b.add(op, "prelu", positive.inputs[0], alpha=-slope[0])
    return None


def _sum(b: Builder, op: Op, inputs: Inputs) -> View:
    """Sum and Mean of any number of activations and constants."""
    views = [i for i in inputs if isinstance(i, View)]
    total = add(b, op, views) if len(views) > 1 else b.settled(op, views[0])
    values = np.zeros(total.size[0])
    for item in inputs:
        if isinstance(item, np.ndarray):
            values = values + per_channel(b, op, total, item, "its constant")
    scale = np.full_like(values, 1 / len(inputs) if op.type == "Mean" else 1)
    return affine(b, op, total, scale, values * scale)


def _negate(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    ones = np.ones(value.size[0])
    return affine(b, op, value, -ones, 0 * ones)


def concat(b: Builder, op: Op, inputs: Inputs) -> View:
    """Activations and constants joined along a dimension."""
    first = next(b.settled(op, i) for i in inputs if isinstance(i, View))
    rank = len(first.dims)
    axis = int(op.attrs["axis"])
    ranks = [len(i.dims) if isinstance(i, View) else np.asarray(i).ndim for i in inputs]
    if not -rank <= axis < rank or any(r != rank for r in ranks):
        raise ModelError(f"{op.where}: its axis {axis} or its inputs' ranks are wrong")
    if len(inputs) == 1:
        return first
    axis %= rank
    views = [b.settled(op, i) if isinstance(i, View) else None for i in inputs]
    if None in views and not _is_channels(first, axis):
        views = [v and b.with_channels(op, v, axis) for v in views]
        first = next(v for v in views if v)
    joined = [v or _constant_part(b, op, first, np.asarray(i), axis) for v, i in zip(views, inputs)]
    return _joined(b, op, joined, axis)


def _joined(b: Builder, op: Op, views: list[View], axis: int) -> View:
    """Activations joined along a dimension, which must be the channels."""
    first, rank = views[0], len(views[0].dims)
    whole = all(
        v.dims[axis] == ((Factor(v.size[0], v.size[1] * v.size[2]),) if v.size[0] > 1 else ())
        and v.size[1:] == first.size[1:]
        and v.dims[:axis] + v.dims[axis + 1 :] == first.dims[:axis] + first.dims[axis + 1 :]
        for v in views
    )
    if not whole:
        images = [v for v in views if not v.is_vector]
        last = channels_first(images[0]) == (0, 3, 1, 2) if images else True
        if rank == 4 and axis == 3 and last:
            turned = _joined(b, op, [v.transpose((0, 3, 1, 2)) for v in views], 1)
            return turned.transpose((0, 2, 3, 1))
        lines = _joined_lines(b, op, views, axis)
        if lines is not None:
            return lines
        if rank != 4 or axis != 1:
            raise UnsupportedLayerError(
                f"{op.where} joins along axis {axis} of {b.shape_text(first)}, which is no image's "
                "channels, rows or columns; join before the reshape, or after it"
            )
        names = [b.image(op, v) for v in views]
        views = [b.image_view(n) for n in names]
    parts: list[str] = []
    for view in views:  # a joint of joints is one joint
        node = b.node(view.source)
        inner = node.inputs if node is not None and node.op == "concat" else ()
        parts += inner if any(b.known(i) is not None for i in inner) else [view.source]
    origins = [b.origin(name) for name in parts]
    if len({name for name, _ in origins}) == 1:  # parts of one value: its channels, reordered
        source = b.picked(op, origins[0][0], np.concatenate([c for _, c in origins]))
    else:
        source = b.add(op, "concat", *parts)
    first = views[0]
    plain = b.image_view(source)
    dims = list(first.dims)
    dims[axis] = plain.dims[1]
    return View(source, plain.size, tuple(dims))


def _joined_lines(b: Builder, op: Op, views: Sequence[View], axis: int) -> View | None:
    """Images joined along rows or columns: each with zeros in the place of the others, and added.

    None if the dimension is neither.
    """
    if len(views[0].dims) == 3 and axis == 2:  # a signal is an image of one row
        wide = [View(v.source, v.size, (*v.dims[:2], (), v.dims[2])) for v in views]
        made = _joined_lines(b, op, wide, 3)
        return made and View(made.source, made.size, (*made.dims[:2], made.dims[3]))
    if len(views[0].dims) != 4:
        return None
    order = channels_first(views[0])
    at = order.index(axis)
    if at not in (2, 3) or len({v.shape[:axis] + v.shape[axis + 1 :] for v in views}) > 1:
        return None
    images = [b.image_view(b.image(op, v.transpose(order))) for v in views]
    total, before, placed = sum(v.shape[at] for v in images), 0, []
    for view in images:
        after = total - before - view.shape[at]
        pads = (before, after, 0, 0) if at == 2 else (0, 0, before, after)
        placed.append(b.settled(op, View(view.source, view.size, view.dims, pads)))
        before += view.shape[at]
    made = add(b, op, placed)
    return made.transpose([order.index(i) for i in range(4)])


def _is_channels(view: View, axis: int) -> bool:
    """Whether a dimension is the source's channels, before its rows and its columns."""
    letters = view.axes() or ""
    single = letters[axis : axis + 1] == "1" and view.size[0] == 1 and "C" not in letters
    return (letters[axis : axis + 1] == "C" or single) and "WH" not in letters


def _constant_part(b: Builder, op: Op, other: View, array: NDArray[Any], axis: int) -> View:
    """A constant that is joined to ``other`` along its channels, as a view like it."""
    channels = array.shape[axis]
    expected = (*other.shape[:axis], channels, *other.shape[axis + 1 :])
    if any(n not in (1, m) for n, m in zip(array.shape, expected)) or (
        array.shape[1:] != expected[1:] or not channels
    ):
        raise ModelError(
            f"{op.where} joins a constant of shape {array.shape} to {b.shape_text(other)}, which "
            "has other sizes"
        )
    rank = len(expected)
    order = (0, axis, *(i for i in range(1, rank) if i != axis)) if rank in (2, 3, 4) else None
    if not _is_channels(other, axis) or axis == 0 or order is None:
        raise UnsupportedLayerError(
            f"{op.where} joins a constant to {b.shape_text(other)} along axis {axis}, which is not "
            "the channels; only channels can be joined: join it before the reshape"
        )
    # Sized as one part of the batch is: the others are equal, or it is refused.
    like = View(other.source, (channels, *other.size[1:]), tuple(
        ((Factor(channels, other.size[1] * other.size[2]),) if channels > 1 else ()) if i == axis
        else d for i, d in enumerate(other.dims)
    ))  # fmt: skip
    one = of_one_image(b, op, like, array, "its constant")
    values = one.transpose(order).reshape(channels, *other.size[1:])
    return View(b.constant(op, values, other.source), like.size, like.dims)


def _chosen(b: Builder, op: Op, inputs: Inputs) -> View:
    """Where of a condition that is known: one of the two, or both joined by zeros and ones."""
    condition = constant(op, inputs, 0, "condition").astype(bool)
    if not condition.size or np.any(condition != condition.flat[0]):
        raise UnsupportedLayerError(
            f"{op.where} chooses pixel by pixel; multiply by a mask of zeros and ones instead"
        )
    return data(op, inputs, 1 if condition.flat[0] else 2)


def _same(b: Builder, op: Op, inputs: Inputs) -> View:
    return data(op, inputs, 0)


def _dropout(b: Builder, op: Op, inputs: Inputs) -> View:
    training = inputs[2] if len(inputs) > 2 else None
    if (isinstance(training, np.ndarray) and training.any()) or isinstance(training, View):
        raise UnsupportedLayerError(
            f"{op.where} runs in training mode; export the model in evaluation mode (model.eval())"
        )
    if any(op.outputs[1:]):
        raise UnsupportedLayerError(f"{op.where}: its mask is used, which is not supported")
    return data(op, inputs, 0)


def _cast(b: Builder, op: Op, inputs: Inputs) -> View:
    like = inputs[1] if op.type == "CastLike" else None
    floats = isinstance(like, View) or op.attrs.get("to") in FLOAT_TYPES
    if isinstance(like, np.ndarray):
        floats = np.issubdtype(like.dtype, np.floating)
    view = data(op, inputs, 0)
    if not floats and view.source not in b.whole:
        raise UnsupportedLayerError(
            f"{op.where} makes integers of an activation, which is not supported; end the network "
            "before it (onnx.utils.extract_model), winogen itself writes pictures of whole pixels"
        )
    return view


OPERATORS: dict[str, Operator] = {
    "Relu": Operator(_uniform("relu"), "folded into the layer before"),
    "LeakyRelu": Operator(_leaky_relu, "folded into the layer before"),
    "PRelu": Operator(_prelu, "one slope, or one a channel; folded into the layer before"),
    "Abs": Operator(_leaky_relu, "a leaky ReLU of slope -1"),
    "Tanh": Operator(_uniform("tanh"), "through a table"),
    "Sigmoid": Operator(_uniform("sigmoid"), "through a table"),
    "HardSigmoid": Operator(_hard_sigmoid, "an affine and a clamp"),
    "Clip": Operator(_clip, "constant bounds; folded into the layer before"),
    "Max": Operator(_extreme, "of an activation and a constant: a clamp; of x and s * x: a leaky "
                    "ReLU; of two activations: b + relu(a - b)"),
    "Min": Operator(_extreme, "as Max"),
    "BatchNormalization": Operator(_batchnorm, "on its stored statistics; folded into the weights"),
    **{
        name: Operator(_tabulated, "through a table" if i == 0 else f"as {TABULATED[0]}")
        for i, name in enumerate(TABULATED)
    },
    "Pow": Operator(_power, "by a constant; through a table"),
    "Add": Operator(_arithmetic, "a constant (scalar, or one a channel) is folded; one that "
                    "differs from pixel to pixel is folded into a linear layer before it, or added "
                    "by a layer; two activations of one shape are a residual sum"),
    "Sub": Operator(_arithmetic, "as Add"),
    "Mul": Operator(_arithmetic, "by a constant (scalar, or one a channel; any after a linear "
                    "layer): folded; by another constant, or of two activations: by the "
                    "processor, between two runs of the accelerator"),
    "Div": Operator(_arithmetic, "as Mul"),
    "Neg": Operator(_negate, "folded"),
    "Sum": Operator(_sum, "as Add, of any number"),
    "Mean": Operator(_sum, "as Add, of any number"),
    "Concat": Operator(concat, "of activations, or of them and constants, along the channels; "
                       "constants before a linear layer are its bias; of activations along rows "
                       "or columns: a sum of what zeros surround"),
    "Identity": Operator(_same, "nothing"),
    "Where": Operator(_chosen, "nothing, by a condition that is known"),
    "Dropout": Operator(_dropout, "nothing (evaluation mode only)"),
    "Cast": Operator(_cast, "nothing, between float types"),
    "CastLike": Operator(_cast, "nothing, between float types"),
}  # fmt: skip
