"""Streams: legal, within every memory, complete, and made of the multiplies that they should be."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from support.bench import identity_graph, single
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from support.shared_models import FOLDERS as TRAINED
from support.shared_models import shared_model
from support.strategies import drawn, examples, networks
from support.tilings import best_cycles, lone_cycles
from winogen.common.errors import ScheduleError
from winogen.compiler import compile, tiling
from winogen.compiler.cells import Cells
from winogen.compiler.compile import batch_sizes, compile_graph
from winogen.compiler.estimate import Estimate
from winogen.compiler.geometry import Tiling, output_span, part_sizes, view_span
from winogen.compiler.lower import Mode, lower, useful_multiplies, zero_padded_multiplies
from winogen.compiler.pack import PackedLayer, PackedNetwork, pack_network
from winogen.compiler.places import place_tensors
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.compiler.schedule import Stream, _Ring, schedule
from winogen.cost.units import load_bytes
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.target.board import Board, CoreConfig, board_names, load_board
from winogen.target.checks import descriptor_problem, dram_range
from winogen.target.isa import Instruction, LoadParams, LoadWeights, Opcode, operands
from winogen.target.registers import Segment

MODELS = zoo.model_names()
RANDOM = list(range(12))
#: Models whose layers are predicted one by one in a few seconds.
QUICK = ("digits", "vta-dcgan-3", "dcgan-4x4")


@cache
def network(model: str | int, bits: int) -> QuantNetwork:
    if isinstance(model, int):
        graph = random_network(model)
    else:
        graph = shared_model(model) if model in TRAINED else zoo.load_model(model)
    return quantise(graph, bits, samples=2)


def packed(model: str | int, board: str, bits: int, mode: Mode = Mode.AUTO) -> PackedNetwork:
    return _packed(model, load_board(board, bits).core, mode)


@cache
def _packed(model: str | int, core: CoreConfig, mode: Mode) -> PackedNetwork:
    return pack_network(network(model, core.data_width), core, mode)


def check_stream(stream: Stream, packed: PackedNetwork, board: Board) -> None:
    """Everything that holds for any stream."""
    sizes = {
        Segment.WEIGHTS: len(packed.segment), Segment.INPUT: stream.input_bytes,
        Segment.OUTPUT: stream.output_bytes, Segment.SCRATCH: stream.scratch_bytes,
    }  # fmt: skip
    for index, x in enumerate(stream.instructions):
        assert descriptor_problem(x, board.core) is None, (index, x)
        span = dram_range(x, board.core)
        if span:
            segment, start, stop = span
            assert 0 <= start < stop <= sizes[segment], (index, x)
            assert (x.opcode is Opcode.STORE) <= (segment in (Segment.OUTPUT, Segment.SCRATCH))
    assert_stored_once(stream, board)
    assert_no_work_is_wasted(stream, packed)


def assert_no_work_is_wasted(stream: Stream, packed: PackedNetwork) -> None:
    """Every tile walks every pass for every block of channels once, in some mode of its layer."""
    done = [0] * len(packed.layers)
    for x in stream.instructions:
        if x.opcode is Opcode.COMPUTE:
            tiles = x.images * x.tiles_y * x.tiles_x
            done[x.layer] += tiles * x.blocks * x.steps
    for layer, steps in zip(packed.layers, done):
        wanted = math.prod(layer.lowered.tiles) * sum(
            len(p.spec.steps) * len(layer.blocks_for(p.spec.source, run.first))
            for group in layer.groups
            for p in group.passes
            for run in layer.runs
        )
        assert steps == stream.batch * wanted, layer.layer.label


def stored_words(x: Instruction, board: Board) -> np.ndarray:
    f = operands(x)
    words = f["offset"] // board.core.word_bytes + np.add.outer(
        np.add.outer(f["image_stride"] * np.arange(f["images"]),
                     f["row_stride"] * np.arange(f["rows"])),
        np.arange(f["columns"]),
    )  # fmt: skip
    return words.ravel()


def assert_stored_once(stream: Stream, board: Board) -> None:
    """Every word of every layer's output is stored once, and nothing else."""
    for start, stop in pairwise([*stream.layer_starts, len(stream.instructions)]):
        stores = [x for x in stream.instructions[start:stop] if x.opcode is Opcode.STORE]
        words = np.concatenate([stored_words(x, board) for x in stores])
        assert len({x.segment for x in stores}) == 1
        assert len(np.unique(words)) == len(words) == 1 + words.max() - words.min()
        if stores[0].segment == Segment.OUTPUT:
            assert len(words) * board.core.word_bytes == stream.output_bytes
            assert words.min() == 0


