"""The instruction set: the one home of every opcode, field and table encoding.

An instruction has 64 bytes, little-endian, in sixteen 32-bit words; no field crosses a word, and
bits without a field are zero. Three engines execute instructions, each its own in order: *load*
(LOAD_*), *compute* (COMPUTE) and *store* (STORE). Between each ordered pair of engines there is a
counter of tokens: an instruction first takes one token from every engine named in ``wait``,
executes, then gives one token to every engine named in ``signal``.

DRAM addresses are a segment (its base is a register) plus a byte offset. Activations lie in DRAM
as [image][channel block][row][column][channel in block]; a *word* is one block of channels at one
pixel (``ci_lanes`` activations), and strides count words.

Each instruction and each table entry is a class. Its annotations are the encoding: what is derived
from them are the layouts here, the SystemVerilog package, the reference and the disassembler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from operator import attrgetter
from typing import Annotated, ClassVar, NamedTuple, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from winogen.target.numerics import MAX_SHIFT, TABLE_ENTRIES
from winogen.target.registers import Engine, numbered

ISA_VERSION = 3
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
        return CLASSES[self].engine


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
class Bits:
    """The encoding of a field: its width, its meaning, and whether it has a sign.

    Fields follow each other from bit 0 up. ``lsb`` leaves room before one (table entries only).
    """

    width: int
    doc: str
    signed: bool = False
    lsb: int | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest value."""
        return _limits(self.width, self.signed)


