"""The elastic network: one set of weights, any sub-network of its space.

A sub-network has the first channels of every layer, which are put in the order of how much they
matter first; of a kernel what a learned matrix makes of it (Cai et al. 2020 have one for each
smaller kernel's own weights; here all of the whole kernel's go in); and a gain and an offset of
its own for each output channel. Those take the place of batch-norm statistics, which each
sub-network has its own of: they depend on how much of its input a layer reads and on its kernel,
which is most of what changes them (Yu et al. 2019 have a batch-norm for each width).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from winogen.compression import bridge
from winogen.compression.bridge import TRAINED
from winogen.compression.narrow import cut, worth_of_channels
from winogen.compression.space import (
    DENSE,
    Setting,
    Space,
    edges_within,
    folded,
    shape_within,
    window,
)
from winogen.network.graph import Graph, Node

#: A gain is found from what inputs there are, within these bounds.
_LEAST_GAIN, _MOST_GAIN = 0.5, 2.0


class Elastic(nn.Module):
    """A chain of layers as a module whose forward pass has a setting.

    ``graph`` is as :func:`in_order` gives it. From inputs (N, C, H, W) to outputs (N, C', H', W').
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self.space = Space(graph)
        self._numbers = {node.name: number for number, node in enumerate(graph.nodes)}
        for node in graph.nodes:
            if node.op in DENSE:
                self._make_dense(node)
                continue
            for name, value in node.params.items():
                tensor = torch.from_numpy(np.array(value, np.float32))
                key = self._key(node, name)
                if name in TRAINED:
                    self.register_parameter(key, nn.Parameter(tensor))
                else:
                    self.register_buffer(key, tensor)

    def _make_dense(self, node: Node) -> None:
        channels = self.space.graph.shapes[node.name][0]
        values = np.prod(self.space.graph.shapes[node.name]) if node.op == "linear" else channels
        bias = node.params.get("bias", np.zeros(int(values), np.float32))
        self._register(node, "weight", np.array(node.params["weight"], np.float32))
        self._register(node, "bias", np.array(bias, np.float32))
        rows = len(self.space.kernels(node.name)) * self.space.entering(node)
        self._register(node, "gain", np.ones((rows, channels), np.float32))
        self._register(node, "offset", np.zeros((rows, channels), np.float32))
        for side in self.space.kernels(node.name)[1:]:
            self._register(node, f"kernel{side}", _selection(node.attrs["kernel"], side))

    def _register(self, node: Node, name: str, value: NDArray[np.float32]) -> None:
        self.register_parameter(self._key(node, name), nn.Parameter(torch.from_numpy(value)))

    def _key(self, node: Node, name: str) -> str:
        return f"node{self._numbers[node.name]}_{name}"

    def _of(self, node: Node, name: str) -> Tensor:
        found = getattr(self, self._key(node, name))
        assert isinstance(found, Tensor)
        return found

    def forward(
        self,
        x: Tensor,
        setting: Setting,
        keep: Callable[[Node, Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """Outputs of a sub-network; ``keep`` is called with each layer's node, input and output."""
        graph = self.space.graph
        if graph.input.scale is not None:
            scale = graph.input.scale
            x = torch.clamp(torch.floor(x / scale + 0.5), -128, 127) * scale
        for node in graph.nodes:
            if self.space.skips(node.name, setting):
                continue
            made = self._layer(node, setting)
            y = bridge.apply(made, [x], made.params)  # type: ignore[arg-type]
            if keep:
                keep(node, x, y)
            x = y
        return x

    def _layer(self, node: Node, setting: Setting) -> Node:
        """A layer of a sub-network, with its parameters as tensors."""
        space = self.space
        width = space.width(node.name, setting)
        if node.op not in DENSE:
            params = {name: self._of(node, name)[:width] for name in node.params}
            return replace(node, params=params)  # type: ignore[arg-type]
        weight, attrs = self._weight(node, setting)
        shape = space.graph.shapes[node.name]
        number = space.kernel(node.name, setting) * space.entering(node)
        row = number + space.entered(node, setting)
        gain, offset = self._of(node, "gain")[row, :width], self._of(node, "offset")[row, :width]
        bias = self._of(node, "bias")
        if node.op == "linear":
            repeated = shape[1] * shape[2]
            gain, offset = (v.repeat_interleave(repeated) for v in (gain, offset))
            bias = bias.reshape(shape)[:width].flatten()
        else:
            bias = bias[:width]
        channels = (-1,) + (1,) * (weight.ndim - 1)
        weight = weight * gain.reshape((1, -1, 1, 1) if node.op == "deconv" else channels)
        bias = bias + offset.reshape((-1,) + (1,) * (bias.ndim - 1))
        params = {"weight": weight, "bias": bias}
        return replace(node, attrs=attrs, params=params)  # type: ignore[arg-type]

    def _weight(self, node: Node, setting: Setting) -> tuple[Tensor, dict[str, Any]]:
        """The weights of a layer that a sub-network has, without their gain; its attributes."""
        space, attrs = self.space, dict(node.attrs)
        made = space.width(node.name, setting)
        read = space.width(node.inputs[0], setting)
        weight = self._of(node, "weight")
        if node.op == "linear":
            out = space.graph.shapes[node.name]
            into = space.graph.shapes[node.inputs[0]]
            parts = weight.reshape(*out, *into)[:made, :, :, :read]
            attrs["shape"] = shape_within(space.graph, node, made)
            return parts.reshape(made * out[1] * out[2], -1), attrs
        weight = weight[:made, :read] if node.op == "conv" else weight[:read, :made]
        number = space.kernel(node.name, setting)
        if number:
            whole = attrs["kernel"]
            side = space.kernels(node.name)[number]
            _, shape = window(whole, side)
            edges = "pad" if node.op == "conv" else "crop"
            attrs["kernel"] = shape
            attrs[edges] = edges_within(attrs[edges], whole, side)
            weight = weight.flatten(2) @ self._of(node, f"kernel{side}")
            weight = weight.reshape(*weight.shape[:2], *shape)
        return weight, attrs

    def graph(self, setting: Setting) -> Graph:
        """A sub-network by itself: it computes what the forward pass with its setting does."""
        nodes: list[Node] = []
        renamed: dict[str, str] = {}
        for node in self.space.graph.nodes:
            entering = renamed.get(node.inputs[0], node.inputs[0])
            if self.space.skips(node.name, setting):
                renamed[node.name] = entering
                continue
            with torch.no_grad():
                made = self._layer(node, setting)
            params = {
                name: np.ascontiguousarray(torch.as_tensor(value).detach().cpu().numpy())
                for name, value in made.params.items()
            }
            nodes.append(replace(made, inputs=(entering,), params=params))
        return replace(self.space.graph, nodes=nodes)

    def shared(self) -> Graph:
        """The layers with the weights that all sub-networks share; not yet with any's gains."""
        nodes = []
        for node in self.space.graph.nodes:
            names = ("weight", "bias") if node.op in DENSE else tuple(node.params)
            params = {name: self._of(node, name).detach().cpu().numpy().copy() for name in names}
            nodes.append(replace(node, params=params))
        return replace(self.space.graph, nodes=nodes)

    def own(self) -> dict[str, Tensor]:
        """What sub-networks have beside the shared weights: gains, offsets, matrices."""
        found = {}
        for node in self.space.graph.nodes:
            if node.op in DENSE:
                sides = (f"kernel{side}" for side in self.space.kernels(node.name)[1:])
                keys = [self._key(node, name) for name in ("gain", "offset", *sides)]
                found.update({key: getattr(self, key) for key in keys})
        return found

    def calibrate(self, inputs: NDArray[np.float32]) -> None:
        """Set every gain and offset so that a layer's output is most like the whole layer's.

        By least squares over ``inputs`` (N, C, H, W), with all that the whole network has before.
        """
        space = self.space

        def keep(node: Node, x: Tensor, y: Tensor) -> None:
            if node.op in DENSE:
                self._calibrate(node, x, y)

        with torch.no_grad():
            self(torch.from_numpy(inputs), space.whole, keep)

    def _calibrate(self, node: Node, x: Tensor, whole: Tensor) -> None:
        space = self.space
        sizes = space.entering(node)
        for row in range(1, len(self._of(node, "gain"))):
            setting = space.changed(space.whole, node, row % sizes, row // sizes)
            made = self._layer(node, setting)
            read = x[:, : space.width(node.inputs[0], setting)]
            y = bridge.apply(made, [read], made.params)  # type: ignore[arg-type]
            # A layer that makes what it reads has fewer of both: its other channels keep 1 and 0.
            there = space.width(node.name, setting)
            gain, offset = _least_squares(y, whole[:, :there])
            self._of(node, "gain")[row, :there] = gain
            self._of(node, "offset")[row, :there] = offset


def _least_squares(y: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """For each channel the factor and offset that make ``y`` most like what is wanted."""
    dims = (0, 2, 3)
    mean, target = y.mean(dim=dims), wanted.mean(dim=dims)
    centred = y - bridge.column(mean)
    power = centred.square().mean(dim=dims)
    both = (centred * (wanted - bridge.column(target))).mean(dim=dims)
    gain = torch.where(power > 1e-12, both / power.clamp_min(1e-12), torch.ones_like(power))
    gain = gain.clamp(_LEAST_GAIN, _MOST_GAIN)
    return gain, target - gain * mean


def _selection(whole: tuple[int, int], side: int) -> NDArray[np.float32]:
    """The matrix (taps, taps of the window) that takes a kernel's window out of it."""
    (row, column), (rows, columns) = window(whole, side)
    numbers = np.arange(whole[0] * whole[1]).reshape(whole)
    inside = numbers[row : row + rows, column : column + columns].reshape(-1)
    matrix = np.zeros((numbers.size, inside.size), np.float32)
    matrix[inside, np.arange(inside.size)] = 1
    return matrix


def in_order(graph: Graph, inputs: NDArray[np.float32]) -> Graph:
    """The network with the channels of each layer in the order of how much they matter.

    Batch-norms are folded into the layers before them. It computes what it did: in float32, to the
    last bits. ``inputs`` (N, C, H, W) tell how far channels vary.

    Raises UnsupportedLayerError where the network cannot be elastic.
    """
    graph = folded(graph)
    groups = Space(graph).groups
    worth = worth_of_channels(graph, groups, inputs)
    order = {
        group: np.arange(width)
        if group in groups.fixed
        else np.argsort(-worth[group], kind="stable")
        for group, width in groups.widths.items()
    }
    return replace(graph, nodes=[cut(node, graph, groups, order) for node in graph.nodes])
