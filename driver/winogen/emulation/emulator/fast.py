"""Computing recognised jobs at once, bit for bit as the machine would: as bytes or as floats.

Jobs of 8-bit builds are products of bytes where :mod:`gemm` has fast ones (:mod:`layers`). All
others, and what has no such form, go through BLAS here.

Integers travel in floats only where that is exact: a matrix product runs in float32 if no partial
sum can reach 2**24 (a bound from the data at hand), in slices of the channels if that is enough,
else in float64 below 2**53.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.boxes import join_boxes
from winogen.emulation.emulator.gemm import NoProduct, available
from winogen.emulation.emulator.jobs import Chain, FusedPass, InputView, Job, Kernel
from winogen.emulation.emulator.kept import Kept
from winogen.emulation.emulator.layers import NotPlain, PlainJob
from winogen.emulation.emulator.operands import (
    Floats,
    Ints,
    NotExact,
    Operands,
    overlap,
    pairs_are_exact,
    weight_words,
)
from winogen.emulation.emulator.requantise import Requantise
from winogen.target import numerics, winograd
from winogen.target.board import CoreConfig

__all__ = ["FastJobs", "NotExact"]

_EXACT_32 = 1 << 24
_EXACT_64 = 1 << 53
#: Most channel slices to try in float32 before float64 is cheaper.
_MAX_SLICES = 4
#: Input channels that share one bound of the weights.
_BOUND_CHANNELS = 64
#: Weights that are kept for the next run, bytes: as floats, and as products of bytes.
_WEIGHT_CACHE_BYTES = 1 << 30


class _Product:
    """The weights of some accumulators that read the same patch positions, ready for BLAS.

    ``matrix`` is (positions * input channels, accumulators * output channels), float32 or
    float64; ``magnitudes[p, c]`` are the sums of magnitudes of the columns over the c-th slice of
    channels of position p.
    """

    def __init__(
        self,
        positions: tuple[int, ...],
        accumulators: tuple[int, ...],
        matrix: Floats,
        channels: int,
    ):
        self.positions = positions
        self.accumulators = accumulators
        self.matrix = matrix
        starts = np.arange(0, channels, _BOUND_CHANNELS)
        magnitudes = np.abs(matrix.reshape(len(positions), channels, -1))
        self.magnitudes = np.add.reduceat(magnitudes, starts, axis=1, dtype=np.float64)


@dataclass
class _PassWeights:
    """Weights of a pass; ``taps[p]`` are the sums of magnitudes of phase p's filters."""

    products: list[_Product]
    taps: list[NDArray[np.float64]]  # (slices of channels, output channels)


@dataclass
class _Plain:
    """A job as products of bytes (None: it is none), where its constants lie, their version."""

    job: Job
    constants: list[tuple[int, int]]
    version: int
    plain: PlainJob | None


