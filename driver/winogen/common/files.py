"""Writing files so that nothing is lost: a reader sees the old file or the whole new one.

Only regular files are replaced. What is written for a link goes to what it points at; a terminal, a
pipe or ``/dev/null`` gets the bytes, and stays what it is, also where the user is root.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import select
import shutil
import stat
import struct
import sys
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from winogen.common.errors import InputError, one_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: What numpy and zipfile raise for damaged, foreign or encrypted array files.
ARRAY_FILE_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


#: What numpy says of array files, by a part of it, and what is meant.
_NUMPY_SAYS = (
    ("Python objects", "it holds Python objects; save an array of numbers"),
    ("pickle", "it holds Python objects or is no .npy file; save an array of numbers"),
    ("magic string", "it is no .npy file"),
    ("No data left", "it is empty"),
    ("mmap length is greater", "it ends too early"),
    ("EOF: reading", "it ends too early"),
    ("cannot reshape", "it ends too early"),
    ("expecting", "it ends too early"),
    ("header", "its header is damaged"),
    ("Unable to allocate", "its array does not fit the memory"),
    ("cannot mmap an empty", "it is empty"),
)


def array_problem(error: BaseException) -> str:
    """Why an array file cannot be read, in words that are not numpy's."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    for part, said in _NUMPY_SAYS:
        if part in text:
            return said
    if isinstance(error, ValueError) and text:
        return one_line(error)
    return "it needs too much memory" if isinstance(error, MemoryError) else "it is damaged"


#: Seconds to wait for somebody who reads a pipe, and for one who has ceased to.
_READER_SECONDS = 10.0
_PAUSE = 0.02
_MOST_LINKS = 40
#: A temporary file or folder: the process that made it, and chance.
_TEMPORARY = re.compile(r"\.winogen-(\d{1,10})-[0-9a-f]{16}")
#: An open file of a process, as Linux names it.
_DESCRIPTOR = re.compile(r"/proc/(\d+)/(?:task/\d+/)?fd/(\d+)")
#: Names of temporary files that this process uses now, and folders where it has swept.
_live: set[str] = set()
_swept: set[str] = set()


@dataclass(frozen=True)
class _Place:
    """Where bytes go: a regular file, which may not exist yet, or what takes them as they come.

    ``descriptor`` is that of this process's own, as /dev/stdout; ``stream`` another pipe or device.
    """

    path: Path
    stream: bool = False
    descriptor: int | None = None


def check_writable(path: Path) -> None:
    """Raise InputError now if ``path`` cannot be written later."""
    place = _place(path)
    if place.descriptor is not None:
        return
    if place.stream:  # opening it would be noticed at the other end
        if not os.access(place.path, os.W_OK):
            raise InputError(f"cannot write {path}: Permission denied")
        return
    try:  # permissions alone do not tell (read-only and virtual file systems)
        with _temporary_file(place.path.parent):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; InputError if that fails.

    A pipe or a device gets the bytes one after the other.
    """
    place = _place(path)
    try:
        if place.descriptor is not None:
            _write_to_own(place.descriptor, data)
        elif place.stream:
            _write_through(place.path, data)
        else:
            with _temporary_file(place.path.parent) as (descriptor, temporary):
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(data)
                os.fsync(descriptor)
                umask = os.umask(0)
                os.umask(umask)
                temporary.chmod(0o666 & ~umask)  # it was made private
                os.replace(temporary, place.path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, which is gone afterwards; OSError if there can be none.

    Should this process be killed, the next that writes there removes it.
    """
    with _temporary(parent, is_folder=True) as (_, folder):
        yield folder


