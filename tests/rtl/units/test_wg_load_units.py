"""The load engine's units one by one, and the burst splitter, against their definitions.

``test_wg_load.py`` tests them together, with several configurations, faults of the bus, and
clear_i.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, Timer

from support.rtl.bits import instruction_bits, pack, unpack
from support.rtl.random_compute import DEPTHS
from support.rtl.units import begin, run_unit
from winogen.target.isa import CLASSES, FIELDS, Instruction, Opcode, Table

WIDTH, LANES = 16, 8
WORD = LANES * WIDTH // 8
DTYPE = np.dtype("<i2")
G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
TESTS = [
    *("runs_of_loads", "input_words", "weights", "tables_and_parameters", "bursts"),
    *("phases_in_turn", "taps_and_words", "transformed_words"),
]


def test_wg_load_units() -> None:
    depths = {name: DEPTHS[name] for name in ("InputDepth", "WeightDepth", "PhaseDepth")}
    parameters = {"DataWidth": WIDTH, "Lanes": LANES, **depths}
    run_unit("tb_load_units", "test_wg_load_units", parameters, TESTS)


def load(opcode: Opcode, **fields: int) -> Instruction:
    every = dict.fromkeys(list(FIELDS[opcode])[4:], 0)
    assert fields.keys() <= every.keys()
    return CLASSES[opcode](**every | fields)


class Bench:
    """Hands beats to one unit."""

    def __init__(self, dut, unit: str, seed: int) -> None:
        self.dut, self.unit = dut, unit
        self.rng = random.Random(seed)
        self.beats: deque[int] = deque()
        self.dones = 0

    async def reset(self) -> None:
        units = ("address", "input", "weights", "table")
        await begin(self.dut, *(f"{u}_start_valid" for u in units), "beat_count", "phase_we")

    def port(self, name: str) -> int:
        return int(getattr(self.dut, f"{self.unit}_{name}").value)

    async def start(self, instruction: Instruction, data: bytes) -> None:
        assert self.port("start_ready")
        self.beats.extend(np.frombuffer(data, "<u8").tolist())
        self.dut.start_bits.value = instruction_bits(instruction)
        start = getattr(self.dut, f"{self.unit}_start_valid")
        start.value = 1
        await FallingEdge(self.dut.clk_i)
        start.value = 0

    async def run(self, instruction: Instruction, data: bytes, look: Callable[[], None]) -> None:
        """Start it and give it its beats; ``look`` sees every cycle."""
        await self.start(instruction, data)
        done = self.dones
        for _ in range(6000):
            offer = min(len(self.beats), self.rng.choice((0, 1, 2, 2)))
            self.dut.beat_count.value = offer
            shown = [*list(self.beats)[:offer], *(self.rng.getrandbits(64) for _ in range(2))]
            self.dut.beat_data.value = shown[0] | shown[1] << 64
            await Timer(1, "ns")
            take = min(self.port("room"), offer)
            if take:
                assert self.port("want")
            await FallingEdge(self.dut.clk_i)
            for _ in range(take):
                self.beats.popleft()
            look()
            self.dones += self.port("done")
            if self.dones > done:
                break
        else:
            raise AssertionError("it does not end")
        assert not self.beats
        self.dut.beat_count.value = 0
        await FallingEdge(self.dut.clk_i)


@cocotb.test()
async def runs_of_loads(dut) -> None:
    bench = Bench(dut, "address", 1)
    rng = bench.rng
    await bench.reset()
    bases = [rng.randrange(1 << 30) * 64 for _ in range(4)]
    dut.address_segment_base.value = sum(base << 64 * i for i, base in enumerate(bases))
    for number in range(80):
        opcode = list(Opcode)[number % 4]
        f = {
            n: rng.choice((rng.getrandbits(x.width), rng.getrandbits(min(4, x.width))))
            for n, x in list(FIELDS[opcode].items())[4:]
        }
        f["offset"] = f["offset"] // WORD * WORD
        sizes = ("images", "blocks", "rows", "columns", "column_step", "count", "taps")
        f |= {n: max(1, f[n] % 5 if n in sizes[:3] else f[n]) for n in sizes if n in f}
        first = bases[f["segment"]] + f["offset"]
        if opcode is Opcode.LOAD_INPUT:
            length = ((f["columns"] - 1) * f["column_step"] + 1) * WORD
            expected = [
                (first + (n * f["image_stride"] + b * f["block_stride"] + y * f["row_stride"])
                 * WORD, length)
                for n, b, y in np.ndindex(f["images"], f["blocks"], f["rows"])
            ]  # fmt: skip
        elif opcode is Opcode.LOAD_WEIGHTS:
            expected = [(first, f["blocks"] * f["taps"] * LANES * WORD)]
        elif opcode is Opcode.LOAD_PARAMS:
            expected = [(first, f["count"] * LANES * 16)]
        else:
            expected = [(first, f["count"] * (2 if f["table"] == Table.ACTIVATION else 8))]
        await bench.start(CLASSES[opcode](**f), b"")
        got: list[tuple[int, int]] = []
        for _ in range(2000):
            dut.address_run_ready.value = ready = rng.randrange(2)
            if ready and bench.port("run_valid"):
                got.append((bench.port("run_addr"), bench.port("run_bytes")))
            await FallingEdge(dut.clk_i)
            if bench.port("start_ready"):
                break
        assert got == expected, opcode.name


@cocotb.test()
async def input_words(dut) -> None:
    bench = Bench(dut, "input", 2)
    rng = bench.rng
    await bench.reset()
    bits = len(dut.input_addr) // 4
    memory: dict[int, bytes] = {}

    def look() -> None:
        for bank in range(4):
            if bench.port("we") >> bank & 1:
                address = bench.port("addr") >> bits * bank & (1 << bits) - 1
                data = bench.port("data") >> 8 * WORD * bank & (1 << 8 * WORD) - 1
                assert 4 * address + bank not in memory, "written twice"
                memory[4 * address + bank] = data.to_bytes(WORD, "little")

    for _ in range(40):
        images, blocks, rows = (rng.randint(1, 3) for _ in range(3))
        columns, step = rng.randint(1, 9), rng.choice((1, 1, 2, 3, 7))
        pitch = columns + (2 - columns) % 4
        size = images * blocks * rows * pitch
        if size > DEPTHS["InputDepth"]:
            continue
        base = rng.randint(0, DEPTHS["InputDepth"] - size)
        length = (columns - 1) * step + 1
        lines = images * blocks * rows
        data = [[rng.randbytes(WORD) for _ in range(length)] for _ in range(lines)]
        fields = {"base": base, "images": images, "blocks": blocks, "rows": rows}
        fields |= {"columns": columns, "pitch": pitch, "column_step": step}
        memory.clear()
        stream = b"".join(map(b"".join, data))
        await bench.run(load(Opcode.LOAD_INPUT, **fields), stream, look)
        expected = {
            base + line * pitch + column: words[column * step]
            for line, words in enumerate(data)
            for column in range(columns)
        }
        assert memory == expected


@cocotb.test()
async def weights(dut) -> None:
    bench = Bench(dut, "weights", 3)
    rng = bench.rng
    await bench.reset()
    entries = []
    for address in range(DEPTHS["PhaseDepth"]):
        taps = rng.choice((0x1FF, 0x01B, rng.getrandbits(9) | 1))
        positions = rng.getrandbits(16) & rng.getrandbits(16) | 1 << rng.randrange(16)
        entries.append((taps, positions))
        dut.phase_we.value, dut.phase_addr.value = 1, address
        dut.phase_taps.value, dut.phase_positions.value = taps, positions
        await FallingEdge(dut.clk_i)
    dut.phase_we.value = 0
    memory = np.full((DEPTHS["WeightDepth"], LANES, LANES), -1, np.int64)
    part_bits = 2 * LANES * (WIDTH + 4)

    def look() -> None:
        for part in range(LANES // 2):
            if bench.port("we") >> part & 1:
                data = bench.port("data") >> part_bits * part & (1 << part_bits) - 1
                lanes = slice(2 * part, 2 * part + 2)
                memory[bench.port("addr"), lanes] = unpack(data, WIDTH + 4, (2, LANES))

    for number in range(16):
        winograd, blocks, count = number % 2, rng.randint(1, 3), rng.randint(1, 3)
        first = rng.randint(0, len(entries) - count)
        phases = entries[first : first + count]
        taps = sum(t.bit_count() for t, _ in phases)
        words = sum(p.bit_count() for _, p in phases) if winograd else taps
        base = rng.randint(0, DEPTHS["WeightDepth"] - blocks * words)
        raw = np.frombuffer(rng.randbytes(blocks * taps * LANES * WORD), DTYPE)
        g = raw.astype(np.int64).reshape(blocks, taps, LANES, LANES)
        expected = np.full_like(memory, -1)
        if winograd:
            parts, start = [], 0
            for mask, positions in phases:
                window = [t for t in range(9) if mask >> t & 1]
                filters = np.zeros((blocks, 9, LANES, LANES), np.int64)
                filters[:, window] = g[:, start : start + len(window)]
                start += len(window)
                filters = filters.reshape(blocks, 3, 3, LANES, LANES)
                u = np.einsum("ia,nabcd,jb->nijcd", G2, filters, G2)
                kept = [p for p in range(16) if positions >> p & 1]
                parts.append(u.reshape(blocks, 16, LANES, LANES)[:, kept])
            g = np.concatenate(parts, axis=1)
        expected[base : base + blocks * words] = g.reshape(-1, LANES, LANES)
        fields = {"base": base, "blocks": blocks, "phase_base": first, "phases": count}
        instruction = load(Opcode.LOAD_WEIGHTS, **fields, taps=taps, winograd=winograd)
        memory[:] = -1
        await bench.run(instruction, raw.tobytes(), look)
        assert bench.port("settled") and not bench.port("fault")
        np.testing.assert_array_equal(memory, expected)
    # Taps that are not those of the phases, and words beyond the end.
    one_too_far = DEPTHS["WeightDepth"] - blocks * words + 1
    for wrong in ({"taps": taps + 1}, {"base": one_too_far}):
        await bench.start(replace(instruction, **wrong), b"")
        for _ in range(20):
            await FallingEdge(dut.clk_i)
            assert not bench.port("we") and not bench.port("done")
        assert bench.port("fault")
        dut.clear_i.value = 1
        await FallingEdge(dut.clk_i)
        dut.clear_i.value = 0
        assert not bench.port("fault")


@cocotb.test()
async def tables_and_parameters(dut) -> None:
    bench = Bench(dut, "table", 4)
    rng = bench.rng
    await bench.reset()
    written: list[tuple[int, ...]] = []

    def look() -> None:
        if bench.port("tab_we"):
            written.append(tuple(bench.port(f"tab_{n}") for n in ("id", "addr", "data")))
        if bench.port("par_we"):
            written.append(tuple(bench.port(f"par_{n}") for n in ("addr", "lane", "data")))

    for number in range(30):
        base, count = rng.randrange(100), rng.randint(1, 9)
        written.clear()
        if number % 5 == 4:
            data = bytearray(rng.randbytes(16 * LANES * count))
            data[6::16] = bytes(rng.choice((1, 62, 30)) for _ in range(LANES * count))
            words = np.frombuffer(bytes(data), "<u8").tolist()
            expected = [
                (base + n // LANES, n % LANES, words[2 * n] | words[2 * n + 1] << 64)
                for n in range(LANES * count)
            ]
            instruction = load(Opcode.LOAD_PARAMS, base=base, count=count)
        else:
            table = number % 5
            size = 2 if table == Table.ACTIVATION else 8
            data = rng.randbytes(-(-size * count // 8) * 8)
            values = np.frombuffer(data, f"<u{size}").tolist()
            expected = [(table, base + n, values[n]) for n in range(count)]
            instruction = load(Opcode.LOAD_TABLE, base=base, count=count, table=table)
        await bench.run(instruction, bytes(data), look)
        assert written == expected
    for shift, wrong in ((0, True), (63, True), (62, False)):
        data = bytearray(16 * LANES)
        data[6::16] = bytes([1] * (LANES - 1) + [shift])
        faults: list[int] = []
        instruction = load(Opcode.LOAD_PARAMS, base=0, count=1)
        await bench.start(instruction, bytes(data))
        for beat in bench.beats:
            dut.beat_count.value, dut.beat_data.value = 1, beat
            await FallingEdge(dut.clk_i)
            faults.append(bench.port("fault"))
        dut.beat_count.value = 0
        bench.beats.clear()
        assert faults == [0] * (2 * LANES - 1) + [int(wrong)]
        assert bench.port("done") == (not wrong)
        await FallingEdge(dut.clk_i)


@cocotb.test()
async def bursts(dut) -> None:
    """The beats of the bursts are those of the runs; a last run's last burst says so."""
    rng = random.Random(5)
    await begin(dut, "split_run_valid", "split_burst_ready")
    runs: deque[tuple[int, int, int]] = deque()
    beats: deque[tuple[int, int]] = deque()  # address, and whether a last run ends here
    end = 0
    for _ in range(300):
        address = end if rng.random() < 0.5 else rng.randrange(1 << 40) * 8
        address = rng.choice((address, address, (address | 0xFFF) - 0x3F & ~7))
        count, last = rng.choice((1, 2, 15, 16, 17, rng.randint(1, 80))), int(rng.random() < 0.2)
        runs.append((address, 8 * count - rng.randrange(8), last))
        end = address + 8 * count
        beats.extend((address + 8 * n, int(last and n == count - 1)) for n in range(count))
    for _ in range(6000):
        if not beats:
            break
        dut.split_burst_ready.value = ready = int(rng.random() < 0.8)
        valid = bool(runs) and rng.random() < 0.6
        dut.split_run_valid.value = int(valid)
        if valid:
            dut.split_run_addr.value, dut.split_run_bytes.value, dut.split_run_last.value = runs[0]
            if dut.split_run_ready.value:
                runs.popleft()
        if ready and dut.split_burst_valid.value:
            address, count = int(dut.split_burst_addr.value), int(dut.split_burst_beats.value)
            assert 1 <= count <= 16 and address // 4096 == (address + 8 * count - 1) // 4096
            taken = [beats.popleft() for _ in range(count)]
            assert [a for a, _ in taken] == [address + 8 * n for n in range(count)]
            assert [e for _, e in taken[:-1]] == [0] * (count - 1)
            assert int(dut.split_burst_last.value) == taken[-1][1]
        await FallingEdge(dut.clk_i)
    assert not beats and not runs
    # Runs that continue each other, one a cycle, share bursts.
    dut.split_burst_ready.value = 1
    got = []
    for cycle in range(80):
        dut.split_run_valid.value = int(cycle % 2 == 0 and cycle < 64)
        dut.split_run_addr.value, dut.split_run_bytes.value = 0x1000 + 4 * cycle, 8
        dut.split_run_last.value = 0
        if dut.split_burst_valid.value:
            got.append((int(dut.split_burst_addr.value), int(dut.split_burst_beats.value)))
        await FallingEdge(dut.clk_i)
    assert got == [(0x1000, 16), (0x1080, 16)]


