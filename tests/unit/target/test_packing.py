"""Two products a multiplier: exact within the conditions, and the conditions are tight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winogen.target import packing, winograd
from winogen.target.packing import LARGEST_HIGH, LARGEST_LOW_SUM, fits_high, fits_low, packed_sums

LANES = 8
OPERANDS = st.lists(st.integers(-512, 511), min_size=LANES, max_size=LANES)


def exact(z, low, high):
    return (low * z).sum(-1), (high * z).sum(-1)


@given(
    OPERANDS,
    st.lists(st.integers(-2048, 2047), min_size=LANES, max_size=LANES),
    st.lists(st.integers(-LARGEST_HIGH, LARGEST_HIGH), min_size=LANES, max_size=LANES),
)
def test_exact_within_the_conditions(z, low, high):
    z, low, high = map(np.array, (z, low, high))
    if not fits_low(low):
        low = np.trunc(low * (LARGEST_LOW_SUM / np.abs(low).sum())).astype(np.int64)
    assert fits_low(low) and fits_high(high)
    assert packed_sums(z, low, high) == exact(z, low, high)


def test_exact_at_the_ends():
    """Every sign of the largest weights and operands, in every number of lanes."""
    ends = np.array([-512, 511])
    share, rest = divmod(LARGEST_LOW_SUM, LANES)
    low = np.full(LANES, share)
    low[0] += rest
    assert np.abs(low).sum() == LARGEST_LOW_SUM
    signs = np.sign(np.indices((2,) * LANES).reshape(LANES, -1).T - 0.5).astype(np.int64)
    for z in ends:
        for high in (-LARGEST_HIGH, 0, LARGEST_HIGH):
            args = np.full(LANES, z), signs * low, signs[::-1] * high
            for got, wanted in zip(packed_sums(*args), exact(*args)):
                np.testing.assert_array_equal(got, wanted)


def test_the_conditions_are_tight():
    z = np.full(LANES, -512)
    low = np.zeros(LANES, np.int64)
    low[:3] = -2048, -2047, -1  # one more than may be
    zero = np.zeros(LANES, np.int64)
    assert not fits_low(low)
    assert packed_sums(z, low, zero) != exact(z, low, zero)
    low[2] = 0
    assert fits_low(low) and packed_sums(z, low, zero) == exact(z, low, zero)
    high = np.zeros(LANES, np.int64)
    high[0] = LARGEST_HIGH + 1
    assert not fits_high(high)
    assert packed_sums(z, zero, high) != exact(z, zero, high)


@pytest.mark.parametrize("lanes", (4, 8))
def test_untransformed_weights_are_always_exact(lanes):
    assert fits_low(np.full(lanes, -128)) and fits_high(np.full(lanes, -128))


def test_what_a_filter_transforms_to():
    """Not every 8-bit filter meets the conditions: the compiler has to look."""
    largest = np.abs(winograd.transform_filter(np.full((3, 3), 127))).max()
    assert LARGEST_HIGH < largest < 1 << packing.WEIGHT_BITS - 1
    assert LANES * largest > LARGEST_LOW_SUM
