"""Building an overlay without Vivado: Yosys, nextpnr, Project X-Ray.

SystemVerilog -> netlist (Yosys) -> placed and routed (nextpnr) -> FASM -> frames -> .bit; the .hwh
is written here, by what writes the emulated device's. The processing system is an instance in the
top level, so there is no block design and nothing of AMD's.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

from winogen.common.errors import BoardError, DeviceError, one_line
from winogen.common.files import write_atomically
from winogen.common.process import run_program
from winogen.common.progress import Progress
from winogen.fpga import results
from winogen.fpga.cascades import cascades, most_cascades
from winogen.fpga.clocks import LogicClock, lower_clocks, wanted_clock
from winogen.fpga.open_tools import PATIENCE, OpenTools, find_tools
from winogen.fpga.settings import overlay_settings
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.target.bitfile import STEM
from winogen.target.board import Board, Platform
from winogen.target.clock import PLLS, PlClock
from winogen.target.hardware import hardware_folder, parameters, rtl_headers, rtl_sources
from winogen.target.hwh import core_parameters, hwh_text

TOP = "winogen_open"
#: Folder of the work beside the results: sources, netlist, FASM, logs.
WORK = "open"
#: The device that there are databases for, with the package of the PYNQ boards.
PART = "xc7z020clg400"
_MAKER = "built by winogen with Yosys and nextpnr"
_SCRIPT, _NETLIST = "open.ys", "open.json"
_FASM, _FRAMES = f"{STEM}.fasm", f"{STEM}.frames"
_FREQUENCY = re.compile(r"Max frequency for clock +'([^']*)': +([\d.]+) MHz")
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
#: Bytes at the end of a log that are read to see what a program is at.
_TAIL = 4096


def open_sources() -> list[Path]:
    """The SystemVerilog files that the open flow has beside the accelerator's."""
    return sorted((hardware_folder() / "open").glob("*.sv"))


def build_open(board: Board, folder: Path, seconds: float, *, ignore_checks: bool = False) -> Path:
    """Build the overlay of a Zynq-7020 board with open tools.

    The .hwh has the fastest clock of both PLLs that nextpnr's estimate allows, from the board's
    down to half of it (:func:`winogen.target.handoff.read_handoff`).

    Parameters
    ----------
    board : the board and the build of the accelerator
    folder : where the results go; made if it is not there
    seconds : deadline of all programs together
    ignore_checks : go on with an array that stock versions of nextpnr cannot place

    Returns
    -------
    pathlib.Path
        ``winogen.bit``, with ``winogen.hwh`` beside it. Both are replaced only if both were made.

    Raises
    ------
    BoardError
        If the board has another device, or an array that cannot be placed.
    DeviceError
        If a program or a database is missing, a program fails or takes longer, or half of the
        board's clock is not reached; the logs are kept.
    """
    open_hwh(board)  # a board that cannot be built needs no tools
    if not ignore_checks:
        check_cascades(board)
    yosys, tools = _tools(board)
    work = folder.resolve() / WORK
    made = work / "results"
    try:
        results.clear(made)
        with Progress("open flow") as progress:
            run = _Runner(work, time.monotonic() + seconds, progress)
            _synthesise(board, yosys, work, run)
            log = run("nextpnr", nextpnr_command(tools, board), _FASM)
            clock = reached_clock(log.read_text(errors="replace"), board, log)
            run("fasm2frames", frames_command(tools, board), _FRAMES)
            bit = f"{made.name}/{STEM}.bit"
            log = run("xc7frames2bit", bitstream_command(tools, board, bit), bit)
            check_bitstream(work / bit, log)
        write_atomically(made / f"{STEM}.hwh", open_hwh(board, clock).encode())
        return results.publish(made, folder, "xc7frames2bit", log)
    except OSError as error:
        raise DeviceError(f"cannot build the overlay in {folder}: {one_line(error)}") from None


