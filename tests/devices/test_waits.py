"""Every wait ends, and the next image is right: deadlines, interrupts, Ctrl-C at any point."""

from __future__ import annotations

import asyncio
import gc
import os
import pty
import threading
import time
import tty
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pynq
import pynq.interrupt
import pytest

from fakes.slow_cores import Delayed, Endless, Quiet, device_of
from support.bench import run_script, small
from winogen import load_board
from winogen.common.errors import DeviceError, DeviceTimeoutError, InputError
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, run_check
from winogen.doctor.result import Outcome
from winogen.emulation.device import ContiguousMemoryError, EmulatedDevice
from winogen.emulation.device.bank import MemoryBank
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime.accelerator import WinogenCore
from winogen.runtime.generator import Generator
from winogen.runtime.open import OpenDevice, emulated_device, open_device
from winogen.runtime.waiting import on_interrupt_thread
from winogen.target import isa, registers
from winogen.target.isa import Opcode
from winogen.target.registers import Engine, offset, pack, unpack

TINY = load_board("tiny")
AN_HOUR = 3600.0  # no test is so slow, whatever the machine
SOON = 0.2  # seconds until these tests lose patience with a device that hangs


@pytest.fixture(scope="module")
def program():
    return small().program


@pytest.fixture(scope="module")
def wanted(program):
    with Generator(program) as generator:
        return generator.generate(generator.latents(5))


@pytest.fixture
def active(monkeypatch):
    """Make a device of a core the one that pynq has interrupts for."""
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)

    def make(core=Delayed) -> EmulatedDevice:
        device = EmulatedDevice(lambda memory: core(memory, TINY))
        pynq.Device.active_device = device
        return device

    return make


