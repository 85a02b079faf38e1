"""Arrays of 16 and 32 lanes, as large devices have: the same bits as the integer reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.bench import check, paired, random_inputs
from support.conformance import LAYERS
from winogen.compiler.compile import compile_graph
from winogen.target.board import Board, load_board

NAMES = ("conv-3x3", "deconv-4x4", "deconv-5x5", "linear", "concat", "add", "tanh", "prelu")


def _wide(lanes: int, tiles: int, bits: int, ports: int, products: int) -> Board:
    """A word is several beats, of which as many are taken as there are ports."""
    board = load_board("tiny", bits)
    core = replace(board.core, ci_lanes=lanes, co_lanes=lanes, tile_lanes=tiles, read_ports=ports)
    board = replace(board, core=core)
    return paired(board) if products == 2 else board


@pytest.mark.long
@pytest.mark.parametrize(
    "shape",
    [(16, 3, 8, 2, 1), (16, 2, 16, 2, 1), (32, 1, 8, 2, 1), (16, 3, 8, 4, 2), (32, 1, 8, 4, 1)],
)
def test_wide_arrays(shape):
    board = _wide(*shape)
    for name in NAMES:
        network = compile_graph(LAYERS[name](), board, batch=2)
        check(network, "rtl", board, random_inputs(network, 2))
