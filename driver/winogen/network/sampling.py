"""Layers that take rows and columns from elsewhere: padding, the largest of a window, resampling.

The functions work on floats and on integers alike: the float reference and the integer layers share
them. Images are (N, C, H, W), pairs (rows, columns), edges top, bottom, left, right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
Edges = tuple[int, int, int, int]
#: For each dimension its factors: how many, and how far apart in the flattened input.
Factors = tuple[tuple[tuple[int, int], ...], ...]

#: How rows and columns beyond an image are made of it.
PAD_MODES = ("reflect", "edge", "wrap")


def extend(x: NDArray[Any], mode: str, edges: Edges) -> NDArray[Any]:
    """``x`` with rows and columns around it: mirrored without the edge, the edge
    again, or the image again from its other side.
    """
    return np.pad(x, ((0, 0), (0, 0), edges[:2], edges[2:]), mode=mode)  # type: ignore[call-overload]


def pooled_size(size: Pair, window: Pair, stride: Pair, pad: Edges) -> Pair:
    """Rows and columns of windows."""
    rows, columns = (
        (n + before + after - w) // s + 1
        for n, w, s, before, after in zip(size, window, stride, pad[::2], pad[1::2])
    )
    return rows, columns


def _windows(
    n: int, out: int, window: int, stride: int, before: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last sample of the image, of n, that each window has along an axis."""
    starts = np.arange(out, dtype=np.int64) * stride - before
    return np.maximum(starts, 0), np.minimum(starts + window, n) - 1


def max_pool(x: NDArray[Any], window: Pair, stride: Pair, pad: Edges) -> NDArray[Any]:
    """The largest value of each window; what lies beyond the image counts nothing.

    Along one axis after the other: the largest of the largest is the largest. Every window has
    some of the image, and never takes more samples than that has.
    """
    sizes = pooled_size((x.shape[2], x.shape[3]), window, stride, pad)
    for axis, out, w, s, before in zip((2, 3), sizes, window, stride, pad[::2]):
        n = x.shape[axis]
        first, last = _windows(n, out, w, s, before)
        largest = np.take(x, first, axis=axis)
        for tap in range(1, min(w, n)):
            within = np.minimum(first + tap, last)
            np.maximum(largest, np.take(x, within, axis=axis), out=largest)
        x = largest
    return x