def assert_usable(generator: Generator, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(generator.generate(generator.latents(5)), wanted)


# Interrupt and polling


@pytest.mark.parametrize("waiting", ["auto", "interrupt", "poll"])
def test_every_way_to_wait_gives_the_same_images(waiting, active, program, wanted):
    with Generator(program, active(), waiting=waiting) as generator:
        assert_usable(generator, wanted)
        assert generator.core.get("IRQ_ENABLE") == 0


def test_the_interrupt_is_what_is_waited_for(active, program, wanted, monkeypatch):
    """Without any other look at STATUS than the one after it."""
    monkeypatch.setattr("winogen.runtime.accelerator._LOOK_SECONDS", AN_HOUR)
    with Generator(program, active(), waiting="interrupt") as generator:
        begin = time.monotonic()
        assert_usable(generator, wanted)
        assert time.monotonic() - begin < AN_HOUR


def test_an_interrupt_that_is_lost_costs_time_and_no_more(active, program, wanted):
    with Generator(program, active(Quiet), waiting="interrupt") as generator:
        assert_usable(generator, wanted)


def test_the_interrupt_comes_after_a_reload_too(active, program, wanted, monkeypatch):
    """Somebody had given up waiting for it when the overlay was loaded again."""
    device = active(Endless)
    with (
        Generator(program, device, waiting="interrupt", timeout=0.05) as generator,
        pytest.raises(DeviceTimeoutError),
    ):
        generator.generate(generator.latents(1))
    monkeypatch.setattr(Endless, "looks", 5)
    monkeypatch.setattr("winogen.runtime.accelerator._LOOK_SECONDS", AN_HOUR)
    with Generator(program, device, waiting="interrupt") as generator:
        begin = time.monotonic()
        assert_usable(generator, wanted)
        assert time.monotonic() - begin < AN_HOUR


def test_a_notebook_s_event_loop_is_not_in_the_way(active, program, wanted):
    """A cell runs inside a loop; the next one may run in another."""
    with Generator(program, active(), waiting="interrupt") as generator:
        for _ in range(2):

            async def cell() -> None:
                assert_usable(generator, wanted)

            asyncio.run(cell())
        assert_usable(generator, wanted)


def test_a_thread_without_event_loop_waits_too(active, program, wanted):
    done = []

    def work() -> None:
        with Generator(program, device, waiting="interrupt") as generator:
            assert_usable(generator, wanted)
        done.append(True)

    device = active()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done


def test_where_there_is_no_interrupt(program, wanted):
    device = emulated_device(TINY)  # pynq gives interrupts to the active device alone
    with pytest.raises(DeviceError, match="waiting='interrupt' needs an interrupt"):
        Generator(program, device, waiting="interrupt")
    with Generator(program, device, waiting="auto") as generator:
        assert_usable(generator, wanted)
    with pytest.raises(InputError, match="waiting must be one of auto, interrupt, poll"):
        Generator(program, waiting="hope")


def test_a_device_by_name_gets_its_interrupt(program, wanted, monkeypatch):
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    with Generator(program, waiting="interrupt") as generator:
        assert_usable(generator, wanted)


@pytest.fixture
def uio(active, monkeypatch):
    """A device whose interrupt comes as on a board: pynq's own UioController reads a file.

    A terminal stands for /dev/uio0. A write of 1 enables the interrupt; its number can be read
    once the line is high.
    """
    device = active()
    controller, file = pty.openpty()
    tty.setraw(controller)
    tty.setraw(file)
    stop = threading.Event()

    def interrupts() -> None:
        with suppress(OSError):  # the file is closed
            while os.read(controller, 4) == b"\0\0\0\1":
                while not device._irq_line() and not stop.is_set():
                    time.sleep(0.001)
                os.write(controller, b"\1\0\0\0")

    monkeypatch.setattr(pynq.interrupt, "get_uio_irq", lambda irq: os.ttyname(file))
    devices = pynq.interrupt._InterruptController._uio_devices
    del devices[device._irq]
    thread = threading.Thread(target=interrupts, daemon=True)
    thread.start()
    yield device
    stop.set()
    real = devices.pop(device._irq)
    on_interrupt_thread(lambda: asyncio.get_running_loop().remove_reader(real.uio))
    real.uio.close()
    real.__class__ = type("Closed", (), {})  # its __del__ asks for a loop, where there is none
    os.close(file)
    thread.join(5)
    os.close(controller)


def test_the_interrupt_of_a_board(uio, program, wanted, monkeypatch):
    monkeypatch.setattr("winogen.runtime.accelerator._LOOK_SECONDS", AN_HOUR)
    with Generator(program, uio, waiting="interrupt") as generator:
        begin = time.monotonic()
        assert_usable(generator, wanted)
        asyncio.run(asyncio.to_thread(assert_usable, generator, wanted))
        assert time.monotonic() - begin < AN_HOUR


@pytest.mark.parametrize("error", [FileNotFoundError("/sys/class/uio"), TypeError("no path")])
def test_an_image_without_uio_is_polled(error, active, program, wanted, monkeypatch):
    def no_uio(irq):
        raise error

    device = active()
    monkeypatch.setattr(pynq.interrupt, "get_uio_irq", no_uio)
    monkeypatch.delitem(pynq.interrupt._InterruptController._uio_devices, device._irq)
    with pytest.warns(UserWarning, match=r"pynq cannot wait for the accelerator's interrupt \("):
        generator = Generator(program, device)
    with generator:
        assert_usable(generator, wanted)
    with (
        pytest.warns(UserWarning, match="pynq cannot wait"),
        pytest.raises(DeviceError, match="waiting='interrupt' needs an interrupt"),
    ):
        Generator(program, device, waiting="interrupt")


def test_doctor_finds_the_interrupt_of_a_board(uio):
    result = run_check(BY_NAME["interrupt"], Bench("emulator", TINY, made=uio))
    assert result.outcome is Outcome.PASS, result.text


# Deadlines


def starving(program):
    """The program with a batch of 2 whose last store waits for a token that never comes."""
    instructions = program.streams[1].instructions()
    index = max(i for i, x in enumerate(instructions) if x.opcode is Opcode.STORE)
    for x in instructions:
        if x.engine is Engine.COMPUTE and x.signal >> Engine.STORE & 1:
            last = x
    last.signal &= ~(1 << Engine.STORE)
    stream = replace(program.streams[1], stream=isa.encode(instructions))
    return replace(program, streams=(program.streams[0], stream)), index


@pytest.mark.parametrize("waiting", ["interrupt", "poll"])
def test_a_stream_that_hangs_is_told_in_full(waiting, active, program, wanted):
    starved, index = starving(program)
    layer = program.layers[-1].name
    with Generator(starved, active(EmulatedCore), waiting=waiting, timeout=SOON) as generator:
        generator.core.set("WATCHDOG", 0)
        with pytest.raises(DeviceTimeoutError) as error:
            generator.generate(generator.latents(2))
        text = str(error.value)
        length = starved.streams[1].length
        assert f"did not finish within {SOON:g} s (the timeout that was asked for)" in text
        assert f"{index} of {length} instructions done\n" in text
        waits = f"store waits for a token: instruction {index}, STORE of layer '{layer}'"
        assert f"\n  {waits}\n" in text
        assert "\n  load idle\n" in text
        assert f"\n  fetch idle: {length} of {length} instructions fetched\n" in text
        assert "\n  memory owes no answer\n" in text
        state = error.value.state
        assert state and (state.done, state.length, state.owed) == (index, length, {})
        store = state.engines[Engine.STORE]
        assert (store.activity, store.instruction) == ("waits for a token", index)
        # The same by the watchdog, and the next images are right.
        generator.core.set("WATCHDOG", 5000)
        with pytest.raises(DeviceError) as error:
            generator.generate(generator.latents(2))
        text = str(error.value)
        assert f"WATCHDOG in the store engine at instruction {index}, STORE of layer" in text
        assert "\n  compute idle\n" in text and error.value.state
        singles = [generator.generate(generator.latents(5)[i : i + 1]) for i in range(5)]
        np.testing.assert_array_equal(np.concatenate(singles), wanted)


def test_a_failed_stream_names_the_layer(program, wanted):
    with Generator(program, device_of(EmulatedCore)) as generator:
        weights = generator._runner.buffers["weights"]
        nowhere = SimpleNamespace(device_address=1 << 31, nbytes=weights.nbytes)
        generator._runner.buffers["weights"] = nowhere
        with pytest.raises(DeviceError) as error:
            generator.generate(generator.latents(1))
        text = str(error.value)
        assert "AXI_DECERR in the load engine at instruction " in text
        assert f" of layer '{program.layers[0].name}', bus address 0x80" in text
        assert "\n" not in text and error.value.state
        generator._runner.buffers["weights"] = weights
        assert_usable(generator, wanted)


def test_what_memory_owes_is_told(program):
    class Owing(Endless):
        def read(self, at):
            if at == offset("BUS"):
                return pack("BUS", read0=3, write=1, fetch_address=1)
            return super().read(at)

    generator = Generator(program, device_of(Owing), timeout=0.01)
    with generator, pytest.raises(DeviceTimeoutError) as error:
        generator.generate(generator.latents(1))
    assert (
        "\n  memory has yet to answer 3 bursts of read0, 1 burst of write, and has not accepted an "
        "address of fetch\n"
    ) in str(error.value)
    assert error.value.state and error.value.state.owed == {"read0": 3, "write": 1}
    assert error.value.state.offered == ("fetch",)


def test_the_deadline_says_where_it_comes_from(program, monkeypatch):
    monkeypatch.setattr("winogen.runtime.runner._MIN_SECONDS", 0.01)
    monkeypatch.setattr("winogen.runtime.runner._DEADLINE_FACTOR", 3)
    generator = Generator(program, device_of(Endless))
    with generator, pytest.raises(DeviceTimeoutError) as error:
        generator.generate(generator.latents(2))
    milliseconds = program.streams[1].cycles / TINY.clock_mhz / 1e3
    reason = f"(3 times the predicted {milliseconds:.3g} ms, and at least 0.01 s)"
    assert f"within 0.01 s {reason}: " in str(error.value)


def test_memory_of_a_device_that_cannot_be_stopped_stays_taken(program, monkeypatch):
    """It may write there still."""

    class Dead(Endless):
        def _control(self, command):
            if not command["reset"] or not self.running:
                super()._control(command)

    monkeypatch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.01)
    monkeypatch.setattr("winogen.runtime.runner._lost", {})
    device = device_of(Dead)

    def forgotten() -> None:  # as a notebook's cell that does not close
        generator = Generator(program, device, timeout=0.01)
        with pytest.raises(DeviceTimeoutError, match=r"then the accelerator is n"):
            generator.generate(generator.latents(1))

    forgotten()
    gc.collect()
    assert device.core.running and device.default_memory.pool.free_bytes < 128 << 20
    generator = Generator(program, device, timeout=0.01)
    with pytest.raises(DeviceTimeoutError, match=r"(?s)did not finish.*then the accelerator is n"):
        generator.generate(generator.latents(1))
    free = device.default_memory.pool.free_bytes
    with pytest.raises(DeviceTimeoutError, match=r"not idle .* load busy, .* again, as a "):
        generator.close()
    assert device.default_memory.pool.free_bytes == free
    with pytest.raises(DeviceError, match="this generator is closed"):
        generator.generate(generator.latents(1))
    device.core.running = False


