"""The code of weights in DRAM: a codebook of 16 values, indices of four bits, and where zeros are.

LOAD_WEIGHTS decodes it in a build that has a decoder (``wg_decode``); what it gives is what the
same weights give plain. A stream is a whole number of beats of 8 bytes, and is read in nibbles, the
lower half of each byte first:

1. the codebook: 16 values as wide as the data;
2. ``INDICES``: the index of each weight, one after the other;
   ``BITMAP``: the bitmap of each group of 32 weights (8 nibbles; bit i: the i-th weight has an
   index, else it is zero), and behind it the indices of the group five before, of those weights
   alone. So the first five bitmaps stand alone, and five of zeros follow the last one: the logic
   knows how long a piece is before it comes to it;
3. nibbles that nothing depends on, to the end of the beat.

Every index names a value and every bitmap is right, so all that can be wrong with a stream is its
length.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import storage_dtype

#: Values of a codebook.
BOOK = 16
#: Weights of a group, and groups by which a bitmap is ahead of its indices.
GROUP = LOGIC.code_group
AHEAD = LOGIC.code_ahead
_MASK_NIBBLES = GROUP // 4
_BEAT_NIBBLES = 2 * LOGIC.beat_bytes


class Coding(IntEnum):
    """How weights lie in DRAM."""

    PLAIN = 0
    INDICES = 1
    BITMAP = 2


class CodeError(ValueError):
    """A stream of coded weights has not the length of what it says."""


@dataclass(frozen=True)
class WeightCode:
    """How the weights of a layer are coded: ``book`` holds 16 values, in the data's own type."""

    coding: Coding
    book: NDArray[Any]

    def encode(self, weights: NDArray[Any]) -> bytes:
        """The stream of some of the layer's weights, (count,), a whole number of groups."""
        dtype = self.book.dtype
        assert weights.ndim == 1 and weights.dtype == dtype and not weights.size % GROUP
        kept = weights != 0 if self.coding is Coding.BITMAP else np.ones(weights.shape, bool)
        order = np.argsort(self.book, kind="stable")
        found = order[np.searchsorted(self.book[order], weights[kept])].astype(np.uint8)
        assert np.array_equal(self.book[found], weights[kept])
        head = np.frombuffer(self.book.tobytes(), np.uint8)
        if self.coding is Coding.INDICES:
            return _joined(np.concatenate([_nibbles(head), found]))
        groups = kept.reshape(-1, GROUP)
        counts = groups.sum(axis=1)
        # Of each piece, with those that have a bitmap alone in front.
        sizes = np.concatenate([np.zeros(AHEAD, np.int64), counts]) + _MASK_NIBBLES
        starts = 2 * len(head) + np.concatenate([[0], np.cumsum(sizes)])
        out = np.zeros(starts[-1], np.uint8)
        out[: 2 * len(head)] = _nibbles(head)
        masks = _nibbles(np.packbits(groups, axis=1, bitorder="little").ravel())
        places = starts[: len(groups), None] + np.arange(_MASK_NIBBLES)
        out[places.ravel()] = masks
        first = starts[AHEAD:-1] + _MASK_NIBBLES
        rank = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
        out[np.repeat(first, counts) + rank] = found
        return _joined(out)

    def beats(self, weights: NDArray[Any]) -> int:
        """Beats that the stream of some weights has."""
        kept = int(np.count_nonzero(weights)) if self.coding is Coding.BITMAP else weights.size
        return stream_beats(self.coding, weights.size, kept, self.book.dtype)


def stream_beats(coding: Coding, count: int, indices: int, dtype: np.dtype) -> int:
    """Beats of a stream of ``count`` weights, of which ``indices`` have one."""
    nibbles = 2 * BOOK * dtype.itemsize + indices
    if coding is Coding.BITMAP:
        nibbles += (count // GROUP + AHEAD) * _MASK_NIBBLES
    return -(-nibbles // _BEAT_NIBBLES)


def code_of(weights: NDArray[Any]) -> WeightCode | None:
    """The shorter code of a layer's weights (any shape); None if they have too many values.

    Zeros need no value where there is a bitmap, so 16 others and zeros can be coded too.
    """
    values, counts = np.unique(weights, return_counts=True)
    others = values[values != 0]
    if len(others) > BOOK:
        return None
    zeros = int(counts[values == 0].sum())
    bitmap = weights.size // 4 + weights.size - zeros < weights.size
    coding = Coding.BITMAP if bitmap or len(values) > BOOK else Coding.INDICES
    book = np.zeros(BOOK, weights.dtype)
    used = others if coding is Coding.BITMAP else values
    book[: len(used)] = used
    return WeightCode(coding, book)


def decode(
    stream: bytes | NDArray[np.uint8], coding: Coding | int, count: int, data_width: int
) -> NDArray[Any]:
    """The ``count`` weights of a stream, (count,), int8 or int16; CodeError if it is no such one.

    This defines what ``wg_decode`` does.
    """
    dtype = storage_dtype(data_width)
    data = np.frombuffer(bytes(stream), np.uint8)
    head = BOOK * dtype.itemsize
    book = np.frombuffer(data[:head].tobytes().ljust(head, b"\0"), dtype)
    if coding == Coding.INDICES:
        end = 2 * head + count
        _check(data, end)
        found: NDArray[Any] = book[_nibbles(data)[2 * head : end]]
        return found
    groups = count // GROUP
    nibbles = _nibbles(data)
    bits = np.unpackbits(data, bitorder="little")
    # The number of set bits of what would be a bitmap at each nibble.
    total = np.concatenate([[0], np.cumsum(bits, dtype=np.int64)])
    ends = np.minimum(np.arange(len(nibbles)) * 4 + GROUP, len(bits))
    counts = (total[ends] - total[np.arange(len(nibbles)) * 4]).tolist()
    at, starts = 2 * head, []
    sizes = [0] * AHEAD
    for number in range(groups + AHEAD):
        if at + _MASK_NIBBLES + sizes[number] > len(nibbles):
            raise CodeError(_wrong(len(data), "more"))
        starts.append(at)
        if number < groups:
            sizes.append(counts[at])
        at += _MASK_NIBBLES + sizes[number]
    _check(data, at)
    first = np.array(starts)
    masks = nibbles[(first[:groups, None] + np.arange(_MASK_NIBBLES))]
    kept = np.unpackbits(masks[..., None], axis=-1, bitorder="little", count=4).reshape(groups, -1)
    rank = np.cumsum(kept, axis=1, dtype=np.int64) - 1
    chosen = np.flatnonzero(kept)
    place = (first[AHEAD:, None] + _MASK_NIBBLES + rank).ravel()[chosen]
    out = np.zeros(groups * GROUP, dtype)
    out[chosen] = book[nibbles[place]]
    return out


def _check(data: NDArray[np.uint8], nibbles: int) -> None:
    needed = -(-nibbles // _BEAT_NIBBLES) * LOGIC.beat_bytes
    if needed != len(data):
        raise CodeError(_wrong(len(data), "more" if needed > len(data) else "fewer"))


def _wrong(size: int, other: str) -> str:
    return f"its coded weights take {other} than its {size // LOGIC.beat_bytes} beats"


def _nibbles(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([data & 15, data >> 4], axis=-1).ravel()


def _joined(nibbles: NDArray[np.uint8]) -> bytes:
    padded = np.zeros(-(-len(nibbles) // _BEAT_NIBBLES) * _BEAT_NIBBLES, np.uint8)
    padded[: len(nibbles)] = nibbles
    return (padded[0::2] | padded[1::2] << 4).tobytes()
