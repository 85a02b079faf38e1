"""What a stream makes the logic do, against the logic's emulation and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.compiler.compile import compile_graph
from winogen.cost.accesses import REQUANTISE, count_accesses, memory_sizes, total
from winogen.network import zoo
from winogen.runtime.generator import Generator
from winogen.target.board import load_board
from winogen.target.isa import Compute, LoadWeights


def program(mode: str, kernel: int = 4):
    builder = GraphBuilder(kernel, (16, 4, 4))
    builder.deconv(16, kernel, 2, {4: (1, 1, 1, 1), 5: (2, 1, 2, 1)}[kernel])
    return compile_graph(builder.graph("up"), load_board("tiny"), mode=mode, batch=2).program


def counted(program):
    return count_accesses(program.streams[-1].instructions(), program.board)


@pytest.mark.parametrize(("kernel", "taps", "positions"), [(4, 16, 36), (5, 25, 49)])
def test_one_deconvolution_by_hand(kernel, taps, positions):
    """16 to 16 channels in blocks of 8 on 4 x 4 pixels, two images: 4 tiles of 2 x 2 in each."""
    found = {mode: counted(program(mode, kernel)) for mode in ("winograd", "direct", "zero-padded")}
    channels, tiles = 16 * 16, 8
    assert found["winograd"].multiplies[10, 12] == channels * tiles * positions
    assert found["direct"].multiplies[8, 8] == channels * tiles * 4 * taps
    assert found["zero-padded"].multiplies[8, 8] == channels * tiles * 16 * taps
    outputs = 2 * 16 * 8 * 8
    for accesses in found.values():
        assert accesses.multiplies[REQUANTISE] == outputs
        assert accesses.memory_bits["output buffer"] == 2 * 8 * outputs  # written and read
    # Written once, transformed or not; then read once for each group of two tiles.
    assert found["winograd"].memory_bits["weight buffer"] == (1 + tiles // 2) * 12 * 256 * positions
    assert found["direct"].memory_bits["weight buffer"] == 12 * 256 * (taps + tiles // 2 * 4 * taps)


def test_counters_of_the_device_agree():
    made = compile_graph(zoo.load_model("digits"), load_board("pynq-z2"), batch=1).program
    with Generator(made) as generator:
        shape = (1, *made.input_shape)
        generator.generate(np.zeros(shape, np.float32), as_float=True, count=True)
        counters = generator.counters()
    found = counted(made)
    array = sum(found.multiplies[w] for w in ((8, 8), (10, 12)))
    assert (found.dram_read, found.dram_written, array) == (
        counters["bytes_read"], counters["bytes_written"], counters["multiplies"]
    )  # fmt: skip


def test_layers_add_up_to_the_stream():
    made = compile_graph(zoo.load_model("digits"), load_board("pynq-z2"), batch=2).program
    instructions = made.streams[-1].instructions()
    layers = [
        count_accesses([i for i in instructions if i.layer == number], made.board)
        for number in range(len(made.layers))
    ]
    assert total(layers) == counted(made)


def test_each_load_of_weights_has_a_reader():
    """What a COMPUTE reads of the weight buffer is what a LOAD_WEIGHTS wrote there."""
    made = compile_graph(zoo.load_model("digits"), load_board("pynq-z2"), batch=2).program
    instructions = made.streams[-1].instructions()
    loads = {i.base for i in instructions if isinstance(i, LoadWeights)}
    assert {i.weight_base for i in instructions if isinstance(i, Compute)} <= loads


def test_sizes_are_those_of_the_build():
    sizes = memory_sizes(load_board("pynq-z2").core)
    assert sizes["input buffer"] == 16384 * 64
    assert sizes["weight buffer"] == 1024 * 64 * 2 * 12
    assert set(counted(program("winograd")).memory_bits) == set(sizes) - {"partial sums"}


def test_partial_sums_are_written_and_read():
    """Kernel 9 with stride 2 has 5 taps a side: four passes, and all but the last keep sums."""
    builder = GraphBuilder(9, (8, 4, 4))
    builder.deconv(8, 9, 2, (4, 3, 4, 3))
    made = compile_graph(builder.graph("k9"), load_board("tiny"), mode="direct", batch=1).program
    computes = [i for i in made.streams[0].instructions() if isinstance(i, Compute)]
    passes = len(computes) // sum(i.last for i in computes)
    assert passes == 4
    bits = counted(made).memory_bits["partial sums"]
    assert bits == 2 * (passes - 1) * 32 * 8 * 8 * 8  # bits, channels, pixels
