"""The two files of an overlay, which belong together."""

from __future__ import annotations

import os
from pathlib import Path

from winogen.common.errors import DeviceError
from winogen.target.bitfile import STEM

#: In the order in which they appear: the .hwh before the .bit that needs it.
NAMES = (f"{STEM}.hwh", f"{STEM}.bit")


def clear(folder: Path) -> None:
    """Remove what an earlier build has left in ``folder``; make the folder if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)


def publish(made: Path, folder: Path, maker: str, log: Path) -> Path:
    """Move the two files from the folder ``made`` to ``folder``; the .bit's path there.

    Raises DeviceError, and moves nothing, if ``maker`` has not made both.
    """
    for name in NAMES:
        if not (made / name).is_file():
            raise DeviceError(f"{maker} ended without {name}; its messages are in {log}")
    for name in NAMES:
        os.replace(made / name, folder / name)
    return folder / NAMES[-1]
