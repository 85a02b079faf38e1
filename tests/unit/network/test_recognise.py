"""Weights without a definition: what generator they are of, by names and shapes alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from support.places import SHARED_WEIGHTS
from support.torch_files import save
from winogen.cli.main import main
from winogen.common.errors import InputError, ModelError, WinogenWarning
from winogen.network import reference
from winogen.network.definition import StoredParameters, load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.network.recognise import Recognised, recognise

Arrays = dict[str, Any]


def chain(*parts: Any, bias: bool = False) -> Arrays:
    """A state dict of torch.nn.Sequential: weights by their shapes, ``n`` norms, ``p`` PReLUs."""
    rng = np.random.default_rng(len(parts))
    arrays: Arrays = OrderedDict()
    for at, part in enumerate(parts):
        if part == "p":
            arrays[f"{at}.weight"] = np.array([0.25], np.float32)
        elif isinstance(part, str):
            for name in ("weight", "bias", "running_mean", "running_var"):
                values = rng.uniform(0.5, 1.5, int(part[1:])).astype(np.float32)
                arrays[f"{at}.{name}"] = values
        else:
            arrays[f"{at}.weight"] = rng.normal(0, 0.2, part).astype(np.float32)
            if bias:
                outputs = part[0] if len(part) == 2 else part[1]
                arrays[f"{at}.bias"] = rng.normal(0, 0.2, outputs).astype(np.float32)
    return arrays


def graph_of(found: Recognised) -> Graph:
    return load_definition(found.definition, StoredParameters(found.arrays, "x"))


def read(arrays: Arrays, candidate: int | None = None) -> Graph:
    return graph_of(recognise(arrays, "net.pth", candidate))


def refusal(arrays: Arrays) -> str:
    with pytest.raises(ModelError) as error:
        recognise(arrays, "net.pth")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("latent", [10, 100])
@pytest.mark.parametrize("width", [4, 6])
@pytest.mark.parametrize(("channels", "layers"), [(1, 3), (3, 5)])
def test_a_dcgan_of_any_width(latent, width, channels, layers):
    """The same network as the definition that people write for it."""
    parts: list[Any] = []
    before, text = latent, ""
    for at in range(layers):
        last = at == layers - 1
        cout = channels if last else width << (layers - 2 - at)
        parts.append((before, cout, 4, 4))
        text += f"- {{name: l{at}, op: deconv, cout: {cout}, k: 4"
        text += ", stride: 2, pad: 1" if at else ""
        text += ", bias: false, act: tanh}\n" if last else ", norm: batch, act: relu}\n"
        parts += [] if last else [f"n{cout}"]
        before = cout
    arrays = chain(*parts)
    found = recognise(arrays, "net.pth")
    graph = graph_of(found)
    assert graph.output_shape == (channels, 4 << (layers - 1), 4 << (layers - 1))
    assert (graph.input.kind, graph.input.shape) == ("latent", (latent, 1, 1))
    assert graph.output_range == (-1, 1)
    from winogen.network.statedict import StateDict

    by_hand = load_definition(f"input: {{latent: {latent}}}\nlayers:\n{text}",
                              StateDict(arrays, "net.pth"))  # fmt: skip
    z = np.random.default_rng(0).standard_normal((2, latent, 1, 1))
    assert np.array_equal(reference.run(graph, z), reference.run(by_hand, z))
    for part in ("assumed", "normal latents", "ReLU between the layers", "tanh after the last",
                 f"from {latent} latents", f"{channels} channel"):  # fmt: skip
        assert part in found.notes[0]


def test_a_linear_layer_first():
    graph = read(chain((48, 7), (3, 2, 4, 4), "n2", (2, 1, 4, 4), bias=True))
    assert [n.op for n in graph.nodes[:3]] == ["linear", "relu", "deconv"]
    assert graph.shapes[graph.nodes[0].name] == (3, 4, 4)
    assert graph.output_shape == (1, 16, 16)


def test_a_norm_of_every_value_of_the_linear_layer():
    """As Keras and many PyTorch models have it: computed into the weights, and said."""
    arrays = chain((48, 7), "n48", (3, 1, 4, 4))
    found = recognise(arrays, "net.pth")
    assert any("norm of every value" in note for note in found.notes)
    z = np.random.default_rng(0).standard_normal((4, 7))
    y = z @ arrays["0.weight"].T
    y = (y - arrays["1.running_mean"]) / np.sqrt(arrays["1.running_var"] + 1e-5)
    y = np.maximum(y * arrays["1.weight"] + arrays["1.bias"], 0).reshape(4, 3, 4, 4)
    out = reference.deconv2d(y, arrays["2.weight"], (2, 2), (1, 1, 1, 1))
    assert np.allclose(reference.run(graph_of(found), z), np.tanh(out), atol=1e-5)


def test_linear_layers_alone():
    graph = read(chain((16, 7), (784, 16), bias=True))
    assert graph.output_shape == (1, 28, 28)
    assert [n.op for n in graph.nodes] == ["linear", "relu", "linear", "tanh"]


def test_slopes_are_prelu_and_convolutions_are_known_by_their_channels():
    graph = read(chain((5, 8, 4, 4), "p", (6, 8, 3, 3), "n6", (6, 3, 4, 4)))
    assert [n.op for n in graph.nodes] == ["deconv", "prelu", "conv", "batchnorm", "relu",
                                           "deconv", "tanh"]  # fmt: skip
    assert graph.output_shape == (3, 8, 8)


def test_odd_kernels_are_a_question():
    arrays = chain((9, 8, 4, 4), "n8", (8, 4, 5, 5), "n4", (4, 3, 5, 5))
    text = refusal(arrays)
    for part in ("(1) 16 x 16 pixels", "stride 2", "(2) 4 x 4 pixels", "stride 1", "--candidate"):
        assert part in text
    assert read(arrays, 1).output_shape == (3, 16, 16)
    assert read(arrays, 2).output_shape == (3, 4, 4)
    with pytest.raises(InputError, match="must be 1 to 2"):
        recognise(arrays, "net.pth", 3)


def test_square_weights_are_a_question_unless_named():
    """As many channels in as out: a convolution and a transposed one look alike."""
    parts = ((9, 8, 4, 4), (8, 8, 3, 3), (8, 3, 4, 4))
    assert "convolutions of stride 1" in refusal(chain(*parts))
    arrays = chain(*parts)
    arrays = OrderedDict((k.replace("1.", "body.conv1."), v) for k, v in arrays.items())
    assert [n.op for n in read(arrays).nodes][2] == "conv"


def test_the_generator_of_a_course():
    arrays = chain((10, 8, 3, 3), "n8", (8, 4, 4, 4), "n4", (4, 2, 3, 3), "n2", (2, 1, 4, 4))
    assert "28 x 28 pixels" in refusal(arrays)
    assert read(arrays, 3).output_shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("arrays", "part"),
    [
        (chain((8, 3, 4, 4), (16, 8, 4, 4), (1, 16, 4, 4)), "no chain"),  # a discriminator
        (chain((56, 3, 5, 5), (12, 56, 1, 1)), "no chain"),
        (chain((9, 8, 4, 4), (8, 5, 4, 4)), "no chain"),  # five channels are no picture
        (chain((9, 8, 4, 4), (7, 3, 4, 4)), "no chain"),
        (chain("n8", (9, 8, 4, 4)), "does not follow a layer"),
        (chain((9, 3, 4, 4), "n3", "n3"), "does not follow a layer"),
        (chain((9, 3, 4, 4), "n5"), "has 5 channels, not 3"),
        ({"x.running_mean": np.ones(3, np.float32)}, "does not follow"),
        ({**chain((9, 3, 4, 4)), "in.weight": np.ones(3), "in.bias": np.ones(3)},
         "without running statistics"),
    ],
)  # fmt: skip
def test_other_networks_are_refused(arrays, part):
    text = refusal(arrays)
    assert part in text
    assert "layers.yaml" in text or "batch normalization" in text


def test_what_is_left_out_is_said():
    arrays = {**chain((9, 3, 4, 4)), "fixed_noise": np.ones((4, 9, 1, 1), np.float32)}
    assert any("left out: 'fixed_noise'" in note for note in recognise(arrays, "net.pth").notes)


def test_a_file_of_weights_is_a_model(tmp_path, capsys):
    arrays = chain((6, 4, 4, 4), "n4", (4, 3, 4, 4))
    path = save({"netG": arrays, "netD": chain((8, 3, 4, 4))}, tmp_path / "net.pth")
    with pytest.warns(WinogenWarning, match="has no definition"):
        graph = load_network(path)
    assert graph.output_shape == (3, 8, 8)
    assert any("'netG'" in note for note in graph.notes)
    assert main(["compile", str(path), "--board", "tiny", "-o", str(tmp_path / "x.wg")]) == 0
    assert "note: net.pth has no definition" in capsys.readouterr().out
    with pytest.raises(InputError, match="leave --image-size out"):
        load_network(path, image_size=(4, 4))
    with pytest.raises(InputError, match="leave --weights out"):
        load_network(path, weights=path)
    with pytest.raises(InputError, match="leave --candidate out"):
        load_network("digits", candidate=1)


def test_the_definition_is_written(tmp_path, capsys):
    """The folder is a model then: also where a norm was computed into the weights."""
    path = save(chain((48, 7), "n48", (3, 1, 4, 4)), tmp_path / "net.pth")
    folder = tmp_path / "found"
    folder.mkdir()
    words = ["compile", str(path), "--board", "tiny", "-o", str(tmp_path / "a.wg")]
    assert main([*words, "--as", str(folder / "layers.yaml")]) == 0
    assert "is a model now" in capsys.readouterr().out
    z = np.random.default_rng(0).standard_normal((3, 7))
    wanted = reference.run(load_network(path), z)
    assert np.array_equal(reference.run(load_network(folder), z), wanted)
    for target, part in ((folder / "layers.yaml", "exists"), (folder / "x.yaml", "must be named")):
        assert main([*words, "--as", str(target)]) == 2
        assert part in capsys.readouterr().err
    words[1] = "digits"
    assert main([*words, "--as", str(tmp_path / "layers.yaml")]) == 2
    assert "leave --as out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("net.h5", b"\x89HDF\r\n\x1a\n", "a Keras model; export the network to ONNX"),
        ("net.pb", b"\x0a\x10\x0a\x05input", "a TensorFlow model"),
        ("net.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        ("net.keras", b"PK\3\4", "a Keras model"),
        ("lfs.onnx", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("page.onnx", b"<!DOCTYPE html>", "a web page"),
        ("notes.txt", b"hello", "no network; give the folder"),
        ("x.wg", b"WINOGEN1", "a compiled program"),
        ("net.onnx.txt", b"\x08\x08\x12\x07pytorch\x1a\x051.0.0:", "rename it to end in .onnx"),
    ],
)
def test_other_files_as_a_model_are_named(name, content, part, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    out = str(tmp_path / "out.wg")
    assert main(["compile", str(tmp_path / name), "-o", out]) == 2
    text = capsys.readouterr().err
    assert part in text
    assert name in text


@pytest.mark.skipif(not SHARED_WEIGHTS.is_dir(), reason="no ../shared with trained weights")
@pytest.mark.parametrize(
    ("name", "size"),
    [("dcgan_faces32_fletcher", 32), ("dcgan_mnist32_qdcgan_w4a4", 32),
     ("dcgan_mnist28_ganjax", 28), ("dcgan_anime64_keras", 128)],
)  # fmt: skip
def test_trained_generators(name, size):
    """anime64's last layer does not double its size, which its weights do not say."""
    arrays = dict(np.load(SHARED_WEIGHTS / name / "weights.npz"))
    graph = read(arrays, 3 if "ganjax" in name else None)
    assert graph.output_shape[1:] == (size, size)
