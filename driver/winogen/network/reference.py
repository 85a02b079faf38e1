"""Float reference: runs a graph layer by layer in numpy, for calibration and for comparison.

The two convolutions work in the dtype of their input: with integers held in float64 they are the
plain integer (transposed) convolution, exact below 2**53, that everything else is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from winogen.network import sampling
from winogen.network.graph import HOST_OPERATIONS, Graph, Node

Array = NDArray[np.floating]


def conv2d(
    x: Array, weight: Array, stride: tuple[int, int], pad: tuple[int, int, int, int]
) -> Array:
    """Convolution (cross-correlation) of x (N, cin, H, W) with weight (cout, cin, kh, kw).

    ``pad`` is (top, bottom, left, right), not negative. Returns (N, cout, H', W').
    """
    cout, _, kh, kw = weight.shape
    taps = _taps(weight.transpose(2, 3, 1, 0), x.dtype)
    x = np.pad(x.transpose(0, 2, 3, 1), ((0, 0), pad[:2], pad[2:], (0, 0)))
    n, rows, columns, cin = x.shape
    sy, sx = stride
    oh, ow = (rows - kh) // sy + 1, (columns - kw) // sx + 1
    out = np.zeros((n * oh * ow, cout), x.dtype)
    for ky, kx, tap in taps:
        view = x[:, ky : ky + sy * (oh - 1) + 1 : sy, kx : kx + sx * (ow - 1) + 1 : sx]
        out += _times(view.reshape(-1, cin), tap)
    return out.reshape(n, oh, ow, cout).transpose(0, 3, 1, 2)


def deconv2d(
    x: Array, weight: Array, stride: tuple[int, int], crop: tuple[int, int, int, int]
) -> Array:
    """Transposed convolution of x (N, cin, H, W) with weight (cin, cout, kh, kw), scatter form.

    ``crop`` (top, bottom, left, right) is taken off the full output; negative adds zeros.
    """
    n, cin, rows, columns = x.shape
    _, cout, kh, kw = weight.shape
    taps = _taps(weight.transpose(2, 3, 0, 1), x.dtype)
    sy, sx = stride
    full = np.zeros((n, (rows - 1) * sy + kh, (columns - 1) * sx + kw, cout), x.dtype)
    flat = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(-1, cin)
    for ky, kx, tap in taps:
        part = _times(flat, tap).reshape(n, rows, columns, cout)
        full[:, ky : ky + sy * (rows - 1) + 1 : sy, kx : kx + sx * (columns - 1) + 1 : sx] += part
    grow = [(max(-a, 0), max(-b, 0)) for a, b in ((crop[0], crop[1]), (crop[2], crop[3]))]
    full = np.pad(full, ((0, 0), *grow, (0, 0)))
    top, bottom, left, right = (max(c, 0) for c in crop)
    full = full[:, top : full.shape[1] - bottom, left : full.shape[2] - right]
    return full.transpose(0, 3, 1, 2)


def _taps(weight: Array, dtype: np.dtype) -> Iterator[tuple[int, int, Array]]:
    """Row, column and matrix (cin, cout) of each tap of a weight (kh, kw, cin, cout).

    What is zero is left out: taps between those of a dilated kernel, and all but the diagonal,
    (channels,), where every channel is filtered by itself.
    """
    cin, cout = weight.shape[2:]
    used = np.count_nonzero(weight, axis=(2, 3))
    diagonal = np.count_nonzero(np.diagonal(weight, axis1=2, axis2=3))
    alone = cin == cout > 1 and diagonal == used.sum()
    for ky, kx in zip(*np.nonzero(used)):
        tap = np.diagonal(weight[ky, kx]) if alone else weight[ky, kx]
        yield int(ky), int(kx), np.ascontiguousarray(tap, dtype)  # BLAS wants them dense


def _times(values: Array, tap: Array) -> Array:
    """Values (n, cin) times a tap's matrix, or its diagonal."""
    return values * tap if tap.ndim == 1 else values @ tap


def run(
    graph: Graph, x: Array, keep: Callable[[str, Array], None] | None = None
) -> NDArray[np.float32]:
    """Output (N, C, H, W) of the graph for x (N, C, H, W) or (N, latent), in float32.

    ``keep`` is called with the name and value of the input and of every node.
    """
    first = np.asarray(x, np.float32).reshape(-1, *graph.input.shape)
    if graph.input.scale is not None:  # the model was trained on inputs rounded to 8 bits
        scale = np.float32(graph.input.scale)
        first = np.clip(np.floor(first / scale + np.float32(0.5)), -128, 127) * scale
    values: dict[str, Array] = {graph.INPUT_NAME: first}
    last_use = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    if keep:
        keep(graph.INPUT_NAME, values[graph.INPUT_NAME])
    for i, node in enumerate(graph.nodes):
        inputs = [values[name] for name in node.inputs]
        values[node.name] = _apply(node, inputs)
        if keep:
            keep(node.name, values[node.name])
        for name in node.inputs:
            if last_use[name] == i:
                values.pop(name, None)
    return values[graph.output_name].astype(np.float32, copy=False)


