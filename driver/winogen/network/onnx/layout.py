"""Operators that move values: Reshape, Transpose, DepthToSpace, Pad, Slice, Gather, Resize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.build import Builder
from winogen.network.onnx.convolution import Pair, lift, lower
from winogen.network.onnx.joining import concat
from winogen.network.onnx.operators import Inputs, Operator, constant, data
from winogen.network.onnx.pointwise import affine
from winogen.network.onnx.read import Op
from winogen.network.onnx.resize import Sampling, interpolations, samplings
from winogen.network.onnx.view import BATCH, Dim, Edges, Factor, View
from winogen.network.sampling import PAD_MODES, Axis

#: Pieces, at most, into which rows or columns are taken apart to be joined in another order.
_MAX_RUNS = 8


def _integers(op: Op, inputs: Inputs, index: int, what: str) -> list[int] | None:
    """A constant list of integers from an input, or None if it is left out."""
    if index >= len(inputs) or inputs[index] is None:
        return None
    array = constant(op, inputs, index, what)
    if not np.issubdtype(array.dtype, np.integer) or array.ndim > 1 or array.size > 16:
        raise ModelError(f"{op.where}: its {what} is no short list of integers")
    return [int(n) for n in array.ravel()]


def axes_of(op: Op, inputs: Inputs, rank: int, index: int = 1) -> list[int] | None:
    """The axes of Squeeze and the like, an attribute before opset 13 and an input since."""
    axes = _integers(op, inputs, index, "axes")
    if axes is None:
        axes = list(op.attrs["axes"]) if "axes" in op.attrs else None
    if axes is None:
        return None
    if any(not -rank <= a < rank for a in axes) or len({a % rank for a in axes}) != len(axes):
        raise ModelError(f"{op.where}: its axes {axes[:8]} are wrong for {rank} dimensions")
    return [a % rank for a in axes]


def _reshaped(b: Builder, op: Op, value: View, shape: Sequence[int]) -> View:
    if tuple(shape) == value.shape:
        return value
    value = b.settled(op, value)
    if math.prod(shape) != math.prod(value.shape):
        raise ModelError(
            f"{op.where} makes shape {list(shape)} of {b.shape_text(value)}, which has another "
            "number of values"
        )
    out = value.reshape(shape)
    if out is None:
        raise UnsupportedLayerError(
            f"{op.where} cuts {b.shape_text(value)} to {list(shape)[:8]} across its rows, columns "
            "or channels; reshape only between images and vectors, or in whole factors"
        )
    return out


def _reshape(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    shape = _integers(op, inputs, 1, "shape")
    if shape is None or min(shape, default=0) < -1 or shape.count(-1) > 1:
        raise ModelError(f"{op.where}: its shape {shape} is wrong")
    old = value.shape
    if not op.attrs.get("allowzero", 0):
        if any(n == 0 and i >= len(old) for i, n in enumerate(shape)):
            raise ModelError(f"{op.where}: its shape {shape} is wrong")
        shape = [old[i] if n == 0 else n for i, n in enumerate(shape)]
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if known <= 0 or math.prod(old) % known:
            raise ModelError(f"{op.where}: {b.shape_text(value)} cannot be reshaped to {shape}")
        shape[shape.index(-1)] = math.prod(old) // known
    return _reshaped(b, op, value, shape)


def _flatten(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    axis, rank = int(op.attrs.get("axis", 1)), len(value.dims)
    if not -rank <= axis <= rank:
        raise ModelError(f"{op.where}: its axis {axis} is wrong")
    axis = axis + rank if axis < 0 else axis
    return _reshaped(b, op, value, [math.prod(value.shape[:axis]), math.prod(value.shape[axis:])])


def _squeeze(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    axes = axes_of(op, inputs, len(value.dims))
    if axes is None:
        axes = [i for i, n in enumerate(value.shape) if n == 1]
    if any(value.shape[a] != 1 for a in axes):
        raise ModelError(f"{op.where} drops a dimension of {b.shape_text(value)} that is not 1")
    return View(value.source, value.size,
                tuple(d for i, d in enumerate(value.dims) if i not in axes))  # fmt: skip


def _unsqueeze(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    given = _integers(op, inputs, 1, "axes") or op.attrs.get("axes", ())
    axes = axes_of(op, inputs, len(value.dims) + len(given))
    if not axes or len(given) > 8:
        raise ModelError(f"{op.where}: its axes are wrong")
    rest = iter(value.dims)
    rank = len(value.dims) + len(axes)
    dims = tuple(() if i in axes else next(rest) for i in range(rank))
    return View(value.source, value.size, dims)


def _transpose(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    rank = len(value.dims)
    order = op.attrs.get("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise ModelError(f"{op.where}: its perm {list(order)[:8]} is wrong for {rank} dimensions")
    return value.transpose(order)


def _depth_to_space(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.image_view(b.image(op, data(op, inputs, 0)))
    n, c, h, w = value.shape
    r = int(op.attrs["blocksize"])
    if r < 1 or c % (r * r):
        raise ModelError(f"{op.where}: {c} channels do not make blocks of {r} x {r}")
    mode = op.attrs.get("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise ModelError(f"{op.where}: unknown mode")
    depth = c // (r * r)
    if mode == "CRD":
        out = _reshaped(b, op, value, (n, depth, r, r, h, w)).transpose((0, 1, 4, 2, 5, 3))
    else:
        out = _reshaped(b, op, value, (n, r, r, depth, h, w)).transpose((0, 3, 4, 1, 5, 2))
    out = _reshaped(b, op, out, (n, depth, h * r, w * r))
    return b.image_view(b.image(op, out))


def _space_to_depth(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.image_view(b.image(op, data(op, inputs, 0)))
    n, c, h, w = value.shape
    r = int(op.attrs["blocksize"])
    if r < 1 or h % r or w % r:
        raise ModelError(f"{op.where}: {h} x {w} pixels do not make blocks of {r} x {r}")
    out = _reshaped(b, op, value, (n, c, h // r, r, w // r, r)).transpose((0, 3, 5, 1, 2, 4))
    out = _reshaped(b, op, out, (n, c * r * r, h // r, w // r))
    return b.image_view(b.image(op, out))


def _pad(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    mode = op.attrs.get("mode", "constant")
    pads = _integers(op, inputs, 1, "pads") or []
    rank = len(value.dims)
    axes = axes_of(op, inputs, rank, 3) if len(inputs) > 3 else None
    axes = list(range(rank)) if axes is None else axes
    if rank == 3 and len(pads) == 2 * len(axes):  # a signal is an image of one row
        wide = replace(op, attrs={**op.attrs, "axes": ()})
        at = np.array([a if a < 2 else 3 for a in axes], np.int64)
        more = [None] * (3 - len(inputs)) if len(inputs) < 3 else []
        row = [lift(b, op, value), *inputs[1:3], *more, at]
        made = _pad(b, wide, row)
        return lower(b.settled(op, made))
    if len(pads) != 2 * len(axes) or max(map(abs, pads), default=0) > 1 << 16:
        raise ModelError(f"{op.where}: its pads {pads} are wrong for {rank} dimensions")
    if not any(pads):
        return value
    fill = constant(op, inputs, 2, "value") if len(inputs) > 2 and inputs[2] is not None else None
    if mode not in ("constant", *PAD_MODES):
        raise UnsupportedLayerError(
            f"{op.where} pads with {mode}; use constant, reflect, edge or wrap, and fine-tune"
        )
    level = 0.0 if fill is None or not fill.size else float(fill.ravel()[0])
    if not math.isfinite(level):
        raise ModelError(f"{op.where} pads with {level}; use a number")
    both = {a: (pads[i], pads[i + len(axes)]) for i, a in enumerate(axes)}
    if mode == "constant" and level == 0 and rank > 4:
        spread = _zeros_between(b, op, value, both)
        if spread is not None:
            return spread
    names = value.axes()
    if names is None or "H" not in names or "W" not in names:
        value = b.image_view(b.image(op, value))  # a single row or column has no dimension to pad
        names = "NCHW"
    channels = [a for a, p in both.items() if names[a] == "C" and any(p)]
    if channels and mode == "constant" and min(both[channels[0]]) >= 0:
        value = _more_channels(b, op, value, channels[0], both[channels[0]], level)
        both[channels[0]] = (0, 0)
        if not any(map(any, both.values())):
            return value
    edges: dict[str, tuple[int, int]] = {names[a]: p for a, p in both.items() if any(p)}
    if set(edges) - {"H", "W"}:
        raise UnsupportedLayerError(
            f"{op.where} pads the batch, or the channels with some of themselves; only rows and "
            "columns can be padded so"
        )
    (top, bottom), (left, right) = (edges.get(a, (0, 0)) for a in "HW")
    if mode in PAD_MODES:
        return _mirrored(b, op, value, mode, (top, bottom, left, right))
    if level:  # zeros around what is that much less, and all that much more
        same = np.ones(value.size[0])
        value = affine(b, op, value, same, -level * same)
    padded = View(value.source, value.size, value.dims, (top, bottom, left, right))
    if min(value.size[1] + top + bottom, value.size[2] + left + right) < 1:
        raise ModelError(f"{op.where} takes all of {b.shape_text(value)} away")
    if level:
        return affine(b, op, b.settled(op, padded), same, level * same)
    return b.settled(op, padded) if 1 in value.size[1:] else padded


def _more_channels(
    b: Builder, op: Op, value: View, axis: int, more: tuple[int, int], level: float
) -> View:
    """The value with channels of a constant before and after its own."""
    parts: list[Any] = [value]
    for count, at in zip(more, (0, len(parts) + 1)):
        if count:
            shape = [*value.shape]
            shape[axis] = count
            parts.insert(at, np.broadcast_to(np.float32(level), [1, *shape[1:]]))
    return concat(b, replace(op, attrs={"axis": axis}), parts)


def _zeros_between(b: Builder, op: Op, value: View, pads: dict[int, Pair]) -> View | None:
    """The view with zeros between rows or columns: they pad dimensions of 1 that follow those.

    So upfirdn2d of StyleGAN2 and its kin enlarges. None if something else is padded.
    """
    channels, rows, columns = value.size
    axes: dict[Dim, int] = {(Factor(rows, columns),): 0, (Factor(columns, 1),): 1}
    steps, before = [1, 1], [0, 0]
    added: dict[int, int] = {}
    for axis, (low, high) in pads.items():
        if low or high:
            which = axes.get(value.dims[axis - 1]) if axis else None
            if which is None or value.dims[axis] or min(low, high) < 0:
                return None
            added[axis] = which
            steps[which], before[which] = 1 + low + high, low
    others = [f for dim in value.dims if dim not in axes for f in dim]
    if any(f.stride != BATCH and f.stride % (rows * columns) for f in others):
        return None
    source = b.spread(op, value.source, (steps[0], steps[1]), (before[0], before[1]))
    size = (channels, rows * steps[0], columns * steps[1])
    new = ((Factor(rows, steps[0] * size[2]),), (Factor(columns, steps[1]),))

    def moved(factor: Factor) -> Factor:
        if factor.stride == BATCH:
            return factor
        return Factor(factor.size, factor.stride // (rows * columns) * size[1] * size[2])

    dims = [new[axes[d]] if d in axes else tuple(map(moved, d)) for d in value.dims]
    for axis, which in added.items():
        dims[axis] = (Factor(steps[which], (size[2], 1)[which]),)
    return View(source, size, tuple(dims))


def _mirrored(b: Builder, op: Op, value: View, mode: str, edges: Edges) -> View:
    """The value with its own pixels around it; where edges are negative, it is cut."""
    top, bottom, left, right = (max(-e, 0) for e in edges)
    if any((top, bottom, left, right)):
        value = b.cut(op, value, {"H": (top, bottom), "W": (left, right)})
    added = tuple(max(e, 0) for e in edges)
    if not any(added):
        return value
    source = b.add(op, "pad", value.source, mode=mode, edges=added)
    if 1 in value.size[1:]:
        return b.image_view(source)
    return value.follow(source, b.size(source))


def _slice(b: Builder, op: Op, inputs: Inputs) -> View:
    """Part of the rows, columns or channels; of every sample, or of every n-th."""
    value = data(op, inputs, 0)
    rank = len(value.dims)
    starts, ends = (_integers(op, inputs, i, n) or [] for i, n in ((1, "starts"), (2, "ends")))
    axes = axes_of(op, inputs, rank, 3)
    axes = list(range(len(starts))) if axes is None else axes
    steps = _integers(op, inputs, 4, "steps") or [1] * len(axes)
    if not len(starts) == len(ends) == len(axes) == len(steps) or len(axes) > rank:
        raise ModelError(f"{op.where}: its starts, ends, axes and steps do not fit together")
    if 0 in steps:
        raise ModelError(f"{op.where}: a step must not be 0")
    for axis, start, end, step in zip(axes, starts, ends, steps):
        taken = range(*slice(start, end, step).indices(value.shape[axis]))
        if step < 0 and end < -value.shape[axis]:  # ONNX: up to and with the first
            taken = range(*slice(start, None, step).indices(value.shape[axis]))
        if not taken:
            raise ModelError(f"{op.where} takes nothing of {b.shape_text(value)}")
        if len(taken) < value.shape[axis] or step < 0:
            value = taken_along(b, op, b.settled(op, value), axis, taken)
    return value


def taken_along(b: Builder, op: Op, value: View, axis: int, indices: Sequence[int]) -> View:
    """The view with these samples of one dimension, in this order."""
    size = value.shape[axis]
    if list(indices) == list(range(size)):
        return value
    times = next((i for i, n in enumerate(indices) if n != indices[0]), len(indices))
    if times > 1 and list(indices) == np.repeat(indices[::times], times).tolist():
        value = taken_along(b, op, value, axis, indices[::times])
        dims = list(value.dims)
        dims[axis] = (*dims[axis], Factor(times, 0))
        return View(value.source, value.size, tuple(dims))
    if any(f.stride == BATCH for f in value.dims[axis]):
        raise UnsupportedLayerError(
            f"{op.where} takes single images out of the batch; export the model without that, or "
            "with a batch of 1"
        )
    if size == 1:  # one sample, several times
        dims = list(value.dims)
        dims[axis] = (Factor(len(indices), 0),)
        return View(value.source, value.size, tuple(dims))
    batch = b.image_view(value.source).dims[:1]
    if value.axes() is None and value.is_vector and value.dims[:1] == batch:
        # A vector in whatever layout: its values, picked, in that layout again.
        taken = value.offsets().take(indices, axis)
        name = b.picked(op, value.source, taken.ravel())
        out = b.vector_view(name).reshape((value.shape[0], *taken.shape[1:]))
        assert out is not None  # the values are in its order
        return out
    if value.axes() is None and len(value.dims) == 4:
        value = b.with_channels(op, value, axis)
    letter = (value.axes() or "")[axis : axis + 1]
    if letter == "C":
        name = b.picked(op, value.source, np.array(indices, np.int64))
        return value.follow(name, b.size(name))
    if letter in ("H", "W"):
        return _lines(b, op, value, letter, indices)
    if len(value.dims) == 2 and axis == 1 and value.dims[:1] == batch:
        chosen = np.array(indices, np.int64)
        return b.vector_view(b.chosen(op, value, value.offsets().ravel()[chosen]))
    raise UnsupportedLayerError(
        f"{op.where} cuts {b.shape_text(value)} where it is no image's rows, columns or channels; "
        "cut before the reshape, or after it"
    )


def _lines(b: Builder, op: Op, value: View, letter: str, indices: Sequence[int]) -> View:
    """Some rows or columns, at even distances, forwards or backwards."""
    size = value.size["CHW".index(letter)]
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if step == 0 or list(indices) != list(
        range(indices[0], indices[-1] + (1 if step > 0 else -1), step)
    ):
        breaks = [i for i in range(1, len(indices)) if indices[i] != indices[i - 1] + 1]
        if len(breaks) >= _MAX_RUNS:
            raise UnsupportedLayerError(
                f"{op.where} puts rows or columns in an order of their own; they can be taken at "
                f"even distances, forwards or backwards, or in up to {_MAX_RUNS} pieces"
            )
        axis = (value.axes() or "").index(letter)
        pieces = [indices[i:j] for i, j in zip([0, *breaks], [*breaks, len(indices)])]
        parts = [taken_along(b, op, value, axis, piece) for piece in pieces]
        return concat(b, replace(op, attrs={"axis": axis}), parts)
    if step < 0:
        turned = Axis(size, len(indices), Fraction(indices[0]), Fraction(step), nearest="floor")
        found = [turned if name == letter else None for name in value.axes() or ""]
        return _interpolated(b, op, value, found)
    last = indices[-1] + 1
    if indices[0] or last < size:
        value = b.cut(op, value, {letter: (indices[0], size - last)})
    if step == 1:
        return value
    return b.every(op, value, (0, 0), (step, 1) if letter == "H" else (1, step))


def _gather(b: Builder, op: Op, inputs: Inputs) -> View:
    """Some samples of a dimension, by constant indices."""
    value = b.settled(op, data(op, inputs, 0))
    rank = len(value.dims)
    axis = int(op.attrs.get("axis", 0))
    indices = constant(op, inputs, 1, "indices")
    if not -rank <= axis < rank or not np.issubdtype(indices.dtype, np.integer):
        raise ModelError(f"{op.where}: its axis {axis} or its indices are wrong")
    axis %= rank
    size = value.shape[axis]
    if not indices.size or np.any(indices < -size) or np.any(indices >= size):
        raise ModelError(f"{op.where}: its indices reach outside {b.shape_text(value)}")
    if indices.ndim > 1:
        raise UnsupportedLayerError(
            f"{op.where} takes indices of shape {indices.shape}; use a list of them, and reshape"
        )
    taken = taken_along(b, op, value, axis, [int(i) % size for i in np.atleast_1d(indices)])
    if indices.ndim:
        return taken
    return View(taken.source, taken.size, taken.dims[:axis] + taken.dims[axis + 1 :])


def _gather_nd(b: Builder, op: Op, inputs: Inputs) -> View:
    """By constant indices that are a grid: samples of the first dimensions, one after the other.

    So PyTorch writes an indexing by several lists.
    """
    value = b.settled(op, data(op, inputs, 0))
    indices = constant(op, inputs, 1, "indices")
    count = indices.shape[-1] if indices.ndim else 0
    lists = []
    if indices.ndim == count + 1 and indices.size and count <= len(value.dims):
        for i in range(count):
            one = np.moveaxis(indices[..., i], i, 0)
            lists.append(one.reshape(len(one), -1)[:, 0])
    grid = np.stack(np.meshgrid(*lists, indexing="ij"), axis=-1) if lists else None
    if grid is None or op.attrs.get("batch_dims", 0) or not np.array_equal(grid, indices):
        raise UnsupportedLayerError(
            f"{op.where} takes single values from many places; take whole rows, columns or "
            "channels, with Gather or Slice"
        )
    for axis, taken in enumerate(lists):
        size = value.shape[axis]
        if np.any(taken < -size) or np.any(taken >= size):
            raise ModelError(f"{op.where}: its indices reach outside {b.shape_text(value)}")
        value = taken_along(b, op, value, axis, [int(i) % size for i in taken])
    return value


def _compress(b: Builder, op: Op, inputs: Inputs) -> View:
    """The samples of a dimension for which a list that is known says yes."""
    value = b.settled(op, data(op, inputs, 0))
    chosen = np.flatnonzero(constant(op, inputs, 1, "condition"))
    rank = len(value.dims)
    axis = int(op.attrs.get("axis", rank))
    if not -rank <= axis < rank or not len(chosen) or chosen[-1] >= value.shape[axis]:
        raise ModelError(f"{op.where}: its axis or its condition does not fit")
    return taken_along(b, op, value, axis % rank, [int(i) for i in chosen])


def _split(b: Builder, op: Op, inputs: Inputs) -> list[View]:
    """Parts of a dimension, one an output."""
    value = b.settled(op, data(op, inputs, 0))
    rank, count = len(value.dims), len(op.outputs)
    axis = int(op.attrs.get("axis", 0))
    if not -rank <= axis < rank:
        raise ModelError(f"{op.where}: its axis {axis} is wrong for {rank} dimensions")
    axis %= rank
    size = value.shape[axis]
    given = _integers(op, inputs, 1, "split") or list(op.attrs.get("split", ()))
    if not given:
        each = -(-size // count)  # the last part may be smaller
        given = [each] * (count - 1) + [size - each * (count - 1)]
    if len(given) != count or min(given) < 1 or sum(given) != size:
        raise ModelError(
            f"{op.where}: its parts {given[:8]} do not make up the {size} samples of "
            f"{b.shape_text(value)}"
        )
    edges = np.cumsum([0, *given])
    return [
        taken_along(b, op, value, axis, range(first, last)) if name else value
        for name, first, last in zip(op.outputs, edges, edges[1:])
    ]


def _tile(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    repeats = _integers(op, inputs, 1, "repeats") or []
    if len(repeats) != len(value.dims) or min(repeats) < 1 or max(repeats) > 1 << 16:
        raise ModelError(f"{op.where}: its repeats {repeats} do not fit {b.shape_text(value)}")
    dims = tuple((Factor(n, 0), *dim) if n > 1 else dim for n, dim in zip(repeats, value.dims))
    return View(value.source, value.size, dims)


def _expand(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    shape = _integers(op, inputs, 1, "shape") or []
    out = value.expanded(shape) if max(shape, default=1) <= 1 << 16 else None
    if out is None:
        raise ModelError(f"{op.where}: {b.shape_text(value)} cannot be expanded to {shape}")
    return out


def _resize(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    if len(value.dims) == 3:  # a signal is an image of one row
        return lower(_resize(b, *_of_row(op, [lift(b, op, value), *inputs[1:]])))
    mixed = interpolations(op, inputs, value.shape)
    if mixed is not None:
        return _interpolated(b, op, value, mixed)
    found = samplings(op, inputs, value.shape)
    if all(s == Sampling() for s in found):
        return value
    axes = value.axes()
    if axes is None or "H" not in axes or "W" not in axes:
        value = b.image_view(b.image(op, value))
        axes = "NCHW"
    named = {a: s for a, s in zip(axes, found) if s != Sampling()}
    if set(named) - {"H", "W"}:
        raise UnsupportedLayerError(
            f"{op.where} resizes the batch or the channels; only rows and columns can be resized"
        )
    rows, columns = named.get("H", Sampling()), named.get("W", Sampling())
    if max(rows.step, columns.step) > 1:
        value = b.every(op, value, (rows.first, columns.first), (rows.step, columns.step))
    block = (rows.repeat, columns.repeat)
    if block == (1, 1):
        return value
    if block[0] == block[1]:
        source = b.add(op, "upsample", value.source, factor=block[0])
    else:
        source = b.repeated(op, value, block)
    c, h, w = value.size
    size = (c, h * block[0], w * block[1])
    if 1 in value.size[1:]:
        return b.image_view(source)
    return value.follow(source, size)


def _of_row(op: Op, inputs: list[Any]) -> tuple[Op, list[Any]]:
    """Resize of a signal as one of an image of one row."""
    wide = list(inputs)
    for i in (2, 3):
        array = inputs[i] if i < len(inputs) else None
        if isinstance(array, np.ndarray) and array.size == 3:
            wide[i] = np.insert(array.ravel(), 2, 1)
    return op, wide


def _interpolated(b: Builder, op: Op, value: View, found: Sequence[Axis | None]) -> View:
    names = value.axes()
    if names is None or "H" not in names or "W" not in names:
        value = b.image_view(b.image(op, value))
        names = "NCHW"
    axes = dict(zip(names, found))
    if any(axis is not None for name, axis in axes.items() if name not in "HW"):
        raise UnsupportedLayerError(
            f"{op.where} resizes the batch or the channels; only rows and columns can be resized"
        )
    rows, columns = (
        axes.get(name) or Axis(n, n, Fraction(0), Fraction(1))
        for name, n in zip("HW", value.size[1:])
    )
    source = b.add(op, "resample", value.source, axes=(rows, columns))
    if 1 in value.size[1:]:
        return b.image_view(source)
    return value.follow(source, b.size(source))


OPERATORS: dict[str, Operator] = {
    "Reshape": Operator(_reshape, "nothing, or the layer before gives its output in that order"),
    "Flatten": Operator(_flatten, "nothing"),
    "Squeeze": Operator(_squeeze, "nothing"),
    "Unsqueeze": Operator(_unsqueeze, "nothing"),
    "Transpose": Operator(_transpose, "nothing (NCHW and NHWC)"),
    "DepthToSpace": Operator(
        _depth_to_space,
        "DCR and CRD: joined to a convolution of stride 1 before it, otherwise a transposed "
        "convolution by ones",
    ),
    "SpaceToDepth": Operator(_space_to_depth, "a strided convolution by ones"),
    "Slice": Operator(_slice, "part of the rows or columns, or every n-th of them: a layer of "
                      "ones; backwards: by the processor; channels in any order, as Gather"),
    "Gather": Operator(_gather, "channels by constant indices: the layer before gives them in that "
                       "order, otherwise a layer of ones; rows and columns as Slice"),
    "Compress": Operator(_compress, "as Gather, by a condition that is known"),
    "GatherND": Operator(_gather_nd, "as Gather, along several dimensions"),
    "Split": Operator(_split, "as Gather"),
    "Tile": Operator(_tile, "repeating each pixel, as frameworks write nearest upsampling"),
    "Expand": Operator(_expand, "as Tile"),
    "Pad": Operator(_pad, "zeros around rows and columns: joined to the convolution after it, "
                    "otherwise a layer of its own; zeros between them (upfirdn2d): a transposed "
                    "convolution; another constant as zeros between two affines; around channels: "
                    "as Concat; reflect, edge and wrap: by the processor, between two runs of the "
                    "accelerator"),
    "Resize": Operator(_resize, "what repeats every pixel a whole number of times: folded into "
                       "the convolution after it; what takes every n-th: a strided convolution of "
                       "ones; linear and cubic: by the processor, between two runs"),
}  # fmt: skip
