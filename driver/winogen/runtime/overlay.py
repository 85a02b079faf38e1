"""The overlay of a board: which bitstream, whether it is the program's, and what clocks it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from winogen.common.errors import DeviceError
from winogen.common.pynq_library import pynq
from winogen.common.text import printable
from winogen.target import clock
from winogen.target.board import Board, board_folder, board_names, load_board

#: Names of a board's bitstreams, in its folder, by data width.
OVERLAY_NAMES = {8: "winogen.bit", 16: "winogen16.bit"}


def bundled_overlay(board: Board) -> Path:
    """The bitstream for the board that this is, by PYNQ's variable BOARD, or for ``board``."""
    name = os.environ.get("BOARD", "").lower()
    if name and name not in board_names():
        raise DeviceError(
            f"this board is {name}, by the environment variable BOARD, and winogen has no overlay "
            "for it; give the path of a .bit file that was built for it"
        )
    here = load_board(name, board.core.data_width) if name else board
    if here.name not in board_names():  # a program's header may name anything
        raise DeviceError(
            f"winogen has no overlay for a board '{here.name}'; give the path of a .bit file that "
            "was built for it"
        )
    if here.core.config_hash != board.core.config_hash:
        raise DeviceError(
            f"this board is {here.name}, by the environment variable BOARD, and the program is for "
            f"{board.name}; compile it again with --board {here.name}"
        )
    overlay = board_folder() / here.name / OVERLAY_NAMES[here.core.data_width]
    if not overlay.is_file():
        bits = here.core.data_width
        raise DeviceError(
            f"there is no int{bits} bitstream for {here.name} yet; build one with 'winogen overlay "
            f"build --board {here.name} --bits {bits} --tool vivado', or give the path of a .bit "
            "file with its .hwh beside it"
        )
    return overlay


def check_build(overlay: Path, description: Mapping[str, Any], board: Board) -> None:
    """Refuse an overlay whose .hwh tells of another build configuration than the board's.

    ``description`` is the accelerator's in the overlay's ``ip_dict``. All that it tells is
    compared: the whole hash where the .hwh has it, and every parameter of the logic.
    """
    parameters = {name.lower(): str(text) for name, text in description["parameters"].items()}
    wanted = board.core
    found = parameters.get("config_hash")
    if found is not None:
        # All 256 bits in hexadecimal, or, where they are a parameter of the logic, the first 32.
        whole = len(found) == 64
        found = found.lower() if whole else f"{_number(overlay, 'CONFIG_HASH', found):08x}"
        right = wanted.config_hash if whole else f"{wanted.config_hash32:08x}"
        if found != right:
            digits = 8 if found[:8] != right[:8] else 64
            raise DeviceError(
                f"overlay {overlay} is of build configuration {found[:digits]}, and {board.name} "
                f"with {wanted.data_width}-bit data is {right[:digits]}; give the overlay that was "
                "built for it, or compile the program for the other"
            )
    values = asdict(wanted)
    values["lanes"] = wanted.ci_lanes  # the wrapper has one parameter for both
    differing = []
    for name, value in values.items():
        if name in parameters and _number(overlay, name, parameters[name]) != value:
            differing.append(f"{name} {parameters[name][:20]} instead of {value}")
    if differing:
        raise DeviceError(
            f"overlay {overlay} is another build than that of {board.name} with "
            f"{wanted.data_width}-bit data: {printable(', '.join(differing))}; give the overlay "
            "that was built for it, or compile the program for the other"
        )


def _number(overlay: Path, name: str, text: str) -> int:
    """A parameter in a .hwh, as Vivado writes it."""
    try:
        return int(text, 0)
    except ValueError:
        raise DeviceError(
            f"overlay {overlay}: parameter {name} of its accelerator is no number but "
            f"{text[:60]!r}; its .hwh is damaged, so build it again"
        ) from None


def choose_clock_source(device: Any, overlay: Path) -> None:
    """Choose the PLL of the logic's clock that the .hwh names: pynq sets the divisors alone.

    This is done before the overlay is loaded, while nothing in the logic can be upset by it.
    """
    try:
        hwh = ElementTree.parse(overlay.with_suffix(".hwh"))
    except (OSError, ElementTree.ParseError):
        return  # pynq says what is wrong with it
    parameter = hwh.find(".//PARAMETER[@NAME='PCW_FCLK0_PERIPHERAL_CLKSRC']")
    if parameter is None:  # no Zynq-7000
        return
    source = parameter.get("VALUE", "")
    if source not in clock.PLLS:
        raise DeviceError(
            f"overlay {overlay} clocks the logic from '{source}'; winogen can choose "
            f"{' or '.join(clock.PLLS)}: build it again with one of them"
        )
    slcr = pynq.MMIO(clock.SLCR_BASE, clock.SLCR_SIZE, device=device)
    slcr.write(clock.FCLK0_OFFSET, clock.select_source(slcr.read(clock.FCLK0_OFFSET), source))
