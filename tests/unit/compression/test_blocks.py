"""Blocks: what stands for a layer has its shapes, begins near it, and compiles as any network."""

from __future__ import annotations

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError
from winogen.compiler.compile import compile_graph
from winogen.compression.blocks import groups_of, parts, replaced, with_blocks
from winogen.compression.limits import BLOCKS
from winogen.compression.narrow import is_depthwise
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.stored import load_stored, save_network
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator


def network(transposed: bool, cin: int = 32, cout: int = 32, rank_one: bool = False) -> Graph:
    """Positive values through one layer that can be replaced, and one that cannot."""
    b = GraphBuilder(5, (4, 6, 6))
    b.conv(cin)
    b.add("relu")
    name = b.deconv(cout) if transposed else b.conv(cout)
    node = b.nodes[-1]
    if rank_one:
        taps = np.abs(b.normal(*node.attrs["kernel"]))
        shape = node.params["weight"].shape[:2]
        node.params["weight"] = b.normal(*shape)[:, :, None, None] * taps / 5
    b.add("relu")
    b.conv(2)
    assert name == b.nodes[2].name
    return b.graph()


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("cin", "cout"), [(32, 32), (32, 64), (64, 32)])
def test_shapes_stay(kind: str, transposed: bool, cin: int, cout: int) -> None:
    graph = network(transposed, cin, cout)
    name = graph.nodes[2].name
    assert replaced(graph, kind) == (name,)
    student = with_blocks(graph, kind)
    assert {n: student.shapes[n] for n in graph.shapes} == graph.shapes
    own = parts(name, student)
    assert own[-1] == name and len(own) == len(student.nodes) - len(graph.nodes) + 1
    filters = [n for n in student.nodes if n.name in own and is_depthwise(n)]
    assert len(filters) == 1
    assert filters[0].attrs == graph.nodes[2].attrs
    skips = kind != "separable" and cin == cout and not transposed
    assert (student.nodes[own.index(name) + 2].op == "add") == skips


@pytest.mark.parametrize("kind", ["separable", "mobilenet"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("cin", "cout"), [(32, 48), (48, 32)])
def test_weights_that_are_a_product_are_found(
    kind: str, transposed: bool, cin: int, cout: int
) -> None:
    """Exactly where no ReLU of the block takes anything away."""
    graph = network(transposed, cin, cout, rank_one=True)
    student = with_blocks(graph, kind)
    x = sample_inputs(graph.input, 4, 0)
    np.testing.assert_allclose(reference.run(student, x), reference.run(graph, x), atol=1e-4)


def test_what_is_added_is_taken_off_the_weights() -> None:
    graph = network(False, rank_one=True)
    node = graph.nodes[2]
    node.params["weight"][range(32), range(32), 1, 1] += 1
    x = sample_inputs(graph.input, 4, 0)
    student = with_blocks(graph, "mobilenet")
    np.testing.assert_allclose(reference.run(student, x), reference.run(graph, x), atol=1e-4)


@pytest.mark.parametrize(("cin", "cout", "groups"), [(32, 64, 2), (128, 128, 4), (144, 128, 2)])
def test_groups_keep_to_themselves_and_are_shuffled_by_words(
    cin: int, cout: int, groups: int
) -> None:
    graph = network(False, cin, cout)
    assert groups_of(cin, cout) == groups
    student = with_blocks(graph, "shuffle")
    ones = [n for n in student.nodes if n.op == "conv" and n.attrs["kernel"] == (1, 1)]
    expand, project = (n.params["weight"] for n in ones)
    assert np.count_nonzero(expand) == expand.size // groups
    assert np.count_nonzero(project) <= project.size // groups
    read = [set(np.flatnonzero(row.any(axis=(1, 2))) * groups // cin) for row in expand]
    assert all(len(r) == 1 for r in read)
    words = [set.union(*read[i : i + 8]) for i in range(0, len(read), 8)]
    assert all(len(w) == 1 for w in words)  # of whole words of lanes
    for target in range(groups):  # every group that is made reads all that are read
        rows = slice(target * len(project) // groups, (target + 1) * len(project) // groups)
        middle = np.flatnonzero(project[rows].any(axis=(0, 2, 3)))
        assert set.union(*(read[i] for i in middle)) == set(range(groups))


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_student_is_a_network_as_any_other(kind: str, tmp_path) -> None:
    student = with_blocks(network(True), kind)
    save_network(student, tmp_path / "n.npz")
    again = load_stored(tmp_path / "n.npz")
    first, second = (compile_graph(g, "pynq-z2", batch=2) for g in (student, again))
    assert first.program.tobytes() == second.program.tobytes()
    x = sample_inputs(student.input, 2, 0)
    with Generator(first.program) as generator:
        given = generator.generate(x, as_float=True)
    wanted = reference.run(student, x)
    assert np.mean((given - wanted) ** 2) < 1e-3 * np.mean(wanted**2)


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_network_without_such_layers_is_refused(kind: str) -> None:
    b = GraphBuilder(5, (4, 6, 6))
    b.conv(8)
    b.conv(64, 1, pad=0)
    with pytest.raises(InputError, match=f"no layer that --blocks {kind} could replace"):
        with_blocks(b.graph(), kind)


def test_blocks_are_not_replaced_again() -> None:
    student = with_blocks(load_model("digits"), "separable")
    assert replaced(student, "separable") == ()
