"""Narrower networks: what is left out is left out everywhere, and what matters stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from support.host_networks import many, random_host_graph, side_by_side
from support.random_graphs import GraphBuilder
from support.strategies import examples, networks
from winogen.compression.narrow import Channels, is_depthwise, narrowed
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model, model_names
from winogen.program.formats import sample_inputs


def check(graph: Graph, share: float = 0.5) -> Graph:
    x = sample_inputs(graph.input, 3, 1)
    narrow = narrowed(graph, share, x)
    assert narrow.input.shape == graph.input.shape
    assert narrow.output_shape == graph.output_shape
    assert np.all(np.isfinite(reference.run(narrow, x)))
    for node in graph.nodes:
        assert narrow.shapes[node.name][0] <= graph.shapes[node.name][0]
        assert narrow.shapes[node.name][1:] == graph.shapes[node.name][1:]
    return narrow


#: A second and more each, of layers that the smaller ones have too.
LARGE = ("dcgan-5x5", "artgan-deconv", "vta-dcgan-1")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.long if n in LARGE else ())
        for n in model_names() if n not in ("gp-gan", "artgan")
    ],
)  # fmt: skip
def test_the_zoo(name: str) -> None:
    graph = load_model(name)
    narrow = check(graph)
    size = sum(n.params["weight"].size for n in graph.nodes if "weight" in n.params)
    left = sum(n.params["weight"].size for n in narrow.nodes if "weight" in n.params)
    wide = [n for n in graph.nodes[:-1] if "weight" in n.params and graph.shapes[n.name][0] > 15]
    assert left < (0.8 if wide else 1.01) * size


@given(graph=networks())
@examples(25)
def test_random_networks(graph: Graph) -> None:
    check(graph, 0.3)


@pytest.mark.parametrize("graph", [many(), side_by_side()], ids=["many", "side_by_side"])
def test_layers_of_the_processor(graph: Graph) -> None:
    check(graph)


@pytest.mark.parametrize("seed", range(6))
def test_random_layers_of_the_processor(seed: int) -> None:
    check(random_host_graph(seed, np.random.default_rng(seed)), 0.4)


def test_all_channels_are_the_network_itself() -> None:
    graph = load_model("digits")
    x = sample_inputs(graph.input, 4, 0)
    same = narrowed(graph, 1.0, x)
    np.testing.assert_array_equal(reference.run(same, x), reference.run(graph, x))


def test_channels_without_worth_go_and_nothing_changes() -> None:
    b = GraphBuilder(1, (8, 6, 6))
    b.conv(24)
    b.batchnorm()
    b.add("relu")
    b.conv(8)
    graph = b.graph()
    useless = np.arange(1, 17)
    graph.nodes[3].params["weight"][:, useless] = 0
    x = sample_inputs(graph.input, 4, 0)
    narrow = narrowed(graph, 1 / 3, x)
    assert narrow.shapes[graph.nodes[0].name][0] == 8
    np.testing.assert_allclose(reference.run(narrow, x), reference.run(graph, x), atol=1e-5)


def test_what_meets_in_a_sum_goes_together() -> None:
    b = GraphBuilder(2, (8, 6, 6))
    first = b.conv(32)
    b.last = Graph.INPUT_NAME
    second = b.conv(32)
    total = b.add("add", first, second)
    both = b.add("concat", first, total)
    b.conv(8)
    narrow = check(b.graph())
    assert narrow.shapes[first][0] == narrow.shapes[second][0] == narrow.shapes[total][0] == 16
    assert narrow.shapes[both][0] == 32


def test_depthwise_layers_follow_what_they_read() -> None:
    b = GraphBuilder(3, (8, 6, 6))
    b.conv(32)
    weight = np.zeros((32, 32, 3, 3))
    weight[np.arange(32), np.arange(32)] = b.normal(32, 3, 3)
    b.add("conv", params={"weight": weight}, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1))
    b.conv(8, 1, pad=0)
    graph = b.graph()
    assert [is_depthwise(n) for n in graph.nodes] == [False, True, False]
    narrow = check(graph)
    assert is_depthwise(narrow.nodes[1])
    assert narrow.shapes[narrow.nodes[1].name][0] == 16


def test_every_group_has_a_number_of_its_own() -> None:
    graph = load_model("digits")
    x = sample_inputs(graph.input, 4, 0)
    channels = Channels(graph, x)
    assert sorted(channels.widths.values()) == [32, 64, 96]
    first, second, third = sorted(channels.widths, key=lambda g: -channels.widths[g])
    counts = {first: 96, second: 40, third: 8}
    narrow = channels.narrowed(counts)
    assert [narrow.shapes[f"deconv{n}"][0] for n in (1, 2, 3, 4)] == [96, 40, 8, 1]
    assert channels.share("deconv2.act", counts) == 40 / 64
    assert channels.share("deconv4", counts) == 1
