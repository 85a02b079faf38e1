"""The load engine alone, with a model of the reader, against the machine of the emulator.

pytest builds ``wg_load`` in several configurations; cocotb runs the tests marked with it inside
the simulation. Memories are collected from the write ports.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from itertools import islice

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from support.places import RTL_UNITS
from support.rtl.bits import instruction_bits
from support.rtl.ports import ports
from support.rtl.rounds import SHARES, some
from support.rtl.runner import run
from winogen.emulation.device.errors import BusError
from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.faults import Fault
from winogen.emulation.emulator.machine import Machine
from winogen.emulation.emulator.reach import Reach
from winogen.target import isa, numerics, weight_code, winograd
from winogen.target.board import CoreConfig
from winogen.target.isa import Instruction, Opcode, Table
from winogen.target.registers import WINDOWS, ErrorCode, Segment

#: Small memories: ends are reached and addresses reused.
DEPTHS = {
    "InputDepth": 512,
    "WeightDepth": 256,
    "StepDepth": 256,
    "AccumulatorDepth": 64,
    "PhaseDepth": 64,
    "ParamDepth": 8,
}
BASE, SIZE = 0x1_0000_0000, 1 << 19


# One product a multiplier is the tiny board's, which the suites of devices run too.
@pytest.mark.long
@pytest.mark.parametrize(
    ("data_width", "lanes", "ports"),
    # One port, wide data; then the width of one and the ports of the other, and the reverse; four
    # ports for words of one beat and of four.
    [(8, 8, 2), (16, 4, 1), (16, 8, 2), (8, 8, 1), (16, 4, 4), (16, 16, 4)],
)
def test_wg_load(data_width: int, lanes: int, ports: int) -> None:
    simulate(DataWidth=data_width, Lanes=lanes, ReadPorts=ports)


# Conformance has words of two beats too: those of 16 bits.
@pytest.mark.long
@pytest.mark.parametrize("ports", [2, 4])
def test_words_of_two_beats(ports: int) -> None:
    """Of which four ports bring two a cycle. What is not of words the others have."""
    simulate(["random_instructions", "rates"], DataWidth=16, Lanes=8, ReadPorts=ports)


@pytest.mark.parametrize("share", SHARES)
def test_wg_load_in_pairs(share: float) -> None:
    """Words of the weight buffer have two halves; an instruction writes one of them."""
    simulate(share=share, DataWidth=8, Lanes=8, ReadPorts=2, Products=2)


@pytest.mark.parametrize(
    ("data_width", "lanes", "ports"),
    [
        (8, 8, 2),
        *(pytest.param(*x, marks=pytest.mark.long) for x in ((16, 8, 2), (8, 16, 4), (8, 8, 1))),
    ],
)
@pytest.mark.parametrize("share", SHARES)
def test_coded_weights(data_width: int, lanes: int, ports: int, share: float) -> None:
    """With a decoder: coded and plain weights in turn, and streams of a wrong length."""
    tests = ["random_instructions", "random_instructions_without_pauses", "wrong_lengths"]
    tests += ["cleared_in_the_middle"]
    shape = {"DataWidth": data_width, "Lanes": lanes, "ReadPorts": ports}
    simulate(tests, share, **shape, Products=2 if data_width == 8 else 1, Decoder=32)


def simulate(tests: list[str] | None = None, share: float = 1.0, **parameters: int) -> None:
    top = [RTL_UNITS / "tb_load.sv"]
    run("tb_load", top, "test_wg_load", {**parameters, **DEPTHS}, testcase=tests, share=share)


class Bench:
    """Drives one wg_load: instructions in, beats of a memory in, writes out into arrays."""

    def __init__(self, dut, seed: int, *, hurry: bool = False):
        self.dut = ports(dut)
        self.rise, self.fall = RisingEdge(dut.clk_i), FallingEdge(dut.clk_i)
        self.rng = random.Random(seed)
        self.hurry = hurry  # beats, runs and instructions without pauses
        width, lanes = int(dut.DataWidth.value), int(dut.Lanes.value)
        self.ports = int(dut.ReadPorts.value)
        self.core = CoreConfig(
            data_width=width,
            ci_lanes=lanes,
            co_lanes=lanes,
            tile_lanes=2,
            input_depth=DEPTHS["InputDepth"],
            weight_depth=DEPTHS["WeightDepth"],
            psum_depth=16,
            output_depth=16,
            step_depth=DEPTHS["StepDepth"],
            accumulator_depth=DEPTHS["AccumulatorDepth"],
            phase_depth=DEPTHS["PhaseDepth"],
            param_depth=DEPTHS["ParamDepth"],
            read_ports=self.ports,
            products=int(dut.Products.value),
            decoder=int(dut.Decoder.value),
        )
        self.memory = EmulatedMemory(BASE, SIZE)
        generator = np.random.default_rng(seed)
        data = generator.integers(0, 256, SIZE, np.uint8)
        # Every other word of 64 bytes is of extremes: their transforms need every bit.
        extreme = generator.choice(np.array([0x80, 0x7F, 0x00, 0xFF], np.uint8), SIZE)
        data = np.where(np.arange(SIZE) >> 6 & 1, data, extreme)
        self.memory.device_write(BASE, data)
        self.bases = {segment: BASE + 4096 * int(segment) for segment in Segment}
        # The reader's windows are not here: what is outside of memory is answered so.
        every = Reach(self.memory, [(0, (1 << 32) - 1)] * sum(WINDOWS.values()))
        self.machine = Machine(self.core, self.memory, self.bases, every)
        self.input = self.machine.input.copy()
        self.weight = self.machine.weight.copy()
        self.params = {name: values.copy() for name, values in self.machine.params.items()}
        self.tables = {
            table: {name: values.copy() for name, values in columns.items()}
            for table, columns in self.machine.tables.items()
        }
        self.activation = self.machine.activation.copy()
        self.cycle = 0
        self.place = 0  # of the next put()
        self.forget()

    def forget(self) -> None:
        """What clear_i makes the units around the engine forget."""
        self.beats: deque[int | tuple[int, int]] = deque()  # data, or an error's code and address
        self.waiting: deque[tuple[int, Instruction]] = deque()
        self.begun: deque[int] = deque()
        self.done: list[int] = []
        self.owed: dict[int, int] = {}  # writes that must have been made when one is done
        self.expected = 0
        self.writes = 0
        self.stamps: list[tuple[int, int]] = []  # cycle and address of writes to the weight buffer
        self.taken: list[tuple[int, int]] = []  # cycle and beats
        self.presented = False

    async def reset(self) -> None:
        dut = self.dut
        cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
        for name in ("clear_i", "start_valid_i", "run_ready_i", "beat_count_i", "error_valid_i"):
            setattr(dut, name, 0)
        packed = sum(base << 64 * int(segment) for segment, base in self.bases.items())
        dut.segment_base_i = packed
        dut.rst_ni = 0
        for _ in range(3):
            await self.rise
        dut.rst_ni = 1

    async def clear(self) -> None:
        self.dut.clear_i = 1
        for name in ("start_valid_i", "run_ready_i", "beat_count_i", "error_valid_i"):
            setattr(self.dut, name, 0)
        await self.rise
        self.dut.clear_i = 0
        await self.fall
        self.forget()

    def queue(self, index: int, instruction: Instruction, writes: int = 0) -> None:
        self.waiting.append((index, instruction))
        self.expected += writes
        self.owed[index] = self.expected

    async def step(self) -> None:
        """One clock cycle."""
        dut, rng = self.dut, self.rng
        await self.rise
        self.cycle += 1
        if self.waiting and (self.presented or self.hurry or rng.random() < 0.3):
            self.presented = True
            index, instruction = self.waiting[0]
            bits = instruction_bits(instruction)
            dut.start_bits_i = bits
            dut.start_index_i = index
        dut.start_valid_i = int(self.presented)
        dut.run_ready_i = int(len(self.beats) < 512 and (self.hurry or rng.random() < 0.7))
        offered: list[int] = []
        failed = None
        for beat in islice(self.beats, self.ports):
            if isinstance(beat, tuple):
                failed = beat
                break
            offered.append(beat)
        if not self.hurry:
            offered = offered[: rng.choice((0, 1, self.ports, self.ports))]
        first_fails = bool(self.beats) and isinstance(self.beats[0], tuple)
        dut.beat_count_i = len(offered)
        junk = rng.getrandbits(64 * (self.ports - len(offered)))
        dut.beat_data_i = sum(beat << 64 * i for i, beat in enumerate(offered)) | junk << 64 * len(
            offered
        )
        dut.error_valid_i = int(first_fails)
        if first_fails and failed:
            dut.error_code_i, dut.error_addr_i = failed

        await self.fall
        if dut.start_valid_i and dut.start_ready_o:
            self.begun.append(self.waiting.popleft()[0])
            self.presented = False
        if dut.run_valid_o and dut.run_ready_i:
            self.fetch(dut.run_addr_o, dut.run_bytes_o)
        take = min(dut.beat_room_o, len(offered))
        for _ in range(take):
            self.beats.popleft()
        if take:
            self.taken.append((self.cycle, take))
        if dut.done_o:
            index = self.begun.popleft()
            assert self.writes >= self.owed[index], f"{index} is done before its last write"
            self.done.append(index)
        self.collect()

    def fetch(self, address: int, nbytes: int) -> None:
        assert address % 8 == 0 and nbytes > 0
        for beat in range(-(-nbytes // 8)):
            try:
                data = self.memory.device_read(address + 8 * beat, 8)
            except BusError as error:
                self.beats.append((int(error.code), address + 8 * beat))
            else:
                self.beats.append(int.from_bytes(bytes(data), "little"))

    def collect(self) -> None:
        dut, core = self.dut, self.core
        lanes, width = core.ci_lanes, core.data_width
        if enables := dut.in_we_o:
            bits = ((core.input_depth + 3) // 4 - 1).bit_length()
            addresses, data = dut.in_addr_o, dut.in_data_o
            for bank in range(4):
                if enables >> bank & 1:
                    address = (addresses >> bank * bits) & ((1 << bits) - 1)
                    word = data >> bank * lanes * width
                    self.input[4 * address + bank] = _signed(word, width, lanes)
                    self.writes += 1
        if enables := dut.w_we_o:
            address, data = dut.w_addr_o, dut.w_data_o
            bits = 2 * lanes * (width + 4)
            for number in range(core.products * lanes // 2):
                half, part = divmod(number, lanes // 2)
                if enables >> number & 1:
                    values = _signed(data >> part * bits, width + 4, 2 * lanes)
                    self.weight[address, half, 2 * part : 2 * part + 2] = values.reshape(2, lanes)
                    self.writes += 1
            self.stamps.append((self.cycle, address))
        if dut.tab_we_o:
            table, address = Table(dut.tab_id_o), dut.tab_addr_o
            data = dut.tab_data_o
            if table is Table.ACTIVATION:
                self.activation[address] = _signed(data, 16, 1)[0]
            else:
                for name, values in isa.unpack_table(table, data.to_bytes(8, "little")).items():
                    self.tables[table][name][address] = values[0]
            self.writes += 1
        if dut.par_we_o:
            raw = dut.par_data_o.to_bytes(16, "little")
            place = dut.par_addr_o, dut.par_lane_o
            for name, memory in self.params.items():
                memory[place] = getattr(isa.unpack_params(raw), name)[0]
            self.writes += 1

    def compare(self) -> None:
        """What was written is what the machine has."""
        np.testing.assert_array_equal(self.input, self.machine.input)
        np.testing.assert_array_equal(self.weight, self.machine.weight)
        np.testing.assert_array_equal(self.activation, self.machine.activation)
        for name, memory in self.params.items():
            np.testing.assert_array_equal(memory, self.machine.params[name], name)
        for table, columns in self.tables.items():
            for name, values in columns.items():
                np.testing.assert_array_equal(values, self.machine.tables[table][name], name)

    async def until(self, condition: Callable[[], bool], limit: int = 20_000) -> None:
        for _ in range(limit):
            if condition():
                return
            await self.step()
        raise AssertionError("the engine hangs")

    async def execute(self, instructions: list[Instruction], first: int = 0) -> None:
        """Run instructions that are right on the engine and the machine; compare."""
        indices = list(range(first, first + len(instructions)))
        for index, instruction in zip(indices, instructions):
            self.machine.execute(instruction, index)
            self.queue(index, instruction, self.count(instruction))
        done = len(self.done)
        await self.until(lambda: len(self.done) == done + len(indices))
        for _ in range(8):
            await self.step()
        assert self.done[done:] == indices
        assert not self.beats and not self.dut.fault_valid_o
        assert self.writes == self.expected
        self.compare()

    async def refuse(self, instructions: list[Instruction], first: int = 0) -> None:
        """Run instructions, the last of which fails; then clear_i."""
        *good, bad = instructions
        wrong = first + len(good)
        self.done.clear()
        for index, instruction in enumerate(good, first):
            self.machine.execute(instruction, index)
            self.queue(index, instruction, self.count(instruction))
        with pytest.raises(Fault) as fault:
            self.machine.execute(bad, wrong)
        self.queue(wrong, bad)
        self.queue(wrong + 1, good[0])  # is not executed any more
        await self.until(lambda: bool(self.dut.fault_valid_o))
        assert self.done == list(range(first, wrong)), "what is before the fault is executed"
        assert self.dut.fault_code_o == fault.value.code
        assert self.dut.fault_index_o == wrong
        if fault.value.code == ErrorCode.ILLEGAL_DESCRIPTOR:
            if bad.opcode is not Opcode.LOAD_PARAMS:
                self.compare()
        elif fault.value.code == ErrorCode.BAD_WEIGHTS:
            assert self.dut.fault_addr_o == fault.value.address
        else:
            assert self.dut.fault_addr_o == max(BASE + SIZE, self.beats[0][1])
        await self.step()
        writes = self.writes
        for _ in range(50):
            await self.step()
            assert self.dut.fault_valid_o
            assert not self.dut.start_ready_o and not self.dut.run_valid_o
        assert self.writes == writes and len(self.done) == len(good)
        await self.clear()
        # What a wrong instruction wrote is undefined.
        self.input[:], self.weight[:] = self.machine.input, self.machine.weight
        self.activation[:] = self.machine.activation
        for name, memory in self.params.items():
            memory[:] = self.machine.params[name]
        for table, columns in self.tables.items():
            for name, values in columns.items():
                values[:] = self.machine.tables[table][name]

    # ---- Instructions ----

    def end(self) -> int:
        """The end of the memory, as an offset in the scratch segment."""
        return BASE + SIZE - self.bases[Segment.SCRATCH]

    def put(self, data: bytes) -> int:
        """Place bytes in the last quarter of the memory; their offset in the scratch segment."""
        start, word = SIZE - SIZE // 4, self.core.word_bytes
        if not start <= self.place <= SIZE - len(data):
            self.place = start
        address = BASE + self.place
        self.memory.device_write(address, data)
        self.place += -(-len(data) // word) * word
        return address - self.bases[Segment.SCRATCH]

    def count(self, instruction: Instruction) -> int:
        """Writes that an instruction makes."""
        f = isa.operands(instruction)
        if instruction.opcode is Opcode.LOAD_INPUT:
            return f["images"] * f["blocks"] * f["rows"] * f["columns"]
        if instruction.opcode is Opcode.LOAD_PARAMS:
            return f["count"] * self.core.co_lanes
        if instruction.opcode is Opcode.LOAD_TABLE:
            return f["count"]
        words = f["taps"]
        if f["winograd"]:
            words = sum(int(p).bit_count() for p in self.phases(f)["positions"])
        return f["blocks"] * words * self.core.co_lanes // 2

    def phases(self, f: dict[str, int]) -> dict[str, np.ndarray]:
        place = slice(f["phase_base"], f["phase_base"] + f["phases"])
        return {n: v[place] for n, v in self.machine.tables[Table.PHASE].items()}

    def load_input(self) -> Instruction:
        rng, core = self.rng, self.core
        while True:
            columns = rng.choice((1, 2, 3, 4, 7, 8, 13))
            f = {
                "segment": rng.choice((Segment.WEIGHTS, Segment.INPUT, Segment.OUTPUT)),
                "offset": rng.randrange(64) * core.word_bytes,
                "images": rng.choice((1, 1, 2, 3)),
                "blocks": rng.choice((1, 1, 2, 3)),
                "rows": rng.randint(1, 6),
                "columns": columns,
                "pitch": (columns + 1) // 4 * 4 + 2 + rng.choice((0, 0, 4)),
                "column_step": rng.choice((1, 1, 1, 2, 3, 5)),
                "image_stride": rng.randrange(700),
                "block_stride": rng.randrange(300),
                "row_stride": rng.randrange(100),
            }
            words = f["images"] * f["blocks"] * f["rows"] * f["pitch"]
            if f["pitch"] >= columns and words <= core.input_depth:
                last = core.input_depth - words
                f["base"] = rng.choice((last, rng.randint(0, last)))
                return isa.LoadInput(**{k: int(v) for k, v in f.items()})

    def load_table(self, table: Table | None = None) -> Instruction:
        rng = self.rng
        table = rng.choice(list(Table)) if table is None else table
        depth = {
            Table.STEP: self.core.step_depth,
            Table.ACCUMULATOR: 2 * self.core.accumulator_depth,
            Table.PHASE: self.core.phase_depth,
            Table.ACTIVATION: isa.TABLE_ENTRIES,
        }[table]
        count = rng.randint(1, min(depth, 40))
        return self.table_of(table, rng.randint(0, depth - count), count)

    def table_of(self, table: Table, base: int, count: int) -> Instruction:
        rng = self.rng
        if table is Table.ACTIVATION:
            data = rng.randbytes(2 * count)
        elif table is Table.PHASE:
            data = isa.pack_table(table, [isa.PhaseEntry(**self.phase()) for _ in range(count)])
        else:
            data = rng.randbytes(8 * count)
        return self.table_from(table, base, count, data)

    def table_from(self, table: Table, base: int, count: int, data: bytes) -> Instruction:
        fields = {"table": int(table), "base": base, "count": count, "offset": self.put(data)}
        return isa.LoadTable(**fields, segment=Segment.SCRATCH)

    def phase(self, taps: int | None = None, positions: int | None = None) -> dict[str, int]:
        rng = self.rng
        if taps is None:
            taps = rng.choice((0, 0b11011, 0x1FF, rng.getrandbits(9), 1 << rng.randrange(9)))
        if positions is None:
            window = [divmod(t, 3) for t in range(9) if taps >> t & 1]
            positions = sum(1 << p for p in winograd.positions(window))
            if taps and rng.random() < 0.3:
                positions = rng.getrandbits(16) & rng.getrandbits(16)
        other = {name: rng.getrandbits(8) for name in ("row", "column", "param")}
        return {**other, "taps": taps, "positions": positions}

    def load_weights(self, *, whole: bool = True) -> Instruction:
        rng, core = self.rng, self.core
        while True:
            phases = rng.randint(1, 6)
            f = {
                "segment": int(rng.choice((Segment.WEIGHTS, Segment.INPUT, Segment.SCRATCH))),
                "offset": rng.randrange(64) * core.word_bytes,
                "blocks": rng.randint(1, 5),
                "phase_base": rng.randint(0, core.phase_depth - phases),
                "phases": phases,
                "winograd": rng.choice((0, 1, 1)),
                "half": rng.randrange(core.products),
                "base": 0,
                "coding": 0,
                "beats": 0,
            }
            f["taps"] = sum(int(t).bit_count() for t in self.phases(f)["taps"])
            words = self.count(isa.LoadWeights(**f)) // (core.co_lanes // 2)
            if f["taps"] and (words <= core.weight_depth) == whole:
                last = core.weight_depth - words
                if whole:
                    f["base"] = rng.choice((last, rng.randint(0, last)))
                if f["base"] + f["blocks"] <= core.weight_depth:
                    instruction = isa.LoadWeights(**f)
                    if core.decoder and rng.random() < 0.7:
                        self.coded(instruction)
                    return instruction

    def coded(self, f: isa.LoadWeights) -> None:
        """Make a load one of random coded weights."""
        rng, core = self.rng, self.core
        dtype = numerics.storage_dtype(core.data_width)
        generator = np.random.default_rng(rng.getrandbits(32))
        low, high = numerics.int_range(core.data_width)
        values = generator.integers(low, high, 16, endpoint=True)
        weights = generator.choice(values, f.blocks * f.taps * core.ci_lanes**2)
        kept = rng.choice((0.0, 0.1, 0.35, 0.7, 1.0))
        weights = np.where(generator.random(weights.shape) < kept, weights, 0).astype(dtype)
        code = weight_code.code_of(weights)
        assert code is not None
        stream = code.encode(weights)
        f.segment, f.offset = int(Segment.SCRATCH), self.put(stream)
        f.coding, f.beats = int(code.coding), len(stream) // 8

    def load_params(self, shift: int | None = None) -> Instruction:
        rng = self.rng
        count = rng.randint(1, self.core.param_depth)
        channels = count * self.core.co_lanes
        data = bytearray(rng.randbytes(16 * channels))
        for channel in range(channels):
            data[16 * channel + 6] = rng.choice((1, numerics.MAX_SHIFT, rng.randint(1, 62)))
        if shift is not None:
            data[16 * rng.randrange(channels) + 6] = shift
        f = {"segment": int(Segment.SCRATCH), "offset": self.put(bytes(data)), "count": count}
        f["base"] = rng.randint(0, self.core.param_depth - count)
        return isa.LoadParams(**f)

    def one(self) -> Instruction:
        """Any instruction, but none that changes the phases that others were made for."""
        makers = (self.load_input, self.load_weights, self.load_weights, self.load_params)
        table = self.rng.choice((Table.STEP, Table.ACCUMULATOR, Table.ACTIVATION))
        return self.rng.choice((*makers, lambda: self.load_table(table)))()


def _signed(value: int, bits: int, count: int) -> np.ndarray:
    """Fields of ``bits`` bits, the first in the low bits."""
    raw = np.array([(value >> bits * i) & ((1 << bits) - 1) for i in range(count)], np.int64)
    return raw - ((raw >> (bits - 1)) << bits)


async def _bench(dut, seed: int, **options) -> Bench:
    bench = Bench(dut, seed, **options)
    await bench.reset()
    return bench


async def _random(bench: Bench, rounds: int) -> None:
    # The whole phase table first, so that every LOAD_WEIGHTS finds phases.
    await bench.execute([bench.table_of(Table.PHASE, 0, bench.core.phase_depth)])
    first = 1
    for _ in range(rounds):
        batch = [bench.one() for _ in range(bench.rng.randint(1, 10))]
        await bench.execute(batch, first)
        first += len(batch)
        # New phases, and weights that need them right behind.
        table = bench.load_table(Table.PHASE)
        bench.machine.execute(table, first)
        await bench.execute([table, bench.load_weights(), bench.load_weights()], first)
        first += 3


@cocotb.test()
async def random_instructions(dut) -> None:
    await _random(await _bench(dut, 1), some(12))


@cocotb.test()
async def random_instructions_without_pauses(dut) -> None:
    await _random(await _bench(dut, 2, hurry=True), some(20))


@cocotb.test()
async def cleared_in_the_middle(dut) -> None:
    bench = await _bench(dut, 3)
    await bench.execute([bench.table_of(Table.PHASE, 0, bench.core.phase_depth)])
    for _ in range(some(20)):
        for index in range(6):
            bench.queue(index, bench.load_input() if index % 3 == 1 else bench.load_weights())
            bench.owed[index] = 0
        for _ in range(bench.rng.randrange(300)):
            await bench.step()
        await bench.clear()
        for _ in range(8):
            await bench.step()
        assert not bench.writes and not bench.done
    bench.input[:], bench.weight[:] = bench.machine.input, bench.machine.weight
    await bench.execute([bench.load_input(), bench.load_weights(), bench.load_weights()])


@cocotb.test()
async def faults(dut) -> None:
    bench = await _bench(dut, 4)
    await bench.execute([bench.table_of(Table.PHASE, 0, bench.core.phase_depth)])
    for round_ in range(some(6)):
        bench.hurry = round_ % 2 == 1
        good = [bench.load_input(), bench.load_weights(), bench.load_weights()]
        for difference in (1, -1):
            wrong = bench.load_weights()
            wrong.taps += difference
            if wrong.taps:
                await bench.refuse([*good, wrong], 10)
        await bench.refuse([*good, bench.load_weights(whole=False)], 20)
        for shift in (0, 63, 255):
            await bench.refuse([*good, bench.load_params(shift)], 30)
        for bad in (
            bench.load_input(),
            bench.load_weights(),
            bench.load_params(),
            bench.load_table(),
        ):
            word = bench.core.word_bytes
            bad.segment = Segment.SCRATCH
            end = BASE + SIZE - bench.bases[Segment.SCRATCH]
            # The first word of weights is still there.
            bad.offset = end - word * (bad.opcode is Opcode.LOAD_WEIGHTS)
            await bench.refuse([*good, bad], 40)
        await bench.execute([bench.one() for _ in range(4) if round_] or good, 50)


@cocotb.test()
async def wrong_lengths(dut) -> None:
    """A beat more or less, one alone, and far too many; each is refused, and nothing hangs."""
    bench = await _bench(dut, 6)
    if not bench.core.decoder:  # no weights are coded
        return
    await bench.execute([bench.table_of(Table.PHASE, 0, bench.core.phase_depth)])
    for round_ in range(some(6)):
        bench.hurry = round_ % 2 == 1
        good = [bench.load_weights(), bench.load_weights()]
        for wrong in (lambda n: n + 1, lambda n: n - 1, lambda n: 1, lambda n: n + 150):
            bad = bench.load_weights()
            while not bad.coding:
                bad = bench.load_weights()
            bad.beats = wrong(bad.beats)
            bad.offset = min(bad.offset, bench.end() - 8 * bad.beats)
            await bench.refuse([*good, bad], 10)
        # An error of the bus within a stream that is too long comes first.
        bad.offset, bad.beats = bench.end() - 64 * 8, 1000
        await bench.refuse([*good, bad], 20)
        await bench.execute([bench.one() for _ in range(3)], 30)


@cocotb.test()
async def rates(dut) -> None:
    """Cycles a Winograd phase and beats a cycle of input rows, with beats always there."""
    bench = await _bench(dut, 5, hurry=True)
    lanes, beats = bench.core.ci_lanes, bench.core.word_bytes // 8
    for taps, positions, limit in ((0b000011011, 9, 18), (0b011011011, 12, 24), (0x1FF, 16, 36)):
        phase = bench.phase(taps)
        phase["positions"] = sum(
            1 << p for p in winograd.positions(divmod(t, 3) for t in range(9) if taps >> t & 1)
        )
        assert phase["positions"].bit_count() == positions
        blocks = bench.core.weight_depth // positions
        entry = isa.pack_table(Table.PHASE, [isa.PhaseEntry(**phase)])
        table = bench.table_from(Table.PHASE, 0, 1, entry)
        count = taps.bit_count()
        f = {"segment": 0, "offset": 0, "base": 0, "blocks": blocks, "phase_base": 0}
        f |= {"phases": 1, "taps": count, "winograd": 1, "half": 0, "coding": 0, "beats": 0}
        bench.machine.execute(table, 0)
        bench.stamps.clear()
        await bench.execute([table, isa.LoadWeights(**f)])
        # Words are written whole, or in halves.
        whole = bench.core.whole_words
        words = bench.stamps if whole else bench.stamps[1::2]
        ends = [cycle for cycle, address in words if address % positions == positions - 1]
        cycles = (ends[-1] - ends[3]) / (len(ends) - 4)
        dut._log.info("%d taps, %d positions: %.2f cycles", count, positions, cycles)
        # More beats than ports can bring in the limit are not the engine's fault.
        slowest = max(limit // 2 if whole else limit, count * lanes * beats / bench.ports)
        assert cycles <= max(slowest, 2 * count)  # half a tap comes in a cycle
    for columns in (16, 15):
        f = isa.operands(bench.load_input())
        f |= {"segment": 0, "offset": 0, "images": 1, "blocks": 1, "rows": 16, "columns": columns}
        f |= {"pitch": 18, "column_step": 1, "row_stride": 16, "base": 0}
        bench.taken.clear()
        await bench.execute([isa.LoadInput(**f)])
        cycles = bench.taken[-1][0] - bench.taken[0][0] + 1
        total = sum(count for _, count in bench.taken)
        dut._log.info("rows of %d: %d beats in %d cycles", columns, total, cycles)
        if columns % 2 == 0:
            assert total == min(bench.ports, 2 * beats) * cycles  # two words at the most
