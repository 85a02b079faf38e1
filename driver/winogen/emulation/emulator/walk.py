"""Following symbolically what every on-chip memory holds while a stream runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.emulator.held import NotRecognised, OnChip, Output, Sum, Weights
from winogen.emulation.emulator.jobs import Chain, FusedPass, InputView, Job, Kernel, WeightRun
from winogen.emulation.emulator.spans import Intervals, Span, meets
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

#: Reads ``nbytes`` at a bus address.
Reader = Callable[[int, int], NDArray[np.uint8]]


class Walk:
    """Follows a stream; see :func:`winogen.emulation.emulator.fuse.recognise`."""

    def __init__(self, core: CoreConfig, bases: Mapping[Segment, int], read: Reader):
        self._core = core
        self._bases = bases
        self._read = read
        self._input, self._param = OnChip(), OnChip()
        self._weight = [OnChip() for _ in range(core.products)]  # the halves of its words
        self._tables = {
            table: {f.name: np.zeros(1 << 13, np.int64) for f in fields}
            for table, fields in isa.TABLE_FIELDS.items()
        }
        self._activation: int | None = None
        self._stored, self._constants, self._given = Intervals(), Intervals(), Intervals()
        #: What was there before the stream, and was loaded as input, and is stored over.
        self.overwritten = Intervals()
        #: Of each block of a pair.
        self.sums = [Sum() for _ in range(core.products)]
        #: Coded weights that no COMPUTE has used yet: address, coding, beats.
        self.undecoded: set[tuple[int, int, int]] = set()
        self.outputs: list[Output] = []
        self.jobs: list[Job] = []

    def step(self, instruction: Instruction) -> None:
        """Follow one more instruction."""
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
        self._note_read(view.span(self._core.word_bytes), constant=False)
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
        if not constant:
            for part in self._stored.beyond(*span):
                self._given.add(*part)
        elif self._stored.touches(*span):
            raise NotRecognised("constants that the stream itself stores")
        else:
            self._constants.add(*span)

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
        what = Weights(place, window, positions, bool(f.winograd), words, (f.coding, f.beats))
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
            assert isinstance(loaded, Weights)
            wanted = Weights(
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
        new = Output(start, shape, stride, [chain])
        if any(meets(new.span, output.span) for output in self.outputs):
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
        self._forget_stored(*job.span(self._core.word_bytes))

    def _forget_stored(self, start: int, stop: int) -> None:
        """A job reads DRAM when it is done: what is stored over must not be needed afterwards."""
        if self._constants.touches(start, stop):
            raise NotRecognised("a store over constants, which are read once")
        for part in self._given.within(start, stop):
            self.overwritten.add(*part)
        stored = (start, stop)
        word = self._core.word_bytes
        self._input.drop(
            lambda what: isinstance(what, InputView) and meets(what.span(word), stored)
        )
        pending = [p for o in self.outputs for c in o.chains for p in c.passes]
        pending += [p for s in self.sums for p in s.chain]
        if any(p.view and meets(p.view.span(word), stored) for p in pending):
            raise NotRecognised("a store over what an unfinished result reads")
        self._stored.add(start, stop)


def _table_span(address: int) -> Span:
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


def _check_covers(output: Output) -> None:
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
