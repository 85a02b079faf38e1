"""Real inputs to integers, exactly as ``TensorFormat.quantise`` defines them, in few passes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from winogen.program.formats import TensorFormat

#: Neighbours in float32 of where an integer should begin, to either side, that are tried.
_NEAR = 2


class Quantiser:
    """The integers of a format, saturated to the range ``least`` to ``most``.

    A product and a sum take the place of a division where they are known to give the same: for
    inputs of 32 bits and fewer, if that was seen at both sides of where each integer begins. Both
    never fall where the input grows, so they then agree everywhere.
    """

    def __init__(self, form: TensorFormat, least: int, most: int):
        self._form, self.least, self.most = form, least, most
        with np.errstate(all="ignore"):
            self._factor = 1 / np.float64(form.scale)
        self._offset = np.float64(form.zero_point + 0.5 - least)
        self._short = self._agree()

    def saturates(self, low: float, high: float) -> bool:
        """Whether an integer of values from ``low`` to ``high`` is clipped."""
        scale, zero = self._form.scale, self._form.zero_point
        return low / scale + zero + 0.5 < self.least or high / scale + zero + 0.5 >= self.most + 1

    def above_least(self, x: NDArray, saturate: bool) -> NDArray[np.float64]:
        """New float64 numbers, of which the whole part is the integer less ``least``: 0 or more.

        None of the inputs may saturate unless ``saturate`` says so.
        """
        quick = self._short and x.dtype.itemsize <= 4
        if not saturate:
            return self._quick(x) if quick else self._exact(x)
        with np.errstate(over="ignore"):
            q = self._quick(x) if quick else self._exact(x)
        return np.clip(q, 0, self.most - self.least, out=q)

    def _quick(self, x: NDArray) -> NDArray[np.float64]:
        q = x.astype(np.float64, order="C")
        q *= self._factor
        q += self._offset
        return q

    def _exact(self, x: NDArray) -> NDArray[np.float64]:
        """In the order of operations of ``TensorFormat.quantise``."""
        q = np.divide(x, self._form.scale, dtype=np.float64, order="C")
        q += self._form.zero_point
        q += 0.5
        np.floor(q, out=q)
        q -= self.least
        return q

    def _agree(self) -> bool:
        """Whether both ways give the same integers for all of float32.

        Each integer begins at some float32. The few around where it should be are tried: if the
        exact way begins it among them, and the quick one agrees on all of them, so it does in
        between.
        """
        form = self._form
        integers = np.arange(self.least, self.most + 2)
        with np.errstate(all="ignore"):  # whatever a program file says: it is divided by
            middle = ((integers - form.zero_point - 0.5) * form.scale).astype(np.float32)
            tried = [middle]
            for _ in range(_NEAR):
                tried.insert(0, np.nextafter(tried[0], np.float32(-np.inf)))
                tried.append(np.nextafter(tried[-1], np.float32(np.inf)))
            x = np.stack(tried)
            exact, quick = self._exact(x), np.floor(self._quick(x))
        begin = (exact[0] < integers - self.least) & (integers - self.least <= exact[-1])
        return bool(begin.all()) and np.array_equal(exact, quick)


@lru_cache(maxsize=16)
def quantiser_of(form: TensorFormat, least: int, most: int) -> Quantiser:
    """One for all whose format and range are these: it takes some time to see what agrees."""
    return Quantiser(form, least, most)
