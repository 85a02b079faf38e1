"""A booted board on a bench of doctor's, and what its checks find."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynq
from pytest import MonkeyPatch

from fakes.boot import BootedBoard, kernel
from winogen.doctor import clock as doctor_clock
from winogen.doctor import software
from winogen.doctor.checks import CHECKS, run_check
from winogen.doctor.result import Outcome, Result
from winogen.runtime import lock


@contextmanager
def booted(folder: Path) -> Iterator[BootedBoard]:
    """A board that has booted, and is pynq's active device; sound until somebody changes it."""
    with MonkeyPatch.context() as patch:
        patch.setattr(lock, "_FOLDER", folder)
        patch.setattr(pynq.Device, "_active_device", None, raising=False)
        real = software.metadata.version
        patch.setattr(
            software.metadata, "version", lambda name: "3.0.1" if name == "pynq" else real(name)
        )
        made = BootedBoard(folder)
        # What the logic counts in real time, where there is no logic.
        patch.setattr(doctor_clock, "_measure", lambda bench, mhz: mhz)
        before = signal.getsignal(signal.SIGTERM)
        pynq.Device.active_device = made
        with kernel(made), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in doctor's own process
            yield made
        signal.signal(signal.SIGTERM, before)


def examined(board: BootedBoard, last: str = "conformance, direct") -> dict[str, Result]:
    """The results of all checks up to ``last``, as the supervisor has them run."""
    bench, results, lacking = board.bench(), {}, set()
    for check in CHECKS:
        if any(need in lacking for need in check.needs):
            results[check.name] = Result(check.name, Outcome.SKIPPED, "needs another")
            lacking.add(check.name)
        else:
            results[check.name] = run_check(check, bench)
            if results[check.name].outcome is Outcome.FAIL:
                lacking.add(check.name)
        if check.name == last:
            break
    if "_opened" in vars(bench):
        bench.core.close()
    return results


def failures(results: dict[str, Result]) -> dict[str, Result]:
    return {name: r for name, r in results.items() if r.outcome is Outcome.FAIL}


def afi(board: BootedBoard, name: str, at: int, word: int) -> None:
    """Set a register of a port to memory."""
    board.afi[name].words[at] = word
