"""Lowering: any convolution-like layer as passes of stride-1 sub-convolutions over input views.

A *pass* is what one COMPUTE instruction does for one tile: read a patch of one input view, walk a
compile-time list of (input position, weight word, accumulator) *steps* for every block of input
channels, and add the accumulators to the partial sums of the tile. Winograd with zero skipping,
direct TDC and zero-padded deconvolution differ only in these lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ScheduleError
from winogen.compiler.shape import ConvShape
from winogen.compiler.tdc import (
    AxisWindow,
    single_input_windows,
    strided_windows,
    transposed_windows,
)
from winogen.target import winograd
from winogen.target.winograd import ZERO_POSITION


class Mode(Enum):
    """How a layer's multiplies are arranged; AUTO takes the one with the fewest cycles."""

    AUTO = "auto"
    WINOGRAD = "winograd"
    DIRECT = "direct"
    ZERO_PADDED = "zero-padded"


#: Which taps of a kernel have weights (kh, kw); None: all.
Taps = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Tap:
    """Weight (ky, kx) at index (wy, wx) of the 3x3 window."""

    wy: int
    wx: int
    ky: int
    kx: int


@dataclass(frozen=True)
class Step:
    """One multiply of every lane: patch ``position`` x weight ``word`` into ``accumulator``."""

    position: int
    word: int
    accumulator: int


@dataclass(frozen=True)
class Accumulator:
    """What an accumulator holds: a Winograd position of a phase, or (direct) an output of it."""

    phase: int
    position: int


@dataclass(frozen=True)
class Pass:
    """One input view feeding one group of output phases.

    Attributes
    ----------
    source : index of the layer's input tensor (several where a concat was folded in)
    phase, step, origin : (rows, columns) of the view, see :class:`winogen.compiler.tdc.AxisWindow`
    taps : for each phase of the group, its taps, in weight-memory order
    steps, accumulators : the step list and what its accumulators mean
    words : weight-buffer words for each block of input channels
    """

    source: int
    phase: tuple[int, int]
    step: tuple[int, int]
    origin: tuple[int, int]
    taps: tuple[tuple[Tap, ...], ...]
    steps: tuple[Step, ...]
    accumulators: tuple[Accumulator, ...]
    words: int

    @property
    def tap_count(self) -> int:
        """Weight words for each block of input channels in DRAM (before the transform)."""
        return sum(len(t) for t in self.taps)

    @property
    def view(self) -> tuple[int, tuple[int, int], tuple[int, int]]:
        """The samples that the pass looks at: source, phase and step."""
        return self.source, self.phase, self.step

    def patch_range(self, axis: int, tile: int) -> tuple[int, int]:
        """First and last patch row (axis 0) or column (axis 1) that any output depends on."""
        indices = [(t.wy, t.wx)[axis] for phase in self.taps for t in phase]
        return (min(indices), max(indices) + tile - 1) if indices else (0, 0)


@dataclass(frozen=True)
class PhaseGroup:
    """Output phases (row, column) that are computed together, and the passes that do it."""

    phases: tuple[tuple[int, int], ...]
    passes: tuple[Pass, ...]


@dataclass(frozen=True)
class LoweredConv:
    """A layer as the engine runs it.

    Output (y, x) is phase (y mod stride) of base-grid point (y div stride); tiles cover
    ``tile`` x ``tile`` base-grid points.
    """

    mode: Mode
    tile: int
    stride: tuple[int, int]
    grid: tuple[int, int]
    groups: tuple[PhaseGroup, ...]

    @property
    def tiles(self) -> tuple[int, int]:
        """Tile rows and columns that cover the base grid."""
        return -(-self.grid[0] // self.tile), -(-self.grid[1] // self.tile)

    @property
    def views(self) -> set[tuple[int, tuple[int, int], tuple[int, int]]]:
        """The views that passes look at."""
        return {p.view for g in self.groups for p in g.passes}

    def reach(self, spec: Pass, axis: int, shared: bool) -> tuple[int, int]:
        """First and last sample of its view that a pass reads, from where a tile begins.

        With ``shared``, those of all passes that read the same view.
        """
        if shared:
            return self._reaches[spec.view][axis]
        low, high = spec.patch_range(axis, self.tile)
        return spec.origin[axis] + low, spec.origin[axis] + high

    @cached_property
    def _reaches(self) -> dict[object, list[tuple[int, int]]]:
        found: dict[object, list[tuple[int, int]]] = {}
        for spec in (p for g in self.groups for p in g.passes):
            own = [self.reach(spec, axis, False) for axis in (0, 1)]
            known = found.setdefault(spec.view, own)
            found[spec.view] = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(known, own)]
        return found

    @property
    def steps_per_block(self) -> int:
        """Steps of one tile for one block of input channels of one input, over all passes."""
        return sum(len(p.steps) for g in self.groups for p in g.passes if p.source == 0)

    @property
    def cycles_per_block(self) -> int:
        """Steps of all tiles for one block of input channels; ranks modes."""
        return self.tiles[0] * self.tiles[1] * self.steps_per_block


