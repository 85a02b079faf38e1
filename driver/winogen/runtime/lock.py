"""One process at a time on a board: a file that is locked, and says who has it.

The lock is the operating system's (``flock``), which lets go of it when its process ends, however
that may be. What the file says is for people; who may use the device does not depend on it.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from winogen.common.errors import DeviceBusyError, DeviceError, one_line
from winogen.common.progress import Progress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Seconds to wait for another process, unless the caller says otherwise.
LOCK_TIMEOUT = 10.0
#: Shared by all users, and empty after a boot.
_FOLDER = Path("/run/lock")
_PAUSE = 0.05
#: Seconds before a progress line appears.
_QUICK_SECONDS = 2.0


class DeviceLock:
    """The lock of one device.

    Parameters
    ----------
    name : names the device; letters, digits, ``-`` and ``_``
    """

    def __init__(self, name: str):
        # The same folder for root and for users, or they would lock two files.
        shared = _FOLDER.is_dir() and os.access(_FOLDER, os.W_OK)
        folder = _FOLDER if shared else Path(tempfile.gettempdir())
        self.path = folder / f"winogen-{name}.lock"
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has the device."""
        return self._file is not None

    def acquire(self, seconds: float) -> None:
        """Take the device; nothing happens if it is ours already.

        Raises DeviceBusyError, which says who has it, if nobody lets go within ``seconds``, and
        DeviceError if the file cannot be opened.
        """
        if self.held:
            return
        if fcntl is None:
            raise DeviceError("this operating system has no flock(), which a shared device needs")
        file = self._open()
        try:
            self._lock(file, seconds)
            text = json.dumps({"pid": os.getpid(), "command": _command(), "since": _now()})
            os.ftruncate(file, 0)
            os.pwrite(file, text.encode(), 0)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Let others have the device; nothing happens if it is not ours."""
        if self._file is not None:
            file, self._file = self._file, None
            os.ftruncate(file, 0)
            fcntl.flock(file, fcntl.LOCK_UN)  # a fork may hold a copy of the file
            os.close(file)

    def forget(self) -> None:
        """Close the copy that a fork has made: the lock is the parent's, and ends with it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """The file, made so that every user can open it.

        Linux refuses O_CREAT for another user's file in a folder like this one, even to root
        (fs.protected_regular), so the file is made only where there is none. Everybody may make
        one of this name, so it has to be a file, and no second name of another: it is truncated.
        """
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            for _ in range(10):  # somebody else may make it, or clear the folder, in between
                try:
                    return self._checked(os.open(self.path, flags))
                except FileNotFoundError:
                    pass
                try:
                    file = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                except FileExistsError:
                    continue
                os.fchmod(file, 0o666)  # whatever the umask says
                return file
            raise FileNotFoundError(None, "it appears and disappears")
        except OSError as error:
            raise DeviceError(
                f"cannot open {self.path}, the lock of the device: {error.strerror or error}; "
                "make it readable and writable for you"
            ) from None

    def _checked(self, file: int) -> int:
        """The open file, if it is a regular one with one name; DeviceError, and closed, if not.

        FileNotFoundError if it has been removed meanwhile: others would lock another one.
        """
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            return file
        os.close(file)
        if not found.st_nlink:
            raise FileNotFoundError
        links = f"a file with {found.st_nlink} names" if stat.S_ISREG(found.st_mode) else "no file"
        raise DeviceError(
            f"{self.path}, the lock of the device, is {links}: somebody has put it there; remove it"
        )

    def _lock(self, file: int, seconds: float) -> None:
        begin = time.monotonic()
        progress: Progress | None = None
        try:
            while not _try_lock(file):
                waited = time.monotonic() - begin
                if waited >= seconds:
                    raise DeviceBusyError(
                        f"the device is in use by {_holder(file)}, which has not let go of it "
                        f"within {seconds:g} s: close its Generator (in Jupyter: shut that "
                        "notebook's kernel down) or end the process, or wait longer "
                        "(lock_timeout, --lock-timeout)"
                    )
                if waited > _QUICK_SECONDS:
                    progress = progress or Progress("waiting for the device")
                    progress.stage(f"in use by {_holder(file)}")
                time.sleep(min(_PAUSE, seconds - waited))
        finally:
            if progress is not None:
                progress.__exit__(None, None, None)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: int) -> str:
    """Who has the lock, as far as the file says so and the process is there."""
    try:
        said: Any = json.loads(os.pread(file, 4096, 0))
        pid, command, since = int(said["pid"]), str(said["command"]), str(said["since"])
        os.kill(pid, 0)
    except PermissionError:  # it is there, and somebody else's
        pass
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
    return f"process {pid} ('{one_line(ValueError(command))}', since {since[:19]})"


def _command() -> str:
    words = sys.orig_argv or ["python"]
    return " ".join([Path(words[0]).name, *words[1:]])[:300]


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
