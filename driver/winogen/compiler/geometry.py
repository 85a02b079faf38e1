"""Where tiles lie: which outputs they cover, and which part of a view they read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from winogen.compiler.pack import PackedLayer, PackedPass


@dataclass(frozen=True)
class Region:
    """Words of an input view that a tile group needs, and where its first patch lies in them."""

    row: int
    rows: int
    column: int
    columns: int
    origin: tuple[int, int]

    @property
    def pitch(self) -> int:
        """Words between rows in the input buffer: puts any 2 x 2 pixels in different banks."""
        return row_pitch(self.columns)

    @property
    def words(self) -> int:
        """Input-buffer words of one channel block of one image."""
        return self.rows * self.pitch


def row_pitch(columns: int) -> int:
    """The least 2 + 4 n that is not below ``columns``; 0 for none.

    The input buffer is four banks by address modulo 4. Rows this far apart put the four words of
    every 2 x 2 square of pixels in different banks, so that one cycle reads them all.
    """
    return columns + (2 - columns) % 4 if columns else 0


@dataclass(frozen=True)
class TileGroup:
    """A box of tiles: images [image, image + images), and likewise rows and columns of tiles."""

    image: int
    images: int
    row: int
    rows: int
    column: int
    columns: int


@dataclass(frozen=True)
class Tiling:
    """How a layer is cut.

    Attributes
    ----------
    images, rows, columns : of tiles, in a group
    input_blocks : most blocks of input channels of a load
    weights_outer : blocks of output channels are the outer loop, and tile groups the inner
    shared : passes that look at the same view share one load of it
    """

    images: int
    rows: int
    columns: int
    input_blocks: int
    weights_outer: bool
    shared: bool = False


def output_span(layer: PackedLayer, axis: int, tile: int, tiles: int) -> tuple[int, int]:
    """First output row (axis 0) or column of some tiles, and how many there are."""
    scale = layer.lowered.tile * layer.lowered.stride[axis]
    start = tile * scale
    return start, min(layer.layer.shape.output_size[axis], start + tiles * scale) - start


def view_span(
    layer: PackedLayer, packed_pass: PackedPass, axis: int, tile: int, tiles: int, shared: bool
) -> tuple[int, int, int]:
    """First row (axis 0) or column of a view that tiles need, how many, and the patch's origin.

    With ``shared``, what all passes need that read the same view.
    """
    spec = packed_pass.spec
    low, high = layer.lowered.reach(spec, axis, shared)
    start = tile * layer.lowered.tile
    stop = start + (tiles - 1) * layer.lowered.tile + high + 1
    size = layer.layer.shape.input_size[axis]
    available = -(-(size - spec.phase[axis]) // spec.step[axis])
    first = min(max(start + low, 0), max(available, 0))
    return first, max(min(stop, available) - first, 0), start + spec.origin[axis] - first


def part_sizes(
    layer: PackedLayer, loaded: Sequence[PackedPass], axis: int, length: int, shared: bool
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """What an axis in parts of ``length`` tiles is cut into: how many parts, and their sizes.

    Sizes are tiles, outputs (:func:`output_span`) and the samples that each pass needs
    (:func:`view_span`). Neighbours that are alike are told once: an axis can have thousands.
    """
    lowered, shape = layer.lowered, layer.layer.shape
    total = lowered.tiles[axis]
    tile = np.arange(0, total, length)
    tiles = np.minimum(length, total - tile)
    scale = lowered.tile * lowered.stride[axis]
    sizes = [tiles, np.minimum(shape.output_size[axis] - tile * scale, tiles * scale)]
    for packed_pass in loaded:
        spec = packed_pass.spec
        low, high = lowered.reach(spec, axis, shared)
        start = tile * lowered.tile
        available = -(-(shape.input_size[axis] - spec.phase[axis]) // spec.step[axis])
        first = np.clip(start + low, 0, max(available, 0))
        stop = np.minimum(start + (tiles - 1) * lowered.tile + high + 1, available)
        sizes.append(np.maximum(stop - first, 0))
    table = np.stack(sizes, axis=1)
    begins = np.flatnonzero(np.any(table[1:] != table[:-1], axis=1)) + 1
    for begin, end in itertools.pairwise([0, *begins.tolist(), len(table)]):
        yield end - begin, tuple(table[begin].tolist())


def region_of(
    layer: PackedLayer, packed_pass: PackedPass, tiles: TileGroup, shared: bool
) -> Region:
    """The part of a view that a tile group reads."""
    row, rows, origin_y = view_span(layer, packed_pass, 0, tiles.row, tiles.rows, shared)
    column, columns, origin_x = view_span(
        layer, packed_pass, 1, tiles.column, tiles.columns, shared
    )
    if not rows * columns:
        rows = columns = 0
    return Region(row, rows, column, columns, (origin_y, origin_x))


def widest_region(
    layer: PackedLayer, packed_pass: PackedPass, tiles: TileGroup, shared: bool
) -> int:
    """Words of the largest region of any tile group of this size (one in the middle)."""
    spans = []
    for axis, count in ((0, tiles.rows), (1, tiles.columns)):
        low, high = layer.lowered.reach(packed_pass.spec, axis, shared)
        span = (count - 1) * layer.lowered.tile + high - low + 1
        spec = packed_pass.spec
        size = layer.layer.shape.input_size[axis]
        spans.append(min(span, max(-(-(size - spec.phase[axis]) // spec.step[axis]), 0)))
    return spans[0] * row_pitch(spans[1])


def chunks_of(blocks: range, size: int) -> Iterator[range]:
    """Parts of at most ``size`` blocks, as equal as can be: a short one would hide no long load."""
    size = -(-len(blocks) // -(-len(blocks) // size))
    for start in range(blocks.start, blocks.stop, size):
        yield range(start, min(start + size, blocks.stop))