#: Seconds each. One of them is tested with 8 bits, the others have layers of the same kinds; those
#: of 16 bits differ by the depth of the memories, as the smaller and the random ones' do.
LARGE = ("fsrcnn-x3", "fsrcnn-x4", "dcgan-5x5", "artgan", "artgan-deconv", "vta-dcgan-1",
         "discogan", "discogan-bottleneck", "gp-gan")  # fmt: skip


@pytest.mark.parametrize(
    ("model", "bits"),
    [
        pytest.param(m, bits, marks=pytest.mark.long if m in long else ())
        for bits, long in (
            (8, [m for m in LARGE if m != "discogan"]),
            (16, [*LARGE, "fsrcnn-x2"]),
        )
        for m in MODELS
    ],
)
def test_the_zoo(model, bits, board="pynq-z2"):
    target = load_board(board, bits)
    for batch in (1, 16):
        check_stream(schedule(packed(model, board, bits), target, batch),
                     packed(model, board, bits), target)  # fmt: skip


def test_fewer_images_at_once_of_a_network_with_much_work(monkeypatch):
    layers = compile_graph(zoo.load_model("digits"), "tiny").program.layers
    work = sum(layer.useful for layer in layers)
    for images, batches in ((16, [1, 2, 4, 8, 16]), (3, [1, 2, 3]), (0.5, [1])):
        monkeypatch.setattr(compile, "BATCH_MULTIPLIES", int(images * work))
        program = compile_graph(zoo.load_model("digits"), "tiny").program
        assert [s.batch for s in program.streams] == batches


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", RANDOM[:6])
def test_the_parts_of_an_axis_are_those_of_its_tile_groups(seed, shared):
    for layer in packed(seed, "tiny", 8).layers:
        if not isinstance(layer, PackedLayer):
            continue
        passes = [p for g in layer.groups for p in g.passes]
        for axis, total in enumerate(layer.lowered.tiles):
            for length in range(1, total + 1):
                wanted = []
                for tile in range(0, total, length):
                    tiles = min(length, total - tile)
                    spans = [view_span(layer, p, axis, tile, tiles, shared)[1] for p in passes]
                    wanted.append((tiles, output_span(layer, axis, tile, tiles)[1], *spans))
                parts = part_sizes(layer, passes, axis, length, shared)
                assert [sizes for count, sizes in parts for _ in range(count)] == wanted


def test_digits_on_every_board_in_every_batch():
    """In batches between the smallest and the largest on two of the boards."""
    for board in board_names():
        target = load_board(board)
        made = packed("digits", board, 8)
        for batch in batch_sizes(16) if board in ("tiny", "pynq-z2") else (1, 16):
            check_stream(schedule(made, target, batch), made, target)


@pytest.mark.parametrize("mode", list(Mode))
def test_digits_in_every_mode(mode):
    target = load_board("pynq-z2")
    made = packed("digits", "pynq-z2", 8, mode)
    check_stream(schedule(made, target, 3), made, target)


@pytest.mark.parametrize("bits", [8, 16])
@examples(6)
@given(networks())
def test_random_networks_on_the_smallest_memories(bits, graph):
    target = load_board("tiny", bits)
    made = pack_network(quantise(graph, bits, samples=2), target.core, Mode.AUTO)
    for batch in (1, 3, 16):
        check_stream(schedule(made, target, batch), made, target)


@pytest.mark.parametrize("model", ["digits", *RANDOM])
def test_tensors_that_live_together_lie_apart(model):
    made = packed(model, "tiny", 8)
    board = load_board("tiny")
    for batch in (1, 3):
        places, scratch = place_tensors(made, board, batch)
        order = {p.layer.name: i for i, p in enumerate(made.layers)}
        last = {s: i for i, p in enumerate(made.layers) for s in p.layer.sources}
        spans = {
            name: (place.offset, place.offset + place.size(batch))
            for name, place in places.items() if place.segment is Segment.SCRATCH
        }  # fmt: skip
        assert all(stop <= scratch and start % 64 == 0 for start, stop in spans.values())
        for a, (a_start, a_stop) in spans.items():
            for b, (b_start, b_stop) in spans.items():
                together = order[a] < order[b] <= last[a]
                assert not together or a_stop <= b_start or b_stop <= a_start, (a, b)
        assert places[made.layers[-1].layer.name].segment is Segment.OUTPUT


