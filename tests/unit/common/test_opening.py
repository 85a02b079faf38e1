"""Opening what is outside: regular files, pipes that bring something, and nothing else."""

from __future__ import annotations

import io
import os
import socket
import threading
import time

import numpy as np
import pytest

from winogen.common import opening
from winogen.common.opening import check_array, check_regular, open_to_read


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(opening, "_WRITER_SECONDS", 0.3)


def test_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"all of it")
    (tmp_path / "link").symlink_to("a")
    for path in (tmp_path / "a", tmp_path / "link", str(tmp_path / "a")):
        check_regular(path)
        with open_to_read(path) as file:
            assert file.read() == b"all of it"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("folder", "Is a directory"), ("/dev/zero", "a device"), ("/dev/null", "a device"),
     ("gone", "No such file"), ("loop", "symbolic links")],
)  # fmt: skip
def test_what_is_no_file(kind, words, tmp_path):
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind != "gone":
        path.symlink_to(kind)
    for use in (open_to_read, check_regular):
        with pytest.raises(OSError) as error:
            use(path)
        assert words in error.value.strerror


def test_a_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a")
        with pytest.raises(OSError, match=r"socket|No such device"):
            open_to_read("a")
        with pytest.raises(OSError, match="it is a socket"):
            check_regular("a")


def test_a_pipe_that_nobody_writes_to(soon, tmp_path):
    os.mkfifo(tmp_path / "a")
    begin = time.monotonic()
    with pytest.raises(OSError, match=r"a pipe to which nobody has written for 0\.3 s"):
        open_to_read(tmp_path / "a")
    assert time.monotonic() - begin >= 0.3
    with pytest.raises(OSError, match="it is a pipe; copy"):
        check_regular(tmp_path / "a")


def test_a_pipe_whose_writer_stops(soon, tmp_path):
    """It holds the other end open, and says nothing more."""
    os.mkfifo(tmp_path / "a")
    done = threading.Event()

    def write() -> None:
        with open(tmp_path / "a", "wb", buffering=0) as file:
            file.write(b"some")
            done.wait(20)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with pytest.raises(OSError, match="nobody has written for"):
            open_to_read(tmp_path / "a")
    finally:
        done.set()
        thread.join()


def test_a_pipe_that_brings_all_of_it(tmp_path):
    os.mkfifo(tmp_path / "a")
    data = bytes(range(256)) * 4000

    def write() -> None:
        with open(tmp_path / "a", "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with open_to_read(tmp_path / "a") as file:
        assert file.read() == data and file.seek(0) == 0
    thread.join()


def test_what_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MOST_BYTES", 100)
    (tmp_path / "a").write_bytes(bytes(101))
    with pytest.raises(OSError, match="it has 101 bytes, over 100"):
        open_to_read(tmp_path / "a")
    reading, writing = os.pipe()
    os.write(writing, bytes(101))
    os.close(writing)
    with pytest.raises(OSError, match="brings more than 100 bytes"):
        opening._from_pipe(reading)
    os.close(reading)


def test_no_descriptor_is_left(soon, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    before = os.dup(0)  # the lowest number that is free
    os.close(before)
    for name in ("pipe", "zero"):
        with pytest.raises(OSError):
            open_to_read(tmp_path / name)
    after = os.dup(0)
    os.close(after)
    assert after == before


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_array_that_says_more_than_there_is(version):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros((3, 5), np.float32), version)
    whole = buffer.getvalue()
    for data in (whole, b"no array", b""):
        file = io.BytesIO(data)
        check_array(file)
        assert file.tell() == 0
    for short in (whole[:-1], whole.replace(b"(3, 5)", b"(9**9,)")[:-1]):
        with pytest.raises(ValueError):
            check_array(io.BytesIO(short))
