"""Quantised networks: exact against an independent integer model, and close to the float one."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from support import naive
from support.random_graphs import GraphBuilder, random_graph
from support.shared_models import shared_model
from support.strategies import SEEDS, examples, graphs
from winogen.common.errors import InputError, QuantisationError
from winogen.compiler import calibrate
from winogen.compiler.calibrate import Calibration, observe
from winogen.compiler.integers import integer_activations, run_integer, run_layer
from winogen.compiler.quantise import quantise, quantise_observed
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.network import reference
from winogen.network.graph import Graph, InputSpec
from winogen.program.formats import TensorFormat, sample_inputs
from winogen.quality.measure import measure_network, psnr

pytestmark = pytest.mark.filterwarnings("error")  # a NumPy warning is a lost number


def start(seed: int = 0, channels: int = 3, rows: int = 4, columns: int = 5) -> GraphBuilder:
    return GraphBuilder(seed, (channels, rows, columns))


def integers_and_floats(network: QuantNetwork, graph: Graph, x: np.ndarray):
    """Integer and float value of every layer of the network, by name."""
    kept: dict[str, np.ndarray] = {}
    reference.run(graph, x, kept.__setitem__)
    integers = dict(integer_activations(network, network.quantise_input(x)))
    return integers, {name: kept[name] for name in integers}


# --- the integer model ---------------------------------------------------------------------------


def model_layer(layer: QuantLayer, inputs: list[np.ndarray], data_width: int) -> np.ndarray:
    """One image through one layer in Python integers, from the written definitions alone."""
    bits = {8: 32, 16: 48}[data_width]
    s = layer.shape

    def convolve(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        if s.transposed:
            return naive.deconv(x, w.swapaxes(0, 1), s.stride, s.pad, s.output_size)
        return naive.conv(x, w, s.stride, s.pad, s.output_size)

    weight = layer.weight.astype(object)
    if layer.diagonal:
        acc = sum(
            np.concatenate([convolve(x[c : c + 1], w[c][None, None]) for c in range(len(w))])
            for x, w in zip(inputs, weight)
        )
    else:
        acc = convolve(np.concatenate(inputs), weight)
    out = np.zeros(acc.shape, np.int64)
    r = layer.requantiser
    for c, y, x in np.ndindex(*acc.shape):
        bias = layer.bias[c] if layer.bias.ndim == 1 else layer.bias[c, y, x]
        total = naive.wrap(int(acc[c, y, x]) + int(bias), bits)
        m = int((r.negative if total < 0 else r.positive)[c])
        value = math.floor(Fraction(total * m, 1 << int(r.shift[c])) + Fraction(1, 2))
        value = min(max(value, int(r.low[c])), int(r.high[c]))
        if layer.table is not None:
            i, f = divmod(value + 32768, 64)
            t = [int(layer.table[i]), int(layer.table[i + 1])]
            line = Fraction(t[0] * 64 + (t[1] - t[0]) * f, 64 << (16 - data_width))
            low, high = -(1 << (data_width - 1)), (1 << (data_width - 1)) - 1
            value = min(max(math.floor(line + Fraction(1, 2)), low), high)
        out[c, y, x] = value
    return out


@pytest.mark.parametrize("data_width", [8, 16])
@examples(30)
@given(graph=graphs(), seed=SEEDS)
def test_layers_equal_the_integer_model(graph, seed, data_width):
    network = quantise(graph, data_width, samples=4)
    x = network.quantise_input(sample_inputs(graph.input, 1, seed))
    values = {Graph.INPUT_NAME: x, **dict(integer_activations(network, x))}
    low, high = -(1 << (data_width - 1)), (1 << (data_width - 1)) - 1
    for layer in network.layers:
        inputs = [values[s] for s in layer.sources]
        wanted = model_layer(layer, [i[0].astype(object) for i in inputs], data_width)
        assert np.array_equal(run_layer(layer, inputs, data_width)[0], wanted), layer.name
        assert np.array_equal(values[layer.name][0], wanted)
        assert low <= wanted.min() <= wanted.max() <= high
        assert layer.output_shape == wanted.shape
        assert np.abs(layer.weight).max() <= high
    assert np.array_equal(run_integer(network, x), values[network.layers[-1].name])


@pytest.mark.parametrize("data_width", [8, 16])
def test_sums_wrap_where_the_hardware_does(data_width):
    """No quantised network gets there, but the definition of right must not depend on it."""
    b = start()
    b.conv(3)
    network = quantise(b.graph(), data_width, samples=4)
    (layer,) = network.layers
    top = (1 << {8: 31, 16: 47}[data_width]) - 1
    layer.bias = np.array([top, -top - 1, 0])
    x = network.quantise_input(sample_inputs(network.input, 1, 0))
    wanted = model_layer(layer, [x[0].astype(object)], data_width)
    assert {*np.sign(wanted[:2]).ravel().tolist()} == {-1, 1}
    assert np.array_equal(run_layer(layer, [x], data_width)[0], wanted)


@pytest.mark.parametrize(("data_width", "bar"), [(8, 26), (16, 65)])
def test_random_networks_stay_close_to_the_float_network(data_width, bar):
    results = []
    for seed in range(60):
        graph = random_graph(seed)
        network = quantise(graph, data_width, samples=32, calibration=Calibration(100, 1.25))
        x = sample_inputs(graph.input, 8, 99)
        y = reference.run(graph, x)
        peak = float(y.max() - y.min())
        if peak == 0:
            continue
        got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
        results.append(psnr(got, y, peak))
    assert len(results) > 50
    assert min(results) >= bar


@pytest.mark.parametrize("size", range(4, 10))
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (1, 2), (3, 2), (2, 3), (1, 3)])
def test_strided_convolutions_that_leave_samples_over(size, kernel, stride):
    """(n + pad - k) need not be a multiple of the stride: the last samples are read by nothing."""
    b = start(rows=size, columns=4)
    b.conv(2, kernel, stride, 0)
    graph = b.graph()
    x = sample_inputs(graph.input, 2, 1)
    network = quantise(graph, 16, inputs=x)
    integers, floats = integers_and_floats(network, graph, x)
    got = network.output_format.dequantise(integers[graph.output_name])
    assert got.shape == floats[graph.output_name].shape
    assert np.abs(got - floats[graph.output_name]).max() < 0.001


# --- trained networks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "bar8"),
    [
        ("dcgan_mnist28_ganjax", 39.1),
        ("dcgan_faces32_fletcher", 42.0),
        pytest.param("dcgan_anime64_keras", 26.0, marks=pytest.mark.long),
    ],
)
def test_trained_networks_reach_what_a_good_quantiser_reaches(folder, bar8):
    """Within 1 dB of a good int8, 59 dB at int16: 64 calibration latents, 128 others to test."""
    graph = shared_model(folder)
    assert graph.output_range is not None
    x = sample_inputs(graph.input, 128, 1)
    y = reference.run(graph, x)
    for data_width, bar in ((8, bar8 - 1), (16, 59)):
        network = quantise(graph, data_width, samples=64)
        got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
        assert psnr(got, y, graph.output_range[1] - graph.output_range[0]) >= bar, data_width


def test_super_resolution_stays_close():
    graph = shared_model("fsrcnn_x2_nhat")
    x = sample_inputs(graph.input, 2, 1)
    y = reference.run(graph, x)
    for data_width, bar in ((8, 38), (16, 59)):
        network = quantise(graph, data_width, samples=4)
        got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
        assert psnr(got, y, 1.0) >= bar


@pytest.mark.parametrize("data_width", [8, 16])
def test_a_network_of_integers_loses_nothing(data_width):
    """Trained on weights k/8 and activations k/16: every value must come out exactly."""
    graph = shared_model("dcgan_mnist32_qdcgan_w4a4")
    network = quantise(graph, data_width)
    x = sample_inputs(graph.input, 128, 1)
    integers, floats = integers_and_floats(network, graph, x)
    *hidden, last = network.layers
    for layer in hidden:
        assert layer.format.scale == 1 / 16
        assert np.array_equal(integers[layer.name] * layer.format.scale, floats[layer.name])
        assert np.array_equal(layer.weight * 1.0, np.round(layer.weight))
    image, exact = integers[last.name], floats[last.name].astype(np.float64)
    if data_width == 8:
        wanted = np.clip(np.floor((exact + 1) / 2 * 255 + 0.5), 0, 255)
        assert np.array_equal(image + 128, wanted)
    else:
        assert np.abs(last.format.dequantise(image) - exact).max() < 1e-3


def test_its_pre_activations_are_exact_too():
    """The sums before tanh, in their own unit, are those of the float network bit for bit."""
    graph = shared_model("dcgan_mnist32_qdcgan_w4a4")
    network = quantise(graph)
    x = sample_inputs(graph.input, 16, 2)
    kept: dict[str, np.ndarray] = {}
    reference.run(graph, x, kept.__setitem__)
    values = dict(integer_activations(network, network.quantise_input(x)))
    last, before = network.layers[-1], network.layers[-2]
    r = last.requantiser
    pre = r(np.moveaxis(_sums(last, values[before.name]), 1, -1))
    exact = np.clip(kept["deconv4"].astype(np.float64) / (4.0 / 32768), -32768, 32767)
    assert np.array_equal(np.moveaxis(pre, -1, 1), np.floor(exact + 0.5))


def _sums(layer: QuantLayer, x: np.ndarray) -> np.ndarray:
    s = layer.shape
    w = layer.weight.swapaxes(0, 1)
    return np.stack([naive.deconv(one, w, s.stride, s.pad, s.output_size) for one in x])


def rounded_up(scale: float, exact: float) -> bool:
    """Whether ``scale`` is ``exact`` rounded up to 12 significant bits."""
    assert (math.frexp(scale)[0] * 4096).is_integer()
    return exact * (1 - 1e-6) <= scale <= exact * (1 + 2**-11)


# --- scales --------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "concat"])
@pytest.mark.parametrize("data_width", [8, 16])
def test_values_that_meet_share_the_coarsest_scale(op, data_width):
    b = start()
    small = b.conv(3)
    b.nodes[-1].params["weight"] *= 0.01
    b.nodes[-1].params["bias"] *= 0.01
    large = b.conv(3)
    b.nodes[-1].params["weight"] *= 1000
    b.add(op, small, large)
    if op == "concat":
        b.conv(2)
    graph = b.graph()
    network = quantise(graph, data_width, calibration=Calibration(100))
    formats = {layer.name: layer.format for layer in network.layers}
    assert formats[small] == formats[large]
    kept: dict[str, np.ndarray] = {}
    reference.run(graph, sample_inputs(graph.input, 64, 0), kept.__setitem__)
    top = (1 << (data_width - 1)) - 1
    assert rounded_up(formats[large].scale, np.abs(kept[large]).max() / top)


def test_ties_pass_through_chains_and_reach_the_input():
    b = start()
    one = b.conv(3)
    two = b.conv(3)
    three = b.conv(3)
    b.nodes[-1].params["weight"] *= 100
    left = b.add("add", Graph.INPUT_NAME, one)
    middle = b.add("add", one, two)
    right = b.add("add", two, three)
    b.add("concat", left, middle, right)
    b.conv(1)
    network = quantise(b.graph(), 8)
    formats = {Graph.INPUT_NAME: network.input_format}
    formats.update({layer.name: layer.format for layer in network.layers})
    for layer in network.layers:
        assert len({formats[s].scale for s in layer.sources}) == 1
    assert len({formats[n].scale for n in (Graph.INPUT_NAME, one, two, three)}) == 1
    assert len({formats[n].scale for n in (left, middle, right)}) == 1


def test_adding_and_concatenating_lose_no_more_than_the_rounding():
    """Sums of values in one scale are exact; only the change to the output's scale rounds."""
    for op in ("add", "concat"):
        b = start()
        first = b.conv(3)
        b.add(op, first, b.conv(3))
        network = quantise(b.graph(), 8, samples=16)
        x = sample_inputs(network.input, 4, 5)
        values = dict(integer_activations(network, network.quantise_input(x)))
        a, c, out = (layer.format for layer in network.layers)
        names = [layer.name for layer in network.layers]
        parts = [a.dequantise(values[names[0]]), c.dequantise(values[names[1]])]
        exact = sum(parts) if op == "add" else np.concatenate(parts, axis=1)
        real = out.dequantise(values[names[2]])
        inside = np.abs(exact) < 126 * out.scale
        assert np.abs(real - exact)[inside].max() <= out.scale * 0.51


