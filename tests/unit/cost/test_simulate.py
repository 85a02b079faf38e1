"""The cost model: hand arithmetic on hand-made streams, and the speed-ups that it predicts.

``tests/rtl/core/test_cost.py`` holds it to the cycles of the logic.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from support.bench import single
from winogen.compiler.lower import Mode
from winogen.compiler.pack import pack_network
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.schedule import schedule
from winogen.compiler.shape import ConvShape
from winogen.cost.simulate import Timeline, instruction_work, simulate
from winogen.cost.units import Dram
from winogen.network.graph import InputSpec
from winogen.program.formats import TensorFormat
from winogen.target.board import load_board
from winogen.target.isa import CLASSES, FIELDS, MAX_TOKENS, Instruction, Opcode
from winogen.target.numerics import Requantiser
from winogen.target.registers import Engine

#: 8 bytes a cycle from DRAM through two ports of 8, 10 cycles of latency: easy to do by hand.
BOARD = replace(single(load_board("pynq-z2")), clock_mhz=100, dram_mb_s=800, dram_latency=10)
#: Twice what the two read ports take.
FAST = replace(BOARD, dram_mb_s=3200)
LOAD, COMPUTE, STORE = 1, 2, 4  # bits of wait and signal
#: Cycles in which a burst's window is checked.
CHECKED = 2
#: The first instruction's first beat: 10 cycles to start, 10 of latency; then its 8 beats.
FETCHED = 10 + CHECKED + 10 + 8
#: Cycles from the end of an instruction to the beginning of one that waited for it.
TOKEN = 2


def handed(slots: int) -> int:
    """Cycles of decode, check and dispatch, and 2 more in the engine's queue."""
    return 1 + slots + 4 + 1 + 2


def instruction(opcode: Opcode, wait: int = 0, signal: int = 0, **fields: int) -> Instruction:
    values = {name: fields.pop(name, 0) for name in list(FIELDS[opcode])[4:]}
    assert not fields
    return CLASSES[opcode](**values, wait=wait, signal=signal)


def load(words: int, rows: int = 1, **tokens: int) -> Instruction:
    """A load of so many 8-byte words of input; rows do not continue each other."""
    return instruction(Opcode.LOAD_INPUT, images=1, blocks=1, rows=rows, columns=words,
                       column_step=1, row_stride=words + 1, **tokens)  # fmt: skip


def store(words: int, **tokens: int) -> Instruction:
    return instruction(Opcode.STORE, images=1, rows=1, columns=words, **tokens)


def compute(tiles: int, blocks: int = 1, **values: int) -> Instruction:
    """36 steps a tile and block, in groups of 3 tiles; four phases of 9 accumulators."""
    fields = {
        "images": 1,
        "blocks": blocks,
        "tiles_y": 1,
        "tiles_x": tiles,
        "tile": 2,
        "patch_rows": 4,
        "patch_columns": 4,
        "steps": 36,
        "accumulators": 36,
        "phases": 4,
    }
    return instruction(Opcode.COMPUTE, **{**fields, **values})  # fmt: skip


def alone(made: Instruction, board=BOARD) -> int:
    """Cycles of one instruction, from its begin to its end."""
    run = simulate([made], board)
    return run.end[0] - run.start[0]


# One instruction


@pytest.mark.parametrize(
    ("made", "read", "written"),
    [
        (load(100), 800, 0),
        (instruction(Opcode.LOAD_INPUT, images=2, blocks=3, rows=5, columns=4, column_step=3),
         2 * 3 * 5 * 10 * 8, 0),  # the pixels between are read and dropped
        (instruction(Opcode.LOAD_WEIGHTS, blocks=4, taps=25, phases=4), 4 * 25 * 64, 0),
        (instruction(Opcode.LOAD_PARAMS, count=3), 3 * 8 * 16, 0),
        (instruction(Opcode.LOAD_TABLE, table=0, count=49), 49 * 8, 0),
        (instruction(Opcode.LOAD_TABLE, table=3, count=1025), 2050, 0),
        (instruction(Opcode.STORE, images=2, rows=3, columns=4), 0, 24 * 8),
    ],
)  # fmt: skip
def test_bytes(made, read, written):
    work = instruction_work(made, BOARD)
    assert (work.read_bytes, work.written_bytes, work.multiplies) == (read, written, 0)


