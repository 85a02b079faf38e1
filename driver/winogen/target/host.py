"""What a board's processor takes for its part of a run: for predictions, and for how to wait."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from winogen.common.errors import InputError
from winogen.common.files import write_atomically
from winogen.common.folders import cache_folder
from winogen.target.board import Board


@dataclass(frozen=True)
class HostCosts:
    """Costs of what a driver in Python does, on one core.

    Attributes
    ----------
    register_read_s, register_write_s : an access to a register of the accelerator, seconds
    copy_bytes_per_s : bytes read from a buffer of contiguous memory in a second
    convert_elements_per_s : numbers of an input or an output that are converted in a second
    call_s : what a run takes of Python besides, seconds
    interrupt_s : what waiting for an interrupt takes over looking at STATUS, seconds
    """

    register_read_s: float
    register_write_s: float
    copy_bytes_per_s: float
    convert_elements_per_s: float
    call_s: float
    interrupt_s: float


#: What ``python benchmarks/host_cost.py --units`` prints on a core of an x86 server.
SERVER = HostCosts(
    register_read_s=0.085e-6,
    register_write_s=0.1e-6,
    copy_bytes_per_s=50e9,
    convert_elements_per_s=900e6,
    call_s=50e-6,
    interrupt_s=100e-6,
)
#: How many times longer Python and numpy take on the processors of boards: 650 MHz Cortex-A9, and
#: Cortex-A53 of 1.2 GHz and more. What is measured on a board takes its place (:func:`calibrate`).
SLOWER = {"zynq7": 20.0, "zynqmp": 8.0}
#: Bytes a second from a cached buffer. Cortex-A9: measured by others (issue 10 of zynq-xdma, by
#: bmartini, on GitHub). Cortex-A53: assumed, with twice the clock and four times as wide a DRAM.
_COPY = {"zynq7": 256e6, "zynqmp": 1000e6}


def host_costs(board: Board) -> HostCosts | None:
    """The costs on a board's processor: measured ones where there are, else estimates.

    None for what has no processor of its own.
    """
    return calibrated(board) or estimated_costs(board)


def calibrated(board: Board) -> HostCosts | None:
    """What was measured for boards of this name by this user, and stored; None if nothing was."""
    try:
        values = json.loads(_file(board).read_text(encoding="utf-8"))
        costs = HostCosts(**{f.name: float(values[f.name]) for f in fields(HostCosts)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # a cache, which anybody may delete and a crash may damage
    return costs if _are_sound(costs) else None


def calibrate(board: Board, costs: HostCosts) -> Path:
    """Store measured costs: predictions for boards of this name use them from now on.

    An interrupt that could not be measured (NaN) is as in the estimate. Returns the file.
    Raises InputError if a cost is no positive number, or the file cannot be written.
    """
    values = asdict(costs)
    guess = estimated_costs(board)
    if guess and not costs.interrupt_s > 0:
        values["interrupt_s"] = guess.interrupt_s
    if not _are_sound(HostCosts(**values)):
        raise InputError(f"these are no costs of a processor: {values}")
    path = _file(board)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
    except OSError as error:
        raise InputError(f"cannot store what was measured in {path}: {error.strerror}") from None
    return path


def _file(board: Board) -> Path:
    return cache_folder("host") / f"{board.name}.json"


def estimated_costs(board: Board) -> HostCosts | None:
    """The costs as they are estimated for the board's kind of processor, wherever this runs.

    None for what has no processor of its own.
    """
    if board.platform is None:
        return None
    processor = board.platform.processor
    slower = SLOWER[processor]
    return HostCosts(
        register_read_s=SERVER.register_read_s * slower,
        register_write_s=SERVER.register_write_s * slower,
        copy_bytes_per_s=_COPY[processor],
        convert_elements_per_s=SERVER.convert_elements_per_s / slower,
        call_s=SERVER.call_s * slower,
        interrupt_s=SERVER.interrupt_s * slower,
    )


def _are_sound(costs: HostCosts) -> bool:
    return all(math.isfinite(v) and v > 0 for v in asdict(costs).values())
