"""What a processor computes between two runs, against definitions that share nothing with it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.common.errors import ProgramError
from winogen.network.graph import MAX_VALUES
from winogen.network.sampling import Axis, weights
from winogen.program.host_ops import (
    MAX_EPSILON,
    NORMALISED_BITS,
    RESAMPLED_BITS,
    WEIGHT_BITS,
    AveragePool,
    Extend,
    MaxPool,
    Multiply,
    Normalise,
    Resample,
    fraction_bits,
)

#: Instance, group, layer normalisation and that of each pixel, for six channels.
GROUPS = (6, 2, 3, 1, 0)


def values(shape: tuple[int, ...], seed: int = 0, bits: int = 8) -> np.ndarray:
    top = 1 << (bits - 1)
    return np.random.default_rng(seed).integers(-top, top, shape)


def normalised(numbers: list[int], op: Normalise) -> list[int]:
    """The definition in Python's integers, whose square root is found by bisection."""
    n = len(numbers)
    total = sum(numbers) if op.centred else 0
    epsilon = math.floor(Fraction(op.epsilon * n * n, 1 << 32) + Fraction(1, 2))
    variance = n * sum(x * x for x in numbers) - total * total + epsilon
    low, high = 0, 1 << 80
    while low < high:  # the least whole number whose square is no smaller
        middle = (low + high) // 2
        low, high = (low, middle) if middle * middle >= variance << 32 else (middle + 1, high)
    factor = (1 << (op.fraction + 46)) // low if low else 0
    return [
        math.floor(Fraction((n * x - total) * factor, 1 << 30) + Fraction(1, 2)) for x in numbers
    ]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("epsilon", [0, 1, 3 << 31, 1 << 40])
def test_normalise(bits, groups, centred, epsilon):
    x = values((2, 6, 3, 5), groups, bits)
    x[1, 2:4] = 7  # groups of equal values
    n = 6 * 15 // groups if groups else 6
    op = Normalise(groups, centred, epsilon, fraction_bits(n, bits))
    op.check()
    assert op.output_shape([(6, 3, 5)]) == (6, 3, 5)
    got = op.run([x])
    assert got.shape == x.shape
    for image in range(2):
        if groups:
            for g in range(groups):
                own = slice(g * 6 // groups, (g + 1) * 6 // groups)
                wanted = normalised(x[image, own].ravel().tolist(), op)
                assert got[image, own].ravel().tolist() == wanted
        else:
            for y, x_ in itertools.product(range(3), range(5)):
                wanted = normalised(x[image, :, y, x_].tolist(), op)
                assert got[image, :, y, x_].tolist() == wanted


@pytest.mark.parametrize("centred", [True, False])
def test_normalise_is_near_the_real_numbers(centred):
    """16 bits: to a half unit, and as much again for each 2^-20 of the factor."""
    x = values((1, 1, 16, 16), 3, 16)
    op = Normalise(1, centred, round(1e-5 * 2**32), fraction_bits(256, 16))
    wide = x.astype(np.longdouble)
    wide = wide - wide.mean() * centred
    exact = wide / np.sqrt((wide * wide).mean() + np.longdouble(1e-5)) * 2**op.fraction
    assert np.abs(op.run([x]) - exact).max() <= 0.5 + np.abs(exact).max() * 2.0**-20


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("centred", [True, False])
def test_nothing_is_divided_by_zero(groups, centred):
    op = Normalise(groups, centred, 0, 4)
    assert not op.run([np.zeros((1, 6, 2, 2), np.int64)]).any()
    constant = op.run([np.full((1, 6, 2, 2), -128)])
    assert np.unique(constant).tolist() == ([0] if centred else [-16])


def test_one_value():
    for x in (-32768, -1, 1, 32767):
        one = np.full((1, 1, 1, 1), x)
        fraction = fraction_bits(1, 16)
        assert Normalise(1, True, 0, fraction).run([one]) == 0
        assert Normalise(1, False, 0, fraction).run([one]) == int(math.copysign(1 << fraction, x))


@examples(150)
@given(st.data())
def test_no_value_is_beyond_the_bound(data):
    """|z| <= sqrt(n) 2^fraction, rounded: what gets near it is one value among equal ones."""
    bits = data.draw(st.sampled_from((8, 16)))
    top = 1 << (bits - 1)
    n = data.draw(st.one_of(st.integers(1, 40), st.sampled_from((255, 256, 1023, 4095, 1 << 16))))
    ends = st.sampled_from((-top, -1, 0, 1, top - 1))
    x = np.full(n, data.draw(ends))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, n - 1), ends), max_size=3)):
        x[at] = value
    op = Normalise(
        1, data.draw(st.booleans()), data.draw(st.integers(0, 1)), fraction_bits(n, bits)
    )
    largest = max(map(abs, op.run([x.reshape(1, 1, 1, n)]).ravel().tolist()))
    assert (2 * largest - 1) ** 2 <= n << (2 * op.fraction + 2) or not largest
    assert largest <= 1 << NORMALISED_BITS[bits]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("centred", [True, False])