def test_multiplies():
    # 7 tiles are 3 groups of 3; a group takes 36 steps for each of 5 blocks.
    assert instruction_work(compute(7, blocks=5), BOARD).multiplies == 3 * 5 * 36 * 192


#: From a load's begin to its first data (2 to size a run, 5 and the check on the way, the latency),
#: and from its last data to its end.
ASKED, WRITTEN = 2 + 5 + CHECKED + 10, 3 + 2
#: From a store's begin to its first beat.
SENT = 8 + CHECKED


@pytest.mark.parametrize(
    ("made", "cycles"),
    [
        (load(100), ASKED + 100 + WRITTEN),
        # One burst comes through one port: two cycles for a row, however short.
        (load(1, rows=40), ASKED + 40 + WRITTEN),
        (instruction(Opcode.LOAD_PARAMS, count=3), ASKED + 48 + WRITTEN),
        # An entry a cycle, and the back begins 2 cycles and a set-up of 1 after the front.
        (instruction(Opcode.LOAD_TABLE, table=3, count=1025), 3 + 1025 + 2),
        # 2 cycles more to multiply the taps by 4 blocks.
        # Then the last tap takes 2 in the transform, and its pipeline.
        (instruction(Opcode.LOAD_WEIGHTS, blocks=4, taps=25, phases=4),
         ASKED + 2 + 800 + 3 + 2 + 8),
        # A phase of 4 taps has 9 positions.
        (instruction(Opcode.LOAD_WEIGHTS, blocks=4, taps=16, phases=4, winograd=1),
         ASKED + 2 + 512 + 3 + 9 + 8),
    ],
)  # fmt: skip
def test_loads(made, cycles):
    assert alone(made) == cycles


def test_half_words_take_two_cycles():
    made = instruction(Opcode.LOAD_WEIGHTS, blocks=4, taps=16, phases=4, winograd=1)
    bare = replace(BOARD, core=replace(BOARD.core, decoder=0))
    assert alone(made, bare) == alone(made) + 9


def test_ports_limit_a_transfer_where_dram_does_not():
    assert alone(load(96), FAST) == ASKED + 96 // 2 + WRITTEN
    assert alone(load(16), FAST) == ASKED + 16 + WRITTEN  # a burst is not divided
    assert alone(store(96), FAST) == SENT + 96 + 10  # stores have one port


def test_latency_limits_short_bursts():
    """8 bursts are outstanding in each of 2 ports; each takes the latency, 6 cycles and a beat."""
    far = replace(BOARD, dram_latency=73)
    first = ASKED + 73 - 10
    assert alone(load(1, rows=16), far) == first + 16 + WRITTEN
    assert alone(load(1, rows=160), far) == first + (80 - 8) // 8 * 80 + 8 + WRITTEN


def test_ports_take_bursts_in_turn():
    """Rows of 20 words are bursts of 16 and 4: one port moves all the long ones."""
    assert alone(load(20, rows=30), FAST) == ASKED + 30 * 16 + WRITTEN
    assert alone(load(40, rows=30), FAST) == ASKED + 30 * 20 + WRITTEN


