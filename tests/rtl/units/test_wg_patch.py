"""Patches: the fetch against the definition of a patch, the buffer against B^T Z B in numpy."""

from __future__ import annotations

from collections import deque

import cocotb
import numpy as np
import pytest
from cocotb.triggers import FallingEdge
from numpy.typing import NDArray

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.random_compute import RandomCompute, extremes
from support.rtl.units import ONE_CORE, begin, core_of, run_units
from winogen.target.isa import Instruction, operands

TESTS = [
    *("fetches_patches", "fetch_is_cleared", "walks_tiles", "reads_pixels", "transforms_columns"),
]
SLOTS = 8
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])


@pytest.mark.parametrize("core", ONE_CORE)
def test_wg_patch(core: tuple[int, int, int]) -> None:
    run_units(core, "test_wg_patch", TESTS)


class Fetch:
    """Stands for the input buffer, the patch buffer and the multipliers around wg_patch_fetch."""

    def __init__(self, dut, seed: int) -> None:
        self.dut, self.core = dut, core_of(dut)
        self.random = RandomCompute(self.core, seed)
        self.rng = self.random.rng
        self.memory = self.random.machine.input
        self.words = [pack(word, self.core.data_width) for word in self.memory]
        self.bank_bits = len(dut.fetch_in_raddr) // 4
        self.hurry = False
        self.forget()

    def forget(self) -> None:
        #: One a slot to come: its patches {(tile, row, column): lanes}, and whether it is the last.
        self.expected: deque[tuple[dict[tuple[int, int, int], NDArray[np.int64]], bool]] = deque()
        self.slots: list[dict[tuple[int, int, int], int]] = [{} for _ in range(SLOTS)]
        self.filled = self.freed = 0
        self.reads = deque([0, 0])

    async def reset(self) -> None:
        await begin(self.dut, "fetch_start_valid", "fetch_slot_freed")

    def patch(self, f: dict[str, int], tile: int, block: int) -> dict[tuple[int, int], NDArray]:
        """Pixels of a tile's patch in one block, the rows transformed where the mode says so."""
        ty, tx = divmod(tile % (f["tiles_y"] * f["tiles_x"]), f["tiles_x"])
        image = tile // (f["tiles_y"] * f["tiles_x"])
        out = {}
        for i in range(f["patch_row"], f["patch_row"] + f["patch_rows"]):
            row = np.zeros((4, self.core.ci_lanes), np.int64)
            used = range(f["patch_column"], f["patch_column"] + f["patch_columns"])
            for j in used:
                y = f["origin_y"] + f["tile"] * ty + i
                x = f["origin_x"] + f["tile"] * tx + j
                if 0 <= y < f["rows"] and 0 <= x < f["columns"]:
                    line = (image * f["blocks"] + block) * f["rows"] + y
                    row[j] = self.memory[f["input_base"] + line * f["pitch"] + x]
            if f["winograd"]:
                row, used = BT @ row, range(4)
            out |= {(i, j): row[j] for j in used}
        return out

    def expect(self, instruction: Instruction) -> None:
        f = operands(instruction)
        tiles = f["images"] * f["tiles_y"] * f["tiles_x"]
        for first in range(0, tiles, self.core.tile_lanes):
            group = range(first, min(first + self.core.tile_lanes, tiles))
            for block in range(f["blocks"]):
                patches = {
                    (tile - first, i, j): lanes
                    for tile in group
                    for (i, j), lanes in self.patch(f, tile, block).items()
                }
                self.expected.append((patches, group[-1] == tiles - 1))

    async def step(self) -> None:
        """One clock cycle: take what is written, answer the reads of two cycles ago."""
        dut = self.dut
        await FallingEdge(dut.clk_i)
        enables = int(dut.fetch_we.value)
        if enables:
            self.write(enables)
        if dut.fetch_slot_filled.value:
            self.filled += 1
            last = self.expected[self.filled - self.freed - 1][1]
            assert int(dut.fetch_slot_last.value) == last
        free = self.freed < self.filled and (self.hurry or self.rng.random() < 0.15)
        dut.fetch_slot_freed.value = int(free)
        if free:
            self.check()
        self.reads.append(int(dut.fetch_in_raddr.value))
        banks, mask, data = self.reads.popleft(), (1 << self.bank_bits) - 1, []
        for bank in range(4):
            address = 4 * (banks >> bank * self.bank_bits & mask) + bank
            data.append(self.words[address] if address < len(self.words) else -1)
        dut.fetch_in_rdata.value = pack(data, self.core.data_width * self.core.ci_lanes)

    def write(self, enables: int) -> None:
        dut, size = self.dut, (self.core.data_width + 1) * self.core.ci_lanes
        tile, places, data = (
            int(getattr(dut, f"fetch_{n}").value) for n in ("tile", "waddr", "wdata")
        )
        for bank in range(4):
            if enables >> bank & 1:
                slot, row = divmod(places >> 5 * bank & 31, 4)
                column = bank ^ (row & 1) << 1
                word = data >> size * bank & ((1 << size) - 1)
                self.slots[slot][tile, row, column] = word

    def check(self) -> None:
        """The oldest slot, just before its place is given back."""
        patches, _ = self.expected.popleft()
        slot = self.slots[self.freed % SLOTS]
        self.freed += 1
        for place, lanes in patches.items():
            got = unpack(slot[place], self.core.data_width + 1, self.core.ci_lanes)
            np.testing.assert_array_equal(got, lanes, f"tile, row, column {place}")

    async def run(self, instruction: Instruction) -> None:
        while not self.dut.fetch_start_ready.value:
            await self.step()
        self.dut.start_bits.value = instruction_bits(instruction)
        self.dut.fetch_start_valid.value = 1
        await self.step()
        self.dut.fetch_start_valid.value = 0

    async def finish(self) -> None:
        for _ in range(20_000):
            if not self.expected:
                break
            await self.step()
        else:
            raise AssertionError("the fetch hangs")
        for _ in range(20):
            await self.step()
        assert self.freed == self.filled


