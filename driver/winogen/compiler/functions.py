"""Activation tables: the range that one covers, its entries, and what it is off by."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.block import Block
from winogen.compiler.quantised import QuantLayer
from winogen.program.formats import TensorFormat
from winogen.target import numerics
from winogen.target.numerics import int_range

#: Real half range of the pre-activation of each tabulated function, for 8 and 16 bits: beyond
#: it the function is within half a step of its limit (8 bits), or a few steps (16 bits).
TABLE_RANGE = {("tanh", 8): 4.0, ("sigmoid", 8): 8.0, ("tanh", 16): 8.0, ("sigmoid", 16): 16.0}
#: What arguments that calibration has not seen may go beyond those that it has.
_SPARE = 1.25
#: Codes that a function may change by where its table ends before its arguments do.
_FLAT = 0.25
#: Arguments between the smallest and the largest at which that is tried.
_TRIED = 4097
#: The half range that a function which is the same everywhere gets.
_SMALLEST = 2.0**-16
#: Codes, by data width, that a table may be off by before that is told: more than the roundings'
#: half and whole one by one code of 8 bits, and by a 4096th of all of 16.
TOLD = {8: 1.5, 16: 17.0}

Codes = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def codes_of(
    block: Block, out: TensorFormat, data_width: int, bounds: tuple[float, float] | None
) -> Codes:
    """The function of a block in output codes that are not rounded, by its real argument."""
    low, high = int_range(data_width)

    def codes(x: NDArray[np.float64]) -> NDArray[np.float64]:
        if block.function == "tanh":
            y = np.tanh(x)
        elif block.function == "sigmoid":
            y = 1 / (1 + np.exp(-x))
        elif block.curve is not None:
            y = _finite(x, block.curve(x))
        else:
            assert bounds is not None
            y = np.clip(x, *bounds)
        return np.clip(y / out.scale + out.zero_point, low, high)

    return codes


def _finite(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a function; where it has none, as a root below 0, those next to it."""
    known = np.abs(y) < 1e30
    return np.interp(x, x[known], y[known]) if known.any() else np.zeros_like(y)


def power_of_two_above(bounds: tuple[float, float]) -> float:
    """The least power of two that neither of two numbers is beyond."""
    return float(2.0 ** np.ceil(np.log2(max(abs(bounds[0]), abs(bounds[1]), 1e-6))))


def half_range(codes: Codes, values: NDArray, least: float) -> float:
    """Half range of the table of a function for arguments like ``values``: a power of two.

    It has a quarter to spare, but for arguments that the function makes the same of as of the last
    that the table has: SiLU between -60 and 1 needs no more than 16, and its argument's steps are
    the finer. It is no less than ``least``.
    """
    ends = np.array([values.min(), values.max()], np.float64) * _SPARE
    whole = max(power_of_two_above((float(end), least)) for end in ends)
    x = np.linspace(ends[0], ends[1], _TRIED)
    wanted = codes(x)
    while whole >= 2 * max(least, _SMALLEST):
        less = whole / 2
        last = less - less / (1 << (numerics.PREACTIVATION_BITS - 1))
        if np.abs(codes(np.clip(x, -less, last)) - wanted).max() > _FLAT:
            break
        whole = less
    return whole


def table_of(codes: Codes, half: float, data_width: int) -> NDArray[np.int16]:
    """The entries (1025,) of a function's table from ``-half`` to ``half``."""
    lsb = 1 << (16 - data_width)
    # The hardware rounds the table's 16 bits to 8; entries rounded down make that one rounding.
    rounding = 0.0 if data_width == 8 else 0.5
    return numerics.activation_table(lambda x: np.floor(codes(x) * lsb + rounding), half)


def table_error(
    codes: Codes, table: NDArray[np.int16], half: float, data_width: int, values: NDArray
) -> float:
    """The most codes that a table is off by, for arguments from the least to the largest value.

    The rounding of its entries and of its result is in it, the pre-activation's own is not.
    """
    step = half / (1 << (numerics.PREACTIVATION_BITS - 1))
    low, high = (int(np.clip(v / step, *int_range(16))) for v in (values.min(), values.max()))
    steps = np.arange(low, high + 1)
    got = numerics.apply_table(table, steps, data_width)
    return float(np.abs(got - codes(steps * step)).max())


def table_remarks(layers: Iterable[QuantLayer], data_width: int) -> list[str]:
    """Sentences on the layers whose functions bend too much for their tables."""
    return [
        f"layer '{layer.label}': the table of its function, which has {numerics.TABLE_SEGMENTS:,} "
        f"straight pieces from {-layer.reach:g} to {layer.reach:g}, is off by up to "
        f"{layer.table_error:,.1f} of {1 << data_width:,} codes; arguments that reach less far "
        "would have finer pieces"
        for layer in layers
        if layer.reach is not None and layer.table_error > TOLD[data_width]
    ]
