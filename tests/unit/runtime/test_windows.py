"""Large images in windows: bit for bit the network on the whole image, whatever the sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given
from numpy.typing import NDArray

from support.bench import DEVICES
from support.random_graphs import GraphBuilder
from support.strategies import SEEDS, Drawn, drawn, examples
from winogen.common.errors import InputError, ModelError, ProgramError
from winogen.common.images import to_pixels
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.network import reference, zoo
from winogen.network.graph import Graph
from winogen.network.locality import AxisLocality, Locality, locality
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator
from winogen.runtime.windows import image_spans, spans, stitch
from winogen.target.board import load_board


def random_local_graph(seed: int, rng: Drawn) -> Graph:
    """Convolutions and deconvolutions of any geometry, with branches, on an image of 60 or so."""
    shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(48, 73, 2)))
    b = GraphBuilder(seed, shape)
    for _ in range(int(rng.integers(1, 5))):
        cout = int(rng.integers(1, 4))
        kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
        edges = tuple(int(e) for e in rng.integers(0, 4, 4))
        stride = tuple(int(s) for s in rng.integers(1, 4, 2))
        kind = rng.integers(5)
        if kind == 0:
            b.conv(cout, kernel, 1, edges)
        elif kind == 1:
            b.conv(cout, kernel, stride, edges)
        elif kind == 2 and max(b.shapes[b.last][1:]) < 150:
            b.deconv(cout, kernel, stride, tuple(int(e) for e in rng.integers(-2, 3, 4)))
        elif kind == 3 and max(b.shapes[b.last][1:]) < 150:
            b.add("upsample", factor=int(rng.integers(1, 3)))
            b.conv(cout, 3)
        else:
            first = b.last
            b.conv(b.channels(), 3)
            second = b.activation("leaky_relu")
            b.add(str(rng.choice(["add", "concat"])), first, second)
    return b.graph(f"local-{seed}")


def integers(network: QuantNetwork, graph: Graph, size: tuple[int, int], seed: int) -> NDArray:
    top = 1 << (network.data_width - 1)
    shape = (1, graph.input.shape[0], *size)
    return np.random.default_rng(seed).integers(-top, top, shape)


def by_windows(network: QuantNetwork, program: Program, q: NDArray) -> NDArray:
    """The image by windows, each run by the integer reference."""
    rows, columns = image_spans(q.shape[2:], program)
    h, w = program.input_shape[1:]
    lines = []
    for r in rows:
        line = []
        for c in columns:
            out = run_integer(network, q[:, :, r.start : r.start + h, c.start : c.start + w])
            line.append(out[:, :, r.first : r.stop, c.first : c.stop])
        lines.append(np.concatenate(line, axis=3))
    return np.concatenate(lines, axis=2)


def check_random(seed: int, rng: Drawn) -> None:
    """Windows of a random network against the whole, unless it cannot run in windows."""
    graph = random_local_graph(seed, rng)
    found = locality(graph)
    assume(found is not None)
    network = quantise(graph, 8, samples=1)
    h, w = graph.input.shape[1:]
    program = replace(
        compile_once().program, input=graph.input, output_shape=graph.output_shape, locality=found
    )
    for _ in range(2):
        extra = rng.integers(0, 40, 2)
        size = (h + int(extra[0]) * found.rows.step, w + int(extra[1]) * found.columns.step)
        larger = graph.resized(size)
        q = integers(network, graph, size, seed)
        whole = run_integer(network.resized(larger), q)
        np.testing.assert_array_equal(by_windows(network, program, q), whole)


@examples(10)
@given(seed=SEEDS, rng=drawn())
def test_random_networks_in_windows(seed, rng):
    check_random(seed, rng)


@pytest.mark.long
@examples(600)
@given(seed=SEEDS, rng=drawn())
def test_many_random_networks_in_windows(seed, rng):
    check_random(seed, rng)


def test_nothing_more_is_thrown_away_than_must_be():
    """The first and last outputs that a cut is said to spoil do differ from the image's."""
    graph = fsrcnn(2)
    found = locality(graph)
    assert found is not None
    size = (graph.input.shape[1] + 40, graph.input.shape[2])
    x = np.random.default_rng(0).standard_normal((1, 1, *size)).astype(np.float32)
    whole = reference.run(graph.resized(size), x)
    part = reference.run(graph, x[:, :, 20:-20])
    different = np.abs(part - whole[:, :, 40:-40]).max(axis=(0, 1, 3)) > 1e-6
    assert different[found.rows.before - 1]
    assert different[-found.rows.after]
    assert not different[found.rows.before : -found.rows.after].any()


# On devices


