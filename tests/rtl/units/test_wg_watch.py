"""Counters, watchdog, and what is shown of trace and bus, against models in Python."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge

from support.rtl.bits import pack
from support.rtl.units import begin, run_unit
from winogen.target.isa import INSTRUCTION_BYTES
from winogen.target.registers import Engine, Port, unpack

MULTIPLIERS = 12
INPUTS = [
    *("running", "busy", "stall", "done", "oldest_valid", "oldest_index", "fetched", "step"),
    *("read_valid", "write_valid", "read_bytes", "write_bytes", "progress", "hold", "cycles"),
    *("offered", "accepted", "answered", "trace_first", "trace_length", "trace_index"),
    *("begins", "begin_index"),
]


@pytest.mark.parametrize("ports", [*(pytest.param(n, marks=pytest.mark.long) for n in (1, 2)), 4])
def test_wg_watch(ports: int) -> None:
    parameters = {"Multipliers": MULTIPLIERS, "ReadPorts": ports}
    tests = ["counters", "watchdog", "oldest", "insight"]
    run_unit("tb_watch", "test_wg_watch", parameters, tests)


@cocotb.test()
async def counters(dut) -> None:
    """Every counter counts what the map says, from a start to the next one."""
    rng = random.Random(1)
    await begin(dut, *INPUTS)
    expected = [0] * 11
    fetched = 0
    pending = [0] * 11
    for cycle in range(600):
        running, clear = int(rng.random() < 0.9), int(cycle % 200 == 0)
        bits = {n: rng.getrandbits(3) for n in ("busy", "stall", "done")}
        ones = {n: rng.getrandbits(1) for n in ("fetched", "step", "read_valid", "write_valid")}
        sizes = {n: rng.getrandbits(32) for n in ("read_bytes", "write_bytes")}
        for name, value in {**bits, **ones, **sizes, "running": running}.items():
            getattr(dut, name).value = value
        dut.clear_i.value = clear
        await FallingEdge(dut.clk_i)
        expected = [a + b for a, b in zip(expected, pending)]
        pending = [0] * 11
        if running:
            pending[0] = 1
            for engine in range(3):
                pending[1 + 2 * engine] = bits["busy"] >> engine & 1
                pending[2 + 2 * engine] = bits["stall"] >> engine & 1
            pending[7] = ones["step"] * MULTIPLIERS
            read = ones["read_valid"] * sizes["read_bytes"]
            pending[8] = read + ones["fetched"] * INSTRUCTION_BYTES
            pending[9] = ones["write_valid"] * sizes["write_bytes"]
            pending[10] = bits["done"].bit_count()
            fetched += ones["fetched"]
        if clear:
            expected, pending, fetched = [0] * 11, [0] * 11, 0
        assert int(dut.counters.value) == pack(expected, 64)
        assert int(dut.fetched_count.value) == fetched


@cocotb.test()
async def watchdog(dut) -> None:
    """It expires a cycle after as many quiet cycles as it was told, and never for 0."""
    await begin(dut, *INPUTS)
    for cycles in (1, 2, 7, 0):
        dut.cycles.value, dut.running.value = cycles, 1
        for progress in (3, 1, 20):
            dut.progress.value = 1
            await FallingEdge(dut.clk_i)
            assert not dut.expired.value
            dut.progress.value = 0
            for quiet in range(1, progress + 1):
                await FallingEdge(dut.clk_i)
                assert int(dut.expired.value) == (cycles != 0 and quiet >= cycles), (cycles, quiet)
        dut.running.value = 0
        await FallingEdge(dut.clk_i)
        assert not dut.expired.value


@cocotb.test()
async def oldest(dut) -> None:
    """The instruction of the lowest index is the one longest under way; a hold keeps it."""
    rng = random.Random(2)
    await begin(dut, *INPUTS)
    seen = None
    for _ in range(200):
        valid, hold = rng.getrandbits(3), int(rng.random() < 0.2)
        index = rng.sample(range(1 << 20), 3)
        dut.oldest_valid.value, dut.oldest_index.value = valid, pack(index, 20)
        dut.hold.value = hold
        if not hold or seen is None:
            dut.hold.value = 0
            seen = [(index[e], e) for e in range(3) if valid >> e & 1]
        for _ in range(2):
            await FallingEdge(dut.clk_i)
        assert int(dut.seen_valid.value) == sum(1 << e for _, e in seen)
        wanted = min(seen) if seen else (0, Engine.FETCH)
        assert (int(dut.longest_index.value), int(dut.longest_engine.value)) == wanted


@cocotb.test()
async def insight(dut) -> None:
    """BUS counts the bursts of every port; the trace has what happened to its window."""
    rng = random.Random(3)
    reads = [Port.READ0, Port.READ1, Port.READ2, Port.READ3][: int(dut.ReadPorts.value)]
    ports = [*reads, Port.FETCH, Port.WRITE]
    await begin(dut, *INPUTS)
    dut.running.value, dut.trace_first.value, dut.trace_length.value = 1, 5, 2
    under_way = [0] * len(Port)
    for _ in range(200):
        offered, accepted = rng.getrandbits(len(Port)), rng.getrandbits(len(Port))
        answered = 0
        for port in ports:
            if under_way[port] and rng.random() < 0.5:
                answered |= 1 << port
            if under_way[port] > 12:
                accepted &= ~(1 << port)
        dut.offered.value, dut.accepted.value = offered, accepted
        dut.answered.value = answered
        for port in ports:
            taken = offered & accepted
            under_way[port] += (taken >> port & 1) - (answered >> port & 1)
        await FallingEdge(dut.clk_i)
    dut.offered.value, dut.accepted.value, dut.answered.value = 0b011101, 0, 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    bus = unpack("BUS", int(dut.bus.value))
    for port in Port:
        name = port.name.lower()
        assert bus[name] == (under_way[port] if port in ports else 0)
        assert bus[f"{name}_address"] == (port in ports and 0b011101 >> port & 1)
    assert not dut.trace_count.value
    # Instructions 4 to 7 begin at engine 1; 5 and 6 lie in the window.
    for number in range(4, 8):
        dut.begins.value, dut.begin_index.value = 0b010, number << 20
        await FallingEdge(dut.clk_i)
    dut.begins.value = 0
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    assert int(dut.trace_count.value) == 2
    times = []
    for record in range(2):
        dut.trace_index.value = record
        for _ in range(2):
            await FallingEdge(dut.clk_i)
        assert int(dut.trace_data.value) >> 23 == 0b010
        times.append(int(dut.trace_data.value) & (1 << 23) - 1)
    assert times[1] - times[0] == 1
    # A new stream begins with an empty trace.
    dut.clear_i.value = 1
    await FallingEdge(dut.clk_i)
    dut.clear_i.value = 0
    await FallingEdge(dut.clk_i)
    assert not dut.trace_count.value
