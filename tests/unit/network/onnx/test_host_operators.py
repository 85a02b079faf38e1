"""Operators that the processor or a table runs, as exporters write them, against onnxruntime."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

REASON = "reading ONNX models needs the packages onnx and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)

from support.onnx_models import Net, run  # noqa: E402
from support.strategies import examples  # noqa: E402
from winogen.common.errors import ModelError, UnsupportedLayerError  # noqa: E402
from winogen.compiler.fold import fold  # noqa: E402
from winogen.network import reference  # noqa: E402
from winogen.network.graph import Graph  # noqa: E402
from winogen.network.onnx import import_onnx  # noqa: E402

TOLERANCE = 2e-4
SHAPE = (4, 6, 5)


def imported(net: Net, out: str, shape: tuple[int, ...] = SHAPE, batch: Any = "n") -> Graph:
    return import_onnx(net.model(out, [batch, *shape]).SerializeToString(), name="net")


def same(net: Net, out: str, shape: tuple[int, ...] = SHAPE, batch: Any = "n") -> list[str]:
    """The imported graph gives what onnxruntime gives; the operations of its layers."""
    graph = imported(net, out, shape, batch)
    x = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    wanted = run(net.model(out, [batch, *shape]), x)
    got = reference.run(graph, x)
    if got.shape != wanted.shape and wanted.ndim == 4:
        got = got.transpose(0, 2, 3, 1)
    assert got.size == wanted.size
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= TOLERANCE
    fold(graph)
    return [node.op for node in graph.nodes]


def refused(net: Net, out: str, shape: tuple[int, ...] = SHAPE, kind: type = UnsupportedLayerError):
    with pytest.raises(kind) as error:
        imported(net, out, shape)
    text = str(error.value)
    assert "\n" not in text
    return text


def conv(net: Net, x: str = "z", cin: int = 4, cout: int = 4) -> str:
    return net.node("Conv", x, net.weight(cout, cin, 3, 3), pads=[1] * 4)


def ints(net: Net, *values: int) -> str:
    return net.const(values, np.int64)


# Normalisation


@pytest.mark.parametrize("opset", [11, 17, 22])
def test_instance_norm(opset):
    net = Net(opset=opset)
    x = net.node("InstanceNormalization", conv(net), net.weight(4), net.weight(4), epsilon=1e-3)
    assert same(net, x)[1] == "normalise"


@pytest.mark.parametrize("how", ["shape", "constants"])
def test_a_variance_of_one_degree_less(how):
    """``torch.var`` in both of PyTorch's exporters, as UGATIT and style transfer normalise."""
    net = Net(opset=18)
    x = conv(net)
    axes = ints(net, 2, 3)
    centred = net.node("Sub", x, net.node("ReduceMean", x, axes, keepdims=1))
    square = net.node("Mul", centred, centred)
    if how == "shape":
        variance = net.node("ReduceMean", square, axes, keepdims=1)
        sizes = net.node("Gather", net.node("Shape", x), ints(net, 2, 3))
        count = net.node("Cast", net.node("ReduceProd", sizes, keepdims=0), to=1)
        variance = net.node("Mul", variance, count)
        variance = net.node("Div", variance, net.node("Sub", count, net.const(1.0)))
        top = net.node("Sub", x, net.node("ReduceMean", x, axes, keepdims=1))
    else:
        variance = net.node("ReduceMean", square, axes, keepdims=0)
        variance = net.node("Mul", variance, net.const(30.0))
        variance = net.node("Div", variance, net.const(29.0))
        variance = net.node("Reshape", variance, ints(net, 0, 4, 1, 1))
        top = centred
    x = net.node("Div", top, net.node("Sqrt", net.node("Add", variance, net.const(0.01))))
    assert same(net, x) == ["conv", "normalise", "batchnorm"]


