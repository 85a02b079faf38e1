"""Two exact products a multiplier: the arithmetic, and the weights for which it is exact.

A multiplier of a packed array multiplies ``2**SHIFT * high + low``, a weight of each of two blocks
of output channels, by one operand ``z`` of both. The cascade over the input lanes adds up

    packed = 2**SHIFT * H + L        H = sum(high * z),  L = sum(low * z)

so its upper bits are ``q = H + floor(L / 2**SHIFT)``. Beside it runs ``r``, the sum of ``high * z``
modulo ``2**RESIDUE``. Then ``q - r`` is ``floor(L / 2**SHIFT)`` modulo ``2**RESIDUE``, and is that
number itself, taken as signed, wherever ``-2**(SHIFT+RESIDUE-1) <= L < 2**(SHIFT+RESIDUE-1)``. It
gives H, and with the lower bits of ``packed`` L. Two conditions therefore make both sums exact:

- ``2**SHIFT * high + low`` fits the multiplier (:func:`fits_high`);
- no L of any operands goes beyond that range (:func:`fits_low`).

With ``high`` all zero nothing needs to be told apart, and any ``low`` is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import wrap

SHIFT = LOGIC.pack_shift
RESIDUE = LOGIC.residue_bits
#: Bits of the multiplier's port that takes a pair of weights, of a transformed input and of a
#: transformed filter of 8-bit data.
PAIR_BITS = 25
Z_BITS = 10
WEIGHT_BITS = 12

#: No weight of the upper half may be larger.
LARGEST_HIGH = (1 << (PAIR_BITS - 1 - SHIFT)) - 1
#: No word's magnitudes of the lower half, summed over the input lanes, may be larger.
LARGEST_LOW_SUM = ((1 << (SHIFT + RESIDUE - 1)) - 1) >> (Z_BITS - 1)


def fits_high(words: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether weights (..., input lanes) are exact in the upper half, (...)."""
    fits: NDArray[np.bool_] = np.abs(words).max(axis=-1) <= LARGEST_HIGH
    return fits


def fits_low(words: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether weights (..., input lanes) are exact in the lower half, (...)."""
    fits: NDArray[np.bool_] = np.abs(words).sum(axis=-1) <= LARGEST_LOW_SUM
    return fits


def packed_sums(
    z: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The two sums over the lanes as the logic makes them, exact or not: of ``low``, of ``high``.

    All arguments are (..., input lanes) and are broadcast; the sums are (...).
    """
    pair = wrap((high << SHIFT) + low, PAIR_BITS)
    packed = (pair * z).sum(axis=-1)
    residue = (high * z).sum(axis=-1)
    upper = packed >> SHIFT
    difference = wrap(upper - residue, RESIDUE)
    sums = (difference << SHIFT) + (packed & ((1 << SHIFT) - 1)), upper - difference
    width = sum_bits(z.shape[-1])
    return wrap(sums[0], width), wrap(sums[1], width)


def sum_bits(lanes: int) -> int:
    """Bits of a sum over so many input lanes."""
    return Z_BITS + WEIGHT_BITS + (lanes - 1).bit_length()