def test_extremes_of_many_values_fit_64_bits(bits, centred):
    top = 1 << (bits - 1)
    n = 1 << 14
    for x in (
        np.full(n, -top), np.full(n, top - 1), np.where(np.arange(n), 0, -top),
        np.where(np.arange(n), top - 1, -top), np.where(np.arange(n) % 2, top - 1, -top),
    ):  # fmt: skip
        op = Normalise(1, centred, 0, fraction_bits(n, bits))
        got = op.run([x.reshape(1, 1, 128, 128)]).ravel()
        wanted = dict(zip(x.tolist(), normalised(x.tolist(), op)))
        assert dict(zip(x.tolist(), got.tolist())) == wanted


def test_the_largest_image_fits_64_bits():
    """Each product of the definition, at its bound, for every count of values that is possible.

    Cauchy and Schwarz: ``(n x - S)^2 <= n V``; the factor is at most ``2^(fraction + 30) /
    sqrt(V)``, so their product is at most ``sqrt(n) 2^(fraction + 30)``.
    """
    for power in range(30):
        for n in ((1 << power) - 1, 1 << power, (1 << power) + 1):
            if not 0 < n <= MAX_VALUES:
                continue
            assert n << 30 < 1 << 63  # squares
            assert n << 17 < 1 << 63  # n x - S
            for bits in (8, 16):
                fraction = fraction_bits(n, bits)
                assert fraction >= 0
                product = math.isqrt(n << 2 * (fraction + 30)) + 1
                assert product + (1 << 29) < 1 << 63
                assert product >> 30 <= 1 << NORMALISED_BITS[bits]
            assert 1 << (fraction_bits(n, 16) + 46 - 16) < 1 << 63  # the factor of a variance of 1