@cocotb.test()
async def fetches_patches(dut) -> None:
    bench = Fetch(dut, 1)
    await bench.reset()
    for number in range(14):
        bench.hurry = number % 3 != 0
        bench.random.forget_tables()
        # Of the second, much lies in the region; half the time it is read in squares.
        near = {"rows": 6, "columns": 7, "origin_y": -1, "origin_x": 0, "patch_row": number % 2}
        near |= {"blocks": 2, "patch_rows": 3, "tiles_y": 3, "patch_column": number % 3}
        near |= {"winograd": 0, "patch_columns": 2} if number % 2 else {"patch_columns": 1}
        for wanted in ({"images": 1}, near):
            instruction = bench.random.compute(**wanted)
            bench.expect(instruction)
            await bench.run(instruction)
        await bench.finish()


@cocotb.test()
async def fetch_is_cleared(dut) -> None:
    bench = Fetch(dut, 2)
    await bench.reset()
    for _ in range(8):
        bench.random.forget_tables()
        instruction = bench.random.compute(blocks=2)
        bench.expect(instruction)
        await bench.run(instruction)
        for _ in range(bench.rng.randrange(60)):
            await bench.step()
        dut.clear_i.value, dut.fetch_slot_freed.value = 1, 0
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        bench.forget()
        for _ in range(10):
            await bench.step()
            assert not dut.fetch_we.value
        assert not bench.filled
        bench.expect(instruction)
        await bench.run(instruction)
        await bench.finish()


