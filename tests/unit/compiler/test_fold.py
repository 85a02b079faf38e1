"""Folded blocks, executed in float64 by definition, against the layer-by-layer reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from support import naive
from support.random_graphs import GraphBuilder
from support.strategies import examples, graphs
from winogen.common.errors import UnsupportedLayerError
from winogen.compiler.block import JOINS, Block
from winogen.compiler.convolutions import HANDLERS, fold_upsample
from winogen.compiler.fold import fold
from winogen.network import reference
from winogen.network.graph import OPERATIONS, POINTWISE, Graph, InputSpec, Node

TOLERANCE = 1e-4


def run_block(block: Block, inputs: list[np.ndarray]) -> np.ndarray:
    """Output (channels, rows, columns) of one block for one image."""
    if block.diagonal:
        y = sum(
            np.concatenate([convolve(block, x[c : c + 1], w[c][None, None]) for c in range(len(w))])
            for x, w in zip(inputs, block.weight)
        )
    else:
        y = convolve(block, np.concatenate(inputs), block.weight)
    y = y + (block.bias if block.bias.ndim == 3 else column(block.bias))
    y = np.where(y < 0, y * column(block.slope), y)
    y = np.minimum(np.maximum(y, column(block.low)), column(block.high))
    if block.step:
        y = np.floor(y / block.step + 0.5) * block.step
    if block.function:
        y = {"tanh": np.tanh, "sigmoid": lambda v: 1 / (1 + np.exp(-v))}[block.function](y)
    return y


def convolve(block: Block, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    s = block.shape
    assert x.shape[1:] == s.input_size
    assert weight.shape[2:] == s.kernel
    if s.transposed:
        return naive.deconv(x, weight.swapaxes(0, 1), s.stride, s.pad, s.output_size)
    return naive.conv(x, weight, s.stride, s.pad, s.output_size)


def column(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 1, 1)


def run_blocks(blocks: list[Block], x: np.ndarray) -> np.ndarray:
    values = {Graph.INPUT_NAME: x.astype(np.float64)}
    for block in blocks:
        assert all(s in values for s in block.sources), "a source must come first"
        values[block.name] = run_block(block, [values[s] for s in block.sources])
    return values[blocks[-1].name]


def check(graph: Graph, blocks: int | None = None, spread: float = 1.5) -> list[Block]:
    """Fold the graph, compare on two inputs, and return its blocks (``blocks`` of them)."""
    x = spread * np.random.default_rng(0).standard_normal((2, *graph.input.shape))
    x = x.astype(np.float32)
    wanted = reference.run(graph, x)
    folded = fold(graph)
    got = np.stack([run_blocks(folded, one) for one in x])
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= TOLERANCE
    assert folded[-1].name == graph.output_name
    names = [n for b in folded for n in b.nodes]
    assert len(set(names)) == len(names)
    assert blocks is None or len(folded) == blocks, [b.nodes for b in folded]
    return folded


def start(seed: int = 0, channels: int = 3, rows: int = 4, columns: int = 5) -> GraphBuilder:
    return GraphBuilder(seed, (channels, rows, columns))


ACTIVATIONS = ("relu", "leaky_relu", "prelu", "clamp", "tanh", "sigmoid")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("op", ["conv", "deconv"])
def test_norm_and_activation_join_the_convolution(op, activation):
    b = start()
    b.conv(4) if op == "conv" else b.deconv(4)
    b.batchnorm()
    b.activation(activation)
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("bias", [True, False])
def test_norm_without_activation(bias):
    b = start()
    b.deconv(4, 5, 2, (2, 1, 2, 1), bias=bias)
    b.batchnorm()
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("gamma", [[1.0, 0.5], [-1.0, 0.7], [0.0, -2.0, 1.0, 0.0], [-0.1]])
@pytest.mark.parametrize("activation", ["relu", "clamp"])
def test_norm_after_the_activation_becomes_a_clamp(activation, gamma):
    b = start()
    b.conv(4)
    b.activation(activation)
    b.batchnorm(gamma)
    (block,) = check(b.graph(), blocks=1)
    assert np.all(block.low <= block.high)


@pytest.mark.parametrize("second", ["relu", "clamp"])
def test_chains_of_clamps_and_norms_stay_one_block(second):
    b = start()
    b.conv(5)
    b.activation("relu")
    b.batchnorm([1.0, -1.0, 0.0])
    b.activation(second)
    b.batchnorm([-0.5, 2.0])
    b.activation("clamp")
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("op", ["relu", "clamp"])
@pytest.mark.parametrize("first", [(0.5, 2.0), (-3.0, -1.0), (-0.2, 0.2)])
def test_a_clamp_outside_the_next_one(op, first):
    """Bounds that do not overlap: everything lands on one value, and it must be the right one."""
    b = start()
    b.conv(3)
    b.add("clamp", low=first[0], high=first[1])
    b.add(op, **({"low": 1.0, "high": 1.5} if op == "clamp" else {}))
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("activation", ["leaky_relu", "prelu"])
def test_norm_after_a_slope_needs_a_block_of_its_own(activation):
    b = start()
    b.conv(4)
    b.activation(activation)
    b.batchnorm([1.0, -1.0, 0.0])
    first, second = check(b.graph(), blocks=2)
    assert second.diagonal
    assert second.sources == (first.name,)


def test_a_norm_that_kills_a_channel_costs_no_block():
    """A gamma of zero leaves a constant, which no clamp has to hold: the slope still joins."""
    b = start()
    b.conv(4)
    b.batchnorm([0.0, 1.0])
    b.activation("leaky_relu")
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("alpha", [[-0.5, 0.3], [-2.0], [1.0], [0.0, 1.5]])
def test_prelu_of_any_slope(alpha):
    b = start()
    b.conv(4)
    b.batchnorm()
    b.prelu(alpha)
    check(b.graph(), blocks=1)


def test_relu_after_a_slope():
    for alpha, blocks in (([0.2, 0.0], 1), ([-0.5, 0.2], 2)):  # a negative slope makes positives
        b = start()
        b.conv(4)
        b.prelu(alpha)
        b.activation("relu")
        check(b.graph(), blocks=blocks)


def test_a_clamp_after_a_slope():
    b = start()
    b.conv(4)
    b.activation("leaky_relu")
    b.activation("clamp")
    check(b.graph())


def test_a_slope_after_a_clamp():
    b = start()
    b.conv(4)
    b.add("clamp", low=-1.0, high=1.0)
    b.activation("leaky_relu")
    check(b.graph())


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
@pytest.mark.parametrize("after", [*ACTIVATIONS, "batchnorm"])
def test_what_follows_a_function(function, after):
    b = start()
    b.conv(3)
    b.activation(function)
    b.batchnorm() if after == "batchnorm" else b.activation(after)
    check(b.graph(), blocks=2)


@pytest.mark.parametrize("after", ["relu", "leaky_relu", "batchnorm", "tanh", "clamp"])
def test_what_follows_a_trained_quantisation(after):
    b = start()
    b.conv(3)
    b.activation("quant_relu")
    b.batchnorm() if after == "batchnorm" else b.activation(after)
    check(b.graph(), blocks=2)


def test_trained_quantisation_keeps_its_step():
    b = start()
    b.conv(3)
    b.batchnorm()
    b.activation("quant_relu")
    (block,) = check(b.graph(), blocks=1)
    assert block.step == 1 / 16


def test_relu6():
    b = start()
    b.conv(3)
    b.batchnorm()
    b.add("clamp", low=0.0, high=6.0)
    (block,) = check(b.graph(), blocks=1, spread=20)
    assert block.low.tolist() == [0.0] * 3
    assert block.high.tolist() == [6.0] * 3


@pytest.mark.parametrize("op", ["batchnorm", *ACTIVATIONS])
def test_a_pointwise_layer_on_the_input(op):
    b = start()
    b.batchnorm() if op == "batchnorm" else b.activation(op)
    (block,) = check(b.graph(), blocks=1)
    assert block.diagonal
    assert block.sources == (Graph.INPUT_NAME,)


@pytest.mark.parametrize("pad", [0, 1, 2, (0, 1, 2, 0)])
@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, (1, 2), (4, 3)])
def test_upsampling_joins_the_convolution(factor, kernel, pad):
    b = start(rows=3, columns=4)
    b.add("upsample", factor=factor)
    if factor == 1 and pad == 0 and kernel == (4, 3):
        pad = 1  # the picture has but three rows
    b.conv(2, kernel, 1, pad)
    b.activation("relu")
    (block,) = check(b.graph(), blocks=1)
    assert block.shape.transposed
    assert block.shape.stride == (factor, factor)


def test_upsampling_by_two_then_3x3_is_the_4x4_deconvolution():
    weight, crop = fold_upsample(np.ones((1, 1, 3, 3)), (1, 1, 1, 1), 2)
    assert weight.shape == (1, 1, 4, 4)
    assert crop == (1, 1)
    assert weight[0, 0].tolist() == np.outer([1, 2, 2, 1], [1, 2, 2, 1]).tolist()


def test_upsampling_read_by_two_convolutions_joins_both():
    b = start()
    up = b.add("upsample", factor=2)
    first = b.conv(2)
    b.last = up
    b.conv(2, 5)
    b.add("add", first, b.last)
    check(b.graph(), blocks=3)


@pytest.mark.parametrize("reader", ["strided", "activation", "add", "concat", "none", "deconv"])
def test_upsampling_alone(reader):
    b = start()
    b.conv(3)
    up = b.add("upsample", factor=2)
    if reader == "strided":
        b.conv(2, 3, 2)
    elif reader == "deconv":
        b.deconv(2)
    elif reader == "activation":
        b.activation("relu")
    elif reader in ("add", "concat"):
        b.add(reader, up, b.conv(3))
    check(b.graph())


def test_upsampling_a_concat():
    for last in ("upsample", "conv"):
        b = start()
        first = b.conv(2)
        b.add("concat", first, b.conv(3))
        b.add("upsample", factor=2)
        if last == "conv":
            b.conv(2)
        check(b.graph(), blocks=3)


def test_residual_add():
    b = start()
    first = b.conv(4)
    b.activation("relu")
    b.conv(4)
    b.batchnorm()
    b.add("add", "relu1", b.last)
    b.batchnorm()
    b.activation("leaky_relu")
    assert first == "conv0"
    blocks = check(b.graph(), blocks=3)
    assert blocks[-1].diagonal
    assert blocks[-1].sources == ("relu1", "batchnorm3")


@pytest.mark.parametrize("inputs", [2, 3])
def test_add_of_a_value_to_itself_and_of_several(inputs):
    b = start()
    names = [b.conv(3) for _ in range(inputs)]
    b.add("add", *names, names[0])
    check(b.graph())
    b = start()
    b.add("add", *[Graph.INPUT_NAME] * inputs)
    check(b.graph(), blocks=1)


def test_add_of_concats():
    """Sides that are cut into different parts."""
    b = start()
    one, three, two = b.conv(1), b.conv(3), b.conv(2)
    four = b.conv(4)
    left = b.add("concat", one, three)
    b.add("add", left, four, b.add("concat", two, two))
    b.activation("relu")
    check(b.graph(), blocks=5)


@pytest.mark.parametrize("then", ["conv", "deconv", "linear"])
def test_a_concat_costs_no_block(then):
    b = start()
    first = b.conv(2)
    b.add("concat", first, b.conv(3), Graph.INPUT_NAME)
    if then == "linear":
        b.linear((4, 1, 1))
    else:
        b.conv(2) if then == "conv" else b.deconv(2)
    blocks = check(b.graph(), blocks=3)
    assert blocks[-1].sources == (first, "conv1", Graph.INPUT_NAME)


def test_a_concat_of_concats():
    b = start()
    first = b.conv(2)
    inner = b.add("concat", first, b.conv(1))
    b.add("concat", inner, Graph.INPUT_NAME, first)
    b.conv(3)
    check(b.graph(), blocks=3)


@pytest.mark.parametrize("op", ["none", "batchnorm", *ACTIVATIONS])
def test_a_concat_as_output_or_before_a_pointwise_layer(op):
    b = start()
    first = b.conv(2)
    b.activation("relu")
    b.add("concat", "relu1", b.conv(1))
    if op != "none":
        b.batchnorm() if op == "batchnorm" else b.activation(op)
    check(b.graph(), blocks=3)
    assert first == "conv0"


def test_a_value_read_twice_is_not_folded_into_one_reader():
    b = start()
    first = b.conv(3)
    b.activation("relu")
    b.add("add", first, b.last)
    blocks = check(b.graph(), blocks=3)
    assert [block.name for block in blocks] == ["conv0", "relu1", "add2"]


def test_an_activation_read_twice():
    b = start()
    b.conv(3)
    b.batchnorm()
    shared = b.activation("leaky_relu")
    b.batchnorm()
    b.add("add", shared, b.last, b.conv(3))
    check(b.graph())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 2), (1, 4, 4), (5, 1, 1), (2, 1, 3)])
def test_linear_to_a_grid_keeps_a_bias_for_every_pixel(shape, bias):
    b = GraphBuilder(0, (6, 1, 1), "latent")
    b.linear(shape, bias)
    b.batchnorm()
    b.activation("relu")
    b.deconv(2, 3, 2, 0)
    blocks = check(b.graph(), blocks=2)
    if bias and shape[1:] != (1, 1):
        assert blocks[0].bias.shape == shape


@pytest.mark.parametrize("activation", ["leaky_relu", "prelu", "tanh"])
def test_linear_to_a_grid_with_other_activations(activation):
    b = GraphBuilder(0, (6, 1, 1), "latent")
    b.linear((4, 2, 3))
    b.activation(activation)
    b.batchnorm([0.0, -1.0, 1.0])
    check(b.graph(), blocks=2)


def test_linear_from_an_image_to_a_vector():
    b = start()
    b.conv(2)
    b.linear((7, 1, 1))
    b.batchnorm()
    b.activation("leaky_relu")
    b.linear((3, 2, 2))
    check(b.graph(), blocks=3)


def test_linear_from_a_concat():
    b = GraphBuilder(0, (6, 1, 1), "latent")
    first = b.linear((4, 1, 1))
    b.add("concat", first, Graph.INPUT_NAME)
    b.linear((2, 3, 3))
    check(b.graph(), blocks=2)


def test_linear_between_images_is_refused_by_name():
    b = start()
    b.linear((2, 3, 3))
    with pytest.raises(UnsupportedLayerError, match=r"layer 'linear0' .*one of the two must be a"):
        fold(b.graph())


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("crop", [0, -2, (1, 0, -1, 2)])
def test_deconvolutions_of_any_crop(stride, crop):
    b = start()
    b.deconv(2, (4, 3), stride, crop)
    b.activation("relu")
    check(b.graph(), blocks=1)


@pytest.mark.parametrize("kernel", [1, 2, (5, 3)])
@pytest.mark.parametrize("stride", [2, (3, 1)])
def test_strided_convolutions(kernel, stride):
    b = start(rows=6, columns=7)
    b.conv(2, kernel, stride, (1, 2, 0, 1))
    check(b.graph(), blocks=1)


@examples(120)
@given(graphs())
def test_random_networks(graph):
    check(graph)


def test_every_operation_has_a_handler():
    assert set(JOINS) == set(POINTWISE)
    assert set(HANDLERS) == set(OPERATIONS) - set(POINTWISE)


def test_all_layers_that_cannot_be_folded_are_told_at_once():
    nodes = [
        Node(
            name,
            "linear",
            (source,),
            {"shape": (2, 2, 2)},
            {"weight": np.ones((8, 8), np.float32)},
        )
        for name, source in (("a", "input"), ("b", "a"))
    ]
    graph = Graph("net", InputSpec((2, 2, 2), "image"), [*nodes, Node("c", "tanh", ("b",))])
    told = r"2 things in it cannot run: \(1\) layer 'a': a linear layer .*; \(2\) layer 'b': "
    with pytest.raises(UnsupportedLayerError, match=told) as caught:
        fold(graph)
    assert len(caught.value.problems) == 2


def padded_norm(consumers: int) -> Graph:
    """A normalisation, a ReLU, and mirrored padding that reads it beside ``consumers`` others."""
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((4, 4, 3, 3)).astype(np.float32)
    conv = {"kernel": (3, 3), "stride": (1, 1), "pad": (0, 0, 0, 0)}
    nodes = [
        Node("norm", "normalise", ("input",), {"groups": 4, "centred": True, "eps": 1e-5}),
        Node("relu", "relu", ("norm",)),
        Node("pad", "pad", ("relu",), {"mode": "reflect", "edges": (1, 1, 1, 1)}),
        Node("conv", "conv", ("pad",), conv, {"weight": weight}),
    ]
    last = "conv"
    for i in range(consumers):
        nodes.append(Node(f"add{i}", "add", (last, "relu")))
        last = f"add{i}"
    return Graph("padded", InputSpec((4, 6, 7), "image", range=(-1.0, 1.0)), nodes)


def test_padding_joins_what_the_processor_makes():
    blocks = fold(padded_norm(0))
    assert [b.nodes for b in blocks] == [["norm", "relu", "pad"], ["conv"]]
    assert blocks[0].shape.output_size == (8, 9) and blocks[0].host.pad.name == "pad"


def test_padding_does_not_join_what_others_read():
    blocks = fold(padded_norm(1))
    assert [b.nodes for b in blocks] == [["norm", "relu"], ["pad"], ["conv"], ["add0"]]
    assert blocks[0].host.pad is None
