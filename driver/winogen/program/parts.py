"""What a program says of its layers and streams."""

from __future__ import annotations

from dataclasses import dataclass, field

from winogen.program.host_layers import HostStep
from winogen.target import isa
from winogen.target.isa import INSTRUCTION_BYTES, Instruction

#: The mode of a layer that the processor computes.
HOST = "host"


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
class Piece:
    """Instructions [start, stop) of a stream that run without a break, and predicted cycles."""

    start: int
    stop: int
    cycles: int

    @property
    def length(self) -> int:
        """Number of instructions."""
        return self.stop - self.start


@dataclass(frozen=True)
class WeightPiece:
    """Where weights of a layer lie in the weight segment: ``size`` bytes from ``offset``.

    One pass over a layer loads one piece; identical ones share a place, and the first layer has it.
    A stream of coded weights (target/weight_code.py) has a ``coding``, and is made of ``count``
    weights from the ``start``-th of its layer on, in the order of plain ones.
    """

    layer: int
    offset: int
    size: int
    coding: int = 0
    count: int = 0
    start: int = 0


@dataclass(frozen=True)
class StreamInfo:
    """An instruction stream for one batch size, and the DRAM that it needs (bytes).

    ``layer_cycles`` are the predicted cycles from the end of the layer before; 0 for what the
    processor computes, at the ``host`` steps. ``exit`` is the number of the exit that it runs to,
    0 for the whole network.
    """

    batch: int
    stream: bytes = field(repr=False)
    input_bytes: int
    output_bytes: int
    scratch_bytes: int
    cycles: int
    layer_cycles: tuple[int, ...]
    host: tuple[HostStep, ...] = ()
    exit: int = 0

    @property
    def name(self) -> str:
        """What tells it from a program's other streams."""
        return f"{self.batch}-exit-{self.exit}" if self.exit else f"{self.batch}"

    def __str__(self) -> str:
        """The stream in words."""
        return f"batch {self.batch}" + (f" of exit {self.exit}" if self.exit else "")

    @property
    def length(self) -> int:
        """Number of instructions."""
        return len(self.stream) // INSTRUCTION_BYTES

    def parts(self) -> list[Piece | HostStep]:
        """What the accelerator and the processor do, in turn, in order."""
        found: list[Piece | HostStep] = []
        start, layer = 0, 0
        for step in self.host:
            if step.before > start:
                cycles = sum(self.layer_cycles[layer : step.layer])
                found.append(Piece(start, step.before, cycles))
            found.append(step)
            start, layer = step.before, step.layer
        if self.length > start:
            found.append(Piece(start, self.length, sum(self.layer_cycles[layer:])))
        return found

    def pieces(self) -> list[Piece]:
        """The accelerator's parts."""
        return [part for part in self.parts() if isinstance(part, Piece)]

    def instructions(self) -> list[Instruction]:
        """The decoded stream."""
        return isa.decode(self.stream)
