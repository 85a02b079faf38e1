"""Emulated cores with one fault each, for the tests of ``winogen doctor``."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from winogen.emulation.emulator import EmulatedCore
from winogen.emulation.emulator.faults import Fault
from winogen.emulation.emulator.reach import Reach
from winogen.target.isa import Compute, LoadInput
from winogen.target.registers import Engine, ErrorCode, offset, pack


class Sound(EmulatedCore):
    """No fault: every instruction by itself."""

    memory_fault: Any = None

    def __init__(self, memory, board, *, fuse=True, gemm=True):
        fault = self.memory_fault
        super().__init__(fault(memory) if fault else memory, board, fuse=False)


def changed(register: str, change) -> type[Sound]:
    """Reads of a register are changed."""

    class Changed(Sound):
        def read(self, at):
            value = super().read(at)
            return change(value) & 0xFFFF_FFFF if at == offset(register) else value

    return Changed


class StuckBit(Sound):
    """A data line of the register bus is stuck at zero."""

    def write(self, at, value):
        super().write(at, value & ~(1 << 13))


class Aliased(Sound):
    """An address line of the register bus is missing."""

    def write(self, at, value):
        super().write(at & ~0x10 if at in range(0x80, 0xA0) else at, value)

    def read(self, at):
        return super().read(at & ~0x10 if at in range(0x80, 0xA0) else at)


class WritableMagic(Sound):
    def write(self, at, value):
        super().write(at, value)
        if at == offset("MAGIC"):
            self._values[at] = value


class NeverEnds(Sound):
    """Streams run for ever, and a reset ends them."""

    def _run(self):
        self._status(load=1)


class NeverIdle(Sound):
    """Not even a reset ends a stream."""

    def _run(self):
        self._status(load=1)
        self._control = lambda command: None


class MiscountsReads(Sound):
    def _count(self, instructions, line):
        super()._count(instructions, line)
        self._set64("BYTES_READ", line.bytes_read - 8)


class MiscountsWrites(Sound):
    def _count(self, instructions, line):
        super()._count(instructions, line)
        self._set64("BYTES_WRITTEN", line.bytes_written + 8)


class MiscountsMultiplies(Sound):
    def _count(self, instructions, line):
        super()._count(instructions, line)
        self._set64("MULTIPLIES", line.multiplies // 2)


class LosesInstructions(Sound):
    def _count(self, instructions, line):
        super()._count(instructions, line)
        self._set64("INSTRUCTIONS", line.completed - 1)


class AlwaysBusy(Sound):
    """All engines say that they work."""

    def _count(self, instructions, line):
        super()._count(instructions, line)
        for engine in ("LOAD", "COMPUTE", "STORE"):
            self._set64(f"{engine}_BUSY", 1)


class LosesRecords(Sound):
    """The trace lacks its last record."""

    def _keep_trace(self, instructions, line):
        super()._keep_trace(instructions, line)
        self._set("TRACE_COUNT", max(0, self._get("TRACE_COUNT") - 1))


class LateRecords(Sound):
    """Every other record is some cycles late."""

    def _keep_trace(self, instructions, line):
        super()._keep_trace(instructions, line)
        self._trace[::2] += 3


class SwallowsErrors(Sound):
    def _fail(self, fault):
        self._status(idle=1, done=1)


class AcceptsIllegal(Sound):
    def _fail(self, fault):
        if fault.code is ErrorCode.ILLEGAL_DESCRIPTOR:
            self._status(idle=1, done=1)
        else:
            super()._fail(fault)


class WrongIndex(Sound):
    def _fail(self, fault):
        super()._fail(Fault(fault.code, fault.engine, fault.index + 1, fault.address))


class WrongEngine(Sound):
    def _fail(self, fault):
        super()._fail(Fault(fault.code, Engine.STORE, fault.index, fault.address))


class KeepsErrors(Sound):
    """A soft reset does not clear the error."""

    def _control(self, command):
        kept = self._get("ERROR_CODE")
        super()._control(command)
        if command["reset"]:
            self._set("ERROR_CODE", kept)


class NoWindows(Sound):
    """Windows refuse nothing."""

    def _windows(self):
        return Reach.everywhere(self._memory)


class NoWatchdog(Sound):
    def _starve(self, plan, index):
        self._stuck = True
        self._status(load=2)


class Timed(Sound):
    """The watchdog counts with time, ``mhz`` million cycles a second."""

    mhz = 100.0
    time = staticmethod(time.monotonic)

    def _starve(self, plan, index):
        self._began, self._index = self.time(), index
        self._stuck = True
        self._status(load=2)

    def read(self, at):
        counting = at == offset("STATUS") and not self._get("STATUS") & pack("STATUS", idle=1)
        if counting and self.time() - self._began > self._get("WATCHDOG") / self.mhz / 1e6:
            self._stuck = False
            self._fail(Fault(ErrorCode.WATCHDOG, Engine.LOAD, self._index))
        return super().read(at)


class NoInterrupt(Sound):
    def interrupt(self):
        return False


class NoErrorInterrupt(Sound):
    def interrupt(self):
        return bool(self._get("IRQ_STATUS") & self._get("IRQ_ENABLE") & pack("IRQ_STATUS", done=1))


class Unmasked(Sound):
    """IRQ_ENABLE has no effect."""

    def interrupt(self):
        return bool(self._get("IRQ_STATUS"))


class StickyEvents(Sound):
    """Events cannot be cleared."""

    def write(self, at, value):
        if at != offset("IRQ_STATUS"):
            super().write(at, value)


class IgnoresSteps(Sound):
    """Loads take every word of a row, whatever ``column_step`` says."""

    def _decode(self, stream, bases):
        instructions = super()._decode(stream, bases)
        for instruction in instructions:
            if isinstance(instruction, LoadInput):
                instruction.column_step = 1
        return instructions


class NoWinograd(Sound):
    """Winograd patches lose their last row."""

    def _decode(self, stream, bases):
        instructions = super()._decode(stream, bases)
        for instruction in instructions:
            if isinstance(instruction, Compute) and instruction.winograd:
                instruction.patch_rows -= 1
        return instructions


class _Memory:
    """The real memory, for whatever a fault leaves alone."""

    def __init__(self, memory):
        self._real = memory

    def __getattr__(self, name):
        return getattr(self._real, name)


class _WrongReads(_Memory):
    def device_read(self, address, nbytes):
        data = self._real.device_read(address, nbytes)
        if nbytes != 136:
            return data
        data = data.copy()
        data[-1] ^= 0x80
        return data


class _Spills(_Memory):
    def device_write_strided(self, address, data, strides):
        end = address + sum((n - 1) * s for n, s in zip(data.shape, strides)) + 1
        self._real.device_write_strided(address, data, strides)
        if end % 4096 > 64:
            byte = self._real.device_read(end, 1) ^ np.uint8(1)
            self._real.device_write(end, byte)


class _WrongWrites(_Memory):
    def device_write_strided(self, address, data, strides):
        wrong = data ^ np.uint8(1) if address % 4096 == 56 else data
        self._real.device_write_strided(address, wrong, strides)


class _WrongStores(_Memory):
    def device_write_strided(self, address, data, strides):
        wrong = data.copy()
        wrong.flat[0] ^= 1
        self._real.device_write_strided(address, wrong, strides)


class WrongStores(Sound):
    """The first value of every store is wrong."""

    memory_fault = _WrongStores


class WrongReads(Sound):
    """Bursts of 128 bytes and a word end wrong."""

    memory_fault = _WrongReads


class WrongWrites(Sound):
    """Stores that begin a word before a cache line are wrong."""

    memory_fault = _WrongWrites


class Spills(Sound):
    """Stores change the byte behind them."""

    memory_fault = _Spills
