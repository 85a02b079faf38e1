"""Every layer that mixes pixels or channels, as a block of one (transposed) convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from winogen.common.errors import UnsupportedLayerError
from winogen.compiler.block import Block, HostNode
from winogen.compiler.shape import ConvShape
from winogen.network.graph import HOST_OPERATIONS, Array, Graph, Node, Shape


@dataclass(frozen=True)
class Layer:
    """A node, and what it reads.

    Attributes
    ----------
    parts : for each of its inputs, the values whose channels make it up
    upsample : the upsampling that it reads and takes in, if there is one
    """

    graph: Graph
    node: Node
    parts: tuple[tuple[str, ...], ...]
    upsample: Node | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The values of all inputs."""
        return tuple(source for part in self.parts for source in part)

    @property
    def input(self) -> Shape:
        """Shape of the first input."""
        return self.graph.shapes[self.node.inputs[0]]

    @property
    def output(self) -> Shape:
        """Shape of the output."""
        return self.graph.shapes[self.node.name]

    @property
    def weight(self) -> Array:
        """The node's weight, as it is stored."""
        return self.node.params["weight"].astype(np.float64)

    @property
    def bias(self) -> Array:
        """The node's bias, or zeros for its output channels."""
        if "bias" not in self.node.params:
            return np.zeros(self.output[0])
        return self.node.params["bias"].astype(np.float64)

    def block(
        self, shape: ConvShape, weight: Array, *, bias: Array | None = None, diagonal: bool = False
    ) -> Block:
        """The block with this geometry and weight, and the node's bias if there is no other."""
        name = self.node.name
        bias = self.bias if bias is None else bias
        block = Block(name, [name], self.sources, shape, diagonal, weight, bias)
        block.scale = self.node.attrs.get("scale")
        if "weight_scale" in self.node.params:
            block.weight_scale = self.node.params["weight_scale"].astype(np.float64)
        return block


def identity(graph: Graph, sources: tuple[str, ...], kernel: tuple[int, int] = (1, 1)) -> Array:
    """A weight (channels, channels, kh, kw) that passes the channels of some values on."""
    channels = sum(graph.shapes[s][0] for s in sources)
    return np.tile(np.eye(channels)[:, :, None, None], (1, 1, *kernel))


def _conv(layer: Layer) -> Block:
    node, size, out_size = layer.node, layer.input[1:], layer.output[1:]
    if layer.upsample is not None:
        factor = layer.upsample.attrs["factor"]
        small = layer.graph.shapes[layer.upsample.inputs[0]][1:]
        weight, crop = fold_upsample(layer.weight, node.attrs["pad"], factor)
        kernel = (weight.shape[2], weight.shape[3])
        block = layer.block(ConvShape(True, kernel, (factor,) * 2, crop, small, out_size), weight)
        block.weight_scale = None  # its taps are sums of the node's
        return block
    pad = (node.attrs["pad"][0], node.attrs["pad"][2])
    shape = ConvShape(False, node.attrs["kernel"], node.attrs["stride"], pad, size, out_size)
    return layer.block(shape, layer.weight)


def _deconv(layer: Layer) -> Block:
    node, size, out_size = layer.node, layer.input[1:], layer.output[1:]
    crop = (node.attrs["crop"][0], node.attrs["crop"][2])
    shape = ConvShape(True, node.attrs["kernel"], node.attrs["stride"], crop, size, out_size)
    return layer.block(shape, layer.weight.swapaxes(0, 1))


def _linear(layer: Layer) -> Block:
    size, out_size = layer.input[1:], layer.output[1:]
    if size == (1, 1):  # every output pixel is a phase of one input pixel
        weight = layer.weight.reshape(*layer.output, layer.input[0]).transpose(0, 3, 1, 2)
        shape = ConvShape(True, out_size, out_size, (0, 0), size, out_size)
        by_pixel = layer.bias.size != layer.output[0]
        return layer.block(
            shape, weight, bias=layer.bias.reshape(layer.output) if by_pixel else layer.bias
        )
    if out_size == (1, 1):
        weight = layer.weight.reshape(layer.output[0], *layer.input)
        return layer.block(ConvShape(False, size, (1, 1), (0, 0), size, out_size), weight)
    raise UnsupportedLayerError(
        f"layer '{layer.node.name}' of model {layer.graph.name}: a linear layer from "
        f"{layer.input} to {layer.output} is not supported; one of the two must be a vector"
    )


def _upsample(layer: Layer) -> Block:
    factor = (layer.node.attrs["factor"],) * 2
    shape = ConvShape(True, factor, factor, (0, 0), layer.input[1:], layer.output[1:])
    if len(layer.sources) == 1:
        return layer.block(shape, np.ones((1, layer.input[0], *factor)), diagonal=True)
    return layer.block(shape, identity(layer.graph, layer.sources, factor))


def _add(layer: Layer) -> Block:
    signs = (1.0, -1.0) if layer.node.op == "subtract" else (1.0,) * len(layer.parts)
    if all(len(part) == 1 for part in layer.parts):
        column = np.array(signs).reshape(-1, 1, 1, 1)
        weight = np.ones((len(layer.sources), layer.input[0], 1, 1)) * column
        return layer.block(_pixel_by_pixel(layer), weight, diagonal=True)
    weights = [s * identity(layer.graph, part) for s, part in zip(signs, layer.parts)]
    return layer.block(_pixel_by_pixel(layer), np.concatenate(weights, axis=1))


def _concat(layer: Layer) -> Block:
    return layer.block(_pixel_by_pixel(layer), identity(layer.graph, layer.sources))


def _pixel_by_pixel(layer: Layer) -> ConvShape:
    return ConvShape(False, (1, 1), (1, 1), (0, 0), layer.input[1:], layer.output[1:])


def _on_host(layer: Layer) -> Block:
    """A block whose values the processor computes; its convolution passes them on."""
    node = layer.node
    size = layer.output[1:]
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), size, size)
    channels = layer.output[0]
    gamma = node.params.get("gamma", np.ones(channels)).astype(np.float64)
    beta = node.params.get("beta", np.zeros(channels)).astype(np.float64)
    block = layer.block(shape, gamma.reshape(1, -1, 1, 1), bias=beta, diagonal=True)
    block.host = HostNode(node, tuple(map(len, layer.parts)))
    return block


#: The block that each operation becomes.
HANDLERS: dict[str, Callable[[Layer], Block]] = {
    "conv": _conv,
    "deconv": _deconv,
    "linear": _linear,
    "upsample": _upsample,
    "add": _add,
    "subtract": _add,
    "concat": _concat,
    **dict.fromkeys(HOST_OPERATIONS, _on_host),
}


def fold_upsample(
    weight: Array, pad: tuple[int, int, int, int], factor: int
) -> tuple[Array, tuple[int, int]]:
    """Nearest upsampling by ``factor`` then a convolution, as one transposed convolution.

    Upsampling is zero insertion followed by a box of ``factor`` ones, and two convolutions are
    one: the kernel is the (flipped) weight convolved with the box, ``k + factor - 1`` taps a side.
    Returns the weight (cout, cin, k', k') in scatter form and the crop (rows, columns).
    """
    cout, cin, kh, kw = weight.shape
    flipped = weight[:, :, ::-1, ::-1]
    out = np.zeros((cout, cin, kh + factor - 1, kw + factor - 1))
    for y in range(factor):
        for x in range(factor):
            out[:, :, y : y + kh, x : x + kw] += flipped
    return out, (kh - 1 - pad[0], kw - 1 - pad[2])
