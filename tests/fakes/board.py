"""A pytest plugin (``-p fakes.board``): a machine whose pynq finds a board.

To pynq and winogen it is a real device, with a bitstream that has to be given; behind it is an
emulated one. The environment says which: FAKE_BOARD is its board and data width, ``pynq-z2 8``;
FAKE_FAULT is ``hang`` where the second stream that it runs does not end, ``wrong`` where it
computes wrongly, ``dead`` where it is no accelerator of ours. FAKE_LOCKS is a folder for its lock.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pynq

from winogen.emulation.emulator import EmulatedCore
from winogen.runtime import lock as device_lock
from winogen.runtime.open import emulated_device
from winogen.target.board import load_board
from winogen.target.registers import offset
from winogen.target.traits import BOARD


class Core(EmulatedCore):
    """An emulated core with the fault that is wanted."""

    streams = 0

    def read(self, at: int) -> int:
        dead = FAULT == "dead" and at == offset("MAGIC")
        return 0 if dead else super().read(at)

    def _run(self) -> None:
        type(self).streams += 1
        if FAULT == "hang" and self.streams == 2:
            self._status(load=1)
        else:
            super()._run()
            if FAULT == "wrong":
                self._memory.device_write(self._get64("OUTPUT_BASE"), b"\x55" * 16)


class FakeBoard(pynq.Device):
    """The device that pynq finds: everything is passed on to an emulated one."""

    _probe_priority_ = 50
    traits = BOARD  # as a device of pynq's own, which says nothing of itself

    @classmethod
    def _probe_(cls) -> list[FakeBoard]:
        return [cls()]

    def __init__(self) -> None:
        name, bits = os.environ["FAKE_BOARD"].split()
        board = load_board(name, int(bits))
        super().__init__("fake-board")
        self.inner = emulated_device(board)
        self.inner._core_factory = lambda memory: Core(memory, board)
        self.name = "fake-board"
        self.capabilities = self.inner.capabilities
        self.arch = self.inner.arch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def default_memory(self) -> Any:
        return self.inner.default_memory

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        return self.inner.get_bitfile_metadata(bitfile_name, partial)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        print(f"fake-board: {bitstream.bitfile_name} is loaded")
        self.inner.download(bitstream, parser)
        self.post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        pass

    def close(self) -> None:
        pass


FAULT = os.environ.get("FAKE_FAULT", "")
device_lock._FOLDER = Path(os.environ["FAKE_LOCKS"])  # this machine may have a board of its own
