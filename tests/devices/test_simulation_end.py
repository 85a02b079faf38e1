"""The end of a simulated core: nothing is freed under a thread that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pynq
import pytest

from fakes.slow_cores import Endless, device_of
from support.bench import small
from support.places import DRIVER, FAKES
from winogen.common.errors import DeviceError, DeviceTimeoutError
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.rtl import core as rtl
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="no g++")

#: A core around the library in argv, with whose interrupt a thread is busy.
PROGRAM = """
import sys, threading
from pathlib import Path
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.rtl import core as rtl
from winogen.target.board import load_board

rtl.build_simulation = lambda *a, **k: Path(sys.argv[1])
core = rtl.RtlCore(EmulatedMemory(0x100000, 1 << 20), load_board("tiny"))
busy = threading.Event()

def look(keep):
    while True:
        busy.set()
        keep()

"""
ENDS = {
    "exit": """
threading.Thread(target=look, args=(core.interrupt,), daemon=True).start()
busy.wait(60)
""",
    "exit by an error": """
threading.Thread(target=look, args=(core.interrupt,), daemon=True).start()
busy.wait(60)
sys.exit(3)
""",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("library") / "simulation.so"
    command = ["g++", "-shared", "-fPIC", "-O1", FAKES / "slow_simulation.cpp", "-o", path]
    subprocess.run(command, check=True, timeout=300)
    return path


@pytest.mark.parametrize("end", ENDS)
def test_a_thread_is_in_it_when_the_program_ends(end, library):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM + ENDS[end], library],
        env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == (3 if "error" in end else 0), done.stderr
    assert (done.stdout, done.stderr) == ("freed\n", "")  # waves and coverage are complete


def test_what_has_ended_is_refused(library, monkeypatch):
    monkeypatch.setattr(rtl, "build_simulation", lambda *_, **__: library)
    core = rtl.RtlCore(EmulatedMemory(0x10_0000, 1 << 20), load_board("tiny"))
    core._sim.end()
    core._sim.end()
    assert core.interrupt() is False
    for use in (lambda: core.read(0), lambda: core.write(0, 0), lambda: core.step(1), core.trace):
        with pytest.raises(DeviceError, match="the simulation has ended with its device"):
            use()


def test_a_thread_that_stays_in_it_keeps_it(library, monkeypatch):
    """Rather a leak than a crash, and no wait without an end."""
    monkeypatch.setattr(rtl, "build_simulation", lambda *_, **__: library)
    monkeypatch.setattr(rtl, "_END_SECONDS", 0.01)
    core = rtl.RtlCore(EmulatedMemory(0x10_0000, 1 << 20), load_board("tiny"))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with core._sim.lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    core._sim.end()
    assert core._sim._handle
    done.set()
    thread.join(60)
    core._sim.end()
    assert not core._sim._handle


# Waiting


@pytest.fixture
def active(monkeypatch):
    """A device whose streams do not end, as pynq's active one: it has interrupts."""
    device = device_of(Endless)
    monkeypatch.setattr(pynq.Device, "_active_device", device, raising=False)
    return device


def test_waiters_end_with_the_lease(active):
    """pynq leaves whoever gave up in the list; the interrupt's file would be looked at for ever."""
    uio = pynq.interrupt._InterruptController._uio_devices[active._irq]
    with Generator(small().program, active, waiting="interrupt", timeout=0.2) as generator:
        other = Generator(small().program, active, waiting="interrupt", timeout=0.2)
        with other, pytest.raises(DeviceTimeoutError):
            other.generate(other.latents(1))
        assert uio.wait_events  # they are another generator's too
        with pytest.raises(DeviceTimeoutError):
            generator.generate(generator.latents(1))
        assert uio.wait_events
    assert not uio.wait_events


def test_waiters_end_where_nobody_closes(active):
    uio = pynq.interrupt._InterruptController._uio_devices[active._irq]
    generator = Generator(small().program, active, waiting="interrupt", timeout=0.2)
    with pytest.raises(DeviceTimeoutError):
        generator.generate(generator.latents(1))
    assert uio.wait_events
    generator.core.lease.close()
    assert not uio.wait_events


class Library:
    """The simulation's library, as far as its life goes."""

    destroyed = 0

    def winogen_create(self, *_: object) -> int:
        return 1

    def winogen_destroy(self, handle: int) -> None:
        self.destroyed += 1

    def winogen_cycles(self, handle: int) -> int:
        return 7


def test_a_forked_process_leaves_the_parents_simulation_alone():
    """The logic's threads are not in the child, and freeing it there would wait for them."""
    library = Library()
    simulation = rtl._Simulation(library, EmulatedMemory(0x100000, 1 << 20), 1, 1.0, 0)
    child = os.fork()
    if not child:  # no exception may leave it
        code = 1
        try:
            simulation.call("cycles")
        except DeviceError as error:
            code = 0 if "another process's" in str(error) else 2
        simulation.end()
        os._exit(code if not library.destroyed else 3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert simulation.call("cycles") == 7
    simulation.end()
    assert library.destroyed == 1
