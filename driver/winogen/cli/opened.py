"""A program on the device that the options of a command name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from winogen.cli.checks import check_options
from winogen.cli.waits import wait_options

if TYPE_CHECKING:
    from winogen.program.file import Program
    from winogen.runtime.generator import Generator


def opened(options: argparse.Namespace, program: Program) -> Generator:
    """A generator of the program, for commands with all options of devices, waits and checks.

    It is to be closed; raises what :class:`winogen.runtime.generator.Generator` does.
    """
    from winogen.runtime.generator import Generator

    return Generator(
        program,
        options.device,
        board=options.board,
        overlay=options.overlay,
        **wait_options(options),
        **check_options(options),
    )
