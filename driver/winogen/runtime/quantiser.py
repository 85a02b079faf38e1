"""Real inputs to integers, exactly as ``TensorFormat.quantise`` defines them, in few passes."""

from __future__ import annotations

from contextlib import nullcontext
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
        self._factor, self._offset = _factors(form, least)
        self._short = _agree(form, least, most)

    def saturates(self, value: float) -> bool:
        """Whether the integer of a value is clipped; between two that are not, none is."""
        form = self._form
        return not self.least <= value / form.scale + form.zero_point + 0.5 < self.most + 1

    def above_least(self, x: NDArray, saturate: bool) -> NDArray[np.float64]:
        """New float64 numbers, of which the whole part is the integer less ``least``: 0 or more.

        None of the inputs may saturate unless ``saturate`` says so.
        """
        with np.errstate(over="ignore") if saturate else nullcontext():
            if self._short and x.dtype.itemsize <= 4:
                q = _quick(x, self._factor, self._offset)
            else:
                q = _exact(x, self._form) - self.least
        if saturate:
            np.clip(q, 0, self.most - self.least, out=q)
        return q


def _factors(form: TensorFormat, least: int) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        return float(1 / np.float64(form.scale)), form.zero_point + 0.5 - least


def _quick(x: NDArray, factor: float, offset: float) -> NDArray[np.float64]:
    q = x.astype(np.float64, order="C")
    q *= factor
    q += offset
    return q


def _exact(x: NDArray, form: TensorFormat) -> NDArray[np.float64]:
    """See ``TensorFormat.quantise``, in its order of operations."""
    q = np.divide(x, form.scale, dtype=np.float64, order="C")
    q += form.zero_point
    q += 0.5
    return np.floor(q, out=q)


@lru_cache(maxsize=16)
def _agree(form: TensorFormat, least: int, most: int) -> bool:
    """Whether both ways give the same integers for all of float32.

    Each integer begins at some float32. The few around where it should be are tried: if the exact
    way begins it among them, and the quick one agrees on all of them, so it does in between.
    """
    integers = np.arange(least, most + 2)
    with np.errstate(all="ignore"):  # formats from a hostile program: they are divided by
        middle = ((integers - form.zero_point - 0.5) * form.scale).astype(np.float32)
        tried = [middle]
        for towards in (-np.inf, np.inf):
            near = middle
            for _ in range(_NEAR):
                near = np.nextafter(near, np.float32(towards))
                tried.insert(0 if towards < 0 else len(tried), near)
        x = np.stack(tried)
        exact = _exact(x, form)
        quick = np.floor(_quick(x, *_factors(form, least))) + least
    begin = (exact[0] < integers) & (integers <= exact[-1])
    return bool(begin.all()) and np.array_equal(exact, quick)
