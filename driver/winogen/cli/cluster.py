"""The option ``--cluster``, and what a command's images come from: a device, or a cluster."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from winogen.cli.checks import check_options
from winogen.cli.waits import wait_options
from winogen.common.errors import InputError
from winogen.common.progress import Progress
from winogen.program.file import Program

if TYPE_CHECKING:
    from winogen.runtime.maker import Maker

#: In place of a device's name, in what is told.
CLUSTER = "cluster"


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--cluster",
        action="append",
        metavar="ADDRESS",
        help="run on all workers of a scheduler ('winogen worker', one for each board), as "
        "tcp://192.168.2.1:8786; may be given several times; --timeout is then how long a worker "
        "may take for a piece (default: 120); needs winogen[cluster]",
    )


def check_cluster(options: argparse.Namespace) -> bool:
    """Whether a cluster is asked for; InputError for options that its workers have."""
    if not options.cluster:
        return False
    from winogen.cluster.needed import check_address, check_distributed

    check_distributed()
    options.cluster = [check_address(address) for address in options.cluster]
    given = {
        "--device": options.device, "--overlay": options.overlay,
        "--wait": options.wait != "auto", "--lock-timeout": options.lock_timeout is not None,
        "--check": options.check, "--check-repeat": options.check_repeat,
        "--check-answer": options.check_answer, "--profile": getattr(options, "profile", False),
        "--trace": getattr(options, "trace", None),
    }  # fmt: skip
    for flag in (flag for flag, value in given.items() if value):
        if flag in ("--profile", "--trace"):
            raise InputError(f"{flag} is for one device: leave --cluster out, or {flag}")
        raise InputError(
            f"{flag} is for the device of a worker: give it to 'winogen worker', not with --cluster"
        )
    options.device = CLUSTER
    return True


def opened(options: argparse.Namespace, program: Program) -> AbstractContextManager[Maker]:
    """What makes the images of a program, as the options say."""
    if getattr(options, "cluster", None):
        from winogen.cluster.cluster import TIMEOUT, Cluster

        seconds = TIMEOUT if options.timeout is None else options.timeout
        with Progress(f"connecting to {', '.join(options.cluster)}"):
            return Cluster(options.cluster, program, timeout=seconds)
    from winogen.runtime.generator import Generator

    return Generator(
        program,
        options.device,
        board=options.board,
        overlay=options.overlay,
        **wait_options(options),
        **check_options(options),
    )
