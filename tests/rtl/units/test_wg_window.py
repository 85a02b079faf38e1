"""The guard of a port: which bursts pass, at every edge of a window and of the address."""

from __future__ import annotations

import random
from collections import deque

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.places import RTL_UNITS

PAGE = 4096
TOP = 0xFFFF_FFFF  # the last page that a register can name


@pytest.mark.parametrize(
    "width", [*(pytest.param(w, marks=pytest.mark.long) for w in (13, 32)), 64]
)
def test_wg_window(width):
    from support.rtl.runner import run

    run("tb_window", [RTL_UNITS / "tb_window.sv"], "test_wg_window",
        {"AddrWidth": width}, ["edges", "order_and_pace", "a_refusal_stays"])  # fmt: skip


def set_windows(dut, *windows):
    """The others are closed, as after a reset."""
    places = len(dut.windows_i) // 64
    bits = 0
    for i, (first, last) in enumerate([*windows, *[(1, 0)] * (places - len(windows))]):
        bits |= (last << 32 | first) << 64 * i
    dut.windows_i.value = bits


async def begin(dut):
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    for name in ("rst_ni", "clear_i", "burst_valid_i", "burst_ready_i", "burst_addr_i",
                 "burst_beats_i", "burst_last_i"):  # fmt: skip
        getattr(dut, name).value = 0
    set_windows(dut)
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await FallingEdge(dut.clk_i)


async def ask(dut, address):
    """Whether a burst passes; the module is clear afterwards."""
    dut.burst_valid_i.value, dut.burst_addr_i.value, dut.burst_beats_i.value = 1, address, 1
    await FallingEdge(dut.clk_i)
    dut.burst_valid_i.value = 0
    assert not dut.burst_valid_o.value and not dut.refused_o.value
    await FallingEdge(dut.clk_i)
    passes, refused = bool(dut.burst_valid_o.value), bool(dut.refused_o.value)
    assert passes != refused
    assert int(dut.burst_addr_o.value) == address
    dut.clear_i.value = 1
    await FallingEdge(dut.clk_i)
    dut.clear_i.value = 0
    assert not dut.burst_valid_o.value and not dut.refused_o.value
    return passes


@cocotb.test()
async def edges(dut):
    """First and last word of each page next to an end of a window, and where addresses end."""
    await begin(dut)
    end = 1 << len(dut.burst_addr_i)
    top = min(TOP, end // PAGE - 1)
    sets = [
        [],
        [(0, 0)],
        [(1, 1)],
        [(0, TOP)],
        [(TOP, TOP)],
        [(TOP, 0)],
        [(1, 0), (3, 2)],
        [(top, top)],
        [(top, TOP)],
        [(top - 1, top - 1)],
        [(5, 9)],
        [(5, 6), (8, 9)],
        [(5, 6), (7, 9)],
        [(8, 12), (5, 9), (6, 7)],
        [(0x1_0000, 0x1_FFFF), (0x8000, 0x8000)],
        [(0x7FFF_FFFF, 0x8000_0000)],
    ]
    seen = set()
    for windows in sets:
        set_windows(dut, *windows)
        pages = {0, 1, top, top - 1, end // PAGE - 1, end // PAGE // 2, TOP, TOP + 1, 1 << 32}
        for first, last in windows:
            pages |= {first - 1, first, first + 1, last - 1, last, last + 1}
            pages |= {first + (1 << 32), last + (1 << 51)}  # what a register cannot name
        for page in sorted(pages):
            for offset in (0, 8, PAGE - 8):
                address = page * PAGE + offset
                if 0 <= address < end:
                    wanted = any(first <= page <= last for first, last in windows)
                    assert await ask(dut, address) == wanted, (windows, hex(address))
                    seen.add(wanted)
    assert seen == {True, False}


@cocotb.test()
async def order_and_pace(dut):
    """Bursts leave as they came, a burst a cycle where nobody waits."""
    await begin(dut)
    rng = random.Random(1)
    set_windows(dut, (0, TOP))
    addresses = 1 << min(len(dut.burst_addr_i), 44)
    for offers, takes in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.4), (0.6, 0.6)):
        todo = [(8 * rng.randrange(addresses // 8), rng.randint(1, 16), rng.randrange(2))
                for _ in range(200)]  # fmt: skip
        waiting, gone, cycles, offered = deque(todo), [], 0, None
        while len(gone) < len(todo):
            if offered is None and waiting and rng.random() < offers:
                offered = waiting.popleft()
            dut.burst_valid_i.value = int(offered is not None)
            if offered is not None:
                dut.burst_addr_i.value, dut.burst_beats_i.value, dut.burst_last_i.value = offered
            take = rng.random() < takes
            dut.burst_ready_i.value = int(take)
            if dut.burst_valid_o.value and take:
                seen = (dut.burst_addr_o, dut.burst_beats_o, dut.burst_last_o)
                gone.append(tuple(int(x.value) for x in seen))
            assert not dut.refused_o.value
            if dut.burst_ready_o.value:
                offered = None
            cycles += 1
            await FallingEdge(dut.clk_i)
        assert gone == todo
        if offers == takes == 1:
            assert cycles == len(todo) + 2


@cocotb.test()
async def a_refusal_stays(dut):
    """What comes before it passes, nothing behind it does, however long one waits."""
    await begin(dut)
    set_windows(dut, (1, 1))
    for before in range(4):
        passed = 0
        dut.burst_ready_i.value = 1
        for address in [*[PAGE] * before, 0, *[PAGE] * 6]:
            dut.burst_valid_i.value, dut.burst_addr_i.value = 1, address
            passed += int(dut.burst_valid_o.value)
            await FallingEdge(dut.clk_i)
        for _ in range(20):
            passed += int(dut.burst_valid_o.value)
            await FallingEdge(dut.clk_i)
        assert passed == before
        assert dut.refused_o.value and int(dut.burst_addr_o.value) == 0
        assert not dut.burst_ready_o.value
        dut.burst_valid_i.value, dut.clear_i.value = 0, 1
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        await FallingEdge(dut.clk_i)
        assert not dut.refused_o.value and not dut.burst_valid_o.value and dut.burst_ready_o.value
