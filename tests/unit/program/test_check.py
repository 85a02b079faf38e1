"""The last look at a stream, which names the instruction that it refuses."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from support.bench import small
from winogen.common.errors import ProgramError
from winogen.program.check import check_stream
from winogen.program.file import Program
from winogen.target import isa
from winogen.target.registers import Segment

PART = 4096  # instructions that are decoded at a time


def check(code: bytes) -> None:
    program = small().program
    sizes = dict.fromkeys(Segment, 1 << 20)
    check_stream(replace(program.streams[0], stream=code), program.core, sizes)


@pytest.fixture(scope="module")
def long() -> bytes:
    """A stream of more than two parts."""
    code = small().program.streams[0].stream
    return code * (2 * 64 * PART // len(code) + 1)


def test_a_good_stream(long):
    assert len(long) > 2 * 64 * PART
    check(long)


def test_a_stream_that_ends_within_an_instruction():
    with pytest.raises(ProgramError, match="batch 1: its stream ends within an instruction"):
        check(small().program.streams[0].stream[:-1])


@pytest.mark.parametrize("index", [0, PART - 1, PART, 2 * PART])
def test_an_instruction_is_named_wherever_it_is(index, long):
    place = slice(64 * index, 64 * index + 64)
    illegal = small().program.streams[0].instructions()[-1]
    outside = deepcopy(illegal)
    illegal.rows = 0
    outside.offset = 1 << 20
    for bad, said in (
        (bytes(64), f"batch 1: instruction {index} has the unknown opcode 0"),
        (isa.encode([illegal]), f"instruction {index} of batch 1 is illegal: rows is zero"),
        (isa.encode([outside]), f"instruction {index} of batch 1 reaches outside the output "
                                "buffer of 1048576 bytes"),
    ):  # fmt: skip
        code = bytearray(long)
        code[place] = bad
        with pytest.raises(ProgramError) as error:
            check(bytes(code))
        assert str(error.value) == said


def test_an_instruction_is_of_a_layer_that_there_is():
    """Tables of what layers take are filled by it."""
    program = small().program
    instructions = program.streams[0].instructions()
    assert {x.layer for x in instructions} == set(range(len(program.layers)))
    instructions[3].layer = len(program.layers)
    wrong = replace(program.streams[0], stream=isa.encode(instructions))
    data = replace(program, streams=(wrong, *program.streams[1:])).tobytes()
    with pytest.raises(ProgramError, match="instruction 3 of batch 1 is of layer 3 of 3"):
        Program.frombytes(data)
