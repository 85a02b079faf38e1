"""Exits in a program file: they come back, and whatever is wrong with them is one sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from support import coded
from support.bench import compile_network, named, small
from support.exits import compiled, with_exits
from support.program_files import parts, sealed
from winogen.common.errors import InputError, ProgramError
from winogen.compiler.compile import compile_graph
from winogen.compiler.quantise import quantise
from winogen.program.file import Program


@pytest.fixture(scope="module")
def data() -> bytes:
    return compiled().program.tobytes()


def test_round_trip(data) -> None:
    program = compiled().program
    again = Program.frombytes(data)
    assert again == program
    assert again.exits == program.exits
    assert again.tobytes() == data
    assert again.exit_count == 3
    assert set(again.digests.streams) == {
        "1", "2", "1-exit-1", "2-exit-1", "1-exit-2", "2-exit-2"
    }  # fmt: skip


def test_only_programs_with_exits_have_the_new_format(data) -> None:
    assert parts(data)[0]["format"] == 6
    assert parts(small().program.tobytes())[0]["format"] == 5


def test_coded_weights_and_exits_go_together() -> None:
    board = named("tiny")
    board = replace(board, core=replace(board.core, decoder=32))
    network = coded.shared(quantise(with_exits(), 8))
    program = compile_network(with_exits(), network, board, batch=2).program
    assert any(layer.weights for layer in program.stored.layers)
    data = program.tobytes()
    assert parts(data)[0]["format"] == 7
    again = Program.frombytes(data)
    assert again == program
    assert again.exit_count == 3
    assert again.tobytes() == data


def test_weights_are_there_once(data) -> None:
    program = Program.frombytes(data)
    assert all(program.at_exit(n).weights is program.weights for n in (1, 2, 3))
    plain = compile_graph(with_exits().without_exits(), named("tiny"), batch=2).program
    heads = sum(p.size for p in program.pieces if p.layer >= len(program.layers))
    trunk = sum(p.size for p in program.pieces) - heads
    assert trunk == sum(p.size for p in plain.pieces)
    in_file = len(parts(data)[1][0]) - len(parts(plain.tobytes())[1][0])
    assert 0 < in_file < heads + 512  # with their parameters and tables


def test_an_exit_is_a_program_by_itself(data) -> None:
    program = Program.frombytes(data)
    for number in (1, 2, 3):
        own = program.at_exit(number)
        assert own.exit_count == 1
        again = Program.frombytes(own.tobytes())
        assert again == own
        assert again.weights == program.weights
    assert program.memory().total > program.at_exit(1).memory().total


def test_numbers(data) -> None:
    for number in (0, 4, True, "1"):
        with pytest.raises(InputError, match="give 1, the shallowest, to 3"):
            Program.frombytes(data).at_exit(number)


def refusal(header: Any, sections: list[bytes]) -> str:
    with pytest.raises(ProgramError) as error:
        Program.frombytes(sealed(json.dumps(header).encode(), sections), "x.wg")
    text = str(error.value)
    assert text.startswith("x.wg")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (("exits",), [], "0 exits are not possible"),
        (("exits", 0, "layers"), [], "the layers of exit 1 are not there, or out of order"),
        (("exits", 0, "layers"), [0, 0, 4, 5], "out of order"),
        (("exits", 0, "layers"), [0, 4, 99], "not there"),
        (("exits", 0, "layers"), [0, 1], "exit 1 ends within the whole network"),
        (("exits", 0, "layers"), [0, 1, 5], "a layer that no exit runs"),
        (("exits", 0, "layers"), [4, 5], "exit 1: instruction .* is of layer 2 of 2"),
        (("exits", 0, "layers"), [-1, 4, 5], "no whole number"),
        (("exits", 1, "layers"), [0, 5], "a layer that no exit runs"),
        (("exits", 0, "streams"), [], "exit 1 is for other batches"),
        (("exits", 0, "streams", 0, "batch"), 3, "exit 1 is for other batches"),
        (("exits", 0, "streams", 0, "section"), 99, "no stream section"),
        (("exits", 0, "streams", 0, "output_bytes"), 64, "exit 1: "),
        (("exits", 0, "streams", 0, "scratch_bytes"), 0, "exit 1: .* outside the scratch buffer"),
        (("exits", 0, "streams", 0, "cycles"), 0, "exit 1: the predicted cycles"),
        (("exits", 0, "streams", 0, "layer_cycles"), [1], "exit 1: the predicted cycles"),
        (("exits", 0, "shuffle", "block"), [0, 1], "not possible"),
        (("exits", 0, "shuffle", "block"), [4, 4], "exit 1: the buffer sizes"),
        (("exits", 0, "output_format", "scale"), -1, "no positive number"),
        (("exits", 0, "locality"), 1, "inconsistent"),
        (("heads",), [], "exit 1 are not there|of no layer"),
        (("weights", "size"), 64, "weights"),
    ],
)
def test_what_is_wrong(data, where, value, why) -> None:
    header, sections = parts(data)
    inner = header
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    text = refusal(header, sections)
    assert re.search(why, text), text


def test_a_head_that_nothing_runs(data) -> None:
    header, sections = parts(data)
    header["heads"].append(header["heads"][0])
    assert "a layer that no exit runs" in refusal(header, sections)


def test_the_old_format_has_none(data) -> None:
    header, sections = parts(data)
    header["format"] = 5
    assert "of no layer" in refusal(header, sections)
    del header["exits"]
    header["format"] = 6
    assert "inconsistent" in refusal(header, sections)


def test_streams_that_would_fill_the_memory_are_not_unpacked(data) -> None:
    """A section of zeros is a thousandth of what it unpacks to, and any number of streams name it.

    That none is unpacked is seen by what is refused: the sections here are shorter than they say.
    """
    header, sections = parts(data)
    first = {**header["exits"][0]["streams"][0], "length": 1 << 20}
    header["exits"][0]["streams"] = [first] * 9
    assert re.search(r"its 13 streams have 60\d,\d+,\d+ bytes of instr", refusal(header, sections))
    header, sections = parts(data)
    header["streams"] = [first] * 9
    assert "bytes of instructions" in refusal(header, sections)
