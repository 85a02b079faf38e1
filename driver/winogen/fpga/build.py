"""Building a board's overlay: settings, Vivado, and the two files that come out of it."""

from __future__ import annotations

from pathlib import Path

from winogen.common.errors import DeviceError, InputError, one_line
from winogen.common.files import write_atomically
from winogen.fpga import results
from winogen.fpga.settings import overlay_settings, tcl
from winogen.fpga.stimulus import BENCH, DUT, Stimulus, bench
from winogen.fpga.vivado import find_vivado, run_vivado
from winogen.target.board import Board, board_folder

#: Seconds that the tools may take: about an hour for each clock that Vivado tries.
DEADLINE = 12 * 3600.0
#: Folder of Vivado's work beside the results: settings, projects, reports and log.
WORK = "vivado"
#: Folder of the netlist's simulation in it.
SIMULATION = "simulation"


def write_settings(
    board: Board, folder: Path, *, ignore_checks: bool = False, stimulus: Stimulus | None = None
) -> Path:
    """Write the settings of the Vivado scripts into the work folder of ``folder``.

    With a stimulus, its files too: the scripts then simulate the netlist. Returns the settings'
    path. Raises BoardError for a board without a Zynq, InputError where nothing can be written.
    """
    work = folder.resolve() / WORK
    settings = overlay_settings(board, work / "results")
    settings["ignore_checks"] = str(int(ignore_checks))
    made = [work]
    if stimulus:
        made.append(work / SIMULATION)
        settings["simulation"] = {
            "folder": str(made[-1]),
            "bench": str(bench()),
            "top": BENCH,
            "macro": DUT,
        }
    for path in made:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make folder {path}: {error.strerror or error}") from None
    if stimulus:
        stimulus.write(made[-1])
    file = work / "settings.tcl"
    title = f"# Settings of build.tcl for {board.name}, int{board.core.data_width}; written anew.\n"
    write_atomically(file, (title + tcl(settings)).encode())
    return file


def script() -> Path:
    """The Tcl script that builds an overlay from a settings file."""
    return board_folder() / "vivado" / "build.tcl"


def build_overlay(
    board: Board,
    folder: Path,
    seconds: float = DEADLINE,
    *,
    ignore_checks: bool = False,
    stimulus: Stimulus | None = None,
) -> Path:
    """Build the overlay of a board; takes Vivado about an hour for each clock that it tries.

    That is the board's, and then the next lower ones that its PLLs make, of both on a Zynq-7000,
    until timing is met. The .hwh says which it was (:func:`winogen.target.handoff.read_handoff`).

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
        If Vivado is missing, fails, or takes longer, the netlist is not as meant or does not
        compute what the logic computes, or timing is met at no clock down to half of
        the board's; its log is kept, and the timing report of each clock that was missed.
    """
    overlay_settings(board, folder)  # a board that cannot be built needs no Vivado
    vivado = find_vivado()
    settings = write_settings(board, folder, ignore_checks=ignore_checks, stimulus=stimulus)
    made = settings.parent / "results"
    log = settings.with_name("vivado.log")
    try:
        results.clear(made)
        run_vivado(vivado, script(), [settings.name], log, seconds)
        return results.publish(made, folder, "Vivado", log)
    except OSError as error:
        raise DeviceError(f"cannot build the overlay in {folder}: {one_line(error)}") from None
