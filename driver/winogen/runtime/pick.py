"""Which device this machine has, and what kind it is."""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

from winogen.common.errors import DeviceError
from winogen.common.pynq_library import pynq
from winogen.target.board import DEFAULT_BOARD, build_for
from winogen.target.device_names import (
    DEVICES,
    REMOTE,
    REMOTE_FORM,
    is_remote,
    remote_address,
)
from winogen.target.traits import BOARD, Traits

#: Where pynq itself looks for boards that it drives over a network.
PYNQ_VARIABLE = "PYNQ_REMOTE_DEVICES"
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


def board_here() -> str:
    """The board that this machine is by the environment variable ``BOARD``, or the default one."""
    name = os.environ.get("BOARD", "").lower()
    return build_for(name) if name else DEFAULT_BOARD


def pick_device() -> Picked:
    """The device of this machine: what WINOGEN_DEVICE names, else the board, else the emulator.

    This is a board if the environment variable ``BOARD`` is set, as PYNQ's images do, or pynq
    finds a real device; the one board of another machine where pynq's own PYNQ_REMOTE_DEVICES names
    it. Raises DeviceError if WINOGEN_DEVICE names no device, or that several.
    """
    name = os.environ.get("BOARD", "").lower()
    board = board_here()
    device = os.environ.get(DEVICE_VARIABLE, "")
    if device:
        if is_remote(device):
            remote_address(device)
        elif device not in DEVICES:
            raise DeviceError(
                f"the environment variable {DEVICE_VARIABLE} is '{device}'; set it to one of "
                f"{', '.join((*DEVICES, REMOTE_FORM))}, or not at all"
            )
        return Picked(device, board, f"{DEVICE_VARIABLE} says so")
    remote = os.environ.get(PYNQ_VARIABLE, "").replace(" ", "").strip(",")
    if remote:
        if "," in remote:
            raise DeviceError(
                f"the environment variable {PYNQ_VARIABLE} names several boards ({remote}), and "
                f"winogen drives one: choose it with --device {REMOTE_FORM} or "
                f"{DEVICE_VARIABLE}={REMOTE_FORM}"
            )
        device = f"{REMOTE}:{remote}"
        remote_address(device)
        return Picked(device, board, f"{PYNQ_VARIABLE} names it")
    here = "BOARD is set" if name else "pynq finds a device" if real_device() else ""
    if here:
        board = build_for(board)
        return Picked("board", board, f"{here} ({DEVICE_VARIABLE}=emulator runs without the board)")
    return Picked("emulator", board, f"this is no PYNQ board ({DEVICE_VARIABLE} chooses another)")


def traits_of(device: Any) -> Traits:
    """How a ``pynq.Device`` differs from others: what it says itself, or else a board's."""
    return getattr(device, "traits", BOARD)


def real_device() -> Any:
    """The board of this machine that pynq finds, or None.

    With PYNQ_REMOTE_DEVICES pynq has others, and would connect to them to find that out: they are
    used by their names.
    """
    if os.environ.get(PYNQ_VARIABLE):
        return None
    try:
        with warnings.catch_warnings():  # its callers say what pynq warns of
            warnings.simplefilter("ignore")
            device = pynq.Device.active_device
    except RuntimeError:
        return None
    return device if traits_of(device).is_real else None
