"""What a user should know about how a network was read, in Python as on the command line."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from winogen.common.errors import NetworkNote


def tell(notes: Iterable[str], stacklevel: int) -> None:
    """Warn of each note, once; ``stacklevel`` as in :func:`warnings.warn`, from the caller.

    The command line prints a graph's notes itself, and has these warnings off.
    """
    for note in notes:
        warnings.warn(note, NetworkNote, stacklevel=stacklevel + 1)
