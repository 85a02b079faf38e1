"""What coded weights save: the bytes that a stream loads, and those that it would load plain."""

from __future__ import annotations

from winogen.program.parts import StreamInfo
from winogen.target.board import CoreConfig
from winogen.target.isa import LoadWeights
from winogen.target.microarchitecture import LOGIC


def loaded_weights(stream: StreamInfo, core: CoreConfig) -> tuple[int, int]:
    """Bytes of the weights that a stream loads, each counted once: as they lie, and plain."""
    coded: dict[tuple[int, int, int], tuple[int, int]] = {}
    for x in stream.instructions():
        if isinstance(x, LoadWeights):
            plain = x.blocks * x.taps * core.weight_word_bytes
            lies = x.beats * LOGIC.beat_bytes if x.coding else plain
            coded[x.offset, x.coding, plain] = lies, plain
    return sum(lies for lies, _ in coded.values()), sum(plain for _, plain in coded.values())
