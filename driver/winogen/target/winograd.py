"""Winograd minimal filtering F(2x2, 3x3) in integers.

``4 * Y = A^T [ (2G) g (2G)^T  *  B^T Z B ] A`` (Lavin & Gray, arXiv 1509.09308, with ``G``
doubled along each axis so that every entry is an integer). For int8 (int16) data the transformed
input has 10 (18) bits, the transformed filter 12 (20) bits, and the final sum is an exact
multiple of four.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

TILE = 2  # outputs a side
TAPS = 3  # filter taps a side
PATCH = TILE + TAPS - 1  # inputs a side
POSITIONS = PATCH * PATCH
OUTPUT_SHIFT = 2  # the result is 2**OUTPUT_SHIFT times the convolution

#: Input transform B^T, filter transform 2G, output transform A^T.
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.int64)
G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.int64)


def transform_filter(g: NDArray) -> NDArray:
    """``(2G) g (2G)^T`` for g of shape (3, 3, ...); returns (4, 4, ...) of the same dtype."""
    return _both_axes(G2, g)


def transform_input(z: NDArray) -> NDArray:
    """``B^T z B`` for a patch of shape (4, 4, ...); returns (4, 4, ...) of the same dtype."""
    return _both_axes(BT, z)


def transform_output(m: NDArray) -> NDArray:
    """``A^T m A`` for m of shape (4, 4, ...); returns (2, 2, ...), four times the convolution."""
    return _both_axes(AT, m)


def positions(taps: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Winograd positions ``4 * row + column`` at which a filter with only ``taps`` can be nonzero.

    Derived from 2G: position (i, j) can be nonzero iff some tap (a, b) has
    ``2G[i, a] * 2G[j, b] != 0``. All other positions are structural zeros and are skipped.
    """
    possible = np.zeros((PATCH, PATCH), bool)
    for a, b in taps:
        possible |= np.outer(G2[:, a] != 0, G2[:, b] != 0)
    return tuple(int(p) for p in np.flatnonzero(possible))


def output_coefficients(position: int) -> NDArray[np.int64]:
    """(2, 2) coefficients in {-1, 0, 1} with which a position enters the four outputs."""
    row, column = divmod(position, PATCH)
    return np.outer(AT[:, row], AT[:, column])


def _both_axes(matrix: NDArray[np.int64], x: NDArray) -> NDArray:
    """``matrix @ x @ matrix.T`` over the first two axes, by additions only (any dtype)."""
    rows = np.stack([_combine(row, x) for row in matrix])
    columns = np.stack([_combine(row, np.swapaxes(rows, 0, 1)) for row in matrix])
    return np.swapaxes(columns, 0, 1)


def _combine(coefficients: NDArray[np.int64], x: NDArray) -> NDArray:
    total = np.zeros_like(x[0])
    for coefficient, part in zip(coefficients, x):
        if coefficient == 1:
            total += part
        elif coefficient == -1:
            total -= part
        elif coefficient:
            total += part * x.dtype.type(coefficient)
    return total


#: Step position that reads the constant zero instead of the patch (the zero-padded baseline).
ZERO_POSITION = POSITIONS
