"""What a check found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """How a check ended."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"


class Failed(Exception):
    """A check has found something wrong.

    ``text`` says what, ``advice`` what to do next.
    """

    def __init__(self, text: str, advice: str):
        super().__init__(text)
        self.advice = advice


class Skipped(Exception):
    """A check makes no sense here; the message says why."""


class Measured(str):
    """The line of a check that has measured something, and its figures by name and unit.

    None is a figure that could not be had.
    """

    figures: dict[str, float | None]

    def __new__(cls, text: str, **figures: float) -> Measured:
        """``text`` with its figures; NaN is None."""
        made = super().__new__(cls, text)
        made.figures = {k: v if math.isfinite(v) else None for k, v in figures.items()}
        return made


@dataclass(frozen=True)
class Result:
    """The outcome of one check, one line of text, and what to do next if it failed.

    ``figures`` are what it has measured, by name and unit.
    """

    name: str
    outcome: Outcome
    text: str
    advice: str = ""
    seconds: float = 0.0
    figures: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "outcome": self.outcome.value, "seconds": round(self.seconds, 3)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """Inverse of :meth:`as_dict`."""
        return cls(**{**values, "outcome": Outcome(values["outcome"])})
