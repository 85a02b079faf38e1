"""Kinds of faults in a process of their own: to end it, or to hold it for ever, is a verdict."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from support.faults import verdicts
from support.faults.kinds import PATIENCE, REGISTRY, Fault
from support.faults.verdicts import CRASHED, HUNG, Result

#: Seconds beyond a kind's own patience, for what no signal ends; the logic has to be built first.
GRACE = {"emulator": PATIENCE, "rtl": 15 * PATIENCE}
#: Addresses that a worker may have, of which emulated memory takes most and touches little.
_SPACE = 48 << 30
#: Kinds after which emulated memory is looked for that nobody has any more.
_OFTEN = 8


def run_all(kinds: Iterable[tuple[Fault, str]]) -> Iterator[Result]:
    """The result of each kind on its device, in order; a lost worker is replaced."""
    worker: _Worker | None = None
    try:
        for kind, device in kinds:
            worker = worker or _Worker()
            result = worker.run(kind, device)
            yield result
            if result.verdict in (HUNG, CRASHED):  # who knows what it has left
                worker.end()
                worker = None
    finally:
        if worker is not None:
            worker.end()


class _Worker:
    """A fork of this process, which has loaded the kinds."""

    def __init__(self) -> None:
        fork = multiprocessing.get_context("fork")
        self._pipe, theirs = fork.Pipe()
        self._process = fork.Process(target=_serve, args=(theirs,))
        sys.stdout.flush()
        sys.stderr.flush()
        self._process.start()
        theirs.close()

    def run(self, kind: Fault, device: str) -> Result:
        seconds = kind.seconds + GRACE[device]
        self._pipe.send((str(kind), kind.seconds, device))
        if not self._pipe.poll(seconds):
            return Result(str(kind), device, f"nothing for {seconds:g} s", HUNG, seconds)
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(10)
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Result(str(kind), device, f"the process ended: {how}", CRASHED, 0.0)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    """Run what is asked for; nothing of it is printed."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    _limit()
    done = 0
    while True:
        try:
            name, seconds, device = pipe.recv()
        except EOFError:
            os._exit(0)
        kind: Any = REGISTRY[name]
        assert kind.seconds == seconds
        pipe.send(verdicts.run(kind, device))
        done += 1
        if done % _OFTEN == 0:
            gc.collect()


def _limit() -> None:
    """A bomb meets an end of this process's memory before it meets that of the machine."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > _SPACE:
        resource.setrlimit(resource.RLIMIT_AS, (_SPACE, most))
