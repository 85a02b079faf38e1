"""The scheduler: tiles every layer to the on-chip memories and emits the instruction stream.

A layer's loop nest is: tile groups (images x rows x columns of tiles whose partial sums fit),
blocks of output channels, phase groups, passes, and groups of input blocks. The two outer loops
are ordered to move the fewer bytes. Each on-chip memory is a ring: what is still in it is not
loaded again, and a load may run ahead of the computation as far as the ring reaches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product

from winogen import isa
from winogen.board import Board
from winogen.errors import ScheduleError
from winogen.hazards import Access, TokenAssigner
from winogen.isa import Instruction, Opcode, Table
from winogen.lower import Mode
from winogen.pack import PackedGroup, PackedLayer, PackedNetwork, PackedPass, StoredTable
from winogen.registers import MAX_STREAM_LENGTH, Segment

#: Cycles that starting an instruction costs beside its work; only ranks candidate tilings.
_INSTRUCTION_CYCLES = 40


@dataclass(frozen=True)
class TensorPlace:
    """A tensor in DRAM: [image][block][row][column][lane] at a byte offset of a segment."""

    segment: Segment
    offset: int
    blocks: int
    rows: int
    columns: int
    word_bytes: int

    @property
    def image_words(self) -> int:
        """Words of one image."""
        return self.blocks * self.rows * self.columns

    def size(self, images: int) -> int:
        """Bytes of ``images`` images."""
        return images * self.image_words * self.word_bytes

    def address(self, image: int, block: int, row: int, column: int) -> int:
        """Byte offset in the segment of one word."""
        word = ((image * self.blocks + block) * self.rows + row) * self.columns + column
        return self.offset + word * self.word_bytes

    def access(self, image: int, images: int, write: bool) -> Access:
        """The access to some whole images, for the hazards."""
        start = self.address(image, 0, 0, 0)
        return Access(self.segment.name, start, start + self.size(images), write)


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
    """Sizes of a tile group, input blocks of a weight load, and the order of the outer loops."""

    images: int
    rows: int
    columns: int
    input_blocks: int
    weights_outer: bool


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
    places, scratch = _place_tensors(packed, board, batch)
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


def _place_tensors(
    packed: PackedNetwork, board: Board, batch: int
) -> tuple[dict[str, TensorPlace], int]:
    """Where every tensor lies; tensors that are not alive together share scratch memory."""
    layers = packed.layers
    lanes, word_bytes = board.core.ci_lanes, board.core.word_bytes
    first = next(p for p in layers if "input" in p.layer.sources)
    size = first.layer.shape.input_size
    blocks = first.input_blocks[first.layer.sources.index("input")]
    places = {"input": TensorPlace(Segment.INPUT, 0, blocks, *size, word_bytes)}
    last_use = {s: i for i, p in enumerate(layers) for s in p.layer.sources}
    alive: list[tuple[int, int, int]] = []  # (last use, start, stop)
    scratch = 0
    for i, p in enumerate(layers):
        channels, rows, columns = p.layer.output_shape
        shape = (-(-channels // lanes), rows, columns, word_bytes)
        if i == len(layers) - 1:
            places[p.layer.name] = TensorPlace(Segment.OUTPUT, 0, *shape)
            continue
        need = -(-TensorPlace(Segment.SCRATCH, 0, *shape).size(batch) // 64) * 64
        alive = [a for a in alive if a[0] >= i]
        start = 0
        for _, low, high in sorted(alive, key=lambda a: a[1]):
            if start + need <= low:
                break
            start = max(start, high)
        alive.append((last_use[p.layer.name], start, start + need))
        scratch = max(scratch, start + need)
        places[p.layer.name] = TensorPlace(Segment.SCRATCH, start, *shape)
    return places, scratch


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
        groups = list(_tile_groups(layer, tiling, self._batch))
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
        y, rows = _output_span(layer, 0, tiles.row, tiles.rows)
        x, columns = _output_span(layer, 1, tiles.column, tiles.columns)
        words = tiles.images * rows * columns
        output, _ = self._output.take(object(), words)
        for group in layer.groups:
            params = self._load_params(group, block)
            passes = [
                (p, list(_chunks(layer.blocks_for(p.spec.source, block), tiling.input_blocks)))
                for p in group.passes
            ]
            total = sum(len(chunks) for _, chunks in passes)
            done = 0
            for packed_pass, chunks in passes:
                region = _region(layer, packed_pass, tiles)
                for chunk in chunks:
                    self._compute(
                        tiles, block, group, packed_pass, region, chunk, params,
                        (output, rows, columns), done == 0, done == total - 1,
                    )  # fmt: skip
                    done += 1
        place = self._places[layer.layer.name]
        self._emit(
            Opcode.STORE,
            [
                Access("output", output, output + words, False),
                place.access(tiles.image, tiles.images, True),
            ],
            segment=int(place.segment),
            offset=place.address(tiles.image, block, y, x),
            base=output,
            images=tiles.images,
            rows=rows,
            columns=columns,
            image_stride=place.image_words,
            row_stride=place.columns,
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
            Opcode.COMPUTE,
            accesses,
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
        )

    def _load_table(self, stored: StoredTable) -> int:
        base, held = self._tables[stored.table].take(stored.offset, stored.count)
        if not held:
            self._emit(
                Opcode.LOAD_TABLE,
                [Access(stored.table.name, base, base + stored.count, True)],
                segment=int(Segment.WEIGHTS),
                offset=stored.offset,
                table=int(stored.table),
                base=base,
                count=stored.count,
            )
        return base

    def _load_params(self, group: PackedGroup, block: int) -> int:
        count = group.params_per_block
        offset = group.params + block * count * self._core.co_lanes * isa.PARAM_BYTES
        base, held = self._param.take(offset, count)
        if not held:
            self._emit(
                Opcode.LOAD_PARAMS,
                [Access("param", base, base + count, True)],
                segment=int(Segment.WEIGHTS),
                offset=offset,
                base=base,
                count=count,
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
                Opcode.LOAD_WEIGHTS,
                [Access("weight", base, base + len(chunk) * spec.words, True)],
                segment=int(Segment.WEIGHTS),
                offset=offset,
                base=base,
                blocks=len(chunk),
                phase_base=phase_base,
                phases=len(spec.taps),
                taps=spec.tap_count,
                winograd=int(winograd),
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
                Opcode.LOAD_INPUT,
                [
                    Access("input", base, base + words, True),
                    place.access(tiles.image, tiles.images, False),
                ],
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
            )
        return base

    def _emit(self, opcode: Opcode, accesses: list[Access], **fields: int) -> None:
        instruction = Instruction(opcode, fields, layer=self._number)
        self.instructions.append(instruction)
        self._tokens.add(instruction, accesses)


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
    _, output_rows = _output_span(layer, 0, 0, rows)
    _, output_columns = _output_span(layer, 1, 0, columns)
    words = images * output_rows * output_columns
    if 2 * words > core.output_depth:
        refuse(f"a tile group's output needs 2 x {words} words of {core.output_depth}")
        return 0
    limit = max(layer.input_blocks)
    for group in layer.groups:
        for packed_pass in group.passes:
            region = _widest_region(layer, packed_pass, tiles)
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
        (tiles, tuple(_view_span(layer, p, axis, tile, tiles)[1] for p in passes))
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


def _tile_groups(layer: PackedLayer, tiling: Tiling, batch: int) -> Iterator[TileGroup]:
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


def _output_span(layer: PackedLayer, axis: int, tile: int, tiles: int) -> tuple[int, int]:
    """First output row (axis 0) or column of some tiles, and how many there are."""
    scale = layer.lowered.tile * layer.lowered.stride[axis]
    start = tile * scale
    return start, min(layer.layer.shape.output_size[axis], start + tiles * scale) - start


def _view_span(
    layer: PackedLayer, packed_pass: PackedPass, axis: int, tile: int, tiles: int
) -> tuple[int, int, int]:
    """First row (axis 0) or column of a view that tiles need, how many, and the patch's origin."""
    spec = packed_pass.spec
    low, high = spec.patch_range(axis, layer.lowered.tile)
    start = tile * layer.lowered.tile + spec.origin[axis]
    stop = start + (tiles - 1) * layer.lowered.tile + high + 1
    size = layer.layer.shape.input_size[axis]
    available = -(-(size - spec.phase[axis]) // spec.step[axis])
    first = min(max(start + low, 0), max(available, 0))
    return first, max(min(stop, available) - first, 0), start - first


def _region(layer: PackedLayer, packed_pass: PackedPass, tiles: TileGroup) -> Region:
    row, rows, origin_y = _view_span(layer, packed_pass, 0, tiles.row, tiles.rows)
    column, columns, origin_x = _view_span(layer, packed_pass, 1, tiles.column, tiles.columns)
    if not rows * columns:
        rows = columns = 0
    return Region(row, rows, column, columns, (origin_y, origin_x))


def _widest_region(layer: PackedLayer, packed_pass: PackedPass, tiles: TileGroup) -> int:
    """Words of the largest region of any tile group of this size (one in the middle)."""
    spans = []
    for axis, count in ((0, tiles.rows), (1, tiles.columns)):
        low, high = packed_pass.spec.patch_range(axis, layer.lowered.tile)
        span = (count - 1) * layer.lowered.tile + high - low + 1
        spec = packed_pass.spec
        size = layer.layer.shape.input_size[axis]
        spans.append(min(span, max(-(-(size - spec.phase[axis]) // spec.step[axis]), 0)))
    return spans[0] * row_pitch(spans[1])


def _chunks(blocks: range, size: int) -> Iterator[range]:
    """Parts of at most ``size`` blocks, as equal as can be: a short one would hide no long load."""
    size = -(-len(blocks) // -(-len(blocks) // size))
    for start in range(blocks.start, blocks.stop, size):
        yield range(start, min(start + size, blocks.stop))
