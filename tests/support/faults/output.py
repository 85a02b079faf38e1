"""Where results go: folders and disks that do not take them, and processes that end meanwhile."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.faults.kinds import SAME, Expected, fault, refused
from support.faults.on_commands import OnCommand, compile_folder, run_program
from winogen.common import files
from winogen.runtime.runner import Runner


def _there(name: str, what: str, make: Callable[[OnCommand], Any], expected: Expected) -> None:
    """Something is where the output should go."""

    def inject(stage: OnCommand) -> None:
        made = make(stage)
        stage.out = made if isinstance(made, Path) else stage.out

    fault(name, run_program, expected, what=what)(inject)


def _refused(*words: str) -> Expected:
    return refused("exit 2", "cannot write", *words)


def _named(stage: OnCommand, make: Callable[[Path], object]) -> Path:
    """A thing in the output's folder that the command may not remove."""
    path = stage.folder / "out" / "thing.png"
    make(path)
    return path


def _kept(stage: OnCommand, make: Callable[[Path], object]) -> None:
    """The output's path leads to the thing, and stays."""
    thing = _named(stage, make)
    words = stage.words
    stage.words = lambda s: [*words(s)[:-1], thing]


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)  # its name is bounded
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def _loop(path: Path) -> None:
    path.symlink_to(path)


_there(
    "output's folder is not there",
    "A folder that nobody has made.",
    lambda s: s.folder / "none" / "a.png",
    _refused("does not exist"),
)
_there(
    "output is a folder",
    "A folder has the output's name.",
    lambda s: _kept(s, lambda p: p.mkdir()),
    _refused("it is a folder"),
)
_there(
    "output is a pipe",
    "A FIFO, which nobody reads.",
    lambda s: _kept(s, os.mkfifo),
    _refused("nobody has opened it to read"),
)
_there(
    "output is a socket",
    "A socket has the output's name.",
    lambda s: _kept(s, _socket),
    _refused("it is a socket"),
)
_there(
    "output is a link to itself",
    "A symlink that leads to itself.",
    lambda s: _kept(s, _loop),
    _refused("too many symbolic links"),
)
_there(
    "output on a full device",
    "The output is a link to /dev/full.",
    lambda s: _kept(s, lambda p: p.symlink_to("/dev/full")),
    _refused("No space left on device"),
)
_there(
    "output where nothing can be written",
    "The output is in /proc.",
    lambda s: Path("/proc/out.png"),
    _refused("/proc"),
)
_there(
    "output's name is too long",
    "A name of 300 letters.",
    lambda s: s.folder / ("n" * 300 + ".png"),
    _refused("too long"),
)
_there(
    "output of an unknown kind",
    "A suffix that nothing is written as.",
    lambda s: s.folder / "out.tiffany",
    refused("exit 2", ".png"),
)


@fault("output's folder vanishes meanwhile", run_program, _refused("out.png"))
def _(stage: OnCommand) -> Any:
    """It is removed while the images are made."""
    real = Runner._run_stream

    def run(self: Runner, *arguments: Any) -> Any:
        stage.out.parent.rmdir()
        stage.patch.setattr(Runner, "_run_stream", real)
        return real(self, *arguments)

    stage.patch.setattr(Runner, "_run_stream", run)
    yield
    stage.out.parent.mkdir(exist_ok=True)


@fault("disk fills up meanwhile", run_program, _refused("out.png", "File too large"))
def _(stage: OnCommand) -> Any:
    """No file may grow beyond 100 bytes: the output is not half there."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    stage.in_fork = limit
    yield
    stage.in_fork = None


@fault("disk is full as it is flushed", run_program, _refused("No space left on device"))
def _(stage: OnCommand) -> Any:
    """fsync finds that there is no room: the old file stays."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    stage.patch.setattr(files.os, "fsync", full)
    yield
    stage.patch.undo()


@fault("disk is read-only", compile_folder, _refused("Read-only file system"))
def _(stage: OnCommand) -> Any:
    """A new file cannot be made: it is said before the network is compiled."""
    real = os.open

    def read_only(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(stage.folder)):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *more, **others)

    stage.patch.setattr(files.os, "open", read_only)
    yield
    stage.patch.undo()


def _prints_to(number: int) -> Callable[[], None]:
    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)

    return full


@fault("what is printed finds no room", run_program, refused("exit 2", "No space left on device"))
def _(stage: OnCommand) -> None:
    """Standard output is /dev/full."""
    stage.in_fork = _prints_to(1)
    stage.made = ["out/out.png"]


@fault("nobody reads what is printed", run_program, SAME)
def _(stage: OnCommand) -> None:
    """Standard output is a pipe whose reader has gone: the images are there all the same."""

    def gone() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)

    stage.in_fork = gone
    stage.strike()


@fault("standard streams are closed", run_program, SAME)
def _(stage: OnCommand) -> None:
    """What is printed must not get into the first file that is opened."""

    def close() -> None:
        for number in (0, 1, 2):
            os.close(number)

    stage.in_fork = close
    stage.strike()


@fault(
    "the working directory is gone",
    run_program,
    refused("exit 2", "the working directory cannot be used"),
)
def _(stage: OnCommand) -> Any:
    """Somebody has removed it."""

    def remove() -> None:
        gone = stage.folder / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    stage.in_fork = remove
    yield
    stage.in_fork = None


@fault("the cache cannot be written", run_program, SAME)
def _(stage: OnCommand) -> None:
    """XDG_CACHE_HOME is a file: a temporary folder does, and that is said."""
    (stage.folder / "cache").write_text("")
    stage.patch.setenv("XDG_CACHE_HOME", str(stage.folder / "cache"))
    stage.strike()


# The end of the process


def _strikes(number: int, where: str, stage: OnCommand) -> Any:
    """The process gets a signal at a certain point of its work."""

    def strike(*_: Any) -> None:
        os.kill(os.getpid(), number)

    def patched() -> None:
        if where == "run":
            real = Runner._run_stream
            Runner._run_stream = lambda s, *a: (strike(), real(s, *a))[1]  # type: ignore
        else:
            files.os.replace = strike

    stage.in_fork = patched
    yield
    stage.in_fork = None


def _signal(name: str, what: str, number: int, where: str, expected: Expected) -> None:
    def inject(stage: OnCommand) -> Any:
        yield from _strikes(number, where, stage)

    fault(name, run_program, expected, what=what)(inject)


_signal(
    "Ctrl-C while it runs",
    "SIGINT in the middle of a run.",
    signal.SIGINT,
    "run",
    refused("exit 130", "interrupted"),
)
_signal(
    "SIGTERM while it runs",
    "SIGTERM in the middle of a run.",
    signal.SIGTERM,
    "run",
    refused("exit 143", "it ended with 143"),
)
_signal(
    "SIGTERM while it writes",
    "SIGTERM before the file has its name: nothing is left.",
    signal.SIGTERM,
    "write",
    refused("exit 143", "it ended with 143"),
)


@fault("kill -9 while it writes", run_program, refused("SIGKILL", "it ended with -9"))
def _(stage: OnCommand) -> Any:
    """SIGKILL before the file has its name: the next command removes what was left."""
    stage.tolerated = ".winogen-"
    yield from _strikes(signal.SIGKILL, "write", stage)
    stage.tolerated = ""
