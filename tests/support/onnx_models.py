"""ONNX models for tests, written with onnx's helpers: by hand, and at random.

Random models use what exporters do that a graph cannot say: auto_pad, output_padding, groups, NHWC
between transposes, matrices in both orientations, computed shapes, padding, pixel shuffles.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

NEWEST = onnx.defs.onnx_opset_version()


class Net:
    """A model under construction; methods return the name of a value."""

    def __init__(self, seed: int = 0, opset: int = 17):
        self.rng = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def weight(self, *shape: int) -> str:
        """Normal weights that keep the variance."""
        scale = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
        return self.const(scale * self.rng.standard_normal(shape))

    def node(self, op: str, *inputs: str, name: str = "", outputs: int = 1, **attrs: Any) -> str:
        names = [f"v{len(self.nodes)}_{i}" if i else f"v{len(self.nodes)}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attrs))
        return names[0]

    def model(
        self,
        output: str,
        shape: Any,
        *,
        input_name: str = "z",
        kind: int = TensorProto.FLOAT,
        out_rank: int = 4,
    ) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info(input_name, kind, shape)]
        outputs = [helper.make_tensor_value_info(output, kind, [None] * out_rank)]
        graph = helper.make_graph(
            self.nodes,
            "g",
            inputs,
            outputs,
            [numpy_helper.from_array(v, n) for n, v in self.constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )


def dcgan(seed: int = 0, opset: int = 17, batch: Any = "n") -> onnx.ModelProto:
    """A small DCGAN as PyTorch's tracing exporter writes it."""
    net = Net(seed, opset)
    x = "z"
    for cin, cout, stride, pad in ((16, 12, 1, 0), (12, 8, 2, 1)):
        x = net.node("ConvTranspose", x, net.weight(cin, cout, 4, 4), name=f"/main/up{cout}",
                     kernel_shape=[4, 4], strides=[stride] * 2, pads=[pad] * 4)  # fmt: skip
        x = net.node("BatchNormalization", x, *norm(net, cout))
        x = net.node("Relu", x)
    x = net.node("ConvTranspose", x, net.weight(8, 3, 4, 4), strides=[2, 2], pads=[1] * 4)
    return net.model(net.node("Tanh", x, name="/main/last"), [batch, 16, 1, 1])


def norm(net: Net, channels: int) -> list[str]:
    """Parameters of a batch-norm."""
    r = net.rng
    return [
        net.const(v)
        for v in (
            r.uniform(0.5, 1.5, channels),
            r.normal(0, 0.3, channels),
            r.normal(0, 0.3, channels),
            r.uniform(0.5, 1.5, channels),
        )
    ]


