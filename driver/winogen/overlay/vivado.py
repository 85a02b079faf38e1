"""Finding Vivado, and running a script with it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from winogen.errors import DeviceError
from winogen.overlay.settings import VIVADO_RELEASES
from winogen.progress import Progress

_STAGE = re.compile(r"^winogen stage: (.*)$", re.MULTILINE)
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
#: What a command says that has said why before.
_CONSEQUENCE = "failed due to earlier errors"
#: Seconds between two looks at the log.
_PAUSE = 0.2


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
    with log.open("wb") as output, Progress("Vivado") as progress:
        try:
            process = subprocess.Popen(
                [str(vivado), *options, "-tclargs", *arguments],
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"cannot start {vivado}: {error.strerror or error}") from None
        try:
            _wait(process, log, time.monotonic() + seconds, progress)
        except TimeoutError:
            raise DeviceError(
                f"Vivado has not finished in {seconds:g} s ({_last_stage(log)}); its messages are "
                f"in {log}"
            ) from None
        finally:
            _kill(process)
    if process.returncode:
        raise DeviceError(
            f"Vivado failed (exit {process.returncode}): {_cause(log)}; its messages are in {log}"
        )


def _wait(process: subprocess.Popen[bytes], log: Path, end: float, progress: Progress) -> None:
    """Until the process ends; TimeoutError if it has not at the time ``end``."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(_PAUSE, end - time.monotonic())))
            return
        if time.monotonic() >= end:
            raise TimeoutError
        progress.stage(_last_stage(log))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it has not ended, and what it has started (a run is a process each)."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _last_stage(log: Path) -> str:
    return (_STAGE.findall(log.read_text(errors="replace")) or ["starting"])[-1]


def _cause(log: Path) -> str:
    """The scripts' own last words, or the first error of all where those name no cause."""
    errors = _ERROR.findall(log.read_text(errors="replace"))
    if not errors:
        return "no message"
    ours = errors[-1].startswith("[winogen]") and _CONSEQUENCE not in errors[-1]
    return str(errors[-1 if ours else 0]).strip()[:300]
