"""Boards that PYNQ.remote drives from another machine: pynq's client, and a server of our own."""

from __future__ import annotations

import gc
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import warnings
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pynq
import pytest

from fakes.remote_server import RemoteBoard, Server, serving
from fakes.slow_cores import Endless
from support.bench import run_script, small
from support.children import child
from support.command_line import refuse, run
from winogen.cli import doctor
from winogen.cli.device import choose_device
from winogen.common.errors import (
    ContiguousMemoryError,
    CorruptionError,
    DeviceBusyError,
    DeviceError,
    WinogenWarning,
)
from winogen.doctor.bench import Bench
from winogen.doctor.checks import BY_NAME, CHECKS, run_check
from winogen.doctor.result import Outcome
from winogen.runtime import lock as device_lock
from winogen.runtime.clocks import choose_clocks_of
from winogen.runtime.generator import Generator
from winogen.runtime.lock import DeviceLock
from winogen.runtime.open import open_device, remote_device
from winogen.runtime.remote import calls
from winogen.runtime.remote.record import PATH
from winogen.target.board import load_board

TINY = load_board("tiny")
PROGRAM = small(batch=2).program
NAME = "/proc/device-tree/chosen/pynq_board"
BOOT = "/proc/sys/kernel/random/boot_id"
#: Seconds in which a few silent calls are over, on a slow machine too.
A_WHILE = 30.0


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    folder = tmp_path / "locks"
    folder.mkdir()
    monkeypatch.setattr(device_lock, "_FOLDER", folder)
    monkeypatch.delenv("PYNQ_REMOTE_DEVICES", raising=False)


@pytest.fixture
def server(tmp_path):
    with serving(RemoteBoard(TINY, tmp_path / "overlay", "Tiny")) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(calls, "_PAUSE_SECONDS", 0.1)


@pytest.fixture
def nobody(monkeypatch):
    """Who does not answer is not waited for long."""
    monkeypatch.setattr(calls, "CONNECT_SECONDS", 0.5)


@pytest.fixture(scope="module")
def wanted():
    with Generator(PROGRAM) as generator:
        return generator.generate(generator.latents(5))


def generator_on(server: Server, **options) -> Generator:
    return Generator(PROGRAM, server.device, overlay=server.board.overlay, **options)


def images_of(generator: Generator) -> np.ndarray:
    return generator.generate(generator.latents(5))


def recorded(board: RemoteBoard) -> dict:
    return json.loads(board.files.get(PATH, b"{}"))


def assert_nothing_left(board: RemoteBoard, clocks: list[int]) -> None:
    assert board.broken == []
    assert board.clocks == clocks
    assert board.buffers == {} and not board.running
    assert recorded(board).keys() == {"boot", "loaded"}


def test_the_bytes_of_one_device(server, wanted):
    state = Path(pynq.__file__).parent / "pl_server"
    before, clocks = sorted(state.iterdir()), server.board.clocks
    with generator_on(server, check_every=1, check_repeat=True) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
        generator.check()
        assert generator.device.traits.is_real
        with generator_on(server) as second:  # the same board, in one session
            np.testing.assert_array_equal(images_of(second), wanted)
        np.testing.assert_array_equal(images_of(generator), wanted)
    assert_nothing_left(server.board, clocks)
    assert sorted(state.iterdir()) == before  # pynq has noted nothing for all devices
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
    assert_nothing_left(server.board, clocks)


#: Calls of a run besides registers; a start is among those that write one.
RUN = {"write_buffer": 1, "flush": 1, "invalidate": 1, "read_buffer": 1, "control": 1}


def test_a_run_is_few_calls(server):
    """What docs/use/cluster.md says of it."""
    with generator_on(server) as generator:
        latents = generator.latents(2)
        generator.generate(latents)
        server.board.calls.clear()
        generator.generate(latents)
        assert server.board.calls == {**RUN, "read_register": 4, "write_register": 2}
        many = generator.latents(10)
        generator.generate(many)
        server.board.calls.clear()
        generator.generate(many)
        made = server.board.calls.copy()
    assert made.pop("write_register") <= 5 * 4  # two pairs of buffers in turns
    assert made == {name: 5 * count for name, count in {**RUN, "read_register": 4}.items()}