@pytest.mark.parametrize("expanded", [False, True])
def test_statistics_of_all_pixels_in_one_dimension(expanded):
    """AdaIN's ``calc_mean_std``: of (N, C, H W), reshaped to a pixel, and expanded."""
    net = Net(opset=18)
    x = conv(net)
    flat = net.node("Reshape", x, ints(net, 0, 4, -1))
    mean = net.node("ReduceMean", flat, ints(net, 2), keepdims=0)
    centred = net.node("Sub", flat, net.node("ReduceMean", flat, ints(net, 2), keepdims=1))
    variance = net.node("ReduceMean", net.node("Mul", centred, centred), ints(net, 2), keepdims=0)
    variance = net.node("Div", net.node("Mul", variance, net.const(30.0)), net.const(29.0))
    root = net.node("Sqrt", net.node("Add", variance, net.const(0.01)))
    mean, root = (net.node("Reshape", v, ints(net, 0, 4, 1, 1)) for v in (mean, root))
    if expanded:
        shape = net.node("Shape", x)
        mean, root = (net.node("Expand", v, shape) for v in (mean, root))
    x = net.node("Div", net.node("Sub", x, mean), root)
    assert same(net, x) == ["conv", "normalise", "batchnorm"]


def test_statistics_that_are_put_elsewhere():
    """Of the channels, put beside the columns: no normalisation, and the same values."""
    net = Net(opset=18)
    x = conv(net)
    centred = net.node("Sub", x, net.node("ReduceMean", x, ints(net, 2, 3), keepdims=1))
    variance = net.node("ReduceMean", net.node("Mul", centred, centred), ints(net, 2, 3),
                        keepdims=0)  # fmt: skip
    root = net.node("Sqrt", net.node("Add", variance, net.const(0.1)))
    root = net.node("Reshape", root, ints(net, 0, 1, 1, 4))
    x = net.node("Div", centred, root)
    assert "normalise" not in same(net, x, (4, 6, 4))


@pytest.mark.parametrize("axes", [[2], [1], [-1]])
@pytest.mark.parametrize("keep", [0, 1])
def test_averages_where_all_pixels_are_one_dimension(axes, keep):
    net = Net(opset=18)
    flat = net.node("Reshape", conv(net), ints(net, 0, 4, -1))
    x = net.node("ReduceMean", flat, ints(net, *axes), keepdims=keep)
    size = (0, 4, 1, 1) if axes != [1] else (0, 1, 6, 5)
    x = net.node("Reshape", x, ints(net, *size))
    same(net, conv(net, x, size[1]))


def test_instance_norm_of_the_input():
    net = Net()
    x = net.node("InstanceNormalization", "z", net.weight(4), net.weight(4))
    assert same(net, conv(net, x))[0] == "normalise"


@pytest.mark.parametrize(("opset", "count"), [(18, 2), (21, 4)])
def test_group_norm(opset, count):
    """A scale for each group, and since opset 21 for each channel."""
    net = Net(opset=opset)
    scale, bias = net.const([1.5, -0.5, 0.3, 2][:count]), net.const([0.1, 0.2, 0.3, 0.4][:count])
    x = net.node("GroupNormalization", conv(net), scale, bias, num_groups=2)
    graph = imported(net, x)
    assert graph.nodes[1].attrs["groups"] == 2
    same(net, x)


@pytest.mark.parametrize("computed", [False, True])
def test_group_norm_as_pytorch_exports_it(computed):
    """The groups are an InstanceNormalization's channels, of all pixels of several channels."""
    net = Net()
    x = before = conv(net)
    x = net.node("Reshape", x, ints(net, 0, 2, -1))
    x = net.node("InstanceNormalization", x, net.const([1, 1]), net.const([0, 0]))
    shape = net.node("Shape", before) if computed else ints(net, -1, *SHAPE)
    x = net.node("Reshape", x, shape)
    x = net.node("Mul", x, net.weight(4, 1, 1))
    x = net.node("Add", x, net.weight(4, 1, 1))
    graph = imported(net, x)
    assert graph.nodes[1].attrs["groups"] == 2
    same(net, x)


