"""The programs and databases of the open flow beside Yosys: which there are, and which are missing.

They are used where they are found: programs on PATH, databases where two environment variables say,
the ones that openXC7's own makefiles have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winogen.common.errors import DeviceError

#: Names of place and route, the one that is preferred first.
NEXTPNR = ("nextpnr-himbaechel-xilinx", "nextpnr-himbaechel", "nextpnr-xilinx")
#: Option of nextpnr without which its placer gives up on a design of 46,341 cells and more after
#: 10,000 attempts for one cell.
PATIENCE = "--placer-heap-cell-placement-timeout"
FRAMES = ("fasm2frames", "fasm2frames.py")
BITSTREAM = ("xc7frames2bit",)
#: nextpnr's database of the device: a file, or a folder of such files.
CHIPDB = "CHIPDB"
#: Project X-Ray's database of all devices.
DATABASE = "PRJXRAY_DB_DIR"
#: The family that the flow is for, as a folder of that database.
FAMILY = "zynq7"
#: Seconds that place and route may take to print its options.
_HELP_SECONDS = 60
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
    himbaechel : place and route is nextpnr-himbaechel, whatever it is called: other options
    patient : place and route takes a limit for the attempts to place a cell
    chipdb : nextpnr's database of the device; None where nextpnr finds its own
    database : folder of Project X-Ray's database with the family
    part_file : the part's description in it
    """

    nextpnr: Path
    frames: Path
    bitstream: Path
    himbaechel: bool
    patient: bool
    chipdb: Path | None
    database: Path
    part_file: Path


def find_tools(part: str) -> OpenTools:
    """The tools for a part; DeviceError names all that are missing, and where to get them."""
    programs = [_program(names) for names in (NEXTPNR, FRAMES, BITSTREAM)]
    chipdb = _chipdb(part)
    words = _help(programs[0]) if programs[0] else ""
    # The older program has --fasm; the newer one hands FASM's name to its Xilinx part.
    himbaechel = "--vopt" in words
    if programs[0] and not himbaechel and "--fasm" not in words:
        himbaechel = programs[0].name != NEXTPNR[-1]
    database = Path(os.environ.get(DATABASE) or ".") / FAMILY
    part_file = database / part / "part.yaml"
    missing = list(_missing(programs, chipdb is None and not himbaechel, part_file, part))
    if missing:
        raise DeviceError(f"the open flow misses {', '.join(missing)}: {_WHERE}")
    nextpnr, frames, bitstream = (program for program in programs if program)
    patient = PATIENCE in words
    return OpenTools(nextpnr, frames, bitstream, himbaechel, patient, chipdb, database, part_file)


def _help(program: Path) -> str:
    """What a program says of its options; nothing where it says nothing."""
    try:
        with tempfile.TemporaryDirectory() as folder:  # whatever it leaves where it is called
            done = subprocess.run(
                [program, "--help"], capture_output=True, text=True, errors="replace", cwd=folder,
                timeout=_HELP_SECONDS, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""  # the build says what is wrong with it
    return done.stdout + done.stderr


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
            yield f"the program {' or '.join(reversed(names))} (not on PATH)"
    if chipdb:
        yield f"nextpnr's chip database of {part} ({_state(CHIPDB)})"
    if not os.environ.get(DATABASE) or not part_file.is_file():
        file = f"{FAMILY}/{part}/part.yaml"
        yield f"Project X-Ray's database with the file {file} ({_state(DATABASE)})"


def _state(variable: str) -> str:
    value = os.environ.get(variable)
    return f"{variable} is {value}" if value else f"{variable} is not set"
