"""What recognised jobs read of DRAM and store there: regions, weights, parameters, tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.device.memory import PAGE, EmulatedMemory
from winogen.emulation.emulator.jobs import Chain, FusedPass, InputView, Job, Kernel, WeightRun
from winogen.target import isa, numerics, packing, weight_code, winograd
from winogen.target.board import CoreConfig
from winogen.target.isa import Params
from winogen.target.microarchitecture import LOGIC

Floats = NDArray[np.floating]
Ints = NDArray[Any]  # int8, int16, int32 or int64


class NotExact(Exception):
    """Constants for which merged instructions would not do what single ones do."""


class Operands:
    """Reads and writes the emulated memory for a build configuration."""

    def __init__(self, core: CoreConfig, memory: EmulatedMemory):
        self.core = core
        self._memory = memory
        self.dtype = numerics.storage_dtype(core.data_width)
        #: An unsigned integer that has room for lanes: bytes are copied faster as few of them.
        self.bundle = np.dtype(f"u{math.gcd(core.word_bytes, 8)}")

    def region(self, view: InputView, dtype: np.dtype | None = None) -> Ints:
        """Activations (images, blocks, rows, columns, lanes), a view of the memory.

        As another ``dtype`` the last axis is what a word of them has room for.
        """
        dtype = self.dtype if dtype is None else dtype
        word = self.core.word_bytes
        shape = (view.images, view.blocks, view.rows, view.columns)
        steps = (view.image_stride, view.block_stride, view.row_stride, view.column_step)
        nbytes = (sum((n - 1) * s for n, s in zip(shape, steps)) + 1) * word
        data = self._memory.device_read(view.address, nbytes)
        strides = (*(s * word for s in steps), dtype.itemsize)
        return np.ndarray((*shape, word // dtype.itemsize), dtype, data, 0, strides)

    def taps(self, fused: FusedPass) -> Ints:
        """Weights of a pass (taps, input channels, output channels).

        Raises
        ------
        NotExact : coded weights that cannot be decoded
        """
        lanes = self.core.ci_lanes
        raw = []
        for block in fused.weights:
            raw.append(np.concatenate([self._read_weights(fused, run) for run in block]))
        taps = np.stack(raw).reshape(len(raw), -1, fused.taps, lanes, lanes)
        # (output block, input block, tap, output lane, input lane) to (tap, input, output)
        return taps.transpose(2, 1, 4, 0, 3).reshape(
            fused.taps, taps.shape[1] * lanes, len(raw) * lanes
        )

    def version(self, ranges: Sequence[tuple[int, int]]) -> int:
        """A number that grows whenever a byte of these ranges (address, bytes) may have changed."""
        return max((self._memory.device_version(*r) for r in ranges), default=0)

    def weights(self, fused: FusedPass) -> list[tuple[int, int]]:
        """The ranges (address, bytes) of a pass's weights."""
        places = []
        for run in (run for block in fused.weights for run in block):
            places.append((run.address, self._run_bytes(fused, run.blocks, run.code)))
            if run.swap:
                places.append((run.other, self._run_bytes(fused, run.blocks, run.other_code)))
        return joined(places)

    def constants(self, job: Job) -> list[tuple[int, int]]:
        """The ranges (address, bytes) of all weights, parameters and tables of a job."""
        places = []
        for chain in job.chains:
            nbytes = _entries(chain) * self.core.co_lanes * isa.PARAM_BYTES
            places += [(address, nbytes) for address in chain.params]
            if chain.activation is not None:
                places.append((chain.activation, 2 * numerics.TABLE_ENTRIES))
            for fused in chain.passes:
                places += self.weights(fused)
        return joined(places)

    def params(self, chain: Chain) -> Params:
        """Parameters, each (output blocks, entries, lanes).

        Raises
        ------
        NotExact : one that the logic refuses
        """
        lanes = self.core.co_lanes
        nbytes = _entries(chain) * lanes * isa.PARAM_BYTES
        raw = [self._memory.device_read(address, nbytes) for address in chain.params]
        params = isa.unpack_params(np.concatenate(raw))
        if params.shift.min() < 1 or params.shift.max() > numerics.MAX_SHIFT:
            raise NotExact  # the machine says at which instruction
        width = numerics.PREACTIVATION_BITS if chain.activation is not None else None
        low, high = numerics.int_range(width or self.core.data_width)
        if params.low.min() < low or params.high.max() > high or np.any(params.low > params.high):
            raise NotExact
        return Params(
            **{
                name: getattr(params, name).reshape(len(raw), -1, lanes)
                for name in (f.name for f in isa.PARAM_FIELDS)
            }
        )

    def table(self, chain: Chain) -> NDArray[np.int16] | None:
        """The activation table of a chain, if it has one."""
        if chain.activation is None:
            return None
        data = self._memory.device_read(chain.activation, 2 * numerics.TABLE_ENTRIES)
        return np.ascontiguousarray(data).view("<i2")

    def store(self, job: Job, result: Ints) -> None:
        """Write a result (images, rows, columns, output channels) where the job stores it.

        Its channels may be bundles of them.
        """
        layout = result.view(self.bundle).reshape(*result.shape[:3], len(job.stores), -1)
        word = self.core.word_bytes
        strides = (job.image_stride * word, job.row_stride * word, word, self.bundle.itemsize)
        for first, count, step in _even_runs(job.stores):
            part = layout[..., first : first + count, :].transpose(3, 0, 1, 2, 4)
            self._memory.device_write_strided(job.stores[first], part, (step, *strides))

    def _run_bytes(self, fused: FusedPass, blocks: int, code: tuple[int, int]) -> int:
        coding, beats = code
        if coding:
            return beats * LOGIC.beat_bytes
        return blocks * fused.taps * self.core.weight_word_bytes

    def _read_weights(self, fused: FusedPass, run: WeightRun) -> Ints:
        """A run's weights (words, output lanes, input lanes)."""
        core, lanes = self.core, self.core.ci_lanes
        plain = run.blocks * fused.taps * core.weight_word_bytes

        def read(address: int, code: tuple[int, int]) -> Ints:
            data = self._memory.device_read(address, self._run_bytes(fused, run.blocks, code))
            if code[0]:
                count = plain // self.dtype.itemsize
                try:
                    weights = weight_code.decode(data, code[0], count, core.data_width)
                except weight_code.CodeError:
                    raise NotExact from None  # the machine says at which instruction
            else:
                weights = data.view(self.dtype)
            return weights.reshape(-1, lanes, lanes)

        if not run.swap:
            return read(run.address, run.code)
        swapped = (run.swap >> np.arange(lanes) & 1 == 1)[:, None]
        return np.where(swapped, read(run.other, run.other_code), read(run.address, run.code))


