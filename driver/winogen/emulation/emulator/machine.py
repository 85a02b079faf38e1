"""The machine: on-chip memories and what each instruction does to them, one at a time.

Arithmetic is the hardware's own (Winograd transforms, wrapping accumulators, tables), written
for clarity. Everything faster is checked against this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.faults import Fault
from winogen.emulation.emulator.reach import Reach, Refused, row_offsets
from winogen.target import isa, numerics, packing, weight_code, winograd
from winogen.target.board import CoreConfig
from winogen.target.checks import descriptor_problem, table_depth
from winogen.target.isa import (
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Params,
    Store,
    Table,
    Transfer,
)
from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import Requantiser
from winogen.target.registers import ErrorCode, Segment
from winogen.target.winograd import ZERO_POSITION

Ints = NDArray[np.int64]

_POISON = 0x5A
_PARAMS = tuple(f.name for f in isa.PARAM_FIELDS)


def run_in_order(
    machine: Machine, instructions: Sequence[Instruction], order: Sequence[int]
) -> None:
    """Execute instructions in an order that their tokens allow; Fault where one fails."""
    for index in order:
        machine.execute(instructions[index], index)


class Machine:
    """All state that instructions act on.

    Parameters
    ----------
    memory : the DDR that loads read and stores write (its device view)
    bases : bus address of each segment
    reach : what may be accessed; None: all of the memory
    """

    def __init__(
        self,
        core: CoreConfig,
        memory: EmulatedMemory,
        bases: Mapping[Segment, int],
        reach: Reach | None = None,
    ):
        self._core = core
        self._memory = memory
        self._bases = bases
        self._reach = reach or Reach.everywhere(memory)
        self._bits = numerics.accumulator_bits(core.data_width)
        self._dtype = numerics.storage_dtype(core.data_width)
        lanes = core.ci_lanes
        # What nobody loaded is not zero, as on a board.
        self.input = np.full((core.input_depth, lanes), _POISON, np.int64)
        weights = (core.weight_depth, core.products, lanes, lanes)
        self.weight = np.full(weights, _POISON, np.int64)
        self.psum = np.full((core.psum_depth, lanes), _POISON, np.int64)
        self.output = np.full((core.output_depth, lanes), _POISON, np.int64)
        self.params = {name: np.zeros((core.param_depth, lanes), np.int64) for name in _PARAMS}
        self.tables: dict[Table, dict[str, Ints]] = {
            table: {f.name: np.zeros(table_depth(table, core), np.int64) for f in fields}
            for table, fields in isa.TABLE_FIELDS.items()
        }
        self.activation = np.zeros(isa.TABLE_ENTRIES, np.int16)

    def execute(self, instruction: Instruction, index: int) -> None:
        """Do one instruction, the ``index``-th of its stream; raises Fault if it fails."""
        problem = descriptor_problem(instruction, self._core)
        try:
            if problem is None:
                problem = self._do(instruction)
        except Refused as error:
            raise Fault(error.code, instruction.engine, index, error.address) from None
        if problem:
            raise Fault(ErrorCode.ILLEGAL_DESCRIPTOR, instruction.engine, index, reason=problem)

    def _do(self, instruction: Instruction) -> str | None:
        match instruction:
            case LoadInput():
                return self._load_input(instruction)
            case LoadWeights():
                return self._load_weights(instruction)
            case LoadParams():
                return self._load_params(instruction)
            case LoadTable():
                return self._load_table(instruction)
            case Compute():
                return self._compute(instruction)
            case Store():
                return self._store(instruction)
        raise TypeError(f"no instruction: {instruction!r}")

    def _read(self, f: Transfer, nbytes: int) -> NDArray[np.uint8]:
        self._reach.check_transfer(f, self._core, self._bases)
        return self._memory.device_read(self._bases[Segment(f.segment)] + f.offset, nbytes)

    def _load_input(self, f: LoadInput) -> str | None:
        word = self._core.word_bytes
        shape = (f.images, f.blocks, f.rows, f.columns)
        strides = (f.image_stride, f.block_stride, f.row_stride, f.column_step)
        words = sum((n - 1) * s for n, s in zip(shape, strides)) + 1
        data = self._read(f, words * word)
        view = np.lib.stride_tricks.as_strided(
            data, (*shape, word), (*(s * word for s in strides), 1)
        )
        values = np.ascontiguousarray(view).view(self._dtype)
        rows = f.images * f.blocks * f.rows
        place = self.input[f.base : f.base + rows * f.pitch]
        place = place.reshape(rows, f.pitch, -1)
        place[:, : f.columns] = values.reshape(rows, f.columns, -1)
        return None

    def _load_weights(self, f: LoadWeights) -> str | None:
        core = self._core
        phases = self._phase_entries(f)
        window = [np.flatnonzero(taps >> np.arange(9) & 1) for taps in phases["taps"]]
        if sum(map(len, window)) != f.taps:
            return "its taps are not those of the phase table"
        lanes = core.ci_lanes
        of_block = f.taps
        if f.winograd:
            of_block = sum(int(p).bit_count() for p in phases["positions"])
        stop = f.base + f.blocks * of_block
        if stop > core.weight_depth:
            return f"it reaches word {stop} of the weight buffer, which has {core.weight_depth}"
        raw = self._weights_of(f).astype(np.int64).reshape(f.blocks, f.taps, lanes, lanes)
        if not f.winograd:
            words = raw
        else:
            words = np.concatenate(_transformed(raw, window, phases["positions"]), axis=1)
        self.weight[f.base : stop, f.half] = words.reshape(-1, lanes, lanes)
        return None

    def _weights_of(self, f: LoadWeights) -> NDArray[Any]:
        """The weights that a LOAD_WEIGHTS reads, in the order in which they lie."""
        core = self._core
        nbytes = f.blocks * f.taps * core.weight_word_bytes
        if not f.coding:
            return np.ascontiguousarray(self._read(f, nbytes)).view(self._dtype)
        stream = self._read(f, f.beats * LOGIC.beat_bytes)
        try:
            count = nbytes // self._dtype.itemsize
            return weight_code.decode(stream, f.coding, count, core.data_width)
        except weight_code.CodeError:
            address = self._bases[Segment(f.segment)] + f.offset
            raise Refused(ErrorCode.BAD_WEIGHTS, address) from None

    def _load_params(self, f: LoadParams) -> str | None:
        lanes = self._core.co_lanes
        params = isa.unpack_params(self._read(f, f.count * lanes * isa.PARAM_BYTES))
        if params.shift.min() < 1 or params.shift.max() > numerics.MAX_SHIFT:
            return f"a requantisation shift is not 1 to {numerics.MAX_SHIFT}"
        for name, memory in self.params.items():
            memory[f.base : f.base + f.count] = getattr(params, name).reshape(-1, lanes)
        return None

    def _load_table(self, f: LoadTable) -> str | None:
        table = Table(f.table)
        data = self._read(f, f.count * isa.TABLE_ENTRY_BYTES[table])
        place = slice(f.base, f.base + f.count)
        if table is Table.ACTIVATION:
            self.activation[place] = np.ascontiguousarray(data).view("<i2")
            return None
        for name, values in isa.unpack_table(table, data).items():
            self.tables[table][name][place] = values
        return None

    def _phase_entries(self, f: LoadWeights | Compute) -> dict[str, Ints]:
        place = slice(f.phase_base, f.phase_base + f.phases)
        return {name: values[place] for name, values in self.tables[Table.PHASE].items()}

    def _compute(self, f: Compute) -> str | None:
        accumulators = self._accumulate(f)
        if isinstance(accumulators, str):
            return accumulators
        blocks = range(1 + f.pair)
        contributions, params = [], []
        for block in blocks:
            contribution = self._drain(f, accumulators[:, :, block])
            if isinstance(contribution, str):
                return contribution
            contributions.append(contribution)
            entries = f.param_base + block * f.param_stride + self._phase_entries(f)["param"]
            if entries.max() >= self._core.param_depth:
                return "a phase's parameters lie outside the parameter buffer"
            params.append(entries)
        tiles, *shape = contributions[0].shape
        # Within a tile the second block's partial sums follow those of the first.
        words = tiles * len(blocks) * math.prod(shape[:-1])
        psums = self.psum[f.psum_base : f.psum_base + words].reshape(tiles, len(blocks), *shape)
        for block, entries in zip(blocks, params):
            if f.first:
                start = self.params["bias"][entries][None, :, None, None, :]
            else:
                start = psums[:, block]
            total = numerics.wrap(start + contributions[block], self._bits)
            if f.last:
                reach = numerics.int_range(16 if f.activation else self._core.data_width)
                low, high = self.params["low"][entries], self.params["high"][entries]
                if low.min() < reach[0] or high.max() > reach[1] or np.any(low > high):
                    return "a clamp is empty or reaches beyond the width of its output"
                self._finish(f, total, entries, block)
            else:
                psums[:, block] = total
        return None

    def _accumulate(self, f: Compute) -> Ints | str:
        """Accumulators (tiles, accumulators, output blocks, lanes) after all input blocks."""
        steps = {
            name: values[f.step_base : f.step_base + f.steps]
            for name, values in self.tables[Table.STEP].items()
        }
        if steps["accumulator"].max() >= f.accumulators:
            return "a step names an accumulator beyond those in use"
        if steps["position"].max() > ZERO_POSITION:
            return "a step reads a patch position that does not exist"
        real = steps["position"] != ZERO_POSITION
        if np.any(steps["word"][real] >= f.weight_stride):
            return "a step reads a weight word beyond its block"
        address, inside = _patch_addresses(f)
        lanes = self._core.co_lanes
        acc = np.zeros((len(address), f.accumulators, 1 + f.pair, lanes), np.int64)
        for block in range(f.blocks):
            at = address + block * f.rows * f.pitch
            patch = np.where(inside[..., None], self.input[np.where(inside, at, 0)], 0)
            if f.winograd:
                z = patch.transpose(1, 0, 2).reshape(4, 4, *patch.shape[::2])
                patch = winograd.transform_input(z).reshape(16, *patch.shape[::2])
                patch = patch.transpose(1, 0, 2)
            base = f.weight_base + block * f.weight_stride
            for position, word, target, first in zip(
                steps["position"], steps["word"], steps["accumulator"], steps["first"]
            ):
                if position == ZERO_POSITION:
                    product = np.zeros_like(acc[:, target])
                else:
                    product = self._products(patch[:, position], base + word, f.pair)
                keep = not (first and block == 0)
                acc[:, target] = product + (acc[:, target] if keep else 0)
            acc = numerics.wrap(acc, self._bits)
        swapped = f.swap >> np.arange(lanes) & 1 == 1
        return np.where(swapped, acc[:, :, ::-1], acc)

    def _products(self, z: Ints, word: int, pair: int) -> Ints:
        """Sums (tiles, output blocks, lanes) of operands (tiles, lanes) times a weight word."""
        weights = self.weight[word]
        if pair and not (
            packing.fits_low(weights[0]).all() and packing.fits_high(weights[1]).all()
        ):
            return np.stack(packing.packed_sums(z[:, None], weights[0], weights[1]), axis=1)
        return np.stack([z @ block.T for block in weights[: 1 + pair]], axis=1)

    def _drain(self, f: Compute, acc: Ints) -> Ints | str:
        """Outputs (tiles, phases, rows, columns, lanes) of a tile from its accumulators."""
        place = slice(f.accumulator_base, f.accumulator_base + f.accumulators)
        phase = self.tables[Table.ACCUMULATOR]["phase"][place]
        position = self.tables[Table.ACCUMULATOR]["position"][place]
        if phase.max() >= f.phases:
            return "an accumulator belongs to a phase beyond those of the pass"
        if np.any(np.diff(phase) < 0):  # the outputs of a phase leave once its last one is read
            return "the accumulators are not in the order of their phases"
        side = f.tile
        out = np.zeros((len(acc), f.phases, 2, 2, acc.shape[-1]), np.int64)
        for index in range(f.accumulators):
            if f.winograd:
                coefficients = winograd.output_coefficients(int(position[index]))
                out[:, phase[index]] += coefficients[..., None] * acc[:, index, None, None]
            else:
                i, j = divmod(int(position[index]), 2)
                if max(i, j) >= side:
                    return "an accumulator is an output outside its tile"
                out[:, phase[index], i, j] += acc[:, index]
        out = numerics.wrap(out[:, :, :side, :side], self._bits)
        return out >> winograd.OUTPUT_SHIFT if f.winograd else out

    def _finish(self, f: Compute, total: Ints, params: Ints, block: int) -> None:
        """Requantise sums (tiles, phases, rows, columns, lanes) into the output buffer.

        The outputs of the second block follow those of the first.
        """
        p = Params(**{name: memory[params] for name, memory in self.params.items()})
        constants = [
            getattr(p, name)[None, :, None, None, :]
            for name in ("positive", "negative", "shift", "low", "high")
        ]
        values = Requantiser(*constants)(total)
        if f.activation:
            values = numerics.apply_table(self.activation, values, self._core.data_width)
        phases = self._phase_entries(f)
        n, ty, tx = _tile_indices(f)
        side = np.arange(f.tile)
        y = f.stride_y * (f.tile * ty[:, None, None] + side) + phases["row"][None, :, None]
        x = f.stride_x * (f.tile * tx[:, None, None] + side) + phases["column"][None, :, None]
        kept = (y < f.output_rows)[..., :, None] & (x < f.output_columns)[..., None, :]
        row = (n[:, None, None] + block * f.images) * f.output_rows + y
        word = f.output_base + row[..., :, None] * f.output_columns + x[..., None, :]
        self.output[word[kept]] = values[kept]

    def _store(self, f: Store) -> str | None:
        word = self._core.word_bytes
        count = f.images * f.rows * f.columns
        values = self.output[f.base : f.base + count].astype(self._dtype)
        rows = values.reshape(f.images, f.rows, f.columns, -1)
        strides = (f.image_stride * word, f.row_stride * word, word, values.itemsize)
        base = self._bases[Segment(f.segment)] + f.offset
        try:
            self._reach.check_transfer(f, self._core, self._bases)
        except Refused as refused:
            self._store_before(refused, f, base, values)
            raise
        self._memory.device_write_strided(base, rows, strides)
        return None

    def _store_before(self, refused: Refused, f: Store, base: int, values: Ints) -> None:
        """What a store writes before it is refused."""
        rows = values.reshape(f.images * f.rows, -1).view(np.uint8)
        for number, offset in zip(range(refused.runs + 1), row_offsets(f)):
            start = base + offset * self._core.word_bytes
            whole = number < refused.runs
            count = rows.shape[1] if whole else refused.address - start
            if count:
                self._memory.device_write(start, rows[number, :count])


def _transformed(raw: Ints, window: list[NDArray[np.intp]], positions: Ints) -> list[Ints]:
    """Winograd words (blocks, positions, lanes, lanes) of each phase, from its raw taps."""
    parts = []
    start = 0
    for taps, kept in zip(window, positions):
        g = np.zeros((9, raw.shape[0], *raw.shape[2:]), np.int64)
        g[taps] = raw[:, start : start + len(taps)].swapaxes(0, 1)
        start += len(taps)
        u = winograd.transform_filter(g.reshape(3, 3, *g.shape[1:])).reshape(16, *g.shape[1:])
        parts.append(u[np.flatnonzero(kept >> np.arange(16) & 1)].swapaxes(0, 1))
    return parts


def _tile_indices(f: Compute) -> tuple[Ints, Ints, Ints]:
    """Image, tile row and tile column of every tile, each (tiles,)."""
    shape = (f.images, f.tiles_y, f.tiles_x)
    n, ty, tx = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    return n, ty, tx


def _patch_addresses(f: Compute) -> tuple[Ints, NDArray[np.bool_]]:
    """Input-buffer word of every patch position (tiles, 16) in block 0, and whether it is read."""
    n, ty, tx = _tile_indices(f)
    offset = np.arange(4)
    y = f.origin_y + f.tile * ty[:, None] + offset
    x = f.origin_x + f.tile * tx[:, None] + offset
    used_y = (offset >= f.patch_row) & (offset < f.patch_row + f.patch_rows)
    used_x = (offset >= f.patch_column) & (offset < f.patch_column + f.patch_columns)
    inside_y = (y >= 0) & (y < f.rows) & used_y
    inside_x = (x >= 0) & (x < f.columns) & used_x
    image = f.input_base + n * f.blocks * f.rows * f.pitch
    address = image[:, None, None] + y[:, :, None] * f.pitch + x[:, None, :]
    inside = inside_y[:, :, None] & inside_x[:, None, :]
    return address.reshape(len(n), 16), inside.reshape(len(n), 16)
