"""The report's pictures: sample images, and maps of where they differ, as data URIs."""

from __future__ import annotations

import base64
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from winogen.common.images import encode_png, to_pixels

#: Colours of a difference map from nothing to the largest: dark to light, readable without hue.
MAP_COLOURS = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10),
               (252, 255, 164))  # fmt: skip
#: Larger pictures are cropped to this many pixels a side, from their centre.
MAX_SIDE = 256


def pixels(values: NDArray, black: float, white: float) -> NDArray[np.uint8]:
    """Pixels (N, H, W, 1 or 3) of outputs (N, C, H, W); the first channel if they are no image."""
    channels = values.shape[1]
    shown = values if channels in (1, 3) else values[:, :1]
    rows, columns = shown.shape[2:]
    top, left = (max(n - MAX_SIDE, 0) // 2 for n in (rows, columns))
    shown = shown[:, :, top : top + MAX_SIDE, left : left + MAX_SIDE]
    return to_pixels(shown, black, white).transpose(0, 2, 3, 1)


def differences(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Largest difference of any channel, (N, H, W), in pixel values 0 to 255."""
    return np.abs(a.astype(np.int64) - b).max(axis=3)


def full_scale(maps: NDArray[np.int64]) -> int:
    """The pixel difference that a map shows as its lightest: the power of two at or above the
    99.9th percentile, so that one odd pixel does not darken all others.
    """
    reach = float(np.percentile(maps, 99.9))
    return int(2 ** math.ceil(math.log2(max(reach, 1))))


def map_colours(differences: NDArray[np.int64], full: int) -> NDArray[np.uint8]:
    """Colours (..., 3) of differences; ``full`` and above are the lightest."""
    stops = np.linspace(0, full, len(MAP_COLOURS))
    bands = [np.interp(differences, stops, [c[i] for c in MAP_COLOURS]) for i in range(3)]
    return np.stack(bands, axis=-1).round().astype(np.uint8)


def data_uri(image: NDArray[np.uint8]) -> str:
    """A picture (H, W, 1 or 3) as a PNG inside a URI."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()
