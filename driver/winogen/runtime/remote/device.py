"""A board that is driven over a network: pynq's RemoteDevice, for one that may be gone any time.

What pynq keeps of its one device in its own package's folder, as the bitstream that is loaded and
what to shut down before the next, is nobody's here: there may be several boards, and other
machines use them too. It is in a record on the board, or asked for anew.
"""

from __future__ import annotations

import os
import platform
import re
import threading
import time
import warnings
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from pynq.pl_server import remote_device as theirs
from pynq.pl_server.device import Device
from pynq.registers import Register
from pynq.remote import (
    buffer_pb2,
    buffer_pb2_grpc,
    gpio_pb2_grpc,
    mmio_pb2_grpc,
    remote_device_pb2,
    remote_device_pb2_grpc,
)

from winogen.common.errors import DeviceError, WinogenWarning, one_line
from winogen.runtime.clocks import choose_clocks_of
from winogen.runtime.remote.calls import SLOW_BYTES, Calls, Refusal, joined, pieces, seconds_for
from winogen.runtime.remote.memory import BoardBuffer
from winogen.runtime.remote.record import BoardRecord
from winogen.runtime.session import Session
from winogen.target.device_names import REMOTE, RemoteAddress
from winogen.target.handoff import Handoff, read_handoff
from winogen.target.traits import Traits

_BOOT = "/proc/sys/kernel/random/boot_id"
#: Of the server itself: it names the process, which counts its buffers and registers from nought.
_SERVER = "/proc/self/stat"
_NAME = "/proc/device-tree/chosen/pynq_board"
#: Characters of a boot's name that count: a file of this machine is called by it.
_BOOT_LENGTH = 64
#: A name of our own, written anew for each overlay: pynq sends none where there is a file of its
#: name, whatever is in it.
_FIRMWARE = "winogen-remote.bin"
#: Seconds that the board may take to configure its logic.
_CONFIGURE_SECONDS = 60.0
#: Seconds that it may take to find contiguous memory: its kernel moves pages.
_ALLOCATE_SECONDS = 20.0
#: Longest pause between two looks at STATUS: each is a way there and back, and the board's work.
_POLL_SECONDS = 0.004
#: In place of an identifier: no server gives it.
_ENDED = "ended"
#: Under which a session's end knows a board.
_KEY = "remote board"
#: What of a bitstream's .hwh is needed to stop its accelerator.
_KEPT = ("processor", "accelerator", "clock_source", "clock_mhz")

_boards: weakref.WeakValueDictionary[tuple[int, RemoteAddress], RemoteBoard] = (
    weakref.WeakValueDictionary()
)
#: Of who connects: two threads that open a board at once must have the same.
_connecting = threading.RLock()


def remote_board(address: RemoteAddress) -> RemoteBoard:
    """The board at an address, connected; one of each for a process, by whatever name.

    Raises DeviceError where no PYNQ.remote server answers there.
    """
    key = os.getpid(), address  # a fork has no connection
    with _connecting:  # no longer than a connection and some calls may take
        board = _boards.get(key)
        if board is not None:
            board.look_again()
            return board
        board = RemoteBoard(address)
        for (process, _), other in list(_boards.items()):
            if process == key[0] and board.boot and other.boot == board.boot:
                board = other
                break
        _boards[key] = board
        return board


