"""The register and instruction references, generated from their definitions.

``python -m winogen.target.isadoc docs/reference`` writes ``registers.md`` and ``instructions.md``
there, from :mod:`winogen.target.registers` and :mod:`winogen.target.isa`; a test fails while the
files differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from winogen.common.errors import InputError
from winogen.common.files import write_atomically
from winogen.target import isa, registers
from winogen.target.isa import Opcode, Table
from winogen.target.microarchitecture import LOGIC
from winogen.target.numerics import MAX_SHIFT, TABLE_ENTRIES
from winogen.target.refusals import MEMORIES, RULES, Forbidden, NotZero, Within, table_memory
from winogen.target.registers import WINDOWS, Engine, ErrorCode, Segment, window_names

COMMAND = "python -m winogen.target.isadoc docs/reference"

_ACCESS = {
    "ro": "read-only: writes are ignored",
    "rw": "read and write",
    "wo": "command bits: act when written as 1, read as zero",
    "w1c": "write 1 to clear a bit",
}

_REGISTER_RULES = f"""\
The AXI4-Lite slave has one page of {registers.ADDRESS_RANGE} bytes. Every register has 32 bits and
is accessed as one aligned word. An offset without a register reads as zero and ignores writes.

A 64-bit quantity is a pair `_LO`, `_HI`. Read the low half first: that read latches the high half,
and the next read of the high half returns the latched value. So the two halves belong together
even if the quantity changes between the two reads.

A reset value of "build" is fixed by the build configuration of the accelerator (see
[boards](../use/boards.md)). Soft reset leaves registers with access `rw` as they are."""

_WINDOW_RULES = f"""\
The core accesses memory in windows alone, which the host opens. A window is a pair of registers:
its first and its last page, of {LOGIC.page_bytes} bytes; a page's number is a bus address divided
by that. Where the first is above the last, as after a reset, the window holds nothing. Windows may
touch or overlap. A number has 32 bits, so none reaches beyond address
2^{31 + LOGIC.page_bytes.bit_length()}.

