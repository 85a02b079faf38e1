"""Packing: everything constant about a network, laid out in the weight segment.

For each layer: weights as [pass][output block][input block][tap][output lane][input lane], the
requantisation constants of each output block (of each phase, where biases differ by pixel), and
the step, accumulator, phase and activation tables. All pieces start on 64-byte boundaries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ScheduleError
from winogen.compiler.coded import CodedPass, choose_code
from winogen.compiler.lower import LoweredConv, Mode, Pass, PhaseGroup, lower
from winogen.compiler.pairs import (
    BlockRun,
    alone,
    change_places,
    multiplied_words,
    pair_blocks,
)
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.segment import SegmentWriter
from winogen.compiler.sizes import engine_cycles
from winogen.network.graph import Graph, Shape
from winogen.program.host_layers import HostLayer
from winogen.program.parts import WeightPiece
from winogen.target import isa, winograd
from winogen.target.board import CoreConfig
from winogen.target.isa import AccumulatorEntry, Params, PhaseEntry, StepEntry, Table
from winogen.target.numerics import storage_dtype


@dataclass(frozen=True)
class StoredTable:
    """A table in the weight segment: byte offset and entries."""

    table: Table
    offset: int
    count: int


@dataclass(frozen=True)
class PackedPass:
    """A pass with the places of its weights (of ``weight_bytes``) and tables.

    Weights that are ``coded`` have no place until they are loaded; ``weight_bytes`` are those that
    they would take plain.
    """

    spec: Pass
    weights: int
    weight_bytes: int
    steps: StoredTable
    accumulators: StoredTable
    phases: StoredTable
    coded: CodedPass | None = None


@dataclass(frozen=True)
class PackedGroup:
    """A phase group with the places of its passes and parameters."""

    spec: PhaseGroup
    passes: tuple[PackedPass, ...]
    params: int
    params_per_block: int


@dataclass(frozen=True)
class Window:
    """Blocks of a source's channels that blocks of output channels have weights for.

    A convolution in groups has weights for those of its own group only, and a depthwise one for a
    single block. They are as many for each block of output channels, from ``starts`` of it.
    """

    starts: tuple[int, ...]
    blocks: int


@dataclass
class PackedLayer:
    """A layer, lowered and placed; independent of the batch.

    ``input_blocks[s]`` is the number of channel blocks of source s, ``windows[s]`` those of them
    that have weights, ``runs`` which blocks of output channels run together, ``chunks`` how many
    input blocks loads had so far: streams of coded weights are shared by loads of the same.
    """

    layer: QuantLayer
    lowered: LoweredConv
    groups: tuple[PackedGroup, ...]
    activation: StoredTable | None
    input_blocks: tuple[int, ...]
    windows: tuple[Window, ...]
    output_blocks: int
    runs: tuple[BlockRun, ...]
    chunks: set[int] = field(default_factory=set)

    @property
    def is_coded(self) -> bool:
        """Whether weights of it lie coded."""
        return any(p.coded for group in self.groups for p in group.passes)

    @property
    def alike(self) -> bool:
        """Whether all blocks of output channels read the same input."""
        return all(len(set(w.starts)) == 1 for w in self.windows)

    @property
    def together(self) -> int:
        """Output blocks that run together at most."""
        return max(run.count for run in self.runs)

    def source_size(self, source: int) -> tuple[int, int]:
        """Rows and columns of a source: of all the same."""
        return self.layer.shape.input_size

    def blocks_for(self, source: int, output_block: int) -> range:
        """Input blocks of a source that reach an output block."""
        window = self.windows[source]
        start = window.starts[output_block]
        return range(start, start + window.blocks)


@dataclass
class PackedHost:
    """A layer for the processor; attributes as those of :class:`PackedLayer`."""

    layer: QuantLayer
    host: HostLayer
    source_sizes: tuple[tuple[int, int], ...]
    input_blocks: tuple[int, ...]
    output_blocks: int

    def source_size(self, source: int) -> tuple[int, int]:
        """Rows and columns of a source."""
        return self.source_sizes[source]


@dataclass
class PackedNetwork:
    """All layers, and what lies in the weight segment.

    Coded weights are put there when the scheduler asks for them. Of a network with exits, the
    layers of the whole network come first, then those that only exits have. ``numbers`` are those
    of the layers of every exit, the last of which is the whole network; empty where that is the
    only one.
    """

    layers: list[PackedLayer | PackedHost] = field(default_factory=list)
    writer: SegmentWriter = field(default_factory=SegmentWriter)
    numbers: tuple[tuple[int, ...], ...] = ()

    def at_exit(self, number: int) -> PackedNetwork:
        """The layers of an exit, with the weight segment of all; see ``Graph.at_exit``."""
        if not self.numbers:
            return self
        return PackedNetwork([self.layers[n] for n in self.numbers[number - 1]], self.writer)

    @property
    def segment(self) -> bytes:
        """The bytes of the weight segment."""
        return self.writer.tobytes()

    def pieces(self) -> tuple[WeightPiece, ...]:
        """Where in the segment weights lie, in order; identical ones share a place."""
        every: list[WeightPiece] = []
        before: Counter[int] = Counter()  # weights of the passes of a layer so far
        for number, stored in self._passes():
            if not stored.coded:
                every.append(WeightPiece(number, stored.weights, stored.weight_bytes))
                continue
            for offset, size, coding, count, start in stored.coded.pieces:
                first = before[number] + start
                every.append(WeightPiece(number, offset, size, coding, count, first))
            before[number] += stored.coded.weights.size
        found: list[WeightPiece] = []
        end = 0
        for piece in sorted(every, key=lambda p: (p.offset, p.layer)):
            if piece.offset >= end:  # else they lie with what came before
                found.append(piece)
                end = piece.offset + piece.size
        return tuple(found)

    def forget(self, mark: tuple[int, int]) -> None:
        """Forget the coded weights that were made since ``writer.mark()`` gave ``mark``."""
        self.writer.back(mark)
        for _, stored in self._passes():
            if stored.coded:
                stored.coded.forget(mark[1])

    def _passes(self) -> Iterator[tuple[int, PackedPass]]:
        for number, layer in enumerate(self.layers):
            groups = layer.groups if isinstance(layer, PackedLayer) else ()
            yield from ((number, p) for group in groups for p in group.passes)


def pack_network(network: QuantNetwork, core: CoreConfig, mode: Mode) -> PackedNetwork:
    """Lower and place every layer of a network for a build configuration.

    Raises ScheduleError, naming the layer, where one does not fit the engine.
    """
    shapes = _shapes(network)
    layers, numbers = in_order(network)
    packed = PackedNetwork(numbers=numbers if network.exits else ())
    writer = packed.writer
    for layer in layers:
        sources = [shapes[s] for s in layer.sources]
        counts = tuple(s[0] for s in sources)
        if layer.operands is not None:
            packed.layers.append(_pack_host(layer, sources, core))
        else:
            packed.layers.append(_pack_named(network.name, layer, counts, core, mode, writer))
    return packed


def in_order(network: QuantNetwork) -> tuple[list[QuantLayer], tuple[tuple[int, ...], ...]]:
    """Layers as they are packed, and the numbers of those of every exit.

    Those of the whole network come first: its program is what it would be without exits.
    """
    whole = network.without_exits().layers
    kept = {layer.name for layer in whole}
    layers = [*whole, *(x for x in network.layers if x.name not in kept)]
    number = {layer.name: n for n, layer in enumerate(layers)}
    exits = (network.at_exit(n + 1) for n in range(len(network.outputs)))
    return layers, tuple(tuple(sorted(number[x.name] for x in e.layers)) for e in exits)


def pack_each(
    network: QuantNetwork, core: CoreConfig, mode: Mode
) -> Iterator[PackedLayer | ScheduleError]:
    """Every layer of the accelerator's by itself, as it is packed, or why it cannot be."""
    shapes = _shapes(network)
    for layer in network.layers:
        if layer.operands is not None:
            continue
        counts = tuple(shapes[s][0] for s in layer.sources)
        try:
            yield pack_one(network.name, layer, counts, core, mode)
        except ScheduleError as error:
            yield error


