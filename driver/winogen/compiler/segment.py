"""A DRAM segment while it is filled, piece by piece."""

from __future__ import annotations

_ALIGNMENT = 64


class SegmentWriter:
    """Collects pieces of a DRAM segment; identical pieces share one place."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._known: dict[bytes, int] = {}

    def add(self, data: bytes, alignment: int = _ALIGNMENT) -> int:
        """Byte offset at which ``data`` will lie, a multiple of ``alignment``."""
        known = self._known.get(data)
        if known is not None and not known % alignment:
            return known
        padding = bytes(-self._size % alignment)
        offset = self._size + len(padding)
        self._pieces += [padding, data]
        self._size = offset + len(data)
        if len(data) <= 1 << 16:
            self._known[data] = offset
        return offset

    def mark(self) -> tuple[int, int]:
        """What :meth:`back` needs to forget all that is added from here on."""
        return len(self._pieces), self._size

    def back(self, mark: tuple[int, int]) -> None:
        """Forget what was added since."""
        pieces, self._size = mark
        del self._pieces[pieces:]
        self._known = {d: at for d, at in self._known.items() if at < self._size}

    def tobytes(self) -> bytes:
        """All pieces, as they lie in DRAM."""
        return b"".join([*self._pieces, bytes(-self._size % _ALIGNMENT)])
