"""Inputs to the words that a device reads, and the words that it writes to images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError, WinogenWarning
from winogen.common.images import to_pixels
from winogen.program.file import Program
from winogen.program.formats import beyond_bounds, input_bits, tolerated_bounds
from winogen.program.inputs import join_inputs
from winogen.runtime.lanes import input_lanes, output_lanes
from winogen.runtime.quantiser import quantiser_of
from winogen.target.numerics import int_range, storage_dtype

#: Numbers that are converted at a time: few enough for a processor's cache.
_AT_ONCE = 32768


class Inputs(NamedTuple):
    """Inputs that are known to suit a network.

    Attributes
    ----------
    values : floats (N, C, H, W), in the dtype that they came in
    saturate : some may be beyond what integers can hold
    """

    values: NDArray
    saturate: bool

    def part(self, which: slice) -> Inputs:
        """Some of them."""
        if which.stop - which.start == len(self.values):
            return self
        return Inputs(self.values[which], self.saturate)


class Codec:
    """How the inputs and outputs of a program lie in memory, and what they stand for.

    Words (N, blocks, H, W, lanes) are int8 or int16.
    """

    def __init__(self, program: Program):
        self._program = program
        self._dtype = storage_dtype(program.data_width)
        self._unsigned = np.dtype(f"u{self._dtype.itemsize}")
        least, most = int_range(input_bits(program.input, program.data_width))
        self._quantiser = quantiser_of(program.input_format, least, most)
        self._least = np.array(least).astype(self._unsigned)  # modulo its range
        self._expected = tolerated_bounds(program.input)
        core = program.core
        self._input = input_lanes(program.unfold, program.input_shape, core.ci_lanes, self._dtype)
        self._output = output_lanes(
            program.shuffle, program.output_shape, core.co_lanes, self._dtype
        )
        self._table = _pixel_table(program)
        self._step = _step(self._table)

    def checked(self, z: ArrayLike | Mapping[str, ArrayLike], *, warn: bool = True) -> Inputs:
        """Float inputs (N, latent) or (N, C, H, W), ready to be encoded.

        Raises InputError if they have another shape or dtype, or hold NaN or infinity. With
        ``warn``, those beyond what the network expects are a WinogenWarning: their words saturate,
        or else later layers do, whose ranges were chosen without.
        """
        x = self._array(z)
        # NaN and infinity come through.
        least = float(np.minimum.reduce(x, axis=None))
        most = float(np.maximum.reduce(x, axis=None))
        if not (math.isfinite(least) and math.isfinite(most)):
            raise InputError(f"input of network '{self._program.name}' holds NaN or infinity")
        low, high = self._expected
        if warn and not (low <= least and most <= high):
            self.warn_of_range(x, (least, most))
        return Inputs(x, self._quantiser.saturates(least, most))

    def warn_of_range(self, x: NDArray, extremes: tuple[float, float] | None = None) -> None:
        """Warn where float inputs, of any shape, are beyond what the network expects.

        ``extremes`` are the least and the greatest, where they are known.
        """
        if x.dtype.kind != "f" or not x.size:
            return  # checked says what is wrong
        what = "latents" if self._program.input.kind == "latent" else "inputs"
        problem = beyond_bounds(self._program.input, x, what, extremes)
        if problem:
            warnings.warn(problem, WinogenWarning, stacklevel=5)

    def encode(self, inputs: Inputs) -> NDArray:
        """Words (N, blocks, H, W, lanes) of what :meth:`checked` returned."""
        x = inputs.values
        channels, h, w = self._program.seen_shape
        lanes = self._program.core.ci_lanes
        words = np.zeros((len(x), -(-channels // lanes), h, w, lanes), self._dtype)
        self.encode_into(inputs, words.reshape(-1).view(np.uint8))
        return words

    def encode_into(self, inputs: Inputs, data: NDArray[np.uint8]) -> None:
        """Write the words of what :meth:`checked` returned to bytes, as many as there are.

        Lanes without a channel are left as they are; nothing depends on them. The integers are
        those of ``TensorFormat.quantise``.
        """
        self._input.to_words(self._integers(inputs), data)

    def decode(self, data: NDArray[np.uint8], batch: int) -> NDArray:
        """Integers (N, C, H, W), int8 or int16, of the bytes of an output segment."""
        channels, rows, columns = self._program.output_shape
        images = np.empty((batch, rows, columns, channels), self._dtype)
        self._output.to_images(data, images)
        return np.moveaxis(images, -1, 1)

    def room(self, count: int, as_float: bool) -> NDArray:
        """An array for ``count`` outputs.

        uint8 images (N, H, W, C), or float32 (N, C, H, W) if ``as_float`` is set or the output is
        no image.
        """
        c, h, w = self._program.output_shape
        if self._table is None or as_float:
            return np.empty((count, c, h, w), np.float32)
        return np.empty((count, h, w, c), np.uint8)

    def decode_into(self, data: NDArray[np.uint8], out: NDArray) -> None:
        """What the bytes of an output segment stand for, to a part of what :meth:`room` made."""
        if out.dtype.kind == "f":
            out[...] = self._program.output_format.dequantise(self.decode(data, len(out)))
            return
        assert self._table is not None
        if self._dtype.itemsize > 1:
            codes = np.empty(out.shape, np.uint16)
            self._output.to_images(data, codes)
            out[...] = self._table[codes]
            return
        self._output.to_images(data, out)
        if self._step is not None:
            out += self._step
        else:  # much faster than an index
            pixels = out.tobytes().translate(self._table.tobytes())
            out[...] = np.frombuffer(pixels, np.uint8).reshape(out.shape)

    def _integers(self, inputs: Inputs) -> NDArray:
        """Integers (N, rows, columns, channels) of inputs, with the rim that windows reach: 0."""
        lanes, saturate = self._input, inputs.saturate
        x = inputs.values.reshape(-1, *lanes.shape)
        # Unsigned, and larger by what is taken off at last: numbers of 0 and more are truncated as
        # they are converted, which saves rounding them before.
        if lanes.shape[0] == 1 and x.size <= _AT_ONCE and not lanes.inside:
            q = self._quantiser.above_least(x, saturate)
            images = q.astype(self._unsigned).reshape(-1, *lanes.image)
        else:
            images = np.empty((len(x), *lanes.image), self._unsigned)
            inside = images
            if lanes.inside:
                images.fill(-self._quantiser.least)
                inside = images[:, lanes.inside[0], lanes.inside[1]]
            for which, rows in _bands(x.shape):
                self._convert(x[which, :, rows], inside[which, rows], saturate)
        images += self._least
        return images

    def _convert(self, x: NDArray, images: NDArray, saturate: bool) -> None:
        """Write integers less their least (N, H, W, C) of inputs (N, C, H, W)."""
        q = self._quantiser.above_least(x, saturate)
        for channel in range(x.shape[1]):  # several times as fast as a pixel at a time
            images[..., channel] = q[:, channel]

    def _array(self, z: ArrayLike | Mapping[str, ArrayLike]) -> NDArray:
        program = self._program
        try:
            array = join_inputs(program.input, z) if isinstance(z, Mapping) else np.asarray(z)
        # Rows of different lengths; the numpy of boards warns, and makes an array of objects.
        except (ValueError, UserWarning):
            raise InputError(f"input of network '{program.name}' must be one float array") from None
        c, h, w = program.input_shape
        if array.dtype.kind != "f":
            raise InputError(
                f"input of network '{program.name}' must be a float array, not {array.dtype}"
            )
        shape = array.shape[1:]
        if shape != (c, h, w) and not (shape == (c,) and h == w == 1):
            shapes: list[tuple[int, ...]] = [(c, h, w)]
            if (h, w) == (1, 1):
                shapes.append((c,))
            wanted = " or ".join(str(("N", *s)).replace("'", "") for s in shapes)
            raise InputError(
                f"input of network '{program.name}' has shape {array.shape}, expected {wanted}"
            )
        if not len(array):
            raise InputError("the number of images must be at least 1, not 0")
        return array.reshape(-1, c, h, w)


def _pixel_table(program: Program) -> NDArray[np.uint8] | None:
    """The pixel of each output word, read as unsigned; None if the output is no image."""
    if program.output_range is None:
        return None
    half = 1 << (program.data_width - 1)
    codes = np.roll(np.arange(-half, half), half)
    return to_pixels(program.output_format.dequantise(codes), *program.output_range)


def _step(table: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """What all pixels are above their codes of 8 bits, modulo 256; None if that differs.

    It is the same where a network's output has as many levels as pixels have, as compiled ones do.
    """
    if table is None or len(table) != 256:
        return None
    steps = table - np.arange(256, dtype=np.uint8)
    return np.array(steps[0]) if (steps == steps[0]).all() else None


def _bands(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Which images (N, C, H, W), and which rows of them, to convert at a time."""
    count, channels, height, width = shape
    rows = max(1, _AT_ONCE // (channels * width))
    if rows >= height:
        several = rows // height
        for first in range(0, count, several):
            yield slice(first, first + several), slice(None)
        return
    for image in range(count):
        for first in range(0, height, rows):
            yield slice(image, image + 1), slice(first, first + rows)
