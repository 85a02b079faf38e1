"""Post-training quantisation: folded float blocks become integer layers.

Activations are symmetric with one scale a tensor, weights symmetric with one scale an output
channel, biases 32-bit integers in the accumulator's scale. Scales come from calibration inputs
(percentile or largest magnitude, times headroom); values on a power-of-two grid, as in networks
trained with quantisation, keep that grid and lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen import numerics, reference
from winogen.accuracy import LayerReport, measure
from winogen.errors import InputError, QuantisationError
from winogen.fold import Block, fold
from winogen.graph import Graph, InputSpec
from winogen.lower import ConvShape
from winogen.numerics import Requantiser, int_range

#: Normal latents are quantised over +-4.5 standard deviations.
LATENT_SIGMAS = 4.5
#: Real half range of the pre-activation of each tabulated function, for 8 and 16 bits: beyond
#: it the function is within half a step of its limit (8 bits), or a few steps (16 bits).
TABLE_RANGE = {("tanh", 8): 4.0, ("sigmoid", 8): 8.0, ("tanh", 16): 8.0, ("sigmoid", 16): 16.0}
#: Bits of the worst-case sum: Winograd needs four times it within the accumulator.
_SUM_BITS = {8: 29, 16: 45}
#: Inputs that the quality of a quantised network is measured on.
CHECKED_INPUTS = 16


@dataclass(frozen=True)
class Calibration:
    """How activation ranges are chosen.

    ``percentile`` of the magnitudes (100 takes the largest), times ``headroom``.
    """

    percentile: float
    headroom: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise InputError(f"calibration percentile must be in (0, 100], not {self.percentile}")
        if not (np.isfinite(self.headroom) and self.headroom > 0):
            raise InputError(f"calibration headroom must be positive, not {self.headroom}")


#: int8 clips the rarest values for a finer step; int16 has bits to spare and must not clip.
DEFAULT_CALIBRATION = {8: Calibration(99.99), 16: Calibration(100.0, 1.25)}


@dataclass(frozen=True)
class TensorFormat:
    """What the integers of a tensor stand for: ``real = (q - zero_point) * scale``."""

    scale: float
    zero_point: float = 0.0

    def quantise(self, x: NDArray, data_width: int) -> NDArray[np.int64]:
        """Nearest integers of real values, rounding half up, saturated to the data width."""
        with np.errstate(over="ignore"):  # what overflows saturates
            q = np.floor(np.asarray(x, np.float64) / self.scale + self.zero_point + 0.5)
        return np.clip(q, *int_range(data_width)).astype(np.int64)

    def dequantise(self, q: NDArray) -> NDArray[np.float32]:
        """Real values of integers."""
        return ((q.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


@dataclass
class QuantLayer:
    """One layer in integers.

    Attributes
    ----------
    name, label : of the value that it produces; of the layer, for people
    weight : int64 (cout, cin, kh, kw), or (sources, channels, kh, kw) if ``diagonal``
    bias : int64 (cout,), or (cout, h, w) by phase, in the accumulator's scale
    requantiser : constants of shape (cout,)
    table : activation table (1025,) int16, or None
    """

    name: str
    label: str
    sources: tuple[str, ...]
    shape: ConvShape
    diagonal: bool
    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    requantiser: Requantiser
    table: NDArray[np.int16] | None
    format: TensorFormat

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.bias)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns of the output."""
        return (self.channels, *self.shape.output_size)


@dataclass
class QuantNetwork:
    """A network in integers, as exact on every device as in :func:`run_integer`."""

    name: str
    data_width: int
    input: InputSpec
    input_format: TensorFormat
    output_range: tuple[float, float] | None
    layers: list[QuantLayer]
    report: list[LayerReport] = field(default_factory=list)
    #: Whether the report's inputs are others than those of the calibration.
    held_out: bool = False

    @property
    def output_format(self) -> TensorFormat:
        """What the output's integers stand for."""
        return self.layers[-1].format

    def resized(self, graph: Graph) -> QuantNetwork:
        """The same integers for the graph's input of another size (see ``Graph.resized``)."""
        shapes = {block.name: block.shape for block in fold(graph)}
        layers = [replace(layer, shape=shapes[layer.name]) for layer in self.layers]
        return replace(self, input=graph.input, layers=layers)

    def quantise_input(self, x: NDArray) -> NDArray[np.int64]:
        """Integers (N, C, H, W) of real inputs (N, C, H, W) or (N, latent)."""
        x = as_batch(self.input, x, "inputs")
        return self.input_format.quantise(x, input_bits(self.input, self.data_width))


