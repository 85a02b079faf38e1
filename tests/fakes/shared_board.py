"""A board that outlives the processes which use it, so that they can be killed.

The board is the process of the test; those that use it are forks of it, which reach registers,
clocks and bitstream through a pipe, and share the memory. So what a killed one leaves running is
there when the next one comes, and the board says which rules of hardware were broken.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pynq

from fakes.slow_cores import Delayed
from fakes.unseen import unseen
from winogen.emulation.device import EmulatedDevice
from winogen.target.board import load_board
from winogen.target.clock import CLOCK_REGISTERS
from winogen.target.hwh import core_parameters
from winogen.target.registers import offset
from winogen.target.traits import BOARD

TINY = load_board("tiny")
_CLOCKS = CLOCK_REGISTERS["zynq7"]
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class Core(Delayed):
    """A stream is under way until STATUS is read for the fourth time.

    A reset ends it once memory has answered what it ``owed``: looks at STATUS too.
    """

    looks = 4
    owed = 3
    stopping = False

    def _control(self, command: Any) -> None:
        if command["reset"] and self.running:
            self.stopping, self.left = True, self.owed
        else:
            super()._control(command)

    def read(self, at: int) -> int:
        if not (self.stopping and at == offset("STATUS")):
            return super().read(at)
        self.left -= 1
        if self.left > 0:
            return 0
        self.stopping = self.running = False
        super()._control({"reset": 1, "start": 0})
        return super().read(at)


class SharedBoard:
    """The board; ``broken`` are the rules that were broken, ``log`` all that was asked for."""

    def __init__(self, folder: Path) -> None:
        self.inner = EmulatedDevice(
            lambda memory: Core(memory, TINY),
            parameters=core_parameters(TINY.core),
            memory_bytes=32 << 20,
            contiguous_bytes=16 << 20,
            clock_mhz=150,
            clock_source="DDR PLL",
        )
        unseen(self.inner)
        memory = self.inner.memory
        memory.host, memory._device = (
            np.frombuffer(mmap.mmap(-1, memory.size), np.uint8) for _ in range(2)
        )
        self.overlay = self.inner.ensure_overlay(folder)
        self.broken: list[str] = []
        self.log: list[tuple[str, int]] = []
        self.other_overlay(folder)

    def other_overlay(self, folder: Path) -> None:
        """Somebody else's, at whose addresses nothing of ours answers."""
        self.inner.loaded_bitstream = folder / "base.bit"
        (folder / "base.hwh").write_text("<EDKSYSTEM/>")
        self.inner.core = None
        self.inner._logic = []

    @property
    def clocks(self) -> list[int]:
        """The registers of the logic's clocks."""
        slcr = self.inner._slcr
        return [slcr.read(at) for at in _CLOCKS.offsets]

    @property
    def running(self) -> bool:
        """Whether the accelerator is at work, or memory owes it something."""
        return bool(self.inner.core and self.inner.core.running)

    def serve(
        self,
        use: Callable[[Any], None],
        number: signal.Signals | None = None,
        at: int = 0,
        after: float | None = None,
    ) -> int:
        """Let a process use the board; its exit status, or minus the signal that ended it.

        It gets the signal ``number`` once it has asked for something ``at`` times, or so many
        seconds ``after`` it first has, whatever it does then.
        """
        ours, theirs = Pipe()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            try:
                ours.close()
                _run(lambda: use(_Device(self.inner, self.overlay, theirs)))
            finally:
                os._exit(1)  # whatever strikes: there is one process that goes on with the tests
        theirs.close()
        asked = 0
        strike = threading.Timer(after or 0, os.kill, (pid, number))
        try:
            while True:
                if not ours.poll(_SILENT_SECONDS):
                    os.kill(pid, signal.SIGKILL)
                    raise AssertionError(f"the process did nothing for {_SILENT_SECONDS} s")
                try:
                    request = ours.recv()
                except (EOFError, ConnectionResetError):
                    break
                answer = self._answer(*request)
                asked += 1
                if asked == 1 and after is not None:
                    strike.start()
                if asked == at and number is not None:
                    os.kill(pid, number)
                with contextlib.suppress(BrokenPipeError):
                    ours.send(answer)
        finally:
            ours.close()
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its number is its own still
            strike.cancel()
            if strike.ident:
                strike.join()
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _answer(self, what: str, address: int = 0, data: Any = None) -> Any:
        self.log.append((what, address))
        if what == "loaded":
            return self.inner.loaded_bitstream
        if what == "note":  # pynq writes down what it is about to load
            self.inner.loaded_bitstream = data
            return None
        if what == "download":
            if self.running:
                self.broken.append("another overlay was loaded while the accelerator ran")
            self.inner.download(SimpleNamespace(bitfile_name=str(data), partial=False))
            return None
        clock = _CLOCKS.base <= address < _CLOCKS.base + _CLOCKS.size
        if clock and what == "write" and self.running:
            self.broken.append("a clock was changed while the accelerator ran")
        try:
            if what == "read":
                return self.inner.read_registers(address, data)
            return self.inner.write_registers(address, data)
        except Exception as error:
            self.broken.append(f"the bus hangs: {error}")
            return bytes(4)


class _Device(pynq.Device):
    """The board as one of its processes sees it: to winogen, a device of pynq's own."""

    traits = BOARD

    def __init__(self, inner: EmulatedDevice, overlay: Path, board: Connection) -> None:
        super().__init__("shared-board")
        self.overlay = overlay
        self.inner = inner
        self.name = "shared-board"
        self.capabilities = inner.capabilities
        self.arch = inner.arch
        self._board = board
        self._bus = ThreadPoolExecutor(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _ask(self, *request: Any) -> Any:
        # A register access is whole or not at all, whatever signal comes, and whatever thread it
        # comes to: Python raises what it does in the main one, which blocked signals don't stop.
        return self._bus.submit(self._exchange, request).result()

    def _exchange(self, request: tuple[Any, ...]) -> Any:
        self._board.send(request)
        return self._board.recv()

    @property
    def loaded_bitstream(self) -> Path:
        return self._ask("loaded")

    @property
    def default_memory(self) -> Any:
        return self.inner.default_memory

    def read_registers(self, address: int, length: int) -> bytes:
        return self._ask("read", address, length)

    def write_registers(self, address: int, data: bytes) -> None:
        self._ask("write", address, bytes(data))

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        return self.inner.get_bitfile_metadata(bitfile_name, partial)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        self._ask("note", 0, Path(bitstream.bitfile_name))
        self._ask("download", 0, Path(bitstream.bitfile_name))
        self.post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        pass

    def close(self) -> None:
        pass


#: A process that uses a board for a moment and is silent for so long hangs.
_SILENT_SECONDS = 300


def _run(use: Callable[[], None]) -> None:
    """The whole life of a process that uses the board."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        use()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        for _ in range(2):  # one that is on its way is raised by this itself
            with contextlib.suppress(BaseException):
                for number in _SIGNALS:  # whatever thread they come to
                    signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(BaseException):
            gc.collect()  # what is not closed is gone now
        sys.stderr.flush()
        os._exit(status)
