"""Building a board's overlay: settings, Vivado, and the two files that come out of it."""

from __future__ import annotations

from pathlib import Path

from winogen.common.errors import DeviceError, InputError, one_line
from winogen.common.files import write_atomically
from winogen.fpga import results
from winogen.fpga.settings import overlay_settings, tcl
from winogen.fpga.vivado import find_vivado, run_vivado
from winogen.target.board import Board, board_folder

#: Seconds that Vivado may take.
DEADLINE = 4 * 3600.0
#: Folder of Vivado's work beside the results: settings, projects, reports and log.
WORK = "vivado"


def write_settings(board: Board, folder: Path) -> Path:
    """Write the settings of the Vivado scripts into the work folder of ``folder``.

    Returns the file's path. Raises BoardError for a board without a Zynq, InputError where nothing
    can be written.
    """
    work = folder.resolve() / WORK
    text = tcl(overlay_settings(board, work / "results"))
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {work}: {error.strerror or error}") from None
    file = work / "settings.tcl"
    title = f"# Settings of build.tcl for {board.name}, int{board.core.data_width}; written anew.\n"
    write_atomically(file, (title + text).encode())
    return file


def script() -> Path:
    """The Tcl script that builds an overlay from a settings file."""
    return board_folder() / "vivado" / "build.tcl"


def build_overlay(board: Board, folder: Path, seconds: float = DEADLINE) -> Path:
    """Build the overlay of a board; takes Vivado about an hour.

    Parameters
    ----------
    board : the board and the build of the accelerator
    folder : where the results go; made if it is not there
    seconds : deadline

    Returns
    -------
    pathlib.Path
        ``winogen.bit``, with ``winogen.hwh`` beside it. Both are replaced only if both were made.

    Raises
    ------
    BoardError
        If the board has no Zynq.
    DeviceError
        If Vivado is missing, fails, or takes longer; its log is kept.
    """
    overlay_settings(board, folder)  # a board that cannot be built needs no Vivado
    vivado = find_vivado()
    settings = write_settings(board, folder)
    made = settings.parent / "results"
    log = settings.with_name("vivado.log")
    try:
        results.clear(made)
        run_vivado(vivado, script(), [settings.name], log, seconds)
        return results.publish(made, folder, "Vivado", log)
    except OSError as error:
        raise DeviceError(f"cannot build the overlay in {folder}: {one_line(error)}") from None