def test_the_output_buffer_is_fetched_after_a_run_and_not_before(server):
    with generator_on(server) as generator:
        server.board.calls.clear()
        generator.generate(generator.latents(2))
        assert server.board.calls["read_buffer"] == 1


def test_a_soft_error_on_the_board_is_found(server, wanted):
    with generator_on(server, check_every=1) as generator:
        images_of(generator)
        address = generator._runner.buffers["weights"].device_address
        memory = server.board.inner.memory
        memory.device_write(address, memory.device_read(address, 1) ^ 1)
        with pytest.raises(CorruptionError, match="byte 0 reads"):
            images_of(generator)
        np.testing.assert_array_equal(images_of(generator), wanted)


def test_the_command(tmp_path, capsys):
    """It compiles for the board that the address says it is."""
    board = RemoteBoard(load_board("pynq-z1"), tmp_path / "overlay", "Pynq-Z1")
    here, there = tmp_path / "here.npy", tmp_path / "there.npy"
    run(capsys, "run", "digits", "-n", 5, "-o", here, "--device", "emulator")
    with serving(board) as server:
        said = run(capsys, "run", "digits", "-n", 5, "-o", there, "--device", server.device,
                   "--overlay", board.overlay)  # fmt: skip
    assert f"{server.device}: it says that it is pynq-z1" in said
    assert f"from the {server.device}" in said
    assert "predictions are for a processor on the board" in said
    assert here.read_bytes() == there.read_bytes()
    assert board.broken == []


def test_a_worker_of_a_cluster(server, wanted, tmp_path):
    pytest.importorskip("distributed")
    from support.cluster import farm
    from winogen.cluster.cluster import Cluster

    PROGRAM.save(tmp_path / "small.wg")
    with farm(0) as lab:
        command = [sys.executable, "-m", "winogen", "worker", lab.address, tmp_path / "small.wg",
                   "--device", server.device, "--overlay", server.board.overlay,
                   "--name", "far"]  # fmt: skip
        with (
            child(command, stdout=subprocess.PIPE, text=True) as process,
            Cluster(lab.address, PROGRAM) as cluster,
        ):
            cluster.wait_for(1, 60)
            np.testing.assert_array_equal(images_of(cluster), wanted)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
    assert f"{server.device} opened, as worker far" in said and process.returncode == 0
    assert server.board.buffers == {} and server.board.broken == []


# What goes wrong


#: Where the server stops to answer, and what is said of it.
STOPS = {
    "read_register": "reading a register",
    "write_register": "writing a register",
    "write_buffer": "sending a buffer",
    "flush": "sending a buffer",
    "invalidate": "fetching a buffer",
    "read_buffer": "fetching a buffer",
}


@pytest.mark.parametrize("name", STOPS)
def test_a_server_that_stops_to_answer(name, server, wanted, impatient):
    generator = generator_on(server)
    images_of(generator)
    begin = time.monotonic()
    with server.silent(name):
        with pytest.raises(DeviceError) as error:
            images_of(generator)
        with warnings.catch_warnings(record=True):  # of clocks, where a register is silent
            warnings.simplefilter("always")
            generator.__exit__(DeviceError, error.value, None)
    assert time.monotonic() - begin < A_WHILE
    text = str(error.value)
    assert text.startswith(f"the board at {server.address} has not answered within 0.5 s")
    assert STOPS[name] in text and "make a new Generator" in text
    time.sleep(0.2)  # the pause after a lost connection
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
    assert server.board.broken == []


@pytest.mark.parametrize("name", ["readfile", "writefile", "get_mmio", "existsfile"])
def test_a_server_that_stops_to_answer_while_it_is_opened(name, server, wanted, impatient):
    begin = time.monotonic()
    with server.silent(name), pytest.raises(DeviceError, match="has not answered within"):
        generator_on(server)
    assert time.monotonic() - begin < A_WHILE
    time.sleep(0.2)
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)


