"""Keeps the deadlines: checks run in another process, which may hang or die with a board's bus.

A read that nothing answers ends a process with SIGBUS, or stops it where no exception and no
signal of its own can reach it. Then the check has failed, and a new process goes on with the next.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from winogen.doctor.checks import Check
from winogen.doctor.result import Outcome, Result

#: Deadlines of a check are this many times those of the emulated device: the processor of a board
#: is slow, and so is a simulation, which has to be built the first time.
PATIENCE = {"emulator": 1.0, "rtl": 20.0, "board": 6.0, "remote": 12.0}
#: A new process has to import its libraries first, and to load the overlay again.
_START_SECONDS = 60.0
_BUS_ADVICE = (
    "nothing answers on the bus: the overlay is for another board, or has no clock; power the "
    "board off and on, and load winogen's own overlay"
)


class Worker:
    """A process that runs checks, as ``worker.py`` does."""

    def __init__(self, command: Sequence[str]):
        # A session of its own: Ctrl-C is for us, and closing its stdin ends it.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._received = b""
        self._fresh = True
        #: False once it has hung or died.
        self.alive = True

    def ask(self, name: str, seconds: float) -> Result:
        """The result of the check; a failure if there is none within so many seconds."""
        begin = time.monotonic()
        deadline = begin + seconds + (_START_SECONDS if self._fresh else 0)
        self._fresh = False
        line = None
        try:
            assert self._process.stdin
            self._process.stdin.write(f"{name}\n".encode())
            self._process.stdin.flush()
            line = self._line(deadline)
        except BrokenPipeError:  # it has died: said below
            pass
        if line is not None:
            return Result.from_dict(json.loads(line))
        self.alive = False
        took = time.monotonic() - begin
        if took >= deadline - begin:
            text = f"did not end within {deadline - begin:.0f} s"
        else:
            text = f"ended its process: {_how_it_ended(self._process)}"
        return Result(name, Outcome.FAIL, text, _BUS_ADVICE, took)

    def close(self) -> None:
        """End the process, by force if it hangs; one that even that does not end is left alone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.0 if not self.alive else 2.0)
        # What it has started (a compiler, for the simulation) is in its session too.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)

    def _line(self, deadline: float) -> bytes | None:
        """The next line that it writes; None at the deadline or if it ends."""
        assert self._process.stdout
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            data = os.read(pipe, 1 << 16)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line


def supervise(
    checks: Sequence[Check],
    command: Sequence[str],
    patience: float,
    say: Callable[[Result], None],
) -> list[Result]:
    """Run the checks in processes started by ``command``; every check has a result.

    A check whose needs have not passed is skipped. ``say`` gets every result as it comes.
    """
    results: list[Result] = []
    lacking: set[str] = set()
    worker: Worker | None = None
    try:
        for check in checks:
            missing = [name for name in check.needs if name in lacking]
            if missing:
                result = Result(check.name, Outcome.SKIPPED, f"needs '{missing[0]}'")
            else:
                worker = worker or Worker(command)
                result = worker.ask(check.name, check.seconds * patience)
                if not worker.alive:
                    worker.close()
                    worker = None
            if missing or result.outcome is Outcome.FAIL:
                lacking.add(check.name)
            results.append(result)
            say(result)
    finally:
        if worker:
            worker.close()
    return results


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(2.0)
    except subprocess.TimeoutExpired:
        return "it answers no more"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
