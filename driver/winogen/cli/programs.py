"""What commands that run a network take: a program file, or what compiles to one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from winogen.cli.compile import compile_with_progress
from winogen.cli.job import prepare
from winogen.cli.options import compile_options, refuse
from winogen.common.errors import InputError
from winogen.compiler.options import CompileOptions
from winogen.network.graph import Graph
from winogen.network.zoo import model_names
from winogen.program.file import Program
from winogen.target.board import Board, load_board

MAX_SCALE = 64
#: Options that a program is checked against; it has the others fixed.
_CHECKED = ("board", "bits")


def load_or_compile(
    options: argparse.Namespace,
    choose_window: Callable[[Graph, Board], tuple[int, int] | None] | None = None,
    check: Callable[[Graph | Program], None] = lambda network: None,
) -> Program:
    """The program that the options name, compiled if it is none yet.

    ``choose_window`` decides on the size of the input where ``--window`` does not. ``check`` is
    called with the network, or the program, before the work of compiling.
    """
    if not options.model.endswith(".wg"):
        return _compile(options, choose_window, check)
    fixed = [name for name in CompileOptions.described if name not in _CHECKED]
    refuse(options, fixed, "cannot change a compiled program; compile it anew")
    program = Program.load(options.model)
    check(program)
    check_program(options, program)
    return program


def _compile(
    options: argparse.Namespace,
    choose_window: Callable[[Graph, Board], tuple[int, int] | None] | None,
    check: Callable[[Graph | Program], None],
) -> Program:
    asked = compile_options(options).with_board()
    job = prepare(options.model, asked)
    check(job.graph)
    if asked.window is None and choose_window:
        window = choose_window(job.graph, asked.target)
        job = replace(job, options=replace(job.options, window=window))
    return compile_with_progress(job).program


def load_program(path: Path) -> Program:
    """The program in a file; an error says what to do with the name of a model."""
    if path.suffix != ".wg" and (str(path).replace("_", "-") in model_names() or path.is_dir()):
        raise InputError(
            f"{path} is a model and no program file: make one with 'winogen compile {path}'"
        )
    return Program.load(path)


def check_program(options: argparse.Namespace, program: Program) -> None:
    """InputError or ProgramError if the options name another board or width than a program's."""
    if options.board or options.bits:
        bits = options.bits or program.data_width
        program.check_board(load_board(options.board or program.board.name, bits))


def check_no_latents(options: argparse.Namespace) -> None:
    """InputError if both inputs and latents are asked for."""
    if options.input and (options.number is not None or options.seed is not None):
        raise InputError("--input brings its own latents: leave -n and --seed out")