def test_percentile_and_headroom_set_the_scale():
    b = start()
    b.conv(3)
    b.conv(2)
    graph = b.graph()
    x = sample_inputs(graph.input, 64, 0)
    kept: dict[str, np.ndarray] = {}
    reference.run(graph, x, kept.__setitem__)
    magnitude = np.sort(np.abs(kept["conv0"]).ravel())
    for percentile, headroom in ((100, 1.0), (100, 1.25), (99.0, 1.0), (50.0, 2.0)):
        network = quantise(graph, 8, inputs=x, calibration=Calibration(percentile, headroom))
        rank = math.ceil(percentile / 100 * len(magnitude)) - 1
        wanted = magnitude[rank] * headroom / 127
        assert rounded_up(network.layers[0].format.scale, float(wanted))


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("percentile", [10.0, 50.0, 99.0])
def test_a_percentile_of_zero_falls_back_to_the_largest(percentile, data_width):
    """Of values that are nearly all zero the percentile says nothing; those that are not count."""
    b = start(0, 1, 8, 16)
    b.conv(1, 1)
    b.nodes[0].params["weight"][:] = 1
    b.nodes[0].params["bias"][:] = 0
    b.activation("relu")
    b.conv(1, 1)
    graph = b.graph()
    x = np.full((2, 1, 8, 16), -0.5, np.float32)
    x[1, 0, 3, 5] = 0.75  # one of 256: what the ReLU leaves is zero to far beyond the percentile
    network = quantise(graph, data_width, inputs=x, calibration=Calibration(percentile, 1.25))
    top = (1 << (data_width - 1)) - 1
    assert rounded_up(network.layers[0].format.scale, 0.75 * 1.25 / top)


