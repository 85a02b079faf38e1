"""The PYNQ board that this is, with its overlay loaded once for all tests."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from winogen.common.errors import BoardError, DeviceError
from winogen.runtime.open import OpenDevice, open_device
from winogen.target.board import (
    OVERLAY_NAMES,
    Board,
    board_folder,
    build_for,
    builds_for,
    load_board,
)


class RealBoard:
    """The board that the environment variable BOARD names.

    Parameters
    ----------
    bits : data width of the build; by default 8, or 16 if only that bitstream is there
    overlay : path of the bitstream; by default the one in the board's folder

    Raises
    ------
    DeviceError, BoardError : BOARD names no board, or one that has no such build
    """

    def __init__(self, bits: int | None = None, overlay: Path | None = None) -> None:
        name = os.environ.get("BOARD", "").lower()
        if not name:
            raise DeviceError(
                "the environment variable BOARD does not say which board this is; on a board, be "
                "root in PYNQ's environment ('sudo -i')"
            )
        name = self._build(name, overlay)
        self.board = load_board(name, bits or self._width(name, overlay))
        self._overlay = overlay
        self._opened: OpenDevice | None = None

    @property
    def build(self) -> tuple[str, int]:
        """Its name and data width."""
        return self.board.name, self.board.core.data_width

    def open(self, board: Board) -> OpenDevice:
        """The device with its overlay, loaded if it is not; ``board`` is no choice here."""
        if self._opened is None:
            self._opened = open_device("board", self.board, self._overlay)
        return self._opened

    def forget(self) -> None:
        """Close the device; the overlay is loaded again when it is wanted next."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.core.close()

    def __str__(self) -> str:
        name, bits = self.build
        where = self._opened.overlay.bitfile_name if self._opened else "not loaded"
        return f"{name}, int{bits} build, overlay {where}"

    @staticmethod
    def _build(name: str, overlay: Path | None) -> str:
        """The build for this board that the bitstream is of, by the hash in its .hwh."""
        if overlay is None:
            return build_for(name)
        hwh = overlay.with_suffix(".hwh")
        text = hwh.read_text(errors="replace").lower() if hwh.is_file() else ""
        for build in builds_for(name):
            for bits in OVERLAY_NAMES:
                with suppress(BoardError):
                    if f"{load_board(build, bits).core.config_hash32:08x}" in text:
                        return build
        return name

    @staticmethod
    def _width(name: str, overlay: Path | None) -> int:
        there = [b for b, f in OVERLAY_NAMES.items() if (board_folder() / name / f).is_file()]
        return 8 if overlay or not there else there[0]