def test_an_epsilon_of_any_size():
    x = values((1, 2, 2, 2))
    assert not Normalise(2, True, MAX_EPSILON, 10).run([x]).any()


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (Normalise(-1, True, 0, 4), (6, 2, 2)),
        (Normalise(4, True, 0, 4), (6, 2, 2)),
        (Normalise(1, True, -1, 4), (6, 2, 2)),
        (Normalise(1, True, MAX_EPSILON + 1, 4), (6, 2, 2)),
        (Normalise(1, True, 0, 31), (6, 2, 2)),
        (Normalise(1, True, 0, 28), (6, 2, 2)),  # 24 values leave 27
        (Normalise(0, True, 0, 29), (6, 2, 2)),  # 6 leave 28
        (Normalise(1, True, 0, -1), (6, 2, 2)),
        (Extend("other", (1, 1, 1, 1)), (1, 4, 4)),
        (Extend("edge", (1, 1, 1)), (1, 4, 4)),  # type: ignore[arg-type]
        (Extend("edge", (1, 1, 1, -1)), (1, 4, 4)),
        (Extend("reflect", (0, 4, 0, 0)), (1, 4, 9)),
        (Extend("reflect", (0, 0, 4, 0)), (1, 9, 4)),
        (MaxPool((0, 2), (1, 1), (0, 0, 0, 0)), (1, 4, 4)),
        (MaxPool((2, 2), (1, 0), (0, 0, 0, 0)), (1, 4, 4)),
        (MaxPool((2, 2), (1, 1), (2, 0, 0, 0)), (1, 4, 4)),
        (MaxPool((2, 2), (1, 1), (0, 0, 0, 2)), (1, 4, 4)),
        (MaxPool((2, 2), (1, 1), (0, 0, -1, 0)), (1, 4, 4)),
        (MaxPool((5, 2), (1, 1), (0, 0, 0, 0)), (1, 4, 4)),
        (MaxPool((1 << 31, 2), (1, 1), (0, 0, 0, 0)), (1, 4, 4)),
        (MaxPool((2, 2, 2), (1, 1), (0, 0, 0, 0)), (1, 4, 4)),  # type: ignore[arg-type]
        (MaxPool((2, 2), (1,), (0, 0, 0, 0)), (1, 4, 4)),  # type: ignore[arg-type]
        (MaxPool((2, 2), (1, 1), (0, 0, 0)), (1, 4, 4)),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_possible(op, shape):
    with pytest.raises(ProgramError):
        op.check()
        op.output_shape([shape])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((5, 3, 4), (5, 3, 4)),
        ((5, 3, 4), (5, 1, 1)),
        ((1, 3, 4), (5, 1, 1)),
        ((5, 1, 4), (1, 3, 1)),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_multiply(a, b, bits):
    shape = Multiply().output_shape([a, b])
    assert shape == tuple(max(m, n) for m, n in zip(a, b))
    x, y = values((2, *a), 1, bits), values((2, *b), 2, bits)
    x.flat[0] = y.flat[0] = -(1 << (bits - 1))
    got = Multiply().run([x, y])
    assert got.shape == (2, *shape)
    for image, c, r, k in itertools.product(*map(range, got.shape)):
        left = int(x[image, c % a[0], r % a[1], k % a[2]])
        assert got[image, c, r, k] == left * int(y[image, c % b[0], r % b[1], k % b[2]])


def test_what_cannot_be_multiplied():
    for b in ((4, 3, 4), (5, 2, 4), (5, 3, 2)):
        with pytest.raises(ProgramError, match="cannot be multiplied"):
            Multiply().output_shape([(5, 3, 4), b])


def mirrored(i: int, n: int, mode: str) -> int:
    if mode == "edge":
        return min(max(i, 0), n - 1)
    if mode == "wrap":
        return i % n
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
@pytest.mark.parametrize("edges", [(0, 0, 0, 0), (1, 2, 3, 0), (3, 3, 4, 4), (0, 0, 0, 1)])
def test_extend(mode, edges):
    x = values((2, 3, 4, 5))
    op = Extend(mode, edges)
    op.check()
    got = op.run([x])
    assert got.shape[1:] == op.output_shape([(3, 4, 5)])
    top, _, left, _ = edges
    for image, c, r, k in itertools.product(*map(range, got.shape)):
        row, column = mirrored(r - top, 4, mode), mirrored(k - left, 5, mode)
        assert got[image, c, r, k] == x[image, c, row, column]


