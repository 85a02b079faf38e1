"""Contiguous memory of a network on a device: named buffers that are allocated as they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from winogen.common.errors import ContiguousMemoryError, one_line
from winogen.common.pynq_library import pynq


class Buffers(dict[str, Any]):
    """Buffers (``pynq.buffer.PynqBuffer``, uint8) by name.

    Parameters
    ----------
    device : the ``pynq.Device`` whose memory it is
    owner : name of the network, for messages

    Every method that allocates raises ContiguousMemoryError where there is no room.
    """

    def __init__(self, device: Any, owner: str):
        super().__init__()
        self._device = device
        self._owner = owner

    def upload(self, name: str, data: bytes) -> Any:
        """A buffer that holds constant bytes where the device sees them."""
        if name not in self:
            buffer = self._allocate(name, len(data))
            buffer[:] = np.frombuffer(data, np.uint8)
            buffer.flush()
            self[name] = buffer  # complete, whenever Ctrl-C strikes
        return self[name]

    def room(self, name: str, nbytes: int) -> Any:
        """The buffer of this name, with room for ``nbytes``; what it held may be gone."""
        held = self.get(name)
        if held is not None and held.nbytes >= nbytes:
            return held
        if held is not None:
            del self[name]
            held.freebuffer()
        self[name] = self._allocate(name, nbytes)
        return self[name]

    def free(self) -> None:
        """Give all of them back."""
        for buffer in self.values():
            buffer.freebuffer()

    def _allocate(self, name: str, nbytes: int) -> Any:
        try:
            return pynq.allocate((nbytes,), np.uint8, target=self._device)
        except ContiguousMemoryError:  # an emulated device's own, which says more
            raise
        except (RuntimeError, MemoryError, OSError) as error:  # what pynq makes of XRT's refusal
            raise ContiguousMemoryError(
                f"cannot allocate {nbytes:,} bytes of contiguous memory for '{name}' of network "
                f"'{self._owner}' ({one_line(error)}): shut down other notebooks and "
                "programs that hold buffers, or give the kernel more (cma=)"
            ) from None
