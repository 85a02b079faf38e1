"""Streams of a program on a device, one at a time: memory, deadlines, counters, messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ContiguousMemoryError, DeviceError
from winogen.profiling import trace
from winogen.profiling.runs import Run, profile_run
from winogen.program.check import check_stream
from winogen.program.file import Program
from winogen.program.parts import StreamInfo
from winogen.runtime.buffers import Buffers
from winogen.runtime.open import OpenDevice
from winogen.runtime.overlay import check_build
from winogen.runtime.session import Session
from winogen.runtime.waiting import Deadline, interrupt_line
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.hwh import IP_NAME
from winogen.target.registers import COUNTERS, Segment

#: A run may take this many times its predicted cycles, and never less than _MIN_SECONDS or more
#: than _MAX_SECONDS: the prediction is what a program file says.
_DEADLINE_FACTOR = 50
_MIN_SECONDS = 5.0
_MAX_SECONDS = 3600.0
#: What Python does around a run may keep other threads from the device for so much longer.
_AROUND_SECONDS = 10.0
#: Buffers of devices that could not be stopped: they may write to them still.
_lost: dict[Session, list[Any]] = {}


@dataclass
class Job:
    """What one call of the user's collects over its runs; ``stop`` ends it early.

    ``runs`` is None where no profile is wanted.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    counters: dict[str, int] = field(
        default_factory=lambda: {name.lower(): 0 for name, _ in COUNTERS}
    )
    runs: list[Run] | None = None


