"""Whether a device still holds what was put there: weights, instructions, input, a known answer.

Bits of DRAM flip, by radiation, heat, or a program that writes where it should not; nothing in the
logic notices. What is constant is read back through the buffers, past the processor's caches, and
held against digests that were taken when the program file was read.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import CorruptionError, DeviceError, InputError, ProgramError
from winogen.program.digests import Digest
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.program.parts import StreamInfo
from winogen.runtime.buffers import Buffers
from winogen.runtime.codec import Codec

#: Runs a stream on the words of its input segment, and returns its output segment.
Run = Callable[[StreamInfo, NDArray], NDArray[np.uint8]]

#: Bytes a second that even a slow processor reads back, with room to spare.
_SLOW_BYTES = 5e6
_STREAM = "stream-"
_AGAIN = "the next call loads the program again"


def check_options(every: int | None, answer: bool, repeat: bool) -> None:
    """Raise InputError for values of ``check_every`` and its companions that make no sense."""
    if every is not None and not _is_number_of_runs(every):
        raise InputError(f"check_every must be a number of runs, at least 1, not {every!r}")
    for name, wanted in (("check_answer", answer), ("check_repeat", repeat)):
        if wanted and every is None:
            raise InputError(f"{name} says what a check does too: give check_every as well")


class Integrity:
    """The checks of one generator; whoever calls has the turn on the device.

    Parameters
    ----------
    program : what is loaded
    source : the program's file, to be read again where the processor's memory has changed too
    buffers : the device's, with ``weights`` and ``stream-N`` for batches of N
    every : runs between two checks; None: only where :meth:`check` is called
    answer : a check runs a known input too
    repeat : a run that is checked is made twice

    Attributes
    ----------
    unchecked : runs since the last check; 0 where none are asked for
    """

    def __init__(
        self,
        program: Program,
        source: Path | None,
        buffers: Buffers,
        *,
        every: int | None,
        answer: bool,
        repeat: bool,
    ):
        self._program = program
        self._source = source
        self._buffers = buffers
        self._every = every
        self._known = _known_input(program) if answer else None
        self._repeat = repeat
        self._answer: Digest | None = None
        self.unchecked = 0
        self._wrong = False

    @property
    def seconds(self) -> float:
        """How long reading back may take within one run; 0 where none was asked for."""
        if self._every is None:
            return 0.0
        sizes = (self._program.digests.weights, *self._program.digests.streams.values())
        return sum(d.nbytes for d in sizes) / _SLOW_BYTES

    @property
    def runs(self) -> int:
        """How many runs of the device one run may need, with those of the known input."""
        return 1 + self._repeat + (0 if self._known is None else 3)

    @property
    def active(self) -> bool:
        """Whether runs are checked: then nothing overlaps."""
        return self._every is not None

    def unchecked_run(self, run: Callable[[], object]) -> None:
        """A run where none are checked; what was found wrong before is loaded again first."""
        if self._wrong:
            self.reload()
        try:
            run()
        except CorruptionError as error:
            self._wrong |= error.part == "register"  # the run may have written anywhere
            raise

    def run(
        self, stream: StreamInfo, words: NDArray, run: Run, run_aside: Run
    ) -> NDArray[np.uint8]:
        """The output of ``run``, with the check where one is due.

        What was found wrong before is loaded again first. ``run_aside`` is ``run``, for what is no
        part of the call.

        Raises CorruptionError if something is not as it was; the output is lost then.
        """
        if self._wrong:
            self.reload()
        if self._known is not None and self._answer is None:
            self._take_answer(run_aside)
        due = self._every is not None and self.unchecked + 1 >= self._every
        out = self._explained(run, stream, words)
        if due:
            again = self._explained(run_aside, stream, words) if self._repeat else out
            self.check(run_aside)
            if not np.array_equal(out, again):
                raise self._corrupt(
                    "repeat",
                    f"two runs of one input of network '{self._program.name}' gave different "
                    "outputs, though weights, instructions and input are as they were: the memory "
                    "between the layers, that of the output or the logic is at fault",
                    advice="run it again; if it comes back, run 'winogen doctor'",
                )
        elif self._every is not None:
            self.unchecked += 1
        return out

    def check(self, run: Run) -> None:
        """Hold all that is constant against its digests, and run the known input, if there is one.

        Raises CorruptionError.
        """
        self._check_memory()
        if self._known is not None:
            if self._answer is None:
                self._take_answer(run)
            elif self._ask(run) != self._answer:
                raise self._corrupt(
                    "answer",
                    f"a known input of network '{self._program.name}' gives another output than "
                    "after loading, though weights and instructions are as they were: the memory "
                    "between the layers or the logic is at fault",
                    advice="if it comes back, close all generators of the device, which makes the "
                    "next one load the overlay again, and run 'winogen doctor'",
                )
        self.unchecked = 0
        self._wrong = False

    def check_input(self, buffer: Any, digest: Digest) -> None:
        """Raise CorruptionError if the input segment is no more what was written to it."""
        buffer.invalidate()
        held = np.asarray(buffer)
        if block := digest.wrong_block(held):
            address = buffer.device_address + block.start
            raise self._corrupt(
                "input",
                f"the input of network '{self._program.name}' has changed in the device's memory, "
                f"in bytes {block.start} to {block.stop - 1} (bus address 0x{address:08x})",
                address,
                block.start,
            )

    def loaded(self, *names: str) -> None:
        """Read buffers back that were just loaded; CorruptionError if they do not hold it."""
        if self._every is not None:
            self._check_memory(
                names=names,
                advice="it was loaded just now, so this memory is bad: run 'winogen doctor'",
            )

    def reload(self) -> None:
        """Write all that is constant again, from the program, and read it back.

        Raises CorruptionError if the program has changed too, or memory does not keep it.
        """
        self._wrong = True
        self.unchecked = 0  # whatever they gave, it was said
        program = self._intact()
        for name in self._constant():
            self._buffers.rewrite(name, _data(program, name))
        self._check_memory(
            advice="it was loaded again just now, so this memory is bad: run 'winogen doctor'"
        )
        self._wrong = False

    def _intact(self) -> Program:
        """The program as it was read, from the file if the processor's memory has changed."""
        if _is_intact(self._program):
            return self._program
        why = "and it was made in Python"
        if self._source is not None:
            why = f"and {self._source} is another program now"
            try:
                again = Program.load(self._source)
            except ProgramError as error:
                raise self._corrupt(
                    "weights",
                    f"program '{self._program.name}' has changed in the processor's memory, and "
                    f"its file cannot be read again ({error})",
                    advice="make a new Generator",
                ) from None
            if again.digests == self._program.digests:
                self._program = again
                return again
        raise self._corrupt(
            "weights",
            f"program '{self._program.name}' has changed in the processor's memory, {why}",
            advice="make a new Generator of an intact program",
        )

    def _constant(self) -> list[str]:
        return [n for n in self._buffers if n == "weights" or n.startswith(_STREAM)]

    def _check_memory(
        self,
        cause: DeviceError | None = None,
        *,
        names: tuple[str, ...] | None = None,
        advice: str = "",
    ) -> None:
        for name in names or self._constant():
            buffer = self._buffers[name]
            buffer.invalidate()  # read DRAM, and not what the processor remembers of it
            held = np.asarray(buffer)
            digest = self._digest(name)
            if block := digest.wrong_block(held):
                place = self._place(name, digest, held, block, buffer.device_address)
                raise self._corrupt(*place, advice) from cause

    def _digest(self, name: str) -> Digest:
        if name == "weights":
            return self._program.digests.weights
        return self._program.digests.streams[name[len(_STREAM) :]]

    def _place(
        self, name: str, digest: Digest, held: NDArray, block: range, base: int
    ) -> tuple[str, str, int, int]:
        """What is wrong in a block of a constant buffer: part, words, bus address, offset."""
        what, part = "weights", "weights"
        if name != "weights":
            stream, part = _stream(self._program, name), "instructions"
            what = f"instructions for batches of {stream.batch}"
            what += f" to exit {stream.exit}" if stream.exit else ""
        data = _data(self._program, name)
        offset = block.start
        where = f"in bytes {block.start} to {block.stop - 1}"
        if digest.holds(data, block):
            wanted = np.frombuffer(data, np.uint8)[block.start : block.stop]
            offset += int(np.flatnonzero(held[block.start : block.stop] != wanted)[0])
            where = f"byte {offset} reads 0x{held[offset]:02x} instead of 0x{data[offset]:02x}"
        text = (
            f"the {what} of network '{self._program.name}' have changed in the device's memory: "
            f"{where}, at bus address 0x{base + offset:08x}"
        )
        return part, text, base + offset, offset

    def _corrupt(
        self,
        part: str,
        text: str,
        address: int | None = None,
        offset: int | None = None,
        advice: str = "",
    ) -> CorruptionError:
        """The error; what is on the device counts as wrong from now on."""
        error = CorruptionError(f"{text}{self._before()}; {advice or _AGAIN}")
        error.part, error.address, error.offset = part, address, offset
        self._wrong = True
        return error

    def _take_answer(self, run: Run) -> None:
        self._check_memory()
        answer = self._ask(run)
        if self._ask(run) != answer:
            raise self._corrupt(
                "answer",
                f"two runs of a known input of network '{self._program.name}' give different "
                "outputs: the memory between the layers or the logic is at fault",
                advice="run 'winogen doctor'",
            )
        self._answer = answer

    def _ask(self, run: Run) -> Digest:
        assert self._known is not None
        return Digest.of(self._explained(run, self._program.streams[0], self._known))

    def _explained(self, run: Run, stream: StreamInfo, words: NDArray) -> NDArray[np.uint8]:
        """A run; where it fails because of what has changed, CorruptionError says so."""
        try:
            return run(stream, words)
        except CorruptionError as error:
            if error.part == "register":  # the run may have written anywhere
                self._wrong = True
                error.args = (f"{error}{self._before()}",)
            raise
        except DeviceError as error:
            if self._every is not None and error.state is not None:  # the stream itself failed
                self._check_memory(error)
            raise

    def _before(self) -> str:
        """What to say of earlier runs."""
        if not self.unchecked:
            return ""
        runs = f"{self.unchecked} run{'s' * (self.unchecked > 1)}"
        return f"; what {runs} before gave was not checked, and may be wrong"


def _known_input(program: Program) -> NDArray:
    """The input segment of a reproducible input, for a batch of 1."""
    codec = Codec(program)
    words = codec.encode(codec.checked(sample_inputs(program.input, 1, 0), warn=False))
    return words.reshape(-1).view(np.uint8)


def _data(program: Program, name: str) -> bytes:
    """What a constant buffer must hold."""
    if name == "weights":
        return program.weights
    return _stream(program, name).stream


def _stream(program: Program, name: str) -> StreamInfo:
    """The stream that a buffer has."""
    return next(s for s in program.all_streams if name == f"{_STREAM}{s.name}")


def _is_intact(program: Program) -> bool:
    digests = program.digests
    return digests.weights.wrong_block(program.weights) is None and not any(
        digests.streams[s.name].wrong_block(s.stream) for s in program.all_streams
    )


def _is_number_of_runs(every: Any) -> bool:
    try:
        return operator.index(every) >= 1
    except TypeError:
        return False
