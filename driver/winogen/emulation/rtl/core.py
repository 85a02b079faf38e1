"""A core for the emulated device that is the real logic, simulated cycle by cycle.

Time passes while the program looks: the first read of STATUS or IRQ_STATUS after a start runs the
simulation to the end of the stream, so the seconds that a driver waits are never too few. Other
accesses take the cycles that they need on the bus.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import DeviceError
from winogen.common.progress import Progress
from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.rtl.build import BuildOptions, build_simulation
from winogen.target import registers
from winogen.target.board import Board
from winogen.target.hardware import TOP
from winogen.target.registers import ErrorCode

#: One instruction of a trace: its engine and index, and the cycles since the start of the stream
#: in which it began and completed.
TRACE = np.dtype([("start", "u8"), ("end", "u8"), ("index", "u4"), ("engine", "u4")])

#: Seconds of simulation between two looks at the keyboard, and cycles at first.
_CHUNK_SECONDS = 0.1
_FIRST_CHUNK = 20_000
#: With the watchdog off, a stream in which nothing happens for so many cycles is given up.
_QUIET_CYCLES = 500_000
#: Cycles that one look at the interrupt pin lets pass: an event loop has other things to do.
_INTERRUPT_CYCLES = 20_000
#: Cycles that one look at STATUS lets pass while a soft reset waits for the memory.
_RESET_CYCLES = 10_000
#: Seconds that a thread may be in the simulation before it is left alone at its end: it looks up
#: many times a second, unless it was told to let many cycles pass.
_END_SECONDS = 30.0
#: Seconds before a progress line appears.
_QUICK_SECONDS = 0.5

_STATUS = registers.offset("STATUS")
_WAITS = (_STATUS, registers.offset("IRQ_STATUS"))
_CONTROL = registers.offset("CONTROL")
_WATCHDOG = registers.offset("WATCHDOG")
_IDLE = registers.pack("STATUS", idle=1)
_MORE, _ENDED, _QUIET = range(3)  # what winogen_run says
_RESPONSES = {ErrorCode.NONE: 0, ErrorCode.AXI_SLVERR: 2, ErrorCode.AXI_DECERR: 3}


class Channel(IntEnum):
    """Bus channels that can be made to stall."""

    AR = 0
    R = 1
    AW = 2
    W = 3
    B = 4
    REGISTERS = 5


class RtlCore:
    """The accelerator's logic for :class:`winogen.emulation.device.EmulatedDevice`.

    Parameters
    ----------
    memory : the DDR
    board : supplies the build configuration and the DRAM figures
    latency : cycles from a read's address to its first data; default: the board's
    bytes_per_cycle : DRAM bandwidth, shared by all ports; default: the board's
    stalls : probability that a bus channel pauses in a cycle
    seed : of the stalls, and of initial values in builds with ``BuildOptions.random``
    options : how to build the simulation
    sources, top : other logic with the same ports
    max_cycles : a look at STATUS comes back after so many even if the stream runs on

    Attributes
    ----------
    max_seconds : or after so many seconds, if it is not None

    Every access raises DeviceError once the logic has broken the AXI protocol or an assertion.
    """

    #: Its time is that of the logic.
    is_measured = True

    def __init__(
        self,
        memory: EmulatedMemory,
        board: Board,
        *,
        latency: int | None = None,
        bytes_per_cycle: float | None = None,
        stalls: float = 0.0,
        seed: int = 0,
        options: BuildOptions | None = None,
        sources: Sequence[Path] | None = None,
        top: str = TOP,
        max_cycles: int = 2_000_000_000,
    ):
        latency = board.dram_latency if latency is None else latency
        rate = board.dram_bytes_per_cycle if bytes_per_cycle is None else bytes_per_cycle
        if latency < 1 or not rate > 0:
            raise ValueError(
                f"latency and bytes_per_cycle must be positive, not {latency} and {rate}"
            )
        self._memory = memory
        self._max_cycles = max_cycles
        self.max_seconds: float | None = None
        library = _load(build_simulation(board.core, options, sources=sources, top=top))
        self._sim = _Simulation(library, memory, latency, rate, seed)
        weakref.finalize(self, self._sim.end)
        self._running = self._resetting = False
        self._watchdog = registers.BY_NAME["WATCHDOG"].reset
        self._chunk = _FIRST_CHUNK
        self.set_stalls(stalls)

    # The core of a device

    def read(self, offset: int) -> int:
        """The 32-bit register at ``offset``; see the module for when time passes."""
        if offset in _WAITS:
            if self._running:
                self._finish()
            elif self._resetting:
                self._resetting = self._advance(_RESET_CYCLES) != _ENDED
        value = int(self._sim.call("read", offset))
        self._check()
        return value

    def write(self, offset: int, value: int) -> None:
        """Write a register; the stream that CONTROL.start begins runs when someone looks."""
        command = registers.unpack("CONTROL", value) if offset == _CONTROL else {}
        if offset == _WATCHDOG:
            self._watchdog = value
        if command.get("start") and not self._running:
            self._sim.call("trace_clear")
        self._sim.call("write", offset, value)
        if command.get("reset"):
            self._running, self._resetting = False, True
        elif command.get("start"):
            self._running = True
        self._check()

    def interrupt(self) -> bool:
        """Level of the interrupt pin, after some cycles if a stream runs."""
        try:
            if self._running:
                self._advance(_INTERRUPT_CYCLES)
            return bool(self._sim.call("irq"))
        except DeviceError:
            if self._sim.ended:  # somebody waits still while the program ends
                return False
            raise

    # What only a simulation can do

    @property
    def cycles(self) -> int:
        """Clock cycles since the core was made."""
        return int(self._sim.call("cycles"))

    def step(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self._sim.call("step", cycles)
        self._check()

    def set_stalls(self, probability: float, channel: Channel | None = None) -> None:
        """Let a bus channel, or all of them, pause in a cycle with this probability."""
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability is 0 to 1, not {probability}")
        number = -1 if channel is None else int(channel)
        self._sim.call("set_stall", number, probability)

    def set_error(self, address: int, nbytes: int, code: ErrorCode = ErrorCode.AXI_SLVERR) -> None:
        """Answer accesses to this range with an error; ``ErrorCode.NONE`` forgets all ranges."""
        self._sim.call("set_error", address, address + nbytes, _RESPONSES[code])

    def beats(self) -> dict[str, int]:
        """Beats of 8 bytes that each port has moved: read0, read1, ..., fetch, write."""
        ports = int(self._sim.call("read_ports"))
        names = [*(f"read{i}" for i in range(ports)), "fetch", "write"]
        return {name: int(self._sim.call("beats", i)) for i, name in enumerate(names)}

    def trace(self) -> NDArray[np.void]:
        """The instructions that the last stream has completed (dtype ``TRACE``), in that order."""
        events = ctypes.c_void_p()
        with self._sim.lock:  # they lie in the simulation
            count = int(self._sim.call("trace", ctypes.byref(events)))
            data = ctypes.string_at(events.value, count * TRACE.itemsize) if events.value else b""
        return np.frombuffer(data, TRACE).copy()

    def write_coverage(self, path: Path) -> None:
        """Write ``coverage.dat``; needs ``BuildOptions(coverage=True)``."""
        if not self._sim.call("write_coverage", str(path).encode()):
            raise ValueError("this simulation was built without coverage")

    def waves(self, path: Path | None) -> None:
        """Write waveforms (VCD) from now on, or no more; needs ``BuildOptions(waves=True)``."""
        name = None if path is None else str(path).encode()
        if not self._sim.call("waves", name):
            raise ValueError("this simulation was built without waves")

    def _finish(self) -> None:
        """Run until the stream ends, stays quiet, or has had all its cycles."""
        begin, first = time.monotonic(), self.cycles
        progress: Progress | None = None
        try:
            while self._running and self.cycles - first < self._max_cycles:
                if self.max_seconds is not None and time.monotonic() - begin > self.max_seconds:
                    return
                chunk_begin = time.monotonic()
                if self._advance(self._chunk) != _MORE:
                    return  # it ended, or waits for ever
                now = time.monotonic()
                speed = self._chunk / max(now - chunk_begin, 1e-6)
                self._chunk = max(1000, min(int(speed * _CHUNK_SECONDS), 2 * self._chunk))
                if now - begin > _QUICK_SECONDS:
                    if progress is None:
                        progress = Progress("simulating")
                    done = self.cycles - first
                    rate = done / (now - begin) / 1e3
                    progress.stage(f"{done:,} cycles, {rate:,.0f} k cycles/s")
        finally:
            if progress is not None:
                progress.__exit__(None, None, None)

    def _advance(self, cycles: int) -> int:
        quiet = 0 if self._watchdog else _QUIET_CYCLES
        result = int(self._sim.call("run", cycles, _STATUS, _IDLE, quiet))
        if result == _ENDED:
            self._running = False
        self._check()
        return result

    def _check(self) -> None:
        first, end = ctypes.c_uint64(), ctypes.c_uint64()
        if self._sim.call("take_written", ctypes.byref(first), ctypes.byref(end)):
            self._memory.device_written(first.value, end.value - first.value)
        error = self._sim.call("error")
        if error:
            raise DeviceError(
                f"the simulated logic is wrong: {error.decode(errors='replace')}; this is a bug "
                "of the hardware and not of the program"
            )


class _Simulation:
    """The C++ object, which is not freed while a thread is in it, nor used afterwards.

    Threads that wait for an interrupt may live on when its core has gone, or the program ends. A
    process that was forked has none of its threads: it is the parent's alone.
    """

    def __init__(self, library: Any, memory: EmulatedMemory, latency: int, rate: float, seed: int):
        self.lock = threading.RLock()
        self._process = os.getpid()
        self._ending = False
        self._library = library
        self._view = memory.device_view()  # lives until the simulation, which writes to it, ends
        self._handle = library.winogen_create(
            self._view.ctypes.data, memory.base, memory.size, latency, rate, seed
        )
        if not self._handle:
            raise DeviceError("the simulation cannot start: its logic stopped in reset")

    @property
    def ended(self) -> bool:
        """Whether it is no more, or about to be."""
        return self._ending

    def call(self, name: str, *arguments: Any) -> Any:
        """``winogen_<name>`` of the library; DeviceError if the simulation has ended."""
        if os.getpid() != self._process:
            raise DeviceError("the simulation is another process's; open a device of this one")
        with self.lock:
            if self._ending:
                raise DeviceError("the simulation has ended with its device; open the device anew")
            return getattr(self._library, f"winogen_{name}")(self._handle, *arguments)

    def end(self) -> None:
        """Free it, once nobody is in it; what is in it for too long keeps it, and its memory."""
        if os.getpid() != self._process:
            return
        self._ending = True  # who comes now stays out, and cannot keep this waiting
        if not self.lock.acquire(timeout=_END_SECONDS):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._view))
            return
        try:
            handle, self._handle = self._handle, None
            if handle:
                self._library.winogen_destroy(handle)
        finally:
            self.lock.release()


@cache
def _load(path: Path) -> Any:
    """The library with the types of its functions."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"cannot load the simulation {path}: {error}; delete it") from None
    sim, u32, u64, pointer = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    integer, real, text = ctypes.c_int, ctypes.c_double, ctypes.c_char_p
    for name, result, arguments in (
        ("create", sim, (pointer, u64, u64, u32, real, u64)),
        ("destroy", None, (sim,)),
        ("read", u32, (sim, u32)),
        ("write", None, (sim, u32, u32)),
        ("run", integer, (sim, u64, u32, u32, u64)),
        ("step", None, (sim, u64)),
        ("cycles", u64, (sim,)),
        ("irq", integer, (sim,)),
        ("error", text, (sim,)),
        ("set_stall", None, (sim, integer, real)),
        ("set_error", None, (sim, u64, u64, u32)),
        ("take_written", integer, (sim, pointer, pointer)),
        ("read_ports", u32, (sim,)),
        ("beats", u64, (sim, u32)),
        ("trace_clear", None, (sim,)),
        ("trace", u64, (sim, pointer)),
        ("write_coverage", integer, (sim, text)),
        ("waves", integer, (sim, text)),
    ):
        function = getattr(library, f"winogen_{name}")
        function.restype = result
        function.argtypes = arguments
    return library
