"""The accelerator and the way to it: what it says, when it ends, who else has the board."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pynq
from pytest import MonkeyPatch

from fakes import faulty_cores
from fakes.slow_cores import Delayed, Endless, Quiet
from support.faults.kinds import SAME, fault, refused
from support.faults.on_devices import TINY, OnDevice, by_interrupt, in_doctor, on_device
from winogen.emulation.device.bank import MemoryBank
from winogen.emulation.emulator import EmulatedCore
from winogen.emulation.emulator.faults import Fault
from winogen.runtime import runner
from winogen.runtime.lock import DeviceLock
from winogen.runtime.open import emulated_device
from winogen.runtime.session import open_session
from winogen.target import clock
from winogen.target.board import load_board
from winogen.target.registers import Engine, ErrorCode, offset, pack

#: Seconds until a stage loses patience with a device: it gives no others the time to.
_SOON = 0.05
_LATE = refused("DeviceTimeoutError", "did not finish within 0.05 s", "load busy", "0 of")


def instance(stage: OnDevice, core: type) -> Any:
    """The core of a stage, of this class, with the generator open."""
    stage.core = core
    assert stage.generator
    return stage.device.core


class Struck(EmulatedCore):
    """Where a fault says that it has struck."""

    stage: OnDevice


def striking(stage: OnDevice, core: type) -> type:
    """The class of core, which tells the stage of its strikes."""
    return type(core.__name__, (core,), {"stage": stage})


# When a stream ends


@fault("core never finishes", on_device, _LATE)
def _(stage: OnDevice) -> None:
    """A stream starts, and only a reset ends it."""
    stage.options["timeout"] = _SOON
    stage.core = Endless


@fault("core does not finish once", on_device, _LATE)
def _(stage: OnDevice) -> Any:
    """One stream does not end until the core is reset; the next one does."""
    stage.options["timeout"] = _SOON
    core = instance(stage, Delayed)
    core.looks = 10**9
    yield
    core.looks = 1


@fault(
    "core slower than predicted",
    on_device,
    refused("DeviceTimeoutError", "did not finish within", "times the predicted", "--timeout"),
)
def _(stage: OnDevice) -> Any:
    """No deadline was asked for, and the stream takes much longer than predicted."""
    core = instance(stage, Delayed)
    core.looks = 10**9
    with MonkeyPatch.context() as patch:
        patch.setattr(runner, "_MIN_SECONDS", _SOON)
        yield
    core.looks = 1


@fault(
    "core not even reset stops",
    on_device,
    refused(
        "DeviceTimeoutError",
        "did not finish",
        "then the accelerator is not idle",
        "load the overlay again",
    ),
)
def _(stage: OnDevice) -> None:
    """A stream goes on through every reset, and may write to memory still."""
    stage.patch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.01)
    stage.patch.setattr("winogen.runtime.runner._lost", {})
    stage.options["timeout"] = _SOON
    stage.core = faulty_cores.NeverIdle


@fault(
    "core ignores the start",
    on_device,
    refused("DeviceError", "did not begin the stream", "load the overlay again"),
)
def _(stage: OnDevice) -> Any:
    """CONTROL is written, and nothing begins."""
    core = instance(stage, EmulatedCore)
    core._run = lambda: None
    core._status(idle=1)
    real, core._status = core._status, lambda **bits: real(idle=1)
    yield
    del core._run, core._status


@fault("done bit stuck at zero", on_device, refused("DeviceError", "did not begin the stream"))
def _(stage: OnDevice) -> None:
    """The stream ends, and STATUS says idle and never done."""
    stage.core = faulty_cores.changed("STATUS", lambda v: v & ~pack("STATUS", done=1))


@fault(
    "error bit stuck at one",
    on_device,
    refused("DeviceError", "STATUS says that the stream has failed", "winogen doctor"),
)
def _(stage: OnDevice) -> None:
    """STATUS says that the stream has failed, and ERROR_CODE that it has not."""
    stage.core = faulty_cores.changed("STATUS", lambda v: v | pack("STATUS", error=1))


@fault(
    "done bit stuck at one",
    on_device,
    refused("DeviceError", "STATUS says that the stream is done", "0 of 28 instructions are"),
)
def _(stage: OnDevice) -> Any:
    """From some run on STATUS says done at once, and nothing runs."""
    core = instance(stage, EmulatedCore)
    stage.others()
    core._run = lambda: core._status(idle=1, done=1)
    yield
    del core._run


@fault(
    "nothing runs, and all is said to be done",
    in_doctor("load engine"),
    refused("doctor's load engine", "counter instructions is 0"),
)
def _(stage: Any) -> None:
    """STATUS says done at once from the beginning."""

    class Idle(faulty_cores.Sound):
        def _run(self) -> None:
            self._status(idle=1, done=1)

    stage.core = Idle


# Interrupts


@fault("interrupt lost", by_interrupt, SAME)
def _(stage: OnDevice) -> None:
    """The stream ends, and no interrupt comes."""
    stage.core = Quiet
    stage.strike()


@fault("interrupt too early", by_interrupt, SAME)
def _(stage: OnDevice) -> None:
    """The interrupt comes as the stream begins, and again as it ends."""

    class Early(Delayed):
        def interrupt(self) -> bool:
            if self.running and self._get("IRQ_ENABLE"):
                stage.strike()
                self.look()
                return True
            return super().interrupt()

    stage.core = Early


@fault("interrupt never goes away", by_interrupt, SAME)
def _(stage: OnDevice) -> None:
    """The line stays high, whatever is acknowledged."""

    class High(Delayed):
        def interrupt(self) -> bool:
            stage.strike()
            return True

    stage.core = High


@fault(
    "events cannot be cleared",
    in_doctor("interrupt"),
    refused("doctor's interrupt", "the event 'done' cannot be cleared"),
)
def _(stage: Any) -> None:
    """IRQ_STATUS keeps what is acknowledged."""
    stage.core = faulty_cores.StickyEvents


@fault(
    "masked events interrupt",
    in_doctor("interrupt"),
    refused("doctor's interrupt", "although it is masked"),
)
def _(stage: Any) -> None:
    """IRQ_ENABLE has no effect."""
    stage.core = faulty_cores.Unmasked


@fault(
    "no interrupt at all",
    in_doctor("interrupt"),
    refused("doctor's interrupt", "no interrupt for 'done'"),
)
def _(stage: Any) -> None:
    """The wire from the accelerator is broken."""
    stage.core = faulty_cores.NoInterrupt


@fault(
    "watchdog does not bark",
    in_doctor("watchdog"),
    refused("doctor's watchdog", "expected WATCHDOG", "did not finish within"),
)
def _(stage: Any) -> None:
    """A deadlocked stream is not ended by the core's own watchdog."""
    stage.core = faulty_cores.NoWatchdog


