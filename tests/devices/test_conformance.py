"""What every device must do: the same bits as the integer reference, whatever the network.

Devices are those of ``bench.DEVICES``, or what ``--device`` names. A board has one build only,
which takes the place of all others here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from support.bench import (
    DEVICES,
    WHOLE,
    builds,
    check,
    compile_network,
    identity_graph,
    random_inputs,
    small_builds,
)
from support.conformance import (
    LAYERS,
    PATTERNS,
    WIDTHS,
    all_builds,
    check_extremes,
    check_graph,
    check_random,
    compiled,
    extreme_network,
    layer,
    only_board,
)
from support.places import SHARED_WEIGHTS
from support.random_graphs import GraphBuilder
from support.random_networks import random_deconv
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.lower import Mode
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.shape import ConvShape
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat
from winogen.target.board import load_board
from winogen.target.numerics import Requantiser

#: By seeds, since a board has no hypothesis; test_random_networks.py has others that shrink.
CI_NETWORKS = 20
LONG_NETWORKS = 320


#: Sweeps of sizes and modes. Under stalls they are long: the logic has the same ones without them,
#: and stalls in every layer and in random networks of every mode.
SWEEPS = ("test_every_deconvolution", "test_odd_sizes", "test_batches", "test_every_mode",
          "test_channels_that_do_not_fill_a_block")  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``device`` is a name in DEVICES."""
    if "device" in metafunc.fixturenames:
        asked = metafunc.config.getoption("device")
        long = not asked and metafunc.function.__name__ in SWEEPS
        marks = {WHOLE: pytest.mark.long} | ({"rtl-stalls": pytest.mark.long} if long else {})
        names = asked or [*DEVICES, WHOLE]
        metafunc.parametrize(
            "device", [pytest.param(name, marks=marks.get(name, ())) for name in names]
        )


# Every kind of layer, in every mode, on every board


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, device):
    """Under stalls on the smallest array: what waits for the bus is the same in all of them."""
    small = (("tiny", bits) for bits in WIDTHS)
    stalled = device == "rtl-stalls"
    for board, bits in builds(device, *small) if stalled else all_builds(device, *WIDTHS):
        check_graph(LAYERS[name], device, board, bits)


@pytest.mark.parametrize("mode", [m.value for m in Mode])
@pytest.mark.parametrize(
    "name",
    ["conv-3x3", "deconv-4x4", "deconv-5x5", "deconv-kernel-below-stride", "deconv-single-input",
     "linear", "concat"],
)  # fmt: skip
def test_every_mode(name, mode, device):
    for board, bits in small_builds(device, ("tiny", 8), ("pynq-z2", 16)):
        check_graph(LAYERS[name], device, board, bits, mode)


# Geometry


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("kernel", range(1, 10))
def test_every_deconvolution(kernel, stride, device):
    for board, bits in builds(device, ("tiny", 8)):
        check_graph(_deconvolutions(kernel, stride), device, board, bits, batch=1)


@cache
def _deconvolutions(kernel: int, stride: int) -> Callable[[], Graph]:
    def make() -> Graph:
        rng = np.random.default_rng((kernel, stride))
        b = GraphBuilder(kernel, (5, 3, 4))
        random_deconv(b, rng, (kernel, kernel), (stride, stride))
        b.deconv(3, (kernel, 10 - kernel), (5 - stride, stride), 0)
        return b.graph()

    return make


@pytest.mark.parametrize("size", range(1, 34, 2))
def test_odd_sizes(size, device):
    for board, bits in builds(device, ("pynq-z2", 8)):
        check_graph(_of_size(size), device, board, bits, batch=1)


@cache
def _of_size(size: int) -> Callable[[], Graph]:
    def build(b: GraphBuilder) -> None:
        b.conv(4, 3)
        b.deconv(2, 5, 2, (2, 1, 2, 1))

    return layer(build, (3, size, 34 - size))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20])