@dataclass(frozen=True)
class InstructionField:
    """A bit field of an instruction: 32-bit word index, lowest bit, width, signedness."""

    name: str
    width: int
    doc: str
    signed: bool = False
    word: int = 0
    lsb: int = 0

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest value."""
        return _limits(self.width, self.signed)


def _limits(width: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


@dataclass(slots=True)
class Instruction:
    """What every instruction has: its tokens and its layer; one class for each opcode follows.

    ``reserved`` tells whether the decoded words had bits set that belong to no field.
    """

    opcode: ClassVar[Opcode]
    #: The engine that executes it.
    engine: ClassVar[Engine]

    wait: Annotated[
        int, Bits(3, "engines to take a token from: bit 0 load, 1 compute, 2 store")
    ] = field(default=0, kw_only=True)
    signal: Annotated[int, Bits(3, "engines to give a token to, likewise")] = field(
        default=0, kw_only=True
    )
    layer: Annotated[int, Bits(12, "layer number, for profiles and error messages")] = field(
        default=0, kw_only=True
    )
    reserved: int = field(default=0, kw_only=True, repr=False)


@dataclass(slots=True)
class Transfer(Instruction):
    """An instruction that reads or writes DRAM."""

    segment: Annotated[int, Bits(2, "DRAM segment")]
    offset: Annotated[int, Bits(32, "bytes from the segment's base")]


@dataclass(slots=True)
class LoadInput(Transfer):
    """A box of activations from DRAM to the input buffer."""

    opcode = Opcode.LOAD_INPUT
    engine = Engine.LOAD

    base: Annotated[int, Bits(20, "first input-buffer word")]
    images: Annotated[int, Bits(12, "images to load")]
    blocks: Annotated[int, Bits(12, "channel blocks to load")]
    rows: Annotated[int, Bits(12, "rows to load")]
    columns: Annotated[int, Bits(12, "columns to load")]
    pitch: Annotated[
        int, Bits(12, "input-buffer words a row, at least columns; 2 more than a multiple of 4")
    ]
    column_step: Annotated[int, Bits(8, "keep every column_step-th pixel of a row")]
    image_stride: Annotated[int, Bits(32, "words between images")]
    block_stride: Annotated[int, Bits(32, "words between channel blocks")]
    row_stride: Annotated[int, Bits(24, "words between rows")]


@dataclass(slots=True)
class LoadWeights(Transfer):
    """Weights from DRAM to the weight buffer, transformed on the way in Winograd mode."""

    opcode = Opcode.LOAD_WEIGHTS
    engine = Engine.LOAD

    base: Annotated[int, Bits(20, "first weight-buffer word")]
    blocks: Annotated[int, Bits(12, "blocks of input channels to load")]
    phase_base: Annotated[int, Bits(8, "first phase-table entry")]
    phases: Annotated[int, Bits(8, "phases of the pass")]
    taps: Annotated[int, Bits(12, "taps (words in DRAM) a block, over all phases")]
    winograd: Annotated[int, Bits(1, "transform the filters while loading")]
    half: Annotated[int, Bits(1, "1: the upper half of the words, for the second block of a pair")]
    coding: Annotated[int, Bits(2, "0 plain, 1 indices, 2 a bitmap of zeros and indices")]
    beats: Annotated[int, Bits(24, "beats of 8 bytes of coded weights; 0 of plain ones")]


@dataclass(slots=True)
class LoadParams(Transfer):
    """Requantisation constants from DRAM to the parameter buffer."""

    opcode = Opcode.LOAD_PARAMS
    engine = Engine.LOAD

    base: Annotated[int, Bits(8, "first parameter-buffer entry")]
    count: Annotated[int, Bits(8, "entries (blocks of output channels) to load")]


@dataclass(slots=True)
class LoadTable(Transfer):
    """Entries from DRAM to one of the tables."""

    opcode = Opcode.LOAD_TABLE
    engine = Engine.LOAD

    table: Annotated[int, Bits(2, numbered(Table))]
    base: Annotated[int, Bits(12, "first entry")]
    count: Annotated[int, Bits(12, "entries to load")]


@dataclass(slots=True)
class Compute(Instruction):
    """What a box of tiles adds to the partial sums, and their requantisation."""

    opcode = Opcode.COMPUTE
    engine = Engine.COMPUTE

    winograd: Annotated[int, Bits(1, "transform patches, divide the result by four")]
    first: Annotated[int, Bits(1, "start the partial sums from the bias")]
    last: Annotated[int, Bits(1, "requantise the partial sums into the output buffer")]
    activation: Annotated[int, Bits(1, "pass the requantised value through the activation table")]
    input_base: Annotated[int, Bits(20, "first input-buffer word of the region")]
    rows: Annotated[int, Bits(12, "rows of the region; reads outside it give zero")]
    columns: Annotated[int, Bits(12, "columns of the region")]
    pitch: Annotated[int, Bits(12, "input-buffer words a row of the region")]
    images: Annotated[int, Bits(12, "images of the region")]
    blocks: Annotated[int, Bits(12, "blocks of input channels")]
    origin_y: Annotated[int, Bits(16, "region row of the first tile's patch", signed=True)]
    origin_x: Annotated[int, Bits(16, "region column of the first tile's patch", signed=True)]
    tiles_y: Annotated[int, Bits(12, "rows of tiles")]
    tiles_x: Annotated[int, Bits(12, "columns of tiles")]
    tile: Annotated[int, Bits(2, "base-grid points a side of a tile: 1 or 2")]
    patch_row: Annotated[int, Bits(2, "first patch row that is read; the others are zero")]
    patch_rows: Annotated[int, Bits(3, "patch rows that are read")]
    patch_column: Annotated[int, Bits(2, "first patch column that is read")]
    patch_columns: Annotated[int, Bits(3, "patch columns that are read")]
    weight_base: Annotated[int, Bits(20, "first weight-buffer word")]
    weight_stride: Annotated[int, Bits(12, "weight-buffer words a block of input channels")]
    step_base: Annotated[int, Bits(12, "first step-table entry")]
    steps: Annotated[int, Bits(12, "steps a block of input channels")]
    accumulator_base: Annotated[int, Bits(12, "first accumulator-table entry")]
    accumulators: Annotated[int, Bits(8, "accumulators in use")]
    phase_base: Annotated[int, Bits(8, "first phase-table entry")]
    phases: Annotated[int, Bits(8, "output phases of the pass")]
    psum_base: Annotated[int, Bits(20, "first word of the partial-sum memory")]
    param_base: Annotated[int, Bits(8, "parameter-buffer entry of this block of output channels")]
    output_base: Annotated[int, Bits(20, "first output-buffer word of the region")]
    output_rows: Annotated[
        int, Bits(12, "rows of the output region; outputs beyond it are dropped")
    ]
    output_columns: Annotated[int, Bits(12, "columns of the output region")]
    stride_y: Annotated[int, Bits(8, "output rows a base-grid row")]
    stride_x: Annotated[int, Bits(8, "output columns a base-grid column")]
    pair: Annotated[
        int, Bits(1, "a second block of output channels, from the upper half of the words")
    ]
    param_stride: Annotated[int, Bits(8, "parameter-buffer entries to the second block's")]
    swap: Annotated[
        int, Bits(32, "bit i: the weights of output lane i are in the other block's half")
    ]


@dataclass(slots=True)
class Store(Transfer):
    """A box of the output buffer to DRAM."""

    opcode = Opcode.STORE
    engine = Engine.STORE

    base: Annotated[int, Bits(20, "first output-buffer word")]
    images: Annotated[int, Bits(12, "images to store")]
    rows: Annotated[int, Bits(12, "rows to store")]
    columns: Annotated[int, Bits(12, "columns to store")]
    image_stride: Annotated[int, Bits(32, "words between images")]
    row_stride: Annotated[int, Bits(24, "words between rows")]


@dataclass(frozen=True, slots=True)
class StepEntry:
    """What the multipliers do in one cycle."""

    position: Annotated[int, Bits(5, "patch position 4 * row + column; 16 reads zero")]
    word: Annotated[int, Bits(12, "weight word within the block")]
    accumulator: Annotated[int, Bits(8, "accumulator that takes the product")]
    first: Annotated[int, Bits(1, "in the tile's first block: overwrite instead of add")]


@dataclass(frozen=True, slots=True)
class AccumulatorEntry:
    """What an accumulator stands for."""

    phase: Annotated[int, Bits(8, "phase of the pass that the accumulator belongs to")]
    position: Annotated[
        int, Bits(4, "Winograd position, or (direct) output 2 * row + column of the tile")
    ]


@dataclass(frozen=True, slots=True)
class PhaseEntry:
    """An output phase of a pass."""

    row: Annotated[int, Bits(8, "output row within the stride")]
    column: Annotated[int, Bits(8, "output column within the stride")]
    param: Annotated[int, Bits(8, "parameter-buffer entry of the phase, relative to COMPUTE's")]
    taps: Annotated[int, Bits(9, "taps present, bit 3 * row + column of the window")]
    positions: Annotated[int, Bits(16, "Winograd positions that can be nonzero", lsb=40)]


TableEntry = StepEntry | AccumulatorEntry | PhaseEntry


@dataclass(frozen=True)
class Params:
    """Requantisation constants of some output channels, each of shape (channels,), int64."""

    bias: Annotated[
        NDArray[np.int64], Bits(48, "start value of the partial sum, signed", signed=True, lsb=0)
    ]
    positive: Annotated[
        NDArray[np.int64], Bits(16, "multiplier of sums >= 0, signed", signed=True, lsb=64)
    ]
    negative: Annotated[
        NDArray[np.int64], Bits(16, "multiplier of sums < 0, signed", signed=True, lsb=80)
    ]
    shift: Annotated[
        NDArray[np.int64], Bits(8, f"right shift of the requantiser, 1 to {MAX_SHIFT}", lsb=48)
    ]
    low: Annotated[NDArray[np.int64], Bits(16, "lower clamp, signed", signed=True, lsb=96)]
    high: Annotated[NDArray[np.int64], Bits(16, "upper clamp, signed", signed=True, lsb=112)]


def _bits_of(cls: type) -> list[tuple[str, Bits]]:
    """Names and encodings of a class's fields in their order, without those that have none."""
    hints = get_type_hints(cls, include_extras=True)
    annotated = [(f.name, get_args(hints[f.name])[1:]) for f in fields(cls)]
    return [(name, extras[0]) for name, extras in annotated if extras]


