"""Post-training quantisation: folded float blocks become integer layers.

Activations are symmetric with one scale a tensor, weights symmetric with one scale an output
channel, biases 32-bit integers in the accumulator's scale. Scales come from calibration inputs
(percentile or largest magnitude, times headroom); values on a power-of-two grid, as in networks
trained with quantisation, keep that grid and lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, QuantisationError
from winogen.compiler.between import host_operands
from winogen.compiler.block import Block
from winogen.compiler.calibrate import DEFAULT_CALIBRATION, Calibration, Observed, observe
from winogen.compiler.functions import (
    TABLE_RANGE,
    codes_of,
    half_range,
    power_of_two_above,
    table_error,
    table_of,
)
from winogen.compiler.integers import sums_of_products
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.scales import choose_formats, image_bounds
from winogen.compiler.sums import SUM_BITS, check_sums
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat, input_bits
from winogen.target import numerics
from winogen.target.numerics import Requantiser, int_range

#: More than any sum may be: larger biases are refused as this is.
_LARGEST_BIAS = float(1 << 48)
#: Units of the sums in the half range of a table, at least: half of what requantisers can multiply
#: a unit by is 2^13 steps, of which half a range has 2^15.
_LEAST_UNITS = 4.0


def quantise(
    graph: Graph,
    data_width: int = 8,
    *,
    calibration: Calibration | None = None,
    inputs: NDArray[np.float32] | None = None,
    samples: int = 64,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> QuantNetwork:
    """Quantise a network to ``data_width`` bits (8 or 16).

    ``inputs`` (N, C, H, W) calibrate it; without them ``samples`` are drawn by ``seed``.
    Raises QuantisationError, naming the layer, where exactness cannot be guaranteed, and
    UnsupportedLayerError where a layer cannot run.
    """
    say = progress or (lambda _: None)
    say("calibrating")
    observed = observe(graph, inputs, samples=samples, seed=seed)
    return quantise_observed(observed, data_width, calibration=calibration, progress=progress)


def quantise_observed(
    observed: Observed,
    data_width: int = 8,
    *,
    calibration: Calibration | None = None,
    progress: Callable[[str], None] | None = None,
) -> QuantNetwork:
    """Quantise a network that was run for calibration; see :func:`quantise`."""
    if data_width not in (8, 16):
        raise InputError(f"data width must be 8 or 16 bits, not {data_width}")
    calibration = calibration or DEFAULT_CALIBRATION[data_width]
    say = progress or (lambda _: None)
    graph = observed.graph
    formats = choose_formats(observed, data_width, calibration)
    say("quantising")
    layers = [_quantise_block(observed, b, formats, data_width) for b in observed.blocks]
    return QuantNetwork(
        graph.name,
        data_width,
        graph.input,
        formats[Graph.INPUT_NAME],
        graph.output_range,
        layers,
        graph.exits,
    )


def _quantise_block(
    observed: Observed, block: Block, formats: dict[str, TensorFormat], data_width: int
) -> QuantLayer:
    graph = observed.graph
    input_scale = formats[block.sources[0]].scale
    out = formats[block.name]
    operands = None
    if block.host is not None:
        operands, input_scale = host_operands(graph, block, formats, data_width)
    trained = graph.trained_bits == data_width
    own = block.weight_scale if trained else None
    weight, scale = quantise_weight(block, input_scale, data_width, own)
    unit = input_scale * scale  # real value of one accumulator unit, (cout,)
    steepest = float((unit * np.maximum(1.0, np.abs(block.slope))).max())
    target = target_of(observed, block, out, data_width, least=_LEAST_UNITS * steepest)
    column = (-1,) + (1,) * (block.bias.ndim - 1)
    bias = block.bias
    if operands is None and not trained:  # training has seen to what rounding takes off
        missing = _mean_error(observed, block, weight, scale, formats, data_width)
        bias = bias + missing.reshape(column)
    with np.errstate(over="ignore"):  # what is too large for a sum is told below
        bias = np.floor(bias / unit.reshape(column) + 0.5)
    bias = np.clip(bias, -_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int64)
    where = f"layer '{block.label}' of model {graph.name}"
    if operands is None:
        check_sums(where, block.shape, block.diagonal, weight, bias, data_width)

    try:
        requantiser = requantise_block(block, unit / target.step, target)
    except ValueError as error:
        raise QuantisationError(f"{where}: {error}") from None
    return QuantLayer(
        block.name,
        block.label,
        block.sources,
        block.shape,
        block.diagonal,
        weight,
        bias,
        requantiser,
        target.table,
        out,
        operands,
        target.reach if block.curve else None,
        target.table_error,
    )


@dataclass(frozen=True)
class Target:
    """What a block's sums become: its output, or what goes into its activation table.

    Attributes
    ----------
    step : real value of one step
    bits : of it
    table : what the output is made of it by, or None: then it is the output
    table_error : the most codes that the table is off by, within what calibration saw
    """

    step: float
    bits: int
    table: NDArray[np.int16] | None = None
    table_error: float = 0.0

    @property
    def reach(self) -> float:
        """Half of its real range."""
        return self.step * (1 << (self.bits - 1))


def target_of(
    observed: Observed,
    block: Block,
    out: TensorFormat,
    data_width: int,
    *,
    least: float = 0.0,
    reach: float | None = None,
) -> Target:
    """The target of a block whose output has the format ``out``.

    The table of a function has the half range ``reach``, or else one that calibration and the
    function need, and that is no less than ``least``.
    """
    graph = observed.graph
    bounds = image_bounds(graph, block) if block.name in graph.outputs else None
    if not block.function and bounds is None:
        return Target(out.scale, data_width)
    codes = codes_of(block, out, data_width, bounds)
    if block.curve is None:
        half = TABLE_RANGE.get((block.function or "", data_width))
        if half is None:
            assert bounds is not None
            half = power_of_two_above(bounds)
        return _target(half, table_of(codes, half, data_width))
    assert block.entering is not None
    values = observed.values[block.entering]
    own = block.reach if graph.trained_bits == data_width else None
    half = reach or own or half_range(codes, values, least)
    table = table_of(codes, half, data_width)
    return _target(half, table, table_error(codes, table, half, data_width, values))


def _target(half: float, table: NDArray[np.int16], error: float = 0.0) -> Target:
    step = half / (1 << (numerics.PREACTIVATION_BITS - 1))
    return Target(step, numerics.PREACTIVATION_BITS, table, error)


def requantise_block(block: Block, ratio: NDArray[np.float64], target: Target) -> Requantiser:
    """What makes the target of a block's sums; ``ratio`` (cout,) is its steps to one unit of them.

    Raises ValueError where the multipliers cannot hold a ratio.
    """
    steepest = np.maximum(1.0, np.abs(block.slope))
    _, shift = numerics.fixed_point(ratio * steepest)
    power = numerics.powers_of_two(shift)
    top = int_range(numerics.MULTIPLIER_BITS)[1]
    positive = np.minimum(np.floor(ratio * power + 0.5), top).astype(np.int64)
    negative = np.clip(np.floor(ratio * block.slope * power + 0.5), -top, top).astype(np.int64)
    low, high = (
        np.clip(np.floor(b / target.step + 0.5), *int_range(target.bits)).astype(np.int64)
        for b in (block.low, block.high)
    )
    return Requantiser(positive, negative, shift, low, high)


def quantise_weight(
    block: Block, input_scale: float, data_width: int, trained: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Integer weights, and the scale of each output channel (cout,), ``trained`` if given."""
    top = int_range(data_width)[1]
    if trained is not None:
        return _whole_steps(block, trained, top), trained
    if block.diagonal:
        per_channel = block.weight.transpose(1, 0, 2, 3).reshape(block.channels, -1)
    else:
        per_channel = block.weight.reshape(block.channels, -1)
    largest = np.abs(per_channel).max(axis=1)
    scale = largest / top
    # A channel that already lies on a power-of-two grid keeps it, and loses nothing.
    exponent = np.floor(np.log2(np.maximum(scale, 1e-300)))
    for finer in (1, 0):
        grid = numerics.powers_of_two((exponent + finer).astype(np.int64))
        units = per_channel / grid[:, None]
        exact = np.all(units == np.round(units), axis=1) & (largest / grid <= top)
        scale = np.where(exact, grid, scale)
    # The bias must fit too: a channel with tiny weights takes a coarser scale.
    bias = np.abs(block.bias.reshape(block.channels, -1)).max(axis=1)
    scale = np.maximum(scale, bias / (input_scale * 2.0 ** (SUM_BITS[data_width] - 2)))
    scale = np.where(scale == 0, 1.0, scale)
    return _whole_steps(block, scale, top), scale


