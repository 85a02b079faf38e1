"""The emulated PYNQ device: everything of a board that lies between pynq and the accelerator."""

from winogen.common import pynq_library  # noqa: F401 (says what pynq lacks, before that is met)
from winogen.common.errors import ContiguousMemoryError
from winogen.emulation.device.bank import Allocation, MemoryBank
from winogen.emulation.device.core import Core, CoreFactory
from winogen.emulation.device.emulated import EmulatedDevice
from winogen.emulation.device.errors import BufferUseError, BusError, OverlayError
from winogen.emulation.device.memory import EmulatedMemory
from winogen.target.hwh import INTERRUPT_PIN, IP_NAME, VLNV

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