def test_scratch_is_used_again():
    """A chain of equal layers needs room for two of them, however long it is."""
    b = GraphBuilder(0, (4, 5, 5))
    for _ in range(6):
        b.conv(4, 3)
    board = load_board("tiny")
    made = pack_network(quantise(b.graph(), samples=2), board.core, Mode.AUTO)
    assert schedule(made, board, 1).scratch_bytes == 2 * 256  # 200 bytes each, in 64s


# What does not fit


def _compile(b: GraphBuilder, board: str = "tiny", **options: object) -> None:
    compile_graph(b.graph("big"), load_board(board), batch=1, **options)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda b: b.deconv(3, 12, 12, 0),
         r"layer 'deconv1' does not fit board tiny: a tile group's output needs 2 x \d+ words"),
        (lambda b: b.deconv(3, 16, (16, 9), 0),
         r"layer 'deconv1' does not fit board tiny: .* of (128|256)$"),
        (lambda b: (b.linear((3, 1, 1)), b.linear((3, 16, 16))),
         r"layer 'linear2' does not fit board tiny: a tile group's output needs 2 x 256 words of "
         r"256"),
    ],
)  # fmt: skip
def test_a_layer_too_big_names_itself_and_the_memory(build, message):
    b = GraphBuilder(0, (2, 3, 3))
    b.conv(3, 3)
    build(b)
    with pytest.raises(ScheduleError, match=message):
        _compile(b)


def test_a_linear_layer_wider_than_a_stride_field():
    """An output side over 255 does not fit the instruction; that too is a layer too big."""
    b = GraphBuilder(0, (2, 1, 1), "latent")
    b.linear((1, 300, 1))
    with pytest.raises(ScheduleError, match="layer 'linear0'"):
        _compile(b, "pynq-z2")


def test_a_stride_wider_than_its_field():
    b = GraphBuilder(0, (1, 1, 600))
    b.conv(1, (1, 1), (1, 300), 0)
    with pytest.raises(ScheduleError, match="layer 'conv0'"):
        _compile(b, "pynq-z2")


def test_a_mode_that_does_not_fit_the_tables():
    """Zero-padded deconvolutions list every multiply; a large kernel has too many."""
    b = GraphBuilder(0, (2, 3, 3))
    b.deconv(3, 34, 2, 0)
    with pytest.raises(ScheduleError, match=r"zero-padded mode needs more .*use another mode"):
        _compile(b, mode=Mode.ZERO_PADDED)
    _compile(b)


# Steps


def computes(kernel: int, mode: Mode, board: str = "pynq-z2") -> list[Instruction]:
    """The COMPUTEs of one block of input and output channels of a stride-2 deconvolution."""
    b = GraphBuilder(0, (8, 4, 4))
    b.deconv(8, kernel, 2, (2, 1, 2, 1) if kernel == 5 else 1)
    target = load_board(board)
    made = pack_network(quantise(b.graph(), samples=2), target.core, mode)
    stream = schedule(made, target, 1, [Tiling(1, 2, 2, 1, False)])
    return [x for x in stream.instructions if x.opcode is Opcode.COMPUTE]


@pytest.mark.parametrize(
    ("kernel", "mode", "steps"),
    [
        (5, Mode.WINOGRAD, 49), (5, Mode.DIRECT, 100), (5, Mode.ZERO_PADDED, 400),
        (4, Mode.WINOGRAD, 36), (4, Mode.DIRECT, 64), (4, Mode.ZERO_PADDED, 256),
    ],
)  # fmt: skip
def test_multiplies_of_a_tile(kernel, mode, steps):
    instructions = computes(kernel, mode)
    assert sum(x.steps for x in instructions) == steps
    for x in instructions:
        assert (x.tiles_y, x.tiles_x, x.tile, x.blocks) == (2, 2, 2, 1)
        assert x.winograd == (mode is Mode.WINOGRAD)


def test_automatic_mode_takes_the_fewest_steps():
    for kernel, steps in ((5, 49), (4, 36)):
        assert sum(x.steps for x in computes(kernel, Mode.AUTO)) == steps
    shape = quantise(identity_graph((1, 3, 3)), samples=2).layers[0].shape  # a 1x1 convolution
    assert lower(shape).mode is Mode.DIRECT


@pytest.mark.parametrize("kernel", [4, 5])
def test_counts_of_useful_and_zero_padded_multiplies(kernel):
    """The 1 : 2 : 8 of the paper: K*K for an input pixel, four times that for a 2x2 tile."""
    b = GraphBuilder(0, (1, 4, 4))
    b.deconv(1, kernel, 2, (2, 1, 2, 1) if kernel == 5 else 1)
    shape = quantise(b.graph(), samples=2).layers[0].shape
    assert useful_multiplies(shape) == kernel**2 * 16
    assert zero_padded_multiplies(shape) == kernel**2 * 64