def fsrcnn(scale: int, width: int = 6) -> Graph:
    """FSRCNN with fewer channels: the same geometry, and cheap to simulate."""
    b = GraphBuilder(scale, (1, 64, 64))
    for cout, kernel in ((width, 5), (3, 1), (3, 3), (3, 3), (3, 3), (3, 3), (width, 1)):
        b.conv(cout, kernel)
        b.prelu(0.25)
    b.deconv(1, 9, scale, (4, 5 - scale, 4, 5 - scale))
    b.activation("clamp")
    return b.graph(f"fsrcnn-x{scale}", (-0.5, 1.25))


@cache
def compile_once(scale: int = 2, window: tuple[int, int] = (40, 37), bits: int = 8) -> Compiled:
    graph = fsrcnn(scale)
    return compile_graph(
        graph, load_board("pynq-z2", bits), batch=2, window=window,
        inputs=sample_inputs(graph.input, 2, 0),
    )  # fmt: skip


#: Of the window; one more; odd, with a remainder one pixel wide; several windows both ways.
SIZES = [(40, 37), (41, 38), (63, 37), (65, 52)]


def check_sizes(compiled: Compiled, graph: Graph, device: str, sizes: list) -> None:
    program = compiled.program
    with Generator(program, DEVICES[device](program.board)) as generator:
        for number, size in enumerate(sizes):
            larger = graph.resized(size)
            network = compiled.network.resized(larger)
            q = integers(network, graph, size, number)
            out = generator.apply((q * program.input_format.scale)[0], as_float=True)
            f = program.output_format
            got = np.rint(out.astype(np.float64) / f.scale + f.zero_point)
            np.testing.assert_array_equal(got, run_integer(network, q)[0])


@pytest.mark.parametrize(
    ("scale", "bits"),
    [(2, 8), (3, 16), *(pytest.param(*x, marks=pytest.mark.long)
                        for x in ((2, 16), (3, 8), (4, 8), (4, 16)))],
)  # fmt: skip
def test_images_of_any_size_on_the_emulator(scale, bits):
    check_sizes(compile_once(scale, bits=bits), fsrcnn(scale), "emulator", SIZES)


@pytest.mark.long
@pytest.mark.parametrize("scale", [2, 3])
def test_images_of_any_size_on_the_rtl(scale):
    check_sizes(compile_once(scale), fsrcnn(scale), "rtl", [(41, 38)])


@pytest.mark.long
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_full_networks_on_images_of_any_size(scale, bits):
    graph = zoo.load_model(f"fsrcnn-x{scale}")
    compiled = compile_graph(graph, load_board("pynq-z2", bits), batch=2, window=(64, 48))
    check_sizes(compiled, graph, "emulator", [(64, 48), (65, 49), (131, 77)])
    check_sizes(compiled, graph, "rtl", [(65, 49)])


def test_pixels_are_those_of_the_whole_image():
    program = compile_once().program
    x = np.random.default_rng(0).random((1, 65, 60), np.float32)
    seen = []
    with Generator(program) as generator:
        pixels = generator.apply(x, progress=lambda *part: seen.append(part), count=True)
        counted = generator.counters()["cycles"]
        real = generator.apply(x, as_float=True)
    assert (pixels.shape, pixels.dtype) == ((130, 120, 1), np.uint8)
    np.testing.assert_array_equal(pixels, to_pixels(real.transpose(1, 2, 0), *program.output_range))
    assert seen == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    assert counted == 4 * program.streams[1].cycles + program.streams[0].cycles


# Where windows lie


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("scale", [(1, 1), (2, 1), (3, 1), (1, 3)])
def test_windows_cover_every_output_once(scale, step):
    enlarge, reduce = scale
    axis = AxisLocality(enlarge, reduce, step * reduce, 5, 7)
    window = 60
    out = window * enlarge // reduce
    for extra in range(0, 200, axis.step):
        found = spans(window + extra, window, out, axis, "rows")
        assert found[0].start == found[0].first == 0
        assert found[-1].start == extra
        assert found[-1].stop == out
        target = 0
        for number, span in enumerate(found):
            assert span.start % axis.step == 0
            assert span.target == target
            assert span.target == span.start * enlarge // reduce + span.first
            assert number == 0 or span.first >= axis.before
            assert number == len(found) - 1 or span.stop <= out - axis.after
            target += span.stop - span.first
        assert target == (window + extra) * enlarge // reduce


