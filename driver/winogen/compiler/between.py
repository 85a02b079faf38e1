"""What the processor computes between two runs of the accelerator, in integers of known units."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from winogen.compiler.block import Block
from winogen.network.graph import Graph, Node, Shape
from winogen.program.formats import TensorFormat
from winogen.program.host_layers import Operands
from winogen.program.host_ops import (
    AVERAGED_BITS,
    EPSILON_BITS,
    MAX_EPSILON,
    RESAMPLED_BITS,
    WEIGHT_BITS,
    AveragePool,
    Extend,
    HostOp,
    MaxPool,
    Multiply,
    Normalise,
    Rearrange,
    Resample,
    fraction_bits,
)

#: An operation, and the real value of one unit of its result: from the node, the shape of its
#: first input, the scale of each input and the data width.
_Made = tuple[HostOp, float]


def host_operands(
    graph: Graph, block: Block, formats: Mapping[str, TensorFormat], data_width: int
) -> tuple[Operands, float]:
    """What a processor computes for a block, and the real value of one unit of that."""
    assert block.host is not None
    node = block.host.node
    scales = [formats[sources[0]].scale for sources in block.host.operands(block.sources)]
    op, unit = _MAKERS[node.op](node, graph.shapes[node.inputs[0]], scales, data_width)
    op.check()
    pad = block.host.pad
    around = None if pad is None else Extend(pad.attrs["mode"], pad.attrs["edges"])
    return Operands(op, block.host.parts, around), unit


def _normalise(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    groups = node.attrs["groups"]
    channels, rows, columns = shape
    n = channels * rows * columns // groups if groups else channels
    epsilon = round(node.attrs["eps"] / scales[0] ** 2 * (1 << EPSILON_BITS))
    epsilon = min(epsilon, MAX_EPSILON)  # all but 0 in any case
    fraction = fraction_bits(n, data_width)
    return Normalise(groups, node.attrs["centred"], epsilon, fraction), 2.0**-fraction


def _multiply(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    return Multiply(), scales[0] * scales[1]


def _pad(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    return Extend(node.attrs["mode"], node.attrs["edges"]), scales[0]


def _max_pool(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    op = MaxPool(node.attrs["kernel"], node.attrs["stride"], node.attrs["pad"])
    return op, scales[0]


def _average_pool(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    op = AveragePool(node.attrs["kernel"], node.attrs["stride"], node.attrs["pad"])
    return op, scales[0] * 2.0**-AVERAGED_BITS


def _resample(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    vertical, horizontal = node.attrs["axes"]
    op = Resample(vertical, horizontal, WEIGHT_BITS[data_width])
    return op, scales[0] * 2.0**-RESAMPLED_BITS


def _rearrange(node: Node, shape: Shape, scales: list[float], data_width: int) -> _Made:
    return Rearrange(node.attrs["factors"]), scales[0]


_MAKERS: dict[str, Callable[[Node, Shape, list[float], int], _Made]] = {
    "normalise": _normalise,
    "multiply": _multiply,
    "pad": _pad,
    "maxpool": _max_pool,
    "avgpool": _average_pool,
    "resample": _resample,
    "rearrange": _rearrange,
}
