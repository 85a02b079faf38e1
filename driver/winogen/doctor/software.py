"""Checks of what is installed: Python, pynq, numpy, the board's image."""

from __future__ import annotations

import platform
import struct
import sys
from importlib import metadata

from winogen.common.missing import why_no_pynq
from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.target.board import board_names
from winogen.target.device_names import REMOTE

#: Where a PYNQ image says which release it is, and for which board it was made.
_REVISION = "/home/xilinx/REVISION"
_BOARD = "/proc/device-tree/chosen/pynq_board"
_DEVICES = "/dev/dri"
_AS_ROOT = "run this as root in PYNQ's environment: 'sudo -i', or 'source {}'"


def python(bench: Bench) -> str:
    """The interpreter is one that winogen supports."""
    version = platform.python_version()
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        raise Failed(
            f"Python {version} is not supported",
            "use Python 3.10, 3.11 or 3.12; on a board, the one of its PYNQ image",
        )
    return f"Python {version}, {8 * struct.calcsize('P')} bits, {platform.machine()}"


def pynq_version(bench: Bench) -> str:
    """The pynq that is installed works, and with this board."""
    version = _version("pynq")
    if not (3, 0, 1) <= _numbers(version) < (5,):
        raise Failed(
            f"pynq {version} is not supported",
            "install pynq 3.0.1 to 4 (on a board: flash PYNQ image 3.0.1 or 3.1)",
        )
    parser = _version("pycparser")
    if _numbers(version) < (4,) and _numbers(parser) >= (3,):
        raise Failed(
            f"pynq {version} cannot read an overlay with pycparser {parser}",
            "pip install 'pycparser<3'",
        )
    try:
        import pynq  # noqa: F401 (whether it can be imported is the question)
    except Exception as error:
        why, advice = why_no_pynq(error)
        raise Failed(f"pynq {version} cannot be imported: {why}", advice) from None
    name = bench.system.environment.get("BOARD", "")
    if bench.kind == "board" and name in ("Pynq-Z1", "Pynq-Z2") and _numbers(version) >= (4,):
        raise Failed(
            f"pynq {version} does not support {name} any more", "flash PYNQ image 3.0.1 or 3.1"
        )
    return f"pynq {version}"


def numpy_version(bench: Bench) -> str:
    """The numpy that is installed is within pynq's bounds."""
    version = _version("numpy")
    if not (1, 21) <= _numbers(version) < (2,):
        raise Failed(f"numpy {version} is not supported", "pip install 'numpy>=1.21,<2'")
    return f"numpy {version}"


def image(bench: Bench) -> str:
    """A PYNQ image says which board this is, and it is one that winogen knows."""
    if bench.kind == REMOTE:
        return _remote_image(bench)
    if bench.kind != "board":
        raise Skipped(f"--device {bench.kind} needs no board")
    system = bench.system
    name = system.environment.get("BOARD", "")
    if not name:
        raise Failed(
            "the environment variable BOARD is not set",
            _AS_ROOT.format("/etc/profile.d/boardname.sh") + ": PYNQ images set BOARD there",
        )
    if name.lower() not in board_names():
        raise Failed(
            f"winogen has no board {printable(name)}",
            f"boards that it knows: {', '.join(board_names())}; docs/use/boards.md says how to add "
            "one",
        )
    here = system.text(_BOARD).strip()
    if here.lower() not in ("", "unknown", name.lower()):
        raise Failed(
            f"BOARD is {printable(name)}, and the card's image was made for {printable(here)}",
            f"unset what sets BOARD, or flash the PYNQ image for {printable(name)}: with another "
            "board's the DRAM has the wrong timing",
        )
    release = next(iter(system.text(_REVISION).splitlines()), "release unknown").strip()
    return f"BOARD {name}, {printable(release)}"


def _remote_image(bench: Bench) -> str:
    """The same of a board that is driven over a network: it answers, and says which it is."""
    device = bench.bare
    if not device.board_name:
        raise Failed(
            f"{device.tag} does not say which board it is ({_BOARD})",
            "give --board, and --overlay with a bitstream that was built for it",
        )
    if device.board_name not in board_names():
        raise Failed(
            f"winogen has no board {printable(device.name)}",
            f"boards that it knows: {', '.join(board_names())}; docs/use/boards.md says how to add "
            "one",
        )
    return f"{device.tag} says that it is {printable(device.name)}, {printable(device.arch)}"


def rights(bench: Bench) -> str:
    """The user may reach registers and buffers."""
    if bench.kind != "board":
        raise Skipped(f"--device {bench.kind} needs none")
    if bench.system.user != 0:
        raise Failed(
            f"this is user {bench.system.user} and not root, who alone may reach registers "
            "(/dev/mem) and buffers",
            _AS_ROOT.format("/etc/profile.d/pynq_venv.sh' after 'sudo -s"),
        )
    return "root"


def xrt(bench: Bench) -> str:
    """XRT, from which pynq gets buffers, is there and in the environment."""
    if bench.kind != "board":
        raise Skipped(f"--device {bench.kind} needs no XRT")
    system = bench.system
    if not system.environment.get("XILINX_XRT"):
        raise Failed(
            "the environment variable XILINX_XRT is not set, and pynq finds no device without it",
            _AS_ROOT.format("/etc/profile.d/xrt_setup.sh"),
        )
    if system.program("xclbinutil") is None:
        raise Failed(
            "XRT's program xclbinutil is not on PATH, and pynq cannot load an overlay without it",
            _AS_ROOT.format("/etc/profile.d/xrt_setup.sh"),
        )
    if not any(name.startswith("render") for name in system.names(_DEVICES)):
        raise Failed(
            f"XRT's driver zocl is not loaded: there is no {_DEVICES}/renderD128",
            "'modprobe zocl', and 'dmesg | grep zocl' says why not; PYNQ's images load it at boot",
        )
    return f"XILINX_XRT is {printable(system.environment['XILINX_XRT'])}, zocl is loaded"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise Failed(f"{package} is not installed", f"pip install {package}") from None


def _numbers(version: str) -> tuple[int, ...]:
    """3.1.2 as (3, 1, 2); what is no number ends it."""
    out = []
    for part in version.split("."):
        if not part.isdigit():
            break
        out.append(int(part))
    return tuple(out)
