"""The scheduler: tiles every layer to the on-chip memories and emits the instruction stream.

A layer's loop nest is: tile groups (images x rows x columns of tiles whose partial sums fit),
blocks of output channels, phase groups, passes, and groups of input blocks. The two outer loops
are ordered to move the fewer bytes. Each on-chip memory is a ring: what is still in it is not
loaded again, and a load may run ahead of the computation as far as the ring reaches.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from winogen.common.errors import ScheduleError
from winogen.compiler.coded import CodedLoad
from winogen.compiler.geometry import Region, TileGroup, Tiling, chunks_of, output_span, region_of
from winogen.compiler.hazards import Access, TokenAssigner
from winogen.compiler.lower import Mode
from winogen.compiler.pack import (
    PackedGroup,
    PackedHost,
    PackedLayer,
    PackedNetwork,
    PackedPass,
    StoredTable,
)
from winogen.compiler.pairs import BlockRun
from winogen.compiler.places import access, place_tensors
from winogen.compiler.tiling import choose_tiling, tile_groups
from winogen.program.host_layers import HostStep, Place
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
from winogen.target.weight_code import Coding


@dataclass
class Stream:
    """The instructions for one batch size, and the DRAM that they use (bytes).

    The accelerator stops at each of the ``host`` steps, and goes on after it as after a start.
    """

    batch: int
    instructions: list[Instruction]
    input_bytes: int
    output_bytes: int
    scratch_bytes: int
    layer_starts: list[int] = field(default_factory=list)
    host: tuple[HostStep, ...] = ()

    def pieces(self) -> list[range]:
        """The instructions between the host's steps: all of them, in order; none is empty."""
        cuts = [0, *(step.before for step in self.host), len(self.instructions)]
        return [range(a, b) for a, b in itertools.pairwise(cuts) if a < b]


def schedule(
    packed: PackedNetwork, board: Board, batch: int, tilings: Sequence[Tiling] | None = None
) -> Stream:
    """The instruction stream that runs a packed network on ``batch`` inputs.

    ``tilings`` has one for each layer, where they are not to be chosen.

    Raises ScheduleError, naming the layer, where the smallest tile does not fit a memory.
    """
    places, scratch = place_tensors(packed, board, batch)
    emitter = _Emitter(packed, board, places, batch)
    starts = []
    for number, layer in enumerate(packed.layers):
        starts.append(len(emitter.instructions))
        if isinstance(layer, PackedHost):
            emitter.host(number, layer)
        else:
            emitter.layer(number, layer, tilings[number] if tilings else None)
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
        tuple(emitter.steps),
    )


class _Ring:
    """An on-chip memory used as a ring; remembers what it holds under which key."""

    def __init__(self, name: str, depth: int):
        self.name = name
        self.depth = depth
        self._cursor = 0
        self._held: dict[Hashable, tuple[int, int]] = {}

    def take(self, key: Hashable, size: int, room: int = 0) -> tuple[int, bool]:
        """First word of ``size`` words for ``key``, and whether it already holds them.

        They get ``room`` words, if that is more. Pieces that have as much room as the largest of
        them take turns in the same places; without, a piece would lie on two others after a while,
        and its load would wait for both.
        """
        start, stop = self._held.get(key, (0, 0))
        if stop - start >= size > 0:
            return start, True
        if self._cursor + max(size, room) > self.depth:
            self._cursor = 0
        start, stop = self._cursor, self._cursor + size
        self._held = {k: r for k, r in self._held.items() if r[1] <= start or stop <= r[0]}
        self._held[key] = (start, stop)
        self._cursor = start + max(size, room)
        return start, False


