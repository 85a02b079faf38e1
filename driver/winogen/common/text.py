"""Text for people: aligned columns, decibels, names that were meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows under a header; the first ``left`` columns are aligned left, the others right."""
    lines = [list(header), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = []
    for line in lines:
        cells = [
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths))
        ]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(text)


def decibels(psnr: float) -> str:
    """A PSNR; ``exact`` without error, ``-`` where the float values have no range."""
    return f"{psnr:.1f}" if math.isfinite(psnr) else "exact" if psnr > 0 else "-"


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
