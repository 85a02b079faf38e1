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
#: Sums that numpy takes in one go at least: few channels are repeated until they are as many.
_ROW = 1 << 9
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
        # Values of 32 bits are clamped in integers, which is half the work: what their cast rounds
        # up, towards zero, is below every lower clamp, as codes are not negative.
        reach = float((1 << 31) if largest is None else largest + np.abs(self._bias).max(initial=0))
        steepest = np.maximum(np.abs(self._positive), np.abs(self._negative)).max(initial=0)
        self._in_integers = self._at_once and reach * steepest + 2 * self._zero < 1 << 31
        if self._in_integers:
            self._low, self._high = self._low.astype(np.int32), self._high.astype(np.int32)
        wraps = largest is None or largest + int(np.abs(self._bias).max(initial=0)) >= 1 << 31
        if self._same and self._at_once and not wraps:
            self._offset = self._bias * self._positive + self._offset
            self._bias32 = None
        self._repeat()

    def _repeat(self) -> None:
        """Constants of as many tiles as fill a row."""
        tiles = -(-_ROW // len(self._bias))
        self._positive, self._negative, self._offset, self._low, self._high = (
            np.tile(np.broadcast_to(values, self._bias.shape), tiles)
            for values in (self._positive, self._negative, self._offset, self._low, self._high)
        )
        if self._bias32 is not None:
            self._bias32 = np.tile(self._bias32, tiles)

    def __call__(self, total: Ints) -> Ints:
        """Activations (tiles, channels) of sums (tiles, channels), which wrapped before."""
        out = np.empty(total.shape, self._dtype)
        width = total.shape[1] if self._data_width == 16 else len(self._positive)
        sums, results = total.reshape(-1), out.reshape(-1)
        whole = sums.size - sums.size % width
        step = max(1, _BLOCK // width) * width
        parts = [slice(at, min(at + step, whole)) for at in range(0, whole, step)]
        for part in parts:
            rows, outputs = sums[part].reshape(-1, width), results[part].reshape(-1, width)
            if self._data_width == 8:
                self._part8(rows, outputs)
            else:
                outputs[...] = self._part16(rows)
        if whole < sums.size:
            self._part8(sums[None, whole:], results[None, whole:])
        return out

    def _part16(self, total: Ints) -> NDArray:
        wrapped = numerics.wrap(total + self._bias, numerics.accumulator_bits(16))
        values = self._constants(wrapped)
        if self._table is None:
            return values
        return numerics.apply_table(self._table, values, self._data_width)

    def _part8(self, total: Ints, out: Ints) -> None:
        """A part of :meth:`__call__` whose columns are the first of a row, or all."""
        columns = slice(total.shape[1])
        # In float64 that is exact: a product has at most 47 bits, and scaling by a power of two
        # loses none. The bias wraps into the 32-bit sum as in the accumulator.
        if self._bias32 is not None:
            total = total + self._bias32[columns]
        acc = np.multiply(total, self._positive[columns], dtype=np.float64)
        if not self._same:
            negative = np.multiply(total, self._negative[columns], dtype=np.float64)
            if self._rising:
                np.maximum(acc, negative, out=acc)
            else:
                acc = np.where(total < 0, negative, acc)
        if self._at_once:
            acc += self._offset[columns]
        else:
            acc += 0.5
            np.floor(acc, out=acc)
            acc += self._zero
        values: Ints = acc.astype(np.int32) if self._in_integers else acc
        np.maximum(values, self._low[columns], out=values)  # np.clip is several times slower here
        np.minimum(values, self._high[columns], out=values)
        codes: NDArray[np.unsignedinteger] = values.astype(self._code)
        if self._outputs is not None:
            out[...] = self._outputs.take(codes)
        else:
            np.bitwise_xor(codes, np.uint8(1 << 7), out=out.view(np.uint8))


@lru_cache(maxsize=16)
def _outputs(table: bytes) -> NDArray[np.int8]:
    """What an activation table gives for each of the 16-bit pre-activations, lowest first."""
    low, high = numerics.int_range(numerics.PREACTIVATION_BITS)
    values = np.arange(low, high + 1)
    return numerics.apply_table(np.frombuffer(table, "<i2"), values, 8).astype(np.int8)