def test_a_network_that_is_cut(server, wanted, impatient):
    """Everything is silent, the end of the session too: buffers are freed by who comes next."""
    clocks = server.board.clocks
    generator = generator_on(server)
    images_of(generator)
    begin = time.monotonic()
    with server.silent():
        with pytest.raises(DeviceError, match="has not answered within"):
            images_of(generator)
        with pytest.warns(WinogenWarning, match="clocks of the logic are not put back"):
            generator.__exit__(DeviceError, DeviceError(), None)
    del generator
    gc.collect()
    assert time.monotonic() - begin < A_WHILE
    time.sleep(0.2)
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
    assert_nothing_left(server.board, clocks)


def test_a_server_that_ends_and_one_that_is_started_again(server, wanted, impatient):
    generator = generator_on(server)
    images_of(generator)
    server.stop()
    with pytest.raises(DeviceError, match=f"the board at {server.address} cannot be reached"):
        images_of(generator)
    server.board.maps.clear()
    server.board.buffers.clear()
    server.start()
    time.sleep(0.2)
    with pytest.raises(DeviceError, match=r"refuses \(.*not found.*make a new Generator"):
        for _ in range(50):  # gRPC connects again when it likes to
            try:
                images_of(generator)
            except DeviceError as error:
                if "cannot be reached" not in str(error):
                    raise
                time.sleep(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generator.__exit__(DeviceError, DeviceError(), None)
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)


def test_a_new_generator_beside_one_of_a_server_that_has_ended(server, wanted, impatient):
    """As advised: who writes ``generator = Generator(...)`` has the old one until it is made."""
    old = generator_on(server)
    images_of(old)
    ended = set(server.board.buffers)
    server.stop()
    server.board.maps.clear()
    server.board.buffers.clear()
    server.start()
    time.sleep(1.5)  # gRPC connects again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with generator_on(server) as new:
            np.testing.assert_array_equal(images_of(new), wanted)
            # It counts from nought again: the old one's registers and buffers are the new one's.
            assert ended & server.board.buffers.keys()
            held = dict(server.board.buffers)
            with pytest.raises(DeviceError, match="make a new Generator"):
                images_of(old)
            with suppress(DeviceError):
                old.close()
            assert server.board.buffers == held
            np.testing.assert_array_equal(images_of(new), wanted)
    assert server.board.broken == [] and server.board.buffers == {}


def test_buffers_that_a_killed_process_had_of_a_server_that_has_ended(server):
    """The one that has the board now may have given their names to others."""
    boot = server.board.files[BOOT].decode().strip()
    left = {"boot": boot, "buffers": ["b7"], "server": "4-200"}
    server.board.files[PATH] = json.dumps(left).encode()
    server.board.buffers["b7"] = None  # somebody else's
    open_device(server.device, TINY, server.board.overlay).core.close()
    assert server.board.buffers == {"b7": None}
    assert recorded(server.board).keys() == {"boot", "loaded"}


def test_a_session_that_ends_after_the_board_has_booted(server):
    """It has no say in what the next one has written down there."""
    old = open_device(server.device, TINY, server.board.overlay)
    server.board.boot()
    new = open_device(server.device, TINY, server.board.overlay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.core.close()
    assert recorded(server.board)["holder"]["pid"] == os.getpid()
    new.core.close()
    assert "holder" not in recorded(server.board)


def test_a_board_that_booted(server, wanted):
    with generator_on(server) as generator:
        images_of(generator)
    server.board.boot()
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
    assert server.board.broken == []


def test_nobody_there(tmp_path, capsys, nobody):
    with serving(RemoteBoard(TINY, tmp_path / "overlay")) as server:
        pass
    words = f"no PYNQ.remote server answers at {server.address} within 0.5 s"
    with pytest.raises(DeviceError, match=words):
        Generator(PROGRAM, server.device)
    path = tmp_path / "small.wg"
    PROGRAM.save(path)
    assert words in refuse(capsys, tmp_path, "run", path, "--device", server.device)


def test_somebody_else_there():
    """A gRPC server that is none of PYNQ.remote's."""
    import grpc

    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        with pytest.raises(DeviceError, match=r"what answers at .* is no PYNQ\.remote server"):
            remote_device(f"remote:127.0.0.1:{port}")
    finally:
        other.stop(0)


def test_a_stale_bitstream(server, wanted):
    """pynq would leave a file of that name as it is, and load it."""
    for name in ("winogen.bin", "winogen-remote.bin"):
        server.board.files[f"/lib/firmware/{name}"] = b"another one"
    with generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)


