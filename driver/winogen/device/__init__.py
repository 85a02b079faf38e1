"""The emulated PYNQ device: everything of a board that lies between pynq and the accelerator."""

from .bank import Allocation, MemoryBank
from .core import Core, CoreFactory
from .emulated import EmulatedDevice
from .errors import BufferUseError, BusError, ContiguousMemoryError, OverlayError
from .hwh import INTERRUPT_PIN, IP_NAME, VLNV
from .memory import EmulatedMemory

__all__ = [
    "INTERRUPT_PIN",
    "IP_NAME",
    "VLNV",
    "Allocation",
    "BufferUseError",
    "BusError",
    "ContiguousMemoryError",
    "Core",
    "CoreFactory",
    "EmulatedDevice",
    "EmulatedMemory",
    "MemoryBank",
    "OverlayError",
]
