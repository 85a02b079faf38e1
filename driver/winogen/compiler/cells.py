"""What the cells of a tiling take: the output blocks of a run of a tile group each.

Runs are taken to be alike: pairs, where a layer has any. But a block's weights come once, whether
it runs in a pair or alone.

There are many cells and few kinds of them, since tile groups differ at the borders only. What the
engines do for a cell is counted by the units of the cost model.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, cached_property

from winogen.compiler.geometry import Tiling, chunks_of, part_sizes, row_pitch
from winogen.compiler.lower import Mode
from winogen.compiler.pack import PackedLayer, PackedPass, StoredTable
from winogen.compiler.sizes import ComputeShape, compute_of, compute_shape, sized
from winogen.cost import steady
from winogen.cost.units import load_bytes
from winogen.target.board import Board
from winogen.target.isa import LoadInput, LoadParams, LoadTable, LoadWeights, Store, Table


@dataclass
class Loads:
    """What some loads take.

    Attributes
    ----------
    cycles, size : of the load engine, and bytes
    first : cycles of what the first COMPUTE needs
    count : instructions
    words : room on chip
    """

    cycles: float = 0.0
    size: float = 0.0
    first: float = 0.0
    count: float = 0
    words: int = 0

    def add(self, other: Loads, times: int) -> None:
        """So many times the other ones, in the same room."""
        self.cycles += times * other.cycles
        self.size += times * other.size
        self.count += times * other.count


@dataclass(frozen=True)
class Cell:
    """Cells that are alike, of one block of output channels: how many, and what each takes.

    Attributes
    ----------
    compute, store : cycles of those engines
    stored : bytes, of as many ``words`` of the output buffer
    inputs : the loads of its input
    """

    count: int
    compute: float
    inputs: Loads
    store: float
    stored: int
    words: int


@dataclass(frozen=True)
class _Kind:
    """Tile groups that are alike: how many, and what they need.

    ``regions`` has (rows, columns) of each load of a view.
    """

    count: int
    tiles: tuple[int, int, int]
    outputs: tuple[int, int]
    regions: tuple[tuple[int, int], ...]


#: Tiles of a part of an axis, its outputs, and the samples of each view that it needs.
_Part = tuple[int, int, tuple[int, ...]]


@dataclass
class Cells:
    """Tells what cells take; keeps what the tilings of a layer have in common."""

    layer: PackedLayer
    board: Board
    batch: int
    _axes: dict[tuple[int, int, bool], Counter[_Part]] = field(default_factory=dict)
    _kinds: dict[tuple[int, int, int, bool], list[_Kind]] = field(default_factory=dict)
    _cells: dict[tuple[int, int, int, bool, int], list[Cell]] = field(default_factory=dict)
    _computes: dict[tuple[ComputeShape, int, int], float] = field(default_factory=dict)
    _crossing: dict[tuple[int, int, int, bool], tuple[int, int]] = field(default_factory=dict)
    _totals: dict[tuple[int, int], float] = field(default_factory=dict)
    _stores: dict[tuple[int, int, int], float] = field(default_factory=dict)
    _inputs: dict[object, tuple[float, int]] = field(default_factory=dict)
    _weights: dict[int, Loads] = field(default_factory=dict)

    def of(self, tiling: Tiling) -> list[Cell]:
        """The cells of one block of output channels; those of whole tile groups come first."""
        key = (*_box(tiling), tiling.input_blocks)
        if key not in self._cells:
            self._cells[key] = [self._cell(tiling, kind) for kind in self._kinds_of(tiling)]
        return self._cells[key]

    def steps(self, tiling: Tiling) -> int:
        """Steps of all cells of a block of output channels: what the multipliers take alone."""
        lanes = self.board.core.tile_lanes
        groups = sum(k.count * -(-math.prod(k.tiles) // lanes) for k in self._kinds_of(tiling))
        return groups * sum(len(p.spec.steps) * n for p, n in zip(self._passes, self._blocks))

    def groups(self, tiling: Tiling) -> int:
        """Tile groups: cells of a block of output channels."""
        return sum(k.count for k in self._kinds_of(tiling))

    def compute(self, tiling: Tiling) -> float:
        """Cycles of the COMPUTEs of all cells of a block of output channels."""
        blocks = tiling.input_blocks
        return sum(
            k.count * self._compute_cycles(math.prod(k.tiles), blocks)
            for k in self._kinds_of(tiling)
        )

    def crossing(self, tiling: Tiling) -> tuple[int, int]:
        """Bytes that all cells of a block of output channels read of inputs, and write."""
        key = _box(tiling)
        if key not in self._crossing:
            read = written = 0
            for kind in self._kinds_of(tiling):
                often = kind.count * kind.tiles[0]
                views = zip(self._views[tiling.shared], kind.regions)
                read += often * sum(
                    total * rows * ((columns - 1) * step[1] + 1)
                    for (step, total), (rows, columns) in views
                    if rows * columns
                )
                written += often * self.layer.together * math.prod(kind.outputs)
            word = self.board.core.word_bytes
            self._crossing[key] = read * word, written * word
        return self._crossing[key]

    def computes(self, tiling: Tiling) -> int:
        """COMPUTEs of a cell."""
        return sum(-(-n // tiling.input_blocks) for n in self._blocks)

    def weights(self, input_blocks: int) -> Loads:
        """Weights and parameters of a run of output channels, in the mean of all runs."""
        if input_blocks not in self._weights:
            self._weights[input_blocks] = self._weight_loads(input_blocks)
        return self._weights[input_blocks]

    @cached_property
    def tables(self) -> Loads:
        """The tables of all COMPUTEs; they are still there when they are used again."""
        tables = {t for p in self._passes for t in (p.steps, p.accumulators, p.phases)}
        return self._table_loads(tables)

    @cached_property
    def late(self) -> int:
        """COMPUTEs of a cell whose table has no room until the one before them has ended."""
        core = self.board.core
        depths = {
            Table.STEP: core.step_depth,
            Table.ACCUMULATOR: 2 * core.accumulator_depth,
            Table.PHASE: core.phase_depth,
        }
        words = Counter[Table]()
        for table in {t for p in self._passes for t in (p.steps, p.accumulators, p.phases)}:
            words[table.table] += table.count
        return max((-(-count // depths[table]) - 1 for table, count in words.items()), default=0)

    @cached_property
    def activation(self) -> Loads:
        """The table that the last COMPUTE of a cell needs."""
        table = self.layer.activation
        return self._table_loads({table} if table else set())

    def _table_loads(self, tables: set[StoredTable]) -> Loads:
        found = Loads()
        for table in tables:
            f = sized(LoadTable, {"table": int(table.table), "count": table.count})
            found.cycles += steady.load_cycles(f, self.board)
            found.size += load_bytes(f, self.board)[0]
            found.count += 1
        return found

    @cached_property
    def _passes(self) -> list[PackedPass]:
        return [p for g in self.layer.groups for p in g.passes]

    @cached_property
    def _blocks(self) -> list[int]:
        """Blocks of input channels of each pass."""
        return [len(self.layer.blocks_for(p.spec.source, 0)) for p in self._passes]

    @cached_property
    def _shapes(self) -> list[ComputeShape]:
        return [compute_shape(p.spec, self.layer.lowered) for p in self._passes]

    def _loaded(self, shared: bool) -> list[PackedPass]:
        """A pass for each load of a view."""
        if not shared:
            return self._passes
        return list({p.spec.view: p for p in self._passes}.values())

    @cached_property
    def _views(self) -> dict[bool, list[tuple[tuple[int, int], int]]]:
        """Step and input blocks of each load of a view, where loads are shared or not."""
        return {
            shared: [
                (p.spec.step, len(self.layer.blocks_for(p.spec.source, 0)))
                for p in self._loaded(shared)
            ]
            for shared in (False, True)
        }

    def _kinds_of(self, tiling: Tiling) -> list[_Kind]:
        key = _box(tiling)
        if key in self._kinds:
            return self._kinds[key]
        images = Counter({tiling.images: self.batch // tiling.images})
        images[self.batch % tiling.images] += 1
        kinds = self._kinds[key] = []
        across = self._axis(1, tiling.columns, tiling.shared)
        for (rows, height, heights), down in self._axis(0, tiling.rows, tiling.shared).items():
            for (columns, width, widths), beside in across.items():
                regions = tuple(zip(heights, widths))
                for number, often in images.items():
                    if number and often:
                        tiles, outputs = (number, rows, columns), (height, width)
                        kinds.append(_Kind(down * beside * often, tiles, outputs, regions))
        return kinds

    def _axis(self, axis: int, length: int, shared: bool) -> Counter[_Part]:
        """The parts of ``length`` tiles that an axis is cut into."""
        key = axis, length, shared
        if key not in self._axes:
            found = self._axes[key] = Counter()
            loaded = self._loaded(shared)
            for count, sizes in part_sizes(self.layer, loaded, axis, length, shared):
                tiles, outputs, *samples = sizes
                found[tiles, outputs, tuple(samples)] += count
        return self._axes[key]

    def _cell(self, tiling: Tiling, kind: _Kind) -> Cell:
        images, (rows, columns) = kind.tiles[0], kind.outputs
        together = self.layer.together
        words = together * images * rows * columns
        return Cell(
            kind.count,
            self._compute_cycles(math.prod(kind.tiles), tiling.input_blocks),
            self._input_loads(tiling, kind),
            together * self._store_cycles(images, rows, columns),
            words * self.board.core.word_bytes,
            words,
        )

    def _store_cycles(self, images: int, rows: int, columns: int) -> float:
        key = images, rows, columns
        if key not in self._stores:
            height, width = self.layer.layer.shape.output_size
            values = {
                "images": images,
                "rows": rows,
                "columns": columns,
                "image_stride": height * width * self.layer.output_blocks,
                "row_stride": width,
            }
            self._stores[key] = steady.store_cycles(sized(Store, values), self.board)
        return self._stores[key]

    def _compute_cycles(self, tiles: int, input_blocks: int) -> float:
        """Cycles of the COMPUTEs of a cell of so many tiles."""
        key = tiles, input_blocks
        if key not in self._totals:
            self._totals[key] = sum(
                count * self._compute(shape, tiles, size)
                for shape, blocks in zip(self._shapes, self._blocks)
                for size, count in _chunks(blocks, input_blocks).items()
            )
        return self._totals[key]

    def _compute(self, shape: ComputeShape, tiles: int, blocks: int) -> float:
        """Cycles of a COMPUTE of a pass."""
        key = shape, tiles, blocks
        if key not in self._computes:
            self._computes[key] = steady.compute_cycles(
                compute_of(shape, tiles, blocks, self.layer.together > 1), self.board.core
            )
        return self._computes[key]

    def _input_loads(self, tiling: Tiling, kind: _Kind) -> Loads:
        found = Loads()
        images = kind.tiles[0]
        for (step, total), (rows, columns) in zip(self._views[tiling.shared], kind.regions):
            if not rows * columns:
                continue
            chunks = _chunks(total, tiling.input_blocks)
            found.words += images * _room(chunks) * rows * row_pitch(columns)
            for blocks, count in chunks.items():
                cycles, size = self._input_load(step, images, blocks, rows, columns)
                found.first = found.first or cycles
                found.cycles += count * cycles
                found.size += count * size
                found.count += count
        return found

    def _input_load(
        self, step: tuple[int, int], images: int, blocks: int, rows: int, columns: int
    ) -> tuple[float, int]:
        key = step, images, blocks, rows, columns
        if key not in self._inputs:
            height, width = self.layer.layer.shape.input_size
            values = {
                "images": images,
                "blocks": blocks,
                "rows": rows,
                "columns": columns,
                "column_step": step[1],
                "image_stride": height * width * max(self.layer.input_blocks),
                "block_stride": height * width,
                "row_stride": width * step[0],
            }
            f = sized(LoadInput, values)
            self._inputs[key] = steady.load_cycles(f, self.board), load_bytes(f, self.board)[0]
        return self._inputs[key]

    def _weight_loads(self, input_blocks: int) -> Loads:
        found = Loads()
        runs = self.layer.runs
        most, mean = self.layer.together, sum(run.count for run in runs) / len(runs)
        for group in self.layer.groups:
            params = sized(LoadParams, {"count": most * group.params_per_block})
            found.cycles += steady.load_cycles(params, self.board)
            found.size += load_bytes(params, self.board)[0]
            found.count += 1
            for packed_pass in group.passes:
                spec = packed_pass.spec
                total = len(self.layer.blocks_for(spec.source, 0))
                chunks = _chunks(total, input_blocks)
                found.words += _room(chunks) * spec.words
                if not spec.tap_count:
                    continue
                # With room for two chunks only, the next one is asked for when one is done with.
                two = 3 * max(chunks) * spec.words > self.board.core.weight_depth
                wait = two * self.board.dram_latency
                for blocks, count in chunks.items():
                    f = sized(
                        LoadWeights,
                        {
                            "blocks": blocks,
                            "phases": len(spec.taps),
                            "taps": spec.tap_count,
                            "winograd": int(self.layer.lowered.mode is Mode.WINOGRAD),
                            **_coded(packed_pass, blocks),
                        },
                    )
                    cycles = steady.load_cycles(f, self.board)
                    found.first = found.first or most * cycles
                    found.cycles += count * (mean * cycles + wait)
                    found.size += mean * count * load_bytes(f, self.board)[0]
                    found.count += mean * count
        return found


def _coded(packed_pass: PackedPass, blocks: int) -> dict[str, int]:
    """The fields of a LOAD_WEIGHTS of so many blocks that say how they are coded."""
    coded = packed_pass.coded
    return {"coding": int(coded.coding), "beats": coded.beats(blocks)} if coded else {}


def _box(tiling: Tiling) -> tuple[int, int, int, bool]:
    return tiling.images, tiling.rows, tiling.columns, tiling.shared


@cache
def _chunks(blocks: int, most: int) -> Counter[int]:
    """How many chunks there are of which size."""
    return Counter(len(c) for c in chunks_of(range(blocks), most))


def _room(chunks: Counter[int]) -> int:
    """Blocks that chunks take on chip: each has as much room as the largest."""
    return max(chunks) * sum(chunks.values())