def test_contiguous_memory_that_others_hold(program, monkeypatch):
    """What pynq makes of XRT's refusal on a board."""

    def refuse(*arguments, **options):
        raise RuntimeError("BO allocation failed: Cannot allocate memory")

    monkeypatch.setattr(MemoryBank, "allocate", refuse)
    with pytest.raises(
        ContiguousMemoryError,
        match=r"^cannot allocate [\d,]+ bytes of contiguous memory for 'weights' of network "
        r"'small' \(BO allocation failed: Cannot allocate memory\): shut down .* \(cma=\)$",
    ):
        Generator(program, device_of(Delayed))


def test_a_stream_that_somebody_left_running_is_ended_first(program, wanted):
    device = device_of(Delayed)
    with Generator(program, device) as generator:
        device.core.looks = 10**9
        generator.core.set("STREAM_LENGTH", 1)
        generator.core.set("CONTROL", pack("CONTROL", start=1))
        device.core.looks = 5
        assert_usable(generator, wanted)


def test_nothing_is_written_for_a_run_while_another_goes_on(program, monkeypatch):
    device = device_of(Delayed)
    flush = pynq.buffer.PynqBuffer.flush

    def checked(self) -> None:
        assert not device.core.running
        flush(self)

    with Generator(program, device) as generator:
        generator.generate(generator.latents(1))
        monkeypatch.setattr(pynq.buffer.PynqBuffer, "flush", checked)
        generator.core.set("CONTROL", pack("CONTROL", start=1))
        assert device.core.running
        generator.generate(generator.latents(1))


