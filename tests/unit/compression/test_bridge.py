"""The bridge to torch: a graph's outputs with gradients, and its parameters back."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from support.onnx_families import FILES
from support.places import SHARED_WEIGHTS
from support.shared_models import FOLDERS, shared_model
from support.strategies import examples, graphs
from winogen.common.errors import UnsupportedLayerError
from winogen.network import reference, stored_values
from winogen.network.functions import ELEMENTWISE, Function
from winogen.network.graph import OPERATIONS, Graph, Node
from winogen.network.load import load_network
from winogen.network.zoo import load_model, model_names
from winogen.program.formats import sample_inputs

pytest.importorskip("torch", reason="training needs the package torch")

import torch

from winogen.compression import bridge, functions
from winogen.compression.blocks import with_blocks
from winogen.compression.bridge import GraphModule
from winogen.compression.limits import BLOCKS

#: Of the largest value of the output, and of 1.
TOLERANCE = 1e-5
#: Operations without attributes.
ALONE = ("multiply", "add", "subtract", "concat", "relu", "prelu", "tanh", "sigmoid")
#: Too large for every run.
LARGE = ("artgan", "artgan-deconv", "gp-gan")


def check(graph: Graph, count: int = 2) -> None:
    x = sample_inputs(graph.input, count, 3)
    expected = reference.run(graph, x)
    with torch.no_grad():
        given = GraphModule(graph)(torch.from_numpy(x)).numpy()
    assert given.shape == expected.shape
    assert np.abs(given - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", [n for n in model_names() if n not in LARGE])
def test_the_zoo(name: str) -> None:
    check(load_model(name), 1)


@pytest.mark.parametrize("kind", BLOCKS)
def test_depthwise_layers(kind: str) -> None:
    check(with_blocks(load_model("digits"), kind))


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_large_networks(name: str) -> None:
    check(load_model(name), 1)


@pytest.mark.parametrize("folder", FOLDERS)
def test_trained_networks(folder: str) -> None:
    check(shared_model(folder))
    assert SHARED_WEIGHTS.is_dir()


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n % 4 == 0 else pytest.mark.long) for n in range(len(FILES))],
)
def test_the_families(number: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = load_network(FILES[number])
    except UnsupportedLayerError:
        return  # which families run is another test's
    check(graph)


@given(graph=graphs())
@examples(15)
def test_random_networks(graph: Graph) -> None:
    check(graph)


@pytest.mark.parametrize("operator", sorted(ELEMENTWISE))
def test_every_function_and_its_gradient(operator: str) -> None:
    more = {"Clip": (-0.3, 0.6), "Pow": (3.0,), "Cast": ()}.get(operator, ())
    pairs = ("Add", "Div", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul")
    if operator in (*pairs, "Sub", "Sum"):
        more = (0.7,)
    if operator == "Where":
        more = (0.7, -0.2)
    function = Function.of(operator, {}, *more)
    x = np.linspace(0.05, 2.5, 40) * np.where(np.arange(40) % 2, 1, -1) + 0.013
    if operator in ("Log", "Sqrt"):
        x = np.abs(x)
    given = torch.from_numpy(x).requires_grad_()
    y = functions.apply(function, given)
    np.testing.assert_allclose(y.detach().numpy(), function(x), rtol=1e-9, atol=1e-9)
    if not y.requires_grad:  # what only compares has none
        assert operator in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Where")
        return
    y.sum().backward()
    step = 1e-6
    slope = (function(x + step) - function(x - step)) / (2 * step)
    np.testing.assert_allclose(given.grad.numpy(), slope, rtol=1e-4, atol=1e-4)


def test_where_a_function_has_no_slope_it_is_0() -> None:
    x = torch.tensor([-1.0, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    functions.apply(Function.of("Sqrt", {}), x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 0.25]


def test_every_operation_is_there() -> None:
    assert set(bridge._APPLY) == set(OPERATIONS) == {*stored_values.ATTRIBUTES, *ALONE}
    assert set(functions._OPERATORS) == set(ELEMENTWISE)


def test_parameters_come_back() -> None:
    graph = load_model("digits")
    module = GraphModule(graph)
    same = module.graph()
    for before, after in zip(graph.nodes, same.nodes):
        for name, value in before.params.items():
            np.testing.assert_array_equal(after.params[name], value.astype(np.float32))
    x = torch.from_numpy(sample_inputs(graph.input, 8, 0))
    with torch.no_grad():
        wanted = module(x)
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-2)
    loss = (module(x) * 0.9 - wanted).pow(2).mean()
    loss.backward()
    optimiser.step()
    moved = [
        name
        for node, other in zip(graph.nodes, module.graph().nodes)
        for name, value in node.params.items()
        if not np.array_equal(other.params[name], value)
    ]
    assert {"weight", "gamma", "beta"} <= set(moved)
    assert not {"mean", "var"} & set(moved)  # statistics are no parameters of training


def test_names_that_torch_would_refuse() -> None:
    graph = load_model("digits")
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(i if i == Graph.INPUT_NAME else f"a.b/{i}" for i in node.inputs)
        nodes.append(replace(node, name=f"a.b/{node.name}", inputs=inputs))
    check(replace(graph, nodes=nodes))
