"""The multipliers against numpy, and the sequencer against the list of steps that it walks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.random_compute import RandomCompute, extremes
from support.rtl.units import CORES, ONE_CORE, begin, core_of, run_units
from winogen.target import isa, packing
from winogen.target.isa import Instruction, Table
from winogen.target.winograd import ZERO_POSITION

TESTS = ["products", "walks_the_steps", "stops_at_an_illegal_step", "clear_drops_the_steps"]
SLOTS = 8
READ = 3  # cycles from a step's issue to its addresses


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_mac(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_mac", TESTS)


def test_wg_packed_chain() -> None:
    run_units(CORES[0], "test_wg_mac", ["pairs_of_products", "pairs_beyond_the_conditions"])


@cocotb.test()
async def products(dut) -> None:
    """New operands every cycle, a third of them extremes; one tile's chain has its own ports."""
    rng = np.random.default_rng(1)
    core = core_of(dut)
    lanes, tiles = core.ci_lanes, core.tile_lanes
    z_bits, w_bits = core.data_width + 2, core.data_width + 4
    bits = z_bits + w_bits + (lanes - 1).bit_length()
    count = 300
    z = extremes(rng, z_bits, (count, tiles, lanes))
    w = extremes(rng, w_bits, (count, lanes, lanes))
    z[5:8], w[5:8] = -(1 << z_bits - 1), -(1 << w_bits - 1)  # the largest sum there is
    total = np.einsum("ntk,nck->ntc", z, w)
    await begin(dut)
    for cycle in range(count):
        dut.mac_z.value, dut.mac_w.value = pack(z[cycle], z_bits), pack(w[cycle], w_bits)
        ago = np.maximum(cycle - np.arange(lanes), 0), np.arange(lanes)
        dut.chain_z.value = pack(z[:, 0][ago], z_bits)
        dut.chain_w.value = pack(w[:, 1][ago], w_bits)
        await FallingEdge(dut.clk_i)
        first = cycle - (lanes + 1)
        if first >= 0:
            got = unpack(int(dut.array_sum.value), bits, (tiles, lanes))
            np.testing.assert_array_equal(got, total[first])
            assert unpack(int(dut.chain_sum.value), bits, 1)[0] == total[first, 0, 1]


async def show_pairs(dut, z, low, high, single, wanted) -> None:
    """New operands (cycles, lanes) every cycle; ``wanted`` sums (cycles, 2) after the latency."""
    lanes = core_of(dut).ci_lanes
    bits = packing.sum_bits(lanes)
    await begin(dut, "pair_z", "pair_w", "pair_single")
    for cycle in range(len(z) + lanes + 4):
        at = min(cycle, len(z) - 1)
        dut.pair_z.value = pack(z[at], packing.Z_BITS)
        dut.pair_w.value = pack(np.stack([low[at], high[at]]), packing.WEIGHT_BITS)
        dut.pair_single.value = int(single[at])
        await FallingEdge(dut.clk_i)
        first = cycle - (lanes + 4)
        if first >= 0:
            got = unpack(int(dut.pair_sum.value), bits, 2)
            sums = 1 if single[first] else 2  # of a block alone there is no upper one
            np.testing.assert_array_equal(got[:sums], wanted[first, :sums])
            got = unpack(int(dut.packed_sums.value), bits, (2, lanes))
            assert (got[:sums] == wanted[first, :sums, None]).all()
        if first > 0:
            got = unpack(int(dut.array_sums.value), bits, (core_of(dut).tile_lanes, 2, lanes))
            sums = 1 if single[first - 1] else 2
            assert (got[:, :sums] == wanted[first - 1, :sums, None]).all()


@cocotb.test()
async def pairs_of_products(dut) -> None:
    """Both sums are exact for all weights within the conditions, most of them at their ends."""
    rng = np.random.default_rng(4)
    shape = (3000, core_of(dut).ci_lanes)
    z = extremes(rng, packing.Z_BITS, shape)
    z[::3] = rng.choice([-512, 511], (len(z[::3]), 1))  # the same in all lanes: the largest sums
    high = extremes(rng, 11, shape).clip(-packing.LARGEST_HIGH)
    high[::5] = rng.choice([-packing.LARGEST_HIGH, packing.LARGEST_HIGH], (len(high[::5]), 1))
    low = lowers(rng, shape)
    single = rng.random(len(z)) < 0.2
    low[single] = extremes(rng, packing.WEIGHT_BITS, shape)[single]
    high[single] = 0
    assert packing.fits_high(high).all() and packing.fits_low(low[~single]).all()
    await show_pairs(
        dut, z, low, high, single, np.stack([(low * z).sum(1), (high * z).sum(1)], axis=1)
    )


