"""What a check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Result:
    """The outcome of one check, one line of text, and what to do next if it failed."""

    name: str
    outcome: Outcome
    text: str
    advice: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "outcome": self.outcome.value, "seconds": round(self.seconds, 3)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """Inverse of :meth:`as_dict`."""
        return cls(**{**values, "outcome": Outcome(values["outcome"])})
