"""Text for people: aligned columns, decibels, names that a terminal can show."""

from __future__ import annotations

import math
from collections.abc import Sequence


def printable(text: str) -> str:
    """``text`` with a question mark for each character that a terminal might obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


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
