"""Definitions of several inputs: vectors, labels and images that share a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from support.command_line import pixels, run
from support.onnx_oracle import run_onnx
from winogen.common.errors import ModelError
from winogen.compiler.compile import compile_graph
from winogen.network import reference
from winogen.network.definition import RandomParameters, load_definition
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.inputs import join_inputs
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

Z = {"name": "z", "latent": 6}
DIGIT = {"name": "digit", "classes": ["zero", "one", "two", "three"]}
SKETCH = {"name": "sketch", "image": [1, 6, 6]}
MLP = [
    {"name": "embed", "op": "linear", "from": "digit", "shape": [5, 1, 1]},
    {"name": "both", "op": "concat", "from": ["z", "embed"]},
    {"name": "fc", "op": "linear", "shape": [8, 4, 4], "act": "relu"},
    {"name": "out", "op": "conv", "cout": 3, "k": 3, "pad": 1, "act": "tanh"},
]
FILM = [
    {"name": "features", "op": "conv", "from": "sketch", "cout": 4, "k": 3, "pad": 1},
    {"name": "gain", "op": "linear", "from": "digit", "shape": [4, 1, 1]},
    {"name": "film", "op": "multiply", "from": ["features", "gain"]},
    {"name": "out", "op": "conv", "cout": 1, "k": 3, "pad": 1, "act": "sigmoid"},
]


def text(inputs: Any, layers: list[Any], **top: Any) -> str:
    return yaml.safe_dump({"name": "net", "inputs": inputs, "layers": layers, **top})


def load(inputs: Any, layers: list[Any], **top: Any) -> Graph:
    return load_definition(text(inputs, layers, **top), RandomParameters(0))


def latents(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 6)).astype(np.float32)


def test_a_label_and_latents():
    graph = load([Z, DIGIT], MLP, output={"range": [-1, 1]})
    assert [(p.name, p.kind, p.channels) for p in graph.input.parts] == [
        ("z", "latent", 6), ("digit", "label", 4),
    ]  # fmt: skip
    assert graph.input.parts[1].classes == ("zero", "one", "two", "three")
    assert (graph.input.shape, graph.input.kind) == ((10, 1, 1), "latent")
    x = join_inputs(graph.input, {"z": latents(), "digit": [2, 0, 3]})
    got = reference.run(graph, x)
    np.testing.assert_allclose(got, run_onnx(graph, x), atol=1e-5)
    graph = load([Z, DIGIT], MLP[:3])
    params = {n.name: n.params for n in graph.nodes}
    embedded = params["embed"]["weight"][:, [2, 0, 3]].T + params["embed"].get("bias", 0)
    both = np.concatenate([latents(), embedded], axis=1)
    wanted = np.maximum(both @ params["fc"]["weight"].T + params["fc"].get("bias", 0), 0)
    np.testing.assert_allclose(reference.run(graph, x).reshape(3, -1), wanted, atol=1e-4)


def test_a_number_of_classes():
    graph = load([Z, {"name": "digit", "classes": 4}], MLP)
    assert graph.input.parts[1].classes == ()
    assert graph.input.parts[1].channels == 4


@pytest.mark.parametrize("bits", [8, 16])
def test_an_image_and_a_label_run(bits):
    graph = load([SKETCH, DIGIT], FILM, output={"range": [0, 1]})
    assert (graph.input.shape, graph.input.kind) == ((5, 6, 6), "image")
    sketch = np.random.default_rng(1).random((2, 1, 6, 6)).astype(np.float32)
    x = join_inputs(graph.input, {"sketch": sketch, "digit": ["one", "three"]})
    wanted = run_onnx(graph, x)
    np.testing.assert_allclose(reference.run(graph, x), wanted, atol=1e-5)
    compiled = compile_graph(graph, load_board("tiny", bits), batch=2)
    program = Program.frombytes(compiled.program.tobytes())
    with Generator(program) as generator:
        made = generator.generate({"sketch": sketch, "digit": [1, 3]}, as_float=True)
    assert np.abs(made - wanted).max() < (0.05 if bits == 8 else 0.001)


def test_the_size_of_images_is_chosen():
    data = text([SKETCH, DIGIT], FILM)
    graph = load_definition(data, RandomParameters(0), image_size=(8, 10))
    assert graph.input.shape == (5, 8, 10)
    assert graph.output_shape == (1, 8, 10)


def test_the_first_layer_reads_all_of_them():
    graph = load([Z, DIGIT], [{"name": "fc", "op": "linear", "shape": [2, 3, 3]}])
    assert [n.op for n in graph.nodes] == ["linear"]
    assert graph.nodes[0].params["weight"].shape == (18, 10)
    graph = load([SKETCH, Z], [{"name": "c", "op": "conv", "cout": 2, "k": 1, "from": "input"}])
    assert graph.nodes[0].params["weight"].shape == (2, 7, 1, 1)


def test_distributions_ranges_and_colours():
    graph = load([{**Z, "dist": "uniform"}, DIGIT], MLP)
    assert graph.input.distribution == "uniform"
    assert load([Z, DIGIT], MLP).input.distribution == "normal"
    image = {"name": "picture", "image": [3, 4, 4], "range": [-1, 1], "colour": "bgr"}
    layers = [
        {"name": "c", "op": "conv", "from": "picture", "cout": 3, "k": 1},
        {"name": "g", "op": "linear", "from": "digit", "shape": [3, 1, 1]},
        {"name": "m", "op": "multiply", "from": ["c", "g"]},
    ]
    spec = load([image, DIGIT], layers, output={"range": [-1, 1]}).input
    assert (spec.range, spec.colour, spec.distribution) == ((-1.0, 1.0), "bgr", "uniform")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"latent": 3}, "expected a list of inputs"),
        ([], "expected a list of inputs"),
        ([{"latent": 3}], "'name' is missing"),
        ([Z, 5], "expected a mapping"),
        ([{"name": "z"}], "'z': expected one of latent, classes, image"),
        ([{**Z, "classes": 3}], "'z': expected one of latent, classes, image"),
        ([{**Z, "distribution": "normal"}], "unknown key 'distribution'"),
        ([{**Z, "dist": "gauss"}], "dist: expected one of normal, uniform"),
        ([{**DIGIT, "dist": "normal"}], "unknown key 'dist'"),
        ([Z, Z], "the name is used twice"),
        ([{"name": "input", "latent": 2}], "stands for all inputs together"),
        ([{"name": "y", "classes": 0}], "classes: expected a whole number 1"),
        ([{"name": "y", "classes": ["a", "a"]}], "names that differ"),
        ([{"name": "y", "classes": []}], "names that differ"),
        ([SKETCH, {"name": "b", "image": [1, 6, 7]}], "'sketch' and 'b' .* of one size"),
        ([Z, {**Z, "name": "w", "dist": "uniform"}], "'z' and 'w' .* of one distribution"),
        ([Z, DIGIT, {"name": "extra", "latent": 2}], "'extra' is read by no layer"),
        ([{**SKETCH, "range": [1, 0]}], "must ascend"),
        ([{**SKETCH, "colour": "pink"}], "colour: expected one of"),
        ([{**SKETCH, "name": "fc"}, Z, DIGIT], "the name is used twice"),
    ],
)
def test_refusals(inputs, said):
    with pytest.raises(ModelError, match=said):
        load(inputs, MLP)


def test_one_way_or_the_other():
    with pytest.raises(ModelError, match="'input' is for a single input"):
        load([Z, DIGIT], MLP, input={"latent": 3})
    with pytest.raises(ModelError, match="'input_quant' is for a single input"):
        load([Z, DIGIT], MLP, input_quant="q1.7")


def test_a_folder_of_the_users_own(capsys, tmp_path):
    """As the page on models shows it."""
    folder: Path = tmp_path / "digits"
    folder.mkdir()
    (folder / "layers.yaml").write_text(text([Z, DIGIT], MLP, output={"range": [-1, 1]}))
    graph = load([Z, DIGIT], MLP)
    weights = {f"{n.name}.{k}": v for n in graph.nodes for k, v in n.params.items()
               if n.name not in ("z", "digit")}  # fmt: skip
    np.savez(folder / "weights.npz", **weights)
    for label in ("two", "2"):
        run(capsys, "run", folder, "--label", label, "-n", 2, "-o", tmp_path / f"{label}.png")
    np.testing.assert_array_equal(pixels(tmp_path / "two.png"), pixels(tmp_path / "2.png"))
    run(capsys, "run", folder, "--label", "one", "-n", 2, "-o", tmp_path / "one.png")
    assert np.any(pixels(tmp_path / "one.png") != pixels(tmp_path / "two.png"))
