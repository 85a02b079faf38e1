"""Sums and averages over the rows, columns or channels: convolutions by equal weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.build import Builder
from winogen.network.onnx.convolution import linear
from winogen.network.onnx.layout import axes_of
from winogen.network.onnx.operators import Inputs, Operator, data
from winogen.network.onnx.pointwise import affine
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import BATCH, Factor, View, channels_first


def _reduce(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    rank = len(value.dims)
    axes = axes_of(op, inputs, rank)
    if not axes:
        if op.attrs.get("noop_with_empty_axes", 0):
            return value
        axes = list(range(rank))
    if any(f.stride == BATCH for a in axes for f in value.dims[a]):
        raise UnsupportedLayerError(
            f"{op.where} reduces over the images of the batch; give it the axes of rows, columns "
            "and channels only"
        )
    apart = _pixels_apart(value, axes)
    if apart is not None:
        keep = bool(op.attrs.get("keepdims", 1))
        wide, over = apart
        inner = replace(op, attrs={**op.attrs, "axes": tuple(over), "keepdims": 1})
        shape = [1 if i in axes else n for i, n in enumerate(value.shape) if keep or i not in axes]
        made = _reduce(b, inner, [wide]).reshape(shape)
        if made is not None:
            return made
    total = op.type == "ReduceSum"
    weight = 1.0 if total else 1 / math.prod(value.shape[a] for a in axes)
    if value.axes() is None and rank == 4:
        value = b.image_view(b.image(op, value))
    names = value.axes()
    keep = bool(op.attrs.get("keepdims", 1))
    if names is None:
        return _features(b, op, value, axes, weight, keep)
    letters = {names[a] for a in axes}
    kernel = (value.size[1] if "H" in letters else 1, value.size[2] if "W" in letters else 1)
    if "C" in letters:
        b.check_sparse(op, value.size[0] * math.prod(kernel))
        taps = np.full((1, value.size[0], *kernel), weight, np.float32)
    else:
        taps = b.diagonal(op, value.size[0], kernel, weight)
    source = b.add(
        op, "conv", value.source, weight=taps, kernel=kernel, stride=(1, 1), pad=(0, 0, 0, 0)
    )
    return _left(b, source, names, axes, keep)


def _left(b: Builder, source: str, names: str, axes: list[int], keep: bool) -> View:
    """What is left of dimensions ``names`` once those of ``axes`` are reduced to one sample."""
    plain = dict(zip("NCHW", b.image_view(source).dims))
    dims = tuple(
        () if i in axes else plain.get(name, ())
        for i, name in enumerate(names)
        if keep or i not in axes
    )
    return View(source, b.size(source), dims)


def _pixels_apart(value: View, axes: list[int]) -> tuple[View, list[int]] | None:
    """A view with rows and columns apart where all pixels are one dimension, and the axes of it.

    So style transfer takes the statistics of (N, C, H W). None for other views.
    """
    _, rows, columns = value.size
    whole = (Factor(rows * columns, 1),)
    if value.axes() is not None or min(rows, columns) < 2 or value.dims.count(whole) != 1:
        return None
    at = value.dims.index(whole)
    wide = value.reshape((*value.shape[:at], rows, columns, *value.shape[at + 1 :]))
    if wide is None or wide.axes() is None:
        return None
    over = [a + (a > at) for a in axes]
    return wide, sorted([*over, at + 1] if at in axes else over)


def _features(b: Builder, op: Op, value: View, axes: list[int], weight: float, keep: bool) -> View:
    """Over all that a vector, or a flattened image, holds."""
    if set(axes) != set(range(1, len(value.dims))):
        raise UnsupportedLayerError(
            f"{op.where} reduces a part of {b.shape_text(value)} that is no image's rows, columns "
            "or channels; reduce before the reshape"
        )
    flat = value.reshape((value.shape[0], math.prod(value.shape[1:])))
    if flat is None:
        raise ModelError(f"{op.where}: {b.shape_text(value)} cannot be made a vector")
    made = linear(b, op, flat, np.full((1, flat.shape[1]), weight, np.float32))
    dims = (value.dims[0], *(() for _ in axes)) if keep else (value.dims[0],)
    return View(made.source, made.size, dims)


def _largest(b: Builder, op: Op, inputs: Inputs) -> View:
    """Over any dimensions but the batch; the smallest is the largest of what is turned around."""
    value = b.settled(op, data(op, inputs, 0))
    axes = axes_of(op, inputs, len(value.dims))
    if not axes:
        if op.attrs.get("noop_with_empty_axes", 0):
            return value
        axes = list(range(len(value.dims)))
    if any(f.stride == BATCH for a in axes for f in value.dims[a]):
        raise UnsupportedLayerError(
            f"{op.where} reduces over the images of the batch; give it the axes of rows, columns "
            "and channels only"
        )
    if op.type == "ReduceMin":
        return _turned(b, op, _largest_over(b, op, _turned(b, op, value), axes))
    return _largest_over(b, op, value, axes)


def _turned(b: Builder, op: Op, value: View) -> View:
    minus = -np.ones(value.size[0])
    return affine(b, op, value, minus, 0 * minus)


def _largest_over(b: Builder, op: Op, value: View, axes: list[int]) -> View:
    names = value.axes()
    keep = bool(op.attrs.get("keepdims", 1))
    if names is not None and {names[a] for a in axes} <= {"H", "W", "1"}:
        letters = {names[a] for a in axes}
        kernel = (value.size[1] if "H" in letters else 1, value.size[2] if "W" in letters else 1)
        if kernel == (1, 1):
            source = value.source
        else:
            source = b.add(
                op, "maxpool", value.source, kernel=kernel, stride=(1, 1), pad=(0, 0, 0, 0)
            )
        return _left(b, source, names, axes, keep)
    # What is reduced becomes rows; of what stays, the first dimension becomes channels.
    shape = [1 if i in axes else n for i, n in enumerate(value.shape)]
    batch = b.image_view(value.source).dims[0]
    kept = [d for i, d in enumerate(value.dims) if i not in axes]
    if batch and kept[:1] != [batch]:
        raise UnsupportedLayerError(
            f"{op.where} takes the largest of {b.shape_text(value)} over axes {axes}; the batch "
            "must be the first dimension"
        )
    kept = kept[1:] if batch else kept
    depth = kept[0] if kept else ()
    rows = tuple(f for a in axes for f in value.dims[a])
    columns = tuple(f for d in kept[1:] for f in d)
    source = b.by_processor(op, View(value.source, value.size, (batch, depth, rows, columns)))
    count = b.size(source)[1]
    made = b.add(op, "maxpool", source, kernel=(count, 1), stride=(1, 1), pad=(0, 0, 0, 0))
    plain_view = b.image_view(made)
    n, c, _, w = plain_view.dims
    out = View(made, plain_view.size, (n, c, w)).reshape(
        shape if keep else [s for i, s in enumerate(shape) if i not in axes]
    )
    assert out is not None  # the dimensions that were kept, in their order
    if not keep or len(out.dims) != 4:
        return out
    order = channels_first(value)
    made_plain = b.image_view(b.image(op, out.transpose(order)))
    return made_plain.transpose([order.index(i) for i in range(4)])


OPERATORS: dict[str, Operator] = {
    "ReduceMean": Operator(
        _reduce, "over rows, columns or channels: a convolution by equal weights"
    ),
    "ReduceSum": Operator(_reduce, "as ReduceMean"),
    "ReduceMax": Operator(_largest, "over rows, columns or channels: as MaxPool"),
    "ReduceMin": Operator(_largest, "as ReduceMax, of what is turned around"),
}
