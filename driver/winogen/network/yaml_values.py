"""Checked values of a model definition: each function returns one kind, or names what is wrong.

Sizes are bounded, so that a typing error is refused instead of filling the memory.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from winogen.common.errors import ModelError
from winogen.common.text import printable

#: Largest channel count, size, kernel or stride.
MAX_SIZE = 1 << 16


def require(mapping: Mapping[str, Any], key: str, where: str) -> Any:
    """``mapping[key]``; ModelError if it is missing."""
    if not isinstance(mapping, Mapping):
        raise ModelError(f"{where}: expected a mapping, not {_show(mapping)}")
    if key not in mapping:
        raise ModelError(f"{where}: '{key}' is missing")
    return mapping[key]


def integer(value: Any, where: str, low: int = 1, high: int = MAX_SIZE) -> int:
    """A whole number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ModelError(f"{where}: expected a whole number {low} to {high}, not {_show(value)}")
    return value


def number(value: Any, where: str) -> float:
    """A finite number, also where YAML reads it as text (``1e-5``)."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise ModelError(f"{where}: expected a number, not {_show(value)}")
    return result


def integers(value: Any, count: int, where: str, low: int = 1) -> tuple[int, ...]:
    """A list of ``count`` whole numbers."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise ModelError(f"{where}: expected {count} whole numbers, not {_show(value)}")
    return tuple(integer(v, where, low) for v in value)


def pair(value: Any, where: str) -> tuple[int, int]:
    """(rows, columns): one positive whole number for both, or two."""
    rows, columns = integers(value if isinstance(value, list) else [value] * 2, 2, where)
    return rows, columns


def edges(value: Any, where: str, *, negative: bool = True) -> tuple[int, int, int, int]:
    """(top, bottom, left, right): one whole number for all, or four."""
    values = value if isinstance(value, list) else [value] * 4
    top, bottom, left, right = integers(values, 4, where, low=-MAX_SIZE if negative else 0)
    return top, bottom, left, right


def text(value: Any, where: str) -> str:
    """A name: text or a number, at most 200 characters, of which a terminal can show all."""
    if not isinstance(value, (str, int, float)) or len(str(value)) > 200:
        raise ModelError(f"{where}: expected a short text, not {_show(value)}")
    return printable(str(value))


def choice(value: Any, known: Mapping[str, Any] | tuple[str, ...], where: str) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in known:
        raise ModelError(f"{where}: expected one of {', '.join(known)}, not {_show(value)}")
    return value


def _show(value: Any) -> str:
    return reprlib.repr(value)  # bounded, whatever a file nests
