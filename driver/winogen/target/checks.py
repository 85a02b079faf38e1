"""Static checks of instructions: what the hardware refuses, and what memory they touch."""

from __future__ import annotations

from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.isa import (
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Store,
    Table,
    Transfer,
)
from winogen.target.microarchitecture import LOGIC
from winogen.target.refusals import MEMORIES, refusal, table_memory
from winogen.target.registers import Segment


def table_depth(table: Table, core: CoreConfig) -> int:
    """Entries of an on-chip table."""
    return MEMORIES[table_memory(table)].of(core)


def descriptor_problem(instruction: Instruction, core: CoreConfig) -> str | None:
    """Why the hardware refuses an instruction, or None: what its fields alone can tell."""
    if instruction.reserved:
        return "bits without a meaning are set"
    return refusal(instruction, core)


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
        if f.coding:
            size = f.beats * LOGIC.beat_bytes
    elif isinstance(f, LoadParams):
        size = f.count * core.co_lanes * isa.PARAM_BYTES
    else:
        assert isinstance(f, LoadTable)
        size = f.count * isa.TABLE_ENTRY_BYTES[Table(f.table)]
    return Segment(f.segment), f.offset, f.offset + size
