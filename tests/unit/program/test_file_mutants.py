"""Program files damaged at random, with right checksums: refused in one sentence, or sound."""

from __future__ import annotations

import copy
import json
import random
import time
import zlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import coded
from support.bench import compile_network, named, small
from support.exits import with_exits
from support.program_files import EXTREMES, parts, places, sealed
from support.strategies import examples
from winogen.cli.objects import described
from winogen.common.errors import ProgramError
from winogen.compiler.quantise import quantise
from winogen.program.file import Program

#: Of the processor; most take a hundredth of one.
MAX_SECONDS = 60.0


def mutant(data: bytes, rng: random.Random) -> bytes:
    """One damaged copy of a program file."""
    header, sections = parts(data)
    kind = rng.randrange(4)
    if kind == 0:  # any bytes, mostly with a wrong checksum
        out = bytearray(data)
        for _ in range(rng.choice((1, 4, 64))):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out if rng.random() < 0.5 else out[: rng.randrange(len(out))])
    if kind == 1 and rng.random() < 0.3:  # weights
        stored = bytearray(sections[0])
        for _ in range(rng.choice((1, 4, 64))):
            stored[rng.randrange(len(stored))] = rng.randrange(256)
        sections[0] = bytes(stored)
    elif kind == 1:  # instructions
        index = rng.randrange(1, len(sections))
        stream = bytearray(zlib.decompress(sections[index]))
        for _ in range(rng.choice((1, 1, 4, 64))):
            stream[rng.randrange(len(stream))] = rng.randrange(256)
        if rng.random() < 0.2:
            stream += stream[: rng.randrange(len(stream))] * rng.choice((1, 1000))
        sections[index] = zlib.compress(bytes(stream))
        header["sections"] = [len(s) for s in sections]
    else:
        for _ in range(rng.choice((1, 1, 2, 5))):
            *way, last = rng.choice(places(header))
            holder = header
            try:
                for key in way:
                    holder = holder[key]
                if rng.random() < 0.2:
                    del holder[last]
                else:
                    holder[last] = copy.deepcopy(rng.choice(EXTREMES))
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took the place away
    text = bytearray(json.dumps(header).encode())
    if kind == 3 and rng.random() < 0.3:
        text[rng.randrange(len(text))] = rng.randrange(256)
    return sealed(bytes(text), sections)


@cache
def contents(name: str) -> bytes:
    """A plain program, or one of coded weights, which are made when it is read, and of exits."""
    if name == "plain":
        return small().program.tobytes()
    network = coded.shared(quantise(with_exits(), 8))
    return compile_network(with_exits(), network, named("tiny"), batch=2).program.tobytes()


def check_mutants(name: str, count: int) -> int:
    """Every damaged file is read or refused, in bounded time; returns how many were refused."""
    data = contents(name)
    refused = []

    @examples(count)
    @given(st.randoms(use_true_random=False))
    def damage(rng):
        damaged = mutant(data, rng)
        start = time.process_time()
        try:
            program = Program.frombytes(damaged, "x.wg")
            assert program.tobytes()
            assert described(program)  # nothing that is told of it stumbles
        except ProgramError as error:
            assert str(error).startswith("x.wg")
            assert "\n" not in str(error)
            assert len(str(error)) < 600
            refused.append(damaged)
        assert time.process_time() - start < MAX_SECONDS

    damage()
    return len(refused)


@pytest.mark.parametrize("name", ["plain", "coded"])
def test_damaged_programs(name):
    assert check_mutants(name, 200) > 100


@pytest.mark.long
@pytest.mark.parametrize("name", ["plain", "coded"])
def test_ten_thousand_damaged_programs(name):
    assert check_mutants(name, 10_000) > 5000
