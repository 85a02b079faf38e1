"""The output stage against numerics: partial sums, requantiser, table, and where outputs go."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, Timer

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.random_compute import RandomCompute, extremes
from support.rtl.units import ONE_CORE, begin, core_of, run_units
from winogen.target import isa, numerics
from winogen.target.isa import Params
from winogen.target.numerics import Requantiser, accumulator_bits, wrap

TESTS = ["sums_and_outputs", "wrong_parameters", "output_is_cleared"]
INPUTS = ("word_valid", "par_we", "act_we")


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_output(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_output", TESTS)


class Bench:
    """Hands words to one wg_output and collects what it writes."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.core = dut, core_of(dut)
        self.random = RandomCompute(self.core, seed)
        self.machine = self.random.machine
        self.instruction = self.random.compute(output_rows=9, output_columns=7, images=1)
        self.rng = np.random.default_rng(seed)
        self.bits = accumulator_bits(self.core.data_width)
        self.psum = np.zeros((self.core.psum_depth, self.core.co_lanes), np.int64)
        self.expected: list[tuple[int, tuple[int, ...]]] = []
        self.written: list[tuple[int, tuple[int, ...]]] = []

    async def reset(self) -> None:
        await begin(self.dut, *(f"out_{name}" for name in INPUTS))
        await self.write_params()
        for address, value in enumerate(self.machine.activation):
            self.dut.out_act_we.value, self.dut.out_act_addr.value = 1, address
            self.dut.out_act_data.value = int(value) & 0xFFFF
            await FallingEdge(self.dut.clk_i)
        self.dut.out_act_we.value = 0

    async def write_params(self) -> None:
        flat = Params(**{name: memory.ravel() for name, memory in self.machine.params.items()})
        data = isa.pack_params(flat)
        for channel in self.rng.permutation(len(flat.bias)):
            entry, lane = divmod(int(channel), self.core.co_lanes)
            raw = data[16 * channel : 16 * channel + 16]
            self.dut.out_par_we.value = 1
            self.dut.out_par_addr.value, self.dut.out_par_lane.value = entry, lane
            self.dut.out_par_data.value = int.from_bytes(raw, "little")
            await FallingEdge(self.dut.clk_i)
        self.dut.out_par_we.value = 0

    def configure(self, **fields: int) -> None:
        self.instruction = replace(self.instruction, **fields)
        self.dut.start_bits.value = instruction_bits(self.instruction)

    def total(self, psum: int, word: np.ndarray, param: int) -> np.ndarray:
        bias = self.machine.params["bias"][param]
        start = bias if self.instruction.first else self.psum[psum]
        return wrap(start + word, self.bits)

    def outputs(self, total: np.ndarray, param: int) -> tuple[int, ...]:
        names = ("positive", "negative", "shift", "low", "high")
        values = Requantiser(*(self.machine.params[name][param] for name in names))(total)
        if self.instruction.activation:
            table = self.machine.activation
            values = numerics.apply_table(table, values, self.core.data_width)
        return tuple(int(v) for v in values)

    async def word(self, psum: int, param: int, row: int, column: int, kept: bool) -> None:
        """One word, of random sums."""
        dut, f = self.dut, isa.operands(self.instruction)
        word = extremes(self.rng, self.bits, (self.core.co_lanes,))
        if param < self.core.param_depth:
            total = self.total(psum, word, param)
            if not f["last"]:
                self.psum[psum] = total
            elif kept:
                place = f["output_base"] + row * f["output_columns"] + column
                self.expected.append((place, self.outputs(total, param)))
        dut.out_word_valid.value, dut.out_word_kept.value = 1, int(kept)
        dut.out_word.value = pack(word, self.bits)
        dut.out_word_psum.value, dut.out_word_param.value = psum, param
        dut.out_word_row.value, dut.out_word_column.value = row, column
        await Timer(1, "ns")
        assert not dut.out_idle.value
        await self.step()
        dut.out_word_valid.value = 0

    async def step(self) -> None:
        dut = self.dut
        await FallingEdge(dut.clk_i)
        if dut.out_we.value:
            data = unpack(int(dut.out_wdata.value), self.core.data_width, self.core.co_lanes)
            self.written.append((int(dut.out_waddr.value), tuple(int(v) for v in data)))
        if dut.out_idle.value:
            assert len(self.written) == len(self.expected)

    async def settle(self) -> None:
        for _ in range(40):
            if self.dut.out_idle.value:
                break
            await self.step()
        else:
            raise AssertionError("never idle")
        for _ in range(25):
            await self.step()
        assert self.written == self.expected
        self.written.clear()
        self.expected.clear()

    async def words(self, places: np.ndarray, rate: float) -> None:
        for psum in places:
            while self.rng.random() > rate:
                await self.step()
            param = int(self.rng.integers(self.core.param_depth))
            row, column = int(self.rng.integers(9)), int(self.rng.integers(7))
            await self.word(int(psum), param, row, column, bool(self.rng.random() < 0.8))
        await self.settle()