@examples(60)
@given(drawn())
def test_windows_are_stitched(rng):
    """A network that looks one sample around, and makes two of one: each as the whole image's."""
    channels, window, extra, largest = (int(rng.integers(1, n)) for n in (4, 5, 9, 4))
    window += 6
    axis = AxisLocality(2, 1, 1, 2, 2)
    shape = (channels, window, window)
    program = replace(
        compile_once().program,
        input=replace(compile_once().program.input, shape=shape),
        output_shape=(channels, 2 * window, 2 * window),
        locality=Locality(axis, axis),
    )
    batches: list[int] = []
    as_image = bool(rng.integers(2))

    def network(x: NDArray) -> NDArray:
        rows = x + np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))[:, :, 2:]
        both = rows + np.pad(rows, ((0, 0), (0, 0), (0, 0), (1, 1)))[:, :, :, :-2]
        out = both.repeat(2, 2).repeat(2, 3)
        batches.append(len(x))
        return out.transpose(0, 2, 3, 1).astype(np.uint8) if as_image else out.astype(np.float32)

    image = rng.normal(30, 9, (channels, window + extra, window + 2 * extra)).round()
    told: list[tuple[int, int]] = []
    generate = lambda parts, put: [put(network(x)) for x in parts]  # noqa: E731
    out = stitch(image, program, largest, generate, lambda *done: told.append(done))
    assert max(batches) <= largest and sum(batches) == told[-1][0] == told[-1][1] > 1
    assert [done for done, _ in told] == np.cumsum(batches).tolist()
    np.testing.assert_array_equal(out, network(image[None])[0])


# What cannot be


def test_networks_that_see_their_whole_input():
    latent = GraphBuilder(0, (5, 1, 1), "latent")
    latent.linear((6, 2, 2))
    code = GraphBuilder(0, (3, 16, 16))
    for _ in range(4):
        code.conv(4, 4, 2, 1)
    code.deconv(3, 16, 1, 0)
    for b in (latent, code):
        assert locality(b.graph()) is None
    compiled = compile_graph(code.graph(), load_board("pynq-z2"), batch=1)
    assert compiled.program.locality is None
    with Generator(compiled.program) as generator:
        assert generator.apply(np.zeros((3, 16, 16))).shape == (3, 16, 16)
        with pytest.raises(InputError, match=r"cannot run in windows: .* 3 x 16 x 16; resize"):
            generator.apply(np.zeros((3, 20, 20)))
    with pytest.raises(ModelError, match="weight has shape"):
        b = GraphBuilder(0, (2, 4, 4))
        b.linear((3, 1, 1))
        b.graph().resized((5, 5))


def test_values_of_different_scale_that_meet():
    b = GraphBuilder(0, (2, 40, 40))
    half = b.conv(2, 2, 2, 0)
    b.add("upsample", "input", factor=1)
    same = b.conv(2, 21, 1, 0)
    assert b.shapes[half] == b.shapes[same]
    b.add("add", half, same)
    assert locality(b.graph()) is None


def test_images_that_do_not_suit_the_windows():
    program = compile_once().program
    with Generator(program) as generator:
        with pytest.raises(InputError, match=r"has 39 rows and .* windows of 40; .*--window"):
            generator.apply(np.zeros((1, 39, 50)))
        with pytest.raises(InputError, match=r"has 36 columns"):
            generator.apply(np.zeros((1, 40, 36)))
        for shape in ((2, 50, 50), (50, 50), (1, 1, 50, 50)):
            with pytest.raises(InputError, match=r"expected \(1, rows, columns\)"):
                generator.apply(np.zeros(shape))
    with pytest.raises(InputError, match="strides need 40 plus a multiple of 4"):
        spans(42, 40, 40, AxisLocality(1, 1, 4, 2, 2), "rows")
    with pytest.raises(InputError, match="a window of 0 x 5 is not possible"):
        compile_graph(fsrcnn(2), load_board("tiny"), window=(0, 5))


@pytest.mark.parametrize(
    "changes",
    [{"before": 80}, {"step": 0}, {"enlarge": 0}, {"reduce": 0}, {"step": 60}, {"reduce": 3},
     {"enlarge": 1000}, {"before": 1 << 61}],
)  # fmt: skip
def test_program_files_with_impossible_windows(changes):
    program = compile_once().program
    assert Program.frombytes(program.tobytes()) == program
    axis = replace(program.locality.columns, **changes)
    bad = replace(program, locality=replace(program.locality, columns=axis))
    with pytest.raises(ProgramError, match=r"windows|scale of its windows"):
        Program.frombytes(bad.tobytes())


def test_a_scale_that_no_program_holds_makes_no_windows():
    b = GraphBuilder(0, (1, 8, 8))
    b.add("upsample", factor=16)
    b.conv(1, 1)
    b.add("upsample", factor=8)
    assert locality(b.graph("large")) is None
