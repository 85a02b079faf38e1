"""Recorded results read again: a file may say anything, and each value is of the type it has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from winogen.common.text import printable

_Made = TypeVar("_Made")

#: No number of a result is near this.
_MOST = 1e18


def filled(cls: type[_Made], data: Mapping[str, Any], **made: Any) -> _Made:
    """A dataclass of what a file says; ``made`` are the fields that are no plain values.

    Raises ValueError, TypeError or KeyError for what is missing, too much, or of another type.
    """
    hints = get_type_hints(cls)
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := set(data) - names:
        raise ValueError(f"'{min(unknown)}' is nothing that is known")
    plain = {name: value(data[name], hints[name], name) for name in names - set(made)}
    return cls(**plain, **made)


def value(found: Any, kind: Any, name: str) -> Any:
    """A plain value of a type, or of one of several.

    Numbers are finite and not negative, and text is such as a terminal shows.
    """
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if found is None and NoneType in kinds:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        if type(found) in kinds:
            return printable(found) if isinstance(found, str) else found
    elif float in kinds or (int in kinds and isinstance(found, int)):
        return real(found, name)
    raise ValueError(f"'{name}' is of no type that it has")


def real(found: Any, name: str, least: float = 0) -> Any:
    """A number from ``least`` on."""
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ValueError(f"'{name}' is no number")
    if not (math.isfinite(found) and least <= found < _MOST):
        raise ValueError(f"'{name}' cannot be {found:.6g}")
    return found


def counts(found: Mapping[str, Any], name: str) -> dict[str, int]:
    """Whole numbers by name."""
    return {key: value(n, int, name) for key, n in found.items()}
