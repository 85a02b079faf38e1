"""Windows: an image of any size through a network that was compiled for a smaller one.

Windows have one size and overlap by as much as the network's layers reach. Those at the image's
border touch it, so that they are padded as the image is; of each window only what no cut has
spoilt is kept. What results is, bit for bit, the network run on the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winogen.common.errors import InputError
from winogen.network.graph import Graph
from winogen.network.locality import AxisLocality, locality
from winogen.program.file import Program
from winogen.target.board import Board

#: Sides of square windows to choose from.
SIDES = (512, 384, 256, 192, 128, 96, 64)


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


def choose_window(
    graph: Graph, board: Board, sizes: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """Rows and columns of the windows for images of these sizes.

    None if the network sees its whole input: then images must be resized to its own size. The
    larger the windows, the less is computed twice; the smallest image and a part of the board's
    contiguous memory are the limits. An image alone is cut into even parts.
    """
    found = locality(graph)
    if found is None:
        return None
    smallest = tuple(min(size[axis] for size in sizes) for axis in (0, 1))
    side = next((s for s in SIDES if _activations(graph, board, s) <= _share(board)), SIDES[-1])
    if len(set(sizes)) > 1:
        return min(smallest[0], side), min(smallest[1], side)
    rows, columns = (
        window_length(n, side, axis) for n, axis in zip(smallest, (found.rows, found.columns))
    )
    if locality(graph.resized((rows, columns))) is None:
        return smallest[0], smallest[1]  # its edges would take too much of a window
    return rows, columns


def _share(board: Board) -> int:
    """Bytes that the activations of a window may take: a quarter of the contiguous memory."""
    return board.contiguous_mib << 18


def _activations(graph: Graph, board: Board, side: int) -> int:
    """Bytes of the largest layer's inputs and output for a window of ``side`` x ``side``."""
    graph = graph.resized((side, side))
    lanes = board.core.ci_lanes

    def size(name: str) -> int:
        channels, rows, columns = graph.shapes[name]
        return -(-channels // lanes) * rows * columns * board.core.word_bytes

    return max(size(n.name) + sum(size(i) for i in n.inputs) for n in graph.nodes)


def window_length(size: int, limit: int, axis: AxisLocality) -> int:
    """The window for an image of ``size`` samples: even parts of at most ``limit``, or all."""
    if size <= limit:
        return size
    halo = -(-(axis.before + axis.after) * axis.reduce // axis.enlarge)
    parts = -(-(size - halo) // max(limit - halo, 1))
    length = -(-(size - halo) // parts) + halo
    length += (size - length) % axis.step  # windows at both borders must keep the strides' phase
    return min(length, size)
