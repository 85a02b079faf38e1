"""Scales: what the integers of every tensor stand for, from what calibration has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import QuantisationError
from winogen.compiler.block import Block
from winogen.compiler.calibrate import Calibration, Observed
from winogen.network.graph import Graph
from winogen.program.formats import LATENT_SIGMAS, TensorFormat
from winogen.target.numerics import int_range


def choose_formats(
    observed: Observed, data_width: int, calibration: Calibration
) -> dict[str, TensorFormat]:
    """The format of the input and of every block's output, by name.

    Raises QuantisationError, naming the layer, where a trained scale does not fit the data width.
    """
    graph, blocks = observed.graph, observed.blocks
    top = int_range(data_width)[1]
    spec = graph.input
    if spec.scale is not None:
        formats = {Graph.INPUT_NAME: TensorFormat(spec.scale)}
    elif spec.distribution == "normal":
        scale = LATENT_SIGMAS / top
        if any(part.kind == "label" for part in spec.parts):  # which then is exactly 1
            scale = 1 / int(1 / scale)
        formats = {Graph.INPUT_NAME: TensorFormat(scale)}
    else:
        formats = {Graph.INPUT_NAME: TensorFormat(max(map(abs, spec.range or (0, 1))) / top)}
    trained = graph.trained_bits == data_width
    for block in blocks:
        if trained and block.scale is not None:
            formats[block.name] = TensorFormat(block.scale)
        elif block.step is not None:
            formats[block.name] = trained_format(block, block.step, data_width)
        elif block.function and not block.curve:
            formats[block.name] = TensorFormat(1 / top)
        else:
            # All zero: any scale holds it, and its inputs' keeps the requantiser in range.
            values = observed.values[block.name]
            reach = _percentile(values, calibration.percentile) * _headroom(observed, calibration)
            scale = _short(max(reach, 1e-8) / top) if reach else formats[block.sources[0]].scale
            formats[block.name] = TensorFormat(scale)
    # Values that meet in one sum must share a scale: the coarsest of them.
    groups = [group for block in blocks for group in meeting(block)]
    for _ in blocks:
        for group in groups:
            scale = max(formats[s].scale for s in group)
            for source in group:
                formats[source] = TensorFormat(scale)
    for block in blocks:
        if block.name in graph.outputs:
            formats[block.name] = _output_format(graph, block, formats, data_width)
    return formats


def meeting(block: Block) -> list[tuple[str, ...]]:
    """The values of one scale at a block: its sources, or those of each operand of the host's.

    What only picks some of its values has their scale too, so that nothing is rounded.
    """
    if block.host is None:
        return [block.sources]
    plain = np.all(block.weight == 1) and not np.any(block.bias) and np.all(abs(block.slope) <= 1)
    if block.host.keeps_scale and plain and not block.function and block.step is None:
        return [(*block.sources, block.name)]
    return block.host.operands(block.sources)


def trained_format(block: Block, step: float, data_width: int) -> TensorFormat:
    """The format with the step that a block was trained with.

    Raises QuantisationError if it is too fine.
    """
    if block.high.max() / step > int_range(data_width)[1]:
        raise QuantisationError(
            f"layer '{block.label}': its {block.high.max() / step:.0f} trained steps "
            f"do not fit {data_width} bits"
        )
    return TensorFormat(step)


def _short(scale: float) -> float:
    """``scale`` rounded up to 12 significant bits.

    Calibration is in floating point, whose last bits differ between processors; this keeps them
    out of the program, so that the same seed gives the same program nearly everywhere.
    """
    mantissa, exponent = np.frexp(scale)
    return float(np.ldexp(np.ceil(mantissa * 4096) / 4096, exponent))


def _headroom(observed: Observed, calibration: Calibration) -> float:
    """The factor on ranges that were observed so."""
    spec = observed.graph.input
    drawn = observed.held_out and (spec.kind, spec.distribution) == ("image", "uniform")
    return calibration.headroom if calibration.drawn is None or not drawn else calibration.drawn


def _percentile(values: NDArray, percentile: float) -> float:
    magnitude = np.abs(values).ravel()
    if percentile == 100:
        reach = float(magnitude.max())
    else:
        rank = int(np.ceil(percentile / 100 * len(magnitude))) - 1
        reach = float(np.partition(magnitude, rank)[rank])
        if reach == 0:
            reach = float(magnitude.max())
    return reach


def image_bounds(graph: Graph, block: Block) -> tuple[float, float] | None:
    """The real range of an output that is bounded, so that all codes can be spent on it."""
    if block.function == "tanh":
        return (-1.0, 1.0)
    if block.function == "sigmoid":
        return (0.0, 1.0)
    low, high = float(block.low.min()), float(block.high.max())
    bounded = np.isfinite(low) and np.isfinite(high) and low < high
    if graph.output_range and bounded and block.step is None:
        return low, high
    return None


def _output_format(
    graph: Graph, block: Block, formats: dict[str, TensorFormat], data_width: int
) -> TensorFormat:
    bounds = image_bounds(graph, block)
    if bounds is None:
        return formats[block.name]
    low, high = int_range(data_width)
    scale = (bounds[1] - bounds[0]) / (high - low)
    return TensorFormat(scale, low - bounds[0] / scale)
