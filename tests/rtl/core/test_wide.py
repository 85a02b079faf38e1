"""Arrays of 16 and 32 lanes, as large devices have: the same bits as the integer reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.bench import check, random_inputs
from support.conformance import LAYERS
from winogen.compiler.compile import compile_graph
from winogen.target.board import Board, load_board

NAMES = ("conv-3x3", "deconv-4x4", "deconv-5x5", "linear", "concat", "add", "tanh", "prelu")


def _wide(lanes: int, tiles: int, bits: int) -> Board:
    """Two read ports: a word is then several beats, taken in pairs."""
    board = load_board("tiny", bits)
    core = replace(board.core, ci_lanes=lanes, co_lanes=lanes, tile_lanes=tiles, read_ports=2)
    return replace(board, core=core)


@pytest.mark.long
@pytest.mark.parametrize(("lanes", "tiles", "bits"), [(16, 3, 8), (16, 2, 16), (32, 1, 8)])
def test_wide_arrays(lanes, tiles, bits):
    board = _wide(lanes, tiles, bits)
    for name in NAMES:
        network = compile_graph(LAYERS[name](), board, batch=2)
        check(network, "rtl", board, random_inputs(network, 2))
