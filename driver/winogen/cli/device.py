"""The options ``--device`` and ``--overlay`` of the commands that run a program."""

from __future__ import annotations

import argparse
from pathlib import Path

from winogen.common.errors import InputError


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--device",
        choices=("emulator", "rtl", "board", "auto"),
        help="where to run: the emulator, rtl (the hardware's own logic, simulated cycle by cycle: "
        "slow, and needs winogen[rtl] and g++), a PYNQ board, or auto (default): what "
        "WINOGEN_DEVICE names, or the board if this is one, or the emulator",
    )
    parser.add_argument("--overlay", type=Path, help="bitstream (.bit) for --device board")


def choose_device(options: argparse.Namespace, *, compiled: bool) -> None:
    """Put what is picked in place of ``--device auto``, and say what it is and why.

    Nothing is said where nobody has asked and there is no choice. What is not ``compiled`` yet is
    compiled for the board that is picked, unless ``--board`` says otherwise.

    Raises InputError if there is an overlay and no board for it.
    """
    from winogen.runtime.pick import AUTO, DEVICE_VARIABLE, pick_device

    if options.device in (None, AUTO):
        picked = pick_device()
        quiet = options.device is None and picked.device == "emulator"
        options.device = picked.device
        if not compiled:
            options.board = options.board or picked.board
            picked = picked._replace(board=options.board)
        if not quiet:
            print(f"{picked.device}: {picked.reason}" if compiled else picked)
    if options.overlay and options.device != "board":
        raise InputError(
            "--overlay is for a board; emulated devices bring their own: give --device board, or "
            f"{DEVICE_VARIABLE}=board"
        )
