"""The accumulators against two arrays: sums modulo the width, and when a half is free or full."""

from __future__ import annotations

import random

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, Timer

from support.rtl.bits import pack, unpack
from support.rtl.random_compute import DEPTHS, extremes
from support.rtl.units import ONE_CORE, begin, core_of, run_units
from winogen.target.numerics import accumulator_bits, wrap

DEPTH = DEPTHS["AccumulatorDepth"]


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_accumulators(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_accumulators", ["adds_and_drains", "sums_wrap"])


class Bench:
    """Adds to one half and drains the other, as the sequencer and the drain may do."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.core = dut, core_of(dut)
        self.rng, self.values = random.Random(seed), np.random.default_rng(seed)
        self.shape = self.core.tile_lanes, self.core.co_lanes
        self.bits = accumulator_bits(self.core.data_width)
        self.sum_bits = 2 * self.core.data_width + 6 + (self.core.ci_lanes - 1).bit_length()
        self.forget()

    def forget(self) -> None:
        self.adding = np.zeros((DEPTH, *self.shape), np.int64)
        self.full: list[np.ndarray] = []  # at most two halves, the adding one not among them
        #: Steps whose sums are to come: in the next cycle, and now.
        self.under_way: list[tuple[int, bool, bool] | None] = [None, None]
        self.drained = 0
        self.look = 0  # what is looked at in this cycle

    async def reset(self) -> None:
        await begin(self.dut, "acc_add_valid", "acc_drain_done")

    async def step(self, index: int | None, first: bool, last: bool, drain_done: bool) -> None:
        """A cycle that announces a step, looks at a random drained one, and frees a half.

        The sums are those of the step before the last one.
        """
        dut = self.dut
        value = extremes(self.values, self.sum_bits, self.shape)
        dut.acc_add_valid.value = int(index is not None)
        dut.acc_add_index.value = self.rng.randrange(DEPTH) if index is None else index
        dut.acc_add_first.value, dut.acc_add_last.value = int(first), int(last)
        dut.acc_sum.value = pack(value, self.sum_bits)
        look, self.look = self.look, self.rng.randrange(DEPTH)
        dut.acc_drain_index.value, dut.acc_drain_done.value = self.look, int(drain_done)
        await Timer(1, "ns")
        assert int(dut.acc_full.value) == bool(self.full)
        if self.full:
            got = unpack(int(dut.acc_drain.value), self.bits, self.shape)
            if not dut.acc_drain_added.value:
                got = np.zeros_like(got)
            np.testing.assert_array_equal(got, self.full[0][look])
        if drain_done:
            self.full.pop(0)
            self.drained += 1
        now = self.under_way.pop()
        if now is not None:
            at, overwrite, complete = now
            old = 0 if overwrite else self.adding[at]
            self.adding[at] = wrap(old + value, self.bits)
            if complete:
                self.full.append(self.adding)
                self.adding = np.zeros_like(self.adding)
        self.under_way.insert(0, None if index is None else (index, first, last))
        await FallingEdge(dut.clk_i)

    async def random_steps(self, cycles: int, drain: float) -> None:
        rng = self.rng
        some = rng.randrange(DEPTH)
        for _ in range(cycles):
            complete = sum(step is not None and step[2] for step in self.under_way)
            add = len(self.full) + complete < 2 and rng.random() < 0.8
            index = rng.choice((some, some, rng.randrange(DEPTH))) if add else None
            last = add and rng.random() < 0.08
            # A half is freed only after a half has been full for a cycle.
            done = bool(self.full) and rng.random() < drain
            await self.step(index, rng.random() < 0.2, last, done)


@cocotb.test()
async def adds_and_drains(dut) -> None:
    bench = Bench(dut, 1)
    await bench.reset()
    for drain in (0.02, 0.3, 0.05):
        await bench.random_steps(200, drain)
    assert bench.drained > 12
    for wait in range(0, 20, 2):
        await bench.random_steps(wait, 0.1)
        dut.clear_i.value = 1
        await bench.step(None, False, False, False)
        dut.clear_i.value = 0
        bench.forget()
    await bench.random_steps(100, 0.1)


@cocotb.test()
async def sums_wrap(dut) -> None:
    """One accumulator takes the largest sum until it goes over the end of its range."""
    bench = Bench(dut, 2)
    await bench.reset()
    largest = (1 << bench.sum_bits - 1) - 1
    count = (1 << bench.bits - 1) // largest + 2
    # A step takes random values; here they are all the same.
    dut.acc_add_valid.value, dut.acc_add_index.value, dut.acc_add_first.value = 1, 5, 0
    dut.acc_sum.value = pack(np.full(bench.shape, largest), bench.sum_bits)
    for number in range(count):
        dut.acc_add_last.value = int(number == count - 1)
        await FallingEdge(dut.clk_i)
    dut.acc_add_valid.value, dut.acc_drain_index.value = 0, 5
    for _ in range(2):  # the sums of the last two steps
        await FallingEdge(dut.clk_i)
    assert dut.acc_drain_added.value
    got = unpack(int(dut.acc_drain.value), bench.bits, bench.shape)
    expected = wrap(np.full(bench.shape, count * largest), bench.bits)
    assert expected.max() < 0
    np.testing.assert_array_equal(got, expected)