def test_a_full_file_system(server, monkeypatch):
    kept = server.board.files

    class Full(dict):
        def __setitem__(self, path, content):
            super().__setitem__(path, content[:40] if "firmware/" in path else content)

    server.board.files = Full(kept)
    with pytest.raises(DeviceError, match="its file system may be full"):
        generator_on(server)
    assert server.board.broken == [] and server.board.inner.core is None


def test_two_boards(tmp_path, wanted):
    """pynq sets the clocks of whichever it met first."""
    slow = load_board("tiny")
    with (
        serving(RemoteBoard(TINY, tmp_path / "a", "Tiny")) as one,
        serving(RemoteBoard(slow, tmp_path / "b", "Tiny")) as two,
    ):
        written = []
        for server in (one, two):
            server.board.inner._slcr.write(0x170, 0x00200A00)  # another clock, to be put back
        clocks = [one.board.clocks, two.board.clocks]
        first, second = generator_on(one), generator_on(two)
        for server in (one, two):
            written.append(server.board.clocks[0])
            assert server.board.inner.clock_mhz == pytest.approx(TINY.clock_mhz, rel=0.1)
        first.close()
        assert one.board.clocks == clocks[0] and two.board.clocks[0] == written[1]
        first = generator_on(one)
        assert one.board.clocks[0] == written[0]
        made = {}

        def make(number: int, generator: Generator) -> None:
            made[number] = images_of(generator)

        threads = [
            threading.Thread(target=make, args=(n, g)) for n, g in enumerate((first, second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        np.testing.assert_array_equal(made[0], wanted)
        np.testing.assert_array_equal(made[1], wanted)
        first.close()
        second.close()
        assert_nothing_left(one.board, clocks[0])
        assert_nothing_left(two.board, clocks[1])


KILLED = """
import sys, time
from pathlib import Path
from winogen.runtime import lock
from winogen.runtime.generator import Generator
lock._FOLDER = Path(sys.argv[4])
generator = Generator(sys.argv[1], sys.argv[2], overlay=sys.argv[3], timeout=60)
generator.generate(generator.latents(2))
"""


def test_a_core_that_a_killed_process_left_running(tmp_path, locks, wanted):
    """It is stopped before clocks and bitstream change, and what it had is given back."""
    board = RemoteBoard(TINY, tmp_path / "overlay", "Tiny", core=Endless)
    PROGRAM.save(tmp_path / "small.wg")
    clocks = board.clocks
    with serving(board) as server:
        command = [sys.executable, "-c", KILLED, tmp_path / "small.wg", server.device,
                   board.overlay, tmp_path / "locks"]  # fmt: skip
        with child(command) as process:
            end = time.monotonic() + 60
            while not board.running and time.monotonic() < end:
                assert process.poll() is None
                time.sleep(0.01)
            assert board.running
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        assert board.running and len(board.buffers) >= 4
        assert recorded(board)["holder"]["machine"] == platform.node()
        Endless.looks, kept = 1, Endless.looks
        try:
            with generator_on(server) as generator:
                lease = generator.core.lease
                assert lease is not None and lease.session.stopped
                np.testing.assert_array_equal(images_of(generator), wanted)
        finally:
            Endless.looks = kept
        assert_nothing_left(board, clocks)


def test_one_process_at_a_time(server, locks):
    """By whatever name: an address and a name of it are one board."""
    device = remote_device(server.device)
    lock = DeviceLock(device.traits.lock_name)
    lock.acquire(0)
    try:
        script = f"""
            from pathlib import Path
            from winogen.runtime import lock
            from winogen.runtime.open import open_device
            from winogen.target.board import load_board
            lock._FOLDER = Path({str(lock.path.parent)!r})
            open_device("remote:localhost:{server.port}", load_board("tiny"),
                        {str(server.board.overlay)!r}, lock_timeout=0)
        """
        done = run_script(script, seconds=60)
    finally:
        lock.release()
    assert DeviceBusyError.__name__ in done.stderr and "the device is in use by" in done.stderr


def test_another_machine_had_it(server):
    """Nothing keeps it away, and it is said."""
    with generator_on(server):
        pass
    boot = recorded(server.board)["boot"]
    left = {"boot": boot, "holder": {"machine": "lab-2", "pid": 12, "since": "2026-12-01"}}
    server.board.files[PATH] = json.dumps(left).encode()
    with (
        pytest.warns(WinogenWarning, match="was opened by process 12 of machine lab-2"),
        generator_on(server),
    ):
        pass


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"[" * 200_000,
        b'{"boot": 1}',
        b"\xff\xff",
        b'{"boot": "BOOT", "loaded": {"processor": "zynq7"}}',  # of another version
        b'{"boot": "BOOT", "loaded": {"processor": [], "accelerator": 0, "clock_source": "", '
        b'"clock_mhz": 1}}',
        b'{"boot": "BOOT", "loaded": {"processor": "zynq7", "accelerator": 1e300, '
        b'"clock_source": "", "clock_mhz": 1}}',
        b'{"boot": "BOOT", "loaded": {"processor": "zynq7", "accelerator": 0, '
        b'"clock_source": "", "clock_mhz": "fast"}}',
    ],
)
def test_a_record_that_is_damaged(content, server, wanted):
    boot = server.board.files[BOOT].strip()
    server.board.files[PATH] = content.replace(b"BOOT", boot)
    with warnings.catch_warnings(record=True), generator_on(server) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)