@pytest.mark.parametrize(
    ("made", "cycles"),
    [
        # Set-up 9, 12 reads and 6 for their pipeline; 36 steps and 15 for their sums; the drain of
        # 9 accumulators in 12, and of three more phases in 12, because 12 words leave meanwhile;
        # the last 12 words, and 6 cycles to the partial sums.
        (compute(3), 9 + 12 + 6 + 36 + 15 + 4 * 12 + 12 + 6),
        (compute(3, last=1), 9 + 12 + 6 + 36 + 15 + 4 * 12 + 12 + 23),
        # One tile: 4 reads, 9 + 1 cycles for each phase, 2 for the group.
        (compute(1), 9 + 4 + 6 + 36 + 15 + 4 * 10 + 2 + 4 + 6),
        # A second group of one tile waits for the drain of the first.
        (compute(4), 9 + 12 + 6 + 36 + 15 + 4 * 12 + 4 * 10 + 2 + 4 + 6),
        # The steps of other blocks and groups.
        (compute(3, blocks=5), 9 + 12 + 6 + 5 * 36 + 15 + 4 * 12 + 12 + 6),
        (compute(60, blocks=5), 9 + 12 + 6 + 20 * 5 * 36 + 15 + 4 * 12 + 12 + 6),
        # 12 reads a block take longer than 3 steps; with squares (2 columns) they are 6.
        (compute(3, blocks=5, steps=3), 9 + 12 + 6 + 4 * 12 + 3 + 15 + 4 * 12 + 12 + 6),
        (compute(3, blocks=5, steps=3, patch_columns=2),
         9 + 6 + 6 + 4 * 6 + 3 + 15 + 4 * 12 + 12 + 6),
        # One step, one accumulator: a half comes back after 1 + 16 + 4 cycles, for two groups.
        (compute(30, steps=1, accumulators=1, phases=1, tile=1, patch_rows=1, patch_columns=1),
         9 + 3 + 6 + 4 * 21 + 4 + 1 + 15 + 4 + 3 + 6),
    ],
)  # fmt: skip
def test_computes(made, cycles):
    assert alone(made) == cycles


def test_a_compute_with_many_groups_keeps_the_pace_of_the_slowest():
    def pace(**fields: int) -> float:
        return (alone(compute(3000, **fields)) - alone(compute(600, **fields))) / 800

    assert pace(blocks=2) == 72  # steps
    assert pace(blocks=2, winograd=1, steps=5) == 48  # the drain: four phases of 12 words
    few = {"accumulators": 4, "phases": 1, "tile": 1, "winograd": 1}
    assert pace(blocks=8, steps=5, **few) == 96  # 12 reads for each block
    assert pace(patch_rows=1, steps=10, **few) == (10 + 16 + 7) / 2  # the way of a half


# Engines together


def test_a_chain_by_hand():
    """Load 100, compute 3 tiles, store 10, each waiting for the one before."""
    stream = [load(100, signal=COMPUTE), compute(3, wait=LOAD, signal=STORE),
              store(10, wait=COMPUTE)]  # fmt: skip
    line = simulate(stream, BOARD)
    begin = FETCHED + handed(7)
    loaded = begin + ASKED + 100 + WRITTEN
    computed = loaded + TOKEN + 144
    stored = computed + TOKEN + SENT + 10 + 10  # first beat, 10 words, latency to the response
    assert line.start == [begin, loaded + TOKEN, computed + TOKEN]
    assert line.end == [loaded, computed, stored]
    assert line.cycles == stored
    assert {e: t.busy for e, t in line.engines.items()} == {
        Engine.LOAD: loaded - begin, Engine.COMPUTE: 144, Engine.STORE: SENT + 20
    }  # fmt: skip
    # The others come 8 + 1 + check + 4 + 1 cycles one after the other, and wait from then on.
    second = begin + 14 + 19
    assert {e: t.stall for e, t in line.engines.items()} == {
        Engine.LOAD: 0,
        Engine.COMPUTE: loaded + TOKEN - second,
        Engine.STORE: computed + TOKEN - (second + 14 + 5),
    }
    assert line.bytes_read == 800 + 3 * 64
    assert line.bytes_written == 80
    assert line.order == [0, 1, 2]