def _layout(cls: type[Instruction]) -> dict[str, InstructionField]:
    """Place fields one after the other; a field that would cross a word starts the next one."""
    layout = {}
    word, lsb = 0, 0
    for name, bits in [("opcode", Bits(4, "see the opcodes")), *_bits_of(cls)]:
        if lsb + bits.width > 32:
            word, lsb = word + 1, 0
        layout[name] = InstructionField(name, bits.width, bits.doc, bits.signed, word, lsb)
        lsb += bits.width
    assert word < _WORDS
    return layout


def _packed(cls: type) -> tuple[InstructionField, ...]:
    """The bits of a table entry or of a channel's parameters, lowest first."""
    placed, at = [], 0
    for name, bits in _bits_of(cls):
        at = at if bits.lsb is None else bits.lsb
        placed.append(InstructionField(name, bits.width, bits.doc, bits.signed, lsb=at))
        at += bits.width
    return tuple(sorted(placed, key=lambda f: f.lsb))


#: The class of each opcode.
CLASSES: dict[Opcode, type[Instruction]] = {
    cls.opcode: cls for cls in (LoadInput, LoadWeights, LoadParams, LoadTable, Compute, Store)
}
#: Fields of each instruction, those of the header first.
FIELDS: dict[Opcode, dict[str, InstructionField]] = {o: _layout(CLASSES[o]) for o in Opcode}
#: The fields that every instruction begins with.
HEADER: tuple[str, ...] = ("opcode", *(name for name, _ in _bits_of(Instruction)))
#: Fields of the 64-bit table entries.
TABLE_FIELDS: dict[Table, tuple[InstructionField, ...]] = {
    Table.STEP: _packed(StepEntry),
    Table.ACCUMULATOR: _packed(AccumulatorEntry),
    Table.PHASE: _packed(PhaseEntry),
}
#: Fields of Params in DRAM: bias and shift share the first 64-bit word.
PARAM_FIELDS: tuple[InstructionField, ...] = _packed(Params)
_OPERANDS = {opcode: tuple(FIELDS[opcode])[len(HEADER) :] for opcode in Opcode}