@cocotb.test()
async def phases_in_turn(dut) -> None:
    """The phases of an instruction, over and over, with how many bits they have."""
    rng = random.Random(6)
    await begin(dut, "walk_we", "walk_start", "walk_ready")
    entries = []
    for address in range(DEPTHS["PhaseDepth"]):
        entries.append((rng.getrandbits(9), rng.getrandbits(16)))
        dut.walk_we.value, dut.walk_waddr.value = 1, address
        dut.walk_taps.value, dut.walk_positions.value = entries[-1]
        await FallingEdge(dut.clk_i)
    dut.walk_we.value = 0
    for _ in range(12):
        count = rng.randint(1, len(entries))
        base = rng.randint(0, len(entries) - count)
        dut.walk_base.value, dut.walk_phases.value, dut.walk_start.value = base, count, 1
        await FallingEdge(dut.clk_i)
        dut.walk_start.value = 0
        pace, taken = rng.choice((0.3, 1.0)), 0
        for _ in range(100):
            dut.walk_ready.value = ready = int(rng.random() < pace)
            if ready and dut.walk_valid.value:
                taps, positions = entries[base + taken % count]
                counts = taps.bit_count() << 5 | positions.bit_count()
                assert int(dut.walk_phase.value) == taps << 25 | positions << 9 | counts
                taken += 1
            await FallingEdge(dut.clk_i)
        assert taken > 95 if pace == 1.0 else taken > 10