def test_bounded_outputs_spend_every_code():
    for function, bounds in (("tanh", (-1, 1)), ("sigmoid", (0, 1)), ("clamp", (-0.5, 1.25))):
        for data_width in (8, 16):
            b = start()
            b.conv(3)
            b.activation(function)
            network = quantise(b.graph(output_range=bounds), data_width)
            low, high = -(1 << (data_width - 1)), (1 << (data_width - 1)) - 1
            ends = network.output_format.dequantise(np.array([low, high]))
            assert np.allclose(ends, bounds, atol=1e-6)
            x = 100 * sample_inputs(network.input, 4, 0)
            out = run_integer(network, network.quantise_input(x))
            real = network.output_format.dequantise(out)
            wanted = reference.run(
                b.graph(), network.input_format.dequantise(network.quantise_input(x))
            )
            assert np.abs(real - wanted).max() <= {8: 0.1, 16: 0.002}[data_width]


@pytest.mark.parametrize(("function", "data_width"), [("tanh", 8), ("sigmoid", 8), ("tanh", 16)])
def test_tables_are_rounded_once(function, data_width):
    """The logic rounds an 8-bit result to the nearest: its table, of 16 bits, is rounded down."""
    b = start()
    b.conv(3)
    b.activation(function)
    network = quantise(b.graph(output_range=(-1, 1)), data_width, samples=4)
    table = network.layers[-1].table
    assert table is not None
    half_range = {("tanh", 8): 4, ("sigmoid", 8): 8, ("tanh", 16): 8}[function, data_width]
    x = [(i / 512 - 1) * half_range for i in range(1025)]
    steps = 1 << (16 - data_width)
    half = 0 if data_width == 8 else Fraction(1, 2)
    low, high = -(1 << 15), (1 << 15) - steps
    for at, entry in zip(x, table.tolist()):
        y = math.tanh(at) if function == "tanh" else 2 / (1 + math.exp(-at)) - 1
        code = (y * ((1 << data_width) - 1) / 2 - 0.5) * steps  # -1 to 1 is all of the codes
        assert entry == min(max(math.floor(Fraction(code) + half), low), high), at


