"""Between images and words: which numbers of the one are which of the other.

Images (N, H, W, C) have the channels of a pixel side by side, and so have words in their lanes,
where neighbouring pixels may be channels too (:mod:`winogen.program.layout`). So units of several
numbers are moved at once, as many as both sides allow, and each for all pixels of all images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Shape
from winogen.program.layout import DepthToSpace, Unfold

_ALL = slice(None)
#: Bytes of the largest integer that numpy moves as one.
_LARGEST = 8


class Move(NamedTuple):
    """A unit of every word of a block: an index of these in words, and one in images.

    Words are (N, blocks, rows, columns, units), images (N, rows, units of a row).
    """

    words: tuple[slice | int, ...]
    images: tuple[slice, ...]


class OnePixel:
    """Channels of a single pixel: they lie side by side in both, as if they were a row's pixels."""

    inside = None

    def __init__(self, channels: int, dtype: np.dtype):
        self.image, self.shape = (1, channels, 1), (1, 1, channels)
        self._dtype = np.dtype(f"u{dtype.itemsize}")

    def to_words(self, images: NDArray, data: NDArray[np.uint8]) -> None:
        """See :meth:`Lanes.to_words`."""
        self._words(images, data)[...] = images.reshape(len(images), -1)

    def to_images(self, data: NDArray[np.uint8], images: NDArray) -> None:
        """See :meth:`Lanes.to_images`."""
        images[...] = self._words(images, data).reshape(images.shape)

    def _words(self, images: NDArray, data: NDArray[np.uint8]) -> NDArray:
        return data.view(self._dtype).reshape(len(images), -1)[:, : self.image[1]]


class Lanes:
    """Where the numbers of images lie in words.

    Parameters
    ----------
    words : blocks, rows, columns and lanes of an image's words
    image : rows, columns and channels of an image, with its rim
    inside : the rows and the columns that are no rim, if there is one
    dtype : of a number
    unit : numbers of a unit
    moves : the units

    Attributes
    ----------
    shape : channels, rows and columns of an image without its rim
    """

    def __init__(
        self,
        words: tuple[int, int, int, int],
        image: tuple[int, int, int],
        dtype: np.dtype,
        unit: int,
        moves: Iterable[Move],
        inside: tuple[slice, slice] | None = None,
    ):
        self.image = image
        self.inside = inside
        sizes = [part.stop - part.start for part in inside] if inside else image[:2]
        self.shape = image[2], *sizes
        self._dtype = np.dtype(f"u{unit * dtype.itemsize}")
        self._words = (*words[:3], words[3] // unit)
        self._units = image[0], image[1] * image[2] // unit
        self._moves = tuple(moves)

    def to_words(self, images: NDArray, data: NDArray[np.uint8]) -> None:
        """Write contiguous images (N, rows, columns, channels) to the bytes of their words.

        Lanes without a channel are left as they are.
        """
        units, words = self._views(images, data)
        for to, from_ in self._moves:
            words[to] = units[from_]

    def to_images(self, data: NDArray[np.uint8], images: NDArray) -> None:
        """Write the bytes of words to contiguous images (N, rows, columns, channels)."""
        units, words = self._views(images, data)
        for from_, to in self._moves:
            units[to] = words[from_]

    def _views(self, images: NDArray, data: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
        """Both in units; numpy raises an error if an array has gaps or is too small."""
        units: NDArray = np.ndarray((len(images), *self._units), self._dtype, images)
        words: NDArray = np.ndarray((len(images), *self._words), self._dtype, data)
        return units, words


AnyLanes = Lanes | OnePixel


def input_lanes(unfold: Unfold | None, image: Shape, lanes: int, dtype: np.dtype) -> AnyLanes:
    """Those of inputs, whose images have a rim for the windows that begin or end outside of them.

    ``image`` is without it: channels, rows and columns.
    """
    channels, height, width = image
    if unfold is None:
        if (height, width) == (1, 1):
            return OnePixel(channels, dtype)
        unfold = Unfold((1, 1), (1, 1), (0, 0), (height, width))
    rows, columns = (
        max((windows - 1) * step + reach, pad + size)
        for windows, step, reach, pad, size in zip(
            unfold.size, unfold.step, unfold.reach, unfold.pad, (height, width)
        )
    )
    # Numbers that lie side by side in the image and in words, and such runs of a window's row.
    run, runs = unfold.window[1] * channels, 1
    if unfold.spacing[1] > 1:
        run, runs = channels, unfold.window[1]
    step, spacing = unfold.step[1] * channels, unfold.spacing[1] * channels
    unit = _unit(dtype, run, step, lanes)
    columns = -(-columns // unit) * unit

    def moves() -> Iterator[Move]:
        down, across = (n - 1 for n in unfold.size)
        for number in range(unfold.window[0] * runs * run // unit):
            nth, x = divmod(number, run // unit)
            y, nth = divmod(nth, runs)
            y, x = y * unfold.spacing[0], x + nth * spacing // unit
            block, lane = divmod(number, lanes // unit)
            rows = slice(y, y + down * unfold.step[0] + 1, unfold.step[0])
            columns = slice(x, x + across * step // unit + 1, step // unit)
            yield Move((_ALL, block, _ALL, _ALL, lane), (_ALL, rows, columns))

    blocks = -(-unfold.window[0] * runs * run // lanes)
    top, left = unfold.pad
    inside = slice(top, top + height), slice(left, left + width)
    rim = (rows, columns) != (height, width)
    words = blocks, *unfold.size, lanes
    padded = rows, columns, channels
    return Lanes(words, padded, dtype, unit, moves(), inside if rim else None)


def output_lanes(shuffle: DepthToSpace, image: Shape, lanes: int, dtype: np.dtype) -> AnyLanes:
    """Those of outputs, whose images (channels, rows, columns) are as they are shown."""
    channels, height, width = image
    if image == shuffle.shape(image) and (height, width) == (1, 1):
        return OnePixel(channels, dtype)
    stored, down, across = shuffle.shape(image)
    run = shuffle.block[1] * channels
    unit = _unit(dtype, run, width * channels, lanes)

    def moves() -> Iterator[Move]:
        for number in range(stored // unit):
            y, x = divmod(number, run // unit)
            block, lane = divmod(number, lanes // unit)
            rows = range(y, height, shuffle.block[0])
            columns = range(x, width * channels // unit, run // unit)
            # An image may end before the last rows and columns of words do.
            shown = slice(0, len(rows)), slice(0, len(columns))
            yield Move((_ALL, block, *shown, lane), (_ALL, _slice(rows), _slice(columns)))

    words = -(-stored // lanes), down, across, lanes
    return Lanes(words, (height, width, channels), dtype, unit, moves())


def _slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop, numbers.step)


def _unit(dtype: np.dtype, *numbers: int) -> int:
    """The most numbers that can be moved at once where all these are multiples of as many."""
    return math.gcd(_LARGEST // dtype.itemsize, *numbers)
