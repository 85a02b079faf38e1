"""Writing files: whole or not at all."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.children import child
from support.places import DRIVER
from winogen.common import files
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_new_file_and_an_old_one(tmp_path):
    path = tmp_path / "a"
    for data in (b"first", b"", b"x" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert names(tmp_path) == ["a"]


def test_the_file_has_the_usual_permissions(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        write_atomically(path, b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_checking_leaves_nothing(tmp_path):
    check_writable(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_missing_folder_and_a_folder(tmp_path):
    for check in (check_writable, lambda p: write_atomically(p, b"1")):
        with pytest.raises(InputError, match=r"folder .*none does not exist; create it first"):
            check(tmp_path / "none" / "a")
        with pytest.raises(InputError, match="it is a folder; name a file"):
            check(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="does not exist"):
            check(tmp_path / "file" / "a")
        (tmp_path / "file").unlink()
    assert names(tmp_path) == []


def test_a_folder_that_refuses(tmp_path, monkeypatch):
    """As on a read-only disk; permissions alone stop nobody who is root."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "_temporary", refuse)
    for check in (check_writable, lambda p: write_atomically(p, b"1")):
        with pytest.raises(InputError, match=r"cannot write .*/a: Read-only file system"):
            check(tmp_path / "a")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_on_the_way_keeps_the_old_file(call, tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(InputError, match=r"cannot write .*/a: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert names(tmp_path) == []


# What is no regular file


def test_the_target_of_a_link_is_replaced(tmp_path):
    """However many links there are, and also where the target does not exist yet."""
    for target in (tmp_path / "target", tmp_path / "folder" / "other"):
        target.parent.mkdir(exist_ok=True)
        link = tmp_path / f"link-{target.name}"
        link.symlink_to(os.path.relpath(target, tmp_path))
        (tmp_path / f"far-{target.name}").symlink_to(link)
        for data in (b"new", b"newer"):
            check_writable(tmp_path / f"far-{target.name}")
            write_atomically(tmp_path / f"far-{target.name}", data)
            assert link.is_symlink() and (tmp_path / f"far-{target.name}").is_symlink()
            assert target.read_bytes() == data
            assert not target.is_symlink()
    assert names(tmp_path / "folder") == ["other"]


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "none" / "c")
    for check in (check_writable, lambda p: write_atomically(p, b"1")):
        with pytest.raises(InputError, match=r"cannot write .*(links|levels)"):
            check(tmp_path / "a")
        with pytest.raises(InputError, match=r"folder .*/none does not exist; create it first"):
            check(tmp_path / "c")
    assert names(tmp_path) == ["a", "b", "c"]


def test_a_device_takes_the_bytes_and_stays(tmp_path):
    if not Path("/dev/null").is_char_device() or os.geteuid() != 0:
        pytest.skip("needs root to make a device of its own")
    for minor in (3, 7):  # /dev/null, and /dev/full, which takes nothing
        device = tmp_path / f"device-{minor}"
        try:
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            with device.open("rb"):
                pass
        except OSError:
            pytest.skip("no devices can be made here")
        (tmp_path / f"link-{minor}").symlink_to(device)
    for name in ("device-3", "link-3"):
        check_writable(tmp_path / name)
        write_atomically(tmp_path / name, b"bytes")
    with pytest.raises(InputError, match="No space left on device"):
        write_atomically(tmp_path / "device-7", b"bytes")
    assert (tmp_path / "device-3").is_char_device() and (tmp_path / "device-7").is_char_device()
    assert names(tmp_path) == ["device-3", "device-7", "link-3", "link-7"]


def test_a_null_device(tmp_path):
    before = Path("/dev/null").stat()
    check_writable(Path("/dev/null"))
    write_atomically(Path("/dev/null"), b"bytes")
    assert Path("/dev/null").stat().st_ino == before.st_ino
    assert Path("/dev/null").is_char_device()


def test_a_pipe_takes_the_bytes_and_stays(tmp_path):
    """More of them than it holds at once."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = os.urandom(1 << 20)
    got: list[bytes] = []
    check_writable(path)  # which a reader does not notice
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_atomically(path, data)
    reader.join(60)
    assert got == [data]
    assert path.is_fifo()


def test_nobody_waits_for_ever_at_a_pipe(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_READER_SECONDS", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(
        InputError, match=r"nobody has opened it to read within 0\.1 s; name a file"
    ):
        write_atomically(path, b"1")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(InputError, match=r"nobody has read from it for 0\.1 s"):
            write_atomically(path, bytes(1 << 20))
    finally:
        os.close(reader)


def test_a_short_write_goes_on(tmp_path, monkeypatch):
    """A pipe may take fewer bytes than it is given."""
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda file, data: real(file, data[:3]))
    read, write = os.pipe()
    try:
        write_atomically(Path(f"/proc/self/fd/{write}"), b"seven bytes")
    finally:
        os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"seven bytes"


def test_a_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for check in (check_writable, lambda p: write_atomically(p, b"1")):
            with pytest.raises(InputError, match="it is a socket; name a file"):
                check(tmp_path / "s")
    assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)


@pytest.mark.parametrize("kind", ["pipe", "file"])
@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "link"])
def test_standard_output_goes_on(name, kind, tmp_path):
    """What was printed before and is printed after stays, though it be a file."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from winogen.common.files import check_writable, write_atomically\n"
        "path = Path(sys.argv[1])\n"
        "print('before')\n"
        "check_writable(path)\n"
        "write_atomically(path, b'bytes\\n')\n"
        "print('after')\n"
    )
    (tmp_path / "link").symlink_to("/dev/stdout")
    where = tmp_path / "link" if name == "link" else Path(name)
    with (tmp_path / "out").open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", code, where],
            env={"PYTHONPATH": str(DRIVER)},
            stdout=file if kind == "file" else subprocess.PIPE,
            timeout=60,
            check=True,
        )
    text = (tmp_path / "out").read_bytes() if kind == "file" else done.stdout
    assert text == b"before\nbytes\nafter\n"
    assert names(tmp_path) == ["link", "out"]


