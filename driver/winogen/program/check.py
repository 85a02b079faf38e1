"""The last look at a stream: a board has nothing else between a program and all of its memory."""

from __future__ import annotations

from collections.abc import Mapping

from winogen.common.errors import ProgramError
from winogen.program.parts import StreamInfo
from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.checks import descriptor_problem, dram_range
from winogen.target.isa import INSTRUCTION_BYTES
from winogen.target.registers import Segment


def check_stream(stream: StreamInfo, core: CoreConfig, sizes: Mapping[Segment, int]) -> None:
    """Refuse instructions that the hardware would, or that leave the buffers they are given.

    Parameters
    ----------
    core : the build that is to execute the stream
    sizes : bytes of each segment's buffer

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
            span = dram_range(instruction, core)
            if span and span[2] > sizes[span[0]]:
                raise ProgramError(
                    f"{where} reaches outside the {span[0].name.lower()} buffer of "
                    f"{sizes[span[0]]} bytes"
                )