def test_fetch_takes_its_time():
    """8 beats, decode, check and dispatch; the reader is ahead."""
    params = instruction(Opcode.LOAD_PARAMS, count=1)
    line = simulate([params] * 3 + [compute(1)] * 2 + [store(1)], BOARD)
    assert np.diff(line.start[:4]).tolist() == [15, 15, 33]
    assert line.start[5] - line.start[3] == 33 + 19


def test_loads_hide_under_compute():
    """Double buffering: the second load runs while the first is computed on."""
    ahead = [load(100, signal=COMPUTE), load(100, signal=COMPUTE),
             compute(30, wait=LOAD), compute(30, wait=LOAD)]  # fmt: skip
    behind = [ahead[0], compute(30, wait=LOAD, signal=LOAD),
              load(100, wait=COMPUTE, signal=COMPUTE), ahead[3]]  # fmt: skip
    one, hidden = alone(compute(30)), alone(load(100))
    slow, fast = (simulate(s, BOARD).cycles for s in (behind, ahead))
    assert slow == FETCHED + handed(7) + 2 * (one + hidden) + 3 * TOKEN
    # The stages of the second compute overlap with the first one's too.
    assert slow - fast > hidden
    assert fast < FETCHED + handed(7) + 2 * one + hidden + TOKEN


def test_engines_share_the_dram():
    """A load has two turns and a store one; what one leaves is the other's."""
    dram = Dram(BOARD)
    dram.request(Engine.LOAD, 10, 1600)
    dram.request(Engine.STORE, 0, 80 + 400)
    ends = {}
    while dram.next() < 1e6:
        time = dram.next()
        ends.update(dict.fromkeys(dram.advance(time), time))
    # 10 cycles alone, then 8/3 bytes a cycle for 150; the load has 800 bytes left.
    assert ends == {Engine.STORE: pytest.approx(160), Engine.LOAD: pytest.approx(260)}


def test_a_load_slows_down_a_store():
    far = [load(1000), store(100)]
    line = simulate(far, BOARD)
    assert line.end[1] - line.start[1] > alone(store(100)) + 150
    assert line.end[0] - line.start[0] == pytest.approx(alone(load(1000)) + 100, abs=2 * 16 + 8)


def test_the_latency_of_a_transfer_hides_behind_the_one_before():
    line = simulate([load(100), load(100), load(100)], BOARD)
    assert np.diff(line.end).tolist() == [100, 100]


def test_a_full_queue_holds_up_all_engines():
    """16 wait in a queue, and fetch holds the next: nobody gets what comes after."""
    slow = instruction(Opcode.LOAD_TABLE, table=3, count=1025)
    line = simulate([slow] * 24 + [compute(1)], BOARD)
    assert 0 < line.start[24] - line.start[7] < 100
    assert line.start[24] > 3 * 1025


@pytest.mark.parametrize("stream", [
    [compute(3, wait=LOAD)],
    [load(1, wait=COMPUTE, signal=COMPUTE), compute(1, wait=LOAD, signal=LOAD)],
    [load(1, signal=COMPUTE), compute(1, wait=LOAD), compute(1, wait=LOAD)],
    # The token would come from an instruction that no queue has room for.
    [load(1, wait=COMPUTE), *(load(1) for _ in range(16)), compute(1, signal=LOAD)],
    [load(1, signal=COMPUTE) for _ in range(MAX_TOKENS + 1)],
])  # fmt: skip
def test_deadlocks_are_found(stream):
    line = simulate(stream, BOARD)
    assert line.deadlock is not None
    assert stream[line.deadlock].wait or stream[line.deadlock].signal
    assert line.completed < len(stream)


def test_a_token_may_come_from_a_later_instruction():
    """As long as its queue has room."""
    stream = [load(1, wait=COMPUTE), *(load(1) for _ in range(15)), compute(1, signal=LOAD)]
    line = simulate(stream, BOARD)
    assert line.deadlock is None
    assert line.order[0] == 16
    assert line.completed == 17


