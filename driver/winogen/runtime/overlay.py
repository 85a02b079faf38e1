"""The overlay of a board: which bitstream, and whether it is the program's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from winogen.common.errors import BoardError, DeviceError
from winogen.common.text import printable
from winogen.target.board import (
    OVERLAY_NAMES,
    Board,
    board_folder,
    board_names,
    build_for,
    build_tool,
    builds_for,
    load_board,
)


def bundled_overlay(board: Board, said: str | None = None) -> Path:
    """The bitstream for ``board``, of the builds for the board that this is.

    ``said`` is what a board of another machine says it is (empty: nothing); None for this
    machine's, of which PYNQ's variable BOARD says it.
    """
    hardware = os.environ.get("BOARD", "").lower() if said is None else said
    source = "by the environment variable BOARD" if said is None else "by its own word"
    names = builds_for(hardware) if hardware else [board.name]
    if not names:
        raise DeviceError(
            f"this board is {printable(hardware)}, {source}, and winogen has no overlay "
            "for it; give the path of a .bit file that was built for it"
        )
    if names[0] not in board_names():  # a program's header may name anything
        raise DeviceError(
            f"winogen has no overlay for a board '{board.name}'; give the path of a .bit file that "
            "was built for it"
        )
    name = board.name
    if hardware:
        name = next((build for build in names if _has_build(build, board)), "")
    if not name:
        raise DeviceError(
            f"this board is {names[0]}, {source}, and the program is for {board.name}; compile it "
            f"again with --board {build_for(names[0])}"
        )
    bits = board.core.data_width
    overlay = board_folder() / name / OVERLAY_NAMES[bits]
    if not overlay.is_file():
        raise DeviceError(
            f"there is no int{bits} bitstream for {name} yet; build one with 'winogen overlay "
            f"build --board {name} --bits {bits} --tool {build_tool(name)}', or give the path of a "
            ".bit file with its .hwh beside it"
        )
    return overlay


def _has_build(name: str, board: Board) -> bool:
    """Whether a board's build of this data width is that of ``board``."""
    try:
        here = load_board(name, board.core.data_width)
    except BoardError:
        return False  # it has none of this width
    return here.core.config_hash == board.core.config_hash


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