def test_weights_on_a_binary_grid_keep_it():
    b = start()
    b.conv(4, bias=False)
    rng = np.random.default_rng(0)
    b.nodes[0].params["weight"] = (rng.integers(-8, 8, (4, 3, 3, 3)) / 8).astype(np.float32)
    b.nodes[0].params["weight"][3] /= 1024
    b.nodes[0].params["weight"][1] = 0
    for data_width in (8, 16):
        (layer,) = quantise(b.graph(), data_width).layers
        for q, w in zip(layer.weight, b.nodes[0].params["weight"]):
            if not w.any():
                assert not q.any()
                continue
            scale = np.abs(w).max() / np.abs(q).max()
            assert np.array_equal(q * scale, w)
            assert math.frexp(scale)[0] == 0.5


# --- awkward parameters --------------------------------------------------------------------------


def close(graph: Graph, data_width: int, tolerance: float) -> QuantNetwork:
    """Quantise and require outputs within ``tolerance`` output steps of the float network."""
    network = quantise(graph, data_width, samples=16, calibration=Calibration(100, 1.25))
    x = sample_inputs(graph.input, 8, 3)
    clipped = network.input_format.dequantise(network.quantise_input(x))
    y = reference.run(graph, clipped)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    assert np.all(np.isfinite(got))
    assert np.abs(got - y).max() <= tolerance * network.output_format.scale
    return network


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("bias", [0.0, 0.7, -3.0])
def test_dead_channels(bias, data_width):
    b = start()
    b.conv(3)
    b.nodes[0].params["weight"][1] = 0
    b.nodes[0].params["bias"][1] = bias
    close(b.graph(), data_width, 3)


