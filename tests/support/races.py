"""What instructions touch, and which of them are sure to follow each other, from a stream alone.

Nothing here uses :mod:`winogen.compiler.hazards`: the words are worked out anew, and
happens-before is proved by the tokens.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from winogen.target import isa
from winogen.target.board import Board
from winogen.target.checks import descriptor_problem, dram_range, table_depth
from winogen.target.isa import Instruction, Opcode, Table
from winogen.target.registers import Engine, Segment

ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)


CHANNELS = [(a, b) for a in ENGINES for b in ENGINES if a is not b]


#: Picks the engine that goes next among those that can.
Chooser = Callable[[list[Engine]], Engine]


def engines(mask: int) -> list[Engine]:
    return [e for e in ENGINES if mask >> e & 1]


def interleave(instructions: Sequence[Instruction], choose: Chooser) -> list[int]:
    """An order in which the engines may go; shorter than the stream if they wait for ever."""
    queues = {e: deque(i for i, x in enumerate(instructions) if x.engine is e) for e in ENGINES}
    tokens: Counter[tuple[Engine, Engine]] = Counter()
    order: list[int] = []
    while True:
        ready = [
            e for e, q in queues.items()
            if q and all(tokens[s, e] for s in engines(instructions[q[0]].wait))
            and all(tokens[e, t] < isa.MAX_TOKENS for t in engines(instructions[q[0]].signal))
        ]  # fmt: skip
        if not ready:
            return order
        engine = choose(ready)
        index = queues[engine].popleft()
        for source in engines(instructions[index].wait):
            tokens[source, engine] -= 1
        for target in engines(instructions[index].signal):
            tokens[engine, target] += 1
        order.append(index)


def greedy(preference: Sequence[Engine]) -> Chooser:
    """One engine runs as far ahead as it can, then the next."""
    return lambda ready: min(ready, key=preference.index)


def matched_tokens(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """(giver, taker) of every token: the n-th token of a channel goes to its n-th taker."""
    pairs = []
    for a, b in CHANNELS:
        given = [i for i, x in enumerate(instructions) if x.engine is a and b in engines(x.signal)]
        taken = [i for i, x in enumerate(instructions) if x.engine is b and a in engines(x.wait)]
        pairs += list(zip(given, taken))
    return pairs


def clocks(instructions: Sequence[Instruction]) -> NDArray[np.int64]:
    """For each instruction, the last one of each engine that is sure to have ended before it."""
    before: dict[int, list[int]] = {}
    for giver, taker in matched_tokens(instructions):
        before.setdefault(taker, []).append(giver)
    out = np.full((len(instructions), len(ENGINES)), -1, np.int64)
    last = np.full((len(ENGINES), len(ENGINES)), -1, np.int64)
    for index in interleave(instructions, greedy(ENGINES)):
        engine = instructions[index].engine
        clock = last[engine].copy()
        for giver in before.get(index, ()):
            clock = np.maximum(clock, out[giver])
            clock[instructions[giver].engine] = max(clock[instructions[giver].engine], giver)
        out[index] = clock
        last[engine] = clock
        last[engine, engine] = index
    return out


@dataclass
class Touch:
    """Words of a memory that an instruction reads or writes."""

    memory: str
    words: NDArray[np.int64]
    write: bool


def touches(instruction: Instruction, board: Board, phases: NDArray[np.int64]) -> list[Touch]:
    """All that an instruction reads and writes; ``phases`` holds the phase table's param column."""
    f, core = isa.operands(instruction), board.core
    out: list[Touch] = []

    def span(memory: str, start: int, count: int, write: bool = False) -> None:
        if count:
            out.append(Touch(memory, np.arange(start, start + count), write))

    def dram(shape: list[tuple[int, int]], write: bool = False) -> None:
        words = np.zeros(1, np.int64)
        for count, stride in shape:
            words = (words[:, None] + stride * np.arange(count)).ravel()
        words += f["offset"] // core.word_bytes
        out.append(Touch(f"dram{f['segment']}", words, write))

    opcode = instruction.opcode
    if opcode is Opcode.LOAD_INPUT:
        span("input", f["base"], f["images"] * f["blocks"] * f["rows"] * f["pitch"], True)
        dram([
            (f["images"], f["image_stride"]), (f["blocks"], f["block_stride"]),
            (f["rows"], f["row_stride"]), (f["columns"], f["column_step"]),
        ])  # fmt: skip
    elif opcode is Opcode.LOAD_PARAMS:
        span("param", f["base"], f["count"], True)
    elif opcode is Opcode.LOAD_TABLE:
        span(Table(f["table"]).name, f["base"], f["count"], True)
    elif opcode is Opcode.STORE:
        span("output", f["base"], f["images"] * f["rows"] * f["columns"])
        dram([(f["images"], f["image_stride"]), (f["rows"], f["row_stride"]), (f["columns"], 1)],
             write=True)  # fmt: skip
    elif opcode is Opcode.COMPUTE:
        region = f["images"] * f["blocks"] * f["rows"] * f["pitch"]
        span("input", f["input_base"], region)
        span("weight", f["weight_base"], f["blocks"] * f["weight_stride"])
        span("STEP", f["step_base"], f["steps"])
        span("ACCUMULATOR", f["accumulator_base"], f["accumulators"])
        span("PHASE", f["phase_base"], f["phases"])
        used = phases[f["phase_base"] : f["phase_base"] + f["phases"]]
        span("param", f["param_base"], int(used.max()) + 1)
        if f["activation"]:
            span("ACTIVATION", 0, isa.TABLE_ENTRIES)
        if f["last"]:
            words = f["images"] * f["output_rows"] * f["output_columns"]
            span("output", f["output_base"], words, True)
    return out


