"""Sums, products and extremes of activations and constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.functions import Function
from winogen.network.graph import batchnorm_affine
from winogen.network.onnx.build import Builder
from winogen.network.onnx.operators import Inputs, Operator, data
from winogen.network.onnx.pointwise import (
    DiffersByPixelError,
    affine,
    applied,
    by_value,
    clamp,
    per_channel,
    scalar,
    with_channels,
)
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import View, channels_first


def with_constant(b: Builder, op: Op, value: View, array: NDArray[Any], first: bool) -> View:
    """A binary operator of a view and a constant; ``first`` if the view is the first operand."""
    value = b.settled(op, value)
    array = np.asarray(array)
    if value.is_vector and array.ndim == len(value.dims) == 4:
        if channels_first(value) == (0, 3, 1, 2) and max(array.shape[1:3]) > 1:  # channels last
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


def _extreme(b: Builder, op: Op, inputs: Inputs) -> View:
    """Max and Min of any number of activations and constants."""
    first, *views = (b.settled(op, i) for i in inputs if isinstance(i, View))
    for view in views:
        first = _leaky_extreme(b, op, [first, view]) or _extreme_of_two(b, op, first, view)
    for index, item in enumerate(inputs):
        if not isinstance(item, View):
            bound = scalar(op, inputs, index, "bound", 0.0)
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


OPERATORS: dict[str, Operator] = {
    "Max": Operator(_extreme, "of an activation and a constant: a clamp; of x and s * x: a leaky "
                    "ReLU; of two activations: b + relu(a - b)"),
    "Min": Operator(_extreme, "as Max"),
    "Add": Operator(_arithmetic, "a constant (scalar, or one a channel) is folded; one that "
                    "differs from pixel to pixel is folded into a linear layer before it, or added "
                    "by a layer; two activations of one shape are a residual sum"),
    "Sub": Operator(_arithmetic, "as Add"),
    "Mul": Operator(_arithmetic, "by a constant (scalar, or one a channel; any after a linear "
                    "layer): folded; of two activations, or by another constant: squares of their "
                    "sum and difference, once what has one number for each channel or pixel is "
                    "repeated"),
    "Div": Operator(_arithmetic, "as Mul"),
    "Neg": Operator(_negate, "folded"),
    "Sum": Operator(_sum, "as Add, of any number"),
    "Mean": Operator(_sum, "as Add, of any number"),
}  # fmt: skip
