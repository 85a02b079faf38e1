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
from numpy.typing import NDArray

from support.bench import (
    DEVICES,
    builds,
    check,
    compile_network,
    identity_graph,
    random_inputs,
    run_integers,
)
from support.places import SHARED_WEIGHTS
from support.random_graphs import GraphBuilder
from support.random_networks import random_deconv, random_network
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import QuantLayer, QuantNetwork, run_integer
from winogen.compiler.lower import Mode
from winogen.compiler.shape import ConvShape
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat
from winogen.runtime.generator import Generator
from winogen.target.board import Board, load_board
from winogen.target.numerics import Requantiser, activation_table

BOARDS = ("tiny", "pynq-z2")
WIDTHS = (8, 16)
CI_NETWORKS = 40
LONG_NETWORKS = 300


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``device`` is a name in DEVICES."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", metafunc.config.getoption("device") or list(DEVICES))


def only_board(device: str, board: str, bits: int) -> Board:
    """This board, or the one that the device is."""
    [build] = builds(device, (board, bits))
    return load_board(*build)


def all_builds(device: str, *widths: int) -> list[tuple[str, int]]:
    """Every board with each of these data widths."""
    return builds(device, *((board, bits) for bits in widths for board in BOARDS))


@cache
def compiled(
    make: Callable[[], Graph], board: str, bits: int, mode: str = "auto", batch: int = 2
) -> Compiled:
    """One compilation for all devices."""
    return compile_graph(make(), load_board(board, bits), mode=Mode(mode), batch=batch)


def check_graph(
    make: Callable[[], Graph], device: str, board: str, bits: int = 8, mode: str = "auto",
    batch: int = 2, count: int | None = None,
) -> None:  # fmt: skip
    network = compiled(make, board, bits, mode, batch)
    q = random_inputs(network, count or batch)
    check(network, device, load_board(board, bits), q)


# Every kind of layer, in every mode, on every board


def _layer(build: Callable[[GraphBuilder], object], shape=(9, 6, 7), kind="image", black=None):
    def make() -> Graph:
        b = GraphBuilder(1, shape, kind)
        build(b)
        return b.graph("layer", black)

    return make


def _residual(b: GraphBuilder) -> None:
    first = b.conv(9, 3)
    b.conv(9, 3)
    b.activation("relu")
    b.add("add", first, b.last)


def _concat(b: GraphBuilder) -> None:
    first = b.conv(5, 3)
    b.conv(10, 1)
    b.add("concat", first, b.last, "input")
    b.deconv(3, 5, 2, (2, 1, 2, 1))


def _norm_after_relu(b: GraphBuilder) -> None:
    b.conv(10, 3)
    b.activation("relu")
    b.batchnorm()


def _upsampled_conv(b: GraphBuilder) -> None:
    b.add("upsample", factor=2)
    b.conv(5, 3)


