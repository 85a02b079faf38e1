"""What is kept between runs, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by their keys; those used longest ago go while all of them take too much memory.

    Parameters
    ----------
    most : bytes that all of them may take; the newest stays even if it takes more by itself
    """

    def __init__(self, most: int):
        self._most = most
        self._total = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, as the one used last; None if it is not kept."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Keep a value that takes this much memory, in the place of what the key had."""
        self.pop(key)
        self._held[key] = value, nbytes
        self._total += nbytes
        while self._total > self._most and len(self._held) > 1:
            self.pop(next(iter(self._held)))

    def pop(self, key: K) -> None:
        """Let go of a value, if it is kept."""
        _, nbytes = self._held.pop(key, (None, 0))
        self._total -= nbytes

    def values(self) -> list[V]:
        """All that is kept, what was used longest ago first."""
        return [value for value, _ in self._held.values()]