# The driver by itself


@pytest.fixture
def endless():
    """An open device whose streams end by a reset alone, and a stream that has begun."""
    device = device_of(Endless)
    opened = open_device(device, TINY)
    opened.core.start(0, 1, {})
    assert device.core.running and opened.core.unfinished
    yield device, opened.core
    opened.core.close()


def test_a_start_ends_what_runs(endless):
    """Whoever has begun it: a core that runs ignores the start of another stream."""
    device, core = endless
    starts = []
    run = device.core._run
    device.core._run = lambda: (starts.append(device.core.running), run())
    for unfinished in (True, False):
        core.unfinished = unfinished
        core.start(0, 1, {})
    assert starts == [False, False]


def test_a_stream_of_another_driver_is_ended_before_the_next(program):
    """Also after a run that was seen to its end, which need not be looked at again."""
    with Generator(program, device_of(Delayed)) as generator:
        device = generator.device
        z = generator.latents(1)
        wanted = generator.generate(z)
        mmio = generator.core.mmio
        place = {"phys_addr": mmio.base_addr, "addr_range": mmio.length, "device": device}
        other = WinogenCore(place)
        device.core.looks = 10**9
        other.start(0, 1, {})
        device.core.looks = Delayed.looks
        assert device.core.running
        starts, run = [], device.core._run
        device.core._run = lambda: (starts.append(device.core.running), run())
        np.testing.assert_array_equal(generator.generate(z), wanted)
    assert starts == [False]


def test_a_start_clears_the_events_of_the_run_before(endless):
    device, core = endless
    device.core._set("IRQ_STATUS", pack("IRQ_STATUS", done=1, error=1))
    core.unfinished = device.core.running = False
    device.core._status(idle=1, done=1)
    core.start(0, 1, {})
    assert core.get("IRQ_STATUS") == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, DeviceError])
def test_a_wait_that_is_broken_off_ends_the_stream(error, endless):
    device, core = endless

    def stop() -> bool:
        raise error

    with pytest.raises(error):
        core.wait(SOON, stop=stop)  # it is asked before the first deadline
    assert not device.core.running
    assert not core.unfinished


def test_a_stream_that_has_ended_is_not_reset(program):
    """Its counters can be read, and the next one begins at once."""
    with Generator(program, device_of(Delayed)) as generator:
        generator.generate(generator.latents(1))
        assert not generator.core.unfinished
        generator.core.end_stream()
        assert generator.core.counters()["instructions"] == program.streams[0].length
        generator.core.unfinished = True
        generator.core.end_stream()
        assert not generator.core.unfinished
        assert not any(generator.core.counters().values())


# Ctrl-C


@pytest.fixture
def guarded(monkeypatch):
    """Memory may be freed only while nothing runs."""
    real = MemoryBank.return_pointer

    def free(self, allocation) -> None:
        assert not getattr(self.device.core, "running", False), "freed under a running stream"
        real(self, allocation)

    monkeypatch.setattr(MemoryBank, "return_pointer", free)


