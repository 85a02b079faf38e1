"""The options ``--timeout``, ``--wait`` and ``--lock-timeout`` of commands that run a program."""

from __future__ import annotations

import argparse
from typing import Any


def add_waits(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="give up on a run of a board or the simulated logic after this long (default: many "
        "times the prediction on a board, never on the simulation)",
    )
    parser.add_argument(
        "--wait",
        choices=("auto", "interrupt", "poll"),
        default="auto",
        help="how to wait for the accelerator: for its interrupt, by looking at its status, or "
        "auto: for the interrupt if the overlay has one (default: auto)",
    )
    parser.add_argument(
        "--lock-timeout",
        type=float,
        metavar="SECONDS",
        help="wait so long for another process that uses the board (default: 10)",
    )


def wait_options(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :class:`winogen.runtime.generator.Generator` that the options stand for."""
    chosen = {"timeout": options.timeout, "waiting": options.wait}
    if options.lock_timeout is not None:
        chosen["lock_timeout"] = options.lock_timeout
    return chosen
