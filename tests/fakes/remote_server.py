"""A PYNQ.remote server for tests: pynq's own services, in front of an emulated board.

It does what the server of PYNQ.remote's images does, with its habits: who wants too much memory
gets an answer without an identifier, a file that cannot be opened is NOT_FOUND, buffers stay until
they are freed, whoever asked for them, and any write to ``fpga0/firmware`` is believed. What would
have hurt a board is in ``broken``.

    with serving(board_for(TINY, folder)) as server:
        Generator(program, server.device, overlay=server.board.overlay)
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import grpc
import numpy as np
import pytest

pytest.importorskip("pynq.remote.gpio_pb2_grpc", reason="its client is of pynq 4")

from pynq.pl_server.embedded_device import bit2bin
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    mmio_pb2,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

from winogen.common.errors import ContiguousMemoryError
from winogen.emulation.device import EmulatedDevice
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime.remote.calls import Calls
from winogen.target.board import Board
from winogen.target.clock import CLOCK_REGISTERS
from winogen.target.hwh import IP_BASE, core_parameters
from winogen.target.registers import offset

#: Seconds for which an answer is waited for that does not come.
SILENT = 0.5
#: The calls of pynq's protocol by our names.
METHODS = {
    "read_register": "mmio.Mmio/read",
    "write_register": "mmio.Mmio/write",
    "get_mmio": "/get_mmio",
    "write_buffer": "RemoteBuffer/write",
    "read_buffer": "RemoteBuffer/read",
    "flush": "/flush",
    "invalidate": "/invalidate",
    "readfile": "/readfile",
    "writefile": "/writefile",
    "existsfile": "/existsfile",
}
_MANAGER = "/sys/class/fpga_manager/fpga0/"
_CLOCKS = CLOCK_REGISTERS["zynq7"]


class RemoteBoard:
    """The board: its logic and memory, files, and what was done to it.

    Attributes
    ----------
    files : by their paths
    bitstreams : what the bytes of a bitstream configure: folders of overlays
    overlay : of the board itself
    broken : rules of hardware that were broken
    calls : how often each call was made
    sent : bytes of buffers that came and went
    delay : called at each call with its name, before it is answered
    """

    def __init__(
        self, build: Board, folder: Path, name: str = "Pynq-Z2",
        core: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        core = core or EmulatedCore
        self.inner = EmulatedDevice(
            lambda memory: core(memory, build),
            parameters=core_parameters(build.core),
            memory_bytes=(build.contiguous_mib + 64) << 20,
            contiguous_bytes=build.contiguous_mib << 20,
            clock_mhz=build.clock_mhz,
        )
        self.overlay = self.inner.ensure_overlay(folder)
        self.bitstreams = {bit2bin(self.overlay.read_bytes()): self.overlay}
        self.broken: list[str] = []
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.starts = 0
        self.numbers = itertools.count()
        self.delay: Callable[[str], object] = lambda name: None
        self.lock = threading.RLock()
        self.buffers: dict[str, Any] = {}
        self.maps: dict[str, int] = {}
        self.files = {
            "/proc/version": b"Linux version 6.6 (armv7l)\n",
            "/proc/device-tree/chosen/pynq_board": name.encode() + b"\0",
            _MANAGER + "state": b"operating\n",
            _MANAGER + "flags": b"0\n",
        }
        self.boot()

    def boot(self) -> None:
        """As after a boot: an empty logic, no buffers, and nothing in /run."""
        self.buffers.clear()
        self.maps.clear()
        self.files = {path: f for path, f in self.files.items() if not path.startswith("/run/")}
        self.files["/proc/sys/kernel/random/boot_id"] = b"%032x\n" % time.monotonic_ns()
        self.inner.core, self.inner._logic = None, []

    @property
    def running(self) -> bool:
        """Whether the accelerator is at work."""
        return bool(getattr(self.inner.core, "running", False))

    @property
    def clocks(self) -> list[int]:
        """The registers of the logic's clocks."""
        return [self.inner._slcr.read(at) for at in _CLOCKS.offsets]

    def configure(self) -> None:
        """Load the file that the kernel was given the name of."""
        name = self.files[_MANAGER + "firmware"].decode()
        if self.running:
            self.broken.append("another overlay was loaded while the accelerator ran")
        found = self.bitstreams.get(self.files.get(f"/lib/firmware/{name}", b""))
        self.inner.core, self.inner._logic = None, []
        if found is not None:
            self.inner.download(SimpleNamespace(bitfile_name=str(found), partial=False))


