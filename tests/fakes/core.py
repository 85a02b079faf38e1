"""A tiny core for the tests of the emulated device: it inverts bytes from INPUT to OUTPUT."""

from __future__ import annotations

from winogen.emulation.device import BusError, EmulatedMemory
from winogen.target import registers
from winogen.target.registers import offset, pack


class InvertingDma:
    """Answers at the register map of the accelerator; STREAM_LENGTH is a count of bytes.

    ``delay`` reads of a register pass before a started run is done.
    """

    def __init__(self, memory: EmulatedMemory, delay: int = 0) -> None:
        self.memory = memory
        self.words = {r.offset: r.reset for r in registers.REGISTERS}
        self.delay = delay
        self.remaining = 0

    def read(self, at: int) -> int:
        if self.remaining:
            self.remaining -= 1
            if not self.remaining:
                self.run()
        return self.words[at]

    def write(self, at: int, value: int) -> None:
        register = registers.BY_OFFSET[at]
        if register.name == "CONTROL" and value & pack("CONTROL", start=1):
            self.words[offset("STATUS")] = 0
            self.remaining = self.delay
            if not self.delay:
                self.run()
        elif register.access == "w1c":
            self.words[at] &= ~value
        elif register.access == "rw":
            self.words[at] = value

    def interrupt(self) -> bool:
        return bool(self.words[offset("IRQ_STATUS")] & self.words[offset("IRQ_ENABLE")])

    def run(self) -> None:
        nbytes = self.words[offset("STREAM_LENGTH")]
        try:
            data = self.memory.device_read(self.words[offset("INPUT_BASE_LO")], nbytes)
            self.memory.device_write(self.words[offset("OUTPUT_BASE_LO")], ~data)
        except BusError as error:
            self.words[offset("STATUS")] = pack("STATUS", idle=1, error=1)
            self.words[offset("ERROR_CODE")] = pack("ERROR_CODE", code=error.code)
            self.words[offset("ERROR_ADDRESS_LO")] = error.address
            self.words[offset("IRQ_STATUS")] |= pack("IRQ_STATUS", error=1)
        else:
            self.words[offset("STATUS")] = pack("STATUS", idle=1, done=1)
            self.words[offset("IRQ_STATUS")] |= pack("IRQ_STATUS", done=1)
