"""The cost model: how many cycles each instruction takes, and how the engines overlap.

Counters of the emulated device come from here, and the tables of predicted cycles. The model
knows the array's shape, the DRAM's bandwidth and latency, and the tokens; it does not know the
data.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from winogen import isa
from winogen.board import BEAT_BYTES, Board
from winogen.isa import INSTRUCTION_BYTES, MAX_TOKENS, Instruction, Opcode, Table
from winogen.registers import Engine

#: Pixels that the input buffer delivers in a cycle: a 2 x 2 square, one from each bank.
PATCH_PIXELS_PER_CYCLE = 4
#: Cycles from a COMPUTE's first patch read to its last partial sum beside the steps themselves.
COMPUTE_FILL = 32
#: Cycles to decode a load or store and issue its first address.
TRANSFER_START = 8


@dataclass(frozen=True)
class Work:
    """What one instruction costs: engine cycles, DRAM bytes, multiplies issued by the array."""

    cycles: int
    read_bytes: int = 0
    written_bytes: int = 0
    multiplies: int = 0


def instruction_work(instruction: Instruction, board: Board) -> Work:
    """Cost of one instruction alone, with no other engine in its way."""
    if instruction.opcode is Opcode.COMPUTE:
        return _compute_work(instruction, board)
    if instruction.opcode is Opcode.STORE:
        f = instruction.fields
        size = f["images"] * f["rows"] * f["columns"] * board.core.word_bytes
        return Work(_transfer_cycles(size, 1, board), written_bytes=size)
    size = _load_bytes(instruction, board)
    return Work(_transfer_cycles(size, board.core.read_ports, board), read_bytes=size)


def _transfer_cycles(size: int, ports: int, board: Board) -> int:
    rate = min(board.dram_bytes_per_cycle, BEAT_BYTES * ports)
    return TRANSFER_START + math.ceil(size / rate)


def _load_bytes(instruction: Instruction, board: Board) -> int:
    f = instruction.fields
    core = board.core
    if instruction.opcode is Opcode.LOAD_INPUT:
        # Every pixel between the first and last of a row crosses the bus; the step drops some.
        span = (f["columns"] - 1) * f["column_step"] + 1
        return f["images"] * f["blocks"] * f["rows"] * span * core.word_bytes
    if instruction.opcode is Opcode.LOAD_PARAMS:
        return f["count"] * core.co_lanes * isa.PARAM_BYTES
    if instruction.opcode is Opcode.LOAD_TABLE:
        return f["count"] * isa.TABLE_ENTRY_BYTES[Table(f["table"])]
    return f["blocks"] * f["taps"] * core.weight_word_bytes


def _compute_work(instruction: Instruction, board: Board) -> Work:
    f = instruction.fields
    core = board.core
    tiles = f["images"] * f["tiles_y"] * f["tiles_x"]
    groups = -(-tiles // core.tile_lanes)
    pixels = core.tile_lanes * f["patch_rows"] * f["patch_columns"]
    block = max(f["steps"], -(-pixels // PATCH_PIXELS_PER_CYCLE))
    drain = max(f["accumulators"], core.tile_lanes * f["phases"] * f["tile"] ** 2)
    cycles = groups * max(f["blocks"] * block, drain) + COMPUTE_FILL
    issued = groups * f["blocks"] * f["steps"] * core.multipliers
    return Work(cycles, multiplies=issued)


@dataclass
class EngineTime:
    """Cycles that an engine worked (waiting for memory included), and waited for a token."""

    busy: int = 0
    stall: int = 0


@dataclass
class Timeline:
    """A simulated run of a stream.

    Attributes
    ----------
    start, end : cycle in which each instruction begins and ends (its tokens are given)
    cycles : cycle in which the last instruction ends
    deadlock : index of an instruction that waits for ever, or None
    """

    start: list[int]
    end: list[int]
    engines: dict[Engine, EngineTime]
    cycles: int = 0
    multiplies: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    completed: int = 0
    deadlock: int | None = None
    order: list[int] = field(default_factory=list)


def simulate(
    instructions: Sequence[Instruction], board: Board, stop_after: int | None = None
) -> Timeline:
    """Run a stream against the cost model: in-order engines, tokens, one shared DRAM.

    ``stop_after`` ends the run once so many instructions have begun.
    """
    queues = {
        e: deque(i for i, x in enumerate(instructions) if x.engine is e)
        for e in (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
    }
    tokens = {(a, b): deque() for a in queues for b in queues if a is not b}  # type: ignore[var-annotated]
    free = dict.fromkeys(queues, 0)
    dram_free = 0.0
    line = Timeline(
        [0] * len(instructions), [0] * len(instructions), {e: EngineTime() for e in queues}
    )
    while any(queues.values()) and line.completed != stop_after:
        ready = []
        for engine, queue in queues.items():
            if not queue:
                continue
            head = instructions[queue[0]]
            # A wait for itself is an illegal descriptor, not a wait: the engine will say so.
            sources = [s for s in _engines(head.wait) if s is not engine]
            targets = [tokens.get((engine, t), ()) for t in _engines(head.signal)]
            room = all(len(t) < MAX_TOKENS for t in targets)
            if room and all(tokens.get((s, engine)) for s in sources):
                times = [tokens[s, engine][0] for s in sources]
                ready.append((max([free[engine], *times]), engine))
        if not ready:
            line.deadlock = min(q[0] for q in queues.values() if q)
            break
        begin, engine = min(ready)
        index = queues[engine].popleft()
        instruction = instructions[index]
        work = instruction_work(instruction, board)
        time = line.engines[engine]
        time.stall += begin - free[engine]
        for source in _engines(instruction.wait):
            if source is not engine:
                tokens[source, engine].popleft()
        latency, taken = 0, begin
        moved = work.read_bytes + work.written_bytes
        if moved:
            begin = max(begin, math.ceil(dram_free))
            dram_free = begin + moved / board.dram_bytes_per_cycle
            latency = board.dram_latency
        end = begin + work.cycles
        time.busy += end - taken
        free[engine] = end  # requests of the next transfer overlap with the latency of this one
        for target in _engines(instruction.signal):
            if (engine, target) in tokens:
                tokens[engine, target].append(end + latency)
        line.start[index], line.end[index] = begin, end + latency
        line.cycles = max(line.cycles, end + latency)
        line.multiplies += work.multiplies
        line.bytes_read += work.read_bytes
        line.bytes_written += work.written_bytes
        line.completed += 1
        line.order.append(index)
    line.bytes_read += len(instructions) * INSTRUCTION_BYTES
    return line


def _engines(mask: int) -> list[Engine]:
    return [Engine(bit) for bit in range(3) if mask >> bit & 1]
