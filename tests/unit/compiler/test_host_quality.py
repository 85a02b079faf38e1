"""How near networks with host layers and functions come to their float networks, in integers.

Rounding to codes over the whole range of an output leaves 20 log10(2^b - 1) + 10.8 dB: 58.9 dB in
8 bits, 107.1 dB in 16. Scales are symmetric and have some room, and each layer before rounds too:
6 dB for a sign that is hardly used, 3 dB for each rounding of the same size, 2 dB of headroom in 16
bits. The bounds below leave a few dB to that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import host_networks
from support.host_networks import STEPS
from support.random_graphs import GraphBuilder
from support.strategies import examples
from winogen.common.errors import QuantisationError
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import integer_activations, run_integer
from winogen.network import reference
from winogen.network.functions import ACTIVATIONS, Function
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.program.host_ops import MAX_EPSILON, Normalise
from winogen.target.board import load_board

BOUNDS = {8: 45.0, 16: 87.0}


@pytest.fixture(autouse=True, scope="module")
def products_by_the_processor():
    with host_networks.products_by_the_processor():
        yield


def decibels(graph: Graph, bits: int) -> float:
    """PSNR over the range of the float outputs, on inputs that calibration did not see."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        network = compile_graph(graph, load_board("tiny", bits), batch=1).network
    x = sample_inputs(graph.input, 4, 5)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    wanted = reference.run(graph, x).astype(np.float64)
    error = np.mean((got - wanted) ** 2)
    return float(10 * np.log10(np.ptp(wanted) ** 2 / error))


def conv(gain: float = 1.0) -> GraphBuilder:
    b = GraphBuilder(1, (3, 8, 8))
    b.conv(8, 3)
    for array in b.nodes[-1].params.values():
        array *= np.float32(gain)
    return b


def after(*steps: Callable[[GraphBuilder], object], gain: float = 1.0) -> Graph:
    b = conv(gain)
    for step in steps:
        step(b)
    return b.graph()


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("step", STEPS)
def test_each_layer_of_the_processors(step, bits):
    assert decibels(after(STEPS[step]), bits) > BOUNDS[bits]


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("gain", [0.01, 1, 30])
@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "hardswish", "elu", "softplus"])
def test_functions_over_small_and_large_ranges(name, gain, bits):
    """Tables have 1024 steps, wherever values are: over +-128, a quarter is a step.

    A curve of 1/2 is then 1/256 off at most, where a code of 16 bits is 1/200.
    """
    bound = BOUNDS[bits]
    if name == "softplus" and gain < 1:
        bound -= 30  # values of 0.69 and a little: most codes are below
    graph = after(lambda b: host_networks.function(b, name), gain=gain)
    assert decibels(graph, bits) > bound


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("name", ["Exp", "Log", "Reciprocal", "Sqrt", "Sin"])
def test_functions_of_sigmoids(name, bits):
    """Beside their singularity, tables hold what they have there, without a warning."""
    curve = Function.of(name, {})
    graph = after(lambda b: b.activation("sigmoid"), lambda b: b.add("function", function=curve))
    assert decibels(graph, bits) > BOUNDS[bits] - 3


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("step", ["maxpool", "reflect", "edge"])
def test_what_only_picks_values_rounds_nothing(step, bits):
    graph = after(STEPS[step])
    network = compile_graph(graph, load_board("tiny", bits), batch=1).network
    q = network.quantise_input(sample_inputs(graph.input, 2, 5))
    before, got = (x for _, x in integer_activations(network, q))
    operands = network.layers[1].operands
    assert operands is not None
    np.testing.assert_array_equal(got, operands.op.run([before]))


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("gain", [0.01, 100])
@pytest.mark.parametrize("step", ["maxpool", "reflect", "linear"])
def test_what_only_picks_values_and_a_gain_after_it(step, gain, bits):
    """A batch-norm or a slope joins the layer; the output's step is its own then."""

    def scaled(b: GraphBuilder) -> None:
        b.batchnorm(gamma=[gain], mean=np.zeros(8), beta=np.zeros(8))

    assert decibels(after(STEPS[step], scaled), bits) > BOUNDS[bits]
    if gain > 1:
        sloped = after(STEPS[step], lambda b: b.prelu([gain]))
        assert decibels(sloped, bits) > BOUNDS[bits] - 6


