"""One process at a time on a device, any number of generators in it."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from support.bench import small
from support.children import child
from support.places import DRIVER
from winogen import load_board
from winogen.common.errors import DeviceBusyError, DeviceError, InputError
from winogen.emulation.device import EmulatedDevice
from winogen.runtime import lock as device_lock
from winogen.runtime import session, waiting
from winogen.runtime.generator import Generator
from winogen.runtime.lock import DeviceLock
from winogen.runtime.open import emulated_device, open_device
from winogen.runtime.pick import traits_of
from winogen.runtime.session import Session, open_session
from winogen.target.traits import BOARD

fcntl = pytest.importorskip("fcntl")

TINY = load_board("tiny")
OTHER = """
    import sys, time
    from winogen import load_board
    from winogen.runtime.open import emulated_device, open_device
    opened = open_device(emulated_device(load_board("tiny"), lock_name=sys.argv[1]),
                         load_board("tiny"), lock_timeout=float(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def name():
    name = f"test-{uuid.uuid4().hex}"
    yield name
    for suffix in (".lock", ".record"):
        DeviceLock(name).path.with_suffix(suffix).unlink(missing_ok=True)


@contextmanager
def other_process(name: str, seconds: float = 0):
    """Another process that has the device until its stdin ends."""
    with child(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(OTHER), name, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


def generator(name: str, seconds: float = 0) -> Generator:
    device = emulated_device(TINY, lock_name=name)
    return Generator(small().program, device, lock_timeout=seconds)


def assert_free(name: str) -> None:
    lock = DeviceLock(name)
    lock.acquire(0)
    lock.release()


# Two processes


def test_another_process_is_named(name):
    with other_process(name) as other:
        begin = time.monotonic()
        with pytest.raises(DeviceBusyError) as error:
            generator(name, 0.2)
        assert time.monotonic() - begin > 0.2
        assert re.match(
            rf"the device is in use by process {other.pid} \('python\S* -W ignore -c .*', since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\), which has not let go of it within 0.2 s: close its "
            r"Generator .* or end the process, or wait longer \(lock_timeout, --lock-timeout\)$",
            str(error.value),
        )
        assert "\n" not in str(error.value)
        # It can be had as soon as the other is killed, however that is.
        threading.Timer(0.3, other.send_signal, [signal.SIGKILL]).start()
        with generator(name, 20) as mine:
            mine.generate(mine.latents(1))


def test_it_is_free_again_when_the_last_generator_is_closed_or_gone(name):
    device = emulated_device(TINY, lock_name=name)
    first, second = (Generator(small().program, device) for _ in range(2))
    first.close()
    first.close()
    with pytest.raises(DeviceBusyError, match=f"process {os.getpid()} "):
        DeviceLock(name).acquire(0)
    second.generate(second.latents(1))
    del second  # as a notebook's cell that runs again does
    assert_free(name)
    opened = open_device(device, TINY)
    with Generator(small().program, opened) as third:
        third.generate(third.latents(1))
    with pytest.raises(DeviceBusyError):
        DeviceLock(name).acquire(0)
    opened.core.close()
    assert_free(name)


def test_it_is_free_again_when_opening_fails(name):
    with pytest.raises(DeviceError, match="build configuration"):
        Generator(small().program, emulated_device(load_board("pynq-z2"), lock_name=name))
    assert_free(name)

    def broken(memory):
        raise DeviceError("no core today")

    with pytest.raises(DeviceError, match="no core today"):
        open_device(EmulatedDevice(broken, lock_name=name), TINY)
    assert_free(name)


def test_two_devices_of_one_name_are_one(name):
    """The process has the lock once, whatever it opens."""
    with generator(name) as one, generator(name) as two:
        z = one.latents(2)
        np.testing.assert_array_equal(one.generate(z), two.generate(z))
        assert one._runner.session is two._runner.session
    assert_free(name)


def test_a_private_device_has_no_lock():
    with Generator(small().program) as one:
        assert one._runner.session.lock is None


def test_a_real_board_is_locked(monkeypatch, name):
    """Anything that is not emulated has the board's lock."""
    assert traits_of(object()) == BOARD  # what says nothing of itself
    monkeypatch.setattr(EmulatedDevice, "traits", replace(BOARD, lock_name=name))
    real = EmulatedDevice(lambda memory: None)
    lease_names = []

    def session(device, lock_name, seconds):
        lease_names.append((device, lock_name, seconds))
        raise DeviceBusyError("enough")

    monkeypatch.setattr("winogen.runtime.open.open_session", session)
    with pytest.raises(DeviceBusyError, match="enough"):
        open_device(real, TINY, real.ensure_overlay(), lock_timeout=3)
    assert lease_names == [(real, name, 3)]


def test_a_fork_does_not_keep_or_use_the_device(name):
    with generator(name) as mine:
        fork = multiprocessing.get_context("fork")
        queue = fork.SimpleQueue()

        def child() -> None:
            try:
                mine.generate(mine.latents(1))
            except DeviceError as error:
                queue.put(str(error))
            time.sleep(60)

        process = fork.Process(target=child, daemon=True)
        process.start()
        assert queue.get() == (
            f"the device was opened by process {os.getpid()} before it was forked; open it in "
            "this process again, once that one has closed it"
        )
        mine.generate(mine.latents(1))
    assert_free(name)  # while the child lives
    process.kill()
    process.join(10)


def test_a_fork_while_another_thread_opens_does_not_hang(name):
    """That thread is not in the child, and would never let go there."""
    device = emulated_device(TINY)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with session._registry, waiting._lock:
            held.set()
            go.wait(30)

    def child() -> None:
        open_device(device, TINY).core.close()
        waiting.on_interrupt_thread(lambda: None)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    process.join(10)
    go.set()
    thread.join(10)
    process.kill()
    assert process.exitcode == 0


def test_a_fork_outlives_its_parent_without_the_device(name):
    """The parent is killed, so that it releases nothing; the system ends its lock."""
    code = f"""
        import os, signal, sys
        from winogen.runtime.session import open_session
        lease = open_session(object(), {name!r}, 0)
        ready, forked = os.pipe()
        if os.fork():
            os.read(ready, 1)
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(forked, b"1")
        sys.stdin.read()
    """
    with child(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
    ) as process:
        assert process.wait(60) == -signal.SIGKILL
        assert_free(name)


def test_a_copy_of_the_file_keeps_nothing(name):
    """As a fork has it that began while the lock was being taken."""
    lock = DeviceLock(name)
    lock.acquire(0)
    assert lock._file is not None
    copy = os.dup(lock._file)
    lock.release()
    assert_free(name)
    os.close(copy)


# The file


def test_what_a_dead_process_has_left_in_the_file_misleads_nobody(name):
    lock = DeviceLock(name)
    with child([sys.executable, "-c", ""]) as dead:
        dead.wait(60)
    for text in (
        json.dumps({"pid": dead.pid, "command": "x", "since": "y"}),
        "",
        "{",
        "[1]",
        '{"pid": "all", "command": 1, "since": 2}',
        '{"pid": 1e999, "command": 1, "since": 2}',
    ):
        lock.path.write_text(text)
        assert_free(name)
        with open(lock.path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)
            file.flush()
            with pytest.raises(DeviceBusyError, match="is in use by another process, which"):
                lock.acquire(0)


def test_what_the_file_says_cannot_spoil_the_terminal(name):
    lock = DeviceLock(name)
    said = {"pid": os.getpid(), "command": "a\x1b[2J\nb" + "c" * 999, "since": "now" * 99}
    lock.path.write_text(json.dumps(said))
    with open(lock.path, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DeviceBusyError) as error:
            lock.acquire(0)
    assert str(error.value).isprintable() and len(str(error.value)) < 600


def test_every_user_can_open_the_file(name):
    old = os.umask(0o077)
    try:
        lock = DeviceLock(name)
        lock.acquire(0)
    finally:
        os.umask(old)
    assert lock.path.stat().st_mode & 0o777 == 0o666
    lock.release()
    assert lock.path.exists()  # to remove it would give two processes two files
    assert lock.path.read_text() == ""


def test_a_file_that_cannot_be_opened(name, monkeypatch, tmp_path):
    monkeypatch.setattr(device_lock, "_FOLDER", tmp_path)
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    lock = DeviceLock(name)
    assert lock.path.parent == tmp_path
    lock.path.symlink_to(target)
    with pytest.raises(DeviceError, match=r"cannot open .*, the lock of the device: Too many"):
        lock.acquire(0)
    assert target.read_text() == "precious"
    monkeypatch.setattr(device_lock, "fcntl", None)
    with pytest.raises(DeviceError, match="has no flock"):
        lock.acquire(0)


@pytest.mark.parametrize("kind", ["pipe", "hard link", "folder", "socket", "link"])
def test_what_somebody_else_has_put_there(kind, name, monkeypatch, tmp_path):
    """Everybody may make files where the lock is; a second name would have its file truncated."""
    monkeypatch.setattr(device_lock, "_FOLDER", tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    path = DeviceLock(name).path
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "hard link":
            path.hardlink_to(precious)
        elif kind == "folder":
            path.mkdir()
        elif kind == "socket":
            monkeypatch.chdir(tmp_path)  # its name is bounded
            server.bind(path.name)
        else:
            path.symlink_to(precious)
        before = path.lstat()
        lock = DeviceLock(name)
        with pytest.raises(DeviceError) as error:
            lock.acquire(0)
    text = str(error.value)
    assert str(path) in text and "the lock of the device" in text and "\n" not in text
    if kind in ("pipe", "hard link"):
        what = {"pipe": "no file", "hard link": "a file with 2 names"}[kind]
        assert text.endswith(f"is {what}: somebody has put it there; remove it")
    assert not lock.held
    assert precious.read_text() == "precious"
    assert path.lstat().st_ino == before.st_ino
    path.rmdir() if kind == "folder" else path.unlink()
    lock.acquire(0)
    lock.release()


def test_a_lock_that_is_removed_while_it_is_opened(name, monkeypatch, tmp_path):
    """Whoever comes later would make, and lock, another."""
    monkeypatch.setattr(device_lock, "_FOLDER", tmp_path)
    lock = DeviceLock(name)
    lock.path.touch()
    real = os.open

    def open_and_remove(path, *more):
        file = real(path, *more)
        if str(path) == str(lock.path):
            monkeypatch.setattr(device_lock.os, "open", real)
            lock.path.unlink()
        return file

    monkeypatch.setattr(device_lock.os, "open", open_and_remove)
    lock.acquire(0)
    try:
        with pytest.raises(DeviceBusyError):
            DeviceLock(name).acquire(0)
    finally:
        lock.release()


def test_a_long_wait_is_seen(name, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(device_lock, "_QUICK_SECONDS", 0.1)
    held = DeviceLock(name)
    held.acquire(0)
    threading.Timer(0.4, held.release).start()
    mine = DeviceLock(name)
    mine.acquire(10)
    mine.acquire(0)  # it is ours
    mine.release()
    mine.release()
    assert f"waiting for the device: in use by process {os.getpid()} (" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_wrong_arguments(name):
    with pytest.raises(InputError, match="lock_timeout must be a number of seconds"):
        Generator(small().program, lock_timeout=-1)
    with pytest.raises(ValueError, match=r"a lock's name is letters"):
        EmulatedDevice(lambda memory: None, lock_name="../etc/passwd")


# Threads of one process


def test_a_wait_for_a_turn_can_be_stopped():
    session, got = Session(None), []

    def work() -> None:
        try:
            with session.turn("another", 60, lambda: True):
                got.append(None)
        except DeviceError as error:
            got.append(str(error))

    with session.turn("this", 0):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    assert got == ["it was stopped before it had its turn on the device"]
    with session.turn("this, again", 0):  # nobody is left in the queue
        assert len(session._queue) == 1


def test_threads_wait_in_order_and_not_for_ever():
    session = Session(None)
    order: list[int] = []
    threads = []

    def work(number: int) -> None:
        with session.turn(f"work {number}", 60):
            order.append(number)

    with session.turn("the first", 60):
        with session.turn("the first, again", 60):  # a callback may use the device too
            pass
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(session._queue) < number + 2:
                time.sleep(0.001)
        assert not order
    for thread in threads:
        thread.join(10)
    assert order == list(range(5))


def test_a_thread_that_keeps_the_device_is_named(monkeypatch):
    """Others wait as long as it said, and all of them together no longer."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "winogen.runtime.session.time", SimpleNamespace(monotonic=lambda: clock.now)
    )
    session = Session(None)
    go = threading.Event()

    def keep() -> None:
        with session.turn("network 'slow'", 0.5):
            go.wait(60)

    thread = threading.Thread(target=keep)
    thread.start()
    while not session._queue:
        time.sleep(0.001)
    clock.now = 0.4  # it still has time
    looks = iter([False, False, True])
    with (
        pytest.raises(DeviceError, match="stopped before it had its turn"),
        session.turn("mine", 1, stop=lambda: next(looks)),
    ):
        pass
    clock.now = 0.6
    for _ in range(2):  # that somebody has waited does not give it more
        with (
            pytest.raises(DeviceBusyError, match=r"'slow' for longer than the 0\.5 s that"),
            session.turn("mine", 1),
        ):
            pass
    go.set()
    thread.join(10)
    with session.turn("mine", 1):
        pass


def test_who_had_to_wait_has_all_its_time():
    session = Session(None)
    has_it = threading.Event()

    def second() -> None:
        with session.turn("the second", 0.5):
            has_it.set()
            time.sleep(0.3)

    thread = threading.Thread(target=second)
    with session.turn("the first", 60):
        thread.start()
        time.sleep(0.6)
    assert has_it.wait(10)
    with session.turn("the third", 60):
        pass
    thread.join(10)


def test_a_lease_ends_once(name):
    device = object()
    one, two = (open_session(device, name, 0) for _ in range(2))
    one.close()
    one.close()
    assert two.session.lock is not None and two.session.lock.held
    two.session.loaded = "an overlay"
    two.close()
    assert two.session.loaded is None
    assert_free(name)