def lowers(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Lower weights (words, lanes), the magnitudes of every other word as large as may be."""
    low = np.zeros(shape, np.int64)
    for word in low:
        left = packing.LARGEST_LOW_SUM
        for lane in rng.permutation(len(word)):
            word[lane] = min(left, rng.integers(0, 2048))
            left -= word[lane]
    low[::2] = low[::2] * rng.random(low[::2].shape)
    sign = np.where(rng.random(shape[0]) < 0.5, rng.choice([-1, 1], shape[0]), 0)[:, None]
    return low * np.where(sign, sign, rng.choice([-1, 1], shape))


@cocotb.test()
async def pairs_beyond_the_conditions(dut) -> None:
    """What is not exact has the bits that the emulator gives it."""
    rng = np.random.default_rng(5)
    shape = (2000, core_of(dut).ci_lanes)
    z = extremes(rng, packing.Z_BITS, shape)
    low, high = (extremes(rng, packing.WEIGHT_BITS, shape) for _ in range(2))
    sums = np.stack(packing.packed_sums(z, low, high), axis=1)
    assert (sums != np.stack([(low * z).sum(1), (high * z).sum(1)], axis=1)).any()
    await show_pairs(dut, z, low, high, np.zeros(len(z)), sums)


@dataclass(frozen=True)
class Step:
    """What one step must show: at its reads, and with its sums."""

    slot: int
    position: int
    winograd: int
    rows: int
    columns: int
    weight: int
    accumulator: int
    first: int
    last: int
    begins_block: bool
    begins_group: bool
    ends_block: bool


class Sequencer:
    """Stands for the step table, patch fetch and drain around one wg_mac_sequencer."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.core = dut, core_of(dut)
        self.random = RandomCompute(self.core, seed)
        self.rng = self.random.rng
        self.latency = READ + 3 + self.core.ci_lanes  # from issue to two cycles before the sums
        self.cycle = 0
        self.slot = 0
        self.hurry = False
        self.forget()

    def forget(self) -> None:
        self.expected: deque[Step] = deque()
        self.fills: deque[int] = deque()  # slot_last of the blocks to come
        self.issued: list[tuple[int, Step]] = []
        self.filled = self.freed = self.begun = self.ended = 0
        self.groups = self.complete = self.drained = self.added = 0
        self.raddr = deque([0, 0])
        self.slot = 0

    async def reset(self) -> None:
        names = ("start_valid", "slot_filled", "slot_last", "drain_done")
        await begin(self.dut, *(f"seq_{name}" for name in names))

    def columns(self, f: dict[str, int]) -> list[dict[str, int]]:
        steps = slice(f["step_base"], f["step_base"] + f["steps"])
        table = self.random.machine.tables[Table.STEP]
        return [dict(zip(table, map(int, row))) for row in zip(*(v[steps] for v in table.values()))]

    def expect(self, instruction: Instruction) -> None:
        """Queue the steps of an instruction, and its patches."""
        f = isa.operands(instruction)
        tiles = f["images"] * f["tiles_y"] * f["tiles_x"]
        groups = -(-tiles // self.core.tile_lanes)
        rows = sum(1 << r for r in range(f["patch_row"], f["patch_row"] + f["patch_rows"]))
        columns = range(f["patch_column"], f["patch_column"] + f["patch_columns"])
        mask = sum(1 << c for c in columns)
        steps = self.columns(f)
        for group in range(groups):
            for block in range(f["blocks"]):
                self.fills.append(int(group == groups - 1))
                base = f["weight_base"] + block * f["weight_stride"]
                for number, step in enumerate(steps):
                    ends = number == len(steps) - 1
                    self.expected.append(
                        Step(
                            self.slot, step["position"], f["winograd"], rows, mask,
                            base + step["word"], step["accumulator"],
                            int(step["first"] and block == 0),
                            int(ends and block == f["blocks"] - 1),
                            number == 0, number == 0 and block == 0, ends,
                        )
                    )  # fmt: skip
                self.slot = (self.slot + 1) % SLOTS

    async def run(self, instruction: Instruction) -> None:
        while not self.dut.seq_start_ready.value:
            await self.step()
        self.dut.seq_start_valid.value = 1
        self.dut.start_bits.value = instruction_bits(instruction)
        await self.step()
        self.dut.seq_start_valid.value = 0

    async def step(self) -> None:
        """One clock cycle: check the outputs, then drive what the next edge takes."""
        dut = self.dut
        await FallingEdge(dut.clk_i)
        self.cycle += 1
        if dut.seq_step_o.value:
            step = self.expected.popleft()
            self.begun += step.begins_block
            self.groups += step.begins_group
            assert self.begun <= self.filled, "a step of a patch that is not there"
            assert self.groups - self.drained <= 2, "a group without a free half"
            self.issued.append((self.cycle, step))
        due = [s for cycle, s in self.issued if cycle == self.cycle - READ]
        if due and due[0].position != ZERO_POSITION:
            step = due[0]
            shown = [
                int(getattr(dut, f"seq_{name}").value)
                for name in ("patch_slot", "patch_position", "patch_winograd", "patch_rows",
                             "patch_columns", "weight_raddr")
            ]  # fmt: skip
            assert shown == [
                step.slot, step.position, step.winograd, step.rows, step.columns, step.weight
            ]  # fmt: skip
        elif due:
            assert int(dut.seq_patch_position.value) == ZERO_POSITION
        self.ended += sum(s.ends_block for s in due)
        due = [s for cycle, s in self.issued if cycle == self.cycle - self.latency]
        if dut.seq_add_valid.value:
            step = due[0]
            names = ("add_index", "add_first", "add_last")
            shown = [int(getattr(dut, f"seq_{name}").value) for name in names]
            assert shown == [step.accumulator, step.first, step.last]
            self.complete += step.last
            self.added += 1
        else:
            assert not due or dut.seq_fault.value
        if dut.seq_slot_freed.value:
            self.freed += 1
            assert self.freed <= self.ended, "a slot is freed before its last read"
        self.issued = [i for i in self.issued if i[0] > self.cycle - self.latency]
        self.drive()

    def drive(self) -> None:
        dut, rng = self.dut, self.rng
        self.raddr.append(int(dut.seq_step_raddr.value))
        table, address = self.random.machine.tables[Table.STEP], self.raddr.popleft()
        lsb = {f.name: f.lsb for f in isa.TABLE_FIELDS[Table.STEP]}
        if address < self.core.step_depth:
            dut.seq_step.value = sum(int(table[name][address]) << lsb[name] for name in lsb)
        fill = bool(self.fills) and self.filled - self.freed < SLOTS
        fill = fill and (self.hurry or rng.random() < 0.2)
        dut.seq_slot_filled.value = int(fill)
        if fill:
            dut.seq_slot_last.value = self.fills.popleft()
            self.filled += 1
        done = self.drained < self.complete and (self.hurry or rng.random() < 0.05)
        dut.seq_drain_done.value = int(done)
        self.drained += done

    async def finish(self) -> None:
        for _ in range(20_000):
            if not self.expected and not self.issued and self.drained == self.groups:
                break
            await self.step()
        else:
            raise AssertionError("the sequencer hangs")
        for _ in range(10):
            await self.step()
        assert self.freed == self.filled == self.ended and not self.fills
        assert self.dut.seq_start_ready.value


@cocotb.test()
async def walks_the_steps(dut) -> None:
    bench = Sequencer(dut, 1)
    await bench.reset()
    for number in range(6):
        bench.hurry = number % 2 == 0
        bench.random.forget_tables()
        batch = [bench.random.compute(images=1) for _ in range(2)]
        for instruction in batch:
            bench.expect(instruction)
        for instruction in batch:
            await bench.run(instruction)
        await bench.finish()


@cocotb.test()
async def stops_at_an_illegal_step(dut) -> None:
    bench = Sequencer(dut, 2)
    await bench.reset()
    wrong = [
        ("accumulator", lambda f: f["accumulators"]),
        ("position", lambda f: ZERO_POSITION + 1),
        ("word", lambda f: f["weight_stride"]),
    ]
    for name, value in wrong * 2:
        bench.random.forget_tables()
        instruction = bench.random.compute(weight_stride=4, blocks=1)
        f = isa.operands(instruction)
        at = bench.rng.randrange(f["steps"])
        table = bench.random.machine.tables[Table.STEP]
        table["position"][f["step_base"] + at], table["word"][f["step_base"] + at] = 3, 0
        table[name][f["step_base"] + at] = value(f)
        bench.hurry = True
        bench.expect(instruction)
        await bench.run(instruction)
        for _ in range(at + 60):
            await bench.step()
        assert bench.added == at, "the steps before the illegal one are executed"
        assert dut.seq_fault.value and not dut.seq_step_o.value
        dut.clear_i.value = 1
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        bench.forget()
        assert not dut.seq_fault.value


@cocotb.test()
async def clear_drops_the_steps(dut) -> None:
    bench = Sequencer(dut, 3)
    await bench.reset()
    for _ in range(6):
        bench.random.forget_tables()
        instruction = bench.random.compute(blocks=2)
        bench.expect(instruction)
        await bench.run(instruction)
        for _ in range(bench.rng.randrange(120)):
            await bench.step()
        dut.clear_i.value = 1
        for name in ("seq_slot_filled", "seq_drain_done"):
            getattr(dut, name).value = 0
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        bench.forget()
        for _ in range(30):
            await bench.step()
        bench.expect(instruction)
        await bench.run(instruction)
        await bench.finish()
