"""The bridge: any graph as a torch module with the same outputs, and its parameters back.

The float reference of a graph is numpy (``winogen.network.reference``); this is the same layer by
layer with gradients. Both agree to the last bits of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from winogen.compression import functions
from winogen.compression.narrow import is_depthwise
from winogen.network import sampling
from winogen.network.graph import Graph, Node

#: Parameters that training changes; the statistics of a batch-norm stay.
TRAINED = ("weight", "bias", "gamma", "beta", "alpha")


class GraphModule(nn.Module):
    """A graph as a torch module: from inputs (N, C, H, W) to outputs (N, C', H', W').

    The parameters are the graph's; :meth:`graph` gives the graph with what they have become.
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self._graph = graph
        self._alone = {node.name for node in graph.nodes if is_depthwise(node)}
        for number, node in enumerate(graph.nodes):
            for name, value in node.params.items():
                tensor = torch.from_numpy(np.array(value, np.float32))
                key = _key(number, name)
                if name in TRAINED:
                    self.register_parameter(key, nn.Parameter(tensor))
                else:
                    self.register_buffer(key, tensor)

    def forward(self, x: Tensor, keep: Callable[[str, Tensor], None] | None = None) -> Tensor:
        """Outputs; ``keep`` is called with the name and value of every node."""
        graph = self._graph
        if graph.input.scale is not None:
            scale = graph.input.scale
            x = torch.clamp(torch.floor(x / scale + 0.5), -128, 127) * scale
        values = {graph.INPUT_NAME: x}
        for number, node in enumerate(graph.nodes):
            params = {name: getattr(self, _key(number, name)) for name in node.params}
            inputs = [values[i] for i in node.inputs]
            made = _by_channel if node.name in self._alone else apply
            values[node.name] = made(node, inputs, params)
            if keep:
                keep(node.name, values[node.name])
        return values[graph.output_name]

    def graph(self) -> Graph:
        """The graph with the parameters as they are now."""
        nodes = [
            replace(
                node,
                params={
                    name: getattr(self, _key(number, name)).detach().cpu().numpy().copy()
                    for name in node.params
                },
            )
            for number, node in enumerate(self._graph.nodes)
        ]
        return replace(self._graph, nodes=nodes)


def _key(number: int, name: str) -> str:
    """What torch calls a node's parameter: a name of its own may hold what torch refuses."""
    return f"node{number}_{name}"


def convolve(
    x: Tensor, weight: Tensor, stride: Sequence[int], pad: Sequence[int], groups: int = 1
) -> Tensor:
    """Convolution with a weight (cout, cin / groups, kh, kw); pad is top, bottom, left, right."""
    top, bottom, left, right = pad
    around = (top, left)
    if top != bottom or left != right:
        x, around = functional.pad(x, (left, right, top, bottom)), (0, 0)
    return functional.conv2d(x, weight, stride=tuple(stride), padding=around, groups=groups)


def deconvolve(
    x: Tensor, weight: Tensor, stride: Sequence[int], crop: Sequence[int], groups: int = 1
) -> Tensor:
    """Transposed convolution, weight (cin, cout / groups, kh, kw); a negative crop adds zeros."""
    top, bottom, left, right = crop
    full = functional.conv_transpose2d(x, weight, stride=tuple(stride), groups=groups)
    return functional.pad(full, (-left, -right, -top, -bottom))


def spread(bias: Tensor, size: Sequence[int]) -> Tensor:
    """A bias (C,), or (C, h, w) that repeats over an image of ``size``, as it is added."""
    if bias.ndim == 1:
        return bias.reshape(1, -1, 1, 1)
    rows, columns = (-(-n // own) for n, own in zip(size, bias.shape[1:]))
    return bias.repeat(1, rows, columns)[None, :, : size[0], : size[1]]


def apply(node: Node, inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    """A node's output for its inputs (N, C, H, W)."""
    return _APPLY[node.op](node.attrs, inputs, params)


def _by_channel(node: Node, inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    """A depthwise layer's output: what its weight has between channels is 0, and stays so."""
    weight, attrs = params["weight"], node.attrs
    taps = weight.diagonal(dim1=0, dim2=1).permute(2, 0, 1)[:, None]
    if node.op == "conv":
        y = convolve(inputs[0], taps, attrs["stride"], attrs["pad"], len(taps))
    else:
        y = deconvolve(inputs[0], taps, attrs["stride"], attrs["crop"], len(taps))
    return _with_bias(y, params)


def _with_bias(y: Tensor, params: dict[str, Tensor]) -> Tensor:
    return y + spread(params["bias"], y.shape[2:]) if "bias" in params else y


def _conv(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    y = convolve(inputs[0], params["weight"], attrs["stride"], attrs["pad"])
    return _with_bias(y, params)


def _deconv(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    y = deconvolve(inputs[0], params["weight"], attrs["stride"], attrs["crop"])
    return _with_bias(y, params)


def _linear(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    y = functional.linear(inputs[0].flatten(1), params["weight"], params.get("bias"))
    return y.reshape(-1, *attrs["shape"])


def _batchnorm(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    scale = params["gamma"] / torch.sqrt(params["var"] + attrs["eps"])
    return inputs[0] * column(scale) + column(params["beta"] - params["mean"] * scale)


def _normalise(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    x = inputs[0]
    wide = x.reshape(len(x), attrs["groups"], -1) if attrs["groups"] else x
    axis = 2 if attrs["groups"] else 1
    if attrs["centred"]:
        wide = wide - wide.mean(dim=axis, keepdim=True)
    power = (wide * wide).mean(dim=axis, keepdim=True) + attrs["eps"]
    y = (wide / torch.sqrt(torch.where(power > 0, power, 1.0))).reshape(x.shape)
    if "gamma" in params:
        y = y * column(params["gamma"])
    return y + column(params["beta"]) if "beta" in params else y


def _pad(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    top, bottom, left, right = attrs["edges"]
    mode = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[attrs["mode"]]
    return functional.pad(inputs[0], (left, right, top, bottom), mode=mode)


def _maxpool(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    top, bottom, left, right = attrs["pad"]
    around = functional.pad(inputs[0], (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(around, attrs["kernel"], attrs["stride"])


def _avgpool(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    top, bottom, left, right = attrs["pad"]
    x = inputs[0]
    there = torch.ones_like(x[:1, :1])
    sums, counts = (
        functional.avg_pool2d(
            functional.pad(v, (left, right, top, bottom)), attrs["kernel"], attrs["stride"]
        )
        for v in (x, there)
    )
    return sums / counts


def _resample(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    x = inputs[0]
    for number, axis in enumerate(attrs["axes"], 2):
        index, weight = (torch.tensor(v, device=x.device) for v in sampling.weights(axis))
        shape = (-1, 1) if number == 2 else (-1,)
        parts = [
            x.index_select(number, taps) * factors.to(x.dtype).reshape(shape)
            for taps, factors in zip(index.T, weight.T)
        ]
        x = torch.stack(parts).sum(dim=0)
    return x


def _rearrange(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    places = torch.from_numpy(sampling.places(attrs["factors"])).to(inputs[0].device)
    return inputs[0].flatten(1)[:, places]


def column(values: Tensor) -> Tensor:
    """A value for each channel, as it meets (N, C, H, W)."""
    return values.reshape(1, -1, 1, 1)


def _upsample(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    factor = attrs["factor"]
    return inputs[0].repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def _leaky(x: Tensor, slope: Any) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def _quant_relu(attrs: dict[str, Any], inputs: list[Tensor], params: dict[str, Tensor]) -> Tensor:
    step = attrs["step"]
    rounded = torch.floor(inputs[0] / step + 0.5) * step
    # The gradient of rounding is that of what it rounds.
    passed = inputs[0] + (rounded - inputs[0]).detach()
    return torch.clamp(passed, 0, attrs["high"])


_APPLY: dict[str, Callable[[dict[str, Any], list[Tensor], dict[str, Tensor]], Tensor]] = {
    "conv": _conv,
    "deconv": _deconv,
    "linear": _linear,
    "batchnorm": _batchnorm,
    "normalise": _normalise,
    "pad": _pad,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "resample": _resample,
    "rearrange": _rearrange,
    "upsample": _upsample,
    "quant_relu": _quant_relu,
    "multiply": lambda attrs, inputs, params: inputs[0] * inputs[1],
    "add": lambda attrs, inputs, params: torch.stack(inputs).sum(dim=0),
    "subtract": lambda attrs, inputs, params: inputs[0] - inputs[1],
    "concat": lambda attrs, inputs, params: torch.cat(inputs, dim=1),
    "relu": lambda attrs, inputs, params: torch.relu(inputs[0]),
    "leaky_relu": lambda attrs, inputs, params: _leaky(inputs[0], attrs["slope"]),
    "prelu": lambda attrs, inputs, params: _leaky(inputs[0], column(params["alpha"])),
    "clamp": lambda attrs, inputs, params: torch.clamp(inputs[0], attrs["low"], attrs["high"]),
    "tanh": lambda attrs, inputs, params: torch.tanh(inputs[0]),
    "sigmoid": lambda attrs, inputs, params: torch.sigmoid(inputs[0]),
    "function": lambda attrs, inputs, params: functions.apply(attrs["function"], inputs[0]),
}