def weight_words(instruction: Instruction, positions: NDArray[np.int64]) -> Touch:
    """What LOAD_WEIGHTS writes; ``positions`` holds the phase table's masks."""
    f = isa.operands(instruction)
    used = positions[f["phase_base"] : f["phase_base"] + f["phases"]]
    words = sum(int(p).bit_count() for p in used) if f["winograd"] else f["taps"]
    return Touch("weight", np.arange(f["base"], f["base"] + f["blocks"] * words), True)


@dataclass
class Race:
    """Two instructions, by index, that touch the same word in no certain order."""

    memory: str
    writer: int
    other: int


def touched(
    instructions: Sequence[Instruction], board: Board, weights: bytes
) -> Iterator[list[Touch]]:
    """All that each of the instructions touches, in their order."""
    table = {n: np.zeros(table_depth(Table.PHASE, board.core), np.int64)
             for n in ("param", "positions")}  # fmt: skip
    for x in instructions:
        if x.opcode is Opcode.LOAD_TABLE and x.table == Table.PHASE:
            # What else than constants is loaded may say anything.
            table["param"][x.base : x.base + x.count] = board.core.param_depth - 1
            table["positions"][x.base : x.base + x.count] = 0xFFFF
            data = weights[x.offset : x.offset + 8 * x.count]
            if x.segment == Segment.WEIGHTS and len(data) == 8 * x.count:
                for name, values in isa.unpack_table(Table.PHASE, data).items():
                    if name in table:
                        table[name][x.base : x.base + x.count] = values
        here = touches(x, board, table["param"])
        if x.opcode is Opcode.LOAD_WEIGHTS:
            here.append(weight_words(x, table["positions"]))
        yield here


def races(instructions: Sequence[Instruction], board: Board, weights: bytes) -> list[Race]:
    """Pairs of instructions that touch the same word in no certain order, one of them writing."""
    return races_among(instructions, list(touched(instructions, board, weights)))


