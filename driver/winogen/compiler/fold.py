"""Folding: a graph of layers becomes a list of blocks, each one job of the accelerator.

A block is one convolution-like operation followed by a per-channel slope for negative values, a
per-channel clamp and possibly a tabulated function. Batch-norm folds into weights and bias; after
a ReLU or a clamp it folds as well, since ``gamma * max(x, 0) + beta`` is
``clamp(gamma * x + beta)`` with a bound of ``beta``. What cannot join a block starts one of its
own with an identity convolution. Linear layers, residual adds, upsampling and upsampling followed
by a convolution all become (transposed) convolutions here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from winogen.common.errors import UnsupportedLayerError
from winogen.compiler.shape import ConvShape
from winogen.network.graph import POINTWISE, Array, Graph, Node, Shape, batchnorm_affine


@dataclass
class Block:
    """One job of the accelerator, in float.

    Attributes
    ----------
    name : name of the value that it produces (its last node)
    nodes : names of the nodes folded into it
    sources : values that it reads; their channels are concatenated (or added, if diagonal)
    shape : geometry
    diagonal : every channel is convolved by itself; weight is then (sources, channels, kh, kw)
    weight : (cout, cin, kh, kw) otherwise; indexed by tap as :mod:`winogen.compiler.tdc` does
    bias : (cout,), or (cout, h, w) that repeats over the output: one for each phase of a transposed
        convolution, as which a linear layer gives every output pixel its own
    slope : (cout,) multiplier of negative values
    low, high : (cout,) clamp, infinite where there is none
    function : None, ``tanh`` or ``sigmoid``
    step : quantisation step of the output that the model was trained with, or None
    """

    name: str
    nodes: list[str]
    sources: tuple[str, ...]
    shape: ConvShape
    diagonal: bool
    weight: Array
    bias: Array
    slope: Array = field(init=False)
    low: Array = field(init=False)
    high: Array = field(init=False)
    function: str | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        channels = len(self.bias)
        self.slope = np.ones(channels)
        self.low = np.full(channels, -np.inf)
        self.high = np.full(channels, np.inf)

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.bias)

    @property
    def label(self) -> str:
        """The layer's name for people: its first node's."""
        return self.nodes[0]

    def try_append(self, node: Node) -> bool:
        """Fold a pointwise node in; False if it needs a block of its own."""
        if self.function or self.step:
            return False
        straight = bool(np.all(self.slope == 1))
        unclamped = bool(np.all(np.isinf(self.low)) and np.all(np.isinf(self.high)))
        if node.op == "batchnorm":
            if not straight:
                return False
            self._affine(*batchnorm_affine(node))
        elif node.op in ("leaky_relu", "prelu"):
            if not (straight and unclamped):
                return False
            self.slope = _slopes(node, self.channels)
        elif node.op in ("relu", "clamp", "quant_relu"):
            low = 0.0 if node.op != "clamp" else node.attrs["low"]
            high = np.inf if node.op == "relu" else node.attrs["high"]
            if not straight and (node.op != "relu" or np.any(self.slope < 0)):
                return False
            if not straight:  # ReLU of LeakyReLU is ReLU
                self.slope = np.ones(self.channels)
            self.low = np.clip(self.low, low, high)
            self.high = np.clip(self.high, low, high)
            self.step = node.attrs.get("step")
        else:
            self.function = node.op
        self.nodes.append(node.name)
        self.name = node.name
        return True

    def _affine(self, scale: Array, shift: Array) -> None:
        """Follow the block by ``scale * y + shift``, keeping the clamp exact."""
        shaped = scale.reshape(1, -1, 1, 1) if self.diagonal else scale.reshape(-1, 1, 1, 1)
        self.weight = self.weight * shaped
        column = (-1,) + (1,) * (self.bias.ndim - 1)
        self.bias = self.bias * scale.reshape(column) + shift.reshape(column)
        # A zero scale leaves a constant, which needs no clamp.
        with np.errstate(invalid="ignore"):
            ends = [np.where(scale == 0, np.nan, b * scale + shift) for b in (self.low, self.high)]
        self.low = np.nan_to_num(np.minimum(*ends), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        self.high = np.nan_to_num(np.maximum(*ends), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def fold(graph: Graph) -> list[Block]:
    """Blocks of the graph in execution order; the last one produces the output.

    Raises UnsupportedLayerError, naming the layer, if it cannot run on the accelerator.
    """
    blocks: dict[str, Block] = {}
    #: Values that exist only as a list of others: concats, and upsampling still to be folded.
    parts: dict[str, tuple[str, ...]] = {graph.INPUT_NAME: (graph.INPUT_NAME,)}
    upsampled: dict[str, Node] = {}
    order: list[Block] = []

    def start(block: Block, node: Node) -> None:
        order.append(block)
        blocks[node.name] = block
        parts[node.name] = (node.name,)

    for node in graph.nodes:
        shapes = [graph.shapes[i] for i in node.inputs]
        is_output = node.name == graph.output_name
        if node.op == "concat" and not is_output:
            parts[node.name] = tuple(p for i in node.inputs for p in parts[i])
        elif node.op == "upsample" and _folds_into_consumer(graph, node):
            upsampled[node.name] = node
            parts[node.name] = parts[node.inputs[0]]
        elif node.op in POINTWISE:
            source = node.inputs[0]
            block = blocks.get(source)
            if block and len(graph.consumers(source)) == 1 and block.try_append(node):
                blocks[node.name] = block
                parts[node.name] = (node.name,)
            else:
                start(_identity(graph, node, parts[source]), node)
                if not order[-1].try_append(node):
                    raise UnsupportedLayerError(
                        f"layer '{node.name}' of model {graph.name}: {node.op} cannot be folded"
                    )
        else:
            upsample = upsampled.get(node.inputs[0])
            start(_block(graph, node, shapes, parts, upsample), node)
    # A block is named after its last node; sources were recorded by the same rule.
    alias = {node: block.name for block in order for node in block.nodes}
    for block in order:
        block.sources = tuple(alias.get(s, s) for s in block.sources)
    return order


def _folds_into_consumer(graph: Graph, node: Node) -> bool:
    """Whether an upsampling joins the stride-1 convolutions that read it (and only those do)."""
    consumers = graph.consumers(node.name)
    return bool(consumers) and all(
        c.op == "conv" and c.attrs["stride"] == (1, 1) for c in consumers
    )


def _slopes(node: Node, channels: int) -> Array:
    if node.op == "prelu":
        return node.params["alpha"].astype(np.float64)
    return np.full(channels, float(node.attrs["slope"]))


def _block(
    graph: Graph,
    node: Node,
    shapes: list[Shape],
    parts: dict[str, tuple[str, ...]],
    upsample: Node | None,
) -> Block:
    """A block for a convolution-like node."""
    sources = tuple(p for i in node.inputs for p in parts[i])
    out = graph.shapes[node.name]
    channels, rows, columns = shapes[0]
    size, out_size = (rows, columns), out[1:]
    bias: Array = np.zeros(out[0])
    if node.op in ("conv", "deconv", "linear") and "bias" in node.params:
        bias = node.params["bias"].astype(np.float64)
    weight = node.params["weight"].astype(np.float64) if "weight" in node.params else None
    if node.op == "conv" and upsample is not None:
        assert weight is not None
        factor = upsample.attrs["factor"]
        small = graph.shapes[upsample.inputs[0]][1:]
        weight, pad = fold_upsample(weight, node.attrs["pad"], factor)
        kernel = (weight.shape[2], weight.shape[3])
        shape = ConvShape(True, kernel, (factor, factor), pad, small, out_size)
    elif node.op == "conv":
        assert weight is not None
        pad = (node.attrs["pad"][0], node.attrs["pad"][2])
        shape = ConvShape(False, node.attrs["kernel"], node.attrs["stride"], pad, size, out_size)
    elif node.op == "deconv":
        assert weight is not None
        weight = weight.swapaxes(0, 1)
        crop = (node.attrs["crop"][0], node.attrs["crop"][2])
        shape = ConvShape(True, node.attrs["kernel"], node.attrs["stride"], crop, size, out_size)
    elif node.op == "linear":
        assert weight is not None
        if size == (1, 1):  # every output pixel is a phase of one input pixel
            weight = weight.reshape(*out, channels).transpose(0, 3, 1, 2)
            shape = ConvShape(True, out_size, out_size, (0, 0), size, out_size)
            if bias.size != out[0]:
                bias = bias.reshape(out)
        elif out_size == (1, 1):
            weight = weight.reshape(out[0], channels, rows, columns)
            shape = ConvShape(False, size, (1, 1), (0, 0), size, out_size)
        else:
            raise UnsupportedLayerError(
                f"layer '{node.name}' of model {graph.name}: a linear layer from {shapes[0]} to "
                f"{out} is not supported; one of the two must be a vector"
            )
    elif node.op == "upsample":
        factor = (node.attrs["factor"],) * 2
        weight = np.ones((len(sources), channels, *factor))
        shape = ConvShape(True, factor, factor, (0, 0), size, out_size)
        if len(sources) > 1:
            weight = _blocks_of_identity(graph, sources, factor)
        return Block(node.name, [node.name], sources, shape, len(sources) == 1, weight, bias)
    else:
        assert node.op in ("add", "concat"), node.op
        shape = ConvShape(False, (1, 1), (1, 1), (0, 0), size, out_size)
        if node.op == "add" and all(len(parts[i]) == 1 for i in node.inputs):
            weight = np.ones((len(sources), channels, 1, 1))
            return Block(node.name, [node.name], sources, shape, True, weight, bias)
        if node.op == "concat":
            weight = _blocks_of_identity(graph, sources, (1, 1))
        else:
            weight = np.concatenate(
                [_blocks_of_identity(graph, parts[i], (1, 1)) for i in node.inputs], axis=1
            )
    return Block(node.name, [node.name], sources, shape, False, weight, bias)


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


def _identity(graph: Graph, node: Node, sources: tuple[str, ...]) -> Block:
    """A block that passes its sources on, for a pointwise node that cannot join another."""
    channels, rows, columns = graph.shapes[node.inputs[0]]
    size = (rows, columns)
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), size, size)
    bias = np.zeros(channels)
    if len(sources) == 1:
        return Block(node.name, [], sources, shape, True, np.ones((1, channels, 1, 1)), bias)
    weight = _blocks_of_identity(graph, sources, (1, 1))
    return Block(node.name, [], sources, shape, False, weight, bias)


def _blocks_of_identity(graph: Graph, sources: tuple[str, ...], kernel: tuple[int, int]) -> Array:
    channels = sum(graph.shapes[s][0] for s in sources)
    return np.tile(np.eye(channels)[:, :, None, None], (1, 1, *kernel))
