"""Progress on a terminal: one line that is rewritten, and nothing where no one looks."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TextIO

from winogen.common.text import terminal_width

_WIDTH = 30
#: How often the line is written while the work says nothing.
_TICK_SECONDS = 1.0

#: Held by whoever writes on the terminal's line.
_line = threading.RLock()
#: Those that have begun and not ended, the innermost last.
_at_work: list[Progress] = []


def _forked() -> None:
    """In a forked process: another thread may have held the lock, and is not there."""
    global _line
    _line = threading.RLock()
    _at_work.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _can_erase(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that can erase a line; one that cannot would show them all.

    There is no stream at all where standard error was closed.
    """
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def erase_line(stream: TextIO | None) -> None:
    """Erase what progress has written, where it does."""
    if stream is not None and _can_erase(stream):
        stream.write("\r\x1b[K")
        stream.flush()


@contextmanager
def free_line(stream: TextIO | None) -> Iterator[None]:
    """The line to oneself, to write something that stays: progress goes on below it."""
    with _line:
        erase_line(stream)
        yield


class Progress:
    """A context manager around work with a known or unknown number of parts.

    Prints to ``stream`` (standard error) only if that is a terminal, and never more than a line.
    The seconds go on where the work says nothing: a thread writes the line anew. Within another
    one it takes the other's place until it ends.
    """

    def __init__(self, what: str, total: int | None = None, stream: TextIO | None = None):
        self._what = what
        self._total = total
        self._stream = stream or sys.stderr
        self._visible = _can_erase(self._stream)
        self._start = time.monotonic()
        self._text = ""
        self._ended = threading.Event()
        self._clock: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self._visible:
            with _line:
                _at_work.append(self)
            self._clock = threading.Thread(target=self._tick, name="progress", daemon=True)
            self._clock.start()
        if self._total:
            self.update(0)
        else:
            self._show(self._what)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        with _line:
            if self in _at_work:
                _at_work.remove(self)
            erase_line(self._stream)
        if self._clock is not None:
            self._clock.join(_TICK_SECONDS)

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
            with _line:
                self._text = text
                self._write()

    def _write(self) -> None:
        seconds = f"  {time.monotonic() - self._start:.0f} s"
        room = (terminal_width(self._stream) or 80) - 1 - len(seconds)
        text = self._text
        if len(text) > room:  # a line that wraps cannot be erased
            text = f"{text[: room - 3]}..."
        self._stream.write(f"\r\x1b[K{text}{seconds}")
        self._stream.flush()

    def _tick(self) -> None:
        """Write the line anew while nobody else does."""
        while not self._ended.wait(_TICK_SECONDS):
            with _line, suppress(OSError, ValueError):  # a terminal that is gone, a closed stream
                if not self._ended.is_set() and _at_work[-1:] == [self]:
                    self._write()