def test_a_record_that_two_threads_write(server, monkeypatch):
    """Some load an overlay while others allocate."""
    opened = open_device(server.device, TINY, server.board.overlay)
    record = opened.device.record
    real = record.read

    def read() -> dict:
        said = real()
        if threading.current_thread() is not thread:
            thread.start()
            thread.join(0.5)  # it writes, if it can
        return said

    thread = threading.Thread(target=lambda: record.update(first=1))
    monkeypatch.setattr(record, "read", read)
    record.update(second=2)
    thread.join(A_WHILE)
    monkeypatch.undo()
    assert {"first": 1, "second": 2}.items() <= record.read().items()
    opened.core.close()


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        (NAME, b"\xff\xfe", ""),
        (NAME, b"\x1b[2J", ""),
        (NAME, b"/home/me/board.yaml\0", ""),
        (NAME, b"Tiny\0", "tiny"),
        ("/proc/version", b"\xff\xfe", "tiny"),
        (BOOT, b"x" * 5000, "tiny"),
        (BOOT, "\N{CJK UNIFIED IDEOGRAPH-4E00}".encode() * 100, "tiny"),
    ],
)
def test_files_of_a_board_that_say_anything(path, content, name, server):
    server.board.files[path] = content
    opened = open_device(server.device, TINY, server.board.overlay)
    assert opened.device.board_name == name
    opened.core.close()


def test_an_answer_without_end(server):
    """Memory has an end before a deadline has."""
    device = remote_device(server.device)
    server.board.files["/endless"] = bytes(16 << 20)
    start = server.board.calls["readfile"]
    with pytest.raises(DeviceError, match=r"sends without end \(reading a file of it\)"):
        device.read_file("/endless")
    assert server.board.calls["readfile"] == start + 1
    assert device.read_file("/endless", nbytes=16 << 20) == server.board.files["/endless"]


def test_another_board_that_has_the_address_now(server):
    device = remote_device(server.device)
    server.board.boot()
    server.board.files[NAME] = b"Pynq-Z1\0"
    assert remote_device(server.device) is device and device.board_name == "pynq-z1"


