"""What ONNX files of other people's exporters brought up, against onnxruntime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

REASON = "reading ONNX models needs the packages onnx and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)

from support.onnx_models import Net, run  # noqa: E402
from winogen.common.errors import ModelError, UnsupportedLayerError, WinogenWarning  # noqa: E402
from winogen.compiler.compile import compile_graph  # noqa: E402
from winogen.compiler.fold import fold  # noqa: E402
from winogen.compiler.integers import run_integer  # noqa: E402
from winogen.network import reference  # noqa: E402
from winogen.network.graph import Graph  # noqa: E402
from winogen.network.onnx import import_onnx  # noqa: E402
from winogen.runtime.generator import Generator  # noqa: E402
from winogen.target.board import load_board  # noqa: E402

TOLERANCE = 1e-4


def imported(model: onnx.ModelProto) -> Graph:
    return import_onnx(model.SerializeToString(), name="net")


def same(model: onnx.ModelProto, shape: tuple[int, ...], batch: int = 2) -> Graph:
    """The imported graph gives what onnxruntime gives, and folds to blocks."""
    graph = imported(model)
    x = np.random.default_rng(1).standard_normal((batch, *shape)).astype(np.float32)
    wanted = run(model, x)
    if len(shape) == 3 and shape != graph.input.shape:
        x = x.transpose(0, 3, 1, 2)
    got = reference.run(graph, x)
    if wanted.ndim == 4 and got.shape != wanted.shape:
        got = got.transpose(0, 2, 3, 1)
    assert got.size == wanted.size, (got.shape, wanted.shape)
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= TOLERANCE
    fold(graph)
    return graph


def refused(model: onnx.ModelProto, kind: type = UnsupportedLayerError) -> str:
    with pytest.raises(kind) as error:
        imported(model)
    text = str(error.value)
    assert "\n" not in text
    assert "65521" not in text
    return text


def near(graph: Graph, bits: int, decibels: float) -> None:
    """The network compiles for a board, and its integers are near the float network."""
    network = compile_graph(graph, load_board("pynq-z2", bits), batch=2).network
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, (4, *graph.input.shape)).astype(np.float32)
    if graph.input.kind == "latent":
        x = rng.standard_normal((4, *graph.input.shape)).astype(np.float32)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    wanted = reference.run(graph, x)
    error = np.mean((got.astype(np.float64) - wanted) ** 2)
    assert 10 * np.log10(np.ptp(wanted) ** 2 / error) > decibels


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def ints(net: Net, *values: int) -> str:
    return net.const(values, np.int64)


# Resize: judged by what it does

MODES = ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners", "tf_crop_and_resize",
         "tf_half_pixel_for_nn", "half_pixel_symmetric"]  # fmt: skip
ROUNDINGS = ["floor", "round_prefer_floor", "round_prefer_ceil", "ceil"]


def resize(
    coordinates: str,
    rounding: str,
    scales: Any,
    size: tuple[int, int] = (5, 4),
    mode: str = "nearest",
) -> onnx.ModelProto:
    opset = {"tf_half_pixel_for_nn": 11, "half_pixel_symmetric": 19}.get(coordinates, 13)
    net = Net(opset=opset)
    region = net.const([0, 0, 0, 0, 1, 1, 1, 1])
    x = net.node("Resize", "z", region, net.const(scales), nearest_mode=rounding,
                 coordinate_transformation_mode=coordinates, mode=mode)  # fmt: skip
    return net.model(net.node("Conv", x, net.weight(2, 3, 1, 1)), ["n", 3, *size])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("factor", [2, 3])
def test_a_resize_is_folded_exactly_where_it_repeats_every_pixel(mode, rounding, factor):
    """Any other takes the same pixels as onnxruntime, by the processor; or one sentence."""
    model = resize(mode, rounding, [1, 1, factor, factor])
    alone = resize(mode, rounding, [1, 1, factor, factor])
    del alone.graph.node[1:]
    alone.graph.node.append(onnx.helper.make_node("Identity", ["v0"], ["v1"]))
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    if np.array_equal(run(alone, x), x.repeat(factor, 2).repeat(factor, 3)):
        assert ops(same(model, (3, 5, 4))) == ["upsample", "conv"]
    elif mode in ("tf_half_pixel_for_nn", "tf_crop_and_resize"):
        assert "do not repeat each pixel" in refused(model)
    else:
        assert ops(same(model, (3, 5, 4))) == ["resample", "conv"]


def test_some_modes_of_tensorflow_repeat():
    """So that the test before tests both of its branches."""
    for mode, rounding in (("tf_half_pixel_for_nn", "floor"), ("half_pixel", "round_prefer_ceil"),
                           ("align_corners", "round_prefer_floor")):  # fmt: skip
        assert "upsample" in ops(imported(resize(mode, rounding, [1, 1, 2, 2])))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_a_single_pixel_is_repeated_whatever_the_mode(mode):
    model = resize("half_pixel", "floor", [1, 1, 4, 4], (1, 1), mode=mode)
    assert ops(same(model, (3, 1, 1))) == ["upsample", "conv"]


def test_taking_every_second_pixel_is_a_strided_convolution():
    for scales, rounding in (([1, 1, 0.5, 0.5], "floor"), ([1, 1, 0.5, 1], "floor"),
                             ([1, 1, 1, 0.25], "floor")):  # fmt: skip
        model = resize("asymmetric", rounding, scales, (8, 8))
        assert ops(same(model, (3, 8, 8))) == ["conv", "conv"]
    same(resize("half_pixel", "round_prefer_ceil", [1, 1, 1 / 3, 1 / 3], (9, 6)), (3, 9, 6))


def test_a_scale_that_keeps_the_size_but_moves_pixels_is_refused():
    """4 samples by 1.2 are 4 samples, of which the first comes twice; not so for onnxruntime."""
    assert "coordinates" in refused(resize("asymmetric", "floor", [1, 1, 1.2, 1.2], (4, 4)))


def test_scales_and_sizes_together_are_no_onnx():
    net = Net()
    x = net.node("Resize", "z", "", net.const([1, 1, 2, 2]), ints(net, 1, 3, 8, 8), mode="nearest")
    assert "wants one of them" in refused(net.model(x, [1, 3, 4, 4]), ModelError)


# Channels in another order


def rgb(net: Net) -> str:
    return net.node("Conv", "z", net.weight(3, 4, 3, 3), net.const([0.1, 0.2, 0.3]), pads=[1] * 4)


def gathered(net: Net, x: str) -> str:
    return net.node("Gather", x, ints(net, 2, 1, 0), axis=1)


def sliced(net: Net, x: str) -> str:
    return net.node("Slice", x, ints(net, 2), ints(net, -9), ints(net, 1), ints(net, -1))


def split(net: Net, x: str) -> str:
    net.node("Split", x, outputs=3, axis=1)
    at = len(net.nodes) - 1
    return net.node("Concat", f"v{at}_2", f"v{at}_1", f"v{at}", axis=1)


def shuffled_by_einsum(net: Net, x: str) -> str:
    return net.node("Einsum", x, net.const(np.eye(3)[::-1]), equation="nchw,cd->ndhw")


@pytest.mark.parametrize("turn", [gathered, sliced, split])
@pytest.mark.parametrize("last", ["Tanh", "LeakyRelu"])
def test_blue_green_red_costs_nothing(turn, last):
    net = Net()
    x = net.node(last, rgb(net)) if turn is not split else rgb(net)
    x = turn(net, x)
    x = x if turn is not split else net.node(last, x)
    graph = same(net.model(x, ["n", 4, 5, 6]), (4, 5, 6))
    assert ops(graph) == ["conv", "tanh" if last == "Tanh" else "leaky_relu"]
    near(graph, 16, 50)


@pytest.mark.parametrize("turn", [gathered, sliced, split, shuffled_by_einsum])
@pytest.mark.parametrize("nhwc", [False, True])
def test_channels_of_the_input_in_another_order(turn, nhwc):
    """Where no layer before can give the order; inside of a network in (N, H, W, C) too."""
    net = Net()
    x = turn(net, "z")
    if nhwc:
        x = net.node("Transpose", "z", perm=[0, 2, 3, 1])
        x = net.node("Gather", x, ints(net, -1, -2, 0), axis=3)
        x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Conv", x, net.weight(2, 3, 3, 3))
    same(net.model(x, ["n", 3, 5, 6]), (3, 5, 6))


def test_channels_after_every_kind_of_layer():
    for kind in ("ConvTranspose", "norm", "Resize", "prelu", "linear"):
        net = Net()
        if kind == "linear":
            x = net.node("Reshape", net.node("Gemm", "z", net.weight(7, 60), net.weight(60)),
                         ints(net, -1, 4, 3, 5))  # fmt: skip
        else:
            x = net.node("ConvTranspose", "z", net.weight(7, 4, 4, 4), net.weight(4),
                         strides=[2, 2], pads=[1] * 4)  # fmt: skip
        if kind == "norm":
            x = net.node("BatchNormalization", x, *(net.const(np.arange(1, 5) / 4)
                                                    for _ in range(4)))  # fmt: skip
        elif kind == "Resize":
            x = net.node("Resize", x, "", net.const([1, 1, 2, 2]), nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")  # fmt: skip
        elif kind == "prelu":
            x = net.node("PRelu", x, net.const([[[0.1]], [[0.2]], [[0.3]], [[0.4]]]))
        x = net.node("Gather", x, ints(net, 3, 0, 0), axis=1)
        shape = (7,) if kind == "linear" else (7, 3, 2)
        graph = same(net.model(x, ["n", *shape]), shape if len(shape) == 3 else (7,))
        assert "deconv" not in ops(graph)[1:], kind


def test_a_latent_cut_in_parts_costs_nothing():
    """A conditional generator whose label is packed into the vector."""
    for cut in ("Slice", "Split", "Gather"):
        net = Net()
        if cut == "Slice":
            parts = [net.node("Slice", "z", ints(net, a), ints(net, e), ints(net, 1))
                     for a, e in ((0, 8), (8, 18))]  # fmt: skip
        elif cut == "Split":
            net.node("Split", "z", ints(net, 8, 10), outputs=2, axis=1)
            parts = ["v0", "v0_1"]
        else:
            parts = [net.node("Gather", "z", ints(net, *r), axis=1)
                     for r in (range(8), range(8, 18))]  # fmt: skip
        gemms = [net.node("Gemm", p, net.weight(n, 32)) for p, n in zip(parts, (8, 10))]
        x = net.node("Reshape", net.node("Add", *gemms), ints(net, -1, 2, 4, 4))
        x = net.node("ConvTranspose", x, net.weight(2, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
        graph = same(net.model(net.node("Tanh", x), ["n", 18]), (18,))
        assert ops(graph) == ["linear", "linear", "add", "deconv", "tanh"]


def test_one_channel_without_its_dimension():
    net = Net()
    x = net.node("Gather", "z", net.const(1, np.int64), axis=1)
    x = net.node("Conv", net.node("Unsqueeze", x, ints(net, 1)), net.weight(2, 1, 3, 3))
    same(net.model(x, ["n", 3, 5, 6]), (3, 5, 6))


def test_every_second_row_and_column():
    net = Net()
    x = net.node("Slice", "z", ints(net, 1, 0), ints(net, 99, 5), ints(net, 2, 3), ints(net, 2, 3))
    same(net.model(net.node("Conv", x, net.weight(2, 3, 1, 1)), ["n", 3, 7, 8]), (3, 7, 8))


def test_values_of_a_flattened_image():
    net = Net()
    x = net.node("Gather", net.node("Flatten", "z"), ints(net, 5, 1, 58), axis=1)
    same(net.model(net.node("Gemm", x, net.weight(3, 4)), ["n", 3, 4, 5], out_rank=2), (3, 4, 5))


@pytest.mark.parametrize(
    ("op", "values", "attrs", "part"),
    [
        ("Gather", [[0, 9]], {"axis": 1}, "reach outside"),
        ("Slice", [[0], [3], [1], [0]], {}, "a step must not be 0"),
        ("Split", [[2, 2]], {"axis": 1, "outputs": 2}, "do not make up the 3 samples"),
        ("Gather", [[0]], {"axis": 0}, "with a batch of 1"),
        ("Gather", [[[0]]], {"axis": 1}, "use a list of them"),
    ],
)
def test_cuts_that_cannot_be(op, values, attrs, part):
    net = Net()
    x = net.node(op, "z", *(net.const(v, np.int64) for v in values), name="/net/bad", **attrs)
    text = refused(net.model(net.node("Relu", x), ["n", 3, 5, 6]), ModelError)
    assert part in text
    assert "/net/bad" in text


# Sums and averages


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1], [2], [3], [1, 2, 3], [1, 3]])
@pytest.mark.parametrize("keep", [0, 1])
def test_averages_over_an_image(op, axes, keep):
    net = Net(opset=18)
    x = net.node("Conv", "z", net.weight(3, 2, 3, 3), pads=[1] * 4)
    x = net.node(op, x, ints(net, *axes), keepdims=keep)
    if keep:
        x = net.node("Mul", x, net.const(2))
    elif len(axes) == 2:
        x = net.node("Gemm", x, net.weight(3 if 1 not in axes else 5, 4))
    else:
        x = net.node("Identity", x)
    model = net.model(x, ["n", 2, 5, 6], out_rank=4 if keep else 4 - len(axes))
    try:
        same(model, (2, 5, 6))
    except UnsupportedLayerError as error:  # an output without channels, rows or columns
        assert not keep
        assert "expected a batch of images" in str(error)


def test_averages_before_opset_18():
    net = Net(opset=13)
    x = net.node("ReduceMean", "z", axes=[2, 3], keepdims=1)
    x = net.node("ConvTranspose", x, net.weight(3, 4, 4, 4))
    graph = same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))
    near(graph, 8, 25)


def test_an_average_of_a_vector():
    net = Net(opset=18)
    x = net.node("ReduceMean", "z", ints(net, 1), keepdims=1)
    same(net.model(net.node("Gemm", x, net.weight(1, 6)), ["n", 5], out_rank=2), (5,))


@pytest.mark.parametrize("op", ["ReduceL1", "ReduceL2", "ReduceProd", "ReduceLogSumExp"])
def test_other_reductions_say_what_to_use(op):
    net = Net(opset=18)
    x = net.node(op, "z", ints(net, 2, 3), keepdims=1)
    assert "use ReduceMean" in refused(net.model(x, ["n", 2, 5, 6]))


@pytest.mark.parametrize("keep", [0, 1])
def test_the_largest_of_an_image(keep):
    net = Net(opset=18)
    x = net.node("ReduceMax", "z", ints(net, 2, 3), keepdims=keep)
    x = x if keep else net.node("Unsqueeze", x, ints(net, 2, 3))
    x = net.node("Conv", x, net.weight(3, 2, 1, 1))
    assert ops(same(net.model(x, ["n", 2, 5, 6]), (2, 5, 6))) == ["maxpool", "conv"]


def test_an_average_over_the_batch_is_refused():
    net = Net(opset=18)
    x = net.node("ReduceMean", "z", ints(net, 0), keepdims=1)
    assert "batch" in refused(net.model(x, ["n", 2, 5, 6]))


# Weights that nodes compute


@pytest.mark.parametrize("opset", [11, 13, 17, 18])
def test_weight_normalisation_written_out(opset):
    net = Net(opset=opset)
    v, g = net.weight(4, 3, 3, 3), net.const([[[[0.5]]], [[[1]]], [[[1.5]]], [[[0.7]]]])
    if opset < 18:
        norm = net.node("ReduceL2", v, axes=[1, 2, 3], keepdims=1)
    else:
        norm = net.node("ReduceL2", v, ints(net, 1, 2, 3), keepdims=1)
    weight = net.node("Mul", net.node("Div", v, norm), g)
    assert ops(same(net.model(net.node("Conv", "z", weight), ["n", 3, 5, 6]), (3, 5, 6))) == [
        "conv"
    ]


def test_weights_by_a_product_of_matrices():
    net = Net()
    weight = net.node("Einsum", net.weight(4, 5, 3, 3), net.weight(5, 2), equation="oikl,ij->ojkl")
    same(net.model(net.node("Conv", "z", weight), ["n", 2, 5, 6]), (2, 5, 6))


@pytest.mark.parametrize("opset", [13, 17, 21])
@pytest.mark.parametrize("axis", [None, 0])
def test_weights_stored_as_integers(opset, axis):
    net = Net(opset=opset)
    q = net.const(net.rng.integers(-100, 100, (3, 2, 3, 3)), np.int8)
    scale = net.const([0.01, 0.02, 0.03] if axis == 0 else 0.01)
    zero = net.const([1, 2, 3] if axis == 0 else 1, np.int8)
    weight = net.node("DequantizeLinear", q, scale, zero, **({} if axis is None else {"axis": 0}))
    model = net.model(net.node("Conv", "z", weight), ["n", 2, 5, 6])
    assert any("quantised anew" in note for note in same(model, (2, 5, 6)).notes)
    with pytest.warns(WinogenWarning, match="quantised anew"):
        imported(model)


def test_an_einsum_that_asks_for_too_much_is_refused():
    """Its result is small, its sum has 2**50 terms."""
    net = Net()
    a, b = (net.node("ConstantOfShape", ints(net, *s)) for s in ((1 << 25, 1), (1 << 25, 1)))
    x = net.node("Einsum", a, b, equation="ab,cd->bd")
    text = refused(net.model(net.node("Add", "z", x), ["n", 3, 5, 6]), ModelError)
    assert "takes too long" in text


# Layers that are another layer, exactly


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("dilations", [[2, 2], [1, 3], [3, 2]])
def test_dilations_are_a_larger_kernel(op, dilations):
    net = Net()
    pads = [dilations[0], dilations[1]] * 2
    x = net.node(op, "z", net.weight(3, 3, 3, 3), net.weight(3), dilations=dilations, pads=pads,
                 name="wide")  # fmt: skip
    graph = same(net.model(x, ["n", 3, 9, 8]), (3, 9, 8))
    assert graph.nodes[0].attrs["kernel"] == tuple(2 * d + 1 for d in dilations)
    near(graph, 16, 50)


def test_dilated_groups_and_strides():
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 1, 3, 3), dilations=[2, 2], group=4, strides=[2, 2],
                 pads=[2] * 4)  # fmt: skip
    same(net.model(x, ["n", 4, 9, 8]), (4, 9, 8))


@pytest.mark.parametrize(("mode", "level"), [("constant", 0.5), ("constant", -1.0)])
def test_padding_with_a_constant(mode, level):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 1, 1), net.weight(4))
    x = net.node("Pad", x, ints(net, 0, 0, 1, 2, 0, 0, 3, 0), net.const(level), mode=mode)
    x = net.node("Conv", x, net.weight(3, 4, 3, 3), pads=[1] * 4)
    graph = same(net.model(x, ["n", 3, 5, 6]), (3, 5, 6))
    near(graph, 16, 50)


@pytest.mark.parametrize("small", [(4, 1, 1), (1, 1, 1), (1, 6, 6), (4, 6, 1)])
def test_sums_of_shapes_that_broadcast(small):
    """A style that is added to every pixel, a plane that is added to every channel."""
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3), pads=[1] * 4)
    channels, rows, columns = small
    y = net.node("Conv", "z", net.weight(channels, 3, 7 - rows, 7 - columns), net.weight(channels))
    same(net.model(net.node("Add", x, y), ["n", 3, 6, 6]), (3, 6, 6))
    net.nodes.pop()
    same(net.model(net.node("Sub", y, x), ["n", 3, 6, 6]), (3, 6, 6))


def test_sums_of_shapes_that_do_not_fit():
    net = Net()
    text = refused(net.model(net.node("Add", net.node("Conv", "z", net.weight(3, 3, 2, 2)), "z"),
                             ["n", 3, 6, 6]))  # fmt: skip
    assert "crop, resize or expand" in text


@pytest.mark.parametrize("bits", [8, 16])
def test_layers_of_constants_on_the_emulator(bits):
    """Layers whose weights are all zero give their biases, bit for bit as the integers say."""
    net = Net()
    planes = net.const(np.broadcast_to([[[[0.3]], [[-0.7]]]], (1, 2, 6, 7)))
    grid = net.const(net.rng.uniform(-1, 1, (1, 1, 6, 7)))
    x = net.node("Concat", "z", planes, grid, axis=1)
    x = net.node("Tanh", net.node("Conv", x, net.weight(3, 6, 3, 3), pads=[1] * 4))
    graph = same(net.model(x, [1, 3, 6, 7]), (3, 6, 7), 1)
    compiled = compile_graph(graph, load_board("tiny", bits), batch=2)
    network = compiled.network
    z = np.random.default_rng(0).uniform(0, 1, (3, 3, 6, 7))
    wanted = network.output_format.dequantise(run_integer(network, network.quantise_input(z)))
    with Generator(compiled.program) as generator:
        assert np.array_equal(generator.generate(z, as_float=True), wanted)
    assert np.abs(wanted - reference.run(graph, z)).max() < (0.1 if bits == 8 else 0.001)


# What ONNX itself calls invalid


@pytest.mark.parametrize(
    ("attrs", "part"),
    [
        ({"output_padding": [2, 0]}, "output_padding [2, 0]"),
        ({"output_padding": [0, 5]}, "output_padding [0, 5]"),
        ({"output_shape": [40, 40]}, "output_shape [40, 40]"),
        ({"output_shape": [10, 12]}, "output_shape [10, 12]"),
    ],
)
def test_outputs_beyond_what_the_input_fills(attrs, part):
    net = Net()
    x = net.node("ConvTranspose", "z", net.weight(3, 2, 2, 2), strides=[2, 2], **attrs)
    text = refused(net.model(x, ["n", 3, 5, 5]), ModelError)
    assert part in text
    assert "the stride (2 x 2)" in text


def test_outputs_within_a_stride_are_taken():
    for attrs in ({"output_padding": [1, 1]}, {"output_shape": [11, 10]}, {"output_shape": [9, 8]}):
        net = Net()
        x = net.node("ConvTranspose", "z", net.weight(3, 2, 2, 2), strides=[2, 2], **attrs)
        same(net.model(x, ["n", 3, 5, 5]), (3, 5, 5))


def test_two_nodes_of_one_name():
    net = Net()
    x = net.node("Relu", net.node("Conv", "z", net.weight(2, 3, 1, 1), name="a"), name="a")
    text = refused(net.model(x, ["n", 3, 5, 5]), ModelError)
    assert "two nodes are named 'a'" in text
    assert "names of their own, or none" in text


# Constants of the batch's size


def expanded(net: Net, value: Any) -> str:
    """A constant (1, ...) expanded to the batch, as torch's expand is exported."""
    value = np.asarray(value, np.float32)
    size = net.node("Gather", net.node("Shape", "z"), net.const(0, np.int64), axis=0)
    size = net.node("Unsqueeze", size, ints(net, 0))
    shape = net.node("Concat", size, ints(net, *value.shape[1:]), axis=0)
    return net.node("Expand", net.const(value), shape)