def test_channels_that_do_not_fill_a_block(channels, device):
    for board, bits in all_builds(device, 8):
        check_graph(_of_channels(channels), device, board, bits, batch=1)


@cache
def _of_channels(channels: int) -> Callable[[], Graph]:
    def build(b: GraphBuilder) -> None:
        b.deconv(21 - channels, 4, 2, 1)
        first = b.conv(channels, 3)
        b.conv(channels, 3)
        b.add("add", first, b.last)

    return layer(build, (channels, 4, 5))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("bits", [8, 16])
def test_batches(count, bits, device):
    for board, _ in all_builds(device, bits):
        # A stream of exactly this size, and several smaller ones that add up to it.
        check_graph(LAYERS["deconv-5x5"], device, board, bits, batch=count)
        check_graph(LAYERS["linear"], device, board, bits, batch=4, count=count)


def test_more_weights_than_a_sum_could_hold(device):
    """A linear layer's outputs have few of its weights each, and those may all be the largest."""
    for board, bits in builds(device, ("tiny", 8)):
        check_graph(_many_weights, device, board, bits, batch=1)


def _many_weights() -> Graph:
    b = GraphBuilder(0, (300, 1, 1), "latent")
    b.linear((1, 11, 11))
    weight = b.nodes[-1].params["weight"]
    weight[:] = np.copysign(1.1, weight)
    assert weight.size * 127 * 128 >= 1 << 29
    return b.graph()


def test_tensors_that_lie_where_others_lay(device):
    """Every second layer reads the place that the one before the last has read."""
    for board, bits in builds(device, ("tiny", 8)):
        check_graph(_equal_places, device, board, bits)


def _equal_places() -> Graph:
    b = GraphBuilder(0, (4, 5, 5))
    for _ in range(5):
        b.conv(4, 3)
    return b.graph()


@pytest.mark.parametrize("mode", ["auto", "winograd", "direct"])
def test_layers_with_equal_weights(mode, device):
    """Equal bytes lie in DRAM once, but mean different words for other phases or modes."""
    for board, bits in all_builds(device, 8):
        check_graph(_equal_views, device, board, bits, mode=mode)
        check_graph(_equal_layers, device, board, bits, mode=mode)


def test_equal_layers_alternate_between_modes():
    modes = [x.mode for x in compiled(_equal_layers, "tiny", 8).program.layers]
    assert modes == ["direct", "winograd", "direct"]


def _equal_layers() -> Graph:
    """From 3 x 3 pixels to one (fewer steps direct), to 3 x 3 (Winograd), to one."""
    b = GraphBuilder(0, (4, 3, 3))
    same = b.normal(4, 4, 3, 3)
    for pad in (0, 2, 0):
        b.add("conv", params={"weight": same}, kernel=(3, 3), stride=(1, 1), pad=(pad,) * 4)
    return b.graph()


def _equal_views() -> Graph:
    b = GraphBuilder(0, (4, 7, 9))
    box = np.full((4, 4, 5, 5), 0.25)
    b.add("conv", params={"weight": box}, kernel=(5, 5), stride=(2, 2), pad=(2, 2, 2, 2))
    return b.graph()


# Networks that somebody trained

TRAINED = {
    "digits": "pynq-z2",
    "dcgan_mnist28_ganjax": "tiny",
    "dcgan_mnist32_qdcgan_w4a4": "pynq-z2",
    "dcgan_faces32_fletcher": "pynq-z2",
    "dcgan_anime64_keras": "pynq-z2",
    "fsrcnn_x2_nhat": "pynq-z2",
}


@pytest.mark.long
@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks(name, device):
    model: str | Path = name
    if name != "digits":
        model = SHARED_WEIGHTS / name
        if not (model / "weights.npz").is_file():
            pytest.skip(f"trained weights {model} are not here; they are not shipped")
    for board_name, bits in builds(device, *((TRAINED[name], bits) for bits in WIDTHS)):
        board = load_board(board_name, bits)
        network = compile_graph(zoo.load_model(model), board, batch=1)
        # One of them takes inputs of 8 bits in the int16 build too.
        check(network, device, board, random_inputs(network, 1) >> (bits - 8))


