"""What a stream makes the logic do: bits that cross each memory, and operations by width.

Counted instruction by instruction from the fields alone, as the cycles are: multiplies and DRAM
bytes are those of the counters ``MULTIPLIES``, ``BYTES_READ`` and ``BYTES_WRITTEN``. A word counts
whole, lanes that only pad included, as the logic moves it whole. Registers of pipelines, queues
and the clock are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from winogen.cost.simulate import instruction_work
from winogen.cost.units import tile_groups
from winogen.target import isa, winograd
from winogen.target.board import Board, CoreConfig
from winogen.target.isa import (
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Store,
    Table,
)
from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import accumulator_bits

#: Bits that the transform of a patch, and of a filter, adds to the data's.
INPUT_GROWTH, FILTER_GROWTH = 2, 4
#: Additions of a transform of 4 x 4 values for each of them: a row of B^T Z takes 4 for 4 values,
#: a column likewise; (2G) g (2G)^T takes 7 x 4 for 16; A^T M A takes 24 for 16.
_FILTER_ADDS, _OUTPUT_ADDS = 28 / winograd.POSITIONS, 24 / winograd.POSITIONS
#: Bits of what a step, and an output word's lane, is told by the tables.
_STEP_BITS = 26
#: Copies of each patch, one a read port; a step reads all four banks of both.
_COPIES = 2
_PARAM_BITS = 8 * isa.PARAM_BYTES
#: Operands of the requantiser and of the activation's interpolation, bits.
REQUANTISE, INTERPOLATE = (32, 16), (16, 8)


@dataclass
class Accesses:
    """What was counted.

    Attributes
    ----------
    dram_read, dram_written : bytes
    memory_bits : bits read and written of each memory on the chip
    multiplies : by the widths of both operands
    adds : by the width of the sum
    """

    dram_read: int = 0
    dram_written: int = 0
    memory_bits: Counter[str] = field(default_factory=Counter)
    multiplies: Counter[tuple[int, int]] = field(default_factory=Counter)
    adds: Counter[int] = field(default_factory=Counter)


def memory_sizes(core: CoreConfig) -> dict[str, int]:
    """Bits of each memory that :class:`Accesses` knows; all but the last two are block RAM."""
    lanes, width, sums = core.ci_lanes, core.data_width, accumulator_bits(core.data_width)
    return {
        "input buffer": core.input_depth * lanes * width,
        "weight buffer": core.weight_depth * lanes**2 * core.products * (width + FILTER_GROWTH),
        "partial sums": core.psum_depth * lanes * sums,
        "output buffer": core.output_depth * lanes * width,
        "tables": core.step_depth * _STEP_BITS + core.param_depth * lanes * _PARAM_BITS,
        "patches": LOGIC.patch_slots
        * core.tile_lanes
        * _COPIES
        * winograd.POSITIONS
        * lanes
        * (width + 1),
        "accumulator memory": 2
        * core.accumulator_depth
        * core.tile_lanes
        * lanes
        * core.products
        * sums,
    }


def count_accesses(instructions: Sequence[Instruction], board: Board) -> Accesses:
    """Count all that a stream does."""
    counted = Accesses(dram_read=len(instructions) * isa.INSTRUCTION_BYTES)
    core = board.core
    strides = _strides(instructions)
    for index, instruction in enumerate(instructions):
        work = instruction_work(instruction, board)
        counted.dram_read += work.read_bytes
        counted.dram_written += work.written_bytes
        if isinstance(instruction, Compute):
            _compute(counted, instruction, core, work.multiplies)
        elif isinstance(instruction, LoadWeights):
            _load_weights(counted, instruction, core, strides.get(index, instruction.taps))
        elif isinstance(instruction, LoadInput):
            words = instruction.images * instruction.blocks * instruction.rows * instruction.columns
            counted.memory_bits["input buffer"] += 8 * words * core.word_bytes
        elif isinstance(instruction, Store):
            words = instruction.images * instruction.rows * instruction.columns
            counted.memory_bits["output buffer"] += 8 * words * core.word_bytes
        elif isinstance(instruction, LoadParams):
            counted.memory_bits["tables"] += instruction.count * core.co_lanes * _PARAM_BITS
        elif isinstance(instruction, LoadTable):
            size = isa.TABLE_ENTRY_BYTES[Table(instruction.table)]
            counted.memory_bits["tables"] += 8 * instruction.count * size
    return counted


def _strides(instructions: Sequence[Instruction]) -> dict[int, int]:
    """Words a block that each LOAD_WEIGHTS writes: those that the COMPUTE which reads them says."""
    waiting: dict[int, list[int]] = {}
    found = {}
    for index, instruction in enumerate(instructions):
        if isinstance(instruction, LoadWeights):
            waiting.setdefault(instruction.base, []).append(index)
        elif isinstance(instruction, Compute):
            for load in waiting.pop(instruction.weight_base, ()):
                found[load] = instruction.weight_stride
    return found


def _load_weights(counted: Accesses, f: LoadWeights, core: CoreConfig, stride: int) -> None:
    weights = f.blocks * stride * core.ci_lanes * core.co_lanes
    width = core.data_width + FILTER_GROWTH
    counted.memory_bits["weight buffer"] += weights * width
    if f.winograd:
        counted.adds[width] += round(weights * _FILTER_ADDS)


def _compute(counted: Accesses, f: Compute, core: CoreConfig, multiplies: int) -> None:
    lanes, width, sums = core.ci_lanes, core.data_width, accumulator_bits(core.data_width)
    bits, adds = counted.memory_bits, counted.adds
    groups, last, blocks = tile_groups(f, core.tile_lanes)
    tiles = (groups - 1) * core.tile_lanes + last
    both = 1 + f.pair
    # Patches: four pixels a read into the slots, rows transformed on the way.
    rows = f.patch_rows
    if not f.winograd and f.patch_columns <= 2:
        rows = -(-rows // 2)
    pixels = winograd.PATCH * tiles * rows * blocks
    bits["input buffer"] += pixels * lanes * width
    bits["patches"] += _COPIES * pixels * lanes * (width + 1)
    # Steps: a word of weights for all tiles, patches for each, and the sums.
    steps = groups * blocks * f.steps
    word = lanes * core.co_lanes * core.products
    bits["weight buffer"] += steps * word * (width + FILTER_GROWTH)
    bits["tables"] += steps * _STEP_BITS
    operands = steps * core.tile_lanes * lanes
    bits["patches"] += _COPIES * winograd.PATCH * operands * (width + 1)
    results = steps * core.tile_lanes * core.co_lanes * both
    bits["accumulator memory"] += 2 * results * sums
    if f.winograd:
        counted.multiplies[width + INPUT_GROWTH, width + FILTER_GROWTH] += multiplies
        adds[width + 1] += pixels * lanes
        adds[width + INPUT_GROWTH] += operands
    else:
        counted.multiplies[width, width] += multiplies
    adds[sums] += multiplies  # along the lanes, and the last of them to the accumulator
    # Drain: all accumulators, transformed; then the partial sums, or the way to the output.
    drained = tiles * f.accumulators * core.co_lanes * both
    bits["accumulator memory"] += drained * sums
    if f.winograd:
        adds[sums] += round(drained * _OUTPUT_ADDS)
    outputs = tiles * f.phases * f.tile**2 * core.co_lanes * both
    adds[sums] += outputs  # bias or partial sum
    bits["tables" if f.first else "partial sums"] += outputs * sums
    if not f.last:
        bits["partial sums"] += outputs * sums
        return
    bits["tables"] += outputs * (_PARAM_BITS - sums)
    bits["output buffer"] += outputs * width
    counted.multiplies[REQUANTISE] += outputs
    adds[sums] += outputs  # rounding
    if f.activation:
        bits["tables"] += 2 * outputs * 16
        counted.multiplies[INTERPOLATE] += outputs
        adds[16] += outputs


def total(parts: Iterable[Accesses]) -> Accesses:
    """All of several together."""
    found = Accesses()
    for part in parts:
        found.dram_read += part.dram_read
        found.dram_written += part.dram_written
        found.memory_bits += part.memory_bits
        found.multiplies += part.multiplies
        found.adds += part.adds
    return found
