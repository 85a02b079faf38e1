"""Opening files from outside to read them: none is waited for without end, or read without end."""

from __future__ import annotations

import io
import math
import os
import select
import stat
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np

#: Seconds to wait for somebody who writes to a pipe, and for one who has ceased to.
_WRITER_SECONDS = 10.0
_PAUSE = 0.02
#: Bytes that a pipe may bring, and a regular file may have.
MOST_BYTES = 4 << 30
_NPY = b"\x93NUMPY"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_SPECIAL = ((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISSOCK, "a socket"))


def open_to_read(path: str | Path) -> BinaryIO:
    """A regular file, or all that comes through a pipe.

    Raises OSError, with a reason as its words, for devices, sockets and folders, for what is larger
    than anything of winogen's, and where nobody writes to a pipe in time.
    """
    flags = os.O_RDONLY | sum(getattr(os, n, 0) for n in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    descriptor = os.open(path, flags)
    try:
        found = os.fstat(descriptor)
        _check_kind(found.st_mode)
        if stat.S_ISFIFO(found.st_mode):
            try:
                return io.BytesIO(_from_pipe(descriptor))
            finally:
                os.close(descriptor)
                descriptor = -1
        if found.st_size > MOST_BYTES:
            raise OSError(None, f"it has {found.st_size:,} bytes, over {MOST_BYTES:,}")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise


def check_regular(path: str | Path) -> None:
    """Raise OSError where a library would open what is no regular file, and might wait there."""
    mode = Path(path).stat().st_mode
    _check_kind(mode)
    if stat.S_ISFIFO(mode):
        raise OSError(None, "it is a pipe; copy what comes through it to a file")


def check_array(file: BinaryIO) -> None:
    """Raise ValueError where a ``.npy`` file says that it holds more than there is of it.

    numpy would ask for the memory first. Other files are left to it. Ends at the start of the file.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(len(_NPY)) == _NPY:
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version in _HEADERS:
            shape, _, dtype = _HEADERS[version](file)
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size - file.tell():
                raise ValueError("EOF: reading array data")  # as numpy says it
    file.seek(0)


def _check_kind(mode: int) -> None:
    for is_it, kind in _SPECIAL:
        if is_it(mode):
            raise OSError(None, f"it is {kind} and no file")
    if stat.S_ISDIR(mode):
        raise OSError(None, "Is a directory")


def _from_pipe(descriptor: int) -> bytes:
    """All that is written to a pipe until its last writer closes it."""
    parts: list[bytes] = []
    size, last = 0, time.monotonic()
    while time.monotonic() - last < _WRITER_SECONDS:
        select.select([descriptor], [], [], _PAUSE)
        try:
            part = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            continue
        if not part:
            if parts:
                return b"".join(parts)
            time.sleep(_PAUSE)  # nobody has opened the other end yet
            continue
        parts.append(part)
        size, last = size + len(part), time.monotonic()
        if size > MOST_BYTES:
            raise OSError(None, f"the pipe brings more than {MOST_BYTES:,} bytes")
    raise OSError(None, f"it is a pipe to which nobody has written for {_WRITER_SECONDS:g} s")