@pytest.mark.parametrize(
    ("window", "stride", "pad"),
    [
        ((2, 2), (2, 2), (0, 0, 0, 0)), ((3, 2), (1, 2), (1, 1, 0, 1)),
        ((3, 3), (2, 2), (0, 1, 0, 1)), ((6, 7), (1, 1), (0, 0, 0, 0)),
        ((1, 1), (3, 2), (0, 0, 0, 0)), ((9, 11), (2, 1), (4, 4, 5, 5)),
        ((1000, 2), (1000, 2), (999, 999, 1, 0)),
    ],
)  # fmt: skip
def test_max_pool(window, stride, pad):
    x = values((2, 3, 6, 7))
    op = MaxPool(window, stride, pad)
    op.check()
    got = op.run([x])
    assert got.shape[1:] == op.output_shape([(3, 6, 7)])
    for image, c, r, k in itertools.product(*map(range, got.shape)):
        first, left = r * stride[0] - pad[0], k * stride[1] - pad[2]
        rows = range(max(first, 0), min(first + window[0], 6))
        columns = range(max(left, 0), min(left + window[1], 7))
        inside = [x[image, c, a, b] for a, b in itertools.product(rows, columns)]
        assert got[image, c, r, k] == max(inside)
    last = (got.shape[2] * stride[0] + window[0], got.shape[3] * stride[1] + window[1])
    assert last[0] > 6 + pad[0] + pad[1]  # one more window would not be within the padding
    assert last[1] > 7 + pad[2] + pad[3]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("window", "stride", "pad"),
    [
        ((2, 2), (2, 2), (0, 0, 0, 0)), ((3, 3), (1, 1), (1, 1, 1, 1)),
        ((3, 2), (2, 1), (2, 0, 0, 1)), ((9, 11), (2, 1), (4, 4, 5, 5)),
        ((1000, 2), (1000, 2), (999, 999, 1, 0)),
    ],
)  # fmt: skip
def test_average_pool(window, stride, pad, bits):
    x = values((2, 3, 6, 7), 1, bits)
    op = AveragePool(window, stride, pad)
    op.check()
    got = op.run([x])
    assert got.shape[1:] == op.output_shape([(3, 6, 7)])
    for image, c, r, k in itertools.product(*map(range, got.shape)):
        first, left = r * stride[0] - pad[0], k * stride[1] - pad[2]
        rows = range(max(first, 0), min(first + window[0], 6))
        columns = range(max(left, 0), min(left + window[1], 7))
        inside = [int(x[image, c, a, b]) for a, b in itertools.product(rows, columns)]
        mean = Fraction(sum(inside), len(inside))
        assert got[image, c, r, k] == math.floor(mean * 2**14 + Fraction(1, 2))


def test_the_mean_of_the_largest_image_fits_64_bits():
    assert MAX_VALUES << 15 + 15 < 1 << 63
    x = np.full((1, 1, 2, 3), -32768)
    z = AveragePool((2, 3), (1, 1), (1, 1, 2, 2)).run([x])
    assert (z == -32768 << 14).all()
    assert abs(int(z.min())) << 15 < 1 << 47


def test_all_of_the_image_is_lowest():
    x = np.full((1, 1, 3, 3), -32768)
    assert (MaxPool((3, 3), (1, 1), (1, 1, 1, 1)).run([x]) == -32768).all()


def kernel(x: Fraction, cubic: Fraction | None) -> Fraction:
    """The piecewise polynomials as they are printed (Keys, 1981)."""
    x, a = abs(x), cubic
    if a is None:
        return 1 - x if x < 1 else Fraction(0)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else Fraction(0)


def mixture(axis: Axis, i: int) -> dict[int, Fraction]:
    """Weights of the samples that output i is made of."""
    at = axis.start + i * axis.step
    found: dict[int, Fraction] = {}
    for tap in range(math.floor(at) - 3, math.floor(at) + 5):
        weight = kernel(at - tap, axis.cubic)
        if axis.inside and not 0 <= tap < axis.inputs:
            continue
        sample = min(max(tap, 0), axis.inputs - 1)
        found[sample] = found.get(sample, Fraction(0)) + weight
    total = sum(found.values())
    return {k: v / total for k, v in found.items() if v}


