"""``winogen compile``: a network to a program file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from winogen.cli.job import Job, percentile, read_job, report, verdict
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.progress import Progress
from winogen.compiler.compile import DEFAULT_BATCH, Compiled, compile_graph
from winogen.compiler.lower import Mode
from winogen.network.graph import Graph
from winogen.reports.tables import cost_summary, cost_table, quality_table
from winogen.target.board import Board, board_names, load_board


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
        "model",
        help="a name from 'winogen models', an ONNX file, or a folder with layers.yaml and "
        "weights.npz",
    )
    compile_.add_argument("-o", "--output", type=Path, required=True, help="program file to write")
    compile_.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page with sample images, ranges, memory and cycles of every layer",
    )
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
        help=f"images that one run of the device takes at most (default: {DEFAULT_BATCH}, or "
        "fewer large ones)",
    )
    group.add_argument(
        "--window",
        type=_size,
        metavar="ROWSxCOLUMNS",
        help="size of the input, for networks that take images of any size: larger images are run "
        "in windows of this size",
    )
    group.add_argument(
        "--percentile",
        type=percentile,
        help="of the activations that calibration keeps in range, or auto: try several and take "
        "the one with the best images (default: 99.99 for 8 bits, 100 for 16)",
    )
    group.add_argument(
        "--headroom",
        type=float,
        help="factor on calibrated ranges (default: 1 for 8 bits, 1.25 for 16)",
    )
    group.add_argument(
        "--calib",
        type=Path,
        metavar="PATH",
        help="inputs to calibrate with: a .npy or .npz file, or a folder of images (default: drawn "
        "by --calib-seed)",
    )
    group.add_argument("--calib-seed", type=int, help="seed of the calibration inputs (default: 0)")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="parameters for the model's layers: .npz, .safetensors, or a PyTorch state dict "
        "(.pt, .pth)",
    )
    network.add_argument(
        "--image-size",
        type=_size,
        metavar="ROWSxCOLUMNS",
        help="size of the input image, for a network that takes any size",
    )
    for side in ("input", "output"):
        network.add_argument(
            f"--{side}-range",
            type=float,
            nargs=2,
            metavar=("BLACK", "WHITE"),
            help=f"real values of black and white of the {side} image (default: the model's)",
        )
    network.add_argument(
        "--latents",
        choices=("normal", "uniform"),
        help="how latents are distributed; uniform is -1 to 1 (default: the model's, or normal)",
    )
    return parser


#: Options that only a compilation can follow: a compiled program has them fixed.
COMPILE_ONLY = (
    "mode",
    "batch",
    "window",
    "percentile",
    "headroom",
    "calib",
    "calib_seed",
    "weights",
    "image_size",
    "input_range",
    "output_range",
    "latents",
)


def _size(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and min(int(rows), int(columns)) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not ROWSxCOLUMNS, such as 64x64")
    return int(rows), int(columns)


def _board(options: argparse.Namespace) -> Board:
    return load_board(options.board or "pynq-z2", options.bits or 8)


def compile_model(
    options: argparse.Namespace,
    choose_window: Callable[[Graph, Board], tuple[int, int] | None] | None = None,
) -> Compiled:
    """Compile the network that the options of ``compile_options`` name.

    ``choose_window`` decides on the size of the input where ``--window`` does not.
    """
    board = _board(options)
    return compile_job(options, board, read_job(options, board.core.data_width), choose_window)


def compile_job(
    options: argparse.Namespace,
    board: Board,
    job: Job,
    choose_window: Callable[[Graph, Board], tuple[int, int] | None] | None = None,
) -> Compiled:
    """Compile a network that :func:`read_job` has read."""
    graph = job.graph
    window = options.window
    if window is None and choose_window:
        window = choose_window(graph, board)
    with Progress(f"compiling {graph.name}") as progress:
        return compile_graph(
            graph,
            board,
            mode=Mode(options.mode or "auto"),
            batch=options.batch,
            window=window,
            calibration=job.calibration,
            inputs=job.inputs,
            seed=job.seed,
            progress=progress.stage,
        )


def _compile(options: argparse.Namespace) -> None:
    if options.output.suffix != ".wg":
        raise InputError(f"cannot write {options.output}: the name of a program must end in .wg")
    check_writable(options.output)
    if options.report:
        if options.report.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write {options.report}: its name must end in .html")
        check_writable(options.report)
    board = _board(options)
    job = read_job(options, board.core.data_width)
    compiled = compile_job(options, board, job)
    program = compiled.program
    program.save(options.output)
    print(quality_table(compiled.network.report))
    judged = verdict(job, compiled.network)
    print(judged)
    if options.report:
        write_atomically(options.report, report(job, compiled, judged).encode())
        print(f"wrote {options.report}")
    print()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    size = options.output.stat().st_size
    print(
        f"wrote {options.output} ({size / 1e6:.2f} MB), configuration "
        f"{program.core.config_hash32:08x}"
    )
