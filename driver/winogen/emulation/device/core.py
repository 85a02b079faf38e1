"""What the emulated device expects of an accelerator: two calls and a constructor.

The instruction-level emulator and the Verilated RTL both fit behind this; the device knows
nothing of how a core works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from winogen.emulation.device.memory import EmulatedMemory


class Core(Protocol):
    """An accelerator as its AXI4-Lite port shows it.

    A core may also have

    - ``interrupt() -> bool``, the level of its interrupt pin; without it the pin is low for ever
    - ``is_measured``, False where its counters and traces are predictions and not those of logic
    - ``max_seconds``, to be set to how long a run may take in one register access, or to None
    """

    def read(self, offset: int) -> int:
        """The 32-bit register at byte ``offset`` (a multiple of 4, below ``ADDRESS_RANGE``)."""

    def write(self, offset: int, value: int) -> None:
        """Write ``value``, below 2**32, to the register at byte ``offset``."""


#: Builds a core in its reset state around the memory that its bus masters read and write.
CoreFactory = Callable[[EmulatedMemory], Core]
