"""The options ``--check``, ``--check-repeat``, ``--check-answer`` of commands that run programs."""

from __future__ import annotations

import argparse
from typing import Any


def add_checks(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--check",
        type=_runs,
        nargs="?",
        const=1,
        metavar="N",
        help="look for soft errors: every N runs of the device (--check alone: after each), and "
        "before anything is written, hold weights and instructions in its memory against the "
        "program; and each input against what was written",
    )
    parser.add_argument(
        "--check-repeat",
        action="store_true",
        help="make each run that --check looks at twice: both must give the same",
    )
    parser.add_argument(
        "--check-answer",
        action="store_true",
        help="let --check run a known input too, which must give what it gave after loading",
    )


def check_options(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :class:`winogen.runtime.generator.Generator` that the options stand for."""
    more = options.check_repeat or options.check_answer
    return {
        "check_every": options.check or (1 if more else None),
        "check_repeat": options.check_repeat,
        "check_answer": options.check_answer,
    }


def _runs(text: str) -> int:
    try:
        runs = int(text)
    except ValueError:  # the next word of the command, maybe
        raise argparse.ArgumentTypeError(
            f"'{text}' is no number of runs: write --check=N, or --check as the last word"
        ) from None
    if runs < 1:
        raise argparse.ArgumentTypeError(f"the number of runs must be at least 1, not {runs}")
    return runs