@cocotb.test()
async def sums_and_outputs(dut) -> None:
    bench = Bench(dut, 1)
    await bench.reset()
    depth = bench.core.psum_depth
    bench.configure(first=1, last=0)
    await bench.words(np.arange(depth), 1)
    for number in range(4):
        rate = (1.0, 0.5)[number % 2]
        for first, last in ((1, 0), (0, 0), (0, 1), (1, 1)):
            base = int(bench.rng.integers(bench.core.output_depth - 9 * 7 + 1))
            bench.configure(first=first, last=last, activation=number & 1, output_base=base)
            await bench.words(bench.rng.permutation(depth)[:50], rate)
    assert not dut.out_fault.value


@cocotb.test()
async def wrong_parameters(dut) -> None:
    bench = Bench(dut, 2)
    await bench.reset()
    params = bench.machine.params
    good = {name: memory.copy() for name, memory in params.items()}
    low, high = numerics.int_range(bench.core.data_width)
    wide = [(low - 1, high), (low, high + 1)] if bench.core.data_width == 8 else []
    for ends in [(1, 0), (high, low), *wide]:
        lane = int(bench.rng.integers(bench.core.co_lanes))
        params["low"][3, lane], params["high"][3, lane] = ends
        await bench.write_params()
        # A clamp that is not used, or of another entry, or (if only wide) before the table.
        legal = [(0, 0, 3), (1, 0, 2), *([(1, 1, 3)] if ends in wide else [])]
        for last, activation, param in legal:
            bench.configure(first=1, last=last, activation=activation, output_base=0)
            await bench.word(1, param, 1, 1, True)
            await bench.settle()
            assert not dut.out_fault.value
        bench.configure(first=1, last=1, activation=0)
        await bench.word(1, 3, 1, 1, True)
        await fault(bench)
        for name, memory in params.items():
            memory[:] = good[name]
    for param in (bench.core.param_depth, 255, 256, 510):
        bench.configure(first=1, last=0, activation=0)
        await bench.word(1, param, 1, 1, True)
        await fault(bench)
    await bench.write_params()
    bench.configure(last=1)
    await bench.words(np.arange(20), 1)


async def fault(bench: Bench) -> None:
    """A level until clear_i."""
    for _ in range(5):
        await FallingEdge(bench.dut.clk_i)
    for _ in range(20):
        assert bench.dut.out_fault.value
        await FallingEdge(bench.dut.clk_i)
    bench.dut.clear_i.value = 1
    await FallingEdge(bench.dut.clk_i)
    bench.dut.clear_i.value = 0
    assert not bench.dut.out_fault.value and bench.dut.out_idle.value
    bench.expected.clear()
    bench.written.clear()


@cocotb.test()
async def output_is_cleared(dut) -> None:
    bench = Bench(dut, 3)
    await bench.reset()
    for wait in range(0, 24, 2):
        bench.configure(first=1, last=1, activation=wait & 1, output_base=0)
        for number in range(4):
            await bench.word(number, 0, number, number, True)
        for _ in range(wait):
            await bench.step()
        dut.clear_i.value = 1
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        bench.expected.clear()
        bench.written.clear()
        assert dut.out_idle.value
        for _ in range(30):
            await bench.step()
        assert not bench.written
