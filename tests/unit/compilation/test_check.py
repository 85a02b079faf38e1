"""Checks of models: what each kind of file is, all that cannot run, and how fast the rest is."""

from __future__ import annotations

import struct
import warnings
from collections import OrderedDict
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import winogen
from support.bench import small
from support.onnx_models import Net
from support.places import ONNX_FILES
from support.torch_files import save
from winogen.common.errors import BoardError, InputError, ModelError
from winogen.compilation.checked import CheckReport
from winogen.network.graph import Graph, InputSpec, Node
from winogen.network.load import load_network
from winogen.program.speed import speed
from winogen.target.board import board_names, load_board

GOOD = """
name: net
input: {image: [1, 8, 8]}
output: {range: [0, 1]}
layers:
- {name: c, op: conv, cout: 4, k: 3, pad: 1, act: relu}
- {name: d, op: deconv, cout: 1, k: 2, stride: 2, act: clip01}
"""
#: The end of a zip archive in two parts, which Python's zipfile refuses even to recognise.
PARTS = (
    b"PK\x03\x04" + bytes(60) + b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 2) + b"PK\x05\x06"
    + bytes(18)
)  # fmt: skip
BAD = """
name: net
input: {image: [1, 8, 8]}
layers:
- {name: c, op: conv, cout: 4, k: 3, norm: spectral}
- {name: p, op: roipool}
- {name: d, op: conv, cout: 1, k: 3, act: glu}
"""


