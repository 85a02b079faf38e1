"""The tiling of a layer: how many tiles and input blocks the accelerator takes at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

from winogen.common.errors import ScheduleError
from winogen.compiler.estimate import Estimate
from winogen.compiler.geometry import TileGroup, Tiling, output_span, widest_region
from winogen.compiler.pack import PackedLayer
from winogen.target.board import Board

#: Each size of a part that is tried is at most this much of the one before.
_STEP = 0.9
#: Below, parts need not be even: the last one is short, and with it what comes after the others.
_SMALL = 10
#: Loads that the input channels are cut into, where as many fit; few begin late, many cost more.
_CHUNKS = (1, 2, 4)
#: What a tiling may take of the best one's cycles where it shares coded weights.
_SHARED = 1.005


def choose_tiling(layer: PackedLayer, board: Board, batch: int) -> Tiling:
    """The tiling with the least of compute and DRAM time among those that fit.

    Raises ScheduleError, naming the layer and the memory, if a single tile does not fit.
    """
    found = fastest(layer, board, batch)
    assert found is not None
    return found[1]


def fastest(
    layer: PackedLayer, board: Board, batch: int, most: float = math.inf
) -> tuple[float, Tiling] | None:
    """Its cycles, and the tiling of :func:`choose_tiling`; None if they are more than ``most``.

    Raises ScheduleError as that does.
    """
    reasons: list[str] = []
    estimate = Estimate(layer, board, batch)
    fitting = [(estimate.least(t), t) for t in _tilings(layer, board, batch, reasons.append)]
    if not fitting:
        raise ScheduleError(
            f"layer '{layer.layer.label}' does not fit board {board.name}: {reasons[-1]}"
        )
    best = _best(fitting, estimate, most)
    if best is None:
        return None
    if layer.is_coded and layer.chunks and best[1].input_blocks not in layer.chunks:
        # Loads of another size would need streams of their own beside those of other batches.
        kept = [f for f in fitting if f[1].input_blocks in layer.chunks]
        return _best(kept, estimate, _SHARED * best[0]) or best
    return best


def _best(
    fitting: list[tuple[float, Tiling]], estimate: Estimate, most: float
) -> tuple[float, Tiling] | None:
    """The fastest of some tilings, with its cycles; each comes with a bound of them.

    Of those that are as fast it is the one with the lowest bound. None if all take more than
    ``most`` cycles.
    """
    bounds: list[tuple[float, int]] = []
    tilings = sorted((f for f in fitting if f[0] <= most), key=lambda f: f[0])
    best = most, len(tilings)
    for number, (least, tiling) in enumerate(tilings):
        if least > best[0]:
            break
        bound = estimate.at_least(tiling)
        if number == 0 and bound <= most:
            best = min(best, (estimate.cycles(tiling), 0))
        elif number:
            bounds.append((bound, number))
    for bound, number in sorted(bounds):
        if bound > best[0]:
            break
        best = min(best, (estimate.cycles(tilings[number][1]), number))
    return (best[0], tilings[best[1]][1]) if best[1] < len(tilings) else None


def _tilings(
    layer: PackedLayer, board: Board, batch: int, refuse: Callable[[str], None]
) -> Iterator[Tiling]:
    """The tilings that are looked at and fit; ``refuse`` is told why others do not."""
    several = len(layer.lowered.views) < sum(len(g.passes) for g in layer.groups)
    for box in _boxes(layer, batch):
        for shared in (False, True) if several else (False,):
            most = input_blocks_that_fit(layer, board, box, shared, 2, refuse)
            fewer = input_blocks_that_fit(layer, board, box, shared, 3, lambda _: None)
            parts = (-(-max(layer.input_blocks) // n) for n in _CHUNKS)
            known = (n for n in layer.chunks if layer.is_coded and n <= most)
            for blocks in sorted({most, fewer, *known, *(min(n, most) for n in parts)} - {0}):
                for weights_outer in (False, True):
                    yield Tiling(*box, blocks, weights_outer, shared)


def _boxes(layer: PackedLayer, batch: int) -> list[tuple[int, int, int]]:
    """Tile-group sizes to try: several whole images first, then even parts of one image."""
    tiles_y, tiles_x = (min(t, 2047) for t in layer.lowered.tiles)

    def parts(n: int) -> list[int]:
        sizes = [n]
        even = {-(-n // k) for k in range(2, n + 1)}
        for size in sorted(even | set(range(1, min(n, _SMALL))), reverse=True):
            if size <= _STEP * sizes[-1]:
                sizes.append(size)
        return sizes

    boxes = [(n, tiles_y, tiles_x) for n in range(min(batch, 1024), 1, -1)]
    return boxes + [(1, y, x) for y, x in product(parts(tiles_y), parts(tiles_x))]


def input_blocks_that_fit(
    layer: PackedLayer,
    board: Board,
    box: tuple[int, int, int],
    shared: bool,
    slots: int,
    refuse: Callable[[str], None],
) -> int:
    """Most input blocks of a load, so that ``slots`` loads fit; 0 if the tile group does not."""
    core = board.core
    images, rows, columns = box
    tiles = TileGroup(0, images, 0, rows, 0, columns)
    lowered = layer.lowered
    psums = layer.together * max(len(g.spec.phases) for g in layer.groups) * lowered.tile**2
    if images * rows * columns * psums > core.psum_depth:
        refuse(f"partial sums of one tile need {psums} words, the memory has {core.psum_depth}")
        return 0
    _, output_rows = output_span(layer, 0, 0, rows)
    _, output_columns = output_span(layer, 1, 0, columns)
    words = layer.together * images * output_rows * output_columns
    if 2 * words > core.output_depth:
        refuse(f"a tile group's output needs 2 x {words} words of {core.output_depth}")
        return 0
    limit = max(layer.input_blocks)
    for group in layer.groups:
        for packed_pass in group.passes:
            region = widest_region(layer, packed_pass, tiles, shared)
            if region:
                limit = min(limit, core.input_depth // slots // (images * region))
            if packed_pass.spec.words:
                limit = min(limit, core.weight_depth // slots // packed_pass.spec.words)
    if limit < 1:
        refuse("one block of input channels does not fit the input or weight buffer twice")
    return max(limit, 0)


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
