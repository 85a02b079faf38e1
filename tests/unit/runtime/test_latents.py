"""Walks, grids and truncation of latents, held against plain formulas one latent at a time."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from winogen.common.errors import InputError
from winogen.network.graph import InputPart, InputSpec
from winogen.runtime import latents
from winogen.runtime.latents import LatentSpace

NORMAL = LatentSpace.of("net", InputSpec((7, 1, 1)))
UNIFORM = LatentSpace.of("net", InputSpec((7, 1, 1), distribution="uniform"))
LABELLED = LatentSpace.of(
    "net",
    InputSpec(
        (7, 1, 1), parts=(InputPart("digit", "label", 3), InputPart("z", "latent", 4))
    ),
)  # fmt: skip


def drawn(count: int, seed: int = 0, channels: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, channels)).astype(np.float32)


def test_between_two_latents_lies_the_great_circle():
    a, b = drawn(2).astype(float)
    angle = math.acos(a @ b / math.sqrt((a @ a) * (b @ b)))
    for share in (0.0, 0.25, 0.7, 1.0):
        length = (1 - share) * math.sqrt(a @ a) + share * math.sqrt(b @ b)
        one, two = (v / math.sqrt(v @ v) for v in (a, b))
        weights = math.sin((1 - share) * angle), math.sin(share * angle)
        expected = length * (weights[0] * one + weights[1] * two) / math.sin(angle)
        [found] = latents.slerp(a[None], b[None], share)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("b", [-np.ones(7), np.ones(7), np.zeros(7)])
def test_where_there_is_no_great_circle_it_goes_straight(b):
    a = np.ones(7)
    [found] = latents.slerp(a[None], b[None], 0.25)
    np.testing.assert_allclose(found, 0.75 * a + 0.25 * b, atol=1e-6)


@pytest.mark.parametrize("space", [NORMAL, UNIFORM], ids=["normal", "uniform"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_walk_passes_its_seeds(space, loop):
    keys = [np.tanh(drawn(2, seed)) for seed in range(3)]
    frames = list(latents.walk(space, keys, 5, loop=loop))
    assert len(frames) == latents.frames_of(3, 5, loop=loop) == (15 if loop else 11)
    for number, key in enumerate(keys):
        assert frames[5 * number].tobytes() == key.tobytes()
    steps = [np.abs(b - a).max() for a, b in pairwise(frames)]
    assert max(steps) < 0.8 and min(steps) > 0
    joint = np.abs(frames[0] - frames[-1]).max()
    assert (joint < 0.8) == loop
    assert all(f.dtype == np.float32 and f.shape == (2, 7) for f in frames)
    if space is UNIFORM:
        assert max(np.abs(f).max() for f in frames) <= 1


def test_a_walk_from_normal_seeds_stays_as_long():
    """What no chord does: 256 latents halfway between two are about 0.7 as long."""
    space = LatentSpace.of("net", InputSpec((256, 1, 1)))
    keys = [drawn(1, seed, 256) for seed in range(2)]
    lengths = [np.linalg.norm(f) for f in latents.walk(space, keys, 8)]
    assert min(lengths) > 0.9 * np.linalg.norm(keys[0])


def test_labels_are_mixed_in_shares():
    keys = [drawn(1, seed) for seed in range(2)]
    for number, key in enumerate(keys):
        key[:, :3] = np.eye(3)[number]
    middle = list(latents.walk(LABELLED, keys, 4, loop=False))[1]
    np.testing.assert_allclose(middle[0, :3], [0.75, 0.25, 0])


def test_the_middle_of_a_grid_is_the_seed():
    centre = drawn(1)
    directions = np.eye(7)[:2]
    z = latents.grid(NORMAL, centre, directions, (3, 5), reach=2.0)
    assert z.shape == (15, 7)
    assert z[7].tobytes() == centre.tobytes()
    moves = (z - centre).reshape(3, 5, 7)
    np.testing.assert_allclose(moves[..., 0], np.repeat([[-2], [0], [2]], 5, 1), atol=1e-6)
    np.testing.assert_allclose(moves[..., 1], np.tile([-2, -1, 0, 1, 2], (3, 1)), atol=1e-6)
    assert not moves[..., 2:].any()


def test_a_grid_of_uniform_latents_stays_within_their_range():
    centre = np.tanh(drawn(1))
    z = latents.grid(UNIFORM, centre, np.eye(7)[:2], (5, 5), reach=4.0)
    assert np.abs(z).max() <= 1 and np.ptp(z[:, 0]) > 1


def test_truncated_latents_are_those_of_a_distribution_that_is_cut_off():
    z = np.linspace(-5, 5, 70, dtype=np.float32).reshape(10, 7)
    normal = NormalDist()
    low, high = normal.cdf(-0.8), normal.cdf(0.8)
    expected = [normal.inv_cdf(low + normal.cdf(v) * (high - low)) for v in z.ravel().tolist()]
    found = latents.truncated(NORMAL, z, 0.8)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-5)
    assert np.abs(found).max() <= np.float32(0.8) and np.all(np.diff(found.ravel()) > 0)
    uniform = latents.truncated(UNIFORM, np.tanh(z), 0.5)
    np.testing.assert_allclose(uniform, np.tanh(z) / 2, atol=1e-6)


def test_truncation_leaves_labels_alone():
    z = drawn(4)
    assert np.array_equal(latents.truncated(LABELLED, z, 0.5)[:, :3], z[:, :3])


def test_drawn_directions_are_at_right_angles():
    d = latents.drawn_directions(NORMAL, 4, seed=3)
    np.testing.assert_allclose(d @ d.T, np.eye(4), atol=1e-12)
    assert np.array_equal(d, latents.drawn_directions(NORMAL, 4, seed=3))
    assert latents.drawn_directions(LABELLED, 9, seed=0).shape == (4, 4)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (InputSpec((3, 8, 8), "image"), "takes pictures"),
        (InputSpec((3, 1, 1), parts=(InputPart("a", "label", 3),)), "labels alone"),
    ],
)
def test_networks_without_latents_are_refused(spec, reason):
    with pytest.raises(InputError, match=reason):
        LatentSpace.of("net", spec)


def test_frames_are_joined_to_calls():
    frames = [np.full((3, 2), n) for n in range(5)]
    assert [len(a) for a in latents.flat(iter(frames), 6)] == [6, 6, 3]
    assert np.array_equal(np.concatenate(list(latents.flat(frames, 100))), np.concatenate(frames))