def test_a_giver_waits_for_room_among_the_tokens():
    """What gives one more than a counter holds begins once one has been taken, not before."""
    stream = [compute(1500, signal=STORE), store(1, wait=LOAD | COMPUTE)]
    stream += [load(1, signal=STORE) for _ in range(MAX_TOKENS + 1)]
    line = simulate(stream, BOARD)
    assert line.start[-2] < line.end[0]
    assert line.start[-1] == line.start[1] + TOKEN == line.end[0] + 2 * TOKEN


def test_stop_after():
    stream = [load(100), load(100)]
    for count, done in ((0, 0), (1, 1), (2, 2), (None, 2)):
        line = simulate(stream, BOARD, stop_after=count)
        assert (line.completed, len(line.order)) == (done, done)
        assert line.deadlock is None


# What the accelerator is for


#: Deconvolutions of stride 2: kernel, input channels, output channels, input side.
VTA = [(4, 1024, 512, 4), (4, 512, 256, 8), (4, 256, 128, 16)]
DCGAN = [(5, 1024, 512, 4), (5, 512, 256, 8), (5, 256, 128, 16)]


@cache
def line(layer: tuple[int, int, int, int], mode: Mode, batch: int = 16) -> Timeline:
    """The predicted run of one layer on the PYNQ-Z2; weights do not matter, so they are zero."""
    kernel, cin, cout, side = layer
    board = load_board("pynq-z2")
    shape = ConvShape(True, (kernel,) * 2, (2, 2), (kernel // 2 - (kernel == 4),) * 2,
                      (side,) * 2, (2 * side,) * 2)  # fmt: skip
    ones = np.ones(cout, np.int64)
    quant = QuantLayer(
        "deconv", "deconv", ("input",), shape, False,
        np.ones((cout, cin, kernel, kernel), np.int64), 0 * ones,
        Requantiser(ones, ones, ones, -128 * ones, 127 * ones), None, TensorFormat(1.0),
    )  # fmt: skip
    spec = InputSpec((cin, side, side), "image")
    network = QuantNetwork("layer", 8, spec, TensorFormat(1.0), None, [quant])
    packed = pack_network(network, board.core, mode)
    return simulate(schedule(packed, board, batch).instructions, board)


#: Those with the most weights take seconds to pack, and are computed as the others of theirs are.
LARGE = (VTA[0], DCGAN[0])


@pytest.mark.parametrize(
    "layer",
    [pytest.param(x, marks=pytest.mark.long if x in LARGE else ()) for x in [*VTA, *DCGAN]],
)
def test_speed_up_where_compute_is_the_limit(layer):
    """Batch 16. Ideal are 64/36 and 256/36 for 4x4 kernels, 100/49 and 400/49 for 5x5."""
    winograd, direct, padded = (
        line(layer, m).cycles for m in (Mode.WINOGRAD, Mode.DIRECT, Mode.ZERO_PADDED)
    )
    steps, least = {4: ((36, 64, 256), (1.65, 6.7)), 5: ((49, 100, 400), (1.9, 7.7))}[layer[0]]
    for cycles, ideal, bar in zip((direct, padded), steps[1:], least):
        assert bar <= cycles / winograd <= ideal / steps[0] + 0.01


def test_automatic_mode_is_the_fastest():
    for layer in (VTA[1], DCGAN[1]):
        assert line(layer, Mode.AUTO).cycles == min(line(layer, m).cycles for m in Mode)


@pytest.mark.parametrize("batch", [1, 16])
def test_prediction_is_at_least_what_array_and_dram_need(batch):
    board = load_board("pynq-z2")
    run = line(VTA[1], Mode.WINOGRAD, batch)
    assert run.cycles * board.core.peak >= run.multiplies
    assert run.cycles * board.dram_bytes_per_cycle >= run.bytes_read + run.bytes_written
    # 64 x 32 blocks of channels; 16 tiles an image in groups of 3, 36 steps each.
    assert run.multiplies == 64 * 32 * 36 * 192 * -(-16 * batch // 3)
    assert run.bytes_written == batch * 256 * 16 * 16
