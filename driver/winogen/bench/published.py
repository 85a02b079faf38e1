"""What others reach on the same work, each with its source: ``published.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """A figure of somebody else's.

    Attributes
    ----------
    what, value, unit, device : what was measured, on what
    year, source : when, if that is known, and the name of the source (:func:`sources`)
    ours : what of ours stands beside it; empty for nothing
    """

    what: str
    value: float
    unit: str
    device: str
    year: int | None
    source: str
    ours: str


@dataclass(frozen=True)
class Resources:
    """What somebody's build takes of a device."""

    build: str
    device: str
    dsp: int
    bram18: int
    lut: int
    ff: int
    year: int
    source: str


@cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return found


def figures() -> list[Published]:
    """All figures, in the file's order."""
    return [Published(**entry) for entry in _data()["figures"]]


def figure(ours: str) -> Published:
    """The first figure that a name of ours stands beside."""
    return next(f for f in figures() if f.ours == ours)


def resources() -> list[Resources]:
    """What the paper's builds take."""
    return [Resources(**entry) for entry in _data()["resources"]]


def sources() -> dict[str, str]:
    """The sources by the name that figures give, in words."""
    return dict(_data()["sources"])
