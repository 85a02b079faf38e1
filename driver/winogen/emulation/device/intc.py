"""The AXI interrupt controller and the UIO file that ``pynq.Interrupt`` waits on.

On a board the core's interrupt pin goes through an AXI interrupt controller to IRQ_F2P[0] of the
processing system, which Linux shows as a UIO device. Both ends are modelled here, so
``await overlay.winogen_0.interrupt.wait()`` runs pynq's own code.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Protocol

_ISR, _IPR, _IER, _IAR, _SIE, _CIE, _IVR, _MER = range(0x00, 0x20, 4)
_MASTER_ENABLE = 0x3
_NO_VECTOR = 0xFFFF_FFFF

#: Seconds between two looks at the interrupt line while somebody waits for it.
POLL_SECONDS = 0.001


class Intc:
    """An AXI interrupt controller with one level-sensitive input, in its reset state.

    The controller holds an input that was high until it is acknowledged, and pynq acknowledges
    before its waiter has cleared the event in the core. So the next wait returns once too early,
    as on a board: whoever waits looks at the core's STATUS afterwards and waits again if need be.

    Parameters
    ----------
    level : callable
        Gives the level of the input pin.
    """

    def __init__(self, level: Callable[[], bool]) -> None:
        self._level = level
        self._words = {_ISR: 0, _IER: 0, _MER: 0}

    def output(self) -> bool:
        """Level of the interrupt line to the processor."""
        return self._words[_MER] == _MASTER_ENABLE and self.read(_IPR) != 0

    def read(self, offset: int) -> int:
        """The 32-bit register at byte ``offset``; unused ones read as zero."""
        self._words[_ISR] |= self._level()
        if offset == _IPR:
            return self._words[_ISR] & self._words[_IER]
        if offset == _IVR:
            return 0 if self.read(_IPR) else _NO_VECTOR
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write ``value`` to the register at byte ``offset``; unused ones ignore it."""
        if offset == _IAR:
            self._words[_ISR] = self._words[_ISR] & ~value | self._level()
        elif offset == _SIE:
            self._words[_IER] |= value & 1
        elif offset == _CIE:
            self._words[_IER] &= ~value
        elif offset in (_ISR, _IER):
            self._words[offset] = value & 1
        elif offset == _MER:
            self._words[offset] = value & _MASTER_ENABLE


class Settable(Protocol):
    """What waits for an interrupt: an ``asyncio.Event`` or pynq's interrupt controller."""

    def set(self) -> None:
        """Called once, when the line is high."""


class EmulatedUio:
    """Stands where pynq keeps the open UIO file of an interrupt line (its ``UioController``)."""

    def __init__(self, line: Callable[[], bool]) -> None:
        # pynq keeps this object for ever; it must not keep the device and its memory.
        self._line = weakref.WeakMethod(line)
        self.wait_events: list[Settable] = []

    def add_event(self, event: Settable, number: int) -> None:
        """Call ``event.set()`` from the running event loop once the line is high."""
        self.wait_events.append(event)
        asyncio.get_event_loop().call_soon(self._look)

    def _look(self) -> None:
        line = self._line()
        if line is None or not self.wait_events:
            return
        if not line():
            asyncio.get_event_loop().call_later(POLL_SECONDS, self._look)
            return
        events, self.wait_events = self.wait_events, []
        for event in events:
            event.set()