def _apply(node: Node, inputs: list[Array]) -> Array:
    x = inputs[0]
    op, attrs, params = node.op, node.attrs, node.params
    if op == "conv":
        return _add_bias(conv2d(x, params["weight"], attrs["stride"], attrs["pad"]), node)
    if op == "deconv":
        return _add_bias(deconv2d(x, params["weight"], attrs["stride"], attrs["crop"]), node)
    if op == "linear":
        y = x.reshape(len(x), -1) @ params["weight"].T
        y = y + params["bias"] if "bias" in params else y
        return y.reshape(-1, *attrs["shape"])
    if op == "upsample":
        return x.repeat(attrs["factor"], 2).repeat(attrs["factor"], 3)
    if op == "add":
        return np.sum(inputs, axis=0)
    if op == "subtract":
        return inputs[0] - inputs[1]
    if op == "concat":
        return np.concatenate(inputs, axis=1)
    if op in HOST_OPERATIONS:
        return _HOST[op](node, inputs)
    return pointwise(node, x)


def pointwise(node: Node, x: Array) -> Array:
    """A layer that acts on each value alone; x is (N, C, H, W)."""
    op, attrs, params = node.op, node.attrs, node.params
    if op == "batchnorm":
        scale = params["gamma"] / np.sqrt(params["var"] + attrs["eps"])
        return x * _column(scale) + _column(params["beta"] - params["mean"] * scale)
    if op == "relu":
        return np.maximum(x, 0)
    if op == "leaky_relu":
        return np.where(x < 0, x * x.dtype.type(attrs["slope"]), x)
    if op == "prelu":
        return np.where(x < 0, x * _column(params["alpha"]), x)
    if op == "clamp":
        return np.clip(x, attrs["low"], attrs["high"])
    if op == "quant_relu":
        return np.clip(np.floor(x / attrs["step"] + 0.5) * attrs["step"], 0, attrs["high"])
    if op == "tanh":
        return np.tanh(x)
    if op == "function":
        return np.nan_to_num(attrs["function"](x.astype(np.float64)), posinf=0, neginf=0).astype(
            x.dtype
        )
    assert op == "sigmoid", op
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, x.dtype.type(1)) / (1 + small)


def spread(bias: NDArray, size: tuple[int, ...]) -> NDArray:
    """A bias (C,), or (C, h, w) that repeats over the image, as it is added to (N, C, *size)."""
    if bias.ndim == 1:
        return _column(bias)
    repeats = [-(-n // own) for n, own in zip(size, bias.shape[1:])]
    return np.tile(bias, (1, *repeats))[None, :, : size[0], : size[1]]


def _add_bias(y: Array, node: Node) -> Array:
    return y + spread(node.params["bias"], y.shape[2:]) if "bias" in node.params else y


def _column(values: Array) -> Array:
    return values.reshape(1, -1, 1, 1)


def _normalise(node: Node, inputs: list[Array]) -> Array:
    x, groups = inputs[0], node.attrs["groups"]
    if groups:
        wide = x.reshape(len(x), groups, -1).astype(np.float64)
        y = _normalised(wide, 2, node).reshape(x.shape)
    else:
        y = _normalised(x.astype(np.float64), 1, node)
    if "gamma" in node.params:
        y = y * _column(node.params["gamma"])
    if "beta" in node.params:
        y = y + _column(node.params["beta"])
    return y.astype(x.dtype)


def _normalised(x: Array, axis: int, node: Node) -> Array:
    if node.attrs["centred"]:
        x = x - x.mean(axis=axis, keepdims=True)
    power = np.mean(x * x, axis=axis, keepdims=True) + node.attrs["eps"]
    return x / np.sqrt(np.where(power > 0, power, 1))


def _average_pool(node: Node, inputs: list[Array]) -> Array:
    attrs = node.attrs
    sums, counts = sampling.pooled_sums(inputs[0], attrs["kernel"], attrs["stride"], attrs["pad"])
    return (sums / counts).astype(sums.dtype)


def _resample(node: Node, inputs: list[Array]) -> Array:
    x = inputs[0]
    for number, axis in enumerate(node.attrs["axes"], 2):
        index, weight = sampling.weights(axis)
        x = sampling.resample(x, number, index, weight.astype(x.dtype))
    return x


#: What is no sum of products by constants.
_HOST: dict[str, Callable[[Node, list[Array]], Array]] = {
    "normalise": _normalise,
    "multiply": lambda node, inputs: inputs[0] * inputs[1],
    "pad": lambda node, inputs: sampling.extend(inputs[0], node.attrs["mode"], node.attrs["edges"]),
    "maxpool": lambda node, inputs: sampling.max_pool(
        inputs[0], node.attrs["kernel"], node.attrs["stride"], node.attrs["pad"]
    ),
    "avgpool": _average_pool,
    "resample": _resample,
    "rearrange": lambda node, inputs: sampling.rearranged(inputs[0], node.attrs["factors"]),
}
