"""From a picture's colours to a network's channels, and back.

YCbCr is that of JPEG, as pillow converts it: ITU-R BT.601 with all of 0 to 255. Where a network
works on the luma alone, the chroma is resized to its output by bicubic interpolation, as
super-resolution is usually measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from winogen.common.errors import InputError
from winogen.common.images import BICUBIC
from winogen.network.colour import COLOURS, suiting

#: What becomes of a picture's colours, by colour space and channels that go in.
_TOLD = {
    ("ycbcr", 1): "luma (Y of YCbCr, BT.601 in full range as in JPEG) goes through the network; Cb "
    "and Cr are resized (bicubic) to its output's size and joined to it",
    ("ycbcr", 3): "red, green and blue are converted to Y, Cb and Cr (BT.601 in full range as in "
    "JPEG) before the network, and back behind it",
    ("grey", 1): "luma (BT.601) goes through the network",
    ("rgb", 1): "red, green and blue go through the network one after the other",
    ("rgb", 3): "red, green and blue go through the network",
    ("bgr", 3): "blue, green and red, in this order, go through the network",
}


def chosen(
    name: str, shape: tuple[int, int], wanted: str | None, default: str | None = None
) -> str:
    """The colour space for a network of pictures; InputError if ``wanted`` does not suit it.

    ``shape`` is its channels in and out, ``default`` what its model says.
    """
    known = suiting(*shape)
    if wanted is not None and wanted not in known:
        raise InputError(
            f"network '{name}' makes {shape[1]} channel{'s' * (shape[1] > 1)} of {shape[0]}: its "
            f"colours can be {' or '.join(known)}, not {wanted}"
        )
    return wanted or (default if default in known else known[0])


def told(colour: str, channels: int) -> str:
    """What becomes of a picture's colours in a network of so many channels, in words."""
    assert colour in COLOURS
    return _TOLD[colour, channels]


def parts(image: Image.Image, colour: str, channels: int) -> list[NDArray[np.uint8]]:
    """What goes through the network, one after the other: (``channels``, H, W) each.

    ``image`` is grey (L) or RGB.
    """
    if channels == 1 and (image.mode == "L" or colour == "grey"):
        return [np.asarray(_luma(image))[None]]
    if channels == 1 and colour == "rgb":
        return [np.asarray(plane)[None] for plane in image.split()]
    if channels == 1:
        return [np.asarray(_luma(image))[None]]
    planes = np.asarray(image.convert("YCbCr" if colour == "ycbcr" else "RGB")).transpose(2, 0, 1)
    return [planes[::-1] if colour == "bgr" else planes]


def picture_of(
    image: Image.Image, made: Sequence[NDArray[np.uint8]], colour: str, channels: int
) -> Image.Image:
    """The picture (L or RGB) of what the network made, (H, W, C) each, of :func:`parts`."""
    if len(made) > 1:  # a plane each
        return Image.fromarray(np.concatenate(made, axis=2))
    [pixels] = made
    if pixels.shape[2] == 3:
        if channels == 3 and colour == "ycbcr":
            planes = [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(3)]
            return Image.merge("YCbCr", planes).convert("RGB")
        order = slice(None, None, -1) if colour == "bgr" else slice(None)
        return Image.fromarray(np.ascontiguousarray(pixels[..., order]))
    out = Image.fromarray(pixels[..., 0])
    if channels == 1 and colour == "ycbcr" and image.mode == "RGB":
        _, blue, red = image.convert("YCbCr").split()
        chroma = (plane.resize(out.size, BICUBIC) for plane in (blue, red))
        return Image.merge("YCbCr", (out, *chroma)).convert("RGB")
    return out


def _luma(image: Image.Image) -> Image.Image:
    return image if image.mode == "L" else image.convert("YCbCr").getchannel(0)
