"""The compute engine alone, with models of its buffers, against the machine of the emulator.

Instructions, tables and memories are random; outputs are collected from the write port. Partial
sums show in the instructions that end them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.ports import ports
from support.rtl.random_compute import DEPTHS, RandomCompute, core_config, parameters
from support.rtl.rounds import SHARES, some
from support.rtl.units import CORES, PACKED, run_unit
from winogen.emulation.emulator.faults import Fault
from winogen.target import isa
from winogen.target.isa import Instruction, Params, Table
from winogen.target.numerics import int_range
from winogen.target.winograd import ZERO_POSITION

TESTS = [
    "random_instructions",
    "more_instructions_than_the_queues_hold",
    "cleared_in_the_middle",
    "faults",
    "wrong_clamps",
    "a_step_a_cycle",
]


@pytest.mark.long  # the tiny board's array, which the suites of devices run too
@pytest.mark.parametrize("core", CORES)
def test_wg_compute(core: tuple[int, int, int]) -> None:
    simulate(core, TESTS)


@pytest.mark.parametrize("share", SHARES)
def test_wg_compute_in_pairs(share: float) -> None:
    """Two products a multiplier: also what is not exact has the machine's bits."""
    simulate(PACKED, TESTS, share)


@pytest.mark.long
@pytest.mark.parametrize("core", [*CORES, (8, 8, 2), (16, 8, 4), PACKED])
def test_wg_compute_long(core: tuple[int, ...]) -> None:
    simulate(core, ["many_instructions"])


def simulate(core: tuple[int, ...], tests: list[str], share: float = 1.0) -> None:
    values = parameters(core_config(*core))
    run_unit("tb_compute", "test_wg_compute", values, tests, share)


