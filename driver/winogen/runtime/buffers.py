"""Contiguous memory of a network on a device: named buffers that are allocated as they are used."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from winogen.common.errors import ContiguousMemoryError, one_line
from winogen.common.pynq_library import pynq
from winogen.program.parts import StreamInfo

#: Pairs of input and output buffers: one for the device, one for the processor.
SLOTS = 2
#: Names of the input and the output buffer of each slot.
_NAMES = tuple(
    (f"input{end}", f"output{end}") for end in ("", *(f"-{n + 1}" for n in range(1, SLOTS)))
)


class Buffers(dict[str, Any]):
    """Buffers (``pynq.buffer.PynqBuffer``, uint8) by name.

    Parameters
    ----------
    device : the ``pynq.Device`` whose memory it is
    owner : name of the network, for messages

    Attributes
    ----------
    version : differs from what it was if the buffers are others; read it before them

    Every method that allocates raises ContiguousMemoryError where there is no room. Threads may
    allocate at the same time, each under names of its own.
    """

    def __init__(self, device: Any, owner: str):
        super().__init__()
        self._device = device
        self._owner = owner
        self.version = 0
        self._publishing = threading.Lock()

    def upload(self, name: str, data: bytes) -> Any:
        """A buffer that holds constant bytes where the device sees them."""
        if name not in self:
            buffer = self._allocate(name, len(data))
            buffer[:] = np.frombuffer(data, np.uint8)
            buffer.flush()
            self._publish(name, buffer)
        return self[name]

    def rewrite(self, name: str, data: bytes) -> Any:
        """Constant bytes once more, in the buffer that :meth:`upload` has made for them."""
        buffer = self[name]
        buffer[:] = np.frombuffer(data, np.uint8)
        buffer.flush()
        return buffer

    def slot(self, number: int, stream: StreamInfo) -> tuple[Any, Any]:
        """The input and the output buffer of a slot, with room for a stream; see :meth:`room`."""
        source, target = _NAMES[number]
        filled = self.room(source, stream.input_bytes, clear=True)  # lanes without a channel
        return filled, self.room(target, stream.output_bytes)

    def has_outgrown(self, number: int, stream: StreamInfo) -> bool:
        """Whether a slot has a buffer that is too small for a stream, and would be freed."""
        names = _NAMES[number]
        source, target = self.get(names[0]), self.get(names[1])
        return (source is not None and source.nbytes < stream.input_bytes) or (
            target is not None and target.nbytes < stream.output_bytes
        )

    def slots(self) -> tuple[list[Any], list[Any]]:
        """The input and the output buffers of all slots that have been used."""
        kinds = zip(*_NAMES, strict=True)
        inputs, outputs = ([self[n] for n in names if n in self] for names in kinds)
        return inputs, outputs

    def room(self, name: str, nbytes: int, *, clear: bool = False) -> Any:
        """The buffer of this name, with room for ``nbytes``; what it held may be gone.

        One that is too small is freed: the device may be running nothing that can access it. With
        ``clear`` a new one holds zeros. Else the processor has no lines of it that could be written
        over what the device writes, from now on and until the processor writes to it.
        """
        held = self.get(name)
        if held is not None and held.nbytes >= nbytes:
            return held
        if held is not None:
            del self[name]
            held.freebuffer()
        buffer = self._allocate(name, nbytes)
        if clear:
            buffer[:] = 0
        else:  # over a network nothing is fetched for that
            getattr(buffer, "forget_lines", buffer.invalidate)()
        self._publish(name, buffer)
        return buffer

    def free(self) -> None:
        """Give all of them back."""
        for buffer in self.values():
            buffer.freebuffer()

    def _publish(self, name: str, buffer: Any) -> None:
        """Name a buffer once it is complete, whenever Ctrl-C strikes, and only then say so.

        Who reads the version before the buffers may miss one, but not with the version that has it.
        """
        with self._publishing:
            self[name] = buffer
            self.version += 1

    def _allocate(self, name: str, nbytes: int) -> Any:
        try:
            # Cached, which a board's driver does not do unasked: read several times as fast.
            return pynq.allocate((nbytes,), np.uint8, target=self._device, cacheable=1)
        except ContiguousMemoryError:  # an emulated device's own, which says more
            raise
        except (RuntimeError, MemoryError, OSError) as error:  # what pynq makes of XRT's refusal
            raise ContiguousMemoryError(
                f"cannot allocate {nbytes:,} bytes of contiguous memory for '{name}' of network "
                f"'{self._owner}' ({one_line(error)}): shut down other notebooks and "
                "programs that hold buffers, or give the kernel more (cma=)"
            ) from None