# Reuse on chip


@examples(100)
@given(drawn())
def test_a_ring_knows_what_it_holds(rng):
    """What it says is there lies there still, and nothing lies beyond its end."""
    depth = int(rng.integers(2, 9))
    ring, words = _Ring("any", depth), [-1] * depth
    for _ in range(30):
        key = int(rng.integers(0, 6))
        size = 1 + key % depth
        start, held = ring.take(key, size)
        assert 0 <= start <= depth - size
        if held:
            assert words[start : start + size] == [key] * size
        words[start : start + size] = [key] * size


def loads(graph: Graph, board: str, batch: int) -> Counter[Instruction]:
    """The loads of constants, without where on chip they go."""
    target = load_board(board)
    made = pack_network(quantise(graph, samples=2), target.core, Mode.AUTO)
    stream = schedule(made, target, batch, [Tiling(1, 2, 2, 2, False)])
    return Counter(
        (x.opcode, x.offset)
        for x in stream.instructions
        if x.opcode in (Opcode.LOAD_WEIGHTS, Opcode.LOAD_TABLE, Opcode.LOAD_PARAMS)
    )


def test_weights_are_loaded_once_for_all_images_of_a_batch():
    b = GraphBuilder(0, (16, 4, 4))
    b.deconv(24, 5, 2, (2, 1, 2, 1))
    one, many = (loads(b.graph(), "pynq-z2", n) for n in (1, 8))
    assert one == many
    assert set(many.values()) == {1}


# Tilings

#: Networks whose layers are held to every tiling that there is, and those that take minutes.
SEARCHED = ("digits", "dcgan-4x4", "discogan", "vta-dcgan-3", "fsrcnn-x2")


@pytest.mark.parametrize(
    ("model", "board"), [*((n, "tiny") for n in RANDOM), ("digits", "pynq-z2")]
)
def test_what_bounds_the_estimate_is_no_more(model, board):
    """So no tiling is left out that may be the best."""
    target, looked = load_board(board), 0
    for layer in packed(model, board, 8).layers:
        if not isinstance(layer, PackedLayer):
            continue
        for batch in (1, 3):
            estimate = Estimate(layer, target, batch)
            for tried in [*tiling._tilings(layer, target, batch, lambda _: None)][::7]:
                cycles = estimate.cycles(tried)
                assert estimate.least(tried) <= cycles, tried
                assert estimate.at_least(tried) <= cycles, tried
                looked += 1
    assert looked


@pytest.mark.parametrize("model", RANDOM)
def test_a_tiling_is_left_out_only_where_it_takes_more(model):
    """A bound that is the best one's own cycles keeps it, and one that is just below does not."""
    target = load_board("tiny")
    for layer in packed(model, "tiny", 8).layers:
        if not isinstance(layer, PackedLayer):
            continue
        for batch in (1, 3):
            cycles, chosen = tiling.fastest(layer, target, batch)
            assert cycles == Estimate(layer, target, batch).cycles(chosen)
            assert tiling.fastest(layer, target, batch, cycles) == (cycles, chosen)
            assert tiling.fastest(layer, target, batch, np.nextafter(cycles, 0)) is None


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.long) for m in SEARCHED])
def test_the_chosen_tiling_is_the_best_of_all_but_for_5_percent(model, batch):
    made, board = packed(model, "pynq-z2", 8), load_board("pynq-z2")
    for layer in made.layers:
        cycles = lone_cycles(layer, board, batch, tiling.choose_tiling(layer, board, batch))
        assert best_cycles(layer, board, batch, cycles / 1.05) == cycles / 1.05, layer.layer.label


@pytest.mark.parametrize(
    ("build", "batch"),
    [
        (lambda b: b.deconv(12, 4, 2, 1), 1),
        (lambda b: b.conv(12, 5), 1),
        (lambda b: b.conv(20, 4, 2, 1), 3),
        (lambda b: b.conv(9, 1), 3),
    ],
    ids=["deconv", "two_windows", "strided", "1x1"],
)
def test_a_small_layers_tiling_is_the_best_of_all_but_for_5_percent(build, batch):
    b = GraphBuilder(0, (20, 9, 7))
    build(b)
    board = single(load_board("pynq-z2"))  # in pairs, what is so small is mostly waiting
    (layer,) = pack_network(quantise(b.graph(), samples=2), board.core, Mode.AUTO).layers
    cycles = lone_cycles(layer, board, batch, tiling.choose_tiling(layer, board, batch))
    assert best_cycles(layer, board, batch, cycles / 1.05) == cycles / 1.05


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize(
    "model",
    [pytest.param(m, marks=() if m in QUICK else pytest.mark.long) for m in (*MODELS, *TRAINED)],
)
def test_the_estimate_is_near_the_cost_model(model, batch):
    made, board = packed(model, "pynq-z2", 8), load_board("pynq-z2")
    for layer in made.layers:
        chosen = tiling.choose_tiling(layer, board, batch)
        ratio = lone_cycles(layer, board, batch, chosen) / Estimate(layer, board, batch).cycles(
            chosen
        )
        assert 0.8 <= ratio <= 1.25, (layer.layer.label, chosen)


