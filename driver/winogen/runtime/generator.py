"""The class for Python users: load a program on a device, then generate images."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import ContiguousMemoryError, DeviceError, InputError
from winogen.common.images import to_pixels
from winogen.profiling import trace
from winogen.profiling.profile import Profile
from winogen.profiling.runs import Run, profile_run
from winogen.program.file import Program
from winogen.program.formats import input_bits, sample_inputs
from winogen.program.parts import StreamInfo
from winogen.runtime.buffers import Buffers
from winogen.runtime.lock import LOCK_TIMEOUT
from winogen.runtime.open import OpenDevice, open_device
from winogen.runtime.session import Session
from winogen.runtime.waiting import Deadline, check_waiting, interrupt_line
from winogen.runtime.windows import image_spans
from winogen.target import isa
from winogen.target.board import Board, load_board
from winogen.target.numerics import storage_dtype
from winogen.target.registers import COUNTERS, Segment

#: A run may take this many times its predicted cycles, and never less than _MIN_SECONDS.
_DEADLINE_FACTOR = 50
_MIN_SECONDS = 5.0
#: How long a run may keep other threads from the device: on a board its deadline and what Python
#: does around it.
_AROUND_SECONDS = 10.0
#: Buffers of devices that could not be stopped: they may write to them still.
_lost: dict[Session, list[Any]] = {}
_CLOSED = "this generator is closed; make a new one"

_T = TypeVar("_T")


@dataclass
class _Job:
    """What one call of the user's collects over its runs; ``stop`` ends it early.

    ``runs`` is None where no profile is wanted.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    counters: dict[str, int] = field(
        default_factory=lambda: {name.lower(): 0 for name, _ in COUNTERS}
    )
    runs: list[Run] | None = None