@pytest.mark.parametrize("data_width", [8, 16])
def test_a_layer_that_is_dead_altogether(data_width):
    b = start()
    b.conv(3)
    for value in b.nodes[0].params.values():
        value[:] = 0
    b.activation("relu")
    b.conv(2)
    b.nodes[-1].params["bias"][:] = (0.5, -2)
    network = close(b.graph(), data_width, 1)
    out = run_integer(network, network.quantise_input(sample_inputs(network.input, 1, 0)))
    assert np.allclose(network.output_format.dequantise(out)[0, 1], -2, rtol=0.01)


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("op", ["relu", "clamp"])
def test_a_layer_whose_outputs_are_all_zero(op, data_width):
    """Dead on the calibration inputs, not in its weights: its range is nothing to scale by."""
    b = start()
    b.conv(3)
    b.nodes[0].params["bias"][:] = -1000
    b.activation("relu") if op == "relu" else b.add("clamp", low=0.0, high=6.0)
    b.conv(2)
    close(b.graph(), data_width, 1)


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("bias", [30.0, 1e4, 1e8, -1e8])
def test_a_huge_bias(bias, data_width):
    b = start()
    b.conv(3)
    b.nodes[0].params["bias"][:] = bias
    close(b.graph(), data_width, 3)


@pytest.mark.parametrize(("data_width", "bits"), [(8, 27), (16, 43)])
def test_a_huge_bias_has_a_quarter_of_the_room_and_no_more(data_width, bits):
    """What it leaves is for the products: of any smaller share they would lose their last bits."""
    b = start()
    b.conv(3)
    b.nodes[0].params["bias"][:] = (1e8, -1e8, 0.1)
    (layer,) = quantise(b.graph(), data_width, samples=16).layers
    assert np.abs(np.abs(layer.bias[:2]) - (1 << bits)).max() <= 1 << (bits - 20)
    assert abs(layer.bias[2]) < 1 << (bits - 4)


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("gamma", [1e-3, 1e-12, -1e-30, 1e-44])
def test_a_tiny_gamma(gamma, data_width):
    b = start()
    b.conv(3)
    b.batchnorm([1.0, gamma, -1.0], beta=[0.1, 0.5, -0.2])
    b.activation("relu")
    b.conv(2)
    close(b.graph(), data_width, 6)


