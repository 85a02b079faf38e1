"""What is elastic: widths, kernels and layers that can go, and what is no chain."""

from __future__ import annotations

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import UnsupportedLayerError
from winogen.compression import space as space_module
from winogen.compression.space import Space, edges_within, folded, window
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs


def axes(graph: Graph) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(a.kind, a.layer, a.values) for a in Space(folded(graph)).axes]


def test_digits() -> None:
    space = Space(folded(load_model("digits")))
    assert [(a.kind, a.layer, a.values) for a in space.axes] == [
        ("width", "deconv1", (96, 80, 72, 64, 48, 32, 24)),
        ("width", "deconv2", (64, 56, 48, 40, 32, 24, 16)),
        ("width", "deconv3", (32, 24, 16, 8)),
        ("kernel", "deconv2", (4, 3, 2)),
        ("kernel", "deconv3", (4, 3, 2)),
        ("kernel", "deconv4", (4, 3, 2)),
    ]
    assert space.count == 7 * 7 * 4 * 3**3
    assert space.described(space.smallest) == (
        "channels 24, 16, 8 (of 96, 64, 32); kernels 2, 2, 2 (of 4, 4, 4)"
    )


def test_layers_that_make_the_shape_they_read_can_go() -> None:
    found = axes(load_model("fsrcnn-x2"))
    assert [a for a in found if a[0] == "depth"] == [
        ("depth", f"conv{n}", (1, 0)) for n in (3, 4, 5, 6)
    ]
    # Those that they pass on have one width together.
    assert [a for a in found if a[0] == "width" and a[2][0] == 12] == [("width", "conv2", (12, 8))]


@pytest.mark.parametrize(
    ("whole", "side", "edges", "inside"),
    [
        ((4, 4), 2, (1, 1, 1, 1), (0, 0, 0, 0)),
        ((4, 4), 3, (1, 1, 1, 1), (1, 0, 1, 0)),
        ((5, 5), 3, (2, 1, 2, 1), (1, 0, 1, 0)),
        ((5, 3), 3, (2, 2, 1, 1), (1, 1, 0, 0)),
    ],
)
def test_windows_keep_their_taps_in_place(whole, side, edges, inside) -> None:
    assert edges_within(edges, whole, side) == inside
    (row, column), shape = window(whole, side)
    assert shape == (side, whole[1] - whole[0] + side)
    assert row + shape[0] <= whole[0] and column + shape[1] <= whole[1]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("op", ["conv", "deconv"])
def test_what_lies_outside_of_a_window_may_be_zero(op: str, kernel: int, stride: int) -> None:
    """A layer with zeros there is the layer with the smaller kernel."""
    b = GraphBuilder(1, (8, 6, 7))
    shape = (8, 8, kernel, kernel)
    edges = (kernel // 2, (kernel - 1) // 2) * 2
    name = "pad" if op == "conv" else "crop"
    attrs = {"kernel": (kernel, kernel), "stride": (stride, stride), name: edges}
    b.add(op, params={"weight": b.normal(*shape)}, **attrs)
    graph = b.graph()
    (node,) = graph.nodes
    x = sample_inputs(graph.input, 2, 0)
    sides = space_module._kernels(node)
    assert len(sides) > 1 or kernel - stride < 2
    for side in sides[1:]:
        (row, column), (rows, columns) = window((kernel, kernel), side)
        part = node.params["weight"][..., row : row + rows, column : column + columns].copy()
        node.params["weight"][...] = 0
        node.params["weight"][..., row : row + rows, column : column + columns] = part
        small = Graph(graph.name, graph.input, [*graph.nodes])
        cut = {"kernel": (rows, columns), name: edges_within(edges, (kernel, kernel), side)}
        small.nodes[0] = type(node)(
            node.name, op, node.inputs, {**node.attrs, **cut}, {"weight": part}
        )
        np.testing.assert_allclose(
            reference.run(small, x), reference.run(graph, x), rtol=1e-5, atol=1e-5
        )


def test_batch_norms_go_into_the_layers_before_them() -> None:
    graph = load_model("digits")
    alike = folded(graph)
    assert not [n for n in alike.nodes if n.op == "batchnorm"]
    x = sample_inputs(graph.input, 4, 0)
    np.testing.assert_allclose(reference.run(alike, x), reference.run(graph, x), atol=1e-5)


def test_what_cannot_be_elastic_is_told() -> None:
    b = GraphBuilder(2, (8, 6, 6))
    first = b.conv(16)
    b.add("add", first, b.conv(16))
    with pytest.raises(UnsupportedLayerError, match="only chains of layers"):
        Space(b.graph())
    b = GraphBuilder(2, (8, 6, 6))
    b.conv(16)
    b.add("maxpool", kernel=(2, 2), stride=(2, 2), pad=(0, 0, 0, 0))
    with pytest.raises(UnsupportedLayerError, match="of kind maxpool cannot be trained once"):
        Space(b.graph())
    b = GraphBuilder(3, (8, 6, 6))
    b.conv(32)
    weight = np.zeros((32, 32, 3, 3))
    weight[np.arange(32), np.arange(32)] = b.normal(32, 3, 3)
    b.add("conv", params={"weight": weight}, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1))
    with pytest.raises(UnsupportedLayerError, match="filters each channel by itself"):
        Space(b.graph())


def test_large_kernels_are_left_as_they_are() -> None:
    """Their matrices would take the fourth power of the side."""
    b = GraphBuilder(4, (1, 1, 1))
    b.add(
        "conv",
        params={"weight": b.normal(8, 1, 33, 33)},
        kernel=(33, 33),
        stride=(1, 1),
        pad=(16, 16, 16, 16),
    )
    assert Space(b.graph()).count == 1
