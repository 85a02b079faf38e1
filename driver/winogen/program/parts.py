"""What a program says of its layers and streams."""

from __future__ import annotations

from dataclasses import dataclass, field

from winogen.target import isa
from winogen.target.isa import INSTRUCTION_BYTES, Instruction


@dataclass(frozen=True)
class LayerInfo:
    """What a person wants to know of a layer; multiplies are for one image.

    ``multiplies`` are those that the array does after skipping, ``useful`` those of the plain
    layer without inserted zeros, ``zero_padded`` those with them.
    """

    name: str
    kind: str
    mode: str
    output: tuple[int, int, int]
    multiplies: int
    useful: int
    zero_padded: int


@dataclass(frozen=True)
class StreamInfo:
    """An instruction stream for one batch size, and the DRAM that it needs (bytes).

    ``layer_cycles`` are the predicted cycles from the end of the layer before.
    """

    batch: int
    stream: bytes = field(repr=False)
    input_bytes: int
    output_bytes: int
    scratch_bytes: int
    cycles: int
    layer_cycles: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of instructions."""
        return len(self.stream) // INSTRUCTION_BYTES

    def instructions(self) -> list[Instruction]:
        """The decoded stream."""
        return isa.decode(self.stream)
