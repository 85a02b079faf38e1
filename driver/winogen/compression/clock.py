"""The clock that all of compression reads: a test can be the clock of all of it."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds of a clock that is never set back."""
    return time.monotonic()


def over(until: float | None) -> bool:
    """Whether it is later than that; never where it is None."""
    return until is not None and now() > until


def part_of(until: float | None, share: float) -> float | None:
    """The time by which this share of what is left until then is gone."""
    if until is None:
        return None
    start = now()
    return start + share * (until - start)
