"""Transposed and strided convolutions as stride-1 convolutions of at most three taps, per axis.

TDC (transforming deconvolution to convolution; Chang et al., ASP-DAC 2020): a transposed
convolution of stride S is S convolutions, one for each output phase ``o mod S``; outputs
interleave, so no overlapping sums exist. A strided convolution is the dual: one convolution for
each input phase, summed. Both axes of a 2-D layer are treated alike, so this module works on one
axis; :mod:`winogen.compiler.lower` takes the product of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from winogen.target import winograd

_Taps = tuple[tuple[int, int], ...]  # (offset or window index, kernel index)


@dataclass(frozen=True)
class AxisWindow:
    """One input view of an axis, seen through a window of three consecutive samples.

    Output ``stride * q + r`` receives, for each ``(w, k)`` of ``taps[r]``, the product
    ``x[step * (q + origin + w) + phase] * weight[k]`` with ``0 <= w < 3``.

    Attributes
    ----------
    phase, step : input samples ``step * i + phase`` form the view
    origin : sample of the view, relative to q, at window index 0
    taps : for each output phase r, the (window index, kernel index) pairs in it
    """

    phase: int
    step: int
    origin: int
    taps: tuple[_Taps, ...]


def transposed_taps(kernel: int, stride: int, pad: int) -> tuple[_Taps, ...]:
    """For each output phase r: the (offset d, kernel index k) with ``y[S q + r] += x[q + d] w[k]``.

    Transposed convolution ``y[o] = sum_i x[i] w[o + pad - S i]`` in scatter form, so
    ``k = (r + pad) mod S + S j`` and ``d = floor((r + pad) / S) - j``. ``pad`` is what is cropped
    off the start of the full output and may be negative (zeros added in front).
    """
    phases = []
    for r in range(stride):
        base, first = divmod(r + pad, stride)
        phases.append(tuple((base - j, k) for j, k in enumerate(range(first, kernel, stride))))
    return tuple(phases)


def strided_taps(kernel: int, stride: int, pad: int) -> tuple[_Taps, ...]:
    """For each input phase f: (offset d, kernel index k) with ``y[q] += x[S (q + d) + f] w[k]``.

    Convolution ``y[q] = sum_k x[S q + k - pad] w[k]``, so ``f = (k - pad) mod S``.
    """
    phases: list[list[tuple[int, int]]] = [[] for _ in range(stride)]
    for k in range(kernel):
        d, f = divmod(k - pad, stride)
        phases[f].append((d, k))
    return tuple(tuple(p) for p in phases)


def transposed_windows(kernel: int, stride: int, pad: int) -> tuple[AxisWindow, ...]:
    """Windows of a transposed convolution along one axis: all output phases share the input."""
    return _windows(transposed_taps(kernel, stride, pad), phase=0, step=1)


def strided_windows(kernel: int, stride: int, pad: int) -> tuple[AxisWindow, ...]:
    """Windows of a strided convolution along one axis: one output phase, up to S input views."""
    windows: list[AxisWindow] = []
    for f, taps in enumerate(strided_taps(kernel, stride, pad)):
        if taps:
            windows += _windows((taps,), phase=f, step=stride)
    return tuple(windows)


def single_input_windows(kernel: int, pad: int, outputs: int) -> tuple[AxisWindow, ...]:
    """Window of a transposed convolution whose input has one sample along the axis.

    Nothing overlaps, so every output is its own phase with at most one tap: ``y[r] = x[0] w[r +
    pad]``. Fully connected layers (and DCGAN's first layer) are matrix-vector products this way.
    """
    taps = tuple(((1, r + pad),) if 0 <= r + pad < kernel else () for r in range(outputs))
    return (AxisWindow(0, 1, -1, taps),)


def axis_positions(window_indices: tuple[int, ...]) -> int:
    """Winograd positions along one axis for taps at these window indices (0 for none)."""
    rows = {i for w in window_indices for i in range(winograd.PATCH) if winograd.G2[i, w] != 0}
    return len(rows)


def _windows(phases: tuple[_Taps, ...], phase: int, step: int) -> tuple[AxisWindow, ...]:
    offsets = [d for taps in phases for d, _ in taps]
    origins = _best_origins(
        tuple(tuple(sorted(d for d, _ in taps)) for taps in phases), min(offsets), max(offsets)
    )
    windows = []
    for origin, low, high in origins:
        inside = tuple(
            tuple(sorted((d - origin, k) for d, k in taps if low <= d <= high)) for taps in phases
        )
        windows.append(AxisWindow(phase, step, origin, inside))
    return tuple(windows)


def _best_origins(
    offsets: tuple[tuple[int, ...], ...], low: int, high: int
) -> list[tuple[int, int, int]]:
    """Cut [low, high] into runs of at most three offsets with the fewest Winograd positions.

    Returns (origin, first offset, last offset) of each window. A run shorter than three may sit
    anywhere in its window: a lone tap is cheapest in the centre (two positions, not three).
    """

    @cache
    def best(start: int) -> tuple[int, tuple[tuple[int, int, int], ...]]:
        if start > high:
            return 0, ()
        candidates = []
        for end in range(start, min(start + winograd.TAPS - 1, high) + 1):
            rest, windows = best(end + 1)
            for origin in range(end - winograd.TAPS + 1, start + 1):
                cost = sum(
                    axis_positions(tuple(d - origin for d in o if start <= d <= end))
                    for o in offsets
                )
                # Fewer windows first among equals: each costs a pass over the tiles.
                candidates.append((cost + rest, 1 + len(windows), (origin, start, end), windows))
        cost, _, window, windows = min(candidates)
        return cost, (window, *windows)

    return list(best(low)[1])
