"""Emulated cores whose streams take their time: until somebody looks, or for ever."""

from __future__ import annotations

from winogen.emulation.device import EmulatedDevice
from winogen.emulation.emulator import EmulatedCore
from winogen.target.board import load_board
from winogen.target.registers import offset

TINY = load_board("tiny")


class Delayed(EmulatedCore):
    """A stream runs when STATUS is read for the ``looks``-th time: until then it is under way.

    ``running`` is what a board would be doing at that moment.
    """

    looks = 5
    running = False
    interrupts = True

    def _run(self) -> None:
        self.running, self.left = True, self.looks
        self._status(load=1)

    def _control(self, command) -> None:
        if command["reset"]:
            self.running = False
        super()._control(command)

    def read(self, at: int) -> int:
        if at == offset("STATUS"):
            self.look()
        return super().read(at)

    def look(self) -> None:
        if self.running:
            self.left -= 1
            if self.left <= 0:
                self.running = False
                super()._run()

    def interrupt(self) -> bool:
        if self._get("IRQ_ENABLE"):
            self.look()  # time passes while somebody waits
        return self.interrupts and super().interrupt()


class Quiet(Delayed):
    """Its interrupt is lost."""

    interrupts = False


class Endless(Delayed):
    """Only a reset ends a stream."""

    looks = 10**9


def device_of(core: type) -> EmulatedDevice:
    return EmulatedDevice(lambda memory: core(memory, TINY))
