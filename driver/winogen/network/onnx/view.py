"""Views: how an ONNX tensor looks at a value of the graph.

The graph's values are (channels, rows, columns), row-major. An ONNX tensor of the same data may
have its dimensions split, merged and in another order (NHWC, flattened, ...). A view describes
each dimension as a product of *factors*, each with its stride in the flattened graph value, as
numpy describes an array. Reshape and Transpose then are bookkeeping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Shape

#: The stride of the batch, which is no dimension of a graph value.
BATCH = -1


class Factor(NamedTuple):
    """A dimension, or the part of one, whose neighbours are ``stride`` apart (0: repetitions)."""

    size: int
    stride: int


Dim = tuple[Factor, ...]
#: Zeros to add at the top, bottom, left, right.
Edges = tuple[int, int, int, int]


@dataclass(frozen=True)
class View:
    """An ONNX tensor as a view of the graph value ``source`` of shape ``size``.

    ``dims`` lists the factors of each dimension, slowest first, without those of size 1.
    ``pads`` are zeros around the rows and columns that no layer has added yet; they belong to
    the dimensions that are exactly the source's rows and columns.
    """

    source: str
    size: Shape
    dims: tuple[Dim, ...]
    pads: Edges = (0, 0, 0, 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that ONNX sees, batch included."""
        top, bottom, left, right = self.pads
        extra = {"H": top + bottom, "W": left + right}
        axes = self.axes() if any(self.pads) else None
        return tuple(
            math.prod(f.size for f in dim) + (extra.get(axes[i], 0) if axes else 0)
            for i, dim in enumerate(self.dims)
        )

    @property
    def is_vector(self) -> bool:
        """Whether the source is a vector: one row, one column."""
        return self.size[1:] == (1, 1)

    def axes(self) -> str | None:
        """For each dimension N, C, H, W or 1, such as ``NHWC``; None if one is not a whole axis.

        B is the batch and the channels in one: each channel is an image of its own.
        """
        channels, rows, columns = self.size
        names = {
            (): "1",
            (Factor(channels, rows * columns),): "C",
            (Factor(rows, columns),): "H",
            (Factor(columns, 1),): "W",
        }
        found = ""
        for dim in self.dims:
            if len(dim) == 1 and dim[0].stride == BATCH:
                found += "N"
            elif len(dim) == 2 and dim[0].stride == BATCH and names.get(dim[1:]) == "C":
                found += "B"
            elif dim in names:
                found += names[dim]
            else:
                return None
        return found

    def follow(self, source: str, size: Shape | None = None) -> View:
        """The same view, without pads, of another value.

        If the value's rows or columns differ, no dimension of the view may be a part of them.
        """
        if size is None or size == self.size:
            return View(source, self.size, self.dims)
        own = dict(zip("CHW", image_dims(size, 1)[1:]))
        axes = self.axes()
        assert axes is not None
        dims = [(d[0], *own["C"]) if a == "B" else own.get(a, d) for a, d in zip(axes, self.dims)]
        return View(source, size, tuple(dims))

    def transpose(self, order: Sequence[int]) -> View:
        """The view with its dimensions in another order."""
        return View(self.source, self.size, tuple(self.dims[i] for i in order), self.pads)

    def reshape(self, shape: Sequence[int]) -> View | None:
        """The view in a new shape, or None if that would take a row or column apart unevenly."""
        factors = [f for dim in self.dims for f in dim]
        dims = []
        for size in shape:
            dim: list[Factor] = []
            while size > 1:
                if not factors:
                    return None
                size, taken, rest = _take(factors.pop(0), size)
                if taken is None:
                    return None
                dim.append(taken)
                if rest is not None:
                    factors.insert(0, rest)
            dims.append(_merged(dim))
        return None if factors else View(self.source, self.size, tuple(dims))

    def expanded(self, shape: Sequence[int]) -> View | None:
        """The view broadcast to what it and ``shape`` have in common; None if they do not fit."""
        rank = max(len(shape), len(self.dims))
        wanted = [1] * (rank - len(shape)) + list(shape)
        dims = ((),) * (rank - len(self.dims)) + self.dims
        sizes = (1,) * (rank - len(self.dims)) + self.shape
        if rank > 8 or any(n != m and 1 not in (n, m) for n, m in zip(wanted, sizes)):
            return None
        spread = (((Factor(n, 0),) if m == 1 < n else d) for n, m, d in zip(wanted, sizes, dims))
        return View(self.source, self.size, tuple(spread))

    def offsets(self, dims: Sequence[int] | None = None) -> NDArray[np.int64]:
        """Index into the flattened source of every element of one image.

        An array of the view's shape with 1 for the batch; ``dims`` limits it to some dimensions
        (the others have size 1 and offset 0).
        """
        total = np.zeros((1,) * len(self.dims), np.int64)
        for i, dim in enumerate(self.dims):
            if dims is not None and i not in dims:
                continue
            total = total + _along(i, len(self.dims), dim)
        return total


def image(source: str, size: Shape, batch: int) -> View:
    """The plain view (N, C, H, W) of a value."""
    return View(source, size, image_dims(size, batch))


def image_dims(size: Shape, batch: int) -> tuple[Dim, ...]:
    """Dimensions (N, C, H, W) of a value of this shape."""
    channels, rows, columns = size
    factors = (
        Factor(batch, BATCH),
        Factor(channels, rows * columns),
        Factor(rows, columns),
        Factor(columns, 1),
    )
    return tuple((f,) if f.size > 1 else () for f in factors)


def _take(factor: Factor, size: int) -> tuple[int, Factor | None, Factor | None]:
    """Take up to ``size`` off the slow end of a factor: what is left to take, taken, rest."""
    if size % factor.size == 0:
        return size // factor.size, factor, None
    if factor.stride == BATCH or factor.size % size:
        return size, None, None
    rest = factor.size // size
    return 1, Factor(size, factor.stride * rest), Factor(rest, factor.stride)


def _merged(dim: list[Factor]) -> Dim:
    """Neighbouring factors that together are one."""
    out: list[Factor] = []
    for factor in dim:
        last = out[-1] if out else None
        if last and BATCH not in (last.stride, factor.stride) and (
            last.stride == factor.stride * factor.size
        ):  # fmt: skip
            out[-1] = Factor(last.size * factor.size, factor.stride)
        else:
            out.append(factor)
    return tuple(out)


def _along(axis: int, rank: int, dim: Dim) -> NDArray[np.int64]:
    """Offsets along one dimension, shaped to broadcast at ``axis``; the batch counts nothing."""
    values = np.zeros(1, np.int64)
    for size, stride in dim:
        if stride != BATCH:
            values = (values[:, None] + np.arange(size) * stride).ravel()
    return values.reshape((1,) * axis + (-1,) + (1,) * (rank - axis - 1))


def channels_first(value: View) -> tuple[int, ...]:
    """The order of a view's four dimensions in which it is (N, C, H, W)."""
    letters = value.axes() or ""
    found = [letters.find(letter) for letter in "NCHW"]
    if sorted(found) == [0, 1, 2, 3]:
        return tuple(found)
    return (0, 3, 1, 2) if letters[1:] == "11C" else (0, 1, 2, 3)  # N is "1" for one image
