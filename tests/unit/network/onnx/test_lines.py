"""Rows and columns in another order, joined, wrapped around, or with zeros between: onnxruntime."""

from __future__ import annotations

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
from winogen.network.onnx import import_onnx  # noqa: E402

SHAPE = (4, 6, 5)


def same(net: Net, out: str, shape: tuple[int, ...] = SHAPE) -> list[str]:
    """The imported graph gives what onnxruntime gives; the operations of its layers."""
    model = net.model(out, ["n", *shape], out_rank=len(shape) + 1)
    graph = import_onnx(model.SerializeToString(), name="net")
    x = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    wanted = run(model, x)
    got = reference.run(graph, x)
    if wanted.ndim == 3:
        got = got.reshape(wanted.shape)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 2e-4
    fold(graph)
    return [node.op for node in graph.nodes]


def refused(net: Net, out: str) -> str:
    with pytest.raises(UnsupportedLayerError) as error:
        import_onnx(net.model(out, ["n", *SHAPE]).SerializeToString(), name="net")
    return str(error.value)


def conv(net: Net, x: str = "z", cin: int = 4, cout: int = 4) -> str:
    return net.node("Conv", x, net.weight(cout, cin, 3, 3), pads=[1] * 4)


def ints(net: Net, *values: int) -> str:
    return net.const(values, np.int64)


# Backwards, and several times


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize(("start", "end", "step"), [(-1, -(1 << 62), -1), (4, 0, -2), (3, 0, -1)])
def test_rows_and_columns_backwards(axis, start, end, step):
    net = Net()
    x = net.node("Slice", conv(net), ints(net, start), ints(net, end), ints(net, axis),
                 ints(net, step))  # fmt: skip
    assert same(net, conv(net, x))[1] == "resample"


def test_both_backwards_channels_last():
    net = Net()
    x = net.node("Transpose", conv(net), perm=[0, 2, 3, 1])
    x = net.node("Slice", x, ints(net, -1, -1), ints(net, -100, -100), ints(net, 1, 2),
                 ints(net, -1, -1))  # fmt: skip
    same(net, conv(net, net.node("Transpose", x, perm=[0, 3, 1, 2])))


@pytest.mark.parametrize("indices", [[0, 0, 1, 1, 2, 2], [1, 1, 1, 3, 3, 3], [4, 4, 2, 2], [3, 3]])
@pytest.mark.parametrize("axis", [2, 3])
def test_rows_and_columns_several_times(indices, axis):
    net = Net()
    x = net.node("Gather", conv(net), ints(net, *indices), axis=axis)
    same(net, conv(net, x))


@pytest.mark.parametrize("axis", [2, 3])
def test_an_order_of_their_own(axis):
    """In pieces: tf2onnx mirrors two rows of an image with zeros around it, and drops those."""
    net = Net()
    x = net.node("Gather", conv(net), ints(net, 0, 1, 3, 4, 2), axis=axis)
    same(net, conv(net, x))
    net = Net()
    x = conv(net)
    for _ in range(3):
        x = net.node("Resize", x, "", net.const([1, 1, 2, 2]), mode="nearest")
    x = net.node("Gather", x, ints(net, *np.random.default_rng(0).permutation(24)), axis=2)
    assert "in up to 8 pieces" in refused(net, conv(net, x))


def test_an_indexing_by_lists():
    """Nearest upsampling (exact) by PyTorch's newer exporter."""
    rows, columns = np.repeat(np.arange(6), 2), np.repeat(np.arange(5), 2)
    for grid in ((rows, columns), (rows[::-1], np.arange(5))):
        net = Net()
        x = net.node("Transpose", conv(net), perm=[2, 3, 0, 1])
        indices = np.stack(np.meshgrid(*grid, indexing="ij"), -1)
        x = net.node("GatherND", x, net.const(indices, np.int64))
        same(net, conv(net, net.node("Transpose", x, perm=[2, 3, 0, 1])))
    net = Net()
    x = net.node("GatherND", net.node("Transpose", conv(net), perm=[2, 3, 0, 1]),
                 net.const([[0, 1], [1, 1]], np.int64))  # fmt: skip
    assert "takes single values from many places" in refused(net, x)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_samples_that_a_list_chooses(axis):
    """Keras's cropping: its list is computed from the shape."""
    net = Net()
    shape = net.node("Shape", x := conv(net))
    count = net.node("Gather", shape, ints(net, axis))
    zeros = onnx.numpy_helper.from_array(np.array([False]))
    mask = net.node("ConstantOfShape", count, value=zeros)
    mask = net.node("ScatterElements", mask, ints(net, 1, 2), net.const([True, True], bool))
    x = net.node("Compress", x, mask, axis=axis)
    same(net, conv(net, x, 2 if axis == 1 else 4))
    net = Net()
    x = net.node("Compress", conv(net), net.const([True], bool))
    with pytest.raises(ModelError, match="does not fit"):
        import_onnx(net.model(x, ["n", *SHAPE]).SerializeToString(), name="net")


