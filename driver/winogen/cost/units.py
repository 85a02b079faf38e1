"""Cycles of the accelerator's units, for the cost model: DRAM, fetch and the three engines.

The formulas are those of the logic (``hw_src/rtl``; docs/design/hardware.md follows one tile
through it). An engine here knows when it may begin its next instruction, which bytes that moves,
and when it ends. None of them knows data; where timing depends on tables, the mean is taken.
Instructions that the hardware refuses (counts of zero) get some time too. Times are cycles since
the stream began.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from winogen.target import isa
from winogen.target.board import Board, CoreConfig
from winogen.target.isa import (
    INSTRUCTION_BYTES,
    Compute,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Opcode,
    Store,
    Table,
    Transfer,
)
from winogen.target.microarchitecture import LOGIC
from winogen.target.refusals import CHECK_SLOTS
from winogen.target.registers import Engine
from winogen.target.weight_code import BOOK, GROUP, Coding

#: A port announces a burst every other cycle at most.
BURST_CYCLES = 2
#: Between a burst's last beat and the next burst that takes its place: registers at both ends.
BURST_TURN = 6

#: Cycles before the memory sees the address of the first instruction: wg_control, wg_fetch and
#: wg_reader start in 7, and its window is checked. wg_control needs 3 to see that the last
#: instruction has ended; they are counted here, so that a stream ends with its last instruction.
START_CYCLES = 7 + LOGIC.window_cycles + 3
#: Instructions that fetch reads ahead.
FETCH_AHEAD = LOGIC.fetch_fifo_beats * LOGIC.beat_bytes // INSTRUCTION_BYTES
#: Groups of tiles of a COMPUTE that are followed one by one; the others go on like them.
SIMULATED_GROUPS = 6
#: Cycles more of an array with two products a multiplier: to make pairs and to tell sums apart.
PACKED_CYCLES = 3
#: Cycles of coded weights from their last beat to the collector: the pipeline of wg_decode.
DECODE_CYCLES = 5
#: Cycles from a phase's last position to its word in the weight buffer.
TURN_CYCLES = 8
#: Cycles of a direct tap in the filter transform.
TAP_CYCLES = 2
#: Cycles from its start to its first piece: a beat comes, then the codebook, a value a cycle.
BOOK_CYCLES = 2 + BOOK
#: Cycles of the requantiser and the activation.
_FINISH = LOGIC.requantise_latency + LOGIC.activation_latency
#: From the end of an instruction to the beginning of one that waited for its token, or from the
#: beginning of one that takes a token to that of one that waited for the room.
TOKEN_CYCLES = 2


class Dram:
    """The memory: each port has one transfer at a time, and those under way share the bandwidth.

    They take turns beat by beat, so a port's share does not depend on what the others ask for.
    The load engine has ``read_ports`` turns, fetch and the store engine one each.
    """

    def __init__(self, board: Board):
        self._rate = board.dram_bytes_per_cycle
        self._weights = {Engine.LOAD: board.core.read_ports, Engine.STORE: 1, Engine.FETCH: 1}
        self._transfers: dict[Engine, _Transfer] = {}
        self._now = 0.0

    def idle(self, port: Engine) -> bool:
        """Whether the port has no transfer."""
        return port not in self._transfers

    def request(self, port: Engine, begin: float, size: int, least: float = 0.0) -> None:
        """The next transfer of a port: its first data come at ``begin``, it takes ``least``."""
        fastest = size / least if least else math.inf
        self._transfers[port] = _Transfer(max(begin, self._now), size, fastest)
        self._share()

    def next(self) -> float:
        """When a transfer begins or ends next, if no other comes; infinity if there is none."""
        now = self._now
        return min(
            (t.begin if t.begin > now else now + t.left / t.rate for t in self._transfers.values()),
            default=math.inf,
        )

    def advance(self, time: float) -> list[Engine]:
        """Let time pass, not beyond ``next()``; the ports whose transfers have ended."""
        ended = []
        for port, transfer in self._transfers.items():
            if transfer.begin <= self._now:
                transfer.left -= transfer.rate * (time - self._now)
                if transfer.left < 1e-3:
                    ended.append(port)
        for port in ended:
            del self._transfers[port]
        self._now = time
        self._share()
        return ended

    def _share(self) -> None:
        """Divide the bandwidth among the transfers under way."""
        active = [(p, t) for p, t in self._transfers.items() if t.begin <= self._now]
        turn = self._rate / max(sum(self._weights[p] for p, _ in active), 1)
        for port, transfer in active:
            transfer.rate = min(transfer.fastest, self._weights[port] * min(turn, LOGIC.beat_bytes))


@dataclass
class _Transfer:
    begin: float
    left: float
    fastest: float
    rate: float = 0.0


class FetchUnit:
    """wg_fetch: reads the stream ahead, handles one instruction after the other."""

    def __init__(self, board: Board):
        self._latency = START_CYCLES + board.dram_latency
        self._taken: deque[float] = deque([0.0] * FETCH_AHEAD, maxlen=FETCH_AHEAD)
        self._free = 0.0
        self.asked = 0
        self.arrived: deque[float] = deque()

    def wants(self, handed: int) -> bool:
        """Whether the reader has room for one more instruction; ``handed`` have left."""
        return self.asked - handed < FETCH_AHEAD

    def request(self) -> float:
        """Ask for the next instruction; when its first beat comes."""
        self.asked += 1
        return self._taken[0] + self._latency

    def hand(self, opcode: Opcode, room: float) -> float:
        """When the oldest that has arrived is in its engine's queue, which has room by ``room``."""
        taken = max(self._free + INSTRUCTION_BYTES // LOGIC.beat_bytes, self.arrived.popleft())
        self._taken.append(taken)
        self._free = max(taken + check_cycles(opcode), room)
        return self._free + 2  # the head of the queue, then go_q of wg_issue


class LoadUnit:
    """wg_load: a front that asks for bytes, and a back that writes the memories."""

    def __init__(self, board: Board):
        self._board = board
        self._front = 0.0
        self._taken: deque[float] = deque([0.0] * LOGIC.load_ahead, maxlen=LOGIC.load_ahead)
        #: Instructions whose data have not all come: index, when it began, first data, bytes.
        self._waiting: deque[tuple[int, Transfer, int, float, int, Runs]] = deque()
        #: When the back can take beats again, and when all it took has been written.
        self._back = self._settled = 0.0
        #: When the filter transform has worked off all phases that it has.
        self._turned = 0.0
        #: Cycles of a burst of the latest transfer, and when the port can announce one more.
        self._burst, self._room = math.inf, 0.0
        rate = min(board.dram_bytes_per_cycle, LOGIC.beat_bytes * board.core.read_ports)
        self._capacity = LOGIC.load_fifo_beats * board.core.read_ports * LOGIC.beat_bytes / rate

    @property
    def ready(self) -> float:
        """When the next instruction can begin; infinity while the queue has no room."""
        if len(self._waiting) == LOGIC.load_ahead:
            return math.inf
        # The one that was that many before it has made room.
        return max(self._front, self._taken[len(self._waiting)] + 1)

    def begin(self, index: int, instruction: Transfer, at: int) -> None:
        """The front takes an instruction."""
        factor = rows = 1
        if isinstance(instruction, LoadInput):
            factor = instruction.column_step
            rows = instruction.images * instruction.blocks * instruction.rows
        elif isinstance(instruction, LoadWeights) and not instruction.coding:
            factor = instruction.blocks
        # The size of a run by shifting and adding, a bit a cycle; then a run a cycle, which goes
        # through wg_burst_split, wg_window and the port's register.
        sized = at + 1 + factor.bit_length()
        self._front = sized + 2 + rows
        first = sized + 5 + LOGIC.window_cycles + self._board.dram_latency
        size, runs = load_bytes(instruction, self._board)
        self._waiting.append((index, instruction, at, first, size, runs))

    def transfer(self) -> tuple[float, int, float] | None:
        """First data, bytes and least cycles of the oldest waiting instruction's transfer."""
        if not self._waiting:
            return None
        _, _, _, first, size, runs = self._waiting[0]
        core = self._board.core
        latency = self._board.dram_latency
        # Nothing is asked for that the queues have no room for, nor while too much is under way.
        begin = max(first + runs.join, self._back - self._capacity, self._room + latency)
        rate = self._board.dram_bytes_per_cycle / LOGIC.beat_bytes
        cycles = runs.cycles(latency, core.read_ports, rate)
        # The next burst takes the place of one of the last.
        bursts = max(runs.bursts(core.read_ports), 1)
        self._burst = cycles / bursts if bursts >= LOGIC.outstanding else math.inf
        return begin, size, cycles

    def finish(self, last: float) -> tuple[int, int]:
        """The transfer has ended: the instruction and its end."""
        index, f, at, _, size, _ = self._waiting.popleft()
        back = back_cycles(f, size, self._board.core)
        # The transform of the weights before may still run.
        free = self._back if isinstance(f, LoadWeights) else self._settled
        taken = max(at + 2.0, free)
        self._taken.append(taken)
        self._room = last - (LOGIC.outstanding - 1) * self._burst + BURST_TURN
        written = 3 + (DECODE_CYCLES if isinstance(f, LoadWeights) and f.coding else 0)
        begun = taken + back.setup
        done = max(begun + back.beats, last + written)
        settled = done
        if back.transform:
            # Phases are transformed one after the other, while others are collected in free slots;
            # the last when its taps are complete.
            collected = (done - begun) * back.phase / back.transform
            turned = max(self._turned, begun + collected) + back.transform
            # When the last began to be collected, no more were held than there are slots.
            done = max(done, turned - LOGIC.tap_slots * back.phase + collected)
            self._turned = settled = max(turned, done + back.phase)
        self._back = done + 1
        self._settled = settled + back.tail
        return index, math.ceil(self._settled)


class ComputeUnit:
    """wg_compute: patches, multipliers and drain, each with its own instruction."""

    def __init__(self, core: CoreConfig):
        self._core = core
        self._fetch = self._array = self._end = 0.0
        #: When the drain took the latest instructions, and freed the latest accumulator halves.
        self._taken: deque[float] = deque([0.0] * LOGIC.compute_ahead, maxlen=LOGIC.compute_ahead)
        self._drained = (0.0, 0.0)

    @property
    def ready(self) -> float:
        """When the next instruction can begin."""
        return max(self._fetch, self._taken[0] + 1)

    def begin(self, f: Compute, at: int) -> int:
        """Run an instruction; returns its end."""
        core = self._core
        groups, last_tiles, blocks = tile_groups(f, core.tile_lanes)
        tiles = core.tile_lanes if groups > 1 else last_tiles
        rows, steps, setup = f.patch_rows, f.steps, 6 + core.tile_lanes
        if not f.winograd and f.patch_columns <= 2:
            rows = -(-rows // 2)  # squares: two rows a read
        reads, work = tiles * rows, blocks * steps  # of a block and of a group
        # From a step to its sum in the accumulators.
        to_sums = 8 + core.ci_lanes + (PACKED_CYCLES if core.products == 2 else 0)
        accumulators = f.accumulators / max(f.phases, 1)

        # The drain takes a phase's accumulators and one cycle more, or as long as the words of the
        # phase before need to leave; two more cycles to take a group. Phases are taken to be alike.
        # The first figure is the time of a group alone, the second after another group.
        def drain(tiles: int) -> tuple[float, float]:
            words = tiles * f.tile**2
            others = (f.phases - 1) * max(accumulators + 1, words)
            after = max(accumulators + 3, words) + others
            # The second block of a pair follows the first as another group does.
            return accumulators + 3 + others + f.pair * after, (1 + f.pair) * after

        taken = self._end + 1
        self._taken.append(taken)
        array, patches = self._array + 1, at + setup + 6
        older, newer = self._drained
        shown = min(groups, SIMULATED_GROUPS)
        for number in range(shown):
            first = patches + (number * blocks + 1) * reads
            last = patches + (number + 1) * blocks * reads
            # Two groups have an accumulator half each, from the first step to the drain's end.
            array = max(max(array, first, older + 1) + work, last + steps)
            alone, after = drain(tiles if number < groups - 1 else last_tiles)
            free = newer + after if number else taken + alone
            older, newer = newer, max(array + to_sums - 1 + alone, free)
        # The others follow at the pace of the slowest: steps, patches, drain, way of a half.
        pace = max(work, blocks * reads, after, (work + to_sums + alone) / 2)
        rest = (groups - shown) * pace
        self._array = array + rest
        self._drained = (older + rest, newer + rest)
        self._fetch = max(
            at + setup + ((groups - 1) * tiles + last_tiles) * rows * blocks,
            self._array - LOGIC.patch_slots * steps,
        )
        # The last words go through the requantiser and the activation, or to the partial sums.
        out = newer + rest + last_tiles * f.tile**2
        self._end = math.ceil(out + (6 + _FINISH if f.last else 6))
        return self._end


class StoreUnit:
    """wg_store and wg_axi_write: announces rows, sends words, waits for the responses."""

    #: Instructions whose data may wait.
    AHEAD = 2

    def __init__(self, board: Board):
        self._board = board
        self._free = 0.0
        self._waiting: deque[tuple[int, int, int, Runs]] = deque()

    @property
    def ready(self) -> float:
        """When the next instruction can begin; infinity while too many wait."""
        return math.inf if len(self._waiting) == self.AHEAD else self._free

    def begin(self, index: int, instruction: Store, at: int) -> None:
        """The engine takes an instruction."""
        rows = instruction.images * instruction.rows
        size, runs = store_bytes(instruction, self._board)
        self._free = at + 3 + max(rows, size // LOGIC.beat_bytes)
        self._waiting.append((index, at, size, runs))

    def transfer(self) -> tuple[float, int, float] | None:
        """First data, bytes and least cycles of the oldest waiting instruction's transfer."""
        if not self._waiting:
            return None
        _, at, size, runs = self._waiting[0]
        first = at + 8 + LOGIC.window_cycles + runs.join
        return first, size, runs.cycles(self._board.dram_latency)

    def finish(self, last: float) -> tuple[int, int]:
        """The transfer has ended: the instruction and its end."""
        index, _, _, _ = self._waiting.popleft()
        return index, math.ceil(last + self._board.dram_latency)


def check_cycles(opcode: Opcode) -> int:
    """Cycles of fetch from an instruction's last beat until it can read the next one's first."""
    # StDecode, the check's slots and its pipeline, StDispatch.
    return 1 + CHECK_SLOTS[opcode] + LOGIC.check_cycles + 1


def tile_groups(f: Compute, lanes: int) -> tuple[int, int, int]:
    """Groups of tiles, tiles of the last group, and blocks of input channels of a COMPUTE."""
    tiles = f.images * f.tiles_y * f.tiles_x
    groups = max(-(-tiles // lanes), 1)
    return groups, tiles - (groups - 1) * lanes, f.blocks


class BackCycles(NamedTuple):
    """What the back of wg_load takes for an instruction, in cycles.

    Attributes
    ----------
    setup : before the first beat is taken
    beats : for all beats
    tail : from the last to the end
    phase, transform : of the filter transform for a phase or direct tap, and for all of them
    """

    setup: int
    beats: int
    tail: float = 2.0
    phase: float = 0.0
    transform: float = 0.0


def back_cycles(f: Transfer, size: int, core: CoreConfig) -> BackCycles:
    """Cycles of the back of wg_load for a LOAD_* of ``size`` bytes."""
    # Of the beats on offer, two words of input at the most, or half of a tap.
    most = 2 * core.word_bytes
    if isinstance(f, LoadWeights):
        most = LOGIC.beat_bytes * core.read_ports if f.coding else core.weight_word_bytes // 2
    port_bytes = min(LOGIC.beat_bytes * core.read_ports, most)
    beats = math.ceil(size / port_bytes)
    if isinstance(f, LoadInput):
        rows = f.images * f.blocks * f.rows  # each ends with a beat of its own
        return BackCycles(1, rows * math.ceil(size / max(rows, 1) / port_bytes))
    if isinstance(f, LoadWeights):
        setup = f.phases + f.blocks.bit_length() + 5  # counts taps and words first
        if f.coding:
            # The codebook comes meanwhile, then the bitmaps that are ahead.
            ahead = LOGIC.code_ahead if f.coding == Coding.BITMAP else 0
            setup = max(setup, BOOK_CYCLES + ahead + DECODE_CYCLES)
            beats = max(beats, decode_cycles(f, core))
        if f.winograd:
            phase, turned = _phase_cycles(f, core), transform_cycles(f, core)
        else:  # taps pass the transform as they are
            phase, turned = TAP_CYCLES, TAP_CYCLES * f.blocks * f.taps
        return BackCycles(setup, beats, TURN_CYCLES, phase, turned)
    if isinstance(f, LoadTable) and f.table == Table.ACTIVATION:
        return BackCycles(1, f.count)  # an entry a cycle
    return BackCycles(1, size // LOGIC.beat_bytes)  # one beat a cycle, however many ports


def decode_cycles(f: LoadWeights, core: CoreConfig) -> int:
    """Cycles of wg_decode for the weights of a load alone, a group in each; 0 of plain ones."""
    return f.blocks * f.taps * core.ci_lanes * core.co_lanes // GROUP if f.coding else 0


def transform_cycles(f: LoadWeights, core: CoreConfig) -> float:
    """Cycles of the filter transform for the weights of a load; 0 in direct mode."""
    return f.blocks * f.phases * _phase_cycles(f, core) if f.winograd else 0.0


def _phase_cycles(f: LoadWeights, core: CoreConfig) -> float:
    """Of a phase of r x c taps, which has (r + 1) (c + 1) positions: one or two for each."""
    positions = (math.sqrt(f.taps / max(f.phases, 1)) + 1) ** 2
    return positions if core.whole_words else 2 * positions


def peak_bytes_per_cycle(board: Board) -> float:
    """DRAM bytes that a clock cycle can bring: the memory's, or the ports' if they are slower."""
    return min(board.dram_bytes_per_cycle, LOGIC.beat_bytes * board.core.read_ports)


def plain_weight_bytes(f: LoadWeights, core: CoreConfig) -> int:
    """Bytes that the weights of a load would be plain, or are."""
    return f.blocks * f.taps * core.weight_word_bytes


def load_bytes(f: Transfer, board: Board) -> tuple[int, Runs]:
    """Bytes that a LOAD_* reads, and the runs that they lie in."""
    core = board.core
    if isinstance(f, LoadInput):
        # Every pixel between the first and last of a row crosses the bus; the step drops some.
        span = max((f.columns - 1) * f.column_step + 1, 0)
        strides = (f.row_stride, f.block_stride, f.image_stride)
        counts = (f.rows, f.blocks, f.images)
        size = math.prod(counts) * span * core.word_bytes
        return size, _runs(span, zip(counts, strides), core.word_bytes)
    if isinstance(f, LoadParams):
        size = f.count * core.co_lanes * isa.PARAM_BYTES
    elif isinstance(f, LoadTable):
        size = f.count * isa.TABLE_ENTRY_BYTES[Table(f.table)]
    else:
        assert isinstance(f, LoadWeights)
        size = f.beats * LOGIC.beat_bytes if f.coding else plain_weight_bytes(f, core)
    return size, Runs(1, -(-size // LOGIC.beat_bytes))


def store_bytes(f: Store, board: Board) -> tuple[int, Runs]:
    """Bytes that a STORE writes, and the runs that they lie in."""
    word_bytes = board.core.word_bytes
    size = f.images * f.rows * f.columns * word_bytes
    box = ((f.rows, f.row_stride), (f.images, f.image_stride))
    return size, _runs(f.columns, box, word_bytes)


@dataclass(frozen=True)
class Runs:
    """So many runs of contiguous beats, each as long as the others.

    ``rows`` are in a run; each takes a cycle to join the burst (wg_burst_split).
    """

    count: int
    beats: int
    rows: int = 1

    @property
    def join(self) -> int:
        """Cycles until the rows of the first burst are joined."""
        of_burst = LOGIC.burst_beats * self.rows // max(self.beats, 1)
        return max(min(self.rows, of_burst), 1) - 1

    def bursts(self, ports: int = 1) -> int:
        """Bursts of the busiest port; they go to the ports in turn."""
        return -(-self.count * -(-self.beats // LOGIC.burst_beats) // ports)

    def cycles(self, latency: int, ports: int = 1, rate: float = math.inf) -> float:
        """Least cycles of a transfer, from first to last data: what its busiest port takes.

        ``rate`` are the beats a cycle of the memory, which the ports share while all have some.

        A port moves a beat a cycle, announces a burst every other cycle, and has only so
        many bursts under way, each of which waits for the latency and its own beats.
        """
        bursts = self.bursts(ports)
        if not bursts:
            return 0.0
        of_run = -(-self.beats // LOGIC.burst_beats)
        beats = self.beats / of_run
        if ports > 1 and of_run % ports == 0:
            # The short ones at the end of the runs all go to another port.
            beats = LOGIC.burst_beats
            busy = of_run // ports * LOGIC.burst_beats
            alone = of_run * LOGIC.burst_beats - self.beats  # the others have less to move
            shared = (busy - alone) * max(1.0, ports / rate)
            beats *= max(1.0, (shared + alone * max(1.0, 1 / rate)) / busy)
        most = LOGIC.outstanding
        trips = max(bursts - most, 0) / most
        waiting = trips * (latency + BURST_TURN + beats) + min(bursts, most) * beats
        return max(bursts * BURST_CYCLES, bursts * beats, waiting)


def _runs(words: int, box: Iterable[tuple[int, int]], word_bytes: int) -> Runs:
    """Runs of a box of rows of so many words; rows that continue each other make one run."""
    count = rows = 1
    for number, stride in box:
        if count == 1 and (number == 1 or stride == words):
            words, rows = words * number, rows * number
        else:
            count *= number
    return Runs(count, words * word_bytes // LOGIC.beat_bytes, rows)
