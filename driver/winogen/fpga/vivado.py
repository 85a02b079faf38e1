"""Finding Vivado, and running a script with it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from winogen.common.errors import DeviceError
from winogen.common.process import run_program
from winogen.common.progress import Progress
from winogen.fpga.settings import VIVADO_RELEASES

_STAGE = re.compile(r"^winogen stage: (.*)$", re.MULTILINE)
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
#: Letters of a message that are repeated.
_LONGEST = 700
#: What a command says that has said why before.
_CONSEQUENCE = "failed due to earlier errors"


def find_vivado() -> Path:
    """The program ``vivado``: on PATH, or of the installation that XILINX_VIVADO names.

    Raises DeviceError if there is none.
    """
    places = [os.environ.get("PATH", "")]
    if installation := os.environ.get("XILINX_VIVADO"):
        places.append(str(Path(installation) / "bin"))
    found = shutil.which("vivado", path=os.pathsep.join(places))
    if found is None:
        raise DeviceError(
            "the program 'vivado' is missing (it is not on PATH, and XILINX_VIVADO names no "
            f"installation of it): install AMD Vivado ML Standard, free, {VIVADO_RELEASES[0]} to "
            f"{VIVADO_RELEASES[1]}, from https://www.xilinx.com/support/download.html and source "
            "its settings64.sh"
        )
    return Path(found)


def run_vivado(vivado: Path, script: Path, arguments: list[str], log: Path, seconds: float) -> None:
    """Run a Tcl script in the folder of ``log``, where all that Vivado says goes.

    Raises DeviceError if it fails or has not ended after so many seconds.
    """
    options = ["-mode", "batch", "-nojournal", "-nolog", "-source", str(script)]
    command: list[str | Path] = [vivado, *options, "-tclargs", *arguments]
    with Progress("Vivado") as progress:
        code = run_program(
            "Vivado", command, log.parent, log, seconds, lambda: _last_stage(log), progress.stage
        )
    if code:
        raise DeviceError(f"Vivado failed (exit {code}): {_cause(log)}; its messages are in {log}")


def _last_stage(log: Path) -> str:
    return (_STAGE.findall(log.read_text(errors="replace")) or ["starting"])[-1]


def _cause(log: Path) -> str:
    """The scripts' own last words, or the first error of all where those name no cause."""
    errors = _ERROR.findall(log.read_text(errors="replace"))
    if not errors:
        return "no message"
    ours = errors[-1].startswith("[winogen]") and _CONSEQUENCE not in errors[-1]
    return str(errors[-1 if ours else 0]).strip()[:_LONGEST]
