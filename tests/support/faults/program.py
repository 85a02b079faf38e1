"""Program files that are no such, damaged, of another time, or made to do harm."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from support.bench import small
from support.faults.kinds import Expected, fault, refused
from support.faults.on_commands import OnCommand, run_program
from support.program_files import FIXED, parts, sealed
from winogen.program.container import MAGIC
from winogen.target import isa
from winogen.target.isa import Opcode

#: No file is worth more than this to say that it is none.
_ROOM = 32 << 20


_FOREIGN = "is not a winogen program"


def _bytes(
    name: str, what: str, change: Callable[[bytes], bytes], *words: str, memory: int = _ROOM
) -> None:
    """The file's bytes are changed; then they are put back."""

    def inject(stage: OnCommand) -> Any:
        whole = stage.file.read_bytes()
        stage.file.write_bytes(change(whole))
        yield
        stage.file.write_bytes(whole)

    expected = refused("exit 2", "small.wg", *words)
    fault(name, run_program, expected, what=what, memory=memory)(inject)


def _header(
    name: str, what: str, change: Callable[[Any, list[bytes]], object], *words: str
) -> None:
    """The header or the sections are changed, and the file has a right checksum."""

    def changed(whole: bytes) -> bytes:
        header, sections = parts(whole)
        change(header, sections)
        return sealed(json.dumps(header).encode(), sections)

    _bytes(name, what, changed, *words)


_bytes("program empty", "The file has no bytes.", lambda d: b"", "is empty")
_bytes(
    "program cut in its header",
    "The file ends within its header.",
    lambda d: d[:300],
    "is truncated: its header needs",
)
_bytes(
    "program cut in half",
    "The file ends within its weights.",
    lambda d: d[: len(d) // 2],
    "damaged",
)
_bytes("program too long", "Bytes follow behind the file's end.", lambda d: d + b"more", "damaged")
_bytes(
    "program's digest is wrong",
    "A bit of the weights flips in the file.",
    lambda d: d[: len(d) // 2] + bytes([d[len(d) // 2] ^ 1]) + d[len(d) // 2 + 1 :],
    "damaged",
)
_bytes("program is text", "Somebody's notes.", lambda d: b"# notes\n" * 50, _FOREIGN)
_bytes("program is an archive", "A zip file.", lambda d: b"PK\3\4" + bytes(200), _FOREIGN)
_bytes(
    "program's header is not JSON",
    "The header is no JSON, under a right checksum.",
    lambda d: sealed(b"{" * 100, parts(d)[1]),
    "header",
)
_bytes(
    "program's header is too deep",
    "Lists within lists, 100,000 deep.",
    lambda d: sealed(b"[" * 100_000 + b"]" * 100_000, parts(d)[1]),
    "header",
)
_bytes(
    "program's header is too large",
    "A header that says that it has 2 GB.",
    lambda d: MAGIC + struct.pack("<I", 2**31 - 1) + d[FIXED:],
    "is truncated",
)
_header(
    "program of a later version",
    "The file's format is of a later winogen.",
    lambda h, s: h.update(format=99),
    "format version",
)
_header(
    "program for another instruction set",
    "The file's instructions are of another version.",
    lambda h, s: h.update(isa=h["isa"] + 1),
    "isa version",
)
_header(
    "program for another build",
    "The header's build has other lanes than its hash says.",
    lambda h, s: h["board"]["core"].update(tile_lanes=4),
    "configuration hash does not match",
)
_header(
    "program without end",
    "The prediction is 2⁶¹ cycles: no deadline would ever come.",
    lambda h, s: h["streams"][0].update(cycles=1 << 61),
    "predicted cycles",
)
_header(
    "program's board is a path",
    "The board's name leads out of its folder.",
    lambda h, s: h["board"].update(name="../../tmp/evil"),
    "name may hold letters",
)
_header(
    "program's scale is not a number",
    "A range of the header is NaN.",
    lambda h, s: h.update(output_range=[float("nan"), 1.0]),
    "range",
)
_header(
    "program's sections are too many",
    "The sections add up to more than the file.",
    lambda h, s: h.update(sections=[1 << 40] * len(h["sections"])),
    "sections",
)
_header(
    "program's batches are mixed up",
    "Streams are not in the order of their batches.",
    lambda h, s: h["streams"].reverse(),
    "not ascending from 1",
)


def _bomb(header: Any, sections: list[bytes]) -> None:
    sections[-1] = zlib.compress(bytes(60 << 20), 9)
    header["sections"] = [len(s) for s in sections]


def _outside(header: Any, sections: list[bytes]) -> None:
    instructions = small().program.streams[-1].instructions()
    next(x for x in instructions if x.opcode is Opcode.STORE).offset = 1 << 24
    sections[-1] = zlib.compress(isa.encode(instructions))
    header["sections"] = [len(s) for s in sections]


_header(
    "program's stream is a zip bomb",
    "A stream of 60 kB becomes 60 MB.",
    _bomb,
    "a stream has another length than its header says",
)
_header(
    "program stores outside its buffers",
    "A sealed file whose stream would write anywhere.",
    _outside,
    "reaches outside the",
)


def _in_its_place(name: str, what: str, make: Callable[[Any], object], expected: Expected) -> None:
    """Something else than a file is where the program was."""

    def inject(stage: OnCommand) -> None:
        whole = stage.file.read_bytes()
        stage.file.unlink()
        (stage.folder / "whole").write_bytes(whole)
        make(stage.file)

    fault(name, run_program, expected, what=what)(inject)


_in_its_place(
    "program missing",
    "There is no such file.",
    lambda p: None,
    refused("exit 2", "small.wg", "o such file"),
)
_in_its_place(
    "program is a folder",
    "A folder has its name.",
    lambda p: p.mkdir(),
    refused("exit 2", "small.wg", "directory"),
)
_in_its_place(
    "program is a pipe",
    "A FIFO has its name, and nobody writes to it.",
    os.mkfifo,
    refused("exit 2", "small.wg", "a pipe to which nobody has written"),
)
_in_its_place(
    "program is a link to itself",
    "A symlink that leads to itself.",
    lambda p: p.symlink_to(p),
    refused("exit 2", "small.wg", "symbolic links"),
)
_in_its_place(
    "program is a link to nowhere",
    "A symlink to a file that is gone.",
    lambda p: p.symlink_to("gone"),
    refused("exit 2", "small.wg", "o such file"),
)
_in_its_place(
    "program without end to read",
    "A symlink to /dev/zero.",
    lambda p: p.symlink_to("/dev/zero"),
    refused("exit 2", "small.wg", "a device"),
)


@fault("program's name commands a terminal", run_program, refused("exit 2", "o such file"))
def _(stage: OnCommand) -> None:
    """A name with escape sequences, of a file that is not there."""
    stage.file = stage.folder / "\x1b]0;owned\x07\x9b2J.wg"


@fault("program for another board's build", run_program, refused("exit 2", "board"))
def _(stage: OnCommand) -> None:
    """The program is for a build that the device given does not have."""
    program = small().program
    other = replace(program.board, core=replace(program.board.core, weight_depth=512))
    stage.file.write_bytes(replace(program, board=other).tobytes())
    stage.more = ["--board", "tiny"]
