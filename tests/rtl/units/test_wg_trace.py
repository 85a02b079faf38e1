"""The trace's records and the state of the bus, against models in Python.

The decoder, and the trace of the whole core, are held against the simulation's own trace in
test_sim.py.
"""

from __future__ import annotations

import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.bits import pack
from support.rtl.units import begin, run_unit
from winogen.profiling import trace
from winogen.target.isa import CLASSES, FIELDS, HEADER, Opcode

DEPTH = 512
PORTS = 4
_OPCODES = (Opcode.LOAD_INPUT, Opcode.COMPUTE, Opcode.STORE)


def test_wg_trace() -> None:
    run_unit("wg_trace", "test_wg_trace", {"Depth": DEPTH}, ["windows", "overflow", "wraps"])


def test_wg_bus_state() -> None:
    run_unit("wg_bus_state", "test_wg_trace", {"Ports": PORTS}, ["transactions"])


async def read(dut) -> np.ndarray:
    """All records; also one that is read too late would be seen, as the address changes."""
    out = []
    for index in range(int(dut.records_o.value)):
        dut.index_i.value = index
        for _ in range(2):
            await FallingEdge(dut.clk_i)
        out.append(int(dut.data_o.value))
    return np.array(out, np.uint32)


async def clear(dut, first: int, length: int) -> None:
    dut.first_i.value, dut.length_i.value = first, length
    dut.clear_i.value = 1
    await FallingEdge(dut.clk_i)
    dut.clear_i.value = 0


async def engines(dut, rng: random.Random, count: int, busy: float):
    """Engines that begin, end and wait at random: instructions and the times of each."""
    kinds = [CLASSES[rng.choice(_OPCODES)] for _ in range(count)]
    stream = [kind(*[0] * (len(FIELDS[kind.opcode]) - len(HEADER))) for kind in kinds]
    todo = [[i for i, x in enumerate(stream) if x.engine == e] for e in range(3)]
    flight: list[list[int]] = [[], [], []]
    waits = [False] * 3
    times = {name: [0] * count for name in ("begin", "end", "stall")}
    dut.running_i.value = 1
    now = -1
    while any(todo) or any(flight):
        begins = ends = stalls = 0
        heads = [queue[0] if queue else rng.getrandbits(20) for queue in todo]
        oldest = [queue[0] if queue else rng.getrandbits(20) for queue in flight]
        now += 1
        for e in range(3):
            begun = False
            waits[e] = bool(todo[e]) and now > 5 and not flight[e] and rng.random() < 0.6
            if waits[e]:
                stalls |= 1 << e
                times["stall"][todo[e][0]] += 1
            elif todo[e] and now > 7 and len(flight[e]) < 4 and rng.random() < busy:
                begins |= 1 << e
                begun = True
                times["begin"][todo[e][0]] = now
            if flight[e] and rng.random() < busy:
                ends |= 1 << e
                times["end"][flight[e].pop(0)] = now
            if begun:
                flight[e].append(todo[e].pop(0))
        dut.begin_i.value, dut.end_i.value, dut.stall_i.value = begins, ends, stalls
        dut.begin_index_i.value, dut.end_index_i.value = pack(heads, 20), pack(oldest, 20)
        await FallingEdge(dut.clk_i)
    dut.begin_i.value = dut.end_i.value = dut.stall_i.value = dut.running_i.value = 0
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    return stream, times


_INPUTS = ("running_i", "first_i", "length_i", "begin_i", "begin_index_i", "end_i",
           "end_index_i", "stall_i", "index_i")  # fmt: skip


