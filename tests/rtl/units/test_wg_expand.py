"""Indices to the weights that have one: the n-th set bit of a bitmap takes the n-th index."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.bits import pack, unpack
from support.rtl.units import run_unit
from winogen.target.weight_code import GROUP

LATENCY = 2


def test_wg_expand() -> None:
    run_unit("wg_expand", "test_wg_expand", {}, ["every_weight_takes_its_index"])


@cocotb.test()
async def every_weight_takes_its_index(dut) -> None:
    rng = random.Random(1)
    Clock(dut.clk_i, 10, unit="ns").start()
    expected: list[tuple[int, list[int]]] = []
    for _ in range(400):
        mask = rng.getrandbits(GROUP)
        for _ in range(rng.choice((0, 0, 1, 3))):
            mask = rng.choice((mask & rng.getrandbits(GROUP), mask | rng.getrandbits(GROUP)))
        mask = rng.choice((mask, mask, mask, 0, (1 << GROUP) - 1))
        indices = [rng.randrange(16) for _ in range(GROUP)]
        dut.mask_i.value, dut.index_i.value = mask, pack(indices, 4)
        expected.append((mask, indices))
        await FallingEdge(dut.clk_i)
        if len(expected) >= LATENCY:
            mask, indices = expected[-LATENCY]
            assert int(dut.mask_o.value) == mask
            found = unpack(int(dut.index_o.value), 4, (GROUP,)) & 15
            left = iter(indices)
            for bit in range(GROUP):
                if mask >> bit & 1:
                    assert found[bit] == next(left)
