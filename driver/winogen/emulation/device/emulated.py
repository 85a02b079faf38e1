"""A PYNQ board without the board: a ``pynq.Device`` around an emulated or simulated core.

``pynq.Overlay``, ``pynq.allocate``, ``PynqBuffer.flush`` and ``invalidate``, ``pynq.MMIO``,
register maps, ``pynq.Clocks`` and ``pynq.Interrupt`` are pynq's own code and work on it as they do
on a board, so a program needs no second path for a laptop::

    device = EmulatedDevice(MyCore)
    overlay = pynq.Overlay(str(device.ensure_overlay()), device=device)
    buffer = pynq.allocate((1, 100), "i1", target=device)

With ``pynq.Device.active_device = device`` first, the ``device=`` and ``target=`` go away too.
"""

from __future__ import annotations

import itertools
import re
import struct
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import pynq.interrupt
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.pl_server.device import Device
from pynq.ps import ZYNQ_ARCH, Clocks
from pynqmetadata.frontends import Metadata

from winogen.common.folders import writable_folder
from winogen.emulation.device.allocator import ContiguousPool
from winogen.emulation.device.bank import Allocation, MemoryBank
from winogen.emulation.device.core import Core, CoreFactory
from winogen.emulation.device.errors import BusError, OverlayError
from winogen.emulation.device.intc import EmulatedUio, Intc
from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.device.ps7 import Afi, Slcr
from winogen.target import bitfile
from winogen.target.clock import SLCR_BASE, SLCR_SIZE, PlClock
from winogen.target.hwh import INTC_BASE, INTC_NAME, INTC_RANGE, IP_BASE, IP_NAME, hwh_text
from winogen.target.ports import PORT_REGISTERS, PORT_SIZE
from winogen.target.registers import ADDRESS_RANGE, ErrorCode
from winogen.target.traits import Traits

MIB = 1 << 20

#: Where the emulated DDR begins. The first MiB of a Zynq is on-chip memory and the kernel's, and
#: never holds a buffer; left out, it turns a base register that nobody set into a DECERR.
DDR_BASE = MIB

#: How long a run may keep other threads from the device: it takes what it takes, within a register
#: access.
TURN_SECONDS = 24 * 3600.0


class _Registers(Protocol):
    def read(self, offset: int) -> int: ...
    def write(self, offset: int, value: int) -> None: ...


class _Slave(NamedTuple):
    """A range of the register bus and what answers there."""

    name: str
    base: int
    size: int
    registers: _Registers


