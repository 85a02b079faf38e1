"""Lowered layers, executed step by step in plain integers, against nested loops.

The executor below is the engine in miniature: it knows patches, step lists, accumulators and the
Winograd matrices, and nothing of kernels, strides or crops.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import naive
from support.strategies import examples
from winogen.common.errors import ScheduleError
from winogen.compiler.lower import (
    LoweredConv,
    Mode,
    Pass,
    lower,
    useful_multiplies,
    zero_padded_multiplies,
)
from winogen.compiler.shape import ConvShape
from winogen.compiler.sizes import engine_cycles
from winogen.target.board import load_board

G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
ZERO = 16  # the patch position that reads zero
#: Shapes tried by the long run (marker ``long``).
LONG_SHAPES = int(os.environ.get("WINOGEN_LONG_SHAPES", "2000"))
MODES = tuple(Mode)


def execute(lowered: LoweredConv, inputs, weights, cout: int, size) -> np.ndarray:
    """Outputs (cout, rows, columns); inputs (cin, H, W) and weights (cout, cin, kh, kw) a source.

    Values that no phase of the lowering writes stay at a sentinel, so that a hole shows.
    """
    tile, (sy, sx), (ty, tx) = lowered.tile, lowered.stride, lowered.tiles
    canvas = np.full((cout, ty * tile * sy, tx * tile * sx), np.iinfo(np.int64).max)
    for group in lowered.groups:
        psum = np.zeros((ty * tx, len(group.phases), tile, tile, cout), np.int64)
        for one in group.passes:
            patches = read_patches(one, inputs[one.source], tile, (ty, tx))
            spoil_unused(one, patches, tile)
            winograd = lowered.mode is Mode.WINOGRAD
            psum += run_pass(one, patches, weights[one.source], tile, winograd)
        for p, (py, px) in enumerate(group.phases):
            block = psum[:, p].reshape(ty, tx, tile, tile, cout).transpose(4, 0, 2, 1, 3)
            target = canvas[:, py::sy, px::sx]
            assert np.all(target == np.iinfo(np.int64).max), "a phase is computed twice"
            target[:] = block.reshape(cout, ty * tile, tx * tile)
    return canvas[:, : size[0], : size[1]]


def read_patches(one: Pass, x: np.ndarray, tile: int, tiles) -> np.ndarray:
    """(tiles, 4, 4, cin): view sample ``tile * t + origin + p`` at patch index p, zero outside."""
    padded = []
    for axis in (0, 1):
        p = np.arange(4)[None, :] + tile * np.arange(tiles[axis])[:, None] + one.origin[axis]
        padded.append((one.step[axis] * p + one.phase[axis]).ravel())
    rows, columns = padded
    inside = np.logical_and.outer(
        (rows >= 0) & (rows < x.shape[1]), (columns >= 0) & (columns < x.shape[2])
    )
    taken = x[:, rows.clip(0, x.shape[1] - 1)][:, :, columns.clip(0, x.shape[2] - 1)] * inside
    taken = taken.reshape(len(x), tiles[0], 4, tiles[1], 4).transpose(1, 3, 2, 4, 0)
    return taken.reshape(-1, 4, 4, len(x))


def spoil_unused(one: Pass, patches: np.ndarray, tile: int) -> None:
    """Fill what the pass says it does not need with noise: no output may depend on it."""
    rng = np.random.default_rng(0)
    for axis in (0, 1):
        first, last = one.patch_range(axis, tile)
        lines = patches.swapaxes(1, 1 + axis)
        for p in range(4):
            if not first <= p <= last:
                lines[:, p] = rng.integers(-128, 128, lines[:, p].shape)


def run_pass(one: Pass, patches, weight, tile: int, winograd: bool) -> np.ndarray:
    """Partial sums (tiles, phases, tile, tile, cout) of one pass."""
    words = weight_words(one, weight, winograd)
    assert len(words) == one.words
    if winograd:
        patches = np.einsum("ia,tabc,jb->tijc", BT, patches, BT)
    flat = patches.reshape(len(patches), 16, -1)
    cout = weight.shape[0]
    accumulators = np.zeros((len(one.accumulators), len(patches), cout), np.int64)
    products: dict[tuple[int, int], np.ndarray] = {}
    for step in one.steps:
        if step.position == ZERO:
            continue  # reads zero: takes a cycle, adds nothing
        key = (step.position, step.word)
        if key not in products:
            products[key] = flat[:, step.position] @ words[step.word]
        accumulators[step.accumulator] += products[key]
    psum = np.zeros((len(patches), len(one.taps), tile, tile, cout), np.int64)
    if winograd:
        m = np.zeros((len(one.taps), 4, 4, len(patches), cout), np.int64)
        for accumulator, value in zip(one.accumulators, accumulators):
            m[accumulator.phase, accumulator.position // 4, accumulator.position % 4] += value
        y = np.einsum("ia,pabtc,jb->tpijc", AT, m, AT)
        assert not np.any(y & 3)
        psum += y >> 2
    else:
        for accumulator, value in zip(one.accumulators, accumulators):
            i, j = divmod(accumulator.position, 2)
            psum[:, accumulator.phase, i, j] += value
    return psum


def weight_words(one: Pass, weight: np.ndarray, winograd: bool) -> list[np.ndarray]:
    """Weight memory of one block, (cin, cout) a word: phase by phase, taps or positions in order.

    The positions are those that the taps can reach, found here from G alone.
    """
    words = []
    for taps in one.taps:
        if not winograd:
            words += [weight[:, :, t.ky, t.kx].T for t in taps]
            continue
        window = np.zeros((3, 3, weight.shape[1], weight.shape[0]), np.int64)
        for t in taps:
            window[t.wy, t.wx] = weight[:, :, t.ky, t.kx].T
        u = np.einsum("ia,abcd,jb->ijcd", G2, window, G2)
        for i, j in product(range(4), range(4)):
            if any(G2[i, t.wy] and G2[j, t.wx] for t in taps):
                words.append(u[i, j])
    return words


@st.composite
def shapes(draw: st.DrawFn) -> ConvShape:
    """Any convolution or transposed convolution the lowering may meet."""
    kernel = draw(st.tuples(*[st.integers(1, 9)] * 2) | st.integers(1, 9).map(lambda k: (k, k)))
    stride = draw(st.tuples(*[st.integers(1, 4)] * 2) | st.integers(1, 4).map(lambda s: (s, s)))
    size = draw(st.tuples(*[st.integers(1, 13)] * 2))
    transposed = draw(st.booleans())
    pads, outputs = [], []
    for n, k, s in zip(size, kernel, stride):
        if transposed:
            pad = draw(st.integers(-2, k))
            extra = draw(st.integers(-2, 3))  # output padding, or a crop of its own at the end
            outputs.append(min(max((n - 1) * s + k - 2 * pad + extra, 1), 24))
        else:
            pad = draw(st.integers(0, k))
            outputs.append(max((n + pad + draw(st.integers(0, k)) - k) // s + 1, 1))
        pads.append(pad)
    return ConvShape(transposed, kernel, stride, tuple(pads), size, tuple(outputs))


layers = st.fixed_dictionaries(
    {
        "shape": shapes(),
        "channels": st.tuples(*[st.integers(1, 3)] * 2),
        "bits": st.sampled_from((8, 16)),
        "extreme": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
        "sources": st.sampled_from((1, 1, 1, 2)),
        "accumulators": st.sampled_from((64, 64, 128, 16)),
        "steps": st.sampled_from((1024, 256)),
        "phases": st.sampled_from((64, 5)),
    }
)


def check_layer(layer: dict) -> None:
    """All modes of one layer against the loops, and against what the engine can hold."""
    shape, (cin, cout) = layer["shape"], layer["channels"]
    rng = np.random.default_rng(layer["seed"])
    low, high = -(1 << (layer["bits"] - 1)), (1 << (layer["bits"] - 1)) - 1

    def draw(*size: int) -> np.ndarray:
        if layer["extreme"]:
            return rng.choice((low, high), size)
        return rng.integers(low, high + 1, size)

    inputs = [draw(cin, *shape.input_size) for _ in range(layer["sources"])]
    weights = [draw(cout, cin, *shape.kernel) for _ in inputs]
    wanted = expected(shape, np.concatenate(inputs), np.concatenate(weights, axis=1))
    for mode in MODES:
        try:
            lowered = lower(
                shape,
                mode=mode,
                sources=len(inputs),
                max_accumulators=layer["accumulators"],
                max_steps=layer["steps"],
                max_phases=layer["phases"],
            )
        except ScheduleError:
            # Only a zero-padded 9x9 can need more steps for one phase than an engine has.
            assert mode is Mode.ZERO_PADDED
            assert 4 * shape.kernel[0] * shape.kernel[1] > layer["steps"]
            continue
        check_limits(lowered, shape, layer)
        got = execute(lowered, inputs, weights, cout, shape.output_size)
        assert np.array_equal(got, wanted), mode


def expected(shape: ConvShape, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    if shape.transposed:
        w = weight.swapaxes(0, 1)
        return naive.deconv(x, w, shape.stride, shape.pad, shape.output_size)
    return naive.conv(x, weight, shape.stride, shape.pad, shape.output_size)


def check_limits(lowered: LoweredConv, shape: ConvShape, layer: dict) -> None:
    phases = [p for g in lowered.groups for p in g.phases]
    assert len(set(phases)) == len(phases)
    assert all(p < n for phase in phases for p, n in zip(phase, shape.output_size))
    for group in lowered.groups:
        assert 0 < len(group.phases) <= layer["phases"]
        sources = {p.source for p in group.passes}
        assert sources <= set(range(layer["sources"]))
        for one in group.passes:
            assert 0 < len(one.steps) <= layer["steps"]
            assert 0 < len(one.accumulators) <= layer["accumulators"]
            assert len(set(one.accumulators)) == len(one.accumulators)
            assert {s.accumulator for s in one.steps} == set(range(len(one.accumulators)))
            assert all(0 <= s.position <= ZERO for s in one.steps)
            assert all(s.word < max(one.words, 1) for s in one.steps)
            assert all(a.phase < len(group.phases) for a in one.accumulators)
            assert one.tap_count == sum(map(len, one.taps))
            check_patch_range(one, lowered)
    covered = [n * s * lowered.tile for n, s in zip(lowered.tiles, lowered.stride)]
    assert all(c >= n for c, n in zip(covered, shape.output_size))


def check_patch_range(one: Pass, lowered: LoweredConv) -> None:
    """What a pass says it needs of a patch is no more than its taps reach."""
    for axis in (0, 1):
        reached = [(t.wy, t.wx)[axis] + i for p in one.taps for t in p for i in range(lowered.tile)]
        wanted = (min(reached), max(reached)) if reached else (0, 0)
        assert one.patch_range(axis, lowered.tile) == wanted


def _deconv(kernel: int, stride: int, pad: int, n: int, out: int) -> ConvShape:
    return ConvShape(True, (kernel,) * 2, (stride,) * 2, (pad,) * 2, (n, n), (out, out))


_PLAIN = {
    "channels": (2, 3), "bits": 8, "extreme": True, "seed": 0, "sources": 1,
    "accumulators": 64, "steps": 1024, "phases": 64,
}  # fmt: skip


@examples(200)
@given(layers)
@example({**_PLAIN, "shape": _deconv(5, 2, 2, 4, 8)})
@example({**_PLAIN, "shape": _deconv(4, 2, 1, 4, 8), "bits": 16, "sources": 2})
@example({**_PLAIN, "shape": _deconv(4, 1, 0, 1, 4)})
@example({**_PLAIN, "shape": _deconv(9, 2, 4, 5, 10), "extreme": False})
@example({**_PLAIN, "shape": _deconv(1, 4, -2, 3, 13)})
def test_every_mode_equals_the_loops(layer):
    check_layer(layer)


@pytest.mark.long
@examples(LONG_SHAPES)
@given(layers)
def test_every_mode_equals_the_loops_long(layer):
    check_layer(layer)


@pytest.mark.parametrize("mode", [Mode.WINOGRAD, Mode.DIRECT, Mode.ZERO_PADDED])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_square_network_of_known_layers(mode, n):
    """The layers of the published networks at sizes that are no multiple of a tile."""
    for kernel, stride, pad, extra in ((5, 2, 2, 1), (4, 2, 1, 0), (4, 1, 0, 0), (3, 2, 0, 0)):
        out = (n - 1) * stride + kernel - 2 * pad + extra
        check = {**_PLAIN, "shape": _deconv(kernel, stride, pad, n, out)}
        lowered = lower(check["shape"], mode=mode)
        rng = np.random.default_rng(n)
        x = rng.integers(-128, 128, (2, n, n))
        w = rng.integers(-128, 128, (3, 2, kernel, kernel))
        got = execute(lowered, [x], [w], 3, (out, out))
        assert np.array_equal(got, expected(check["shape"], x, w))


@pytest.mark.parametrize(
    ("kernel", "pad", "winograd", "direct", "zero_padded"),
    [(5, 2, 49, 100, 400), (4, 1, 36, 64, 256)],
)
def test_multiplies_a_tile_as_published(kernel, pad, winograd, direct, zero_padded):
    """Steps of a tile of 2x2 base-grid points, all four phases."""
    shape = _deconv(kernel, 2, pad, 4, 8)
    counts = {}
    for mode in MODES:
        lowered = lower(shape, mode=mode)
        assert lowered.tile == 2
        assert lowered.tiles == (2, 2)
        counts[mode] = lowered.steps_per_block
        assert lowered.cycles_per_block == 4 * counts[mode]
    assert counts == {
        Mode.AUTO: winograd,
        Mode.WINOGRAD: winograd,
        Mode.DIRECT: direct,
        Mode.ZERO_PADDED: zero_padded,
    }


@examples(100)
@given(shapes())
def test_auto_takes_the_cheapest(shape):
    costs = {m: lower(shape, mode=m, max_steps=2048).cycles_per_block for m in MODES}
    assert costs[Mode.AUTO] == min(costs[Mode.WINOGRAD], costs[Mode.DIRECT])
    assert lower(shape).mode in (Mode.WINOGRAD, Mode.DIRECT)
    assert costs[Mode.ZERO_PADDED] >= costs[Mode.DIRECT]


def test_among_equals_direct_mode_is_taken():
    """A 1 x 1 kernel has four steps a tile in both modes; Winograd reads two more patch rows."""
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), (8, 8), (8, 8))
    costs = {m: lower(shape, mode=m).cycles_per_block for m in (Mode.WINOGRAD, Mode.DIRECT)}
    assert costs[Mode.WINOGRAD] == costs[Mode.DIRECT]
    assert lower(shape).mode is Mode.DIRECT


def test_what_is_free_is_chosen_by_the_cost_that_is_given():
    shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (9, 9), (9, 9))
    few = {m: lower(shape, mode=m) for m in (Mode.WINOGRAD, Mode.DIRECT)}
    assert few[Mode.DIRECT].tile == 1  # single outputs waste no steps on the rim
    large = lower(shape, mode=Mode.DIRECT, cost=lambda c: -c.tile)
    assert (large.mode, large.tile) == (Mode.DIRECT, 2)
    assert lower(shape, mode=Mode.ZERO_PADDED, cost=lambda c: -c.tile).tile == 2
    assert lower(shape, cost=lambda c: c.mode is Mode.DIRECT).mode is Mode.WINOGRAD


def test_odd_grids_have_large_tiles_where_the_rim_costs_less():
    """A 1 x 1 layer of two blocks: four outputs a tile keep drain and patches busy no longer."""
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), (371, 492), (371, 492))
    core = load_board("pynq-z2").core
    chosen = lower(shape, cost=lambda c: engine_cycles(c, (2,), core))
    assert (chosen.mode, chosen.tile) == (Mode.DIRECT, 2)
    small = lower(shape, mode=Mode.DIRECT)
    assert engine_cycles(small, (2,), core) > 2 * engine_cycles(chosen, (2,), core)


@examples(100)
@given(shapes().filter(lambda s: s.transposed and s.input_size != (1, 1)))
def test_zero_padding_costs_every_tap_of_every_output(shape):
    """The baseline is charged kh * kw multiplies an output, no more and no fewer."""
    lowered = lower(shape, mode=Mode.ZERO_PADDED, max_steps=2048)
    phases = sum(len(g.phases) for g in lowered.groups)
    outputs = phases * lowered.tile**2
    assert lowered.steps_per_block == outputs * shape.kernel[0] * shape.kernel[1]


@pytest.mark.parametrize("n", [1, 3, 5, 6])
@pytest.mark.parametrize("transposed", [True, False])
def test_baselines_are_measured_on_equal_terms(transposed, n):
    """Zero-padded takes direct mode's tiles: it must not also pay for the rim of odd sizes.

    Without zeros to insert (a convolution, a single pixel) the two are the same.
    """
    shape = _deconv(4, 2, 1, n, 2 * n)
    if not transposed:
        shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (n, n), (n, n))
    direct, padded = (lower(shape, mode=m) for m in (Mode.DIRECT, Mode.ZERO_PADDED))
    assert padded.tile == direct.tile
    if not transposed or n == 1:
        assert padded.steps_per_block == direct.steps_per_block
    else:
        assert padded.cycles_per_block == 4 * direct.cycles_per_block


@pytest.mark.parametrize(
    ("max_phases", "sizes"),
    [(9, [9]), (10, [9]), (8, [8, 1]), (4, [4, 4, 1]), (1, [1] * 9)],
)
@pytest.mark.parametrize("mode", [Mode.WINOGRAD, Mode.DIRECT, Mode.ZERO_PADDED])
def test_a_group_has_as_many_phases_as_the_table_and_no_more(mode, max_phases, sizes):
    """Nine phases that are one tap each: nothing else than the table of phases splits them."""
    lowered = lower(_deconv(3, 3, 0, 4, 12), mode=mode, max_phases=max_phases)
    assert [len(g.phases) for g in lowered.groups] == sizes


@pytest.mark.parametrize("sources", [2, 3])
def test_zeros_are_inserted_once_however_many_sources(sources):
    """A zero is no channel's: the baseline of a concatenation is not charged for each input."""
    shape = _deconv(5, 2, 2, 4, 8)
    (alone,), (together,) = (
        lower(shape, mode=Mode.ZERO_PADDED, sources=n).groups for n in (1, sources)
    )
    zeros = [sum(s.position == ZERO for s in p.steps) for p in together.passes]
    assert zeros == [sum(s.position == ZERO for s in p.steps) for p in alone.passes] + [0] * (
        sources - 1
    )
    assert zeros[0] == 4 * 3 * 25  # of 25 multiplies each of 2x2 outputs in 4 phases, 25 are real


