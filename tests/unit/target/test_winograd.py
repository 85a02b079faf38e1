"""F(2x2, 3x3) in integers: against direct correlation, and the bit widths that it claims."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from support import naive
from support.strategies import examples
from winogen.compiler.lower import Mode, lower
from winogen.compiler.shape import ConvShape
from winogen.target import winograd

RANGES = {8: (-128, 127), 16: (-32768, 32767)}

#: Written out from the paper (Lavin & Gray, with G doubled), not taken from the package.
BT = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
G2 = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]
AT = [[1, 1, 1, 0], [0, 1, -1, -1]]


def correlate(z: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The 2x2 valid correlation of a 4x4 patch with a 3x3 filter, in Python integers."""
    return naive.conv(z.astype(object)[None], g.astype(object)[None, None], (1, 1), (0, 0), (2, 2))


def winograd_product(z: np.ndarray, g: np.ndarray) -> np.ndarray:
    u, v = winograd.transform_filter(g), winograd.transform_input(z)
    return winograd.transform_output(u * v)


def signed_bits(low: int, high: int) -> int:
    """Fewest bits of a two's complement number that holds low..high."""
    return max(high.bit_length(), (-low - 1).bit_length()) + 1


@pytest.mark.parametrize("bits", [8, 16])
@examples(200)
@given(data=st.data())
def test_four_times_the_correlation(bits, data):
    low, high = RANGES[bits]
    values = st.sampled_from((low, low + 1, 0, 1, high)) | st.integers(low, high)
    z = data.draw(hnp.arrays(np.int64, (4, 4), elements=values))
    g = data.draw(hnp.arrays(np.int64, (3, 3), elements=values))
    y = winograd_product(z, g)
    assert not np.any(y & 3), "the sum must be a multiple of four"
    assert np.array_equal(y >> winograd.OUTPUT_SHIFT, correlate(z, g)[0].astype(np.int64))


@pytest.mark.parametrize("bits", [8, 16])
def test_all_extremes(bits):
    low, high = RANGES[bits]
    rng = np.random.default_rng(bits)
    for z_fill, g_fill in product((low, high), repeat=2):
        z, g = np.full((4, 4), z_fill), np.full((3, 3), g_fill)
        assert np.array_equal(winograd_product(z, g), 4 * correlate(z, g)[0].astype(np.int64))
    for _ in range(200):
        z, g = rng.choice((low, high), (4, 4)), rng.choice((low, high), (3, 3))
        assert np.array_equal(winograd_product(z, g), 4 * correlate(z, g)[0].astype(np.int64))


def test_the_matrices_are_the_published_ones():
    assert winograd.BT.tolist() == BT
    assert winograd.G2.tolist() == G2
    assert winograd.AT.tolist() == AT
    assert (winograd.TILE, winograd.TAPS, winograd.PATCH, winograd.POSITIONS) == (2, 3, 4, 16)


def test_transforms_keep_trailing_axes_and_dtype():
    rng = np.random.default_rng(0)
    for transform, matrix, size in (
        (winograd.transform_input, BT, 4),
        (winograd.transform_filter, G2, 3),
        (winograd.transform_output, AT, 4),
    ):
        for dtype in (np.int64, np.int32, np.float32):
            x = rng.integers(-100, 100, (size, size, 3, 2)).astype(dtype)
            before = x.copy()
            y = transform(x)
            m = np.array(matrix)
            assert y.dtype == dtype
            assert np.array_equal(y, np.einsum("ia,abcd,jb->ijcd", m, x, m))
            assert np.array_equal(x, before), "the argument must not change"


