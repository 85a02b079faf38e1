"""Buffers as the installed pynq makes them on a board: its own code, over a stand-in for XRT."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
from pynq.pl_server import xrt_device
from pynq.pl_server.xrt_device import XrtDevice, XrtMemory

from winogen.runtime.buffers import Buffers


class Xrt:
    """What pynq asks of XRT for a buffer."""

    def __init__(self) -> None:
        self.flags: list[str] = []
        kinds = SimpleNamespace(cacheable="cacheable", normal="normal")
        self.bo = lambda handle, size, flags, index: self.flags.append(flags) or bytearray(size)
        self.bo.flags = kinds
        self.xclBOSyncDirection = SimpleNamespace(
            XCL_BO_SYNC_BO_TO_DEVICE=0, XCL_BO_SYNC_BO_FROM_DEVICE=1
        )


class Board:
    """A device whose buffers come by way of pynq's own code for boards."""

    allocate_bo = XrtDevice.allocate_bo

    def __init__(self) -> None:
        self.handle = object()
        self.memory = XrtMemory(self, {"idx": 0, "size": 1 << 29, "base_address": 0})

    def allocate(self, shape, dtype, **kwargs):
        return self.memory.allocate(shape, dtype, **kwargs)

    def map_bo(self, bo):
        return bo

    def get_device_address(self, bo):
        return 0x1800_0000

    def flush(self, bo, offset, address, size):
        pass


@pytest.fixture
def xrt(monkeypatch) -> Xrt:
    made = Xrt()
    monkeypatch.setattr(xrt_device, "pyxrt", made, raising=False)
    return made


def test_buffers_are_cached_and_pynq_s_own_are_not(xrt):
    """winogen's word for it is pynq's, in whatever version is installed."""
    board = Board()
    buffer = Buffers(board, "digits").upload("weights", bytes(range(64)))
    own = board.allocate((64,), "u1")
    assert xrt.flags == ["cacheable", "normal"]
    assert bytes(buffer) == bytes(range(64))
    for made in (buffer, own):
        made.freed = True  # there is no mapping of XRT's to undo


def test_pynq_s_signatures_have_the_word():
    parameters = inspect.signature(xrt_device._xrt_allocate).parameters
    assert parameters["cacheable"].default == 0, "which is uncached"
    assert "cacheable" in inspect.signature(XrtDevice.allocate_bo).parameters
