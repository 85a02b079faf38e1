"""One call of a cluster: which of its rows nobody has, who made which, what is to be looked at."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: How often inputs are given to workers that do not answer as they should.
MOST_TRIES = 2


@dataclass(eq=False)
class Part:
    """Rows of a call that were given to a worker together.

    Attributes
    ----------
    rows : which
    tries : addresses and words on those that had it, and failed
    made : the address of who made what there is, or None
    verified : that was the same of another worker's, or settled
    """

    rows: slice
    tries: list[tuple[str, str]] = field(default_factory=list)
    made: str | None = None
    verified: bool = False

    @property
    def count(self) -> int:
        """How many rows."""
        return self.rows.stop - self.rows.start

    @property
    def told(self) -> str:
        """The rows in words."""
        last = self.rows.stop - 1
        return f"input {last}" if self.count == 1 else f"inputs {self.rows.start} to {last}"


class Call:
    """The inputs and outputs of a call, and how far it is.

    Parameters
    ----------
    x : inputs (N, C, H, W)
    out : where outputs go, with N rows
    exit, as_float, count : as :meth:`winogen.Generator.generate` has them
    batch : rows of the device's largest batch
    most : rows of a part, at most
    """

    def __init__(
        self, x: NDArray, out: NDArray, *, exit: int, as_float: bool, count: bool, batch: int,
        most: int,
    ):  # fmt: skip
        self.x, self.out = x, out
        self.exit, self.as_float, self.count = exit, as_float, count
        self.batch, self.most = batch, max(most, batch)
        self.done = 0
        self.parts: list[Part] = []
        self.again: deque[Part] = deque()
        self.checks: deque[Part] = deque()
        self.judging = 0
        self.in_flight = 0
        self.counters: dict[str, int] = {}
        self.error: BaseException | None = None
        self.changed = asyncio.Event()
        self._fresh = 0

    @property
    def left(self) -> int:
        """Rows that nobody has."""
        return len(self.x) - self._fresh + sum(part.count for part in self.again)

    @property
    def finished(self) -> bool:
        """Whether all is made, and what was to be repeated is."""
        busy = self.in_flight or self.judging or self.checks or self.again
        return self.error is not None or (self.done == len(self.x) and not busy)

    def cut(self, count: int) -> Part | None:
        """A new part of at most so many rows that nobody has had; None where there are none."""
        if not count or self._fresh == len(self.x):
            return None
        part = Part(slice(self._fresh, min(len(self.x), self._fresh + count)))
        self._fresh = part.rows.stop
        self.parts.append(part)
        return part

    @property
    def fresh(self) -> int:
        """Rows that nobody has had."""
        return len(self.x) - self._fresh

    def put(self, part: Part, made: NDArray, by: str) -> None:
        """Keep what a worker made of a part."""
        assert part.made is None
        self.out[part.rows] = made
        part.made = by
        self.done += part.count

    def redo(self, by: str) -> int:
        """Have all made again that a worker made, unless it is known to be right; rows of it."""
        rows = 0
        for part in self.parts:
            if part.made == by and not part.verified:
                part.made = None
                self.done -= part.count
                rows += part.count
                if part in self.checks:
                    self.checks.remove(part)
                self.again.append(part)
        return rows

    def same(self, part: Part, made: NDArray) -> bool:
        """Whether a part's outputs are these, bit for bit."""
        return bool(self.out[part.rows].tobytes() == np.ascontiguousarray(made).tobytes())

    def add(self, counters: Mapping[str, int] | None) -> None:
        """Add a part's counters."""
        for name, value in (counters or {}).items():
            self.counters[name] = self.counters.get(name, 0) + value
