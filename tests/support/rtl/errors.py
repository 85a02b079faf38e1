"""Every error of the register map, provoked on the logic; the next good stream must run right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from support.bench import Rig, small
from support.broken_streams import ILLEGAL, starving
from support.rtl.logic import (
    TINY,
    WATCHDOG,
    assert_error,
    assert_right,
    find,
    restore,
    soft_reset,
    stream,
)
from winogen.cost import simulate as cost
from winogen.emulation.device.emulated import DDR_BASE
from winogen.target import isa, registers
from winogen.target.checks import dram_range
from winogen.target.isa import Opcode, Table
from winogen.target.registers import Access, Engine, ErrorCode, Segment

BURST_BYTES = 128
PAGE = 4096
#: Who has the windows of an access.
OWNERS = {Access.READ: Engine.LOAD, Access.WRITE: Engine.STORE}


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


@dataclass
class Entry:
    """A wrong table entry: which load brings it, what it says, and who complains."""

    load: int
    table: Table
    entry: int
    values: dict[str, int]
    fails: int


STEPS = [find(Opcode.LOAD_TABLE, n, Table.STEP) for n in (0, 1)]


_ACCUMULATORS = [find(Opcode.LOAD_TABLE, n, Table.ACCUMULATOR) for n in (0, 1)]


_PHASES = [find(Opcode.LOAD_TABLE, n, Table.PHASE) for n in (0, 1)]


_COMPUTES = [find(Opcode.COMPUTE, n) for n in (0, 1)]


_WEIGHTS = [find(Opcode.LOAD_WEIGHTS, n) for n in (0, 1)]


#: The first layer (0) is direct with a tile of 1 x 1 in four phases, the second (1) is Winograd.
ENTRIES = {
    "step-accumulator": Entry(STEPS[0], Table.STEP, 0, {"accumulator": 4}, _COMPUTES[0]),
    "step-accumulator-far": Entry(STEPS[1], Table.STEP, 35, {"accumulator": 255}, _COMPUTES[1]),
    "step-accumulator-next": Entry(STEPS[1], Table.STEP, 17, {"accumulator": 36}, _COMPUTES[1]),
    "step-position": Entry(STEPS[0], Table.STEP, 3, {"position": 17}, _COMPUTES[0]),
    "step-position-far": Entry(STEPS[1], Table.STEP, 0, {"position": 31}, _COMPUTES[1]),
    "step-word": Entry(STEPS[0], Table.STEP, 1, {"word": 4}, _COMPUTES[0]),
    "step-word-far": Entry(STEPS[1], Table.STEP, 20, {"word": 4095}, _COMPUTES[1]),
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
    "phase-param": Entry(
        _PHASES[0], Table.PHASE, 3, {"param": TINY.core.param_depth}, _COMPUTES[0]
    ),
    "phase-param-far": Entry(_PHASES[1], Table.PHASE, 0, {"param": 255}, _COMPUTES[1]),
    "taps-more": Entry(_PHASES[0], Table.PHASE, 3, {"taps": 3}, _WEIGHTS[0]),
    "taps-fewer": Entry(_PHASES[1], Table.PHASE, 0, {"taps": 1}, _WEIGHTS[1]),
    "taps-none": Entry(_PHASES[0], Table.PHASE, 0, {"taps": 0}, _WEIGHTS[0]),
}


def with_entry(wrong: Entry) -> bytes:
    """The network's constants with one wrong entry."""
    weights = bytearray(small(TINY.name).program.weights)
    start = stream()[wrong.load].offset + 8 * wrong.entry
    value = int.from_bytes(weights[start : start + 8], "little")
    for f in isa.TABLE_FIELDS[wrong.table]:
        if f.name in wrong.values:
            value &= ~(((1 << f.width) - 1) << f.lsb)
            value |= wrong.values[f.name] << f.lsb
    weights[start : start + 8] = value.to_bytes(8, "little")
    return bytes(weights)