class Interrupting:
    """Raises KeyboardInterrupt before or after this thread's n-th register access from now."""

    def __init__(self, device: EmulatedDevice, monkeypatch):
        self.count = self.at = 0
        for name in ("read_registers", "write_registers"):
            monkeypatch.setattr(device, name, self.wrap(getattr(device, name)))

    def arm(self, at: int) -> None:
        """Negative: after the access."""
        self.count, self.at = 0, at

    def wrap(self, access):
        def wrapped(*arguments):
            if threading.current_thread() is not threading.main_thread():
                return access(*arguments)
            self.count += 1
            if self.count == self.at:
                raise KeyboardInterrupt
            result = access(*arguments)
            if self.count == -self.at:
                raise KeyboardInterrupt
            return result

        return wrapped


@pytest.mark.parametrize("waiting", ["interrupt", "poll"])
@pytest.mark.parametrize("close", [False, True])
def test_ctrl_c_at_any_access(waiting, close, active, program, wanted, guarded, monkeypatch):
    device = active()
    keyboard = Interrupting(device, monkeypatch)
    opened = open_device(device, TINY)
    generator = Generator(program, opened, waiting=waiting)
    z = generator.latents(1)
    for _ in range(2):  # the first one writes more registers than those after it
        keyboard.arm(0)
        generator.generate(z)
    total = keyboard.count
    assert total >= 6
    for at in (*range(1, total + 1), *range(-total, 0)):
        keyboard.arm(at)
        with pytest.raises(KeyboardInterrupt):
            generator.generate(z)
        keyboard.arm(0)
        if close:
            generator.close()
            assert not device.core.running
            generator = Generator(program, opened, waiting=waiting)
        np.testing.assert_array_equal(generator.generate(z), wanted[:1])
    generator.close()


def test_ctrl_c_while_ctrl_c_is_dealt_with(program, wanted, guarded, monkeypatch):
    device = device_of(Delayed)
    generator = Generator(program, device)
    real, strikes = generator.core.reset, [KeyboardInterrupt] * 2

    def reset() -> None:
        if strikes:
            raise strikes.pop()
        real()

    monkeypatch.setattr(generator.core, "reset", reset)

    def strike() -> None:
        if device.core.running:
            raise KeyboardInterrupt

    def interrupted_again() -> None:
        with monkeypatch.context() as m:
            m.setattr(device.core, "look", strike)
            with pytest.raises(KeyboardInterrupt):
                generator.generate(generator.latents(1))
        assert device.core.running and generator.core.unfinished

    interrupted_again()
    assert_usable(generator, wanted)
    strikes += [KeyboardInterrupt] * 2
    interrupted_again()
    generator.close()
    assert not device.core.running


SIGNALS = """
    import random, signal, sys
    import numpy as np
    from support.bench import run_script, small
    from winogen.runtime.generator import Generator
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(3))
    random.seed(1)
    struck = 0
    with Generator(small().program) as generator:
        z = generator.latents(5)
        wanted = generator.generate(z)
        for i in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 6e-3))
                for _ in range(20):  # Python may ignore it, in a __del__
                    generator.generate(z)
            except KeyboardInterrupt:
                struck += 1
            assert np.array_equal(generator.generate(z), wanted)
        print("enough" if struck > 50 else struck, flush=True)
        signal.raise_signal(signal.SIGTERM)
"""


def test_signals_at_random_times():
    result = run_script(SIGNALS, seconds=60)
    assert (result.returncode, result.stdout) == (3, "enough\n"), result.stderr


def test_close_ends_the_run_of_another_thread(program, guarded):
    device = device_of(Endless)
    generator = Generator(program, device, timeout=60)
    errors = []

    def work() -> None:
        try:
            generator.generate(generator.latents(1))
        except DeviceError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not device.core.running:
        time.sleep(0.001)
    generator.close()
    thread.join(60)
    assert errors == ["the run was stopped, and the accelerator is reset"]
    assert not device.core.running
    generator.close()  # twice is once


# Other overlays, and generators that share a device


def test_an_overlay_of_somebody_else_is_noticed(program, wanted, tmp_path, monkeypatch):
    device = device_of(EmulatedCore)
    with Generator(program, device) as generator:
        assert_usable(generator, wanted)
        # The same one again, by pynq alone: nothing is lost but what registers hold.
        pynq.Overlay(str(device.ensure_overlay()), device=device)
        assert_usable(generator, wanted)
        pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device)
        for name in ("read_registers", "write_registers"):  # on a board they would end the process
            monkeypatch.setattr(device, name, None)
        with pytest.raises(DeviceError, match=r"another overlay has been loaded .*it is .*winoge"):
            generator.generate(generator.latents(1))
        monkeypatch.undo()