def test_a_phase_that_cannot_fit_is_refused_with_the_reason():
    shape = _deconv(5, 2, 2, 4, 8)
    with pytest.raises(ScheduleError, match=r"winograd.*8\s+accumulators.*another mode"):
        lower(shape, mode=Mode.WINOGRAD, max_accumulators=8)
    with pytest.raises(ScheduleError, match=r"zero-padded.* 99 steps"):
        lower(shape, mode=Mode.ZERO_PADDED, max_steps=99)
    assert len(lower(shape, mode=Mode.WINOGRAD, max_accumulators=16).groups) == 4


def test_direct_fits_where_winograd_does_not_so_auto_should_take_it():
    """AUTO has an engine to fit: a mode that does not fit is no candidate, not an error."""
    assert lower(_deconv(5, 2, 2, 4, 8), max_accumulators=8).mode is Mode.DIRECT


def test_useful_and_zero_padded_multiplies():
    shape = _deconv(5, 2, 2, 4, 8)
    assert useful_multiplies(shape) == 25 * 16
    assert zero_padded_multiplies(shape) == 25 * 64
    wide = replace(shape, transposed=False, input_size=(8, 6), output_size=(4, 3))
    assert useful_multiplies(wide) == zero_padded_multiplies(wide) == 25 * 12
    assert useful_multiplies(replace(shape, input_size=(3, 5), kernel=(2, 7))) == 14 * 15