def with_param(load: int, entry: int, lane: int, **values: int) -> bytes:
    """The network's constants with some of one channel's changed."""
    weights = bytearray(small(TINY.name).program.weights)
    start = stream()[load].offset + 16 * (entry * TINY.core.co_lanes + lane)
    value = int.from_bytes(weights[start : start + 16], "little")
    for f in isa.PARAM_FIELDS:
        if f.name in values:
            mask = (1 << f.width) - 1
            value = value & ~(mask << f.lsb) | (values[f.name] & mask) << f.lsb
    weights[start : start + 16] = value.to_bytes(16, "little")
    return bytes(weights)


CLAMPS = {
    "empty": (0, 3, 7, {"low": 5, "high": 4}),
    "high": (0, 0, 0, {"high": 128}),
    "low": (1, 0, 4, {"low": -129}),
    "far": (1, 0, 7, {"high": 32767}),
    "empty-before-the-table": (2, 0, 0, {"low": 32767, "high": 32766}),
}


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


def bad_opcode(place: int, what: str, rig: Rig) -> None:
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


def illegal_descriptor(what: str, rig: Rig) -> None:
    opcode, change = ILLEGAL[what]
    instructions = stream()
    index = max(i for i, x in enumerate(instructions) if x.opcode is opcode)
    instructions[index] = replace(instructions[index], **change(instructions[index]))
    check(rig, lambda: rig.start(instructions),
          ErrorCode.ILLEGAL_DESCRIPTOR, opcode.engine, index)  # fmt: skip


def illegal_table_entry(what: str, rig: Rig) -> None:
    wrong = ENTRIES[what]

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_entry(wrong))
        rig.start(stream())

    engine = stream()[wrong.fails].engine
    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, engine, wrong.fails)


def illegal_clamp(what: str, rig: Rig) -> None:
    nth, entry, lane, values = CLAMPS[what]
    load, compute = find(Opcode.LOAD_PARAMS, nth), find(Opcode.COMPUTE, nth)

    def provoke() -> None:
        rig.put(Segment.WEIGHTS, with_param(load, entry, lane, **values))
        rig.start(stream())

    check(rig, provoke, ErrorCode.ILLEGAL_DESCRIPTOR, Engine.COMPUTE, compute)


def bus_errors_of_every_load_and_store(code: ErrorCode, rig: Rig) -> None:
    """The first or the last bytes of each transfer; the other error code has the other ones."""
    transfers = [(i, x) for i, x in enumerate(stream()) if x.opcode is not Opcode.COMPUTE]
    reaches = {index: reach_of(rig, index) for index, _ in transfers}
    for index, x in transfers:
        reach = reaches[index]
        address = (reach.start, (reach.stop - 1) & ~7)[(index + code) % 2]
        users = [i for i, r in reaches.items() if any(a in r for a in range(address, address + 8))]
        if users[0] == index:  # nobody has failed before
            check_bus(rig, address, code, x.engine, index, reach)


def bus_errors_of_fetch(code: ErrorCode, index: int, rig: Rig) -> None:
    """What comes before is executed first."""
    for beat in (0, 7):
        address = rig.STREAM + 64 * index + 8 * beat
        reach = range(rig.STREAM, rig.STREAM + 64 * len(stream()))
        check_bus(rig, address, code, Engine.FETCH, index, reach)


def bus_errors_of_two_loads(rig: Rig) -> None:
    """The load engine asks for later instructions' bytes before it takes the first one's."""
    first, second = sorted((find(Opcode.LOAD_INPUT, 0), find(Opcode.LOAD_WEIGHTS, 0)))
    address = reach_of(rig, first).start

    def provoke() -> None:
        rig.core.set_error(reach_of(rig, second).start, 8, ErrorCode.AXI_DECERR)
        rig.core.set_error(address, 8, ErrorCode.AXI_SLVERR)
        rig.start(stream())
        rig.core.set_error(0, 0, ErrorCode.NONE)

    check(rig, provoke, ErrorCode.AXI_SLVERR, Engine.LOAD, first, address)


