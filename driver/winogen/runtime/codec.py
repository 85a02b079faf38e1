"""Inputs to the words that a device reads, and the words that it writes to images."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError, WinogenWarning
from winogen.common.images import to_pixels
from winogen.program.file import Program
from winogen.program.formats import beyond_bounds, input_bits
from winogen.target.numerics import storage_dtype


class Codec:
    """How the inputs and outputs of a program lie in memory, and what they stand for."""

    def __init__(self, program: Program):
        self._program = program
        self._dtype = storage_dtype(program.data_width)

    def encode(self, z: ArrayLike) -> NDArray:
        """Words (N, blocks, H, W, lanes), int8 or int16, of float inputs.

        ``z`` has shape (N, latent) or (N, C, H, W). Raises InputError if it has another shape or
        dtype, or holds NaN or infinity.
        """
        program = self._program
        x = self._checked(z)
        q = program.input_format.quantise(x, input_bits(program.input, program.data_width))
        count, channels, h, w = q.shape
        lanes = program.core.ci_lanes
        blocks = -(-channels // lanes)
        padded = np.zeros((count, blocks * lanes, h, w), self._dtype)
        padded[:, :channels] = q
        return padded.reshape(count, blocks, lanes, h, w).transpose(0, 1, 3, 4, 2)

    def warn_of_range(self, z: ArrayLike) -> None:
        """Warn where inputs, of any shape, are beyond what the network expects.

        The words saturate there, or else later layers do: their ranges were chosen without.
        """
        x = np.asarray(z)
        if not np.issubdtype(x.dtype, np.floating) or not x.size:
            return  # encode says what is wrong
        what = "latents" if self._program.input.kind == "latent" else "inputs"
        problem = beyond_bounds(self._program.input, x, what)
        if problem:
            warnings.warn(problem, WinogenWarning, stacklevel=4)

    def decode(self, data: NDArray[np.uint8], batch: int) -> NDArray:
        """Integers (N, C, H, W), int8 or int16, of the bytes of an output segment."""
        c, h, w = self._program.output_shape
        lanes = self._program.core.co_lanes
        words = data.view(self._dtype)
        grid = words.reshape(batch, -1, h, w, lanes).transpose(0, 1, 4, 2, 3)
        return grid.reshape(batch, -1, h, w)[:, :c]

    def present(self, q: NDArray, as_float: bool) -> NDArray:
        """What output integers (N, C, H, W) stand for.

        uint8 images (N, H, W, C), or float32 (N, C, H, W) if ``as_float`` is set or the output is
        no image.
        """
        if self._program.output_range is None or as_float:
            return self._program.output_format.dequantise(q)
        return self._pixels(q, *self._program.output_range)

    def _checked(self, z: ArrayLike) -> NDArray[np.float64]:
        program = self._program
        try:
            array = np.asarray(z)
        # Rows of different lengths; the numpy of boards warns, and makes an array of objects.
        except (ValueError, UserWarning):
            raise InputError(f"input of network '{program.name}' must be one float array") from None
        c, h, w = program.input_shape
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(
                f"input of network '{program.name}' must be a float array, not {array.dtype}"
            )
        shapes: list[tuple[int, ...]] = [(c, h, w)]
        if (h, w) == (1, 1):
            shapes.append((c,))
        if array.shape[1:] not in shapes:
            wanted = " or ".join(str(("N", *s)).replace("'", "") for s in shapes)
            raise InputError(
                f"input of network '{program.name}' has shape {array.shape}, expected {wanted}"
            )
        if not len(array):
            raise InputError("the number of images must be at least 1, not 0")
        if not np.all(np.isfinite(array)):
            raise InputError(f"input of network '{program.name}' holds NaN or infinity")
        return array.reshape(-1, c, h, w).astype(np.float64)

    def _pixels(self, q: NDArray, black: float, white: float) -> NDArray[np.uint8]:
        """Pixels (N, H, W, C) of output integers, through a table of all values."""
        bits = self._program.data_width
        codes = np.arange(1 << bits) - (1 << (bits - 1))
        table = to_pixels(self._program.output_format.dequantise(codes), black, white)
        return table[q.astype(np.int32) + (1 << (bits - 1))].transpose(0, 2, 3, 1)
