"""Networks that every device must run right: a layer of each kind, extreme values, random ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from support.bench import (
    builds,
    check,
    compile_network,
    identity_graph,
    make_device,
    random_inputs,
    run_integers,
    small_builds,
)
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.lower import Mode
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.shape import ConvShape
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat
from winogen.runtime.generator import Generator
from winogen.target.board import Board, load_board
from winogen.target.numerics import Requantiser, activation_table

BOARDS = ("tiny", "pynq-z2")


WIDTHS = (8, 16)

#: A board's description, which nobody changes, is read once for all cases.
_board = cache(load_board)


def only_board(device: str, board: str, bits: int) -> Board:
    """This board, or the one that the device is."""
    [build] = builds(device, (board, bits))
    return _board(*build)


def all_builds(device: str, *widths: int) -> list[tuple[str, int]]:
    """Every board with each of these data widths, where the device simulates them by default."""
    return small_builds(device, *((board, bits) for bits in widths for board in BOARDS))


@cache
def compiled(
    make: Callable[[], Graph], board: str, bits: int, mode: str = "auto", batch: int = 2
) -> Compiled:
    """One compilation for all devices."""
    return compile_graph(make(), _board(board, bits), mode=Mode(mode), batch=batch)


def check_graph(
    make: Callable[[], Graph], device: str, board: str, bits: int = 8, mode: str = "auto",
    batch: int = 2, count: int | None = None,
) -> None:  # fmt: skip
    network = compiled(make, board, bits, mode, batch)
    q = random_inputs(network, count or batch)
    check(network, device, _board(board, bits), q)


def layer(build: Callable[[GraphBuilder], object], shape=(9, 6, 7), kind="image", black=None):
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
    "conv-3x3": layer(lambda b: b.conv(11, 3)),
    "conv-1x1": layer(lambda b: b.conv(11, 1)),
    "conv-4x2-stride-2x1": layer(lambda b: b.conv(5, (4, 2), (2, 1), (1, 1, 0, 1))),
    "conv-9x9-stride-3": layer(lambda b: b.conv(3, 9, 3, 4)),
    "conv-with-samples-left-over": layer(lambda b: b.conv(4, 2, 3, 0), (3, 7, 9)),
    "deconv-4x4": layer(lambda b: b.deconv(9, 4, 2, 1)),
    "deconv-5x5": layer(lambda b: b.deconv(9, 5, 2, (2, 1, 2, 1))),
    "deconv-kernel-below-stride": layer(lambda b: b.deconv(5, 2, 3, 0)),
    "deconv-negative-crop": layer(lambda b: b.deconv(5, 3, 2, (-2, -1, 0, -3))),
    "deconv-single-input": layer(lambda b: b.deconv(9, 4, 1, 0), (12, 1, 1), "latent"),
    "linear": layer(lambda b: b.linear((10, 3, 5)), (12, 1, 1), "latent"),
    "linear-of-image": layer(lambda b: b.linear((10, 1, 1)), (5, 3, 4)),
    "upsample": layer(lambda b: b.add("upsample", factor=3)),
    "upsample-conv": layer(_upsampled_conv),
    "add": layer(_residual),
    "concat": layer(_concat),
    "batchnorm": layer(lambda b: b.batchnorm()),
    "batchnorm-after-relu": layer(_norm_after_relu),
    **{
        op: layer(lambda b, op=op: (b.conv(9, 3), b.activation(op)))
        for op in ("relu", "leaky_relu", "prelu", "clamp", "quant_relu", "tanh", "sigmoid")
    },
    "clamped-image": layer(lambda b: (b.conv(3, 3), b.activation("clamp")), black=(-0.5, 1.25)),
}


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


#: What the extreme values are in: a deconvolution, and a convolution with a table.
_EXTREMES = (
    (ConvShape(True, (5, 5), (2, 2), (2, 2), (4, 3), (8, 6)), (17, 9), False),
    (ConvShape(False, (3, 3), (1, 1), (1, 1), (5, 6), (5, 6)), (9, 10), True),
)


def check_extremes(weights: str, bits: int, device: str) -> None:
    """A deconvolution and a convolution with a table, of and on extreme values."""
    for which in range(len(_EXTREMES)):
        _, cases = _extreme(which, weights, bits)
        for name, _ in all_builds(device, bits):
            for mode in (Mode.WINOGRAD, Mode.DIRECT):
                made = _extreme_compiled(which, weights, bits, name, mode)
                target = make_device(device, _board(name, bits))
                with Generator(made.program, target) as generator:
                    for q, wanted in cases:
                        np.testing.assert_array_equal(run_integers(generator, q), wanted)


@cache
def _extreme(which: int, weights: str, bits: int) -> tuple[QuantNetwork, list[tuple[NDArray, ...]]]:
    """A network, and its inputs with the outputs that they must have: once for all devices."""
    shape, channels, table = _EXTREMES[which]
    network = extreme_network(shape, channels, bits, weights, (1 << (2 * bits)) + 7, table)
    inputs = [
        values((1, *network.input.shape), 1 << (bits - 1)).astype(np.int64)
        for values in PATTERNS.values()
    ]
    return network, [(q, run_integer(network, q)) for q in inputs]


@cache
def _extreme_compiled(which: int, weights: str, bits: int, board: str, mode: Mode) -> Compiled:
    network, _ = _extreme(which, weights, bits)
    graph = identity_graph(network.input.shape)
    return compile_network(graph, network, _board(board, bits), mode=mode, batch=1)
