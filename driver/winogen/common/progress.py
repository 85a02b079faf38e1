"""Progress on a terminal: one line that is rewritten, and nothing where no one looks."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TextIO

from winogen.common.text import terminal_width

_WIDTH = 30


def _can_erase(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that can erase a line; one that cannot would show them all.

    There is no stream at all where standard error was closed.
    """
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def erase_line(stream: TextIO) -> None:
    """Erase what progress has written, where it does."""
    if _can_erase(stream):
        stream.write("\r\x1b[K")
        stream.flush()


class Progress:
    """A context manager around work with a known or unknown number of parts.

    Prints to ``stream`` (standard error) only if that is a terminal, and never more than a line.
    """

    def __init__(self, what: str, total: int | None = None, stream: TextIO | None = None):
        self._what = what
        self._total = total
        self._stream = stream or sys.stderr
        self._visible = _can_erase(self._stream)
        self._start = time.monotonic()

    def __enter__(self) -> Progress:
        self.update(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        erase_line(self._stream)

    def update(self, done: int) -> None:
        """Show that ``done`` parts are done."""
        if self._total:
            filled = _WIDTH * done // self._total
            bar = "#" * filled + "." * (_WIDTH - filled)
            self._show(f"{self._what} [{bar}] {done}/{self._total}")

    def stage(self, name: str) -> None:
        """Show the name of what is being done."""
        self._show(f"{self._what}: {name}")

    def _show(self, text: str) -> None:
        if self._visible:
            seconds = f"  {time.monotonic() - self._start:.0f} s"
            room = (terminal_width(self._stream) or 80) - 1 - len(seconds)
            if len(text) > room:  # a line that wraps cannot be erased
                text = f"{text[: room - 3]}..."
            self._stream.write(f"\r\x1b[K{text}{seconds}")
            self._stream.flush()
