"""``winogen doctor``: is everything between Python and the multipliers as it should be?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.cli.device import DEVICE_CHOICES, named_remote
from winogen.common.errors import DeviceError, InputError, one_line
from winogen.common.text import printable
from winogen.target.board import DEFAULT_BOARD, board_names, load_board
from winogen.target.device_names import AUTO, is_hardware, is_remote, kind_of

if TYPE_CHECKING:
    from winogen.doctor.result import Result

#: The check that measures the processor.
HOST_COSTS = "host costs"


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    doctor = commands.add_parser(
        "doctor",
        help="check the installation, the board and the accelerator",
        description="Check everything between Python and the multipliers: versions, overlay, "
        "clock, registers, memory, DMA, interrupt, engines, and a small network bit for bit. "
        "Prints a line for each check and what to do about each that fails. Exits with 1 where "
        "one failed.",
    )
    doctor.add_argument(
        "--device",
        choices=DEVICE_CHOICES,
        default=AUTO,
        help="what to check (default: auto, which is WINOGEN_DEVICE, or the board if this is one, "
        "or the emulator); remote:ADDRESS is a board that PYNQ.remote drives from here",
    )
    doctor.add_argument("--board", help="name or YAML file (default: BOARD, or pynq-z2)")
    doctor.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    doctor.add_argument("--overlay", type=Path, help="bitstream (.bit) for a board")
    doctor.add_argument("--program", type=Path, help="a program file (.wg) to check too")
    doctor.add_argument(
        "--calibrate",
        action="store_true",
        help="on a board: store what its processor was measured to take; predictions for this "
        "board use it from then on",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON, for machines")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from winogen.doctor import report, worker
    from winogen.doctor.checks import CHECKS
    from winogen.doctor.supervisor import PATIENCE, supervise

    why = _pick(options)
    load_board(options.board, options.bits)  # says what is wrong with either
    if options.overlay and not is_hardware(options.device):
        raise InputError("--overlay is for a board; emulated devices bring their own")
    if options.calibrate and options.device != "board":
        raise InputError(
            f"--calibrate is for a board, and this is the {options.device}: what its processor "
            "takes says nothing of a board's"
        )
    if not options.json:
        print(why, flush=True)

    def say(result: Any) -> None:
        if not options.json:
            print(report.line(result), flush=True)

    results = supervise(CHECKS, worker.command(options), PATIENCE[kind_of(options.device)], say)
    if options.json:
        print(report.as_json(options.device, options.board, results))
    else:
        print(report.summary(results))
    if options.calibrate:
        _calibrate(options, results)
    return 0 if report.passed(results) else 1


def _calibrate(options: argparse.Namespace, results: Sequence[Result]) -> None:
    """Store the costs that were measured; InputError if there are none."""
    from winogen.target.host import HostCosts, calibrate

    result = next(r for r in results if r.name == HOST_COSTS)
    figures = {f.name: result.figures.get(f.name) for f in fields(HostCosts)}
    values = {name: float("nan") if v is None else v for name, v in figures.items()}
    if not result.figures:
        raise InputError(f"nothing is stored: the check '{HOST_COSTS}' did not pass")
    path = calibrate(load_board(options.board, options.bits), HostCosts(**values))
    print(
        f"stored in {path}: predictions for {options.board} use it from now on",
        file=sys.stderr if options.json else sys.stdout,
    )


def _pick(options: argparse.Namespace) -> str:
    """Fill in device and board where they are not given; the line that says which they are."""
    given = "" if options.device == AUTO else options.device
    try:
        from winogen.runtime.pick import Picked, board_here, pick_device
    except Exception:  # pynq is broken: the checks say how
        options.device, options.board = given or "emulator", options.board or DEFAULT_BOARD
        return f"{options.device}, as board {options.board}"
    # A variable that names no device, or several, has no say where one is given.
    picked = Picked(given, board_here(), "--device says so") if given else pick_device()
    if is_remote(picked.device):
        try:
            picked = named_remote(picked)
        except DeviceError as error:  # the check of the connection fails, and says how
            picked = picked._replace(reason=f"{picked.reason}; {one_line(error)}")
    if options.board:
        picked = picked._replace(board=options.board)
    elif picked.board not in board_names():  # the check of the image says what to do
        name = printable(os.environ.get("BOARD", ""))
        reason = (
            f"{picked.reason}, a board that winogen does not know"
            if is_remote(picked.device)
            else f"{picked.reason}; BOARD is set to '{name}', a board that winogen does not know"
        )
        picked = picked._replace(board=DEFAULT_BOARD, reason=reason)
    options.device, options.board = picked.device, picked.board
    return str(picked)
