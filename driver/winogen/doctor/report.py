"""What ``winogen doctor`` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence

from winogen.doctor.result import Outcome, Result
from winogen.version import __version__

_WIDTH = 20
_MARKS = {Outcome.PASS: "pass   ", Outcome.FAIL: "FAIL   ", Outcome.SKIPPED: "skipped"}


def line(result: Result) -> str:
    """One line; a second one says what to do next about a failure."""
    text = f"{_MARKS[result.outcome]}  {result.name:{_WIDTH}}  {result.text}"
    return f"{text}\n{'':9}{'':{_WIDTH}}  -> {result.advice}" if result.advice else text


def summary(results: Sequence[Result]) -> str:
    """How many checks passed, failed and were skipped."""
    count = {o: sum(r.outcome is o for r in results) for o in Outcome}
    seconds = sum(r.seconds for r in results)
    return (
        f"{count[Outcome.PASS]} passed, {count[Outcome.FAIL]} failed, "
        f"{count[Outcome.SKIPPED]} skipped in {seconds:.1f} s"
    )


def passed(results: Sequence[Result]) -> bool:
    """Whether nothing failed."""
    return all(r.outcome is not Outcome.FAIL for r in results)


def as_json(device: str, board: str, results: Sequence[Result]) -> str:
    """All of it for machines."""
    report = {
        "winogen": __version__,
        "device": device,
        "board": board,
        "passed": passed(results),
        "checks": [r.as_dict() for r in results],
    }
    return json.dumps(report, indent=2)
