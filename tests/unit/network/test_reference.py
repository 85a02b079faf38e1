"""The float reference against nested loops and against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import naive
from support.onnx_oracle import run_onnx
from support.random_graphs import GraphBuilder, random_graph
from support.shared_models import FOLDERS, shared_model
from support.strategies import SEEDS, drawn, examples, graphs
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.network.zoo import load_model
from winogen.program.formats import sample_inputs

TOLERANCE = 1e-4


def check(graph: Graph, x: np.ndarray) -> None:
    wanted = run_onnx(graph, x)
    got = reference.run(graph, x)
    assert got.dtype == np.float32
    assert got.shape == wanted.shape == (len(x), *graph.output_shape)
    assert np.abs(got - wanted).max() <= TOLERANCE


@st.composite
def layers(draw: st.DrawFn, transposed: bool):
    """Geometry of a layer whose output is not empty, and a seed for its data."""
    kernel, stride = (
        draw(st.tuples(*[st.integers(1, 5)] * 2)),
        draw(st.tuples(*[st.integers(1, 3)] * 2)),
    )
    size = draw(st.tuples(*[st.integers(1, 5)] * 2))
    edges, out = [], []
    for n, k, s in zip(size, kernel, stride):
        if transposed:
            full = (n - 1) * s + k
            before = draw(st.integers(-2, full - 1))
            after = draw(st.integers(-2, full - 1 - before if before > 0 else full - 1))
            out.append(full - before - after)
        else:
            before = draw(st.integers(0, 3))
            after = draw(st.integers(max(0, k - n - before), 6))
            out.append((n + before + after - k) // s + 1)
        edges += [before, after]
    return size, kernel, stride, tuple(edges), tuple(out), draw(st.integers(0, 2**32 - 1))


#: Which weights are left as they are, the others being zero.
USED = st.sampled_from(["all", "diagonal", "some"])


def kernels(rng: np.random.Generator, first: int, second: int, kernel: tuple, used: str):
    w = rng.integers(-99, 99, (first, second, *kernel))
    if used == "diagonal":
        w *= np.eye(first, second, dtype=int)[:, :, None, None]
    return w * rng.integers(0, 2, kernel) if used == "some" else w


@examples(200)
@given(layers(transposed=False), st.integers(1, 3), st.integers(1, 3), USED)
def test_conv2d_equals_the_loops(layer, cin, cout, used):
    size, kernel, stride, pad, out, seed = layer
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-99, 99, (2, cin, *size)), kernels(rng, cout, cin, kernel, used)
    got = reference.conv2d(x.astype(float), w.astype(float), stride, pad)
    wanted = [naive.conv(one, w, stride, (pad[0], pad[2]), out) for one in x]
    assert got.dtype == np.float64
    assert np.array_equal(got, wanted)


@examples(200)
@given(layers(transposed=True), st.integers(1, 3), st.integers(1, 3), USED)
def test_deconv2d_equals_the_loops(layer, cin, cout, used):
    size, kernel, stride, crop, out, seed = layer
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-99, 99, (2, cin, *size)), kernels(rng, cin, cout, kernel, used)
    got = reference.deconv2d(x.astype(float), w.astype(float), stride, crop)
    wanted = [naive.deconv(one, w, stride, (crop[0], crop[2]), out) for one in x]
    assert got.dtype == np.float64
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("op", ["conv", "deconv"])
@examples(40)
@given(rng=drawn(), seed=SEEDS)
def test_convolutions_equal_onnxruntime(op, rng, seed):
    b = GraphBuilder(seed, (rng.integers(1, 5), *map(int, rng.integers(3, 8, 2))))
    kernel, stride = (tuple(map(int, rng.integers(1, n, 2))) for n in (6, 4))
    edges = tuple(map(int, rng.integers(1 if op == "conv" else -2, 3, 4)))
    cout = rng.integers(1, 5)
    if op == "conv":
        b.conv(cout, kernel, stride, edges)
    else:
        b.deconv(cout, kernel, stride, edges)
    check(b.graph(), rng.standard_normal((2, *b.input.shape)).astype(np.float32))


@examples(60)
@given(graph=graphs(), seed=SEEDS)
def test_random_networks_equal_onnxruntime(graph, seed):
    check(graph, sample_inputs(graph.input, 3, seed))


def test_random_networks_have_every_operation():
    """The generator is only worth something if it draws everything (but quant_relu)."""
    seen: set[str] = set()
    examples(60)(given(graphs())(lambda graph: seen.update(n.op for n in graph.nodes)))()
    assert seen == {n.op for seed in range(60) for n in random_graph(seed).nodes}
    assert seen == {
        "conv", "deconv", "linear", "batchnorm", "prelu", "upsample", "relu", "leaky_relu",
        "clamp", "tanh", "sigmoid", "add", "concat",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["digits", "dcgan-4x4"])
def test_networks_of_the_zoo_equal_onnxruntime(name):
    graph = load_model(name)
    check(graph, sample_inputs(graph.input, 2, 1))


@pytest.mark.parametrize("folder", FOLDERS)
def test_trained_networks_equal_onnxruntime(folder):
    graph = shared_model(folder)
    check(graph, sample_inputs(graph.input, 2 if "fsrcnn" in folder else 8, 1))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsampling_repeats_pixels(factor):
    b = GraphBuilder(0, (2, 2, 3))
    b.add("upsample", factor=factor)
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    got = reference.run(b.graph(), x)
    for y, c in np.ndindex(2 * factor, 3 * factor):
        assert np.array_equal(got[..., y, c], x[..., y // factor, c // factor])


def test_quant_relu_rounds_half_up_and_clips():
    b = GraphBuilder(0, (1, 1, 6))
    b.activation("quant_relu")
    x = np.array([-1.0, 1 / 32, 3 / 32, 0.09, 0.95, 2.0], np.float32).reshape(1, 1, 1, 6)
    wanted = [0, 1 / 16, 2 / 16, 1 / 16, 15 / 16, 15 / 16]
    assert reference.run(b.graph(), x).ravel().tolist() == wanted


def test_an_input_with_a_trained_scale_is_rounded_to_eight_bits():
    b = GraphBuilder(0, (1, 1, 5))
    b.input.scale = 1 / 128
    b.activation("clamp")
    b.nodes[0].attrs.update(low=-10.0, high=10.0)
    x = np.array([0.5, 0.49 / 128, 0.5 / 128, 9.0, -9.0], np.float32).reshape(1, 1, 1, 5)
    wanted = [0.5, 0.0, 1 / 128, 127 / 128, -1.0]
    assert reference.run(b.graph(), x).ravel().tolist() == wanted


def test_keep_sees_the_input_and_every_layer():
    graph = random_graph(5)
    x = sample_inputs(graph.input, 2, 0)
    kept = {}
    out = reference.run(graph, x, kept.__setitem__)
    assert list(kept) == [Graph.INPUT_NAME, *(n.name for n in graph.nodes)]
    assert all(v.shape == (2, *graph.shapes[k]) for k, v in kept.items())
    assert np.array_equal(kept[graph.output_name], out)
    assert np.array_equal(reference.run(graph, x), out)


def test_latents_may_be_flat():
    b = GraphBuilder(0, (4, 1, 1), "latent")
    b.linear((2, 3, 3))
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    assert np.array_equal(
        reference.run(b.graph(), x), reference.run(b.graph(), x[:, :, None, None])
    )


@pytest.mark.filterwarnings("error")
def test_sigmoid_of_large_values_is_quiet():
    b = GraphBuilder(0, (1, 1, 4))
    b.activation("sigmoid")
    x = np.array([-1e4, -100.0, 100.0, 1e4], np.float32).reshape(1, 1, 1, 4)
    assert np.allclose(reference.run(b.graph(), x).ravel(), [0, 0, 1, 1])
