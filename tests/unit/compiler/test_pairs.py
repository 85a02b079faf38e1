"""Blocks that share multipliers: exact for any weights, in pairs wherever that is possible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winogen.compiler.lower import Mode, lower
from winogen.compiler.pairs import (
    BlockRun,
    alone,
    change_places,
    multiplied_words,
    pair_blocks,
    remarks,
)
from winogen.compiler.shape import ConvShape
from winogen.target import packing, winograd

LANES = 8
SHAPE = ConvShape(False, (3, 3), (1, 1), (1, 1), (4, 4), (4, 4))
PASS = lower(SHAPE, mode=Mode.WINOGRAD).groups[0].passes[0]
DIRECT = lower(SHAPE, mode=Mode.DIRECT).groups[0].passes[0]


def all_words(weights: np.ndarray) -> np.ndarray:
    """(output blocks, lanes, words, input lanes) of 3 x 3 filters."""
    [words] = multiplied_words(weights, PASS, Mode.WINOGRAD)
    return words.reshape(*words.shape[:2], -1, LANES).astype(np.int64)


def run(weights: np.ndarray) -> tuple[BlockRun, ...]:
    return pair_blocks(multiplied_words(weights, PASS, Mode.WINOGRAD), len(weights), LANES)


def filters(rng: np.random.Generator, blocks: int) -> np.ndarray:
    """Filters (blocks, lanes, 1, lanes, 3, 3), some channels of them all of one sign and large."""
    weights = rng.integers(-127, 128, (blocks, LANES, 1, LANES, 3, 3))
    flat = rng.random((blocks, LANES)) < 0.2
    weights[flat] = rng.choice([-127, 127, 114, 60], (flat.sum(), 1, 1, 1, 1))
    return weights


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_exact_for_any_weights(seed, blocks):
    rng = np.random.default_rng(seed)
    weights = filters(rng, blocks)
    runs = run(weights)
    assert [b for r in runs for b in r.blocks] == list(range(blocks))
    placed = all_words(change_places(weights, runs))
    wanted = all_words(weights)
    z = rng.choice([-512, 511], LANES)
    for r in runs:
        if r.count == 1:
            continue  # nothing has to be told apart
        lower, upper = (placed[b] for b in r.blocks)
        sums = packing.packed_sums(z, lower, upper)
        exchanged = (r.swapped >> np.arange(LANES) & 1).astype(bool)[:, None]
        got = np.where(exchanged, sums[1], sums[0]), np.where(exchanged, sums[0], sums[1])
        for block, found in zip(r.blocks, got):
            np.testing.assert_array_equal(found, (wanted[block] * z).sum(-1))


def small(blocks: int) -> np.ndarray:
    return np.ones((blocks, LANES, 1, LANES, 3, 3), np.int64)


def test_small_weights_run_in_pairs():
    assert run(small(5)) == (BlockRun(0, 2), BlockRun(2, 2), BlockRun(4, 1))
    assert remarks("x", run(small(5)), LANES) == []


def test_a_channel_that_is_too_large_for_its_half_changes_places():
    weights = small(4)
    weights[1, 3, 0, 0] = 127  # one weight of 1143, for a condition of the upper half
    weights[2, 5] = 60  # eight of 540, for one of the lower half
    runs = run(weights)
    assert runs == (BlockRun(0, 2, swapped=1 << 3), BlockRun(2, 2, swapped=1 << 5))
    placed = change_places(weights, runs)
    np.testing.assert_array_equal(placed[0, 3], weights[1, 3])
    np.testing.assert_array_equal(placed[3, 5], weights[2, 5])
    np.testing.assert_array_equal(placed[0, 2], weights[0, 2])
    assert weights[0, 3].max() == 1, "the weights that were given are as they were"
    first, second = remarks("up", runs, LANES)
    assert "layer 'up': channels 3, 11 have changed places" in first
    assert "channels 21, 29" in second


@pytest.mark.parametrize(
    "values",
    [
        (127, 1),  # in neither half
        (60, 60),  # both in the upper half only
    ],
)
def test_channels_that_cannot_share_run_alone(values):
    weights = small(4)
    weights[0, 2], weights[1, 2] = values
    runs = run(weights)
    assert runs == (BlockRun(0, 1, broken=4), BlockRun(1, 1, broken=4), BlockRun(2, 2))
    [said] = remarks("up", runs, LANES)
    assert "blocks 0 and 1 run one after the other" in said
    assert "channels 2, 10" in said and "33%" in said


def test_weights_that_are_not_transformed_always_run_in_pairs():
    weights = np.full((2, LANES, 3, LANES, 3, 3), -127)
    words = list(multiplied_words(weights, DIRECT, Mode.DIRECT))
    assert words[0].shape == (2, LANES, 3, 9, LANES)
    assert pair_blocks(words, 2, LANES) == (BlockRun(0, 2),)


def test_words_are_those_of_every_phase():
    """A deconvolution: each phase's taps, transformed, at the positions that can be nonzero."""
    shape = ConvShape(True, (4, 4), (2, 2), (1, 1), (3, 3), (6, 6))
    spec = lower(shape, mode=Mode.WINOGRAD).groups[0].passes[0]
    weights = np.random.default_rng(0).integers(-127, 128, (1, LANES, 2, LANES, 4, 4))
    words = list(multiplied_words(weights, spec, Mode.WINOGRAD))
    assert [w.shape for w in words] == [(1, LANES, 2, 9, LANES)] * 4
    taps = spec.taps[3]
    g = np.zeros((3, 3), np.int64)
    for tap in taps:
        g[tap.wy, tap.wx] = weights[0, 1, 1, 2, tap.ky, tap.kx]
    kept = list(winograd.positions((t.wy, t.wx) for t in taps))
    wanted = winograd.transform_filter(g).ravel()[kept]
    np.testing.assert_array_equal(words[3][0, 1, 1, :, 2], wanted)


def test_every_block_alone():
    assert alone(2) == (BlockRun(0, 1), BlockRun(1, 1))
