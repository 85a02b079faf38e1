"""Inputs to the words that a device reads, and the words that it writes to images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError, WinogenWarning
from winogen.common.images import to_pixels
from winogen.program.file import Program
from winogen.program.formats import beyond_bounds, input_bits
from winogen.program.inputs import join_inputs
from winogen.target.numerics import int_range, storage_dtype

#: Numbers that are converted at a time: few enough for a processor's cache.
_AT_ONCE = 65536


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
        return Inputs(self.values[which], self.saturate)


class Codec:
    """How the inputs and outputs of a program lie in memory, and what they stand for.

    Words (N, blocks, H, W, lanes) are int8 or int16. They are moved a channel at a time, which is
    several times as fast as a pixel at a time.
    """

    def __init__(self, program: Program):
        self._program = program
        self._dtype = storage_dtype(program.data_width)
        self._range = int_range(input_bits(program.input, program.data_width))
        self._table = _pixel_table(program)

    def checked(self, z: ArrayLike | Mapping[str, ArrayLike], *, warn: bool = True) -> Inputs:
        """Float inputs (N, latent) or (N, C, H, W), ready to be encoded.

        Raises InputError if they have another shape or dtype, or hold NaN or infinity. With
        ``warn``, those beyond what the network expects are a WinogenWarning: their words saturate,
        or else later layers do, whose ranges were chosen without.
        """
        x = self._array(z)
        least, most = float(x.min()), float(x.max())  # NaN and infinity come through
        if not (math.isfinite(least) and math.isfinite(most)):
            raise InputError(f"input of network '{self._program.name}' holds NaN or infinity")
        if warn:
            self.warn_of_range(x, (least, most))
        return Inputs(x, self._saturates(least) or self._saturates(most))

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
        x = inputs.values
        unfold = self._program.unfold
        channels, h, w = self._program.seen_shape
        lanes = self._program.core.ci_lanes
        words = data.view(self._dtype).reshape(len(x), -1, h, w, lanes)
        several = max(1, _AT_ONCE // (channels * h * w))
        for first in range(0, len(x), several):
            q = self._integers(x[first : first + several], inputs.saturate)
            part = words[first : first + several]
            if unfold:  # a number is converted once, and moved as often as it is a channel
                for channel, plane in enumerate(unfold.channels(q.astype(self._dtype))):
                    part[:, channel // lanes, ..., channel % lanes] = plane
                continue
            if h == w == 1:
                part.reshape(len(part), -1)[:, :channels] = q[:, :, 0, 0]
                continue
            for channel in range(channels):
                part[:, channel // lanes, ..., channel % lanes] = q[:, channel]

    def decode(self, data: NDArray[np.uint8], batch: int) -> NDArray:
        """Integers (N, C, H, W), int8 or int16, of the bytes of an output segment."""
        out = np.empty((batch, *self._program.output_shape), self._dtype)
        for c, rows, columns, plane in self._planes(data, batch, self._dtype):
            part = out[:, c, rows, columns]
            part[...] = plane[:, : part.shape[1], : part.shape[2]]
        return out

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
        if out.dtype != np.uint8:
            out[...] = self._program.output_format.dequantise(self.decode(data, len(out)))
            return
        assert self._table is not None
        dtype = np.dtype(f"u{self._dtype.itemsize}")
        codes = np.empty(out.shape, dtype)
        for c, rows, columns, plane in self._planes(data, len(out), dtype):
            part = codes[:, rows, columns, c]
            part[...] = plane[:, : part.shape[1], : part.shape[2]]
        if codes.dtype == np.uint8:  # much faster than an index
            pixels = codes.tobytes().translate(self._table.tobytes())
            out[...] = np.frombuffer(pixels, np.uint8).reshape(out.shape)
        else:
            out[...] = self._table[codes]

    def _planes(
        self, data: NDArray[np.uint8], batch: int, dtype: np.dtype
    ) -> Iterator[tuple[int, slice, slice, NDArray]]:
        """Each stored channel (N, rows, columns), and where it belongs in the output."""
        program = self._program
        _, h, w = program.stored_shape
        lanes = program.core.co_lanes
        words = data.view(dtype).reshape(batch, -1, h, w, lanes)
        for channel, c, rows, columns in program.shuffle.channels(program.output_shape):
            yield c, rows, columns, words[:, channel // lanes, ..., channel % lanes]

    def _saturates(self, value: float) -> bool:
        """Whether the integer of a value is clipped; between two that are not, none is."""
        form, (low, high) = self._program.input_format, self._range
        return not low <= value / form.scale + form.zero_point + 0.5 < high + 1

    def _integers(self, x: NDArray, saturate: bool) -> NDArray:
        """Integers of inputs, as float64, which words hold; see ``TensorFormat.quantise``."""
        form = self._program.input_format
        with np.errstate(over="ignore") if saturate else nullcontext():
            q = np.divide(x, form.scale, dtype=np.float64, order="C")
        if form.zero_point:
            q += form.zero_point
        q += 0.5
        np.floor(q, out=q)
        if saturate:
            np.clip(q, *self._range, out=q)
        return q

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
