"""Requantisation, fixed point and activation tables against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import naive
from support.strategies import examples
from winogen.target import numerics
from winogen.target.numerics import (
    MAX_SHIFT,
    Requantiser,
    activation_table,
    apply_table,
    fixed_point,
    int_range,
    wrap,
)

TOP = (1 << 15) - 1
MULTIPLIERS = st.integers(-TOP - 1, TOP)


def accumulators(bits: int) -> st.SearchStrategy[int]:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return st.sampled_from((low, low + 1, -1, 0, 1, high)) | st.integers(low, high)


def requantised(acc: int, positive: int, negative: int, shift: int, low: int, high: int) -> int:
    """The definition, in rationals: multiply, divide, round half up, clamp."""
    exact = Fraction(acc * (negative if acc < 0 else positive), 1 << shift)
    return min(max(math.floor(exact + Fraction(1, 2)), low), high)


def constants(**values: int) -> Requantiser:
    return Requantiser(**{k: np.array([v], np.int64) for k, v in values.items()})


@pytest.mark.parametrize("bits", [32, 48])
@examples(500)
@given(data=st.data())
def test_requantiser_is_exact(bits, data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(-32768, 32767)] * 2)))
    fields = {
        "positive": data.draw(MULTIPLIERS),
        "negative": data.draw(MULTIPLIERS),
        "shift": data.draw(st.integers(1, MAX_SHIFT)),
        "low": low,
        "high": high,
    }
    acc = data.draw(st.lists(accumulators(bits), min_size=1, max_size=8))
    got = constants(**fields)(np.array(acc, np.int64)[:, None])
    assert got[:, 0].tolist() == [requantised(a, **fields) for a in acc]


@examples(300)
@given(st.integers(-1000, 1000), st.integers(1, 14), st.booleans())
def test_ties_round_up_on_both_sides_of_zero(whole, shift, mirrored):
    """acc * 1 / 2**shift lies exactly half way between ``whole`` and ``whole + 1``."""
    acc = (2 * whole + 1) << (shift - 1)
    factor = -1 if mirrored else 1  # a negative multiplier mirrors the sum, then rounds up
    q = constants(positive=factor, negative=factor, shift=shift, low=-32768, high=32767)
    (got,) = q(np.array([[acc * factor]], np.int64))[0]
    assert got == whole + 1


@pytest.mark.parametrize("bits", [32, 48])
@pytest.mark.parametrize("multiplier", [-TOP - 1, TOP])
@pytest.mark.parametrize("shift", [1, 40, MAX_SHIFT])
def test_the_widest_products_do_not_overflow(bits, multiplier, shift):
    fields = {"positive": multiplier, "negative": multiplier, "shift": shift,
              "low": -32768, "high": 32767}  # fmt: skip
    acc = [-(1 << (bits - 1)), (1 << (bits - 1)) - 1]
    got = constants(**fields)(np.array(acc)[:, None])[:, 0]
    assert got.tolist() == [requantised(a, **fields) for a in acc]


def test_channels_have_their_own_constants():
    q = Requantiser(*(np.array(v, np.int64) for v in (
        [2, 4, 1], [0, -4, 1], [1, 2, 1], [-128, -128, 0], [127, 3, 127])))  # fmt: skip
    acc = np.array([[10, 10, 5], [-10, -10, -5]])
    assert q(acc).tolist() == [[10, 3, 3], [0, 3, 0]]
    assert q(np.stack([acc, acc])).shape == (2, 2, 3)


ratios = st.floats(2.0**-44, 2.0**14, exclude_max=True, allow_nan=False)


@examples(500)
@given(ratios)
@example(2.0**14 * (1 - 2.0**-14))
@example(1.0 - 2.0**-53)
@example(0.1)
def test_fixed_point_error(ratio):
    try:
        multiplier, shift = (int(v) for v in fixed_point(np.float64(ratio)))
    except ValueError:
        assert Fraction(ratio) >= (1 << 14) - Fraction(1, 2), "only what rounds to the limit"
        return
    assert 1 << 14 <= multiplier <= TOP
    assert 1 <= shift <= MAX_SHIFT
    error = abs(Fraction(multiplier, 1 << shift) - Fraction(ratio))
    assert error <= Fraction(ratio) / (1 << 15)


@examples(300)
@given(st.floats(0.0, 2.0**-44))
@example(2.0**-62)
@example(2.0**-63)
@example(2.0**-64)
@example(5e-324)
def test_fixed_point_of_tiny_ratios_is_the_nearest_at_the_largest_shift(ratio):
    """Where the shift runs out the multiplier loses bits, but by rounding alone."""
    multiplier, shift = (int(v) for v in fixed_point(np.float64(ratio)))
    assert 0 <= multiplier <= TOP
    assert 1 <= shift <= MAX_SHIFT
    error = abs(Fraction(multiplier, 1 << shift) - Fraction(ratio))
    # Rounded twice, to 15 bits and then to the shift: a hair over half a unit at most.
    bound = Fraction(ratio) / (1 << 15) + Fraction(1, 1 << (MAX_SHIFT + 1))
    assert error <= bound


def test_fixed_point_of_powers_of_two_is_exact():
    exponents = np.arange(-MAX_SHIFT, 14)
    multiplier, shift = fixed_point(np.ldexp(1.0, exponents))
    for e, m, s in zip(exponents.tolist(), multiplier.tolist(), shift.tolist()):
        assert Fraction(m, 1 << s) == Fraction(2) ** e


def test_fixed_point_of_zero_and_of_arrays():
    multiplier, shift = fixed_point(np.array([0.0, 0.5, 1e-300]))
    assert multiplier.tolist() == [0, 1 << 14, 0]
    assert shift.tolist() == [1, 15, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e-9])
def test_fixed_point_refuses_what_is_no_ratio(bad):
    with pytest.raises(ValueError, match="finite and not negative"):
        fixed_point(np.array([1.0, bad]))


@pytest.mark.parametrize("bad", [2.0**14, 1e300, np.nextafter(2.0**14, 0)])
def test_fixed_point_refuses_what_is_too_large(bad):
    with pytest.raises(ValueError, match=r"too large: 2\*\*14"):
        fixed_point(np.array([1.0, bad]))


@examples(300)
@given(st.lists(st.integers(-(1 << 62), (1 << 62) - 1), min_size=1), st.sampled_from((32, 48)))
@example([(1 << 31) - 1, 1 << 31, -(1 << 31), -(1 << 31) - 1, (1 << 47) - 1, 1 << 47], 32)
@example([(1 << 47) - 1, 1 << 47, -(1 << 47), -(1 << 47) - 1], 48)
def test_wrap(values, bits):
    assert wrap(np.array(values, np.int64), bits).tolist() == [naive.wrap(v, bits) for v in values]


def test_widths_and_storage():
    assert [numerics.accumulator_bits(w) for w in (8, 16)] == [32, 48]
    assert int_range(8) == (-128, 127)
    assert int_range(16) == (-32768, 32767)
    assert numerics.storage_dtype(8) == np.int8
    assert numerics.storage_dtype(16) == np.dtype("<i2")


# --- activation tables ---------------------------------------------------------------------------

PRE = np.arange(-32768, 32768)


def table_code(function, scale: float, zero: float, data_width: int, half_range: float):
    """A table of ``function`` in output codes, built as a compiler does."""
    low, high = int_range(data_width)
    lsb = 1 << (16 - data_width)

    def code(x: np.ndarray) -> np.ndarray:
        codes = np.clip(function(x) / scale + zero, low, high)
        return np.floor(codes * lsb + (0.0 if data_width == 8 else 0.5))

    return activation_table(code, half_range)


@examples(200)
@given(
    st.lists(st.integers(-32768, 32767), min_size=2, max_size=30),
    st.sampled_from((8, 16)),
    st.integers(-32768, 32767),
)
@example([-32768, 32767], 8, 32767)
@example([32767, 32767], 16, 32767)
def test_interpolation_is_exact(values, data_width, pre):
    table = np.resize(np.array(values, np.int16), numerics.TABLE_ENTRIES)
    i, f = divmod(pre + 32768, 64)
    line = Fraction(int(table[i])) + Fraction(int(table[i + 1]) - int(table[i])) * Fraction(f, 64)
    low, high = int_range(data_width)
    exact = math.floor(line / (1 << (16 - data_width)) + Fraction(1, 2))
    assert apply_table(table, np.array([pre]), data_width) == min(max(exact, low), high)


@pytest.mark.parametrize(
    ("function", "half_range", "scale", "zero"),
    [
        (np.tanh, 4.0, 2 / 255, -0.5),
        (np.tanh, 4.0, 1 / 127, 0.0),
        (lambda x: 1 / (1 + np.exp(-x)), 8.0, 1 / 255, -128.0),
    ],
)
def test_int8_tables_are_right_to_one_code(function, half_range, scale, zero):
    """Every one of the 65536 pre-activations, against the float function."""
    table = table_code(function, scale, zero, 8, half_range)
    got = apply_table(table, PRE, 8)
    exact = np.clip(function(PRE / 32768 * half_range) / scale + zero, -128, 127)
    assert np.abs(got - exact).max() <= 1
    assert np.abs(got - np.floor(exact + 0.5)).max() <= 1
    assert np.mean(got == np.floor(exact + 0.5)) > 0.98
    assert np.all(np.diff(got) >= 0)


@pytest.mark.parametrize(
    ("function", "half_range", "scale", "zero", "curvature"),
    [
        (np.tanh, 4.0, 2 / 65535, -0.5, 4 / (3 * math.sqrt(3))),
        (lambda x: 1 / (1 + np.exp(-x)), 8.0, 1 / 65535, -32768.0, 1 / (6 * math.sqrt(3))),
    ],
)
def test_int16_tables_keep_the_interpolation_bound(function, half_range, scale, zero, curvature):
    """Linear interpolation errs by h^2/8 * max|f''|, and codes round twice by half."""
    table = table_code(function, scale, zero, 16, half_range)
    got = apply_table(table, PRE, 16)
    exact = np.clip(function(PRE / 32768 * half_range) / scale + zero, -32768, 32767)
    bound = (half_range / 512) ** 2 / 8 * curvature / scale + 1
    assert np.abs(got - exact).max() <= bound


def test_table_values_saturate_at_sixteen_bits():
    table = activation_table(lambda x: x * 1e6, 4.0)
    assert (table[0], table[-1]) == (-32768, 32767)
    assert table.dtype == np.int16
    assert table.shape == (numerics.TABLE_ENTRIES,)
