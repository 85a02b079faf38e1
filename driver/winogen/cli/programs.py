"""What commands that run a network take: a program file, or what compiles to one."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from winogen.cli.compile import COMPILE_ONLY, compile_model
from winogen.common.errors import InputError
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.target.board import Board, load_board

MAX_SCALE = 64


def load_or_compile(
    options: argparse.Namespace,
    choose_window: Callable[[Graph, Board], tuple[int, int] | None] | None = None,
) -> Program:
    """The program that the options name; ``choose_window`` as :func:`compile_model` takes it."""
    if not options.model.endswith(".wg"):
        return compile_model(options, choose_window).program
    given = [f"--{n.replace('_', '-')}" for n in COMPILE_ONLY if getattr(options, n) is not None]
    if given:
        raise InputError(f"{', '.join(given)} cannot change a compiled program; compile it anew")
    program = Program.load(options.model)
    if options.board or options.bits:
        bits = options.bits or program.data_width
        program.check_board(load_board(options.board or program.board.name, bits))
    return program


def check_no_latents(options: argparse.Namespace) -> None:
    """InputError if both inputs and latents are asked for."""
    if options.input and (options.number is not None or options.seed is not None):
        raise InputError("--input brings its own latents: leave -n and --seed out")