class _Emitter:
    """Emits the stream layer by layer; holds the state of the on-chip memories."""

    def __init__(self, packed: PackedNetwork, board: Board, places: dict[str, Place], batch: int):
        self._packed = packed
        self._board = board
        self._core = board.core
        self._places = places
        self._batch = batch
        self.instructions: list[Instruction] = []
        self.steps: list[HostStep] = []
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        """Begin a piece of the stream: nothing is on chip, and nothing to be waited for."""
        core = self._core
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

    def host(self, number: int, layer: PackedHost) -> None:
        """End the piece, for the processor to compute one layer."""
        sources = tuple(self._places[s] for s in layer.layer.sources)
        target = self._places[layer.layer.name]
        self.steps.append(HostStep(number, len(self.instructions), sources, target))
        self._forget()

    def layer(self, number: int, layer: PackedLayer, tiling: Tiling | None) -> None:
        """Emit one layer, under the tiling that is best if none is given."""
        self._number, self._layer = number, layer
        if tiling is None:
            tiling = choose_tiling(layer, self._board, self._batch)
        layer.chunks.add(tiling.input_blocks)
        groups = list(tile_groups(layer, tiling, self._batch))
        order: Iterator[tuple[TileGroup, BlockRun]]
        if tiling.weights_outer:
            order = ((g, r) for r in layer.runs for g in groups)
        else:
            order = ((g, r) for g in groups for r in layer.runs)
        for group, run in order:
            self._output_blocks(tiling, group, run)

    def _output_blocks(self, tiling: Tiling, tiles: TileGroup, run: BlockRun) -> None:
        """All passes of a tile group and the output blocks of a run, and the stores of those."""
        layer = self._layer
        y, rows = output_span(layer, 0, tiles.row, tiles.rows)
        x, columns = output_span(layer, 1, tiles.column, tiles.columns)
        words = tiles.images * rows * columns
        output, _ = self._output.take(object(), run.count * words)
        for group in layer.groups:
            params = self._load_params(group, run)
            inputs = [layer.blocks_for(p.spec.source, run.first) for p in group.passes]
            passes = [
                (p, list(chunks_of(blocks, tiling.input_blocks)))
                for p, blocks in zip(group.passes, inputs)
            ]
            total = sum(len(chunks) for _, chunks in passes)
            done = 0
            for packed_pass, chunks in passes:
                region = region_of(layer, packed_pass, tiles, tiling.shared)
                room = tiling.images, len(chunks[0])  # none is longer
                for chunk in chunks:
                    self._compute(
                        tiles, run, group, packed_pass, region, chunk, room, params,
                        (output, rows, columns), done == 0, done == total - 1,
                    )  # fmt: skip
                    done += 1
        place = self._places[layer.layer.name]
        for base, block in zip(range(output, output + run.count * words, words), run.blocks):
            self._emit(
                Store(
                    segment=int(place.segment),
                    offset=place.address(tiles.image, block, y, x),
                    base=base,
                    images=tiles.images,
                    rows=rows,
                    columns=columns,
                    image_stride=place.image_words,
                    row_stride=place.columns,
                ),
                [
                    Access("output", base, base + words, False),
                    access(place, tiles.image, tiles.images, True),
                ],
            )

    def _compute(
        self,
        tiles: TileGroup,
        run: BlockRun,
        group: PackedGroup,
        packed_pass: PackedPass,
        region: Region,
        chunk: range,
        room: tuple[int, int],
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
        # Weights first: they come while the layer before is stored, which its input waits for.
        weight_base = self._load_weights(run, packed_pass, chunk, room, phases, winograd)
        input_base = self._load_input(
            tiles, spec.source, spec.step, spec.phase, region, chunk, room
        )
        words = tiles.images * len(chunk) * region.words
        output_base, output_rows, output_columns = output
        rows, columns = (spec.patch_range(axis, lowered.tile) for axis in (0, 1))
        output_words = run.count * tiles.images * output_rows * output_columns
        accesses += [
            Access("input", input_base, input_base + words, False),
            Access("weight", weight_base, weight_base + len(chunk) * spec.words, False),
            Access("param", params, params + run.count * group.params_per_block, False),
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
                pair=run.count - 1,
                param_stride=(run.count - 1) * group.params_per_block,
                swap=run.swapped,
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

    def _load_params(self, group: PackedGroup, run: BlockRun) -> int:
        count = run.count * group.params_per_block
        entry = self._core.co_lanes * isa.PARAM_BYTES
        offset = group.params + run.first * group.params_per_block * entry
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
        self,
        run: BlockRun,
        packed_pass: PackedPass,
        chunk: range,
        room: tuple[int, int],
        phase_base: int,
        winograd: bool,
    ) -> int:
        spec = packed_pass.spec
        if not spec.tap_count:
            return 0
        window = self._layer.windows[spec.source]
        first = chunk.start - window.starts[run.first]
        loads = [
            self._weights_of(packed_pass, window.blocks, block, first, len(chunk))
            for block in run.blocks
        ]
        # Equal bytes may lie in one place for two layers, and still be transformed differently.
        key = (*loads, len(chunk), spec.taps, winograd)
        base, held = self._weight.take(key, len(chunk) * spec.words, room[1] * spec.words)
        for half, load in enumerate([] if held else loads):
            self._emit(
                LoadWeights(
                    segment=int(Segment.WEIGHTS),
                    offset=load.offset,
                    base=base,
                    blocks=len(chunk),
                    phase_base=phase_base,
                    phases=len(spec.taps),
                    taps=spec.tap_count,
                    winograd=int(winograd),
                    half=half,
                    coding=int(load.coding),
                    beats=load.beats,
                ),
                [Access("weight", base, base + len(chunk) * spec.words, True)],
            )
        return base

    def _weights_of(
        self, packed_pass: PackedPass, blocks: int, block: int, first: int, count: int
    ) -> CodedLoad:
        """Where ``count`` input blocks of an output block's ``blocks`` lie."""
        if packed_pass.coded:
            return packed_pass.coded.load(block, first, count)
        words = (block * blocks + first) * packed_pass.spec.tap_count
        offset = packed_pass.weights + words * self._core.weight_word_bytes
        return CodedLoad(offset, Coding.PLAIN, 0)

    def _load_input(
        self,
        tiles: TileGroup,
        source: int,
        step: tuple[int, int],
        phase: tuple[int, int],
        region: Region,
        chunk: range,
        room: tuple[int, int],
    ) -> int:
        if not region.words:
            return 0
        place = self._places[self._layer.layer.sources[source]]
        row = phase[0] + step[0] * region.row
        column = phase[1] + step[1] * region.column
        offset = place.address(tiles.image, chunk.start, row, column)
        words = tiles.images * len(chunk) * region.words
        # The number of the layer keeps a tensor that reuses another's memory apart from it.
        size = (tiles.images, len(chunk), region.rows, region.columns)
        key = (self._number, place.segment, offset, step, size)
        base, held = self._input.take(key, words, math.prod(room) * region.words)
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
                    access(place, tiles.image, tiles.images, False),
                ],
            )
        return base

    def _emit(self, instruction: Instruction, accesses: list[Access]) -> None:
        instruction.layer = self._number
        self.instructions.append(instruction)
        self._tokens.add(instruction, accesses)
