"""Merging: the same network with fewer layers, where fewer multiply less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from support.host_networks import many
from support.random_graphs import GraphBuilder
from support.strategies import examples, networks
from winogen.compression.merging import merged
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs


def check(graph: Graph) -> Graph:
    x = sample_inputs(graph.input, 3, 1)
    one = merged(graph)
    wanted = reference.run(graph, x)
    assert len(one.nodes) <= len(graph.nodes)
    size = max(float(np.abs(wanted).max()), 1.0)
    np.testing.assert_allclose(reference.run(one, x), wanted, atol=1e-4 * size)
    return one


@pytest.mark.parametrize("name", ("digits", "fsrcnn-x2"))
def test_the_zoo(name: str) -> None:
    one = check(load_model(name))
    before = {n.name: n.op for n in load_model(name).nodes}
    assert all(n.op == before[n.name] or n.op == "linear" for n in one.nodes)


@given(graph=networks())
@examples(25)
def test_random_networks(graph: Graph) -> None:
    check(graph)


def test_layers_of_the_processor() -> None:
    check(many())


def generator(between: str | None) -> Graph:
    b = GraphBuilder(3, (5, 1, 1), "latent")
    b.deconv(24, 4, 1, 0)
    b.batchnorm()
    if between:
        b.add(between)
    b.conv(8)
    b.batchnorm()
    b.add("relu")
    b.deconv(2)
    return b.graph()


def test_what_nothing_bends_is_one_matrix() -> None:
    """Its padding too: every pixel has a bias of its own."""
    one = check(generator(None))
    assert [n.op for n in one.nodes] == ["linear", "relu", "deconv"]
    assert one.shapes[one.nodes[0].name] == (8, 4, 4)
    assert np.ptp(one.nodes[0].params["bias"].reshape(8, -1), axis=1).max() > 0.01


def test_an_activation_stays_between() -> None:
    one = check(generator("relu"))
    assert [n.op for n in one.nodes] == ["deconv", "relu", "conv", "relu", "deconv"]


def test_what_would_multiply_more_stays() -> None:
    """A bottleneck is there for a reason."""
    b = GraphBuilder(3, (64, 1, 1), "latent")
    b.linear((2, 4, 4))
    b.conv(64)
    b.add("relu")
    b.conv(1)
    assert [n.op for n in check(b.graph()).nodes] == ["linear", "conv", "relu", "conv"]


def test_a_value_that_others_read_stays() -> None:
    b = GraphBuilder(4, (8, 6, 6))
    first = b.conv(8)
    b.batchnorm()
    b.add("add", b.last, first)
    assert [n.op for n in check(b.graph()).nodes] == ["conv", "batchnorm", "add"]
