"""How large the windows are that a network is compiled for, to run on larger images.

See :mod:`winogen.runtime.windows`, which runs it on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from winogen.network.graph import Graph
from winogen.network.locality import AxisLocality, locality
from winogen.target.board import Board

#: Sides of square windows to choose from.
SIDES = (512, 384, 256, 192, 128, 96, 64)


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
    """The window for an image of ``size`` samples: equal parts of at most ``limit``, or all.

    An even number of samples is preferred.
    """
    if size <= limit:
        return size
    halo = -(-(axis.before + axis.after) * axis.reduce // axis.enlarge)
    parts = -(-(size - halo) // max(limit - halo, 1))
    length = -(-(size - halo) // parts) + halo
    length += (size - length) % axis.step  # windows at both borders must keep the strides' phase
    if length % 2 and axis.step % 2 and length + axis.step <= limit:
        length += axis.step  # tiles are 2 x 2: those of the last odd row would be half empty
    return min(length, size)
