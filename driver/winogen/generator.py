"""The class for Python users: load a program on a device, then generate images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pynq
from numpy.typing import ArrayLike, NDArray

from winogen.board import Board, load_board
from winogen.device import ContiguousMemoryError
from winogen.devices import open_device
from winogen.errors import DeviceError, InputError
from winogen.images import to_pixels
from winogen.numerics import storage_dtype
from winogen.program import Program, StreamInfo
from winogen.quantise import input_bits, sample_inputs
from winogen.registers import COUNTERS, Segment
from winogen.windows import image_spans

#: A run may take this many times its predicted cycles, and never less than _MIN_SECONDS.
_DEADLINE_FACTOR = 50
_MIN_SECONDS = 5.0


class Generator:
    """A network on a device; use it as a context manager.

    >>> with Generator("digits.wg") as generator:
    ...     images = generator.generate(generator.latents(16, seed=7))

    Parameters
    ----------
    program : a Program or the path of a program file
    device : ``emulator``, ``rtl``, ``board``, or a ``pynq.Device``
    board : name or description of the board that the device is; default: the program's
        (an emulated device then is that board)
    overlay : path of the bitstream; an emulated device needs none
    timeout : seconds that one run may take; default: many times the predicted time

    Raises
    ------
    ProgramError : the program file is damaged or for another board
    DeviceError : no such device, or the overlay is not ours or not the program's
    ContiguousMemoryError : the network does not fit the board's contiguous memory
    """

    def __init__(
        self,
        program: Program | str | Path,
        device: str | Any = "emulator",
        *,
        board: Board | str | None = None,
        overlay: str | Path | None = None,
        timeout: float | None = None,
    ):
        self.program = program if isinstance(program, Program) else Program.load(program)
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, not {timeout}")
        self._timeout = timeout
        if board is None:
            board = self.program.board
        elif not isinstance(board, Board):
            board = load_board(board, self.program.data_width)
        self.program.check_board(board)
        self.device, self.overlay, self.core = open_device(device, board, overlay)
        self._dtype = storage_dtype(self.program.data_width)
        self._buffers: dict[str, Any] = {}
        self._counters = {name.lower(): 0 for name, _ in COUNTERS}
        self._closed = False
        try:
            self._fitting = self._streams_that_fit(board)
            self.core.check_identity(self.program.core.config_hash32)
            self._upload("weights", self.program.weights)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Generator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all contiguous memory back; the generator cannot be used afterwards."""
        self._closed = True
        for buffer in self._buffers.values():
            buffer.freebuffer()
        self._buffers.clear()

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """``count`` reproducible inputs, (N, latent) or (N, C, H, W) for images."""
        if count < 1:
            raise InputError(f"the number of images must be at least 1, not {count}")
        if seed < 0:
            raise InputError(f"a seed must not be negative, not {seed}")
        inputs = sample_inputs(self.program.input, count, seed)
        return inputs.reshape(count, -1) if self.program.input.kind == "latent" else inputs

    def generate(
        self,
        z: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> NDArray:
        """Run the network on any number of inputs.

        Parameters
        ----------
        z : float array (N, latent) or (N, C, H, W)
        as_float : return real values even if the output is an image
        progress : called with the number of inputs done so far

        Returns
        -------
        uint8 images (N, H, W, C), or float32 (N, C, H, W) if ``as_float`` is set or the network's
        output is no image.

        Raises
        ------
        InputError : z has the wrong shape or dtype, or holds NaN or infinity
        DeviceError, DeviceTimeoutError : the device failed; it is reset and can be used again
        """
        q = self._quantise(self._check_input(z))
        outputs = []
        done = 0
        self._counters = dict.fromkeys(self._counters, 0)
        for stream in self._streams(len(q)):
            outputs.append(self._run(stream, q[done : done + stream.batch]))
            done += stream.batch
            if progress:
                progress(done)
        out = np.concatenate(outputs)
        program = self.program
        if program.output_range is None or as_float:
            return program.output_format.dequantise(out)
        return self._pixels(out)

    def apply(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray:
        """Run the network on one image of any size, in windows of the compiled size.

        The result is, bit for bit, that of the network compiled for the whole image.

        Parameters
        ----------
        image : float array (C, H, W), at least as large as the compiled input
        as_float : return real values even if the output is an image
        progress : called with the number of windows done and of all windows

        Returns
        -------
        uint8 image (H', W', C'), or float32 (C', H', W') as :meth:`generate` decides.

        Raises
        ------
        InputError : the image has the wrong shape, or the network sees its whole input
        DeviceError, DeviceTimeoutError : as :meth:`generate`
        """
        program = self.program
        whole = np.asarray(image)
        if whole.ndim != 3 or whole.shape[0] != program.input_shape[0]:
            raise InputError(
                f"an image for network '{program.name}' has shape {whole.shape}, expected "
                f"({program.input_shape[0]}, rows, columns)"
            )
        rows, columns = image_spans(whole.shape[1:], program)
        windows = [(r, c) for r in rows for c in columns]
        height, width = (s[-1].target + s[-1].stop - s[-1].first for s in (rows, columns))
        size = program.input_shape[1:]
        out: NDArray | None = None
        largest = self._fitting[-1].batch
        counters = dict.fromkeys(self._counters, 0)
        for start in range(0, len(windows), largest):
            batch = windows[start : start + largest]
            cut = [
                whole[:, r.start : r.start + size[0], c.start : c.start + size[1]] for r, c in batch
            ]
            made = self.generate(np.stack(cut), as_float=as_float)
            for name, value in self._counters.items():
                counters[name] += value
            pixels = made.dtype == np.uint8  # then channels are last
            made = made if pixels else made.transpose(0, 2, 3, 1)
            if out is None:
                out = np.empty((height, width, made.shape[3]), made.dtype)
            for (r, c), part in zip(batch, made):
                kept = part[r.first : r.stop, c.first : c.stop]
                out[r.target : r.target + len(kept), c.target : c.target + kept.shape[1]] = kept
            if progress:
                progress(start + len(batch), len(windows))
        self._counters = counters
        assert out is not None
        return out if out.dtype == np.uint8 else out.transpose(2, 0, 1)

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the last :meth:`generate` or :meth:`apply`."""
        return dict(self._counters)

    def _check_input(self, z: ArrayLike) -> NDArray[np.float64]:
        program = self.program
        try:
            array = np.asarray(z)
        except ValueError:  # rows of different lengths
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

    def _quantise(self, x: NDArray[np.float64]) -> NDArray:
        """Words (N, blocks, H, W, lanes) as the device reads them."""
        program = self.program
        q = program.input_format.quantise(x, input_bits(program.input, program.data_width))
        count, channels, h, w = q.shape
        lanes = program.core.ci_lanes
        blocks = -(-channels // lanes)
        padded = np.zeros((count, blocks * lanes, h, w), self._dtype)
        padded[:, :channels] = q
        return padded.reshape(count, blocks, lanes, h, w).transpose(0, 1, 3, 4, 2)

    def _pixels(self, q: NDArray) -> NDArray[np.uint8]:
        """Pixels (N, H, W, C) of output integers, through a table of all values."""
        program = self.program
        assert program.output_range is not None
        bits = program.data_width
        codes = np.arange(1 << bits) - (1 << (bits - 1))
        table = to_pixels(program.output_format.dequantise(codes), *program.output_range)
        return table[q.astype(np.int32) + (1 << (bits - 1))].transpose(0, 2, 3, 1)

    def _streams_that_fit(self, board: Board) -> list[StreamInfo]:
        """Streams for which the board has contiguous memory; ContiguousMemoryError if none."""
        fitting = [
            s for s in self.program.streams
            if self.program.memory(s.batch).fits(board.contiguous_mib)
        ]  # fmt: skip
        if not fitting:
            raise ContiguousMemoryError(
                f"network '{self.program.name}' needs {self.program.memory(1)} of contiguous "
                f"memory, board {board.name} has {board.contiguous_mib} MiB: compile it for "
                "8 bits or smaller windows, or give the board's kernel more (cma=) and its "
                "description too (contiguous_mib)"
            )
        return fitting

    def _streams(self, count: int) -> Iterator[StreamInfo]:
        """Streams whose batches add up to ``count``, largest first, so no work is wasted."""
        for stream in reversed(self._fitting):
            while count >= stream.batch:
                yield stream
                count -= stream.batch

    def _run(self, stream: StreamInfo, q: NDArray) -> NDArray:
        """Output integers (N, C, H, W) of one stream."""
        if self._closed:
            raise DeviceError("this generator is closed; make a new one")
        code = self._upload(f"stream-{stream.batch}", stream.stream)
        source = self._buffer("input", stream.input_bytes)
        target = self._buffer("output", stream.output_bytes)
        scratch = self._buffer("scratch", max(stream.scratch_bytes, 64))
        source[: stream.input_bytes] = np.ascontiguousarray(q).reshape(-1).view(np.uint8)
        source.flush()
        # Drop the processor's stale lines of the result before the device writes it.
        target.invalidate()
        bases = {
            Segment.WEIGHTS: self._buffers["weights"].device_address,
            Segment.INPUT: source.device_address,
            Segment.OUTPUT: target.device_address,
            Segment.SCRATCH: scratch.device_address,
        }
        self.core.start(code.device_address, stream.length, bases)
        self.core.wait(self._deadline(stream))
        for name, value in self.core.counters().items():
            self._counters[name] += value
        target.invalidate()
        words = np.array(target[: stream.output_bytes]).view(self._dtype)
        c, h, w = self.program.output_shape
        lanes = self.program.core.co_lanes
        grid = words.reshape(stream.batch, -1, h, w, lanes).transpose(0, 1, 4, 2, 3)
        return grid.reshape(stream.batch, -1, h, w)[:, :c]

    def _deadline(self, stream: StreamInfo) -> float:
        if self._timeout is not None:
            return self._timeout
        predicted = stream.cycles / (self.program.board.clock_mhz * 1e6)
        return max(_MIN_SECONDS, _DEADLINE_FACTOR * predicted)

    def _upload(self, name: str, data: bytes) -> Any:
        """A buffer that holds constant bytes where the device sees them."""
        if name not in self._buffers:
            buffer = self._buffer(name, len(data))
            buffer[:] = np.frombuffer(data, np.uint8)
            buffer.flush()
        return self._buffers[name]

    def _buffer(self, name: str, nbytes: int) -> Any:
        """The named contiguous buffer, with room for ``nbytes``."""
        held = self._buffers.get(name)
        if held is not None and held.nbytes >= nbytes:
            return held
        if held is not None:
            del self._buffers[name]
            held.freebuffer()
        self._buffers[name] = pynq.allocate((nbytes,), np.uint8, target=self.device)
        return self._buffers[name]
