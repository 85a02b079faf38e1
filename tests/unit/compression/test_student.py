"""Students: their forward pass is the accelerator's integers, and what is trained compiles to them.

The oracle is ``run_integer`` of what the compiler makes of the trained graph.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given

from support.host_networks import concatenated, many, random_host_graph, side_by_side
from support.onnx_families import FILES
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from support.shared_models import FOLDERS, shared_model
from support.strategies import examples, networks
from winogen.common.errors import UnsupportedLayerError
from winogen.compiler.calibrate import observe
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import integer_activations, run_integer
from winogen.compiler.products import by_squares
from winogen.compiler.quantise import quantise
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.network.stored import network_arrays, network_of
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression.blocks import with_blocks
from winogen.compression.limits import BLOCKS
from winogen.compression.student import Student


def student_of(graph: Graph, levels: int = 127, seed: int = 0) -> Student:
    """A student whose parameters have been moved, pruned and shared at random."""
    student = Student(observe(graph, samples=4), levels)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for layer in student.parts():
            if layer.holding is None:
                continue
            for values, size in ((layer.holding.weight, 0.05), (layer.bias, 0.05)):
                noise = torch.tensor(rng.standard_normal(values.shape), dtype=torch.float32)
                values += size * noise * values.abs().mean()
            moved = rng.uniform(-0.1, 0.1, layer.holding.step.shape)
            layer.holding.step += torch.tensor(moved, dtype=torch.float32)
        for step in student.scales.steps:
            step += float(rng.uniform(-0.1, 0.3))
    for number, (_, holding) in enumerate(student.holdings()):
        if rng.integers(2):
            holding.prune(0.6, torch.ones(holding.weight.shape[1]))
        if (number + seed) % 2 and levels == 127:
            holding.share(int(rng.integers(2, 17)), seed)
    return student


def check(graph: Graph, levels: int = 127, seed: int = 0) -> Student:
    student = student_of(graph, levels, seed).exactly()
    network = quantise(student.graph(), samples=4)
    x = sample_inputs(graph.input, 2, 5)
    with torch.no_grad():
        mine = student.integers(torch.from_numpy(x))
    found = integer_activations(network, network.quantise_input(x))
    for part, (_, expected) in zip(student.parts(), found, strict=True):
        np.testing.assert_array_equal(mine[part.block.name].numpy(), expected, part.block.label)
    return student


@pytest.mark.parametrize("levels", [127, 7])
@pytest.mark.parametrize("name", ["digits", "fsrcnn-x2"])
def test_the_zoo(name: str, levels: int) -> None:
    check(load_model(name), levels)


@pytest.mark.parametrize("kind", BLOCKS)
def test_cheaper_blocks(kind: str) -> None:
    check(with_blocks(load_model("digits"), kind))


def test_products_as_squares() -> None:
    graph = by_squares(concatenated())
    assert "subtract" in {node.op for node in graph.nodes}
    trained = check(graph).graph()
    assert by_squares(trained) is trained
    stored = network_of(network_arrays(trained))
    assert [node.op for node in stored.nodes] == [node.op for node in trained.nodes]


@pytest.mark.parametrize("folder", FOLDERS)
def test_trained_networks(folder: str) -> None:
    check(shared_model(folder), seed=1)


@given(graph=networks())
@examples(12)
def test_random_networks(graph: Graph) -> None:
    check(graph)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300))
def test_many_random_networks(seed: int) -> None:
    check(random_network(seed), (127, 7)[seed % 2], seed)


@pytest.mark.parametrize("graph", [many(), side_by_side()], ids=["many", "side_by_side"])
def test_layers_of_the_processor(graph: Graph) -> None:
    check(graph)


@pytest.mark.parametrize("seed", range(3))
def test_random_layers_of_the_processor(seed: int) -> None:
    check(random_host_graph(seed, np.random.default_rng(seed)), seed=seed)


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n % 9 == 0 else pytest.mark.long) for n in range(len(FILES))],
)
def test_the_families(number: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = load_network(FILES[number])
        except UnsupportedLayerError:
            return
    check(graph, seed=number)


def test_single_precision_is_close() -> None:
    graph = load_model("digits")
    student = student_of(graph)
    x = torch.from_numpy(sample_inputs(graph.input, 8, 1))
    with torch.no_grad():
        fast = student(x)
        exact = student.exactly()(x)
    assert float(((fast - exact).abs() > 1e-4).double().mean()) < 1e-2


def test_untrained_it_is_as_good_as_what_the_compiler_makes() -> None:
    graph = load_model("digits")
    observed = observe(graph)
    x = sample_inputs(graph.input, 16, 9)
    network = quantise(graph)
    expected = network.output_format.dequantise(
        list(integer_activations(network, network.quantise_input(x)))[-1][1]
    )
    with torch.no_grad():
        given = Student(observed).exactly()(torch.from_numpy(x)).numpy()
    assert np.abs(given - expected).mean() < 2e-3


def test_gradients_reach_everything_that_is_trained() -> None:
    graph = load_model("digits")
    student = student_of(graph)
    x = torch.from_numpy(sample_inputs(graph.input, 4, 1))
    student(x).pow(2).sum().backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_gradient_is_that_of_the_float_network() -> None:
    """Rounding has no gradient of its own: with fine steps it is the float network's."""
    graph = load_model("digits")
    student = Student(observe(graph))
    x = torch.from_numpy(sample_inputs(graph.input, 8, 1))
    student(x).pow(2).mean().backward()
    last = [layer for layer in student.parts() if layer.holding is not None][-1]
    slope = last.bias.grad.clone()
    with torch.no_grad():
        last.bias += 0.05
        above = float(student(x).pow(2).mean())
        last.bias -= 0.1
        below = float(student(x).pow(2).mean())
    assert (above - below) / 0.1 == pytest.approx(float(slope.sum()), rel=0.1)


