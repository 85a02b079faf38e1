"""``winogen check``: what a file is, all of it that cannot run, and how fast the rest would be."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from winogen.cli.objects import add_json
from winogen.cli.options import given, option_parser
from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.progress import Progress
from winogen.compiler.options import CALIBRATING, CompileOptions
from winogen.target.board import board_names


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    names = [name for name in CompileOptions.described if name not in (*CALIBRATING, "bits")]
    check = commands.add_parser(
        "check",
        parents=[option_parser(CompileOptions, names)],
        help="say what a file is, all that cannot run, and how fast it would be",
        description="The first thing to do with a network of your own: what the file is and holds, "
        "every layer that cannot run with the way out of it, and the predicted speed and memory on "
        "a board. It takes no calibration inputs and writes no file. Exits with 0 where the "
        "network runs, and with 1 where it does not.",
        epilog=examples(
            ("winogen check generator.onnx", "does it run, how fast, what does not?"),
            ("winogen check netG.pth --board zcu104", "weights whose layers can be told from them"),
            ("winogen check layers.yaml --all-boards", "a definition, before it is trained"),
            ("winogen check net.onnx --image-size 480x640", "a network for images of any size"),
        ),
    )
    check.add_argument(
        "model",
        metavar="FILE",
        help="an ONNX file, a network file (.npz), weights, a definition (.yaml), a model folder, "
        "a program file (.wg), or a name from 'winogen models'",
    )
    check.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        help="activation and weight width (default: both, where the board has both)",
    )
    check.add_argument(
        "--all-boards", action="store_true", help="predict for every board that winogen knows"
    )
    add_json(check)
    check.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    from winogen.compilation.check import check

    asked = given(options)
    if options.all_boards:
        if "board" in asked:
            raise InputError("--all-boards is for every board: leave --board out")
        asked["board"] = board_names()
    if options.model.endswith(".wg"):
        extra = [CompileOptions.described[n].flag for n in asked if n not in ("board", "bits")]
        if extra:
            raise InputError(f"{', '.join(extra)} cannot change a compiled program; leave it out")
    with Progress(f"checking {options.model}") as progress:
        report = check(options.model, progress=progress.stage, **asked)
    print(report.text())
    found = asdict(report)
    found["runs"] = report.runs
    found["multiply_adds"], found["parameters"] = report.multiply_adds, report.parameters
    found["facts"] = dict(report.facts)
    for entry, prediction in zip(found["predictions"], report.predictions):
        entry["runs"] = prediction.runs
    options.result = found
    return 0 if report.runs else 1