AXES = [
    Axis(5, 10, Fraction(-1, 4), Fraction(1, 2)),
    Axis(5, 3, Fraction(1, 3), Fraction(5, 3)),
    Axis(5, 9, Fraction(0), Fraction(1, 2)),
    Axis(1, 4, Fraction(0), Fraction(1, 4)),
    Axis(5, 1, Fraction(2), Fraction(5)),
    Axis(5, 10, Fraction(-1, 4), Fraction(1, 2), Fraction(-3, 4)),
    Axis(5, 7, Fraction(-1, 7), Fraction(5, 7), Fraction(-1, 2), True),
    Axis(2, 11, Fraction(-9, 22), Fraction(2, 11), Fraction(-3, 4), True),
    Axis(9, 23, Fraction(-7, 23), Fraction(9, 23), Fraction(-3, 4)),  # its weights round unevenly
    Axis(6, 6, Fraction(5), Fraction(-1)),  # backwards
]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("bits", [8, 16])
def test_resample(axis, bits):
    """Within what rounding the weights of both axes, and the result, can make."""
    other = AXES[0]
    op = Resample(axis, other, WEIGHT_BITS[bits])
    op.check()
    x = values((1, 2, axis.inputs, other.inputs), 1, bits)
    assert op.output_shape([x.shape[1:]]) == (2, axis.outputs, other.outputs)
    got = op.run([x])
    rows = [mixture(axis, i) for i in range(axis.outputs)]
    columns = [mixture(other, i) for i in range(other.outputs)]
    taps = max(map(len, rows)) + max(map(len, columns))
    allowed = taps * 2 * 2.0 ** -WEIGHT_BITS[bits] * (1 << (bits - 1))
    for c, r, k in itertools.product(*map(range, got.shape[1:])):
        exact = sum(
            a * b * int(x[0, c, i, j]) for i, a in rows[r].items() for j, b in columns[k].items()
        )
        assert abs(got[0, c, r, k] / 2**RESAMPLED_BITS - exact) <= allowed


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("level", [-1.0, 0.3, 1.0])
def test_an_even_surface_stays_what_it_is(axis, bits, level):
    top = (1 << (bits - 1)) - 1
    x = np.full((1, 1, axis.inputs, axis.inputs), round(level * top))
    got = Resample(axis, axis, WEIGHT_BITS[bits]).run([x])
    assert np.unique(got).tolist() == [round(level * top) << RESAMPLED_BITS]


@pytest.mark.parametrize("inside", [True, False])
def test_the_largest_weights_of_a_resampling_fit_64_bits(inside):
    """Magnitudes add up to 3/2 at most: sums, and what is requantised, stay within."""
    gains = []
    for coefficient, outputs in itertools.product((0, -1, -2, -3, -4), (5, 37)):
        cubic = Fraction(coefficient, 4)
        dense = Axis(4, outputs, Fraction(-2), Fraction(8, outputs), cubic, inside)
        gains.append(np.abs(weights(dense)[1]).sum(axis=1).max())
    assert 1.4 < max(gains) <= 1.5
    worst = (1 << 15) * (1 << 28) * 1.51**2
    assert worst < 1 << 62
    assert (worst / (1 << 14) * (1 << 15) + (1 << 45)) * (1 << 15) + (1 << 61) < 1 << 63


def axis(**changes) -> Axis:
    return Axis(**{**vars(AXES[5]), **changes})


@pytest.mark.parametrize(
    "bad",
    [
        axis(inputs=0), axis(outputs=0), axis(outputs=(1 << 16) + 1),
        axis(step=Fraction(-(1 << 17))), axis(step=Fraction(1 << 17)),
        axis(start=Fraction(-(1 << 17))), axis(cubic=Fraction(1, 9)),
        axis(cubic=Fraction(10**400)), axis(cubic=Fraction(-9, 8)),
    ],
)  # fmt: skip
def test_a_resampling_that_is_not_possible(bad):
    for op in (Resample(bad, AXES[0], 10), Resample(AXES[0], bad, 14)):
        with pytest.raises(ProgramError):
            op.check()


def test_weights_of_other_bits():
    for bits in (-1, 0, 7, 16, 1 << 70):
        with pytest.raises(ProgramError, match="weights of"):
            Resample(AXES[0], AXES[0], bits).check()
    with pytest.raises(ProgramError, match="another size"):
        Resample(AXES[0], AXES[0], 10).output_shape([(3, 5, 6)])