def pooled_sums(
    x: NDArray[Any], window: Pair, stride: Pair, pad: Edges
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The sum of each window, and how many samples (rows, columns) it has of the image."""
    sizes = pooled_size((x.shape[2], x.shape[3]), window, stride, pad)
    counts = np.ones((1, 1), np.int64)
    for axis, out, w, s, before in zip((2, 3), sizes, window, stride, pad[::2]):
        n = x.shape[axis]
        first, last = _windows(n, out, w, s, before)
        column = (-1, 1) if axis == 2 else (-1,)
        total = np.take(x, first, axis=axis)
        for tap in range(1, min(w, n)):
            within = (first + tap <= last).reshape(column)
            total = total + np.take(x, np.minimum(first + tap, last), axis=axis) * within
        x = total
        counts = counts * (last - first + 1).reshape(column)
    return x, counts


#: How a position becomes the number of a sample, as ONNX names it.
ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2)),
}


@dataclass(frozen=True)
class Axis:
    """How one axis is resampled: sample i of ``outputs`` lies at ``start + i * step`` of the input.

    Attributes
    ----------
    inputs, outputs : samples
    start, step : of the input's samples, exact
    cubic : the coefficient of the cubic kernel of Keys (1981); None: linear
    inside : weights of samples beyond the image are spread over those within (``exclude_outside``);
        else the edge is taken again
    nearest : one sample only, the nearest: how halves are rounded (a key of :data:`ROUNDINGS`)
    """

    inputs: int
    outputs: int
    start: Fraction
    step: Fraction
    cubic: Fraction | None = None
    inside: bool = False
    nearest: str | None = None


def half_pixel(scale: Fraction, n: int, size: int) -> tuple[Fraction, Fraction]:
    """Start and step where the edges of both images coincide."""
    return 1 / (2 * scale) - Fraction(1, 2), 1 / scale


def align_corners(scale: Fraction, n: int, size: int) -> tuple[Fraction, Fraction]:
    """Start and step where the middles of the corner pixels coincide."""
    return Fraction(0), Fraction(n - 1, max(size - 1, 1))


def _pytorch(scale: Fraction, n: int, size: int) -> tuple[Fraction, Fraction]:
    return half_pixel(scale, n, size) if size > 1 else (Fraction(0), 1 / scale)


def _symmetric(scale: Fraction, n: int, size: int) -> tuple[Fraction, Fraction]:
    start, step = half_pixel(scale, n, size)
    return start + Fraction(n, 2) * (1 - size / (scale * n)), step


#: Where the first of ``size`` outputs lies, and how far apart outputs are, in samples of an input
#: of ``n`` that is scaled; by ONNX's names.
PLACES: dict[str, Callable[[Fraction, int, int], tuple[Fraction, Fraction]]] = {
    "half_pixel": half_pixel,
    "pytorch_half_pixel": _pytorch,
    "half_pixel_symmetric": _symmetric,
    "asymmetric": lambda scale, n, size: (Fraction(0), 1 / scale),
    "align_corners": align_corners,
}


@lru_cache(maxsize=64)
def weights(axis: Axis) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The samples that each output is made of, and their weights: (outputs, taps) each.

    Computed in fractions, and rounded to floats at the end: the same on every machine.
    """
    if axis.nearest is not None:
        taken = [ROUNDINGS[axis.nearest](axis.start + i * axis.step) for i in range(axis.outputs)]
        one = np.clip(np.array(taken, np.int64), 0, axis.inputs - 1)[:, None]
        return one, np.ones(one.shape)
    reach = 1 if axis.cubic is None else 2
    samples, values = [], []
    known: dict[Fraction, list[Fraction]] = {}
    for i in range(axis.outputs):
        at = axis.start + i * axis.step
        first = int(-((reach - at) // 1))  # the least whole number from ``at - reach``
        last = int((at + reach) // 1)
        taps = range(first, last + 1)
        phase = at - first
        if phase not in known:
            known[phase] = [_kernel(axis.cubic, phase - k) for k in range(len(taps))]
        found = known[phase]
        if axis.inside:
            found = [v if 0 <= t < axis.inputs else Fraction(0) for t, v in zip(taps, found)]
        total = sum(found) or Fraction(1)
        row: dict[int, Fraction] = {}
        for tap, value in zip(taps, found):
            tap = min(max(tap, 0), axis.inputs - 1)
            row[tap] = row.get(tap, Fraction(0)) + value / total
        samples.append([t for t, v in row.items() if v] or [0])
        values.append([v for v in row.values() if v] or [Fraction(0)])
    most = max(map(len, samples))
    index = np.array([s + [s[-1]] * (most - len(s)) for s in samples], np.int64)
    weight = np.array([[*map(float, v), *[0.0] * (most - len(v))] for v in values])
    index.flags.writeable = weight.flags.writeable = False
    return index, weight


def _kernel(cubic: Fraction | None, x: Fraction) -> Fraction:
    x = abs(x)
    if cubic is None:
        return max(1 - x, Fraction(0))
    if x < 1:
        return ((cubic + 2) * x - (cubic + 3)) * x * x + 1
    if x < 2:
        return ((cubic * x - 5 * cubic) * x + 8 * cubic) * x - 4 * cubic
    return Fraction(0)


def resample(
    x: NDArray[Any], axis: int, index: NDArray[np.int64], weight: NDArray[Any]
) -> NDArray[Any]:
    """Sums of samples along an axis (2 or 3) times their weights, both (outputs, taps)."""
    column = (-1, 1) if axis == 2 else (-1,)
    out: Any = 0
    for taps, factors in zip(index.T, weight.T):
        out = out + np.take(x, taps, axis=axis) * factors.reshape(column)
    return np.asarray(out)


def rearranged(x: NDArray[Any], factors: Factors) -> NDArray[Any]:
    """The values of (N, C, H, W) at the places that the factors of each new dimension give."""
    return x.reshape(len(x), -1)[:, places(factors)]


@lru_cache(maxsize=16)
def places(factors: Factors) -> NDArray[np.int64]:
    """Where every value of a rearranged tensor lies in the flattened input."""
    total = np.zeros((1, 1, 1), np.int64)
    for axis, dimension in enumerate(factors):
        along = np.zeros(1, np.int64)
        for count, stride in dimension:
            along = (along[:, None] + np.arange(count) * stride).ravel()
        total = total + along.reshape([-1 if i == axis else 1 for i in range(3)])
    return total
