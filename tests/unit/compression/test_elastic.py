"""Elastic networks: any setting's forward pass is that of the network that is taken out."""

from __future__ import annotations

import numpy as np
import pytest

from support.elastic import elastic_graph
from support.random_graphs import GraphBuilder
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.elastic import Elastic, in_order


def linear_graph() -> Graph:
    """A linear layer, upsampling, and a batch-norm behind an activation."""
    b = GraphBuilder(3, (10, 1, 1), "latent")
    b.linear((24, 3, 3))
    b.add("relu")
    b.batchnorm()
    b.add("upsample", factor=2)
    b.conv(16, 5)
    b.add("sigmoid")
    b.conv(3, 1, pad=0)
    return b.graph()


GRAPHS = {"all": elastic_graph, "linear": linear_graph, "digits": lambda: load_model("digits")}


def settings(elastic: Elastic, count: int) -> list[tuple[int, ...]]:
    random = np.random.default_rng(1)
    axes = elastic.space.axes
    drawn = [tuple(int(random.integers(len(a.values))) for a in axes) for _ in range(count)]
    return [elastic.space.whole, elastic.space.smallest, *drawn]


def shaken(elastic: Elastic) -> Elastic:
    """With parameters as training may leave them, so that none can be mistaken for another."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in elastic.parameters():
            value += (
                0.1 * torch.randn(value.shape, generator=generator) * (value.abs().mean() + 0.1)
            )
    return elastic


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_taken_out_computes_what_the_whole_does_with_its_setting(name: str) -> None:
    graph = GRAPHS[name]()
    x = sample_inputs(graph.input, 3, 5)
    elastic = shaken(Elastic(in_order(graph, x)))
    with torch.no_grad():
        for setting in settings(elastic, 6):
            taken = elastic.graph(setting)
            given = elastic(torch.from_numpy(x), setting).numpy()
            wanted = reference.run(taken, x)
            assert taken.output_shape == graph.output_shape
            np.testing.assert_allclose(given, wanted, atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_whole_is_the_network_itself(name: str) -> None:
    graph = GRAPHS[name]()
    x = sample_inputs(graph.input, 4, 5)
    elastic = Elastic(in_order(graph, x))
    elastic.calibrate(x)
    with torch.no_grad():
        given = elastic(torch.from_numpy(x), elastic.space.whole).numpy()
    np.testing.assert_allclose(given, reference.run(graph, x), atol=1e-5)


def test_settings_are_what_they_say() -> None:
    graph = elastic_graph()
    elastic = Elastic(in_order(graph, sample_inputs(graph.input, 8, 0)))
    space = elastic.space
    for setting in settings(elastic, 10):
        taken = {node.name: node for node in elastic.graph(setting).nodes}
        for axis, number in zip(space.axes, setting):
            value = axis.values[number]
            if axis.kind == "depth":
                assert (axis.layer in taken) == bool(value)
            elif axis.layer in taken and axis.kind == "kernel":
                assert taken[axis.layer].attrs["kernel"] == (value, value)
            elif axis.layer in taken:
                assert elastic.graph(setting).shapes[axis.layer][0] == value


def test_the_first_channels_matter_most() -> None:
    graph = elastic_graph()
    x = sample_inputs(graph.input, 16, 0)
    weight = graph.nodes[3].params["weight"]
    useless = np.arange(0, 16)  # of 24: what the first layer makes and the second reads
    weight[useless] = 0
    elastic = Elastic(in_order(graph, x))
    narrow = [axis.values.index(8) if axis.layer == "deconv0" else 0 for axis in elastic.space.axes]
    with torch.no_grad():
        given = elastic(torch.from_numpy(x), tuple(narrow)).numpy()
    np.testing.assert_allclose(given, reference.run(graph, x), atol=1e-5)


def test_calibration_gives_back_what_narrowing_takes_on_average() -> None:
    graph = load_model("digits")
    x, other = (torch.from_numpy(sample_inputs(graph.input, 32, seed)) for seed in (0, 1))
    elastic = Elastic(in_order(graph, x.numpy()))

    def error() -> float:
        with torch.no_grad():
            wanted = elastic(other, elastic.space.whole)
            parts = [(6, 0, 0, 0, 0, 0), (0, 4, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0), (0, 0, 0, 2, 0, 0)]
            return sum(float(((elastic(other, s) - wanted) ** 2).mean()) for s in parts)

    before = error()
    elastic.calibrate(x.numpy())
    assert error() < 0.9 * before


def test_the_shared_weights_and_the_rest_are_all_of_it() -> None:
    graph = elastic_graph()
    elastic = shaken(Elastic(in_order(graph, sample_inputs(graph.input, 8, 0))))
    again = Elastic(elastic.shared())
    with torch.no_grad():
        for name, value in again.own().items():
            value.copy_(elastic.own()[name])
    for name, value in elastic.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
