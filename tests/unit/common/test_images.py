"""Pixels, sheets and the files that they go to."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from winogen.common.errors import InputError
from winogen.common.images import encode_png, save_array, sheet, to_pixels


def test_pixels_round_half_up_and_saturate():
    values = np.array([-9.0, 0, 0.49, 0.5, 127.5, 254.49, 254.5, 255, 300])
    assert to_pixels(values, 0, 255).tolist() == [0, 0, 0, 1, 128, 254, 255, 255, 255]
    assert to_pixels(np.array([-2.0, -1, 0, 1, 2]), -1, 1).tolist() == [0, 0, 128, 255, 255]
    assert to_pixels(np.array([0.0, 1.0]), 1, 0).tolist() == [255, 0]  # black above white
    assert to_pixels(np.float32([[0.25]]), 0, 1).dtype == np.uint8


@pytest.mark.parametrize(
    ("count", "grid"),
    [(1, (1, 1)), (2, (1, 2)), (4, (2, 2)), (6, (2, 3)), (16, (4, 4)), (17, (4, 5)), (18, (3, 6))],
)
def test_sheets_are_nearly_square_or_full(count, grid):
    rows, columns = grid
    assert sheet(np.zeros((count, 5, 7, 3), np.uint8)).size == (9 * columns - 2, 7 * rows - 2)


def test_every_image_is_on_the_sheet_once_in_order():
    images = np.arange(1, 7, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((1, 4, 5, 1), np.uint8)
    page = np.asarray(sheet(images, columns=3, gap=1))
    assert page.shape == (2 * 5 - 1, 3 * 6 - 1)
    for index in range(6):
        y, x = 5 * (index // 3), 6 * (index % 3)
        assert (page[y : y + 4, x : x + 5] == index + 1).all()
    assert (page[4] == 255).all()
    assert (page[:, 5] == 255).all()


def test_places_without_an_image_are_white():
    page = np.asarray(sheet(np.zeros((3, 2, 2, 3), np.uint8), columns=2, gap=2))
    assert page.shape == (6, 6, 3)
    assert (page[4:, 4:] == 255).all()


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (1, 4, 4, 2), (1, 4, 4, 4), (4, 4, 1)])
def test_what_cannot_be_drawn(shape):
    with pytest.raises(InputError, match="cannot draw images of shape"):
        sheet(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_png(channels):
    images = np.random.default_rng(0).integers(0, 256, (1, 6, 4, channels), np.uint8)
    for scale in (1, 3):
        picture = Image.open(io.BytesIO(encode_png(sheet(images), scale)))
        assert picture.format == "PNG"
        assert picture.size == (4 * scale, 6 * scale)
        assert picture.mode == {1: "L", 3: "RGB"}[channels]
        pixels = np.asarray(picture).reshape(6 * scale, 4 * scale, channels)
        np.testing.assert_array_equal(pixels[::scale, ::scale], images[0])
        np.testing.assert_array_equal(pixels[scale - 1 :: scale, scale - 1 :: scale], images[0])


def test_the_same_picture_gives_the_same_bytes():
    images = np.full((4, 3, 3, 3), 9, np.uint8)
    assert encode_png(sheet(images)) == encode_png(sheet(images))


def test_arrays(tmp_path):
    values = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    save_array(tmp_path / "a.npy", values)
    again = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, values)
    with pytest.raises(InputError, match="does not exist"):
        save_array(tmp_path / "none" / "a.npy", values)
