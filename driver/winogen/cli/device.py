"""The options ``--device`` and ``--overlay`` of the commands that run a program."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from winogen.common.errors import InputError
from winogen.target.device_names import AUTO, DEVICES, REMOTE_FORM, is_hardware, is_remote

if TYPE_CHECKING:
    from winogen.runtime.pick import Picked


class _Devices(tuple[str, ...]):
    """The names that a device can have, of which those of remote boards are without number."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return is_remote(name) or super().__contains__(name)


#: What ``--device`` takes.
DEVICE_CHOICES = _Devices((*DEVICES, REMOTE_FORM, AUTO))


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--device",
        choices=DEVICE_CHOICES,
        help="where to run: the emulator, rtl (the hardware's own logic, simulated cycle by cycle: "
        "slow, and needs winogen[rtl] and g++), a PYNQ board, one that PYNQ.remote drives from "
        "here (as remote:192.168.2.99, a port behind it), or auto (default): what WINOGEN_DEVICE "
        "names, or the board if this is one, or the emulator",
    )
    parser.add_argument("--overlay", type=Path, help="bitstream (.bit) for a board")


def choose_device(options: argparse.Namespace, *, compiled: bool) -> None:
    """Put what is picked in place of ``--device auto``, and say what it is and why.

    Nothing is said where nobody has asked and there is no choice. What is not ``compiled`` yet is
    compiled for the board that is picked, unless ``--board`` says otherwise; a remote board says
    itself which it is.

    Raises InputError if there is an overlay and no board for it, DeviceError for a remote board
    that cannot be reached.
    """
    from winogen.runtime.pick import DEVICE_VARIABLE, pick_device

    if options.device in (None, AUTO):
        picked = named_remote(pick_device())
        quiet = options.device is None and picked.device == "emulator"
        options.device = picked.device
        if not compiled:
            options.board = options.board or picked.board
            picked = picked._replace(board=options.board)
        if not quiet:
            print(f"{picked.device}: {picked.reason}" if compiled else picked)
    elif is_remote(options.device) and not compiled and not options.board:
        options.board, words = _board_of(options.device)
        print(f"{options.device}: {words}")
    if options.overlay and not is_hardware(options.device):
        raise InputError(
            "--overlay is for a board; emulated devices bring their own: give --device board, or "
            f"{DEVICE_VARIABLE}=board"
        )


def tell_of_network(device: str) -> None:
    """Say what predictions leave out where a board is driven over a network."""
    if is_remote(device):
        print(
            "predictions are for a processor on the board: over a network, registers and buffers "
            "take longer"
        )


def named_remote(picked: Picked) -> Picked:
    """What was picked, with the board that a remote one says it is."""
    if not is_remote(picked.device):
        return picked
    board, words = _board_of(picked.device)
    return picked._replace(board=board, reason=f"{picked.reason}; {words}")


def _board_of(device: str) -> tuple[str, str]:
    """The board that a remote one says it is, and what to say of that."""
    from winogen.runtime.open import remote_device
    from winogen.target.board import DEFAULT_BOARD, build_for

    name = remote_device(device).board_name
    if not name:
        return DEFAULT_BOARD, f"it does not say which board it is; {DEFAULT_BOARD} is assumed"
    board = build_for(name)
    return board, f"it says that it is {board}"
