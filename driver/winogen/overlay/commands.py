"""The command line of ``winogen overlay``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from winogen.board import load_board
from winogen.files import check_writable, write_atomically


def add_overlay_commands(commands: Any) -> None:
    """Add ``overlay`` to the commands of the command line (argparse's sub-parsers)."""
    overlay = commands.add_parser("overlay", help="what the accelerator costs on an FPGA")
    verbs = overlay.add_subparsers(required=True, metavar="action")
    report = verbs.add_parser(
        "report",
        help="synthesise a board's build and hold it against its device",
        description="Synthesise the accelerator with Yosys (winogen[synth]) and say what it "
        "takes of the board's device: DSP48, block RAM, LUT and flip-flops by part of the design, "
        "and the longest paths. Takes minutes, once for each version of the logic. Exits with 1 "
        "where the build is over a limit.",
    )
    report.add_argument("--board", default="pynq-z2", help="name or YAML file (default: pynq-z2)")
    report.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    report.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from winogen.overlay.parts import find_part
    from winogen.overlay.report import Report
    from winogen.overlay.synthesis import synthesise

    if options.json:
        check_writable(options.json)
    board = load_board(options.board, options.bits)
    part = find_part(board.part)
    report = Report.of(board, part, synthesise(board.core, part.family))
    if options.json:
        text = json.dumps(report.as_dict(), indent=2) + "\n"
        write_atomically(options.json, text.encode())
    print(report.text())
    return 0 if all(bar.met for bar in report.bars()) else 1
