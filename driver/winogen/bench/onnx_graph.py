"""A network as an ONNX model, for a peer to run: as it is, or with deconvolutions taken apart.

It needs the package onnx, which ``pip install 'winogen[onnx]'`` brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import UnsupportedLayerError
from winogen.network.graph import Graph, Node

_OPSET = 17
_PLAIN = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "add": "Sum",
    "subtract": "Sub",
    "multiply": "Mul",
}


def to_onnx(graph: Graph, *, apart: bool = False) -> Any:
    """The ONNX model of a graph (``onnx.ModelProto``); the batch size is free.

    With ``apart``, each transposed convolution is the convolution that makes all of its output
    phases as channels, and a shuffle of these: peers that have an int8 convolution often have no
    int8 transposed one. Raises UnsupportedLayerError for a layer that is not written.
    """
    from onnx import TensorProto, helper

    builder = _Builder(apart)
    names = {Graph.INPUT_NAME: Graph.INPUT_NAME}
    if graph.input.scale is not None:  # the network rounds its input to 8 bits
        scale = builder.constant(graph.input.scale)
        codes = builder.round_half_up(builder.add("Div", Graph.INPUT_NAME, scale))
        codes = builder.add("Clip", codes, builder.constant(-128), builder.constant(127))
        names[Graph.INPUT_NAME] = builder.add("Mul", codes, scale)
    shapes = graph.shapes
    for node in graph.nodes:
        names[node.name] = builder.node(node, [names[i] for i in node.inputs], shapes)
    last = builder.add("Identity", names[graph.output_name])
    shape: list[str | int | None] = ["n", *graph.input.shape]
    out_shape: list[str | int | None] = ["n", *graph.output_shape]
    return helper.make_model(
        helper.make_graph(
            builder.nodes,
            graph.name,
            [helper.make_tensor_value_info(Graph.INPUT_NAME, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, out_shape)],
            builder.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=8,
    )


class _Builder:
    """Nodes and constants of a model that is made."""

    def __init__(self, apart: bool) -> None:
        self._apart = apart
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
        self.nodes.append(helper.make_node(op, list(inputs), [name], name, **attributes))
        return name

    def round_half_up(self, value: str) -> str:
        return self.add("Floor", self.add("Add", value, self.constant(0.5)))

    def node(
        self, node: Node, inputs: Sequence[str], shapes: dict[str, tuple[int, int, int]]
    ) -> str:
        """The output of a node of the graph."""
        op, attrs, x = node.op, node.attrs, inputs[0]
        params = node.params
        bias = [self.constant(params["bias"])] if "bias" in params else []
        if op == "conv":
            top, bottom, left, right = attrs["pad"]
            return self.add(
                "Conv", x, self.constant(params["weight"]), *bias, strides=attrs["stride"],
                kernel_shape=attrs["kernel"], pads=[top, left, bottom, right],
            )  # fmt: skip
        if op == "deconv":
            stride = attrs["stride"]
            if self._apart and stride[0] == stride[1]:
                return self._phases(node, x, shapes[node.inputs[0]], shapes[node.name])
            return self._transposed(node, x)
        if op == "linear":
            y = self.add(
                "Gemm", self.add("Flatten", x), self.constant(params["weight"]), *bias, transB=1
            )
            return self.add("Reshape", y, self.constant([-1, *attrs["shape"]], np.int64))
        if op == "upsample":
            scales = self.constant([1, 1, attrs["factor"], attrs["factor"]])
            return self.add("Resize", x, "", scales, mode="nearest", nearest_mode="floor",
                            coordinate_transformation_mode="asymmetric")  # fmt: skip
        if op == "batchnorm":
            values = [self.constant(params[k]) for k in ("gamma", "beta", "mean", "var")]
            return self.add("BatchNormalization", x, *values, epsilon=attrs["eps"])
        if op == "prelu":
            return self.add("PRelu", x, self.constant(params["alpha"].reshape(-1, 1, 1)))
        if op == "leaky_relu":
            return self.add("LeakyRelu", x, alpha=attrs["slope"])
        if op == "clamp":
            return self.add("Clip", x, self.constant(attrs["low"]), self.constant(attrs["high"]))
        if op == "quant_relu":
            step = self.constant(attrs["step"])
            y = self.add("Mul", self.round_half_up(self.add("Div", x, step)), step)
            return self.add("Clip", y, self.constant(0), self.constant(attrs["high"]))
        if op == "concat":
            return self.add("Concat", *inputs, axis=1)
        if op in _PLAIN:
            return self.add(_PLAIN[op], *inputs)
        raise UnsupportedLayerError(
            f"layer '{node.name}' ({op}) is not written to ONNX here: give the network as an ONNX "
            "file to have it compared with onnxruntime"
        )

    def _transposed(self, node: Node, x: str) -> str:
        """ConvTranspose takes no negative pads: zeros outside its full output come from Pad."""
        top, bottom, left, right = node.attrs["crop"]
        shape = {"strides": node.attrs["stride"], "kernel_shape": node.attrs["kernel"]}
        weight = self.constant(node.params["weight"])
        if min(top, bottom, left, right) >= 0:
            y = self.add("ConvTranspose", x, weight, pads=[top, left, bottom, right], **shape)
        else:
            y = self.add("ConvTranspose", x, weight, **shape)
            pads = self.constant([0, 0, -top, -left, 0, 0, -bottom, -right], np.int64)
            y = self.add("Pad", y, pads)
        if "bias" in node.params:  # last: it is added to those zeros too
            y = self.add("Add", y, self.constant(node.params["bias"].reshape(-1, 1, 1)))
        return y

    def _phases(
        self, node: Node, x: str, source: tuple[int, int, int], out: tuple[int, int, int]
    ) -> str:
        """The phases of a transposed convolution as channels, then in their places."""
        stride = node.attrs["stride"][0]
        weight, pads, grid = phase_weights(
            node.params["weight"], stride, node.attrs["crop"][::2], source[1:], out[1:]
        )
        top, bottom, left, right = pads
        if min(pads) < 0:
            x = self.add("Pad", x, self.constant([0, 0, top, left, 0, 0, bottom, right], np.int64))
            top = bottom = left = right = 0
        bias = []
        if "bias" in node.params:
            bias = [self.constant(np.repeat(node.params["bias"], stride**2))]
        y = self.add(
            "Conv", x, self.constant(weight), *bias, kernel_shape=weight.shape[2:],
            pads=[top, left, bottom, right],
        )  # fmt: skip
        if stride > 1:
            y = self.add("DepthToSpace", y, blocksize=stride, mode="CRD")
        if tuple(g * stride for g in grid) != tuple(out[1:]):
            starts, ends, axes = ([0, 0], list(out[1:]), [2, 3])
            y = self.add("Slice", y, *(self.constant(v, np.int64) for v in (starts, ends, axes)))
        return y


def phase_weights(
    weight: NDArray[np.float32],
    stride: int,
    crop: Sequence[int],
    size: Sequence[int],
    out: Sequence[int],
) -> tuple[NDArray[np.float32], tuple[int, int, int, int], tuple[int, int]]:
    """A transposed convolution as a convolution whose channels are its output phases.

    Parameters
    ----------
    weight : (cin, cout, kh, kw)
    crop : rows and columns cut off before the first output
    size, out : rows and columns of input and output

    Returns
    -------
    weights (cout * stride**2, cin, rows, columns), a channel's phases together; pads (top, bottom,
    left, right), which can be negative; rows and columns of the convolution's output
    """
    spans, pads, grid = [], [], []
    for axis in (0, 1):
        kernel, cut = weight.shape[2 + axis], crop[axis]
        # Output stride * q + p sees input q + d through weight p + cut - stride * d.
        low = min(-((kernel - 1 - p - cut) // stride) for p in range(stride))
        high = max((p + cut) // stride for p in range(stride))
        points = -(-out[axis] // stride)
        spans.append(range(low, high + 1))
        pads += [-low, points - 1 + high - (size[axis] - 1)]
        grid.append(points)
    cin, cout = weight.shape[:2]
    made = np.zeros((cout, stride, stride, cin, len(spans[0]), len(spans[1])), np.float32)
    for py in range(stride):
        for px in range(stride):
            for i, dy in enumerate(spans[0]):
                for j, dx in enumerate(spans[1]):
                    ky, kx = py + crop[0] - stride * dy, px + crop[1] - stride * dx
                    if 0 <= ky < weight.shape[2] and 0 <= kx < weight.shape[3]:
                        made[:, py, px, :, i, j] = weight[:, :, ky, kx].T
    top, bottom, left, right = pads
    shape = (cout * stride**2, cin, len(spans[0]), len(spans[1]))
    return made.reshape(shape), (top, bottom, left, right), (grid[0], grid[1])
