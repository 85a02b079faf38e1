"""The memory bank behind ``pynq.allocate``: it turns pool pieces into ``PynqBuffer`` objects."""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pynq.buffer import PynqBuffer

from winogen.emulation.device.allocator import ContiguousPool, rounded
from winogen.emulation.device.errors import BufferUseError
from winogen.emulation.device.memory import EmulatedMemory


class Allocation:
    """A piece of the pool: what pynq calls the buffer object (``bo``) of a buffer.

    Attributes
    ----------
    address, nbytes : int
        Where on the bus it is, and the bytes that were asked for.
    cached : bool
        The host sees it through its caches, and so needs flushes and invalidates.
    live : bool
        False once it has been freed.
    """

    def __init__(self, address: int, nbytes: int, cached: bool = True) -> None:
        self.address = address
        self.nbytes = nbytes
        self.cached = cached
        self.live = True

    def locate(self, offset: int, nbytes: int, doing: str) -> int:
        """Bus address of ``nbytes`` bytes at ``offset``; ``doing`` is for the message.

        Raises
        ------
        BufferUseError
            If the buffer was freed or the range is not inside it.
        """
        if not self.live:
            raise BufferUseError(
                f"cannot {doing} the buffer at 0x{self.address:08x} because it was freed; "
                "keep it until the device is done with it"
            )
        if offset < 0 or offset + nbytes > self.nbytes:
            raise BufferUseError(
                f"cannot {doing} {nbytes} bytes at offset {offset} of a buffer of {self.nbytes}; "
                "a view must be contiguous and part of the buffer (the result of arithmetic is "
                "ordinary memory: assign it with buffer[:] = ...)"
            )
        return self.address + offset


class Caches(Protocol):
    """What a buffer asks of the device that it belongs to: to copy between host and device."""

    def flush(self, bo: Allocation, offset: int, vaddr: int, nbytes: int) -> None:
        """Let the core see ``nbytes`` of a buffer from ``offset`` on."""

    def invalidate(self, bo: Allocation, offset: int, vaddr: int, nbytes: int) -> None:
        """Let the host see ``nbytes`` of a buffer from ``offset`` on."""


class MemoryBank:
    """The processing system's DDR, as ``device.default_memory`` and ``overlay.PSDDR``.

    Parameters
    ----------
    device : whose flushes and invalidates its buffers use
    memory : the DDR

    Attributes
    ----------
    pool : ContiguousPool
        What is left, and where.
    """

    def __init__(self, device: Caches, memory: EmulatedMemory, pool: ContiguousPool) -> None:
        self.device = device
        self.pool = pool
        self._memory = memory

    @property
    def base_address(self) -> int:
        """Bus address of the memory, in bytes."""
        return self._memory.base

    @property
    def size(self) -> int:
        """Bytes of the memory."""
        return self._memory.size

    def allocate(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = "u4", cacheable: int = 0
    ) -> Any:
        """A ``PynqBuffer`` of zeros; ``pynq.allocate`` comes here.

        ``cacheable`` is what a board's driver makes of it: 0 maps a buffer uncached, so that both
        sides see what the other wrote at once, and flush and invalidate do nothing; 1 maps it
        cached, and what was not flushed or invalidated is wrong on the other side, every time.

        Raises
        ------
        ContiguousMemoryError
            If the pool has no piece large enough.
        """
        dtype = np.dtype(dtype)
        nbytes = np.broadcast_to(np.empty((), dtype), shape).nbytes
        address = self.pool.allocate(nbytes, f"a buffer of shape {shape}, dtype {dtype}")
        self._memory.claim(address, rounded(nbytes), cached=bool(cacheable))
        view = self._memory.host if cacheable else self._memory.device_view()
        start = address - self._memory.base
        allocation = Allocation(address, nbytes, bool(cacheable))
        buffer = PynqBuffer(
            shape,
            dtype,
            bo=allocation,
            device=self.device,
            # No ndarray: numpy would base plain views (np.asarray) on that and not on the
            # PynqBuffer, whose death frees the memory under them.
            buffer=(ctypes.c_ubyte * rounded(nbytes)).from_buffer(view.data, start),
            device_address=address,
            coherent=False,
        )
        # With these PynqBuffer.freebuffer hands the allocation to return_pointer below, once,
        # and keeps away from its other branch, which unmaps memory of a real board.
        buffer.memory = self
        buffer.pointer = allocation
        buffer.return_to = self
        buffer.freed = True
        return buffer

    def return_pointer(self, allocation: Allocation) -> None:
        """Take a freed buffer's memory back (called by ``PynqBuffer.freebuffer``)."""
        allocation.live = False
        self.pool.free(allocation.address)