def as_batch(spec: InputSpec, x: NDArray, what: str) -> NDArray:
    """``x`` as (N, C, H, W), from (N, latent) too; InputError if it has another shape."""
    x = np.asarray(x)
    if x.ndim == 2 and spec.shape[1:] == (1, 1):
        x = x[:, :, None, None]
    if x.ndim != 4 or x.shape[1:] != spec.shape:
        expected = ", ".join(map(str, spec.shape))
        raise InputError(f"the {what} have shape {x.shape}, expected (N, {expected})")
    return x


def input_bits(spec: InputSpec, data_width: int) -> int:
    """Bits of an input integer: a scale that the model was trained with belongs to 8 bits."""
    return data_width if spec.scale is None else 8


def sample_inputs(spec: InputSpec, count: int, seed: int) -> NDArray[np.float32]:
    """Reproducible inputs (count, C, H, W) as the network expects them; images are noise with
    the spectrum and the edges of photographs."""
    rng = np.random.default_rng(seed)
    if spec.distribution == "normal":
        return rng.standard_normal((count, *spec.shape)).astype(np.float32)
    if spec.kind == "latent":
        return rng.uniform(-1, 1, (count, *spec.shape)).astype(np.float32)
    low, high = spec.range or (0, 1)
    return (low + (high - low) * _scenes(rng, count, spec.shape)).astype(np.float32)


