"""Playing a stimulus with the bench for netlists, on Verilator."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from winogen.emulation.rtl.build import _find_tools
from winogen.fpga.stimulus import BENCH, bench
from winogen.target.hardware import include_folder

_WARNINGS = ("-Wno-fatal", "-Wno-style", "-Wno-TIMESCALEMOD", "-Wno-WIDTH")
_COMPILE = ("-std=c++20", "-fcoroutines", "-O0", "-w", "-DVM_COVERAGE=0", "-DVM_TRACE=0",
            "-DVM_TRACE_VCD=0", "-DVM_TRACE_FST=0", "-DVM_SC=0")  # fmt: skip
_SECONDS = 1800


def build(folder: Path, sources: Sequence[Path]) -> Path:
    """A program that plays the stimulus in ``folder``, whose sizes it has, on these sources.

    They have the wrapper for Vivado, ``winogen``, as their top level.
    """
    tools = _find_tools()
    work = folder / "obj"
    environment = {**os.environ, "VERILATOR_ROOT": str(tools.root)}
    command = [
        *(tools.verilator, "--cc", "--main", "--exe", "--timing", "--prefix", "Vtop"),
        *("--Mdir", work, f"-I{include_folder()}", f"-I{folder}", "--output-split", "20000"),
        *("--x-assign", "fast", "--x-initial", "fast", *_WARNINGS, "--top-module", BENCH),
    ]
    run([*command, *sources, bench()], folder, environment)
    include = tools.root / "include"
    names = ("verilated.cpp", "verilated_timing.cpp", "verilated_threads.cpp")
    units = [*sorted(work.glob("*.cpp")), *(include / name for name in names)]
    objects = [work / f"{unit.stem}.o" for unit in units]
    folders = [f"-I{include}", f"-I{include / 'vltstd'}", f"-I{work}"]

    def compile_(pair: tuple[Path, Path]) -> None:
        unit, made = pair
        run([tools.compiler, *_COMPILE, *folders, "-c", unit, "-o", made], folder)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_, zip(units, objects)))
    program = folder / "simulation"
    run([tools.compiler, *objects, "-pthread", "-o", program], folder)
    return program


def play(program: Path, folder: Path) -> str:
    """The verdict on the stimulus in ``folder``: a line that begins with PASS or FAIL."""
    text = run([program], folder)
    verdicts = [line for line in text.splitlines() if line.startswith(("PASS", "FAIL"))]
    return min(verdicts, default=text)  # a failure counts, whatever is said besides


def run(
    command: Sequence[str | Path], folder: Path, environment: dict[str, str] | None = None
) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, timeout=_SECONDS,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
