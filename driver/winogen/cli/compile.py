"""``winogen compile``: a network to a program file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from winogen.cli.job import prepare, report, verdict
from winogen.cli.options import compile_options, option_parser
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.progress import Progress
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.reports.tables import cost_summary, cost_table, quality_table


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    compile_ = commands.add_parser(
        "compile",
        parents=[option_parser(CompileOptions)],
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


def compile_with_progress(job: Job) -> Compilation:
    """Compile a job, and show the stages."""
    with Progress(f"compiling {job.graph.name}") as progress:
        return compile_job(job, progress.stage)


def _compile(arguments: argparse.Namespace) -> None:
    if arguments.output.suffix != ".wg":
        raise InputError(f"cannot write {arguments.output}: the name of a program must end in .wg")
    check_writable(arguments.output)
    if arguments.report:
        if arguments.report.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write {arguments.report}: its name must end in .html")
        check_writable(arguments.report)
    options = compile_options(arguments).with_board()
    job = prepare(arguments.model, options)
    compiled = compile_with_progress(job)
    program = compiled.program
    program.save(arguments.output)
    print(quality_table(compiled.quality))
    judged = verdict(job, compiled)
    print(judged)
    if arguments.report:
        write_atomically(arguments.report, report(job, compiled, judged).encode())
        print(f"wrote {arguments.report}")
    print()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    size = arguments.output.stat().st_size
    print(
        f"wrote {arguments.output} ({size / 1e6:.2f} MB), configuration "
        f"{program.core.config_hash32:08x}"
    )
