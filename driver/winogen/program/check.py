"""The last look at a program: a board has nothing else between it and all of its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from winogen.common.errors import ProgramError
from winogen.network.graph import Shape
from winogen.network.locality import MAX_SCALE, Locality
from winogen.program.host_file import check_steps
from winogen.program.host_layers import HostLayer
from winogen.program.parts import LayerInfo, StreamInfo
from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.checks import descriptor_problem, dram_range
from winogen.target.isa import INSTRUCTION_BYTES
from winogen.target.registers import Segment

#: Cycles that a stream may be predicted to take: hours, where those of real networks take seconds.
_MAX_CYCLES = 1 << 40


class Checked(Protocol):
    """What of a program is looked at; :class:`winogen.program.file.Program` is one."""

    @property
    def core(self) -> CoreConfig:
        """The build configuration that it is for."""

    @property
    def layers(self) -> Sequence[LayerInfo]:
        """Its layers."""

    @property
    def streams(self) -> Sequence[StreamInfo]:
        """Its streams, by ascending batch size."""

    @property
    def host(self) -> Mapping[int, HostLayer]:
        """The layers that the processor computes."""

    @property
    def weights(self) -> bytes:
        """Its weight segment."""

    @property
    def locality(self) -> Locality | None:
        """What a window of a larger image loses."""

    @property
    def output_shape(self) -> Shape:
        """Channels, rows, columns of its output."""

    @property
    def seen_shape(self) -> Shape:
        """Those of the input as it lies in memory."""

    @property
    def stored_shape(self) -> Shape:
        """Those of the output as it lies in memory."""

    @property
    def exit_count(self) -> int:
        """How many exits there are, with the whole."""

    def at_exit(self: _Checked, number: int) -> _Checked:
        """The same as far as an exit."""


_Checked = TypeVar("_Checked", bound=Checked)


def check_program(program: Checked) -> None:
    """Refuse a program whose parts do not fit each other, or those of one of its exits.

    Raises ProgramError, which names what does not fit.
    """
    if not program.streams or not program.layers:
        raise ProgramError("it holds no stream or no layer")
    _check_whole(program)
    for number in range(1, program.exit_count):
        own = program.at_exit(number)
        if [s.batch for s in own.streams] != [s.batch for s in program.streams]:
            raise ProgramError(f"exit {number} is for other batches than the whole network")
        try:
            _check_whole(own)
        except ProgramError as error:
            raise ProgramError(f"exit {number}: {error}") from None


def check_stream(
    stream: StreamInfo, core: CoreConfig, sizes: Mapping[Segment, int], layers: int | None = None
) -> None:
    """Refuse instructions that the hardware would, or that leave the buffers they are given.

    Parameters
    ----------
    core : the build that is to execute the stream
    sizes : bytes of each segment's buffer
    layers : how many there are, which instructions name; None: any

    Raises ProgramError, which names the instruction.
    """
    if len(stream.stream) % INSTRUCTION_BYTES:
        raise ProgramError(f"{stream}: its stream ends within an instruction")
    part = 4096 * INSTRUCTION_BYTES  # decoded instructions are large: a few thousand at a time
    for start in range(0, len(stream.stream), part):
        first = start // INSTRUCTION_BYTES
        try:
            decoded = isa.decode(stream.stream[start : start + part], first)
        except isa.BadOpcodeError as error:
            raise ProgramError(f"{stream}: {error}") from None
        for index, instruction in enumerate(decoded, first):
            where = f"instruction {index} of {stream}"
            problem = descriptor_problem(instruction, core)
            if problem:
                raise ProgramError(f"{where} is illegal: {problem}")
            if layers is not None and instruction.layer >= layers:
                raise ProgramError(f"{where} is of layer {instruction.layer} of {layers}")
            span = dram_range(instruction, core)
            if span and span[2] > sizes[span[0]]:
                raise ProgramError(
                    f"{where} reaches outside the {span[0].name.lower()} buffer of "
                    f"{sizes[span[0]]} bytes"
                )


def _check_whole(program: Checked) -> None:
    """Refuse a program, or what runs to one of its exits, whose parts do not fit each other."""
    core = program.core
    _check_locality(program)
    batches = [s.batch for s in program.streams]
    if batches[0] != 1 or batches != sorted(set(batches)):
        raise ProgramError(f"its streams are for batches {batches}, not ascending from 1")
    for entry in program.streams:
        sizes = {
            Segment.WEIGHTS: len(program.weights),
            Segment.INPUT: entry.input_bytes,
            Segment.OUTPUT: entry.output_bytes,
            Segment.SCRATCH: entry.scratch_bytes,
        }
        check_stream(entry, core, sizes, len(program.layers))
        check_steps(
            entry.host,
            program.host,
            [layer.output for layer in program.layers],
            entry.batch,
            entry.length,
            core,
            sizes,
        )
        known = len(entry.layer_cycles) == len(program.layers)
        if (
            not known
            or not 0 < entry.cycles <= _MAX_CYCLES
            or max(entry.layer_cycles) > _MAX_CYCLES
        ):
            raise ProgramError(f"the predicted cycles of batch {entry.batch} are wrong")
        for shape, size in (
            (program.seen_shape, entry.input_bytes),
            (program.stored_shape, entry.output_bytes),
        ):
            blocks = -(-shape[0] // core.ci_lanes)
            words = entry.batch * blocks * shape[1] * shape[2]
            if entry.batch < 1 or size != words * core.word_bytes:
                raise ProgramError(f"the buffer sizes of batch {entry.batch} are wrong")


def _check_locality(program: Checked) -> None:
    """Refuse windows that would not cover an image."""
    if program.locality is None:
        return
    for axis, out in zip((program.locality.rows, program.locality.columns),
                         program.output_shape[1:]):  # fmt: skip
        if min(axis.enlarge, axis.reduce, axis.step) < 1 or axis.advance(out) < 1:
            raise ProgramError("its windows do not cover an image")
        if axis.step % axis.reduce or max(axis.enlarge, axis.reduce) > MAX_SCALE:
            raise ProgramError("the scale of its windows is not possible")
