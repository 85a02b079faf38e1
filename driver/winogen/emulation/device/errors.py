"""What a device refuses, and why (:mod:`winogen.common.errors` has the rules of messages)."""

from __future__ import annotations

from winogen.common.errors import DeviceError
from winogen.target.registers import ErrorCode


class BufferUseError(DeviceError):
    """A buffer cannot be flushed, invalidated or freed: it is freed already or no buffer at all."""


class OverlayError(DeviceError):
    """An overlay file cannot be loaded on the emulated device."""


class BusError(DeviceError):
    """A bus access was not answered with OKAY.

    Attributes
    ----------
    code : ``AXI_DECERR`` (nothing at that address) or ``AXI_SLVERR`` (there, but not like this)
    address : bus address, in bytes, of the failing access
    """

    def __init__(self, code: ErrorCode, address: int, reason: str = "") -> None:
        super().__init__(f"bus address 0x{address:08x}: {reason or code.text}")
        self.code = code
        self.address = address