def _forked() -> None:
    global _connecting
    _connecting = threading.RLock()  # another thread may have held the old one


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class RemoteBoard(theirs.RemoteDevice):
    """A board with an image of PYNQ.remote, driven from here.

    Attributes
    ----------
    board_name : what its image says it is, in small letters; empty where it does not
    boot : names its boot
    server : names the server's process
    session : counts what buffers belong to; those of another number are the server's no more
    record : what outlives a session, on the board
    """

    #: Until an overlay is loaded by way of this object.
    timestamp = ""
    bitfile_name = ""
    boot = ""
    server = ""

    def __init__(self, address: RemoteAddress):
        # Not RemoteDevice's own: it waits for ever as soon as it is connected.
        Device.__init__(self, f"{REMOTE}:{address}")
        self.ip_addr, self.port = address
        self._calls = Calls(address)
        channel = self._calls.connect()
        self.client = SimpleNamespace(channel=channel)
        self._stub = {
            "device": remote_device_pb2_grpc.RemoteDeviceStub(channel),
            "mmio": mmio_pb2_grpc.MmioStub(channel),
            "buffer": buffer_pb2_grpc.RemoteBufferStub(channel),
            "gpio": gpio_pb2_grpc.GpioStub(channel),
        }
        self.capabilities = {"REMOTE": True}
        self.record = BoardRecord(self)
        self._maps: dict[tuple[int, int], Any] = {}
        self.session = self._opened = 0
        self._own: set[str] = set()
        self._forsaken: deque[str] = deque()
        self.look_again()

    def look_again(self) -> None:
        """Whether it has booted since, or is another; DeviceError where it cannot be reached."""
        boot = (self.text_of(_BOOT) or "").strip()
        if not boot or boot != self.boot:
            self._identify()
        self.boot = boot
        server = _process(self.text_of(_SERVER) or "")
        if server != self.server:
            self._forget_server()
        self.server = server

    def _identify(self) -> None:
        version = self.text_of("/proc/version")
        if version is None:
            raise DeviceError(
                f"what answers at {self.tag} is no board: it has no /proc/version; give the "
                "address of a board with an image of PYNQ.remote"
            )
        self.arch = "aarch64" if "aarch64" in version else "armv7l"
        self.name = (self.text_of(_NAME) or "").strip("\0") or "Unknown"
        # A name, and no path of a board file here.
        said = re.fullmatch(r"[\w-]{1,64}", self.name, re.ASCII)
        self.board_name = said[0].lower() if said and said[0] != "Unknown" else ""

    @property
    def traits(self) -> Traits:
        """How it differs from other devices: its lock is for all names that it may have."""
        boot = re.sub(r"[^0-9A-Za-z-]", "", self.boot)[:_BOOT_LENGTH]
        where = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.tag)
        return Traits(
            is_real=True, is_measured=True, takes_limit=False, turn_seconds=None,
            lock_name=f"{REMOTE}-{boot}" if boot else where, poll_seconds=_POLL_SECONDS,
            copied_bytes_per_s=SLOW_BYTES,
        )  # fmt: skip

    def stub(self, name: str) -> Any:
        """pynq's stub of one of the server's services."""
        return self._stub[name]

    # Sessions

    def begin_session(self, session: Session) -> None:
        """Say on the board who has it; a WinogenWarning where a machine says so that is not here.

        The lock is this machine's: of another one nothing keeps it from the board.
        """
        if _KEY in session.at_end:
            return
        self._forget_server()
        self._opened += 1
        held = self.record.read().get("holder")
        if isinstance(held, dict) and held.get("machine") != platform.node():
            pid, machine, since = (
                one_line(ValueError(str(held.get(key)))) for key in ("pid", "machine", "since")
            )
            warnings.warn(
                f"{self.tag} was opened by process {pid} of machine {machine} at {since} of its "
                "clock, and not given back: if that still uses it, end one of the two, which would "
                "disturb each other",
                WinogenWarning,
                stacklevel=3,
            )
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        session.at_end[_KEY] = partial(self._end_session, self._opened)
        self.record.update(holder={"machine": platform.node(), "pid": os.getpid(), "since": now})

    def _forget_server(self) -> None:
        """Ask anew for what a server that was started since does not know.

        It counts again from nought: identifiers of before would be somebody's else's registers.

        Buffers of an accelerator that could not be stopped are in the record: they are freed when
        it has been, and their objects have no say in it any more.
        """
        self._calls.refused_registers.clear()
        for registers in list(self._maps.values()):
            registers.mmio_id = _ENDED
        self._maps.clear()
        self.session += 1
        self._own.clear()
        self._forsaken.clear()

    def _end_session(self, number: int) -> None:
        choose_clocks_of(None, instead_of=self)  # else pynq would keep the connection
        with suppress(DeviceError):  # it cannot be reached: who opens it next sees to it
            if number == self._opened:  # else it has booted since, and another session has it
                self._free_forsaken()
                self._note_buffers()
                self.record.update(holder=None)

    @property
    def loaded_handoff(self) -> Handoff | None:
        """Of the bitstream that a session has loaded, on whatever machine; None: nobody knows."""
        said = self.record.read().get("loaded")
        # Whatever wrote it, another version of winogen or a fault, it may be anything.
        if not isinstance(said, dict) or not said.keys() >= set(_KEPT):
            return None
        handoff = Handoff(**{name: said[name] for name in _KEPT})
        right = isinstance(handoff.processor, str) and isinstance(
            handoff.clock_mhz, (int, float, type(None))
        )
        where = handoff.accelerator
        return handoff if right and isinstance(where, int) and 0 <= where < 1 << 48 else None

    # Overlays

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """What pynq wants to know of an overlay file, read from its .hwh: not from pynq's cache,
        and without interrupts, which PYNQ.remote has none of."""
        handler = theirs._get_bitstream_handler(bitfile_name)
        handler._get_cache = _no_cache
        parser = handler.get_parser(partial=partial)
        if parser is None:
            raise RuntimeError("there is no .hwh")
        parser.interrupt_controllers = {}
        parser.interrupt_pins = {}
        for ip in parser.ip_dict.values():
            ip["interrupts"] = {}
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Send the bitstream, see that it has arrived, and configure the logic with it."""
        if parser is None:
            parser = self.get_bitfile_metadata(bitstream.bitfile_name, bitstream.partial)
        path, data = theirs.FIRMWARE + _FIRMWARE, bytes(parser.bin_data)
        self.write_file(path, data)
        if self.read_file(path, nbytes=len(data)) != data:
            raise DeviceError(
                f"{self.tag} does not keep the {len(data):,} bytes of {bitstream.bitfile_name} in "
                f"{theirs.FIRMWARE}: its file system may be full"
            )
        self.record.update(loaded=None)
        bitstream.binfile_name = _FIRMWARE
        super().download(bitstream, parser)  # finds the file, and sends no more than its name
        handoff = read_handoff(Path(bitstream.bitfile_name))
        if handoff is not None:
            self.record.update(loaded={k: v for k, v in asdict(handoff).items() if k in _KEPT})
        self._free_left()

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Nothing to do: the cache is one for all devices, in pynq's package."""

    def shutdown(self) -> None:
        """Nothing to do: what to shut down pynq would take from the board that it loaded last."""

    def set_axi_port_width(self, parser: Any) -> None:
        """Widths of the ports to memory; pynq's own would set those of its active device."""
        if getattr(parser, "family_ps", "") != "zynq_ultra_ps_e":
            return
        parameters = parser.ip_dict[parser.ps_name]["parameters"]
        for table, values in (
            (theirs.ZU_FPD_SLCR_REG, theirs.ZU_FPD_SLCR_VALUE),
            (theirs.ZU_AXIFM_REG, theirs.ZU_AXIFM_VALUE),
        ):
            for name in table.keys() & parameters.keys():
                for place in table[name].values():
                    first, last = place["field"]
                    register = Register(place["addr"], device=self)
                    register[first:last] = values[parameters[name]]

    # Registers and files

    def mmap(self, address: int, length: int) -> Any:
        """Registers; the same again for who asks again, since the server keeps each for ever."""
        if any(m.mmio_id in self._calls.refused_registers for m in list(self._maps.values())):
            self._forget_server()
        key = address, length
        if key not in self._maps:
            self._maps[key] = super().mmap(address, length)
        return self._maps[key]

    def text_of(self, path: str) -> str | None:
        """What a file of the board's holds; None where there is none."""
        try:
            return str(self.read_file(path).decode(errors="replace"))
        except Refusal as refusal:
            if refusal.missing:
                return None
            raise

    def read_file(self, file_path: str, output_as_string: bool = True, *, nbytes: int = 0) -> bytes:
        """What a file of the board's holds, of about so many bytes."""
        request = remote_device_pb2.ReadFileRequest(file_path=file_path)
        # The server sends a KiB at a time.
        return joined(self._stub["device"].readfile(request, timeout=seconds_for(4 * nbytes)))

    def write_file(self, file_path: str, content: bytes) -> Any:
        """Write a file of the board's, or say the name of a bitstream to its kernel."""
        requests = (
            remote_device_pb2.WriteFileRequest(file_path=file_path, data=piece)
            for piece in pieces(memoryview(content))
        )
        configures = file_path == theirs.BS_FPGA_MAN
        seconds = _CONFIGURE_SECONDS if configures else seconds_for(len(content))
        return self._stub["device"].writefile(requests, timeout=seconds)

    # Memory

    def allocate(self, shape: Any, dtype: npt.DTypeLike, **_: Any) -> BoardBuffer:
        """A buffer of zeros; ``pynq.allocate`` comes here. MemoryError where there is no room."""
        self._free_forsaken()
        dtype = np.dtype(dtype)
        nbytes = np.broadcast_to(np.empty((), dtype), shape).nbytes
        if nbytes >= 1 << 31:  # the protocol has no word for it
            raise MemoryError(f"{self.tag} has no room for {nbytes:,} bytes")
        stub = self._stub["buffer"]
        said = stub.allocate(
            buffer_pb2.AllocateRequest(size=nbytes, dtype=dtype.str, cacheable=True),
            timeout=_ALLOCATE_SECONDS,
        )
        if not said.buffer_id:  # that is all that the server says
            raise MemoryError(f"{self.tag} has no room for {nbytes:,} bytes")
        self._own.add(said.buffer_id)
        try:
            request = buffer_pb2.AddressRequest(buffer_id=said.buffer_id)
            address = int(stub.physical_address(request).address)
            self._note_buffers()
            return BoardBuffer(shape, dtype, self, said.buffer_id, self.session, address)
        except BaseException:
            self.forsake(said.buffer_id, self.session)
            raise

    def free(self, buffer_id: str, session: int) -> None:
        """Free a buffer, now or when the board can be reached again."""
        self.forsake(buffer_id, session)
        with suppress(DeviceError):
            self._free_forsaken()

    def forsake(self, buffer_id: str, session: int) -> None:
        """Have a buffer freed by who allocates next, if it is of this session."""
        if session == self.session:  # a server may give its name to another one
            self._forsaken.append(buffer_id)

    def _free_forsaken(self) -> None:
        while self._forsaken:
            buffer_id = self._forsaken[0]
            self._free(buffer_id)
            with suppress(IndexError, ValueError):  # another thread was as fast
                self._forsaken.remove(buffer_id)
            self._own.discard(buffer_id)

    def _free(self, buffer_id: str) -> None:
        with suppress(Refusal):  # the server knows none of it any more
            self._stub["buffer"].freebuffer(buffer_pb2.FreeBufferRequest(buffer_id=buffer_id))

    def _free_left(self) -> None:
        """Free the buffers of sessions that were killed: the server would keep them for ever."""
        said = self.record.read()
        left = said.get("buffers")
        same = said.get("server", "") == self.server  # else they ended with its process
        for buffer_id in left if same and isinstance(left, list) else ():
            if isinstance(buffer_id, str) and buffer_id not in self._own:
                self._free(buffer_id)
        self._note_buffers()

    def _note_buffers(self) -> None:
        with self.record.lock:  # another thread may have allocated since
            own = sorted(self._own)
            self.record.update(buffers=own or None, server=self.server if own else None)


def _process(stat: str) -> str:
    """What names a process for a boot: its number, and when it began (see proc(5))."""
    fields = stat.rpartition(")")[2].split()
    return f"{stat.split(' ')[0]}-{fields[19]}" if len(fields) > 19 else ""


def _no_cache() -> None:
    raise theirs.CacheMetadataError("it may be of another board")
