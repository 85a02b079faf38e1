"""Processes that use one board one after the other, and are ended while they do."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pytest import MonkeyPatch

from fakes.shared_board import SharedBoard
from support.bench import small
from support.board_uses import START, Images
from support.faults.kinds import SAME, fault
from winogen.runtime import lock
from winogen.runtime.lock import DeviceLock
from winogen.runtime.record import Record


class OnSharedBoard:
    """A process that makes images on the board: they are right, and nothing is left of it.

    Attributes
    ----------
    board : outlives its processes, and says which rules of hardware were broken
    use : what a process does with it
    unavoidable : the rule of hardware that must be broken
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.board = folder, SharedBoard(folder)
        self.clocks = self.board.clocks
        self.use = Images(small().program, folder)
        self.struck, self.left = 0, list[str]()
        self.unavoidable = "nothing is"

    def run(self) -> bytes:
        status = self.board.serve(self.use)
        assert status == 0, f"the process ended with {status}"
        images = self.use.made()
        broken = [rule for rule in self.board.broken if self.unavoidable not in rule]
        assert not broken, "; ".join(broken)
        assert self.board.clocks == self.clocks, "the clocks were not put back"
        assert not self.board.running, "the accelerator was left running"
        free = DeviceLock("board")
        free.acquire(0)
        free.release()
        return images.tobytes()

    def first(self) -> list[Any]:
        """Let a process use the board; what it asked for, in order."""
        self.run()
        log = list(self.board.log)
        self.board.other_overlay(self.folder)
        return log

    def end_at(self, at: int, number: signal.Signals) -> None:
        """A process gets the signal as it asks for something for the ``at``-th time."""
        status = self.board.serve(self.use, number, at)
        self.struck += status in (-number, 128 + number)
        self.use.file.unlink(missing_ok=True)


@contextmanager
def shared_board(folder: Path, device: str) -> Iterator[OnSharedBoard]:
    """Three images by a process, on a board that others use too."""
    with MonkeyPatch.context() as patch:
        patch.setattr(lock, "_FOLDER", folder)
        yield OnSharedBoard(folder)


def _ended(number: signal.Signals, where: str, stage: OnSharedBoard) -> None:
    log = stage.first()
    starts = [n for n, access in enumerate(log, 1) if access == START]
    at = {
        "loading": log.index(("note", 0)) + 1,
        "loaded": log.index(("download", 0)) + 2,
        "running": starts[0],
        "between": starts[-1] - 1,
    }[where]
    stage.end_at(at, number)


for _number, _name in ((signal.SIGKILL, "kill -9"), (signal.SIGTERM, "SIGTERM"),
                       (signal.SIGINT, "Ctrl-C")):  # fmt: skip
    for _where, _when in (("running", "while a stream runs"), ("loading", "while pynq loads"),
                          ("loaded", "after the overlay is loaded"),
                          ("between", "between two runs")):  # fmt: skip
        fault(
            f"{_name} {_when}", shared_board, SAME, long=_where != "running",
            what=f"{_name} {_when}; the next process makes the same images, and leaves nothing.",
        )(partial(_ended, _number, _where))  # fmt: skip


@fault("a core left running whose memory is dead", shared_board, SAME)
def _(stage: OnSharedBoard) -> Any:
    """A process was killed, and memory never answers what its stream asked for."""
    _ended(signal.SIGKILL, "running", stage)
    assert stage.board.inner.core.running
    stage.unavoidable = "while the accelerator ran"
    stage.board.inner.core.owed = 10**9
    with MonkeyPatch.context() as patch:
        patch.setattr("winogen.runtime.leftover._SECONDS", 0.05)
        yield
    stage.board.broken.clear()


@fault("a record that is damaged", shared_board, SAME)
def _(stage: OnSharedBoard) -> None:
    """What a killed process wrote down of the board's clocks is no JSON any more."""
    _ended(signal.SIGKILL, "running", stage)
    path = DeviceLock("board").path.with_suffix(".record")
    assert Record(path).read()
    path.write_bytes(b"{\0")
    stage.clocks = stage.board.clocks
