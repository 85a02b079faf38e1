"""What every layer of a stream moves and takes: DRAM bytes by kind, cycles, multiplies."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.cost import units
from winogen.cost.units import load_bytes, store_bytes
from winogen.program.file import Program
from winogen.program.parts import LayerInfo, StreamInfo
from winogen.target.isa import INSTRUCTION_BYTES, Opcode, Store, Transfer

_KIND = {
    Opcode.LOAD_INPUT: "activations read",
    Opcode.LOAD_WEIGHTS: "weights",
    Opcode.LOAD_PARAMS: "tables",
    Opcode.LOAD_TABLE: "tables",
}
#: Kinds of DRAM traffic, in the order in which they are shown.
KINDS = ("weights", "activations read", "activations written", "tables", "instructions")


@dataclass(frozen=True)
class LayerBudget:
    """A layer of one run of a stream (of all its images).

    ``bytes`` are moved from or to DRAM, by kind; ``multiplies`` those that the layer needs.
    ``memory_cycles`` and ``array_cycles`` are what DRAM and multipliers would take alone, each
    at its peak.
    """

    info: LayerInfo
    bytes: dict[str, int]
    cycles: int
    multiplies: int
    memory_cycles: float
    array_cycles: float

    @property
    def total_bytes(self) -> int:
        """Bytes of all kinds."""
        return sum(self.bytes.values())

    @property
    def bound(self) -> str:
        """What limits the layer: ``memory`` or ``array``."""
        return "memory" if self.memory_cycles > self.array_cycles else "array"


def peak_bytes_per_cycle(program: Program) -> float:
    """DRAM bytes that a clock cycle can bring: the memory's, or the ports' if they are slower."""
    return units.peak_bytes_per_cycle(program.board)


def layer_budgets(program: Program, stream: StreamInfo) -> list[LayerBudget]:
    """The budgets of all layers of one stream."""
    moved = [dict.fromkeys(KINDS, 0) for _ in program.layers]
    for instruction in stream.instructions():
        kinds = moved[instruction.layer]
        kinds["instructions"] += INSTRUCTION_BYTES
        if isinstance(instruction, Store):
            kinds["activations written"] += store_bytes(instruction, program.board)[0]
        elif isinstance(instruction, Transfer):
            kinds[_KIND[instruction.opcode]] += load_bytes(instruction, program.board)[0]
    return [
        LayerBudget(
            info,
            kinds,
            cycles,
            info.multiplies * stream.batch,
            sum(kinds.values()) / peak_bytes_per_cycle(program),
            info.multiplies * stream.batch / program.core.peak,
        )
        for info, kinds, cycles in zip(program.layers, moved, stream.layer_cycles)
    ]