@pytest.mark.parametrize(
    ("transform", "matrix", "size", "bits", "claimed"),
    [
        (winograd.transform_input, BT, 4, 8, 10),
        (winograd.transform_input, BT, 4, 16, 18),
        (winograd.transform_filter, G2, 3, 8, 12),
        (winograd.transform_filter, G2, 3, 16, 20),
    ],
)
def test_transform_widths_are_reached_and_never_passed(transform, matrix, size, bits, claimed):
    """Each entry is linear in the data, so its extremes lie at the corner of the signs."""
    low, high = RANGES[bits]
    smallest, largest = 0, 0
    for i, j in product(range(4), range(4)):
        signs = np.outer(matrix[i], matrix[j])
        top = transform(np.where(signs > 0, high, low).astype(np.int64))[i, j]
        bottom = transform(np.where(signs > 0, low, high).astype(np.int64))[i, j]
        bound = [
            np.where(signs > 0, a * signs, b * signs).sum() for a, b in ((high, low), (low, high))
        ]
        assert [top, bottom] == bound
        smallest, largest = min(smallest, int(bottom)), max(largest, int(top))
    assert signed_bits(smallest, largest) == claimed
    assert claimed <= 25, "wider than the long side of a DSP"


@pytest.mark.parametrize(("bits", "claimed"), [(8, 21), (16, 37)])
def test_product_width(bits, claimed):
    """The largest product of a transformed patch and a transformed filter at one position."""
    low, high = RANGES[bits]
    largest, smallest = 0, 0
    for i, j in product(range(4), range(4)):
        v_signs, u_signs = np.outer(BT[i], BT[j]), np.outer(G2[i], G2[j])
        v = [
            winograd.transform_input(np.where(v_signs > 0, a, b).astype(np.int64))[i, j]
            for a, b in ((high, low), (low, high))
        ]
        u = [
            winograd.transform_filter(np.where(u_signs > 0, a, b).astype(np.int64))[i, j]
            for a, b in ((high, low), (low, high))
        ]
        products = [int(a) * int(b) for a in v for b in u]
        largest, smallest = max(largest, *products), min(smallest, *products)
    assert signed_bits(smallest, largest) == claimed


@pytest.mark.parametrize(("bits", "accumulator", "channels"), [(8, 32, 4096), (16, 48, 4096)])
def test_sums_may_wrap_in_the_winograd_domain(bits, accumulator, channels):
    """Only the final sum must fit: wrapped accumulators give the same outputs."""
    low, high = RANGES[bits]
    z = np.full((4, 4), high)
    z[1:3, 1:3] = low  # drives position (1, 1) to its extreme while the outputs stay small
    g = np.full((3, 3), high)
    m = winograd.transform_filter(g) * winograd.transform_input(z) * channels
    assert np.abs(m).max() >= 1 << (accumulator - 1), "this case must overflow to mean anything"
    wrapped = np.vectorize(naive.wrap)(m, accumulator)
    y = np.vectorize(naive.wrap)(winograd.transform_output(wrapped), accumulator)
    assert np.array_equal(y >> 2, channels * correlate(z, g)[0].astype(np.int64))


@examples(200)
@given(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=9))
def test_positions_are_exactly_those_that_some_filter_reaches(taps):
    rng = np.random.default_rng(1)
    reached = np.zeros((4, 4), bool)
    for _ in range(8):
        g = np.zeros((3, 3), np.int64)
        for tap in taps:
            g[tap] = rng.integers(1, 1 << 30)
        reached |= winograd.transform_filter(g) != 0
    assert winograd.positions(taps) == tuple(np.flatnonzero(reached).tolist())


def test_output_coefficients_rebuild_the_output_transform():
    rng = np.random.default_rng(2)
    m = rng.integers(-1000, 1000, (4, 4))
    total = sum(winograd.output_coefficients(p) * m[divmod(p, 4)] for p in range(16))
    assert np.array_equal(total, np.array(AT) @ m @ np.array(AT).T)


@pytest.mark.parametrize(
    ("kernel", "pad", "by_phase"), [(5, 2, (16, 12, 12, 9)), (4, 1, (9, 9, 9, 9))]
)
def test_zero_patterns_of_the_published_deconvolutions(kernel, pad, by_phase):
    """49 of 64 positions for 5x5 stride 2, 36 of 64 for 4x4 stride 2."""
    shape = ConvShape(True, (kernel,) * 2, (2, 2), (pad,) * 2, (8, 8), (16, 16))
    (group,) = lower(shape, mode=Mode.WINOGRAD).groups
    (one,) = group.passes
    counts = [sum(a.phase == p for a in one.accumulators) for p in range(4)]
    assert sorted(counts, reverse=True) == list(by_phase)
    assert len(one.steps) == sum(by_phase)