@pytest.mark.parametrize("data_width", [8, 16])
@pytest.mark.parametrize("alpha", [[-0.5, 0.3, 2.0], [0.0, 1.0, -3.0], [30.0, 1e-6, 0.2]])
def test_slopes_of_any_size(alpha, data_width):
    b = start()
    b.conv(3)
    b.prelu(alpha)
    close(b.graph(), data_width, 4)


def test_channels_of_very_different_size():
    b = start()
    b.conv(4)
    b.nodes[0].params["weight"] *= np.array([1, 1e-6, 1e3, 10]).reshape(-1, 1, 1, 1)
    b.nodes[0].params["weight"] = b.nodes[0].params["weight"].astype(np.float32)
    for data_width in (8, 16):
        close(b.graph(), data_width, 3)


# --- refusals ------------------------------------------------------------------------------------


def _wide(channels: int) -> Graph:
    b = GraphBuilder(0, (channels, 1, 1))
    b.conv(1, 1, bias=False)
    b.nodes[0].params["weight"][:] = 1.1  # on no binary grid, so that its integer is the largest
    return b.graph()


@pytest.mark.parametrize("data_width", [8, 16])
def test_sums_that_could_overflow_are_refused_by_name(data_width):
    """Four times the worst sum must fit the accumulator of 32 (48) bits, to the very channel."""
    limit = 1 << {8: 29, 16: 45}[data_width]
    top = (1 << (data_width - 1)) - 1
    channels = (limit - 1) // (top * (top + 1))

    def attempt(channels: int) -> QuantNetwork:
        zeros = np.zeros((1, channels, 1, 1), np.float32)  # nothing is rounded: the bias stays 0
        return quantise(_wide(channels), data_width, inputs=zeros)

    assert len(attempt(channels).layers) == 1
    with pytest.raises(QuantisationError, match=r"layer 'conv0' of model random.*sums can reach"):
        attempt(channels + 1)


def test_gains_beyond_the_requantiser_are_refused_by_name():
    b = start()
    b.conv(3)
    b.nodes[0].params["weight"] *= 1e7
    b.activation("tanh")
    with pytest.raises(QuantisationError, match=r"layer 'conv0' of model random.*too large"):
        quantise(b.graph())


def test_more_trained_steps_than_codes_are_refused_by_name():
    b = start()
    b.conv(3)
    b.add("quant_relu", step=0.01, high=2.0)
    with pytest.raises(QuantisationError, match=r"layer 'conv0'.*200 trained steps.*8 bits"):
        quantise(b.graph())
    quantise(b.graph(), 16)


@pytest.mark.parametrize("percentile", [0, -1, 100.5, float("nan")])
def test_percentiles_outside_the_range_are_refused(percentile):
    with pytest.raises(InputError, match=r"percentile must be in \(0, 100\]"):
        Calibration(percentile)


@pytest.mark.parametrize("headroom", [0, -1.0, float("inf"), float("nan")])
def test_headroom_that_makes_no_sense_is_refused(headroom):
    with pytest.raises(InputError, match="headroom must be positive"):
        Calibration(100, headroom)


