"""The pool of contiguous memory that buffers come from: addresses only, no bytes."""

from __future__ import annotations

from bisect import bisect_left, insort

from winogen.common.errors import ContiguousMemoryError
from winogen.emulation.device.errors import BufferUseError
from winogen.emulation.device.memory import PAGE


class ContiguousPool:
    """Best-fit allocation of whole pages in ``[base, base + size)``.

    Best fit keeps the large pieces whole, which is what a few big weight buffers among many
    small ones need. Neighbouring free pieces merge as soon as they meet.

    Parameters
    ----------
    base, size : int
        Bytes, multiples of ``PAGE``.
    """

    def __init__(self, base: int, size: int) -> None:
        if base % PAGE or size % PAGE or size <= 0:
            raise ValueError(
                f"a pool needs a base and a size in whole {PAGE}-byte pages, not {base} and {size}"
            )
        self.size = size
        self._free = [(base, size)]  # (address, bytes), by address, never touching each other
        self._used: dict[int, int] = {}

    @property
    def free_bytes(self) -> int:
        """All free bytes, in however many pieces."""
        return sum(size for _, size in self._free)

    @property
    def largest_free(self) -> int:
        """Bytes of the largest buffer that would fit now."""
        return max((size for _, size in self._free), default=0)

    def allocate(self, nbytes: int, what: str = "a buffer") -> int:
        """Address of ``nbytes`` bytes, rounded up to whole pages; ``what`` is for the message.

        Raises
        ------
        ContiguousMemoryError
            If no free piece is large enough.
        """
        size = rounded(nbytes)
        fitting = [(length, address) for address, length in self._free if length >= size]
        if not fitting:
            raise ContiguousMemoryError(
                f"cannot allocate {nbytes:,} bytes of contiguous memory for {what}: "
                f"{self.free_bytes:,} of {self.size:,} bytes are free and the largest free piece "
                f"has {self.largest_free:,}; free buffers that are no longer needed "
                "(freebuffer()), use a smaller batch, or give the pool more (cma= of a board's "
                "kernel, contiguous_bytes= of an emulated device)"
            )
        length, address = min(fitting)
        at = bisect_left(self._free, (address, 0))
        self._free[at : at + 1] = [(address + size, length - size)] if length > size else []
        self._used[address] = size
        return address

    def free(self, address: int) -> None:
        """Give the buffer at ``address`` back.

        Raises
        ------
        BufferUseError
            If no buffer starts there (it was freed before, or never was one).
        """
        if address not in self._used:
            raise BufferUseError(
                f"no buffer starts at 0x{address:08x}: it was freed already or never allocated"
            )
        size = self._used.pop(address)
        insort(self._free, (address, size))
        at = bisect_left(self._free, (address, 0))
        for left in (at, at - 1):  # merge with the right neighbour, then with the left one
            if 0 <= left < len(self._free) - 1:
                (start, length), (following, more) = self._free[left : left + 2]
                if start + length == following:
                    self._free[left : left + 2] = [(start, length + more)]


def rounded(nbytes: int) -> int:
    """``nbytes`` rounded up to whole pages, at least one."""
    return max(1, -(-nbytes // PAGE)) * PAGE
