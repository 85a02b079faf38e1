"""Outlines: the speed and memory of the calibrated program, without calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples, graphs, networks
from winogen.common.errors import QuantisationError, ScheduleError
from winogen.compiler.compile import compile_graph, compile_network, unfit_layers
from winogen.compiler.fold import fold
from winogen.compiler.options import CompileOptions
from winogen.compiler.outline import outline
from winogen.network import zoo
from winogen.network.graph import Graph, InputSpec, Node
from winogen.program.file import Program
from winogen.target.board import load_board


def sketched(graph: Graph, options: CompileOptions) -> Program:
    found = outline(graph, fold(graph), options.data_width)
    assert found.problems == ()
    return compile_network(graph, found.network, options).program


def check(graph: Graph, board: str, bits: int, batch: int) -> None:
    """The outline's program costs what the calibrated one does."""
    options = CompileOptions(board=board, bits=bits, batch=batch)
    try:
        wanted = compile_graph(graph, board, bits=bits, batch=batch).program
    except (QuantisationError, ScheduleError) as error:
        if isinstance(error, ScheduleError):
            with pytest.raises(ScheduleError):
                sketched(graph, options)
        return
    got = sketched(graph, options)
    assert got.layers == wanted.layers
    assert got.output_shape == wanted.output_shape
    for mine, its in zip(got.streams, wanted.streams, strict=True):
        assert mine.batch == its.batch
        assert mine.input_bytes == its.input_bytes
        assert mine.output_bytes == its.output_bytes
        assert mine.scratch_bytes == its.scratch_bytes
        # Calibration may make constants of two layers equal, which are then loaded once.
        assert abs(mine.length - its.length) <= len(got.layers)
        assert mine.cycles == pytest.approx(its.cycles, rel=0.1)


@examples(6)
@given(networks(), st.sampled_from([8, 16]), st.integers(1, 3))
def test_networks_cost_what_they_do_when_calibrated(graph, bits, batch):
    check(graph, "tiny", bits, batch)


@examples(6)
@given(graphs(), st.sampled_from([8, 16]))
def test_graphs_cost_what_they_do_when_calibrated(graph, bits):
    check(graph, "tiny", bits, 2)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == "digits" else [pytest.mark.long]) for n in zoo.model_names()],
)
def test_networks_of_the_zoo_to_the_cycle(name, bits):
    graph = zoo.load_model(name)
    options = CompileOptions(board="pynq-z2", bits=bits, batch=2)
    if (name, bits) == ("gp-gan", 16):
        pytest.skip("takes more memory than the board has")
    got, wanted = sketched(graph, options), compile_graph(graph, "pynq-z2", bits=bits, batch=2)
    streams = wanted.program.streams
    assert [s.layer_cycles for s in got.streams] == [s.layer_cycles for s in streams]
    assert [s.length for s in got.streams] == [s.length for s in streams]
    assert got.memory() == wanted.program.memory()


def conv(name: str, source: str, weight: np.ndarray, stride: int = 1) -> Node:
    attrs = {"kernel": weight.shape[2:], "stride": (stride, stride), "pad": (0, 0, 0, 0)}
    return Node(name, "conv", (source,), attrs, {"weight": weight.astype(np.float32)})


def test_layers_whose_sums_cannot_fit_are_all_named():
    """65,535 products of the largest weights and inputs take more than 29 bits."""
    nodes = [
        conv("a", "input", np.ones((1 << 15, 1, 1, 1))),
        conv("b", "a", 1.1 * np.ones((1, 1 << 15, 1, 1))),
        conv("c", "b", np.ones(((1 << 16) - 1, 1, 1, 1))),
        conv("d", "c", 1.1 * np.ones((1, (1 << 16) - 1, 1, 1))),
    ]
    graph = Graph("net", InputSpec((1, 1, 1), "image"), nodes)
    found = outline(graph, fold(graph), 8)
    assert [p.partition(" of ")[0] for p in found.problems] == ["layer 'd'"]


def test_trained_steps_that_do_not_fit_are_named():
    attrs = {"step": 1 / 64, "high": 4.0}
    nodes = [conv("a", "input", np.ones((2, 2, 1, 1))), Node("q", "quant_relu", ("a",), attrs)]
    graph = Graph("net", InputSpec((2, 4, 4), "image"), nodes)
    (problem,) = outline(graph, fold(graph), 8).problems
    assert "layer 'a': its 256 trained steps do not fit 8 bits" in problem
    assert outline(graph, fold(graph), 16).problems == ()


def test_every_layer_that_does_not_fit_a_board_is_named():
    rng = np.random.default_rng(0)
    nodes = []
    for name, source in (("a", "input"), ("b", "a"), ("c", "b")):
        weight = rng.standard_normal((2, 2, 12, 12)).astype(np.float32)
        attrs = {"kernel": (12, 12), "stride": (12, 12), "crop": (0,) * 4}
        if name == "b":
            nodes.append(conv(name, source, weight, stride=12))
        else:
            nodes.append(Node(name, "deconv", (source,), attrs, {"weight": weight}))
    graph = Graph("net", InputSpec((2, 2, 2), "image"), nodes)
    network = outline(graph, fold(graph), 8).network
    board = load_board("tiny")
    told = unfit_layers(network, board, "auto")
    assert [text.split("'")[1] for text in told] == ["a", "c"]
    with pytest.raises(ScheduleError):
        compile_network(graph, network, CompileOptions(board=board))
    graph = zoo.load_model("digits")
    assert unfit_layers(outline(graph, fold(graph), 8).network, board, "auto") == []
