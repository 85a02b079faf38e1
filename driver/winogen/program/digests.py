"""Digests of what a device must hold: they find what has changed there, and in which block.

A block of 8 KiB has a CRC-32. For faults of memory this says more than a hash of the same length:
up to three bits that have flipped in a block, and any that lie within 32 bits of each other, are
always found; anything else is, but for one case in 2**32.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

#: Bytes of a block. In up to 91,607 bits CRC-32 finds any three changes; this is below it.
BLOCK_BYTES = 8192


@dataclass(frozen=True)
class Digest:
    """CRC-32s of bytes, a block each.

    Attributes
    ----------
    nbytes : how many bytes
    sums : of each block of :data:`BLOCK_BYTES`; the last may be shorter
    """

    nbytes: int
    sums: tuple[int, ...]

    @classmethod
    def of(cls, data: Any) -> Digest:
        """The digest of bytes, or of an array (uint8, contiguous)."""
        view = memoryview(data)
        return cls(
            len(view),
            tuple(
                zlib.crc32(view[start : start + BLOCK_BYTES])
                for start in range(0, len(view), BLOCK_BYTES)
            ),
        )

    def wrong_block(self, data: Any) -> range | None:
        """The first block, as a range of bytes, that is not as it was; None if all are.

        ``data`` are the bytes, or an array (uint8, contiguous), which may have more behind them.
        """
        view = memoryview(data)
        for index, wanted in enumerate(self.sums):
            block = self._block(index)
            if zlib.crc32(view[block.start : block.stop]) != wanted:
                return block
        return None

    def holds(self, data: Any, block: range) -> bool:
        """Whether one block, as :meth:`wrong_block` names it, is as it was."""
        wanted = self.sums[block.start // BLOCK_BYTES]
        return zlib.crc32(memoryview(data)[block.start : block.stop]) == wanted

    def _block(self, index: int) -> range:
        start = index * BLOCK_BYTES
        return range(start, min(start + BLOCK_BYTES, self.nbytes))


class Digests(NamedTuple):
    """Those of a program.

    Attributes
    ----------
    weights : of the weight segment, with its tables
    streams : of the instructions, by the stream's name
    """

    weights: Digest
    streams: Mapping[str, Digest]