@contextmanager
def replaced_at_the_end(path: Path) -> Iterator[Path]:
    """A path beside ``path`` for what a library writes; at the end it takes its place.

    After an error nothing is there. InputError where it cannot be written, and for pipes and
    devices, which libraries that go back in a file cannot write to.
    """
    place = _place(path)
    if place.stream or place.descriptor is not None:
        raise InputError(f"cannot write {path}: it is no regular file, and this kind needs one")
    try:
        with temporary_folder(place.path.parent) as folder:
            made = folder / place.path.name
            yield made
            with open(made, "rb") as file:
                os.fsync(file.fileno())
            os.replace(made, place.path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _place(path: Path) -> _Place:
    """Where the bytes for ``path`` go; InputError where they cannot."""
    end = Path(path)
    try:
        for _ in range(_MOST_LINKS):
            end = Path(os.path.realpath(end.parent), end.name)
            own = _DESCRIPTOR.fullmatch(str(end))
            if own and int(own[1]) == os.getpid():
                os.fstat(int(own[2]))  # is it open?
                return _Place(end, descriptor=int(own[2]))
            if (own and not end.is_file()) or not end.is_symlink():
                break
            end = end.parent / end.readlink()
        else:
            raise InputError(f"cannot write {path}: too many symbolic links; name the file itself")
        mode = end.stat().st_mode if end.exists() else stat.S_IFREG
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    if not end.parent.is_dir():
        raise InputError(
            f"cannot write {path}: folder {end.parent if path.is_symlink() else path.parent} does "
            "not exist; create it first"
        )
    if stat.S_ISREG(mode):
        return _Place(end)
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return _Place(end, stream=True)
    kind = "a block device" if stat.S_ISBLK(mode) else "a socket"
    raise InputError(f"cannot write {path}: it is {kind}; name a file")


def _write_to_own(descriptor: int, data: bytes) -> None:
    """Write to an open file of this process: to its end, after what was printed there."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _write_through(path: Path, data: bytes) -> None:
    """Write to a pipe or a device, for which somebody must be there in time."""
    descriptor = _open_stream(path)
    try:
        rest = memoryview(data)
        while rest:
            if not select.select([], [descriptor], [], _READER_SECONDS)[1]:
                raise OSError(
                    None,
                    f"nobody has read from it for {_READER_SECONDS:g} s; read it, or name a file",
                )
            with suppress(BlockingIOError):
                rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _open_stream(path: Path) -> int:
    deadline = time.monotonic() + _READER_SECONDS
    flags = os.O_WRONLY | _flags("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
    while True:
        try:
            return os.open(path, flags)
        except OSError as error:
            if not path.is_fifo() or error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(
                    None, f"nobody has opened it to read within {_READER_SECONDS:g} s; name a file"
                ) from None
        time.sleep(_PAUSE)


def _flags(*names: str) -> int:
    """Flags for ``os.open``, those that this system has."""
    return sum(getattr(os, name, 0) for name in names)


@contextmanager
def _temporary_file(folder: Path) -> Iterator[tuple[int, Path]]:
    """An open file in ``folder``, to be renamed; it is gone afterwards if it was not."""
    with _temporary(folder, is_folder=False) as made:
        yield made


@contextmanager
def _temporary(parent: Path, *, is_folder: bool) -> Iterator[tuple[int, Path]]:
    _sweep(parent)
    name = f".winogen-{os.getpid()}-{secrets.token_hex(8)}"
    path = parent / name
    descriptor = -1
    _live.add(name)
    try:
        if is_folder:
            path.mkdir(0o700)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if fcntl else -1
        else:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _flags("O_CLOEXEC", "O_BINARY")
            descriptor = os.open(path, flags, 0o600)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks: nothing is swept there
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor, path
    finally:
        if is_folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        if descriptor >= 0:
            os.close(descriptor)
        _live.discard(name)


def _sweep(folder: Path) -> None:
    """Remove what killed processes have left in ``folder``, once for each folder.

    Whoever uses a temporary file has it locked. Its name says which process made it, for the moment
    before it is locked.
    """
    place = os.path.realpath(folder)
    if fcntl is None or place in _swept:
        return
    _swept.add(place)
    with suppress(OSError), os.scandir(place) as entries:
        stale = [e.path for e in entries if _is_left(e.name)]
        for path in stale:
            with suppress(OSError):
                _remove_unlocked(path)


def _is_left(name: str) -> bool:
    """Whether this is the name of a temporary file whose process has ended."""
    match = _TEMPORARY.fullmatch(name)
    if match is None or name in _live:
        return False
    pid = int(match[1])
    if pid == os.getpid():  # an earlier process of the same number
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def _remove_unlocked(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: somebody uses it
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(found.st_mode):
            os.unlink(path)
    finally:
        os.close(descriptor)
