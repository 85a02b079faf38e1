"""Streams changed at random, and how the logic and the emulator must agree on them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.bench import Rig, small
from support.races import Doubt, clocks, doubt
from support.rtl.logic import MEMORY_END, TIMES, TINY, inputs, stream
from winogen.cost import simulate as cost
from winogen.emulation.device.emulated import DDR_BASE
from winogen.target import isa, registers
from winogen.target.checks import dram_range
from winogen.target.isa import FIELDS, Instruction, Opcode, Params, Table
from winogen.target.numerics import TABLE_ENTRIES
from winogen.target.registers import Access, Engine, ErrorCode, Segment

PAGE = 4096
WIDE = {access: [(0, 0xFFFF_FFFF)] for access in Access}


@dataclass
class Case:
    """A mutated stream, the memory that it begins with, and the windows of its accesses."""

    code: bytes
    weights: bytes
    serial: bool
    mutations: list[str]
    windows: dict[Access, list[tuple[int, int]]] = field(default_factory=lambda: WIDE)

    def instructions(self) -> list[Instruction]:
        return isa.decode(self.code)

    def executed(self) -> list[Instruction]:
        """The instructions before the first that is none."""
        try:
            found = self.instructions()
        except isa.BadOpcodeError as error:
            found = isa.decode(self.code[: isa.INSTRUCTION_BYTES * error.index])
        return list(takewhile(lambda x: not x.reserved, found))


#: Where in the weights segment the constants lie that fill the on-chip memories.
_FILL = 0x10000


@cache
def prelude() -> tuple[list[Instruction], bytes]:
    """Instructions that leave the same legal things in every on-chip memory, and their constants.

    Mutants read what nobody loaded; without this they would find what an earlier stream left.
    """
    core = TINY.core
    rng = np.random.default_rng(0)
    blob = bytearray()
    out: list[Instruction] = []

    def add(opcode: Opcode, data: bytes = b"", **fields: int) -> None:
        values = {n: 0 for n in FIELDS[opcode] if n not in ("opcode", "wait", "signal", "layer")}
        if data:
            values["offset"] = _FILL + len(blob)
            blob.extend(data + bytes(-len(data) % 64))
        out.append(isa.CLASSES[opcode](**values | fields))

    lanes = core.co_lanes * core.param_depth
    params = Params(
        bias=rng.integers(-1000, 1000, lanes), positive=rng.integers(-9999, 9999, lanes),
        negative=rng.integers(-9999, 9999, lanes), shift=rng.integers(8, 20, lanes),
        low=np.full(lanes, -128), high=np.full(lanes, 127),
    )  # fmt: skip
    add(Opcode.LOAD_PARAMS, isa.pack_params(params), count=core.param_depth)
    steps = [
        isa.StepEntry(position=i % 16, word=i % 4, accumulator=i % 4, first=int(i < 4))
        for i in range(core.step_depth)
    ]
    slots = 2 * core.accumulator_depth
    accumulators = [isa.AccumulatorEntry(4 * i // slots, position=0) for i in range(slots)]
    phases = [
        isa.PhaseEntry(i // 2 % 2, i % 2, param=i % 4, taps=1, positions=1 << i % 16)
        for i in range(core.phase_depth)
    ]
    for table, entries in ((Table.STEP, steps), (Table.ACCUMULATOR, accumulators),
                           (Table.PHASE, phases)):  # fmt: skip
        data = isa.pack_table(table, entries)
        add(Opcode.LOAD_TABLE, data, table=table, count=len(entries))
    activation = np.sort(rng.integers(-128, 128, TABLE_ENTRIES)).astype(np.int16)
    add(Opcode.LOAD_TABLE, isa.pack_activation(activation), table=Table.ACTIVATION,
        count=TABLE_ENTRIES)  # fmt: skip
    words = rng.integers(0, 256, core.input_depth * core.word_bytes, np.uint8).tobytes()
    add(Opcode.LOAD_INPUT, words, images=1, blocks=1, rows=core.input_depth // 2, columns=2,
        pitch=2, column_step=1, row_stride=2)  # fmt: skip
    words = rng.integers(0, 256, core.weight_depth * core.weight_word_bytes, np.uint8).tobytes()
    add(Opcode.LOAD_WEIGHTS, words, blocks=core.weight_depth, phases=1, taps=1)
    for output, last in ((0, 1), (128, 1), (0, 0)):
        add(
            Opcode.COMPUTE, first=1, last=last, rows=8, columns=16, pitch=18, images=1, blocks=1,
            tiles_y=8, tiles_x=16, tile=1, patch_rows=1, patch_columns=1, weight_stride=1,
            steps=1, accumulators=1, phases=1, output_base=output, output_rows=8,
            output_columns=16, stride_y=1, stride_x=1, origin_y=output // 64,
        )  # fmt: skip
    return out, bytes(blob)


def chain(instructions: list[Instruction]) -> None:
    """Tokens with which every instruction waits for the one before it."""
    for x in instructions:
        x.wait = x.signal = 0
    for a, b in pairwise(instructions):
        if a.engine is not b.engine:
            a.signal |= 1 << b.engine
            b.wait |= 1 << a.engine


def narrow(rng: Any) -> dict[Access, list[tuple[int, int]]]:
    """Windows to the segments as a driver would open them, or a page more or less."""

    def pages(base: int, nbytes: int) -> tuple[int, int]:
        first = base // PAGE
        last = (base + nbytes - 1) // PAGE
        return first + int(rng.random() < 0.1), max(0, last + int(rng.integers(-1, 2)))

    sizes = {Segment.WEIGHTS: 1 << 20, Segment.INPUT: 1 << 14, Segment.OUTPUT: 1 << 13,
             Segment.SCRATCH: 1 << 13}  # fmt: skip
    bases = Rig.BASES
    return {
        Access.READ: [pages(bases[s], sizes[s]) for s in Segment],
        Access.WRITE: [pages(bases[s], sizes[s]) for s in (Segment.OUTPUT, Segment.SCRATCH)],
        Access.FETCH: [(Rig.STREAM // PAGE, Rig.STREAM // PAGE + int(rng.integers(0, 3)))],
    }


def mutate_field(rng: Any, instructions: list[Instruction]) -> str:
    index = int(rng.integers(len(instructions)))
    x = instructions[index]
    name = str(rng.choice(list(isa.operands(x))))
    beyond = hasattr(x, "offset") and rng.random() < 0.15
    if beyond:
        name = "offset"
    f = FIELDS[x.opcode][name]
    low = -(1 << (f.width - 1)) if f.signed else 0
    high = (1 << (f.width - f.signed)) - 1
    kind = rng.random()
    if beyond:  # the end of memory
        value = MEMORY_END - Rig.BASES[Segment(x.segment)] + 8 * int(rng.integers(-64, 9))
    elif name in ("offset", "image_stride", "block_stride", "row_stride") and kind < 0.6:
        value = getattr(x, name) + (8 if name == "offset" else 1) * int(rng.integers(-16, 17))
    elif kind < 0.5:
        value = getattr(x, name) + int(rng.integers(-3, 4))
    elif kind < 0.7:
        value = int(rng.integers(0, 1 << min(f.width, int(rng.integers(1, 10)))))
    elif kind < 0.85:
        value = int(rng.choice([low, high, 0, 1, high - 1, high // 2]))
    else:
        value = int(rng.choice([getattr(y, name) for y in instructions if hasattr(y, name)]))
    setattr(x, name, int(np.clip(value, low, high)))
    return f"{index} {x.opcode.name}.{name} = {getattr(x, name)}"


def mutate_constant(rng: Any, instructions: list[Instruction], weights: bytearray) -> str:
    loads = [x for x in stream() if getattr(x, "segment", None) == Segment.WEIGHTS]
    x = loads[int(rng.integers(len(loads)))]
    span = dram_range(x, TINY.core)
    assert span is not None
    at = int(rng.integers(span[1], span[2]))
    weights[at] ^= 1 << int(rng.integers(8)) if rng.random() < 0.7 else int(rng.integers(1, 256))
    return f"{x.opcode.name} byte {at} = {weights[at]}"


def mutate_order(rng: Any, instructions: list[Instruction]) -> str:
    index = int(rng.integers(len(instructions)))
    kind = str(rng.choice(["drop", "repeat", "swap"]))
    if kind == "drop" and len(instructions) > 1:
        instructions.pop(index)
    elif kind == "repeat":
        instructions.insert(int(rng.integers(len(instructions))), deepcopy(instructions[index]))
    else:
        other = int(rng.integers(len(instructions)))
        instructions[index], instructions[other] = instructions[other], instructions[index]
    return f"{kind} {index}"


def mutant(rng: Any) -> Case:
    """The small stream with up to three changes, after the prelude.

    ``rng`` is a numpy Generator, or what hypothesis has in place of one.
    """
    before, fill = (deepcopy(x) for x in prelude())
    weights = bytearray(small(TINY.name).program.weights)
    weights.extend(bytes(_FILL - len(weights)))
    weights.extend(fill)
    serial = bool(rng.random() < 0.6)
    instructions = stream()
    mutations = []
    starve = bad = False
    for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3]))):
        kind = rng.random()
        if kind < 0.6 or (not serial and kind >= 0.85):
            mutations.append(mutate_field(rng, instructions))
        elif kind < 0.85:
            mutations.append(mutate_constant(rng, instructions, weights))
        elif kind < 0.93:
            mutations.append(mutate_order(rng, instructions))
        elif kind < 0.97:
            starve = True
        else:
            bad = True
    # The prelude comes first in any case.
    if serial:
        whole = [*before, *instructions]
        chain(whole)
    else:
        gate = deepcopy(before[-1])
        whole = [*before, gate]
        chain(whole)
        # Its last COMPUTE lets the loads begin, and they the others.
        whole[-1].signal |= 1 << Engine.LOAD
        instructions[0].wait |= 1 << Engine.COMPUTE
        whole += instructions
    if starve:
        givers = [x for x in whole if x.signal]
        givers[int(rng.integers(len(givers)))].signal = 0
        mutations.append("starve")
    code = bytearray(isa.encode(whole))
    if bad:
        at = 64 * int(rng.integers(len(before), len(whole))) + int(rng.choice([0, 0, 62, 63]))
        code[at] ^= 1 << int(rng.integers(8))
        mutations.append(f"byte {at}")
    windows = narrow(rng) if rng.random() < 0.5 else WIDE
    return Case(bytes(code), bytes(weights), serial, mutations, windows)


@cache
def first_memory() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, 8 << 20, np.uint8)


def outcome(rig: Rig, case: Case) -> dict[str, int]:
    """Run a case; what must agree, whatever the outcome."""
    rig.memory.device_write(DDR_BASE, first_memory())
    rig.put(Segment.WEIGHTS, case.weights)
    rig.put(Segment.INPUT, inputs_bytes())
    for access, pages in case.windows.items():
        rig.open(access, *pages)
    with np.errstate(all="ignore"):
        rig.start(case.code)
    return {n: rig.get(n) for n in ("STATUS", "ERROR_CODE", "ERROR_INSTRUCTION")}


@cache
def inputs_bytes() -> bytes:
    rig = Rig(TINY)
    rig.load(small(TINY.name), inputs(TINY.name))
    return rig.bytes(Segment.INPUT, 4096)


def too_long(case: Case) -> bool:
    """Some legal mutants multiply for minutes."""
    try:
        return cost.simulate(case.instructions(), TINY).cycles > 60_000
    except isa.BadOpcodeError:
        return False


def overlaps_itself(case: Case) -> bool:
    """Whether an instruction writes a word twice: nothing says which of the values stays."""
    places = {n: np.zeros(TINY.core.phase_depth, np.int64) for n in ("row", "column")}
    for x in case.instructions():
        f = isa.operands(x)
        if x.opcode is Opcode.LOAD_TABLE and f["table"] == Table.PHASE:
            data = case.weights[f["offset"] : f["offset"] + 8 * f["count"]]
            for name, values in isa.unpack_table(Table.PHASE, data).items():
                if name in places and f["segment"] == Segment.WEIGHTS:
                    places[name][f["base"] : f["base"] + len(values)] = values
        elif x.opcode is Opcode.STORE:
            n, y, c = np.indices((f["images"], f["rows"], f["columns"]))
            words = n * f["image_stride"] + y * f["row_stride"] + c
            if len(np.unique(words)) < words.size:
                return True
        elif x.opcode is Opcode.COMPUTE and f["last"]:
            used = slice(f["phase_base"], f["phase_base"] + f["phases"])
            side = f["tile"]
            shape = (f["tiles_y"] * side, f["tiles_x"] * side, f["phases"])
            y, c, phase = np.indices(shape)
            y = f["stride_y"] * y + places["row"][used][phase]
            c = f["stride_x"] * c + places["column"][used][phase]
            kept = (y < f["output_rows"]) & (c < f["output_columns"])
            words = (y * f["output_columns"] + c)[kept]
            if len(np.unique(words)) < words.size:
                return True
    return False


def straddles(x: Instruction, address: int) -> bool:
    """LOAD_PARAMS refused from an address on: a wrong shift may come before the missing bytes."""
    span = dram_range(x, TINY.core)
    if x.opcode is not Opcode.LOAD_PARAMS or span is None:
        return False
    return Rig.BASES[span[0]] + span[1] < address


def untouched(rig: Rig, case: Case) -> bool:
    """Whether all but the windows of stores, and what the test has put there, is as it was."""
    now, was = rig.memory.device_read(DDR_BASE, rig.memory.size), first_memory().copy()
    parts = [(rig.STREAM, len(case.code)), (rig.BASES[Segment.WEIGHTS], len(case.weights)),
             (rig.BASES[Segment.INPUT], 4096)]  # fmt: skip
    parts += [(f * PAGE, (n - f + 1) * PAGE) for f, n in case.windows[Access.WRITE] if f <= n]
    for start, nbytes in parts:
        place = slice(start - DDR_BASE, start - DDR_BASE + nbytes)
        was[place] = now[place]
    return np.array_equal(now, was)


def doubts(case: Case) -> Doubt:
    """What time decides of a case: of one that was serial too, since a byte may hold its tokens."""
    return doubt(case.executed(), TINY, case.weights, Rig.BASES, MEMORY_END)


def time_decides(case: Case, *outcomes: dict[str, int]) -> bool:
    """Whether tokens leave it open which of some outcomes a case has.

    So it is where an instruction at which one of them failed is legal or not by what it reads in a
    race; and where they failed at two of which neither is sure to have ended before the other.
    """
    failed = set()
    for outcome in outcomes:
        error = registers.unpack("ERROR_CODE", outcome["ERROR_CODE"])
        if error["code"] and error["engine"] != Engine.FETCH:
            failed.add(outcome["ERROR_INSTRUCTION"])
    if failed & doubts(case).failing:
        return True
    if len(failed) < 2:
        return False
    instructions = case.executed()
    clock = clocks(instructions)
    return not any(clock[b][instructions[a].engine] >= a for a in failed for b in failed if a != b)


def compare(case: Case, model: Rig, rig: Rig) -> str:
    """Run a case on both cores; returns how it ended."""
    want, got = outcome(model, case), outcome(rig, case)
    error = model.fields("ERROR_CODE")
    state = model.fields("STATUS")
    where = f"{case.mutations}, serial {case.serial}: emulator {want}, logic {got}"
    if case.windows is not WIDE:
        assert untouched(rig, case), where
    if (
        ErrorCode(error["code"]).has_address
        and error["engine"] == Engine.LOAD
        and straddles(case.executed()[want["ERROR_INSTRUCTION"]], model.get("ERROR_ADDRESS"))
    ):
        assert got["ERROR_INSTRUCTION"] == want["ERROR_INSTRUCTION"], where
        return "error"
    if want != got and time_decides(case, want, got):
        assert any(rig.fields("STATUS")[end] for end in ("done", "error")), where
        return "race"
    assert want == got, where
    if state["done"]:
        counters = {n: v for n, v in model.counters().items() if n not in TIMES}
        assert {n: v for n, v in rig.counters().items() if n not in TIMES} == counters, where
        if overlaps_itself(case):
            return "overlap"
        if not doubts(case).races:
            size = rig.memory.size
            a, b = (r.memory.device_read(DDR_BASE, size) for r in (model, rig))
            assert np.array_equal(a, b), (where, np.flatnonzero(a != b)[:8])
            return "done"
        return "race"
    code = ErrorCode(error["code"])
    assert rig.get("ERROR_ADDRESS") == model.get("ERROR_ADDRESS"), where
    assert code.has_address or rig.get("ERROR_ADDRESS") == 0, where
    return code.name
