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
G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_filter_transform(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_filter_transform", ["transforms"])


@cocotb.test()
async def transforms(dut) -> None:
    rng = np.random.default_rng(1)
    width = int(dut.DataWidth.value)
    await begin(dut)
    due = []
    for cycle in range(800):
        taps = int(rng.choice([0x1FF, 0x01B, rng.integers(512)]))
        data = extremes(rng, width, (9, FILTERS))
        present = np.array([taps >> t & 1 for t in range(9)])[:, None]
        g = (data * present).reshape(3, 3, FILTERS)
        u = np.einsum("ia,abf,jb->ijf", G2, g, G2).reshape(16, FILTERS)
        due.append(u[cycle % 16])
        dut.filter_taps.value, dut.filter_position.value = taps, cycle % 16
        dut.filter_data.value = pack(data, width)
        await FallingEdge(dut.clk_i)
        if cycle >= LATENCY - 1:
            got = unpack(int(dut.filter_u.value), width + 4, FILTERS)
            np.testing.assert_array_equal(got, due[cycle - LATENCY + 1])
