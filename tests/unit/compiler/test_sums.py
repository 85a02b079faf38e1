"""The bound of a layer's sums is what its inputs can really reach, and no network exceeds it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given

from support import naive
from support.random_graphs import GraphBuilder
from support.strategies import Drawn, drawn, examples
from winogen.common.errors import QuantisationError
from winogen.compiler.integers import accumulate, with_bias
from winogen.compiler.quantise import quantise
from winogen.compiler.shape import ConvShape
from winogen.compiler.sums import SUM_BITS, check_sums, largest_sums
from winogen.network.graph import Graph


def drawn_shape(rng: Drawn) -> ConvShape:
    """Any geometry that has an output, of small sizes, each axis by itself."""
    transposed = bool(rng.integers(2))
    axes = []
    for _ in range(2):
        size, kernel, stride = (int(rng.integers(1, n)) for n in (5, 6, 4))
        pad = int(rng.integers(-1 if transposed else 0, kernel))
        full = (size - 1) * stride + kernel - pad
        if not transposed:
            full = max((size + pad - kernel) // stride + 1, 0) + int(rng.integers(1, 3))
        axes.append((kernel, stride, pad, size, max(1, full - int(rng.integers(0, 2)))))
    kernel, stride, pad, size, out = zip(*axes)
    return ConvShape(transposed, kernel, stride, pad, size, out)  # type: ignore[arg-type]


def responses(shape: ConvShape, weight: np.ndarray) -> np.ndarray:
    """What every input sample alone comes to, (samples, cout, rows, columns), by plain loops."""
    cin = weight.shape[1]
    out = []
    for place in product(range(cin), *map(range, shape.input_size)):
        x = np.zeros((cin, *shape.input_size), np.int64)
        x[place] = 1
        if shape.transposed:
            w = weight.swapaxes(0, 1)
            out.append(naive.deconv(x, w, shape.stride, shape.pad, shape.output_size))
        else:
            out.append(naive.conv(x, weight, shape.stride, shape.pad, shape.output_size))
    return np.stack(out)


@examples(150)
@given(drawn())
def test_the_bound_is_what_the_worst_inputs_come_to(rng):
    """No input reaches more, and one reaches all of it but what -128 has more than 127."""
    shape, bits = drawn_shape(rng), int(rng.choice([8, 16]))
    diagonal = bool(rng.integers(2))
    cout, cin = (int(n) for n in rng.integers(1, 4, 2))
    top = 1 << (bits - 1)
    values = np.random.default_rng(int(rng.integers(1000)))
    weight = values.integers(1 - top, top, (cin, cout, *shape.kernel) if diagonal else
                             (cout, cin, *shape.kernel))  # fmt: skip
    bias = values.integers(-(1 << 20), 1 << 20, (cout, *shape.output_size)
                           if rng.integers(2) else cout)  # fmt: skip
    bound = largest_sums(shape, diagonal, weight, bias, bits)
    spread = bias if bias.ndim == 3 else bias[:, None, None]
    for c in range(cout):
        own = weight[:, c][None] if diagonal else weight[c : c + 1]
        alone = responses(shape, own)[:, 0]
        reach = [
            np.where(sign * alone > 0, sign * alone * (top - 1), sign * alone * -top).sum(axis=0)
            + sign * spread[c]
            for sign in (1, -1)
        ]
        assert np.max(reach) <= bound[c]
        assert bound[c] == (np.abs(alone).sum(axis=0) * top + np.abs(spread[c])).max()


def generator(outputs: tuple[int, int, int] = (1, 28, 28), inputs: int = 128) -> Graph:
    """An MLP generator's last layer, with the largest weights wherever it has some."""
    b = GraphBuilder(0, (inputs, 1, 1), "latent")
    b.linear(outputs)
    weight = b.nodes[-1].params["weight"]
    weight[:] = np.copysign(1.1, weight)
    return b.graph()


@pytest.mark.parametrize("bits", [8, 16])
def test_an_mlp_generator_is_compiled(bits):
    """Its 784 pixels are sums of 128 products each, however many weights the layer has."""
    network = quantise(generator(), bits, samples=4)
    (layer,) = network.layers
    top = 1 << (bits - 1)
    bound = largest_sums(layer.shape, layer.diagonal, layer.weight, layer.bias, bits)
    assert bound == (128 * (top - 1) * top + np.abs(layer.bias).max())
    assert 784 * 128 * (top - 1) * top >= 1 << SUM_BITS[bits]  # what all weights together come to
    sums = []
    largest = np.unravel_index(np.abs(layer.bias[0]).argmax(), (28, 28))
    for pixel in (largest, *product((0, 13, 27), repeat=2)):
        sign = np.sign(layer.weight[(0, slice(None), *pixel)])
        for x in (np.where(sign > 0, top - 1, -top), np.where(sign > 0, -top, top - 1)):
            q = x.reshape(1, 128, 1, 1).astype(np.int64)
            sums.append(np.abs(with_bias(layer, accumulate(layer, [q]))).max())
    assert bound[0] * (top - 2) / top <= max(sums) <= bound[0]


@pytest.mark.parametrize("build", [
    lambda b: b.deconv(1, 4, 1, 0),  # DCGAN's first layer: one tap an output
    lambda b: b.linear((1, 4, 4)),
    lambda b: b.conv(1, 4, 1, 3),  # one sample, and zeros around it
])  # fmt: skip
def test_one_input_sample_meets_one_tap(build):
    channels = (1 << 29) // (127 * 128) + 1  # one more than the accumulators hold

    def attempt(channels: int) -> None:
        b = GraphBuilder(0, (channels, 1, 1), "latent")
        build(b)
        b.nodes[0].params["weight"][:] = 1.1
        b.nodes[0].params["bias"][:] = 0
        quantise(b.graph(), 8, inputs=np.zeros((1, channels, 1, 1), np.float32))

    attempt(channels - 1)
    with pytest.raises(QuantisationError, match=r"sums can reach 5368\d+, over the 536870912"):
        attempt(channels)


def test_the_limit_is_out_of_bounds():
    """4 Y = 2**31 is what 32 bits do not hold."""
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), (1, 1), (1, 1))
    weight = np.full((1, 1, 1, 1), 1)
    check_sums("layer 'x'", shape, False, weight, np.array([(1 << 29) - 129]), 8)
    with pytest.raises(QuantisationError, match="layer 'x': its sums can reach 536870912, over"):
        check_sums("layer 'x'", shape, False, weight, np.array([128 - (1 << 29)]), 8)


def test_a_larger_input_is_looked_at_again():
    """Where one sample met one of nine taps, a larger image has nine that meet."""
    channels = 4000
    b = GraphBuilder(0, (channels, 1, 1))
    b.conv(1, 3)
    b.nodes[0].params["weight"][:] = 1.1
    graph = b.graph()
    network = quantise(graph, 8, inputs=np.zeros((1, channels, 1, 1), np.float32))
    assert network.resized(graph.resized((2, 2))).layers[0].shape.input_size == (2, 2)
    with pytest.raises(QuantisationError, match=r"layer 'conv0' of model random.*sums can reach"):
        network.resized(graph.resized((3, 3)))
