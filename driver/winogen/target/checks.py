"""Static checks of instructions: what the hardware refuses, and what memory they touch."""

from __future__ import annotations

from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.isa import (
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Store,
    Table,
    Transfer,
)
from winogen.target.registers import Segment


def table_depth(table: Table, core: CoreConfig) -> int:
    """Entries of an on-chip table."""
    return {
        Table.STEP: core.step_depth,
        Table.ACCUMULATOR: 2 * core.accumulator_depth,
        Table.PHASE: core.phase_depth,
        Table.ACTIVATION: isa.TABLE_ENTRIES,
    }[table]


def descriptor_problem(instruction: Instruction, core: CoreConfig) -> str | None:
    """Why the hardware refuses an instruction, or None: what its fields alone can tell."""
    if instruction.reserved:
        return "bits without a meaning are set"
    engine_bit = 1 << instruction.engine
    if (instruction.wait | instruction.signal) & engine_bit:
        return "an engine cannot wait for itself"
    f = instruction
    limits: list[tuple[str, int, int]] = []
    positive: tuple[str, ...]
    if isinstance(f, LoadInput):
        words = f.images * f.blocks * f.rows * f.pitch
        limits.append(("input buffer", f.base + words, core.input_depth))
        positive = ("images", "blocks", "rows", "columns", "column_step")
        if _pitch_problem(f):
            return _pitch_problem(f)
    elif isinstance(f, LoadWeights):
        limits.append(("phase table", f.phase_base + f.phases, core.phase_depth))
        limits.append(("weight buffer", f.base + f.blocks, core.weight_depth))
        positive = ("blocks", "phases", "taps")
    elif isinstance(f, LoadParams):
        limits.append(("parameter buffer", f.base + f.count, core.param_depth))
        positive = ("count",)
    elif isinstance(f, LoadTable):
        table = Table(f.table)
        depth = table_depth(table, core)
        limits.append((f"{table.name.lower()} table", f.base + f.count, depth))
        positive = ("count",)
    elif isinstance(f, Compute):
        limits += _compute_limits(f, core)
        positive = (
            "images", "blocks", "tiles_y", "tiles_x", "tile", "steps", "accumulators", "phases",
            "patch_rows", "patch_columns", "stride_y", "stride_x",
        )  # fmt: skip
        if _pitch_problem(f):
            return _pitch_problem(f)
        if f.tile > 2 or (f.winograd and f.tile != 2):
            return f"a tile of {f.tile} is not possible in this mode"
        if max(f.patch_row + f.patch_rows, f.patch_column + f.patch_columns) > 4:
            return "the patch reaches outside its 4 x 4 positions"
    else:
        assert isinstance(f, Store)
        words = f.images * f.rows * f.columns
        limits.append(("output buffer", f.base + words, core.output_depth))
        positive = ("images", "rows", "columns")
    for name in positive:
        if getattr(f, name) == 0:
            return f"{name} is zero"
    for memory, end, depth in limits:
        if end > depth:
            return f"it reaches word {end} of the {memory}, which has {depth}"
    if isinstance(f, Transfer) and f.offset % core.word_bytes:
        return f"its offset {f.offset} is not a multiple of {core.word_bytes} bytes"
    return None


def _pitch_problem(f: LoadInput | Compute) -> str | None:
    """The input buffer has four banks; this pitch puts any 2 x 2 pixels in different ones."""
    if f.pitch < f.columns:
        return f"its pitch {f.pitch} is less than its {f.columns} columns"
    if f.rows and f.pitch % 4 != 2:
        return f"its pitch {f.pitch} is not 2 more than a multiple of 4"
    return None


def _compute_limits(f: Compute, core: CoreConfig) -> list[tuple[str, int, int]]:
    tiles = f.images * f.tiles_y * f.tiles_x
    region = f.images * f.blocks * f.rows * f.pitch
    psums = tiles * f.phases * f.tile**2
    output = f.images * f.output_rows * f.output_columns
    weights = f.weight_base + f.blocks * f.weight_stride
    return [
        ("input buffer", f.input_base + region, core.input_depth),
        ("weight buffer", weights, core.weight_depth),
        ("partial-sum memory", f.psum_base + psums, core.psum_depth),
        ("output buffer", f.output_base + output, core.output_depth),
        ("step table", f.step_base + f.steps, core.step_depth),
        (
            "accumulator table",
            f.accumulator_base + f.accumulators,
            2 * core.accumulator_depth,
        ),
        ("accumulators", f.accumulators, core.accumulator_depth),
        ("phase table", f.phase_base + f.phases, core.phase_depth),
        ("parameter buffer", f.param_base + 1, core.param_depth),
    ]


def dram_range(instruction: Instruction, core: CoreConfig) -> tuple[Segment, int, int] | None:
    """Segment and byte range [start, stop) that an instruction reads or writes, if any."""
    if not isinstance(instruction, Transfer):
        return None
    f = instruction
    if isinstance(f, LoadInput):
        shape = (f.images, f.blocks, f.rows, f.columns)
        strides = (f.image_stride, f.block_stride, f.row_stride, f.column_step)
        words = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
        size = words * core.word_bytes
    elif isinstance(f, Store):
        words = (f.images - 1) * f.image_stride + (f.rows - 1) * f.row_stride
        size = (words + f.columns) * core.word_bytes
    elif isinstance(f, LoadWeights):
        size = f.blocks * f.taps * core.weight_word_bytes
    elif isinstance(f, LoadParams):
        size = f.count * core.co_lanes * isa.PARAM_BYTES
    else:
        assert isinstance(f, LoadTable)
        size = f.count * isa.TABLE_ENTRY_BYTES[Table(f.table)]
    return Segment(f.segment), f.offset, f.offset + size
