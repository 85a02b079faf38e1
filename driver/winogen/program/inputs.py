"""Networks of several inputs: latents, labels and images, joined to the tensor that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError
from winogen.network.graph import InputPart, InputSpec


def join_inputs(spec: InputSpec, values: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    """Inputs (N, C, H, W) of values by the names of their inputs.

    Parameters
    ----------
    values : latents (N, n); labels, numbers or names of classes, one or N of them, or weights of
        the classes (N, classes); images (N, C, H, W). What comes once is that of all.

    Raises InputError for names and shapes that do not fit.
    """
    if not spec.parts:
        raise InputError("the network has a single input: give an array, not names")
    known = [part.name for part in spec.parts]
    for name in values:
        if name not in known:
            raise InputError(f"the network has no input '{name}'; its inputs are {_listed(spec)}")
    missing = [name for name in known if name not in values]
    if missing:
        raise InputError(f"the input '{missing[0]}' is missing; inputs are {_listed(spec)}")
    arrays = [_channels(part, values[part.name], spec) for part in spec.parts]
    count = max(len(a) for a in arrays)
    for part, array in zip(spec.parts, arrays):
        if len(array) not in (1, count):
            raise InputError(f"the input '{part.name}' has {len(array)} values, others {count}")
    whole = [np.broadcast_to(a, (count, a.shape[1], *spec.shape[1:])) for a in arrays]
    return np.concatenate(whole, axis=1).astype(np.float32)


def picture_part(spec: InputSpec) -> InputPart | None:
    """The one image among several inputs; None where there is none, or more."""
    images = [part for part in spec.parts if part.kind == "image"]
    return images[0] if len(images) == 1 else None


def picture_channels(spec: InputSpec) -> int:
    """Channels of a picture that a network takes; 0 where it takes none, or several."""
    if not spec.parts:
        return spec.shape[0]
    part = picture_part(spec)
    return part.channels if part else 0


def beside_picture(
    spec: InputSpec, labels: Sequence[str | int] | None, seed: int
) -> dict[str, NDArray[np.generic]]:
    """What goes with a picture into a network of several inputs, by name, for one image.

    The label as it is given, or drawn by the seed, as latents are. Raises InputError for a label
    that is none, or where the network takes none.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[np.generic]] = {}
    for part in spec.parts:
        if part.kind == "label":
            numbers = label_numbers(part, labels[:1]) if labels else None
            found[part.name] = rng.integers(0, part.channels, 1) if numbers is None else numbers
        elif part.kind == "latent":
            found[part.name] = rng.standard_normal((1, part.channels)).astype(np.float32)
    if labels and not any(part.kind == "label" for part in spec.parts):
        raise InputError("the network takes no label: leave --label out")
    return found


def with_labels(
    spec: InputSpec, x: NDArray[np.float32], labels: Sequence[str | int]
) -> NDArray[np.float32]:
    """Inputs (N, C, H, W) or (N, C) with these labels, in turns; InputError if there are none."""
    at = [i for i, part in enumerate(spec.parts) if part.kind == "label"]
    if len(at) != 1:
        found = _listed(spec) if spec.parts else "a single one"
        raise InputError(f"the network takes {len(at)} labels, not one; its inputs are {found}")
    part = spec.parts[at[0]]
    first = sum(p.channels for p in spec.parts[: at[0]])
    numbers = np.resize(label_numbers(part, list(labels)), len(x))
    x = np.array(x)
    x[:, first : first + part.channels] = 0
    x[np.arange(len(x)), first + numbers] = 1
    return x


def label_numbers(part: InputPart, labels: ArrayLike) -> NDArray[np.int64]:
    """Numbers (N,) of labels that are numbers or names of classes; InputError for others."""
    found = []
    for label in np.atleast_1d(np.asarray(labels)).ravel().tolist():
        text = str(label)
        if text in part.classes:
            found.append(part.classes.index(text))
        elif (isinstance(label, (int, float)) and int(label) == label) or text.isdecimal():
            found.append(int(float(text)))
        else:
            raise InputError(f"'{text[:40]}' is no label of '{part.name}': {_possible(part)}")
        if not 0 <= found[-1] < part.channels:
            raise InputError(f"{text[:40]} is no label of '{part.name}': {_possible(part)}")
    return np.array(found, np.int64)


def _possible(part: InputPart) -> str:
    names = f", or {', '.join(part.classes[:20])}" if part.classes else ""
    return f"give 0 to {part.channels - 1}{names}"


def _channels(part: InputPart, value: ArrayLike, spec: InputSpec) -> NDArray[Any]:
    """An input as (N, channels, 1 or rows, 1 or columns)."""
    array = np.asarray(value)
    if part.kind == "label" and (array.ndim < 2 or array.shape[1:] == (1,)):
        hot = np.zeros((max(array.size, 1), part.channels), np.float32)
        hot[np.arange(array.size), label_numbers(part, array)] = 1
        array = hot
    if part.kind != "image":
        array = array.reshape(1, -1) if array.ndim == 1 else array
        if array.ndim == 2:
            array = array[:, :, None, None]
        shape = (part.channels, 1, 1)
    else:
        shape = (part.channels, *spec.shape[1:])
        array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[1:] != shape or array.dtype.kind not in "fiub":
        wanted = f"(N, {part.channels})" if part.kind != "image" else f"(N, {shape})"
        raise InputError(
            f"the input '{part.name}' ({part.kind}) has shape {np.shape(value)}, expected {wanted}"
        )
    return array


def _listed(spec: InputSpec) -> str:
    return ", ".join(f"'{p.name}' ({p.kind}, {p.channels})" for p in spec.parts)
