"""Which device this machine has, and what kind it is."""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

from winogen.common.errors import DeviceError
from winogen.common.pynq_library import pynq
from winogen.target.board import DEFAULT_BOARD, build_for
from winogen.target.traits import BOARD, Traits

DEVICES = ("emulator", "rtl", "board")
#: In place of a device: the one that :func:`pick_device` picks.
AUTO = "auto"
#: Environment variable that chooses a device for :func:`pick_device`.
DEVICE_VARIABLE = "WINOGEN_DEVICE"


class Picked(NamedTuple):
    """A device that was picked for the user; as text, one line that says which and why.

    Attributes
    ----------
    device : what :class:`winogen.Generator` takes
    board : name of the board, or of the build for it that there is a bitstream of, to compile for
    reason : why this device
    """

    device: str
    board: str
    reason: str

    def __str__(self) -> str:
        return f"{self.device}, as board {self.board}: {self.reason}"


def pick_device() -> Picked:
    """The device of this machine: what WINOGEN_DEVICE names, else the board, else the emulator.

    This is a board if the environment variable ``BOARD`` is set, as PYNQ's images do, or pynq
    finds a real device. Raises DeviceError if WINOGEN_DEVICE names no device.
    """
    name = os.environ.get("BOARD", "").lower()
    board = build_for(name) if name else DEFAULT_BOARD
    device = os.environ.get(DEVICE_VARIABLE, "")
    if device:
        if device not in DEVICES:
            raise DeviceError(
                f"the environment variable {DEVICE_VARIABLE} is '{device}'; set it to one of "
                f"{', '.join(DEVICES)}, or not at all"
            )
        return Picked(device, board, f"{DEVICE_VARIABLE} says so")
    here = "BOARD is set" if name else "pynq finds a device" if real_device() else ""
    if here:
        board = build_for(board)
        return Picked("board", board, f"{here} ({DEVICE_VARIABLE}=emulator runs without the board)")
    return Picked("emulator", board, f"this is no PYNQ board ({DEVICE_VARIABLE} chooses another)")


def traits_of(device: Any) -> Traits:
    """How a ``pynq.Device`` differs from others: what it says itself, or else a board's."""
    return getattr(device, "traits", BOARD)


def real_device() -> Any:
    """The board that pynq finds, or None."""
    try:
        with warnings.catch_warnings():  # its callers say what pynq warns of
            warnings.simplefilter("ignore")
            device = pynq.Device.active_device
    except RuntimeError:
        return None
    return device if traits_of(device).is_real else None
