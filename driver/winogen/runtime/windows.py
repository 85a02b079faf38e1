"""Windows: an image of any size through a network that was compiled for a smaller one.

Windows have one size and overlap by as much as the network's layers reach. Those at the image's
border touch it, so that they are padded as the image is; of each window only what no cut has
spoilt is kept. What results is, bit for bit, the network run on the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from winogen.common.errors import InputError
from winogen.network.locality import AxisLocality, gain
from winogen.program.file import Program


@dataclass(frozen=True)
class Span:
    """One axis of a window: it begins at input sample ``start``; its outputs from ``first`` to
    ``stop`` (of the window) are kept, from ``target`` on (of the image).
    """

    start: int
    first: int
    stop: int
    target: int


def spans(size: int, window: int, out: int, axis: AxisLocality, what: str) -> list[Span]:
    """The windows along one axis of an image.

    Parameters
    ----------
    size, window : samples of the image and of a window
    out : output samples of a window
    what : the axis, for messages

    Raises
    ------
    InputError : the image is smaller than the window, or its size does not suit the strides
    """
    if size < window:
        raise InputError(
            f"the picture has {size} {what} and the network was compiled for windows of {window}; "
            "compile it for smaller ones (--window)"
        )
    if (size - window) % axis.step:
        raise InputError(
            f"the picture has {size} {what}; the network's strides need {window} plus a multiple "
            f"of {axis.step}: crop the picture, or compile for another size (--window)"
        )
    last = size - window
    starts = [0]
    while starts[-1] < last:
        starts.append(min(starts[-1] + axis.advance(out), last))
    found = []
    target = 0
    for start in starts:
        offset = start * axis.enlarge // axis.reduce
        stop = out - (axis.after if start < last else 0)
        found.append(Span(start, target - offset, stop, target))
        target = offset + stop
    return found


def image_spans(size: tuple[int, ...], program: Program) -> tuple[list[Span], list[Span]]:
    """The windows' rows and columns that cover an image.

    Raises InputError as :func:`spans` does, and where the network cannot run in windows.
    """
    if size == program.input_shape[1:]:
        rows, columns = ([Span(0, 0, n, 0)] for n in program.output_shape[1:])
        return rows, columns
    if program.host:
        name = program.layers[min(program.host)].name
        raise InputError(
            f"network '{program.name}' cannot run in windows: layer '{name}' is computed of its "
            "whole input, or of its edges; resize the image to "
            f"{' x '.join(map(str, program.input_shape))}, or compile for images of this size"
        )
    if program.locality is None:
        raise InputError(
            f"network '{program.name}' cannot run in windows: a layer, or all of them together, "
            f"see its whole input of {' x '.join(map(str, program.input_shape))}; resize the "
            "image to that, or compile for larger windows"
        )
    rows, columns = (
        spans(n, window, out, axis, what)
        for n, window, out, axis, what in zip(
            size, program.input_shape[1:], program.output_shape[1:],
            (program.locality.rows, program.locality.columns), ("rows", "columns"),
        )
    )  # fmt: skip
    return rows, columns


def windows_of(image: ArrayLike, program: Program) -> tuple[list[Span], list[Span]]:
    """The windows' rows and columns that cover an image (C, H, W).

    Raises InputError as :func:`image_spans` does, and for an image of another shape.
    """
    shape = np.shape(image)
    if len(shape) != 3 or shape[0] != program.input_shape[0]:
        raise InputError(
            f"an image for network '{program.name}' has shape {shape}, expected "
            f"({program.input_shape[0]}, rows, columns)"
        )
    return image_spans(shape[1:], program)


def takes_windows(program: Program) -> bool:
    """Whether images larger than the compiled input can be run in windows of it."""
    return program.locality is not None and not program.host and not program.input.parts


def padded_size(size: tuple[int, int], program: Program) -> tuple[int, int]:
    """The least size from ``size`` on (rows, columns) that a program takes, in windows or at once.

    Raises InputError for an image larger than a network that runs in no windows.
    """
    rows, columns = program.input_shape[1:]
    if takes_windows(program):
        assert program.locality is not None
        axes = (program.locality.rows, program.locality.columns)
        found = [
            window + -(-max(n - window, 0) // axis.step) * axis.step
            for n, window, axis in zip(size, (rows, columns), axes)
        ]
        return found[0], found[1]
    if size[0] > rows or size[1] > columns:
        raise InputError(
            f"a picture of {size[0]} rows x {size[1]} columns cannot be padded: network "
            f"'{program.name}' sees its whole input of {rows} x {columns}; compile it for larger "
            "ones (--image-size), or resize the picture"
        )
    return rows, columns


def kept_size(size: tuple[int, int], program: Program) -> tuple[int, int]:
    """Rows and columns that an image of ``size`` has of the output of what it was padded to."""
    padded = padded_size(size, program)
    if program.locality is not None:
        axes = (program.locality.rows, program.locality.columns)
        gains = [Fraction(axis.enlarge, axis.reduce) for axis in axes]
    else:
        gains = [gain(*pair) for pair in zip(program.input_shape[1:], program.output_shape[1:])]
    whole = [
        out + math.floor((n - window) * g)
        for n, window, out, g in zip(
            padded, program.input_shape[1:], program.output_shape[1:], gains
        )
    ]
    rows, columns = (n - math.floor((p - s) * g) for n, p, s, g in zip(whole, padded, size, gains))
    if min(rows, columns) < 1:
        raise InputError(f"nothing would be left of a picture of {size[0]} x {size[1]} pixels")
    return rows, columns


def stitch(
    image: ArrayLike,
    program: Program,
    largest: int,
    generate: Callable[[Iterator[NDArray], Callable[[NDArray], object]], object],
    progress: Callable[[int, int], object] | None = None,
) -> NDArray:
    """The network's output for an image of any size, from its outputs for windows.

    Parameters
    ----------
    image : float array (C, H, W), at least as large as the compiled input
    largest : windows of a batch
    generate : runs the network on batches of windows (N, C, H, W), and calls what it is given with
        the output of each, in their order: uint8 images (N, H', W', C'), or float32
        (N, C', H', W')
    progress : called with the number of windows done and of all windows

    Returns
    -------
    uint8 image (H', W', C'), or float32 (C', H', W'), as ``generate`` does.

    Raises
    ------
    InputError : the image has the wrong shape, or the network sees its whole input
    """
    whole = np.asarray(image)
    rows, columns = windows_of(whole, program)
    windows = [(r, c) for r in rows for c in columns]
    height, width = (s[-1].target + s[-1].stop - s[-1].first for s in (rows, columns))
    size = program.input_shape[1:]
    out: NDArray | None = None
    done = 0

    def cut() -> Iterator[NDArray]:
        for start in range(0, len(windows), largest):
            batch = windows[start : start + largest]
            yield np.stack(
                [whole[:, r.start : r.start + size[0], c.start : c.start + size[1]]
                 for r, c in batch]
            )  # fmt: skip

    def put(made: NDArray) -> None:
        nonlocal out, done
        pixels = made.dtype == np.uint8  # then channels are last
        made = made if pixels else made.transpose(0, 2, 3, 1)
        if out is None:
            out = np.empty((height, width, made.shape[3]), made.dtype)
        for (r, c), part in zip(windows[done:], made):
            kept = part[r.first : r.stop, c.first : c.stop]
            out[r.target : r.target + len(kept), c.target : c.target + kept.shape[1]] = kept
        done += len(made)
        if progress:
            progress(done, len(windows))

    generate(cut(), put)
    assert out is not None
    return out if out.dtype == np.uint8 else out.transpose(2, 0, 1)
