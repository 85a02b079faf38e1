"""Coded weights in the segment: chosen layer by layer, shared by batches, and said in the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.bench import compile_network, small
from support.coded import compiled, graph, shared
from winogen.common.errors import BoardError
from winogen.compiler.compile import Compiled
from winogen.compiler.quantise import quantise
from winogen.program.file import Program
from winogen.target import weight_code
from winogen.target.board import load_board
from winogen.target.isa import LoadWeights

BOARD = load_board("pynq-z2")


def loads(made: Compiled, number: int = -1) -> list[LoadWeights]:
    stream = made.program.streams[number].instructions()
    return [x for x in stream if isinstance(x, LoadWeights)]


def distinct(found: list[LoadWeights]) -> dict[tuple[int, int], int]:
    return {(x.offset, x.blocks): x.blocks * x.taps for x in found}


def test_pruned_layers_are_coded_and_take_less_memory():
    coded, plain = compiled(BOARD, batch=4), compiled(BOARD, batch=4, coding="plain")
    assert all(x.coding == 2 and x.beats for x in loads(coded))
    assert not any(x.coding or x.beats for x in loads(plain))
    assert len(coded.program.weights) < len(plain.program.weights)
    one = compiled(BOARD, batch=1)
    sizes = [sum(p.size for p in x.program.pieces) for x in (one, coded, plain)]
    # 2.6 bits a weight, of which batches that load other blocks need some again; no tables.
    assert sizes[0] < 0.35 * sizes[2] and sizes[1] < 0.5 * sizes[2]
    assert coded.program.memory().weights < plain.program.memory().weights
    for a, b in zip(coded.program.streams, plain.program.streams):
        assert a.cycles < b.cycles
    assert Program.frombytes(coded.program.tobytes()) == coded.program


def test_unpruned_layers_of_few_values_are_indices():
    # The last one has three channels of a block's eight: the others are zeros.
    found = {(x.layer < 3, x.coding) for x in loads(compiled(BOARD, pruned=0.0, batch=1))}
    assert found == {(True, 1), (False, 2)}


def test_layers_of_many_values_stay_plain():
    made = small("pynq-z2")
    assert not any(x.coding for x in loads(made))
    g = graph()
    whole = quantise(g, 8)
    mixed = shared(whole)
    layers = (whole.layers[0], *mixed.layers[1:])
    made = compile_network(g, replace(mixed, layers=layers), BOARD, batch=1)
    assert {(x.layer == 0, bool(x.coding)) for x in loads(made)} == {(True, False), (False, True)}


def test_batches_share_their_streams_where_loads_are_alike():
    made = compiled(BOARD, batch=8)
    of_first = distinct(loads(made, 0))
    every = {
        k: n for i in range(len(made.program.streams)) for k, n in distinct(loads(made, i)).items()
    }
    assert sum(every.values()) <= 2 * sum(of_first.values())
    starts = [p.offset for p in made.program.pieces]
    assert starts == sorted(starts)
    held = {(p.offset, p.size) for p in made.program.pieces}
    for number in range(len(made.program.streams)):
        for x in loads(made, number):
            assert (x.offset, 8 * x.beats) in held and not x.offset % BOARD.core.word_bytes


def test_a_batch_that_does_not_fit_leaves_nothing_behind():
    whole = compiled(BOARD, batch=1).program
    room = -(-whole.memory().total // (1 << 20))
    little = replace(BOARD, contiguous_mib=room)
    g = graph()
    network = shared(quantise(g, 8))
    made = compile_network(g, network, little)
    pieces = sum(p.size for p in made.program.pieces)
    used = {(x.offset, x.beats) for i in range(len(made.program.streams)) for x in loads(made, i)}
    assert pieces == sum(8 * beats for _, beats in used)


@pytest.mark.parametrize("bits", [8, 16])
def test_without_a_decoder_weights_are_plain(bits):
    board = load_board("pynq-z2", bits)
    board = replace(board, core=replace(board.core, decoder=32))
    bare = replace(board, core=replace(board.core, decoder=0))
    made, plain = compiled(bare, batch=1), compiled(board, batch=1, coding="plain")
    assert made.program.weights == plain.program.weights
    assert made.program.streams[0].stream == plain.program.streams[0].stream
    assert made.program.core.config_hash != plain.program.core.config_hash


@pytest.mark.parametrize(("change", "said"), [
    ({"decoder": 16}, "decoder must be 0 or 32"), ({"decoder": True}, "decoder must be"),
    ({"decoder": 32, "ci_lanes": 4, "co_lanes": 4, "data_width": 16, "products": 1}, "8 lanes"),
])  # fmt: skip
def test_decoders_that_cannot_be(change, said):
    with pytest.raises(BoardError, match=said):
        replace(BOARD.core, **change)


def test_the_weights_are_those_of_the_network():
    """What lies in memory decodes to what lies there plain."""
    options = {"batch": 1, "mode": "winograd"}  # the same loads, in the same order
    coded, plain = compiled(BOARD, **options), compiled(BOARD, **options, coding="plain")

    def words(made: Compiled) -> list[bytes]:
        found = []
        for x in loads(made):
            count = x.blocks * x.taps * 64
            data = made.program.weights[x.offset :]
            if x.coding:
                stream = np.frombuffer(data[: 8 * x.beats], np.uint8)
                data = weight_code.decode(stream, x.coding, count, 8).tobytes()
            found.append(data[:count])
        return found

    assert b"".join(words(coded)) == b"".join(words(plain))
