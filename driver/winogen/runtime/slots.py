"""Pairs of input and output buffers: one is filled and emptied while the device has the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from winogen.common.errors import DeviceError

#: Seconds between two looks whether somebody has asked to stop waiting.
_LOOK = 0.05


class Slots:
    """The numbers 0, 1, ... of the pairs that nobody has.

    Any thread may take one. Who has one waits for nobody who waits for one: the device is waited
    for with a slot, and a slot never with the device.
    """

    def __init__(self, count: int):
        self._all = count
        self._free = list(range(count))
        self._threads: dict[int, int] = {}  # who has each of the others
        self._lock = threading.RLock()  # Python enters it faster than the condition
        self._changed = threading.Condition(self._lock)

    def spare(self) -> int | None:
        """A slot, if there is one."""
        with self._lock:
            return self._pop() if self._free else None

    def take(self, stop: Callable[[], bool]) -> int:
        """A slot, once there is one.

        Raises DeviceError if ``stop`` becomes true before, or the caller has them all.
        """
        with self._lock:
            while not self._free:
                if stop():
                    raise DeviceError("it was stopped before there was a buffer for it")
                if set(self._threads.values()) == {threading.get_ident()}:
                    raise DeviceError(
                        "a generator was used in a callback of its own, as progress is: it has no "
                        "more buffers; use it when the call has ended"
                    )
                self._changed.wait(_LOOK)
            return self._pop()

    def _pop(self) -> int:
        slot = self._free.pop(0)
        self._threads[slot] = threading.get_ident()
        return slot

    def give(self, slot: int) -> None:
        """Let others have a slot."""
        with self._lock:
            self._threads.pop(slot, None)
            self._free.append(slot)
            self._free.sort()
            self._changed.notify_all()

    def retire(self, slot: int) -> None:
        """Have one slot less: there is no memory for the one that the caller has."""
        with self._lock:
            self._threads.pop(slot, None)
            self._all -= 1
            self._changed.notify_all()

    def take_all(self, seconds: float) -> bool:
        """Take every slot for good; whether nobody has one after so many seconds."""
        end = time.monotonic() + seconds
        with self._lock:
            while len(self._free) < self._all:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(_LOOK, left))
            self._free.clear()
            return True