@cocotb.test()
async def walks_tiles(dut) -> None:
    """Groups of tiles with their first pixels, image by image; the last one says so."""
    core = core_of(dut)
    made = RandomCompute(core, 4)
    await begin(dut, "tiles_setup", "tiles_walk", "tiles_ready")
    for number in range(20):
        made.forget_tables()
        instruction = made.compute()
        f = operands(instruction)
        square = int(not f["winograd"] and f["patch_columns"] <= 2)
        skipped = f["patch_column"] if square else 0
        image_words = f["blocks"] * f["rows"] * f["pitch"]
        first_row = f["pitch"] * (f["origin_y"] + f["patch_row"])
        expected = [
            (
                f["input_base"] + first_row + f["origin_x"] + skipped
                + n * image_words + f["tile"] * (ty * f["pitch"] + tx),
                f["origin_y"] + f["patch_row"] + f["tile"] * ty,
                f["origin_x"] + skipped + f["tile"] * tx,
            )
            for n, ty, tx in np.ndindex(f["images"], f["tiles_y"], f["tiles_x"])
        ]  # fmt: skip
        dut.start_bits.value = instruction_bits(instruction)
        dut.tiles_square.value, dut.tiles_setup.value = square, 1
        dut.tiles_first_row.value = first_row % (1 << 20)
        dut.tiles_image_words.value = image_words
        await FallingEdge(dut.clk_i)
        dut.tiles_setup.value, dut.tiles_walk.value = 0, 1
        for first in range(0, len(expected), core.tile_lanes):
            group = expected[first : first + core.tile_lanes]
            for _ in range(20):
                if dut.tiles_valid.value:
                    break
                await FallingEdge(dut.clk_i)
            for _ in range(made.rng.randrange(3)):
                await FallingEdge(dut.clk_i)  # it waits
            assert int(dut.tiles_last.value) == len(group) - 1
            assert int(dut.tiles_final.value) == (first + core.tile_lanes >= len(expected))
            for name, bits, place in (("addr", 20, 0), ("y", 18, 1), ("x", 18, 2)):
                got = int(getattr(dut, f"tiles_{name}").value) & (1 << bits * len(group)) - 1
                assert got == pack([tile[place] for tile in group], bits), (number, name)
            dut.tiles_ready.value = 1
            await FallingEdge(dut.clk_i)
            dut.tiles_ready.value = 0
        dut.tiles_walk.value = 0
        await FallingEdge(dut.clk_i)


