"""The command line of ``winogen overlay``."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from winogen.board import load_board
from winogen.errors import InputError
from winogen.files import check_writable, write_atomically


def add(commands: Any) -> None:
    """Add ``overlay`` to the commands of the command line (argparse's sub-parsers)."""
    overlay = commands.add_parser(
        "overlay", help="what the accelerator costs on an FPGA, and building its bitstream"
    )
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
    build = verbs.add_parser(
        "build",
        help="build a board's overlay (.bit and .hwh)",
        description="Build winogen.bit and winogen.hwh for a board: processing system, AXI "
        "interconnect, accelerator, interrupt controller. Needs Vivado, which is AMD's, and about "
        "an hour.",
    )
    build.add_argument("--board", required=True, help="name or YAML file")
    build.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    build.add_argument("--tool", required=True, choices=("vivado",), help="what builds it")
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder for the results (default: build/overlay/BOARD-intBITS)",
    )
    build.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="give up after so long (default: 4 hours)",
    )
    build.add_argument(
        "--settings-only",
        action="store_true",
        help="write the settings of the scripts and say how to run them, for another machine",
    )
    build.set_defaults(command=_build)


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


def _build(options: argparse.Namespace) -> None:
    from winogen.overlay.build import DEADLINE, build_overlay, script, write_settings

    seconds = DEADLINE if options.deadline is None else options.deadline
    if not 0 < seconds < float("inf"):
        raise InputError(f"the deadline must be a positive number of seconds, not {seconds:g}")
    board = load_board(options.board, options.bits)
    folder = options.output or Path("build", "overlay", f"{board.name}-int{options.bits}")
    if options.settings_only:
        settings = write_settings(board, folder)
        print(f"cd {shlex.quote(str(settings.parent))}")
        print(f"vivado -mode batch -source {shlex.quote(str(script()))} -tclargs {settings.name}")
        return
    bit = build_overlay(board, folder, seconds)
    print(f"wrote {bit} and {bit.with_suffix('.hwh').name}")
