"""Ranges of addresses, each from its first to behind its last: whether they meet, and unions."""

from __future__ import annotations

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