def zeros_like_batch(net: Net, value: Any) -> str:
    size = net.node("Slice", net.node("Shape", "z"), ints(net, 0), ints(net, 1))
    shape = net.node("Concat", size, ints(net, *np.shape(value)[1:]), axis=0)
    made = net.node("ConstantOfShape", shape)
    return net.node("Add", net.node("Mul", made, net.const(0)), net.const(value))


def tiled(net: Net, value: Any) -> str:
    size = net.node("Slice", net.node("Shape", "z"), ints(net, 0), ints(net, 1))
    repeats = net.node("Concat", size, ints(net, *([1] * (np.ndim(value) - 1))), axis=0)
    return net.node("Tile", net.const(value), repeats)


def grown(net: Net) -> str:
    x = net.node("Gemm", "z", net.weight(8, 64), net.weight(64))
    return net.node("Reshape", x, ints(net, -1, 4, 4, 4))


MAKES = (expanded, zeros_like_batch, tiled)
BATCHES = ("n", 1, 3)
OPERATORS = ("Add", "Mul", "Sub", "Concat")
SIZES = ((1, 4, 1, 1), (1, 4, 4, 4), (1, 1, 4, 4))
#: Every choice of one of each; the long run has those that differ in one place from others.
CHOICES = [
    pytest.param(
        SIZES[s], OPERATORS[o], BATCHES[b], MAKES[m],
        marks=pytest.mark.long if (s + o + b + m) % 3 else (),
    )
    for s, o, b, m in product(*(range(len(x)) for x in (SIZES, OPERATORS, BATCHES, MAKES)))
]  # fmt: skip