def _scenes(
    rng: np.random.Generator, count: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Images in [0, 1] like photographs to a network: smooth surfaces, and edges where one ends."""
    front, back, outline = (_smooth_noise(rng, count, shape) for _ in range(3))
    return np.where(outline > np.median(outline, axis=(2, 3), keepdims=True), front, back)


def _smooth_noise(
    rng: np.random.Generator, count: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Images in [0, 1] whose spectrum falls like a photograph's (1/f)."""
    _, rows, columns = shape
    fy, fx = np.meshgrid(np.fft.fftfreq(rows), np.fft.rfftfreq(columns), indexing="ij")
    weight = 1 / np.maximum(np.hypot(fy, fx), 1 / max(rows, columns, 2))
    noise = np.fft.rfft2(rng.standard_normal((count, *shape)))
    images = np.fft.irfft2(noise * weight, s=(rows, columns))
    low = images.min(axis=(2, 3), keepdims=True)
    high = images.max(axis=(2, 3), keepdims=True)
    return ((images - low) / np.maximum(high - low, 1e-9)).astype(np.float32)


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


@dataclass(frozen=True)
class Observed:
    """What the float network does on its calibration inputs, and on inputs to check with.

    Attributes
    ----------
    values : the input (N, C, H, W) and every block's output over the calibration inputs
    checked, expected : inputs to check with, and every block's output for them
    held_out : whether calibration did not see the checked inputs
    """

    graph: Graph
    blocks: list[Block]
    values: dict[str, NDArray]
    checked: NDArray[np.float32]
    expected: dict[str, NDArray]
    held_out: bool


def observe(
    graph: Graph, inputs: NDArray[np.float32] | None = None, *, samples: int = 64, seed: int = 0
) -> Observed:
    """Run the float network for calibration; see :func:`quantise`.

    Inputs to check with are drawn by the next seed; they are the first of ``inputs`` if given.
    """
    drawn = inputs is None
    if inputs is None:
        if samples < 1:
            raise InputError(f"calibration needs at least one sample, not {samples}")
        inputs = sample_inputs(graph.input, samples, seed)
    inputs = as_batch(graph.input, np.asarray(inputs, np.float32), "calibration inputs")
    if not len(inputs) or not np.all(np.isfinite(inputs)):
        raise InputError("calibration inputs are empty or hold NaN or infinity")
    blocks = fold(graph)
    wanted = {Graph.INPUT_NAME, *(b.name for b in blocks)}

    def run(x: NDArray[np.float32]) -> dict[str, NDArray]:
        kept: dict[str, NDArray] = {}
        reference.run(graph, x, lambda n, v: kept.__setitem__(n, v) if n in wanted else None)
        return kept

    values = run(inputs)
    if not drawn:
        expected = {name: v[:CHECKED_INPUTS] for name, v in values.items()}
        return Observed(graph, blocks, values, inputs[:CHECKED_INPUTS], expected, False)
    checked = sample_inputs(graph.input, min(CHECKED_INPUTS, samples), seed + 1)
    return Observed(graph, blocks, values, checked, run(checked), True)


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
    graph, blocks = observed.graph, observed.blocks
    formats = _formats(graph, blocks, observed.values, data_width, calibration)
    say("quantising")
    layers = [_quantise_block(observed, b, formats, data_width) for b in blocks]
    network = QuantNetwork(
        graph.name,
        data_width,
        graph.input,
        formats[Graph.INPUT_NAME],
        graph.output_range,
        layers,
        held_out=observed.held_out,
    )
    say("measuring")
    q = network.quantise_input(observed.checked)
    for layer, (name, integers) in zip(layers, integer_activations(network, q)):
        network.report.append(
            measure(
                layer.label,
                integers,
                layer.format.dequantise(integers),
                observed.expected[name],
                layer.format.scale,
                int_range(data_width),
                graph.output_range if layer is layers[-1] else None,
            )
        )
    return network


def run_integer(network: QuantNetwork, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) for input integers (N, C, H, W).

    The definition of right: plain integer (transposed) convolutions, then requantisation.
    """
    out = x
    for _, out in integer_activations(network, x):  # noqa: B007 (the last one counts)
        pass
    return out


def integer_activations(
    network: QuantNetwork, x: NDArray[np.int64]
) -> Iterable[tuple[str, NDArray[np.int64]]]:
    """Name and integers (N, C, H, W) of every layer's output, in order."""
    values = {Graph.INPUT_NAME: np.asarray(x, np.int64)}
    last_use = {s: i for i, layer in enumerate(network.layers) for s in layer.sources}
    for i, layer in enumerate(network.layers):
        values[layer.name] = run_layer(
            layer, [values[s] for s in layer.sources], network.data_width
        )
        yield layer.name, values[layer.name]
        for source in layer.sources:
            if last_use[source] == i:
                values.pop(source, None)


def run_layer(
    layer: QuantLayer, inputs: list[NDArray[np.int64]], data_width: int
) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) of one layer."""
    acc = with_bias(layer, accumulate(layer, inputs))
    return requantise(layer, numerics.wrap(acc, numerics.accumulator_bits(data_width)), data_width)


def with_bias(layer: QuantLayer, acc: NDArray[Any]) -> NDArray[Any]:
    """Sums of products (N, C, H, W) with the layer's bias."""
    return acc + reference.spread(layer.bias, acc.shape[2:])


def requantise(layer: QuantLayer, acc: NDArray[np.int64], data_width: int) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) of one layer for its accumulators, bias included."""
    out = layer.requantiser(np.moveaxis(acc, 1, -1))
    if layer.table is not None:
        out = numerics.apply_table(layer.table, out, data_width)
    return np.moveaxis(out, -1, 1)


def accumulate(layer: QuantLayer, inputs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Exact sums of products (N, C, H, W) of one layer, without bias."""
    return sums_of_products(layer.shape, layer.diagonal, inputs, layer.weight).astype(np.int64)


def sums_of_products(
    shape: ConvShape, diagonal: bool, inputs: Sequence[NDArray], weight: NDArray
) -> NDArray[np.float64]:
    """Sums of products (N, C, H, W) of a layer or block; exact for integers up to 2**53."""
    if diagonal:  # one channel at a time is its own batch item
        out: Any = 0
        for x, w in zip(inputs, weight):
            parts = [_convolve(shape, x[:, c : c + 1], w[c][None, None]) for c in range(len(w))]
            out = out + np.concatenate(parts, axis=1)
        return np.asarray(out)
    return _convolve(shape, np.concatenate(inputs, axis=1), weight)


