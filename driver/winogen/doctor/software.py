"""Checks of what is installed: Python, pynq, numpy, the board's image."""

from __future__ import annotations

import os
import platform
import struct
import sys
from importlib import metadata
from pathlib import Path

from winogen.common.missing import why_no_pynq
from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.target.board import board_names

#: Where a PYNQ image says which release it is.
REVISION = Path("/home/xilinx/REVISION")


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
    name = os.environ.get("BOARD", "")
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
    if bench.kind != "board":
        raise Skipped(f"--device {bench.kind} needs no board")
    name = os.environ.get("BOARD", "")
    if not name:
        raise Failed(
            "the environment variable BOARD is not set",
            "run this as root in PYNQ's environment: 'sudo -i', or 'source "
            "/etc/profile.d/boardname.sh': PYNQ images set BOARD there",
        )
    if name.lower() not in board_names():
        raise Failed(
            f"winogen has no board {printable(name)}",
            f"boards that it knows: {', '.join(board_names())}; docs/use/boards.md says how to add "
            "one",
        )
    if not os.environ.get("XILINX_XRT"):
        raise Failed(
            "the environment variable XILINX_XRT is not set, and pynq finds no device without it",
            "run this as root in PYNQ's environment: 'sudo -i', or 'source "
            "/etc/profile.d/xrt_setup.sh'",
        )
    release = "release unknown"
    if REVISION.is_file():
        release = REVISION.read_text(errors="replace").splitlines()[0].strip()
    return f"BOARD {name}, {release}"


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
