"""What each layer of a stream would take of one part of the machine alone, and the longest of it.

The array, memory, the decoder of weights and their Winograd transform work side by side, so that
none of them lets a layer be faster than its own cycles. Weights are counted as they lie in memory
and as they would lie plain: what decoding saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from winogen.common.text import table
from winogen.cost.simulate import instruction_work
from winogen.cost.units import (
    decode_cycles,
    load_bytes,
    peak_bytes_per_cycle,
    plain_weight_bytes,
    tile_groups,
    transform_cycles,
)
from winogen.target.board import Board
from winogen.target.isa import INSTRUCTION_BYTES, Compute, Instruction, LoadWeights

#: Parts of the machine, as the attributes below are called.
PARTS = ("array", "memory", "decoder", "transform")


@dataclass
class LayerLimits:
    """One layer of one or more runs.

    Attributes
    ----------
    plain_weight_bytes, weight_bytes : of all its loads of weights, plain and as they cross the bus
    coded_loads : loads of weights that are decoded
    array, memory, decoder, transform : cycles that these would take alone: steps of the array, all
        bytes at the rate of memory, weights through the decoder, positions of transformed filters
    """

    plain_weight_bytes: int = 0
    weight_bytes: int = 0
    coded_loads: int = 0
    array: float = 0.0
    memory: float = 0.0
    decoder: float = 0.0
    transform: float = 0.0

    @property
    def limit(self) -> str:
        """The part that takes longest; of equal ones the first of ``PARTS``."""
        return max(PARTS, key=lambda part: float(getattr(self, part)))

    def add(self, other: LayerLimits) -> None:
        """The same layer of another run."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


def layer_limits(
    instructions: Sequence[Instruction], layers: int, board: Board
) -> list[LayerLimits]:
    """The limits of all ``layers`` of a stream; of a layer of the processor all are zero."""
    found = [LayerLimits() for _ in range(layers)]
    rate = peak_bytes_per_cycle(board)
    for x in instructions:
        of = found[x.layer]
        work = instruction_work(x, board)
        of.memory += (work.read_bytes + work.written_bytes + INSTRUCTION_BYTES) / rate
        if isinstance(x, Compute):
            groups, _, blocks = tile_groups(x, board.core.tile_lanes)
            of.array += groups * blocks * x.steps
        elif isinstance(x, LoadWeights):
            of.weight_bytes += load_bytes(x, board)[0]
            of.plain_weight_bytes += plain_weight_bytes(x, board.core)
            of.coded_loads += bool(x.coding)
            of.decoder += decode_cycles(x, board.core)
            of.transform += transform_cycles(x, board.core)
    return found


def limits_table(
    names: Sequence[str],
    modes: Sequence[str],
    cycles: Sequence[int],
    limits: Sequence[LayerLimits],
) -> str:
    """The table of them, with the cycles that each layer takes; empty where nothing is coded."""
    if not any(x.coded_loads for x in limits):
        return ""
    rows = [
        [
            name,
            mode,
            f"{x.plain_weight_bytes / 1e6:.3f}",
            f"{x.weight_bytes / 1e6:.3f}",
            *(f"{getattr(x, part):,.0f}" for part in PARTS),
            f"{taken:,}",
            x.limit if getattr(x, x.limit) else "-",
        ]
        for name, mode, taken, x in zip(names, modes, cycles, limits)
    ]
    header = ["layer", "mode", "plain MB", "weights MB", *PARTS, "cycles", "limit"]
    return table(header, rows, left=2)


#: What its columns are.
LIMITS_LEGEND = (
    "plain and weights MB: weights that cross the bus, before and after coding. array, memory,",
    "decoder, transform: cycles that each of these takes alone; limit: which takes longest",
)