def lower(
    shape: ConvShape,
    *,
    mode: Mode = Mode.AUTO,
    sources: int = 1,
    taps: Taps = None,
    max_accumulators: int = 64,
    max_steps: int = 1024,
    max_phases: int = 64,
    cost: Callable[[LoweredConv], float] = lambda lowered: lowered.cycles_per_block,
) -> LoweredConv:
    """Lower one layer for an engine with the given accumulators, step and phase table entries.

    ``taps`` are those of the kernel that have weights, (kh, kw), None: all; between those of a
    dilated convolution there is nothing to multiply.

    What is free (the mode if it is AUTO, the size of direct mode's tiles) is chosen by ``cost``;
    among equals direct mode, which reads fewer pixels, and large tiles.

    Raises ScheduleError if a single output phase needs more than the engine has.
    """
    limits = max_accumulators, max_steps, max_phases
    if mode is Mode.ZERO_PADDED:
        # A baseline on equal terms: it has the tiles of direct mode.
        tile = min(_candidates(shape, Mode.DIRECT, sources, limits, taps), key=cost).tile
        return _lowered(shape, mode, tile, sources, limits, taps)
    return min(_candidates(shape, mode, sources, limits, taps), key=cost)


def _candidates(
    shape: ConvShape, mode: Mode, sources: int, limits: tuple[int, int, int], taps: Taps
) -> list[LoweredConv]:
    """The ways to run a layer in a mode, or in any; ScheduleError if there is none."""
    choices = [(Mode.DIRECT, winograd.TILE), (Mode.DIRECT, 1), (Mode.WINOGRAD, winograd.TILE)]
    found: list[LoweredConv] = []
    for candidate, tile in choices:
        if mode in (Mode.AUTO, candidate):
            try:
                found.append(_lowered(shape, candidate, tile, sources, limits, taps))
            except ScheduleError as error:
                refused = error
    if not found:
        raise refused
    return found


