"""The emulated DDR: one memory with a host view and a device view.

On a Zynq board the processor's caches stand between Python and the memory that the accelerator
sees. Here that is made as visible as it can be: the two views are different arrays, and only
``flush`` and ``invalidate`` copy between them. A program that forgets one of them computes with
old or poisoned bytes, every time. A buffer that is mapped uncached is in the device's view alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from winogen.emulation.device.errors import BusError
from winogen.target.registers import ErrorCode

Bytes = npt.NDArray[np.uint8]

#: Bytes of a cache line, to which ``flush`` and ``invalidate`` round their range outwards, as
#: hardware does: 64 is that of a Cortex-A53; a Cortex-A9 has 32. Two uses of one buffer that
#: share a line therefore disturb each other here as they do on a board.
CACHE_LINE = 64

#: Bytes of a page; buffers start on one, so that no two buffers share a cache line.
PAGE = 4096

#: What the device finds in a buffer that nobody flushed.
POISON = 0xA5


class EmulatedMemory:
    """Memory at bus addresses ``[base, base + size)``; pages take room once they are touched.

    Parameters
    ----------
    base, size : int
        Bytes, multiples of ``PAGE``.

    Attributes
    ----------
    host : numpy.ndarray
        The host's view, uint8; index 0 is at ``base``.
    """

    def __init__(self, base: int, size: int) -> None:
        if base < 0 or size <= 0 or base % PAGE or size % PAGE:
            raise ValueError(
                f"emulated memory needs a base and a size in whole {PAGE}-byte pages, "
                f"not {base} and {size}"
            )
        self.base = base
        self.size = size
        # np.zeros takes its pages from the operating system untouched, and so uncommitted.
        self.host: Bytes = np.zeros(size, np.uint8)
        self._device: Bytes = np.zeros(size, np.uint8)
        #: Of each page: a buffer has whole pages, so no other buffer's writes change its version.
        self._versions = np.zeros(-(-size // PAGE), np.int64)
        self._uncached = np.zeros(-(-size // PAGE), np.bool_)
        self._any_uncached = False
        self._clock = 0

    def claim(self, address: int, nbytes: int, *, cached: bool = True) -> None:
        """Make ``nbytes`` at ``address`` a fresh buffer: zeros for the host, poison for the device.

        The host's zeros match a board, whose kernel clears contiguous memory. A board's device
        would see zeros too; the poison is stricter on purpose. Not ``cached``, the host uses the
        device's view, where both find zeros. Address and size are whole pages.
        """
        start = self._index(address, nbytes)
        self.host[start : start + nbytes] = 0
        self._device[start : start + nbytes] = POISON if cached else 0
        self._uncached[start // PAGE : (start + nbytes) // PAGE] = not cached
        self._any_uncached = bool(self._uncached.any())
        self._touch(start, nbytes)

    def flush(self, address: int, nbytes: int) -> None:
        """Let the device see what the host wrote (whole cache lines)."""
        start, stop = self._lines(address, nbytes)
        self._device[start:stop] = self.host[start:stop]
        self._touch(start, stop - start)

    def invalidate(self, address: int, nbytes: int) -> None:
        """Let the host see what the device wrote; unflushed host writes there are lost."""
        start, stop = self._lines(address, nbytes)
        self.host[start:stop] = self._device[start:stop]

    def device_read(self, address: int, nbytes: int) -> Bytes:
        """The bytes that the device sees, as a read-only view that follows later changes.

        Raises
        ------
        BusError
            AXI_DECERR where any of the bytes lies outside the memory.
        """
        start = self._index(address, nbytes)
        view = self._device[start : start + nbytes]
        view.flags.writeable = False
        return view

    def device_write(self, address: int, data: npt.NDArray[Any] | bytes | bytearray) -> None:
        """Write ``data`` (an array of any dtype, or bytes) as a bus master of the device does.

        Raises
        ------
        BusError
            AXI_DECERR, and nothing is written, where any byte would lie outside the memory.
        """
        if isinstance(data, np.ndarray):
            raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        else:
            raw = np.frombuffer(data, np.uint8)
        start = self._index(address, raw.size)
        self._device[start : start + raw.size] = raw
        self._touch(start, raw.size)

    def device_write_strided(
        self, address: int, data: npt.NDArray[Any], strides: tuple[int, ...]
    ) -> None:
        """Write ``data`` as :meth:`device_write` does, its axes ``strides`` bytes apart."""
        nbytes = sum((n - 1) * s for n, s in zip(data.shape, strides)) + data.itemsize
        start = self._index(address, nbytes)
        place = self._device[start : start + nbytes]
        view: npt.NDArray[Any] = np.ndarray(data.shape, data.dtype, place, 0, strides)
        view[...] = data
        self._touch(start, nbytes)

    def device_view(self) -> Bytes:
        """All bytes that the device sees, to be written in place by a core that is not Python.

        It says what it wrote with :meth:`device_written`.
        """
        return self._device

    def device_written(self, address: int, nbytes: int) -> None:
        """The device has changed these bytes of its view in place."""
        self._touch(self._index(address, nbytes), nbytes)

    def device_version(self, address: int, nbytes: int) -> int:
        """A number that grows whenever the device's view of these bytes may have changed.

        It is kept for pages, so a neighbour's change may raise it too: good for
        deciding whether something derived from the memory (weights as floats) is still right.
        """
        if nbytes <= 0:
            return 0
        start = self._index(address, nbytes)
        pages = slice(start // PAGE, (start + nbytes - 1) // PAGE + 1)
        if self._any_uncached and self._uncached[pages].any():
            self._touch(start, nbytes)  # the host may have written there, and nobody was told
        return int(self._versions[pages].max())

    def _touch(self, start: int, nbytes: int) -> None:
        if nbytes:
            self._clock += 1
            last = (start + nbytes - 1) // PAGE
            self._versions[start // PAGE : last + 1] = self._clock

    def _lines(self, address: int, nbytes: int) -> tuple[int, int]:
        start = self._index(address, nbytes)
        return start // CACHE_LINE * CACHE_LINE, -(-(start + nbytes) // CACHE_LINE) * CACHE_LINE

    def _index(self, address: int, nbytes: int) -> int:
        start = address - self.base
        if nbytes < 0 or start < 0 or start + nbytes > self.size:
            raise BusError(
                ErrorCode.AXI_DECERR,
                address,
                f"no memory for an access of {nbytes} bytes; the emulated DDR is at "
                f"0x{self.base:08x}..0x{self.base + self.size - 1:08x}",
            )
        return start