def _tools(board: Board) -> tuple[Yosys, OpenTools]:
    """What builds it; DeviceError names all at once that is missing."""
    found: list[Any] = []
    missing = []
    for find in (find_yosys, partial(find_tools, board.part)):
        try:
            found.append(find())
        except DeviceError as error:
            missing.append(str(error))
    if missing:
        raise DeviceError("; ".join(missing))
    yosys, tools = found
    return yosys, tools


def check_cascades(board: Board) -> None:
    """Raise BoardError where stock versions of nextpnr cannot place the multiplier array."""
    core = board.core
    count, most = cascades(core), most_cascades(core)
    if count > most:
        raise BoardError(
            f"board '{board.name}': its array is {count} cascades of {core.ci_lanes} DSPs, and "
            f"stock versions of nextpnr place at most {most} on this device, as a cascade may not "
            "cross a clock row there; build --board pynq-z2-open, or go on nevertheless with "
            "--ignore-checks"
        )


def open_hwh(board: Board, clock: LogicClock | None = None) -> str:
    """The .hwh of the board's open build, with its own or another clock.

    Raises BoardError for a board that has none.
    """
    if not board.part.startswith(PART):
        raise BoardError(
            f"the open flow is for the {PART} of the PYNQ-Z1 and Z2, and board '{board.name}' has "
            f"the part '{board.part}'; --tool vivado builds for other Zynqs"
        )
    platform = _platform(board)
    clock = clock or wanted_clock(board, platform)
    if PLLS.get(platform.clock_source, (0, None))[1] != platform.source_mhz:
        raise BoardError(
            f"board '{board.name}': its clock_source, {platform.clock_source} at "
            f"{platform.source_mhz:g} MHz, is none of "
            + ", ".join(f"{name} at {mhz:g} MHz" for name, (_, mhz) in PLLS.items())
        )
    return hwh_text(
        core_parameters(board.core),
        PlClock(clock.divisor0, clock.divisor1, clock.source),
        platform.ddr_mib << 20,
        _MAKER,
    )


def _platform(board: Board) -> Platform:
    overlay_settings(board, Path())  # which says what a board cannot be built for
    assert board.platform is not None
    return board.platform


def yosys_script(board: Board, sources: Sequence[Path], threads: str = "") -> str:
    """The synthesis of a build, for sources that lie beside the script."""
    settings: dict[str, Any] = overlay_settings(board, Path())
    values = parameters(board.core)
    for name, key in (("Core", "core"), ("Intc", "interrupt_controller")):
        for what, number in (("Base", "base"), ("Bytes", "range")):
            values[f"{name}{what}"] = f"32'h{int(settings[key][number], 16):08x}"
    return Template((hardware_folder() / "synth" / _SCRIPT).read_text()).substitute(
        top=TOP,
        threads=threads,
        parameters=" ".join(f"-G {name}={value}" for name, value in values.items()),
        sources=" ".join(path.name for path in sources),
    )


def nextpnr_command(tools: OpenTools, board: Board) -> list[str | Path]:
    """Place and route, with the board's clock as the target; a missed one is no failure here."""
    command: list[str | Path] = [tools.nextpnr]
    if tools.himbaechel:
        command += ["--device", board.part]
    if tools.chipdb:
        command += ["--chipdb", tools.chipdb]
    command += ["--json", _NETLIST]
    command += ["-o", f"fasm={_FASM}"] if tools.himbaechel else ["--fasm", _FASM]
    if tools.patient:
        command += [PATIENCE, "0"]  # none: the build has its deadline
    return [*command, "--freq", f"{board.clock_mhz:g}", "--timing-allow-fail", "--seed", "1"]


def frames_command(tools: OpenTools, board: Board) -> list[str | Path]:
    """FASM to configuration frames."""
    part = ("--part", board.part, "--db-root", tools.database)
    return [tools.frames, *part, _FASM, _FRAMES]


def bitstream_command(tools: OpenTools, board: Board, bit: str) -> list[str | Path]:
    """Configuration frames to the file ``bit``."""
    part = ("--part_file", tools.part_file, "--part_name", board.part)
    return [tools.bitstream, *part, "--frm_file", _FRAMES, "--output_file", bit]


