"""The options that say how far to run a network, and what a program's exits are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from winogen.cli.objects import predicted
from winogen.common.errors import InputError
from winogen.common.text import table
from winogen.program.deadline import exit_in_time
from winogen.program.file import Program
from winogen.program.speed import speed


def add_exit(parser: argparse.ArgumentParser, *, deadline: bool) -> None:
    """Add ``--exit`` and, where there is a number of images to be in time, ``--deadline-ms``."""
    parser.add_argument(
        "--exit",
        type=int,
        metavar="NUMBER",
        help="how far to run a network that 'winogen fit --exits' trained for it: from 1, the "
        "shallowest and fastest, on (default: all of it, which is the last)",
    )
    if deadline:
        parser.add_argument(
            "--deadline-ms",
            type=float,
            metavar="MS",
            help="in place of --exit: the deepest exit that is predicted to make all images in "
            "time on the program's board, the processor's part included",
        )


def check_exit_options(options: argparse.Namespace) -> None:
    """InputError if both options are given."""
    if options.exit is not None and options.deadline_ms is not None:
        raise InputError("a deadline chooses the exit: give --exit or --deadline-ms")


def chosen_exit(
    options: argparse.Namespace, program: Program, count: int | Callable[[Program], int]
) -> int:
    """The exit that the options ask for, or that is in time for ``count`` inputs."""
    if options.deadline_ms is not None:
        return exit_in_time(program.at_exit, program.exit_count, count, options.deadline_ms)
    return program.exit_count if options.exit is None else options.exit


def told_of_exit(number: int, count: int) -> str:
    """Which exit ran, of how many, in words that follow others."""
    return f", exit {number} of {count}" if count > 1 else ""


def described_exits(program: Program) -> list[dict[str, Any]]:
    """Every exit for machines; the last is the whole network."""
    found = []
    for number in range(1, program.exit_count + 1):
        own = program.at_exit(number)
        found.append(
            {
                "exit": number,
                "layers": [layer.name for layer in own.layers],
                "weight_bytes": weights_read(own),
                "instruction_bytes": sum(len(s.stream) for s in own.streams),
                "streams": [predicted(own, stream) for stream in own.streams],
            }
        )
    return found


def exits_table(program: Program) -> str:
    """Every exit for people: what it takes, alone and in the largest batches, and its bytes.

    Weights are those that it reads; exits share the ones of layers that they share.
    """
    rows = []
    whole = program.streams
    for number in range(1, program.exit_count + 1):
        own = program.at_exit(number)
        cells = [str(number)]
        for at in (0, -1):
            stream = own.streams[at]
            cells += [
                f"{stream.cycles / stream.batch:,.0f}",
                f"{100 * stream.cycles / whole[at].cycles:.0f}%",
            ]
        cells += [
            f"{speed(own, own.streams[0]).alone:,.1f}",
            f"{speed(own, own.streams[-1]).overlapped:,.1f}",
            f"{weights_read(own):,}",
            f"{sum(len(s.stream) for s in own.streams):,}",
        ]
        rows.append(cells)
    header = ["exit", "cycles alone", "share", f"in batches of {whole[-1].batch}", "share",
              "images/s alone", "in batches", "weights read B", "instructions B"]  # fmt: skip
    return table(header, rows, left=0)


def weights_read(program: Program) -> int:
    """Bytes of the weights of a program's own layers, as they lie in memory."""
    return sum(piece.size for piece in program.pieces)
