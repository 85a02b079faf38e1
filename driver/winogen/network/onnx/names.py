"""Names from a file, made fit to be shown: printable and of bounded length."""

from __future__ import annotations

_LIMIT = 60


def shown(text: str) -> str:
    """``text`` with what cannot be printed replaced, at most 60 characters long."""
    head = text[: _LIMIT + 1]
    clean = "".join(c if c.isprintable() else "?" for c in head)
    return clean if len(clean) <= _LIMIT else f"{clean[: _LIMIT - 3]}..."
