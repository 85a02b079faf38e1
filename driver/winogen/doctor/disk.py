"""Check of the disk: pynq writes files as it loads an overlay, winogen a few of its own."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

from winogen.common.folders import cache_folder
from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped

#: A bitstream of a Zynq-7020 has 4 MB, that of the largest board here 19 MB; pynq copies it.
_BYTES = 32 << 20
_FIRMWARE = "/lib/firmware"


def disk(bench: Bench) -> str:
    """What pynq and winogen write can be written."""
    if bench.kind != "board":
        raise Skipped(f"--device {bench.kind} writes nothing but the user's cache")
    system = bench.system
    folders = {
        "pynq copies the bitstream there": system.path(_FIRMWARE),
        "pynq notes there what it has loaded": _of_pynq(),
        "pynq writes a temporary file there": Path(tempfile.gettempdir()),
        "winogen's cache is there": _existing(cache_folder("")),
    }
    least = None
    for use, folder in folders.items():
        if not folder.is_dir():
            raise Failed(
                f"there is no folder {printable(str(folder))}, and {use}",
                "make it, or flash the PYNQ image again",
            )
        if not system.may_write(folder):
            raise Failed(
                f"{printable(str(folder))} cannot be written, and {use}",
                "run as root (sudo -i); if it stays, the card is mounted read-only, as after an "
                "error: 'dmesg | grep mmc', check the card, or flash another",
            )
        free = system.free_bytes(folder)
        if free < _BYTES:
            raise Failed(
                f"{printable(str(folder))} has {free / 1e6:.0f} MB left, and {use}",
                "delete what is not needed ('sudo du -xh / | sort -h | tail'), or let the image's "
                "partition grow over the card",
            )
        least = free if least is None else min(least, free)
    assert least is not None
    return f"{least / 1e6:,.0f} MB free where pynq and winogen write"


def _of_pynq() -> Path:
    """Where pynq is installed: it notes what it has loaded beside its own modules."""
    spec = importlib.util.find_spec("pynq")  # not imported: another check says if it cannot be
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "pl_server" if places else Path(tempfile.gettempdir())


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder
