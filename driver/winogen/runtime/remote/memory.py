"""Contiguous memory of a board that is driven over a network: a copy here, and what it mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pynq.pl_server.remote_device import RemoteBuffer
from pynq.remote import buffer_pb2

from winogen.common.errors import DeviceError
from winogen.runtime.remote.calls import pieces, seconds_for


class BoardBuffer(RemoteBuffer):
    """A buffer of the board's, of which this array is a copy: flush sends, invalidate fetches.

    Other than pynq's its address is asked for once, and it is freed by whoever allocates next
    where nobody refers to it any more: no call goes out while Python collects garbage.
    """

    address: int
    session: int

    def __new__(
        cls,
        shape: Any,
        dtype: npt.DTypeLike,
        device: Any,
        buffer_id: str,
        session: int,
        address: int,
    ) -> BoardBuffer:
        """A new one, whose memory the server has allocated already."""
        self: BoardBuffer = super().__new__(
            cls, shape, dtype, device.stub("buffer"), buffer_id, device
        )
        self.session, self.address = session, address
        np.asarray(self)[...] = 0  # as the board's is
        return self

    def __array_finalize__(self, other: Any) -> None:
        """A view knows where it lies; it cannot be sent or fetched by itself."""
        super().__array_finalize__(other)
        if isinstance(other, BoardBuffer) and hasattr(other, "address"):
            self.address = other.address + _pointer(self) - _pointer(other)

    def __del__(self) -> None:
        if not getattr(self, "freed", True):
            self.freed = True
            self.device.forsake(self.buffer_id, self.session)

    def freebuffer(self) -> None:
        """Give the memory back; where the board cannot be reached, once it can be again."""
        if not getattr(self, "freed", True):
            self.freed = True
            self.device.free(self.buffer_id, self.session)

    def flush(self) -> None:
        """Send all of it, and let the accelerator see it."""
        self._check_whole()
        data = np.ascontiguousarray(np.asarray(self)).reshape(-1).view(np.uint8).data
        requests = (
            buffer_pb2.BufferWriteRequest(buffer_id=self.buffer_id, data=piece)
            for piece in pieces(data)
        )
        self.stub.write(requests, timeout=seconds_for(len(data)))
        self.stub.flush(buffer_pb2.FlushRequest(buffer_id=self.buffer_id))

    def invalidate(self) -> None:
        """Fetch all of it, as the accelerator has left it."""
        self.forget_lines()
        request = buffer_pb2.BufferReadRequest(buffer_id=self.buffer_id)
        place = np.asarray(self).reshape(-1).view(np.uint8)
        at = 0
        for response in self.stub.read(request, timeout=seconds_for(self.nbytes)):
            piece = np.frombuffer(response.data, np.uint8)
            if at + len(piece) <= len(place):
                place[at : at + len(piece)] = piece
            at += len(piece)
        if at != self.nbytes:
            raise DeviceError(
                f"{self.device.tag} sent {at:,} bytes of a buffer of {self.nbytes:,}: its server "
                "is of another version, or faulty; start the board again"
            )

    def forget_lines(self) -> None:
        """Have the board's processor forget what it remembers of it; nothing is fetched."""
        self._check_whole()
        self.stub.invalidate(buffer_pb2.InvalidateRequest(buffer_id=self.buffer_id))

    @property
    def physical_address(self) -> int:
        """Where the accelerator finds it."""
        return self.address

    def _check_whole(self) -> None:
        if not hasattr(self, "freed"):
            raise DeviceError(
                "a part of a buffer of a remote board cannot be sent or fetched by itself; do it "
                "with the buffer that it is a part of"
            )
        if self.session != self.device.session:
            raise DeviceError(
                f"this buffer of {self.device.tag} is of before its server was started again, or "
                "of a session that has ended; make a new Generator"
            )


def _pointer(array: Any) -> int:
    return int(array.__array_interface__["data"][0])
