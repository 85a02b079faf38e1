"""Running a program of a build flow: with a log, a deadline, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from winogen.common.errors import DeviceError

#: Seconds between two looks at a program that runs.
_PAUSE = 0.2
#: Seconds that a program which is killed may take to end.
_KILL_SECONDS = 10.0


def run_program(
    name: str,
    command: Sequence[str | Path],
    folder: Path,
    log: Path,
    seconds: float,
    doing: Callable[[], str],
    show: Callable[[str], object] = lambda stage: None,
) -> int:
    """Run a program in ``folder``; its exit status.

    Parameters
    ----------
    name : what messages call it
    command : the program and its arguments
    folder : where it runs
    log : where all that it says goes; written anew
    seconds : deadline
    doing : says what the program is at; for the message of a missed deadline
    show : gets the same while the program runs

    Raises
    ------
    DeviceError
        If it cannot be started, or has not ended at the deadline. Then, and if something else
        ends the wait, it is killed with all that it has started.
    """
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"cannot start {command[0]}: {error.strerror or error}") from None
        try:
            _wait(process, time.monotonic() + seconds, lambda: show(doing()))
        except TimeoutError:
            raise DeviceError(
                f"{name} has not finished in {seconds:g} s ({doing()}); its messages are in {log}"
            ) from None
        finally:
            _kill(process)
    return process.returncode


def _wait(process: subprocess.Popen[bytes], end: float, look: Callable[[], object]) -> None:
    """Until the process ends; TimeoutError if it has not at the time ``end``."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(_PAUSE, end - time.monotonic())))
            return
        if time.monotonic() >= end:
            raise TimeoutError
        look()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it has not ended, and its group: what it has started and left."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    with suppress(subprocess.TimeoutExpired):  # one that even this does not end is left alone
        process.wait(_KILL_SECONDS)