class _Services(
    remote_device_pb2_grpc.RemoteDeviceServicer,
    mmio_pb2_grpc.MmioServicer,
    buffer_pb2_grpc.RemoteBufferServicer,
):
    """Files and the FPGA manager; the others are below."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board

    def _begin(self, name: str) -> None:
        self.board.calls[name] += 1
        self.board.delay(name)

    def set_bitstream_attrs(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.SetBitstreamAttrsResponse()

    def existsfile(self, request: Any, context: Any) -> Any:
        self._begin("existsfile")
        exists = request.file_path in self.board.files
        return remote_device_pb2.ExistsFileResponse(exists=exists)

    def readfile(self, request: Any, context: Any) -> Iterator[Any]:
        self._begin("readfile")
        content = self.board.files.get(request.file_path)
        if content is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "File not found")
        for at in range(0, len(content), 1024):
            yield remote_device_pb2.ReadFileResponse(data=content[at : at + 1024])

    def writefile(self, requests: Iterator[Any], context: Any) -> Any:
        self._begin("writefile")
        pieces = list(requests)
        path = pieces[0].file_path
        self.board.files[path] = b"".join(piece.data for piece in pieces)
        if path == _MANAGER + "firmware":
            with self.board.lock:
                self.board.configure()
        return remote_device_pb2.WriteFileResponse()


class _Registers(_Services):
    def get_mmio(self, request: Any, context: Any) -> Any:
        self._begin("get_mmio")
        name = f"m{next(self.board.numbers)}"
        self.board.maps[name] = request.base_addr
        return mmio_pb2.GetMmioResponse(mmio_id=name)

    def read(self, request: Any, context: Any) -> Any:
        self._begin("read_register")
        address = self._address(request, context)
        with self.board.lock:
            try:
                data = self.board.inner.read_registers(address, 4)
            except Exception as error:
                self._broken(context, f"the bus hangs: {error}")
        return mmio_pb2.ReadResponse(data=int.from_bytes(data, "little"))

    def write(self, request: Any, context: Any) -> Any:
        self._begin("write_register")
        address = self._address(request, context)
        clock = _CLOCKS.base <= address < _CLOCKS.base + _CLOCKS.size
        with self.board.lock:
            if clock and self.board.running:
                self.board.broken.append("a clock was changed while the accelerator ran")
            try:
                self.board.inner.write_registers(address, request.data)
            except Exception as error:
                self._broken(context, f"the bus hangs: {error}")
        if address == IP_BASE + offset("CONTROL"):
            self.board.calls["control"] += 1
        return mmio_pb2.WriteResponse()

    def _address(self, request: Any, context: Any) -> int:
        if request.mmio_id not in self.board.maps:
            context.abort(grpc.StatusCode.NOT_FOUND, f"MMIO not found: {request.mmio_id}")
        return self.board.maps[request.mmio_id] + request.offset

    def _broken(self, context: Any, why: str) -> None:
        self.board.broken.append(why)
        context.abort(grpc.StatusCode.UNKNOWN, "the server has died")


class _Buffers(_Services):
    def allocate(self, request: Any, context: Any) -> Any:
        self._begin("allocate")
        with self.board.lock:
            try:
                memory = self.board.inner.default_memory
                buffer = memory.allocate((request.size,), np.uint8, cacheable=1)
            except ContiguousMemoryError:
                return buffer_pb2.AllocateResponse()
            name = f"b{next(self.board.numbers)}"
            self.board.buffers[name] = buffer
        return buffer_pb2.AllocateResponse(buffer_id=name)

    def _of(self, request: Any, context: Any) -> Any:
        if request.buffer_id not in self.board.buffers:
            context.abort(grpc.StatusCode.NOT_FOUND, "Buffer not found.")
        return self.board.buffers[request.buffer_id]

    def freebuffer(self, request: Any, context: Any) -> Any:
        self._begin("freebuffer")
        with self.board.lock:
            if self.board.running:
                self.board.broken.append("memory was freed while the accelerator ran")
            self._of(request, context).freebuffer()
            del self.board.buffers[request.buffer_id]
        return buffer_pb2.FreeBufferResponse()

    def write(self, requests: Iterator[Any], context: Any) -> Any:
        self._begin("write_buffer")
        at = 0
        for request in requests:
            buffer = self._of(request, context)
            if at + len(request.data) > buffer.nbytes:
                return buffer_pb2.BufferWriteResponse(msg="Buffer overflow.")
            buffer[at : at + len(request.data)] = np.frombuffer(request.data, np.uint8)
            at += len(request.data)
        self.board.sent += at
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Iterator[Any]:
        self._begin("read_buffer")
        data = bytes(np.asarray(self._of(request, context)))
        self.board.sent += len(data)
        for at in range(0, len(data), 1 << 20):
            yield buffer_pb2.BufferReadResponse(data=data[at : at + (1 << 20)])

    def flush(self, request: Any, context: Any) -> Any:
        self._begin("flush")
        with self.board.lock:
            self._of(request, context).flush()
        return buffer_pb2.FlushResponse()

    def invalidate(self, request: Any, context: Any) -> Any:
        self._begin("invalidate")
        with self.board.lock:
            self._of(request, context).invalidate()
        return buffer_pb2.InvalidateResponse()

    def physical_address(self, request: Any, context: Any) -> Any:
        self._begin("physical_address")
        address = self._of(request, context).device_address
        return buffer_pb2.AddressResponse(address=address)


class Server:
    """A server of a board; it can be stopped, and started again at the same port."""

    def __init__(self, board: RemoteBoard) -> None:
        self.board = board
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def device(self) -> str:
        """What winogen calls it."""
        return f"remote:{self.address}"

    def start(self) -> None:
        """A new process, which counts from nought."""
        self.board.numbers = itertools.count()
        self.board.starts += 1
        fields = " ".join(["0"] * 18)
        stat = f"{300 + self.board.starts} (pynq-remote) S {fields} {self.board.starts} 0\n"
        self.board.files["/proc/self/stat"] = stat.encode()
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(
            _Services(self.board), self._server
        )
        mmio_pb2_grpc.add_MmioServicer_to_server(_Registers(self.board), self._server)
        buffer_pb2_grpc.add_RemoteBufferServicer_to_server(_Buffers(self.board), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        """End it, and all connections."""
        self._server.stop(0).wait(10)
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def silent(self, *names: str, starts: int = 0) -> Iterator[None]:
        """It takes calls and answers none, or none of these names, as behind a cut cable; once the
        accelerator was started (or reset) so often. Calls of these names are waited for SILENT
        seconds, and others as long as ever: a machine may be slow."""
        over = threading.Event()
        before, calls = self.board.delay, self.board.calls
        first = calls["control"] + starts

        def delay(name: str) -> None:
            if calls["control"] >= first and (not names or name in names):
                over.wait(60)

        self.board.delay = delay
        real = Calls._made

        def made(own: Calls, details: Any, make: Any) -> Any:
            method = details.method
            method = method.decode() if isinstance(method, bytes) else method
            if not names or any(method.endswith(METHODS[name]) for name in names):
                details = details._replace(timeout=SILENT)
            return real(own, details, make)

        try:
            with patch.object(Calls, "_made", made):
                yield
        finally:
            self.board.delay = before
            over.set()


@contextmanager
def serving(board: RemoteBoard) -> Iterator[Server]:
    """A server of a board, until the context ends."""
    server = Server(board)
    try:
        yield server
    finally:
        board.delay = lambda name: None
        server.stop()