# What a killed process leaves

KILLED = """
import os, signal, sys
from pathlib import Path
from winogen.common import files
if sys.argv[2] == "file":
    files.os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    files.write_atomically(Path(sys.argv[1]) / "a", b"half")
else:
    with files.temporary_folder(Path(sys.argv[1])) as folder:
        (folder / "b").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def unswept(monkeypatch):
    monkeypatch.setattr(files, "_swept", set())


def kill_one(folder: Path, kind: str) -> str:
    """The name of what a process has left that was killed while it wrote."""
    before = set(names(folder))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder, kind],
        env={"PYTHONPATH": str(DRIVER)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -9
    [left] = set(names(folder)) - before
    assert left.startswith(".winogen-")
    return left


@pytest.mark.usefixtures("unswept")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_swept(kind, tmp_path):
    left = kill_one(tmp_path, kind)
    others = [".winogen-x", ".winogen-1-short", "winogen-1", f"{left}.wg", f"x{left}"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    write_atomically(tmp_path / "b", b"1")
    assert names(tmp_path) == sorted(["b", *others])


@pytest.mark.usefixtures("unswept")
def test_what_a_live_process_writes_is_left_alone(tmp_path):
    """Also where its name is that of a dead process, as in another container."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from winogen.common import files\n"
        "files.os.getpid = lambda: int(sys.argv[2])\n"
        "def wait(*_):\n"
        "    print('there', flush=True)\n"
        "    sys.stdin.read()\n"
        "files.os.fsync = wait\n"
        "files.write_atomically(Path(sys.argv[1]) / sys.argv[2], b'1')\n"
    )
    dead = int(kill_one(tmp_path, "file").split("-")[1])
    with ExitStack() as stack:
        writers = []
        for pid in (dead, os.getpid(), 1):
            writer = stack.enter_context(
                child(
                    [sys.executable, "-c", code, tmp_path, str(pid)],
                    env={"PYTHONPATH": str(DRIVER)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            assert writer.stdout.readline() == b"there\n"
            writers.append(writer)
        files._swept.clear()
        write_atomically(tmp_path / "mine", b"1")
        assert len([n for n in names(tmp_path) if n.startswith(".winogen-")]) == len(writers)
        for writer in writers:
            writer.communicate(timeout=60)
            assert writer.returncode == 0
    assert names(tmp_path) == sorted(["mine", str(dead), str(os.getpid()), "1"])


@pytest.mark.usefixtures("unswept")
def test_threads_do_not_sweep_each_others_files(tmp_path):
    with files._temporary_file(tmp_path) as (_, path):
        files._swept.clear()
        write_atomically(tmp_path / "a", b"1")
        assert path.exists()
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("unswept")
def test_a_temporary_that_is_none(tmp_path):
    """A link or a pipe of that name is not what this package leaves."""
    pid = kill_one(tmp_path, "file").split("-")[1]
    (tmp_path / "precious").write_bytes(b"1")
    (tmp_path / f".winogen-{pid}-{1:016x}").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / f".winogen-{pid}-{2:016x}")
    write_atomically(tmp_path / "a", b"1")
    assert len(names(tmp_path)) == 4
    assert (tmp_path / "precious").read_bytes() == b"1"
