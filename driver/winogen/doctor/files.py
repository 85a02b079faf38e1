"""Check of an overlay's two files before anything of them is loaded: for this FPGA, and a pair."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from winogen.common.errors import DeviceError
from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.runtime.overlay import bundled_overlay
from winogen.target.handoff import Handoff, read_handoff

#: The header of a .bit has a few hundred bytes.
_HEADER_BYTES = 4096
_PAIR = "copy winogen.bit and winogen.hwh of one build, both in one go"


class Header(NamedTuple):
    """What the header of a .bit tells; empty where it does not.

    Attributes
    ----------
    part : FPGA and package, as ``7z020clg400``
    vivado : version of the Vivado that made it
    made : when that was, by that machine's clock
    """

    part: str
    vivado: str
    made: datetime | None


def overlay_files(bench: Bench) -> str:
    """The bitstream is for this FPGA, and the .hwh beside it is of the same build."""
    if not bench.is_hardware:
        raise Skipped(f"--device {bench.kind} brings its own overlay")
    try:
        said = getattr(bench.bare, "board_name", None)
        path = bench.overlay or bundled_overlay(bench.board, said)
    except DeviceError as error:
        raise Skipped(f"no bitstream to look at: {error}") from None
    header = read_header(path)
    if header is None:
        raise Failed(f"{_name(path)} is no bitstream with a header", _PAIR)
    wanted = bench.board.part.lower()
    # xc7z020clg400-1 has the part 7z020clg400; of newer families the header says all of it.
    if header.part.lower() not in (wanted, wanted.removeprefix("xc").rpartition("-")[0]):
        raise Failed(
            f"{_name(path)} is for the FPGA {printable(header.part)}, and {bench.board.name} has "
            f"{wanted}",
            "build the overlay for this board, or give the one that was (--overlay)",
        )
    hwh = path.with_suffix(".hwh")
    if not hwh.is_file():
        raise Failed(f"{_name(hwh)} is missing beside {_name(path)}", _PAIR)
    handoff = read_handoff(path)
    if handoff is None or not handoff.processor:
        raise Failed(
            f"{_name(hwh)} is damaged, or names no processing system that pynq can use", _PAIR
        )
    _match(path, header, handoff)
    vivado = f", Vivado {printable(header.vivado)}" if header.vivado else ""
    return f"{_name(path)} is for {printable(header.part)}{vivado}, and its .hwh fits"


def read_header(path: Path) -> Header | None:
    """The header of a .bit; None where the file has none, or cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_HEADER_BYTES)
        (length,) = struct.unpack_from(">H", data)
        at, fields = 2 + length + 2, {}
        while (key := data[at : at + 1]) != b"e":
            (length,) = struct.unpack_from(">H", data, at + 1)
            fields[key] = data[at + 3 : at + 3 + length].rstrip(b"\0").decode("ascii")
            at += 3 + length
        version = fields[b"a"].rpartition("Version=")[2] if "Version=" in fields[b"a"] else ""
        return Header(fields[b"b"], version, _time(fields.get(b"c", ""), fields.get(b"d", "")))
    except (OSError, struct.error, ValueError, KeyError):
        return None


def _match(path: Path, header: Header, handoff: Handoff) -> None:
    hwh = _name(path.with_suffix(".hwh"))
    part = header.part.lower().replace("-", "")
    if handoff.part.lower() not in part:
        raise Failed(
            f"{hwh} is of a design for {printable(handoff.part)}, and {_name(path)} is for "
            f"{printable(header.part)}",
            _PAIR,
        )
    if header.vivado and handoff.vivado and not _same(header.vivado, handoff.vivado):
        raise Failed(
            f"{hwh} is Vivado {printable(handoff.vivado)}'s, and {_name(path)} was made with "
            f"{printable(header.vivado)}",
            _PAIR,
        )
    # A design is written before its bitstream is.
    if header.made and handoff.written and handoff.written > header.made:
        raise Failed(
            f"{hwh} was written {handoff.written}, after {_name(path)} ({header.made}): it is of "
            "another build",
            _PAIR,
        )


def _same(one: str, other: str) -> bool:
    """2020.2 is 2020.2.2 to a bitstream."""
    short, long = sorted((one.split("."), other.split(".")), key=len)
    return long[: len(short)] == short


def _time(day: str, clock: str) -> datetime | None:
    try:
        return datetime.strptime(f"{day} {clock}", "%Y/%m/%d %H:%M:%S")
    except ValueError:
        return None


def _name(path: Path) -> str:
    return printable(path.name)
