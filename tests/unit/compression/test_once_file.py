"""Files of what was trained once for all: read as written, and refused where they are wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from support.elastic import elastic_graph
from winogen.common.errors import InputError, ModelError, UnsupportedLayerError
from winogen.network.kinds import ONCE, weights_kind
from winogen.network.load import load_network
from winogen.network.stored import read_arrays, write_arrays
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.once import elastic_of
from winogen.compression.once_file import Once, load_once, save_once

GRAPH = elastic_graph()


@pytest.fixture(scope="module")
def once() -> Once:
    elastic = elastic_of(GRAPH, sample_inputs(GRAPH.input, 16, 0))
    with torch.no_grad():
        for number, value in enumerate(elastic.parameters()):
            value += 0.01 * (number + 1)
    return Once(elastic, GRAPH, 17)


@pytest.fixture
def path(once: Once, tmp_path: Path) -> Path:
    save_once(once, tmp_path / "n.once")
    return tmp_path / "n.once"


def test_read_as_written(once: Once, path: Path, tmp_path: Path) -> None:
    again = load_once(path)
    assert again.steps == 17
    assert again.elastic.space.axes == once.elastic.space.axes
    for name, value in once.elastic.state_dict().items():
        assert torch.equal(value, again.elastic.state_dict()[name]), name
    for ours, theirs in zip(GRAPH.nodes, again.teacher.nodes):
        for name, array in ours.params.items():
            np.testing.assert_array_equal(theirs.params[name], array)
    save_once(again, tmp_path / "again.once")
    assert (tmp_path / "again.once").read_bytes() == path.read_bytes()


def test_other_commands_say_what_it_is(path: Path) -> None:
    assert weights_kind(path) == ONCE
    with pytest.raises(InputError, match="trained once for all: take one out of it"):
        load_network(path)


def changed(path: Path, name: str, value: object) -> Path:
    arrays = read_arrays(path)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = np.asarray(value)
    write_arrays(arrays, path)
    return path


def text(value: str) -> np.ndarray:
    return np.frombuffer(value.encode(), np.uint8)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("once.json", text("{}"), "format None"),
        ("once.json", text('{"format": 2, "steps": 1}'), "format 2"),
        ("once.json", text("[1]"), "format None"),
        ("once.json", text("{"), "cannot read"),
        ("once.json", text("[" * 4000), "cannot read"),
        ("once.json", text(" " * 5000), "no header"),
        ("once.json", text('{"format": 1, "steps": true}'), "for how many steps"),
        ("once.json", text('{"format": 1, "steps": -1}'), "for how many steps"),
        ("elastic/node0_gain", None, "is missing"),
        ("elastic/node99_gain", np.zeros(3, np.float32), "of no layer"),
        ("elastic/node0_gain", np.zeros((1, 3), np.float32), "expected float32"),
        ("elastic/node0_gain", np.zeros((1, 24)), "expected float32"),
        ("elastic/node0_gain", np.full((1, 24), np.nan, np.float32), "NaN or infinity"),
        ("other", np.zeros(3, np.float32), "of no network"),
        ("network/network.json", None, "no layers"),
        ("teacher/network.json", text("{}"), "format"),
    ],
)
def test_what_is_wrong_is_told(path: Path, name: str, value: object, said: str) -> None:
    with pytest.raises(ModelError, match=said) as told:
        load_once(changed(path, name, value))
    assert str(path) in str(told.value)


def test_a_network_of_another_shape_than_its_teacher(once: Once, path: Path) -> None:
    from winogen.network.stored import network_arrays
    from winogen.network.zoo import load_model

    arrays = {k: v for k, v in read_arrays(path).items() if not k.startswith("teacher/")}
    other = network_arrays(load_model("digits"))
    write_arrays({**arrays, **{f"teacher/{k}": v for k, v in other.items()}}, path)
    with pytest.raises(ModelError, match="no network like its teacher"):
        load_once(path)


def test_a_network_that_is_no_chain(once: Once, path: Path) -> None:
    from support.random_graphs import GraphBuilder
    from winogen.network.stored import network_arrays

    b = GraphBuilder(1, (8, 4, 4))
    b.add("maxpool", kernel=(2, 2), stride=(2, 2), pad=(0, 0, 0, 0))
    b.conv(8)
    made = network_arrays(b.graph())
    arrays = {k: v for k, v in read_arrays(path).items() if k == "once.json"}
    for folder in ("teacher", "network"):
        arrays.update({f"{folder}/{k}": v for k, v in made.items()})
    write_arrays(arrays, path)
    with pytest.raises(UnsupportedLayerError, match="maxpool"):
        load_once(path)


def test_bytes_that_are_cut_or_changed(path: Path) -> None:
    """A damaged file is told or, where no check can see it, read: nothing else is raised."""
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        if random.random() < 0.3:
            damaged = damaged[: int(random.integers(len(damaged)))]
        else:
            for place in random.integers(0, len(damaged), 3):
                damaged[int(place)] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            load_once(path)
        except (ModelError, UnsupportedLayerError) as error:
            assert str(path) in str(error)


def test_compressed_members_are_refused(path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    path.write_bytes(stream.getvalue())
    with pytest.raises(ModelError, match="compressed"):
        load_once(path)
