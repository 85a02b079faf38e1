"""Recognised jobs of 8-bit builds as products of bytes: all but the activations made beforehand.

A Winograd convolution whose sums do not wrap gives the bits of the plain one (its sums are exact
multiples of four), and products of bytes are so much faster than of floats that the multiplies
that Winograd saves would cost time here. So each phase of a layer is a convolution over the region
that its tiles cover: its patches side by side, times its taps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.emulation.emulator import gemm
from winogen.emulation.emulator.jobs import Chain, FusedPass, InputView, Job, Kernel
from winogen.emulation.emulator.operands import (
    Ints,
    NotExact,
    Operands,
    overlap,
    pairs_are_exact,
    weight_words,
)
from winogen.emulation.emulator.requantise import Requantise
from winogen.target import winograd

#: Bytes of patches that are made at a time: as many as a processor's second cache holds.
_PATCH_BYTES = 1 << 20
#: Multiplies that take as long as beginning a product does.
_PRODUCT = 1 << 22

Codes = NDArray[np.uint8]
#: Bytes of activations as few wide integers, see :attr:`Operands.bundle`.
Bundles = NDArray[Any]
#: A tap: row and column in the patch of the first output of a tile, and which weight.
Tap = tuple[int, int, int]


class NotPlain(Exception):
    """A job that is not to be had as products of bytes."""


@dataclass(frozen=True)
class _Group:
    """Phases of a chain that are computed by one product for each pass.

    ``products[n]`` are the taps' places and the product of pass n; None where it has none for them.
    """

    phases: tuple[int, ...]
    rows: int
    columns: int
    products: tuple[tuple[tuple[tuple[int, int], ...], gemm.Product] | None, ...]
    requantise: Requantise
    width: int


@dataclass(frozen=True)
class _Layer:
    """A chain: its groups, and the place of every phase in the result."""

    chain: Chain
    groups: tuple[_Group, ...]


class PlainJob:
    """A job as products of bytes; what it needs of memory besides activations is read once.

    Raises
    ------
    NotPlain : it has no such form, or not one that is exact
    NotExact : constants for which single instructions do something else
    """

    def __init__(self, job: Job, operands: Operands):
        self._job = job
        self._operands = operands
        self._layers = [self._layer(chain) for chain in job.chains]

    @property
    def nbytes(self) -> int:
        """Memory that its weights take."""
        groups = [group for layer in self._layers for group in layer.groups]
        return sum(p[1].nbytes for g in groups for p in g.products if p is not None)

    def run(self) -> None:
        """Compute the job from what memory holds now, and store its result."""
        job, operands = self._job, self._operands
        width = len(job.stores) * operands.core.co_lanes // operands.bundle.itemsize
        result = np.zeros((job.images, job.rows, job.columns, width), operands.bundle)
        spaces: dict[tuple, Bundles] = {}
        for layer in self._layers:
            passes = layer.chain.passes
            used = [
                None if p.view is None else _space(spaces, operands, p.view, p.kernel)
                for p in passes
            ]
            for group in layer.groups:
                self._run_group(layer.chain, group, used, result)
        operands.store(job, result)

    def _run_group(
        self, chain: Chain, group: _Group, spaces: Sequence[Bundles | None], result: Bundles
    ) -> None:
        sy, sx = self._job.stride
        terms = [len(p[0]) * s.shape[-1] * s.itemsize for p, s in zip(group.products, spaces)
                 if p is not None and s is not None]  # fmt: skip
        for images, rows in _parts(len(result), group, max(terms, default=1)):
            shape = (images.stop - images.start, rows.stop - rows.start, group.columns)
            total: Ints | None = None
            for product, space in zip(group.products, spaces):
                if product is not None and space is not None:
                    places, multiply = product
                    out = multiply(_patches(space, places, images, rows, group.columns))
                    total = out if total is None else np.add(total, out, out=total)
            if total is None:  # phases without taps are their bias
                total = np.zeros((int(np.prod(shape)), len(group.phases) * group.width), np.int32)
            values = group.requantise(total).view(result.dtype)
            values = values.reshape(*shape, len(group.phases), -1)
            for n, phase in enumerate(group.phases):
                row, column, _ = chain.phases[phase]
                y = slice(sy * rows.start + row, sy * rows.stop, sy)
                place = result[images, y, column::sx]
                count = place.shape[1], min(place.shape[2], group.columns)
                place[:, :, : count[1]] = values[:, : count[0], : count[1], n]

    def _layer(self, chain: Chain) -> _Layer:
        operands, job = self._operands, self._job
        params, table = operands.params(chain), operands.table(chain)
        taps = [phase_taps(p.kernel) for p in chain.passes]
        weights = [self._weights(p) for p in chain.passes]
        kernel = chain.passes[0].kernel
        reach = [kernel.tile * n for n in kernel.tiles]
        sizes = []
        for row, column, _ in chain.phases:
            sizes.append(
                tuple(
                    min(limit, max(0, -(-(size - first) // stride)))
                    for limit, size, first, stride in zip(
                        reach, (job.rows, job.columns), (row, column), job.stride
                    )
                )
            )
        groups = []
        for phases in _groupings(chain, taps, weights, sizes, job.images):
            rows = max(sizes[p][0] for p in phases)
            columns = max(sizes[p][1] for p in phases)
            products = tuple(
                _product(phases, t, w, job.images * rows * columns) for t, w in zip(taps, weights)
            )
            largest = sum(p[1].largest for p in products if p is not None)
            if largest >= 1 << 31:
                raise NotPlain
            requantise = Requantise(params, [chain.phases[p][2] for p in phases], table, 8, largest)
            width = len(job.stores) * operands.core.co_lanes
            groups.append(_Group(tuple(phases), rows, columns, products, requantise, width))
        return _Layer(chain, tuple(groups))

    def _weights(self, fused: FusedPass) -> Ints:
        """Taps (taps, input channels, output channels) of a pass, once it is known to be exact."""
        if fused.view is None or not any(fused.kernel.products):
            if fused.is_coded:  # nothing multiplies them, and a wrong stream of them stops all
                self._operands.taps(fused)
            return np.zeros((0, 0, 0), np.int8)
        taps = self._operands.taps(fused)
        if fused.kernel.winograd:
            # Merging needs sums that do not wrap: each COMPUTE halves its own twice.
            first = 0
            for window in fused.kernel.window:
                used = np.abs(taps[first : first + len(window)].astype(np.int64)).sum(axis=(0, 1))
                if used.max(initial=0) * gemm.ZERO << winograd.OUTPUT_SHIFT >= 1 << 31:
                    raise NotPlain
                first += len(window)
        lanes = self._operands.core.ci_lanes
        if self._operands.core.products > 1 and not pairs_are_exact(
            fused, weight_words(fused.kernel, taps, np.dtype(np.float32)), lanes
        ):
            raise NotExact
        return taps


def phase_taps(kernel: Kernel) -> list[list[Tap]]:
    """The taps of each phase, as a convolution over the region that all its tiles cover.

    Raises
    ------
    NotPlain : the outputs of a tile are not computed alike
    """
    if kernel.winograd:
        return _winograd_taps(kernel)
    found: list[dict[int, list[Tap]]] = [{} for _ in kernel.window]
    for (phase, position), steps in zip(kernel.accumulators, kernel.products):
        i, j = divmod(position, winograd.TILE)
        taps = found[phase].setdefault(position, [])
        for place, word in steps:
            row, column = divmod(place, winograd.PATCH)
            if not _is_loaded(kernel, row, column):
                raise NotPlain
            taps.append((row - i, column - j, word))
    outputs = [winograd.TILE * i + j for i in range(kernel.tile) for j in range(kernel.tile)]
    phases = []
    for places in found:
        lists = [sorted(places.get(position, [])) for position in outputs]
        if any(other != lists[0] for other in lists) or len(places) > len(outputs):
            raise NotPlain
        if any(min(row, column) < 0 for row, column, _ in lists[0]):
            raise NotPlain
        phases.append(lists[0])
    return phases


def _winograd_taps(kernel: Kernel) -> list[list[Tap]]:
    computed = {phase for (phase, _), steps in zip(kernel.accumulators, kernel.products) if steps}
    phases: list[list[Tap]] = []
    word = 0
    for phase, window in enumerate(kernel.window):
        taps = []
        for tap in window:
            row, column = divmod(tap, winograd.TAPS)
            corners = ((row, column), (row + kernel.tile - 1, column + kernel.tile - 1))
            if not all(_is_loaded(kernel, *corner) for corner in corners):
                raise NotPlain
            taps.append((row, column, word))
            word += 1
        phases.append(taps if phase in computed else [])
    return phases


def _is_loaded(kernel: Kernel, row: int, column: int) -> bool:
    """Whether a place of the patch is read; all others are zero."""
    first_row, rows, first_column, columns = kernel.patch
    return 0 <= row - first_row < rows and 0 <= column - first_column < columns


def _groupings(
    chain: Chain,
    taps: Sequence[list[list[Tap]]],
    weights: Sequence[Ints],
    sizes: Sequence[tuple[int, ...]],
    images: int,
) -> list[list[int]]:
    """All phases at once, or each by itself: whichever takes fewer multiplies and products."""
    phases = range(len(chain.phases))
    single = together = 0
    rows, columns = (max(size[axis] for size in sizes) for axis in range(2))
    for lists, held in zip(taps, weights):
        if not held.size:
            continue
        channels = held.shape[1] * held.shape[2]
        places = {tap[:2] for p in phases for tap in lists[p]}
        together += images * rows * columns * len(places) * channels * len(phases)
        for p in phases:
            single += images * sizes[p][0] * sizes[p][1] * len(lists[p]) * channels
    if together <= single + _PRODUCT * (len(phases) - 1):
        return [list(phases)]
    return [[p] for p in phases]


def _product(
    phases: Sequence[int], taps: Sequence[list[Tap]], weights: Ints, rows: int
) -> tuple[tuple[tuple[int, int], ...], gemm.Product] | None:
    """The places in a patch that these phases read in a pass, and the product with their taps."""
    places = sorted({tap[:2] for p in phases for tap in taps[p]})
    if not places or not weights.size:
        return None
    _, channels, width = weights.shape
    if len(places) * channels > gemm.LONGEST:
        raise NotPlain
    matrix = np.zeros((len(places), channels, len(phases), width), np.int8)
    for n, phase in enumerate(phases):
        for row, column, word in taps[phase]:
            at = matrix[places.index((row, column)), :, n]
            if at.any():
                raise NotPlain  # two weights at one place: their sum may have more bits
            at[...] = weights[word]
    flat = matrix.reshape(len(places) * channels, -1)
    return tuple(places), gemm.Product(flat, rows)


def _parts(images: int, group: _Group, terms: int) -> Iterator[tuple[slice, slice]]:
    """Images and rows whose patches fit the cache, all of a result."""
    line = max(1, group.columns * terms)
    rows = max(1, _PATCH_BYTES // line)
    if not group.rows or not group.columns:
        return
    if rows < group.rows:
        for image in range(images):
            for row in range(0, group.rows, rows):
                yield slice(image, image + 1), slice(row, min(row + rows, group.rows))
        return
    step = max(1, rows // group.rows)
    for image in range(0, images, step):
        yield slice(image, min(image + step, images)), slice(0, group.rows)


def _patches(
    space: Bundles, places: Sequence[tuple[int, int]], images: slice, rows: slice, columns: int
) -> Codes:
    """What these places of the patches hold, (outputs, places * channels)."""
    count = (images.stop - images.start, rows.stop - rows.start, columns)
    out = np.empty((*count, len(places), space.shape[-1]), space.dtype)
    for n, (row, column) in enumerate(places):
        out[:, :, :, n] = space[
            images, rows.start + row : rows.stop + row, column : column + columns
        ]
    return out.reshape(count[0] * count[1] * count[2], -1).view(np.uint8)


def _space(
    known: dict[tuple, Bundles], operands: Operands, view: InputView, kernel: Kernel
) -> Bundles:
    """The region (images, rows, columns, channels) that all patches cover, zero where it has none.

    Its bytes are moved by ``gemm.ZERO``. ``known`` has those of other passes.
    """
    height, width = (kernel.tile * (n - 1) + winograd.PATCH for n in kernel.tiles)
    key = (view, kernel.origin, height, width)
    if key in known:
        return known[key]
    zero = np.full(operands.bundle.itemsize, gemm.ZERO, np.uint8).view(operands.bundle)
    region = operands.region(view, operands.bundle)
    space = np.full((view.images, height, width, view.blocks, region.shape[-1]), zero)
    (to_y, from_y), (to_x, from_x) = (
        overlap(origin, size, available)
        for origin, size, available in zip(
            kernel.origin, (height, width), (view.rows, view.columns)
        )
    )
    moved = region[:, :, from_y, from_x] ^ zero
    space[:, to_y, to_x] = moved.transpose(0, 2, 3, 1, 4)
    known[key] = space.reshape(view.images, height, width, -1)
    return known[key]
