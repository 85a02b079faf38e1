"""A network's outline: all of it that decides speed and memory, without calibration.

Cycles and bytes follow from the layers' geometry and from which of the packed constants are equal.
Weights have scales of their own, so they are those of the program; what calibration decides (the
scales of activations, and with them biases and multipliers) has made-up values of the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from winogen.common.errors import QuantisationError
from winogen.compiler.between import host_operands
from winogen.compiler.block import Block
from winogen.compiler.quantise import quantise_weight
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.scales import image_bounds, trained_format
from winogen.compiler.sums import check_sums
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat
from winogen.target import numerics
from winogen.target.numerics import Requantiser, int_range

#: The functions that have an activation table; None stands for the bounds of an image.
_TABULATED = ("tanh", "sigmoid", "function", None)


@dataclass(frozen=True)
class Outline:
    """What can be said of a quantised network before calibration.

    Attributes
    ----------
    network : schedules as the calibrated one does, and computes nothing that is right
    problems : a sentence on each layer that cannot be quantised, whatever calibration sees
    """

    network: QuantNetwork
    problems: tuple[str, ...]


def outline(graph: Graph, blocks: Sequence[Block], data_width: int) -> Outline:
    """The outline of a graph that was folded to these blocks, at ``data_width`` bits (8 or 16)."""
    unit = TensorFormat(1 / int_range(data_width)[1])
    layers: list[QuantLayer] = []
    problems: list[str] = []
    for block in blocks:
        try:
            if block.step is not None:
                trained_format(block, block.step, data_width)
            number = len(layers)
            layer = _layer(graph, block, unit, data_width, number, last=block.name in graph.outputs)
            layers.append(_unlike(layer, number))
        except QuantisationError as error:
            problems.append(str(error))
    network = QuantNetwork(
        graph.name, data_width, graph.input, unit, graph.output_range, layers, graph.exits
    )
    return Outline(network, tuple(problems))


def _unlike(layer: QuantLayer, number: int) -> QuantLayer:
    """The layer with constants that no other has: equal ones would share a place in memory."""
    own = np.full(layer.channels, number % (1 << (numerics.MULTIPLIER_BITS - 1)), np.int64)
    return replace(layer, requantiser=replace(layer.requantiser, negative=own))


def _layer(
    graph: Graph,
    block: Block,
    unit: TensorFormat,
    data_width: int,
    number: int,
    *,
    last: bool,
) -> QuantLayer:
    operands, input_scale = None, unit.scale
    if block.host is not None:
        formats = dict.fromkeys((*block.sources, block.name), unit)
        operands, input_scale = host_operands(graph, block, formats, data_width)
    weight, scale = quantise_weight(block, input_scale, data_width)
    where = f"layer '{block.label}' of model {graph.name}"
    no_bias = np.zeros(block.bias.shape, np.int64)
    if operands is None:
        check_sums(where, block.shape, block.diagonal, weight, no_bias, data_width)
    column = (-1,) + (1,) * (block.bias.ndim - 1)
    bias = np.floor(block.bias / (input_scale * scale.reshape(column)) + 0.5).astype(np.int64)
    multiplier, shift = numerics.fixed_point(scale / scale.max())
    low, high = (np.full(block.channels, v, np.int64) for v in int_range(data_width))
    table = None
    if block.function or (last and image_bounds(graph, block) is not None):
        kind = 2 * _TABULATED.index(block.function) + last  # the last has a format of its own
        if block.curve:  # its range follows from calibration
            kind = 2 * len(_TABULATED) + number
        table = np.full(numerics.TABLE_ENTRIES, kind, np.int16)
    return QuantLayer(
        block.name,
        block.label,
        block.sources,
        block.shape,
        block.diagonal,
        weight,
        bias,
        Requantiser(multiplier, multiplier, shift, low, high),
        table,
        unit,
        operands,
    )