def _convolve(shape: ConvShape, x: NDArray, weight: NDArray) -> NDArray[np.float64]:
    """Plain (transposed) convolution in float64."""
    after = []
    for n, k, s, pad, out in zip(
        shape.input_size, shape.kernel, shape.stride, shape.pad, shape.output_size
    ):
        if shape.transposed:
            after.append((n - 1) * s + k - pad - out)
        else:
            # A stride may leave samples over at the end; no output reads them.
            after.append(max((out - 1) * s + k - n - pad, 0))
    edges = (shape.pad[0], after[0], shape.pad[1], after[1])
    xf, wf = x.astype(np.float64), weight.astype(np.float64)
    if shape.transposed:
        sums = reference.deconv2d(xf, wf.swapaxes(0, 1), shape.stride, edges)
    else:
        sums = reference.conv2d(xf, wf, shape.stride, edges)
    rows, columns = shape.output_size
    return sums[:, :, :rows, :columns]


def _formats(
    graph: Graph,
    blocks: list[Block],
    kept: dict[str, NDArray],
    data_width: int,
    calibration: Calibration,
) -> dict[str, TensorFormat]:
    """The format of the input and of every block's output."""
    top = int_range(data_width)[1]
    spec = graph.input
    if spec.scale is not None:
        formats = {Graph.INPUT_NAME: TensorFormat(spec.scale)}
    elif spec.distribution == "normal":
        formats = {Graph.INPUT_NAME: TensorFormat(LATENT_SIGMAS / top)}
    else:
        formats = {Graph.INPUT_NAME: TensorFormat(max(map(abs, spec.range or (0, 1))) / top)}
    for block in blocks:
        if block.step is not None:
            formats[block.name] = TensorFormat(block.step)
            if block.high.max() / block.step > top:
                raise QuantisationError(
                    f"layer '{block.label}': its {block.high.max() / block.step:.0f} trained steps "
                    f"do not fit {data_width} bits"
                )
        elif block.function:
            formats[block.name] = TensorFormat(1 / top)
        else:
            # All zero: any scale holds it, and its inputs' keeps the requantiser in range.
            reach = _magnitude(kept[block.name], calibration)
            scale = _short(max(reach, 1e-8) / top) if reach else formats[block.sources[0]].scale
            formats[block.name] = TensorFormat(scale)
    # Values that meet in one sum must share a scale: the coarsest of them.
    for _ in blocks:
        for block in blocks:
            scale = max(formats[s].scale for s in block.sources)
            for source in block.sources:
                formats[source] = TensorFormat(scale)
    formats[blocks[-1].name] = _output_format(graph, blocks[-1], formats, data_width)
    return formats


def _short(scale: float) -> float:
    """``scale`` rounded up to 12 significant bits.

    Calibration is in floating point, whose last bits differ between processors; this keeps them
    out of the program, so that the same seed gives the same program nearly everywhere.
    """
    mantissa, exponent = np.frexp(scale)
    return float(np.ldexp(np.ceil(mantissa * 4096) / 4096, exponent))


def _magnitude(values: NDArray, calibration: Calibration) -> float:
    magnitude = np.abs(values).ravel()
    if calibration.percentile == 100:
        reach = float(magnitude.max())
    else:
        rank = int(np.ceil(calibration.percentile / 100 * len(magnitude))) - 1
        reach = float(np.partition(magnitude, rank)[rank])
        if reach == 0:
            reach = float(magnitude.max())
    return reach * calibration.headroom


def _image_bounds(graph: Graph, block: Block) -> tuple[float, float] | None:
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
    bounds = _image_bounds(graph, block)
    if bounds is None:
        return formats[block.name]
    low, high = int_range(data_width)
    scale = (bounds[1] - bounds[0]) / (high - low)
    return TensorFormat(scale, low - bounds[0] / scale)


