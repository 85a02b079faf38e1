"""Padding, maxima and resampling in float, against ONNX's own reference implementation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from winogen.common.errors import ModelError
from winogen.network import reference
from winogen.network.graph import Graph, InputSpec, Node
from winogen.network.sampling import Axis, weights


def run(op: str, x: np.ndarray, **attrs: Any) -> np.ndarray:
    node = Node("a", op, ("input",), attrs)
    graph = Graph("g", InputSpec(x.shape[1:], "image"), [node])
    out = reference.run(graph, x)
    assert out.shape[1:] == graph.output_shape
    return out


def evaluated(op: str, *inputs: Any, **attrs: Any) -> np.ndarray:
    """By ONNX's reference evaluator, in Python."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    names = ["" if i is None else f"i{n}" for n, i in enumerate(inputs)]
    node = onnx.helper.make_node(op, names, ["y"], **attrs)
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        [node], "g",
        [
            onnx.helper.make_tensor_value_info(
                n, integers if i.dtype == np.int64 else floats, list(i.shape)
            )
            for n, i in zip(names, inputs) if i is not None
        ],
        [onnx.helper.make_tensor_value_info("y", floats, None)],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    feeds = {n: i for n, i in zip(names, inputs) if i is not None}
    return ReferenceEvaluator(model).run(None, feeds)[0]


X = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_padding(mode):
    pads = np.array([0, 0, 1, 3, 0, 0, 4, 0])
    wanted = evaluated("Pad", X, pads, mode=mode)
    np.testing.assert_array_equal(run("pad", X, mode=mode, edges=(1, 4, 3, 0)), wanted)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 1, 2)])
def test_maxima(pads):
    wanted = evaluated("MaxPool", X - 9, kernel_shape=[2, 3], strides=[2, 1],
                       pads=[pads[0], pads[2], pads[1], pads[3]])  # fmt: skip
    got = run("maxpool", X - 9, kernel=(2, 3), stride=(2, 1), pad=pads)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 1, 2)])
def test_averages(pads):
    wanted = evaluated("AveragePool", X - 9, kernel_shape=[2, 3], strides=[2, 1],
                       pads=[pads[0], pads[2], pads[1], pads[3]])  # fmt: skip
    got = run("avgpool", X - 9, kernel=(2, 3), stride=(2, 1), pad=pads)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("cubic", [None, Fraction(-3, 4), Fraction(-1, 2)])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("sizes", [(10, 14), (3, 9), (5, 1), (8, 4)])
def test_resampling(cubic, inside, sizes):
    axes = []
    for n, out in zip((5, 7), sizes):
        scale = Fraction(out, n)
        axes.append(Axis(n, out, 1 / (2 * scale) - Fraction(1, 2), 1 / scale, cubic, inside))
    attrs: dict[str, Any] = {"mode": "linear" if cubic is None else "cubic"}
    if cubic is not None:
        attrs |= {"cubic_coeff_a": float(cubic), "exclude_outside": int(inside)}
    size = np.array([2, 3, *sizes])
    wanted = evaluated("Resize", X, None, None, size, **attrs)
    got = run("resample", X, axes=tuple(axes))
    if cubic is None and inside:
        wanted = evaluated("Resize", X, None, None, size, mode="linear", exclude_outside=1)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_weights_add_up_to_one():
    for inputs, outputs in ((1, 5), (7, 3), (4, 31), (65536, 5)):
        for cubic in (None, Fraction(-1)):
            for inside in (False, True):
                step = Fraction(inputs, outputs)
                axis = Axis(inputs, outputs, step / 2 - Fraction(1, 2), step, cubic, inside)
                index, weight = weights(axis)
                assert index.shape == weight.shape
                assert index.min() >= 0
                assert index.max() < inputs
                np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-12)
                assert not weight.flags.writeable


@pytest.mark.parametrize(
    ("op", "attrs", "said"),
    [
        ("pad", {"mode": "other", "edges": (1, 1, 1, 1)}, "unknown mode of padding"),
        ("pad", {"mode": "edge", "edges": (1, -1, 1, 1)}, "cannot be negative"),
        ("pad", {"mode": "reflect", "edges": (5, 0, 0, 0)}, "cannot be mirrored"),
        ("maxpool", {"kernel": (6, 1), "stride": (1, 1), "pad": (0, 0, 0, 0)}, "would have size"),
        ("avgpool", {"kernel": (2, 2), "stride": (1, 1), "pad": (0, 2, 0, 0)}, "not possible"),
        ("maxpool", {"kernel": (2, 2), "stride": (0, 1), "pad": (0, 0, 0, 0)}, "not possible"),
        ("maxpool", {"kernel": (2, 2), "stride": (1, 1), "pad": (0, 2, 0, 0)}, "not possible"),
        ("resample", {"axes": (Axis(4, 8, Fraction(0), Fraction(1, 2)),) * 2}, "another size"),
        ("normalise", {"groups": 2, "centred": True, "eps": 1e-5}, "are not 2 groups"),
        ("normalise", {"groups": 1, "centred": True, "eps": -1.0}, "epsilon of -1.0"),
    ],
)
def test_layers_that_are_not_possible(op, attrs, said):
    with pytest.raises(ModelError, match=said):
        run(op, X, **attrs)


def test_products_that_are_not_possible():
    spec = InputSpec((3, 4, 4), "image")
    pool = Node("p", "maxpool", ("input",), {"kernel": (2, 2), "stride": (2, 2), "pad": (0,) * 4})
    with pytest.raises(ModelError, match="cannot multiply shapes"):
        Graph("g", spec, [pool, Node("m", "multiply", ("input", "p"))])
    with pytest.raises(ModelError, match="takes two inputs"):
        Graph("g", spec, [pool, Node("m", "multiply", ("p",))])
