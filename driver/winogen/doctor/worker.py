"""The process that runs checks: reads their names from stdin, writes a line of JSON for each.

``python -m winogen.doctor.worker`` is started by ``supervisor.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, run_check
from winogen.target.board import load_board
from winogen.target.device_names import kind_of


def command(options: argparse.Namespace) -> list[str]:
    """The command line of a worker for these options of ``winogen doctor``."""
    words = [sys.executable, "-W", "ignore", "-m", __name__]
    words += ["--device", options.device, "--board", options.board, "--bits", str(options.bits)]
    for name in ("overlay", "program"):
        if getattr(options, name):
            words += [f"--{name}", str(getattr(options, name).resolve())]
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run checks until stdin ends."""
    parser = argparse.ArgumentParser(prog=__name__)
    parser.add_argument("--device", required=True)
    parser.add_argument("--board", required=True)
    parser.add_argument("--bits", type=int, required=True)
    parser.add_argument("--overlay", type=Path)
    parser.add_argument("--program", type=Path)
    options = parser.parse_args(arguments)
    board = load_board(options.board, options.bits)
    bench = Bench(
        kind_of(options.device), board, options.overlay, options.program, name=options.device
    )
    serve(bench)
    return 0


def serve(bench: Bench) -> None:
    """Run the checks that stdin names, and answer on stdout, until either ends."""
    # What a library prints must not come between the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    for name in sys.stdin:
        result = run_check(BY_NAME[name.strip()], bench)
        try:
            os.write(answers, json.dumps(result.as_dict()).encode() + b"\n")
        except BrokenPipeError:  # nobody wants to know any more
            break


if __name__ == "__main__":
    sys.exit(main())