class Bench:
    """Drives one wg_compute; everything happens at falling edges."""

    def __init__(self, dut, seed: int) -> None:
        self.dut = ports(dut)
        names = ("DataWidth", "Lanes", "TileLanes", "Products")
        self.core = core_config(*(int(getattr(dut, name).value) for name in names))
        self.random = RandomCompute(self.core, seed)
        self.rng, self.machine = self.random.rng, self.random.machine
        width, lanes = self.core.data_width, self.core.ci_lanes
        self.bank_bits = len(dut.in_raddr_o) // 4
        self.word_bits = width * lanes
        self.input = [pack(word, width) for word in self.machine.input]
        self.weight = [pack(word, width + 4) for word in self.machine.weight]
        self.output = self.machine.output.copy()
        self.written: dict[tuple[str, int, int], int] = {}  # what the tables hold
        self.start_rate = 1.0
        self.cycle = 0
        self.step_cycles: list[int] = []
        self.forget()

    def forget(self) -> None:
        """What clear_i drops."""
        self.waiting: deque[tuple[int, Instruction]] = deque()
        self.begun: deque[int] = deque()
        self.done: list[int] = []
        self.owed: dict[int, int] = {}  # outputs that must be written when one is done
        self.expected = self.writes = 0
        self.reads = deque([(0, 0), (0, 0)])
        self.presented = False

    async def reset(self) -> None:
        dut = self.dut
        Clock(dut.clk_i, 10, unit="ns").start()
        for name in ("clear", "start_valid", "tab_we", "par_we"):
            setattr(dut, f"{name}_i", 0)
        dut.rst_ni = 0
        for _ in range(3):
            await FallingEdge(dut.clk_i)
        dut.rst_ni = 1
        await self.write_tables()
        await self.fill_psums()

    async def clear(self) -> None:
        self.dut.clear_i = 1
        self.dut.start_valid_i = 0
        await FallingEdge(self.dut.clk_i)
        self.dut.clear_i = 0
        self.forget()

    async def write_tables(self) -> None:
        """Bring tables, parameters and activation table to what the machine has."""
        dut, machine = self.dut, self.machine
        for table, columns in machine.tables.items():
            layout = {f.name: f.lsb for f in isa.TABLE_FIELDS[table]}
            raw = sum(columns[name] << lsb for name, lsb in layout.items())
            for address, value in enumerate(raw):
                if self.changed(table.name, address, 0, int(value)):
                    await self.write(
                        "tab", tab_id_i=table, tab_addr_i=address, tab_data_i=int(value)
                    )
        for address, value in enumerate(machine.activation):
            if self.changed("activation", address, 0, int(value)):
                place = {"tab_id_i": Table.ACTIVATION, "tab_addr_i": address}
                await self.write("tab", **place, tab_data_i=int(value) & 0xFFFF)
        flat = Params(**{name: memory.ravel() for name, memory in machine.params.items()})
        data = isa.pack_params(flat)
        for channel in range(len(flat.bias)):
            value = int.from_bytes(data[16 * channel : 16 * channel + 16], "little")
            address, lane = divmod(channel, self.core.co_lanes)
            if self.changed("params", address, lane, value):
                place = {"par_addr_i": address, "par_lane_i": lane}
                await self.write("par", **place, par_data_i=value)
        dut.tab_we_i = dut.par_we_i = 0

    def changed(self, memory: str, address: int, lane: int, value: int) -> bool:
        key = memory, address, lane
        new = self.written.get(key) != value
        self.written[key] = value
        return new

    async def write(self, port: str, **values: int) -> None:
        self.dut.tab_we_i = int(port == "tab")
        self.dut.par_we_i = int(port == "par")
        for name, value in values.items():
            setattr(self.dut, name, int(value))
        await FallingEdge(self.dut.clk_i)

    async def fill_psums(self) -> None:
        """Every partial sum gets a value that the machine knows."""
        self.random.forget_tables()
        side = {"tiles_y": 1, "tiles_x": self.core.psum_depth, "tile": 1, "phases": 1, "images": 1}
        fill = self.random.compute(**side, first=1, last=0, blocks=1, steps=1, accumulators=1)
        await self.execute([fill])

    async def step(self) -> None:
        """One clock cycle."""
        dut = self.dut
        await FallingEdge(dut.clk_i)
        self.cycle += 1
        self.memories()
        if dut.step_o:
            self.step_cycles.append(self.cycle)
        if dut.out_we_o:
            word = unpack(dut.out_wdata_o, self.core.data_width, self.core.co_lanes)
            self.output[dut.out_waddr_o] = word
            self.writes += 1
        if dut.done_o:
            index = self.begun.popleft()
            owed = self.owed.get(index, self.writes)
            assert self.writes == owed, f"{index} is done at another word than its last"
            self.done.append(index)
        if self.waiting and (self.presented or self.rng.random() < self.start_rate):
            self.presented = True
            index, instruction = self.waiting[0]
            dut.start_bits_i = instruction_bits(instruction)
            dut.start_index_i = index
            if dut.start_ready_o:
                self.begun.append(self.waiting.popleft()[0])
                dut.start_valid_i = 1
                self.presented = False
                return
        dut.start_valid_i = int(self.presented)

    def memories(self) -> None:
        """Input and weight buffer: the data of two cycles ago, before this one's edge."""
        dut = self.dut
        self.reads.append((dut.in_raddr_o, dut.weight_raddr_o))
        banks, weight = self.reads.popleft()
        mask, data = (1 << self.bank_bits) - 1, 0
        for bank in range(4):
            address = 4 * (banks >> bank * self.bank_bits & mask) + bank
            # The engine may read anywhere; only what lies in the region counts.
            word = self.input[address] if address < len(self.input) else -1 % (1 << self.word_bits)
            data |= word << bank * self.word_bits
        dut.in_rdata_i = data
        dut.weight_rdata_i = self.weight[weight] if weight < len(self.weight) else 0

    def queue(self, index: int, instruction: Instruction, outputs: int = 0) -> None:
        self.waiting.append((index, instruction))
        self.expected += outputs
        self.owed[index] = self.expected

    def outputs(self, instruction: Instruction) -> int:
        """Words that an instruction writes to the output buffer."""
        f = isa.operands(instruction)
        place = slice(f["phase_base"], f["phase_base"] + f["phases"])
        phase = {name: v[place] for name, v in self.machine.tables[Table.PHASE].items()}
        y = f["stride_y"] * np.arange(f["tile"] * f["tiles_y"])[:, None] + phase["row"]
        x = f["stride_x"] * np.arange(f["tile"] * f["tiles_x"])[:, None] + phase["column"]
        kept = (y < f["output_rows"]).sum(axis=0) * (x < f["output_columns"]).sum(axis=0)
        return int(f["last"] * f["images"] * (1 + f["pair"]) * kept.sum())

    async def until(self, condition: Callable[[], bool], limit: int = 30_000) -> None:
        for _ in range(limit):
            if condition():
                return
            await self.step()
        raise AssertionError("the engine hangs")

    async def execute(self, instructions: Sequence[Instruction], first: int = 0) -> None:
        """Run legal instructions on the engine and the machine; compare the output buffers."""
        await self.write_tables()
        indices = list(range(first, first + len(instructions)))
        for index, instruction in zip(indices, instructions):
            self.machine.execute(instruction, index)
            self.queue(index, instruction, self.outputs(instruction))
        done = len(self.done)
        await self.until(lambda: len(self.done) == done + len(indices))
        for _ in range(30):
            await self.step()
        assert self.done[done:] == indices
        assert not self.dut.fault_valid_o
        assert self.writes == self.expected
        np.testing.assert_array_equal(self.output, self.machine.output)

    async def refuse(self, instructions: Sequence[Instruction], first: int) -> None:
        """Run instructions the last of which is illegal, and one more; then clear_i."""
        await self.write_tables()
        *good, bad = instructions
        self.done.clear()
        wrong = first + len(good)
        for index, instruction in enumerate(good, first):
            self.machine.execute(instruction, index)
            self.queue(index, instruction, self.outputs(instruction))
        with pytest.raises(Fault) as fault:
            self.machine.execute(bad, wrong)
        self.queue(wrong, bad)
        self.queue(wrong + 1, good[0])
        await self.until(lambda: bool(self.dut.fault_valid_o))
        for _ in range(60):
            assert self.dut.fault_valid_o, "a fault stays"
            assert not self.dut.start_ready_o
            assert self.dut.fault_code_o == fault.value.code
            assert self.dut.fault_index_o == wrong
            await self.step()
            assert not self.dut.done_o
        assert self.done == list(range(first, first + len(self.done)))
        assert len(self.done) <= len(good)
        await self.clear()
        # What was under way is undefined, partial sums too.
        self.output[:] = self.machine.output

    def batch(self, count: int) -> list[Instruction]:
        """Instructions that fit the tables together; some go on where the one before ended."""
        self.random.forget_tables()
        out: list[Instruction] = []
        while len(out) < count and min(self.random.room(t) for t in self.random.used) >= 8:
            wanted = {}
            if out and self.rng.random() < 0.5:
                shape = ("images", "tiles_y", "tiles_x", "tile", "phases", "pair")
                wanted = {name: getattr(out[-1], name) for name in shape} | {"first": 0, "swap": 0}
            out.append(self.random.compute(**wanted))
            if wanted:
                out[-1].psum_base = out[-2].psum_base
        return out


