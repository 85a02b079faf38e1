"""Integers by a product: where they are those of the division, and never elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from support.strategies import drawn, examples
from winogen.program.formats import TensorFormat
from winogen.runtime.quantiser import Quantiser
from winogen.target.numerics import int_range

#: float32 numbers that divide to a half by this, in float64: by a product they are just below it,
#: or just above.
TIES = ((0.12794198, 122), (1.7409161, 11), (1.8689328, 56))


def integers(quantiser: Quantiser, x: np.ndarray) -> np.ndarray:
    saturate = quantiser.saturates(float(x.min()), float(x.max()))
    return quantiser.above_least(x, saturate).astype(np.int64) + quantiser.least


def steps(form: TensorFormat, bits: int, count: int) -> np.ndarray:
    """float32 numbers around where integers begin, all that are ``count`` to either side."""
    low, high = int_range(bits)
    begin = (np.arange(low, high + 2) - form.zero_point - 0.5) * form.scale
    near = begin.astype(np.float32).view(np.int32)[:, None] + np.arange(-count, count + 1)
    x = near.astype(np.int32).view(np.float32)
    return x[np.isfinite(x)]


@examples(60)
@given(drawn())
def test_integers_are_those_of_the_format(rng):
    """On both sides of every step, for any scale, and from end to end."""
    zero = (0.0, -0.5, -128.0, 0.3, 17.25)[rng.integers(5)]
    form = TensorFormat(float(np.exp(rng.normal(-4, 3))), zero)
    bits = (8, 8, 16)[rng.integers(3)]
    x = np.concatenate([steps(form, bits, 3), np.float32([0, -0.0, 1e30, -1e30, 1e-40, -1e-40])])
    np.testing.assert_array_equal(
        integers(Quantiser(form, *int_range(bits)), x), form.quantise(x, bits)
    )


@pytest.mark.parametrize(("value", "below"), TIES)
def test_where_a_product_gives_another_integer_it_is_divided(value, below):
    value = np.float32(value)
    form = TensorFormat(float(np.float64(value) / (below + 0.5)))
    quantiser = Quantiser(form, -128, 127)
    x = np.array([value])
    np.testing.assert_array_equal(integers(quantiser, x), form.quantise(x, 8))


def test_a_product_is_what_the_formats_of_networks_get(monkeypatch):
    """Those of latents and pictures; numbers of 64 bits are divided whatever the format."""
    divided = []
    exact = Quantiser._exact
    monkeypatch.setattr(
        Quantiser, "_exact", lambda self, x: (divided.append(x.dtype), exact(self, x))[1]
    )
    for scale, zero in ((4.5 / 127, 0.0), (1 / 127, 0.0), (1 / 255, -128.0)):
        quantiser = Quantiser(TensorFormat(scale, zero), -128, 127)
        divided.clear()
        for dtype in (np.float16, np.float32, np.float64):
            quantiser.above_least(np.zeros(3, dtype), False)
        assert divided == [np.float64]
