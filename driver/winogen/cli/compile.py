"""``winogen compile``: a network to a program file."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from winogen.cli.exits import described_exits, exits_table
from winogen.cli.job import prepare, report, verdict
from winogen.cli.objects import add_json, described, judged, measured
from winogen.cli.options import compile_options, option_parser
from winogen.cli.outputs import default_output, name_of
from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.progress import Progress
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.network.load import is_onnx, is_stored, recognise_file
from winogen.reports.tables import cost_summary, cost_table, quality_table, weights_summary


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    compile_ = commands.add_parser(
        "compile",
        parents=[option_parser(CompileOptions)],
        help="compile a network to a program file",
        description="Quantise a network, lower it to the accelerator's instructions for a board, "
        "and write one program file.",
        epilog=examples(
            ("winogen compile digits", "digits.wg, for a PYNQ-Z2 at 8 bits"),
            (
                "winogen compile generator.onnx --calib latents.npy",
                "ranges from your own inputs",
            ),
            (
                "winogen compile net.onnx --bits 16 --report net.html",
                "and a page on every layer",
            ),
            (
                "winogen compile netG.pth --as net/layers.yaml",
                "weights alone; writes their layers",
            ),
            ("winogen compile dcgan-4x4 --weights netG.pth", "weights for a definition"),
        ),
    )
    compile_.add_argument(
        "model",
        help="a name from 'winogen models', an ONNX file, a network file (.npz), a folder with "
        "layers.yaml and weights.npz, or the weights of a generator whose layers can be told from "
        "them",
    )
    compile_.add_argument(
        "--as",
        dest="definition",
        type=Path,
        metavar="layers.yaml",
        help="for weights without a definition: write the one that was recognised, and weights.npz "
        "beside it",
    )
    compile_.add_argument(
        "-o",
        "--output",
        type=Path,
        help="program file to write (default: the model's name, .wg)",
    )
    compile_.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page with sample images, ranges, memory and cycles of every layer",
    )
    add_json(compile_)
    compile_.set_defaults(command=_compile)


def compile_with_progress(job: Job) -> Compilation:
    """Compile a job, and show the stages."""
    with Progress(f"compiling {job.graph.name}") as progress:
        return compile_job(job, progress.stage)


def _check_definition(target: Path, model: str) -> None:
    """Refuse now what cannot be written later, or is not asked for weights alone."""
    if target.name != "layers.yaml":
        raise InputError(f"cannot write {target}: a definition must be named layers.yaml")
    if not Path(model).is_file() or is_onnx(model) or is_stored(model):
        raise InputError(f"{model} is no file of weights without a definition: leave --as out")
    for path in (target, target.with_name("weights.npz")):
        if path.exists():
            raise InputError(f"{path} exists: name another folder for --as, or remove it")
        check_writable(path)


def _write_definition(target: Path, source: Path, options: CompileOptions) -> None:
    """Make the folder of ``target`` a model: its definition and its parameters."""
    found = recognise_file(source, options)
    write_atomically(target, found.definition.encode())
    stream = io.BytesIO()
    np.savez(stream, **found.arrays)
    write_atomically(target.with_name("weights.npz"), stream.getvalue())
    print(f"wrote {target} and {target.with_name('weights.npz')}: {target.parent} is a model now")


def _compile(arguments: argparse.Namespace) -> None:
    if arguments.output is None:
        arguments.output = default_output(f"{name_of(arguments.model)}.wg")
    if arguments.output.suffix != ".wg":
        raise InputError(f"cannot write {arguments.output}: the name of a program must end in .wg")
    check_writable(arguments.output)
    if arguments.report:
        if arguments.report.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write {arguments.report}: its name must end in .html")
        check_writable(arguments.report)
    if arguments.definition:
        _check_definition(arguments.definition, arguments.model)
    options = compile_options(arguments).with_board()
    job = prepare(arguments.model, options)
    if arguments.definition:
        _write_definition(arguments.definition, Path(arguments.model), options)
    compiled = compile_with_progress(job)
    program = compiled.program
    program.save(arguments.output)
    print(quality_table(compiled.quality))
    words = verdict(job, compiled)
    print(words)
    if arguments.report:
        write_atomically(arguments.report, report(job, compiled, words).encode())
        print(f"wrote {arguments.report}")
    print()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    if program.exits:
        print(f"\n{exits_table(program)}\n")
    for remark in compiled.remarks:
        print(remark)
    size = arguments.output.stat().st_size
    print(
        f"wrote {arguments.output} ({size / 1e6:.2f} MB), configuration "
        f"{program.core.config_hash32:08x}"
    )
    print(f"weights: {weights_summary(program)}")
    arguments.result = {
        "output": str(arguments.output),
        "bytes": size,
        "report": str(arguments.report) if arguments.report else None,
        "quality": {**judged(compiled.quality.output), "held_out": compiled.quality.held_out},
        "layers": [measured(layer) for layer in compiled.quality.layers],
        "notes": [*job.graph.notes, *compiled.remarks],
        "program": described(program),
        "exits": described_exits(program),
    }
