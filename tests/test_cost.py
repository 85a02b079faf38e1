"""The cost model: hand arithmetic on hand-made streams, and the speed-ups that it predicts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from winogen.board import load_board
from winogen.cost import COMPUTE_FILL, TRANSFER_START, Timeline, instruction_work, simulate
from winogen.graph import InputSpec
from winogen.isa import FIELDS, Instruction, Opcode
from winogen.lower import ConvShape, Mode
from winogen.numerics import Requantiser
from winogen.pack import pack_network
from winogen.quantise import QuantLayer, QuantNetwork, TensorFormat
from winogen.registers import Engine
from winogen.schedule import schedule

#: 8 bytes a cycle from DRAM through two ports of 8, 10 cycles of latency: easy to do by hand.
BOARD = replace(load_board("pynq-z2"), clock_mhz=100, dram_mb_s=800, dram_latency=10)
LOAD, COMPUTE, STORE = 1, 2, 4  # bits of wait and signal


def instruction(opcode: Opcode, wait: int = 0, signal: int = 0, **fields: int) -> Instruction:
    values = {name: fields.pop(name, 0) for name in list(FIELDS[opcode])[4:]}
    assert not fields
    return Instruction(opcode, values, wait, signal)


def load(words: int, **tokens: int) -> Instruction:
    """A load of so many 8-byte words of input: 8 + words cycles on BOARD."""
    return instruction(Opcode.LOAD_INPUT, images=1, blocks=1, rows=1, columns=words,
                       column_step=1, **tokens)  # fmt: skip


def store(words: int, **tokens: int) -> Instruction:
    return instruction(Opcode.STORE, images=1, rows=1, columns=words, **tokens)


def compute(tiles: int, blocks: int = 1, **tokens: int) -> Instruction:
    """36 steps a tile and block, in groups of 3 tiles."""
    return instruction(Opcode.COMPUTE, images=1, blocks=blocks, tiles_y=1, tiles_x=tiles, tile=2,
                       patch_rows=4, patch_columns=4, steps=36, accumulators=36, phases=4,
                       **tokens)  # fmt: skip


# One instruction


@pytest.mark.parametrize(
    ("made", "cycles", "read", "written"),
    [
        (load(100), 8 + 100, 800, 0),
        (instruction(Opcode.LOAD_INPUT, images=2, blocks=3, rows=5, columns=4, column_step=3),
         8 + 2 * 3 * 5 * 10, 2 * 3 * 5 * 10 * 8, 0),  # the pixels between are read and dropped
        (instruction(Opcode.LOAD_WEIGHTS, blocks=4, taps=25, phases=4), 8 + 800, 4 * 25 * 64, 0),
        (instruction(Opcode.LOAD_PARAMS, count=3), 8 + 48, 3 * 8 * 16, 0),
        (instruction(Opcode.LOAD_TABLE, table=0, count=49), 8 + 49, 49 * 8, 0),
        (instruction(Opcode.LOAD_TABLE, table=3, count=1025), 8 + 257, 2050, 0),
        (instruction(Opcode.STORE, images=2, rows=3, columns=4), 8 + 24, 0, 24 * 8),
    ],
)  # fmt: skip
def test_transfers(made, cycles, read, written):
    work = instruction_work(made, BOARD)
    assert (TRANSFER_START, COMPUTE_FILL) == (8, 32)
    assert (work.cycles, work.read_bytes, work.written_bytes) == (cycles, read, written)
    assert work.multiplies == 0


def test_ports_limit_a_transfer_where_dram_does_not():
    fast = replace(BOARD, dram_mb_s=6400)
    assert instruction_work(load(100), fast).cycles == 8 + 800 // 16
    assert instruction_work(store(100), fast).cycles == 8 + 800 // 8  # stores have one port


def test_computes():
    # 7 tiles are 3 groups of 3; a group takes 36 steps for each of 5 blocks.
    work = instruction_work(compute(7, blocks=5), BOARD)
    assert work.cycles == 3 * 5 * 36 + 32
    assert work.multiplies == 3 * 5 * 36 * 192
    # With few steps, delivering 3 patches of 16 pixels, 4 a cycle, is what takes the time ...
    few = compute(7, blocks=5)
    few.fields.update(steps=3, accumulators=3)
    assert instruction_work(few, BOARD).cycles == 3 * 5 * 12 + 32
    # ... and with one block, the 3 * 4 * 4 outputs of a group.
    few.fields["blocks"] = 1
    assert instruction_work(few, BOARD).cycles == 3 * 48 + 32


# Engines together


def test_a_chain_by_hand():
    """Load 100, compute 3 tiles, store 10, each waiting for the one before."""
    stream = [load(100, signal=COMPUTE), compute(3, wait=LOAD, signal=STORE),
              store(10, wait=COMPUTE)]  # fmt: skip
    line = simulate(stream, BOARD)
    loaded = 8 + 100 + 10  # latency included
    computed = loaded + 36 + 32 + (48 - 36)  # the drain of 48 outputs outlasts the 36 steps
    assert line.start == [0, loaded, computed]
    assert line.end == [loaded, computed, computed + 8 + 10 + 10]
    assert line.cycles == line.end[-1]
    assert {e: t.busy for e, t in line.engines.items()} == {
        Engine.LOAD: 108, Engine.COMPUTE: 80, Engine.STORE: 18
    }  # fmt: skip
    assert {e: t.stall for e, t in line.engines.items()} == {
        Engine.LOAD: 0, Engine.COMPUTE: loaded, Engine.STORE: computed
    }  # fmt: skip
    assert line.bytes_read == 800 + 3 * 64
    assert line.bytes_written == 80
    assert line.order == [0, 1, 2]


def test_loads_hide_under_compute():
    """Double buffering: the second load runs while the first is computed on."""
    ahead = [load(100, signal=COMPUTE), load(100, signal=COMPUTE),
             compute(30, wait=LOAD), compute(30, wait=LOAD)]  # fmt: skip
    behind = [ahead[0], compute(30, wait=LOAD, signal=LOAD),
              load(100, wait=COMPUTE, signal=COMPUTE), ahead[3]]  # fmt: skip
    one = instruction_work(compute(30), BOARD).cycles
    assert simulate(ahead, BOARD).cycles == 118 + 2 * one
    assert simulate(behind, BOARD).cycles == 118 + one + 118 + one


def test_engines_share_the_dram():
    """A load and a store that could go together take turns: 8 bytes a cycle is all there is."""
    line = simulate([load(100), store(100)], BOARD)
    assert line.start == [0, 100]
    assert line.cycles == 100 + 8 + 100 + 10
    assert simulate([load(100), compute(3)], BOARD).start == [0, 0]


def test_the_latency_of_a_transfer_hides_behind_the_next():
    line = simulate([load(100), load(100), load(100)], BOARD)
    assert line.start == [0, 108, 216]
    assert line.cycles == 3 * 108 + 10


@pytest.mark.parametrize("stream", [
    [compute(3, wait=LOAD)],
    [load(1, wait=COMPUTE, signal=COMPUTE), compute(1, wait=LOAD, signal=LOAD)],
    [load(1, signal=COMPUTE), compute(1, wait=LOAD), compute(1, wait=LOAD)],
])  # fmt: skip
def test_deadlocks_are_found(stream):
    line = simulate(stream, BOARD)
    assert line.deadlock is not None
    assert stream[line.deadlock].wait
    assert line.completed < len(stream)


def test_order_does_not_depend_on_where_engines_meet():
    """Independent engines run at once however the stream interleaves them."""
    loads, computes = [load(10) for _ in range(3)], [compute(6) for _ in range(3)]
    mixed = [x for pair in zip(loads, computes) for x in pair]
    assert simulate(loads + computes, BOARD).cycles == simulate(mixed, BOARD).cycles


def test_stop_after():
    stream = [load(100), load(100)]
    for count, done in ((0, 0), (1, 1), (2, 2), (None, 2)):
        assert simulate(stream, BOARD, stop_after=count).completed == done


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
        np.zeros((cout, cin, kernel, kernel), np.int64), 0 * ones,
        Requantiser(ones, ones, ones, -128 * ones, 127 * ones), None, TensorFormat(1.0),
    )  # fmt: skip
    spec = InputSpec((cin, side, side), "image")
    network = QuantNetwork("layer", 8, spec, TensorFormat(1.0), None, [quant])
    packed = pack_network(network, board.core, mode)
    return simulate(schedule(packed, board, batch).instructions, board)


@pytest.mark.parametrize("layer", [*VTA, *DCGAN])
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
    assert run.cycles * board.core.multipliers >= run.multiplies
    assert run.cycles * board.dram_bytes_per_cycle >= run.bytes_read + run.bytes_written
    # 64 x 32 blocks of channels; 16 tiles an image in groups of 3, 36 steps each.
    assert run.multiplies == 64 * 32 * 36 * 192 * -(-16 * batch // 3)
    assert run.bytes_written == batch * 256 * 16 * 16