def operands(instruction: Instruction) -> dict[str, int]:
    """The fields after the header by name, in the order of the encoding."""
    return {name: getattr(instruction, name) for name in _OPERANDS[instruction.opcode]}


class EncodingError(ValueError):
    """A field does not fit its bits."""


class BadOpcodeError(ValueError):
    """The stream holds a word that is no instruction; ``index`` is its place."""

    def __init__(self, index: int, opcode: int):
        super().__init__(f"instruction {index} has the unknown opcode {opcode}")
        self.index = index
        self.opcode = opcode


def encode(instructions: Sequence[Instruction]) -> bytes:
    """The stream of ``instructions``; EncodingError names a field that does not fit."""
    words = np.zeros((len(instructions), _WORDS), "<u4")
    places: dict[Opcode, list[int]] = {opcode: [] for opcode in Opcode}
    for index, instruction in enumerate(instructions):
        places[instruction.opcode].append(index)
    wrong = []
    for opcode, rows in places.items():
        if not rows:
            continue
        layout = [f for f in FIELDS[opcode].values() if f.name != "opcode"]
        read = attrgetter(*(f.name for f in layout))
        columns = list(zip(*(read(instructions[row]) for row in rows)))
        words[rows, 0] = opcode
        for f, column in zip(layout, columns):
            low, high = f.limits
            if min(column) < low or max(column) > high:
                wrong.append(min(row for row, v in zip(rows, column) if not low <= v <= high))
                continue
            values = np.array(column, np.int64) & ((1 << f.width) - 1)
            words[rows, f.word] |= (values << f.lsb).astype("<u4")
    if wrong:
        raise EncodingError(_misfit(instructions[min(wrong)]))
    return words.tobytes()


def _misfit(instruction: Instruction) -> str:
    """The first field of an instruction that does not fit its bits, in words."""
    name = instruction.opcode.name
    for f in FIELDS[instruction.opcode].values():
        value = getattr(instruction, f.name)
        low, high = f.limits
        if not low <= value <= high:
            return f"{name}: {f.name} = {value} does not fit {low}..{high}"
    raise AssertionError("every field fits")


