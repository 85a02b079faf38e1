"""``winogen worker``: one board, or an emulated one, for whoever asks a cluster."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Any

from winogen.cli.checks import add_checks, check_options
from winogen.cli.device import add_device, choose_device, named_remote
from winogen.cli.parser import examples
from winogen.cli.programs import load_program
from winogen.cli.waits import add_waits, wait_options
from winogen.common.errors import InputError
from winogen.common.progress import Progress
from winogen.target.board import Board, load_board
from winogen.target.device_names import is_hardware


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    worker = commands.add_parser(
        "worker",
        help="let a cluster use this board",
        description="Open a device once, and run what clients of a scheduler (of Dask's, started "
        "with 'dask scheduler') ask for, until SIGTERM or Ctrl-C: what runs then is done first, "
        "and the board is given back as it was. One worker is one board. With program files it "
        "runs these and no others; without, those that clients bring. Dask runs what it is sent: "
        "use it on networks that you trust, or tls:// with certificates. Needs winogen[cluster].",
        epilog=examples(
            ("winogen worker 192.168.2.1:8786", "this board, for whoever asks"),
            ("winogen worker 192.168.2.1:8786 digits.wg", "for digits alone"),
            ("winogen worker lab:8786 --device remote:192.168.2.99", "for a board over there"),
            ("winogen worker tls://lab:8786 --device board", "with Dask's certificates"),
        ),
    )
    worker.add_argument("scheduler", help="address of the scheduler, as tcp://192.168.2.1:8786")
    worker.add_argument(
        "programs",
        nargs="*",
        type=Path,
        metavar="PROGRAM",
        help="program files (.wg) that it holds: it refuses all others then",
    )
    worker.add_argument(
        "--name", help="what messages call it (default: this machine's name and the process)"
    )
    worker.add_argument(
        "--host",
        help="address of this machine at which the others reach it (default: the one that leads to "
        "the scheduler)",
    )
    worker.add_argument(
        "--board",
        help="what the device is, by its name or a YAML file (default: the programs' board; for "
        "a board without programs what its image says; an emulated device without is whatever a "
        "program is for)",
    )
    worker.add_argument(
        "--bits", type=int, choices=(8, 16), help="data width of --board (default: 8)"
    )
    worker.add_argument(
        "--again",
        type=float,
        default=300,
        metavar="SECONDS",
        help="wait so long for a scheduler that has gone, before it ends (default: 300)",
    )
    add_device(worker)
    add_waits(worker)
    add_checks(worker)
    worker.set_defaults(command=_worker)


def _worker(options: argparse.Namespace) -> int:
    from winogen.cluster.needed import check_address, check_distributed

    check_distributed()
    scheduler = check_address(options.scheduler)
    if not options.again >= 0:
        raise InputError(f"--again must be a number of seconds, not {options.again}")
    given = options.board
    choose_device(options, compiled=True)
    from winogen.cluster.station import Station
    from winogen.cluster.worker import run_worker

    programs = [load_program(path) for path in options.programs]
    checks = check_options(options)
    checks["check_every"] = checks["check_every"] or 1  # nobody sees the images of a worker
    name = options.name or f"{platform.node() or 'worker'}-{os.getpid()}"
    with Progress(f"opening the {options.device}"):
        station = Station(
            name, options.device, programs, board=_board(options, given, bool(programs)),
            overlay=options.overlay, **wait_options(options), **checks,
        )  # fmt: skip
    with station:
        print(f"{options.device} opened, as worker {name}", flush=True)
        run_worker(
            scheduler, station, host=options.host, again_seconds=options.again,
            tell=lambda text: print(text, flush=True),
        )  # fmt: skip
    print("ended: the device is given back")
    return 0


def _board(options: argparse.Namespace, given: str | None, has_programs: bool) -> Board | None:
    """What the device is; None where that follows from programs."""
    if given:
        return load_board(given, options.bits or 8)
    if options.bits:
        raise InputError("--bits is for --board: give it too, or leave --bits out")
    if is_hardware(options.device) and not has_programs:
        from winogen.runtime.pick import Picked, board_here

        picked = named_remote(Picked(options.device, board_here(), "--device says so"))
        return load_board(picked.board, 8)
    return None