def windows_at_every_edge(access: Access, segment: Segment, rig: Rig) -> None:
    """A page's edge goes through all that the small stream accesses of a segment, 64 bytes a step.

    Pages of one side are closed. The emulator says what must come of it: error, address, and for
    stores all of memory.
    """
    board = rig.board
    model = Rig(board, fuse=False)
    spans = [
        span for x in stream(board)
        if (span := dram_range(x, board.core)) and span[0] is segment
        and (x.engine is Engine.STORE) == (access is Access.WRITE)
    ]  # fmt: skip
    assert spans
    stop = max(span[2] for span in spans)
    edge = Rig.BASES[segment] + 8 * PAGE
    refused = 0
    for before in range(0, stop + 64, 64 * (1 + stop // 2048)):
        for window in ((0, edge // PAGE - 1), (edge // PAGE, 0xFFFF_FFFF)):
            seen = []
            for r in (model, rig):
                restore(r)
                r.memory.device_write(edge - before, r.bytes(segment, 1 << 13))
                r.set(f"{segment.name}_BASE", edge - before)
                r.open(access, window)
                r.start(stream(board))
                r.open(access, (0, 0xFFFF_FFFF))
                names = ("ERROR_CODE", "ERROR_INSTRUCTION", "ERROR_ADDRESS", "STATUS", "IRQ_STATUS")
                memory = r.memory.device_read(DDR_BASE, r.memory.size)
                seen.append(({n: r.get(n) for n in names}, memory.copy()))
                r.set("IRQ_STATUS", 3)
            assert seen[1][0] == seen[0][0], (before, window)
            error = seen[0][0]["ERROR_CODE"]
            assert error in (0, ErrorCode.OUTSIDE_WINDOW | OWNERS[access] << 8)
            if not error or access is Access.WRITE:
                assert np.array_equal(seen[0][1], seen[1][1]), (before, window)
            refused += bool(error)
    assert refused > stop // 64 // (1 + stop // 2048)
    restore(rig)
    assert_right(rig)


def closed_windows(rig: Rig) -> None:
    """As after a reset: the first access of all is refused, and the bus sees nothing of it."""

    def provoke() -> None:
        for access in Access:
            rig.open(access)
        beats = rig.core.beats()
        rig.start(stream(rig.board))
        assert rig.core.beats() == beats
        for access in Access:
            rig.open(access, (0, 0xFFFF_FFFF))

    check(rig, provoke, ErrorCode.OUTSIDE_WINDOW, Engine.FETCH, 0, rig.STREAM)


def fetch_windows(count: int, rig: Rig) -> None:
    """Instructions before the end of the window are executed first."""
    code = isa.encode(stream(rig.board))
    edge = rig.STREAM + 8 * PAGE

    def provoke() -> None:
        rig.memory.device_write(edge - 64 * count, code)
        rig.set("STREAM_BASE", edge - 64 * count)
        rig.open(Access.FETCH, (0, edge // PAGE - 1))
        rig.set("STREAM_LENGTH", len(stream(rig.board)))
        rig.set("CONTROL", registers.pack("CONTROL", start=1))
        assert rig.fields("STATUS")["error"]
        done = cost.simulate(stream(rig.board)[:count], rig.board).completed if count else 0
        assert rig.get("INSTRUCTIONS") == done
        rig.open(Access.FETCH, (0, 0xFFFF_FFFF))

    check(rig, provoke, ErrorCode.OUTSIDE_WINDOW, Engine.FETCH, count, edge)


def a_deadlock(rig: Rig) -> None:
    instructions, index = starving(stream())

    def provoke() -> None:
        rig.start(instructions)
        assert rig.get("INSTRUCTIONS") == len(instructions) - 1
        assert WATCHDOG < rig.get("CYCLES") < WATCHDOG + 20_000

    check(rig, provoke, ErrorCode.WATCHDOG, Engine.STORE, index)


def bad_streams(rig: Rig) -> None:
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
