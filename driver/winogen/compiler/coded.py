"""Weights that lie coded in DRAM: which layers, and a stream for each load.

A stream is decoded from its beginning, so there is one for each group of input blocks that some
LOAD_WEIGHTS reads. The scheduler says which these are, and they are made when it first asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.segment import SegmentWriter
from winogen.target.board import CoreConfig
from winogen.target.microarchitecture import LOGIC
from winogen.target.weight_code import Coding, WeightCode, code_of, stream_beats

#: Bytes by which a load of coded weights must be shorter than of plain ones: what the buses bring
#: while its codebook is written.
_CODED_COST = 256


@dataclass(frozen=True)
class CodedLoad:
    """Where the weights of one LOAD_WEIGHTS lie, coded or plain (which have no beats here)."""

    offset: int
    coding: Coding
    beats: int


class CodedPass:
    """The weights of a pass that lie coded: a stream for each load, made when first asked for.

    Parameters
    ----------
    weights : (output blocks, input blocks, weights of a block), as they would lie plain
    code : that of the layer
    writer, alignment : where streams are put, and the bytes of which their offsets are multiples
    """

    def __init__(
        self, weights: NDArray[Any], code: WeightCode, writer: SegmentWriter, alignment: int
    ):
        self.weights = weights
        self._code = code
        self._writer = writer
        self._alignment = alignment
        self._loads: dict[tuple[int, int, int], CodedLoad] = {}
        kept = np.count_nonzero(weights) if code.coding is Coding.BITMAP else weights.size
        self._indices = float(kept) / math.prod(weights.shape[:2])

    @property
    def coding(self) -> Coding:
        """How its weights are coded."""
        return self._code.coding

    def load(self, block: int, first: int, count: int) -> CodedLoad:
        """``count`` input blocks, from ``first`` on, for an output block."""
        key = block, first, count
        if key not in self._loads:
            stream = self._code.encode(self.weights[block, first : first + count].ravel())
            offset = self._writer.add(stream, self._alignment)
            self._loads[key] = CodedLoad(offset, self.coding, len(stream) // LOGIC.beat_bytes)
        return self._loads[key]

    def beats(self, count: int) -> int:
        """Beats of a load of ``count`` input blocks, on the average."""
        indices = math.ceil(count * self._indices)
        size = count * self.weights.shape[2]
        return stream_beats(self.coding, size, indices, self.weights.dtype)

    def forget(self, end: int) -> None:
        """Forget the streams from byte ``end`` of the segment on."""
        self._loads = {k: x for k, x in self._loads.items() if x.offset < end}

    @property
    def pieces(self) -> list[tuple[int, int, int, int, int]]:
        """Offset, bytes, coding and number of weights of every stream, and its first weight."""
        _, blocks, each = self.weights.shape
        return [
            (x.offset, x.beats * LOGIC.beat_bytes, int(x.coding), count * each,
             (block * blocks + first) * each)
            for (block, first, count), x in self._loads.items()
        ]  # fmt: skip


def choose_code(passes: Sequence[NDArray[Any]], core: CoreConfig) -> WeightCode | None:
    """The code of a layer's weights, if the build decodes it and its loads get shorter by that.

    ``passes`` are the weights of each pass, as :class:`CodedPass` takes them.
    """
    if not core.decoder or not passes:
        return None
    code = code_of(np.concatenate([data.ravel() for data in passes]))
    # The longest load, where what each one costs counts least.
    load = max((data[0] for data in passes), key=np.size).ravel()
    if code and code.beats(load) * LOGIC.beat_bytes + _CODED_COST <= load.nbytes:
        return code
    return None
