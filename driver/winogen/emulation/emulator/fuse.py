"""Recognising what a stream computes, so that whole layers can be computed at once.

A symbolic walk over the stream follows what every on-chip memory holds: which bytes of DRAM each
COMPUTE really combines, and where its results go. Computations of the same tiles then merge over
blocks of input channels (their sums continue each other) and of output channels (they share the
input). The result is a list of :class:`Job`; each is a (transposed) convolution over a box of
tiles with all its channels. Anything that does not fit the pattern raises
:class:`NotRecognised`, and the caller executes instruction by instruction instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.target import isa, winograd
from winogen.target.board import CoreConfig
from winogen.target.checks import dram_range
from winogen.target.isa import (
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Store,
    Table,
    Transfer,
)
from winogen.target.numerics import MAX_SHIFT
from winogen.target.registers import Segment
from winogen.target.winograd import ZERO_POSITION

#: Images that one job covers at most: bounds the memory for its patches.
_MAX_IMAGES = 64

#: Reads ``nbytes`` at a bus address.
Reader = Callable[[int, int], NDArray[np.uint8]]


class NotRecognised(Exception):
    """The stream does something that only the machine can follow."""


@dataclass(frozen=True)
class InputView:
    """A box of an activation tensor in DRAM: its bus address, and words (see LOAD_INPUT)."""

    address: int
    images: int
    blocks: int
    rows: int
    columns: int
    image_stride: int
    block_stride: int
    row_stride: int
    column_step: int
    pitch: int


@dataclass(frozen=True)
class Kernel:
    """What a pass does with a patch: the contents of its tables and its geometry.

    ``products[a]`` holds the (position, word) pairs that accumulator a sums; ``window[p]`` and
    ``positions[p]`` the taps and Winograd positions of phase p's weights.
    """

    winograd: bool
    tile: int
    tiles: tuple[int, int]
    origin: tuple[int, int]
    patch: tuple[int, int, int, int]
    products: tuple[tuple[tuple[int, int], ...], ...]
    accumulators: tuple[tuple[int, int], ...]
    window: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]


#: Coding and beats of weights that are not coded.
_PLAIN = (0, 0)


class WeightRun(NamedTuple):
    """Where the weights of some input blocks lie for one output block.

    Attributes
    ----------
    address, blocks : bus address, and how many input blocks
    half : of a pair of output blocks the one in the lower (0) or upper (1) half; None: it is alone
    other, swap : the address for the pair's other block, and the lanes whose weights lie there
    code, other_code : coding and beats of both; (0, 0) where weights are plain
    """

    address: int
    blocks: int
    half: int | None = None
    other: int = 0
    swap: int = 0
    code: tuple[int, int] = _PLAIN
    other_code: tuple[int, int] = _PLAIN

    def follows(self, run: WeightRun, nbytes: int) -> bool:
        """Whether it goes on where ``run``, of so many bytes, ends."""
        if run.code != _PLAIN or run.other_code != _PLAIN:
            return False  # a stream of its own
        moved = run._replace(
            address=run.address + nbytes,
            blocks=self.blocks,
            other=run.other + nbytes if run.swap else 0,
        )
        return self == moved


@dataclass(frozen=True)
class FusedPass:
    """A pass over all its input blocks.

    ``weights[b][i]`` is the i-th run of input blocks for output block b. Without a view the input
    is zero.
    """

    view: InputView | None
    kernel: Kernel
    weights: tuple[tuple[WeightRun, ...], ...]

    @property
    def taps(self) -> int:
        """Weight words in DRAM for each block of input channels."""
        return sum(len(w) for w in self.kernel.window)

    @property
    def is_coded(self) -> bool:
        """Whether any of its weights are coded, and so can be wrong."""
        return any(run.code != _PLAIN for block in self.weights for run in block)


@dataclass(frozen=True)
class Chain:
    """Passes whose sums are requantised together, for one group of phases.

    ``params[b]`` is the bus address of output block b's parameters, ``activation`` that of the
    table or None.
    """

    passes: tuple[FusedPass, ...]
    phases: tuple[tuple[int, int, int], ...]  # row, column, parameter entry
    params: tuple[int, ...]
    activation: int | None


@dataclass(frozen=True)
class Job:
    """All output channels of a box of tiles.

    ``stores[b]`` is the bus address for output block b.
    """

    layer: int
    chains: tuple[Chain, ...]
    images: int
    rows: int
    columns: int
    stride: tuple[int, int]
    stores: tuple[int, ...]
    image_stride: int
    row_stride: int


@dataclass
class _Held:
    """What a range of an on-chip memory holds."""

    start: int
    stop: int
    what: object


@dataclass(frozen=True)
class _Weights:
    """A run of weight blocks: address and blocks, the phase table it was loaded with, its size.

    ``code`` is as that of :class:`WeightRun`.
    """

    place: tuple[int, int]
    window: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]
    winograd: bool
    words: int
    code: tuple[int, int] = _PLAIN


class _Memory:
    """Ranges of one on-chip memory and what was loaded there last."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def put(self, start: int, size: int, what: object) -> None:
        stop = start + size
        self._held = [h for h in self._held if h.stop <= start or stop <= h.start]
        self._held.append(_Held(start, stop, what))

    def drop(self, stale: Callable[[object], bool]) -> None:
        """Forget what ``stale`` says is no longer in DRAM as it was loaded."""
        self._held = [h for h in self._held if not stale(h.what)]

    def get(self, start: int, size: int) -> object:
        """What lies at exactly this start and at least this long."""
        for held in self._held:
            if held.start == start and start + size <= held.stop:
                return held.what
        raise NotRecognised("an operand was not loaded as one piece")


