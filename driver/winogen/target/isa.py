"""The instruction set: the one home of every opcode, field and table encoding.

An instruction has 64 bytes, little-endian, in sixteen 32-bit words; no field crosses a word, and
bits without a field are zero. Three engines execute instructions, each its own in order: *load*
(LOAD_*), *compute* (COMPUTE) and *store* (STORE). Between each ordered pair of engines there is a
counter of tokens: an instruction first takes one token from every engine named in ``wait``,
executes, then gives one token to every engine named in ``signal``.

DRAM addresses are a segment (its base is a register) plus a byte offset. Activations lie in DRAM
as [image][channel block][row][column][channel in block]; a *word* is one block of channels at one
pixel (``ci_lanes`` activations), and strides count words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from winogen.target.numerics import TABLE_ENTRIES
from winogen.target.registers import Engine

ISA_VERSION = 1
INSTRUCTION_BYTES = 64
#: Tokens that one counter holds; an instruction that would give one more waits to begin.
MAX_TOKENS = 255
_WORDS = INSTRUCTION_BYTES // 4


class Opcode(IntEnum):
    """Zero is no instruction, so that memory that was never written stops the core."""

    LOAD_INPUT = 1
    LOAD_WEIGHTS = 2
    LOAD_PARAMS = 3
    LOAD_TABLE = 4
    COMPUTE = 5
    STORE = 6

    @property
    def engine(self) -> Engine:
        """The engine that executes it."""
        if self is Opcode.COMPUTE:
            return Engine.COMPUTE
        return Engine.STORE if self is Opcode.STORE else Engine.LOAD


class Table(IntEnum):
    """On-chip tables that LOAD_TABLE fills."""

    STEP = 0
    ACCUMULATOR = 1
    PHASE = 2
    ACTIVATION = 3


#: Bytes of one entry of each table in DRAM.
TABLE_ENTRY_BYTES = {Table.STEP: 8, Table.ACCUMULATOR: 8, Table.PHASE: 8, Table.ACTIVATION: 2}
#: Bytes of the requantisation constants of one output channel in DRAM.
PARAM_BYTES = 16


@dataclass(frozen=True)
class InstructionField:
    """A bit field of an instruction: 32-bit word index, lowest bit, width, signedness."""

    name: str
    width: int
    doc: str
    signed: bool = False
    word: int = 0
    lsb: int = 0


def _layout(
    *specs: tuple[str, int, str] | tuple[str, int, str, bool],
) -> dict[str, InstructionField]:
    """Place fields one after the other; a field that would cross a word starts the next one."""
    fields = {}
    word, lsb = 0, 0
    for name, width, doc, *signed in specs:
        if lsb + width > 32:
            word, lsb = word + 1, 0
        fields[name] = InstructionField(name, width, doc, bool(signed), word, lsb)
        lsb += width
    assert word < _WORDS
    return fields


_HEADER = (
    ("opcode", 4, "see the opcodes"),
    ("wait", 3, "engines to take a token from: bit 0 load, 1 compute, 2 store"),
    ("signal", 3, "engines to give a token to, likewise"),
    ("layer", 12, "layer number, for profiles and error messages"),
)
_DRAM = (("segment", 2, "DRAM segment"), ("offset", 32, "bytes from the segment's base"))

FIELDS: dict[Opcode, dict[str, InstructionField]] = {
    Opcode.LOAD_INPUT: _layout(
        *_HEADER,
        *_DRAM,
        ("base", 20, "first input-buffer word"),
        ("images", 12, "images to load"),
        ("blocks", 12, "channel blocks to load"),
        ("rows", 12, "rows to load"),
        ("columns", 12, "columns to load"),
        ("pitch", 12, "input-buffer words a row, at least columns; 2 more than a multiple of 4"),
        ("column_step", 8, "keep every column_step-th pixel of a row"),
        ("image_stride", 32, "words between images"),
        ("block_stride", 32, "words between channel blocks"),
        ("row_stride", 24, "words between rows"),
    ),
    Opcode.LOAD_WEIGHTS: _layout(
        *_HEADER,
        *_DRAM,
        ("base", 20, "first weight-buffer word"),
        ("blocks", 12, "blocks of input channels to load"),
        ("phase_base", 8, "first phase-table entry"),
        ("phases", 8, "phases of the pass"),
        ("taps", 12, "taps (words in DRAM) a block, over all phases"),
        ("winograd", 1, "transform the filters while loading"),
    ),
    Opcode.LOAD_PARAMS: _layout(
        *_HEADER,
        *_DRAM,
        ("base", 8, "first parameter-buffer entry"),
        ("count", 8, "entries (blocks of output channels) to load"),
    ),
    Opcode.LOAD_TABLE: _layout(
        *_HEADER,
        *_DRAM,
        ("table", 2, "0 step, 1 accumulator, 2 phase, 3 activation"),
        ("base", 12, "first entry"),
        ("count", 12, "entries to load"),
    ),
    Opcode.COMPUTE: _layout(
        *_HEADER,
        ("winograd", 1, "transform patches, divide the result by four"),
        ("first", 1, "start the partial sums from the bias"),
        ("last", 1, "requantise the partial sums into the output buffer"),
        ("activation", 1, "pass the requantised value through the activation table"),
        ("input_base", 20, "first input-buffer word of the region"),
        ("rows", 12, "rows of the region; reads outside it give zero"),
        ("columns", 12, "columns of the region"),
        ("pitch", 12, "input-buffer words a row of the region"),
        ("images", 12, "images of the region"),
        ("blocks", 12, "blocks of input channels"),
        ("origin_y", 16, "region row of the first tile's patch", True),
        ("origin_x", 16, "region column of the first tile's patch", True),
        ("tiles_y", 12, "rows of tiles"),
        ("tiles_x", 12, "columns of tiles"),
        ("tile", 2, "base-grid points a side of a tile: 1 or 2"),
        ("patch_row", 2, "first patch row that is read; the others are zero"),
        ("patch_rows", 3, "patch rows that are read"),
        ("patch_column", 2, "first patch column that is read"),
        ("patch_columns", 3, "patch columns that are read"),
        ("weight_base", 20, "first weight-buffer word"),
        ("weight_stride", 12, "weight-buffer words a block of input channels"),
        ("step_base", 12, "first step-table entry"),
        ("steps", 12, "steps a block of input channels"),
        ("accumulator_base", 12, "first accumulator-table entry"),
        ("accumulators", 8, "accumulators in use"),
        ("phase_base", 8, "first phase-table entry"),
        ("phases", 8, "output phases of the pass"),
        ("psum_base", 20, "first word of the partial-sum memory"),
        ("param_base", 8, "parameter-buffer entry of this block of output channels"),
        ("output_base", 20, "first output-buffer word of the region"),
        ("output_rows", 12, "rows of the output region; outputs beyond it are dropped"),
        ("output_columns", 12, "columns of the output region"),
        ("stride_y", 8, "output rows a base-grid row"),
        ("stride_x", 8, "output columns a base-grid column"),
    ),
    Opcode.STORE: _layout(
        *_HEADER,
        *_DRAM,
        ("base", 20, "first output-buffer word"),
        ("images", 12, "images to store"),
        ("rows", 12, "rows to store"),
        ("columns", 12, "columns to store"),
        ("image_stride", 32, "words between images"),
        ("row_stride", 24, "words between rows"),
    ),
}

#: Encodings of the 64-bit table entries, (name, lowest bit, width, meaning).
TABLE_FIELDS: dict[Table, tuple[tuple[str, int, int, str], ...]] = {
    Table.STEP: (
        ("position", 0, 5, "patch position 4 * row + column; 16 reads zero"),
        ("word", 5, 12, "weight word within the block"),
        ("accumulator", 17, 8, "accumulator that takes the product"),
        ("first", 25, 1, "in the tile's first block: overwrite instead of add"),
    ),
    Table.ACCUMULATOR: (
        ("phase", 0, 8, "phase of the pass that the accumulator belongs to"),
        ("position", 8, 4, "Winograd position, or (direct) output 2 * row + column of the tile"),
    ),
    Table.PHASE: (
        ("row", 0, 8, "output row within the stride"),
        ("column", 8, 8, "output column within the stride"),
        ("param", 16, 8, "parameter-buffer entry of the phase, relative to COMPUTE's"),
        ("taps", 24, 9, "taps present, bit 3 * row + column of the window"),
        ("positions", 40, 16, "Winograd positions that can be nonzero"),
    ),
}


@dataclass
class Instruction:
    """One decoded instruction; ``fields`` holds everything but the header."""

    opcode: Opcode
    fields: dict[str, int]
    wait: int = 0
    signal: int = 0
    layer: int = 0
    reserved: int = field(default=0, repr=False)

    def __getitem__(self, name: str) -> int:
        return self.fields[name]

    @property
    def engine(self) -> Engine:
        """The engine that executes it."""
        return self.opcode.engine


class EncodingError(ValueError):
    """A field is unknown, missing, or does not fit its bits."""


class BadOpcodeError(ValueError):
    """The stream holds a word that is no instruction; ``index`` is its place."""

    def __init__(self, index: int, opcode: int):
        super().__init__(f"instruction {index} has the unknown opcode {opcode}")
        self.index = index
        self.opcode = opcode


def encode(instructions: Sequence[Instruction]) -> bytes:
    """The stream of ``instructions``; EncodingError names a field that does not fit."""
    words = np.zeros((len(instructions), _WORDS), "<u4")
    for index, instruction in enumerate(instructions):
        layout = FIELDS[instruction.opcode]
        values = {
            "opcode": int(instruction.opcode),
            "wait": instruction.wait,
            "signal": instruction.signal,
            "layer": instruction.layer,
            **instruction.fields,
        }
        if values.keys() != layout.keys():
            wrong = sorted(values.keys() ^ layout.keys())
            raise EncodingError(f"{instruction.opcode.name}: unknown or missing fields {wrong}")
        row = words[index]
        for name, value in values.items():
            f = layout[name]
            low = -(1 << (f.width - 1)) if f.signed else 0
            high = (1 << (f.width - f.signed)) - 1
            if not low <= value <= high:
                raise EncodingError(
                    f"{instruction.opcode.name}: {name} = {value} does not fit {low}..{high}"
                )
            row[f.word] |= (int(value) & ((1 << f.width) - 1)) << f.lsb
    return words.tobytes()


def decode(stream: bytes | NDArray[np.uint8], start: int = 0) -> list[Instruction]:
    """Instructions of a stream whose length is a multiple of 64 bytes.

    Raises BadOpcodeError at the first word group that is no instruction; its ``index`` counts
    from ``start``.
    """
    words = np.frombuffer(bytes(stream), "<u4").reshape(-1, _WORDS)
    opcodes = words[:, 0] & 0xF
    known = np.isin(opcodes, [int(o) for o in Opcode])
    if not known.all():
        index = int(np.argmin(known))
        raise BadOpcodeError(start + index, int(opcodes[index]))
    out: list[Instruction | None] = [None] * len(words)
    for opcode in Opcode:
        rows = np.flatnonzero(opcodes == opcode)
        if not len(rows):
            continue
        layout = FIELDS[opcode]
        used = np.zeros(_WORDS, np.uint32)
        columns = []
        for f in layout.values():
            mask = (1 << f.width) - 1
            used[f.word] |= np.uint32(mask << f.lsb)
            value = ((words[rows, f.word] >> np.uint32(f.lsb)) & np.uint32(mask)).astype(np.int64)
            if f.signed:
                value -= (value >> (f.width - 1)) << f.width
            columns.append(value.tolist())
        reserved = np.any(words[rows] & ~used, axis=1).tolist()
        names = list(layout)[4:]
        for row, bad, _, wait, signal, layer, *values in zip(rows.tolist(), reserved, *columns):
            out[row] = Instruction(opcode, dict(zip(names, values)), wait, signal, layer, int(bad))
    return [i for i in out if i is not None]


def pack_table(table: Table, entries: Iterable[Mapping[str, int]]) -> bytes:
    """Entries of a step, accumulator or phase table as they lie in DRAM."""
    out = []
    for entry in entries:
        value = 0
        for name, lsb, width, _ in TABLE_FIELDS[table]:
            v = entry[name]
            if not 0 <= v < 1 << width:
                raise EncodingError(f"{table.name} table: {name} = {v} does not fit {width} bits")
            value |= v << lsb
        out.append(value)
    return np.array(out, "<u8").tobytes()


def unpack_table(table: Table, data: bytes | NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """Columns of a table, each of shape (entries,)."""
    values = np.frombuffer(bytes(data), "<u8")
    return {
        name: ((values >> np.uint64(lsb)) & np.uint64((1 << width) - 1)).astype(np.int64)
        for name, lsb, width, _ in TABLE_FIELDS[table]
    }


def pack_activation(table: NDArray[np.int16]) -> bytes:
    """The activation table as it lies in DRAM: 1025 values of 16 bits."""
    assert table.shape == (TABLE_ENTRIES,)
    return table.astype("<i2").tobytes()


@dataclass(frozen=True)
class Params:
    """Requantisation constants of some output channels, each of shape (channels,), int64."""

    bias: NDArray[np.int64]
    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


#: Layout of Params in DRAM: bias (48 bits, signed) and shift share the first 64-bit word.
PARAM_FIELDS: tuple[tuple[str, int, int, str], ...] = (
    ("bias", 0, 48, "start value of the partial sum, signed"),
    ("shift", 48, 8, "right shift of the requantiser, 1 to 62"),
    ("positive", 64, 16, "multiplier of sums >= 0, signed"),
    ("negative", 80, 16, "multiplier of sums < 0, signed"),
    ("low", 96, 16, "lower clamp, signed"),
    ("high", 112, 16, "upper clamp, signed"),
)


def pack_params(params: Params) -> bytes:
    """``channels`` x 16 bytes as they lie in DRAM."""
    words = np.zeros((len(params.bias), 2), np.int64)
    for name, lsb, width, _ in PARAM_FIELDS:
        value = np.asarray(getattr(params, name), np.int64)
        low, high = (
            (0, (1 << width) - 1)
            if name == "shift"
            else (-(1 << (width - 1)), (1 << (width - 1)) - 1)
        )
        if np.any((value < low) | (value > high)):
            raise EncodingError(f"parameter {name} does not fit {width} bits")
        words[:, lsb // 64] |= (value & ((1 << width) - 1)) << (lsb % 64)
    return words.astype("<i8").tobytes()


def unpack_params(data: bytes | NDArray[np.uint8]) -> Params:
    """Inverse of :func:`pack_params`."""
    words = np.frombuffer(bytes(data), "<i8").reshape(-1, 2)
    out = {}
    for name, lsb, width, _ in PARAM_FIELDS:
        value = (words[:, lsb // 64] >> (lsb % 64)) & ((1 << width) - 1)
        if name != "shift":
            value = value - ((value >> (width - 1)) << width)
        out[name] = value
    return Params(**out)