# What the core refuses, by each of its codes


def _stops(code: int, stage: OnDevice) -> Any:
    """The next stream ends with this error."""
    core = instance(stage, EmulatedCore)
    core._run = lambda: core._fail(Fault(ErrorCode(code), Engine.LOAD, 3, 0x1234_0000))
    yield
    del core._run


def _coded(code: ErrorCode) -> None:
    def inject(stage: OnDevice) -> Any:
        yield from _stops(code, stage)

    words = (f"stopped with {code.name} in the load engine", "of layer", code.text)
    where = ("bus address 0x12340000",) if code.has_address else ()
    fault(
        f"error {code.name}", on_device, refused("DeviceError", *words, *where),
        what=f"A stream stops with the code {code.name}: {code.text}.",
    )(inject)  # fmt: skip


for _code in ErrorCode:
    if _code:
        _coded(_code)


@fault(
    "error of an unknown code",
    on_device,
    refused("DeviceError", "stopped with 99 in the load engine", "an unknown error code"),
)
def _(stage: OnDevice) -> Any:
    """A stream stops with a code of a later hardware version."""
    core = instance(stage, EmulatedCore)
    real = core.read
    core._run = lambda: core._fail(Fault(ErrorCode.BAD_STREAM, Engine.LOAD, 3))
    code = pack("ERROR_CODE", code=99, engine=Engine.LOAD)
    core.read = lambda at: code if at == offset("ERROR_CODE") else real(at)
    yield
    del core._run, core.read


@fault(
    "errors are swallowed",
    in_doctor("errors"),
    refused("doctor's errors", "ended without an error"),
)
def _(stage: Any) -> None:
    """A bad stream ends as if it were good."""
    stage.core = faulty_cores.SwallowsErrors


# What registers say


def _reads(name: str, register: str, change: Any, what: str, *words: str) -> None:
    def inject(stage: OnDevice) -> None:
        stage.core = faulty_cores.changed(register, change)

    fault(name, on_device, refused("DeviceError", *words), what=what)(inject)


_reads(
    "no accelerator of ours",
    "MAGIC",
    lambda v: 0x1234_5678,
    "Another core answers at the address.",
    "MAGIC reads 0x12345678",
    "load a winogen overlay",
)
_reads(
    "another hardware version",
    "VERSION",
    lambda v: v + (1 << 16),
    "The overlay is of a later hardware version.",
    "hardware version",
    "build the overlay again",
)
_reads(
    "another build",
    "CONFIG_HASH",
    lambda v: v ^ 1,
    "The overlay is another build of the accelerator.",
    "CONFIG_HASH reads",
    "compile it for",
)
_reads(
    "another build of equal hash",
    "PSUM_DEPTH",
    lambda v: 2 * v,
    "The hash agrees, and a memory has another depth.",
    "psum_depth 256",
    "compile it for",
)
_reads(
    "lanes of another build",
    "CAPABILITY",
    lambda v: v + 1,
    "The hash agrees, and the array has other lanes.",
    "ci_lanes 9",
    "compile it for",
)


