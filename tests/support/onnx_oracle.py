"""The second opinion on float results: any graph as an ONNX model, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from winogen.network.graph import Graph, Node

OPSET = 17


def run_onnx(graph: Graph, x: NDArray) -> NDArray[np.float32]:
    """Output (N, C, H, W) of the graph by onnxruntime; skips the test where it is not installed."""
    reason = "comparison with onnxruntime needs the packages onnx and onnxruntime"
    pytest.importorskip("onnx", reason=reason)
    ort = pytest.importorskip("onnxruntime", reason=reason)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = to_onnx(graph).SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    first = np.asarray(x, np.float32).reshape(-1, *graph.input.shape)
    return session.run(None, {Graph.INPUT_NAME: first})[0]


def to_onnx(graph: Graph) -> Any:
    """The ONNX model of a graph; the batch size is free."""
    from onnx import TensorProto, checker, helper

    builder = _Builder()
    names = {Graph.INPUT_NAME: Graph.INPUT_NAME}
    if graph.input.scale is not None:  # the model rounds its input to 8 bits
        scaled = builder.add("Div", Graph.INPUT_NAME, builder.constant(graph.input.scale))
        codes = builder.round_half_up(scaled)
        codes = builder.add("Clip", codes, builder.constant(-128), builder.constant(127))
        scale = builder.constant(graph.input.scale)
        names[Graph.INPUT_NAME] = builder.add("Mul", codes, scale)
    for node in graph.nodes:
        names[node.name] = _node(builder, node, [names[i] for i in node.inputs])
    last = builder.add("Identity", names[graph.output_name])
    shape, out_shape = ["n", *graph.input.shape], ["n", *graph.output_shape]
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            "graph",
            [helper.make_tensor_value_info(Graph.INPUT_NAME, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, out_shape)],
            builder.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    checker.check_model(model)
    return model


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def round_half_up(self, value: str) -> str:
        return self.add("Floor", self.add("Add", value, self.constant(0.5)))


def _node(b: _Builder, node: Node, inputs: list[str]) -> str:
    op, attrs = node.op, node.attrs
    (x, *_) = inputs
    params = {k: b.constant(v) for k, v in node.params.items()}
    bias = [params["bias"]] if "bias" in params else []
    if op == "conv":
        top, bottom, left, right = attrs["pad"]
        return b.add("Conv", x, params["weight"], *bias, strides=attrs["stride"],
                     kernel_shape=attrs["kernel"], pads=[top, left, bottom, right])  # fmt: skip
    if op == "deconv":
        return _deconv(b, node, x, params["weight"])
    if op == "linear":
        y = b.add("Gemm", b.add("Flatten", x), params["weight"], *bias, transB=1)
        return b.add("Reshape", y, b.constant([-1, *attrs["shape"]], np.int64))
    if op == "upsample":
        scales = b.constant([1, 1, attrs["factor"], attrs["factor"]])
        return b.add("Resize", x, "", scales, mode="nearest", nearest_mode="floor",
                     coordinate_transformation_mode="asymmetric")  # fmt: skip
    if op == "batchnorm":
        keys = ("gamma", "beta", "mean", "var")
        return b.add("BatchNormalization", x, *(params[k] for k in keys), epsilon=attrs["eps"])
    if op == "prelu":
        return b.add("PRelu", x, b.constant(node.params["alpha"].reshape(-1, 1, 1)))
    if op == "multiply":
        return b.add("Mul", *inputs)
    if op == "leaky_relu":
        return b.add("LeakyRelu", x, alpha=attrs["slope"])
    if op == "clamp":
        return b.add("Clip", x, b.constant(attrs["low"]), b.constant(attrs["high"]))
    if op == "quant_relu":
        step = b.constant(attrs["step"])
        y = b.add("Mul", b.round_half_up(b.add("Div", x, step)), step)
        return b.add("Clip", y, b.constant(0), b.constant(attrs["high"]))
    if op == "concat":
        return b.add("Concat", *inputs, axis=1)
    return b.add({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "add": "Sum"}[op], *inputs)


def _deconv(b: _Builder, node: Node, x: str, weight: str) -> str:
    """ConvTranspose takes no negative pads: zeros outside the full output come from Pad.

    The bias comes last, as a node of its own: it is added to those zeros too.
    """
    top, bottom, left, right = node.attrs["crop"]
    shape = {"strides": node.attrs["stride"], "kernel_shape": node.attrs["kernel"]}
    if min(top, bottom, left, right) >= 0:
        y = b.add("ConvTranspose", x, weight, pads=[top, left, bottom, right], **shape)
    else:
        y = b.add("ConvTranspose", x, weight, **shape)
        pads = b.constant([0, 0, -top, -left, 0, 0, -bottom, -right], np.int64)
        y = b.add("Pad", y, pads)
    if "bias" in node.params:
        y = b.add("Add", y, b.constant(node.params["bias"].reshape(-1, 1, 1)))
    return y
