"""Check of the clock of the logic: as it is set, and on a board as it is."""

from __future__ import annotations

import time
from pathlib import Path

from winogen.doctor.bench import Bench
from winogen.doctor.engines import stuck_stream
from winogen.doctor.result import Failed
from winogen.target import registers
from winogen.target.board import clocked_as

#: A processing system's dividers may miss the wanted clock by so much.
_TOLERANCE = 0.01
#: What is measured with the processor's own clock may be off by so much.
_MEASURED_TOLERANCE = 0.05
#: Seconds that the watchdog counts cycles for.
_MEASURE_SECONDS = 0.2
#: The highest of so many counts: whatever else the processor does makes them lower only.
_MEASUREMENTS = 3


def clock(bench: Bench) -> str:
    """The clock that is set is the one that the overlay was built for, and the logic has it."""
    import pynq

    bench.core  # noqa: B018 (pynq sets the clock as it loads the overlay)
    board = bench.board
    if bench.is_hardware:  # whatever its file wants, it was built for this one
        board = clocked_as(board, Path(bench.loaded.bitfile_name))
    wanted = board.clock_mhz
    found = float(pynq.Clocks.fclk0_mhz)
    if found > wanted * (1 + _TOLERANCE):
        raise Failed(
            f"the logic runs at {found:g} MHz and was built for {wanted:g}: results may be wrong",
            "load the overlay again; nothing else may set pynq.Clocks.fclk0_mhz",
        )
    if found < wanted * (1 - _TOLERANCE):
        raise Failed(
            f"the logic runs at {found:g} MHz instead of {wanted:g}: right, but slower",
            "load the overlay with winogen (winogen.Generator, winogen.runtime.open.open_device) "
            "and not with pynq.Overlay alone: docs/use/boards.md says why",
        )
    if bench.kind != "board":  # no real time, or one that a network blurs
        return f"{found:g} MHz"
    measured = max(_measure(bench, found) for _ in range(_MEASUREMENTS))
    if abs(measured - found) > found * _MEASURED_TOLERANCE:
        raise Failed(
            f"{found:g} MHz are set, and the logic counts {measured:.4g} million cycles a second",
            "power the board off and on; if it stays, the overlay takes its clock from elsewhere",
        )
    return f"{found:g} MHz, {measured:.4g} measured"


def _measure(bench: Bench, mhz: float) -> float:
    """Cycles that the watchdog counts, by the processor's time: MHz."""
    core = bench.core
    cycles = int(mhz * 1e6 * _MEASURE_SECONDS)
    kept = core.get("WATCHDOG")
    core.set("WATCHDOG", cycles)
    try:
        with bench.started(stuck_stream(bench)):
            begin = time.monotonic()
            while not registers.unpack("STATUS", core.get("STATUS"))["error"]:
                if time.monotonic() - begin > 10 * _MEASURE_SECONDS:
                    raise Failed(
                        f"the watchdog has not counted {cycles:,} cycles within "
                        f"{10 * _MEASURE_SECONDS:g} s",
                        "the logic has no clock, or a far slower one: power the board off and on",
                    )
            return cycles / (time.monotonic() - begin) / 1e6
    finally:
        core.set("WATCHDOG", kept)
