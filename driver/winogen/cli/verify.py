"""``winogen verify``: where a program's output begins to differ from the float network's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from winogen.cli.checks import add_checks, check_options
from winogen.cli.device import add_device, choose_device
from winogen.cli.exits import add_exit
from winogen.cli.job import prepare
from winogen.cli.objects import add_json, judged, measured
from winogen.cli.options import compile_options, given, option_parser, refuse
from winogen.cli.parser import examples
from winogen.cli.programs import check_program, load_program
from winogen.cli.waits import add_waits, wait_options
from winogen.common.errors import InputError
from winogen.common.progress import Progress
from winogen.compiler.lower import Mode
from winogen.compiler.options import CompileOptions
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.quality.inputs import MAX_INPUTS, read_calibration

if TYPE_CHECKING:  # it needs pynq, and --help does not
    from winogen.quality.verify import Difference

#: Inputs to compare on, by default.
DEFAULT_NUMBER = 4
#: Options of a compilation that the program answers; they may be given if they agree with it.
_OF_THE_PROGRAM = ("batch", "window")


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    verify = commands.add_parser(
        "verify",
        parents=[option_parser(CompileOptions)],
        help="compare a program with the float network, layer by layer",
        description="Run a program on a device so that every layer's output is kept, and compare: "
        "with the float network (PSNR, SSIM), and bit by bit with what the model compiles to. "
        "Names the first layer that differs, and by how much. Give the compilation options that "
        "the program was compiled with. Exits with 1 where a bit is wrong, or the images of a "
        "program of another origin are broken.",
        epilog=examples(
            ("winogen verify digits.wg --model digits", "on the emulated device"),
            (
                "winogen verify net.wg --onnx net.onnx --device board",
                "is every bit right there?",
            ),
            ("winogen verify net.wg --onnx net.onnx --input photos", "on pictures of your own"),
        ),
    )
    verify.add_argument("program", type=Path, help="program file (.wg)")
    model = verify.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--model",
        metavar="MODEL",
        help="a name from 'winogen models', a folder, an ONNX or network file, or weights",
    )
    model.add_argument("--onnx", dest="model", metavar="FILE", help="the network as an ONNX file")
    verify.add_argument(
        "-n", "--number", type=int, help=f"inputs to compare on (default: {DEFAULT_NUMBER})"
    )
    verify.add_argument("--seed", type=int, help="seed of the inputs (default: 0)")
    verify.add_argument(
        "--input",
        type=Path,
        metavar="PATH",
        help="inputs to use instead: a .npy or .npz file, or a folder of images",
    )
    add_exit(verify, deadline=False)
    add_device(verify)
    add_waits(verify)
    add_checks(verify)
    add_json(verify)
    verify.set_defaults(command=_verify)


def _verify(options: argparse.Namespace) -> int:
    if options.input and (options.number is not None or options.seed is not None):
        raise InputError("--input brings its own inputs: leave -n and --seed out")
    with Progress(f"reading {options.program}"):  # pynq, which takes seconds to import, too
        from winogen.quality.verify import check_layers, verify

        program = load_program(options.program)
    choose_device(options, compiled=True)
    check_program(options, program)
    _check_agrees(options, program)
    fixed = {"board": program.board, "bits": program.data_width, "batch": None, "window": None}
    job = prepare(options.model, compile_options(options, **fixed))
    graph = job.graph
    images = graph.input.kind == program.input.kind == "image"
    if images and graph.input.shape[1:] != program.input_shape[1:]:
        graph = graph.resized(program.input_shape[1:])  # the program is for windows
    check_layers(program, graph)
    program.at_exit(program.exit_count if options.exit is None else options.exit)
    x = _inputs(options, graph)
    with Progress(f"verifying {program.name}") as progress:
        progress.stage("running the float network")
        observed = job.observe()
        network = job.quantise(observed, progress.stage)
        result = verify(
            program,
            graph,
            network.resized(graph),
            x,
            options.device,
            mode=Mode(job.options.mode),
            exit=options.exit,
            overlay=options.overlay,
            **wait_options(options),
            **check_options(options),
            progress=progress.stage,
        )
    print(result.text())
    options.result = {
        "passed": result.passed,
        "device": options.device,
        "same_program": result.same_program,
        "quality": judged(result.layers[-1]),
        "layers": [
            {
                **measured(layer),
                "differ_from_model": _count(result.from_model, i),
                "differ_from_emulator": _count(result.from_emulator, i),
            }
            for i, layer in enumerate(result.layers)
        ],
    }
    return 0 if result.passed else 1


def _count(found: list[Difference | None], layer: int) -> int | None:
    """How many values of a layer differ; None where it was not compared."""
    if not found:
        return None
    difference = found[layer]
    return difference.count if difference else 0


def _check_agrees(options: argparse.Namespace, program: Program) -> None:
    """InputError for an option with which the program was not compiled."""
    made = {"batch": program.streams[-1].batch, "window": program.input_shape[1:]}
    asked = given(options, _OF_THE_PROGRAM)
    if wrong := [name for name, value in asked.items() if value != made[name]]:
        was = ", ".join(f"{name} {_shown(made[name])}" for name in wrong)
        refuse(options, wrong, f"cannot change a compiled program, which has {was}; leave it out")


def _shown(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _inputs(options: argparse.Namespace, graph: Graph) -> NDArray[np.float32]:
    if options.input:
        return read_calibration(options.input, graph)
    number = DEFAULT_NUMBER if options.number is None else options.number
    if not 1 <= number <= MAX_INPUTS:
        raise InputError(f"the number of inputs must be 1 to {MAX_INPUTS}, not {number}")
    if (options.seed or 0) < 0:
        raise InputError("a seed must not be negative")
    return sample_inputs(graph.input, number, options.seed or 0)