# Extreme values


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("weights", PATTERNS)
def test_extreme_weights_and_activations(weights, bits, device):
    check_extremes(weights, bits, device)


@pytest.mark.parametrize("bits", [8, 16])
def test_sums_at_the_limit_of_the_accumulator(bits, device):
    """Four times the largest sum that the quantiser lets through: only the last bit is spare."""
    cin = 3640  # 9 * 3640 products of 2**(2 * bits - 2), just below the limit of 29 or 45 bits
    shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (3, 4), (3, 4))
    board = only_board(device, "pynq-z2", bits)
    for weights in ("highest", "lowest"):
        network = extreme_network(shape, (cin, 3), bits, weights, 0, False)
        made = compile_network(
            identity_graph(network.input.shape), network, board, mode=Mode.WINOGRAD, batch=1
        )
        for pattern in ("highest", "lowest", "alternating"):
            q = PATTERNS[pattern]((1, *network.input.shape), 1 << (bits - 1)).astype(np.int64)
            check(made, device, board, q)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", [Mode.WINOGRAD, Mode.DIRECT])
def test_the_last_bit_of_large_sums(mode, bits, device):
    """Biases take the large part away, so that the outputs are the lowest bits of the sums."""
    cin, cout = 1200, 9
    rng = np.random.default_rng(bits)
    top = 1 << (bits - 1)
    shape = ConvShape(False, (3, 3), (1, 1), (0, 0), (3, 3), (1, 1))
    weight = rng.integers(top // 2, top, (cout, cin, 3, 3))
    q = rng.integers(top // 2, top, (1, cin, 3, 3))
    sums = (weight * q).sum(axis=(1, 2, 3))
    assert sums.min() > 1 << 24
    scale = np.full(cout, 1 << 14, np.int64)
    requantiser = Requantiser(scale, scale, 0 * scale + 14, 0 * scale - top, 0 * scale + top - 1)
    layer = QuantLayer(
        "relu", "large", ("input",), shape, False, weight, rng.integers(-99, 99, cout) - sums,
        requantiser, None, TensorFormat(1.0),
    )  # fmt: skip
    graph = identity_graph(q.shape[1:])
    network = QuantNetwork("large", bits, graph.input, TensorFormat(1.0), None, [layer])
    board = only_board(device, "pynq-z2", bits)
    made = compile_network(graph, network, board, mode=mode, batch=1)
    assert len(np.unique(run_integer(network, q))) > 5
    check(made, device, board, q)


@pytest.mark.parametrize("negative", [-1, 0, 1])
def test_slopes_of_any_sign_under_a_clamp_at_zero(negative, device):
    """With a negative slope, sums below zero come out above it."""
    shape = ConvShape(True, (4, 4), (2, 2), (1, 1), (3, 3), (6, 6))
    board = only_board(device, "tiny", 8)
    network = extreme_network(shape, (5, 6), board.core.data_width, "coarse", 0, False)
    r = network.layers[0].requantiser
    network.layers[0].requantiser = Requantiser(
        r.positive, negative * r.positive, r.shift - 3, 0 * r.low, r.high
    )
    graph = identity_graph(network.input.shape)
    made = compile_network(graph, network, board, batch=2)
    q = random_inputs(made, 2)
    assert run_integer(network, q).max() > 50
    check(made, device, board, q)


# Anything


@pytest.mark.parametrize("seed", range(CI_NETWORKS))
def test_random_networks(seed, device):
    check_random(seed, device)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(CI_NETWORKS, CI_NETWORKS + LONG_NETWORKS))
def test_many_random_networks(seed, device):
    check_random(seed, device)
