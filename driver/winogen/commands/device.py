"""The option ``--device`` of the commands that run a program."""

from __future__ import annotations

import argparse


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device",
        choices=("emulator", "rtl", "board", "auto"),
        default="emulator",
        help="where to run: the emulator (default), rtl (the hardware's own logic, simulated cycle "
        "by cycle: slow, and needs winogen[rtl] and g++), a PYNQ board, or auto: the board if this "
        "is one, otherwise the emulator (WINOGEN_DEVICE decides)",
    )


def choose_device(options: argparse.Namespace, *, compiled: bool) -> None:
    """Put what is picked in place of ``--device auto``, and say what it is and why.

    What is not ``compiled`` yet is compiled for the board that is picked, unless ``--board`` says
    otherwise.
    """
    from winogen.devices import AUTO, pick_device

    if options.device != AUTO:
        return
    picked = pick_device()
    options.device = picked.device
    if compiled:
        print(f"{picked.device}: {picked.reason}")
    else:
        options.board = options.board or picked.board
        print(picked._replace(board=options.board))
