"""Text for people: aligned columns, decibels, names that were meant or can be shown."""

from __future__ import annotations

import difflib
import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO


def printable(text: str) -> str:
    """``text`` with a question mark for each character that a terminal might obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows under a header; the first ``left`` columns are aligned left, the others right.

    On a terminal that is too narrow, columns that do not fit come below, each time after the first.
    """
    lines = [list(header), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    parts = [_part(lines, widths, left, columns) for columns in _fitting(widths)]
    return "\n\n".join(parts)


def _fitting(widths: Sequence[int]) -> list[list[int]]:
    """Columns that fit beside each other on the terminal, the first in each part."""
    room = terminal_width()
    if room is None or len(widths) < 3:
        return [list(range(len(widths)))]
    parts, taken = [[0]], widths[0]
    for column in range(1, len(widths)):
        taken += 2 + widths[column]
        if taken > room and len(parts[-1]) > 1:
            parts.append([0])
            taken = widths[0] + 2 + widths[column]
        parts[-1].append(column)
    return parts


def _part(
    lines: Sequence[Sequence[str]], widths: Sequence[int], left: int, columns: Sequence[int]
) -> str:
    """Some columns of a table."""
    text = []
    for line in lines:
        cells = [
            line[i].ljust(widths[i]) if i < left else line[i].rjust(widths[i]) for i in columns
        ]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("-" * widths[i] for i in columns))
    return "\n".join(text)


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that a stream is (standard output); None if it is none."""
    stream = stream or sys.stdout
    try:
        if not stream.isatty():
            return None
    except (AttributeError, ValueError):  # a notebook's, or closed
        return None
    return max(20, shutil.get_terminal_size().columns)


def decibels(psnr: float) -> str:
    """A PSNR; ``exact`` without error, ``-`` where the float values have no range."""
    return f"{psnr:.1f}" if math.isfinite(psnr) else "exact" if psnr > 0 else "-"


def few(names: Sequence[str], most: int = 6) -> str:
    """The first of the names, and how many more there are, for a sentence."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def meant(word: str, names: Iterable[str]) -> list[str]:
    """The names that somebody may have meant who wrote ``word``, at most four, the likeliest first.

    Those that begin with it; or else those that are spelt nearly so, then those that hold it.
    """
    plain = {name: name.lower().replace("_", "-") for name in names}
    wanted = word.lower().replace("_", "-")
    begin = [name for name, text in plain.items() if wanted and text.startswith(wanted)]
    if begin:
        return begin[:4]
    close = difflib.get_close_matches(wanted, plain.values(), 3, 0.7)
    holding = [text for text in plain.values() if len(wanted) > 2 and wanted in text]
    found = dict.fromkeys([*close, *holding])
    return [name for text in found for name in plain if plain[name] == text][:4]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A question that begins a list of the names, as ``did you mean 'a' or 'b'? ``; or nothing."""
    found = [f"'{name}'" for name in meant(word, names)]
    if not found:
        return ""
    several = ", ".join(found[:-1])
    return f"did you mean {f'{several} or ' if several else ''}{found[-1]}? "
