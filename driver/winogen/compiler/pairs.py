"""Which blocks of output channels share the multipliers of a packed array.

Blocks 2j and 2j + 1 run together where both are exact (:mod:`winogen.target.packing`). Each lane
has a channel of both, one in the lower and one in the upper half of the weights, with a condition
of its own for either half. Where the lower block's channel breaks a condition or the upper one's
does, they may change places. Where that does not help either, the two blocks run one after the
other: alone, any weights are exact. So the bits are the same in every case, and no scale has to be
coarser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.lower import Mode, Pass
from winogen.target import packing, winograd


@dataclass(frozen=True)
class BlockRun:
    """Blocks of output channels that run together.

    Attributes
    ----------
    first, count : the first one, and how many: 1 or 2
    swapped : bit i: lane i's channels of the two blocks have changed places in the weights
    broken : bit i: lane i's channels are not exact in either order, so the blocks run alone
    """

    first: int
    count: int
    swapped: int = 0
    broken: int = 0

    @property
    def blocks(self) -> range:
        """The blocks, the one in the lower half first."""
        return range(self.first, self.first + self.count)


def alone(output_blocks: int) -> tuple[BlockRun, ...]:
    """Every block by itself, as an array without pairs has it."""
    return tuple(BlockRun(block, 1) for block in range(output_blocks))


def pair_blocks(
    words: Iterable[NDArray[np.integer]], output_blocks: int, lanes: int
) -> tuple[BlockRun, ...]:
    """The runs of a layer's blocks on a packed array, in the order of the blocks.

    ``words`` are all its weights as they are multiplied, in arrays (output blocks, output lanes,
    ..., input lanes); the last axis is what one cascade adds up.
    """
    low = np.ones((output_blocks, lanes), bool)
    high = low.copy()
    for some in words:
        flat = some.reshape(output_blocks, lanes, -1, some.shape[-1])
        low &= packing.fits_low(flat).all(axis=-1)
        high &= packing.fits_high(flat).all(axis=-1)
    runs: list[BlockRun] = []
    for first in range(0, output_blocks - 1, 2):
        straight = low[first] & high[first + 1]
        changed = low[first + 1] & high[first]
        broken = ~straight & ~changed
        if broken.any():
            runs += [BlockRun(b, 1, broken=_mask(broken)) for b in (first, first + 1)]
        else:
            runs.append(BlockRun(first, 2, swapped=_mask(~straight)))
    if output_blocks % 2:
        runs.append(BlockRun(output_blocks - 1, 1))
    return tuple(runs)


def multiplied_words(
    weights: NDArray[np.int64], spec: Pass, mode: Mode
) -> Iterator[NDArray[np.integer]]:
    """A pass's weights as they are multiplied, phase by phase: (..., input lanes).

    ``weights`` are (output blocks, output lanes, input blocks, input lanes, kh, kw).
    """
    taps = np.ascontiguousarray(weights.transpose(4, 5, 0, 1, 2, 3), np.int16)
    for phase in spec.taps:
        if mode is Mode.WINOGRAD:
            filters = np.zeros((winograd.TAPS, winograd.TAPS, *taps.shape[2:]), np.int16)
            for tap in phase:
                filters[tap.wy, tap.wx] = taps[tap.ky, tap.kx]
            kept = winograd.positions((t.wy, t.wx) for t in phase)
            whole = winograd.transform_filter(filters).reshape(winograd.POSITIONS, *taps.shape[2:])
            yield np.moveaxis(whole[list(kept)], 0, -2)
        else:
            rows, columns = [t.ky for t in phase], [t.kx for t in phase]
            yield np.moveaxis(taps[rows, columns], 0, -2)


def change_places(weights: NDArray[np.int64], runs: Sequence[BlockRun]) -> NDArray[np.int64]:
    """``weights`` (output blocks, output lanes, ...) with the swapped lanes of the runs changed."""
    out = weights
    for run in runs:
        if run.swapped:
            out = out.copy() if out is weights else out
            lanes = np.flatnonzero(run.swapped >> np.arange(weights.shape[1]) & 1)
            lower, upper = run.blocks
            out[lower, lanes], out[upper, lanes] = weights[upper, lanes], weights[lower, lanes]
    return out


def remarks(label: str, runs: Sequence[BlockRun], lanes: int) -> list[str]:
    """Sentences on the channels of a layer for which its blocks do not simply run in pairs."""

    def channels(run: BlockRun, mask: int, blocks: Iterable[int]) -> str:
        chosen = [lane for lane in range(lanes) if mask >> lane & 1]
        return ", ".join(str(b * lanes + lane) for lane in chosen for b in blocks)

    said = []
    for run in runs:
        if run.swapped:
            said.append(
                f"layer '{label}': channels {channels(run, run.swapped, run.blocks)} have changed "
                "places within their pairs, for the weights' size; it costs nothing"
            )
        elif run.broken and run.first % 2 == 0:
            pair = range(run.first, run.first + 2)
            said.append(
                f"layer '{label}': blocks {pair[0]} and {pair[1]} run one after the other, as the "
                f"weights of channels {channels(run, run.broken, pair)} are too large to share a "
                f"multiplier; that is {1 / len(runs):.0%} of the layer's cycles of the array"
            )
    return said


def _mask(lanes: NDArray[np.bool_]) -> int:
    return sum(1 << int(lane) for lane in np.flatnonzero(lanes))