def test_an_overlay_that_is_refused_disturbs_nobody(program, wanted):
    """pynq has taken its name for that of the loaded one by then."""
    device = emulated_device(TINY)
    with Generator(program, device) as one, Generator(program, device) as two:
        with pytest.raises(DeviceError, match="belongs to another build"):
            open_device(device, TINY, emulated_device(load_board("pynq-z2")).ensure_overlay())
        assert_usable(one, wanted)
        assert_usable(two, wanted)


def test_an_overlay_that_pynq_cannot_load(monkeypatch):
    """As XRT says it where a buffer is in the way."""

    def refuse(*arguments):
        raise RuntimeError("Programming Device failed: EPERM (1)")

    device = emulated_device(TINY)
    monkeypatch.setattr(device, "download", refuse)
    with pytest.raises(
        DeviceError, match=r"^pynq cannot load overlay .* \(Programming .*\); 'winogen doctor'"
    ):
        open_device(device, TINY)


def test_an_overlay_that_pynq_cannot_read(monkeypatch, tmp_path):
    """As a board's pynq says it where the .hwh is missing."""
    device = emulated_device(TINY)

    def refuse(*arguments):
        raise RuntimeError("Unable to find metadata for bitstream")

    monkeypatch.setattr(device, "get_bitfile_metadata", refuse)
    overlay = tmp_path / "lonely.bit"
    overlay.touch()
    with pytest.raises(
        DeviceError, match=r"^pynq cannot read overlay .*lonely\.bit \(Unable to find .*\); its"
    ):
        open_device(device, TINY, overlay)


def test_a_device_that_was_closed_is_not_used(program):
    """Another process may have it."""
    opened = open_device(emulated_device(TINY), TINY)
    generator = Generator(program, opened)
    opened.core.close()
    with pytest.raises(DeviceError, match="this device was closed; open it again"):
        generator.generate(generator.latents(1))
    with pytest.raises(DeviceError, match="this device was closed; open it again"):
        open_device(opened, TINY)
    generator.close()


def test_another_build_at_the_same_address_is_noticed(program):
    device = device_of(EmulatedCore)
    with Generator(program, device) as generator:
        generator.generate(generator.latents(1))
        device.core = type(device.core)(device.memory, TINY)  # by who asks nobody
        device._logic[0] = device._logic[0]._replace(registers=device.core)
        device.core._set("CONFIG_HASH", 7)
        with pytest.raises(DeviceError, match=r"another overlay has been loaded .*CONFIG_HASH"):
            generator.generate(generator.latents(1))


def test_a_second_generator_does_not_load_the_overlay_again(program, wanted):
    device = device_of(Delayed)
    first = Generator(program, device)
    core = device.core
    with Generator(program, device) as second:  # a notebook's cell that runs twice
        assert device.core is core
        assert_usable(second, wanted)
        assert_usable(first, wanted)
    assert_usable(first, wanted)
    first.close()
    with Generator(program, device) as third:
        assert device.core is not core
        assert_usable(third, wanted)


def test_a_dead_accelerator_is_loaded_again(program, wanted):
    device = device_of(Delayed)
    first = Generator(program, device)
    core = device.core
    core._set("MAGIC", 0)
    with Generator(program, device) as second:
        assert device.core is not core
        assert_usable(second, wanted)
    assert_usable(first, wanted)
    first.close()


def test_generators_share_an_open_device(program, wanted):
    opened = open_device(device_of(Delayed), TINY)
    assert isinstance(opened, OpenDevice)
    for _ in range(2):
        with Generator(program, opened) as generator:
            assert_usable(generator, wanted)
    assert unpack("STATUS", opened.core.get("STATUS"))["idle"]
    assert opened.core.get("MAGIC") == registers.MAGIC_VALUE


def test_threads_take_turns(program, wanted):
    """Four threads, two generators, one device, whose core is for one thread at a time."""
    device = device_of(Delayed)
    failures = []

    def work(generator: Generator) -> None:
        try:
            for _ in range(5):
                assert_usable(generator, wanted)
        except BaseException as error:
            failures.append(error)

    with Generator(program, device) as one, Generator(program, device) as two:
        threads = [threading.Thread(target=work, args=(g,)) for g in (one, two, one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not failures
