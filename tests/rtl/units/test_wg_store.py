"""The STORE engine with a Python model of the output buffer and of the write master."""

from __future__ import annotations

from collections import deque
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from support.places import RTL_UNITS
from support.rtl.ports import ports
from support.rtl.rounds import SHARES, some
from support.rtl.runner import run
from winogen.target.isa import Store, encode
from winogen.target.registers import ErrorCode

DEPTH = 1024
MASK64 = (1 << 64) - 1


@pytest.mark.parametrize(
    ("width", "lanes", "address"),
    [
        (8, 8, 64),
        pytest.param(16, 4, 32, marks=pytest.mark.long),
        pytest.param(16, 16, 40, marks=pytest.mark.long),
        # Words of several beats are the last one's, such addresses the first one's.
        pytest.param(16, 8, 64, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("share", SHARES)
def test_store(width, lanes, address, share):
    parameters = {
        "DataWidth": width,
        "Lanes": lanes,
        "OutputDepth": DEPTH,
        "AddrWidth": address,
    }
    run("tb_store", [RTL_UNITS / "tb_store.sv"], "test_wg_store", parameters, share=share)


class Bench:
    """Drives the engine and stands for what is around it; one ``step`` is one cycle.

    Parameters
    ----------
    ready : chance a cycle that the write master takes a run, and a beat
    """

    def __init__(self, dut: Any, seed: int) -> None:
        self.dut = ports(dut)
        self.rng = np.random.default_rng(seed)
        self.word_bytes = len(dut.out_rdata_i) // 8
        self.addresses = (1 << len(dut.run_addr_o)) - 1
        self.buffer = self.rng.integers(0, 256, (DEPTH, self.word_bytes), np.uint8)
        self.bases = [int(b) * 8 for b in self.rng.integers(0, 1 << 28, 4)]
        self.ready = (1.0, 1.0)
        self.latency = 4
        self.start_rate = 1.0
        self.index = 0
        self.cycle = 0
        self.to_start: deque[tuple[int, dict[str, int]]] = deque()
        self.reset_model()

    def reset_model(self) -> None:
        """Forget what was under way, as clear_i does."""
        self.in_flight: deque[int] = deque()
        self.expected_runs: deque[tuple[int, int, bool]] = deque()
        self.expected_beats: deque[bytes] = deque()
        self.runs: deque[list[int]] = deque()  # taken, with the bytes that are missing
        self.responses: deque[int] = deque()  # cycles at which an instruction is through
        self.reads = deque([0, 0])
        self.held_run: tuple[int, ...] | None = None
        self.held_beat: int | None = None
        self.error: tuple[int, int] | None = None
        self.done: list[int] = []
        self.memory: dict[int, bytes] = {}
        self.beat_cycles: list[int] = []
        self.overlaps = 0

    async def reset(self) -> None:
        dut = self.dut
        Clock(dut.clk_i, 10, unit="ns").start()
        dut.rst_ni = 0
        for port in ("clear", "start_valid", "run_ready", "data_ready", "write_done"):
            setattr(dut, f"{port}_i", 0)
        dut.write_error_valid_i = 0
        dut.write_error_code_i = 0
        dut.write_error_addr_i = 0
        dut.segment_base_i = sum(b << (64 * i) for i, b in enumerate(self.bases))
        for _ in range(3):
            await FallingEdge(dut.clk_i)
        dut.rst_ni = 1

    async def clear(self) -> None:
        self.dut.clear_i = 1
        self.dut.start_valid_i = 0
        self.dut.write_error_valid_i = 0
        self.dut.write_done_i = 0
        await FallingEdge(self.dut.clk_i)
        self.dut.clear_i = 0
        self.to_start.clear()
        self.reset_model()

    def add(self, fields: dict[str, int]) -> None:
        self.to_start.append((self.index, fields))
        self.index += 1

    def random_store(self, words: int) -> dict[str, int]:
        rng = self.rng
        images = int(rng.integers(1, 4))
        rows = int(rng.integers(1, 6))
        columns = int(rng.integers(1, max(words // (images * rows), 1) + 1))
        count = images * rows * columns
        row_stride = columns + int(rng.choice([0, 0, 1, 37]))
        image_stride = rows * row_stride + int(rng.choice([0, 0, 5, 5000]))
        return {
            "segment": int(rng.integers(4)),
            "offset": int(rng.integers(1 << 28)) * self.word_bytes % (1 << 32),
            "base": int(rng.integers(DEPTH - count + 1)),
            "images": images,
            "rows": rows,
            "columns": columns,
            "row_stride": row_stride,
            "image_stride": image_stride,
        }

    def begin(self, index: int, f: dict[str, int]) -> None:
        """What the instruction just begun has to give."""
        self.overlaps += bool(self.in_flight)
        self.in_flight.append(index)
        for n in range(f["images"]):
            for y in range(f["rows"]):
                words = n * f["image_stride"] + y * f["row_stride"]
                address = self.bases[f["segment"]] + f["offset"] + words * self.word_bytes
                last = n == f["images"] - 1 and y == f["rows"] - 1
                length = f["columns"] * self.word_bytes
                self.expected_runs.append((address & self.addresses, length, last))
                start = f["base"] + (n * f["rows"] + y) * f["columns"]
                data = self.buffer[start : start + f["columns"]].tobytes()
                self.expected_beats.extend(data[i : i + 8] for i in range(0, length, 8))

    async def step(self) -> None:
        dut, rng = self.dut, self.rng
        starting = bool(self.to_start) and (
            bool(dut.start_valid_i) or rng.random() < self.start_rate
        )
        dut.start_valid_i = int(starting)
        if starting:
            index, fields = self.to_start[0]
            bits = encode([Store(**fields)])
            dut.start_bits_i = int.from_bytes(bits, "little")
            dut.start_index_i = index
        run_ready = rng.random() < self.ready[0]
        data_ready = bool(self.runs) and rng.random() < self.ready[1]
        dut.run_ready_i = int(run_ready)
        dut.data_ready_i = int(data_ready)
        done = bool(self.responses) and self.responses[0] <= self.cycle and not self.error
        dut.write_done_i = int(done)
        if self.error:
            dut.write_error_valid_i = 1
            dut.write_error_code_i, dut.write_error_addr_i = self.error
        word = self.buffer[self.reads.popleft()]
        dut.out_rdata_i = int.from_bytes(word.tobytes(), "little")

        await Timer(1, "ns")
        self.reads.append(dut.out_raddr_o)
        assert dut.done_o == int(done)
        if done:
            self.responses.popleft()
            self.done.append(self.in_flight.popleft())
        self._run(run_ready)
        self._beat(data_ready)
        if starting and dut.start_ready_o:
            self.begin(*self.to_start.popleft())
        await FallingEdge(dut.clk_i)
        self.cycle += 1

    def _run(self, ready: bool) -> None:
        dut = self.dut
        if not dut.run_valid_o:
            assert self.held_run is None or self.error
            return
        run = (dut.run_addr_o, dut.run_bytes_o, dut.run_last_o)
        assert self.held_run in (None, run)
        self.held_run = None if ready else run
        if ready:
            assert run == self.expected_runs.popleft()
            self.runs.append(list(run))

    def _beat(self, ready: bool) -> None:
        dut = self.dut
        if not dut.data_valid_o:
            assert self.held_beat is None or self.error
            return
        beat = dut.data_o
        assert self.held_beat in (None, beat)
        self.held_beat = None if ready else beat
        if not ready:
            return
        self.beat_cycles.append(self.cycle)
        data = beat.to_bytes(8, "little")
        assert data == self.expected_beats.popleft()
        run = self.runs[0]
        self.memory[run[0]] = data
        run[0] = (run[0] + 8) & self.addresses
        run[1] -= 8
        if run[1] == 0:
            self.runs.popleft()
            if run[2]:
                latest = self.responses[-1] if self.responses else 0
                wait = int(self.rng.integers(1, self.latency + 1))
                self.responses.append(max(latest, self.cycle) + wait)

    async def finish(self, limit: int = 20000) -> None:
        end = self.cycle + limit
        while self.to_start or self.in_flight:
            await self.step()
            assert self.cycle < end, "stuck"
        for _ in range(10):  # and no more after that
            await self.step()
        assert not self.expected_runs and not self.expected_beats and not self.runs


def box(base: int, images: int, rows: int, columns: int) -> dict[str, int]:
    sizes = {"base": base, "images": images, "rows": rows, "columns": columns}
    strides = {"row_stride": columns, "image_stride": rows * columns}
    return {"segment": 2, "offset": 4096, **sizes, **strides}


@cocotb.test()
async def random_stores(dut) -> None:
    bench = Bench(dut, 1)
    await bench.reset()
    rates = [(1.0, 1.0), (0.1, 1.0), (1.0, 0.3), (0.5, 0.5), (0.05, 0.9), (0.9, 0.95)]
    overlaps = 0
    for round_, rate in enumerate(rates * 2):
        bench.ready = rate
        bench.latency = (3, 60)[round_ % 2]
        bench.start_rate = (1.0, 0.2)[round_ // len(rates)]
        bench.reset_model()
        first = bench.index
        for _ in range(some(25)):
            bench.add(bench.random_store(int(bench.rng.choice([1, 4, 30, 200]))))
        stores = [f for _, f in bench.to_start]
        await bench.finish()
        assert bench.done == list(range(first, bench.index))
        overlaps += bench.overlaps
        # The definition again, word by word.
        memory = {}
        for f in stores:
            for n, y, x in np.ndindex(f["images"], f["rows"], f["columns"]):
                word = n * f["image_stride"] + y * f["row_stride"] + x
                address = bench.bases[f["segment"]] + f["offset"] + word * bench.word_bytes
                data = bench.buffer[f["base"] + (n * f["rows"] + y) * f["columns"] + x].tobytes()
                for i in range(0, bench.word_bytes, 8):
                    memory[(address + i) & bench.addresses] = data[i : i + 8]
        assert bench.memory == memory
    assert overlaps > some(20)


@cocotb.test()
async def whole_buffer_and_large_strides(dut) -> None:
    bench = Bench(dut, 2)
    bench.bases = [0, (1 << 40) + 64, (MASK64 >> 8) - 7 - 4096, 1 << 31]
    await bench.reset()
    bench.add(box(0, 1, 1, DEPTH))
    bench.add(box(0, 1, DEPTH, 1))
    bench.add(box(0, DEPTH, 1, 1))
    bench.add(box(0, 4, 16, 16))
    for segment in range(4):
        fields = {"row_stride": (1 << 24) - 1, "image_stride": (1 << 32) - 1, "segment": segment}
        bench.add(box(DEPTH - 27, 3, 3, 3) | fields)
    await bench.finish()
    assert len(bench.done) == 8


@cocotb.test()
async def a_beat_a_cycle(dut) -> None:
    for store in (box(3, 1, 8, 32), box(3, 2, 64, 1)):
        bench = Bench(dut, 3)
        await bench.reset()
        bench.add(store)
        await bench.finish()
        beats = store["images"] * store["rows"] * store["columns"] * bench.word_bytes // 8
        assert bench.beat_cycles == list(range(bench.beat_cycles[0], bench.beat_cycles[0] + beats))


@cocotb.test()
async def an_error_stops_the_engine(dut) -> None:
    bench = Bench(dut, 4)
    dut = bench.dut
    await bench.reset()
    for rate in (1.0, 0.4):
        for wait in range(1, 60, 4):
            bench.ready = (rate, rate)
            bench.latency = 40
            for _ in range(8):
                bench.add(bench.random_store(8))
            for _ in range(wait):
                await bench.step()
            while not bench.in_flight:
                await bench.step()
            oldest = bench.in_flight[0]
            address = int(bench.rng.integers(1 << 20)) * 8
            bench.error = (int(ErrorCode.AXI_DECERR), address)
            await bench.step()
            for _ in range(20):
                assert dut.fault_valid_o
                assert dut.fault_code_o == ErrorCode.AXI_DECERR
                assert dut.fault_index_o == oldest
                assert dut.fault_addr_o == address
                await bench.step()
                bench.error = (int(ErrorCode.AXI_SLVERR), 8)  # the first one counts
                assert not dut.start_ready_o
                assert not dut.run_valid_o
                assert not dut.data_valid_o
            await bench.clear()
            bench.add(bench.random_store(30))
            await bench.finish()
            assert bench.done == [bench.index - 1]


@cocotb.test()
async def clear_drops_everything(dut) -> None:
    bench = Bench(dut, 5)
    dut = bench.dut
    await bench.reset()
    for wait in range(0, 40, 40 // some(40) | 1):  # an odd step: even and odd ones
        rate = float(bench.rng.choice([0.2, 1.0]))
        bench.ready = (rate, rate)
        for _ in range(5):
            bench.add(bench.random_store(20))
        for _ in range(wait):
            await bench.step()
        await bench.clear()
        assert not dut.fault_valid_o
        bench.add(bench.random_store(20))
        bench.add(bench.random_store(20))
        await bench.finish()
        assert bench.done == [bench.index - 2, bench.index - 1]
