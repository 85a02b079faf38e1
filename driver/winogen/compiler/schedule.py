"""The scheduler: tiles every layer to the on-chip memories and emits the instruction stream.

A layer's loop nest is: tile groups (images x rows x columns of tiles whose partial sums fit),
blocks of output channels, phase groups, passes, and groups of input blocks. The two outer loops
are ordered to move the fewer bytes. Each on-chip memory is a ring: what is still in it is not
loaded again, and a load may run ahead of the computation as far as the ring reaches.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from winogen.common.errors import ScheduleError
from winogen.compiler.geometry import Region, TileGroup, chunks_of, output_span, region_of
from winogen.compiler.hazards import Access, TokenAssigner
from winogen.compiler.lower import Mode
from winogen.compiler.pack import PackedGroup, PackedNetwork, PackedPass, StoredTable
from winogen.compiler.places import TensorPlace, place_tensors
from winogen.compiler.tiling import Tiling, choose_tiling, tile_groups
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.isa import (
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Store,
    Table,
)
from winogen.target.registers import MAX_STREAM_LENGTH, Segment


@dataclass
class Stream:
    """The instructions for one batch size, and the DRAM that they use (bytes)."""

    batch: int
    instructions: list[Instruction]
    input_bytes: int
    output_bytes: int
    scratch_bytes: int
    layer_starts: list[int] = field(default_factory=list)


def schedule(packed: PackedNetwork, board: Board, batch: int) -> Stream:
    """The instruction stream that runs a packed network on ``batch`` inputs.

    Raises ScheduleError, naming the layer, where the smallest tile does not fit a memory.
    """
    places, scratch = place_tensors(packed, board, batch)
    emitter = _Emitter(packed, board, places, batch)
    starts = []
    for number in range(len(packed.layers)):
        starts.append(len(emitter.instructions))
        emitter.layer(number)
    if len(emitter.instructions) > MAX_STREAM_LENGTH:
        raise ScheduleError(
            f"the stream for batch {batch} has {len(emitter.instructions)} instructions, over the "
            f"limit of {MAX_STREAM_LENGTH}; use a smaller batch"
        )
    return Stream(
        batch,
        emitter.instructions,
        places["input"].size(batch),
        places[packed.layers[-1].layer.name].size(batch),
        scratch,
        starts,
    )


class _Ring:
    """An on-chip memory used as a ring; remembers what it holds under which key."""

    def __init__(self, name: str, depth: int):
        self.name = name
        self.depth = depth
        self._cursor = 0
        self._held: dict[Hashable, tuple[int, int]] = {}

    def take(self, key: Hashable, size: int) -> tuple[int, bool]:
        """First word of ``size`` words for ``key``, and whether it already holds them."""
        start, stop = self._held.get(key, (0, 0))
        if stop - start >= size > 0:
            return start, True
        if self._cursor + size > self.depth:
            self._cursor = 0
        start, stop = self._cursor, self._cursor + size
        self._held = {k: r for k, r in self._held.items() if r[1] <= start or stop <= r[0]}
        self._held[key] = (start, stop)
        self._cursor = stop
        return start, False


class _Emitter:
    """Emits the stream layer by layer; holds the state of the on-chip memories."""

    def __init__(
        self, packed: PackedNetwork, board: Board, places: dict[str, TensorPlace], batch: int
    ):
        self._packed = packed
        self._board = board
        self._core = core = board.core
        self._places = places
        self._batch = batch
        self.instructions: list[Instruction] = []
        self._tokens = TokenAssigner()
        self._input = _Ring("input", core.input_depth)
        self._weight = _Ring("weight", core.weight_depth)
        self._param = _Ring("param", core.param_depth)
        self._output = _Ring("output", core.output_depth)
        self._tables = {
            Table.STEP: _Ring("step", core.step_depth),
            Table.ACCUMULATOR: _Ring("accumulator", 2 * core.accumulator_depth),
            Table.PHASE: _Ring("phase", core.phase_depth),
            Table.ACTIVATION: _Ring("activation", isa.TABLE_ENTRIES),
        }
        self._number = 0
        self._layer = packed.layers[0]

    def layer(self, number: int) -> None:
        """Emit one layer."""
        self._number = number
        self._layer = layer = self._packed.layers[number]
        tiling = choose_tiling(layer, self._board, self._batch)
        groups = list(tile_groups(layer, tiling, self._batch))
        blocks = range(layer.output_blocks)
        order: Iterator[tuple[TileGroup, int]]
        if tiling.weights_outer:
            order = ((g, b) for b in blocks for g in groups)
        else:
            order = ((g, b) for g in groups for b in blocks)
        for group, block in order:
            self._output_block(tiling, group, block)

    def _output_block(self, tiling: Tiling, tiles: TileGroup, block: int) -> None:
        """All passes of one tile group and output block, and the store of their result."""
        layer = self._layer
        y, rows = output_span(layer, 0, tiles.row, tiles.rows)
        x, columns = output_span(layer, 1, tiles.column, tiles.columns)
        words = tiles.images * rows * columns
        output, _ = self._output.take(object(), words)
        for group in layer.groups:
            params = self._load_params(group, block)
            passes = [
                (p, list(chunks_of(layer.blocks_for(p.spec.source, block), tiling.input_blocks)))
                for p in group.passes
            ]
            total = sum(len(chunks) for _, chunks in passes)
            done = 0
            for packed_pass, chunks in passes:
                region = region_of(layer, packed_pass, tiles)
                for chunk in chunks:
                    self._compute(
                        tiles, block, group, packed_pass, region, chunk, params,
                        (output, rows, columns), done == 0, done == total - 1,
                    )  # fmt: skip
                    done += 1
        place = self._places[layer.layer.name]
        self._emit(
            Store(
                segment=int(place.segment),
                offset=place.address(tiles.image, block, y, x),
                base=output,
                images=tiles.images,
                rows=rows,
                columns=columns,
                image_stride=place.image_words,
                row_stride=place.columns,
            ),
            [
                Access("output", output, output + words, False),
                place.access(tiles.image, tiles.images, True),
            ],
        )

    def _compute(
        self,
        tiles: TileGroup,
        block: int,
        group: PackedGroup,
        packed_pass: PackedPass,
        region: Region,
        chunk: range,
        params: int,
        output: tuple[int, int, int],
        first: bool,
        last: bool,
    ) -> None:
        layer, spec = self._layer, packed_pass.spec
        lowered = layer.lowered
        winograd = lowered.mode is Mode.WINOGRAD
        accesses = []

        def table(stored: StoredTable) -> int:
            base = self._load_table(stored)
            accesses.append(Access(stored.table.name, base, base + stored.count, False))
            return base

        steps, accumulators = table(packed_pass.steps), table(packed_pass.accumulators)
        phases = table(packed_pass.phases)
        if layer.activation and last:
            table(layer.activation)
        input_base = self._load_input(tiles, spec.source, spec.step, spec.phase, region, chunk)
        weight_base = self._load_weights(block, packed_pass, chunk, phases, winograd)
        words = tiles.images * len(chunk) * region.words
        output_base, output_rows, output_columns = output
        rows, columns = (spec.patch_range(axis, lowered.tile) for axis in (0, 1))
        output_words = tiles.images * output_rows * output_columns
        accesses += [
            Access("input", input_base, input_base + words, False),
            Access("weight", weight_base, weight_base + len(chunk) * spec.words, False),
            Access("param", params, params + group.params_per_block, False),
            Access("output", output_base, output_base + output_words, True),
        ]
        self._emit(
            Compute(
                winograd=int(winograd),
                first=int(first),
                last=int(last),
                activation=int(last and layer.activation is not None),
                input_base=input_base,
                rows=region.rows,
                columns=region.columns,
                pitch=region.pitch,
                images=tiles.images,
                blocks=len(chunk),
                origin_y=region.origin[0],
                origin_x=region.origin[1],
                tiles_y=tiles.rows,
                tiles_x=tiles.columns,
                tile=lowered.tile,
                patch_row=rows[0],
                patch_rows=rows[1] - rows[0] + 1,
                patch_column=columns[0],
                patch_columns=columns[1] - columns[0] + 1,
                weight_base=weight_base,
                weight_stride=spec.words,
                step_base=steps,
                steps=len(spec.steps),
                accumulator_base=accumulators,
                accumulators=len(spec.accumulators),
                phase_base=phases,
                phases=len(spec.taps),
                psum_base=0,
                param_base=params,
                output_base=output_base,
                output_rows=output_rows,
                output_columns=output_columns,
                stride_y=lowered.stride[0],
                stride_x=lowered.stride[1],
            ),
            accesses,
        )

    def _load_table(self, stored: StoredTable) -> int:
        base, held = self._tables[stored.table].take(stored.offset, stored.count)
        if not held:
            self._emit(
                LoadTable(
                    segment=int(Segment.WEIGHTS),
                    offset=stored.offset,
                    table=int(stored.table),
                    base=base,
                    count=stored.count,
                ),
                [Access(stored.table.name, base, base + stored.count, True)],
            )
        return base

    def _load_params(self, group: PackedGroup, block: int) -> int:
        count = group.params_per_block
        offset = group.params + block * count * self._core.co_lanes * isa.PARAM_BYTES
        base, held = self._param.take(offset, count)
        if not held:
            self._emit(
                LoadParams(
                    segment=int(Segment.WEIGHTS),
                    offset=offset,
                    base=base,
                    count=count,
                ),
                [Access("param", base, base + count, True)],
            )
        return base

    def _load_weights(
        self, block: int, packed_pass: PackedPass, chunk: range, phase_base: int, winograd: bool
    ) -> int:
        spec = packed_pass.spec
        if not spec.tap_count:
            return 0
        blocks = 1 if self._layer.layer.diagonal else self._layer.input_blocks[spec.source]
        first = 0 if self._layer.layer.diagonal else chunk.start
        word = (block * blocks + first) * spec.tap_count
        offset = packed_pass.weights + word * self._core.weight_word_bytes
        # Equal bytes may lie in one place for two layers, and still be transformed differently.
        key = (offset, len(chunk), spec.taps, winograd)
        base, held = self._weight.take(key, len(chunk) * spec.words)
        if not held:
            self._emit(
                LoadWeights(
                    segment=int(Segment.WEIGHTS),
                    offset=offset,
                    base=base,
                    blocks=len(chunk),
                    phase_base=phase_base,
                    phases=len(spec.taps),
                    taps=spec.tap_count,
                    winograd=int(winograd),
                ),
                [Access("weight", base, base + len(chunk) * spec.words, True)],
            )
        return base

    def _load_input(
        self,
        tiles: TileGroup,
        source: int,
        step: tuple[int, int],
        phase: tuple[int, int],
        region: Region,
        chunk: range,
    ) -> int:
        if not region.words:
            return 0
        place = self._places[self._layer.layer.sources[source]]
        row = phase[0] + step[0] * region.row
        column = phase[1] + step[1] * region.column
        offset = place.address(tiles.image, chunk.start, row, column)
        words = tiles.images * len(chunk) * region.words
        # The number of the layer keeps a tensor that reuses another's memory apart from it.
        key = (self._number, place.segment, offset, tiles.images, len(chunk), region, step)
        base, held = self._input.take(key, words)
        if not held:
            self._emit(
                LoadInput(
                    segment=int(place.segment),
                    offset=offset,
                    base=base,
                    images=tiles.images,
                    blocks=len(chunk),
                    rows=region.rows,
                    columns=region.columns,
                    pitch=region.pitch,
                    column_step=step[1],
                    image_stride=place.image_words,
                    block_stride=place.rows * place.columns,
                    row_stride=place.columns * step[0],
                ),
                [
                    Access("input", base, base + words, True),
                    place.access(tiles.image, tiles.images, False),
                ],
            )
        return base

    def _emit(self, instruction: Instruction, accesses: list[Access]) -> None:
        instruction.layer = self._number
        self.instructions.append(instruction)
        self._tokens.add(instruction, accesses)