@pytest.mark.parametrize("data_width", [4, 32, 0])
def test_other_data_widths_are_refused(data_width):
    with pytest.raises(InputError, match=f"8 or 16 bits, not {data_width}"):
        quantise(_wide(2), data_width)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_calibration_inputs_must_be_finite(bad):
    x = np.zeros((4, 2, 1, 1), np.float32)
    x[2, 1] = bad
    with pytest.raises(InputError, match="NaN or infinity"):
        quantise(_wide(2), inputs=x)


@pytest.mark.parametrize("samples", [0, -1])
def test_calibrating_on_nothing_is_refused(samples):
    with pytest.raises(InputError):
        quantise(_wide(2), samples=samples)


def test_calibrating_on_no_inputs_is_refused():
    with pytest.raises(InputError, match="empty"):
        quantise(_wide(2), inputs=np.zeros((0, 2, 1, 1), np.float32))


@pytest.mark.parametrize("shape", [(4, 3), (5,), (2, 1, 3), (2, 2, 2, 2)])
def test_calibration_inputs_of_another_shape_are_refused(shape):
    """Also where the number of values happens to be a multiple: (2, 2, 2, 2) is no (N, 2, 1, 1)."""
    with pytest.raises(InputError, match="shape"):
        quantise(_wide(2), inputs=np.random.default_rng(0).random(shape, np.float32))


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 2, 2)])
def test_inputs_of_another_shape_are_refused(shape):
    network = quantise(_wide(2), samples=2)
    with pytest.raises(InputError, match="shape"):
        network.quantise_input(np.zeros(shape, np.float32))


# --- report, inputs, formats ---------------------------------------------------------------------


def test_fewer_inputs_are_drawn_where_they_would_not_fit_into_memory(monkeypatch):
    b = GraphBuilder(0, (3, 8, 8))
    b.conv(4, 3)
    graph = b.graph("one layer")
    monkeypatch.setattr(calibrate, "MAX_DRAWN", 5 * (3 + 4) * 64)
    for samples, drawn in ((64, 5), (2, 2)):
        observed = observe(graph, samples=samples)
        assert {len(v) for v in observed.values.values()} == {drawn}
        assert len(observed.checked) == drawn
    monkeypatch.setattr(calibrate, "MAX_DRAWN", 1)
    assert len(observe(graph).checked) == 1


@pytest.mark.parametrize("data_width", [8, 16])
def test_the_report_says_what_happened(data_width):
    graph = random_graph(11)
    x = sample_inputs(graph.input, 5, 3)
    observed = observe(graph, x)
    network = quantise_observed(observed, data_width, calibration=Calibration(80))
    layers = measure_network(network, observed).layers
    integers, floats = integers_and_floats(network, graph, x)
    low, high = -(1 << (data_width - 1)), (1 << (data_width - 1)) - 1
    assert all(np.any([(q == end).any() for q in integers.values()]) for end in (low, high))
    assert [r.name for r in layers] == [layer.label for layer in network.layers]
    for row, layer in zip(layers, network.layers):
        q, y = integers[layer.name], floats[layer.name]
        assert (row.low, row.high) == (float(y.min()), float(y.max()))
        assert row.scale == layer.format.scale
        assert row.values == q.size
        assert row.saturated == sum(int(v in (low, high)) for v in q.ravel().tolist())
        error = np.mean((layer.format.dequantise(q).astype(float) - y) ** 2)
        wanted = 10 * math.log10(float(y.max() - y.min()) ** 2 / error) if error else math.inf
        assert row.psnr == pytest.approx(wanted)


def test_quantising_is_reproducible_and_tells_its_progress():
    graph = random_graph(3)
    said: list[str] = []
    one = quantise(graph, 8, seed=5, progress=said.append)
    two = quantise(graph, 8, seed=5)
    other = quantise(graph, 8, seed=6)
    assert said == ["calibrating", "quantising"]
    for a, b in zip(one.layers, two.layers):
        assert a.format == b.format
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.requantiser.positive, b.requantiser.positive)
    assert [a.format for a in one.layers] != [b.format for b in other.layers]


