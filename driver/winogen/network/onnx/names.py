"""Names from a file, made fit to be shown: printable and of bounded length."""

from __future__ import annotations

from winogen.common.text import printable

_LIMIT = 60


def shown(text: str | bytes) -> str:
    """``text`` with what cannot be printed replaced, at most 60 characters long.

    protobuf gives names that are no UTF-8 as bytes.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    head = text[: _LIMIT + 1]
    clean = printable(head)
    return clean if len(clean) <= _LIMIT else f"{clean[: _LIMIT - 3]}..."
