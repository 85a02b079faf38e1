"""Colour spaces of networks that turn pictures into pictures: which there are, and which suit."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What the network gets of a picture, in words. YCbCr is that of JPEG: ITU-R BT.601, full range.
COLOURS: Mapping[str, str] = {
    "rgb": "red, green and blue",
    "bgr": "blue, green and red, as OpenCV reads pictures",
    "ycbcr": "luma (Y of YCbCr, BT.601 in full range), and Cb and Cr where it takes three channels",
    "grey": "luma alone",
}
#: Colour spaces for channels that go in and come out; the first is the default.
_SUITING: Mapping[tuple[int, int], tuple[str, ...]] = {
    (1, 1): ("ycbcr", "grey", "rgb"),
    (1, 3): ("grey",),
    (3, 1): ("rgb", "bgr"),
    (3, 3): ("rgb", "bgr", "ycbcr"),
}


def named(text: object) -> str:
    """The colour space that a text names, among other words; ValueError if not one and only one."""
    words = re.findall("[a-z]+", str(text).lower().replace("gray", "grey"))
    found = {word for word in words if word in COLOURS}
    if len(found) != 1:
        raise ValueError(f"expected one of {', '.join(COLOURS)}, not {text!r:.60}")
    return found.pop()


def suiting(inputs: int, outputs: int) -> tuple[str, ...]:
    """Colour spaces for so many channels, the default first; empty if it makes no pictures."""
    return _SUITING.get((inputs, outputs), ())
