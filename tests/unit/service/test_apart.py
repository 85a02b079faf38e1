"""The device in a process of its own: the same bytes and errors, and what becomes of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from support.bench import small
from support.bench import small_pictures as pictures
from support.places import DRIVER
from winogen.common.errors import CorruptionError, DeviceError, InputError
from winogen.runtime.generator import Generator
from winogen.service import apart
from winogen.service.apart import makers_apart
from winogen.service.hosting import Named, hosting
from winogen.service.limits import Limits


@pytest.fixture(scope="module")
def programs():
    return [small(batch=4).program, pictures()]


@pytest.fixture(scope="module")
def there(programs):
    """Generators in another process."""
    with makers_apart(programs) as found:
        yield found


def test_the_same_comes_back(programs, there):
    for program, far in zip(programs, there):
        with Generator(program) as near:
            z = near.latents(6, 3)
            np.testing.assert_array_equal(far.latents(6, 3), z)
            for as_float in (False, True):
                expected = near.generate(z, as_float=as_float)
                np.testing.assert_array_equal(far.generate(z, as_float=as_float), expected)
            assert far.program == near.program and far.unchecked == 0
            far.generate(z, count=True)
            near.generate(z, count=True)
            assert far.counters() == near.counters()
            _, profile = near.generate(z[:1], profile=True)
            assert str(far.generate(z[:1], profile=True)[1]) == str(profile)


def test_progress_is_told_and_may_end_it(programs, there):
    far = there[1]
    shape = programs[1].input_shape
    image = np.zeros((shape[0], 3 * shape[1], 2 * shape[2]), np.float32)
    seen: list[tuple[int, int]] = []
    whole = far.apply(image, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 1

    def stop(done, total):
        raise InputError("enough")

    with pytest.raises(InputError, match="enough"):
        far.apply(image, progress=stop)
    np.testing.assert_array_equal(far.apply(image), whole)


def test_errors_are_those_of_the_generator(there):
    with pytest.raises(InputError, match="shape"):
        there[0].generate(np.zeros((1, 3), np.float32))
    with pytest.raises(RuntimeError, match=r"^TypeError: .*no_such_option"):
        there[0].generate(there[0].latents(1), no_such_option=1)


def test_errors_on_their_way():
    """Attributes stay; what cannot travel says what it says."""
    error = CorruptionError("a sentence")
    error.part, error.address = "weights", 64
    found = apart._portable(error)
    assert isinstance(found, CorruptionError) and (found.part, found.address) == ("weights", 64)
    error.state = threading.Lock()
    found = apart._portable(error)
    assert type(found) is DeviceError and str(found) == "a sentence"


def test_signals_pass_it_by_and_one_that_was_killed_is_started_anew(programs):
    with makers_apart(programs[:1]) as (far,):
        z = far.latents(2, 1)
        expected = far.generate(z)
        first = far._process._process.pid
        for number in (signal.SIGINT, signal.SIGTERM):  # the service's, which ends it in its time
            os.kill(first, number)
        np.testing.assert_array_equal(far.generate(z), expected)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"has ended \(signal 9\); ask again"):
            far.generate(z)
        np.testing.assert_array_equal(far.generate(z), expected)
        second = far._process._process.pid
    assert first != second
    with pytest.raises(DeviceError, match="was closed"):
        far.generate(z)
    for pid in (first, second):
        assert not Path(f"/proc/{pid}").exists()


class _Strike:
    """None in the other process, at the price of a Ctrl-C while it starts."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGINT,)


def test_an_interrupt_as_it_starts(programs, monkeypatch):
    """A terminal sends it to both processes: the one ends the other."""
    with makers_apart(programs[:1], timeout=_Strike()) as (far,):
        assert len(far.generate(far.latents(1))) == 1

    def interrupted(process):
        raise KeyboardInterrupt

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), makers_apart(programs[:1]):
        pass


def test_one_that_hangs_does_not_hold_the_end(programs, monkeypatch):
    monkeypatch.setattr(apart, "_END_SECONDS", 0.3)
    errors = []

    def ask(far):
        try:
            far.generate(far.latents(1))
        except DeviceError as error:
            errors.append(str(error))

    with makers_apart(programs[:1]) as (far,):
        os.kill(far._process._process.pid, signal.SIGSTOP)
        thread = threading.Thread(target=ask, args=(far,), daemon=True)
        thread.start()
        time.sleep(0.2)
    thread.join(20)
    assert not thread.is_alive() and len(errors) == 1


def test_what_cannot_be_opened_is_told_here(programs):
    wrong = makers_apart(programs[:1], timeout=-1.0)
    with pytest.raises(InputError, match="timeout must be a positive number"), wrong:
        pass
    named = [Named("a", programs[0], None)]
    with pytest.raises(DeviceError), hosting(named, Limits(), apart=True, device="board"):
        pass


def test_a_device_that_cannot_be_given_back_is_told(programs, monkeypatch, capfd):
    @contextmanager
    def stuck(programs, **options):
        yield []
        raise DeviceError("the accelerator cannot be stopped")

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which it would set for good
    monkeypatch.setattr(apart, "makers", stuck)
    monkeypatch.setattr(apart.signal, "signal", lambda *_: None)
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    with pytest.raises(SystemExit) as ended:
        apart._work(theirs, programs, {})
    assert ended.value.code == 2
    assert capfd.readouterr().err == "winogen: the accelerator cannot be stopped\n"


_ORPHAN = """
import sys, time
from winogen.program.file import Program
from winogen.service.apart import makers_apart
if __name__ == "__main__":
    with makers_apart([Program.load(sys.argv[1])]) as (far,):
        print(far._process._process.pid, flush=True)
        time.sleep(600)
"""


def test_it_ends_where_the_service_was_killed(programs, tmp_path):
    """So a board is put in order even then."""
    script, program = tmp_path / "orphan.py", tmp_path / "small.wg"
    script.write_text(_ORPHAN)
    programs[0].save(program)
    parent = subprocess.Popen(
        [sys.executable, script, program],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(DRIVER)},
    )  # fmt: skip
    try:
        child = Path(f"/proc/{int(parent.stdout.readline())}")
        assert child.exists()
    finally:
        parent.kill()
        parent.communicate(timeout=20)
    deadline = time.monotonic() + 20
    while child.exists() and "Z" not in _state(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or "Z" in _state(child)


def _state(process: Path) -> str:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