def test_two_threads_that_open_a_board_have_the_same(server):
    server.board.files[BOOT] = b""  # of an image that does not say
    server.board.delay = lambda name: time.sleep(0.05)
    with ThreadPoolExecutor(4) as pool:
        boards = list(pool.map(remote_device, [server.device] * 4))
    assert all(board is boards[0] for board in boards)


def test_clocks_of_a_board_whose_session_ends_while_another_is_loaded(monkeypatch):
    """The other's stay chosen."""
    first, second = SimpleNamespace(), SimpleNamespace()
    choose_clocks_of(first)
    real, begun = pynq.Clocks.set_device, threading.Event()

    def set_device(device: object) -> None:
        if device is None:
            begun.set()
            thread.join(0.5)  # the other is as fast as it can be
        real(device)

    monkeypatch.setattr(pynq.Clocks, "set_device", set_device)
    thread = threading.Thread(target=lambda: begun.wait(A_WHILE) and choose_clocks_of(second))
    thread.start()
    choose_clocks_of(None, instead_of=first)
    thread.join(A_WHILE)
    assert pynq.Clocks.device is second
    choose_clocks_of(None, instead_of=first)
    assert pynq.Clocks.device is second
    monkeypatch.undo()
    choose_clocks_of(None)


def test_two_names_of_one_board(server, wanted):
    first = generator_on(server)
    second = Generator(
        PROGRAM, f"remote:localhost:{server.port}", overlay=server.board.overlay
    )  # fmt: skip
    assert first.device is second.device
    with first, second:
        np.testing.assert_array_equal(images_of(first), wanted)
        np.testing.assert_array_equal(images_of(second), wanted)
    assert server.board.buffers == {}


# Memory


def test_memory_that_is_full(server):
    with generator_on(server) as generator:
        nbytes = TINY.contiguous_mib << 20
        with pytest.raises(ContiguousMemoryError, match="has no room for"):
            generator._runner.buffers.room("scratch", nbytes)


def test_buffers(server):
    opened = open_device(server.device, TINY, server.board.overlay)
    device = opened.device
    buffer = pynq.allocate((3, 4), "i2", target=device)
    assert not buffer.any() and buffer.shape == (3, 4)
    buffer[:] = np.arange(12).reshape(3, 4)
    buffer.flush()
    address = buffer.device_address
    assert buffer[1:].device_address == address + 8
    seen = server.board.inner.memory.device_read(address, 24)
    np.testing.assert_array_equal(seen.view("i2"), np.arange(12))
    with pytest.raises(DeviceError, match="a part of a buffer"):
        buffer[1:].flush()
    buffer[:] = 0
    buffer.invalidate()
    np.testing.assert_array_equal(np.asarray(buffer).reshape(-1), np.arange(12))
    count = len(server.board.buffers)
    del buffer
    gc.collect()
    assert len(server.board.buffers) == count  # nothing is called where objects end
    pynq.allocate((1,), "u1", target=device).freebuffer()
    assert len(server.board.buffers) == count - 1
    last = pynq.allocate((1,), "u1", target=device)
    opened.core.close()
    server.stop()
    last.freebuffer()  # neither raises nor hangs
    server.start()


