"""The class for Python users: load a program on a device, then generate images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import DeviceError, InputError
from winogen.profiling.profile import Profile
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.runtime.background import Background
from winogen.runtime.codec import Codec
from winogen.runtime.lock import LOCK_TIMEOUT
from winogen.runtime.open import OpenDevice, open_device
from winogen.runtime.runner import Job, Runner
from winogen.runtime.waiting import check_waiting
from winogen.runtime.windows import stitch
from winogen.target.board import Board, load_board


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
        if board is None:
            board = self.program.board
        elif not isinstance(board, Board):
            board = load_board(board, self.program.data_width)
        self.program.check_board(board)
        self._opened = open_device(
            device, board, overlay, lock_timeout=lock_timeout, active=waiting == "interrupt"
        )
        self.device, self.overlay, self.core = self._opened
        self._runner = Runner(
            self.program,
            self._opened,
            board,
            shared=isinstance(device, OpenDevice),
            timeout=timeout,
            waiting=waiting,
        )
        self._codec = Codec(self.program)
        self._background = Background(self._runner.check_open)
        self._counters = Job().counters

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
        InputError : z has the wrong shape or dtype, or holds NaN or infinity. Inputs beyond what
            the network expects are a WinogenWarning with their share
        DeviceError, DeviceTimeoutError : the device failed; it is reset and can be used again
        """
        job = Job(runs=[] if profile else None)
        out = self._generate(job, z, as_float, progress)
        if job.runs is None:
            return out
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
        return await self._background.call(
            lambda stop, tell: self._generate(Job(stop), z, as_float, tell), progress
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
        return self._apply(Job(), image, as_float, progress)

    async def apply_async(
        self,
        image: ArrayLike,
        *,
        as_float: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray:
        """:meth:`apply` for coroutines, as :meth:`generate_async` is :meth:`generate`."""
        return await self._background.call(
            lambda stop, tell: self._apply(Job(stop), image, as_float, tell), progress
        )

    def counters(self) -> dict[str, int]:
        """The hardware's counters, summed over the last :meth:`generate` or :meth:`apply`."""
        return dict(self._counters)

    def _generate(
        self,
        job: Job,
        z: ArrayLike,
        as_float: bool,
        progress: Callable[[int], object] | None,
        *,
        checked: bool = False,
    ) -> NDArray:
        words = self._codec.encode(z)
        if not checked:
            self._codec.warn_of_range(z)
        outputs = []
        done = 0
        for stream in self._runner.split(len(words)):
            data = self._runner.run(stream, words[done : done + stream.batch], job)
            outputs.append(self._codec.decode(data, stream.batch))
            done += stream.batch
            if progress:
                progress(done)
        self._counters = job.counters
        return self._codec.present(np.concatenate(outputs), as_float)

    def _apply(
        self,
        job: Job,
        image: ArrayLike,
        as_float: bool,
        progress: Callable[[int, int], object] | None,
    ) -> NDArray:
        largest = self._runner.streams[-1].batch
        windows = lambda z: self._generate(job, z, as_float, None, checked=True)  # noqa: E731
        out = stitch(image, self.program, largest, windows, progress)
        self._codec.warn_of_range(image)  # once for all windows
        return out