def _entries(chain: Chain) -> int:
    """Parameter entries of each output block."""
    return 1 + max(param for _, _, param in chain.phases)


def joined(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges (address, bytes), as few as there are with the same pages."""
    whole: list[tuple[int, int]] = []
    for address, nbytes in sorted(places):
        if whole and address < sum(whole[-1]) + PAGE:
            start, before = whole[-1]
            whole[-1] = start, max(before, address + nbytes - start)
        else:
            whole.append((address, nbytes))
    return whole


def overlap(origin: int, size: int, available: int) -> tuple[slice, slice]:
    """Where [origin, origin + size) meets [0, available): slices of either."""
    start, stop = max(origin, 0), min(origin + size, available)
    stop = max(start, stop)
    return slice(start - origin, stop - origin), slice(start, stop)


def weight_words(kernel: Kernel, taps: Ints, wide: np.dtype) -> list[Floats]:
    """Weight words (input channels, output channels), as the weight buffer would hold them."""
    if not kernel.winograd:
        return [tap.astype(wide) for tap in taps]
    words = []
    start = 0
    for window, positions in zip(kernel.window, kernel.positions):
        g: dict[tuple[int, int], Floats] = {
            divmod(w, winograd.TAPS): taps[start + n].astype(wide) for n, w in enumerate(window)
        }
        start += len(window)
        rows = {}
        for i in range(4):
            for b in range(3):
                line = [g.get((a, b)) for a in range(3)]
                rows[i, b] = _combine_filter(winograd.G2[i], line)
        for position in positions:
            i, j = divmod(position, 4)
            word = _combine_filter(winograd.G2[j], [rows[i, b] for b in range(3)])
            words.append(np.zeros(taps.shape[1:], wide) if word is None else word)
    return words


def _combine_filter(
    coefficients: NDArray[np.int64], parts: Sequence[Floats | None]
) -> Floats | None:
    total: Floats | None = None
    for coefficient, part in zip(coefficients, parts):
        if part is None or coefficient == 0:
            continue
        term = part if coefficient == 1 else part * part.dtype.type(coefficient)
        total = term if total is None else total + term
    return total


def pairs_are_exact(fused: FusedPass, words: list[Floats], lanes: int) -> bool:
    """Whether the logic gets the sums of output blocks right that share its multipliers.

    ``words`` are (input channels, output channels).
    """
    # The half in which each output channel's weights lie; 2: its block is alone.
    halves = []
    for block in fused.weights:
        kinds = {(run.half, run.swap) for run in block}
        if len(kinds) > 1:
            return False
        half, swap = kinds.pop() if kinds else (None, 0)
        swapped = swap >> np.arange(lanes) & 1
        halves.append(np.full(lanes, 2) if half is None else half ^ swapped)
    half_of = np.concatenate(halves)
    if np.all(half_of == 2):
        return True
    for word in words:
        parts = word.T.reshape(len(half_of), -1, lanes).astype(np.int64)
        low, high = (fits(parts).all(axis=-1) for fits in (packing.fits_low, packing.fits_high))
        if not np.all(np.where(half_of == 0, low, np.where(half_of == 1, high, True))):
            return False
    return True


def _even_runs(offsets: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Maximal runs (first index, count, step) of evenly spaced offsets."""
    start = 0
    while start < len(offsets):
        stop = start + 1
        step = offsets[stop] - offsets[start] if stop < len(offsets) else 0
        if step > 0:
            while stop < len(offsets) and offsets[stop] - offsets[stop - 1] == step:
                stop += 1
        yield start, stop - start, max(step, 0)
        start = stop