class Generator:
    """A network on a device; use it as a context manager.

    Any number of threads and coroutines may use it, and other generators of this process, on one
    device: they take turns, one batch at a time. Ctrl-C leaves it usable.

    >>> with Generator("digits.wg") as generator:
    ...     images = generator.generate(generator.latents(16, seed=7))

    Parameters
    ----------
    program : a Program or the path of a program file
    device : ``emulator``, ``rtl``, ``board``, ``auto`` (see :func:`winogen.pick_device`), a
        ``pynq.Device``, or what :func:`winogen.runtime.open.open_device` returned, which stays open
    board : name or description of the board that the device is; default: the program's
        (an emulated device then is that board)
    overlay : path of the bitstream; an emulated device needs none
    timeout : seconds that one run may take; default: many times the predicted time on a board,
        and without end on emulated devices, which are slower. The emulator, which computes a run in
        one piece, has no time-out
    waiting : ``interrupt`` waits for the accelerator's interrupt, ``poll`` looks at its STATUS
        register, ``auto`` waits for the interrupt if the overlay has one
    lock_timeout : seconds to wait for another process that uses the board

    Raises
    ------
    ProgramError : the program file is damaged or for another board
    DeviceError : no such device, or the overlay is not ours or not the program's
    DeviceBusyError : another process uses the board
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
        waiting: str = "auto",
        lock_timeout: float = LOCK_TIMEOUT,
    ):
        self.program = program if isinstance(program, Program) else Program.load(program)
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, not {timeout}")
        if not lock_timeout >= 0:
            raise InputError(f"lock_timeout must be a number of seconds, not {lock_timeout}")
        check_waiting(waiting)
        self._timeout = timeout
        if board is None:
            board = self.program.board
        elif not isinstance(board, Board):
            board = load_board(board, self.program.data_width)
        self.program.check_board(board)
        self._shared = isinstance(device, OpenDevice)
        self._opened = open_device(
            device, board, overlay, lock_timeout=lock_timeout, active=waiting == "interrupt"
        )
        self.device, self.overlay, self.core = self._opened
        lease = self.core.lease
        assert lease is not None  # open_device gave it
        self._session = lease.session
        self._dtype = storage_dtype(self.program.data_width)
        self._buffers = Buffers(self.device, self.program.name)
        self._counters = _Job().counters
        self._thread: ThreadPoolExecutor | None = None
        self._closed = self._released = False
        try:
            self._line = interrupt_line(self.core, waiting)
            self._fitting = self._streams_that_fit(board)
            self.core.check_identity(self.program.core.config_hash32)
            with self._session.turn("loading weights", _AROUND_SECONDS):
                self._buffers.upload("weights", self.program.weights)
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
        try:
            self.close()
        except DeviceError:  # it cannot be stopped: what got us here has said so
            if error is None:
                raise

    def close(self) -> None:
        """Give all contiguous memory and the device back; there is no use of this afterwards.

        A run in another thread is ended first. Raises DeviceTimeoutError if the accelerator cannot
        be stopped; memory that it may write to then stays taken.
        """
        if self._released:
            return
        self._closed = True  # who waits or runs sees it
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        with self._session.turn("closing a generator", _AROUND_SECONDS):
            try:
                if self.core.unfinished:
                    self.core.reset()
                self._buffers.free()
            finally:
                self._buffers.clear()
                self._released = True
                if not self._shared:
                    self.core.close()

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """``count`` reproducible inputs, (N, latent) or (N, C, H, W) for images."""
        if count < 1:
            raise InputError(f"the number of images must be at least 1, not {count}")
        if seed < 0:
            raise InputError(f"a seed must not be negative, not {seed}")
        inputs = sample_inputs(self.program.input, count, seed)
        return inputs.reshape(count, -1) if self.program.input.kind == "latent" else inputs

    @overload
    def generate(
        self,
        z: ArrayLike,
        *,
        as_float: bool = ...,
        progress: Callable[[int], None] | None = ...,
        profile: Literal[False] = ...,
    ) -> NDArray: ...

    @overload
    def generate(
        self,
        z: ArrayLike,
        *,
        as_float: bool = ...,
        progress: Callable[[int], None] | None = ...,
        profile: Literal[True],
    ) -> tuple[NDArray, Profile]: ...

    def generate(
        self,
        z: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
        profile: bool = False,
    ) -> NDArray | tuple[NDArray, Profile]:
        """Run the network on any number of inputs.

        Parameters
        ----------
        z : float array (N, latent) or (N, C, H, W)
        as_float : return real values even if the output is an image
        progress : called with the number of inputs done so far
        profile : return where the time went too; a long stream runs several times for it

        Returns
        -------
        uint8 images (N, H, W, C), or float32 (N, C, H, W) if ``as_float`` is set or the network's
        output is no image; with ``profile`` a pair of these and a :class:`winogen.Profile`.

        Raises
        ------
        InputError : z has the wrong shape or dtype, or holds NaN or infinity
        DeviceError, DeviceTimeoutError : the device failed; it is reset and can be used again
        """
        if not profile:
            return self._generate(_Job(), z, as_float, progress)
        job = _Job(runs=[])
        out = self._generate(job, z, as_float, progress)
        assert job.runs is not None
        measured = self._opened.traits.is_measured
        return out, Profile(self.program, self.device.name, tuple(job.runs), measured)

    async def generate_async(
        self,
        z: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> NDArray:
        """:meth:`generate` for coroutines: the event loop goes on while the device works.

        Calls of one generator run one after the other. A call that is cancelled, as by
        ``asyncio.wait_for``, ends its run and resets the device before it comes back: within
        milliseconds on a board, while an emulated device first completes the register access in
        which it computes. ``progress`` is called in the event loop's thread.
        """
        return await self._in_thread(
            lambda job, tell: self._generate(job, z, as_float, tell), progress
        )

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
        return self._apply(_Job(), image, as_float, progress)

    async def apply_async(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray:
        """:meth:`apply` for coroutines, as :meth:`generate_async` is :meth:`generate`."""
        return await self._in_thread(
            lambda job, tell: self._apply(job, image, as_float, tell), progress
        )

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the last :meth:`generate` or :meth:`apply`."""
        return dict(self._counters)

    def _generate(
        self, job: _Job, z: ArrayLike, as_float: bool, progress: Callable[[int], object] | None
    ) -> NDArray:
        q = self._quantise(self._check_input(z))
        outputs = []
        done = 0
        for stream in self._streams(len(q)):
            outputs.append(self._run(stream, q[done : done + stream.batch], job))
            done += stream.batch
            if progress:
                progress(done)
        self._counters = job.counters
        out = np.concatenate(outputs)
        program = self.program
        if program.output_range is None or as_float:
            return program.output_format.dequantise(out)
        return self._pixels(out)

    def _apply(
        self,
        job: _Job,
        image: ArrayLike,
        as_float: bool,
        progress: Callable[[int, int], object] | None,
    ) -> NDArray:
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
        for start in range(0, len(windows), largest):
            batch = windows[start : start + largest]
            cut = [
                whole[:, r.start : r.start + size[0], c.start : c.start + size[1]] for r, c in batch
            ]
            made = self._generate(job, np.stack(cut), as_float, None)
            pixels = made.dtype == np.uint8  # then channels are last
            made = made if pixels else made.transpose(0, 2, 3, 1)
            if out is None:
                out = np.empty((height, width, made.shape[3]), made.dtype)
            for (r, c), part in zip(batch, made):
                kept = part[r.first : r.stop, c.first : c.stop]
                out[r.target : r.target + len(kept), c.target : c.target + kept.shape[1]] = kept
            if progress:
                progress(start + len(batch), len(windows))
        assert out is not None
        return out if out.dtype == np.uint8 else out.transpose(2, 0, 1)

    async def _in_thread(
        self,
        work: Callable[[_Job, Callable[..., object] | None], _T],
        progress: Callable[..., object] | None,
    ) -> _T:
        """What ``work(job, tell)`` returns in this generator's thread; stopped when cancelled.

        ``tell`` calls ``progress`` in the event loop, and ends the work if that raises.
        """
        if self._closed:
            raise DeviceError(_CLOSED)
        loop = asyncio.get_running_loop()
        job = _Job()
        failures: list[BaseException] = []

        def call(*done: int) -> None:
            try:
                if progress and not failures:
                    progress(*done)
            except BaseException as error:
                failures.append(error)
                job.stop.set()

        def tell(*done: int) -> None:
            loop.call_soon_threadsafe(call, *done)

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "winogen")
        future = self._thread.submit(work, job, tell if progress else None)
        result = asyncio.wrap_future(future)
        result.add_done_callback(lambda f: f.cancelled() or f.exception())  # it is looked at
        try:
            made = await asyncio.shield(result)
        except asyncio.CancelledError:
            job.stop.set()
            future.cancel()  # where it has not begun
            await asyncio.wait([result])
            raise
        except DeviceError:
            if failures:
                raise failures[0] from None
            raise
        if failures:
            raise failures[0]
        return made

    def _check_input(self, z: ArrayLike) -> NDArray[np.float64]:
        program = self.program
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

    def _run(self, stream: StreamInfo, q: NDArray, job: _Job) -> NDArray:
        """Output integers (N, C, H, W) of one stream; what else is known of it goes to ``job``."""
        deadline = self._deadline(stream)
        traits = self._opened.traits
        seconds = traits.turn_seconds or deadline.seconds + _AROUND_SECONDS
        if job.runs is not None:
            seconds *= len(trace.windows(stream.length))
        stop = lambda: self._closed or job.stop.is_set()  # noqa: E731
        with self._session.turn(f"network '{self.program.name}'", seconds, stop):
            self._check_usable()
            if traits.takes_limit:
                self.device.limit_run(self._timeout)
            self.core.end_stream()  # before its buffers are used for this one
            _lost.pop(self._session, None)
            code = self._buffers.upload(f"stream-{stream.batch}", stream.stream)
            source = self._buffers.room("input", stream.input_bytes)
            target = self._buffers.room("output", stream.output_bytes)
            scratch = self._buffers.room("scratch", max(stream.scratch_bytes, 64))
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
            run = partial(
                self._run_or_keep,
                code.device_address,
                stream.length,
                bases,
                deadline,
                line=self._line,
                describe=lambda index: self._describe(stream, index),
                stop=stop,
            )
            counters: Mapping[str, int]
            if job.runs is None:
                run()
                counters = self.core.counters()
            else:
                job.runs.append(profile_run(self.program, stream, self.core, run))
                counters = job.runs[-1].counters
            for name, value in counters.items():
                job.counters[name] += value
            target.invalidate()
            words = np.array(target[: stream.output_bytes]).view(self._dtype)
        c, h, w = self.program.output_shape
        lanes = self.program.core.co_lanes
        grid = words.reshape(stream.batch, -1, h, w, lanes).transpose(0, 1, 4, 2, 3)
        return grid.reshape(stream.batch, -1, h, w)[:, :c]

    def _run_or_keep(self, *arguments: Any, **options: Any) -> None:
        """:meth:`WinogenCore.run`; buffers of what cannot be stopped outlive this object."""
        try:
            self.core.run(*arguments, **options)
        finally:
            if self.core.unfinished:
                _lost.setdefault(self._session, []).extend(self._buffers.values())

    def _check_usable(self) -> None:
        """Raise DeviceError if the generator or its device is closed, or the overlay gone."""
        if self._closed:
            raise DeviceError(_CLOSED)
        self.core.check_open()
        try:
            # What pynq has loaded in this process comes first: on a board it may be that nothing
            # answers where the accelerator was, and that ends the process.
            there, ours = self.device.bitfile_name, self.overlay.bitfile_name
            if not self.overlay.is_loaded() and there != ours:
                raise DeviceError(f"it is {there}")
            self.core.check_identity(self.program.core.config_hash32)
        except DeviceError as error:
            raise DeviceError(
                "another overlay has been loaded on the device since this generator was made; "
                f"make a new one ({error})"
            ) from None

    def _deadline(self, stream: StreamInfo) -> Deadline:
        if self._timeout is not None:
            return Deadline(self._timeout, "the timeout that was asked for")
        predicted = stream.cycles / (self.program.board.clock_mhz * 1e6)
        return Deadline(
            max(_MIN_SECONDS, _DEADLINE_FACTOR * predicted),
            f"{_DEADLINE_FACTOR} times the predicted {predicted * 1e3:.3g} ms, and at least "
            f"{_MIN_SECONDS:g} s",
        )

    def _describe(self, stream: StreamInfo, index: int) -> str:
        """An instruction of a stream, in words."""
        if not index < stream.length:
            return f"instruction {index}"
        start = index * isa.INSTRUCTION_BYTES
        [instruction] = isa.decode(stream.stream[start : start + isa.INSTRUCTION_BYTES], index)
        text = f"instruction {index}, {instruction.opcode.name}"
        if instruction.layer < len(self.program.layers):  # nothing depends on it but this
            text += f" of layer '{self.program.layers[instruction.layer].name}'"
        return text
