"""The filter transform against (2G) g (2G)^T in numpy, at every position."""

from __future__ import annotations

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge

from support.rtl.bits import pack, unpack
from support.rtl.random_compute import extremes
from support.rtl.units import ONE_CORE, begin, run_units

LATENCY = 3
FILTERS = 2
TESTS = ["transforms", "transforms_both_sides"]
G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_filter_transform(core: tuple[int, int, int]) -> None:
    run_units(
        core,
        "test_wg_filter_transform",
        TESTS,
    )


def transformed(taps: int, data: np.ndarray) -> np.ndarray:
    """(position, filter) of the taps that are there."""
    present = np.array([taps >> t & 1 for t in range(9)])[:, None]
    g = (data * present).reshape(3, 3, FILTERS)
    return np.einsum("ia,abf,jb->ijf", G2, g, G2).reshape(16, FILTERS)


@cocotb.test()
async def transforms(dut) -> None:
    rng = np.random.default_rng(1)
    width = int(dut.DataWidth.value)
    await begin(dut, "filter_first")
    due = []
    for cycle in range(800):
        taps = int(rng.choice([0x1FF, 0x01B, 1, rng.integers(512)]))
        data = extremes(rng, width, (9, FILTERS))
        due.append(transformed(taps, data)[cycle % 16])
        dut.filter_taps.value, dut.filter_position.value = taps, cycle % 16
        dut.filter_data.value = pack(data, width)
        await FallingEdge(dut.clk_i)
        if cycle >= LATENCY - 1:
            got = unpack(int(dut.filter_u.value), width + 4, FILTERS)
            np.testing.assert_array_equal(got, due[cycle - LATENCY + 1])


@cocotb.test()
async def transforms_both_sides(dut) -> None:
    """Rows of any positions: filters of a side in each of the first two cycles, then any."""
    rng = np.random.default_rng(2)
    width = int(dut.DataWidth.value)
    await begin(dut, "filter_first")
    due: list[np.ndarray] = []
    for number in range(300):
        taps = int(rng.choice([0x1FF, 0x01B, rng.integers(512)]))
        sides = [extremes(rng, width, (9, FILTERS)) for _ in range(2)]
        u = np.stack([transformed(taps, data) for data in sides])
        columns = sorted(rng.choice(4, rng.integers(1, 5), replace=False))
        row = number % 4
        for cycle, column in enumerate(columns if len(columns) > 1 else 2 * columns):
            data = sides[cycle] if cycle < 2 else extremes(rng, width, (9, FILTERS))
            dut.filter_taps.value, dut.filter_first.value = taps, int(cycle == 0)
            dut.filter_position.value = int(4 * row + column)
            dut.filter_data.value = pack(data, width)
            due.append(u[:, 4 * row + column])
            await FallingEdge(dut.clk_i)
            if len(due) > LATENCY:
                got = unpack(int(dut.filter_both.value), width + 4, (2, FILTERS))
                np.testing.assert_array_equal(got, due[len(due) - LATENCY - 1])