def test_a_device_computes_what_was_trained() -> None:
    """Pruned and shared weights, packed in pairs, folded at the ends: the same bits."""
    graph = load_model("digits")
    student = student_of(graph, seed=3).exactly()
    compiled = compile_graph(student.graph(), "pynq-z2")
    x = sample_inputs(graph.input, 5, 11)
    with torch.no_grad():
        expected = student(torch.from_numpy(x)).numpy()
    with Generator(compiled.program) as generator:
        np.testing.assert_array_equal(
            generator.generate(x, as_float=True), expected.astype(np.float32)
        )


def test_other_widths_are_calibrated_anew_and_say_so() -> None:
    graph = student_of(load_model("digits")).graph()
    compiled = compile_graph(graph, "pynq-z2", bits=16)
    assert any("trained in integers of 8 bits" in remark for remark in compiled.remarks)
    assert not any("trained" in r for r in compile_graph(graph, "pynq-z2").remarks)


def test_what_was_trained_can_be_trained_again() -> None:
    first = check(load_model("digits"))
    check(first.graph(), seed=2)


def test_fitted_networks_take_images_of_other_sizes_as_before() -> None:
    """Where a stride of 2 leaves a row over, and where it does not."""
    b = GraphBuilder(3, (2, 16, 16), "image")
    b.conv(8, 3, 2, (1, 1, 1, 1))
    b.add("relu")
    b.deconv(2, 4, 2, (1, 1, 1, 1))
    graph = b.graph(output_range=(-1.0, 1.0))
    fitted = check(graph).graph()
    for size in ((16, 16), (17, 17), (15, 18)):
        assert fitted.resized(size).output_shape == graph.resized(size).output_shape


def as_compiled(graph: Graph, inputs: np.ndarray) -> np.ndarray:
    """Real outputs of the program's integers."""
    network = quantise(graph, data_width=8)
    given = network.input_format.quantise(inputs, 8)
    return network.output_format.dequantise(run_integer(network, given))


@pytest.mark.parametrize("levels", [127, 7])
def test_a_fitted_networks_student_begins_as_its_program(levels: int) -> None:
    """With weights and biases that are whole steps of what was trained before."""
    fitted = student_of(load_model("digits"), levels, 1).exactly().graph()
    x = sample_inputs(fitted.input, 8, 3)
    student = Student(observe(fitted), levels)
    with torch.no_grad():
        given = student.exactly()(torch.from_numpy(x)).numpy()
    # A step's logarithm is kept in float32: few sums round otherwise.
    assert np.mean(np.abs(given - as_compiled(fitted, x)) > 1e-4) < 0.01


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12])
def test_channels_with_next_to_no_weights_learn_a_bias(size: float) -> None:
    """As large as any of the layer, and the compiler has room for it."""
    b = GraphBuilder(3, (8, 4, 4))
    b.conv(8, 1)
    graph = b.graph()
    graph.nodes[0].params["weight"][2] *= np.float32(size)
    graph.nodes[0].params["bias"][2] = 0
    student = Student(observe(graph, samples=8))
    bias = student.parts()[0].bias
    with torch.no_grad():
        bias[2] = 4 * bias.abs().max()
    compile_graph(student.graph(), "pynq-z2")


def test_large_biases_beside_tiny_weights_are_held() -> None:
    """As by the compiler, which gives such a channel coarse steps."""
    graph = load_model("digits")
    first = next(n for n in graph.nodes if "weight" in n.params)
    first.params["weight"] *= np.float32(1e-9)
    student = Student(observe(graph, samples=8))
    compile_graph(student.graph(), "pynq-z2")
