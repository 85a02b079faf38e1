"""Streams of a program on a device, one at a time: memory, deadlines, counters, messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ContiguousMemoryError, DeviceError
from winogen.network.graph import check_exit
from winogen.profiling import trace
from winogen.profiling.runs import Run, profile_run
from winogen.program.check import check_stream
from winogen.program.digests import Digest
from winogen.program.file import Program
from winogen.program.host_file import check_steps
from winogen.program.host_layers import HostStep
from winogen.program.host_memory import compute
from winogen.program.parts import Piece, StreamInfo
from winogen.program.speed import layer_conversions
from winogen.runtime.buffers import SLOTS, Buffers
from winogen.runtime.integrity import Integrity
from winogen.runtime.open import OpenDevice
from winogen.runtime.overlay import check_build
from winogen.runtime.reach import window_words
from winogen.runtime.session import Session
from winogen.runtime.slots import Slots
from winogen.runtime.waiting import Deadline, interrupt_line
from winogen.runtime.works import Work, Works
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.host import host_costs
from winogen.target.hwh import IP_NAME
from winogen.target.registers import COUNTERS, Access, Segment

#: A run may take this many times its predicted cycles, and never less than _MIN_SECONDS or more
#: than _MAX_SECONDS: the prediction is what a program file says.
_DEADLINE_FACTOR = 50
_MIN_SECONDS = 5.0
_MAX_SECONDS = 3600.0
#: What Python does around a run may keep other threads from the device for so much longer.
_AROUND_SECONDS = 10.0
#: Numbers a second that even a slow processor looks at in host layers, with room to spare.
_SLOW_NUMBERS = 2e6
#: Buffers of devices that could not be stopped: they may write to them still.
_lost: dict[Session, list[Any]] = {}


@dataclass
class Job:
    """What one call of the user's collects over its runs; ``stop`` ends it early.

    ``runs`` is None where no profile is wanted, ``counters`` where the hardware's are not.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    counters: dict[str, int] | None = None
    runs: list[Run] | None = None

    @classmethod
    def of(cls, stop: threading.Event, *, count: bool, profile: bool = False) -> Job:
        """One that counts, or not; a profile counts in any case."""
        counters = {name.lower(): 0 for name, _ in COUNTERS} if count or profile else None
        return cls(stop, counters, [] if profile else None)

    def count(self, counters: Mapping[str, int]) -> None:
        """Add a run's counters."""
        assert self.counters is not None
        for name, value in counters.items():
            self.counters[name] += value


class _Plan(NamedTuple):
    """What is the same in all runs of a stream.

    Attributes
    ----------
    parts : what the accelerator and the processor do, in turn
    deadline : of each of the accelerator's parts
    turn_seconds : how long a run may keep other threads from the device
    """

    parts: tuple[Piece | HostStep, ...]
    deadline: Deadline
    turn_seconds: float


class _Memory(NamedTuple):
    """Where a run of a stream finds everything, while the buffers stay what they are.

    Attributes
    ----------
    code : the buffer of its instructions
    bases : addresses of the segments
    changing : the buffers of those segments that change
    windows : what the accelerator may access
    """

    code: Any
    bases: Mapping[Segment, int]
    changing: Mapping[Segment, Any]
    windows: tuple[int, ...]


