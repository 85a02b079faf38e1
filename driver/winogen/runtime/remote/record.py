"""What sessions have changed of a remote board, in a file on that board.

It is there for whatever machine opens the board next, and gone when the board has booted, as what
it tells of is. The file is written as a whole; who holds the board's lock is the only writer.
"""

from __future__ import annotations

import json
import threading
import warnings
from contextlib import suppress
from typing import Any, Protocol

from winogen.common.errors import WinogenWarning
from winogen.runtime.record import Record
from winogen.runtime.remote.calls import Refusal

#: In a folder that is empty after a boot, as most images have it.
PATH = "/run/winogen.record"


class Files(Protocol):
    """The files of a board."""

    boot: str

    def text_of(self, path: str) -> str | None:
        """What a file holds; None where there is none."""

    def write_file(self, file_path: str, content: bytes) -> Any:
        """Write one as a whole."""


class BoardRecord(Record):
    """A :class:`winogen.runtime.record.Record` whose file is the board's.

    Attributes
    ----------
    lock : of who reads it to write it: threads allocate while others load
    """

    def __init__(self, files: Files):
        self.lock = threading.RLock()
        self._files = files

    def read(self) -> dict[str, Any]:
        """What was left; an empty mapping if nothing was, or it is of another boot."""
        text = self._files.text_of(PATH)
        if not text:
            return {}
        try:
            said: dict[str, Any] = json.loads(text)
            return said if said.get("boot") == self._files.boot else {}
        except (ValueError, AttributeError, RecursionError):
            warnings.warn(
                f"{PATH} on the board is damaged: what an earlier session changed of it is not "
                "known, so start the board again if its clock matters",
                WinogenWarning,
                stacklevel=2,
            )
            return {}

    def update(self, **values: Any) -> None:
        """Keep these beside what is kept already; None takes one away."""
        with self.lock:
            kept = {k: v for k, v in {**self.read(), **values}.items() if v is not None}
            with suppress(Refusal):  # where it cannot be written nothing is kept
                text = json.dumps({**kept, "boot": self._files.boot})
                self._files.write_file(PATH, text.encode())