@pytest.mark.parametrize("bits", BOUNDS)
def test_channels_without_a_gain(bits):
    def some(b: GraphBuilder) -> None:
        host_networks.normalise(b)
        b.nodes[-1].params["gamma"][:4] = 0

    assert decibels(after(some), bits) > BOUNDS[bits]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bits", BOUNDS)
def test_channels_of_one_value(bits, bias):
    """Nothing is left of them but the bias: neither noise nor a division by zero."""
    b = conv()
    b.nodes[-1].params["weight"][:3] = 0
    b.nodes[-1].params["bias"][:3] *= bias
    host_networks.normalise(b)
    assert decibels(b.graph(), bits) > BOUNDS[bits]


@pytest.mark.parametrize(("low", "bits"), [(28, 8), (70, 16)])
def test_channels_much_smaller_than_others(low, bits):
    """A tensor has one step: a fiftieth has a fiftieth of the codes, which a norm enlarges."""
    b = conv()
    b.nodes[-1].params["weight"][:4] *= np.float32(0.02)
    b.nodes[-1].params["bias"][:4] = 0
    host_networks.normalise(b)
    assert decibels(b.graph(), bits) > low


@pytest.mark.parametrize("bits", BOUNDS)
@pytest.mark.parametrize("eps", [1e-12, 1e-5, 1.0, 1e5])
@pytest.mark.parametrize("gain", [1e-3, 1.0, 1e3])
def test_epsilon_beside_values_of_any_size(gain, eps, bits):
    graph = after(lambda b: host_networks.normalise(b, eps=eps), gain=gain)
    assert decibels(graph, bits) > BOUNDS[bits] - 6


def test_an_epsilon_beyond_all_values():
    """In units of the smallest squared step it has over 128 bits; a program file holds it."""
    graph = after(lambda b: host_networks.normalise(b, eps=1e5), gain=1e-12)
    program = compile_graph(graph, load_board("tiny", 16), batch=1).program
    [layer] = Program.frombytes(program.tobytes()).host.values()
    op = layer.operands.op
    assert isinstance(op, Normalise)
    assert op.epsilon == MAX_EPSILON


@examples(25)
@given(data=st.data())
def test_constants_of_any_size_fit_a_program(data):
    """Gains, shifts and scales far apart: loading checks that their products fit 64 bits."""
    b = conv(10.0 ** data.draw(st.integers(-6, 6)))
    STEPS[
        data.draw(
            st.sampled_from(("instance", "layer", "pixel", "maxpool", "avgpool", "cubic", "square"))
        )
    ](b)
    gains = [10.0 ** data.draw(st.integers(-9, 9)) for _ in range(16)]
    b.batchnorm(gamma=gains[:8], beta=np.array(gains[8:]))
    program = compile_graph(b.graph(), load_board("tiny", data.draw(st.sampled_from((8, 16)))),
                            batch=1).program  # fmt: skip
    assert Program.frombytes(program.tobytes()).host


@pytest.mark.parametrize("gain", [0, 1e-12, 1e9])
def test_networks_of_any_scale_compile(gain):
    for name, step in STEPS.items():
        graph = after(step, lambda b: b.conv(3, 3), gain=gain)
        if name in ("gate", "product") and gain > 1e6:
            with pytest.raises(QuantisationError, match="ratio is too large"):
                decibels(graph, 8)
        else:
            assert decibels(graph, 8) > BOUNDS[8]


@pytest.mark.parametrize(("bound", "bits"), [(38, 8), (80, 16)])
def test_a_deep_network(bound, bits):
    b = conv()
    for _ in range(2):
        host_networks.normalise(b)
        b.conv(8, 3)
    host_networks.normalise(b)
    b.add("function", function=ACTIVATIONS["silu"])
    b.conv(3, 3)
    b.activation("tanh")
    assert decibels(b.graph("deep", (-1.0, 1.0)), bits) > bound
