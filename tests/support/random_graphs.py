"""Small random networks of every operation, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Graph, InputSpec, Node, Shape, node_shape

MAX_SIDE = 12


class GraphBuilder:
    """Appends layers with random parameters to a graph and keeps track of shapes."""

    def __init__(self, seed: int, shape: Shape, kind: str = "image"):
        self.rng = np.random.default_rng(seed)
        self.input = InputSpec(shape, kind, "normal")
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {Graph.INPUT_NAME: shape}
        self.last = Graph.INPUT_NAME

    def add(self, op: str, *inputs: str, params: dict[str, NDArray] | None = None,
            name: str = "", **attrs: Any) -> str:  # fmt: skip
        """Append a layer reading ``inputs`` (or the last layer); returns its name."""
        name = name or f"{op}{len(self.nodes)}"
        arrays = {k: np.asarray(v, np.float32) for k, v in (params or {}).items()}
        node = Node(name, op, inputs or (self.last,), attrs, arrays)
        self.nodes.append(node)
        self.shapes[name] = node_shape(node, [self.shapes[i] for i in node.inputs], "random")
        self.last = name
        return name

    def graph(self, name: str = "random", output_range: Any = None) -> Graph:
        return Graph(name, self.input, self.nodes, output_range)

    def normal(self, *shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (scale * self.rng.standard_normal(shape)).astype(np.float32)

    def channels(self) -> int:
        return self.shapes[self.last][0]

    def conv(self, cout: int, kernel: Any = 3, stride: Any = 1, pad: Any = None,
             bias: bool = True) -> str:  # fmt: skip
        kernel, stride = _pair(kernel), _pair(stride)
        pad = pad if pad is not None else (kernel[0] // 2,) * 2 + (kernel[1] // 2,) * 2
        cin = self.channels()
        gain = 1 / np.sqrt(cin * kernel[0] * kernel[1])
        params = {"weight": self.normal(cout, cin, *kernel, scale=gain)}
        if bias:
            params["bias"] = self.normal(cout, scale=0.3)
        return self.add("conv", params=params, kernel=kernel, stride=stride, pad=_edges(pad))

    def deconv(self, cout: int, kernel: Any = 4, stride: Any = 2, crop: Any = 1,
               bias: bool = True) -> str:  # fmt: skip
        kernel, stride = _pair(kernel), _pair(stride)
        cin = self.channels()
        gain = 1 / np.sqrt(max(cin * kernel[0] * kernel[1] / (stride[0] * stride[1]), 1))
        params = {"weight": self.normal(cin, cout, *kernel, scale=gain)}
        if bias:
            params["bias"] = self.normal(cout, scale=0.3)
        return self.add("deconv", params=params, kernel=kernel, stride=stride, crop=_edges(crop))

    def linear(self, shape: Shape, bias: bool = True) -> str:
        inputs, outputs = int(np.prod(self.shapes[self.last])), int(np.prod(shape))
        params = {"weight": self.normal(outputs, inputs, scale=1 / np.sqrt(inputs))}
        if bias:
            params["bias"] = self.normal(outputs, scale=0.5)
        return self.add("linear", params=params, shape=shape)

    def batchnorm(self, gamma: Any = None, **changes: Any) -> str:
        c = self.channels()
        params = {
            "gamma": self.rng.uniform(0.5, 1.5, c) * self.rng.choice((-1, 1), c),
            "beta": self.normal(c, scale=0.5),
            "mean": self.normal(c, scale=0.5),
            "var": self.rng.uniform(0.5, 1.5, c),
            **changes,
        }
        if gamma is not None:
            params["gamma"] = np.resize(np.asarray(gamma, np.float32), c)
        return self.add("batchnorm", params=params, eps=1e-5)

    def prelu(self, alpha: Any = None) -> str:
        value = (
            self.normal(self.channels(), scale=0.5)
            if alpha is None
            else (np.resize(np.asarray(alpha, np.float32), self.channels()))
        )
        return self.add("prelu", params={"alpha": value})

    def activation(self, op: str) -> str:
        attrs: dict[str, Any] = {
            "leaky_relu": {"slope": 0.2},
            "clamp": {"low": -0.5, "high": 1.25},
            "quant_relu": {"step": 1 / 16, "high": 15 / 16},
        }.get(op, {})
        return self.prelu() if op == "prelu" else self.add(op, **attrs)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _edges(value: Any) -> tuple[int, int, int, int]:
    return (value,) * 4 if isinstance(value, int) else value


def random_graph(seed: int, rng: Any = None) -> Graph:
    """A small network of any operation but ``quant_relu``.

    That one rounds, so a difference in the last bit can become a whole step. ``rng`` chooses
    layers and sizes: by default the seed does, as it does the values of parameters.
    """
    rng = rng or np.random.default_rng((seed, 1))
    latent = rng.random() < 0.4
    shape = (
        (int(rng.integers(1, 7)), 1, 1) if latent else tuple(int(n) for n in rng.integers(1, 7, 3))
    )
    b = GraphBuilder(seed, shape, "latent" if latent else "image")
    if latent and rng.random() < 0.5:
        b.linear(tuple(int(n) for n in rng.integers(1, 5, 3)), bias=bool(rng.integers(2)))
    activations = ["relu", "leaky_relu", "prelu", "clamp", "tanh", "sigmoid"]
    for _ in range(int(rng.integers(2, 6))):
        _random_layer(b, rng, activations)
    if rng.random() < 0.3:
        b.activation(str(rng.choice(["tanh", "sigmoid", "clamp"])))
    return b.graph(f"random-{seed}")


def _random_layer(b: GraphBuilder, rng: Any, activations: list[str]) -> None:
    cout = int(rng.integers(1, 6))
    rows, columns = b.shapes[b.last][1:]
    small = max(rows, columns) * 3 <= MAX_SIDE
    choices = ["conv", "strided", "add", "concat", "batchnorm"]
    kind = str(rng.choice(choices + (["deconv", "upsample", "upsample-conv"] * 2 if small else [])))
    if kind == "conv":
        kernel = tuple(int(k) for k in rng.choice((1, 2, 3, 5), 2))
        b.conv(cout, kernel, 1, (kernel[0] - 1, 0, 0, kernel[1] - 1), bool(rng.integers(2)))
    elif kind == "strided":
        kernel = tuple(int(k) for k in rng.integers(2, 5, 2))
        b.conv(cout, kernel, tuple(int(s) for s in rng.integers(1, 4, 2)), (3, 0, 0, 3))
    elif kind == "deconv":
        stride = tuple(int(s) for s in rng.integers(1, 4, 2))
        kernel = tuple(int(k) for k in rng.integers(2, 6, 2))
        crop = tuple(int(c) for c in rng.integers(-1, 2, 4)) if min(rows, columns) > 1 else -1
        b.deconv(cout, kernel, stride, crop)
    elif kind == "upsample":
        b.add("upsample", factor=int(rng.integers(1, 3)))
    elif kind == "upsample-conv":
        b.add("upsample", factor=int(rng.integers(2, 4)))
        b.conv(cout, 3, 1, int(rng.integers(min(rows, columns) == 1, 3)))
    elif kind == "batchnorm":
        b.batchnorm()
    else:
        first = b.last
        c = b.channels()
        second = b.conv(c if kind == "add" else cout, 3)
        if rng.random() < 0.5:
            second = b.activation(str(rng.choice(activations)))
        b.add(kind, first, second)
    order = rng.permutation([rng.random() < 0.4, rng.random() < 0.6])
    if order[0]:
        b.batchnorm()
    if rng.random() < 0.7:
        b.activation(str(rng.choice(activations)))
    if order[1]:
        b.batchnorm()
