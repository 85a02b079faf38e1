"""The drain against A^T M A in numpy: every word, where it goes, and when an instruction ends."""

from __future__ import annotations

from collections import deque

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge, Timer

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.random_compute import RandomCompute, extremes
from support.rtl.units import ONE_CORE, begin, core_of, run_units
from winogen.target import isa
from winogen.target.isa import FIELDS, Instruction, Opcode, Table
from winogen.target.numerics import accumulator_bits, wrap

TESTS = ["words_of_random_instructions", "drain_is_cleared", "wrong_accumulators"]
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
#: A word: partial-sum address, row, column, kept, parameter entry, and its sums.
Word = tuple[int, int, int, bool, int, tuple[int, ...]]


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_drain(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_drain", TESTS)


class Bench:
    """Stands for the tables, the accumulators and wg_output around one wg_drain."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.core = dut, core_of(dut)
        self.random = RandomCompute(self.core, seed)
        self.rng, self.values = self.random.rng, np.random.default_rng(seed)
        self.bits = accumulator_bits(self.core.data_width)
        self.hurry = False
        self.forget()

    def forget(self) -> None:
        #: To come: (accumulator, tile, lane), and which of them were added to.
        self.groups: deque[tuple[np.ndarray, np.ndarray]] = deque()
        self.expected: deque[tuple[int, Word]] = deque()  # with the number of the instruction
        self.bits_of: list[int] = []
        self.full = False
        self.index = 0  # of the accumulators that are answered
        self.busy = 0  # cycles for which words are on their way
        self.done = 0

    async def reset(self) -> None:
        await begin(self.dut, "drain_start_valid", "drain_full", "drain_added", "drain_idle")

    async def clear(self) -> None:
        self.dut.clear_i.value, self.dut.drain_full.value = 1, 0
        await FallingEdge(self.dut.clk_i)
        self.dut.clear_i.value = 0
        self.forget()

    def entries(self, table: Table, base: int, count: int) -> dict[str, np.ndarray]:
        columns = self.random.machine.tables[table]
        return {name: values[base : base + count] for name, values in columns.items()}

    def expect(self, instruction: Instruction) -> None:
        """Random accumulators for all tiles, and the words that come of them."""
        f = isa.operands(instruction)
        number = len(self.bits_of)
        layout = FIELDS[Opcode.COMPUTE]
        bits = shift = 0
        for name in list(layout)[4:]:  # compute_t: the fields without gaps
            bits |= (f[name] & ((1 << layout[name].width) - 1)) << shift
            shift += layout[name].width
        self.bits_of.append(bits)
        per_image = f["tiles_y"] * f["tiles_x"]
        count, lanes = self.core.tile_lanes, self.core.co_lanes
        for first in range(0, f["images"] * per_image, count):
            data = extremes(self.values, self.bits, (f["accumulators"], count, lanes))
            added = self.values.random(f["accumulators"]) < 0.8
            self.groups.append((data, added))
            data = np.where(added[:, None, None], data, 0)
            sums = self.sums(f, data)
            tiles = range(first, min(first + count, f["images"] * per_image))
            phases = self.entries(Table.PHASE, f["phase_base"], f["phases"])
            for p in range(f["phases"]):
                for tile in tiles:
                    image, place = divmod(tile, per_image)
                    ty, tx = divmod(place, f["tiles_x"])
                    for i, j in np.ndindex(f["tile"], f["tile"]):
                        y = f["stride_y"] * (f["tile"] * ty + i) + int(phases["row"][p])
                        x = f["stride_x"] * (f["tile"] * tx + j) + int(phases["column"][p])
                        psum = (tile * f["phases"] + p) * f["tile"] + i
                        word = (
                            f["psum_base"] + psum * f["tile"] + j,
                            image * f["output_rows"] + y,
                            x,
                            y < f["output_rows"] and x < f["output_columns"],
                            f["param_base"] + int(phases["param"][p]),
                            tuple(sums[p, tile - first, i, j]),
                        )
                        self.expected.append((number, word))

    def sums(self, f: dict[str, int], data: np.ndarray) -> np.ndarray:
        """(phase, tile, row, column, lane) of a group."""
        table = self.entries(Table.ACCUMULATOR, f["accumulator_base"], f["accumulators"])
        m = np.zeros((f["phases"], *data.shape[1:], 4, 4), np.int64)
        for values, phase, position in zip(data, table["phase"], table["position"]):
            row, column = divmod(int(position), 4 if f["winograd"] else 2)
            m[phase, ..., row, column] += values
        if f["winograd"]:
            y = wrap(np.einsum("ai,ptcij,bj->ptabc", AT, wrap(m, self.bits), AT), self.bits)
            return y >> 2
        return wrap(m[..., :2, :2].transpose(0, 1, 3, 4, 2), self.bits)

    async def step(self) -> None:
        """One clock cycle: answer what the registers ask, then look at the outputs."""
        dut, rng = self.dut, self.rng
        await FallingEdge(dut.clk_i)
        self.answer("accumulator", Table.ACCUMULATOR)
        self.answer("phase", Table.PHASE)
        self.full = self.full or (bool(self.groups) and (self.hurry or rng.random() < 0.1))
        dut.drain_full.value = int(self.full)
        index, self.index = self.index, int(dut.drain_index.value)
        if self.full and index < len(self.groups[0][0]):
            data, added = self.groups[0]
            dut.drain_data.value = pack(data[index], self.bits)
            dut.drain_added.value = int(added[index])
        valid = bool(dut.drain_word_valid.value)
        self.busy = rng.choice((1, 2, 20)) if valid else max(self.busy - 1, 0)
        dut.drain_idle.value = int(not self.busy)
        await Timer(1, "ns")
        if valid:
            self.word()
        if dut.drain_group_done.value:
            assert self.full
            self.groups.popleft()
            self.full = False
        if dut.drain_done.value:
            assert not self.busy, "words are on their way"
            assert not any(number == self.done for number, _ in self.expected)
            self.done += 1

    def answer(self, name: str, table: Table) -> None:
        columns = self.random.machine.tables[table]
        address = int(getattr(self.dut, f"drain_{name}_raddr").value)
        lsb = {f.name: f.lsb for f in isa.TABLE_FIELDS[table]}
        entry = 0
        if address < len(columns["phase" if table is Table.ACCUMULATOR else "row"]):
            entry = sum(int(columns[n][address]) << lsb[n] for n in lsb)
        getattr(self.dut, f"drain_{name}").value = entry

    def word(self) -> None:
        dut = self.dut
        number, word = self.expected.popleft()
        assert number == self.done
        names = ("psum", "row", "column", "kept", "param")
        got = [int(getattr(dut, f"drain_word_{name}").value) for name in names]
        sums = unpack(int(dut.drain_word.value), self.bits, self.core.co_lanes)
        assert (*got, tuple(sums)) == word
        assert int(dut.drain_instruction.value) == self.bits_of[number]

    async def run(self, instruction: Instruction) -> None:
        self.dut.start_bits.value = instruction_bits(instruction)
        self.dut.drain_start_valid.value = 1
        while not self.dut.drain_start_ready.value:
            await self.step()
        await self.step()
        self.dut.drain_start_valid.value = 0

    async def finish(self) -> None:
        for _ in range(20_000):
            if self.done == len(self.bits_of):
                break
            await self.step()
        else:
            raise AssertionError("the drain hangs")
        for _ in range(10):
            await self.step()
        assert not self.expected and not self.groups and self.done == len(self.bits_of)
        assert not self.dut.drain_fault.value


@cocotb.test()
async def words_of_random_instructions(dut) -> None:
    bench = Bench(dut, 1)
    await bench.reset()
    for number in range(8):
        bench.hurry = number % 2 == 0
        bench.random.forget_tables()
        bench.forget()
        batch = [bench.random.compute() for _ in range(2)]
        for instruction in batch:
            bench.expect(instruction)
            await bench.run(instruction)
        await bench.finish()


@cocotb.test()
async def drain_is_cleared(dut) -> None:
    bench = Bench(dut, 2)
    await bench.reset()
    bench.hurry = True
    for _ in range(6):
        bench.random.forget_tables()
        instruction = bench.random.compute()
        bench.expect(instruction)
        await bench.run(instruction)
        for _ in range(bench.rng.randrange(60)):
            await bench.step()
        await bench.clear()
        for _ in range(10):
            await bench.step()
            assert not dut.drain_word_valid.value and not dut.drain_done.value
        bench.expect(instruction)
        await bench.run(instruction)
        await bench.finish()


@cocotb.test()
async def wrong_accumulators(dut) -> None:
    bench = Bench(dut, 3)
    await bench.reset()
    bench.hurry = True
    table = bench.random.machine.tables[Table.ACCUMULATOR]
    wrong = [
        ({"winograd": 1}, [0, 2, 2], "phase", 2, 3),  # beyond the phases
        ({"winograd": 1}, [0, 1, 1], "phase", 1, 255),
        ({"winograd": 0}, [1, 1, 2], "phase", 1, 0),  # descending
        ({"winograd": 0, "tile": 2}, [0, 1, 2], "position", 1, 4),
        ({"winograd": 0, "tile": 2}, [0, 1, 2], "position", 1, 8),
        ({"winograd": 0, "tile": 1}, [0, 1, 2], "position", 2, 1),
        ({"winograd": 0, "tile": 1}, [0, 1, 2], "position", 0, 2),
    ]
    for fields, phases, name, at, value in wrong:
        bench.random.forget_tables()
        instruction = bench.random.compute(phases=3, accumulators=3, **({"tile": 2} | fields))
        base = instruction.accumulator_base
        table["phase"][base : base + 3] = phases
        bench.expect(instruction)
        await bench.run(instruction)
        await bench.finish()
        table[name][base + at] = value
        bench.forget()
        zeros = np.zeros((3, bench.core.tile_lanes, bench.core.co_lanes), np.int64)
        bench.groups.append((zeros, np.ones(3, bool)))
        await bench.run(instruction)
        bench.expected.clear()
        for _ in range(40):
            await FallingEdge(dut.clk_i)
            bench.answer("accumulator", Table.ACCUMULATOR)
            dut.drain_full.value = 1
            assert not dut.drain_done.value
        assert dut.drain_fault.value
        await bench.clear()
        assert not dut.drain_fault.value