@cocotb.test()
async def reads_pixels(dut) -> None:
    """A read a cycle: its four pixels, zero outside the region and the patch, transformed."""
    rng = np.random.default_rng(5)
    core = core_of(dut)
    made = RandomCompute(core, 6)
    lanes, width, size = core.ci_lanes, core.data_width, len(made.machine.input)
    words = [pack(word, width) for word in made.machine.input]
    bits = len(dut.read_in_raddr) // 4
    await begin(dut, "read_valid")
    reads: deque[int] = deque([0, 0])
    due: deque[tuple[int, bool, dict[tuple[int, int], NDArray[np.int64]], int, int]] = deque()
    for cycle in range(300):
        if cycle % 20 == 0:  # an instruction holds while its reads are in the first stage
            made.forget_tables()
            f = operands(instruction := made.compute())
            dut.start_bits.value = instruction_bits(instruction)
        square = bool(not f["winograd"] and f["patch_columns"] <= 2)
        number = int(rng.integers(-(-f["patch_rows"] // (2 if square else 1))))
        row = f["patch_row"] + number * (2 if square else 1)
        tile, slot = int(rng.integers(core.tile_lanes)), int(rng.integers(SLOTS))
        y, x = int(rng.integers(-3, f["rows"] + 2)), int(rng.integers(-3, f["columns"] + 2))
        filled, last, valid = (int(rng.integers(2)) for _ in range(3))
        above = number * (2 if square else 1)
        # The tile's first pixel, in a region that begins at word 0.
        addr, offset = (y * f["pitch"] + x) % (1 << 20), above * f["pitch"]
        pixels = np.zeros((4, lanes), np.int64)
        places = []
        for e in range(4):
            r, c = (e // 2, e % 2) if square else (0, e)
            column = f["patch_column"] + c if square else c
            places.append((row + r, column))
            used = row + r < f["patch_row"] + f["patch_rows"]
            used &= f["patch_column"] <= column < f["patch_column"] + f["patch_columns"]
            there = 0 <= y + above + r < f["rows"] and 0 <= x + c < f["columns"]
            at = (y + above + r) * f["pitch"] + x + c
            if used and there and at < size:
                pixels[e] = made.machine.input[at]
            if square and not used:
                places[-1] = None
        row_ = BT @ pixels if f["winograd"] else pixels
        written = {place: row_[e] for e, place in enumerate(places) if place}
        due.append((tile, bool(valid), written, slot, filled | last << 1))
        for name, value in (
            ("valid", valid), ("square", int(square)), ("number", number), ("tile", tile),
            ("slot", slot), ("addr", addr), ("offset", offset), ("y", y % (1 << 18)),
            ("x", x % (1 << 18)), ("filled", filled), ("last", last),
        ):  # fmt: skip
            getattr(dut, f"read_{name}").value = value
        await FallingEdge(dut.clk_i)
        reads.append(int(dut.read_in_raddr.value))
        banks, data = reads.popleft(), []
        for bank in range(4):
            address = 4 * (banks >> bank * bits & (1 << bits) - 1) + bank
            data.append(words[address] if address < size else 0)
        dut.read_in_rdata.value = pack(data, width * lanes)
        if len(due) < 6:
            continue
        tile, valid, written, slot, ends = due.popleft()
        assert int(dut.read_slot_filled.value) == (valid and ends & 1)
        if not valid:
            assert not dut.read_we.value
            continue
        assert int(dut.read_slot_last.value) == ends >> 1
        assert int(dut.read_to_tile.value) == tile
        banks = {column ^ (row & 1) << 1: (row, column) for row, column in written}
        assert int(dut.read_we.value) == sum(1 << bank for bank in banks)
        for bank, place in banks.items():
            assert int(dut.read_waddr.value) >> 5 * bank & 31 == slot * 4 + place[0]
            word = int(dut.read_wdata.value) >> (width + 1) * lanes * bank
            got = unpack(word & (1 << (width + 1) * lanes) - 1, width + 1, lanes)
            np.testing.assert_array_equal(got, written[place])


@cocotb.test()
async def transforms_columns(dut) -> None:
    """Random rows and columns exist; what lies in the others must not count."""
    rng = np.random.default_rng(3)
    core = core_of(dut)
    width, lanes, tiles = core.data_width, core.ci_lanes, core.tile_lanes
    await begin(dut, "buffer_we")
    held = extremes(rng, width, (SLOTS, tiles, 4, 4, lanes))
    for slot, tile, row in np.ndindex(SLOTS, tiles, 4):
        bank = [column ^ (row & 1) << 1 for column in range(4)]
        words = [pack(held[slot, tile, row, bank[b]], width + 1) for b in range(4)]
        dut.buffer_we.value, dut.buffer_tile.value = 0xF, tile
        dut.buffer_waddr.value = pack([4 * slot + row] * 4, 5)
        dut.buffer_wdata.value = pack(words, (width + 1) * lanes)
        await FallingEdge(dut.clk_i)
    dut.buffer_we.value = 0
    due = []
    for cycle in range(400):
        slot, position, winograd = (int(rng.integers(n)) for n in (SLOTS, 17, 2))
        rows, columns = (int(m) for m in rng.choice([15, 15, *range(16)], 2))
        exists = np.array([rows >> r & 1 for r in range(4)])[:, None, None]
        z = held[slot] * exists
        if winograd:  # the columns of a transformed row all exist
            z = np.einsum("ir,trcl->ticl", BT, z)
        else:
            z = z * np.array([columns >> c & 1 for c in range(4)])[:, None]
        z = z.reshape(tiles, 16, lanes)
        due.append(z[:, position] if position < 16 else np.zeros((tiles, lanes), np.int64))
        dut.buffer_slot.value, dut.buffer_position.value = slot, position
        dut.buffer_winograd.value = winograd
        dut.buffer_rows.value, dut.buffer_columns.value = rows, columns
        await FallingEdge(dut.clk_i)
        if cycle >= 2:
            got = unpack(int(dut.buffer_z.value), width + 2, (tiles, lanes))
            np.testing.assert_array_equal(got, due[cycle - 2])