def test_strided_views_cost_the_bytes_that_cross_the_bus():
    """A LOAD_INPUT that keeps every other word moves all of them."""
    b = GraphBuilder(0, (8, 16, 16))
    b.conv(8, 4, 2, 1)
    board = replace(load_board("pynq-z2"), dram_mb_s=150)  # memory is the limit
    (layer,) = pack_network(quantise(b.graph(), samples=2), board.core, Mode.AUTO).layers
    chosen = Tiling(1, *layer.lowered.tiles, 1, False)
    wanted = lone_cycles(layer, board, 1, chosen)
    assert Estimate(layer, board, 1).cycles(chosen) == pytest.approx(wanted, rel=0.1)


def test_a_blocks_weights_come_once_in_a_pair_and_alone():
    """Of three blocks of output channels two run in a pair, and the third loads half as much."""
    b = GraphBuilder(0, (20, 9, 7))
    b.conv(20, 4, 2, 1)
    board = load_board("pynq-z2")
    made = pack_network(quantise(b.graph(), samples=2), board.core, Mode.AUTO)
    (layer,) = made.layers
    assert [run.count for run in layer.runs] == [2, 1]
    whole = Tiling(1, *layer.lowered.tiles, max(layer.input_blocks), False)
    stream = schedule(made, board, 1, [whole])
    loads = [x for x in stream.instructions if isinstance(x, (LoadWeights, LoadParams))]
    predicted = Cells(layer, board, 1).weights(whole.input_blocks)
    assert 2 * predicted.count == len(loads)
    size = sum(load_bytes(x, board)[0] for x in loads)
    assert 2 * predicted.size == pytest.approx(size, rel=0.05)


def test_tables_without_room_hold_up_the_loads_behind_them():
    """The accumulators of four windows of a 9 x 9 kernel are 169 entries of 128."""
    b = GraphBuilder(0, (56, 32, 32))
    b.deconv(1, 9, 2, (4, 3, 4, 3))
    board = load_board("pynq-z2")
    (layer,) = pack_network(quantise(b.graph(), samples=2), board.core, Mode.WINOGRAD).layers
    estimate = Estimate(layer, board, 1)
    for some in (Tiling(1, 9, 6, 7, False), Tiling(1, 3, 32, 4, False, True)):
        wanted = lone_cycles(layer, board, 1, some)
        assert estimate.cycles(some) == pytest.approx(wanted, rel=0.1), some


def test_passes_share_a_load_of_their_view():
    """A 5 x 5 kernel is cut into four windows that look at the same samples."""
    b = GraphBuilder(0, (8, 8, 8))
    b.conv(8, 5)
    board = load_board("pynq-z2")
    made = pack_network(quantise(b.graph(), samples=2), board.core, Mode.AUTO)
    counts = []
    for shared in (False, True):
        whole = Tiling(1, *made.layers[0].lowered.tiles, 1, False, shared)
        stream = schedule(made, board, 1, [whole])
        check_stream(stream, made, board)
        counts.append(Counter(x.opcode for x in stream.instructions)[Opcode.LOAD_INPUT])
    assert counts == [4, 1]


def test_weights_come_before_an_input_that_waits():
    """A layer's input waits for the store before it, and loads go one after the other."""
    stream = schedule(packed("digits", "pynq-z2", 8), load_board("pynq-z2"), 1)
    for start in stream.layer_starts[1:]:
        codes = [x.opcode for x in stream.instructions[start:]]
        assert codes.index(Opcode.LOAD_WEIGHTS) < codes.index(Opcode.LOAD_INPUT)


def test_chunks_take_turns_in_the_same_places():
    """Two slots for chunks of 22, 22 and 20: no load lies across two that are in use."""
    ring = _Ring("weight", 50)
    starts = [ring.take(n, size, 22)[0] for n, size in enumerate((22, 22, 20) * 4)]
    assert starts == [0, 22] * 6
