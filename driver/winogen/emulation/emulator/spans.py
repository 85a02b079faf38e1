"""Ranges of addresses, each from its first to behind its last: whether they meet, and unions."""

from __future__ import annotations

from collections.abc import Iterator

#: The first, and the one behind the last.
Span = tuple[int, int]


def meets(a: Span, b: Span) -> bool:
    """Whether two ranges have something in common."""
    return a[0] < b[1] and b[0] < a[1]


class Intervals:
    """A union of address ranges."""

    def __init__(self) -> None:
        self._ranges: list[Span] = []

    def add(self, start: int, stop: int) -> None:
        """Take a range into the union."""
        apart = [r for r in self._ranges if r[1] < start or stop < r[0]]
        joined = [r for r in self._ranges if not (r[1] < start or stop < r[0])]
        low = min([start, *(r[0] for r in joined)])
        high = max([stop, *(r[1] for r in joined)])
        self._ranges = [*apart, (low, high)]

    def touches(self, start: int, stop: int) -> bool:
        """Whether anything of a range is in the union."""
        return any(meets(r, (start, stop)) for r in self._ranges)

    def within(self, start: int, stop: int) -> list[Span]:
        """The parts of a range that are in the union, in ascending order."""
        found = [(max(low, start), min(high, stop)) for low, high in self._ranges]
        return sorted(part for part in found if part[0] < part[1])

    def beyond(self, start: int, stop: int) -> list[Span]:
        """The parts of a range that are not in the union, in ascending order."""
        parts = []
        for low, high in self.within(start, stop):
            if start < low:
                parts.append((start, low))
            start = high
        return [*parts, (start, stop)] if start < stop else parts

    def __iter__(self) -> Iterator[Span]:
        return iter(self._ranges)
