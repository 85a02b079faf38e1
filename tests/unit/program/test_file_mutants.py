"""Program files damaged at random, with right checksums: refused in one sentence, or sound."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import struct
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bench import small
from support.strategies import examples
from winogen.common.errors import ProgramError
from winogen.program.file import MAGIC, Program

FIXED = len(MAGIC) + 4
#: Of the processor; most take a hundredth of one.
MAX_SECONDS = 60.0
EXTREMES = (
    -(2**63), -(2**31), -1, 0, 1, 2, 7, 64, 2**16, 2**31 - 1, 2**40, 2**62, 2**200, 0.5, 1e-300,
    1e300, float("nan"), float("inf"), True, None, "", "x", [], {}, [1], {"a": 1}, "\n\x1b[31m",
    "n" * 10_000,
)  # fmt: skip


def parts(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    header = json.loads(data[FIXED : FIXED + length])
    sections, start = [], FIXED + length
    for size in header["sections"]:
        sections.append(data[start : start + size])
        start += size
    return header, sections


def sealed(text: bytes, sections: list[bytes]) -> bytes:
    body = MAGIC + struct.pack("<I", len(text)) + text + b"".join(sections)
    return body + hashlib.sha256(body).digest()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in the header."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


def mutant(data: bytes, rng: random.Random) -> bytes:
    """One damaged copy of a program file."""
    header, sections = parts(data)
    kind = rng.randrange(4)
    if kind == 0:  # any bytes, mostly with a wrong checksum
        out = bytearray(data)
        for _ in range(rng.choice((1, 4, 64))):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out if rng.random() < 0.5 else out[: rng.randrange(len(out))])
    if kind == 1:  # instructions
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


def check_mutants(count: int) -> int:
    """Every damaged file is read or refused, in bounded time; returns how many were refused."""
    data = small().program.tobytes()
    refused = []

    @examples(count)
    @given(st.randoms(use_true_random=False))
    def damage(rng):
        damaged = mutant(data, rng)
        start = time.process_time()
        try:
            program = Program.frombytes(damaged, "x.wg")
            assert program.tobytes()
        except ProgramError as error:
            assert str(error).startswith("x.wg")
            assert "\n" not in str(error)
            assert len(str(error)) < 600
            refused.append(damaged)
        assert time.process_time() - start < MAX_SECONDS

    damage()
    return len(refused)


def test_damaged_programs():
    assert check_mutants(400) > 200


@pytest.mark.long
def test_ten_thousand_damaged_programs():
    assert check_mutants(10_000) > 5000
