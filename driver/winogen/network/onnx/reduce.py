"""Sums and averages over the rows, columns or channels: convolutions by equal weights."""

from __future__ import annotations

import math

import numpy as np

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.build import Builder
from winogen.network.onnx.convolution import linear
from winogen.network.onnx.layout import axes_of
from winogen.network.onnx.operators import Inputs, Operator, data
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import BATCH, View


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
    plain = dict(zip("NCHW", b.image_view(source).dims))
    dims = tuple(
        () if i in axes else plain.get(name, ())
        for i, name in enumerate(names)
        if keep or i not in axes
    )
    return View(source, b.size(source), dims)


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
    value = b.settled(op, data(op, inputs, 0))
    names = value.axes()
    axes = axes_of(op, inputs, len(value.dims))
    if names is None or not axes or {names[a] for a in axes} != {"H", "W"}:
        raise UnsupportedLayerError(
            f"{op.where} takes the largest of {b.shape_text(value)} over axes {axes}; it can be "
            "taken over all rows and columns of an image only"
        )
    source = b.add(
        op, "maxpool", value.source, kernel=value.size[1:], stride=(1, 1), pad=(0, 0, 0, 0)
    )
    plain = dict(zip("NCHW", b.image_view(source).dims))
    keep = bool(op.attrs.get("keepdims", 1))
    dims = tuple(
        () if i in axes else plain[name] for i, name in enumerate(names) if keep or i not in axes
    )
    return View(source, b.size(source), dims)


OPERATORS: dict[str, Operator] = {
    "ReduceMean": Operator(
        _reduce, "over rows, columns or channels: a convolution by equal weights"
    ),
    "ReduceSum": Operator(_reduce, "as ReduceMean"),
    "ReduceMax": Operator(_largest, "over all rows and columns: as GlobalMaxPool"),
}