def _bus(value: int) -> Any:
    """A register bus on which nobody answers: every read gives this."""

    class Dead(EmulatedCore):
        def read(self, at: int) -> int:
            return value

    return Dead


@fault(
    "bus off: reads of all ones",
    on_device,
    refused("DeviceError", "MAGIC reads 0xffffffff", "load a winogen overlay"),
)
def _(stage: OnDevice) -> None:
    """Every register reads 0xffffffff from the beginning."""
    stage.core = _bus(0xFFFF_FFFF)


@fault(
    "bus off: reads of zero",
    on_device,
    refused("DeviceError", "MAGIC reads 0x00000000", "load a winogen overlay"),
)
def _(stage: OnDevice) -> None:
    """Every register reads 0 from the beginning."""
    stage.core = _bus(0)


def _goes_dead(name: str, value: int, *words: str) -> None:
    def inject(stage: OnDevice) -> Any:
        stage.options["timeout"] = 1.0
        stage.patch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.01)
        core = instance(stage, EmulatedCore)
        core.read = lambda at: value
        yield
        del core.read

    fault(
        name,
        on_device,
        refused("DeviceError", *words),
        what=f"Every register reads 0x{value:x} from some moment on.",
    )(inject)


_goes_dead("bus goes off, with ones", 0xFFFF_FFFF, "nobody answers on its bus", "MAGIC reads")
_goes_dead("bus goes off, with zeros", 0, "nobody answers on its bus", "MAGIC reads")


@fault(
    "bus goes off in a run",
    on_device,
    refused("DeviceError", "nobody answers on its bus", "MAGIC reads 0xffffffff"),
)
def _(stage: OnDevice) -> Any:
    """Every register reads 0xffffffff once a stream has begun."""
    stage.options["timeout"] = 1.0
    core = instance(stage, EmulatedCore)

    def run() -> None:
        core.read = lambda at: 0xFFFF_FFFF

    core._run = run
    yield
    core.__dict__.pop("read", None)
    del core._run


@fault(
    "a data line is stuck",
    in_doctor("registers"),
    refused("doctor's registers", "reads 0xffffdfff instead of 0xffffffff"),
)
def _(stage: Any) -> None:
    """A bit of the register bus is always zero."""
    stage.core = faulty_cores.StuckBit


@fault("an address line is missing", in_doctor("registers"), refused("doctor's registers", "reads"))
def _(stage: Any) -> None:
    """Two registers answer at both of their addresses."""
    stage.core = faulty_cores.Aliased


@fault(
    "settings do not stick",
    on_device,
    refused("CorruptionError", "register OUTPUT_BASE_LO reads 0x1000 instead of"),
)
def _(stage: OnDevice) -> Any:
    """The output's base is lost as it is written."""
    core = instance(stage, EmulatedCore)
    real, base = core.write, offset("OUTPUT_BASE_LO")
    core.write = lambda at, value: real(at, 0x1000 if at == base else value)
    core._set("OUTPUT_BASE_LO", 0x1000)
    yield
    del core.write


@fault(
    "counters are wrong",
    in_doctor("load engine"),
    refused("doctor's load engine", "counter bytes_read is"),
)
def _(stage: Any) -> None:
    """The core miscounts the bytes that it reads."""
    stage.core = faulty_cores.MiscountsReads


@fault(
    "Winograd alone is wrong",
    in_doctor("conformance"),
    refused("doctor's conformance", "values are wrong", "winograd mode"),
)
def _(stage: Any) -> None:
    """Winograd patches lose their last row."""
    stage.core = faulty_cores.NoWinograd


# Memory that cannot be had


@fault(
    "contiguous memory too small",
    on_device,
    refused(
        "ContiguousMemoryError", "bytes of contiguous memory", "4,096 of 67,108,864 bytes are free"
    ),
)
def _(stage: OnDevice) -> None:
    """The kernel sets less aside than the program needs."""
    device = stage.device
    device._pool.allocate(device._pool.size - 4096)


@fault(
    "contiguous memory taken",
    on_device,
    refused("ContiguousMemoryError", "cannot allocate", "shut down", "cma="),
)
def _(stage: OnDevice) -> Any:
    """Another program holds it: what XRT says then."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("BO allocation failed: Cannot allocate memory")

    with MonkeyPatch.context() as patch:
        patch.setattr(MemoryBank, "allocate", refuse)
        yield


@fault(
    "a buffer out of reach",
    on_device,
    refused("DeviceError", "AXI_DECERR in the load engine", "bus address 0x80"),
)
def _(stage: OnDevice) -> None:
    """The weights lie at an address that the accelerator's port does not reach."""
    buffers = stage.generator._runner.buffers
    size = buffers["weights"].nbytes
    buffers["weights"] = SimpleNamespace(
        device_address=1 << 31, nbytes=size, freebuffer=lambda: None
    )


