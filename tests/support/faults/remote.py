"""A board that another machine drives: a cut network, a server that ends, what others left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pytest import MonkeyPatch

from fakes.remote_server import RemoteBoard, Server, serving
from fakes.slow_cores import TINY, Endless
from support.bench import small
from support.children import child
from support.faults.kinds import SAME, fault, refused, told
from support.faults.on_devices import give_back
from winogen.common.errors import WinogenError
from winogen.program.file import Program
from winogen.runtime import lock
from winogen.runtime.generator import Generator
from winogen.runtime.remote import calls
from winogen.runtime.remote.record import PATH

_ENDED = """
import sys
from pathlib import Path
from winogen.runtime import lock
from winogen.runtime.generator import Generator
lock._FOLDER = Path(sys.argv[1])
generator = Generator(sys.argv[2], sys.argv[3], overlay=sys.argv[4], timeout=60)
generator.generate(generator.latents(1))
"""


class OnRemote:
    """Two images on a board behind a server of PYNQ.remote; afterwards the board is as it was.

    Attributes
    ----------
    server : of the board
    options : of the generator
    """

    def __init__(self, folder: Path, server: Server, program: Program) -> None:
        self.folder, self.server, self.program = folder, server, program
        self.board = server.board
        self.clocks = self.board.clocks
        self.options: dict[str, Any] = {}
        self.address = server.device
        self.struck, self.left = 0, list[str]()
        self.patch = MonkeyPatch()
        self._open: Generator | None = None

    @property
    def generator(self) -> Generator:
        if self._open is None:
            self._open = Generator(
                self.program, self.address, overlay=self.board.overlay, **self.options
            )
        return self._open

    def run(self) -> bytes:
        try:
            made = self.generator
            images = made.generate(made.latents(2, seed=5)).tobytes()
        except WinogenError:
            self.close()
            raise
        self.close()
        assert not self.board.broken, "; ".join(self.board.broken)
        assert self.board.clocks == self.clocks, "the clocks were not put back"
        assert not self.board.buffers and not self.board.running
        return images

    def close(self) -> None:
        """What cannot be reached may refuse to."""
        give_back(self._open)
        self._open = None


@contextmanager
def on_remote(folder: Path, device: str) -> Iterator[OnRemote]:
    """Two images on a board that this machine drives over a network."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(RemoteBoard(TINY, folder / "overlay", "Tiny")))
        stage = OnRemote(folder, server, small().program)
        stack.callback(stage.patch.undo)
        stack.callback(stage.close)
        stage.patch.setattr(calls, "_PAUSE_SECONDS", 0.0)
        stage.patch.setattr(lock, "_FOLDER", folder)
        yield stage


_NO_ANSWER = refused("DeviceTimeoutError", "has not answered within 0.5 s", "make a new Generator")


@fault("the network is cut while a stream runs", on_remote, _NO_ANSWER)
def _(stage: OnRemote) -> Any:
    """It was started, and nothing is answered any more, at the session's end neither."""
    stage.generator.generate(stage.generator.latents(2))
    stage.patch.setattr(calls, "_PAUSE_SECONDS", 0.5)
    with stage.server.silent(starts=1):
        yield
    time.sleep(0.6)  # so long nobody tries again


@fault("the network is cut while a buffer is fetched", on_remote, _NO_ANSWER)
def _(stage: OnRemote) -> Any:
    """The output is on its way, and stays there."""
    with stage.server.silent("read_buffer"):
        yield


@fault("the network is cut while the overlay is sent", on_remote, _NO_ANSWER)
def _(stage: OnRemote) -> Any:
    """Half of what opens a board was done."""
    with stage.server.silent("writefile"):
        yield


@fault("nobody listens", on_remote, refused("DeviceError", "no PYNQ.remote server answers at"))
def _(stage: OnRemote) -> None:
    """The address is of no board, or the board is off."""
    stage.address = "remote:127.0.0.1:1"
    stage.patch.setattr(calls, "CONNECT_SECONDS", 0.5)


@fault("no address", on_remote, refused("DeviceError", "is no address of a PYNQ.remote board"))
def _(stage: OnRemote) -> None:
    """Nothing that could be a host and a port."""
    stage.address = "remote:board one:7967"


@fault(
    "the server is started again", on_remote,
    refused("Refusal", "the PYNQ.remote server at", "refuses", "make a new Generator"),
)  # fmt: skip
def _(stage: OnRemote) -> Any:
    """It knows neither the buffers nor the registers of before."""
    stage.generator.generate(stage.generator.latents(1))
    stage.board.maps.clear()
    stage.board.buffers.clear()
    yield
    stage.clocks = stage.board.clocks  # nobody could be told to put them back


@fault("a stale bitstream of the same name", on_remote, SAME)
def _(stage: OnRemote) -> None:
    """The board has a file of the overlay's name, with another bitstream in it."""
    for name in ("winogen.bin", "winogen-remote.bin"):
        stage.board.files[f"/lib/firmware/{name}"] = b"of last year"
    stage.struck += 1


@fault(
    "the board's file system is full", on_remote,
    refused("DeviceError", "does not keep the", "its file system may be full"),
)  # fmt: skip
def _(stage: OnRemote) -> Any:
    """Of a bitstream the first bytes are kept, and the server says nothing of it."""

    class Full(dict[str, bytes]):
        def __setitem__(self, path: str, content: bytes) -> None:
            super().__setitem__(path, content[:40] if "/lib/firmware" in path else content)

    kept = stage.board.files
    stage.board.files = Full(kept)
    yield
    stage.board.files = kept


@fault("the client is killed while a stream runs", on_remote, SAME, long=True)
def _(stage: OnRemote) -> None:
    """kill -9; the next one stops the accelerator before clocks or bitstream change, and frees what
    the server has kept for the killed one."""
    board, path = stage.board, stage.folder / "small.wg"
    stage.program.save(path)
    factory = board.inner._core_factory
    board.inner._core_factory = lambda memory: Endless(memory, TINY)
    command = [sys.executable, "-c", _ENDED, stage.folder, path, stage.address, board.overlay]
    with child(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while not board.running and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    stage.struck += board.running and bool(board.buffers)
    board.inner._core_factory = factory


@fault("another machine has the board", on_remote, told("process 12 of machine lab-2"))
def _(stage: OnRemote) -> None:
    """Its process is at work, or was killed: no lock reaches from machine to machine."""
    boot = stage.board.files["/proc/sys/kernel/random/boot_id"].decode().strip()
    stage.board.files[PATH] = (
        f'{{"boot": "{boot}", "holder": {{"machine": "lab-2", "pid": 12, "since": "noon"}}}}'
    ).encode()


@fault("the record on the board is damaged", on_remote, told("on the board is damaged"))
def _(stage: OnRemote) -> None:
    """What sessions before have written down of the board is no JSON any more."""
    stage.board.files[PATH] = b"{\0"


@fault(
    "a soft error in the board's memory", on_remote,
    refused("CorruptionError", "have changed in the device's memory", "byte 0 reads"),
)  # fmt: skip
def _(stage: OnRemote) -> None:
    """A bit of the weights flips there, and checks read them back."""
    stage.options["check_every"] = 1
    stage.generator.generate(stage.generator.latents(1))
    address = stage.generator._runner.buffers["weights"].device_address
    memory = stage.board.inner.memory
    memory.device_write(address, memory.device_read(address, 1) ^ 1)
