"""Joining the jobs of a layer that differ in their place within an image alone.

A layer that does not fit the chip is cut into boxes of tiles. Done at once, it is one job: the
boxes lie side by side, and what one of them reads as zero, because it lies outside of the region
that was loaded, lies outside of all that the others loaded too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from winogen.emulation.emulator.jobs import FusedPass, InputView, Job

#: Activations that a joined job reads or makes at most: bounds the memory for it.
_MAX_ACTIVATIONS = 1 << 27


class _Apart(Exception):
    """Boxes that are not those of one image."""


@dataclass(frozen=True)
class _Box:
    """A job and the place of its first output, in words of the tensor that it stores."""

    job: Job
    row: int
    column: int

    @property
    def tiles(self) -> tuple[int, int]:
        return self.job.chains[0].passes[0].kernel.tiles


def join_boxes(jobs: Sequence[Job], word: int) -> list[Job]:
    """The jobs of a layer, none of which reads what another stores, as few as they can be.

    ``word`` is the size of a word of activations, in bytes.
    """
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        groups.setdefault(_alike(job), []).append(job)
    joined: list[Job] = []
    for group in groups.values():
        try:
            joined.append(_joined(group, word) if len(group) > 1 else group[0])
        except _Apart:
            joined += group
    return joined


def _alike(job: Job) -> tuple:
    """What boxes of one layer have in common."""
    chains = tuple(
        (
            tuple(
                (
                    replace(p.kernel, tiles=(0, 0), origin=(0, 0)),
                    p.view and replace(p.view, address=0, rows=0, columns=0, pitch=0),
                    p.weights,
                )
                for p in chain.passes
            ),
            chain.phases,
            chain.params,
            chain.activation,
        )
        for chain in job.chains
    )
    apart = tuple(store - job.stores[0] for store in job.stores)
    return job.layer, job.images, job.stride, job.image_stride, job.row_stride, apart, chains


def _joined(jobs: Sequence[Job], word: int) -> Job:
    boxes = _placed(jobs, word)
    first = boxes[0].job
    grid = _grid(boxes)
    tile = first.chains[0].passes[0].kernel.tile
    step = tile * first.stride[0], tile * first.stride[1]
    for line in grid:
        for box in line:  # all but the last ones are whole, and each begins where one ends
            last = (box.row == grid[-1][0].row, box.column == line[-1].column)
            sizes = (box.job.rows, box.job.columns)
            for axis in range(2):
                if not last[axis] and sizes[axis] != box.tiles[axis] * step[axis]:
                    raise _Apart
    tiles = sum(line[0].tiles[0] for line in grid), sum(box.tiles[1] for box in grid[0])
    chains = tuple(
        replace(
            chain,
            passes=tuple(_pass(grid, c, p, tiles, word) for p in range(len(chain.passes))),
        )
        for c, chain in enumerate(first.chains)
    )
    end = grid[-1][-1]
    rows, columns = end.row + end.job.rows, end.column + end.job.columns
    made = first.images * rows * columns * len(first.stores)
    if made * word > _MAX_ACTIVATIONS:
        raise _Apart
    return replace(first, chains=chains, rows=rows, columns=columns)


def _placed(jobs: Sequence[Job], word: int) -> list[_Box]:
    """The boxes from the first to the last, each with its place relative to the first."""
    start = min(job.stores[0] for job in jobs)
    boxes = []
    for job in jobs:
        offset, rest = divmod(job.stores[0] - start, word)
        if rest or not job.row_stride:
            raise _Apart
        boxes.append(_Box(job, *divmod(offset, job.row_stride)))
    return sorted(boxes, key=lambda box: (box.row, box.column))


def _grid(boxes: Sequence[_Box]) -> list[list[_Box]]:
    """The boxes by rows; every row must have the same columns, side by side."""
    lines: dict[int, list[_Box]] = {}
    for box in boxes:
        lines.setdefault(box.row, []).append(box)
    grid = list(lines.values())
    columns = [(box.column, box.job.columns, box.tiles[1]) for box in grid[0]]
    row = 0
    for line in grid:
        if [(box.column, box.job.columns, box.tiles[1]) for box in line] != columns:
            raise _Apart
        if {(box.row, box.job.rows, box.tiles[0]) for box in line} != {
            (row, line[0].job.rows, line[0].tiles[0])
        }:
            raise _Apart
        row += line[0].job.rows
    at = 0
    for column, width, _ in columns:
        if column != at:
            raise _Apart
        at += width
    return grid


def _pass(
    grid: list[list[_Box]], chain: int, number: int, tiles: tuple[int, int], word: int
) -> FusedPass:
    """A pass of the joined job: its region is the union of what the boxes loaded."""
    first = grid[0][0].job.chains[chain].passes[number]
    passes = [[box.job.chains[chain].passes[number] for box in line] for line in grid]
    kernel = first.kernel
    if first.view is None:  # zero everywhere
        return replace(first, kernel=replace(kernel, tiles=tiles))
    spans = [_spans(p, first.view, word) for line in passes for p in line]
    regions = [span[0] for span in spans]
    whole = tuple(
        (min(r[axis][0] for r in regions), max(r[axis][1] for r in regions)) for axis in range(2)
    )
    # The first patch of a box lies as many tiles behind the first one's as the box itself.
    down = [sum(line[0].tiles[0] for line in grid[:n]) for n in range(len(grid))]
    across = [sum(box.tiles[1] for box in grid[0][:n]) for n in range(len(grid[0]))]
    places = [(y, x) for y in down for x in across]
    origin = spans[0][1]
    for (region, start), place, p in zip(spans, places, (p for line in passes for p in line)):
        for axis in range(2):
            if start[axis] != origin[axis] + kernel.tile * place[axis]:
                raise _Apart
            first_read, reads = kernel.patch[2 * axis : 2 * axis + 2]
            begin = start[axis] + first_read
            needed = begin, begin + kernel.tile * (p.kernel.tiles[axis] - 1) + reads
            if _common(needed, region[axis]) != _common(needed, whole[axis]):
                raise _Apart  # zero for this box, and not for another
    (top, bottom), (left, right) = whole
    view = first.view
    if view.images * (bottom - top) * (right - left) * view.blocks * word > _MAX_ACTIVATIONS:
        raise _Apart
    joined = replace(
        view,
        address=view.address + (top * view.row_stride + left * view.column_step) * word,
        rows=bottom - top,
        columns=right - left,
        pitch=right - left,
    )
    moved = origin[0] - top, origin[1] - left
    return replace(first, view=joined, kernel=replace(kernel, tiles=tiles, origin=moved))


def _spans(
    p: FusedPass, first: InputView, word: int
) -> tuple[tuple[tuple[int, int], tuple[int, int]], tuple[int, int]]:
    """Rows and columns that a box loaded, and of its first patch, relative to the first view."""
    view = p.view
    assert view is not None
    offset, rest = divmod(view.address - first.address, word)
    if rest or not view.row_stride or not view.column_step:
        raise _Apart
    row, beyond = divmod(offset, view.row_stride)
    column, rest = divmod(beyond, view.column_step)
    if rest:
        raise _Apart
    region = (row, row + view.rows), (column, column + view.columns)
    return region, (row + p.kernel.origin[0], column + p.kernel.origin[1])


def _common(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """What two ranges have in common; (0, 0) if nothing."""
    start, stop = max(one[0], other[0]), min(one[1], other[1])
    return (start, stop) if start < stop else (0, 0)
