"""Every (kernel, stride, pad) of an axis: the taps against the definition of the operation."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest

from winogen.compiler import tdc
from winogen.target import winograd

CASES = [
    (kernel, stride, pad)
    for kernel, stride in product(range(1, 10), range(1, 5))
    for pad in range(-2, kernel + 1)
]
OFFSETS = range(-16, 17)  # every offset that these cases can need, and more


def transposed_by_definition(kernel: int, stride: int, pad: int) -> list[set[tuple[int, int]]]:
    """For each output phase r the (d, k) with ``stride * (q + d) + k - pad == stride * q + r``."""
    return [
        {(d, k) for d, k in product(OFFSETS, range(kernel)) if stride * d + k - pad == r}
        for r in range(stride)
    ]


def strided_by_definition(kernel: int, stride: int, pad: int) -> list[set[tuple[int, int]]]:
    """For each input phase f the (d, k) with ``stride * (q + d) + f == stride * q + k - pad``."""
    return [
        {(d, k) for d, k in product(OFFSETS, range(kernel)) if stride * d + f == k - pad}
        for f in range(stride)
    ]


def seen(windows: list[tdc.AxisWindow], phase: int) -> list[tuple[int, int]]:
    """All (offset, kernel index) that the windows give one output phase, repeats included."""
    return [(w.origin + i, k) for w in windows for i, k in w.taps[phase]]


def check_windows(windows: list[tdc.AxisWindow]) -> None:
    for window in windows:
        indices = [i for taps in window.taps for i, _ in taps]
        assert indices, "a window without taps costs a pass and does nothing"
        assert all(0 <= i < winograd.TAPS for i in indices)
        for taps in window.taps:
            assert len({i for i, _ in taps}) == len(taps), "two taps in one place"


def cheapest(offsets: list[list[int]], low: int, high: int) -> int:
    """Fewest Winograd positions along the axis over every cut into windows, by brute force."""
    rows = [{0, 1, 2}, {1, 2}, {1, 2, 3}]  # rows of G in which a tap at 0, 1, 2 is not zero

    def cost(start: int, end: int, origin: int) -> int:
        inside = ([d - origin for d in phase if start <= d <= end] for phase in offsets)
        return sum(len(set().union(*(rows[i] for i in taps))) for taps in inside)

    @cache
    def best(start: int) -> int:
        if start > high:
            return 0
        return min(
            cost(start, end, origin) + best(end + 1)
            for end in range(start, min(start + 2, high) + 1)
            for origin in range(end - 2, start + 1)
        )

    return best(low)


def axis_cost(windows: list[tdc.AxisWindow]) -> int:
    return sum(tdc.axis_positions(tuple(i for i, _ in t)) for w in windows for t in w.taps)


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("kernel", range(1, 10))
def test_transposed(kernel, stride):
    for pad in range(-2, kernel + 1):
        wanted = transposed_by_definition(kernel, stride, pad)
        taps = tdc.transposed_taps(kernel, stride, pad)
        assert [set(t) for t in taps] == wanted
        assert sorted(k for t in taps for _, k in t) == list(range(kernel))
        windows = list(tdc.transposed_windows(kernel, stride, pad))
        check_windows(windows)
        assert all((w.phase, w.step, len(w.taps)) == (0, 1, stride) for w in windows)
        for r in range(stride):
            assert sorted(seen(windows, r)) == sorted(wanted[r])
        offsets = [[d for d, _ in t] for t in taps]
        flat = [d for t in offsets for d in t]
        assert axis_cost(windows) == cheapest(offsets, min(flat), max(flat))


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("kernel", range(1, 10))
def test_strided(kernel, stride):
    for pad in range(-2, kernel + 1):
        wanted = strided_by_definition(kernel, stride, pad)
        taps = tdc.strided_taps(kernel, stride, pad)
        assert [set(t) for t in taps] == wanted
        windows = list(tdc.strided_windows(kernel, stride, pad))
        check_windows(windows)
        assert all(w.step == stride and len(w.taps) == 1 for w in windows)
        assert sorted(k for w in windows for _, k in w.taps[0]) == list(range(kernel))
        for f in range(stride):
            view = [w for w in windows if w.phase == f]
            assert sorted(seen(view, 0)) == sorted(wanted[f])
            flat = [d for d, _ in taps[f]]
            if flat:
                assert axis_cost(view) == cheapest([flat], min(flat), max(flat))


@pytest.mark.parametrize("kernel", range(1, 10))
def test_single_input(kernel):
    for pad, outputs in product(range(-2, kernel + 1), range(1, 12)):
        (window,) = tdc.single_input_windows(kernel, pad, outputs)
        assert (window.phase, window.step, len(window.taps)) == (0, 1, outputs)
        for r, taps in enumerate(window.taps):
            # One base-grid point, q = 0, and one sample, x[0]: y[r] = x[0] * w[r + pad].
            wanted = [(0, r + pad)] if 0 <= r + pad < kernel else []
            assert [(window.origin + i, k) for i, k in taps] == wanted
            assert all(0 <= i < winograd.TAPS for i, _ in taps)


def test_windows_compute_the_operation():
    """The documented formula of a window, run over an axis, equals the loops."""
    rng = np.random.default_rng(3)
    for kernel, stride, pad in CASES:
        x, w = rng.integers(-9, 9, 7), rng.integers(-9, 9, kernel)
        outputs = max((len(x) - 1) * stride + kernel - pad, 1)
        full = np.zeros(outputs + max(pad, 0) + kernel, np.int64)
        for i, k in product(range(len(x)), range(kernel)):
            if 0 <= stride * i + k - pad < outputs:
                full[stride * i + k - pad] += x[i] * w[k]
        windows = tdc.transposed_windows(kernel, stride, pad)
        assert run_axis(windows, x, w, outputs, stride) == full[:outputs].tolist()

        outputs = max((len(x) + max(pad, 0) - kernel) // stride + 1, 1)
        direct = [
            sum(
                int(x[stride * q + k - pad]) * int(w[k])
                for k in range(kernel)
                if 0 <= stride * q + k - pad < len(x)
            )
            for q in range(outputs)
        ]
        assert run_axis(tdc.strided_windows(kernel, stride, pad), x, w, outputs, 1) == direct


def run_axis(windows, x, weight, outputs: int, stride: int) -> list[int]:
    out = [0] * (-(-outputs // stride) * stride)
    for window in windows:
        for q, r in product(range(-(-outputs // stride)), range(stride)):
            for w, k in window.taps[r]:
                i = window.step * (q + window.origin + w) + window.phase
                if 0 <= i < len(x):
                    out[stride * q + r] += int(x[i]) * int(weight[k])
    return out[:outputs]


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "windows", "positions"),
    [(5, 2, 2, 1, 7), (4, 2, 1, 1, 6), (3, 1, 1, 1, 4), (1, 1, 0, 1, 2), (9, 2, 4, 2, 13)],
)
def test_windows_and_positions_of_known_layers(kernel, stride, pad, windows, positions):
    got = tdc.transposed_windows(kernel, stride, pad)
    assert (len(got), axis_cost(list(got))) == (windows, positions)
