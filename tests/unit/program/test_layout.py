"""Pixels as channels at a network's ends, against their definition, pixel by pixel."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from winogen.program.layout import PLAIN, DepthToSpace, Unfold

UNFOLDS = [
    Unfold((1, 5), (1, 1), (0, 2), (7, 6)),
    Unfold((3, 3), (1, 1), (1, 1), (7, 6)),
    Unfold((2, 2), (2, 2), (1, 1), (4, 4)),
    Unfold((4, 1), (3, 1), (2, 0), (3, 6)),
    Unfold((2, 3), (2, 4), (0, 5), (3, 3)),
    Unfold((5, 5), (1, 1), (0, 0), (1, 2)),  # ends before the image does
    Unfold((2, 2), (1, 1), (2, 2), (9, 8), (3, 3)),
    Unfold((3, 2), (2, 1), (1, 0), (2, 4), (2, 5)),
]


@pytest.mark.parametrize("unfold", UNFOLDS)
def test_windows_become_channels(unfold):
    image = np.random.default_rng(1).integers(-128, 128, (2, 3, 7, 6), np.int8)
    got = np.stack(list(unfold.channels(image)), axis=1)
    assert got.dtype == image.dtype
    assert got.shape == (2, *unfold.shape(image.shape[1:]))
    for ty, tx in product(*(range(n) for n in unfold.window)):
        for c, y, x in product(range(3), *(range(n) for n in unfold.size)):
            row = y * unfold.step[0] + ty * unfold.spacing[0] - unfold.pad[0]
            column = x * unfold.step[1] + tx * unfold.spacing[1] - unfold.pad[1]
            inside = 0 <= row < 7 and 0 <= column < 6
            wanted = image[:, c, row, column] if inside else np.zeros(2, np.int8)
            channel = (ty * unfold.window[1] + tx) * 3 + c
            assert np.array_equal(got[:, channel, y, x], wanted)


@pytest.mark.parametrize("block", [(1, 1), (2, 2), (4, 2), (1, 3), (3, 5)])
@pytest.mark.parametrize("image", [(3, 8, 12), (1, 7, 5), (2, 1, 1), (5, 2, 9)])
def test_channels_become_pixels(block, image):
    shuffle = DepthToSpace(block)
    shape = shuffle.shape(image)
    stored = np.random.default_rng(2).integers(-9, 9, (2, *shape))
    got = shuffle.apply(stored, image)
    assert got.shape == (2, *image)
    for c, y, x in product(*(range(n) for n in image)):
        channel = (y % block[0] * block[1] + x % block[1]) * image[0] + c
        assert np.array_equal(got[:, c, y, x], stored[:, channel, y // block[0], x // block[1]])


def test_an_output_as_it_is():
    stored = np.arange(24).reshape(1, 2, 3, 4)
    assert PLAIN.shape((2, 3, 4)) == (2, 3, 4)
    assert np.array_equal(PLAIN.apply(stored, (2, 3, 4)), stored)
