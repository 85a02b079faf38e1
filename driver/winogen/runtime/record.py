"""What a session has changed of a device that outlives it, in a file for whoever comes next.

A process that is killed (SIGKILL, out of memory) puts nothing back. It leaves this file beside the
lock's, from which the next session learns what was there before. It lies in a folder that is empty
after a boot, and holds for the boot that it names.
"""

from __future__ import annotations

import json
import os
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError, WinogenWarning
from winogen.common.files import write_atomically

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOST_BYTES = 1 << 16


class Record:
    """A small mapping in a file; it is empty where there is none that can be believed.

    Only a file of this user's own counts: in a folder where everybody may write, another could
    choose what is written to the processor's clocks. Where it cannot be written nothing is kept,
    and a device is used all the same.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, Any]:
        """What was left; an empty mapping if nothing was, or it is of another boot.

        One that is damaged is a WinogenWarning, and taken away.
        """
        found = self._read()
        if found is None:
            warnings.warn(
                f"{self.path} is damaged: what an earlier session changed of the device is not "
                "known, so its clock stays as it is until another overlay is loaded",
                WinogenWarning,
                stacklevel=2,
            )
            with suppress(OSError):
                self.path.unlink()
        return found or {}

    def _read(self) -> dict[str, Any] | None:
        """The same; None for one that is damaged."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(self.path, flags)
        except OSError:
            return {}
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                return {}
            said: dict[str, Any] = json.loads(os.read(file, _MOST_BYTES))
            return said if said.get("boot") == _boot() else {}
        except OSError:
            return {}
        except (ValueError, AttributeError):
            return None
        finally:
            os.close(file)

    def update(self, **values: Any) -> None:
        """Keep these beside what is kept already; None takes one away, and the last the file."""
        kept = {k: v for k, v in {**self.read(), **values}.items() if v is not None}
        with suppress(InputError, OSError):
            if kept.keys() - {"boot"}:
                write_atomically(self.path, json.dumps({**kept, "boot": _boot()}).encode())
            else:
                self.path.unlink(missing_ok=True)


def _boot() -> str:
    """Names this boot of the machine."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