# Joined


@examples(30)
@given(st.data())
def test_images_joined_along_rows_or_columns(data):
    net = Net()
    axis = data.draw(st.sampled_from((2, 3)))
    last = data.draw(st.booleans())
    parts = []
    for _ in range(data.draw(st.integers(2, 3))):
        x = conv(net)
        size = SHAPE[axis - 1]
        first = data.draw(st.integers(0, size - 1))
        stop = data.draw(st.integers(first + 1, size))
        x = net.node("Slice", x, ints(net, first), ints(net, stop), ints(net, axis))
        parts.append(net.node("Transpose", x, perm=[0, 2, 3, 1]) if last else x)
    x = net.node("Concat", *parts, axis=axis - last)
    x = net.node("Transpose", x, perm=[0, 3, 1, 2]) if last else x
    same(net, conv(net, x))


def test_signals_joined_in_time():
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 4, 3), pads=[1, 1])
    y = net.node("Conv", "z", net.weight(4, 4, 2))
    same(net, net.node("Concat", x, y, axis=2), (4, 9))


def test_circular_padding_as_pytorch_slices_it():
    net = Net()
    x = conv(net)
    for axis, size in ((2, 6), (3, 5)):
        end = net.node("Slice", x, ints(net, size - 1), ints(net, size), ints(net, axis))
        start = net.node("Slice", x, ints(net, 0), ints(net, 2), ints(net, axis))
        x = net.node("Concat", end, x, start, axis=axis)
    same(net, conv(net, x))


# Around


@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 2, 1], [0, 0, 6, 0, 0, 0, 0, 5]])
def test_circular_padding(pads):
    net = Net(opset=19)
    x = net.node("Pad", conv(net), ints(net, *pads), mode="wrap")
    assert "pad" in same(net, conv(net, x))


@pytest.mark.parametrize("level", [0.0, 0.75])
@pytest.mark.parametrize("more", [(2, 0), (0, 3), (1, 2)])
def test_channels_of_a_constant(level, more):
    net = Net()
    pads = ints(net, 0, more[0], 1, 0, 0, more[1], 0, 2)
    x = net.node("Pad", conv(net), pads, net.const(level))
    same(net, conv(net, x, 4 + sum(more)))
    net = Net()
    x = net.node("Pad", conv(net), ints(net, 0, 1, 0, 0, 0, 0, 0, 0), mode="edge")
    assert "pads the batch, or the channels with some of themselves" in refused(net, x)


@pytest.mark.parametrize("pads", [((0, 1), (0, 1)), ((1, 2), (0, 0))])
def test_zeros_between_pixels(pads):
    """As StyleGAN2's upfirdn2d inserts them."""
    net = Net()
    x = net.node("Reshape", conv(net), ints(net, 0, 4, 6, 1, 5, 1))
    (top, bottom), (left, right) = pads
    x = net.node("Pad", x, ints(net, 0, 0, 0, top, 0, left, 0, 0, 0, bottom, 0, right))
    rows, columns = 6 * (1 + top + bottom), 5 * (1 + left + right)
    x = net.node("Reshape", x, ints(net, 0, 4, rows, columns))
    assert "deconv" in same(net, conv(net, x))


# Functions that choose


def test_shrinking_by_comparisons():
    """How PyTorch's newer exporter writes Hardshrink."""
    net = Net(opset=18)
    x = conv(net)
    small = net.node("LessOrEqual", net.node("Abs", x), net.const(0.5))
    x = net.node("Where", small, net.const(0.0), x)
    assert "function" in same(net, conv(net, x))


def test_two_outputs_say_how_to_leave_one():
    net = Net()
    model = net.model(net.node("Tanh", conv(net)), ["n", *SHAPE])
    other: Any = onnx.helper.make_tensor_value_info("v0", onnx.TensorProto.FLOAT, None)
    model.graph.output.append(other)
    with pytest.raises(UnsupportedLayerError) as error:
        import_onnx(model.SerializeToString(), name="net")
    assert "2 outputs ('v1', 'v0')" in str(error.value)
    assert "extract_model (output_names=['v1'], for one)" in str(error.value)
    assert "inputs" not in str(error.value)