@cocotb.test()
async def windows(dut) -> None:
    """Whatever the window: what the records say is when it happened."""
    rng = random.Random(1)
    await begin(dut, *_INPUTS)
    for round_ in range(12):
        count = rng.choice((1, 3, 40, 90))
        first = rng.choice((0, 0, rng.randrange(count), count))
        length = rng.choice((count, 1, rng.randrange(count + 1), 1 << 20))
        await clear(dut, first, length)
        stream, times = await engines(dut, rng, count, (0.1, 0.5, 0.9)[round_ % 3])
        assert not int(dut.overflow_o.value)
        records = await read(dut)
        window = range(min(first, count), min(first + length, count))
        found = trace.decode(records, stream, window)
        wanted = [(i, *(times[name][i] for name in ("begin", "end", "stall"))) for i in window]
        assert sorted(found) == wanted
        assert all(r >> 23 for r in records), "a record of nothing"
    await clear(dut, 0, 0)
    await engines(dut, rng, 50, 0.5)
    assert int(dut.records_o.value) == 0


@cocotb.test()
async def overflow(dut) -> None:
    """The first records stay when there are too many, and the next stream begins anew."""
    rng = random.Random(2)
    await begin(dut, *_INPUTS)
    await clear(dut, 0, 1 << 20)
    await engines(dut, rng, 3 * DEPTH, 0.5)
    assert int(dut.records_o.value) == DEPTH and int(dut.overflow_o.value)
    times = (await read(dut)) & ((1 << 23) - 1)
    assert np.all(np.diff(times.astype(np.int64)) > 0)
    await clear(dut, 0, 1 << 20)
    assert int(dut.records_o.value) == 0 and not int(dut.overflow_o.value)
    stream, wanted = await engines(dut, rng, 20, 0.5)
    found = trace.decode(await read(dut), stream, range(20))
    assert [x[1] for x in sorted(found)] == wanted["begin"]


@cocotb.test()
async def wraps(dut) -> None:
    """When the time wraps there is a record of time 0, with or without an event."""
    await begin(dut, *_INPUTS)
    period = 1 << 23
    events = [period - 2, period - 1, period, period + 1]
    for skipped in (None, period):
        await clear(dut, 0, 9)
        dut.running_i.value = 1
        # Forced near the end of the period: eight million cycles would take minutes.
        dut.now_q.value = period - 8
        for now in range(period - 8, period + 8):
            dut.begin_i.value = int(now in events and now != skipped)
            await FallingEdge(dut.clk_i)
        dut.running_i.value = 0
        for _ in range(4):
            await FallingEdge(dut.clk_i)
        records = await read(dut)
        assert [r & (period - 1) for r in records] == [t % period for t in events]
        assert [r >> 23 for r in records] == [int(t != skipped) for t in events]
    await clear(dut, 0, 0)  # no window, no record
    dut.running_i.value = 1
    dut.now_q.value = period - 8
    for _ in range(16):
        await FallingEdge(dut.clk_i)
    assert int(dut.records_o.value) == 0


@cocotb.test()
async def transactions(dut) -> None:
    """Counts of what was accepted and not answered, two cycles late."""
    rng = random.Random(3)
    Clock(dut.clk_i, 10, unit="ns").start()
    for name in ("offered_i", "accepted_i", "answered_i", "rst_ni"):
        getattr(dut, name).value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    open_ = [0] * PORTS
    history = [([0] * PORTS, 0)] * 2
    most = 0
    for _ in range(3000):
        offered, accepted, answered = (rng.getrandbits(PORTS) for _ in range(3))
        for p in range(PORTS):
            take = offered >> p & accepted >> p & 1
            if take and open_[p] == 15:
                offered &= ~(1 << p)
                take = 0
            if not open_[p] or rng.random() < 0.3:
                answered &= ~(1 << p)
            open_[p] += take - (answered >> p & 1)
        most = max(most, *open_)
        dut.offered_i.value, dut.accepted_i.value = offered, accepted
        dut.answered_i.value = answered
        await FallingEdge(dut.clk_i)
        history.append((list(open_), offered & ~accepted))
        counts, waiting = history[-2]
        assert int(dut.bursts_o.value) == pack(counts, 4)
        assert int(dut.address_o.value) == waiting
    assert most == 15
