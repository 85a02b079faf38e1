"""Progress on a terminal: one line that is rewritten, and nothing where no one looks."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

_WIDTH = 30


class Progress:
    """A context manager around work with a known or unknown number of parts.

    Prints to ``stream`` (standard error) only if that is a terminal.
    """

    def __init__(self, what: str, total: int | None = None, stream: TextIO | None = None):
        self._what = what
        self._total = total
        self._stream = stream or sys.stderr
        # There is no stream at all where standard error was closed.
        self._visible = self._stream is not None and self._stream.isatty()
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
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

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
            seconds = time.monotonic() - self._start
            self._stream.write(f"\r\x1b[K{text}  {seconds:.0f} s")
            self._stream.flush()