class _Columns(NamedTuple):
    """Where an opcode's fields are, tokens and layer first: one element a field."""

    word: NDArray[np.intp]
    lsb: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    sign: NDArray[np.int64]  # the highest bit of a signed field, and 0 of others
    unused: NDArray[np.uint32]  # the bits of each word that are no field's


def _columns(opcode: Opcode) -> _Columns:
    fields = [FIELDS[opcode][name] for name in ("wait", "signal", "layer", *_OPERANDS[opcode])]
    used = np.zeros(_WORDS, np.uint32)
    for f in FIELDS[opcode].values():
        used[f.word] |= np.uint32(((1 << f.width) - 1) << f.lsb)
    return _Columns(
        np.array([f.word for f in fields], np.intp),
        np.array([f.lsb for f in fields], np.uint32),
        np.array([(1 << f.width) - 1 for f in fields], np.uint32),
        np.array([f.signed << (f.width - 1) for f in fields], np.int64),
        ~used,
    )


_COLUMNS = {opcode: _columns(opcode) for opcode in Opcode}


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
    for opcode, cls in CLASSES.items():
        rows = np.flatnonzero(opcodes == opcode)
        if not len(rows):
            continue
        columns, mine = _COLUMNS[opcode], words[rows]
        fields = ((mine[:, columns.word] >> columns.lsb) & columns.mask).astype(np.int64)
        fields -= (fields & columns.sign) << 1
        reserved = np.any(mine & columns.unused, axis=1).tolist()
        for row, bad, (wait, signal, layer, *values) in zip(
            rows.tolist(), reserved, fields.tolist()
        ):
            out[row] = cls(*values, wait=wait, signal=signal, layer=layer, reserved=int(bad))
    return [i for i in out if i is not None]


def pack_table(table: Table, entries: Iterable[TableEntry]) -> bytes:
    """Entries of a step, accumulator or phase table as they lie in DRAM."""
    out = []
    for entry in entries:
        value = 0
        for f in TABLE_FIELDS[table]:
            v = getattr(entry, f.name)
            if not 0 <= v < 1 << f.width:
                raise EncodingError(
                    f"{table.name} table: {f.name} = {v} does not fit {f.width} bits"
                )
            value |= v << f.lsb
        out.append(value)
    return np.array(out, "<u8").tobytes()


def unpack_table(table: Table, data: bytes | NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """Columns of a table, each of shape (entries,)."""
    values = np.frombuffer(bytes(data), "<u8")
    return {
        f.name: ((values >> np.uint64(f.lsb)) & np.uint64((1 << f.width) - 1)).astype(np.int64)
        for f in TABLE_FIELDS[table]
    }


def pack_activation(table: NDArray[np.int16]) -> bytes:
    """The activation table as it lies in DRAM: 1025 values of 16 bits."""
    assert table.shape == (TABLE_ENTRIES,)
    return table.astype("<i2").tobytes()


def pack_params(params: Params) -> bytes:
    """``channels`` x 16 bytes as they lie in DRAM."""
    words = np.zeros((len(params.bias), 2), np.int64)
    for f in PARAM_FIELDS:
        value = np.asarray(getattr(params, f.name), np.int64)
        low, high = f.limits
        if np.any((value < low) | (value > high)):
            raise EncodingError(f"parameter {f.name} does not fit {f.width} bits")
        words[:, f.lsb // 64] |= (value & ((1 << f.width) - 1)) << (f.lsb % 64)
    return words.astype("<i8").tobytes()


def unpack_params(data: bytes | NDArray[np.uint8]) -> Params:
    """Inverse of :func:`pack_params`."""
    words = np.frombuffer(bytes(data), "<i8").reshape(-1, 2)
    out = {}
    for f in PARAM_FIELDS:
        value = (words[:, f.lsb // 64] >> (f.lsb % 64)) & ((1 << f.width) - 1)
        if f.signed:
            value = value - ((value >> (f.width - 1)) << f.width)
        out[f.name] = value
    return Params(**out)