@cocotb.test()
async def taps_and_words(dut) -> None:
    """Right where the phases' taps are those of the instruction and all words fit."""
    rng = random.Random(7)
    depth = DEPTHS["WeightDepth"]
    await begin(dut, "check_active", "check_phase_valid")
    seen = set()
    for number in range(200):
        winograd, count = number % 2, rng.randint(1, 6)
        phases = [(rng.randint(0, 9), rng.randint(0, 16)) for _ in range(count)]
        taps = sum(t for t, _ in phases) + rng.choice((0, 0, 0, 1, -1))
        taps = max(0, taps)
        words = sum(p for _, p in phases) if winograd else taps
        blocks = rng.choice((1, 2, 3, depth // max(words, 1), rng.getrandbits(12)))
        base = max(0, rng.choice((0, depth, depth - blocks * words + rng.randint(-1, 1))))
        base %= 1 << 20
        dut.check_active.value, dut.check_winograd.value = 0, winograd
        dut.check_taps.value, dut.check_base.value, dut.check_blocks.value = taps, base, blocks
        dut.check_phases.value = count
        await FallingEdge(dut.clk_i)
        dut.check_active.value = 1
        left = deque(phases)
        for _ in range(100):
            valid = bool(left) and rng.random() < 0.7
            dut.check_phase_valid.value = int(valid)
            if valid:
                dut.check_tap_count.value, dut.check_position_count.value = left[0]
            await Timer(1, "ns")
            if valid and dut.check_phase_ready.value:
                left.popleft()
            if dut.check_right.value or dut.check_wrong.value:
                break
            await FallingEdge(dut.clk_i)
        right = taps == sum(t for t, _ in phases) and base + blocks * words <= depth
        assert not left
        assert (int(dut.check_right.value), int(dut.check_wrong.value)) == (right, not right)
        seen.add((winograd, right, base + blocks * words == depth))
        dut.check_active.value = 0
        await FallingEdge(dut.clk_i)
    assert {(w, True, True) for w in (0, 1)} <= seen


@cocotb.test()
async def transformed_words(dut) -> None:
    """Phases go through all slots, each word where it belongs, absent taps as zeros."""
    for whole in range(2):
        await transform_phases(dut, whole)


async def transform_phases(dut, whole: int) -> None:
    """Of the transform that writes half words or whole ones: their words, and the cycles."""
    rng = random.Random(8)
    parts, half = LANES // 2, LANES // 4
    await begin(dut, "turn_valid", "turn_we", "turn_full")
    dut.turn_whole.value = whole
    words: dict[tuple[int, int], np.ndarray] = {}
    lasts = written = address_of = 0

    async def step() -> None:
        nonlocal lasts, written, address_of
        await FallingEdge(dut.clk_i)
        for upper in range(2):  # where it goes is said a cycle before
            if written >> upper & 1:
                data = unpack(int(dut.turn_word_data.value), WIDTH + 4, (2, half, 2, LANES))
                assert (address_of, upper) not in words
                words[address_of, upper] = data[upper]
        written, address_of = int(dut.turn_word_we.value), int(dut.turn_word_addr.value)
        assert not written or (written == 3) == bool(whole)
        lasts += int(dut.turn_word_last.value)

    expected: dict[tuple[int, int], np.ndarray] = {}
    address = 0
    for number in range(12):
        taps = rng.choice((0x1FF, 0x01B, rng.getrandbits(9) | 1))
        positions = rng.getrandbits(16) & rng.getrandbits(16) | 1 << rng.randrange(16)
        window = [t for t in range(9) if taps >> t & 1]
        g = np.zeros((9, parts, 2, LANES), np.int64)
        low = -(1 << WIDTH - 1)
        g[window] = [
            [[[rng.choice((low, ~low, rng.randint(low, ~low))) for _ in range(LANES)]
              for _ in range(2)] for _ in range(parts)] for _ in window
        ]  # fmt: skip
        u = np.einsum("ia,abpcd,jb->ijpcd", G2, g.reshape(3, 3, parts, 2, LANES), G2)
        for n, position in enumerate(p for p in range(16) if positions >> p & 1):
            word = u.reshape(16, parts, 2, LANES)[position]
            expected[address + n, 0], expected[address + n, 1] = word[:half], word[half:]
        for _ in range(200):
            if dut.turn_ready.value:
                break
            await step()
        assert dut.turn_ready.value
        dut.turn_valid.value, dut.turn_last.value = 1, int(number % 3 == 2)
        dut.turn_taps.value, dut.turn_positions.value, dut.turn_addr.value = (
            taps, positions, address,
        )  # fmt: skip
        slot = int(dut.turn_slot.value)
        await step()
        dut.turn_valid.value = 0
        await step()
        for tap in window:
            for upper in range(2):
                for _ in range(rng.randrange(2)):
                    await step()
                final = tap == window[-1] and upper
                dut.turn_full.value, dut.turn_full_slot.value = int(bool(final)), slot
                await step()
                dut.turn_full.value = 0
                dut.turn_we.value, dut.turn_we_slot.value = 1, slot
                dut.turn_tap.value, dut.turn_upper.value = 1 << tap, upper
                dut.turn_data.value = pack(g[tap, upper * half : (upper + 1) * half], WIDTH)
                await step()
                dut.turn_we.value = 0
        address += positions.bit_count()
    for _ in range(100):
        await step()
    assert not dut.turn_busy.value
    assert words.keys() == expected.keys()
    for place, word in expected.items():
        np.testing.assert_array_equal(words[place], word)
    assert lasts == 4
