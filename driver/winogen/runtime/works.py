"""What a call has the device do: runs, each with what fills its input and takes its output."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ContiguousMemoryError, WinogenWarning
from winogen.program.parts import StreamInfo
from winogen.runtime.buffers import Buffers
from winogen.runtime.slots import Slots


class Work(NamedTuple):
    """A run of a stream.

    Attributes
    ----------
    stream : what runs
    fill : writes the input segment, given its bytes
    drain : reads the output segment, given its bytes
    """

    stream: StreamInfo
    fill: Callable[[NDArray[np.uint8]], object]
    drain: Callable[[NDArray[np.uint8]], object]


class Filled(NamedTuple):
    """A run whose input lies in contiguous memory, in the buffers of a slot."""

    work: Work
    slot: int
    source: Any
    target: Any


class Works:
    """The runs of one call: the next one is filled and the last one drained while one runs.

    Parameters
    ----------
    works : the runs, in order; each is asked for as there is room for it
    slots, buffers : where inputs and outputs lie
    stop : ends waiting for a slot when it becomes true
    idle : has the device run nothing, while buffers are freed that it was allowed to access
    """

    def __init__(
        self,
        works: Iterator[Work],
        slots: Slots,
        buffers: Buffers,
        stop: Callable[[], bool],
        idle: Callable[[], AbstractContextManager[object]] = nullcontext,
    ):
        self._works = works
        self._slots, self._buffers, self._stop, self._idle = slots, buffers, stop, idle
        self._held: set[int] = set()
        self._next = next(works, None)
        self._ready: Filled | None = None
        self._done: Filled | None = None
        self._outgrown: int | None = None  # a slot to fill when its buffers can be freed

    def take(self) -> Filled | None:
        """The next run, filled; None after the last."""
        while self._ready is None and self._next is not None:
            self.drain()  # whose slot it may be that there is
            slot, self._outgrown = self._outgrown, None
            self._fill(self._slots.take(self._stop) if slot is None else slot)
        ready, self._ready = self._ready, None
        return ready

    def ended(self, filled: Filled) -> None:
        """A run has ended: its output is there, to be drained."""
        self._done = filled
        if self._ready is None and self._next is None:
            self.drain()

    def meanwhile(self) -> None:
        """What can be done while one runs."""
        self.drain()
        if self._next is not None and self._outgrown is None:
            slot = self._slots.spare()
            if slot is None:
                return
            if self._buffers.has_outgrown(slot, self._next.stream):
                self._held.add(slot)
                self._outgrown = slot  # until nothing runs
            else:
                self._fill(slot)

    def drain(self) -> None:
        """Drain the last run, if there is one that was not."""
        done, self._done = self._done, None
        if done is not None:
            done.work.drain(np.asarray(done.target)[: done.work.stream.output_bytes])
            self._give(done.slot)

    def close(self) -> None:
        """Give back what is held, at the end, whatever has happened."""
        while self._held:
            self._give(next(iter(self._held)))

    def _fill(self, slot: int) -> None:
        self._held.add(slot)
        work = self._next
        assert work is not None
        try:
            if self._buffers.has_outgrown(slot, work.stream):
                with self._idle():
                    source, target = self._buffers.slot(slot, work.stream)
            else:
                source, target = self._buffers.slot(slot, work.stream)
        except ContiguousMemoryError as error:
            if slot == 0:
                raise
            self._held.discard(slot)
            self._slots.retire(slot)
            text = f"batches do not overlap, for want of a second pair of buffers: {error}"
            warnings.warn(text, WinogenWarning, stacklevel=2)
            return
        work.fill(np.asarray(source)[: work.stream.input_bytes])
        source.flush()
        self._ready = Filled(work, slot, source, target)
        self._next = next(self._works, None)

    def _give(self, slot: int) -> None:
        self._held.discard(slot)
        self._slots.give(slot)