@dataclass
class _Sum:
    """A sum of an output block that is not finished.

    Attributes
    ----------
    chain : its passes so far
    places : what every COMPUTE of it must agree on
    biases : where the biases came from
    """

    chain: list[FusedPass] = field(default_factory=list)
    places: tuple = ()
    biases: tuple[int, ...] = ()


@dataclass
class _Output:
    """Chains that have been requantised into one range of the output buffer."""

    start: int
    shape: tuple[int, int, int]
    stride: tuple[int, int]
    chains: list[Chain] = field(default_factory=list)

    @property
    def span(self) -> tuple[int, int]:
        """Words of the output buffer that it takes."""
        images, rows, columns = self.shape
        return self.start, self.start + images * rows * columns


def recognise(
    instructions: Sequence[Instruction],
    order: Sequence[int],
    core: CoreConfig,
    bases: Mapping[Segment, int],
    read: Reader,
    join: Callable[[list[Job]], list[Job]] | None = None,
) -> list[Job]:
    """The jobs of a stream, in an order in which they may be done.

    ``order`` is one in which the tokens allow the instructions to run; ``bases`` are the bus
    addresses of the segments. ``join`` may join jobs of a layer whose order is free.
    """
    walk = _Walk(core, bases, read)
    for index in order:
        walk.step(instructions[index])
    if any(s.chain for s in walk.sums) or walk.outputs:
        raise NotRecognised("a result is never stored")
    if walk.undecoded:
        raise NotRecognised("coded weights that may be wrong, whoever needs them")
    return _merge_layers(walk.jobs, core, join)


