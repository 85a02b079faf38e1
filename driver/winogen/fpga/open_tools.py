"""The programs and databases of the open flow beside Yosys: which there are, and which are missing.

They are used where they are found: programs on PATH, databases where two environment variables say,
the ones that openXC7's own makefiles have.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winogen.common.errors import DeviceError

#: Names of place and route, the one that is preferred first.
NEXTPNR = ("nextpnr-xilinx", "nextpnr-himbaechel")
FRAMES = ("fasm2frames", "fasm2frames.py")
BITSTREAM = ("xc7frames2bit",)
#: nextpnr's database of the device: a file, or a folder of such files.
CHIPDB = "CHIPDB"
#: Project X-Ray's database of all devices.
DATABASE = "PRJXRAY_DB_DIR"
#: The family that the flow is for, as a folder of that database.
FAMILY = "zynq7"
_WHERE = (
    "they come with openXC7 (https://github.com/openXC7/toolchain-nix, or the packages of apio: "
    "https://github.com/FPGAwars/apio); see overlay/README.md"
)


@dataclass(frozen=True)
class OpenTools:
    """What there is.

    Attributes
    ----------
    nextpnr, frames, bitstream : programs: place and route, FASM to frames, frames to .bit
    chipdb : nextpnr's database of the device; None where nextpnr finds its own
    database : folder of Project X-Ray's database with the family
    part_file : the part's description in it
    """

    nextpnr: Path
    frames: Path
    bitstream: Path
    chipdb: Path | None
    database: Path
    part_file: Path


def find_tools(part: str) -> OpenTools:
    """The tools for a part; DeviceError names all that are missing, and where to get them."""
    programs = [_program(names) for names in (NEXTPNR, FRAMES, BITSTREAM)]
    chipdb = _chipdb(part)
    own = programs[0] is not None and programs[0].name == NEXTPNR[1]
    database = Path(os.environ.get(DATABASE) or ".") / FAMILY
    part_file = database / part / "part.yaml"
    missing = list(_missing(programs, chipdb is None and not own, part_file, part))
    if missing:
        raise DeviceError(f"the open flow misses {', '.join(missing)}: {_WHERE}")
    nextpnr, frames, bitstream = (program for program in programs if program)
    return OpenTools(nextpnr, frames, bitstream, chipdb, database, part_file)


def _program(names: tuple[str, ...]) -> Path | None:
    found = next(filter(None, map(shutil.which, names)), None)
    return Path(found) if found else None


def _chipdb(part: str) -> Path | None:
    """The database of the part, or of its die, whatever else is in the file's name."""
    named = os.environ.get(CHIPDB)
    if not named:
        return None
    path, package = Path(named), part.split("-")[0]
    if path.is_file():
        return path
    names = (f"*{package}*.bin", f"*{package[: len('xc7z020')]}*.bin")
    return next((file for name in names for file in sorted(path.glob(name))), None)


def _missing(
    programs: list[Path | None], chipdb: bool, part_file: Path, part: str
) -> Iterator[str]:
    for program, names in zip(programs, (NEXTPNR, FRAMES, BITSTREAM)):
        if program is None:
            yield f"the program {' or '.join(names)} (not on PATH)"
    if chipdb:
        yield f"nextpnr's chip database of {part} ({_state(CHIPDB)})"
    if not os.environ.get(DATABASE) or not part_file.is_file():
        file = f"{FAMILY}/{part}/part.yaml"
        yield f"Project X-Ray's database with the file {file} ({_state(DATABASE)})"


def _state(variable: str) -> str:
    value = os.environ.get(variable)
    return f"{variable} is {value}" if value else f"{variable} is not set"
