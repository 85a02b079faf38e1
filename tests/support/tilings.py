"""Every tiling of a layer, and how many cycles the cost model says each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from winogen.compiler.cells import Cells
from winogen.compiler.geometry import Tiling
from winogen.compiler.pack import PackedLayer, PackedNetwork
from winogen.compiler.schedule import schedule
from winogen.compiler.tiling import input_blocks_that_fit
from winogen.cost.simulate import simulate
from winogen.target.board import Board


def lone_cycles(layer: PackedLayer, board: Board, batch: int, tiling: Tiling) -> int:
    """Cycles of a network that is this layer alone, which has one source."""
    alone = replace(layer, layer=replace(layer.layer, sources=("input",)))
    stream = schedule(PackedNetwork([alone]), board, batch, [tiling])
    return simulate(stream.instructions, board).cycles


def all_tilings(layer: PackedLayer, board: Board, batch: int) -> Iterator[Tiling]:
    """Every box of tiles, number of input blocks and order of the loops that fits."""
    tiles_y, tiles_x = layer.lowered.tiles
    boxes = [(n, tiles_y, tiles_x) for n in range(2, batch + 1)]
    boxes += [(1, *b) for b in product(range(1, tiles_y + 1), range(1, tiles_x + 1))]
    for box, shared in product(boxes, (False, True)):
        most = input_blocks_that_fit(layer, board, box, shared, 2, lambda _: None)
        for blocks, weights_outer in product(range(1, most + 1), (False, True)):
            yield Tiling(*box, blocks, weights_outer, shared)


def best_cycles(layer: PackedLayer, board: Board, batch: int, unless: float) -> float:
    """The fewest cycles of all tilings; ``unless`` if none takes fewer than that.

    Only those are simulated whose COMPUTEs alone take fewer.
    """
    cells, best = Cells(layer, board, batch), unless
    for tiling in all_tilings(layer, board, batch):
        alone = len(layer.runs) * sum(c.count * c.compute for c in cells.of(tiling))
        if alone < best:
            best = min(best, lone_cycles(layer, board, batch, tiling))
    return best