def _quantise_block(
    observed: Observed, block: Block, formats: dict[str, TensorFormat], data_width: int
) -> QuantLayer:
    graph = observed.graph
    low, high = int_range(data_width)
    input_scale = formats[block.sources[0]].scale
    out = formats[block.name]
    bounds = _image_bounds(graph, block) if block is observed.blocks[-1] else None
    table = None
    target_scale, target_low, target_high = out.scale, low, high
    if block.function or bounds is not None:
        half_range = TABLE_RANGE.get((block.function or "", data_width))
        half_range = half_range or _power_of_two_above(bounds)
        table = _table(block, out, half_range, data_width, bounds)
        target_low, target_high = int_range(numerics.PREACTIVATION_BITS)
        target_scale = half_range / (1 << (numerics.PREACTIVATION_BITS - 1))

    weight, scale = _quantise_weight(block, input_scale, data_width)
    unit = input_scale * scale  # real value of one accumulator unit, (cout,)
    column = (-1,) + (1,) * (block.bias.ndim - 1)
    missing = _mean_error(observed, block, weight, scale, formats, data_width)
    bias = block.bias + missing.reshape(column)
    bias = np.floor(bias / unit.reshape(column) + 0.5).astype(np.int64)
    _check_sum(graph, block, weight, bias, data_width)

    ratio = unit / target_scale
    steepest = np.maximum(1.0, np.abs(block.slope))
    try:
        _, shift = numerics.fixed_point(ratio * steepest)
    except ValueError as error:
        raise QuantisationError(f"layer '{block.label}' of model {graph.name}: {error}") from None
    power = numerics.powers_of_two(shift)
    top = int_range(numerics.MULTIPLIER_BITS)[1]
    positive = np.minimum(np.floor(ratio * power + 0.5), top).astype(np.int64)
    negative = np.clip(np.floor(ratio * block.slope * power + 0.5), -top, top).astype(np.int64)
    clamp = [
        np.clip(np.floor(b / target_scale + 0.5), target_low, target_high).astype(np.int64)
        for b in (block.low, block.high)
    ]
    requantiser = Requantiser(positive, negative, shift, clamp[0], clamp[1])
    return QuantLayer(
        block.name,
        block.label,
        block.sources,
        block.shape,
        block.diagonal,
        weight,
        bias,
        requantiser,
        table,
        out,
    )


def _power_of_two_above(bounds: tuple[float, float] | None) -> float:
    assert bounds is not None
    return float(2.0 ** np.ceil(np.log2(max(abs(bounds[0]), abs(bounds[1]), 1e-6))))


def _table(
    block: Block,
    out: TensorFormat,
    half_range: float,
    data_width: int,
    bounds: tuple[float, float] | None,
) -> NDArray[np.int16]:
    lsb = 1 << (16 - data_width)
    low, high = int_range(data_width)
    # The hardware rounds the table's 16 bits to 8; entries rounded down make that one rounding.
    rounding = 0.0 if data_width == 8 else 0.5

    def code(x: NDArray[np.float64]) -> NDArray[np.float64]:
        if block.function == "tanh":
            y = np.tanh(x)
        elif block.function == "sigmoid":
            y = 1 / (1 + np.exp(-x))
        else:
            assert bounds is not None
            y = np.clip(x, *bounds)
        codes = np.clip(y / out.scale + out.zero_point, low, high)
        return np.floor(codes * lsb + rounding)

    return numerics.activation_table(code, half_range)


def _quantise_weight(
    block: Block, input_scale: float, data_width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Integer weights and the scale of each output channel (cout,)."""
    top = int_range(data_width)[1]
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
    scale = np.maximum(scale, bias / (input_scale * 2.0 ** (_SUM_BITS[data_width] - 2)))
    scale = np.where(scale == 0, 1.0, scale)
    shaped = scale.reshape((1, -1, 1, 1) if block.diagonal else (-1, 1, 1, 1))
    weight = np.clip(np.floor(block.weight / shaped + 0.5), -top, top)
    return weight.astype(np.int64), scale


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


def _check_sum(
    graph: Graph,
    block: Block,
    weight: NDArray[np.int64],
    bias: NDArray[np.int64],
    data_width: int,
) -> None:
    """Refuse a layer whose sums could wrap: four times the worst case must fit the accumulator."""
    axes = (0, 2, 3) if block.diagonal else (1, 2, 3)
    worst = np.abs(weight).sum(axis=axes) << (data_width - 1)
    worst = worst + np.abs(bias.reshape(block.channels, -1)).max(axis=1)
    limit = 1 << _SUM_BITS[data_width]
    if np.any(worst >= limit):
        raise QuantisationError(
            f"layer '{block.label}' of model {graph.name}: its sums can reach {worst.max()}, over "
            f"the {limit} that {data_width}-bit hardware adds exactly; split its input channels"
        )