def test_a_batch_is_its_images():
    graph = random_graph(7)
    network = quantise(graph, 8, samples=8)
    q = network.quantise_input(sample_inputs(graph.input, 3, 0))
    assert np.array_equal(
        run_integer(network, q), np.concatenate([run_integer(network, one[None]) for one in q])
    )


def test_latents_are_quantised_to_four_and_a_half_sigma():
    b = GraphBuilder(0, (3, 1, 1), "latent")
    b.linear((2, 2, 2))
    for data_width, top in ((8, 127), (16, 32767)):
        network = quantise(b.graph(), data_width)
        assert network.input_format == TensorFormat(4.5 / top)
        assert network.quantise_input(np.array([[4.5, 0.0, -100.0]])).ravel().tolist() == [
            top, 0, -top - 1,
        ]  # fmt: skip


def test_a_trained_input_scale_is_kept_and_has_eight_bits():
    b = GraphBuilder(0, (2, 1, 1), "latent")
    b.input.scale = 1 / 128
    b.linear((2, 1, 1))
    for data_width in (8, 16):
        network = quantise(b.graph(), data_width)
        assert network.input_format == TensorFormat(1 / 128)
        assert network.quantise_input(np.array([[3.0, 0.25]])).ravel().tolist() == [127, 32]


def test_formats_round_half_up_and_saturate():
    f = TensorFormat(0.5, -0.5)
    x = np.array([0.5, 0.25, 0.0, -0.25, 1e9, -1e9, 0.49])
    assert f.quantise(x, 8).tolist() == [1, 0, 0, -1, 127, -128, 0]
    assert f.quantise(x[4:6], 16).tolist() == [32767, -32768]
    assert f.dequantise(np.array([1, -128])).tolist() == [0.75, -63.75]


def test_sample_inputs_are_of_their_kind():
    latents = InputSpec((50, 1, 1))
    a = sample_inputs(latents, 200, 7)
    assert a.dtype == np.float32
    assert a.shape == (200, 50, 1, 1)
    assert abs(float(a.std()) - 1) < 0.05
    assert np.array_equal(a, sample_inputs(latents, 200, 7))
    assert not np.array_equal(a, sample_inputs(latents, 200, 8))
    u = sample_inputs(InputSpec((50, 1, 1), "latent", "uniform"), 200, 7)
    assert -1 <= u.min() < -0.9 < 0.9 < u.max() <= 1
    images = sample_inputs(InputSpec((3, 64, 48), "image", "uniform"), 4, 7)
    assert images.shape == (4, 3, 64, 48)
    assert (images.min(), images.max()) == (0, 1)
    # Neighbours in a photograph are alike; in white noise they differ by 1.4 times the spread.
    for axis in (2, 3):
        assert np.abs(np.diff(images, axis=axis)).mean() < np.abs(images - 0.5).mean()
    assert np.all(np.isfinite(sample_inputs(InputSpec((2, 1, 1), "image", "uniform"), 3, 0)))


def test_psnr():
    a = np.zeros((2, 2))
    assert psnr(a, a, 1.0) == math.inf
    assert psnr(a, a + 0.1, 1.0) == pytest.approx(20)
    assert psnr(a, a + 0.1, 2.0) == pytest.approx(20 + 20 * math.log10(2))
    assert psnr(a, a + 0.1, 0.0) == -math.inf


@pytest.mark.parametrize("bias", [1e30, -1e30, 3e38])
def test_biases_beyond_all_integers_are_told(bias: float) -> None:
    b = start()
    b.conv(4, 1)
    b.nodes[-1].params["bias"][1] = bias
    b.nodes[-1].params["weight_scale"] = np.full(4, 1e-20)
    b.nodes[-1].attrs["scale"] = 1e-20
    graph = replace(b.graph(), trained_bits=8)
    with pytest.raises(QuantisationError, match="its sums can reach"):
        quantise(graph)
