"""Folds at a network's ends: the same integers, elsewhere; and which of them are taken."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.random_graphs import GraphBuilder
from support.strategies import examples
from winogen.compiler import ends
from winogen.compiler.compile import compile_graph
from winogen.compiler.ends import fold_ends, folded_as, input_folds, output_folds
from winogen.compiler.integers import run_integer, run_layer
from winogen.compiler.lower import Mode
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.network.zoo import load_model
from winogen.program import header_values as values
from winogen.program.layout import PLAIN, DepthToSpace, Unfold
from winogen.quality.layer_outputs import run_layers, traced
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

TINY = load_board("tiny")


def one_layer(
    transposed: bool, channels: tuple[int, int], kernel, stride, pad, size, bits: int = 8
) -> QuantNetwork:
    b = GraphBuilder(5, (channels[0], *size), "image")
    if transposed:
        b.deconv(channels[1], kernel, stride, pad, True)
    else:
        b.conv(channels[1], kernel, stride, pad, True)
    b.activation("prelu")
    return quantise(b.graph("one"), bits, samples=2)


def integers(network: QuantNetwork, count: int = 2):
    low = -(1 << (network.data_width - 1))
    return np.random.default_rng(3).integers(low, -low, (count, *network.input.shape))


geometry = {
    "channels": st.tuples(st.integers(1, 7), st.integers(1, 7)),
    "kernel": st.tuples(st.integers(1, 8), st.integers(1, 8)),
    "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "size": st.tuples(st.integers(2, 9), st.integers(2, 9)),
    "bits": st.sampled_from((8, 16)),
}


@pytest.mark.parametrize("board", ["tiny", "pynq-z2"])
@pytest.mark.parametrize("batch", [1, 16])
def test_the_fold_that_is_taken_is_the_fastest(board, batch, monkeypatch):
    """As if each were looked at to its end, the first of those that take the same."""
    network = quantise(load_model("digits"), samples=2)
    looked = []

    def least(self, choices):
        taken = ends._Cost.least_of(self, choices)
        cycles = [self._of(*choice, most=math.inf) for choice in choices]
        assert taken == cycles.index(min(cycles))
        looked.append(len(choices))
        return taken

    monkeypatch.setattr(ends._Cost, "least_of", ends._Cost.least, raising=False)
    monkeypatch.setattr(ends._Cost, "least", least)
    fold_ends(network, load_board(board), Mode.AUTO, batch)
    assert max(looked) > 2


def test_where_all_take_the_same_nothing_is_folded(monkeypatch):
    network = quantise(load_model("fsrcnn-x2"), samples=1)
    monkeypatch.setattr(ends._Cost, "_of", lambda self, *choice, most: 7.0)
    found = fold_ends(network, TINY, Mode.AUTO, 1)
    assert (found.unfold, found.shuffle) == (None, PLAIN)


@examples(25)
@given(pad=st.tuples(*[st.integers(0, 2)] * 4), **geometry)
def test_a_folded_input_gives_the_same_integers(channels, kernel, stride, pad, size, bits):
    kernel = tuple(min(k, n + pad[2 * i] + pad[2 * i + 1]) for i, (k, n) in
                   enumerate(zip(kernel, size)))  # fmt: skip
    network = one_layer(False, channels, kernel, stride, pad, size, bits)
    x, (layer,) = integers(network), network.layers
    wanted = run_layer(layer, [x], bits)
    for unfold, folded in input_folds(layer, network.input.shape, 8):
        seen = np.stack(list(unfold.channels(x)), axis=1)
        assert np.array_equal(run_layer(folded, [seen], bits), wanted), unfold


@examples(25)
@given(transposed=st.booleans(), crop=st.tuples(*[st.integers(-1, 2)] * 4), **geometry)
def test_a_folded_output_gives_the_same_integers(
    transposed, channels, kernel, stride, crop, size, bits
):
    if transposed:
        crop = tuple(
            min(c, max(((size[i // 2] - 1) * stride[i // 2] + kernel[i // 2] - 1) // 2, 0))
            for i, c in enumerate(crop)
        )
    else:
        crop = tuple(max(c, 0) for c in crop)
        kernel = tuple(min(k, n) for k, n in zip(kernel, size))
    network = one_layer(transposed, channels, kernel, stride, crop, size, bits)
    x, (layer,) = integers(network), network.layers
    wanted = run_layer(layer, [x], bits)
    for shuffle, folded in output_folds(layer, 8):
        assert folded.output_shape == shuffle.shape(layer.output_shape)
        got = shuffle.apply(run_layer(folded, [x], bits), layer.output_shape)
        assert np.array_equal(got, wanted), shuffle


def test_a_fold_has_no_more_products_than_the_layer():
    """Every real product is made once: the folded weights hold each tap once a pixel."""
    network = one_layer(True, (3, 2), (5, 4), (2, 2), (1, 1, 1, 1), (6, 6))
    (layer,) = network.layers
    for shuffle, folded in output_folds(layer, 8):
        pixels = shuffle.block[0] * shuffle.block[1]
        phases = layer.shape.stride[0] * layer.shape.stride[1]
        assert np.abs(folded.weight).sum() * phases == np.abs(layer.weight).sum() * pixels


@pytest.mark.parametrize(("products", "bits"), [(1, 8), (2, 8), (1, 16)])
def test_networks_run_with_folded_ends(products, bits):
    board = replace(TINY, core=replace(TINY.core, data_width=bits, products=products))
    b = GraphBuilder(1, (1, 12, 9), "image")
    b.conv(12, 5, 1, 2, True)
    b.activation("prelu")
    b.deconv(1, (9, 9), (2, 2), (4, 3, 4, 3), True)
    graph = b.graph("super", (0.0, 1.0))
    compiled = compile_graph(graph, board, batch=3, bits=bits)
    program = compiled.program
    assert program.unfold is not None
    assert program.shuffle.block != (1, 1)
    assert program.input_shape == (1, 12, 9)
    assert program.output_shape == compiled.network.layers[-1].output_shape
    x = np.random.default_rng(1).uniform(0, 1, (4, 1, 12, 9)).astype(np.float32)
    wanted = run_integer(compiled.network, compiled.network.quantise_input(x))
    with Generator(program, "emulator", board=board) as generator:
        got = generator.generate(x, as_float=True)
        pixels = generator.generate(x)
    assert np.array_equal(got, program.output_format.dequantise(wanted))
    assert pixels.shape == (4, *program.output_shape[1:], 1)
    # The conversion to pixels is another path than that to floats.
    assert np.array_equal(np.rint(np.clip(got[:, 0], 0, 1) * 255).astype(int), pixels[..., 0])
    # And layer by layer, as `winogen verify` does.
    with Generator(traced(program), "emulator", board=board) as generator:
        layers = run_layers(program, generator, x[:3])
    assert np.array_equal(layers[-1], wanted[:3])


@pytest.mark.parametrize(("kernel", "pad"), [(60, 0), (70, 0), (63, 62), (63, 65)])
def test_long_kernels_have_no_fold_that_a_program_cannot_say(kernel, pad):
    network = one_layer(False, (1, 3), (1, kernel), 1, (0, 0, pad, pad), (4, 90))
    (layer,) = network.layers
    image = network.input.shape
    read = [values.unfold(asdict(unfold), image) for unfold, _ in input_folds(layer, image, 8)]
    assert None not in read
    assert bool(read) == (kernel < 64 and pad < 65)


def test_every_third_tap_of_super_resolution():
    """One patch holds what is left of five taps, and four channels are in one word."""
    network = quantise(load_model("fsrcnn-x2"), samples=1)
    ends = fold_ends(network, load_board("pynq-z2"), Mode.AUTO, 1)
    assert ends.unfold == Unfold((2, 2), (1, 1), (2, 2), (66, 66), (3, 3))
    assert ends.network.layers[0].shape.kernel == (3, 3)


def test_only_auto_folds():
    network = quantise(load_model("fsrcnn-x2"), samples=1)
    board = load_board("pynq-z2")
    for mode in Mode:
        ends = fold_ends(network, board, mode, 1)
        assert (ends.network is network) == (mode is not Mode.AUTO)
    assert ends.unfold is None


def test_what_is_read_twice_or_by_channel_stays():
    b = GraphBuilder(1, (1, 8, 8), "image")
    first = b.conv(1, 3)
    b.add("add", "input", first)
    network = quantise(b.graph("skip"), samples=1)
    ends = fold_ends(network, TINY, Mode.AUTO, 1)
    assert ends.unfold is None
    assert ends.network.input == network.input


def test_folds_that_are_not_the_networks():
    """What a program says is looked up among what could be."""
    network, board = quantise(load_model("fsrcnn-x2"), samples=1), load_board("pynq-z2")
    ends = fold_ends(network, board, Mode.AUTO, 1)
    again = folded_as(network, ends.unfold, ends.shuffle, 8)
    assert again is not None
    for ours, theirs in zip(again.layers, ends.network.layers):
        assert ours.shape == theirs.shape
        assert np.array_equal(ours.weight, theirs.weight)
    assert again.input == ends.network.input
    assert folded_as(network, None, PLAIN, 8) == network
    assert folded_as(network, None, DepthToSpace((3, 1)), 8) is None
    other = Unfold((2, 2), (1, 1), (2, 2), (64, 64))
    assert folded_as(network, other, PLAIN, 8) is None


def test_folds_are_faster_by_the_cost_model():
    """On the PYNQ-Z2, where they are taken, whole programs take fewer predicted cycles."""
    board, graph = load_board("pynq-z2"), load_model("digits")
    folded = compile_graph(graph, board, batch=16).program.streams[-1].cycles
    network = quantise(graph)
    assert fold_ends(network, board, Mode.AUTO, 16).shuffle.block == (4, 2)
    plain = compile_graph(graph, board, batch=16, mode="winograd").program.streams[-1].cycles
    assert folded < 0.9 * plain


def test_what_the_host_moves_is_weighed():
    """A processor that is slow at moving numbers has fewer of them to move."""
    network = quantise(load_model("fsrcnn-x2"), samples=1)
    board = load_board("pynq-z2")
    without = replace(board, platform=None)
    weighed = fold_ends(network, board, Mode.AUTO, 1).unfold
    unweighed = fold_ends(network, without, Mode.AUTO, 1).unfold
    assert weighed is not None
    assert unweighed is not None
    assert np.prod(weighed.window) < np.prod(unweighed.window)
