"""Concat: activations and constants along channels, rows or columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.arithmetic import add
from winogen.network.onnx.build import Builder
from winogen.network.onnx.operators import Inputs, Operator
from winogen.network.onnx.pointwise import of_one_image
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import Factor, View, channels_first


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
    # A vector that was reshaped says nothing of where the channels are; the images with it do.
    order = channels_first(next((v for v in views if not v.is_vector), views[0]))
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


OPERATORS: dict[str, Operator] = {
    "Concat": Operator(concat, "of activations, or of them and constants, along the channels; "
                       "constants before a linear layer are its bias; of activations along rows "
                       "or columns: a sum of what zeros surround"),
}  # fmt: skip