def run(model: onnx.ModelProto, x: NDArray[Any]) -> NDArray[np.float32]:
    """Output of a model by onnxruntime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def random_model(seed: int, rng: Any = None) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """A model and the shape of one input of it, without the batch.

    ``rng`` chooses layers and sizes: by default the seed does, as it does the parameters' values.
    """
    return _Random(seed, rng).build()


class _Random:
    """Appends random layers; ``shape`` is (C, H, W) of the current value."""

    def __init__(self, seed: int, rng: Any):
        self.rng = rng or np.random.default_rng((seed, 7))
        self.net = Net(seed, int(self.rng.choice((11, 13, 15, 17, 18))))
        self.value = "z"
        self.shape: tuple[int, int, int] = (0, 0, 0)

    def build(self) -> tuple[onnx.ModelProto, tuple[int, ...]]:
        rng = self.rng
        start = str(rng.choice(["vector", "latent", "image", "image-nhwc"]))
        if start == "vector":
            given: tuple[int, ...] = (int(rng.integers(2, 9)),)
            self._vector_start(given[0])
        elif start == "latent":
            given = (int(rng.integers(2, 9)), 1, 1)
            self.shape = (given[0], 1, 1)
            self._deconv(kernel=int(rng.integers(2, 5)), stride=1)
        else:
            c, h, w = (int(n) for n in rng.permutation(range(2, 8))[:3])  # tells layouts apart
            self.shape = (c, h, w)
            given = (c, h, w)
            if start == "image-nhwc":
                given = (h, w, c)
                self.value = self._transpose("z", (0, 3, 1, 2))
        layers = [self._conv, self._deconv, self._grouped, self._upsample, self._pad, self._shuffle,
                  self._residual, self._concat, self._nhwc, self._same, self._reordered,
                  self._parted, self._joined_constant, self._constants, self._average,
                  self._dilated]  # fmt: skip
        for _ in range(int(rng.integers(2, 6))):
            layer = layers[rng.integers(len(layers))]
            layer()
            if rng.random() < 0.4:
                self._norm()
            if rng.random() < 0.7:
                self._activation()
        if rng.random() < 0.3:
            self.value = self.net.node("Tanh", self.value)
        batch = "n" if rng.random() < 0.7 else 2
        return self.net.model(self.value, [batch, *given]), given

    def _int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _transpose(self, value: str, order: tuple[int, ...]) -> str:
        return self.net.node("Transpose", value, perm=order)

    def _vector_start(self, n: int) -> None:
        """Gemm or MatMul and Add, then a reshape to an image with a shape that is computed."""
        net, rng = self.net, self.rng
        c, h, w = (int(v) for v in rng.integers(1, 5, 3))
        size = c * h * w
        if rng.random() < 0.5:
            turned = bool(rng.integers(2))
            weight = net.weight(*((size, n) if turned else (n, size)))
            bias = net.const(rng.normal(0, 0.5, size))
            alpha = float(rng.uniform(0.5, 1.5))
            x = net.node("Gemm", "z", weight, bias, transB=int(turned), alpha=alpha, beta=0.5)
        else:
            x = net.node("MatMul", "z", net.weight(n, size))
            x = net.node("Add", x, net.const(rng.normal(0, 0.5, size)))
        if rng.random() < 0.5:
            x = net.node("BatchNormalization", x, *norm(net, size))
        if rng.random() < 0.5:
            x = net.node("LeakyRelu", x, alpha=0.2)
        nhwc = rng.random() < 0.5
        target = (h, w, c) if nhwc else (c, h, w)
        if rng.random() < 0.5:
            shape = net.node("Shape", "z")
            first = net.node("Gather", shape, net.const(0, np.int64), axis=0)
            axes = ({"axes": [0]}, []) if net.opset < 13 else ({}, [net.const([0], np.int64)])
            first = net.node("Unsqueeze", first, *axes[1], **axes[0])
            whole = net.node("Concat", first, net.const(target, np.int64), axis=0)
        else:
            whole = net.const((-1, *target), np.int64)
        x = net.node("Reshape", x, whole)
        self.value = self._transpose(x, (0, 3, 1, 2)) if nhwc else x
        self.shape = (c, h, w)

    def _conv(self) -> None:
        net, rng = self.net, self.rng
        c, h, w = self.shape
        cout, k = self._int(1, 5), self._int(1, 3)
        stride = self._int(1, 2) if min(h, w) > 3 else 1
        attrs: dict[str, Any] = {"strides": [stride, stride], "kernel_shape": [k, k]}
        if rng.random() < 0.4:
            attrs["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER"]))
            h, w = -(-h // stride), -(-w // stride)
        else:
            pads = [self._int(k - 1, k) if min(h, w) < k else self._int(0, k) for _ in range(4)]
            attrs["pads"] = pads
            h = (h + pads[0] + pads[2] - k) // stride + 1
            w = (w + pads[1] + pads[3] - k) // stride + 1
        bias = [net.const(rng.normal(0, 0.3, cout))] if rng.random() < 0.5 else []
        self.value = net.node("Conv", self.value, net.weight(cout, c, k, k), *bias, **attrs)
        self.shape = (cout, h, w)

    def _same(self) -> None:
        """ConvTranspose of SAME, or with an output_shape."""
        net, rng = self.net, self.rng
        c, h, w = self.shape
        if max(h, w) > 12:
            return self._conv()
        cout, k, stride = self._int(1, 5), self._int(2, 5), 2
        attrs: dict[str, Any] = {"strides": [stride] * 2, "kernel_shape": [k, k]}
        attrs["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER"]))
        self.value = net.node("ConvTranspose", self.value, net.weight(c, cout, k, k), **attrs)
        self.shape = (cout, h * stride, w * stride)
        return None

    def _deconv(self, kernel: int | None = None, stride: int | None = None) -> None:
        net, rng = self.net, self.rng
        c, h, w = self.shape
        k = kernel or self._int(2, 5)
        s = stride or self._int(1, 2 if max(h, w) < 12 else 1)
        cout = self._int(1, 5)
        pads = [self._int(0, min(1, k - 1)) if min(h, w) > 2 else 0 for _ in range(4)]
        extra = [self._int(0, s - 1) for _ in range(2)]
        attrs = {"strides": [s, s], "pads": pads, "output_padding": extra, "kernel_shape": [k, k]}
        bias = [net.const(rng.normal(0, 0.3, cout))] if rng.random() < 0.5 else []
        self.value = net.node(
            "ConvTranspose", self.value, net.weight(c, cout, k, k), *bias, **attrs
        )
        h = (h - 1) * s + k - pads[0] - pads[2] + extra[0]
        w = (w - 1) * s + k - pads[1] - pads[3] + extra[1]
        self.shape = (cout, h, w)

    def _grouped(self) -> None:
        net = self.net
        c, h, w = self.shape
        if self.rng.random() < 0.5:
            weight = net.weight(2 * c, 1, 3, 3)
            self.value = net.node("Conv", self.value, weight, group=c, pads=[1] * 4)
            self.shape = (2 * c, h, w)
        else:
            self.value = net.node("ConvTranspose", self.value, net.weight(c, 1, 3, 3), group=c,
                                  pads=[1] * 4)  # fmt: skip

    def _upsample(self) -> None:
        net = self.net
        c, h, w = self.shape
        if max(h, w) > 12:
            return self._norm()
        factor = (2, 2) if self.rng.random() < 0.6 else (self._int(1, 3), self._int(1, 3))
        mode = str(self.rng.choice(["asymmetric", "half_pixel"]))
        nearest = "floor" if mode == "asymmetric" else "round_prefer_floor"
        attrs = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": nearest}
        roi = net.const(np.zeros(0))
        if self.rng.random() < 0.5 or net.opset < 13:
            scales = net.const([1, 1, *factor])
            self.value = net.node("Resize", self.value, roi, scales, **attrs)
        else:
            shape = net.node("Shape", self.value)
            sizes = net.node("Mul", shape, net.const([1, 1, *factor], np.int64))
            self.value = net.node("Resize", self.value, "", "", sizes, **attrs)
        self.shape = (c, h * factor[0], w * factor[1])
        return None

    def _pad(self) -> None:
        net = self.net
        c, h, w = self.shape
        t, b, left, r = (self._int(0, 2) for _ in range(4))
        self.value = net.node("Pad", self.value, net.const([0, 0, t, left, 0, 0, b, r], np.int64))
        self.shape = (c, h + t + b, w + left + r)
        if self.rng.random() < 0.7:
            self._conv()

    def _shuffle(self) -> None:
        """Convolution and pixel shuffle, or its opposite."""
        net, rng = self.net, self.rng
        c, h, w = self.shape
        if h % 2 == w % 2 == 0 and rng.random() < 0.4:
            self.value = net.node("SpaceToDepth", self.value, blocksize=2)
            self.shape = (4 * c, h // 2, w // 2)
            return
        if max(h, w) > 12:
            return self._conv()
        bias = [net.const(rng.normal(0, 0.3, 8))] if rng.random() < 0.5 else []
        x = net.node("Conv", self.value, net.weight(8, c, 3, 3), *bias, pads=[1] * 4)
        if rng.random() < 0.3:
            x = net.node("Relu", x)
        mode = str(rng.choice(["DCR", "CRD"]))
        self.value = net.node("DepthToSpace", x, blocksize=2, mode=mode)
        self.shape = (2, 2 * h, 2 * w)

    def _reordered(self) -> None:
        """Channels by Gather, or backwards by Slice."""
        net = self.net
        c, h, w = self.shape
        if self.rng.random() < 0.5:
            indices = [self._int(-c, c - 1) for _ in range(self._int(1, c + 1))]
            self.value = net.node("Gather", self.value, net.const(indices, np.int64), axis=1)
            self.shape = (len(indices), h, w)
            return
        one = [net.const([n], np.int64) for n in (c - 1, -c - 1, 1, -1)]
        self.value = net.node("Slice", self.value, *one)

    def _parted(self) -> None:
        """Split and joined in another order, or every second row or column."""
        net = self.net
        c, h, w = self.shape
        if c > 1 and self.rng.random() < 0.6:
            first = self._int(1, c - 1)
            extra, attrs = [net.const([first, c - first], np.int64)], {"axis": 1}
            if net.opset < 13:
                extra, attrs = [], {"axis": 1, "split": [first, c - first]}
            x = net.node("Split", self.value, *extra, outputs=2, **attrs)
            middle = net.node("Relu", x) if self.rng.random() < 0.5 else x
            self.value = net.node("Concat", f"{x}_1", middle, axis=1)
            return
        axis, step, size = 2, 2, h
        if self.rng.random() < 0.5:
            axis, size = 3, w
        start = self._int(0, min(1, size - 1))
        values = [net.const([n], np.int64) for n in (start, size, axis, step)]
        self.value = net.node("Slice", self.value, *values)
        taken = len(range(start, size, step))
        self.shape = (c, taken, w) if axis == 2 else (c, h, taken)

    def _joined_constant(self) -> None:
        net, rng = self.net, self.rng
        c, h, w = self.shape
        more = self._int(1, 2)
        values = rng.normal(0, 0.5, (1, more, h, w))
        if rng.random() < 0.5:
            values = np.broadcast_to(values[:, :, :1, :1], values.shape)
        size = net.node("Slice", net.node("Shape", self.value), net.const([0], np.int64),
                        net.const([1], np.int64))  # fmt: skip
        shape = net.node("Concat", size, net.const([more, h, w], np.int64), axis=0)
        constant = net.node("Expand", net.const(values), shape)
        parts = [self.value, constant] if rng.random() < 0.7 else [constant, self.value]
        self.value = net.node("Concat", *parts, axis=1)
        self.shape = (c + more, h, w)
        self._conv()

    def _constants(self) -> None:
        """Values that differ from pixel to pixel, added or padded around."""
        net, rng = self.net, self.rng
        c, h, w = self.shape
        if rng.random() < 0.5:
            values = net.const(rng.normal(0, 0.5, (self._either(1, c), h, w)))
            order = (self.value, values) if rng.random() < 0.7 else (values, self.value)
            self.value = net.node(str(rng.choice(["Add", "Sub"])), *order)
            return
        t, r = self._int(0, 2), self._int(0, 1)
        pads = net.const([0, 0, t, 0, 0, 0, 0, r], np.int64)
        self.value = net.node("Pad", self.value, pads, net.const(0.5))
        self.shape = (c, h + t, w + r)

    def _either(self, first: int, second: int) -> int:
        return first if self.rng.random() < 0.5 else second

    def _average(self) -> None:
        """A mean over some axes, added to all that it is of."""
        net = self.net
        op = str(self.rng.choice(["ReduceMean", "ReduceSum"]))
        axes = [[2, 3], [1], [2], [-1], [1, 2, 3]][self._int(0, 4)]
        by_input = net.opset >= (18 if op == "ReduceMean" else 13)
        extra = [net.const(axes, np.int64)] if by_input else []
        mean = net.node(op, self.value, *extra, **({} if by_input else {"axes": axes}))
        if op == "ReduceSum":
            mean = net.node("Mul", mean, net.const(1 / math.prod(self.shape)))
        self.value = net.node("Add", self.value, mean)

    def _dilated(self) -> None:
        net = self.net
        c, h, w = self.shape
        cout, dy, dx = self._int(1, 4), self._int(1, 3), self._int(1, 3)
        attrs = {"dilations": [dy, dx], "pads": [dy, dx, dy, dx]}
        if self.rng.random() < 0.5:
            self.value = net.node("Conv", self.value, net.weight(cout, c, 3, 3), **attrs)
        elif min(h, w) > 1:
            self.value = net.node("ConvTranspose", self.value, net.weight(c, cout, 3, 3), **attrs)
        else:
            return
        self.shape = (cout, h, w)

    def _residual(self) -> None:
        net = self.net
        c = self.shape[0]
        body = net.node("Conv", self.value, net.weight(c, c, 3, 3), pads=[1] * 4)
        op = str(self.rng.choice(["Add", "Sub", "Sum"]))
        self.value = net.node(op, body, self.value)

    def _concat(self) -> None:
        net = self.net
        c, h, w = self.shape
        branch = net.node("Conv", self.value, net.weight(2, c, 3, 3), pads=[1] * 4)
        self.value = net.node("Concat", self.value, net.node("Relu", branch), axis=1)
        self.shape = (c + 2, h, w)

    def _nhwc(self) -> None:
        """Channels last for a while, with a bias there and perhaps a 1 x 1 convolution."""
        net = self.net
        c, h, w = self.shape
        x = self._transpose(self.value, (0, 2, 3, 1))
        x = net.node("Add", x, net.const(self.rng.normal(0, 0.3, c)))
        if self.rng.random() < 0.5:
            x = net.node("MatMul", x, net.weight(c, 3))
            c = 3
        self.value = self._transpose(net.node("Relu", x), (0, 3, 1, 2))
        self.shape = (c, h, w)

    def _norm(self) -> None:
        net, rng = self.net, self.rng
        c = self.shape[0]
        if rng.random() < 0.5:
            self.value = net.node("BatchNormalization", self.value, *norm(net, c))
            return
        column = net.const(rng.uniform(0.5, 1.5, (c, 1, 1)))
        self.value = net.node(str(rng.choice(["Mul", "Div"])), self.value, column)
        self.value = net.node("Sub", net.const(0.5), self.value)

    def _activation(self) -> None:
        net, rng = self.net, self.rng
        op = str(rng.choice(["Relu", "LeakyRelu", "PRelu", "Clip", "Tanh", "Sigmoid", "HardSigmoid",
                             "Abs", "Neg", "Max"]))  # fmt: skip
        inputs: list[str] = []
        attrs: dict[str, Any] = {}
        if op == "LeakyRelu":
            attrs["alpha"] = float(rng.uniform(0, 0.5))
        if op == "PRelu":
            inputs = [net.const(rng.normal(0, 0.5, (self.shape[0], 1, 1)))]
        if op == "Clip":
            inputs = [net.const(-0.5), net.const(1.25)]
        if op == "Max":
            inputs = [net.const(-0.25)]
        self.value = net.node(op, self.value, *inputs, **attrs)
