"""Checks of what is in the logic: overlay, build, and whether a program is for it."""

from __future__ import annotations

from winogen.common.errors import BoardError, DeviceError, ProgramError, one_line
from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.program.file import Program
from winogen.target import registers

#: Where Linux says what became of the latest bitstream, and what it says if nothing is wrong.
_STATE = "/sys/class/fpga_manager/fpga0/state"
_SOUND = ("", "operating", "unknown")


def _fpga_manager(bench: Bench) -> str:
    """What a board's FPGA manager says; empty where there is none, or none can be asked."""
    try:
        return bench.text(_STATE).strip() if bench.is_hardware else ""
    except DeviceError:
        return ""


def overlay(bench: Bench) -> str:
    """The bitstream can be loaded and an accelerator of ours answers."""
    try:
        core = bench.core
    except (DeviceError, BoardError) as error:
        state = _fpga_manager(bench)
        why = f"; the FPGA manager says '{printable(state)}'" if state not in _SOUND else ""
        raise Failed(f"{error}{why}", "see docs/use/troubleshooting.md") from None
    except (OSError, RuntimeError, ValueError) as error:  # what pynq says
        raise Failed(
            f"the overlay cannot be loaded: {one_line(error)}",
            "run as root (sudo -E), and see docs/use/troubleshooting.md",
        ) from None
    name = bench.loaded.bitfile_name.rpartition("/")[2]
    text = f"{name} is loaded, the accelerator answers at 0x{core.mmio.base_addr:08x}"
    if core.lease.session.stopped:
        text += "; before, it stopped one that a killed program had left running"
    return text


def build(bench: Bench) -> str:
    """Every identity register says what the board's description says."""
    wanted = bench.board.core
    differing = [
        f"{name} {value} instead of {getattr(wanted, name)}"
        for name, value in bench.core.configuration().items()
        if value != getattr(wanted, name)
    ]
    found = bench.core.get("CONFIG_HASH")
    if found != wanted.config_hash32:
        differing.append(f"configuration {found:08x} instead of {wanted.config_hash32:08x}")
    if differing:
        raise Failed(
            f"the overlay is not the int{wanted.data_width} build of {bench.board.name}: "
            + ", ".join(differing),
            "load the overlay of this winogen, or give --board and --bits of the one that is "
            "loaded",
        )
    version = registers.unpack("VERSION", bench.core.get("VERSION"))
    return "{major}.{minor}.{patch}, ".format(**version) + (
        f"int{wanted.data_width} build of {bench.board.name}, configuration {found:08x}"
    )


def program(bench: Bench) -> str:
    """A program file is whole, and compiled for this build."""
    if bench.program is None:
        raise Skipped("no --program was given")
    if not bench.program.is_file():
        raise Failed(f"there is no file {bench.program}", "give the path of a .wg file")
    try:
        loaded = Program.load(bench.program)
        loaded.check_board(bench.board)
        bench.core.check_identity(loaded.core)
    except (ProgramError, DeviceError) as error:
        raise Failed(str(error), "compile the network again for this board") from None
    return f"network '{loaded.name}' is for this build"
