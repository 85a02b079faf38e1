"""The one thread that uses the device: who waits for it, and what shares a batch.

Requests for images of one program are joined to batches of the device. A large one is done in
parts, and goes behind the others after each. What is cancelled, or too late, leaves the queue.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, WinogenError

#: Seconds that an image is taken for before one was made.
_FIRST_GUESS = 0.05
#: Weight of the latest round in the measured speed.
_NEWEST = 0.2


class QueueFull(WinogenError):
    """More waits than may; ``retry_s`` is in how many seconds it may be done."""

    def __init__(self, retry_s: int):
        super().__init__(f"too many images wait already: try again in {retry_s} s")
        self.retry_s = retry_s


class Draining(WinogenError):
    """The service ends, and takes nothing more."""


class TooLate(WinogenError):
    """A request was not done within its deadline."""


class Lane(Protocol):
    """What a round is for: calls that share batches have one lane and one ``key``."""

    def capacity(self, key: Any) -> int:
        """Images that one round should have at most."""

    def run(self, key: Any, rows: NDArray) -> NDArray:
        """The outputs of these inputs, in their order."""


@dataclass(eq=False)
class Ticket:
    """A request that waits for the device.

    Either ``rows`` of a ``lane`` or ``alone``: something that has the device for itself, and looks
    at :meth:`check` now and then. ``future`` gets what comes out, or the reason why not.
    """

    lane: Lane
    key: Any
    weight: int
    deadline: float
    rows: NDArray | None = None
    alone: Callable[[Ticket], Any] | None = None
    future: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None
    device_s: float = 0.0
    batches: list[int] = field(default_factory=list)
    taken: int = 0
    made: list[NDArray] = field(default_factory=list)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self.future.cancel()

    def check(self) -> None:
        """Raise TooLate if the deadline has passed or it was cancelled."""
        if self.future.cancelled():
            raise TooLate("the request was cancelled")
        if time.monotonic() > self.deadline:
            raise TooLate(
                f"the request was not done within {self.deadline - self.arrived:.3g} s: ask for "
                "less, or for a later deadline"
            )


@dataclass
class Watched:
    """What the dispatcher tells of itself; read by other threads.

    ``joined`` counts rounds by how many requests shared them; ``seconds`` is how long the device
    was at work.
    """

    images: int = 0
    rounds: int = 0
    joined: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    cancelled: int = 0
    late: int = 0
    failed: int = 0
    full: int = 0


class Dispatcher:
    """A queue, and the thread that works it off.

    Parameters
    ----------
    waiting : images that may wait, at most; one request may be larger while nothing waits
    gather_s : how long a round that could take more waits for it, from its first arrival on
    """

    def __init__(self, waiting: int, gather_s: float = 0.0):
        self.watched = Watched()
        self._most = waiting
        self._gather = gather_s
        self._waits: deque[Ticket] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._draining = self._ended = False
        self._image_s = _FIRST_GUESS
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
        self._thread.start()

    @property
    def draining(self) -> bool:
        """Whether nothing more is taken."""
        return self._draining

    def waiting(self) -> int:
        """Images that wait now."""
        with self._changed:
            self._sweep()
            return self._weight

    def submit(self, ticket: Ticket) -> Ticket:
        """Queue a request; QueueFull or Draining where that is not possible."""
        with self._changed:
            if self._draining:
                raise Draining("the service ends: try again at another time")
            if self._weight and self._weight + ticket.weight > self._most:
                self._sweep()
            if self._weight and self._weight + ticket.weight > self._most:
                self.watched.full += 1
                raise QueueFull(self._retry_s())
            self._waits.append(ticket)
            self._weight += ticket.weight
            self._changed.notify_all()
        return ticket

    def close(self, seconds: float) -> int:
        """Take nothing more, work off what waits, and end; how many were left after ``seconds``."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            self._ended = True
            left = list(self._waits)
            self._waits.clear()
            self._weight = 0
            self._changed.notify_all()
        for ticket in left:
            _fail(ticket, Draining("the service has ended"))
        self._thread.join(seconds)
        return len(left)

    def _retry_s(self) -> int:
        return max(1, math.ceil(self._weight * self._image_s))

    def _sweep(self) -> None:
        """Drop what was cancelled or is late."""
        now = time.monotonic()
        kept: deque[Ticket] = deque()
        for ticket in self._waits:
            if ticket.future.cancelled():
                self.watched.cancelled += 1
            elif now > ticket.deadline:
                self.watched.late += 1
                _check(ticket)
            else:
                kept.append(ticket)
                continue
            self._weight -= ticket.weight - ticket.taken
        self._waits = kept

    def _work(self) -> None:
        while (round_ := self._next()) is not None:
            first = round_[0][0]
            begin = time.monotonic()
            for ticket, _ in round_:
                ticket.began = ticket.began or begin
            if first.alone is not None:
                self._run_alone(first)
            else:
                self._run_round(round_)

    def _record(self, requests: int, images: int, seconds: float) -> None:
        """Count a round, before anybody gets what it made."""
        watched = self.watched
        watched.seconds += seconds
        watched.rounds += 1
        watched.images += images
        watched.joined[requests] = watched.joined.get(requests, 0) + 1
        self._image_s += _NEWEST * (seconds / max(images, 1) - self._image_s)

    def _next(self) -> list[tuple[Ticket, range]] | None:
        """The requests of the next round, and which of their rows; None at the end."""
        with self._changed:
            while True:
                self._sweep()
                if self._ended or (self._draining and not self._waits):
                    return None
                if not self._waits:
                    self._changed.wait()
                    continue
                first = self._waits[0]
                if first.alone is not None:
                    self._waits.popleft()
                    self._weight -= first.weight
                    return [(first, range(first.weight))]
                room = first.lane.capacity(first.key)
                alike = [t for t in self._waits if _alike(t, first)]
                patience = first.arrived + self._gather - time.monotonic()
                idle = len(alike) == len(self._waits)  # else others wait for nothing
                short = sum(t.weight - t.taken for t in alike) < room
                if short and idle and patience > 0 and not self._draining:
                    self._changed.wait(patience)
                    continue
                return self._taken(alike, room)

    def _taken(self, alike: list[Ticket], room: int) -> list[tuple[Ticket, range]]:
        found = []
        for ticket in alike:
            count = min(room, ticket.weight - ticket.taken)
            found.append((ticket, range(ticket.taken, ticket.taken + count)))
            ticket.taken += count
            self._weight -= count
            self._waits.remove(ticket)
            if ticket.taken < ticket.weight:
                self._waits.append(ticket)  # the others come first
            room -= count
            if not room:
                break
        return found

    def _run_alone(self, ticket: Ticket) -> None:
        begin = time.monotonic()
        assert ticket.alone is not None
        try:
            ticket.check()
            result = ticket.alone(ticket)
        except BaseException as error:
            self._count(error)
            _fail(ticket, error)
            return
        ticket.device_s = time.monotonic() - begin
        self._record(1, ticket.weight, ticket.device_s)
        _give(ticket, result)

    def _run_round(self, round_: list[tuple[Ticket, range]]) -> None:
        first = round_[0][0]
        parts = [ticket.rows[part.start : part.stop] for ticket, part in round_]  # type: ignore[index]
        begin = time.monotonic()
        try:
            out = first.lane.run(first.key, np.concatenate(parts))
        except BaseException as error:
            if isinstance(error, InputError) and len(round_) > 1:
                for one in round_:  # whose fault it is does not concern the others
                    self._run_round([one])
                return
            self._count(error)
            for ticket, _ in round_:
                _fail(ticket, error)
            self._drop({ticket for ticket, _ in round_})
            return
        seconds = time.monotonic() - begin
        self._record(len(round_), len(out), seconds)
        done = 0
        for ticket, part in round_:
            ticket.made.append(out[done : done + len(part)])
            ticket.device_s += seconds
            ticket.batches.append(len(out))
            done += len(part)
            if part.stop == ticket.weight:
                whole = ticket.made[0] if len(ticket.made) == 1 else np.concatenate(ticket.made)
                _give(ticket, whole)

    def _drop(self, tickets: set[Ticket]) -> None:
        """Take what has failed out of the queue."""
        with self._changed:
            for ticket in [t for t in self._waits if t in tickets]:
                self._waits.remove(ticket)
                self._weight -= ticket.weight - ticket.taken

    def _count(self, error: BaseException) -> None:
        if isinstance(error, TooLate):
            self.watched.late += 1
        elif not isinstance(error, InputError):
            self.watched.failed += 1


def _alike(ticket: Ticket, first: Ticket) -> bool:
    return ticket.alone is None and ticket.lane is first.lane and ticket.key == first.key


def _check(ticket: Ticket) -> None:
    try:
        ticket.check()
    except TooLate as error:
        _fail(ticket, error)


def _give(ticket: Ticket, result: Any) -> None:
    if ticket.future.set_running_or_notify_cancel():
        ticket.future.set_result(result)


def _fail(ticket: Ticket, error: BaseException) -> None:
    if not ticket.future.done() and ticket.future.set_running_or_notify_cancel():
        ticket.future.set_exception(error)