def _lowered(
    shape: ConvShape,
    mode: Mode,
    tile: int,
    sources: int,
    limits: tuple[int, int, int],
    present: Taps,
) -> LoweredConv:
    """The layer in a mode, with tiles of a size."""
    windows = [_axis_windows(shape, axis) for axis in (0, 1)]
    stride = tuple(len(w[0].taps) for w in windows)
    grid = tuple(-(-n // s) for n, s in zip(shape.output_size, stride))
    views = list(product(windows[0], windows[1]))
    groups = []
    for phases in _phase_groups(shape, views, mode, tile, *limits, present):
        passes = [
            _make_pass(shape, source, view, phases, mode, tile, present, first=index == 0)
            for source in range(sources)
            for index, view in enumerate(views)
        ]
        groups.append(PhaseGroup(phases, tuple(p for p in passes if p.steps) or (passes[0],)))
    return LoweredConv(mode, tile, (stride[0], stride[1]), (grid[0], grid[1]), tuple(groups))


def useful_multiplies(shape: ConvShape) -> int:
    """Multiplies of the layer for each (input, output) channel pair, borders included.

    Every kernel tap of every output that falls on a real (not inserted) input sample's row and
    column phase counts, padding too: ``k*k*h*w`` for a transposed convolution, ``k*k*H*W`` for a
    convolution, as the literature counts.
    """
    size = shape.input_size if shape.transposed else shape.output_size
    return shape.kernel[0] * shape.kernel[1] * size[0] * size[1]


def zero_padded_multiplies(shape: ConvShape) -> int:
    """Multiplies for each channel pair when the zeros are inserted: ``k*k`` for each output."""
    return shape.kernel[0] * shape.kernel[1] * shape.output_size[0] * shape.output_size[1]


def _axis_windows(shape: ConvShape, axis: int) -> tuple[AxisWindow, ...]:
    kernel, stride, pad = shape.kernel[axis], shape.stride[axis], shape.pad[axis]
    if not shape.transposed:
        return strided_windows(kernel, stride, pad)
    if shape.input_size[axis] == 1:
        return single_input_windows(kernel, pad, shape.output_size[axis])
    return transposed_windows(kernel, stride, pad)


def _phase_groups(
    shape: ConvShape,
    views: Sequence[tuple[AxisWindow, AxisWindow]],
    mode: Mode,
    tile: int,
    max_accumulators: int,
    max_steps: int,
    max_phases: int,
    present: Taps,
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Split the output phases, in raster order, into groups that fit the engine."""

    def fits(phases: tuple[tuple[int, int], ...]) -> bool:
        passes = [
            _make_pass(shape, 0, view, phases, mode, tile, present, first=i == 0)
            for i, view in enumerate(views)
        ]
        return len(phases) <= max_phases and all(
            len(p.accumulators) <= max_accumulators and len(p.steps) <= max_steps for p in passes
        )

    rows, columns = (len(w.taps) for w in views[0])
    group: tuple[tuple[int, int], ...] = ()
    for phase in product(range(rows), range(columns)):
        if phase[0] >= shape.output_size[0] or phase[1] >= shape.output_size[1]:
            continue  # a stride beyond the output: no output has this phase
        if not fits((phase,)):
            raise ScheduleError(
                f"one output phase in {mode.value} mode needs more than the engine's "
                f"{max_accumulators} accumulators or {max_steps} steps; use another mode"
            )
        if group and not fits((*group, phase)):
            yield group
            group = ()
        group = (*group, phase)
    yield group


def _make_pass(
    shape: ConvShape,
    source: int,
    view: tuple[AxisWindow, AxisWindow],
    phases: Sequence[tuple[int, int]],
    mode: Mode,
    tile: int,
    present: Taps,
    first: bool,
) -> Pass:
    rows, columns = view
    taps = tuple(
        tuple(
            Tap(wy, wx, ky, kx)
            for (wy, ky), (wx, kx) in product(rows.taps[py], columns.taps[px])
            if present is None or present[ky, kx]
        )
        for py, px in phases
    )
    if mode is Mode.WINOGRAD:
        steps, accumulators, words = _winograd_steps(taps)
    else:
        steps, accumulators, words = _direct_steps(taps, tile)
        inserts = shape.transposed and shape.input_size != (1, 1)
        if mode is Mode.ZERO_PADDED and inserts and first and source == 0:
            steps, accumulators = _with_inserted_zeros(shape, phases, steps, accumulators, tile)
    if not steps and first:
        # Phases without any tap still need their bias: one multiply by zero starts the pass.
        steps, accumulators, words = (Step(ZERO_POSITION, 0, 0),), (Accumulator(0, 0),), 0
    return Pass(
        source,
        (rows.phase, columns.phase),
        (rows.step, columns.step),
        (rows.origin, columns.origin),
        taps,
        steps,
        accumulators,
        words,
    )


def _winograd_steps(
    taps: Sequence[Sequence[Tap]],
) -> tuple[tuple[Step, ...], tuple[Accumulator, ...], int]:
    accumulators = tuple(
        Accumulator(phase, position)
        for phase, phase_taps in enumerate(taps)
        for position in winograd.positions((t.wy, t.wx) for t in phase_taps)
    )
    # Each position of each phase has its own accumulator and its own weight word.
    steps = tuple(Step(a.position, i, i) for i, a in enumerate(accumulators))
    return steps, accumulators, len(accumulators)


def _direct_steps(
    taps: Sequence[Sequence[Tap]], tile: int
) -> tuple[tuple[Step, ...], tuple[Accumulator, ...], int]:
    active = [phase for phase, phase_taps in enumerate(taps) if phase_taps]
    outputs = [(i, j) for i in range(tile) for j in range(tile)]
    accumulators = tuple(Accumulator(p, 2 * i + j) for p in active for i, j in outputs)
    index = {(a.phase, a.position): n for n, a in enumerate(accumulators)}
    steps = []
    word = 0
    for phase, phase_taps in enumerate(taps):
        for tap in phase_taps:
            for i, j in outputs:
                position = winograd.PATCH * (tap.wy + i) + tap.wx + j
                steps.append(Step(position, word, index[phase, 2 * i + j]))
            word += 1
    return tuple(steps), accumulators, word


def _with_inserted_zeros(
    shape: ConvShape,
    phases: Sequence[tuple[int, int]],
    steps: tuple[Step, ...],
    accumulators: tuple[Accumulator, ...],
    tile: int,
) -> tuple[tuple[Step, ...], tuple[Accumulator, ...]]:
    """Add the multiplies by inserted zeros that a zero-padded deconvolution performs.

    Every output then costs kh * kw multiplies; the real taps are counted over all views.
    """
    windows = [_axis_windows(shape, axis) for axis in (0, 1)]
    real = [
        sum(len(w.taps[py]) for w in windows[0]) * sum(len(w.taps[px]) for w in windows[1])
        for py, px in phases
    ]
    all_accumulators = list(accumulators)
    known = {(a.phase, a.position): n for n, a in enumerate(accumulators)}
    extra = []
    for phase, count in enumerate(real):
        for i, j in product(range(tile), repeat=2):
            key = (phase, 2 * i + j)
            if key not in known:
                known[key] = len(all_accumulators)
                all_accumulators.append(Accumulator(*key))
            zeros = shape.kernel[0] * shape.kernel[1] - count
            extra += [Step(ZERO_POSITION, 0, known[key])] * zeros
    # The engine wants accumulators in the order of their phases.
    order = sorted(range(len(all_accumulators)), key=lambda n: all_accumulators[n].phase)
    place = {old: new for new, old in enumerate(order)}
    renumbered = tuple(Step(s.position, s.word, place[s.accumulator]) for s in (*steps, *extra))
    return renumbered, tuple(all_accumulators[n] for n in order)
