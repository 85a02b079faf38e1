"""The activation unit against numerics.apply_table."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.runner import run
from winogen.target.numerics import TABLE_ENTRIES, activation_table, apply_table

LATENCY = 8
LANES = 4
SIDE = 7


@pytest.mark.parametrize("width", [8, pytest.param(16, marks=pytest.mark.long)])
def test_activation(width):
    parameters = {"DataWidth": width, "Lanes": LANES, "SideWidth": SIDE}
    run("wg_activation", [], "test_wg_activation", parameters)


def packed(values: np.ndarray, bits: int) -> int:
    """Lane 0 in the low bits."""
    return sum((int(v) & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(values))


async def load(dut, table: np.ndarray) -> None:
    for i in np.random.default_rng(0).permutation(TABLE_ENTRIES):
        dut.we_i.value = 1
        dut.addr_i.value = int(i)
        dut.data_i.value = int(table[i]) & 0xFFFF
        await FallingEdge(dut.clk_i)
    dut.we_i.value = 0


async def check(dut, table: np.ndarray, pre: np.ndarray, rate: float, use_rate: float) -> None:
    """Send words ``pre`` (words, lanes); with ``use_rate`` below one, some pass the table by."""
    rng = np.random.default_rng(3)
    width = len(dut.value_o) // LANES
    use = rng.random(len(pre)) < use_rate
    through = ((pre + (1 << (width - 1))) & ((1 << width) - 1)) - (1 << (width - 1))
    expected = np.where(use[:, None], apply_table(table, pre, width), through)
    side = rng.integers(0, 1 << SIDE, len(pre))
    under_way: list[int | None] = []
    sent = checked = 0
    while checked < len(pre):
        valid = sent < len(pre) and rng.random() < rate
        dut.valid_i.value = int(valid)
        if valid:
            dut.use_i.value = int(use[sent])
            dut.pre_i.value = packed(pre[sent], 16)
            dut.side_i.value = int(side[sent])
        under_way.append(sent if valid else None)
        sent += valid
        await FallingEdge(dut.clk_i)
        if len(under_way) < LATENCY:
            continue
        due = under_way.pop(0)
        assert int(dut.valid_o.value) == (due is not None)
        if due is not None:
            assert int(dut.value_o.value) == packed(expected[due], width), (pre[due], use[due])
            assert int(dut.side_o.value) == side[due]
            checked += 1


@cocotb.test()
async def values(dut) -> None:
    rng = np.random.default_rng(2)
    Clock(dut.clk_i, 10, unit="ns").start()
    dut.rst_ni.value = 0
    for port in (dut.clear_i, dut.we_i, dut.valid_i):
        port.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1

    table = rng.integers(-32768, 32768, TABLE_ENTRIES).astype(np.int16)
    table[:8] = [-32768, 32767, 32767, -32768, -32768, -32768, 32767, 32767]
    table[-3:] = [32767, 32767, -32768]
    await load(dut, table)
    await check(dut, table, rng.permutation(np.arange(-32768, 32768)).reshape(-1, LANES), 1, 1)
    await check(dut, table, rng.integers(-32768, 32768, (1500, LANES)), 0.7, 0.6)

    table = activation_table(lambda x: np.floor(np.tanh(x) * 32767 + 0.5), 4.0)
    await load(dut, table)
    await check(dut, table, rng.integers(-32768, 32768, (1500, LANES)), 0.95, 0.9)

    # The word after the last write sees it: the last entry is read at pre = 32767 only.
    for value in (-30000, 30000):
        dut.we_i.value = 1
        dut.addr_i.value = TABLE_ENTRIES - 1
        dut.data_i.value = value & 0xFFFF
        table[-1] = value
        await FallingEdge(dut.clk_i)
        dut.we_i.value = 0
        await check(dut, table, np.full((1, LANES), 32767), 1, 1)
