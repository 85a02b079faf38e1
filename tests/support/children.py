"""Processes that a test starts, and that end with it whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen]:
    """A process as :class:`subprocess.Popen` starts it.

    A test that fails while it runs would leave it to another test, whose process then warns of it.
    """
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()  # does nothing where it has ended
        process.communicate()  # closes its pipes
