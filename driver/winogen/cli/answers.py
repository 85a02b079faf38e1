"""The one object that ``--json`` prints, whatever becomes of the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from winogen.common.errors import joined_lines
from winogen.version import __version__


def answer(result: Mapping[str, Any], told: Sequence[str]) -> str:
    """The object of a command that ended as it should; ``told`` are its warnings."""
    return _text(result, told, indent=2)


def refusal(error: str, told: Sequence[str] = ()) -> str:
    """The object of a command that was refused, on one line."""
    return _text({"error": joined_lines(error)}, told, indent=None)


def _text(members: Mapping[str, Any], told: Sequence[str], indent: int | None) -> str:
    whole = {"winogen": __version__, **members, "warnings": list(told)}
    return json.dumps(whole, indent=indent, allow_nan=False)