# Who else has the board, and what is loaded


@fault(
    "another process has the board",
    on_device,
    refused("DeviceBusyError", "in use by process", "--lock-timeout"),
)
def _(stage: OnDevice) -> Any:
    """Another process has it, and does not let go."""
    stage.patch.setattr("winogen.runtime.lock._FOLDER", stage.folder)
    stage.options["lock_timeout"] = _SOON
    stage.device.lock_name = "fault-table"
    ready, held = os.pipe()
    pid = os.fork()
    if not pid:
        lease = open_session(object(), "fault-table", 0)
        os.write(held, b"1")
        os.read(0 if lease is None else _sleep(), 1)
        os._exit(0)
    os.close(held)
    try:
        assert os.read(ready, 1) == b"1"
        yield
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)


def _sleep() -> int:
    """A pipe in which nothing ever comes; it ends with the process."""
    return os.pipe()[0]


@fault(
    "the lock is a pipe",
    on_device,
    refused("DeviceError", "is no file: somebody has put it there; remove it"),
)
def _(stage: OnDevice) -> Any:
    """Where the lock's file should be is a FIFO, which nobody ever writes to."""
    stage.patch.setattr("winogen.runtime.lock._FOLDER", stage.folder)
    stage.device.lock_name = "fault-table"
    path = DeviceLock("fault-table").path
    os.mkfifo(path)
    yield
    path.unlink()


@fault(
    "another overlay is loaded meanwhile",
    on_device,
    refused("DeviceError", "another overlay has been loaded", "make a new one"),
)
def _(stage: OnDevice) -> None:
    """Somebody loads a bitstream through pynq between two runs."""
    assert stage.run()
    pynq.Overlay(str(stage.device.ensure_overlay(stage.folder)), device=stage.device)


@fault("the same overlay is loaded meanwhile", on_device, SAME)
def _(stage: OnDevice) -> None:
    """Somebody loads the same bitstream again: registers are lost, and nothing else."""
    assert stage.run()
    pynq.Overlay(str(stage.device.ensure_overlay()), device=stage.device)
    stage.strike()


@fault(
    "another build is loaded unasked",
    on_device,
    refused("DeviceError", "another overlay has been loaded", "CONFIG_HASH reads 00000007"),
)
def _(stage: OnDevice) -> None:
    """A program that pynq knows nothing of loads another build at the same address."""
    assert stage.run()
    device = stage.device
    device.core = EmulatedCore(device.memory, TINY)
    device.core._set("CONFIG_HASH", 7)
    device._logic[0] = device._logic[0]._replace(registers=device.core)


@fault(
    "the overlay of another board", on_device, refused("OverlayError", "belongs to another build")
)
def _(stage: OnDevice) -> None:
    """The bitstream that is given was built for another board."""
    stage.overlay = emulated_device(load_board("pynq-z2")).ensure_overlay(stage.folder)


@fault(
    "no overlay at the path",
    on_device,
    refused("DeviceError", "does not exist", "pass the path of a .bit file"),
)
def _(stage: OnDevice) -> None:
    """The bitstream that is given is not there."""
    stage.overlay = stage.folder / "none.bit"


@fault(
    "pynq cannot load the overlay",
    on_device,
    refused("DeviceError", "pynq cannot load overlay", "EPERM", "winogen doctor"),
)
def _(stage: OnDevice) -> Any:
    """XRT refuses, as where a buffer is in the way."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("Programming Device failed: EPERM (1)")

    stage.device.download = refuse
    yield
    del stage.device.download


@fault("the device was closed", on_device, refused("DeviceError", "this generator is closed"))
def _(stage: OnDevice) -> None:
    """A cell uses a generator that another cell has closed."""
    stage.generator.close()


@fault("Ctrl-C in a run", on_device, refused("KeyboardInterrupt"))
def _(stage: OnDevice) -> Any:
    """Somebody loses patience while a stream runs."""
    core = instance(stage, Delayed)

    def strike() -> None:
        if core.running:
            raise KeyboardInterrupt

    core.look = strike
    yield
    del core.look


@fault("the clock's divisor is changed meanwhile", on_device, SAME)
def _(stage: OnDevice) -> None:
    """Somebody sets the logic's clock to half its rate between two runs: slower, and right."""
    assert stage.run()
    stage.device._slcr.write(clock.FCLK0_OFFSET, 0x0020_0A00)
    stage.strike()
