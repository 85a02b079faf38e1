"""Instructions of which nothing but the sizes is known: enough to tell their cycles."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from typing import TypeVar

from winogen.compiler.lower import LoweredConv, Mode, Pass
from winogen.cost.steady import compute_cycles
from winogen.target.board import CoreConfig
from winogen.target.isa import CLASSES, Compute, Instruction, Opcode

#: The fields of COMPUTE that a pass decides, and their values.
ComputeShape = tuple[tuple[str, int], ...]
_AnInstruction = TypeVar("_AnInstruction", bound=Instruction)
#: Tiles that are many: the first and the last groups no longer count.
_MANY = 64


def sized(cls: type[_AnInstruction], values: dict[str, int]) -> _AnInstruction:
    """An instruction with some fields; the others are zero."""
    return cls(**{**_zeros(cls.opcode), **values})


@cache
def _zeros(opcode: Opcode) -> dict[str, int]:
    return {f.name: 0 for f in fields(CLASSES[opcode]) if f.default is MISSING}


def compute_shape(spec: Pass, lowered: LoweredConv) -> ComputeShape:
    """What COMPUTEs of a pass have in common."""
    (top, bottom), (left, right) = (spec.patch_range(axis, lowered.tile) for axis in (0, 1))
    return (
        ("winograd", int(lowered.mode is Mode.WINOGRAD)),
        ("patch_rows", bottom - top + 1),
        ("patch_columns", right - left + 1),
        ("steps", len(spec.steps)),
        ("accumulators", len(spec.accumulators)),
        ("phases", len(spec.taps)),
        ("tile", lowered.tile),
    )


def compute_of(shape: ComputeShape, tiles: int, blocks: int, pair: bool) -> Compute:
    """The COMPUTE of so many tiles and input blocks, of an output block or a pair of them."""
    sizes = {"images": tiles, "tiles_y": 1, "tiles_x": 1, "blocks": blocks, "pair": int(pair)}
    return sized(Compute, {**dict(shape), **sizes})


def engine_cycles(
    lowered: LoweredConv, blocks: tuple[int, ...], core: CoreConfig, pair: bool = False
) -> float:
    """Cycles of the compute engine for an image of many and a block of output channels, or a pair.

    ``blocks`` are the blocks of input channels of each source. Work, reads of patches, drain and
    latency count as in the cost model: few steps are of no use where the engine waits for others.
    """
    tiles = lowered.tiles[0] * lowered.tiles[1]
    group = _MANY * core.tile_lanes
    return sum(
        compute_cycles(
            compute_of(compute_shape(spec, lowered), group, blocks[spec.source], pair), core
        )
        * (tiles / group)
        for phases in lowered.groups
        for spec in phases.passes
    )