LAYERS: dict[str, Callable[[], Graph]] = {
    "conv-3x3": _layer(lambda b: b.conv(11, 3)),
    "conv-1x1": _layer(lambda b: b.conv(11, 1)),
    "conv-4x2-stride-2x1": _layer(lambda b: b.conv(5, (4, 2), (2, 1), (1, 1, 0, 1))),
    "conv-9x9-stride-3": _layer(lambda b: b.conv(3, 9, 3, 4)),
    "conv-with-samples-left-over": _layer(lambda b: b.conv(4, 2, 3, 0), (3, 7, 9)),
    "deconv-4x4": _layer(lambda b: b.deconv(9, 4, 2, 1)),
    "deconv-5x5": _layer(lambda b: b.deconv(9, 5, 2, (2, 1, 2, 1))),
    "deconv-kernel-below-stride": _layer(lambda b: b.deconv(5, 2, 3, 0)),
    "deconv-negative-crop": _layer(lambda b: b.deconv(5, 3, 2, (-2, -1, 0, -3))),
    "deconv-single-input": _layer(lambda b: b.deconv(9, 4, 1, 0), (12, 1, 1), "latent"),
    "linear": _layer(lambda b: b.linear((10, 3, 5)), (12, 1, 1), "latent"),
    "linear-of-image": _layer(lambda b: b.linear((10, 1, 1)), (5, 3, 4)),
    "upsample": _layer(lambda b: b.add("upsample", factor=3)),
    "upsample-conv": _layer(_upsampled_conv),
    "add": _layer(_residual),
    "concat": _layer(_concat),
    "batchnorm": _layer(lambda b: b.batchnorm()),
    "batchnorm-after-relu": _layer(_norm_after_relu),
    **{
        op: _layer(lambda b, op=op: (b.conv(9, 3), b.activation(op)))
        for op in ("relu", "leaky_relu", "prelu", "clamp", "quant_relu", "tanh", "sigmoid")
    },
    "clamped-image": _layer(lambda b: (b.conv(3, 3), b.activation("clamp")), black=(-0.5, 1.25)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, device):
    for board, bits in all_builds(device, *WIDTHS):
        check_graph(LAYERS[name], device, board, bits)


@pytest.mark.parametrize("mode", [m.value for m in Mode])
@pytest.mark.parametrize(
    "name",
    ["conv-3x3", "deconv-4x4", "deconv-5x5", "deconv-kernel-below-stride", "deconv-single-input",
     "linear", "concat"],
)  # fmt: skip
def test_every_mode(name, mode, device):
    for board, bits in builds(device, ("tiny", 8), ("pynq-z2", 16)):
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

    return _layer(build, (3, size, 34 - size))


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

    return _layer(build, (channels, 4, 5))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("bits", [8, 16])
def test_batches(count, bits, device):
    for board, _ in all_builds(device, bits):
        # A stream of exactly this size, and several smaller ones that add up to it.
        check_graph(LAYERS["deconv-5x5"], device, board, bits, batch=count)
        check_graph(LAYERS["linear"], device, board, bits, batch=4, count=count)


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

PATTERNS: dict[str, Callable[[tuple[int, ...], int], NDArray[np.int64]]] = {
    "highest": lambda shape, top: np.full(shape, top - 1),
    "lowest": lambda shape, top: np.full(shape, -top),
    "alternating": lambda shape, top: np.where(np.indices(shape).sum(0) % 2, -top, top - 1),
    "coarse": lambda shape, top: np.random.default_rng(5).choice((-top, -1, 0, top - 1), shape),
}


def extreme_network(
    shape: ConvShape, channels: tuple[int, int], bits: int, weights: str, bias: int, table: bool
) -> QuantNetwork:
    """One layer of extreme weights; the requantiser maps the largest sums to the whole range."""
    top = 1 << (bits - 1)
    cin, cout = channels
    weight = PATTERNS[weights]((cout, cin, *shape.kernel), top)
    biases = np.where(np.arange(cout) % 2, bias, -bias)
    largest = int(np.abs(weight).sum(axis=(1, 2, 3)).max()) * top + abs(bias)
    out_bits = 16 if table else bits
    # int64 everywhere: numpy's own choice has 32 bits on a 32-bit processor.
    shift = np.full(cout, 14 + largest.bit_length() - (out_bits - 1), np.int64)
    positive = np.full(cout, (1 << 14) + 3, np.int64)
    end = 1 << (out_bits - 1)
    requantiser = Requantiser(
        positive, np.where(np.arange(cout) % 3, positive, -positive), shift,
        np.where(np.arange(cout) % 4, -end, 0), np.full(cout, end - 1),
    )  # fmt: skip
    values = activation_table(lambda x: np.round(32767 * np.sin(3 * x)), 1.0) if table else None
    layer = QuantLayer(
        "relu", "extreme", ("input",), shape, False, weight.astype(np.int64),
        biases.astype(np.int64), requantiser, values, TensorFormat(1.0),
    )  # fmt: skip
    spec = identity_graph((cin, *shape.input_size)).input
    return QuantNetwork("extreme", bits, spec, TensorFormat(1.0), None, [layer])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("weights", PATTERNS)
def test_extreme_weights_and_activations(weights, bits, device):
    shapes = [
        (ConvShape(True, (5, 5), (2, 2), (2, 2), (4, 3), (8, 6)), (17, 9), False),
        (ConvShape(False, (3, 3), (1, 1), (1, 1), (5, 6), (5, 6)), (9, 10), True),
    ]
    top = 1 << (bits - 1)
    for shape, channels, table in shapes:
        network = extreme_network(shape, channels, bits, weights, (1 << (2 * bits)) + 7, table)
        graph = identity_graph(network.input.shape)
        for name, _ in all_builds(device, bits):
            board = load_board(name, bits)
            for mode in (Mode.WINOGRAD, Mode.DIRECT):
                made = compile_network(graph, network, board, mode=mode, batch=1)
                with Generator(made.program, DEVICES[device](board)) as generator:
                    for values in PATTERNS.values():
                        q = values((1, *network.input.shape), top).astype(np.int64)
                        np.testing.assert_array_equal(
                            run_integers(generator, q), run_integer(network, q)
                        )


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


def check_random(seed: int, device: str) -> None:
    """A random network under a board, width, mode and batch that the seed picks."""
    rng = np.random.default_rng((seed, 3))
    choices = all_builds(device, *WIDTHS)
    board, bits = choices[seed % len(choices)]
    mode = str(rng.choice([m.value for m in Mode]))
    batch, count = (int(n) for n in rng.integers(1, 6, 2))
    make = _random(seed)
    check_graph(make, device, board, bits, mode, batch, count)


@cache
def _random(seed: int) -> Callable[[], Graph]:
    return lambda: random_network(seed)


@pytest.mark.parametrize("seed", range(CI_NETWORKS))
def test_random_networks(seed, device):
    check_random(seed, device)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(CI_NETWORKS, CI_NETWORKS + LONG_NETWORKS))
def test_many_random_networks(seed, device):
    check_random(seed, device)
