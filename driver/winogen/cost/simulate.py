"""The cost model: how many cycles a stream takes, instruction by instruction.

Counters of the emulated device come from here, and the tables of predicted cycles. The model
knows the array's shape, the DRAM's bandwidth and latency, the queues and the tokens; it does not
know the data. ``timing.py`` says how long each unit works, this module lets them run together.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from winogen.cost.units import (
    TOKEN_CYCLES,
    ComputeUnit,
    Dram,
    FetchUnit,
    LoadUnit,
    StoreUnit,
    load_bytes,
    store_bytes,
    tile_groups,
)
from winogen.target.board import Board
from winogen.target.isa import (
    INSTRUCTION_BYTES,
    MAX_TOKENS,
    Compute,
    Instruction,
    Store,
    Transfer,
)
from winogen.target.microarchitecture import LOGIC
from winogen.target.registers import Engine

_ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
_OTHERS = {e: tuple(o for o in _ENGINES if o is not e) for e in _ENGINES}


@dataclass(frozen=True)
class Work:
    """What one instruction does: DRAM bytes, multiplies issued by the array."""

    read_bytes: int = 0
    written_bytes: int = 0
    multiplies: int = 0


def instruction_work(instruction: Instruction, board: Board) -> Work:
    """Bytes and multiplies of one instruction."""
    if isinstance(instruction, Compute):
        groups, _, blocks = tile_groups(instruction, board.core.tile_lanes)
        steps = groups * blocks * instruction.steps
        return Work(multiplies=steps * (1 + instruction.pair) * board.core.multipliers)
    if isinstance(instruction, Store):
        return Work(written_bytes=store_bytes(instruction, board)[0])
    assert isinstance(instruction, Transfer)
    return Work(read_bytes=load_bytes(instruction, board)[0])


@dataclass
class EngineTime:
    """Cycles in which an engine had something in flight, and those in which it had nothing and
    waited for a token."""

    busy: int = 0
    stall: int = 0


@dataclass
class Timeline:
    """A simulated run of a stream.

    Attributes
    ----------
    start, end : cycle in which each instruction begins and ends (its tokens are given)
    stall : cycles before its start in which each waited for a token and its engine had no other
    cycles : cycle in which the stream ends
    deadlock : index of an instruction that waits for ever, or None
    waiting : what waits then at the head of each engine's queue
    fetched : instructions that were read
    order : instructions in an order that the tokens allow
    """

    start: list[int]
    end: list[int]
    stall: list[int]
    engines: dict[Engine, EngineTime]
    cycles: int = 0
    multiplies: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    completed: int = 0
    deadlock: int | None = None
    waiting: dict[Engine, int] = field(default_factory=dict)
    fetched: int = 0
    order: list[int] = field(default_factory=list)


def simulate(
    instructions: Sequence[Instruction], board: Board, stop_after: int | None = None
) -> Timeline:
    """Run a stream against the cost model: fetch, in-order engines, tokens, one shared DRAM.

    ``stop_after`` ends the run once so many instructions have begun.
    """
    run = _Run(instructions, board)
    limit = len(instructions) if stop_after is None else stop_after
    while run.step(limit):
        pass
    return run.line


class _Run:
    """The state of a simulated run, from event to event."""

    def __init__(self, instructions: Sequence[Instruction], board: Board):
        count = len(instructions)
        self._instructions = instructions
        self._board = board
        self._dram, self._fetch = Dram(board), FetchUnit(board)
        self._load, self._compute = LoadUnit(board), ComputeUnit(board.core)
        self._store = StoreUnit(board)
        self._units: dict[Engine, LoadUnit | ComputeUnit | StoreUnit] = {
            Engine.LOAD: self._load, Engine.COMPUTE: self._compute, Engine.STORE: self._store
        }  # fmt: skip
        self._handed = 0
        #: What waits in each engine's queue and since when, and when those before it began.
        self._queues: dict[Engine, deque[tuple[int, float]]] = {e: deque() for e in _ENGINES}
        depth = LOGIC.queue_depth
        self._begun = {e: deque([0] * depth, maxlen=depth) for e in _ENGINES}
        #: Instructions that have begun and not ended, and the end of the latest that has.
        self._flying = dict.fromkeys(_ENGINES, 0)
        self._ended = dict.fromkeys(_ENGINES, 0)
        #: When each token was given, and how many there are with those that are still promised.
        self._tokens: dict[tuple[Engine, Engine], deque[int]] = {
            (a, b): deque() for a in _ENGINES for b in _ENGINES if a is not b
        }
        self._promised = dict.fromkeys(self._tokens, 0)
        #: When the latest tokens were taken, each of which made room for one more.
        self._taken = {pair: deque([0] * MAX_TOKENS, maxlen=MAX_TOKENS) for pair in self._tokens}
        start, end, stall = ([0] * count for _ in range(3))
        self.line = Timeline(start, end, stall, {e: EngineTime() for e in _ENGINES})
        self.line.bytes_read = count * INSTRUCTION_BYTES

    def step(self, limit: int) -> bool:
        """Go on to the next event; False if there is none."""
        self._hand_out()
        self._ask()
        more = len(self.line.order) < limit
        heads = [(self._next(e), e) for e in _ENGINES] if more else []
        begin, engine = min(heads, default=(math.inf, Engine.FETCH))
        moved = self._dram.next()
        if begin <= moved and begin < math.inf:
            self._begin(engine, math.ceil(begin))
            return True
        if self.line.completed == limit:
            self.line.fetched = self._handed
            return False
        if moved == math.inf:
            line, left = self.line, self._handed < len(self._instructions)
            line.waiting = {e: q[0][0] for e, q in self._queues.items() if q}
            line.fetched = self._handed + left
            line.deadlock = min([*line.waiting.values(), *([self._handed] if left else [])])
            return False
        for port in self._dram.advance(moved):
            if port is Engine.FETCH:
                self._fetch.arrived.append(moved)
            else:
                mover = self._load if port is Engine.LOAD else self._store
                self._end(port, *mover.finish(moved))
        return True

    def _hand_out(self) -> None:
        """Instructions that have arrived go to their engines' queues, while there is room."""
        while self._fetch.arrived:
            instruction = self._instructions[self._handed]
            queue = self._queues[instruction.engine]
            if len(queue) == LOGIC.queue_depth:
                return
            # The one that was that many before it has made room.
            room = self._begun[instruction.engine][len(queue)]
            queue.append((self._handed, self._fetch.hand(instruction.opcode, room)))
            self._handed += 1

    def _ask(self) -> None:
        """Every port has a transfer if there is something to move."""
        dram, fetch = self._dram, self._fetch
        more = fetch.asked < len(self._instructions) and fetch.wants(self._handed)
        if more and dram.idle(Engine.FETCH):
            dram.request(Engine.FETCH, fetch.request(), INSTRUCTION_BYTES)
        for port, mover in ((Engine.LOAD, self._load), (Engine.STORE, self._store)):
            if dram.idle(port):
                transfer = mover.transfer()
                if transfer:
                    dram.request(port, *transfer)

    def _next(self, engine: Engine) -> float:
        """When the head of an engine's queue can begin; infinity if that is not known."""
        queue = self._queues[engine]
        if not queue:
            return math.inf
        index, time = queue[0]
        head = self._instructions[index]
        # A wait for itself is an illegal descriptor, not a wait: the engine will say so.
        for other in _OTHERS[engine] if head.signal or head.wait else ():
            if head.signal >> other & 1:
                promised = self._promised[engine, other]
                if promised == MAX_TOKENS:
                    return math.inf
                # The token that was that many before it has made room.
                time = max(time, self._taken[engine, other][promised] + TOKEN_CYCLES)
            if head.wait >> other & 1:
                tokens = self._tokens[other, engine]
                if not tokens:
                    return math.inf
                time = max(time, tokens[0] + TOKEN_CYCLES)
        return max(time, self._units[engine].ready)

    def _begin(self, engine: Engine, at: int) -> None:
        index, handed = self._queues[engine].popleft()
        instruction = self._instructions[index]
        line = self.line
        line.order.append(index)
        line.start[index] = at
        self._begun[engine].append(at)
        for other in _OTHERS[engine]:
            if instruction.wait >> other & 1:
                self._tokens[other, engine].popleft()
                self._promised[other, engine] -= 1
                self._taken[other, engine].append(at)
            if instruction.signal >> other & 1:
                self._promised[engine, other] += 1
        if instruction.wait and not self._flying[engine]:
            idle = max(self._ended[engine], math.ceil(handed))
            line.stall[index] = max(0, at - idle)
            line.engines[engine].stall += line.stall[index]
        self._flying[engine] += 1
        work = instruction_work(instruction, self._board)
        line.multiplies += work.multiplies
        line.bytes_read += work.read_bytes
        line.bytes_written += work.written_bytes
        if isinstance(instruction, Compute):
            self._end(engine, index, self._compute.begin(instruction, at))
        elif isinstance(instruction, Store):
            self._store.begin(index, instruction, at)
        else:
            assert isinstance(instruction, Transfer)
            self._load.begin(index, instruction, at)

    def _end(self, engine: Engine, index: int, end: int) -> None:
        line, instruction = self.line, self._instructions[index]
        line.end[index] = end
        line.engines[engine].busy += end - max(line.start[index], self._ended[engine])
        self._ended[engine] = end
        self._flying[engine] -= 1
        for other in _OTHERS[engine]:
            if instruction.signal >> other & 1:
                self._tokens[engine, other].append(end)
        line.cycles = max(line.cycles, end)
        line.completed += 1