@pytest.mark.parametrize(("size", "op", "batch", "make"), CHOICES)
def test_a_constant_of_the_batchs_size(make, batch, op, size):
    net = Net()
    value = net.rng.uniform(0.5, 1.5, size)
    if op == "Concat" and size[2:] == (1, 1):
        value = np.broadcast_to(value, (1, 4, 4, 4))
    attrs = {"axis": 1} if op == "Concat" else {}
    x = net.node(op, grown(net), make(net, value), **attrs)
    channels = 4 + (value.shape[1] if op == "Concat" else 0)
    x = net.node("ConvTranspose", x, net.weight(channels, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
    graph = same(net.model(net.node("Tanh", x), [batch, 8]), (8,), batch if batch != "n" else 2)
    near(graph, 16, 50)


def test_a_constant_that_differs_from_image_to_image_is_refused():
    net = Net()
    x = net.node("Add", grown(net), net.const(net.rng.normal(size=(2, 4, 1, 1))))
    text = refused(net.model(x, [2, 8]))
    assert "from image to image" in text
    assert "batch of 1" in text
    net = Net()
    size = net.node(
        "Squeeze", net.node("Slice", net.node("Shape", "z"), ints(net, 0), ints(net, 1))
    )
    order = net.node("Range", net.const(0, np.int64), size, net.const(1, np.int64))
    order = net.node("Reshape", net.node("Cast", order, to=1), ints(net, -1, 1, 1, 1))
    text = refused(net.model(net.node("Add", grown(net), order), ["n", 8]))
    assert "fixed batch of 1" in text


def test_no_message_shows_what_stands_for_the_batch():
    """Not even where the batch is a part of another number."""
    net = Net()
    x = net.node("Reshape", "z", ints(net, -1, 7))
    text = refused(net.model(net.node("Relu", x), ["n", 4, 5, 5]), ModelError)
    assert "7" in text
    for number in (65521, 65521 * 100, 65521 * 4):
        assert str(number) not in text


# Joined constants


@pytest.mark.parametrize("batch", ["n", 2])
def test_a_fixed_label_before_a_linear_layer_is_its_bias(batch):
    net = Net()
    label = expanded(net, np.eye(10)[None, 3])
    x = net.node("Concat", "z", label, axis=1)
    x = net.node("Reshape", net.node("Gemm", x, net.weight(18, 64), net.weight(64)),
                 ints(net, -1, 4, 4, 4))  # fmt: skip
    x = net.node("ConvTranspose", x, net.weight(4, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
    graph = same(net.model(net.node("Tanh", x), [batch, 8]), (8,))
    assert ops(graph) == ["linear", "deconv", "tanh"]
    assert graph.nodes[0].params["weight"].shape == (64, 8)
    near(graph, 8, 25)


@pytest.mark.parametrize("first", [False, True])
def test_a_fixed_label_before_the_first_transposed_convolution(first):
    """The pixel becomes a linear layer, whose bias differs from output to output."""
    net = Net()
    label = net.const(np.eye(10)[None, 3, :, None, None])
    parts = (label, "z") if first else ("z", label)
    x = net.node("Concat", *parts, axis=1)
    x = net.node("ConvTranspose", x, net.weight(18, 6, 4, 4), net.weight(6))
    x = net.node("BatchNormalization", x, *(net.const(np.arange(1, 7) / 6) for _ in range(4)))
    x = net.node("ConvTranspose", net.node("Relu", x), net.weight(6, 3, 4, 4), strides=[2, 2],
                 pads=[1] * 4)  # fmt: skip
    graph = same(net.model(net.node("Tanh", x), [1, 8, 1, 1]), (8, 1, 1), 1)
    assert ops(graph) == ["linear", "batchnorm", "relu", "deconv", "tanh"]
    near(graph, 16, 50)


def test_a_label_from_an_embedding():
    net = Net()
    table = net.weight(10, 5)
    size = net.node("Slice", net.node("Shape", "z"), ints(net, 0), ints(net, 1))
    label = net.node("Expand", ints(net, 7), size)
    x = net.node("Concat", net.node("Gather", table, label, axis=0), "z", axis=1)
    x = net.node("Reshape", net.node("Gemm", x, net.weight(13, 64)), ints(net, -1, 4, 4, 4))
    graph = same(net.model(x, ["n", 8]), (8,))
    assert ops(graph) == ["linear"]


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_grid_of_coordinates_joined_to_an_image(nhwc, bits):
    rows, columns = np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 7), indexing="ij")
    grid = np.stack([rows, columns])[None]
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3), pads=[1] * 4)
    if nhwc:
        x = net.node("Transpose", x, perm=[0, 2, 3, 1])
        x = net.node("Concat", x, expanded(net, grid.transpose(0, 2, 3, 1)), axis=3)
        x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    else:
        x = net.node("Concat", x, expanded(net, grid), axis=1)
    x = net.node("Tanh", net.node("Conv", x, net.weight(3, 6, 3, 3), pads=[1] * 4))
    graph = same(net.model(x, ["n", 3, 6, 7]), (3, 6, 7))
    near(graph, bits, 25 if bits == 8 else 50)


