"""Two products a multiplier: the same bits, whatever the weights, on every emulated device."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from support.bench import (
    DEVICES,
    check,
    compile_network,
    identity_graph,
    random_inputs,
    run_integers,
)
from support.conformance import LAYERS, extreme_network
from support.random_graphs import GraphBuilder
from support.random_networks import random_network
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.lower import Mode
from winogen.compiler.pack import pack_network
from winogen.compiler.pairs import BlockRun
from winogen.compiler.quantised import QuantNetwork
from winogen.compiler.shape import ConvShape
from winogen.emulation.emulator import machine
from winogen.network.graph import Graph
from winogen.runtime.generator import Generator
from winogen.target import packing
from winogen.target.board import load_board

BOARD = load_board("pynq-z2")
MODES = [m.value for m in Mode if m is not Mode.AUTO]
#: One device a network under stalls is enough.
PLAIN = [d for d in DEVICES if d != "rtl-stalls"]


def five_blocks() -> Graph:
    """Layers of 5, 3, 3 and 1 blocks of outputs; biases by pixel first, a table last."""
    b = GraphBuilder(0, (5, 1, 1), "latent")
    b.linear((40, 2, 2))
    b.activation("relu")
    b.deconv(24, 4, 2, 1)
    b.batchnorm()
    b.activation("leaky_relu")
    b.deconv(17, 5, 2, 2)
    b.deconv(3, 4, 2, 1)
    b.activation("tanh")
    return b.graph("pairs", (-1.0, 1.0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("device", DEVICES)
def test_every_mode(mode, device):
    compiled = compile_graph(five_blocks(), BOARD, batch=2, mode=mode)
    check(compiled, device, BOARD, random_inputs(compiled, 3))


@pytest.mark.parametrize(
    "name", [n for n in LAYERS if n in ("add", "concat", "linear", "conv-3x3")]
)
@pytest.mark.parametrize("device", PLAIN)
def test_layers(name, device):
    compiled = compile_graph(LAYERS[name](), BOARD, batch=2)
    check(compiled, device, BOARD, random_inputs(compiled, 2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("device", PLAIN)
def test_random_networks(seed, device):
    compiled = compile_graph(random_network(seed), BOARD, batch=3)
    check(compiled, device, BOARD, random_inputs(compiled, 4))


def hard() -> QuantNetwork:
    """A convolution of 4 blocks: channels change places in the first two, the others run alone."""
    shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (5, 6), (5, 6))
    network = extreme_network(shape, (11, 32), 8, "coarse", 1000, False)
    [layer] = network.layers
    weight = layer.weight // 4
    weight[9, 3], weight[10, 4] = 127, -127  # too large for the upper half
    weight[17, 2] = weight[25, 5] = 127  # in neither half
    return replace(network, layers=[replace(layer, weight=weight)])


@pytest.mark.parametrize("device", PLAIN)
def test_weights_that_cannot_share_a_multiplier(device):
    network = hard()
    runs = pack_network(network, BOARD.core, Mode.WINOGRAD).layers[0].runs
    assert runs[0] == BlockRun(0, 2, swapped=0b110)
    assert [r.count for r in runs] == [2, 1, 1]
    graph = identity_graph(network.input.shape)
    compiled = compile_network(graph, network, BOARD, mode=Mode.WINOGRAD, batch=1)
    top = np.full((1, *network.input.shape), -128)
    for q in (
        random_inputs(compiled, 1),
        top,
        np.where(np.indices(top.shape).sum(0) % 2, -128, 127),
    ):
        check(compiled, device, BOARD, q)


@pytest.mark.parametrize("network", [five_blocks, None])
def test_the_emulator_does_whole_layers(network):
    """Pairs, swapped lanes and blocks alone are recognised; the machine is not needed."""
    if network:
        compiled = compile_graph(network(), BOARD, batch=2)
    else:
        wanted = hard()
        graph = identity_graph(wanted.input.shape)
        compiled = compile_network(graph, wanted, BOARD, mode=Mode.WINOGRAD, batch=1)
    with mock.patch.object(machine.Machine, "execute", side_effect=AssertionError("the machine")):
        check(compiled, "emulator", BOARD, random_inputs(compiled, 2))


@pytest.mark.parametrize("device", ["emulator", "floats", "machine", "rtl"])
def test_a_pair_that_is_not_exact_goes_to_the_machine(device):
    """Weights that the compiler would not have put together: every device has the same bits."""
    network = hard()
    [layer] = network.layers
    weight = layer.weight.copy()
    weight[:16] = 60  # eight lanes of 540
    network = replace(network, layers=[replace(layer, weight=weight)])
    graph = identity_graph(network.input.shape)
    with mock.patch.object(packing, "LARGEST_LOW_SUM", 1 << 20):
        compiled = compile_network(graph, network, BOARD, mode=Mode.WINOGRAD, batch=1)
    q = np.full((1, *network.input.shape), -128)
    with Generator(compiled.program, DEVICES["machine"](BOARD), board=BOARD) as generator:
        wanted = run_integers(generator, q)
    assert (wanted != run_integer(network, q)).any()
    with Generator(compiled.program, DEVICES[device](BOARD), board=BOARD) as generator:
        np.testing.assert_array_equal(run_integers(generator, q), wanted)


def test_pairs_halve_the_steps():
    one = compile_graph(five_blocks(), load_board("tiny"), batch=2, mode="winograd").program
    two = compile_graph(five_blocks(), BOARD, batch=2, mode="winograd").program
    steps = [
        [sum(i.blocks * i.steps * i.images * i.tiles_y * i.tiles_x
             for i in program.streams[-1].instructions()
             if i.opcode.name == "COMPUTE" and i.layer == layer)
         for layer in range(4)]
        for program in (one, two)
    ]  # fmt: skip
    assert [round(b / a, 2) for a, b in zip(*steps)] == [0.6, 0.67, 0.67, 1.0]


def test_what_is_said_of_channels_that_are_too_large():
    network = hard()
    graph = identity_graph(network.input.shape)
    compiled = compile_network(graph, network, BOARD, mode=Mode.WINOGRAD, batch=1)
    places, alone = compiled.remarks
    assert "layer 'extreme': channels 1, 9, 2, 10 have changed places" in places
    assert "blocks 2 and 3 run one after the other" in alone and "channels 17, 25" in alone
    assert compile_network(graph, network, BOARD, mode=Mode.DIRECT, batch=1).remarks == ()
    assert compile_network(graph, network, load_board("tiny"), batch=1).remarks == ()
