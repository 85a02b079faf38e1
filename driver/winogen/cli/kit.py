"""``winogen kit``: a folder to copy to a board that has no network."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from winogen import compile_model
from winogen.cli.parser import examples
from winogen.common.errors import BoardError, InputError
from winogen.common.progress import Progress
from winogen.common.text import did_you_mean
from winogen.program.file import Program
from winogen.target.board import Board, board_names, build_tool, load_board

#: What is compiled where no program is given.
_MODEL = "digits"


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    kit = commands.add_parser(
        "kit",
        help="make a folder to copy to a board",
        description="Make a folder with all that a board needs, for boards without a network too: "
        "winogen with the bitstreams that are there, programs, the conformance suite and pytest. "
        "It needs winogen's source tree, pip and the internet.",
        epilog=examples(
            ("winogen kit --board pynq-z2", "kit-pynq-z2, with digits at both widths"),
            ("winogen kit net.wg --board zcu104 -o kit", "with a program of your own"),
        ),
    )
    kit.add_argument(
        "programs",
        nargs="*",
        type=Path,
        metavar="PROGRAM",
        help=f"program files (.wg) to add (default: {_MODEL}, for every data width of the board)",
    )
    kit.add_argument("--board", default="pynq-z2", help="name (default: pynq-z2)")
    kit.add_argument("-o", "--output", type=Path, help="folder to make (default: kit-BOARD)")
    kit.set_defaults(command=_kit)


def _kit(options: argparse.Namespace) -> None:
    from winogen.cli.board_kit import bitstreams, make_kit, source_tree

    source_tree()
    options.output = options.output or Path(f"kit-{options.board}")
    if options.board not in board_names():
        hint = did_you_mean(options.board, board_names())
        raise InputError(
            f"unknown board '{options.board}'; {hint}known: {', '.join(board_names())}"
        )
    builds = _builds(options.board)
    if builds[0].platform is None:
        raise InputError(f"{options.board} has no processor, so PYNQ does not run on it")
    programs = {path.name: _read(path, options.board) for path in options.programs}
    if len(programs) < len(options.programs):
        raise InputError("two of the programs have the same name; rename one")
    with Progress(f"kit for {options.board}") as progress:
        programs = programs or _compile(builds, progress.stage)
        make_kit(options.output, options.board, programs, progress.stage)
    there = bitstreams(options.board)
    print(f"wrote {options.output}: copy it to the board; its README.txt says what to type there")
    print(
        f"bitstreams in it: {', '.join(there)}"
        if there
        else f"it has no bitstream, since there is none for {options.board} yet; build one with "
        f"'winogen overlay build --board {options.board} --tool {build_tool(options.board)}'"
    )


def _builds(name: str) -> list[Board]:
    """The board with each data width that it has."""
    builds = []
    for bits in (8, 16):
        try:
            builds.append(load_board(name, bits))
        except BoardError:
            continue  # no such core
    return builds or [load_board(name)]  # which says what is wrong with the file


def _read(path: Path, board: str) -> bytes:
    program = Program.load(path)
    program.check_board(load_board(board, program.data_width))
    return path.read_bytes()


def _compile(builds: list[Board], stage: Callable[[str], None]) -> dict[str, bytes]:
    programs = {}
    for board in builds:
        bits = board.core.data_width

        def say(name: str, width: int = bits) -> None:
            stage(f"{_MODEL}, {width} bits: {name}")

        program = compile_model(_MODEL, board, progress=say)
        programs[f"{_MODEL}-int{bits}.wg"] = program.tobytes()
    return programs
