"""A PYNQ board as it is after it has booted, and what goes wrong with one on its first day.

:class:`BootedBoard` is what pynq and ``winogen doctor`` meet there: the processing system's
registers (PLLs, clocks, resets, widths of the ports to memory), the kernel's files (UIO, contiguous
memory, FPGA manager), the user and the environment, the card, an overlay of somebody else's in the
logic and winogen's in a folder, as Vivado writes it. pynq's own code reads it all. A register of
the logic that nobody would answer for is a :class:`Hang`, which ends the test that gets one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pynq
import pynq.interrupt
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.ps import Clocks
from pynqmetadata.frontends import Metadata

from fakes.unseen import unseen
from fakes.vivado_hwh import vivado_hwh
from winogen.doctor.bench import Bench
from winogen.doctor.system import System
from winogen.emulation.device import EmulatedDevice, EmulatedMemory
from winogen.emulation.device.intc import EmulatedUio
from winogen.emulation.emulator import EmulatedCore
from winogen.target import clock
from winogen.target.board import Board, load_board
from winogen.target.clock import PlClock
from winogen.target.hwh import core_parameters
from winogen.target.ports import PORT_REGISTERS, READ_OFFSET, WRITE_OFFSET, masters
from winogen.target.traits import BOARD

#: The board, with memories as small as the tests' board has them.
PYNQ_Z2 = replace(load_board("pynq-z2"), core=load_board("tiny").core)
#: IRQ_F2P[0] of a Zynq-7000, to the kernel.
IRQ = 61
_STATE = "sys/class/fpga_manager/fpga0/state"
_INTERRUPTS = """\
           CPU0       CPU1
 29:     103520      98311     GIC-0  29 Edge      twd
 45:          0          0     GIC-0  45 Level     f8003000.dmac
{irq}
IPI1:         0          0  Timer broadcast interrupts
"""


class Hang(BaseException):
    """A register was accessed that nobody answers for: on a board, the end of everything."""


@dataclass(frozen=True)
class Card(System):
    """The operating system; as root's by default, with room on the card."""

    uid: int = 0
    free: int = 4 << 30
    read_only: tuple[str, ...] = ()
    programs: frozenset[str] = field(default_factory=lambda: frozenset({"xclbinutil"}))

    @property
    def user(self) -> int:
        return self.uid

    def program(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.programs else None

    def may_write(self, folder: Path) -> bool:
        return not any(str(folder).endswith(name) for name in self.read_only)

    def free_bytes(self, folder: Path) -> int:
        return self.free


class BootedBoard(EmulatedDevice):
    """The board. Everything is sound until a test changes it.

    Attributes
    ----------
    card : the operating system
    overlay : winogen's bitstream, with its .hwh beside it
    part : FPGA and package, as a bitstream's header has them
    """

    traits = BOARD
    part = "7z020clg400"

    def __init__(self, folder: Path, board: Board = PYNQ_Z2, version: str = "2022.1") -> None:
        self.board = board
        super().__init__(
            lambda memory: EmulatedCore(_Ports(memory, self.afi), board),
            name="embedded_xrt0",
            parameters=core_parameters(board.core),
            memory_bytes=512 << 20,
            contiguous_bytes=board.contiguous_mib << 20,
            clock_mhz=board.clock_mhz,
            clock_source="DDR PLL",
        )
        unseen(self)
        self.slcr = self._slcr
        self.afi = {s.name: s.registers for s in self._processing_system if s.name != "SLCR"}
        assert self.afi.keys() == PORT_REGISTERS["zynq7"].keys()
        # Somebody's base overlay: FCLK0 at 100 MHz from the IO PLL.
        self.slcr.write(clock.FCLK0_OFFSET, 0x0020_0500)
        root = folder / "root"
        self.card = Card(root, _environment())
        for name in ("lib/firmware", "tmp"):
            (root / name).mkdir(parents=True)
        self.file("home/xilinx/REVISION", "Release 2022_11_07 4f9ce4b\nBoard 2022_11_07\n")
        self.file("proc/device-tree/chosen/pynq_board", "Pynq-Z2\0")
        self.file("proc/meminfo", "MemTotal: 506404 kB\nCmaTotal: 131072 kB\nCmaFree: 120000 kB\n")
        self.file(_STATE, "operating\n")
        self.file("dev/dri/renderD128", "")
        self.uio("fabric")
        self.overlay = folder / "winogen.bit"
        self.build(version)

    # What a test changes

    def file(self, name: str, text: str | None) -> None:
        """Write a file of the operating system's, or remove it."""
        path = self.card.root / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def uio(self, device: str | None, driver: str | None = None) -> None:
        """Which UIO device there is, and whom the kernel has given the logic's interrupt."""
        driver = driver or device
        row = f" 46:          0          0     GIC-0  {IRQ} Level     {driver}" if driver else ""
        self.file("proc/interrupts", _INTERRUPTS.format(irq=row))
        self.file("sys/class/uio/uio0/name", f"{device}\n" if device else "other\n")

    def build(self, version: str = "2022.1", **header: str) -> None:
        """Winogen's overlay, as Vivado writes it; ``header`` are fields of the .bit's header."""
        parameters = core_parameters(self.board.core)
        rate = PlClock.at_most(self.board.clock_mhz, "DDR PLL")
        self.hwh = vivado_hwh(parameters, rate, 512 << 20, version)
        short = ".".join(version.split(".")[:2])
        self.overlay.write_bytes(bitstream(**{"part": self.part, "vivado": short, **header}))

    @property
    def hwh(self) -> bytes:
        """The .hwh beside the bitstream."""
        return self.overlay.with_suffix(".hwh").read_bytes()

    @hwh.setter
    def hwh(self, text: bytes) -> None:
        self.overlay.with_suffix(".hwh").write_bytes(text)

    def environ(self, **variables: str | None) -> None:
        """Set environment variables, or take them away."""
        kept = {**self.card.environment, **variables}
        self.change(environment={k: v for k, v in kept.items() if v is not None})

    def change(self, **fields: Any) -> None:
        """Change the operating system."""
        self.card = replace(self.card, **fields)

    def bench(self) -> Bench:
        """What doctor's checks are told."""
        return Bench("board", self.board, self.overlay, made=self, system=self.card)

    # What pynq does with it

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        hwh = Path(bitfile_name).with_suffix(".hwh")
        if not hwh.is_file():
            raise RuntimeError("Unable to find metadata for bitstream")
        parser = RuntimeMetadataParser(Metadata(input=str(hwh)))
        parser.mem_dict["PSDDR"] = {
            "type": "MEM_DDR3",
            "tag": "PSDDR",
            "idx": 0,
            "base_address": self.memory.base,
            "size": self.memory.size,
            "streaming": False,
            "used": 1,
        }
        if "_real_instance" in vars(Clocks):  # it keeps the registers of the first device
            del Clocks._real_instance
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        if self.card.user != 0:
            raise PermissionError(13, "Permission denied: '/lib/firmware/winogen.bin'")
        data = Path(bitstream.bitfile_name).read_bytes()
        if f"b\0{chr(len(self.part) + 1)}{self.part}\0".encode() not in data:
            self.file(_STATE, "write complete error\n")
            raise OSError(110, "Connection timed out")
        self.file(_STATE, "operating\n")
        super().download(bitstream, parser)

    def _slave(self, verb: str, address: int) -> Any:
        slave, offset = super()._slave(verb, address)
        words = self.slcr.words
        dead = words[clock.THROTTLE_OFFSET] or words[clock.RESET_OFFSET]
        if slave in self._logic and (dead or words[clock.SHIFTERS_OFFSET] != clock.SHIFTERS_ON):
            raise Hang(f"{verb} of {slave.name}")
        return slave, offset


class _Ports:
    """Memory by way of the ports: one that is set to 32 bits loses half of each beat of 64."""

    def __init__(self, memory: EmulatedMemory, afi: dict[str, Any]) -> None:
        self._memory, self._afi = memory, afi

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def device_read(self, address: int, nbytes: int) -> Any:
        return self._through(READ_OFFSET, self._memory.device_read(address, nbytes))

    def device_write_strided(self, address: int, data: Any, strides: Any) -> None:
        self._memory.device_write_strided(address, self._through(WRITE_OFFSET, data), strides)

    def _through(self, offset: int, data: Any) -> Any:
        ports = list(self._afi.values())[: masters(1)]
        if not any(port.read(offset) & 1 for port in ports):
            return data
        damaged = np.array(data)
        flat = damaged.reshape(-1).view(np.uint8)
        beats = flat[: flat.size // 8 * 8].reshape(-1, 8)
        beats[:, 4:] = beats[:, :4]
        return damaged


def bitstream(
    part: str, vivado: str, day: str = "2026/10/22", time: str = "02:16:50", data: bytes = b""
) -> bytes:
    """A .bit with this header; what an FPGA would make of its data nobody knows."""
    out = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    design = f"winogen_wrapper;UserID=0XFFFFFFFF;Version={vivado}"
    for key, text in ((b"a", design), (b"b", part), (b"c", day), (b"d", time)):
        out += key + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
    return out + b"e" + struct.pack(">I", len(data)) + data


@contextmanager
def kernel(board: BootedBoard) -> Iterator[None]:
    """pynq looks for the logic's interrupt in the board's files, and waits at its UIO device."""
    opened = pynq.interrupt._InterruptController._uio_devices
    kept, find = dict(opened), pynq.interrupt.get_uio_irq

    def get_uio_irq(irq: int) -> str | None:
        name = None
        for row in board.card.text("/proc/interrupts").splitlines():
            words = row.split()
            if len(words) >= 7 and words[-3] == str(irq):
                name = words[-1]
        folder = board.card.path("/sys/class/uio")
        if name is not None:
            for uio in folder.iterdir():
                if (uio / "name").read_text().strip() == name:
                    return f"/dev/{uio.name}"
        return None

    class Uio(EmulatedUio):
        def __init__(self, path: str) -> None:
            super().__init__(board._irq_line)

    controller = pynq.interrupt.UioController
    opened.clear()
    pynq.interrupt.get_uio_irq, pynq.interrupt.UioController = get_uio_irq, Uio
    try:
        yield
    finally:
        pynq.interrupt.get_uio_irq, pynq.interrupt.UioController = find, controller
        opened.clear()
        opened.update(kept)


def _environment() -> dict[str, str]:
    return {"BOARD": "Pynq-Z2", "XILINX_XRT": "/usr", "PATH": "/usr/bin"}
