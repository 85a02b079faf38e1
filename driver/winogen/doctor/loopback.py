"""Copies through the accelerator: what a load reads, a store writes, and nothing is computed.

Every copy is a LOAD_INPUT, a COMPUTE with one weight 1 for each channel, and a STORE. So what
arrives shows whether memory, bus and the three engines work, for any size and place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.hazards import Access, TokenAssigner
from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.isa import (
    AccumulatorEntry,
    Compute,
    Instruction,
    LoadInput,
    LoadParams,
    LoadTable,
    LoadWeights,
    Params,
    PhaseEntry,
    StepEntry,
    Store,
    Table,
)
from winogen.target.numerics import int_range, storage_dtype
from winogen.target.registers import Segment

_ALIGNMENT = 64  # of each part of the weight segment, bytes
_TABLES = (
    (Table.STEP, StepEntry(position=0, word=0, accumulator=0, first=1)),
    (Table.ACCUMULATOR, AccumulatorEntry(phase=0, position=0)),
    (Table.PHASE, PhaseEntry(row=0, column=0, param=0, taps=1, positions=0)),
)


@dataclass(frozen=True)
class Copy:
    """A box of words, a word being ``word_bytes`` of the build.

    Attributes
    ----------
    source, target : first word of the box in the input, and in the output segment
    rows, columns : words
    source_pitch, target_pitch : words from row to row; 0: rows follow each other
    step : every step-th word of a row is read
    """

    source: int
    target: int
    columns: int
    rows: int = 1
    source_pitch: int = 0
    target_pitch: int = 0
    step: int = 1

    def read(self) -> NDArray[np.int64]:
        """Words of the input segment that are read, (rows, columns)."""
        pitch = self.source_pitch or self.columns * self.step
        return self.source + _box(self.rows, pitch, self.columns, self.step)

    def written(self) -> NDArray[np.int64]:
        """Words of the output segment that they go to, (rows, columns)."""
        return self.target + _box(self.rows, self.target_pitch or self.columns, self.columns, 1)


def largest_row(core: CoreConfig) -> int:
    """Words that one copy can have, in one row."""
    return min(core.psum_depth, core.output_depth // 2, core.input_depth // 2 - 4, 4000)


def constants(core: CoreConfig) -> bytes:
    """The weight segment of every loopback stream."""
    return b"".join(
        part.ljust(-(-len(part) // _ALIGNMENT) * _ALIGNMENT, b"\0") for part in _parts(core)
    )


def stream(core: CoreConfig, copies: Sequence[Copy]) -> list[Instruction]:
    """Instructions that make the copies in this order, loads and stores at the same time.

    The input must not overlap the output segment. ValueError if a copy does not fit the build.
    """
    writer = _Writer(core)
    for number, copy in enumerate(copies):
        writer.copy(copy, number % 2)
    return writer.instructions


def copied(core: CoreConfig, copies: Sequence[Copy], source: bytes, target: bytes) -> bytes:
    """The bytes of the output segment after the copies, which held ``target`` before."""
    words = np.frombuffer(source, np.uint8).reshape(-1, core.word_bytes)
    out = np.frombuffer(target, np.uint8).reshape(-1, core.word_bytes).copy()
    for copy in copies:
        out[copy.written()] = words[copy.read()]
    return out.tobytes()


def _box(rows: int, pitch: int, columns: int, step: int) -> NDArray[np.int64]:
    return np.arange(rows)[:, None] * pitch + np.arange(columns) * step


def _parts(core: CoreConfig) -> list[bytes]:
    """Weights, parameters, and the three tables, of one entry each."""
    lanes = core.co_lanes
    low, high = int_range(core.data_width)
    one = np.ones(lanes, np.int64)
    # (2 * sum + 1) >> 1 is the sum: a shift of 0 is not possible.
    params = Params(0 * one, 2 * one, 2 * one, one, low * one, high * one)
    identity = np.eye(lanes, core.ci_lanes, dtype=storage_dtype(core.data_width))
    tables = [isa.pack_table(table, [entry]) for table, entry in _TABLES]
    return [identity.tobytes(), isa.pack_params(params), *tables]


class _Writer:
    """Instructions and their tokens."""

    def __init__(self, core: CoreConfig):
        self._core = core
        self._tokens = TokenAssigner()
        self.instructions: list[Instruction] = []
        offset = 0
        offsets = []
        for part in _parts(core):
            offsets.append(offset)
            offset += -(-len(part) // _ALIGNMENT) * _ALIGNMENT
        weights, params, *tables = offsets
        ready = [Access("constants", 0, 1, write=True)]
        for (table, _), place in zip(_TABLES, tables):
            self._add(LoadTable(segment=0, offset=place, table=table, base=0, count=1), ready)
        self._add(LoadParams(segment=0, offset=params, base=0, count=1), ready)
        load_weights = LoadWeights(
            segment=0, offset=weights, base=0, blocks=1, phase_base=0, phases=1, taps=1,
            winograd=0, half=0, coding=0, beats=0,
        )  # fmt: skip
        self._add(load_weights, ready)

    def copy(self, copy: Copy, half: int) -> None:
        core = self._core
        pitch = copy.columns + (2 - copy.columns) % 4
        words = copy.rows * copy.columns
        if copy.rows * pitch > core.input_depth // 2 or words > largest_row(core):
            raise ValueError(f"{copy} does not fit the build")
        source, target = half * (core.input_depth // 2), half * (core.output_depth // 2)
        self._add(
            LoadInput(
                segment=Segment.INPUT,
                offset=copy.source * core.word_bytes,
                base=source,
                images=1,
                rows=copy.rows,
                columns=copy.columns,
                blocks=1,
                pitch=pitch,
                column_step=copy.step,
                image_stride=0,
                block_stride=0,
                row_stride=copy.source_pitch or copy.columns * copy.step,
            ),
            [Access("input", half, half + 1, write=True)],
        )
        compute = Compute(
            images=1, rows=copy.rows, columns=copy.columns, pitch=pitch,
            input_base=source, output_base=target, tiles_y=copy.rows, tiles_x=copy.columns,
            output_rows=copy.rows, output_columns=copy.columns,
            winograd=0, first=1, last=1, activation=0, blocks=1, origin_y=0, origin_x=0, tile=1,
            patch_row=0, patch_rows=1, patch_column=0, patch_columns=1,
            weight_base=0, weight_stride=1, step_base=0, steps=1,
            accumulator_base=0, accumulators=1, phase_base=0, phases=1,
            psum_base=0, param_base=0, stride_y=1, stride_x=1, pair=0, param_stride=0, swap=0,
        )  # fmt: skip
        self._add(
            compute,
            [
                Access("constants", 0, 1, write=False),
                Access("input", half, half + 1, write=False),
                Access("output", half, half + 1, write=True),
            ],
        )
        self._add(
            Store(
                segment=Segment.OUTPUT,
                offset=copy.target * core.word_bytes,
                base=target,
                images=1,
                rows=copy.rows,
                columns=copy.columns,
                image_stride=0,
                row_stride=copy.target_pitch or copy.columns,
            ),
            [Access("output", half, half + 1, write=False)],
        )

    def _add(self, instruction: Instruction, accesses: list[Access]) -> None:
        self.instructions.append(instruction)
        self._tokens.add(instruction, accesses)
