"""What the header of a program file says, value by value: each checked, and of the type it is.

Raises ProgramError for what is not possible; what is of another kind altogether (a list that is no
list) raises whatever Python makes of it, which the reader of the file tells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from winogen.common.errors import ProgramError
from winogen.common.text import printable
from winogen.network.graph import InputPart, Shape
from winogen.network.locality import AxisLocality, Locality
from winogen.program.formats import TensorFormat
from winogen.program.layout import MAX_FOLD, Unfold
from winogen.program.parts import LayerInfo
from winogen.program.reading import whole

#: Characters of a name; those of networks and layers have fewer (winogen.network.yaml_values).
_MAX_NAME = 1000


def layer(layer: Any) -> LayerInfo:
    """What people are told of a layer."""
    return LayerInfo(
        name(layer["name"]),
        name(layer["kind"]),
        name(layer["mode"]),
        shape(layer["output"]),
        *(whole(layer[n]) for n in ("multiplies", "useful", "zero_padded")),
    )


def input_parts(values: Any, channels: int) -> tuple[InputPart, ...]:
    """The parts of an input of so many channels; none where it has one."""
    parts = tuple(
        InputPart(name(p["name"]), p["kind"], whole(p["channels"]), tuple(map(name, p["classes"])))
        for p in values
    )
    if parts and sum(p.channels for p in parts) != channels:
        raise ProgramError("its inputs do not make up the channels of its input")
    for part in parts:
        if part.kind not in ("latent", "label", "image") or part.channels < 1:
            raise ProgramError(f"an input '{part.name}' of this kind is not possible")
        if part.classes and len(part.classes) != part.channels:
            raise ProgramError(f"the input '{part.name}' has another number of classes than names")
    if len({p.name for p in parts}) != len(parts):
        raise ProgramError("two of its inputs have one name")
    return parts


def name(value: Any) -> str:
    """Text from a file as it may reach a terminal; nothing depends on what it says."""
    return printable(str(value))[:_MAX_NAME]


def positive(value: Any) -> float:
    """A positive number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e18:
        raise ProgramError(f"{value!r} is no positive number")
    return value


def tensor_format(value: Any) -> TensorFormat:
    """What integers stand for."""
    zero_point = value["zero_point"]
    if isinstance(zero_point, bool) or not isinstance(zero_point, (int, float)):
        raise ProgramError(f"{zero_point!r} is no number")
    if not abs(zero_point) < 1e6:
        raise ProgramError(f"a zero point of {zero_point} is not possible")
    return TensorFormat(float(positive(value["scale"])), float(zero_point))


def ends(value: Any) -> tuple[float, float] | None:
    """A range, or None."""
    if value is None:
        return None
    low, high = value
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end):
            raise ProgramError(f"{end!r} is no end of a range")
    if not low < high:
        raise ProgramError(f"a range from {low} to {high} is not possible")
    return float(low), float(high)


def locality(value: Any) -> Locality | None:
    """What a window of a larger image loses, or None."""
    if value is None:
        return None
    rows, columns = (
        AxisLocality(**{name: whole(n) for name, n in value[axis].items()})
        for axis in ("rows", "columns")
    )
    return Locality(rows, columns)


def unfold(value: Any, image: Shape) -> Unfold | None:
    """Pixels of an image that are channels, or None."""
    if value is None:
        return None
    unfold = Unfold(
        pair(value["window"], MAX_FOLD),
        pair(value["step"], MAX_FOLD),
        pair(value["pad"], MAX_FOLD, least=0),
        pair(value["size"], np.iinfo(np.int32).max),
        pair(value.get("spacing", (1, 1)), MAX_FOLD),
    )
    if max(unfold.reach) > MAX_FOLD:
        raise ProgramError(f"windows that reach over {unfold.reach} pixels are not possible")
    for size, reach, step, pad, windows in zip(
        image[1:], unfold.reach, unfold.step, unfold.pad, unfold.size
    ):
        # Each window begins within the image or its padding, so no more is made than is there.
        if (windows - 1) * step - pad >= size + reach:
            raise ProgramError(f"windows of {unfold.window} are not in an image of {image}")
    shape(unfold.shape(image))
    return unfold


def pair(value: Any, most: int, least: int = 1) -> tuple[int, int]:
    """Two whole numbers within bounds."""
    first, second = (whole(n) for n in value)
    if not (least <= first <= most and least <= second <= most):
        raise ProgramError(f"a pair of {first} and {second} is not possible")
    return first, second


def shape(value: Any) -> tuple[int, int, int]:
    """Channels, rows and columns."""
    c, h, w = (int(n) for n in value)
    if min(c, h, w) < 1 or c * h * w > np.iinfo(np.int32).max:
        raise ProgramError(f"a shape of {c} x {h} x {w} is not possible")
    return c, h, w