def _shapes(network: QuantNetwork) -> dict[str, Shape]:
    return {
        Graph.INPUT_NAME: network.input.shape,
        **{x.name: x.output_shape for x in network.layers},
    }


def _pack_host(layer: QuantLayer, sources: Sequence[Shape], core: CoreConfig) -> PackedHost:
    lanes = core.ci_lanes
    return PackedHost(
        layer,
        layer.for_host(tuple(s[0] for s in sources)),
        tuple(s[1:] for s in sources),
        tuple(-(-s[0] // lanes) for s in sources),
        -(-layer.channels // lanes),
    )


def pack_one(
    model: str, layer: QuantLayer, sources: tuple[int, ...], core: CoreConfig, mode: Mode
) -> PackedLayer:
    """A layer by itself, reading ``sources`` channels of each value; ScheduleError if it cannot."""
    return _pack_named(model, layer, sources, core, mode, SegmentWriter())


def _pack_named(
    model: str,
    layer: QuantLayer,
    source_channels: tuple[int, ...],
    core: CoreConfig,
    mode: Mode,
    writer: SegmentWriter,
) -> PackedLayer:
    try:
        return _pack_layer(layer, source_channels, core, mode, writer)
    except (ScheduleError, isa.EncodingError) as error:
        raise ScheduleError(f"layer '{layer.label}' of model {model} cannot run: {error}") from None


def _pack_layer(
    layer: QuantLayer,
    source_channels: tuple[int, ...],
    core: CoreConfig,
    mode: Mode,
    writer: SegmentWriter,
) -> PackedLayer:
    by_pixel = layer.bias.ndim == 3
    # Half of each table memory, so that the next layer's tables load while this one computes.
    max_phases = min(core.phase_depth // 2, core.accumulator_depth)
    if by_pixel:
        max_phases = min(max_phases, max(1, core.param_depth // 2 // core.products))
    lanes = core.ci_lanes
    blocks = tuple(-(-c // lanes) for c in source_channels)
    output_blocks = -(-layer.channels // lanes)
    weights = _padded_weights(layer, source_channels, core)
    if layer.diagonal:
        windows = tuple(Window(tuple(range(output_blocks)), 1) for _ in blocks)
    else:
        windows = tuple(_window(w) for w in weights)
        weights = [_within(w, window) for w, window in zip(weights, windows)]
    of_pass = tuple(w.blocks for w in windows)
    pair = core.products == 2 and any(_read_alike(windows, b) for b in range(0, output_blocks, 2))
    lowered = lower(
        layer.shape,
        mode=mode,
        cost=lambda candidate: engine_cycles(candidate, of_pass, core, pair),
        sources=len(layer.sources),
        taps=_taps(layer),
        max_accumulators=core.accumulator_depth,
        max_steps=core.step_depth,
        max_phases=max_phases,
    )
    runs = _runs(lowered, weights, windows, output_blocks, core)
    weights = [change_places(w, runs) for w in weights]
    gathered = [
        [_pass_weights(weights[p.source], p, core) for p in group.passes]
        for group in lowered.groups
    ]
    code = choose_code([data for group in gathered for data in group if data.size], core)
    groups = []
    for group, of_passes in zip(lowered.groups, gathered):
        passes = tuple(
            PackedPass(
                p,
                0 if code else writer.add(data.tobytes()),
                data.nbytes,
                *_store_tables(group.phases, p, by_pixel, writer),
                CodedPass(data, code, writer, core.word_bytes) if code and data.size else None,
            )
            for p, data in zip(group.passes, of_passes)
        )
        params = [
            _block_params(layer, group, block, by_pixel, core) for block in range(output_blocks)
        ]
        groups.append(
            PackedGroup(
                group,
                passes,
                writer.add(b"".join(params)),
                len(group.phases) if by_pixel else 1,
            )
        )
    activation = None
    if layer.table is not None:
        data = isa.pack_activation(layer.table)
        activation = StoredTable(Table.ACTIVATION, writer.add(data), len(layer.table))
    return PackedLayer(
        layer, lowered, tuple(groups), activation, blocks, windows, output_blocks, runs
    )


def _taps(layer: QuantLayer) -> NDArray[np.bool_] | None:
    """The taps with weights, of any channel; None: all."""
    present = layer.weight.any(axis=(0, 1))
    return None if present.all() else present


def _window(weights: NDArray[np.int64]) -> Window:
    """The window of weights (output blocks, lanes, input blocks, lanes, kh, kw): those not 0."""
    met = weights.any(axis=(1, 3, 4, 5))  # (output blocks, input blocks)
    total = met.shape[1]
    first = np.where(met.any(axis=1), met.argmax(axis=1), 0)
    last = np.where(met.any(axis=1), total - 1 - met[:, ::-1].argmax(axis=1), 0)
    blocks = int((last - first).max()) + 1
    return Window(tuple(int(min(f, total - blocks)) for f in first), blocks)


def _within(weights: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """The weights of a window alone, (output blocks, lanes, blocks, lanes, kh, kw)."""
    if window.blocks == weights.shape[2]:
        return weights
    parts = [w[:, s : s + window.blocks] for w, s in zip(weights, window.starts)]
    return np.stack(parts)


def _read_alike(windows: Sequence[Window], first: int) -> bool:
    """Whether a block of output channels and the next one read the same input."""
    return all(len(set(w.starts[first : first + 2])) == 1 < len(w.starts[first : first + 2])
               for w in windows)  # fmt: skip


def _runs(
    lowered: LoweredConv,
    weights: list[NDArray[np.int64]],
    windows: Sequence[Window],
    output_blocks: int,
    core: CoreConfig,
) -> tuple[BlockRun, ...]:
    if core.products == 1 or not any(_read_alike(windows, b) for b in range(0, output_blocks, 2)):
        return alone(output_blocks)
    runs: list[BlockRun] = []
    for run in pair_blocks(_words(lowered, weights), output_blocks, core.co_lanes):
        # Blocks that run together read the same input.
        together = run.count == 1 or _read_alike(windows, run.first)
        runs += [run] if together else [BlockRun(block, 1) for block in run.blocks]
    return tuple(runs)


def _words(lowered: LoweredConv, weights: list[NDArray[np.int64]]) -> Iterator[NDArray[np.integer]]:
    """All weights of a layer as they are multiplied; see :func:`multiplied_words`."""
    for group in lowered.groups:
        for spec in group.passes:
            yield from multiplied_words(weights[spec.source], spec, lowered.mode)


def _padded_weights(
    layer: QuantLayer, source_channels: tuple[int, ...], core: CoreConfig
) -> list[NDArray[np.int64]]:
    """Weights of each source as (output blocks, lanes, input blocks, lanes, kh, kw), zero padded.

    A diagonal layer has one input block for each output block.
    """
    lanes = core.ci_lanes
    kernel = layer.shape.kernel
    output_blocks = -(-layer.channels // lanes)
    out = []
    if layer.diagonal:
        index = np.arange(lanes)
        for weight in layer.weight:
            full = np.zeros((output_blocks, lanes, 1, lanes, *kernel), np.int64)
            padded = np.zeros((output_blocks * lanes, *kernel), np.int64)
            padded[: layer.channels] = weight
            full[:, index, 0, index] = padded.reshape(output_blocks, lanes, *kernel)
            out.append(full)
        return out
    start = 0
    for count in source_channels:
        blocks = -(-count // lanes)
        full = np.zeros((output_blocks * lanes, blocks * lanes, *kernel), np.int64)
        full[: layer.channels, :count] = layer.weight[:, start : start + count]
        out.append(full.reshape(output_blocks, lanes, blocks, lanes, *kernel))
        start += count
    return out


def _pass_weights(weights: NDArray[np.int64], spec: Pass, core: CoreConfig) -> NDArray[Any]:
    """Weights as they lie plain, (output blocks, input blocks, weights of a block)."""
    taps = [t for phase in spec.taps for t in phase]
    rows, columns = [t.ky for t in taps], [t.kx for t in taps]
    gathered = weights[..., rows, columns]  # (output blocks, lanes, input blocks, lanes, taps)
    ordered = gathered.transpose(0, 2, 4, 1, 3)
    stored = np.ascontiguousarray(ordered, storage_dtype(core.data_width))
    return stored.reshape(*stored.shape[:2], -1)


def _store_tables(
    phases: tuple[tuple[int, int], ...], spec: Pass, by_pixel: bool, writer: SegmentWriter
) -> tuple[StoredTable, StoredTable, StoredTable]:
    return (
        _store_steps(spec, writer),
        _store_accumulators(spec, writer),
        _store_phases(phases, spec, by_pixel, writer),
    )


def _store_steps(spec: Pass, writer: SegmentWriter) -> StoredTable:
    seen: set[int] = set()
    entries = []
    for step in spec.steps:
        entries.append(
            StepEntry(
                position=step.position,
                word=step.word,
                accumulator=step.accumulator,
                first=int(step.accumulator not in seen),
            )
        )
        seen.add(step.accumulator)
    return StoredTable(Table.STEP, writer.add(isa.pack_table(Table.STEP, entries)), len(entries))


def _store_accumulators(spec: Pass, writer: SegmentWriter) -> StoredTable:
    entries = [AccumulatorEntry(a.phase, a.position) for a in spec.accumulators]
    data = isa.pack_table(Table.ACCUMULATOR, entries)
    return StoredTable(Table.ACCUMULATOR, writer.add(data), len(entries))


def _store_phases(
    phases: tuple[tuple[int, int], ...], spec: Pass, by_pixel: bool, writer: SegmentWriter
) -> StoredTable:
    entries = []
    for index, ((row, column), taps) in enumerate(zip(phases, spec.taps)):
        window = [(t.wy, t.wx) for t in taps]
        entries.append(
            PhaseEntry(
                row=row,
                column=column,
                param=index if by_pixel else 0,
                taps=sum(1 << (winograd.TAPS * y + x) for y, x in window),
                positions=sum(1 << p for p in winograd.positions(window)),
            )
        )
    data = isa.pack_table(Table.PHASE, entries)
    return StoredTable(Table.PHASE, writer.add(data), len(entries))


def _block_params(
    layer: QuantLayer, group: PhaseGroup, block: int, by_pixel: bool, core: CoreConfig
) -> bytes:
    lanes = core.co_lanes
    start, stop = block * lanes, min((block + 1) * lanes, layer.channels)

    def padded(values: NDArray[np.int64], fill: int = 0) -> NDArray[np.int64]:
        out = np.full(lanes, fill, np.int64)
        out[: stop - start] = values[start:stop]
        return out

    r = layer.requantiser
    biases = [layer.bias[:, y, x] for y, x in group.phases] if by_pixel else [layer.bias]
    return b"".join(
        isa.pack_params(
            Params(
                padded(bias),
                padded(r.positive),
                padded(r.negative),
                padded(r.shift, 1),
                padded(r.low),
                padded(r.high),
            )
        )
        for bias in biases
    )