Each access has windows of its own. One outside of them never reaches the bus: what comes before it
is done, then the stream ends with `OUTSIDE_WINDOW`. `ERROR_ADDRESS` holds the first address that
was refused, which begins a page or a run of contiguous bytes. Soft reset leaves windows as they
are, loading the overlay closes them. A change counts for what is announced afterwards, so it
belongs between two streams."""

_MOST, _ALIGNMENT = registers.MAX_STREAM_LENGTH, registers.BASE_ALIGNMENT
_RUN_RULES = f"""\
1. Open [windows](#windows) to all memory that the stream accesses, its instructions among it.
2. Write the four segment bases, `STREAM_BASE` and `STREAM_LENGTH` (in instructions, at most
   {_MOST}). All addresses are bus addresses and multiples of {_ALIGNMENT}.
3. Clear `IRQ_STATUS` if interrupts are used.
4. Write `CONTROL.start`. It is ignored unless `STATUS.idle` is set. Starting clears the counters
   and the error registers. Tokens that an earlier stream left over are gone.
5. The stream has ended once `STATUS.idle` is set again: with `STATUS.done`, or with `STATUS.error`
   and the reason in the error registers.

`BAD_STREAM` is also raised if a segment base is misaligned. After an error what the stream wrote in
its windows is undefined, and the next stream can be started at once. If several instructions fail,
the error is that of one of them, not always of the first. If a stream does not end, write
`CONTROL.reset`: it abandons the stream and clears the error registers, the counters and
`IRQ_STATUS`. If a write sets both bits of `CONTROL`, reset wins.

A bus has no way to take back an access. After an error or a reset the core therefore takes the
answers that memory still owes and gives the write data that it has promised; `STATUS.idle` is set
only then. If memory never answers, only loading the overlay again helps.

What goes on can be read while a stream runs, and after one that does not end: `STATUS` has the
state of every engine, `LOAD_INSTRUCTION` and those after it the oldest instruction of each, and
`BUS` the transactions that memory owes an answer. After a failure the instructions are those that
were under way. Reset clears them."""

_INDEX_BITS = (registers.TRACE_DEPTH - 1).bit_length()
_TRACE_RULES = f"""\
With `TRACE_LENGTH` set, the core records when the instructions from `TRACE_FIRST` on begin, end
and wait for tokens: {registers.TRACE_DEPTH} records, one for each cycle in which something happens.
The records of a stream stay until the next one starts. To read one, write its number to
`TRACE_INDEX` and read `TRACE_DATA`. A record does not name an instruction: an engine begins, and
ends, its instructions in the order of the stream. Stall bits come in pairs, when waiting begins and
when it ends, before the beginning of the instruction that waited. Each time that the low bits of
`CYCLES` wrap there is a record with time 0. `TRACE_FIRST` has 20 bits that count, `TRACE_LENGTH`
21, `TRACE_INDEX` {_INDEX_BITS}. Tracing does not change the time that a stream takes."""

_STREAM_RULES = f"""\
A stream is a sequence of instructions in DRAM. Each has {isa.INSTRUCTION_BYTES} bytes, which are
sixteen 32-bit words, little-endian. No field crosses a word. Bits that belong to no field must be
zero. Opcode 0 is no instruction, so memory that was never written stops the core. The
instruction-set version is {isa.ISA_VERSION}; it is part of the configuration hash.

`ci_lanes`, `co_lanes` and the depths of the memories come from the build configuration (see
[boards](../use/boards.md)). `ci_lanes` and `co_lanes` are equal; where only `lanes` is written,
either is meant. A *word* of activations is one block of `lanes` channels at one pixel. Activations
lie in DRAM as [image][channel block][row][column][channel in block]. All strides count words."""

_QUEUE = LOGIC.queue_depth
_TOKEN_RULES = f"""\
Three engines execute the stream: load, compute and store. Each takes its own instructions in the
order of the stream. Nothing else orders the engines but tokens. For each ordered pair of engines
there is a counter of tokens; all are zero when a stream starts, and a counter holds at most
{isa.MAX_TOKENS}: an instruction that would give one more waits to begin.

An instruction

1. waits until there is a token from every engine named in `wait`, and takes one from each,
2. executes,
3. gives one token to every engine named in `signal`. Its memory accesses have ended by then: what
   a STORE wrote can be loaded, and what a LOAD was given can be overwritten.

So the n-th token from engine A to engine B is taken by the n-th instruction of B that waits for A.
An instruction that waits for, or signals, its own engine is refused. If no engine can go on, the
watchdog ends the stream. The scheduler sets `wait` and `signal` in pairs, so a compiled stream
leaves no token over (`compiler/hazards.py`).

Instructions are handed out in stream order and an engine's queue holds {_QUEUE}, so an instruction
must not need a token from one that lies more than {_QUEUE} beyond it; compiled streams take
tokens from earlier instructions only (see [hardware](../design/hardware.md#a-limit-on-tokens))."""

_TABLE_DEPTHS = "the tables have " + ", ".join(
    f"`{MEMORIES[table_memory(t)]}` ({t.name.lower()})" for t in Table
)
_REFUSALS = f"""\
The core stops with ILLEGAL_DESCRIPTOR, before the instruction changes any memory, if

- it waits for or signals its own engine,
- `offset` is not a multiple of the bytes of a word of activations,
- a field that must not be zero is,
- a condition below holds,
- a range below ends beyond its memory or table. Depths come from the build configuration;
  {_TABLE_DEPTHS}.

For LOAD_WEIGHTS in Winograd mode the phase table tells how many words there are: they must end in
the weight buffer too."""

_MORE_REFUSALS = """\
It also stops with ILLEGAL_DESCRIPTOR when it reads a table or parameter entry that is wrong; what
the instruction had written by then is undefined. That is if

- `taps` of LOAD_WEIGHTS is not the number of taps in the phase table,
- a step names an accumulator at or beyond `accumulators`, a position above 16, or a word at or
  beyond `weight_stride` (steps that read zero excepted),
- an accumulator names a phase at or beyond `phases`, or (direct) an output outside the tile, or
  the accumulators are not in ascending order of their phases,
- a phase's parameter entry lies outside the parameter buffer,
- a shift is not 1 to 62, or a clamp is empty or reaches beyond the data width (16 bits where the
  activation table follows).

The rules above are one table, `target/refusals.py`. From it come the check in Python
(`target/checks.py`), which the compiler calls for every instruction too, and
`hw_src/rtl/winogen_rules_pkg.sv`, whose functions the hand-written pipeline of
`wg_descriptor_check.sv` evaluates. What depends on the tables is checked in
`emulation/emulator/machine.py`.

Coded weights that end before `beats` do, or after, stop the core with BAD_WEIGHTS at their
instruction; ERROR_ADDRESS has where they begin. What the instruction had written by then is
undefined, and lies where its weights belong. An error of the bus in its beats comes first.

An unknown opcode, or a bit set that belongs to no field, stops the core with BAD_OPCODE. The
instructions before it are executed first, as far as tokens allow. A load or store outside the
memory stops it with AXI_DECERR."""

_MEANING: dict[Opcode, str] = {
    Opcode.LOAD_INPUT: """\
Gathers a box of an activation tensor into the input buffer. For every image n, block b, row y and
column x of the box,

    input[base + ((n * blocks + b) * rows + y) * pitch + x]
        = DRAM word (n * image_stride + b * block_stride + y * row_stride + x * column_step)

counted from `offset` in the segment. Strides above one row or column make the input views of a
strided convolution. The words between `columns` and `pitch` are left as they are: the input buffer
is four banks by address modulo 4, and with this pitch the four words of any 2 x 2 square of pixels
lie in different ones.""",
    Opcode.LOAD_WEIGHTS: """\
Reads `blocks * taps` matrices of weights. They lie in DRAM one after the other as
[block of input channels][tap][output lane][input lane]. The taps are those of the phase table
entries `phase_base` to `phase_base + phases - 1`, phase after phase, each in ascending order of
its tap bits.

With `winograd` clear, each tap is one word of the weight buffer. With `winograd` set, the taps g of
each phase, zeros elsewhere in the 3 x 3 window, become `(2G) g (2G)^T`, and the positions named in
the phase's `positions` are stored in ascending order. Block b begins at word
`base + b * (words a block)`.

In a build with two products a multiplier a word has two halves, one matrix for each block of output
channels of a pair; `half` says which of them is written, and the other stays as it is.

In a build with a decoder the weights may be coded: DRAM holds `beats` times 8 bytes, which give the
same weights in the same order. They are read in nibbles, the lower half of each byte first:

1. the codebook, 16 values as wide as the data;
2. with `coding` 1 the index of each weight into it; with `coding` 2 a bitmap for each 32 weights
   (8 nibbles, the first weight's bit first), and behind each bitmap the indices of the 32 weights
   five bitmaps before. A weight whose bit is set has an index, the others are zero. Five more
   bitmaps follow the last one; nothing depends on them;
3. nibbles that nothing depends on, to the end of the beat.""",
    Opcode.LOAD_PARAMS: f"""\
Reads `count` entries of the parameter buffer. An entry has `co_lanes` times {isa.PARAM_BYTES}
bytes; see the parameters below.""",
    Opcode.LOAD_TABLE: """\
Reads `count` entries of one of the tables; see the table entries below.""",
    Opcode.COMPUTE: """\
Adds the contribution of some blocks of input channels to the partial sums of a box of tiles. Let
[n, ty, tx] be a tile, t its number `(n * tiles_y + ty) * tiles_x + tx`, and b a block.

1. *Patch.* Position (i, j), 0 to 3 each, is the input-buffer word
   `input_base + ((n * blocks + b) * rows + y) * pitch + x` with
   `y = origin_y + tile * ty + i` and `x = origin_x + tile * tx + j`. It is zero outside the region
   (`rows` x `columns`), and outside the patch rows and columns that are read. With `winograd` set
   the patch Z becomes `B^T Z B`.
2. *Steps.* For every block, and in it for every step of the step table in order: the product of
   weight word `weight_base + b * weight_stride + word` (a matrix of output lanes x input lanes) and
   the patch at `position` (a vector of input lanes) is added to the accumulator; it overwrites the
   accumulator where the step has `first` set and b is 0. Successive steps may use the same
   accumulator. Position 16 reads zero and no weight.
3. *Outputs.* Direct: an accumulator belongs to one output (i, j) of its phase, and accumulators of
   one output are summed. Winograd: the accumulators of a phase are the matrix M, zero where there
   is none, and the outputs are `(A^T M A) >> 2`.
4. *Partial sums.* Word `psum_base + ((t * phases + p) * tile + i) * tile + j` holds output (i, j)
   of phase p. With `first` set the sum starts from the bias of the phase's parameter entry,
   otherwise from the partial-sum memory. With `last` clear it goes back there.
5. *Requantisation.* With `last` set the sum goes through the requantiser, with `activation` set
   also through the activation table, and into output-buffer word
   `output_base + (n * output_rows + Y) * output_columns + X`, where
   `Y = stride_y * (tile * ty + i) + row` and `X = stride_x * (tile * tx + j) + column`, with the
   row and column of the phase. It is dropped where Y or X lies outside the output region. If two
   phases have the same row and column, which of their outputs stays is undefined.

With `pair` set (in a build with two products a multiplier) all this is done for two blocks of
output channels, h = 0 with the lower and h = 1 with the upper halves of the weight words. The
partial sums of tile t begin at word `psum_base + (2 * t + h) * phases * tile * tile`, parameter
entries are `h * param_stride` further on, and the outputs of h = 1 follow those of h = 0 as if they
were further images. The weights of the lanes in `swap` lie in the other block's half. The sums over
the input lanes are those of [numerics](../design/numerics.md#two-products-a-multiplier): exact
under the conditions named there, and for a single block always.

Sums are modulo 2^32 (8-bit data) or 2^48 (16-bit data); `B`, `G`, `A`, the requantiser and the
table are defined in [numerics](../design/numerics.md).""",
    Opcode.STORE: """\
Writes a box of the output buffer, one block of channels, to DRAM. For every image n, row y and
column x,

    DRAM word (n * image_stride + y * row_stride + x), counted from `offset` in the segment
        = output[base + (n * rows + y) * columns + x]""",
}

_TABLE_MEANING: dict[Table, str] = {
    Table.STEP: "What the multipliers do, cycle by cycle, for one block of input channels.",
    Table.ACCUMULATOR: "What each accumulator stands for.",
    Table.PHASE: "The output phases of a pass: where they lie, and which weights they have.",
}


def registers_page() -> str:
    """The register reference as Markdown."""
    parts = [
        _title("Registers", "driver/winogen/target/registers.py"),
        _REGISTER_RULES,
        "## Access",
        _table(["access", "meaning"], [[f"`{a}`", text] for a, text in _ACCESS.items()]),
        "## Overview",
        _table(
            ["offset", "name", "access", "reset", "meaning"],
            [
                [f"`0x{r.offset:03X}`", f"`{r.name}`", f"`{r.access}`", _reset(r), r.doc]
                for r in registers.REGISTERS
            ],
        ),
        "## Fields",
    ]
    for register in registers.REGISTERS:
        if register.fields:
            parts += [
                f"### {register.name}",
                f"{_sentence(register.doc)} Offset `0x{register.offset:03X}`, `{register.access}`.",
                _bit_table(register.fields),
            ]
    parts += [
        "## Error codes",
        "Values of `ERROR_CODE.code`. `ERROR_INSTRUCTION` holds the index of the instruction in "
        "the stream, `ERROR_ADDRESS` the bus address for "
        + " and ".join(f"`{code.name}`" for code in ErrorCode if code.has_address)
        + ".",
        _table(
            ["code", "name", "meaning"],
            [[str(int(code)), f"`{code.name}`", code.text] for code in ErrorCode],
        ),
        "## Engines",
        "Values of `ERROR_CODE.engine`. The first three execute instructions; errors of the "
        "stream itself come from fetch.",
        _table(
            ["value", "engine", "instructions"],
            [
                [
                    str(int(engine)),
                    engine.name.lower(),
                    ", ".join(f"`{o.name}`" for o in Opcode if o.engine is engine) or "none",
                ]
                for engine in Engine
            ],
        ),
        "## Segments",
        "Instructions address DRAM as a segment and a byte offset from its base.",
        _table(
            ["value", "segment", "base register"],
            [
                [
                    str(int(s)),
                    s.name.lower(),
                    f"`{s.name}_BASE_LO` at `0x{registers.offset(f'{s.name}_BASE_LO'):03X}`",
                ]
                for s in Segment
            ],
        ),
        "## Windows",
        _WINDOW_RULES,
        _table(
            ["windows", "in which", "registers from"],
            [
                [
                    str(count),
                    access.text,
                    f"`{window_names(access)[0]}_FIRST` at "
                    f"`0x{registers.offset(f'{window_names(access)[0]}_FIRST'):03X}`",
                ]
                for access, count in WINDOWS.items()
            ],
        ),
        "## Trace",
        _TRACE_RULES,
        "## Counters",
        "64-bit counters of the last stream. Starting a stream and soft reset clear them. On the "
        "emulated device they come from the cost model (see "
        "[architecture](../design/architecture.md)).",
        _table(
            ["offset", "counter", "meaning"],
            [
                [f"`0x{registers.offset(f'{name}_LO'):03X}`", f"`{name}`", doc]
                for name, doc in registers.COUNTERS
            ],
        ),
        "## Running a stream",
        _RUN_RULES,
    ]
    return _page(parts)


def instructions_page() -> str:
    """The instruction reference as Markdown."""
    header = isa.FIELDS[Opcode.COMPUTE]
    parts = [
        _title("Instructions", "driver/winogen/target/isa.py"),
        _STREAM_RULES,
        "## Opcodes",
        _table(
            ["opcode", "name", "engine"],
            [
                [str(int(o)), f"[`{o.name}`](#{o.name.lower()})", o.engine.name.lower()]
                for o in Opcode
            ],
        ),
        "## Header",
        "The first fields of word 0 are the same in every instruction.",
        _field_table(header[name] for name in isa.HEADER),
        "## Tokens",
        _TOKEN_RULES,
    ]
    for opcode in Opcode:
        fields = [f for f in isa.FIELDS[opcode].values() if f.name not in isa.HEADER]
        parts += [f"## {opcode.name}", _MEANING[opcode], _field_table(fields)]
    parts += [
        "## Table entries",
        "Entries lie in DRAM little-endian, one after the other.",
    ]
    for table in Table:
        parts.append(f"### {table.name.capitalize()} table")
        size = isa.TABLE_ENTRY_BYTES[table]
        if table in isa.TABLE_FIELDS:
            parts += [
                f"Table {int(table)}, {size} bytes an entry. {_TABLE_MEANING[table]}",
                _bit_table(isa.TABLE_FIELDS[table]),
            ]
        else:
            parts.append(
                f"Table {int(table)}, {size} bytes an entry: {TABLE_ENTRIES} signed 16-bit values. "
                "The core interpolates linearly between neighbouring entries (see "
                "[numerics](../design/numerics.md))."
            )
    parts += [
        "## Parameters",
        f"The constants of one output channel, {isa.PARAM_BYTES} bytes, little-endian. An entry of "
        "the parameter buffer holds those of `co_lanes` channels. Shifts are 1 to "
        f"{MAX_SHIFT}.",
        _bit_table(isa.PARAM_FIELDS),
        "## What is refused",
        _REFUSALS,
        *_refusals(),
        _MORE_REFUSALS,
    ]
    return _page(parts)


def _refusals() -> list[str]:
    """The rules of every opcode as tables: what must not be zero, hold, or end beyond a memory."""
    zero, forbidden, ends = [], [], []
    for opcode, rules in RULES.items():
        name = f"`{opcode.name}`"
        for rule in rules:
            if isinstance(rule, NotZero):
                zero.append([name, ", ".join(f"`{field}`" for field in rule.names)])
            elif isinstance(rule, Forbidden):
                forbidden.append([name, f"`{rule.condition}`", rule.why])
            elif isinstance(rule, Within):
                memory = rule.memory or "the table"
                depth = f"`{MEMORIES[memory]}`" if memory in MEMORIES else "its entries"
                ends.append([name, f"`{rule.end}`", memory, depth])
    return [
        _table(["instruction", "not zero"], zero),
        _table(["instruction", "refused if", "since"], forbidden),
        _table(["instruction", "end", "of", "at most"], ends),
    ]


#: What is generated, by file name.
PAGES: dict[str, Callable[[], str]] = {
    "registers.md": registers_page,
    "instructions.md": instructions_page,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the references into a folder; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m winogen.target.isadoc",
        description="Generate the register and instruction references.",
    )
    parser.add_argument("folder", type=Path, help="folder to write to")
    folder = parser.parse_args(arguments).folder
    try:
        for name, page in PAGES.items():
            write_atomically(folder / name, page().encode())
    except InputError as error:
        print(f"winogen.target.isadoc: {error}", file=sys.stderr)
        return 2
    return 0


def _title(title: str, source: str) -> str:
    return (
        f"# {title}\n\n<!-- Generated: do not edit. -->\n\n"
        f"Generated from [`{source}`](../../{source}) by `{COMMAND}`."
    )


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _bits(lsb: int, width: int) -> str:
    return str(lsb) if width == 1 else f"{lsb + width - 1}:{lsb}"


def _bit_table(fields: Iterable[registers.Field | isa.InstructionField]) -> str:
    return _table(
        ["bits", "field", "width", "meaning"],
        [[_bits(f.lsb, f.width), f"`{f.name}`", str(f.width), f.doc] for f in fields],
    )


def _field_table(fields: Iterable[isa.InstructionField]) -> str:
    return _table(
        ["word", "bits", "field", "width", "sign", "meaning"],
        [
            [
                str(f.word),
                _bits(f.lsb, f.width),
                f"`{f.name}`",
                str(f.width),
                "signed" if f.signed else "unsigned",
                f.doc,
            ]
            for f in fields
        ],
    )


def _reset(register: registers.Register) -> str:
    built = register.name in ("CONFIG_HASH", "CAPABILITY") or register.name.endswith("_DEPTH")
    return "build" if built else f"`0x{register.reset:X}`"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main())
