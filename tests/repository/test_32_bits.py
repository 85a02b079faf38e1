"""What numpy does otherwise on the 32-bit processor of a PYNQ-Z1 or Z2."""

from __future__ import annotations

import numpy as np
import pytest

import winogen
from winogen.target import numerics

_ldexp = np.ldexp


@pytest.fixture
def narrow_ldexp(monkeypatch):
    """There a C long has 32 bits, and ldexp takes no exponent that is wider than that."""

    def ldexp(x, exponent):
        if np.asarray(exponent).dtype.itemsize > 4 and not isinstance(exponent, int):
            raise TypeError("ufunc 'ldexp' not supported for the input types")
        return _ldexp(x, exponent)

    monkeypatch.setattr(np, "ldexp", ldexp)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_network_is_compiled_and_run(bits, narrow_ldexp):
    program = winogen.compile_model("digits", board="tiny", bits=bits, batch=1)
    with winogen.Generator(program) as generator:
        assert generator.generate(generator.latents(1)).std() > 10


def test_powers_of_two(narrow_ldexp):
    exponents = np.array([-62, 0, 1, 62], np.int64)
    assert numerics.powers_of_two(exponents).tolist() == [2.0**-62, 1.0, 2.0, 2.0**62]
    with pytest.raises(TypeError, match="ldexp"):
        np.ldexp(1.0, exponents)