async def bench_of(dut, seed: int) -> Bench:
    bench = Bench(dut, seed)
    await bench.reset()
    return bench


async def run_random(bench: Bench, batches: int) -> None:
    for number in range(batches):
        bench.start_rate = (1.0, 0.02)[number % 4 == 3]
        await bench.execute(bench.batch(4), 10 * number)


@cocotb.test()
async def random_instructions(dut) -> None:
    bench = await bench_of(dut, 1)
    await run_random(bench, some(12))
    assert (bench.machine.output != bench.machine.output[0]).any()


@cocotb.test()
async def many_instructions(dut) -> None:
    await run_random(await bench_of(dut, 2), 150)


@cocotb.test()
async def cleared_in_the_middle(dut) -> None:
    bench = await bench_of(dut, 3)
    for _ in range(some(6)):
        batch = bench.batch(3)
        await bench.write_tables()
        for index, instruction in enumerate(batch):
            bench.queue(index, instruction)
        bench.owed.clear()
        for _ in range(bench.rng.randrange(250)):
            await bench.step()
        await bench.clear()
        for _ in range(50):
            await bench.step()
        assert not bench.writes and not bench.done
        bench.output[:] = bench.machine.output
        await bench.fill_psums()
        await bench.execute(bench.batch(2))


@cocotb.test()
async def more_instructions_than_the_queues_hold(dut) -> None:
    """One step each, and many outputs: the drain is the slowest, and its queue fills first."""
    bench = await bench_of(dut, 7)
    bench.random.forget_tables()
    small = {"images": 1, "tiles_y": 1, "tiles_x": 1, "tile": 2, "blocks": 1, "steps": 1}
    small |= {"accumulators": 1, "phases": 6, "first": 1, "last": 1}
    await bench.execute([bench.random.compute(**small)] * 14)