def test_planes_before_a_convolution_without_padding_are_its_bias():
    net = Net()
    planes = net.const(np.broadcast_to([[[[2.0]], [[3.0]]]], (1, 2, 5, 6)))
    x = net.node("Concat", "z", planes, axis=1)
    x = net.node("Conv", x, net.weight(3, 5, 3, 3))
    graph = same(net.model(x, [1, 3, 5, 6]), (3, 5, 6), 1)
    assert ops(graph) == ["conv"]


@pytest.mark.parametrize("bits", [8, 16])
def test_constants_added_to_every_pixel(bits):
    net = Net()
    noise = net.const(net.rng.normal(0, 0.2, (1, 1, 6, 5)))
    x = net.node("Sub", noise, net.node("Conv", "z", net.weight(2, 3, 1, 1)))
    graph = same(net.model(net.node("Tanh", x), ["n", 3, 6, 5]), (3, 6, 5))
    near(graph, bits, 25 if bits == 8 else 50)


def test_noise_of_many_channels_and_latents():
    """As StyleGAN2's, which all channels share: it takes no weight for each latent and value."""
    net = Net()
    noise = net.const(net.rng.normal(0, 0.5, (1, 1, 64, 48)))
    x = net.node("ConvTranspose", "z", net.weight(400, 16, 4, 3))
    x = net.node("Resize", x, "", net.const([1, 1, 16, 16]), mode="nearest")
    graph = same(net.model(net.node("Add", x, noise), ["n", 400, 1, 1]), (400, 1, 1))
    linear = next(n for n in graph.nodes if n.op == "linear")
    assert linear.params["weight"].size == 64 * 48
    near(graph, 8, 30)