def reached_clock(text: str, board: Board, log: Path) -> LogicClock:
    """The clock to run the routed design at, by what nextpnr reports in ``text``.

    It is the board's, or the next lower one of both PLLs that is no faster than the slowest clock
    of the design. Raises DeviceError if there is none, or it is below half of the board's.
    """
    reached = {clock: float(mhz) for clock, mhz in _FREQUENCY.findall(text)}  # the last one counts
    if not reached:
        raise DeviceError(f"nextpnr has reported no clock; its messages are in {log}")
    slowest = min(reached.values())
    platform = _platform(board)
    clocks = [wanted_clock(board, platform), *lower_clocks(board, platform)]
    found = next((clock for clock in clocks if clock.mhz <= slowest), None)
    if found is None:
        raise DeviceError(
            f"timing is missed: nextpnr reaches {slowest:.2f} MHz, {board.name} is clocked at "
            f"{board.clock_mhz:g} MHz, and the slowest clock that is tried is "
            f"{clocks[-1].mhz:.6g} MHz (see {log}); lower clock_mhz in the board file"
        )
    return found


def check_bitstream(bit: Path, log: Path) -> None:
    """Raise DeviceError if pynq could not load the file: xc7frames2bit ends well on a full disk."""
    from pynq.pl_server.embedded_device import bit2bin

    try:
        size = len(bit2bin(bit.read_bytes()))
    except (RuntimeError, ValueError, IndexError, KeyError, struct.error) as error:
        raise DeviceError(
            f"xc7frames2bit made a {bit.name} that pynq cannot read ({one_line(error)}); its "
            f"messages are in {log}"
        ) from None
    if not size:
        raise DeviceError(f"xc7frames2bit made an empty {bit.name}; its messages are in {log}")


class _Runner:
    """Runs the programs of one build in its folder, one after the other, until its deadline."""

    def __init__(self, work: Path, end: float, progress: Progress) -> None:
        self.work, self.end, self.progress = work, end, progress

    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.end - time.monotonic())

    def __call__(self, name: str, command: Sequence[str | Path], makes: str) -> Path:
        """The log of a program that has ended well and has made a file; DeviceError otherwise."""
        log = self.work / f"{name}.log"
        (self.work / makes).unlink(missing_ok=True)  # of an earlier build
        doing: Callable[[], str] = lambda: _last_line(log)  # noqa: E731
        show: Callable[[str], None] = lambda line: self.progress.stage(f"{name}: {line}")  # noqa: E731
        code = run_program(name, command, self.work, log, self.left(), doing, show)
        if code:
            errors = _ERROR.findall(log.read_text(errors="replace"))
            cause = errors[-1].strip() if errors else _last_line(log)
            raise DeviceError(
                f"{name} failed (exit {code}): {cause[:300]}; its messages are in {log}"
            )
        if not (self.work / makes).is_file():
            raise DeviceError(f"{name} ended without {makes}; its messages are in {log}")
        return log


def _synthesise(board: Board, yosys: Yosys, work: Path, run: _Runner) -> None:
    """Write the netlist for nextpnr into ``work``, with all that it was made from."""
    run.progress.stage(f"synthesis, by {yosys.name} (minutes)")
    sources = [*rtl_sources(), *open_sources()]
    for source in [
        *rtl_headers(),
        *sources,
    ]:  # Yosys splits its commands at spaces, which paths may have
        (work / source.name).write_bytes(source.read_bytes())
    (work / _NETLIST).unlink(missing_ok=True)
    (work / _SCRIPT).write_text(yosys_script(board, sources, yosys.threads))
    yosys.run(work / _SCRIPT, work / "yosys.log", run.left())
    if not (work / _NETLIST).is_file():
        raise DeviceError(f"{yosys.name} ended without {_NETLIST}; its messages are in {work}")


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no message")[:100]