def test_layer_norm():
    net = Net()
    x = net.node("LayerNormalization", conv(net), net.const(np.ones(SHAPE)), axis=1)
    assert imported(net, x).nodes[1].attrs["groups"] == 1
    same(net, x)


def test_layer_norm_of_each_pixel():
    """Between transposes, as ConvNeXt has it."""
    net = Net()
    x = net.node("Transpose", conv(net), perm=[0, 2, 3, 1])
    x = net.node("LayerNormalization", x, net.weight(4), net.weight(4), epsilon=1e-6)
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    assert imported(net, x).nodes[1].attrs["groups"] == 0
    same(net, x)


def test_layer_norm_of_a_vector():
    net = Net()
    x = net.node("Gemm", net.node("Flatten", "z"), net.weight(8, 16))
    x = net.node("LayerNormalization", x, net.weight(16), net.weight(16))
    same(net, net.node("Reshape", x, ints(net, -1, 4, 2, 2)), (8, 1, 1))


def test_rms_norm():
    net = Net(opset=23)
    x = net.node("RMSNormalization", conv(net), net.const(np.ones(SHAPE)), axis=1)
    assert not imported(net, x).nodes[1].attrs["centred"]
    same(net, x)


@pytest.mark.parametrize("axis", [1, -3])
def test_lp_norm(axis):
    net = Net()
    same(net, net.node("LpNormalization", conv(net), axis=axis))


@pytest.mark.parametrize("axes", [[2, 3], [1, 2, 3]])
def test_mean_variance_norm(axes):
    net = Net()
    same(net, net.node("MeanVarianceNormalization", conv(net), axes=axes))


def test_norms_that_cannot_run():
    for op, attrs, said in (
        ("LpNormalization", {"axis": 0}, "over the images of the batch"),
        ("LpNormalization", {"axis": 2}, "neither all pixels of some channels nor all channels"),
        ("LpNormalization", {"axis": 1, "p": 1}, "only p = 2 is supported"),
        ("MeanVarianceNormalization", {}, "over the images of the batch"),
    ):
        net = Net()
        assert said in refused(net, net.node(op, conv(net), **attrs))
    net = Net()
    scale = net.const(np.arange(1, 121).reshape(SHAPE))
    text = refused(net, net.node("LayerNormalization", conv(net), scale, axis=1))
    assert "differs from pixel to pixel" in text
    net = Net()
    net.node("LayerNormalization", conv(net), net.const(np.ones(SHAPE)), axis=1, outputs=2)
    assert "only its first output can be used" in refused(net, "v1")
    net = Net()
    x = net.node("InstanceNormalization", conv(net), net.weight(3), net.weight(3))
    assert "does not fit" in refused(net, x, kind=ModelError)


def mean(net: Net, x: str, axes: list[int], op: str = "ReduceMean") -> str:
    if net.opset >= 18:
        return net.node(op, x, ints(net, *axes))
    return net.node(op, x, axes=axes)