class EmulatedDevice(Device):
    """A Zynq-7000 board with 512 MiB of DDR, as far as pynq looks at it.

    Loading an overlay (``pynq.Overlay``) builds a new core with ``core_factory``; until then the
    logic is empty and nothing answers at its addresses.

    Interrupts: pynq looks only at ``Device.active_device`` for them, so the accelerator's driver
    has its ``interrupt`` attribute if this is the active device when the overlay is made, and
    has to poll STATUS if it is not.

    Parameters
    ----------
    core_factory : builds the core around the emulated memory, in its reset state
    name : what ``device.name`` says
    parameters : build parameters of the core, shown in ``ip_dict["winogen_0"]["parameters"]``
    memory_bytes : DDR of the board, in bytes; it takes room as it is touched
    contiguous_bytes : bytes for buffers; PYNQ images for Z1 and Z2 reserve 128 MiB
    clock_mhz : wanted clock of the logic; the processing system reaches the next one that is not
        faster
    clock_source : the PLL that the design wants: ``IO PLL``, as after boot, or ``DDR PLL``
    lock_name : devices of this name are one to all processes, which lock it as they do a board;
        letters, digits, ``-`` and ``_``. By default this one, whose memory is this process's,
        needs no lock

    Attributes
    ----------
    memory : the DDR
    core : what is in the logic now
    loaded_bitstream : the file that it came from, None while the logic is empty
    """

    _probe_priority_ = 10_000  # after every real device
    _offers: ClassVar[list[Callable[[], EmulatedDevice]]] = []
    _alive: ClassVar[weakref.WeakValueDictionary[int, EmulatedDevice]] = (
        weakref.WeakValueDictionary()
    )
    _serials = itertools.count()

    def __init__(
        self,
        core_factory: CoreFactory,
        *,
        name: str = "emulator",
        parameters: Mapping[str, str | int] | None = None,
        memory_bytes: int = 512 * MIB,
        contiguous_bytes: int = 128 * MIB,
        clock_mhz: float = 100.0,
        clock_source: str = "IO PLL",
        lock_name: str | None = None,
    ) -> None:
        if lock_name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", lock_name):
            raise ValueError(f"a lock's name is letters, digits, - and _, not {lock_name!r}")
        serial = next(self._serials)
        super().__init__(f"{name}:{serial}")
        if contiguous_bytes > memory_bytes - DDR_BASE:
            raise ValueError(
                f"contiguous_bytes={contiguous_bytes} do not fit: memory_bytes={memory_bytes} "
                f"leave {memory_bytes - DDR_BASE} above the first MiB"
            )
        self.name = name
        self.arch = ZYNQ_ARCH
        self.capabilities = {"REGISTER_RW": True}
        self.lock_name = lock_name
        # Cores are not made for several threads: the interrupt's looks at the core as well.
        self._bus = threading.RLock()
        self.memory = EmulatedMemory(DDR_BASE, memory_bytes - DDR_BASE)
        self.core: Core | None = None
        self.loaded_bitstream: Path | None = None
        self._core_factory = core_factory
        self._pool = ContiguousPool(memory_bytes - contiguous_bytes, contiguous_bytes)
        clock = PlClock.at_most(clock_mhz, clock_source)
        self._slcr = Slcr(clock)
        self._hwh = hwh_text(parameters or {}, clock, memory_bytes)
        self._processing_system = [
            _Slave("SLCR", SLCR_BASE, SLCR_SIZE, self._slcr),
            *(
                _Slave(name, port.base, PORT_SIZE, Afi(port.base))
                for name, port in PORT_REGISTERS["zynq7"].items()
            ),
        ]
        self._logic: list[_Slave] = []
        self._intc = Intc(self._interrupt_level)
        self._irq = f"{self.tag} IRQ_F2P[0]"  # pynq's key of the interrupt line; a board's number
        self._open_uio()
        self._alive[serial] = self

    # Discovery

    @classmethod
    def offer(cls, make: Callable[[], EmulatedDevice]) -> None:
        """Let pynq find ``make()`` when it looks for devices, which it does once, at first use.

        It finds the devices that exist by then too; the first one becomes ``active_device``
        unless there is a real board or the program chooses.
        """
        cls._offers.append(make)

    @classmethod
    def _probe_(cls) -> list[EmulatedDevice]:
        return [*cls._alive.values(), *(make() for make in cls._offers)]

    # Overlays

    def ensure_overlay(self, directory: str | Path | None = None) -> Path:
        """The overlay of this device, written where it is missing.

        Parameters
        ----------
        directory : where to; the user's cache by default, in a folder of this build's own, or, with
            a warning, a temporary folder where that cannot be written

        Returns
        -------
        ``winogen.bit``, which is text and no bitstream, with ``winogen.hwh`` beside it.
        """
        if directory is not None:
            folder = Path(directory)
        else:
            folder = bitfile.cache_directory(self._hwh)
            if not bitfile.is_written(folder, self._hwh):
                folder = writable_folder(folder)
        return bitfile.write_overlay(folder, self._hwh)

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """What pynq wants to know of an overlay file.

        Raises
        ------
        OverlayError : the file is not the overlay of this device (see ``ensure_overlay``)
        """
        self._check_overlay(Path(bitfile_name), partial)
        parser = RuntimeMetadataParser(Metadata(input=str(Path(bitfile_name).with_suffix(".hwh"))))
        parser.mem_dict["PSDDR"] = {
            "type": "MEM_DDR3",
            "tag": "PSDDR",
            "idx": 0,
            "base_address": self.memory.base,
            "size": self.memory.size,
            "streaming": False,
            "used": 1,
        }
        if self._is_active():
            parser.interrupt_controllers[INTC_NAME]["raw_irq"] = self._irq
        else:
            parser.interrupt_controllers = {}
            parser.interrupt_pins = {}
            for ip in parser.ip_dict.values():
                ip["interrupts"] = {}
        # Clocks keeps the registers of the first device that it met for good.
        if "_real_instance" in vars(Clocks):
            del Clocks._real_instance
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Configure the logic: a new core, in its reset state (``pynq.Bitstream`` calls this)."""
        if parser is None:
            parser = self.get_bitfile_metadata(bitstream.bitfile_name, bitstream.partial)
        self.core = self._core_factory(self.memory)
        self.loaded_bitstream = Path(bitstream.bitfile_name)
        self._intc = Intc(self._interrupt_level)
        self._logic = [
            _Slave(IP_NAME, IP_BASE, ADDRESS_RANGE, self.core),
            _Slave(INTC_NAME, INTC_BASE, INTC_RANGE, self._intc),
        ]
        self.post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Nothing to do: pynq's cache of parsed overlays lies in its own package folder."""

    def close(self) -> None:
        """Nothing to do; ``Overlay.free()`` of pynq 3 calls it."""

    # What it is

    @property
    def traits(self) -> Traits:
        """How it differs from other devices; the core that is in the logic has a say in it."""
        return Traits(
            is_real=False,
            is_measured=getattr(self.core, "is_measured", True),
            takes_limit=hasattr(self.core, "max_seconds"),
            turn_seconds=TURN_SECONDS,
            lock_name=self.lock_name,
        )

    def limit_run(self, seconds: float | None) -> None:
        """Let a run of the core take so long, None: as long as it takes; see ``takes_limit``."""
        self.core.max_seconds = seconds  # type: ignore[union-attr]

    # Registers

    @property
    def clock_mhz(self) -> float:
        """Clock of the logic (FCLK0) as it is programmed now, in MHz."""
        return self._slcr.fclk_mhz(0)

    def read_registers(self, address: int, length: int) -> bytes:
        """``length`` bytes of registers from bus ``address`` on, one 32-bit access each.

        Raises
        ------
        BusError : AXI_DECERR where nothing answers, AXI_SLVERR for anything but whole aligned
            words: on a board either is the end of the Python process
        """
        with self._bus:
            return b"".join(
                struct.pack("<I", slave.registers.read(offset))
                for slave, offset in self._decode("read", address, length)
            )

    def write_registers(self, address: int, data: bytes) -> None:
        """Write ``data`` to the registers from bus ``address`` on; see ``read_registers``."""
        words = struct.iter_unpack("<I", data) if len(data) % 4 == 0 else iter(())
        with self._bus:
            accesses = self._decode("write", address, len(data))
            for (slave, offset), (word,) in zip(accesses, words, strict=True):
                slave.registers.write(offset, word)

    def _decode(self, verb: str, address: int, length: int) -> list[tuple[_Slave, int]]:
        if address % 4 or length % 4:
            raise BusError(
                ErrorCode.AXI_SLVERR,
                address,
                f"cannot {verb} {length} bytes there; registers are aligned 32-bit words",
            )
        return [self._slave(verb, word) for word in range(address, address + length, 4)]

    def _slave(self, verb: str, address: int) -> tuple[_Slave, int]:
        for slave in (*self._logic, *self._processing_system):
            if slave.base <= address < slave.base + slave.size:
                return slave, address - slave.base
        known = ", ".join(f"{s.name} at 0x{s.base:08x}" for s in self._logic)
        raise BusError(
            ErrorCode.AXI_DECERR,
            address,
            f"cannot {verb} a register there; the logic has {known or 'no overlay loaded'}",
        )

    # Memory

    @property
    def default_memory(self) -> MemoryBank:
        """Where ``pynq.allocate`` takes its buffers from."""
        return MemoryBank(self, self.memory, self._pool)

    def get_memory(self, description: Mapping[str, Any]) -> MemoryBank:
        """The memory behind an entry of ``mem_dict``; there is only the DDR."""
        return self.default_memory

    def flush(self, bo: Allocation, offset: int, vaddr: int, nbytes: int) -> None:
        """Let the core see ``nbytes`` of a buffer from ``offset`` on (``PynqBuffer.flush``)."""
        address = bo.locate(offset, nbytes, "flush")
        if bo.cached:
            self.memory.flush(address, nbytes)

    def invalidate(self, bo: Allocation, offset: int, vaddr: int, nbytes: int) -> None:
        """Let the host see ``nbytes`` of a buffer from ``offset`` on."""
        address = bo.locate(offset, nbytes, "invalidate")
        if bo.cached:
            self.memory.invalidate(address, nbytes)

    # Below the surface

    def _check_overlay(self, path: Path, partial: bool) -> None:
        hwh = path.with_suffix(".hwh")
        advice = "; use the path that this device's ensure_overlay() returns"
        if partial:
            raise OverlayError(f"{path} cannot be loaded as a part of the emulated logic{advice}")
        content = path.read_bytes()
        if bitfile.MARKER not in content:
            raise OverlayError(
                f"{path} is a bitstream for a real board and the emulated device has no logic to "
                f"put it in{advice}"
            )
        if content != bitfile.bit_bytes(self._hwh):
            raise OverlayError(f"{path} belongs to another build of the emulated device{advice}")
        if not hwh.is_file() or hwh.read_text(encoding="utf-8") != self._hwh:
            raise OverlayError(f"{hwh} is missing or was changed since it was written{advice}")

    def _is_active(self) -> bool:
        try:
            return Device.active_device is self
        except RuntimeError:  # pynq looked for devices before this one was made
            return False

    def _interrupt_level(self) -> bool:
        pin: Callable[[], bool] | None = getattr(self.core, "interrupt", None)
        return pin is not None and pin()

    def _irq_line(self) -> bool:
        if not self._bus.acquire(blocking=False):  # a run, maybe; whoever waits looks again
            return False
        try:
            return self._intc.output()
        finally:
            self._bus.release()

    def _open_uio(self) -> None:
        """Put our interrupt line where pynq keeps those of /dev/uio that it has opened."""
        devices = pynq.interrupt._InterruptController._uio_devices
        devices[self._irq] = EmulatedUio(self._irq_line)
        weakref.finalize(self, devices.pop, self._irq, None)
