"""``winogen fit``: a network is trained to be smaller, or better, without anybody's data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from winogen.cli import fit_once
from winogen.cli.fitting import Files, Shown, finish, library
from winogen.cli.job import prepare
from winogen.cli.objects import add_json
from winogen.cli.options import compile_options, given, option_parser
from winogen.cli.outputs import name_of
from winogen.cli.parser import examples
from winogen.common.progress import Progress
from winogen.compiler.options import CompileOptions
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.students import told
from winogen.network.kinds import ONCE, weights_kind


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    fit = commands.add_parser(
        "fit",
        parents=[option_parser(FitOptions), option_parser(CompileOptions)],
        help="train a network to fit its board, without training data",
        description="Train a network in the accelerator's integers to do as it does in floating "
        "point: with better 8-bit weights, or with fewer, shared or 4-bit ones. It is its own "
        "teacher, for latents (or pictures) that are drawn, or for those of --calib. Writes a "
        "program, and beside it the trained network (.npz), which winogen compile takes. With "
        "--once it trains many networks in one instead, with fewer channels, smaller kernels and "
        "fewer layers: a file .once, in which winogen fit then searches the best for a board and "
        "speed, as often as you like. --once takes the options of training and of the network "
        "alone, and what it wrote takes --fps, with what else a network of that speed is to have. "
        "Networks are of 8 bits, and their ranges are found: --bits 16, --percentile and "
        "--headroom are for winogen compile. Needs pip install 'winogen[compress]'.",
        epilog=examples(
            ("winogen fit digits", "better 8-bit weights, digits-fitted.wg"),
            ("winogen fit netG.onnx --bytes 250000 -o small.wg", "weights of 250 kB"),
            ("winogen fit netG.onnx --fps 60", "narrower layers, 60 images a second"),
            ("winogen fit netG.onnx --blocks separable", "depthwise and 1x1 convolutions"),
            ("winogen fit netG.onnx --psnr 36 --minutes 30 -o small.wg", "as small as 36 dB allow"),
            ("winogen fit digits --keep 0.4 --share 16", "60% pruned, 16 shared values a layer"),
            ("winogen fit net.onnx --calib photos/", "learns from your pictures"),
            ("winogen fit digits --weight-bits 4", "trained 4-bit weights"),
            ("winogen fit digits --exits 45,70", "and run --exit 1 with 45% of the cycles"),
            ("winogen fit digits --once", "many networks in one: digits.once"),
            ("winogen fit digits.once --board zcu104", "what there is for a board"),
            ("winogen fit digits.once --board zcu104 --fps 20000 -o fast.wg", "the best of them"),
        ),
    )
    fit.add_argument(
        "model",
        help="a name from 'winogen models', an ONNX file, a folder with layers.yaml and "
        "weights.npz, a fitted network, the weights of a generator, or what --once wrote",
    )
    fit.add_argument(
        "-o",
        "--output",
        type=Path,
        help="program file to write, and the trained network beside it as .npz (default: the "
        "model's name, -fitted.wg; with --once the model's name, .once)",
    )
    fit.add_argument(
        "--once",
        action="store_true",
        help="train once for all boards and speeds: a file .once, which winogen fit then searches",
    )
    add_json(fit)
    fit.set_defaults(command=_fit)


def _fit(arguments: argparse.Namespace) -> None:
    options = FitOptions(**given(arguments, kind=FitOptions))
    if arguments.once:
        fit_once.train(arguments, options)
        return
    model = Path(arguments.model)
    if model.is_file() and weights_kind(model) == ONCE:
        fit_once.take(arguments, options)
        return
    output = arguments.output or Path(f"{name_of(arguments.model)}-fitted.wg")
    files = Files(output, arguments.model)
    fitting = library("fit").fit
    compilation = compile_options(arguments).with_board()
    check_compilation(compilation)
    job = prepare(arguments.model, compilation)
    if options.blocks is not None:
        print(told(job, options.blocks))
    for path in (files.pretraining, files.checkpoint):
        if path.exists():
            print(f"going on from {path}")
    with Progress(f"fitting {job.graph.name}") as progress:
        fitted = fitting(job, options, files.checkpoint, Shown(progress))
    finish(arguments, files, options, fitted)