def _whole_steps(block: Block, scale: NDArray[np.float64], top: int) -> NDArray[np.int64]:
    shaped = scale.reshape((1, -1, 1, 1) if block.diagonal else (-1, 1, 1, 1))
    with np.errstate(over="ignore"):  # what is beyond all steps is the last of them
        weight = np.floor(block.weight / shaped + 0.5)
    return np.clip(weight, -top, top).astype(np.int64)


def _mean_error(
    observed: Observed,
    block: Block,
    weight: NDArray[np.int64],
    scale: NDArray[np.float64],
    formats: dict[str, TensorFormat],
    data_width: int,
) -> NDArray[np.float64]:
    """What rounding takes off a block's sums on average, (cout,): the bias gives it back.

    Rounding to the nearest is not fair to values that are nearly always the same, such as what a
    batch-norm makes of a ReLU's zeros. Clipped values are left out: they are rare and large. A
    convolution of means is the mean of convolutions, so one image is enough.
    """
    bits = dict.fromkeys(block.sources, data_width)
    bits[Graph.INPUT_NAME] = input_bits(observed.graph.input, data_width)
    exact, rounded = [], []
    for source in block.sources:
        f, values = formats[source], observed.values[source]
        low, high = f.dequantise(np.array(int_range(bits[source])))
        means = np.zeros((2, 1, *values.shape[1:]))
        for x in values:
            means[0] += np.clip(x, low, high)
            means[1] += f.quantise(x, bits[source])
        exact.append(means[0] / len(values))
        rounded.append(means[1] / len(values) * f.scale)
    wanted = sums_of_products(block.shape, block.diagonal, exact, block.weight)
    shaped = scale.reshape((1, -1, 1, 1) if block.diagonal else (-1, 1, 1, 1))
    got = sums_of_products(block.shape, block.diagonal, rounded, weight * shaped)
    # Whole quarters of a step: the last bits of the means differ between processors.
    quarter = formats[block.name].scale / 4
    return np.rint((wanted - got).mean(axis=(0, 2, 3)) / quarter) * quarter
