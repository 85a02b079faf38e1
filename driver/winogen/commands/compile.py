"""``winogen compile``: a network to a program file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from winogen import zoo
from winogen.board import Board, board_names, load_board
from winogen.compiler import DEFAULT_BATCH, Compiled, compile_graph
from winogen.errors import InputError
from winogen.files import check_writable
from winogen.lower import Mode
from winogen.progress import Progress
from winogen.quantise import DEFAULT_CALIBRATION, Calibration
from winogen.tables import cost_summary, cost_table, quality_table


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    compile_ = commands.add_parser(
        "compile",
        parents=[compile_options()],
        help="compile a network to a program file",
        description="Quantise a network, lower it to the accelerator's instructions for a board, "
        "and write one program file.",
    )
    compile_.add_argument(
        "model", help="a name from 'winogen models', or a folder with layers.yaml and weights.npz"
    )
    compile_.add_argument("-o", "--output", type=Path, required=True, help="program file to write")
    compile_.set_defaults(command=_compile)


def compile_options() -> argparse.ArgumentParser:
    """The options of all commands that compile."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("compilation")
    group.add_argument(
        "--board",
        help=f"one of {', '.join(board_names())}, or a board YAML file (default: pynq-z2)",
    )
    group.add_argument(
        "--bits", type=int, choices=(8, 16), help="activation and weight width (default: 8)"
    )
    group.add_argument(
        "--mode",
        choices=[m.value for m in Mode],
        default=None,
        help="arrangement of the multiplies; direct (TDC) and zero-padded are the "
        "baselines (default: auto, the cheapest for each layer)",
    )
    group.add_argument(
        "--batch",
        type=int,
        help=f"images that one run of the device takes at most (default: {DEFAULT_BATCH})",
    )
    group.add_argument(
        "--percentile",
        type=float,
        help="of the activations that calibration keeps in range (default: 99.99 "
        "for 8 bits, 100 for 16)",
    )
    group.add_argument(
        "--headroom",
        type=float,
        help="factor on calibrated ranges (default: 1 for 8 bits, 1.25 for 16)",
    )
    group.add_argument("--calib-seed", type=int, help="seed of the calibration inputs (default: 0)")
    return parser


def _board(options: argparse.Namespace) -> Board:
    return load_board(options.board or "pynq-z2", options.bits or 8)


def compile_model(options: argparse.Namespace) -> Compiled:
    """Compile the network that the options of ``compile_options`` name."""
    if (options.calib_seed or 0) < 0:
        raise InputError("a seed must not be negative")
    board = _board(options)
    default = DEFAULT_CALIBRATION[board.core.data_width]
    calibration = Calibration(
        default.percentile if options.percentile is None else options.percentile,
        default.headroom if options.headroom is None else options.headroom,
    )
    graph = zoo.load_model(options.model)
    with Progress(f"compiling {graph.name}") as progress:
        return compile_graph(
            graph,
            board,
            mode=Mode(options.mode or "auto"),
            batch=DEFAULT_BATCH if options.batch is None else options.batch,
            calibration=calibration,
            seed=options.calib_seed or 0,
            progress=progress.stage,
        )


def _compile(options: argparse.Namespace) -> None:
    if options.output.suffix != ".wg":
        raise InputError(f"cannot write {options.output}: the name of a program must end in .wg")
    check_writable(options.output)
    compiled = compile_model(options)
    program = compiled.program
    program.save(options.output)
    print(quality_table(compiled.network.report))
    print()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    size = options.output.stat().st_size
    print(
        f"wrote {options.output} ({size / 1e6:.2f} MB), configuration "
        f"{program.core.config_hash32:08x}"
    )
