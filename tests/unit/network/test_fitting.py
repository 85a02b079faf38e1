"""The sizes of images that a network takes, near one that it may not take."""

from __future__ import annotations

from fractions import Fraction

import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import ModelError
from winogen.network.fitting import size_taken
from winogen.network.graph import Graph
from winogen.network.locality import gain


def unet(depth: int) -> Graph:
    """Halves so many times, and joins what it had of each size on the way back."""
    b = GraphBuilder(0, (3, 1 << depth, 1 << depth))
    seen = []
    for _ in range(depth):
        seen.append(b.nodes[-1].name if b.nodes else Graph.INPUT_NAME)
        b.conv(4, 4, 2, 1)
    for skip in reversed(seen):
        b.add("concat", b.deconv(4, 4, 2, 1), skip)
    b.conv(3, 1)
    return b.graph()


def test_an_output_grows_with_its_input():
    assert gain(64, 128) == 2
    assert gain(64, 16) == Fraction(1, 4)
    assert gain(64, 96) == Fraction(3, 2)
    assert gain(64, 52) == gain(63, 64) == 1  # the edges are lost, or a row is won


@pytest.mark.parametrize("depth", [1, 3])
def test_skip_connections_want_multiples(depth):
    step = 1 << depth
    graph = unet(depth)
    for size in ((step, step), (step + 1, 3 * step), (5, 31), (40, 41)):
        taken = size_taken(graph.resized, size)
        assert all(n % step == 0 for n in taken)
        assert all(0 <= a - b < step for a, b in zip(taken, size)) or taken == size


def test_an_even_size_is_better_than_one_that_drops_a_row():
    b = GraphBuilder(0, (3, 8, 8))
    b.conv(4, 4, 2, 1)
    b.deconv(3, 4, 2, 1)
    graph = b.graph()
    assert graph.resized((9, 9)).output_shape == (3, 8, 8)
    assert size_taken(graph.resized, (9, 9)) == (10, 10)


def test_where_edges_are_lost_every_size_is_taken():
    b = GraphBuilder(0, (3, 30, 30))
    b.conv(4, 5, 1, 0)
    assert size_taken(b.graph().resized, (31, 37)) == (31, 37)


def test_a_network_of_one_size_says_so_of_the_size_that_was_asked_for():
    b = GraphBuilder(0, (3, 8, 8))
    b.linear((4, 1, 1))
    with pytest.raises(ModelError, match="10 rows"):
        size_taken(b.graph().resized, (10, 11))
