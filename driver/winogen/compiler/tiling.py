"""The tiling of a layer: how many tiles and input blocks the accelerator takes at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from winogen.common.errors import ScheduleError
from winogen.compiler.geometry import TileGroup, output_span, row_pitch, view_span, widest_region
from winogen.compiler.pack import PackedLayer
from winogen.target.board import Board

#: Cycles that starting an instruction costs beside its work; only ranks candidate tilings.
_INSTRUCTION_CYCLES = 40


@dataclass(frozen=True)
class Tiling:
    """Sizes of a tile group, input blocks of a weight load, and the order of the outer loops."""

    images: int
    rows: int
    columns: int
    input_blocks: int
    weights_outer: bool


def choose_tiling(layer: PackedLayer, board: Board, batch: int) -> Tiling:
    """The tiling with the least of compute and DRAM time among those that fit.

    Raises ScheduleError, naming the layer and the memory, if a single tile does not fit.
    """
    reasons: list[str] = []
    best: tuple[float, Tiling] | None = None

    @cache
    def spans(axis: int, length: int) -> _Spans:
        return _spans(layer, axis, length)

    for images, rows, columns in _candidate_boxes(layer, batch):
        blocks = _input_blocks_that_fit(layer, board, (images, rows, columns), reasons.append)
        if not blocks:
            continue
        for weights_outer in (False, True):
            tiling = Tiling(images, rows, columns, blocks, weights_outer)
            cost = _estimate(layer, board, batch, tiling, spans)
            if best is None or cost < best[0]:
                best = (cost, tiling)
    if best is None:
        raise ScheduleError(
            f"layer '{layer.layer.label}' does not fit board {board.name}: {reasons[-1]}"
        )
    return best[1]


def _candidate_boxes(layer: PackedLayer, batch: int) -> list[tuple[int, int, int]]:
    """Tile-group sizes to try: whole rows of several images first, then parts of one image."""
    tiles_y, tiles_x = (min(t, 2047) for t in layer.lowered.tiles)

    def halvings(n: int) -> list[int]:
        sizes = {n}
        while n > 1:
            n = -(-n // 2)
            sizes.add(n)
        return sorted(sizes, reverse=True)

    boxes = [(n, tiles_y, tiles_x) for n in range(min(batch, 1024), 0, -1)]
    boxes += [(1, y, x) for y, x in product(halvings(tiles_y), halvings(tiles_x)) if y * x > 0]
    return boxes


def _input_blocks_that_fit(
    layer: PackedLayer,
    board: Board,
    box: tuple[int, int, int],
    refuse: Callable[[str], None],
) -> int:
    """Most input blocks of one load for a tile group of this size; 0 if it does not fit."""
    core = board.core
    images, rows, columns = box
    tiles = TileGroup(0, images, 0, rows, 0, columns)
    lowered = layer.lowered
    psums = max(len(g.spec.phases) for g in layer.groups) * lowered.tile**2
    if images * rows * columns * psums > core.psum_depth:
        refuse(f"partial sums of one tile need {psums} words, the memory has {core.psum_depth}")
        return 0
    _, output_rows = output_span(layer, 0, 0, rows)
    _, output_columns = output_span(layer, 1, 0, columns)
    words = images * output_rows * output_columns
    if 2 * words > core.output_depth:
        refuse(f"a tile group's output needs 2 x {words} words of {core.output_depth}")
        return 0
    limit = max(layer.input_blocks)
    for group in layer.groups:
        for packed_pass in group.passes:
            region = widest_region(layer, packed_pass, tiles)
            if region:
                limit = min(limit, core.input_depth // 2 // (images * region))
            if packed_pass.spec.words:
                limit = min(limit, core.weight_depth // 2 // packed_pass.spec.words)
    if limit < 1:
        refuse("one block of input channels does not fit the input or weight buffer twice")
    return max(limit, 0)


#: Tiles of a part of an axis, and how many samples of its view each pass needs: how often.
_Spans = Counter[tuple[int, tuple[int, ...]]]


def _spans(layer: PackedLayer, axis: int, length: int) -> _Spans:
    """The parts of ``length`` tiles that an axis is cut into."""
    total = layer.lowered.tiles[axis]
    passes = [p for g in layer.groups for p in g.passes]
    return Counter(
        (tiles, tuple(view_span(layer, p, axis, tile, tiles)[1] for p in passes))
        for tile in range(0, total, length)
        for tiles in [min(length, total - tile)]
    )


def _kinds_of_groups(
    layer: PackedLayer, tiling: Tiling, batch: int, spans: Callable[[int, int], _Spans]
) -> Counter[tuple[int, int]]:
    """How many tile groups have so many tiles and need so many words of input.

    There are many groups and few kinds: parts of an axis differ at its ends only.
    """
    blocks = [len(layer.blocks_for(p.spec.source, 0)) for g in layer.groups for p in g.passes]
    images = Counter({tiling.images: batch // tiling.images})
    images[batch % tiling.images] += 1 if batch % tiling.images else 0
    kinds: Counter[tuple[int, int]] = Counter()
    for (rows, heights), row_count in spans(0, tiling.rows).items():
        for (columns, widths), column_count in spans(1, tiling.columns).items():
            words = sum(h * row_pitch(w) * n for h, w, n in zip(heights, widths, blocks))
            for number, image_count in images.items():
                if image_count:
                    kind = (number * rows * columns, number * words)
                    kinds[kind] += row_count * column_count * image_count
    return kinds


def _estimate(
    layer: PackedLayer,
    board: Board,
    batch: int,
    tiling: Tiling,
    spans: Callable[[int, int], _Spans],
) -> float:
    """Cycles of a layer under a tiling: the slower of array and DRAM, plus instruction starts."""
    core = board.core
    compute = loads = instructions = 0
    input_bytes = weight_bytes = 0
    resident_input = resident_weights = 0
    for group in layer.groups:
        for packed_pass in group.passes:
            spec = packed_pass.spec
            blocks = len(layer.blocks_for(spec.source, 0))
            chunks = -(-blocks // tiling.input_blocks)
            weight_bytes += blocks * spec.tap_count * core.weight_word_bytes
            resident_weights += blocks * spec.words
            compute += blocks * len(spec.steps)
            instructions += 2 * chunks
            loads += chunks
    groups = 0
    lanes = 0
    for box, count in _kinds_of_groups(layer, tiling, batch, spans).items():
        tiles, words = box
        resident_input = max(resident_input, words)
        groups += count
        input_bytes += count * words * core.word_bytes
        lanes += count * -(-tiles // core.tile_lanes)
    repeats = layer.output_blocks
    if tiling.weights_outer:
        keep = resident_weights <= core.weight_depth
        weights = weight_bytes * repeats * (1 if keep or groups == 1 else groups)
        only_group = groups == 1 and resident_input <= core.input_depth
        inputs = input_bytes * (1 if only_group or layer.layer.diagonal else repeats)
    else:
        weights = weight_bytes * repeats * groups
        keep = resident_input <= core.input_depth
        inputs = input_bytes * (1 if keep or layer.layer.diagonal else repeats)
    outputs = batch * layer.output_blocks * core.word_bytes
    outputs *= layer.layer.shape.output_size[0] * layer.layer.shape.output_size[1]
    bytes_per_cycle = min(board.dram_bytes_per_cycle, 8 * core.read_ports)
    dram = (weights + inputs + outputs) / bytes_per_cycle
    starts = instructions * groups * repeats * _INSTRUCTION_CYCLES
    return max(compute * lanes * repeats, dram) + starts


def tile_groups(layer: PackedLayer, tiling: Tiling, batch: int) -> Iterator[TileGroup]:
    """The tile groups of a layer: images first, then rows, then columns."""
    tiles_y, tiles_x = layer.lowered.tiles
    for image in range(0, batch, tiling.images):
        for row in range(0, tiles_y, tiling.rows):
            for column in range(0, tiles_x, tiling.columns):
                yield TileGroup(
                    image,
                    min(tiling.images, batch - image),
                    row,
                    min(tiling.rows, tiles_y - row),
                    column,
                    min(tiling.columns, tiles_x - column),
                )
