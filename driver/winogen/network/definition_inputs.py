"""Several inputs of a definition: vectors, labels and images that share one tensor.

They are a list with a name for each::

    inputs:
      - {name: z, latent: 100}
      - {name: digit, classes: 10}          # or the names of them: [cat, dog, bird]
      - {name: sketch, image: [1, 64, 64]}

A layer reads one by its name; ``input`` is all of them, channel after channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from winogen.common.errors import ModelError
from winogen.network import filters
from winogen.network.definition_layer import check_keys
from winogen.network.graph import Graph, InputPart, InputSpec, Node
from winogen.network.yaml_values import choice, integer, integers, require, text

#: What an input may be, and which keys may go with that.
KINDS: Mapping[str, tuple[str, ...]] = {
    "latent": ("dist",),
    "classes": (),
    "image": ("range", "colour"),
}
#: Most values of a label, and most inputs.
MAX_CLASSES, MAX_INPUTS = 1 << 14, 64


def several(value: Any, where: str, image_size: tuple[int, int] | None) -> InputSpec:
    """The inputs, without range and colour of an image; ModelError for what is wrong with one."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_INPUTS:
        raise ModelError(
            f"{where}: expected a list of inputs, each {{name: ..., latent: n}}, "
            "{name: ..., classes: n} or {name: ..., image: [c, h, w]}"
        )
    parts: list[InputPart] = []
    sizes: dict[tuple[int, int], str] = {}
    distributions: dict[str, str] = {}
    for number, entry in enumerate(value):
        name = text(require(entry, "name", f"{where}: number {number + 1}"), where)
        own = f"{where}: '{name}'"
        if name == Graph.INPUT_NAME:
            raise ModelError(f"{own} stands for all inputs together; choose another name")
        if name in (part.name for part in parts):
            raise ModelError(f"{own}: the name is used twice")
        kinds = [kind for kind in KINDS if kind in entry]
        if len(kinds) != 1:
            raise ModelError(f"{own}: expected one of {', '.join(KINDS)}")
        (kind,) = kinds
        check_keys(entry, ("name", kind, *KINDS[kind]), own)
        if kind == "image":
            channels, rows, columns = integers(entry["image"], 3, own)
            size = image_size or (rows, columns)
            sizes.setdefault(size, name)
            parts.append(InputPart(name, "image", channels))
        elif kind == "latent":
            parts.append(InputPart(name, "latent", integer(entry["latent"], own)))
            drawn = choice(entry.get("dist", "normal"), ("normal", "uniform"), f"{own}: dist")
            distributions.setdefault(drawn, name)
        else:
            classes = _classes(entry["classes"], f"{own}: classes")
            count = entry["classes"] if not classes else len(classes)
            parts.append(InputPart(name, "label", count, classes))
    for what, found in (("of one size", sizes), ("of one distribution", distributions)):
        if len(found) > 1:
            first, second = list(found.values())[:2]
            raise ModelError(f"{where}: '{first}' and '{second}' share a tensor, so they must be "
                             f"{what}")  # fmt: skip
    rows, columns = next(iter(sizes), (1, 1))
    kind = "latent" if (rows, columns) == (1, 1) else "image"
    plain = "normal" if kind == "latent" else "uniform"
    return InputSpec(
        (sum(part.channels for part in parts), rows, columns),
        kind,
        next(iter(distributions), plain),
        parts=tuple(parts),
    )


def _classes(value: Any, where: str) -> tuple[str, ...]:
    """Names of classes; none where there is a number of them."""
    if not isinstance(value, list):
        integer(value, where, 1, MAX_CLASSES)
        return ()
    names = tuple(text(name, where) for name in value)
    if not 0 < len(names) <= MAX_CLASSES or len(set(names)) < len(names):
        raise ModelError(f"{where}: expected a number, or names that differ from each other")
    return names


def pieces(spec: InputSpec, where: str) -> list[Node]:
    """A layer for each input that takes it from their tensor: a vector as one pixel."""
    _, rows, columns = spec.shape
    found, first = [], 0
    for part in spec.parts:
        order = np.arange(first, first + part.channels)[:, None, None]
        first += part.channels
        crop = (0, 0, 0, 0) if part.kind == "image" else (0, rows - 1, 0, columns - 1)
        weight = filters.copies(f"{where}: '{part.name}'", order, spec.shape[0])
        attrs = {"kernel": (1, 1), "stride": (1, 1), "crop": crop}
        found.append(Node(part.name, "deconv", (Graph.INPUT_NAME,), attrs, {"weight": weight}))
    return found
