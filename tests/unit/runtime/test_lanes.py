"""Images to words and back: against the plain definitions of program/layout.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from support.strategies import drawn, examples
from winogen.program.layout import PLAIN, DepthToSpace, Unfold
from winogen.runtime.lanes import input_lanes, output_lanes


def plain(words: np.ndarray, channels: int) -> np.ndarray:
    """Channels (N, C, H, W) of words (N, blocks, H, W, lanes)."""
    count, _, rows, columns, _ = words.shape
    return words.transpose(0, 1, 4, 2, 3).reshape(count, -1, rows, columns)[:, :channels]


@examples(60)
@given(drawn())
def test_windows_of_images(rng):
    """Of any size, step and spacing, also where they leave out the last pixels or reach beyond."""
    dtype = np.dtype((np.int8, np.int16)[rng.integers(2)])
    lanes = (4, 8, 12)[rng.integers(3)]
    image = tuple(int(n) for n in rng.integers(1, 9, 3))
    window, step, size = (tuple(int(n) for n in rng.integers(1, 5, 2)) for _ in range(3))
    pad = tuple(int(n) for n in rng.integers(0, 3, 2))
    spacing = tuple(int(n) for n in rng.integers(1, 4, 2))
    unfold = Unfold(window, step, pad, size, spacing)
    where = input_lanes(unfold, image, lanes, dtype)
    count = int(rng.integers(1, 4))
    x = np.arange(count * np.prod(image)).reshape(count, *image).astype(dtype) + dtype.type(1)
    padded = np.zeros((count, *where.image), dtype)
    rows, columns = where.inside or (slice(None), slice(None))
    padded[:, rows, columns] = x.transpose(0, 2, 3, 1)
    channels = unfold.shape(image)[0]
    words = np.full((count, -(-channels // lanes), *size, lanes), 77, dtype)
    where.to_words(padded, words.reshape(-1).view(np.uint8))
    for got, wanted in zip(plain(words, channels).swapaxes(0, 1), unfold.channels(x), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert (plain(words, words.shape[1] * lanes)[:, channels:] == 77).all()


@examples(60)
@given(drawn())
def test_images_of_stored_channels(rng):
    """Of any size, also where blocks of pixels reach beyond them."""
    dtype = np.dtype((np.int8, np.int16)[rng.integers(2)])
    lanes = (4, 8, 12)[rng.integers(3)]
    image = tuple(int(n) for n in rng.integers(1, 9, 3))
    shuffle = DepthToSpace(tuple(int(n) for n in rng.integers(1, 5, 2)))
    channels, rows, columns = shuffle.shape(image)
    count = int(rng.integers(1, 4))
    shape = (count, -(-channels // lanes), rows, columns, lanes)
    words = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    images = np.full((count, *image[1:], image[0]), 77, dtype)
    where = output_lanes(shuffle, image, lanes, dtype)
    where.to_images(words.reshape(-1).view(np.uint8), images)
    wanted = shuffle.apply(plain(words, channels), image)
    np.testing.assert_array_equal(images.transpose(0, 3, 1, 2), wanted)


@pytest.mark.parametrize(
    ("where", "moves"),
    [
        (output_lanes(DepthToSpace((2, 2)), (3, 64, 64), 8, np.dtype(np.int8)), 6),
        (output_lanes(DepthToSpace((4, 2)), (1, 32, 32), 8, np.dtype(np.int8)), 4),
        (output_lanes(DepthToSpace((2, 4)), (2, 32, 32), 8, np.dtype(np.int8)), 2),
        (output_lanes(DepthToSpace((2, 4)), (2, 32, 32), 8, np.dtype(np.int16)), 4),
        (output_lanes(PLAIN, (3, 64, 64), 8, np.dtype(np.int8)), 3),
        (input_lanes(None, (3, 64, 64), 8, np.dtype(np.int8)), 3),
        (
            input_lanes(
                Unfold((2, 2), (2, 2), (1, 1), (33, 33)), (3, 64, 64), 8, np.dtype(np.int8)
            ),
            6,
        ),
        (
            input_lanes(
                Unfold((2, 2), (1, 1), (2, 2), (66, 66), (3, 3)), (2, 64, 64), 8, np.dtype(np.int8)
            ),
            4,
        ),
    ],
)
def test_as_many_numbers_move_at_once_as_both_sides_allow(where, moves):
    assert len(where._moves) == moves


def test_arrays_with_gaps_are_refused():
    """What is written to a copy would be lost."""
    where = output_lanes(PLAIN, (1, 2, 2), 4, np.dtype(np.int8))
    images = np.zeros((1, 2, 4, 1), np.int8)[:, :, ::2]
    with pytest.raises(ValueError, match="contiguous"):
        where.to_images(np.zeros(16, np.uint8), images)
