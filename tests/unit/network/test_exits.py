"""Exits of a graph: networks by themselves, kept by network files, refused where they are none."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from support.exits import with_exits
from winogen.common.errors import InputError, ModelError
from winogen.network import reference
from winogen.network.stored import load_stored, save_network
from winogen.program.formats import sample_inputs


def test_each_is_a_network_by_itself() -> None:
    graph = with_exits()
    x = sample_inputs(graph.input, 3, 1)
    kept: dict[str, np.ndarray] = {}
    reference.run(graph, x, kept.__setitem__)
    for number, name in enumerate(graph.outputs, 1):
        alone = graph.at_exit(number)
        assert alone.output_name == name
        assert not alone.exits
        assert alone.output_shape == graph.output_shape
        np.testing.assert_array_equal(reference.run(alone, x), kept[name])
    assert graph.without_exits() == graph.at_exit(3)
    assert len(graph.at_exit(1).nodes) < len(graph.at_exit(3).nodes) < len(graph.nodes)


def test_layers_of_the_whole_network_come_first() -> None:
    graph = with_exits()
    own = {n.name for n in graph.nodes} - {n.name for n in graph.without_exits().nodes}
    heads = [n for n in graph.nodes if n.name in own]
    rest = [n for n in graph.nodes if n.name not in own]
    first = replace(graph, nodes=[rest[0], rest[1], *heads[:2], *rest[2:-1], *heads[2:], rest[-1]])
    for number in (1, 2):
        flags = [n.name in own for n in first.at_exit(number).nodes]
        assert flags == sorted(flags)


@pytest.mark.parametrize("number", [0, 4, -1, True, 1.0, "1", None])
def test_other_numbers(number) -> None:
    with pytest.raises(InputError, match="give 1, the shallowest, to 3"):
        with_exits().at_exit(number)
    with pytest.raises(InputError, match="winogen fit --exits"):
        with_exits().without_exits().at_exit(2)


def test_a_network_file_keeps_them(tmp_path) -> None:
    graph = with_exits()
    save_network(graph, tmp_path / "a.npz")
    again = load_stored(tmp_path / "a.npz")
    assert again.exits == graph.exits
    save_network(again, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert _format(tmp_path / "a.npz") == 2
    save_network(graph.without_exits(), tmp_path / "c.npz")
    assert _format(tmp_path / "c.npz") == 1  # which older versions read


def _format(path) -> int:
    with zipfile.ZipFile(path) as archive, archive.open("network.json.npy") as member:
        return json.loads(np.load(member).tobytes())["format"]


@pytest.mark.parametrize(
    ("exits", "why"),
    [
        (("none",), "there is no such layer"),
        (("input",), "there is no such layer"),
        (("exit1.1",), "another layer reads it"),
        (("exit1.2", "exit1.2"), "two of its exits are one layer"),
    ],
)
def test_exits_that_are_none(exits, why) -> None:
    graph = with_exits()
    names = {n.name for n in graph.nodes}
    given = tuple(e if e in names or e in ("none", "input") else graph.exits[0] for e in exits)
    with pytest.raises(ModelError, match=why):
        replace(graph, exits=given)


def test_an_exit_of_another_size() -> None:
    graph = with_exits()
    nodes = [n for n in graph.nodes if n.name not in graph.exits]
    with pytest.raises(ModelError, match="there is no such layer"):
        replace(graph, nodes=nodes)
    last = graph.nodes[-1]
    early = replace(last, name="early", inputs=(graph.nodes[0].name,), attrs={}, op="tanh")
    with pytest.raises(ModelError, match="is not as large as the network's"):
        replace(graph, nodes=[graph.nodes[0], early, *graph.nodes[1:]], exits=("early",))