class Runner:
    """A program on an open device, with its weights in contiguous memory.

    Parameters
    ----------
    opened : the device; close gives it back unless it is ``shared``
    board : the board that the device is
    timeout : seconds that one run may take; None: many times its prediction
    waiting : see :class:`winogen.runtime.generator.Generator`, which says what is raised too

    Attributes
    ----------
    streams : those for which the board has contiguous memory, by ascending batch, at least one
    buffers : what is in contiguous memory now
    session : who has turns on the device
    """

    def __init__(
        self,
        program: Program,
        opened: OpenDevice,
        board: Board,
        *,
        shared: bool,
        timeout: float | None,
        waiting: str,
    ):
        self.program = program
        lease = opened.core.lease
        assert lease is not None  # open_device gave it
        self.session = lease.session
        self.buffers = Buffers(opened.device, program.name)
        self._opened = opened
        self._shared = shared
        self._timeout = timeout
        self._closed = self._released = False
        try:
            self._line = interrupt_line(opened.core, waiting)
            self.streams = _streams_that_fit(program, board)
            self._check_build()
            with self.session.turn("loading weights", _AROUND_SECONDS):
                self.buffers.upload("weights", program.weights)
        except BaseException:
            self.close()
            raise

    def check_open(self) -> None:
        """Raise DeviceError if nothing may run any more."""
        if self._closed:
            raise DeviceError("this generator is closed; make a new one")

    def stop(self) -> None:
        """End what runs, in whatever thread; nothing runs afterwards."""
        self._closed = True  # who waits or runs sees it

    def close(self) -> None:
        """Stop, and give all contiguous memory and the device back.

        Raises DeviceTimeoutError if the accelerator cannot be stopped; memory that it may write to
        then stays taken.
        """
        if self._released:
            return
        self.stop()
        core = self._opened.core
        with self.session.turn("closing a generator", _AROUND_SECONDS):
            try:
                if core.unfinished:
                    core.reset()
                self.buffers.free()
            finally:
                self.buffers.clear()
                self._released = True
                if not self._shared:
                    core.close()

    def split(self, count: int) -> Iterator[StreamInfo]:
        """Streams whose batches add up to ``count``, largest first, so no work is wasted."""
        for stream in reversed(self.streams):
            while count >= stream.batch:
                yield stream
                count -= stream.batch

    def run(self, stream: StreamInfo, words: NDArray, job: Job) -> NDArray[np.uint8]:
        """The output segment after a run of one stream; what else is known of it goes to ``job``.

        ``words`` are the input segment. Raises DeviceError and DeviceTimeoutError: the device
        failed; it is reset and can be used again.
        """
        device, core = self._opened.device, self._opened.core
        deadline = self._deadline(stream)
        traits = self._opened.traits
        seconds = traits.turn_seconds or deadline.seconds + _AROUND_SECONDS
        if job.runs is not None:
            seconds *= len(trace.windows(stream.length))
        stop = lambda: self._closed or job.stop.is_set()  # noqa: E731
        with self.session.turn(f"network '{self.program.name}'", seconds, stop):
            self._check_usable()
            if traits.takes_limit:
                device.limit_run(self._timeout)
            core.end_stream()  # before its buffers are used for this one
            _lost.pop(self.session, None)
            source = self.buffers.room("input", stream.input_bytes)
            target = self.buffers.room("output", stream.output_bytes)
            scratch = self.buffers.room("scratch", max(stream.scratch_bytes, 64))
            code = self._checked_stream(stream)
            source[: stream.input_bytes] = np.ascontiguousarray(words).reshape(-1).view(np.uint8)
            source.flush()
            # Drop the processor's stale lines of the result before the device writes it.
            target.invalidate()
            bases = {
                Segment.WEIGHTS: self.buffers["weights"].device_address,
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
                describe=partial(_describe, self.program, stream),
                stop=stop,
            )
            counters: Mapping[str, int]
            if job.runs is None:
                run()
                counters = core.counters()
            else:
                job.runs.append(profile_run(self.program, stream, core, run))
                counters = job.runs[-1].counters
            for name, value in counters.items():
                job.counters[name] += value
            target.invalidate()
            return np.array(target[: stream.output_bytes])

    def _run_or_keep(self, *arguments: Any, **options: Any) -> None:
        """:meth:`WinogenCore.run`; buffers of what cannot be stopped outlive this object."""
        core = self._opened.core
        try:
            core.run(*arguments, **options)
        finally:
            if core.unfinished:
                _lost.setdefault(self.session, []).extend(self.buffers.values())

    def _check_build(self) -> None:
        """Raise DeviceError if the device is not the build that the program was compiled for.

        All that the .hwh and the registers tell is compared: a program can be made to match the 32
        bits of a hash.
        """
        path = Path(self._opened.overlay.bitfile_name)
        check_build(path, self._opened.overlay.ip_dict[IP_NAME], self.program.board)
        self._opened.core.check_identity(self.program.core)

    def _checked_stream(self, stream: StreamInfo) -> Any:
        """A stream in contiguous memory; ProgramError if it leaves the buffers that there are.

        Loading a program file checks it against what its header says. This is about the memory
        that was really allocated, which may grow afterwards and never shrinks, and about programs
        that were not loaded.
        """
        name = f"stream-{stream.batch}"
        if name not in self.buffers:
            sizes = {s: self.buffers[s.name.lower()].nbytes for s in Segment}
            check_stream(stream, self.program.core, sizes)
        return self.buffers.upload(name, stream.stream)

    def _check_usable(self) -> None:
        """Raise DeviceError if this or its device is closed, or the overlay gone."""
        self.check_open()
        device, overlay, core = self._opened
        core.check_open()
        try:
            # What pynq has loaded in this process comes first: on a board it may be that nothing
            # answers where the accelerator was, and that ends the process.
            there, ours = device.bitfile_name, overlay.bitfile_name
            if not overlay.is_loaded() and there != ours:
                raise DeviceError(f"it is {there}")
            core.check_identity(self.program.core)
        except DeviceError as error:
            raise DeviceError(
                "another overlay has been loaded on the device since this generator was made; "
                f"make a new one ({error})"
            ) from None

    def _deadline(self, stream: StreamInfo) -> Deadline:
        if self._timeout is not None:
            return Deadline(self._timeout, "the timeout that was asked for")
        predicted = stream.cycles / (self.program.board.clock_mhz * 1e6)
        seconds = max(_MIN_SECONDS, _DEADLINE_FACTOR * predicted)
        bound = f"at least {_MIN_SECONDS:g} s"
        if seconds > _MAX_SECONDS:
            seconds, bound = _MAX_SECONDS, f"at most {_MAX_SECONDS:g} s"
        return Deadline(
            seconds, f"{_DEADLINE_FACTOR} times the predicted {predicted * 1e3:.3g} ms, and {bound}"
        )


def _streams_that_fit(program: Program, board: Board) -> list[StreamInfo]:
    """Streams for which the board has contiguous memory; ContiguousMemoryError if none."""
    fitting = [s for s in program.streams if program.memory(s.batch).fits(board.contiguous_mib)]
    if not fitting:
        raise ContiguousMemoryError(
            f"network '{program.name}' needs {program.memory(1)} of contiguous "
            f"memory, board {board.name} has {board.contiguous_mib} MiB: compile it for "
            "8 bits or smaller windows, or give the board's kernel more (cma=) and its "
            "description too (contiguous_mib)"
        )
    return fitting


def _describe(program: Program, stream: StreamInfo, index: int) -> str:
    """An instruction of a stream, in words."""
    if not index < stream.length:
        return f"instruction {index}"
    start = index * isa.INSTRUCTION_BYTES
    [instruction] = isa.decode(stream.stream[start : start + isa.INSTRUCTION_BYTES], index)
    text = f"instruction {index}, {instruction.opcode.name}"
    if instruction.layer < len(program.layers):  # nothing depends on it but this
        text += f" of layer '{program.layers[instruction.layer].name}'"
    return text