class Runner:
    """A program on an open device, with its weights in contiguous memory.

    Parameters
    ----------
    opened : the device; close gives it back unless it is ``shared``
    board : the board that the device is
    timeout : seconds that one run may take; None: many times its prediction
    waiting : see :class:`winogen.runtime.generator.Generator`, which says what is raised too
    source : the file that the program is from
    check_every, check_answer, check_repeat : see the same

    Attributes
    ----------
    streams : those of the whole network for which the board has contiguous memory, by ascending
        batch, at least one; each exit has as many
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
        source: Path | None = None,
        check_every: int | None = None,
        check_answer: bool = False,
        check_repeat: bool = False,
    ):
        self.program = program
        #: What runs to each exit, by the number that its streams have.
        self._views = {0: program.at_exit(program.exit_count)}
        for number, own in enumerate(program.exits, 1):
            self._views[number] = replace(program.at_exit(number), streams=own.streams)
        lease = opened.core.lease
        assert lease is not None  # open_device gave it
        self.session = lease.session
        self.buffers = Buffers(opened.device, program.name)
        self._opened = opened
        self._shared = shared
        self._timeout = timeout
        self._closed = self._released = False
        self._slots = Slots(SLOTS)
        self._traits = opened.traits
        self._what = f"network '{program.name}'"
        self._plans: dict[str, _Plan] = {}
        self._memories: dict[tuple[str, int], _Memory] = {}
        self._version = 0  # of the buffers in them
        host = host_costs(board)
        self._interrupt_seconds = host.interrupt_s if host and waiting == "auto" else 0.0
        try:
            self._integrity = Integrity(
                program,
                source,
                self.buffers,
                every=check_every,
                answer=check_answer,
                repeat=check_repeat,
            )
            self._line = interrupt_line(opened.core, waiting)
            self.streams = _streams_that_fit(program, board)
            self._fitting = {
                number: replace(view, streams=view.streams[: len(self.streams)])
                for number, view in self._views.items()
            }
            self._check_build()
            with self.session.turn("loading weights", self._around()):
                self.buffers.upload("weights", program.weights)
                self._integrity.loaded("weights")
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
        # Whoever has a slot has no use for it any more, and may be at work in its buffers.
        self._slots.take_all(_AROUND_SECONDS)
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

    def at_exit(self, number: int) -> Program:
        """The program that runs to an exit, with the streams that there is memory for.

        Exits count from 1; the last is the whole network. InputError for another number.
        """
        check_exit(self.program.name, number, self.program.exit_count)
        return self._fitting.get(number, self._fitting[0])

    def run(self, works: Iterator[Work], job: Job) -> None:
        """Runs of a call; what is known of them goes to ``job``.

        Unless they are checked or profiled, the next one's input is filled and the last one's
        output drained while one runs. Raises DeviceError and DeviceTimeoutError: the device
        failed; it is reset and can be used again.
        """
        self.check_open()
        if self._integrity.active or job.runs is not None:
            for work in works:
                self._run_alone(work, job)
            return
        idle = partial(self._idle, job)
        if self._opened.core.lost:  # it may write to the buffers that are to be filled
            with idle():
                pass
        call = Works(works, self._slots, self.buffers, partial(self._stopped, job), idle)
        try:
            while filled := call.take():
                with self._turn(filled.work.stream, job):
                    work, _, source, target = filled
                    once = partial(
                        self._run_stream, work.stream, source, target, job, call.meanwhile
                    )
                    self._integrity.unchecked_run(once)
                call.ended(filled)
        finally:
            call.close()

    def _run_alone(self, work: Work, job: Job) -> None:
        """A run, and what is wanted besides."""
        words = np.zeros(work.stream.input_bytes, np.uint8)
        work.fill(words)
        with self._slot(job) as slot, self._turn(work.stream, job):
            run = partial(self._run_once, slot=slot, job=job)
            aside = partial(self._run_once, slot=slot, job=Job(job.stop))  # no part of the call
            out = self._integrity.run(work.stream, words, run, aside)
        work.drain(out)

    @property
    def unchecked(self) -> int:
        """Runs since the last check; 0 where there are none."""
        return self._integrity.unchecked

    def check(self, job: Job) -> None:
        """Hold what is on the device against the program, now; raises CorruptionError."""
        with self._slot(job) as slot, self._turn(self.streams[0], job):
            self._integrity.check(partial(self._run_once, slot=slot, job=job))

    def reload(self, job: Job) -> None:
        """Write weights and streams again; raises CorruptionError if they do not stay."""
        with self._turn(self.streams[0], job):
            self._opened.core.end_stream()
            self._integrity.reload()

    @contextmanager
    def _slot(self, job: Job) -> Iterator[int]:
        """A pair of buffers, for this thread alone."""
        slot = self._slots.take(partial(self._stopped, job))
        try:
            yield slot
        finally:
            self._slots.give(slot)

    def _turn(self, stream: StreamInfo, job: Job) -> AbstractContextManager[None]:
        """The device for this thread alone, ready to run a stream."""
        seconds = self._plan(stream).turn_seconds
        if job.runs is not None:
            seconds *= len(trace.windows(stream.length))
        stop = partial(self._stopped, job)
        return self.session.turn(self._what, seconds, stop, self._begin)

    def _begin(self) -> None:
        """Begin a turn on the device."""
        self._check_usable()
        if self._traits.takes_limit:
            self._opened.device.limit_run(self._timeout)

    @contextmanager
    def _idle(self, job: Job) -> Iterator[None]:
        """The device for this thread alone, running nothing."""
        with self._turn(self.streams[0], job):
            self._end_lost()
            yield

    def _run_once(
        self, stream: StreamInfo, words: NDArray[np.uint8], *, slot: int, job: Job
    ) -> NDArray[np.uint8]:
        """The output segment for an input segment, which is held against what was written."""
        self._end_lost()  # before its buffers are used for this one
        source, target = self.buffers.slot(slot, stream)
        source[: stream.input_bytes] = words
        source.flush()
        self._run_stream(stream, source, target, job)
        out = np.array(target[: stream.output_bytes])
        if self._integrity.active:
            self._integrity.check_input(source, Digest.of(words))
        return out

    def _run_stream(
        self,
        stream: StreamInfo,
        source: Any,
        target: Any,
        job: Job,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Run a stream on an input buffer that is filled."""
        core = self._opened.core
        self._end_lost()
        memory = self._memory(stream, source, target)
        core.allow(memory.windows)
        run = partial(self._run_parts, stream, memory, job)
        if job.runs is not None:
            job.runs.append(profile_run(self._views[stream.exit], stream, core, run))
            job.count(job.runs[-1].counters)
        elif job.counters is not None:
            run(after=lambda piece: job.count(core.counters()), meanwhile=meanwhile)
        else:
            run(meanwhile=meanwhile)
        target.invalidate()

    def _run_parts(
        self,
        stream: StreamInfo,
        memory: _Memory,
        job: Job,
        *,
        before: Callable[[Piece], object] = lambda piece: None,
        after: Callable[[Piece], object] = lambda piece: None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """The parts of a stream, in turn.

        Parameters
        ----------
        before, after : called around every piece of the accelerator's
        meanwhile : called once, while the accelerator is at work
        """
        plan = self._plan(stream)
        for part in plan.parts:
            if isinstance(part, HostStep):
                if self._stopped(job):
                    raise DeviceError("the run was stopped between two pieces of its stream")
                self._compute(part, stream, memory.changing)
                continue
            before(part)
            expected = part.cycles / (self.program.board.clock_mhz * 1e6)
            core = self._opened.core
            try:
                core.run(
                    memory.code.device_address + part.start * isa.INSTRUCTION_BYTES,
                    part.length,
                    memory.bases,
                    plan.deadline,
                    line=self._line if expected >= self._interrupt_seconds else None,
                    describe=partial(_describe, self._views[stream.exit], stream, part.start),
                    stop=partial(self._stopped, job),
                    expected=expected if self._traits.turn_seconds is None else 0.0,
                    meanwhile=meanwhile,
                )
            finally:
                if core.unfinished:  # it cannot be stopped: its buffers outlive this object
                    _lost.setdefault(self.session, []).extend(self.buffers.values())
            meanwhile = _nothing
            after(part)

    def _compute(self, step: HostStep, stream: StreamInfo, memory: Mapping[Segment, Any]) -> None:
        """One layer that the processor computes, in the device's memory."""
        # The target's segment too: what the device has written there must not be flushed away.
        for segment in {place.segment for place in step.places()}:
            memory[segment].invalidate()
        layer = self._views[stream.exit].host[step.layer]
        arrays = {segment: np.asarray(buffer) for segment, buffer in memory.items()}
        compute(step, layer, stream.batch, self.program.data_width, arrays)
        memory[step.target.segment].flush()

    def _memory(self, stream: StreamInfo, source: Any, target: Any) -> _Memory:
        """Where a run finds everything; all that it lacks is allocated.

        The accelerator may access the buffers of both slots. Another thread may be allocating those
        of the other one: they are there in the next run.
        """
        version = self.buffers.version
        if version != self._version:
            self._memories.clear()  # of buffers that are gone
            self._version = version
        key = stream.name, target.device_address
        if key not in self._memories:
            self._memories[key] = self._allocated(stream, source, target)
        return self._memories[key]

    def _allocated(self, stream: StreamInfo, source: Any, target: Any) -> _Memory:
        scratch = self.buffers.room("scratch", max(stream.scratch_bytes, 64))
        code = self._checked_stream(stream, source, target)
        weights = self.buffers["weights"]
        inputs, outputs = self.buffers.slots()
        changing = {Segment.INPUT: source, Segment.OUTPUT: target, Segment.SCRATCH: scratch}
        buffers = {Segment.WEIGHTS: weights, **changing}
        windows = {
            # Layers that are traced read the output too.
            Access.READ: [weights, scratch, *inputs, *outputs],
            Access.WRITE: [scratch, *outputs],
            Access.FETCH: [code],
        }
        bases = {segment: buffer.device_address for segment, buffer in buffers.items()}
        return _Memory(code, bases, changing, window_words(windows))

    def _end_lost(self) -> None:
        """End a stream that nobody waits for; its buffers are nobody's then."""
        if self._opened.core.unfinished:
            self._opened.core.end_stream()
        _lost.pop(self.session, None)

    def _stopped(self, job: Job) -> bool:
        return self._closed or job.stop.is_set()

    def _around(self) -> float:
        """How long loading may keep others from the device, in seconds."""
        copied = len(self.program.weights) / self._traits.copied_bytes_per_s
        return _AROUND_SECONDS + self._integrity.seconds + copied

    def _check_build(self) -> None:
        """Raise DeviceError if the device is not the build that the program was compiled for.

        All that the .hwh and the registers tell is compared: a program can be made to match the 32
        bits of a hash.
        """
        path = Path(self._opened.overlay.bitfile_name)
        check_build(path, self._opened.overlay.ip_dict[IP_NAME], self.program.board)
        self._opened.core.check_identity(self.program.core)

    def _checked_stream(self, stream: StreamInfo, source: Any, target: Any) -> Any:
        """A stream in contiguous memory; ProgramError if it leaves the buffers that there are.

        Loading a program file checks it against what its header says. This is about the memory
        that was really allocated, which may grow afterwards and never shrinks, and about programs
        that were not loaded.
        """
        name = f"stream-{stream.name}"
        program = self._views[stream.exit]
        if name not in self.buffers:
            own = (Segment.WEIGHTS, Segment.SCRATCH)
            sizes = {s: self.buffers[s.name.lower()].nbytes for s in own}
            sizes |= {Segment.INPUT: source.nbytes, Segment.OUTPUT: target.nbytes}
            check_stream(stream, self.program.core, sizes)
            check_steps(
                stream.host,
                program.host,
                [layer.output for layer in program.layers],
                stream.batch,
                stream.length,
                self.program.core,
                sizes,
            )
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
            if overlay.is_loaded():
                return  # since it was identified
            if there != ours:
                raise DeviceError(f"it is {there}")
            core.check_identity(self.program.core)
        except DeviceError as error:
            raise DeviceError(
                "another overlay has been loaded on the device since this generator was made; "
                f"make a new one ({error})"
            ) from None

    def _longest(self, stream: StreamInfo) -> float:
        """Seconds that a run may keep other threads from the device: every piece has a deadline."""
        numbers = sum(layer_conversions(self._views[stream.exit], stream).values())
        running = self._deadline(stream).seconds * max(len(stream.pieces()), 1)
        copied = (stream.input_bytes + stream.output_bytes) / self._traits.copied_bytes_per_s
        return running + numbers / _SLOW_NUMBERS + copied + _AROUND_SECONDS

    def _expected(self, stream: StreamInfo) -> float:
        """Seconds that a run is predicted to take."""
        return stream.cycles / (self.program.board.clock_mhz * 1e6)

    def _plan(self, stream: StreamInfo) -> _Plan:
        name = stream.name
        if name not in self._plans:
            once = self._traits.turn_seconds or self._longest(stream)
            seconds = once * self._integrity.runs + self._integrity.seconds
            self._plans[name] = _Plan(tuple(stream.parts()), self._deadline(stream), seconds)
        return self._plans[name]

    def _deadline(self, stream: StreamInfo) -> Deadline:
        if self._timeout is not None:
            return Deadline(self._timeout, "the timeout that was asked for")
        predicted = self._expected(stream)
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


def _nothing() -> None:
    pass


def _describe(program: Program, stream: StreamInfo, first: int, number: int) -> str:
    """The instruction of a stream that is so many after the ``first``, in words."""
    index = first + number
    if not index < stream.length:
        return f"instruction {index}"
    start = index * isa.INSTRUCTION_BYTES
    [instruction] = isa.decode(stream.stream[start : start + isa.INSTRUCTION_BYTES], index)
    text = f"instruction {index}, {instruction.opcode.name}"
    if instruction.layer < len(program.layers):  # nothing depends on it but this
        text += f" of layer '{program.layers[instruction.layer].name}'"
    return text