#: Wrong table entries: the table, the fields to change, and the fields that the instruction needs.
WRONG: list[tuple[Table, Callable[[dict[str, int]], dict[str, int]], dict[str, int]]] = [
    (Table.STEP, lambda f: {"accumulator": f["accumulators"]}, {}),
    (Table.STEP, lambda f: {"accumulator": 255}, {}),
    # The last step of all: the next instruction's steps follow at once.
    (
        Table.STEP,
        lambda f: {"accumulator": f["accumulators"]},
        {"images": 1, "tiles_y": 1, "tiles_x": 1, "blocks": 1, "steps": 1},
    ),
    (Table.STEP, lambda f: {"position": ZERO_POSITION + 1}, {}),
    (Table.STEP, lambda f: {"position": 31}, {}),
    (Table.STEP, lambda f: {"position": 0, "word": f["weight_stride"]}, {"weight_stride": 3}),
    (Table.STEP, lambda f: {"position": 15, "word": 1}, {"weight_stride": 0}),
    (Table.ACCUMULATOR, lambda f: {"phase": f["phases"]}, {}),
    (Table.ACCUMULATOR, lambda f: {"phase": 255}, {}),
    (Table.ACCUMULATOR, lambda f: {"position": 4}, {"winograd": 0, "tile": 2}),
    (Table.ACCUMULATOR, lambda f: {"position": 1}, {"winograd": 0, "tile": 1}),
    (Table.ACCUMULATOR, lambda f: {"position": 2}, {"winograd": 0, "tile": 1}),
    (Table.PHASE, lambda f: {"param": DEPTHS["ParamDepth"] - f["param_base"]}, {}),
    (Table.PHASE, lambda f: {"param": 255}, {}),
]
BASE = {Table.STEP: "step", Table.ACCUMULATOR: "accumulator", Table.PHASE: "phase"}
COUNT = {Table.STEP: "steps", Table.ACCUMULATOR: "accumulators", Table.PHASE: "phases"}


@cocotb.test()
async def faults(dut) -> None:
    bench = await bench_of(dut, 4)
    rng, machine = bench.rng, bench.machine
    for number, (table, change, wanted) in enumerate(WRONG):
        batch = bench.batch(1)
        bad = bench.random.compute(**wanted)
        place = getattr(bad, f"{BASE[table]}_base") + rng.randrange(getattr(bad, COUNT[table]))
        for name, value in change(isa.operands(bad)).items():
            machine.tables[table][name][place] = value
        await bench.refuse([*batch, bad], 10 * number)
    # Accumulators that are not in the order of their phases.
    batch = bench.batch(1)
    bad = bench.random.compute(phases=2, accumulators=3)
    order = slice(bad.accumulator_base, bad.accumulator_base + 3)
    machine.tables[Table.ACCUMULATOR]["phase"][order] = rng.choice(([1, 0, 1], [0, 1, 0]))
    await bench.refuse([*batch, bad], 1000)
    await bench.fill_psums()
    await bench.execute(bench.batch(2))


@cocotb.test()
async def wrong_clamps(dut) -> None:
    """Clamps are looked at where they are used, and may be wider than the data before a table."""
    bench = await bench_of(dut, 5)
    good = {name: memory.copy() for name, memory in bench.machine.params.items()}
    least, most = int_range(bench.core.data_width)
    wide = [(least - 1, most), (0, most + 1)] if bench.core.data_width == 8 else []
    for low, high in [(5, 4), (most, least), *wide]:
        batch = bench.batch(1)
        bad = bench.random.compute(first=1, last=1, activation=0)
        used = bench.machine.tables[Table.PHASE]["param"][bad.phase_base]
        place = bad.param_base + used, bench.rng.randrange(bench.core.co_lanes)
        bench.machine.params["low"][place] = low
        bench.machine.params["high"][place] = high
        bad.last = 0
        await bench.execute([bad])
        if low <= high:
            bad.last = bad.activation = 1
            await bench.execute([bad])
        bad.last, bad.activation = 1, int(low > high and bench.rng.random() < 0.5)
        batch[0].last = 0
        await bench.refuse([*batch, bad], 7)
        for name, memory in bench.machine.params.items():
            memory[:] = good[name]
    await bench.fill_psums()
    await bench.execute(bench.batch(2))


@cocotb.test()
async def a_step_a_cycle(dut) -> None:
    """The multipliers do not wait where patches and outputs take less time than steps."""
    bench = await bench_of(dut, 6)
    bench.random.forget_tables()
    size = {"images": 1, "tiles_y": 2, "tiles_x": 6, "tile": 2, "phases": 1, "accumulators": 2}
    size |= {"rows": 6, "columns": 6, "patch_row": 0, "patch_rows": 4}
    layers = [bench.random.compute(**size, blocks=blocks, steps=20) for blocks in (3, 2)]
    bench.step_cycles.clear()
    await bench.execute(layers)
    groups = -(-12 // bench.core.tile_lanes)
    assert len(bench.step_cycles) == groups * (3 + 2) * 20
    # The second instruction's first patch may take its time.
    for steps in (bench.step_cycles[: groups * 60], bench.step_cycles[groups * 60 :]):
        assert steps[-1] - steps[0] == len(steps) - 1