ENDS: dict[str, Callable[[Net, str, str], str]] = {
    "div": lambda n, c, v: n.node("Div", c, n.node("Sqrt", v)),
    "half": lambda n, c, v: n.node("Div", c, n.node("Pow", v, n.const(0.5))),
    "minus-half": lambda n, c, v: n.node("Mul", n.node("Pow", v, n.const(-0.5)), c),
    "reciprocal": lambda n, c, v: n.node("Mul", c, n.node("Reciprocal", n.node("Sqrt", v))),
    "one-by": lambda n, c, v: n.node("Mul", c, n.node("Div", n.const(1), n.node("Sqrt", v))),
}
SQUARES: dict[str, Callable[[Net, str, list[int]], str]] = {
    "mul": lambda n, c, axes: mean(n, n.node("Mul", c, c), axes),
    "pow": lambda n, c, axes: mean(n, n.node("Pow", c, n.const(2)), axes),
    "sum": lambda n, c, axes: mean(n, n.node("Mul", c, c), axes, "ReduceSum"),
    "sum-square": lambda n, c, axes: mean(n, c, axes, "ReduceSumSquare"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("square", SQUARES)
def test_norms_written_out(end, square):
    """PixelNorm, InstanceNorm and LayerNorm, as one layer each."""
    every = itertools.product(([1], [2, 3], [1, 2, 3], [-1, -2]), (True, False), (1e-5, None))
    for number, (axes, centred, epsilon) in enumerate(every):
        net = Net(opset=17 if square != "sum" or number % 2 else 18)
        if square == "sum" and net.opset < 13:
            continue
        x = centre = conv(net)
        if square == "sum" and net.opset == 17:  # axes are an input of ReduceSum since opset 13
            net.opset = 18
        if centred:
            centre = net.node("Sub", x, mean(net, x, axes))
        spread = SQUARES[square](net, centre, axes)
        if epsilon:
            spread = net.node("Add", spread, net.const(epsilon))
        x = net.node("Relu", ENDS[end](net, centre, spread))
        found = same(net, x)
        assert found.count("normalise") == 1
        assert "multiply" not in found


def _instance(net: Net) -> tuple[str, str, str]:
    """Written out: its mean, what is left, and the result."""
    x = conv(net)
    middle = mean(net, x, [2, 3])
    centre = net.node("Sub", x, middle)
    spread = mean(net, net.node("Mul", centre, centre), [2, 3])
    root = net.node("Sqrt", net.node("Add", spread, net.const(1e-5)))
    return middle, centre, net.node("Div", centre, root)


@pytest.mark.parametrize("which", [0, 1])
def test_parts_of_a_norm_that_others_read_too(which):
    net = Net()
    made = _instance(net)
    assert "normalise" in same(net, net.node("Add", made[2], made[which]))


def test_what_looks_like_a_norm():
    """Each is computed as it says: by its own mean, root and product."""
    for centre_axes, spread_axes in (([2, 3], [1, 2, 3]), ([1], [2, 3])):
        net = Net()
        x = conv(net)
        centre = net.node("Sub", x, mean(net, x, centre_axes))
        spread = mean(net, net.node("Mul", centre, centre), spread_axes)
        root = net.node("Sqrt", net.node("Add", spread, net.const(1e-5)))
        same(net, net.node("Div", centre, root))
    net = Net()  # the mean is taken off above, and not below
    x = conv(net)
    root = net.node("Sqrt", mean(net, net.node("Mul", x, x), [2, 3]))
    same(net, net.node("Div", net.node("Sub", x, mean(net, x, [2, 3])), root))
    net = Net()  # epsilon is added to the root
    x = conv(net)
    root = net.node("Add", net.node("Sqrt", mean(net, net.node("Mul", x, x), [1])), net.const(0.1))
    same(net, net.node("Div", x, root))


# Functions


FUNCTIONS: list[tuple[str, dict[str, Any], int]] = [
    ("Elu", {"alpha": 0.5}, 17), ("Selu", {}, 17), ("Selu", {"alpha": 1.2, "gamma": 0.9}, 17),
    ("Celu", {"alpha": 2.0}, 17), ("Gelu", {}, 20), ("Gelu", {"approximate": "tanh"}, 20),
    ("Mish", {}, 18), ("HardSwish", {}, 17), ("Softplus", {}, 17), ("Softsign", {}, 17),
    ("ThresholdedRelu", {"alpha": 0.3}, 17), ("Shrink", {"bias": 0.1, "lambd": 0.4}, 17),
    ("Erf", {}, 17), ("Cos", {}, 17), ("Sin", {}, 17), ("Exp", {}, 17), ("Sign", {}, 17),
    ("Swish", {"alpha": 1.5}, 24),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attrs", "opset"), FUNCTIONS)
def test_functions(op, attrs, opset):
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip(f"opset {opset} is newer than this version of onnx")
    net = Net(opset=opset)
    try:
        assert same(net, net.node(op, conv(net), **attrs)) == ["conv", "function"]
    except Exception as error:  # onnxruntime is behind onnx
        if "NOT_IMPLEMENTED" in str(error) or "not a registered function" in str(error):
            pytest.skip(f"this onnxruntime has no {op}")
        raise


@pytest.mark.parametrize("op", ["Log", "Sqrt", "Reciprocal"])
def test_functions_of_what_is_positive(op):
    net = Net()
    same(net, net.node(op, net.node("Add", net.node("Abs", conv(net)), net.const(0.5))))


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -1.0, 1.0, 0.0])
def test_powers(exponent):
    net = Net()
    x = net.node("Add", net.node("Abs", conv(net)), net.const(0.5))
    same(net, net.node("Pow", x, net.const(exponent)))


def test_a_part_of_a_function_that_others_read_too():
    net = Net()
    x = conv(net)
    part = net.node("Sigmoid", x)
    assert same(net, net.node("Add", net.node("Mul", x, part), part)).count("function") == 1


def test_a_table_of_what_is_before_and_after_is_two_layers():
    """Scales and shifts are no reason for a function: the layers' own tables know their range."""
    net = Net()
    x = net.node("Mul", net.node("Tanh", conv(net)), net.const(0.5))
    x = net.node("Sigmoid", net.node("Add", x, net.const(0.5)))
    found = same(net, x)
    assert "function" not in found
    assert (found.count("tanh"), found.count("sigmoid")) == (1, 1)


# Products


GATES: dict[str, Callable[[Net, str], str]] = {
    "channels": lambda n, x: n.node("GlobalAveragePool", conv(n)),
    "pixels": lambda n, x: conv(n, cout=1),
    "one": lambda n, x: n.node("GlobalAveragePool", conv(n, cout=1)),
    "each": lambda n, x: conv(n),
    "itself": lambda n, x: x,
    "linear": lambda n, x: n.node(
        "Reshape",
        n.node("Gemm", n.node("Flatten", n.node("GlobalAveragePool", x)), n.weight(4, 4)),
        ints(n, -1, 4, 1, 1),
    ),
    "unsqueezed": lambda n, x: n.node(
        "Unsqueeze", n.node("ReduceMean", x, axes=[2, 3], keepdims=0), ints(n, 2, 3)
    ),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("gate", GATES)
def test_products(gate, turned):
    net = Net()
    x = conv(net)
    y = GATES[gate](net, x)
    assert "multiply" in same(net, net.node("Mul", *((y, x) if turned else (x, y))))


def test_halves_that_are_gated():
    net = Net()
    half = net.node("Split", conv(net, cout=8), axis=1, outputs=2)
    assert "multiply" in same(net, net.node("Mul", half, net.node("Sigmoid", half + "_1")))


def test_quotients():
    net = Net()
    below = net.node("Add", net.node("Sigmoid", conv(net)), net.const(0.5))
    assert same(net, net.node("Div", conv(net), below))[-1] == "multiply"
    net = Net()
    below = net.node("Add", net.node("Sigmoid", conv(net)), net.const(0.5))
    same(net, net.node("Div", net.const([[[1]], [[2]], [[-3]], [[4]]]), below))


@pytest.mark.parametrize("shape", [(1, 1, 6, 5), (1, 4, 6, 5), (6, 1)])
@pytest.mark.parametrize("op", ["Mul", "Div"])
def test_factors_that_differ_from_pixel_to_pixel(op, shape):
    """A vignette: by the processor, with an image that the accelerator always gives."""
    net = Net()
    factors = net.const(np.linspace(0.5, 2, int(np.prod(shape))).reshape(shape))
    made = same(net, net.node(op, conv(net), factors))
    assert made[-1] == "multiply"
    net = Net()
    above = net.const(np.linspace(0.5, 2, int(np.prod(shape))).reshape(shape))
    same(net, net.node("Div", above, net.node("Exp", conv(net))))


# The larger of two, and of channels


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_the_larger_of_two_activations(op):
    net = Net()
    made = same(net, net.node(op, conv(net), conv(net)))
    assert not set(made) & {"multiply", "maxpool"}  # the accelerator's
    net = Net()
    one = net.node("GlobalAveragePool", conv(net))
    three = [conv(net), net.const(0.1), conv(net), conv(net, cout=4)]
    same(net, net.node(op, *three))
    net = Net()
    same(net, net.node(op, conv(net), one := net.node("GlobalAveragePool", conv(net))))
    assert one


@examples(40)
@given(st.data())
def test_the_largest_over_any_dimensions(data):
    """CBAM takes that of the channels, for each pixel."""
    net = Net(opset=data.draw(st.sampled_from((13, 18))))
    op = data.draw(st.sampled_from(("ReduceMax", "ReduceMin")))
    axes = data.draw(st.sets(st.integers(1, 3), min_size=1).map(sorted))
    x = conv(net)
    if data.draw(st.booleans()):  # channels last
        x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    attrs: dict[str, Any] = {"keepdims": 1}
    if net.opset < 18:
        x = net.node(op, x, axes=axes, **attrs)
    else:
        x = net.node(op, x, ints(net, *axes), **attrs)
    assert "maxpool" in same(net, net.node("Mul", x, net.const(2.0)))


def test_the_largest_without_its_dimension():
    net = Net(opset=18)
    x = net.node("ReduceMax", conv(net), ints(net, 1), keepdims=0)
    same(net, conv(net, net.node("Unsqueeze", x, ints(net, 1)), 1))
    net = Net(opset=18)
    x = net.node("Reshape", conv(net), ints(net, 0, 2, 2, 6, 5))
    x = net.node("ReduceMax", x, ints(net, 2), keepdims=0)  # maxout
    same(net, x)
    net = Net(opset=18)
    x = net.node("ReduceMax", conv(net), ints(net, 0), keepdims=1)
    assert "over the images of the batch" in refused(net, x)


def test_products_that_cannot_run():
    net = Net()
    x = net.node("Mul", conv(net), net.node("MaxPool", conv(net), kernel_shape=[2, 2]))
    assert "both must have one shape" in refused(net, x)


# Padding


PADS = [[1, 2, 2, 1], [-1, 2, 2, -1], [-1, -1, -1, -1], [4, 4, 4, 4], [0, 4, 0, 0], [0, 0, -3, 2]]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_padding(mode, pads, first):
    """Where edges are negative, it is cut."""
    top, left, bottom, right = pads
    net = Net()
    x = "z" if first else conv(net)
    x = net.node("Pad", x, ints(net, 0, 0, top, left, 0, 0, bottom, right), mode=mode)
    assert ("pad" in same(net, conv(net, x))) == (max(pads) > 0)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_padding_of_named_axes_and_of_the_last_dimensions(mode):
    net = Net(opset=18)
    same(net, net.node("Pad", conv(net), ints(net, 1, 2, 2, 1), "", ints(net, 3, 2), mode=mode))
    net = Net()
    x = net.node("Transpose", conv(net), perm=[0, 2, 3, 1])
    x = net.node("Pad", x, ints(net, 0, 1, 2, 0, 0, 2, 1, 0), mode=mode)
    same(net, net.node("Transpose", x, perm=[0, 3, 1, 2]))


def test_edges_of_a_pixel():
    net = Net()
    x = net.node("GlobalAveragePool", conv(net))
    same(net, net.node("Pad", x, ints(net, 0, 0, 1, 2, 0, 0, 2, 1), mode="edge"))


def test_paddings_that_cannot_run():
    for mode, pads, said, kind in (
        ("other", [0, 0, 1, 1, 0, 0, 1, 1], "pads with other; use", UnsupportedLayerError),
        ("reflect", [0, 0, 6, 0, 0, 0, 0, 0], "cannot be mirrored", ModelError),
        ("reflect", [0, 1, 0, 0, 0, 0, 0, 0], "pads", UnsupportedLayerError),
    ):
        net = Net(opset=19)
        assert said in refused(net, net.node("Pad", conv(net), ints(net, *pads), mode=mode),
                               kind=kind)  # fmt: skip


AFTER: dict[str, Callable[[Net, str], str]] = {
    "reflect": lambda n, x: n.node("Pad", x, ints(n, 0, 0, 1, 2, 0, 0, 2, 1), mode="reflect"),
    "norm": lambda n, x: n.node("InstanceNormalization", x, n.weight(4), n.weight(4)),
    "pool": lambda n, x: n.node("MaxPool", x, kernel_shape=[2, 2]),
    "square": lambda n, x: n.node("Mul", x, x),
    "resize": lambda n, x: n.node("Resize", x, "", n.const([1, 1, 2, 2]), mode="linear"),
    "cos": lambda n, x: n.node("Cos", x),
}


@pytest.mark.parametrize("after", AFTER)
def test_zeros_around_what_comes_before(after):
    """They are values as any other: they count in a mean, a maximum and a mirror image."""
    net = Net()
    x = net.node("Pad", conv(net), ints(net, 0, 0, 1, 1, 0, 0, 1, 1))
    same(net, AFTER[after](net, x))


# Resizing


COORDINATES = (
    "half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric",
)  # fmt: skip
KERNELS: list[dict[str, Any]] = [
    {"mode": "linear"}, {"mode": "cubic"}, {"mode": "cubic", "exclude_outside": 1},
    {"mode": "cubic", "cubic_coeff_a": -0.5},
]  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: "-".join(map(str, k.values())))
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_interpolation_by_scales(coordinates, kernel):
    for scales in ((2, 2), (0.5, 0.5), (1.5, 0.6), (3, 1), (1.3, 1.7), (0.17, 0.2), (1, 2.2)):
        net = Net(opset=19)
        scale = net.const([1, 1, *scales])
        x = net.node("Resize", conv(net), "", scale, coordinate_transformation_mode=coordinates,
                     **kernel)  # fmt: skip
        whole = [n * s for n, s in zip(SHAPE[1:], scales)]
        if coordinates == "align_corners" and any(abs(n - round(n)) > 1e-3 for n in whole):
            assert "no whole number of them; give sizes" in refused(net, x)
        else:
            assert same(net, x) == ["conv", "resample"]


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_interpolation_by_sizes(coordinates, mode):
    for sizes in ((12, 10), (3, 3), (9, 4), (1, 1), (6, 7), (7, 5), (13, 1)):
        net = Net(opset=19)
        size = ints(net, 2, 4, *sizes)
        x = net.node("Resize", conv(net), "", "", size, coordinate_transformation_mode=coordinates,
                     mode=mode)  # fmt: skip
        same(net, x, batch=2)


@pytest.mark.parametrize("op", ["Upsample", "Resize"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_interpolation_before_it_was_told_how(op, mode):
    """Older models count from the first sample of both sides; onnx's converter does not say so."""
    net = Net(opset=9 if op == "Upsample" else 10)
    same(net, net.node(op, conv(net), net.const([1, 1, 2, 2]), mode=mode))
    if op == "Resize":
        net = Net(opset=10)
        x = net.node("Resize", conv(net), net.const([1, 1, 1 / 3, 1 / 5]), mode=mode)
        same(net, x)


def test_interpolation_of_some_axes():
    net = Net(opset=19)
    x = net.node("Resize", conv(net), "", net.const([2, 1.5]), mode="linear", axes=[3, 2])
    same(net, x)
    net = Net()
    x = net.node("Transpose", conv(net), perm=[0, 2, 3, 1])
    x = net.node("Resize", x, "", net.const([1, 2, 1.5, 1]), mode="linear")
    graph = imported(net, x)
    assert graph.output_shape == (4, 12, 7)


def test_interpolation_of_a_line_and_of_a_pixel():
    for pooled in ("GlobalAveragePool", "ReduceMean"):
        net = Net()
        x = net.node(pooled, conv(net), **({"axes": [2]} if pooled == "ReduceMean" else {}))
        same(net, net.node("Resize", x, "", net.const([1, 1, 4, 3]), mode="linear"))


def test_interpolations_that_cannot_run():
    for scales, attrs, said in (
        ((1, 1, 0.5, 0.5), {"antialias": 1}, "interpolates with antialias"),
        ((1, 2, 2, 2), {}, "only rows and columns can be resized"),
        ((1, 1, 2, 2), {"mode": "cubic", "cubic_coeff_a": 0.5}, "use one from -1 to 0"),
        ((1, 1, 2, 2), {"coordinate_transformation_mode": "tf_crop_and_resize"},
         "interpolates (linear) with tf_crop_and_resize; use half_pixel"),
    ):  # fmt: skip
        net = Net(opset=19)
        attrs = {"mode": "linear", **attrs}
        roi = net.const([0, 0, 0, 0, 1, 1, 1, 1])
        x = net.node("Resize", conv(net), roi, net.const(scales), **attrs)
        assert said in refused(net, x)


# Maxima


@examples(60)
@given(st.data())
def test_max_pool(data):
    kernel = [data.draw(st.integers(1, 4)) for _ in "HW"]
    strides = [data.draw(st.integers(1, min(k, 3))) for k in kernel]
    attrs: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    mode = data.draw(st.sampled_from(("", "SAME_UPPER", "SAME_LOWER", "VALID")))
    if mode:
        attrs["auto_pad"] = mode
    else:
        attrs["pads"] = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
    attrs["ceil_mode"] = data.draw(st.integers(0, 1))
    net = Net(opset=data.draw(st.sampled_from((11, 12, 17, 22))))
    assert same(net, net.node("MaxPool", conv(net), **attrs), (4, 7, 6))[-1] == "maxpool"


@examples(60)
@given(st.data())
def test_average_pool(data):
    """What windows have of the image is averaged; with count_include_pad, zeros around it too."""
    kernel = [data.draw(st.integers(1, 4)) for _ in "HW"]
    strides = [data.draw(st.integers(1, min(k, 3))) for k in kernel]
    attrs: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    mode = data.draw(st.sampled_from(("", "SAME_UPPER", "SAME_LOWER", "VALID")))
    if mode:
        attrs["auto_pad"] = mode
    else:
        attrs["pads"] = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
        attrs["count_include_pad"] = data.draw(st.integers(0, 1))
    net = Net(opset=data.draw(st.sampled_from((11, 12, 17, 22))))
    made = same(net, net.node("AveragePool", conv(net), **attrs), (4, 7, 6))
    assert made[-1] == "avgpool" or attrs.get("count_include_pad") or made[-1] == "conv"


@pytest.mark.parametrize("kernel", [[2, 2], [3, 3]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 0, 0]])
def test_average_pool_of_windows_beyond_the_image(kernel, pads):
    net = Net(opset=19)
    x = net.node("AveragePool", conv(net), kernel_shape=kernel, strides=[2, 2], pads=pads,
                 ceil_mode=1)  # fmt: skip
    same(net, x, (4, 7, 6))
    net = Net(opset=19)
    x = net.node("AveragePool", conv(net), kernel_shape=[3, 3], strides=[2, 2],
                 pads=[1, 1, 0, 0], ceil_mode=1, count_include_pad=1)  # fmt: skip
    assert "counts padding, but not what ceil_mode adds" in refused(net, x)


def test_the_largest_of_all():
    net = Net()
    same(net, net.node("GlobalMaxPool", conv(net)))


def test_maxima_that_cannot_run():
    net = Net()
    x = net.node("MaxPool", conv(net), kernel_shape=[2, 2], dilations=[2, 2])
    assert "dilations are not supported; use a stride" in refused(net, x)
    net = Net()
    net.node("MaxPool", conv(net), kernel_shape=[2, 2], outputs=2)
    assert "the places of its maxima are used" in refused(net, "v1")