# Zeros between pixels


def upfirdn(net: Net, x: str, shape: tuple[int, int, int], low: int, high: int) -> str:
    """Zeros after (or before) every row and column, as upfirdn2d of StyleGAN2 inserts them."""
    channels, rows, columns = shape
    apart = net.const([-1, channels, rows, 1, columns, 1], np.int64)
    pads = net.const([0, 0, 0, low, 0, low, 0, 0, 0, high, 0, high], np.int64)
    x = net.node("Pad", net.node("Reshape", x, apart), pads)
    step = 1 + low + high
    return net.node("Reshape", x, net.const([-1, channels, rows * step, columns * step], np.int64))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 0), (1, 2)])
def test_zeros_between_pixels(low, high):
    net = Net()
    x = net.node("Conv", "z", net.weight(2, 3, 1, 1))
    x = upfirdn(net, x, (2, 4, 3), low, high)
    graph = same(net.model(net.node("Relu", x), ["n", 3, 4, 3]), (3, 4, 3))
    assert ops(graph) == ["conv", "deconv", "relu"]
    near(graph, 8, 30)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (2, 1, 1, 2)])
def test_a_filter_of_what_has_zeros_between_is_one_layer(low, high, pads):
    net = Net()
    x = upfirdn(net, "z", (3, 4, 5), low, high)
    apart = net.const([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
    x = net.node("Pad", x, apart)
    x = net.node("Conv", x, net.weight(3, 1, 4, 3), net.weight(3), group=3)
    graph = same(net.model(x, ["n", 3, 4, 5]), (3, 4, 5))
    assert ops(graph) == ["deconv"]
    near(graph, 8, 30)


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("up", [1, 2])
def test_a_filter_of_channels_as_images_of_a_batch(batch, up):
    """As upfirdn2d of rosinality's StyleGAN2: (N * C, H, W, 1), which nothing is rearranged for."""
    net = Net()
    x = net.node("Conv", "z", net.weight(3, 3, 1, 1))
    x = net.node("Reshape", x, net.const([-1, 4, 1, 5, 1, 1], np.int64))
    x = net.node("Pad", x, net.const([0] * 8 + [up - 1, 0, up - 1, 0], np.int64))
    x = net.node("Reshape", x, net.const([-1, 4 * up, 5 * up, 1], np.int64))
    x = net.node("Pad", x, net.const([0, 2, 1, 0, 0, 1, 2, 0], np.int64))
    ends, axes = net.const([9999, 9999], np.int64), net.const([1, 2], np.int64)
    x = net.node("Slice", x, net.const([0, 0], np.int64), ends, axes)
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Reshape", x, net.const([-1, 1, 4 * up + 3, 5 * up + 3], np.int64))
    x = net.node("Conv", x, net.weight(1, 1, 4, 4), net.weight(1))
    x = net.node("Reshape", x, net.const([-1, 3, 4 * up, 5 * up], np.int64))
    graph = same(net.model(net.node("Relu", x), [batch, 3, 4, 5]), (3, 4, 5), 1)
    assert ops(graph) == ["conv", "conv" if up == 1 else "deconv", "relu"]
    near(graph, 8, 30)


def test_channels_as_images_of_a_batch_have_one_kernel():
    net = Net()
    x = net.node("Reshape", "z", net.const([-1, 1, 4, 5], np.int64))
    x = net.node("Conv", x, net.weight(2, 1, 3, 3))
    assert "only kernels of one channel" in refused(net.model(x, ["n", 3, 4, 5]))


def test_zeros_between_channels():
    net = Net()
    x = net.node("Reshape", "z", net.const([-1, 3, 1, 4, 5], np.int64))
    x = net.node("Pad", x, net.const([0, 0, 0, 0, 0, 0, 0, 1, 0, 0], np.int64))
    x = net.node("Reshape", x, net.const([-1, 6, 4, 5], np.int64))
    assert "pads the batch, or the channels" in refused(net.model(x, ["n", 3, 4, 5]))


def test_a_constant_joined_where_there_are_no_channels():
    net = Net()
    x = net.node("Concat", "z", net.const(np.ones((1, 3, 1, 6))), axis=2)
    assert "only channels" in refused(net.model(net.node("Relu", x), [1, 3, 5, 6]))


# Old opsets


def old(opset: int, fixed: bool = False) -> onnx.ModelProto:
    """A network as exporters of 2018 wrote it: attributes that have become inputs, Upsample."""
    net = Net(opset=opset)
    x = net.node("Pad", "z", pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant", value=0.0)
    x = net.node("Conv", x, net.weight(8, 3, 3, 3), name="first")
    if opset < 9:
        x = net.node("Upsample", x, scales=[1.0, 1.0, 2.0, 2.0], mode="nearest")
    else:
        kind = "Upsample" if opset == 9 else "Resize"
        x = net.node(kind, x, net.const([1, 1, 2, 2]), mode="nearest")
    x = net.node("Dropout", net.node("Clip", x, min=0.0, max=6.0), ratio=0.5)
    if opset < 10:
        x = net.node("Slice", x, axes=[2, 3], starts=[1, 0], ends=[9, 8])
    x = net.node("BatchNormalization", x, *(net.const(np.arange(1, 9) / 8) for _ in range(4)))
    x = net.node("PRelu", x, net.const(np.full((8, 1, 1), 0.1)))
    model = net.model(net.node("Tanh", x), [1 if fixed else "n", 3, 5, 6])
    model.ir_version = 3 if opset < 9 else 4
    if opset < 9:  # which had to list weights as inputs
        for t in model.graph.initializer:
            model.graph.input.append(
                onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
            )
    return model


@pytest.mark.parametrize("opset", [7, 8, 9, 10])
def test_old_opsets_are_converted(opset):
    graph = same(old(opset), (3, 5, 6))
    assert graph.nodes[0].name == "first"
    note = f"the model uses opset {opset}; onnx's version converter made it opset 11"
    assert note in graph.notes
    with pytest.warns(WinogenWarning, match=note):
        imported(old(opset))


def test_super_resolution_as_pytorchs_tutorial_exports_it():
    """Convolutions and a pixel shuffle by reshapes: 29 public repositories carry the file."""
    net = Net(opset=9)
    x = "z"
    for cin, cout, k in ((1, 8, 5), (8, 8, 3), (8, 4, 3), (4, 9, 3)):
        x = net.node("Conv", x, net.weight(cout, cin, k, k), net.weight(cout), pads=[k // 2] * 4,
                     dilations=[1, 1], group=1, kernel_shape=[k, k], strides=[1, 1])  # fmt: skip
        x = net.node("Relu", x) if cout != 9 else x
    x = net.node("Reshape", x, ints(net, -1, 1, 3, 3, 8, 8))
    x = net.node("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
    x = net.node("Reshape", x, ints(net, -1, 1, 24, 24))
    graph = same(net.model(x, ["n", 1, 8, 8]), (1, 8, 8))
    assert ops(graph) == ["conv", "relu"] * 3 + ["deconv"]


def test_what_the_converter_refuses_is_told():
    net = Net(opset=8)
    norm = [net.const(np.ones((3, 5, 6))) for _ in range(4)]
    x = net.node("Upsample", "z", scales=[1.0, 1.0], mode="nearest")
    x = net.node("BatchNormalization", x, *norm, spatial=0)
    text = refused(net.model(x, ["n", 3, 5, 6]), ModelError)
    assert "version converter cannot convert" in text or "no such" in text


def test_a_model_that_crashes_the_converter_is_refused(monkeypatch):
    """It is C++ that trusts its input: a crash ends its own process, not this one."""
    from winogen.network.onnx import convert

    monkeypatch.setattr(convert, "_PROGRAM", "import os; os.abort()")
    assert "it crashed on the file; export it again" in refused(old(9), ModelError)
    monkeypatch.setattr(convert, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(convert, "DEADLINE", 0.2)
    assert "has not finished in 0.2 s" in refused(old(9), ModelError)


def test_an_old_model_with_weights_beside_it_is_not_converted(tmp_path):
    model = old(9)
    tensor = model.graph.initializer[0]
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="keeps weights in other files"):
        import_onnx(tmp_path / "m.onnx")


def test_functions_of_the_model_are_put_in_their_places():
    """As torch.onnx's older dynamo exporter writes every module."""
    h = onnx.helper
    block = h.make_function(
        "mine", "block", ["x", "w"], ["y"],
        [h.make_node("Conv", ["x", "w"], ["c"]), h.make_node("Relu", ["c"], ["y"])],
        [h.make_opsetid("", 17)],
    )  # fmt: skip
    net = Net()
    x = net.node("block", "z", net.weight(4, 3, 3, 3), domain="mine")
    model = net.model(net.node("block", x, net.weight(2, 4, 3, 3), domain="mine"), ["n", 3, 8, 8])
    model.functions.append(block)
    model.opset_import.append(h.make_opsetid("mine", 1))
    graph = same(model, (3, 8, 8))
    assert ops(graph) == ["conv", "relu"] * 2
    assert "functions of its own ('block'" in graph.notes[0]


# Everything that cannot run, at once


def test_all_unsupported_operators_are_told():
    net = Net(opset=18)
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3), pads=[1] * 4)
    x = net.node("Softmax", x, axis=1, name="first")
    x = net.node("LRN", x, size=3, name="norm1")
    x = net.node("LpPool", x, kernel_shape=[2, 2], strides=[2, 2], name="pool")
    x = net.node("Conv", x, net.weight(4, 4, 3, 3), pads=[1] * 4)
    x = net.node("LRN", x, size=3, name="norm2")
    x = net.node(
        "Resize", x, "", net.const([1, 1, 0.5, 0.5]), mode="linear", antialias=1, name="up"
    )
    x = net.node("Conv", x, net.weight(3, 4, 3, 3), dilations=[2000, 2000], name="wide")
    model = net.model(net.node("Tanh", x), ["n", 3, 8, 8])
    with pytest.raises(UnsupportedLayerError) as error:
        imported(model)
    text = str(error.value)
    assert text.startswith("net: 5 things in it cannot run: (1) node 'first' (Softmax)")
    parts = (
        "functions of one", "nodes 'norm1', 'norm2' (LRN)",
        "batch normalization", "'pool' (LpPool)", "convolution with a stride", "'up' (Resize)",
        "interpolates with antialias", "'wide' (Conv)", "dilations",
    )  # fmt: skip
    for part in parts:
        assert part in text, part
    assert len(error.value.problems) == 5


def test_foreign_operators_and_networks_within_are_told_with_the_others():
    net = Net()
    x = net.node("FusedConv", "z", domain="com.microsoft", name="fused")
    x = net.node("LRN", "z", size=3, name="lrn")
    inner = onnx.helper.make_graph([], "inner", [], [])
    x = net.node("If", x, then_branch=inner, else_branch=inner, name="either")
    net.node("Add", x, "v0")
    text = refused(net.model("v3", ["n", 3, 8, 8]))
    for part in ("3 things", "'fused'", "standard ONNX operators", "'lrn'", "'either'",
                 "without control flow"):  # fmt: skip
        assert part in text, part


def test_a_single_problem_is_told_alone():
    net = Net()
    text = refused(net.model(net.node("LRN", "z", size=3, name="lrn"), ["n", 3, 8, 8]))
    assert text.startswith("net: node 'lrn' (LRN) is not supported: ")


# Functions written out


def silu(net: Net, x: str) -> str:
    return net.node("Mul", net.node("Sigmoid", x), x)


def gelu(net: Net, x: str) -> str:
    half = net.node("Erf", net.node("Div", x, net.const(2**0.5)))
    return net.node("Mul", net.node("Mul", x, net.node("Add", half, net.const(1))), net.const(0.5))


def tanh_gelu(net: Net, x: str) -> str:
    cube = net.node("Mul", net.node("Pow", x, net.const(3)), net.const(0.044715))
    inner = net.node("Mul", net.node("Add", x, cube), net.const((2 / np.pi) ** 0.5))
    outer = net.node("Add", net.node("Tanh", inner), net.const(1))
    return net.node("Mul", net.node("Mul", x, net.const(0.5)), outer)


def tanh_gelu_by_products(net: Net, x: str) -> str:
    cube = net.node("Mul", net.node("Mul", net.node("Mul", x, x), x), net.const(0.044715))
    inner = net.node("Mul", net.node("Add", x, cube), net.const((2 / np.pi) ** 0.5))
    outer = net.node("Add", net.node("Tanh", inner), net.const(1))
    return net.node("Mul", net.const(0.5), net.node("Mul", x, outer))


def mish(net: Net, x: str) -> str:
    return net.node("Mul", x, net.node("Tanh", net.node("Softplus", x)))


def mish_by_logarithm(net: Net, x: str) -> str:
    soft = net.node("Log", net.node("Add", net.node("Exp", x), net.const(1)))
    return net.node("Mul", x, net.node("Tanh", soft))


def hard_swish(net: Net, x: str) -> str:
    return net.node("Mul", x, net.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def hard_swish_by_relu6(net: Net, x: str) -> str:
    six = net.node("Clip", net.node("Add", x, net.const(3)), net.const(0), net.const(6))
    return net.node("Div", net.node("Mul", x, six), net.const(6))


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (silu, "silu"),
        (gelu, "gelu"),
        (tanh_gelu, "gelu_tanh"),
        (tanh_gelu_by_products, "gelu_tanh"),
        (mish, "mish"),
        (mish_by_logarithm, "mish"),
        (hard_swish, "hardswish"),
        (hard_swish_by_relu6, "hardswish"),
    ],
)
def test_functions_written_out_are_one_layer_with_a_name(write, name):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3), pads=[1] * 4)
    x = write(net, x)
    x = net.node("Conv", x, net.weight(4, 4, 3, 3), pads=[1] * 4)
    x = write(net, x)
    graph = same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))
    assert ops(graph) == ["conv", "function"] * 2
    assert [n.attrs["function"].name for n in graph.nodes[1::2]] == [name] * 2