class _Walk:
    def __init__(self, core: CoreConfig, bases: Mapping[Segment, int], read: Reader):
        self._core = core
        self._bases = bases
        self._read = read
        self._input, self._param = _Memory(), _Memory()
        self._weight = [_Memory() for _ in range(core.products)]  # the halves of its words
        self._tables = {
            table: {f.name: np.zeros(1 << 13, np.int64) for f in fields}
            for table, fields in isa.TABLE_FIELDS.items()
        }
        self._activation: int | None = None
        self._stored, self._given = _Intervals(), _Intervals()
        #: Of each block of a pair.
        self.sums = [_Sum() for _ in range(core.products)]
        #: Coded weights that no COMPUTE has used yet: address, coding, beats.
        self.undecoded: set[tuple[int, int, int]] = set()
        self.outputs: list[_Output] = []
        self.jobs: list[Job] = []

    def step(self, instruction: Instruction) -> None:
        match instruction:
            case LoadInput():
                self._load_input(instruction)
            case LoadWeights():
                self._load_weights(instruction)
            case LoadParams():
                self._load_params(instruction)
            case LoadTable():
                self._load_table(instruction)
            case Compute():
                self._compute(instruction)
            case Store():
                self._store(instruction)

    def _load_input(self, f: LoadInput) -> None:
        view = InputView(
            self._address(f),
            f.images,
            f.blocks,
            f.rows,
            f.columns,
            f.image_stride,
            f.block_stride,
            f.row_stride,
            f.column_step,
            f.pitch,
        )
        self._note_read(_view_span(view, self._core), constant=False)
        self._input.put(f.base, f.images * f.blocks * f.rows * f.pitch, view)

    def _load_params(self, f: LoadParams) -> None:
        entry = self._core.co_lanes * isa.PARAM_BYTES
        start = self._address(f)
        self._note_read((start, start + f.count * entry), constant=True)
        shifts = isa.unpack_params(self._read(start, f.count * entry)).shift
        if shifts.min() < 1 or shifts.max() > MAX_SHIFT:
            raise NotRecognised("a shift that is refused, whoever needs it")
        for i in range(f.count):
            self._param.put(f.base + i, 1, start + i * entry)

    def _note_read(self, span: tuple[int, int], *, constant: bool) -> None:
        """Remember what is read from before the stream; constants may come from nowhere else."""
        if not self._stored.touches(*span):
            self._given.add(*span)
        elif constant:
            raise NotRecognised("constants that the stream itself stores")

    def _address(self, f: Transfer) -> int:
        return self._bases[Segment(f.segment)] + f.offset

    def _load_weights(self, f: LoadWeights) -> None:
        window, positions, _ = self._phase_entries(f)
        if sum(map(len, window)) != f.taps:
            raise NotRecognised("taps")
        words = sum(map(len, positions)) if f.winograd else f.taps
        place = (self._address(f), f.blocks)
        span = dram_range(f, self._core)
        assert span is not None
        self._note_read((place[0], place[0] + span[2] - span[1]), constant=True)
        what = _Weights(place, window, positions, bool(f.winograd), words, (f.coding, f.beats))
        if f.coding:
            self.undecoded.add((place[0], *what.code))
        self._weight[f.half].put(f.base, f.blocks * words, what)

    def _load_table(self, f: LoadTable) -> None:
        table = Table(f.table)
        if table is Table.ACTIVATION:
            if f.base or f.count != isa.TABLE_ENTRIES:
                raise NotRecognised("part of an activation table")
            self._activation = self._address(f)
            self._note_read(_table_span(self._activation), constant=True)
            return
        address, nbytes = self._address(f), f.count * isa.TABLE_ENTRY_BYTES[table]
        self._note_read((address, address + nbytes), constant=True)
        data = self._read(address, nbytes)
        for name, values in isa.unpack_table(table, data).items():
            self._tables[table][name][f.base : f.base + f.count] = values

    def _entries(self, table: Table, start: int, count: int) -> dict[str, list[int]]:
        return {
            name: values[start : start + count].tolist()
            for name, values in self._tables[table].items()
        }

    def _phase_entries(self, f: LoadWeights | Compute) -> tuple[tuple, tuple, tuple]:
        phases = self._entries(Table.PHASE, f.phase_base, f.phases)
        window = tuple(tuple(i for i in range(9) if t >> i & 1) for t in phases["taps"])
        positions = tuple(tuple(i for i in range(16) if p >> i & 1) for p in phases["positions"])
        places = tuple(zip(phases["row"], phases["column"], phases["param"]))
        return window, positions, places

    def _products(self, f: Compute) -> tuple[tuple, tuple]:
        steps = self._entries(Table.STEP, f.step_base, f.steps)
        products: list[list[tuple[int, int]]] = [[] for _ in range(f.accumulators)]
        begun = [False] * f.accumulators
        for position, word, target, first in zip(
            steps["position"], steps["word"], steps["accumulator"], steps["first"]
        ):
            if target >= len(products) or bool(first) == begun[target]:
                raise NotRecognised("an accumulator does not start with its first step")
            begun[target] = True
            if position > ZERO_POSITION:
                raise NotRecognised("position")
            if position != ZERO_POSITION:
                if word >= f.weight_stride:
                    raise NotRecognised("word")
                products[target].append((position, word))
        a = self._entries(Table.ACCUMULATOR, f.accumulator_base, f.accumulators)
        accumulators = tuple(zip(a["phase"], a["position"]))
        for phase, position in accumulators:
            outside = not f.winograd and max(divmod(position, 2)) >= f.tile
            if phase >= f.phases or outside:
                raise NotRecognised("accumulator")
        if not all(begun) or [p for p, _ in accumulators] != sorted(a["phase"]):
            raise NotRecognised("accumulators that are not started or not in order")
        return tuple(map(tuple, products)), accumulators

    def _compute(self, f: Compute) -> None:
        window, positions, places = self._phase_entries(f)
        products, accumulators = self._products(f)
        view = None
        if f.rows * f.columns:
            held = self._input.get(f.input_base, f.images * f.blocks * f.rows * f.pitch)
            assert isinstance(held, InputView)
            view = held
            loaded_as = (view.images, view.blocks, view.rows, view.columns, view.pitch)
            if loaded_as != (f.images, f.blocks, f.rows, f.columns, f.pitch):
                raise NotRecognised("a region was loaded in another shape")
        if not f.weight_stride and any(products):
            raise NotRecognised("a step without weights")
        if f.winograd:
            _check_winograd(products, accumulators, window, positions)
        kernel = Kernel(
            bool(f.winograd),
            f.tile,
            (f.tiles_y, f.tiles_x),
            (f.origin_y, f.origin_x),
            (f.patch_row, f.patch_rows, f.patch_column, f.patch_columns),
            products,
            accumulators,
            window,
            positions,
        )
        blocks = range(1 + f.pair)
        if any(s.chain for s in self.sums[len(blocks) :]):
            raise NotRecognised("a sum of a pair is not ended")
        for block in blocks:
            state = self.sums[block]
            if bool(f.first) == bool(state.chain):
                raise NotRecognised("a sum is continued that was not started, or started twice")
            sums = (f.psum_base, f.images, f.tiles_y, f.tiles_x, f.tile, f.phases, f.pair)
            if f.first:
                state.places = sums
                state.biases = self._param_addresses(f, places, block)
            elif state.places != sums:
                raise NotRecognised("a sum is continued in another place")
            weights = self._weight_runs(f, block, window, positions)
            self._extend(state.chain, FusedPass(view, kernel, (weights,)))
            if f.last:
                self._finish(f, places, block)

    def _weight_runs(
        self, f: Compute, block: int, window: tuple, positions: tuple
    ) -> tuple[WeightRun, ...]:
        """The weights of a COMPUTE for one of its output blocks; none where it needs none."""
        if not f.weight_stride:
            return ()
        addresses, codes = [], []
        for half in range(1 + f.pair):
            loaded = self._weight[half].get(f.weight_base, f.blocks * f.weight_stride)
            assert isinstance(loaded, _Weights)
            wanted = _Weights(
                (loaded.place[0], f.blocks),
                window,
                positions if f.winograd else loaded.positions,
                bool(f.winograd),
                f.weight_stride,
                loaded.code,
            )
            if loaded != wanted:
                raise NotRecognised("weights were loaded for another pass")
            addresses.append(loaded.place[0])
            codes.append(loaded.code)
            self.undecoded.discard((loaded.place[0], *loaded.code))
        if not f.pair:
            return (WeightRun(addresses[0], f.blocks, code=codes[0]),)
        swap = f.swap & ((1 << self._core.co_lanes) - 1)
        run = WeightRun(addresses[block], f.blocks, block, swap=swap, code=codes[block])
        if swap:
            run = run._replace(other=addresses[1 - block], other_code=codes[1 - block])
        return (run,)

    def _extend(self, chain: list[FusedPass], new: FusedPass) -> None:
        """Add a pass to an open chain, joining it to the last one if its channels follow on."""
        if chain:
            old = chain[-1]
            if old.kernel == new.kernel and old.view and new.view and new.weights[0]:
                step = old.view.blocks * old.view.block_stride * self._core.word_bytes
                expected = replace(
                    old.view, address=old.view.address + step, blocks=new.view.blocks
                )
                if expected == new.view:
                    chain[-1] = FusedPass(
                        replace(old.view, blocks=old.view.blocks + new.view.blocks),
                        old.kernel,
                        (self._joined(old.weights[0], new.weights[0][0], old.taps),),
                    )
                    return
        chain.append(new)

    def _joined(
        self, runs: tuple[WeightRun, ...], new: WeightRun, taps: int
    ) -> tuple[WeightRun, ...]:
        """``runs`` and ``new``, as one run where it begins in DRAM where the last one ends."""
        last = runs[-1]
        if new.follows(last, last.blocks * taps * self._core.weight_word_bytes):
            return (*runs[:-1], last._replace(blocks=last.blocks + new.blocks))
        return (*runs, new)

    def _param_addresses(self, f: Compute, places: tuple, block: int) -> tuple[int, ...]:
        """Address of each phase's parameters for one of the output blocks."""
        addresses = []
        base = f.param_base + block * f.param_stride
        for _, _, param in places:
            address = self._param.get(base + param, 1)
            assert isinstance(address, int)
            addresses.append(address)
        return tuple(addresses)

    def _finish(self, f: Compute, places: tuple, block: int) -> None:
        state = self.sums[block]
        entry = self._core.co_lanes * isa.PARAM_BYTES
        addresses = self._param_addresses(f, places, block)
        if addresses != state.biases:
            raise NotRecognised("a sum is ended with other parameters than it was started with")
        params = {address - param * entry for address, (_, _, param) in zip(addresses, places)}
        if len(params) != 1:
            raise NotRecognised("the phases' parameters do not lie together")
        if f.activation and self._activation is None:
            raise NotRecognised("no activation table")
        chain = Chain(
            tuple(state.chain),
            places,
            (params.pop(),),
            self._activation if f.activation else None,
        )
        state.chain = []
        shape = (f.images, f.output_rows, f.output_columns)
        start = f.output_base + block * f.images * f.output_rows * f.output_columns
        stride = (f.stride_y, f.stride_x)
        for output in self.outputs:
            if (output.start, output.shape, output.stride) == (start, shape, stride):
                output.chains.append(chain)
                return
        new = _Output(start, shape, stride, [chain])
        if any(_meets(new.span, output.span) for output in self.outputs):
            raise NotRecognised("a result over another that is not stored yet")
        self.outputs.append(new)

    def _store(self, f: Store) -> None:
        shape = (f.images, f.rows, f.columns)
        for output in self.outputs:
            if (output.start, output.shape) == (f.base, shape):
                break
        else:
            raise NotRecognised("a store of something else than one result")
        self.outputs.remove(output)
        _check_covers(output)
        job = Job(
            f.layer,
            tuple(output.chains),
            *shape,
            output.stride,
            (self._address(f),),
            f.image_stride,
            f.row_stride,
        )
        self.jobs.append(job)
        self._forget_stored(*_store_span(job, self._core.word_bytes))

    def _forget_stored(self, start: int, stop: int) -> None:
        """A job reads DRAM when it is done: what is stored over must not be needed afterwards."""
        if self._given.touches(start, stop):
            # Also keeps the stream repeatable: the machine may have to start it again.
            raise NotRecognised("a store over what the stream was given")
        stored = (start, stop)
        core = self._core
        self._input.drop(
            lambda what: isinstance(what, InputView) and _meets(_view_span(what, core), stored)
        )
        pending = [p for o in self.outputs for c in o.chains for p in c.passes]
        pending += [p for s in self.sums for p in s.chain]
        if any(p.view and _meets(_view_span(p.view, core), stored) for p in pending):
            raise NotRecognised("a store over what an unfinished result reads")
        self._stored.add(start, stop)


