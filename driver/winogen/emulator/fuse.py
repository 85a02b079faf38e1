"""Recognising what a stream computes, so that whole layers can be computed at once.

A symbolic walk over the stream follows what every on-chip memory holds: which bytes of DRAM each
COMPUTE really combines, and where its results go. Computations of the same tiles then merge over
blocks of input channels (their sums continue each other) and of output channels (they share the
input). The result is a list of :class:`Job`; each is a (transposed) convolution over a box of
tiles with all its channels. Anything that does not fit the pattern raises
:class:`NotRecognised`, and the caller executes instruction by instruction instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from winogen import isa, winograd
from winogen.board import CoreConfig
from winogen.isa import Instruction, Opcode, Table
from winogen.lower import ZERO_POSITION

#: Images that one job covers at most: bounds the memory for its patches.
_MAX_IMAGES = 64

#: Reads ``nbytes`` at an offset of a segment of DRAM.
Reader = Callable[[int, int, int], NDArray[np.uint8]]


class NotRecognised(Exception):
    """The stream does something that only the machine can follow."""


@dataclass(frozen=True)
class InputView:
    """A box of an activation tensor in DRAM (words; see LOAD_INPUT), or nothing but zeros."""

    segment: int
    offset: int
    images: int
    blocks: int
    rows: int
    columns: int
    image_stride: int
    block_stride: int
    row_stride: int
    column_step: int


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


@dataclass(frozen=True)
class FusedPass:
    """A pass over all its input blocks.

    ``weights[b][i]`` is the DRAM place (segment, offset, blocks) of the i-th run of input blocks
    for output block b.
    """

    view: InputView | None
    kernel: Kernel
    weights: tuple[tuple[tuple[int, int, int], ...], ...]

    @property
    def taps(self) -> int:
        """Weight words in DRAM for each block of input channels."""
        return sum(len(w) for w in self.kernel.window)


@dataclass(frozen=True)
class Chain:
    """Passes whose sums are requantised together, for one group of phases.

    ``params[b]`` is the DRAM place (segment, offset) of output block b's parameters.
    """

    passes: tuple[FusedPass, ...]
    phases: tuple[tuple[int, int, int], ...]  # row, column, parameter entry
    params: tuple[tuple[int, int], ...]
    activation: tuple[int, int] | None


@dataclass(frozen=True)
class Job:
    """All output channels of a box of tiles.

    ``stores[b]`` is the byte offset in ``segment`` for output block b.
    """

    layer: int
    chains: tuple[Chain, ...]
    images: int
    rows: int
    columns: int
    stride: tuple[int, int]
    segment: int
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
    """A run of weight blocks: its place in DRAM, the phase table it was loaded with, its size."""

    place: tuple[int, int, int]
    window: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]
    winograd: bool
    words: int


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
class _Output:
    """Chains that have been requantised into one range of the output buffer."""

    start: int
    shape: tuple[int, int, int]
    stride: tuple[int, int]
    chains: list[Chain] = field(default_factory=list)


def recognise(
    instructions: Sequence[Instruction], order: Sequence[int], core: CoreConfig, read: Reader
) -> list[Job]:
    """The jobs of a stream, in an order in which they may be done.

    ``order`` is one in which the tokens allow the instructions to run.
    """
    walk = _Walk(core, read)
    for index in order:
        walk.step(instructions[index])
    if walk.open_chain or walk.outputs:
        raise NotRecognised("a result is never stored")
    return _merge_output_blocks(walk.jobs, core.word_bytes)


class _Walk:
    def __init__(self, core: CoreConfig, read: Reader):
        self._core = core
        self._read = read
        self._input, self._weight, self._param = _Memory(), _Memory(), _Memory()
        self._tables = {
            table: {name: np.zeros(1 << 13, np.int64) for name, *_ in fields}
            for table, fields in isa.TABLE_FIELDS.items()
        }
        self._activation: tuple[int, int] | None = None
        self._kernels: dict[tuple, tuple] = {}
        self.open_chain: list[FusedPass] = []
        self.outputs: list[_Output] = []
        self.jobs: list[Job] = []

    def step(self, instruction: Instruction) -> None:
        f = instruction.fields
        opcode = instruction.opcode
        if opcode is Opcode.LOAD_INPUT:
            names = InputView.__dataclass_fields__
            view = InputView(**{name: f[name] for name in names})
            self._input.put(f["base"], f["images"] * f["blocks"] * f["rows"] * f["columns"], view)
        elif opcode is Opcode.LOAD_WEIGHTS:
            self._load_weights(f)
        elif opcode is Opcode.LOAD_PARAMS:
            entry = self._core.co_lanes * isa.PARAM_BYTES
            for i in range(f["count"]):
                self._param.put(f["base"] + i, 1, (f["segment"], f["offset"] + i * entry))
        elif opcode is Opcode.LOAD_TABLE:
            self._load_table(f)
        elif opcode is Opcode.COMPUTE:
            self._compute(f)
        else:
            self._store(instruction)

    def _load_weights(self, f: dict[str, int]) -> None:
        window, positions, _ = self._phase_entries(f)
        if sum(map(len, window)) != f["taps"]:
            raise NotRecognised("taps")
        words = sum(map(len, positions)) if f["winograd"] else f["taps"]
        place = (f["segment"], f["offset"], f["blocks"])
        if f["base"] + f["blocks"] * words > self._core.weight_depth:
            raise NotRecognised("weights reach outside their buffer")
        what = _Weights(place, window, positions, bool(f["winograd"]), words)
        self._weight.put(f["base"], f["blocks"] * words, what)

    def _load_table(self, f: dict[str, int]) -> None:
        table = Table(f["table"])
        if table is Table.ACTIVATION:
            if f["base"] or f["count"] != isa.TABLE_ENTRIES:
                raise NotRecognised("part of an activation table")
            self._activation = (f["segment"], f["offset"])
            return
        data = self._read(f["segment"], f["offset"], f["count"] * isa.TABLE_ENTRY_BYTES[table])
        for name, values in isa.unpack_table(table, data).items():
            self._tables[table][name][f["base"] : f["base"] + f["count"]] = values

    def _entries(self, table: Table, start: int, count: int) -> dict[str, list[int]]:
        return {
            name: values[start : start + count].tolist()
            for name, values in self._tables[table].items()
        }

    def _phase_entries(self, f: dict[str, int]) -> tuple[tuple, tuple, tuple]:
        phases = self._entries(Table.PHASE, f["phase_base"], f["phases"])
        window = tuple(tuple(i for i in range(9) if t >> i & 1) for t in phases["taps"])
        positions = tuple(tuple(i for i in range(16) if p >> i & 1) for p in phases["positions"])
        places = tuple(zip(phases["row"], phases["column"], phases["param"]))
        return window, positions, places

    def _products(self, f: dict[str, int]) -> tuple[tuple, tuple]:
        steps = self._entries(Table.STEP, f["step_base"], f["steps"])
        products: list[list[tuple[int, int]]] = [[] for _ in range(f["accumulators"])]
        begun = [False] * f["accumulators"]
        for position, word, target, first in zip(
            steps["position"], steps["word"], steps["accumulator"], steps["first"]
        ):
            if target >= len(products) or bool(first) == begun[target]:
                raise NotRecognised("an accumulator does not start with its first step")
            begun[target] = True
            if position > ZERO_POSITION:
                raise NotRecognised("position")
            if position != ZERO_POSITION:
                if word >= f["weight_stride"]:
                    raise NotRecognised("word")
                products[target].append((position, word))
        a = self._entries(Table.ACCUMULATOR, f["accumulator_base"], f["accumulators"])
        accumulators = tuple(zip(a["phase"], a["position"]))
        for phase, position in accumulators:
            outside = not f["winograd"] and max(divmod(position, 2)) >= f["tile"]
            if phase >= f["phases"] or outside:
                raise NotRecognised("accumulator")
        if not all(begun):
            raise NotRecognised("an accumulator is never started")
        return tuple(map(tuple, products)), accumulators

    def _compute(self, f: dict[str, int]) -> None:
        window, positions, places = self._phase_entries(f)
        products, accumulators = self._products(f)
        view = None
        if f["rows"] * f["columns"]:
            shape = {name: f[name] for name in ("images", "blocks", "rows", "columns")}
            words = shape["images"] * shape["blocks"] * shape["rows"] * shape["columns"]
            held = self._input.get(f["input_base"], words)
            assert isinstance(held, InputView)
            view = held
            if any(getattr(view, name) != value for name, value in shape.items()):
                raise NotRecognised("a region was loaded in another shape")
        weights: tuple = ()
        if f["weight_stride"]:
            loaded = self._weight.get(f["weight_base"], f["blocks"] * f["weight_stride"])
            assert isinstance(loaded, _Weights)
            wanted = _Weights(
                (*loaded.place[:2], f["blocks"]),
                window,
                positions if f["winograd"] else loaded.positions,
                bool(f["winograd"]),
                f["weight_stride"],
            )
            if loaded != wanted:
                raise NotRecognised("weights were loaded for another pass")
            weights = (loaded.place,)
        elif any(products):
            raise NotRecognised("a step without weights")
        if f["winograd"]:
            _check_winograd(products, accumulators, window, positions)
        kernel = Kernel(
            bool(f["winograd"]),
            f["tile"],
            (f["tiles_y"], f["tiles_x"]),
            (f["origin_y"], f["origin_x"]),
            (f["patch_row"], f["patch_rows"], f["patch_column"], f["patch_columns"]),
            products,
            accumulators,
            window,
            positions,
        )
        if bool(f["first"]) == bool(self.open_chain):
            raise NotRecognised("a sum is continued that was not started, or started twice")
        self._extend(FusedPass(view, kernel, (weights,)))
        if f["last"]:
            self._finish(f, places)

    def _extend(self, new: FusedPass) -> None:
        """Add a pass to the open chain, joining it to the last one if its channels follow on."""
        if self.open_chain:
            old = self.open_chain[-1]
            if old.kernel == new.kernel and old.view and new.view and new.weights[0]:
                step = old.view.blocks * old.view.block_stride * self._core.word_bytes
                expected = replace(old.view, offset=old.view.offset + step, blocks=new.view.blocks)
                if expected == new.view:
                    self.open_chain[-1] = FusedPass(
                        replace(old.view, blocks=old.view.blocks + new.view.blocks),
                        old.kernel,
                        (self._joined(old.weights[0], new.weights[0][0], old.taps),),
                    )
                    return
        self.open_chain.append(new)

    def _joined(
        self, runs: tuple[tuple[int, int, int], ...], new: tuple[int, int, int], taps: int
    ) -> tuple[tuple[int, int, int], ...]:
        """``runs`` and ``new``, as one run where it begins in DRAM where the last one ends."""
        segment, offset, blocks = runs[-1]
        end = offset + blocks * taps * self._core.weight_word_bytes
        if new[:2] == (segment, end):
            return (*runs[:-1], (segment, offset, blocks + new[2]))
        return (*runs, new)

    def _finish(self, f: dict[str, int], places: tuple) -> None:
        params = []
        entry = self._core.co_lanes * isa.PARAM_BYTES
        for _, _, param in places:
            place = self._param.get(f["param_base"] + param, 1)
            assert isinstance(place, tuple)
            params.append((place[0], place[1] - param * entry))
        if len(set(params)) != 1:
            raise NotRecognised("the phases' parameters do not lie together")
        if f["activation"] and self._activation is None:
            raise NotRecognised("no activation table")
        chain = Chain(
            tuple(self.open_chain),
            places,
            (params[0],),
            self._activation if f["activation"] else None,
        )
        self.open_chain = []
        shape = (f["images"], f["output_rows"], f["output_columns"])
        stride = (f["stride_y"], f["stride_x"])
        for output in self.outputs:
            if (output.start, output.shape, output.stride) == (f["output_base"], shape, stride):
                output.chains.append(chain)
                return
        self.outputs.append(_Output(f["output_base"], shape, stride, [chain]))

    def _store(self, instruction: Instruction) -> None:
        f = instruction.fields
        shape = (f["images"], f["rows"], f["columns"])
        for output in self.outputs:
            if (output.start, output.shape) == (f["base"], shape):
                break
        else:
            raise NotRecognised("a store of something else than one result")
        self.outputs.remove(output)
        _check_covers(output)
        job = Job(
            instruction.layer,
            tuple(output.chains),
            *shape,
            output.stride,
            f["segment"],
            (f["offset"],),
            f["image_stride"],
            f["row_stride"],
        )
        self.jobs.append(job)
        # A job reads its input when it is done, so what it stores over must not be needed later.
        word = self._core.word_bytes
        self._input.drop(lambda what: isinstance(what, InputView) and _touches(job, what, word))
        pending = [c for o in self.outputs for c in o.chains]
        views = [p.view for c in pending for p in c.passes] + [p.view for p in self.open_chain]
        if any(view and _touches(job, view, word) for view in views):
            raise NotRecognised("a store over the input of an unfinished result")


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


def _merge_output_blocks(jobs: list[Job], word: int) -> list[Job]:
    """Merge jobs of one layer that differ only in weights, parameters and store offset.

    Jobs of a layer read what earlier layers stored, so their order does not matter; a layer whose
    output overlaps its own input is refused.
    """
    merged: list[Job] = []
    start = 0
    while start < len(jobs):
        stop = start
        while stop < len(jobs) and jobs[stop].layer == jobs[start].layer:
            stop += 1
        run = jobs[start:stop]
        merged += run if _overlaps(run, word) else _merge_images(_merge_run(run), word)
        start = stop
    return merged


def _overlaps(run: list[Job], word: int) -> bool:
    """Whether the run's stores touch what it reads."""
    views = {p.view for j in run for ch in j.chains for p in ch.passes if p.view}
    return any(_touches(job, view, word) for job in run for view in views)


def _touches(job: Job, view: InputView, word: int) -> bool:
    """Whether a job stores between the first and the last word that a view reads."""
    if job.segment != view.segment:
        return False
    stored = (job.images - 1) * job.image_stride + (job.rows - 1) * job.row_stride + job.columns
    read = (
        (view.images - 1) * view.image_stride
        + (view.blocks - 1) * view.block_stride
        + (view.rows - 1) * view.row_stride
        + (view.columns - 1) * view.column_step
        + 1
    )
    return any(
        o < view.offset + read * word and view.offset < o + stored * word for o in job.stores
    )


def _merge_run(run: list[Job]) -> list[Job]:
    groups: dict[tuple, list[Job]] = {}
    for job in run:
        key = (
            job.images, job.rows, job.columns, job.stride, job.segment, job.image_stride,
            job.row_stride,
            tuple(
                (
                    tuple((p.view, p.kernel, tuple(b for _, _, b in p.weights[0]))
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
                add(fused.view.offset, fused.view.image_stride)
                rest.append(replace(fused.view, offset=0, images=0))
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
