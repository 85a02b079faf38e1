"""Blocks: a network's layers as the accelerator's jobs, in float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from winogen.compiler.shape import ConvShape
from winogen.network.functions import Function
from winogen.network.graph import Array, Node, batchnorm_affine


@dataclass(frozen=True)
class HostNode:
    """What a processor computes for a block: a node of the graph, in float so far.

    ``parts`` says how many of the block's sources are concatenated to each of the node's inputs,
    ``pad`` what surrounds the block's output with some of itself.
    """

    node: Node
    parts: tuple[int, ...]
    pad: Node | None = None

    @property
    def keeps_scale(self) -> bool:
        """Whether its values are among those that it reads, or between them."""
        return self.node.op in ("pad", "maxpool", "avgpool", "resample", "rearrange")

    def operands(self, sources: Sequence[str]) -> list[tuple[str, ...]]:
        """The sources of each operand."""
        rest = iter(sources)
        return [tuple(islice(rest, count)) for count in self.parts]


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
    function : None, ``tanh``, ``sigmoid`` or ``function``
    curve : the function, where it is none of the first two
    entering : name of the value that goes into the function
    step : quantisation step of the output that the model was trained with, or None
    host : what a processor computes of the sources first, or None; the block is then diagonal, and
        its convolution one of a single tap
    scale : real value of one step of the output that the network was trained with in integers
    weight_scale : (cout,), that of one step of the weights
    reach : the largest argument that the table of ``curve`` holds
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
    curve: Function | None = None
    entering: str | None = None
    step: float | None = None
    host: HostNode | None = None
    scale: float | None = None
    weight_scale: Array | None = None
    reach: float | None = None

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

    @property
    def is_straight(self) -> bool:
        """Negative values pass as they are."""
        return bool(np.all(self.slope == 1))

    @property
    def is_clamped(self) -> bool:
        """Values are kept within bounds."""
        return not (np.all(np.isinf(self.low)) and np.all(np.isinf(self.high)))

    def try_append(self, node: Node) -> bool:
        """Fold a pointwise node in; False if it needs a block of its own."""
        if self.function or self.step or not JOINS[node.op](self, node):
            return False
        self._end_with(node)
        return True

    def _end_with(self, node: Node) -> None:
        self.nodes.append(node.name)
        self.name = node.name
        self.scale = node.attrs.get("scale")

    def try_pad(self, node: Node, size: tuple[int, int]) -> bool:
        """Fold a padding by the output itself in, to rows and columns ``size``.

        Whatever acts on each value alone may go before it or after it.
        """
        if self.host is None or self.host.pad is not None or node.op != "pad":
            return False
        self.host = replace(self.host, pad=node)
        self.shape = replace(self.shape, output_size=size)
        self._end_with(node)
        return True

    def follow_by(self, scale: Array, shift: Array) -> None:
        """Follow the block by ``scale * y + shift`` (both (cout,)), keeping the clamp exact."""
        shaped = scale.reshape(1, -1, 1, 1) if self.diagonal else scale.reshape(-1, 1, 1, 1)
        self.weight = self.weight * shaped
        if self.weight_scale is not None:  # a channel that is constant has no weights to scale
            self.weight_scale = self.weight_scale * np.where(scale == 0, 1.0, np.abs(scale))
        column = (-1,) + (1,) * (self.bias.ndim - 1)
        self.bias = self.bias * scale.reshape(column) + shift.reshape(column)
        # A zero scale leaves a constant, which needs no clamp.
        with np.errstate(invalid="ignore"):
            ends = [np.where(scale == 0, np.nan, b * scale + shift) for b in (self.low, self.high)]
        self.low = np.nan_to_num(np.minimum(*ends), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        self.high = np.nan_to_num(np.maximum(*ends), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def _join_batchnorm(block: Block, node: Node) -> bool:
    if not block.is_straight:
        return False
    block.follow_by(*batchnorm_affine(node))
    return True


def _join_slope(block: Block, slope: Array) -> bool:
    if not block.is_straight or block.is_clamped:
        return False
    block.slope = slope
    return True


def _join_leaky_relu(block: Block, node: Node) -> bool:
    return _join_slope(block, np.full(block.channels, float(node.attrs["slope"])))


def _join_prelu(block: Block, node: Node) -> bool:
    return _join_slope(block, node.params["alpha"].astype(np.float64))


def _join_relu(block: Block, node: Node) -> bool:
    if not block.is_straight:
        if np.any(block.slope < 0):
            return False
        block.slope = np.ones(block.channels)  # ReLU of LeakyReLU is ReLU
    return _clamp(block, 0.0, np.inf)


def _join_clamp(block: Block, node: Node) -> bool:
    return block.is_straight and _clamp(block, node.attrs["low"], node.attrs["high"])


def _join_quant_relu(block: Block, node: Node) -> bool:
    if not block.is_straight:
        return False
    block.step = node.attrs["step"]
    return _clamp(block, 0.0, node.attrs["high"])


def _clamp(block: Block, low: float, high: float) -> bool:
    block.low = np.clip(block.low, low, high)
    block.high = np.clip(block.high, low, high)
    return True


def _join_function(block: Block, node: Node) -> bool:
    block.function = node.op
    block.curve = node.attrs.get("function")
    block.entering = node.inputs[0]
    block.reach = node.attrs.get("reach")
    return True


#: How a pointwise operation joins a block; each says whether it could.
JOINS: dict[str, Callable[[Block, Node], bool]] = {
    "batchnorm": _join_batchnorm,
    "leaky_relu": _join_leaky_relu,
    "prelu": _join_prelu,
    "relu": _join_relu,
    "clamp": _join_clamp,
    "quant_relu": _join_quant_relu,
    "tanh": _join_function,
    "sigmoid": _join_function,
    "function": _join_function,
}