def check(model: Any, **options: Any) -> CheckReport:
    """A report that is whole, and gives no warning: all is in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = winogen.check(model, **{"board": "tiny", "bits": 8, **options})
    assert report.runs == (not report.problems and any(p.runs for p in report.predictions))
    assert report.multiply_adds == sum(layer.multiply_adds for layer in report.layers)
    text = report.text()
    for told in (*report.problems, *report.notes, report.kind, report.model):
        assert told in text
    assert ("It runs. " in text) == report.runs
    return report


def test_a_network_that_runs():
    report = check("digits", board="pynq-z2", bits=None)
    assert report.kind == "network that comes with winogen, trained"
    assert (report.input_kind, report.input_shape) == ("latent", (64, 1, 1))
    assert (report.output_shape, report.output_range) == ((1, 32, 32), (-1.0, 1.0))
    graph = load_network("digits")
    assert [layer.name for layer in report.layers] == [node.name for node in graph.nodes]
    weights = [n for n in graph.nodes if "weight" in n.params]
    # Transposed convolutions: every weight for every input pixel.
    pixels = [np.prod(graph.shapes[n.inputs[0]][1:]) for n in weights]
    sizes = [n.params["weight"].size for n in weights]
    assert report.multiply_adds == sum(p * s for p, s in zip(pixels, sizes))
    assert report.parameters == sum(
        v.size for n in graph.nodes for k, v in n.params.items() if k not in ("mean", "var")
    )
    assert [(p.board, p.data_width, p.runs) for p in report.predictions] == [
        ("pynq-z2", 8, True), ("pynq-z2", 16, True)
    ]  # fmt: skip
    for prediction in report.predictions:
        program = winogen.compile_model("digits", "pynq-z2", bits=prediction.data_width)
        last = program.streams[-1]
        assert prediction.batch == last.batch
        assert prediction.images_per_second == speed(program, last).overlapped
        alone = speed(program, program.streams[0])
        assert prediction.latency_ms == pytest.approx(1000 * alone.run_s)
        assert prediction.memory_bytes == program.memory().total
        assert prediction.weight_bytes == len(program.weights)
        assert prediction.available_bytes == 128 << 20
    with pytest.raises(FrozenInstanceError):
        report.name = "other"  # type: ignore[misc]


def test_no_network_is_run(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the float network was run")

    monkeypatch.setattr("winogen.network.reference.run", refuse)
    assert check("digits").runs


def test_an_onnx_file_with_all_that_cannot_run(tmp_path):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3), pads=[1] * 4, name="c1")
    x = net.node("LRN", x, size=3, name="norm")
    x = net.node("Softmax", x, axis=1, name="soft")
    x = net.node("LpPool", x, kernel_shape=[2, 2], strides=[2, 2], name="pool")
    path = tmp_path / "bad.onnx"
    onnx.save(net.model(x, ["n", 3, 16, 16]), path)
    report = check(path)
    assert (report.kind, report.layers, report.predictions) == ("ONNX model", (), ())
    for text, words in zip(report.problems, (
        ("'norm'", "batch normalization"), ("'soft'", "functions of one"), ("'pool'", "stride"),
    ), strict=True):  # fmt: skip
        assert all(word in text for word in words)
    facts = dict(report.facts)
    assert facts["opset"] == "17"
    assert facts["takes"] == "(?, 3, 16, 16) float"
    assert facts["nodes"] == "4: 1 Conv, 1 LRN, 1 Softmax, 1 LpPool"


def test_what_an_exporter_says_of_itself():
    facts = dict(check(ONNX_FILES / "dcgan-torchscript-11.onnx").facts)
    assert facts["producer"].startswith("pytorch ")
    assert facts["opset"] == "11"
    assert facts["takes"] == "(?, 8, 1, 1) float"
    assert facts["gives"] == "(?, 3, 16, 16)"


def test_an_image_of_any_size(tmp_path):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 1, 3, 3), pads=[1] * 4)
    x = net.node("Relu", x)
    path = tmp_path / "open.onnx"
    onnx.save(net.model(net.node("Conv", x, net.weight(1, 4, 1, 1)), ["n", 1, "h", "w"]), path)
    report = check(path, board="pynq-z2")
    assert (report.input_shape, report.any_size) == ((1, 256, 256), True)
    assert "--image-size" in report.notes[0]
    report = check(path, board="pynq-z2", image_size=(24, 40))
    assert (report.input_shape, report.notes) == ((1, 24, 40), ())


def test_definitions_with_and_without_weights(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    path = folder / "layers.yaml"
    path.write_text(GOOD)
    for model in (path, folder):
        report = check(model)
        assert report.runs
        assert report.any_size
        assert "no weights.npz" in report.notes[0]
    assert check(path).kind == "definition"
    graph = load_network(folder, weights=_weights(tmp_path / "w.npz"))
    assert check(folder, weights=tmp_path / "w.npz").notes == ()
    assert check(path, weights=tmp_path / "w.npz").notes == graph.notes
    _weights(folder / "weights.npz")
    for model in (path, folder):
        assert check(model).notes == ()
    other = tmp_path / "my.yaml"
    other.write_text(BAD)
    report = check(other)
    assert [text.split("'")[3] for text in report.problems] == ["spectral", "roipool", "glu"]
    with pytest.raises(InputError, match=r"name it layers\.yaml"):
        check(other, weights=tmp_path / "w.npz")
    np.savez(folder / "weights.npz", **{"c.weight": np.zeros((4, 1, 3, 3), np.float32)})
    assert len(check(folder).problems) == 3  # one bias, and weight of the other


def _weights(path: Path) -> Path:
    rng = np.random.default_rng(0)
    shapes = {"c.weight": (4, 1, 3, 3), "c.bias": (4,), "d.weight": (4, 1, 2, 2), "d.bias": (1,)}
    np.savez(path, **{k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()})
    return path


@pytest.mark.parametrize("name", ["dcgan.pth", "dcgan.safetensors", "dcgan-wrapped.pt"])
def test_weights_without_a_definition(name):
    report = check(ONNX_FILES / name)
    assert report.runs
    kind = "safetensors file" if name.endswith("safetensors") else "PyTorch checkpoint"
    assert report.kind == kind
    assert "assumed" in " ".join(report.notes)


def test_doubtful_weights_are_a_question_with_the_candidates(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"0": (9, 8, 4, 4), "1": (8, 4, 5, 5), "2": (4, 3, 5, 5)}
    arrays = OrderedDict((f"{k}.weight", rng.random(s, np.float32)) for k, s in shapes.items())
    path = save(arrays, tmp_path / "net.pth")
    (question,) = check(path).problems
    for word in ("(1) 16 x 16 pixels", "(2) 4 x 4 pixels", "--candidate"):
        assert word in question
    assert check(path, candidate=1).runs
    one, two = (dict(arrays) for _ in range(2))
    path = save(OrderedDict(left=one, right=two), tmp_path / "two.pth")
    (question,) = check(path).problems
    for word in ("'left' (3 arrays)", "'right' (3 arrays)", "--weights-key"):
        assert word in question
    assert check(path, weights_key="left", candidate=2).output_shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.onnx", b"", "empty"),
        ("a.onnx", b"no model at all", "damaged"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "Keras"),
        ("a.txt", b"hello", "no network"),
        ("a.pth", b"PK\x03\x04", "no network"),
        ("a.pth", PARTS, "no network"),
        ("a.npz", PARTS, "no network"),
        ("a.yaml", b"- [", "cannot read the model definition"),
        ("a.wg", b"nothing", "not a winogen program"),
    ],
)
def test_files_that_hold_no_network(tmp_path, name, data, told):
    path = tmp_path / name
    path.write_bytes(data)
    (problem,) = check(path).problems
    assert told in problem


@pytest.mark.parametrize("name", ["digit", "missing.onnx", "missing.pth", "missing.yaml"])
def test_what_is_not_there(name):
    with pytest.raises(ModelError):
        winogen.check(name)


def test_a_graph_made_in_python():
    linear = Node(
        "a", "linear", ("input",), {"shape": (2, 2, 2)}, {"weight": np.ones((8, 8), np.float32)}
    )
    graph = Graph("mine", InputSpec((2, 2, 2), "image"), [linear])
    report = check(graph)
    assert (report.model, report.kind) == ("mine", "network made in Python")
    assert (len(report.layers), report.multiply_adds) == (1, 64)
    assert "one of the two must be a vector" in report.problems[0]


def test_boards(tmp_path):
    model = tmp_path / "layers.yaml"
    model.write_text(GOOD)
    widths = {name: [] for name in board_names()}
    report = winogen.check(model, board_names())
    for prediction in report.predictions:
        widths[prediction.board].append(prediction.data_width)
    assert widths["pynq-z2"] == [8, 16]
    assert widths["kc705"] == [8]
    assert all(8 in w for w in widths.values())
    report = winogen.check(model, board_names(), bits=16)
    assert {p.data_width for p in report.predictions} == {16}
    report = winogen.check(model, load_board("pynq-z2", 16))
    assert [p.data_width for p in report.predictions] == [16]
    for boards in ("nowhere", ["pynq-z2", "nowhere"]):
        with pytest.raises(BoardError, match="unknown board 'nowhere'"):
            winogen.check(model, boards)
    with pytest.raises(BoardError, match="no int16 core"):
        winogen.check(model, "kc705", bits=16)
    with pytest.raises(InputError, match="does not calibrate: leave percentile out"):
        winogen.check(model, percentile=99)
    with pytest.raises(InputError, match="8 or 16"):
        winogen.check(model, bits=4)
    with pytest.raises(InputError, match="'bit'"):
        winogen.check(model, bit=8)


def test_what_does_not_fit_is_said_for_each_board():
    """Two layers whose outputs are too large for the small board, and not for the other."""
    rng = np.random.default_rng(0)
    nodes = []
    for name, source in (("a", "input"), ("b", "a")):
        weight = rng.standard_normal((1, 1, 12, 12)).astype(np.float32)
        attrs = {"kernel": (12, 12), "stride": (12, 12), "crop": (0,) * 4}
        nodes.append(Node(name, "deconv", (source,), attrs, {"weight": weight}))
    graph = Graph("net", InputSpec((1, 1, 1), "image"), nodes)
    report = check(graph, board=["tiny", "pynq-z2"])
    assert [p.runs for p in report.predictions] == [False, True]
    assert report.runs
    assert [text.split("'")[1] for text in report.predictions[0].problems] == ["a", "b"]
    report = check(graph)
    assert not report.runs
    assert not report.problems
    assert "runs on none of these" in report.text()
    assert all(text in report.text() for text in report.predictions[0].problems)


def test_a_program(tmp_path):
    program = small(batch=4).program
    path = tmp_path / "small.wg"
    program.save(path)
    report = winogen.check(path)
    assert (report.kind, report.name, report.runs) == ("program file", program.name, True)
    assert [p.board for p in report.predictions] == ["tiny"]
    assert report.predictions[0].memory_bytes == program.memory().total
    assert report.multiply_adds == sum(layer.useful for layer in program.layers)
    report = winogen.check(path, "pynq-z2", bits=8)
    assert not report.runs
    assert "compile it again with --board pynq-z2" in report.predictions[0].problems[0]
    assert not winogen.check(path, bits=16).runs
    assert winogen.check(path, ["tiny", "pynq-z2"], bits=8).runs


def test_what_a_file_says_does_not_command_a_terminal(tmp_path):
    bad = "\x1b[2J\x9b"
    arrays = {"0.weight": np.ones((9, 8, 4, 4), np.float32)}
    path = save(OrderedDict({f"left{bad}": arrays, "right": dict(arrays)}), tmp_path / "a.pth")
    report = winogen.check(path, "tiny", bits=8)
    assert "--weights-key" in report.problems[0]
    assert all(line.isprintable() for line in report.text().split("\n"))
    net = Net()
    x = net.node("LRN", "z", size=3, name=bad)
    model = net.model(x, ["n", 3, 8, 8], input_name=bad)
    model.producer_name = bad
    model.graph.node[0].input[0] = bad
    onnx.save(model, tmp_path / f"b{bad}.onnx")
    report = winogen.check(tmp_path / f"b{bad}.onnx", "tiny", bits=8)
    assert "(LRN) is not supported" in report.problems[0]
    assert all(line.isprintable() for line in report.text().split("\n"))


def test_a_folder_without_a_definition(tmp_path):
    (problem,) = check(tmp_path).problems
    assert "has no layers.yaml" in problem
