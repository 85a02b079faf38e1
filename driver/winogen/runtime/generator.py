"""The class for Python users: load a program on a device, then generate images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import DeviceError, InputError
from winogen.profiling.profile import Profile
from winogen.program.deadline import exit_in_time, split
from winogen.program.file import Program
from winogen.runtime.background import Background
from winogen.runtime.codec import Codec, Inputs
from winogen.runtime.integrity import check_options
from winogen.runtime.latents import inputs_of
from winogen.runtime.lock import LOCK_TIMEOUT
from winogen.runtime.open import OpenDevice, open_device
from winogen.runtime.runner import Job, Runner
from winogen.runtime.waiting import check_waiting
from winogen.runtime.windows import stitch, windows_of
from winogen.runtime.works import Work
from winogen.target.board import Board, load_board

#: What stops a call that nobody can cancel.
_NEVER = threading.Event()


class Generator:
    """A network on a device; use it as a context manager.

    Any number of threads and coroutines may use it, and other generators of this process, on one
    device: they take turns, one batch at a time. Ctrl-C leaves it usable.

    >>> with Generator("digits.wg") as generator:
    ...     images = generator.generate(generator.latents(16, seed=7))

    Parameters
    ----------
    program : a Program or the path of a program file
    device : ``emulator``, ``rtl``, ``board``, ``remote:ADDRESS[:PORT]`` (a board that PYNQ.remote
        drives from here), ``auto`` (see :func:`winogen.pick_device`), a ``pynq.Device``, or what
        :func:`winogen.runtime.open.open_device` returned, which stays open
    board : name or description of the board that the device is; default: the program's
        (an emulated device then is that board)
    overlay : path of the bitstream; an emulated device needs none
    timeout : seconds that one run may take; default: many times the predicted time on a board,
        and without end on emulated devices, which are slower. The emulator, which computes a run in
        one piece, has no time-out
    waiting : ``interrupt`` waits for the accelerator's interrupt, ``poll`` looks at its STATUS
        register, ``auto`` waits for the interrupt if the overlay has one
    lock_timeout : seconds to wait for another process that uses the board
    check_every : look for soft errors every so many runs of the device; a run is one batch of
        :meth:`generate`, or of windows of :meth:`apply`. After each of those runs, before what it
        gave is returned, weights (with tables) and instructions are read back from the device's
        memory and held against digests that were taken when the program was read. After every run
        its input is held against what was written. So with 1 nothing is returned that was
        computed with memory that had changed by then; with N at most N - 1 runs are, before a
        CorruptionError says so. After it the next call loads weights and instructions again.
        Default: no look but :meth:`check`. The registers with the bases of the memory segments are
        read back before and after every run in any case
    check_repeat : each of those runs is made twice, and the outputs must agree. This finds what the
        above cannot: bits that change between the layers, in the output before it is read, and in
        the logic. Needs ``check_every``
    check_answer : each of those runs is followed by one of a known input, which must give what it
        gave after loading (in two runs that agree, all else checked). This finds what is damaged
        for good in the same places, which may be the same twice. Needs ``check_every``

    Raises
    ------
    ProgramError : the program file is damaged or for another board
    DeviceError : no such device, or the overlay is not ours or not the program's
    DeviceBusyError : another process uses the board
    ContiguousMemoryError : the network does not fit the board's contiguous memory
    CorruptionError : with ``check_every``, the device's memory does not hold what was loaded
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
        check_every: int | None = None,
        check_answer: bool = False,
        check_repeat: bool = False,
    ):
        source = None if isinstance(program, Program) else Path(program)
        self.program = program if isinstance(program, Program) else Program.load(program)
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, not {timeout}")
        if not lock_timeout >= 0:
            raise InputError(f"lock_timeout must be a number of seconds, not {lock_timeout}")
        check_waiting(waiting)
        check_options(check_every, check_answer, check_repeat)
        if board is None:
            board = self.program.board
        elif not isinstance(board, Board):
            board = load_board(board, self.program.data_width)
        self.program.check_board(board)
        self._opened = open_device(
            device, board, overlay, lock_timeout=lock_timeout, active=waiting == "interrupt"
        )
        self.device, self.overlay, self.core = self._opened
        if self._opened.traits.is_real:
            self.program = self.program.clocked_as(Path(self.overlay.bitfile_name))
        self._runner = Runner(
            self.program,
            self._opened,
            board,
            shared=isinstance(device, OpenDevice),
            timeout=timeout,
            waiting=waiting,
            source=source,
            check_every=check_every,
            check_answer=check_answer,
            check_repeat=check_repeat,
        )
        exits = self.program.exit_count
        self._codecs = {n: Codec(self.program.at_exit(n)) for n in range(1, exits + 1)}
        self._codec = self._codecs[exits]
        self._background = Background(self._runner.check_open)
        self._counters: dict[str, int] | None = None

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
        self._runner.stop()
        self._background.close()
        self._runner.close()

    @property
    def parallel(self) -> int:
        """How many devices share a call: 1."""
        return 1

    @property
    def unchecked(self) -> int:
        """Runs since the last check of ``check_every``, which :meth:`check` would look at now."""
        return self._runner.unchecked

    def latents(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """``count`` reproducible inputs, (N, latent) or (N, C, H, W) for images."""
        return inputs_of(self.program.input, count, seed)

    @overload
    def generate(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = ...,
        progress: Callable[[int], None] | None = ...,
        count: bool = ...,
        exit: int | None = ...,
        deadline_ms: float | None = ...,
        profile: Literal[False] = ...,
    ) -> NDArray: ...

    @overload
    def generate(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = ...,
        progress: Callable[[int], None] | None = ...,
        count: bool = ...,
        exit: int | None = ...,
        deadline_ms: float | None = ...,
        profile: Literal[True],
    ) -> tuple[NDArray, Profile]: ...

    def generate(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
        profile: bool = False,
    ) -> NDArray | tuple[NDArray, Profile]:
        """Run the network on any number of inputs.

        Inputs beyond the largest batch are run in several, which overlap: while the device has one,
        the next one is converted and the last one's output too.

        Parameters
        ----------
        z : float array (N, latent) or (N, C, H, W); of a network of several inputs also arrays by
            their names: latents (N, n), labels by number or by the name of a class, images
        as_float : return real values even if the output is an image
        progress : called with the number of inputs done so far; it may not use this generator
        count : read the hardware's counters after each run, for :meth:`counters`: 22 registers
        exit : how far to run a network that was trained for it: from 1, the shallowest, to
            ``program.exit_count``, the whole network, which is the default
        deadline_ms : in place of it, how long all of this may take: :meth:`exit_in_time` has it
        profile : return where the time went too; a long stream runs several times for it

        Returns
        -------
        uint8 images (N, H, W, C), or float32 (N, C, H, W) if ``as_float`` is set or the network's
        output is no image; with ``profile`` a pair of these and a :class:`winogen.Profile`.

        Raises
        ------
        InputError : z has the wrong shape or dtype, or holds NaN or infinity; there is no such
            exit, or none is in time. Inputs beyond what the network expects are a WinogenWarning
            with their share
        DeviceError, DeviceTimeoutError : the device failed; it is reset and can be used again
        CorruptionError : weights, instructions, input or registers have changed on the device
            (``check_every``); nothing is returned, and the next call loads the program again
        """
        job = Job.of(_NEVER, count=count, profile=profile)
        out = self._generate(job, z, as_float, progress, exit, deadline_ms)
        if job.runs is None:
            return out
        measured = self._opened.traits.is_measured
        program = self._runner.at_exit(self._chosen(exit, deadline_ms, len(out)))
        return out, Profile(program, self.device.name, tuple(job.runs), measured)

    async def generate_async(
        self,
        z: ArrayLike | Mapping[str, ArrayLike],
        *,
        as_float: bool = False,
        progress: Callable[[int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """:meth:`generate` for coroutines: the event loop goes on while the device works.

        The device has the calls of one generator one after the other; meanwhile the next one's
        input and the last one's output are converted. A call that is cancelled, as by
        ``asyncio.wait_for``, ends its run and resets the device before it comes back: within
        milliseconds on a board, while an emulated device first completes the register access in
        which it computes. ``progress`` is called in the event loop's thread.
        """
        return await self._background.call(
            lambda stop, tell: self._generate(
                Job.of(stop, count=count), z, as_float, tell, exit, deadline_ms
            ),
            progress,
        )

    def apply(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """Run the network on one image of any size, in windows of the compiled size.

        The result is, bit for bit, that of the network compiled for the whole image.

        Parameters
        ----------
        image : float array (C, H, W), at least as large as the compiled input
        as_float : return real values even if the output is an image
        progress : called with the number of windows done and of all windows
        count, exit, deadline_ms : as for :meth:`generate`; the deadline is for all windows

        Returns
        -------
        uint8 image (H', W', C'), or float32 (C', H', W') as :meth:`generate` decides.

        Raises
        ------
        InputError : the image has the wrong shape, or the network sees its whole input
        DeviceError, DeviceTimeoutError, CorruptionError : as :meth:`generate`
        """
        job = Job.of(_NEVER, count=count)
        return self._apply(job, image, as_float, progress, exit, deadline_ms)

    async def apply_async(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
        count: bool = False,
        exit: int | None = None,
        deadline_ms: float | None = None,
    ) -> NDArray:
        """:meth:`apply` for coroutines, as :meth:`generate_async` is :meth:`generate`."""
        return await self._background.call(
            lambda stop, tell: self._apply(
                Job.of(stop, count=count), image, as_float, tell, exit, deadline_ms
            ),
            progress,
        )

    def exit_in_time(self, count: int, deadline_ms: float) -> int:
        """The deepest exit that makes ``count`` images in ``deadline_ms``, as predicted.

        The prediction is for the board of the program, at its clock, with the processor's part and
        each batch by itself. Raises InputError, with the least time that there is, where even the
        fastest exit takes longer.
        """
        return self._in_time(count, deadline_ms)

    def _in_time(self, count: int | Callable[[Program], int], deadline_ms: float) -> int:
        exits = self.program.exit_count
        return exit_in_time(self._runner.at_exit, exits, count, deadline_ms)

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the last :meth:`generate` or :meth:`apply`.

        Raises InputError if that did not read them (``count`` or ``profile``), or did not end.
        """
        if self._counters is None:
            raise InputError(
                "the last call did not read the hardware's counters, which takes time: call "
                "generate or apply with count=True"
            )
        return dict(self._counters)

    def check(self) -> None:
        """Look for soft errors now, as ``check_every`` does; also without it.

        Raises CorruptionError if weights or instructions have changed in the device's memory (or,
        with ``check_answer``, a known input gives another output). What runs since the last check
        have given may be wrong then.
        """
        self._runner.check(Job())

    def reload(self) -> None:
        """Load weights and instructions again, from the program, and read them back.

        The next call after a CorruptionError does it by itself. Where the program has changed in
        the processor's memory too, its file is read again. Raises CorruptionError if that is not
        possible, or the device's memory does not keep what is loaded.
        """
        self._runner.reload(Job())

    def _chosen(
        self,
        exit: int | None,
        deadline_ms: float | None,
        count: int | Callable[[Program], int],
    ) -> int:
        """The exit that was asked for, or that is in time for ``count`` inputs."""
        if deadline_ms is None:
            return self.program.exit_count if exit is None else exit
        if exit is not None:
            raise InputError("a deadline chooses the exit: give an exit or a deadline")
        return self._in_time(count, deadline_ms)

    def _generate(
        self,
        job: Job,
        z: ArrayLike | Mapping[str, ArrayLike],
        as_float: bool,
        progress: Callable[[int], object] | None,
        exit: int | None,
        deadline_ms: float | None,
    ) -> NDArray:
        x = self._codec.checked(z)
        number = self._chosen(exit, deadline_ms, len(x.values))
        made: list[NDArray] = []
        self._run(job, iter((x,)), number, as_float, made.append, progress)
        return made[0]

    def _apply(
        self,
        job: Job,
        image: ArrayLike,
        as_float: bool,
        progress: Callable[[int, int], object] | None,
        exit: int | None,
        deadline_ms: float | None,
    ) -> NDArray:
        def windows(program: Program) -> int:
            rows, columns = windows_of(image, program)
            return len(rows) * len(columns)

        number = self._chosen(exit, deadline_ms, windows)
        program = self._runner.at_exit(number)
        codec = self._codecs[number]
        checked = partial(codec.checked, warn=False)

        def generate(windows: Iterator[NDArray], put: Callable[[NDArray], object]) -> None:
            self._run(job, map(checked, windows), number, as_float, put)

        out = stitch(image, program, program.streams[-1].batch, generate, progress)
        codec.warn_of_range(np.asarray(image))  # once for all windows
        return out

    def _run(
        self,
        job: Job,
        batches: Iterator[Inputs],
        number: int,
        as_float: bool,
        put: Callable[[NDArray], object],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Run the network to an exit, on batches of any size; ``put`` gets the output of each."""
        program = self._runner.at_exit(number)
        codec = self._codecs[number]

        def drain(out: NDArray, part: slice, data: NDArray[np.uint8]) -> None:
            codec.decode_into(data, out[part])
            if progress:
                progress(part.stop)
            if part.stop == len(out):
                put(out)

        def works() -> Iterator[Work]:
            for x in batches:
                count = len(x.values)
                out = codec.room(count, as_float)
                first = 0
                for stream in split(count, program.streams):
                    part = slice(first, first + stream.batch)
                    fill = partial(codec.encode_into, x.part(part))
                    yield Work(stream, fill, partial(drain, out, part))
                    first = part.stop

        self._counters = None
        self._runner.run(works(), job)
        self._counters = job.counters
