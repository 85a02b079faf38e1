"""Bias, requantisation and activation table of whole layers, a cache-sized part at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.target import numerics
from winogen.target.isa import Params
from winogen.target.numerics import Requantiser

Ints = NDArray[Any]  # int8, int16, int32 or int64

#: Sums that are requantised at a time: few enough to stay in the processor's cache.
_BLOCK = 1 << 15
#: Bits of a float64.
_EXACT_BITS = 53


class Requantise:
    """Turns sums (tiles, channels) into activations as the logic does, in floats where exact.

    Parameters
    ----------
    params : parameters, each (output blocks, entries, lanes)
    entries : whose parameters the channels have, one entry after the other
    table : the activation table or None
    data_width : 8 or 16 bits
    largest : a bound of the sums' magnitudes without the bias, where one is known
    """

    def __init__(
        self,
        params: Params,
        entries: Sequence[int],
        table: NDArray[np.int16] | None,
        data_width: int,
        largest: int | None = None,
    ):
        def of_entries(values: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.concatenate([values[:, entry].reshape(-1) for entry in entries])

        names = ("positive", "negative", "shift", "low", "high")
        self._constants = Requantiser(*(of_entries(getattr(params, name)) for name in names))
        self._bias = of_entries(params.bias)
        self._table = table
        self._data_width = data_width
        self._dtype = numerics.storage_dtype(data_width)
        if data_width == 8:
            self._prepare(largest)

    def _prepare(self, largest: int | None) -> None:
        c = self._constants
        scale = numerics.powers_of_two(-c.shift)
        # A lower clamp at or above zero hides what a multiplier that keeps the sign gives.
        hidden = (c.low >= 0) & (c.positive >= 0) & (c.negative >= 0)
        self._same = bool(np.all((c.positive == c.negative) | hidden))
        self._rising = bool(np.all(c.positive >= c.negative))
        self._positive, self._negative = c.positive * scale, c.negative * scale
        # Codes are activations moved to where none is negative: there a cast rounds down.
        bits = 8 if self._table is None else numerics.PREACTIVATION_BITS
        self._zero = float(1 << (bits - 1))
        self._code = np.dtype(np.uint8 if self._table is None else np.uint16)
        self._low, self._high = c.low + self._zero, c.high + self._zero
        self._outputs = None if self._table is None else _outputs(self._table.tobytes())
        # The steps of what is added are 2**-shift: float64 holds them beside the code's bits.
        self._at_once = bool(c.shift.max() + bits < _EXACT_BITS)
        self._offset: Any = self._zero + 0.5
        self._bias32: NDArray[np.int32] | None = self._bias.astype(np.int32)
        wraps = largest is None or largest + int(np.abs(self._bias).max(initial=0)) >= 1 << 31
        if self._same and self._at_once and not wraps:
            self._offset = self._bias * self._positive + self._offset
            self._bias32 = None

    def __call__(self, total: Ints) -> Ints:
        """Activations (tiles, channels) of sums (tiles, channels), which wrapped before."""
        out = np.empty(total.shape, self._dtype)
        rows = max(1, _BLOCK // max(1, total.shape[1]))
        for start in range(0, len(total), rows):
            part = slice(start, start + rows)
            out[part] = self._part(total[part])
        return out

    def _part(self, total: Ints) -> NDArray:
        if self._data_width == 8:
            return self._part8(total)
        wrapped = numerics.wrap(total + self._bias, numerics.accumulator_bits(16))
        values = self._constants(wrapped)
        if self._table is None:
            return values
        return numerics.apply_table(self._table, values, self._data_width)

    def _part8(self, total: Ints) -> NDArray:
        # In float64 that is exact: a product has at most 47 bits, and scaling by a power of two
        # loses none. The bias wraps into the 32-bit sum as in the accumulator.
        if self._bias32 is not None:
            total = total + self._bias32
        acc = np.multiply(total, self._positive, dtype=np.float64)
        if not self._same:
            negative = np.multiply(total, self._negative, dtype=np.float64)
            if self._rising:
                np.maximum(acc, negative, out=acc)
            else:
                acc = np.where(total < 0, negative, acc)
        if self._at_once:
            acc += self._offset
        else:
            acc += 0.5
            np.floor(acc, out=acc)
            acc += self._zero
        np.maximum(acc, self._low, out=acc)  # np.clip is several times slower here
        np.minimum(acc, self._high, out=acc)
        codes: NDArray[np.unsignedinteger] = acc.astype(self._code)
        if self._outputs is not None:
            return self._outputs[codes]
        return (codes ^ np.uint8(1 << 7)).view(np.int8)


@lru_cache(maxsize=16)
def _outputs(table: bytes) -> NDArray[np.int8]:
    """What an activation table gives for each of the 16-bit pre-activations, lowest first."""
    low, high = numerics.int_range(numerics.PREACTIVATION_BITS)
    values = np.arange(low, high + 1)
    return numerics.apply_table(np.frombuffer(table, "<i2"), values, 8).astype(np.int8)