class FastJobs:
    """Runs jobs; keeps weights as they are multiplied while the bytes they came from stay."""

    def __init__(self, core: CoreConfig, memory: EmulatedMemory, *, gemm: bool = True):
        self._core = core
        self._by_bytes = gemm and core.data_width == 8 and available()
        self._operands = Operands(core, memory)
        self._dtype = numerics.storage_dtype(core.data_width)
        self._bits = numerics.accumulator_bits(core.data_width)
        # int32 arithmetic wraps exactly as a 32-bit accumulator does.
        self._work = np.dtype(np.int32 if core.data_width == 8 else np.int64)
        self._weights: Kept[tuple, tuple[int, _PassWeights]] = Kept(_WEIGHT_CACHE_BYTES)
        self._jobs: Kept[int, _Plain] = Kept(_WEIGHT_CACHE_BYTES)

    @property
    def join(self) -> Callable[[list[Job]], list[Job]] | None:
        """Joins jobs of a layer as far as they are better done at once: bytes take little room."""
        if not self._by_bytes:
            return None
        return lambda jobs: join_boxes(jobs, self._core.word_bytes)

    def run(self, job: Job) -> None:
        """Compute a job and store its result.

        Raises
        ------
        NotExact : the bits would not be those of single instructions
        """
        plain = self._plain(job)
        if plain is not None:
            plain.run()
            return
        channels = len(job.stores) * self._core.co_lanes
        result = np.zeros((job.images, job.rows, job.columns, channels), self._dtype)
        for chain in job.chains:
            self._run_chain(chain, job, result)
        self._operands.store(job, result)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Let go of what is kept for jobs that are not run again."""
        for job in jobs:
            self._jobs.pop(id(job))

    def _plain(self, job: Job) -> PlainJob | None:
        """The job as products of bytes, where it can be had."""
        if not self._by_bytes:
            return None
        held = self._jobs.get(id(job))
        if held is None or held.job is not job:
            held = _Plain(job, self._operands.constants(job), -1, None)
        version = self._operands.version(held.constants)
        if held.version != version:
            try:
                held.plain = PlainJob(job, self._operands)
            except (NotPlain, NoProduct):
                held.plain = None
            held.version = version  # not before: what is not exact is so at the next run too
            self._jobs.put(id(job), held, held.plain.nbytes if held.plain else 0)
        return held.plain

    def _run_chain(self, chain: Chain, job: Job, result: Ints) -> None:
        params, table = self._operands.params(chain), self._operands.table(chain)
        tile = chain.passes[0].kernel.tile
        sums: dict[tuple[int, int, int], Ints] = {}
        for fused in chain.passes:
            for key, value in self._run_pass(fused, job.images):
                sums[key] = value if key not in sums else sums[key] + value
        tiles_y, tiles_x = chain.passes[0].kernel.tiles
        shape = (job.images, tiles_y, tiles_x)
        sy, sx = job.stride
        for index, (row, column, param) in enumerate(chain.phases):
            requantise = Requantise(params, [param], table, self._core.data_width)
            for i in range(tile):
                for j in range(tile):
                    y = slice(sy * i + row, None, sy * tile)
                    x = slice(sx * j + column, None, sx * tile)
                    place = result[:, y, x]
                    if not place.size:
                        continue
                    total = sums.get((index, i, j))
                    if total is None:  # a phase without taps is its bias
                        total = np.zeros((int(np.prod(shape)), result.shape[-1]), self._work)
                    values = requantise(total).reshape(*shape, -1)
                    place[...] = values[:, : place.shape[1], : place.shape[2]]

    def _run_pass(
        self, fused: FusedPass, images: int
    ) -> Iterator[tuple[tuple[int, int, int], Ints]]:
        """Contribution (tiles, output channels) to each output (phase, row, column) of a tile."""
        kernel = fused.kernel
        if fused.view is None or not any(kernel.products):
            if fused.is_coded:  # nothing multiplies them, and a wrong stream of them stops all
                self._operands.taps(fused)
            return
        weights = self._pass_weights(fused)
        products = weights.products
        space, reach = self._patch_space(fused.view, kernel, products[0].matrix.dtype)
        if kernel.winograd:
            # Each COMPUTE wraps its sum before it halves it twice; merging them needs sums that
            # do not wrap at all. Compiled networks never have such sums.
            largest = np.maximum(-reach[0], reach[1])
            if any((largest @ taps).max() * 4 >= 1 << (self._bits - 1) for taps in weights.taps):
                raise NotExact
        patch = _patches(space, kernel)
        accumulators: dict[int, Ints] = {}
        width = len(fused.weights) * self._core.co_lanes
        for product in products:
            parts = [patch.get(p) for p in product.positions]
            if all(part is None for part in parts):
                continue
            largest = np.stack([_position_reach(p, kernel, reach) for p in product.positions])
            out = self._multiply(_fill(parts), product, largest[..., None] * product.magnitudes)
            for n, accumulator in enumerate(product.accumulators):
                accumulators[accumulator] = out[:, n * width : (n + 1) * width]
        yield from _outputs(kernel, accumulators, self._bits if self._work == np.int64 else None)

    def _multiply(
        self, parts: list[Floats], product: _Product, bounds: NDArray[np.float64]
    ) -> Ints:
        """Exact integer product of the patch parts side by side with the weight matrix.

        ``bounds[p, c]`` bound what the c-th slice of channels of part p adds to each column.
        """
        channels = parts[0].shape[1]
        per_part = bounds.shape[1]
        bounds = bounds.reshape(-1, bounds.shape[2])
        patch = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if patch.dtype == np.float64:
            if bounds.sum(axis=0).max() >= _EXACT_64:
                raise NotExact
            return (patch @ product.matrix).astype(self._work)
        slices = _slices(bounds)
        if slices is None:
            wide = patch.astype(np.float64) @ product.matrix.astype(np.float64)
            if bounds.sum(axis=0).max() >= _EXACT_64:
                raise NotExact
            return wide.astype(np.int64).astype(self._work)
        edges = [self._edge(s, channels, per_part) for s in slices]
        total: Ints | None = None
        for start, stop in pairwise(edges):
            part = (patch[:, start:stop] @ product.matrix[start:stop]).astype(self._work)
            total = part if total is None else total + part
        assert total is not None
        return total

    @staticmethod
    def _edge(index: int, channels: int, per_position: int) -> int:
        """Column of the patch at which bound number ``index`` begins."""
        position, part = divmod(index, per_position)
        return position * channels + min(part * _BOUND_CHANNELS, channels)

    def _patch_space(
        self, view: InputView, kernel: Kernel, dtype: np.dtype
    ) -> tuple[Floats, NDArray[np.float64]]:
        """The region (images, rows, columns, channels) around all patches, zero outside it.

        Also the smallest and largest value (2, slices), zero included, within each slice of
        ``_BOUND_CHANNELS`` channels.
        """
        lanes = self._core.ci_lanes
        region = self._operands.region(view)
        height, width = (kernel.tile * (n - 1) + winograd.PATCH for n in kernel.tiles)
        space = np.zeros((view.images, height, width, view.blocks, lanes), dtype)
        (to_y, from_y), (to_x, from_x) = (
            overlap(origin, size, available)
            for origin, size, available in zip(
                kernel.origin, (height, width), (view.rows, view.columns)
            )
        )
        space[:, to_y, to_x] = region[:, :, from_y, from_x].transpose(0, 2, 3, 1, 4)
        starts = np.arange(0, view.blocks, _BOUND_CHANNELS // lanes)
        low = np.minimum(np.minimum.reduceat(region.min(axis=(0, 2, 3, 4)), starts), 0)
        high = np.maximum(np.maximum.reduceat(region.max(axis=(0, 2, 3, 4)), starts), 0)
        reach = np.stack([low, high]).astype(np.float64)
        return space.reshape(view.images, height, width, -1), reach

    def _pass_weights(self, fused: FusedPass) -> _PassWeights:
        kernel = fused.kernel
        # Not the geometry: streams for other batch sizes share the weights.
        key = (kernel.winograd, kernel.products, kernel.window, kernel.positions, fused.weights)
        version = self._operands.version(self._operands.weights(fused))
        held = self._weights.get(key)
        if held is None or held[0] != version:
            held = (version, self._build_weights(fused))
            self._weights.put(key, held, sum(p.matrix.nbytes for p in held[1].products))
        return held[1]

    def _build_weights(self, fused: FusedPass) -> _PassWeights:
        core, kernel = self._core, fused.kernel
        ordered = self._operands.taps(fused)
        wide = np.dtype(np.float32 if core.data_width == 8 else np.float64)
        words = weight_words(kernel, ordered, wide)
        if not pairs_are_exact(fused, words, core.ci_lanes):
            raise NotExact
        groups: dict[tuple[int, ...], list[int]] = {}
        for accumulator, steps in enumerate(kernel.products):
            if steps:
                groups.setdefault(tuple(p for p, _ in steps), []).append(accumulator)
        channels = ordered.shape[1]
        products = []
        for positions, accumulators in groups.items():
            columns = []
            for accumulator in accumulators:
                used = [words[word] for _, word in kernel.products[accumulator]]
                columns.append(used[0] if len(used) == 1 else np.concatenate(used))
            matrix = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
            products.append(
                _Product(positions, tuple(accumulators), np.ascontiguousarray(matrix), channels)
            )
        starts = np.arange(0, channels, _BOUND_CHANNELS)
        sums, first = [], 0
        for window in kernel.window:
            used = np.abs(ordered[first : first + len(window)].astype(np.int64)).sum(axis=0)
            sums.append(np.add.reduceat(used, starts, axis=0).astype(np.float64))
            first += len(window)
        return _PassWeights(products, sums)


def _patches(space: Floats, kernel: Kernel) -> dict[int, Floats]:
    """Patch positions (transformed, in Winograd mode) as (tiles, channels); absent if zero."""
    tile = kernel.tile
    ty, tx = kernel.tiles
    first_row, row_count, first_column, column_count = kernel.patch
    rows: dict[int, Floats | None] = {}
    for r in range(first_row, first_row + row_count):
        rows[r] = space[:, r : r + tile * (ty - 1) + 1 : tile]
    if kernel.winograd:
        rows = _transform_axis(rows)
    out: dict[int, Floats] = {}
    needed = {position for steps in kernel.products for position, _ in steps}
    for r, line in rows.items():
        if line is None:
            continue
        columns: dict[int, Floats | None] = {
            c: line[:, :, c : c + tile * (tx - 1) + 1 : tile]
            for c in range(first_column, first_column + column_count)
        }
        wanted = {p % 4 for p in needed if p // 4 == r}
        if kernel.winograd:
            columns = _transform_axis(columns, wanted)
        for c in wanted:
            value = columns.get(c)
            if value is not None:
                out[4 * r + c] = np.ascontiguousarray(value).reshape(-1, value.shape[-1])
    return out


def _transform_axis(
    parts: dict[int, Floats | None], wanted: set[int] | None = None
) -> dict[int, Floats | None]:
    """B^T along one axis of a patch given as its four samples; absent samples are zero."""
    d = [parts.get(i) for i in range(4)]
    pairs = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))  # first + sign * second
    out: dict[int, Floats | None] = {}
    for i, (a, b, sign) in enumerate(pairs):
        if wanted is not None and i not in wanted:
            continue
        first, second = d[a], d[b]
        if second is None:
            out[i] = first
        elif first is None:
            out[i] = second if sign > 0 else -second
        else:
            out[i] = first + second if sign > 0 else first - second
    return out


def _outputs(
    kernel: Kernel, accumulators: Mapping[int, Ints], wrap_bits: int | None
) -> Iterator[tuple[tuple[int, int, int], Ints]]:
    """Outputs (phase, row, column) of a tile from its accumulators; absent ones are zero."""

    def wrapped(x: Ints) -> Ints:
        return x if wrap_bits is None else numerics.wrap(x, wrap_bits)

    if not kernel.winograd:
        sums: dict[tuple[int, int, int], Ints] = {}
        for index, value in accumulators.items():
            phase, position = kernel.accumulators[index]
            key = (phase, *divmod(position, 2))
            sums[key] = sums[key] + value if key in sums else value
        for key, value in sums.items():
            yield key, wrapped(value)
        return
    by_phase: dict[int, dict[int, Ints]] = {}
    for index, value in accumulators.items():
        phase, position = kernel.accumulators[index]
        held = by_phase.setdefault(phase, {})
        held[position] = held[position] + value if position in held else value
    for phase, positions in by_phase.items():
        columns: dict[tuple[int, int], Ints] = {}
        for c in range(4):
            for i in range(2):
                line = [positions.get(4 * r + c) for r in range(4)]
                column = _combine(winograd.AT[i], line)
                if column is not None:
                    columns[i, c] = column
        for i in range(2):
            for j in range(2):
                total = _combine(winograd.AT[j], [columns.get((i, c)) for c in range(4)])
                if total is not None:
                    yield (phase, i, j), wrapped(total) >> winograd.OUTPUT_SHIFT


def _combine(coefficients: NDArray[np.int64], parts: Sequence[Ints | None]) -> Ints | None:
    """Sum of the parts times coefficients in {-1, 0, 1}."""
    total: Ints | None = None
    for coefficient, part in zip(coefficients, parts):
        if part is None or coefficient == 0:
            continue
        if total is None:
            total = part.copy() if coefficient > 0 else -part
        elif coefficient > 0:
            total += part
        else:
            total -= part
    return total


def _fill(parts: list[Floats | None]) -> list[Floats]:
    like = next(p for p in parts if p is not None)
    return [np.zeros_like(like) if p is None else p for p in parts]


def _position_reach(
    position: int, kernel: Kernel, reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest magnitude (slices,) of a patch position, from the range of the inputs."""
    low, high = reach
    if kernel.winograd:
        for row in (winograd.BT[position // 4], winograd.BT[position % 4]):
            plus, minus = np.sum(row > 0), np.sum(row < 0)
            low, high = plus * low - minus * high, plus * high - minus * low
    return np.maximum(high, -low)


def _slices(bounds: NDArray[np.float64]) -> list[int] | None:
    """Where to cut a sum so that every piece stays below 2**24; None if that takes too many.

    ``bounds`` (parts, columns) bound the magnitude of each part in each column.
    """
    edges = [0]
    total = np.zeros(bounds.shape[1])
    for index, bound in enumerate(bounds):
        if bound.max() >= _EXACT_32:
            return None
        if (total + bound).max() >= _EXACT_32:
            edges.append(index)
            total = np.zeros(bounds.shape[1])
        total += bound
    edges.append(len(bounds))
    return edges if len(edges) <= _MAX_SLICES + 1 else None