def races_among(instructions: Sequence[Instruction], touches: Sequence[list[Touch]]) -> list[Race]:
    """:func:`races`, for what each instruction touches."""
    clock = clocks(instructions)
    size: Counter[str] = Counter()
    for touch in chain.from_iterable(touches):
        size[touch.memory] = max(size[touch.memory], 1 + int(touch.words.max(initial=0)))
    latest: dict[tuple[str, bool], NDArray[np.int64]] = {}
    found = []
    for index, (x, here) in enumerate(zip(instructions, touches)):
        for touch in here:
            for write in (True, False) if touch.write else (True,):
                seen = latest.get((touch.memory, write))
                if seen is None:
                    continue
                late = seen[:, touch.words] > clock[index][:, None]
                late[x.engine] = False
                for other in map(int, np.unique(seen[:, touch.words][late])):
                    pair = (other, index) if write else (index, other)
                    found.append(Race(touch.memory, *pair))
            key = (touch.memory, touch.write)
            if key not in latest:
                latest[key] = np.full((3, size[touch.memory]), -1, np.int64)
            latest[key][x.engine, touch.words] = index
    return found


#: What makes an instruction illegal beside its fields, by what it reads.
DECIDING = {
    Opcode.COMPUTE: {"STEP", "ACCUMULATOR", "PHASE", "param"},
    Opcode.LOAD_WEIGHTS: {"PHASE"},
    Opcode.LOAD_PARAMS: {"dram"},
}


@dataclass
class Doubt:
    """What time decides of a stream.

    Attributes
    ----------
    races : on words of any memory, all of DRAM being one
    failing : instructions that may be legal or not, as what decides it is read in a race, or comes
        from what was
    """

    races: list[Race]
    failing: set[int]


def doubt(
    instructions: Sequence[Instruction], board: Board, weights: bytes,
    bases: Mapping[Segment, int], end: int,
) -> Doubt:  # fmt: skip
    """What time decides, where segments lie at ``bases`` of a memory that ends at ``end``.

    What the hardware refuses by its fields touches nothing, nor does anything beyond the memory.
    """
    core = board.core
    legal = [descriptor_problem(x, core) is None for x in instructions]
    found: list[list[Touch]] = [[] for _ in instructions]
    indices = [i for i, good in enumerate(legal) if good]
    kept = [instructions[i] for i in indices]
    for index, x, here in zip(indices, kept, touched(kept, board, weights)):
        for t in [t for t in here if t.memory.startswith("dram")]:
            t.memory, t.words = "dram", t.words + bases[x.segment] // core.word_bytes
            t.words = t.words[t.words < end // core.word_bytes]
        span = dram_range(x, core)
        if span is not None and x.opcode not in (Opcode.LOAD_INPUT, Opcode.STORE):
            start, stop = (min(bases[span[0]] + at, end) for at in span[1:])
            words = np.arange(start // core.word_bytes, -(-stop // core.word_bytes))
            here.append(Touch("dram", words, False))
        if x.opcode is Opcode.LOAD_WEIGHTS:
            here.append(Touch("PHASE", np.arange(x.phase_base, x.phase_base + x.phases), False))
        if x.opcode is Opcode.COMPUTE:  # all of the partial sums in one
            here += [Touch("psum", np.zeros(1, np.int64), write) for write in (False, True)]
        found[index] = here
    pairs = races_among(instructions, found)
    racing = {(r.memory, r.other) for r in pairs}
    uncertain: dict[str, set[int]] = {}
    failing = set()
    for index in interleave(instructions, greedy(ENGINES)):
        x = instructions[index]
        through = {
            t.memory for t in found[index]
            if not t.write and ((t.memory, index) in racing
                                or not uncertain.get(t.memory, set()).isdisjoint(t.words.tolist()))
        }  # fmt: skip
        if through & DECIDING.get(x.opcode, set()):
            failing.add(index)
        for t in found[index] if through else []:
            if t.write:
                uncertain.setdefault(t.memory, set()).update(t.words.tolist())
    return Doubt(pairs, failing)