def test_a_function_without_a_name():
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3))
    x = net.node("Mul", net.node("Tanh", x), net.node("Exp", net.node("Neg", net.node("Abs", x))))
    graph = same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))
    assert ops(graph) == ["conv", "function"]
    assert graph.nodes[1].attrs["function"].name == "function of 5 operators"


def test_a_sigmoid_written_out_is_one():
    net = Net()
    x = net.node("Exp", net.node("Neg", net.node("Conv", "z", net.weight(3, 3, 1, 1))))
    x = net.node("Div", net.const(1), net.node("Add", x, net.const(1)))
    assert ops(same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))) == ["conv", "sigmoid"]


def test_a_function_takes_what_only_it_reads():
    """A table for a part of it would have to span what the rest makes small again."""
    net = Net()
    x = net.node("Mul", net.node("Conv", "z", net.weight(3, 3, 1, 1)), net.const(-1.7))
    x = net.node("Div", net.const(1), net.node("Add", net.node("Exp", x), net.const(1)))
    assert ops(same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))) == ["conv", "function"]
    net = Net()  # a function with a name stays one
    x = silu(net, net.node("Relu", net.node("Conv", "z", net.weight(3, 3, 1, 1))))
    graph = same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))
    assert ops(graph) == ["conv", "relu", "function"]
    assert graph.nodes[-1].attrs["function"].name == "silu"
    net = Net()  # what others read is a layer
    x = gelu(net, net.node("Conv", "z", net.weight(3, 3, 1, 1)))
    x = net.node("Add", net.node("Conv", silu(net, x), net.weight(3, 3, 1, 1)), x)
    assert ops(same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))).count("function") == 2


def test_a_gate_is_no_function_of_one_value():
    net = Net()
    gate = net.node("Sigmoid", net.node("Conv", "z", net.weight(3, 3, 1, 1)))
    graph = same(net.model(net.node("Mul", "z", gate), ["n", 3, 8, 8]), (3, 8, 8))
    assert ops(graph) == ["conv", "sigmoid", "multiply"]


@pytest.mark.parametrize(("op", "slope"), [("Max", 0.2), ("Min", 1.5), ("Max", -1.0)])
def test_a_leaky_relu_as_tensorflow_writes_it(op, slope):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 3, 3, 3))
    x = net.node(op, net.node("Mul", x, net.const(slope)), x)
    graph = same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))
    assert ops(graph) == ["conv", "leaky_relu"]


def test_a_prelu_as_a_maximum():
    net = Net()
    x = net.node("Conv", "z", net.weight(2, 3, 3, 3))
    x = net.node("Max", x, net.node("Mul", x, net.const([[[0.1]], [[0.3]]])))
    assert ops(same(net.model(x, ["n", 3, 8, 8]), (3, 8, 8))) == ["conv", "prelu"]
