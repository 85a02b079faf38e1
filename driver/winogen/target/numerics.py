"""Exact integer numerics shared by the quantiser, the emulator and (as the reference) the RTL.

All functions work on integers and are bit-exact by construction. Widths, for a data width of
8 (16) bits: accumulators wrap at 32 (48) bits, requantisation multipliers are signed 16 bits,
shifts are 1 to 62, a pre-activation that feeds the activation table has 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MULTIPLIER_BITS = 16
MAX_SHIFT = 62
PREACTIVATION_BITS = 16
TABLE_SEGMENTS = 1024
TABLE_ENTRIES = TABLE_SEGMENTS + 1
_TABLE_FRACTION_BITS = PREACTIVATION_BITS - 10  # 1024 segments


def accumulator_bits(data_width: int) -> int:
    """Width of the accumulators and partial sums for a data width of 8 or 16."""
    return 32 if data_width == 8 else 48


def int_range(bits: int) -> tuple[int, int]:
    """Smallest and largest two's complement value of ``bits`` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def storage_dtype(data_width: int) -> np.dtype:
    """numpy dtype of an activation or weight: int8 or int16, little-endian."""
    return np.dtype(np.int8 if data_width == 8 else "<i2")


def wrap(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """``values`` modulo 2**bits, as signed ``bits``-bit numbers (what a hardware adder keeps)."""
    half = np.int64(1) << np.int64(bits - 1)
    mask = (np.int64(1) << np.int64(bits)) - 1
    return ((values + half) & mask) - half


@dataclass(frozen=True)
class Requantiser:
    """Per-output-channel requantisation constants; every field has shape (channels,).

    ``out = clamp((acc * m + 2**(shift-1)) >> shift, low, high)`` with ``m = negative`` where
    ``acc < 0`` and ``m = positive`` elsewhere: round half up, one mechanism for ReLU
    (``low = 0``), LeakyReLU and PReLU (``negative = slope * positive``), and batch-norm after
    ReLU (a per-channel clamp).
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def __call__(self, acc: NDArray[np.int64]) -> NDArray[np.int64]:
        """Requantise ``acc`` (..., channels), already wrapped to the accumulator width."""
        acc = acc.astype(np.int64, copy=False)
        factor = self.positive
        if np.any(self.negative != factor):
            factor = np.where(acc < 0, self.negative, factor)
        product = acc * factor
        rounded = (product + (np.int64(1) << (self.shift - 1))) >> self.shift
        return np.clip(rounded, self.low, self.high)


def powers_of_two(exponents: NDArray[np.signedinteger]) -> NDArray[np.float64]:
    """2**exponent, exactly, for integers of any width: ldexp takes a C int, or on 32 bits fails."""
    return np.ldexp(1.0, exponents.astype(np.intc))


def fixed_point(ratio: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multiplier and shift with ``multiplier / 2**shift`` nearest to each non-negative ratio.

    The multiplier is normalised to 15 bits (2**14 .. 2**15 - 1), so the relative error is at
    most 2**-15; powers of two are exact. A ratio of zero, or too small for a shift of 62, gives
    multiplier 0. Raises ValueError if a ratio is not finite, negative, or 2**14 or more.
    """
    ratio = np.asarray(ratio, np.float64)
    if not np.all(np.isfinite(ratio)) or np.any(ratio < 0):
        raise ValueError("a requantisation ratio must be finite and not negative")
    mantissa, exponent = np.frexp(ratio)  # ratio = mantissa * 2**exponent, mantissa in [0.5, 1)
    multiplier = np.floor(mantissa * (1 << 15) + 0.5).astype(np.int64)
    shift = 15 - exponent.astype(np.int64)
    carry = multiplier == 1 << 15
    multiplier = np.where(carry, 1 << 14, multiplier)
    shift = np.where(carry, shift - 1, shift)
    if np.any((shift < 1) & (multiplier > 0)):
        raise ValueError("a requantisation ratio is too large: 2**14 is the limit")
    # Beyond the largest shift, give up low bits of the multiplier instead.
    excess = np.clip(shift - MAX_SHIFT, 0, 62)
    multiplier = np.where(excess > 0, (multiplier + (1 << excess) // 2) >> excess, multiplier)
    shift = np.clip(shift, 1, MAX_SHIFT)
    return multiplier, np.where(multiplier == 0, 1, shift)


def activation_table(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], half_range: float
) -> NDArray[np.int16]:
    """The table of an activation over pre-activations in [-half_range, half_range].

    ``function`` maps a real pre-activation to the output code in units of one 16-bit LSB (so it
    already contains the output scale and the rounding). Entry i holds ``function`` at
    ``(i / 512 - 1) * half_range``; the hardware interpolates linearly between entries.

    Returns int16 of shape (1025,).
    """
    x = (np.arange(TABLE_ENTRIES) / (TABLE_SEGMENTS / 2) - 1) * half_range
    low, high = int_range(16)
    return np.clip(function(x), low, high).astype(np.int16)


def apply_table(
    table: NDArray[np.int16], pre: NDArray[np.int64], data_width: int
) -> NDArray[np.int64]:
    """Look up 16-bit pre-activations with linear interpolation, round half up to ``data_width``.

    ``y = (t[i]*64 + (t[i+1]-t[i])*f + half) >> (6 + 16 - data_width)``, saturated, where ``i``
    is the upper 10 and ``f`` the lower 6 bits of ``pre + 32768``.
    """
    index = pre.astype(np.int64) + (1 << (PREACTIVATION_BITS - 1))
    i = index >> _TABLE_FRACTION_BITS
    f = index & ((1 << _TABLE_FRACTION_BITS) - 1)
    t = table.astype(np.int64)
    shift = _TABLE_FRACTION_BITS + 16 - data_width
    y = ((t[i] << _TABLE_FRACTION_BITS) + (t[i + 1] - t[i]) * f + (1 << (shift - 1))) >> shift
    low, high = int_range(data_width)
    return np.clip(y, low, high)