def test_a_process_that_ends_without_closing(server, tmp_path):
    """Python's end neither hangs nor forgets the clocks; the memory is given back by the next."""
    clocks = server.board.clocks
    PROGRAM.save(tmp_path / "small.wg")
    command = [sys.executable, "-c", KILLED, tmp_path / "small.wg", server.device,
               server.board.overlay, tmp_path / "locks"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.board.clocks == clocks and "holder" not in recorded(server.board)
    with generator_on(server):
        pass
    assert_nothing_left(server.board, clocks)


def test_widths_of_ports(server, monkeypatch):
    """Those that pynq sets, of this board and not of its active one."""
    from pynq import registers
    from pynq.pl_server.remote_device import RemoteDevice

    from winogen.runtime.remote import device as module

    written = []

    class Register:
        def __init__(self, address, device=None):
            self.address, self.device = address, device

        def __setitem__(self, bits, value):
            written.append((self.address, bits.start, bits.stop, value, self.device))

    parameters = {f"C_SAXIGP{port}_DATA_WIDTH": "64" for port in range(7)}
    parameters["C_MAXIGP0_DATA_WIDTH"] = "32"
    parser = SimpleNamespace(
        ps_name="ps", family_ps="zynq_ultra_ps_e", ip_dict={"ps": {"parameters": parameters}}
    )
    device = remote_device(server.device)
    monkeypatch.setattr(registers, "Register", Register)
    RemoteDevice.set_axi_port_width(device, parser)
    theirs, written[:] = sorted(w[:4] for w in written), []
    monkeypatch.setattr(module, "Register", Register)
    device.set_axi_port_width(parser)
    assert sorted(w[:4] for w in written) == theirs and len(theirs) > 7
    assert all(w[4] is device for w in written)


# Which board it is


def test_the_board_says_which_it_is(server, monkeypatch):
    """BOARD is this machine's."""
    monkeypatch.setenv("BOARD", "Ultra96")
    assert remote_device(server.device).board_name == "tiny"
    server.board.files["/proc/device-tree/chosen/pynq_board"] = b"Pynq-Z1\0"
    gc.collect()  # the board is looked at anew
    with pytest.raises(DeviceError) as error:
        Generator(PROGRAM, f"remote:localhost:{server.port}")
    assert "this board is pynq-z1, by its own word, and the program is for tiny" in str(error.value)


def test_pynqs_own_variable(server, wanted, monkeypatch, capsys):
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", server.address)
    monkeypatch.delenv("WINOGEN_DEVICE", raising=False)
    with Generator(PROGRAM, "auto", overlay=server.board.overlay) as generator:
        np.testing.assert_array_equal(images_of(generator), wanted)
    with pytest.raises(DeviceError, match="PYNQ_REMOTE_DEVICES is set, so pynq finds no board"):
        Generator(PROGRAM, "board")
    del generator
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.168.2.98, 192.168.2.99")
    with pytest.raises(DeviceError, match="names several boards"):
        Generator(PROGRAM, "auto")
    # As it advises.
    for name, said in (("Tiny", "it says that it is tiny"), ("", "does not say which board it is")):
        server.board.files[NAME] = name.encode()
        gc.collect()  # the board is looked at anew
        options = Namespace(device=server.device, board=None, overlay=None)
        choose_device(options, compiled=False)
        assert said in capsys.readouterr().out
        options = Namespace(device=server.device, board=None)
        assert said in doctor._pick(options) and options.device == server.device


#: What ``winogen doctor`` asks of a remote board, some of it; and what it does not.
ASKED = (
    "image", "processing system", "overlay", "build", "clock", "registers", "contiguous memory",
    "memory ports", "caches", "load engine", "DMA writes", "errors", "conformance",
)  # fmt: skip
NOT_ASKED = ("permissions", "XRT", "disk", "interrupt", "host costs")


def test_doctor(server):
    bench = Bench("remote", TINY, server.board.overlay, name=server.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = {name: run_check(BY_NAME[name], bench) for name in (*ASKED, *NOT_ASKED)}
        bench.core.close()
    assert [(r.name, r.text) for r in results.values() if r.outcome is Outcome.FAIL] == []
    assert {n for n, r in results.items() if r.outcome is Outcome.SKIPPED} == set(NOT_ASKED)
    assert results["image"].text == f"{server.device} says that it is Tiny, armv7l"
    assert server.board.broken == [] and server.board.buffers == {}


def test_doctor_of_a_board_that_is_gone(nobody):
    """Its checks say it, and wait for it once."""
    begin = time.monotonic()
    bench = Bench("remote", TINY, name="remote:127.0.0.1:1")
    results = [
        run_check(check, bench) for check in CHECKS if not check.needs or check.name in ASKED
    ]
    assert time.monotonic() - begin < A_WHILE
    said = {r.name: r.text for r in results if r.outcome is Outcome.FAIL}
    assert said.keys() >= {"image", "processing system", "overlay"}
    assert all("no PYNQ.remote server answers at 127.0.0.1:1" in text for text in said.values())