class _Intervals:
    """A union of address ranges."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, start: int, stop: int) -> None:
        apart = [r for r in self._ranges if r[1] < start or stop < r[0]]
        joined = [r for r in self._ranges if not (r[1] < start or stop < r[0])]
        low = min([start, *(r[0] for r in joined)])
        high = max([stop, *(r[1] for r in joined)])
        self._ranges = [*apart, (low, high)]

    def touches(self, start: int, stop: int) -> bool:
        return any(_meets(r, (start, stop)) for r in self._ranges)


def _meets(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _store_span(job: Job, word: int) -> tuple[int, int]:
    """Address range from the first to the last byte that a job stores."""
    words = (job.images - 1) * job.image_stride + (job.rows - 1) * job.row_stride + job.columns
    return min(job.stores), max(job.stores) + words * word


def _view_span(view: InputView, core: CoreConfig) -> tuple[int, int]:
    shape = (view.images, view.blocks, view.rows, view.columns)
    strides = (view.image_stride, view.block_stride, view.row_stride, view.column_step)
    words = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
    return view.address, view.address + words * core.word_bytes


def _table_span(address: int) -> tuple[int, int]:
    return address, address + isa.TABLE_ENTRIES * isa.TABLE_ENTRY_BYTES[Table.ACTIVATION]


def _check_winograd(products: tuple, accumulators: tuple, window: tuple, positions: tuple) -> None:
    """Refuse step lists that are no whole Winograd convolution.

    The hardware halves the sum of each COMPUTE twice; that commutes with adding COMPUTEs up only
    where every sum is a multiple of four, as whole convolutions are.
    """
    words = iter(range(1 << 12))
    place = {(p, i): next(words) for p, kept in enumerate(positions) for i in kept}
    used = [(a, steps) for a, steps in zip(accumulators, products) if steps]
    if len({a for a, _ in used}) != len(used) or any(
        steps != ((a[1], place.get(a)),) for a, steps in used
    ):
        raise NotRecognised("steps that are not those of a Winograd convolution")
    for phase, (taps, kept) in enumerate(zip(window, positions)):
        computed = sorted(i for (p, i), _ in used if p == phase)
        whole = winograd.positions(divmod(w, winograd.TAPS) for w in taps)
        if list(kept) != list(whole) or (computed and computed != list(whole)):
            raise NotRecognised("a Winograd convolution that lacks positions")


def _check_covers(output: _Output) -> None:
    """Every word of the result must have been written by exactly one phase of one chain."""
    phases = [(row, column) for chain in output.chains for row, column, _ in chain.phases]
    tile = {chain.passes[0].kernel.tile for chain in output.chains}
    tiles = {chain.passes[0].kernel.tiles for chain in output.chains}
    _, rows, columns = output.shape
    sy, sx = output.stride
    wanted = {(y, x) for y in range(min(sy, rows)) for x in range(min(sx, columns))}
    reach = [t * n * s for t, n, s in zip([*tile] * 2, next(iter(tiles)), output.stride)]
    if (
        len(tile) != 1
        or len(tiles) != 1
        or len(phases) != len(set(phases))
        or not wanted <= set(phases)
        or any(y >= sy or x >= sx for y, x in phases)
        or reach[0] < rows
        or reach[1] < columns
    ):
        raise NotRecognised("a result that its phases do not cover")


def _merge_layers(
    jobs: list[Job], core: CoreConfig, join: Callable[[list[Job]], list[Job]] | None
) -> list[Job]:
    """Merge the jobs of each layer over output blocks and images, where their order is free."""
    merged: list[Job] = []
    start = 0
    while start < len(jobs):
        stop = start
        while stop < len(jobs) and jobs[stop].layer == jobs[start].layer:
            stop += 1
        run = jobs[start:stop]
        free = _independent(run, core)
        if free:
            run = _merge_images(_merge_run(run), core.word_bytes)
            run = join(run) if join else run
        merged += run
        start = stop
    return merged


def _independent(run: list[Job], core: CoreConfig) -> bool:
    """Whether no job of the run stores what another reads or stores."""
    word = core.word_bytes
    views = {p.view for j in run for c in j.chains for p in c.passes if p.view}
    stored = _Intervals()
    for job in run:
        stored.add(*_store_span(job, word))
    if any(stored.touches(*_view_span(view, core)) for view in views):
        return False
    starts = []
    for job in run:
        images = np.arange(job.images)[:, None] * job.image_stride
        rows = np.arange(job.rows)[None, :] * job.row_stride
        starts.append((job.stores[0] + (images + rows) * word).ravel())
    lengths = np.repeat([j.columns * word for j in run], [j.images * j.rows for j in run])
    order = np.argsort(np.concatenate(starts), kind="stable")
    begin = np.concatenate(starts)[order]
    return bool(np.all(begin[1:] >= begin[:-1] + lengths[order][:-1]))


def _merge_run(run: list[Job]) -> list[Job]:
    groups: dict[tuple, list[Job]] = {}
    for job in run:
        key = (
            job.images, job.rows, job.columns, job.stride, job.image_stride,
            job.row_stride,
            tuple(
                (
                    tuple((p.view, p.kernel, tuple(run.blocks for run in p.weights[0]))
                          for p in chain.passes),
                    chain.phases,
                    chain.activation,
                )
                for chain in job.chains
            ),
        )  # fmt: skip
        groups.setdefault(key, []).append(job)
    return [_join(group) for group in groups.values()]


def _merge_images(jobs: list[Job], word: int) -> list[Job]:
    """Merge jobs that do the same to successive images: images never meet in a sum."""
    groups: dict[tuple, list[tuple[tuple[int, ...], Job]]] = {}
    for job in jobs:
        key, place = _image_place(job, word)
        groups.setdefault(key, []).append((place, job))
    merged = []
    for group in groups.values():
        group.sort(key=lambda item: item[0])
        place, current = group[0]
        for following, job in group[1:]:
            shifted = tuple(p + current.images for p in place)
            if following == shifted and current.images + job.images <= _MAX_IMAGES:
                current = _with_images(current, current.images + job.images)
            else:
                merged.append(current)
                place, current = following, job
        merged.append(current)
    return merged


def _image_place(job: Job, word: int) -> tuple[tuple, tuple[int, ...]]:
    """What must agree for two jobs to differ only in their images, and which images those are."""
    place: list[int] = []
    rest: list[object] = [replace(job, chains=(), stores=(), images=0)]

    def add(offset: int, stride: int) -> None:
        image, within = divmod(offset, max(stride, 1) * word)
        place.append(image)
        rest.append(within)

    for store in job.stores:
        add(store, job.image_stride)
    for chain in job.chains:
        rest += [chain.phases, chain.params, chain.activation]
        for fused in chain.passes:
            rest += [fused.kernel, fused.weights]
            if fused.view:
                add(fused.view.address, fused.view.image_stride)
                rest.append(replace(fused.view, address=0, images=0))
    return tuple(rest), tuple(place)


def _with_images(job: Job, images: int) -> Job:
    chains = tuple(
        replace(
            chain,
            passes=tuple(
                replace(p, view=p.view and replace(p.view, images=images)) for p in chain.passes
            ),
        )
        for chain in job.chains
    )
    return replace(job, chains=chains, images=images)


def _join(group: list[Job]) -> Job:
    first = group[0]
    chains = []
    for i, chain in enumerate(first.chains):
        passes = tuple(
            replace(p, weights=tuple(job.chains[i].passes[n].weights[0] for job in group))
            for n, p in enumerate(chain.passes)
        )
        params = tuple(job.chains[i].params[0] for job in group)
        chains.append(replace(chain, passes=passes, params=params))
    return replace(first, chains=tuple(chains), stores=tuple(job.stores[0] for job in group))
