"""Sharing a device: between processes by its lock, between threads by taking turns.

All that one process does with a device belongs to one session. It holds the device's lock from the
first lease of it to the end of the last.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from winogen.common.errors import DeviceBusyError, DeviceError
from winogen.runtime.lock import DeviceLock
from winogen.runtime.record import Record
from winogen.runtime.termination import signal_again

#: Seconds between two looks whether somebody has asked to stop waiting.
_LOOK = 0.05


class _Turn:
    """A thread that has the device, or waits for it."""

    def __init__(self, what: str, seconds: float):
        self.thread = threading.get_ident()
        self.what = what
        self.seconds = seconds
        self.since = time.monotonic()  # when it came to the head of the queue


class Session:
    """What this process has to do with one device.

    Attributes
    ----------
    loaded : what names the overlay that the session has loaded last, or None
    at_end : what to call when the last lease has ended, before others may have the device, the
        latest first; by what it is about
    record : where it is written down what has to be put back, for a device with a lock; its own,
        where it keeps one
    stopped : an accelerator was found that a killed process had left running
    """

    def __init__(self, lock: DeviceLock | None, record: Record | None = None):
        self.lock = lock
        if record is None and lock is not None:
            record = Record(lock.path.with_suffix(".record"))
        self.record = record
        self.loaded: object = None
        self.stopped = False
        self.leases: set[object] = set()
        self.at_end: dict[object, Callable[[], object]] = {}
        self._process = os.getpid()
        self._queue: deque[_Turn] = deque()
        self._lock = threading.RLock()  # of the queue; Python enters it faster than the condition
        self._changed = threading.Condition(self._lock)

    @contextmanager
    def turn(
        self,
        what: str,
        seconds: float,
        stop: Callable[[], bool] = lambda: False,
        begin: Callable[[], object] = lambda: None,
    ) -> Iterator[None]:
        """The device for this thread alone; threads get it in the order in which they ask.

        A thread that has it may take it again.

        Parameters
        ----------
        what : names the use, for messages
        seconds : how long it may take; others wait so long and no longer
        stop : ends the wait when it becomes true
        begin : is called first, with the device

        Raises
        ------
        DeviceBusyError
            If another thread has the device for longer than it said it would.
        DeviceError
            If ``stop`` ended the wait, or this process is a fork of the one that has the device.
        """
        if self.lock is not None and os.getpid() != self._process:
            raise DeviceError(
                f"the device was opened by process {self._process} before it was forked; open it "
                "in this process again, once that one has closed it"
            )
        turn, queue = _Turn(what, seconds), self._queue
        try:
            with self._lock:
                if not (queue and queue[0].thread == turn.thread):
                    queue.append(turn)
                    self._wait_for(turn, stop)
            begin()
            yield
        finally:  # also where Ctrl-C has struck
            with self._lock:
                had_it = bool(queue) and queue[0] is turn
                if turn in queue:
                    queue.remove(turn)
                if queue:  # others wait
                    if had_it:
                        queue[0].since = time.monotonic()
                    self._changed.notify_all()

    def _wait_for(self, turn: _Turn, stop: Callable[[], bool]) -> None:
        """Wait until it is the first in the queue, with the queue's lock."""
        while (head := self._queue[0]) is not turn:
            if stop():
                raise DeviceError("it was stopped before it had its turn on the device")
            if time.monotonic() > head.since + head.seconds:
                raise DeviceBusyError(
                    f"another thread of this process is at {head.what} for longer than the "
                    f"{head.seconds:g} s that this may take; end that thread, or restart"
                )
            self._changed.wait(_LOOK)


class Lease:
    """A part in a session; it ends when it is closed or nobody refers to it any more."""

    def __init__(self, session: Session):
        self.session = session
        key = object()
        self._watched: list[bool] = []
        # In this order: what Ctrl-C leaves half made ends like any other.
        self._end = weakref.finalize(self, _leave_and_tell, session, key, self._watched)
        session.leases.add(key)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return not self._end.alive

    def close(self) -> None:
        """End the lease; the last one lets other processes have the device."""
        self._watched.append(True)
        self._end()


_registry = threading.RLock()
_sessions: dict[object, Session] = {}


def open_session(device: Any, lock_name: str | None, seconds: float) -> Lease:
    """A lease of the device, whose lock is held from now on.

    Devices with the same ``lock_name`` are one device to all processes; with None it is private.
    Raises DeviceBusyError if another process does not let go of it within ``seconds``.
    """
    key = lock_name or device  # a private device is its own name
    with _registry:
        session = _sessions.get(key) or Session(
            DeviceLock(lock_name) if lock_name else None, getattr(device, "record", None)
        )
        lease = Lease(session)
        _sessions[key] = session
    try:
        if session.lock is not None:
            with session.turn("waiting for the device", seconds + 1):
                session.lock.acquire(seconds)
    except BaseException:
        lease.close()
        raise
    return lease


def _leave_and_tell(session: Session, lease: object, watched: Sequence[bool]) -> None:
    """End a lease, and lose no signal: Python drops what is raised where an object ends unseen."""
    try:
        _leave(session, lease)
    except (KeyboardInterrupt, SystemExit) as stop:
        if watched or not signal_again(stop):
            raise


def _leave(session: Session, lease: object) -> None:
    with _registry:
        session.leases.discard(lease)
        if not session.leases:
            for key in [k for k, s in _sessions.items() if s is session]:
                del _sessions[key]
            session.loaded = None  # others may load what they like
            try:
                _end(session)
            finally:
                if session.lock is not None:
                    session.lock.release()


def _end(session: Session) -> None:
    """All that is to be done at the end, also where Ctrl-C strikes in one of them."""
    try:
        while session.at_end:
            session.at_end.popitem()[1]()
    finally:
        if session.at_end:
            _end(session)


def _forked() -> None:
    """In a forked process: what was open is the parent's, and its threads are not here."""
    global _registry
    _registry = threading.RLock()  # another thread may have held the old one
    for session in _sessions.values():
        if session.lock is not None:
            session.lock.forget()
    for key in [k for k, s in _sessions.items() if s.lock is not None]:
        del _sessions[key]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
