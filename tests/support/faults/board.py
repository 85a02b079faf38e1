"""A board on its first day: what ``winogen doctor`` says of a model of one that has booted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fakes import vivado_hwh
from fakes.boot import IRQ, PYNQ_Z2, BootedBoard
from support.faults.kinds import fault, refused
from support.faults.verdicts import Refusal
from support.first_day import afi, booted, examined, failures
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime.open import open_device
from winogen.target import clock
from winogen.target.board import load_board
from winogen.target.clock import SRCSEL
from winogen.target.ports import WRITE_OFFSET

WIDE = load_board("tiny", 16).core


class OnBoard:
    """Doctor's checks of a booted board, up to the one that must find what is wrong."""

    def __init__(self, board: BootedBoard) -> None:
        self.board, self.last = board, "interrupt"
        self.struck, self.left = 0, list[str]()

    def run(self) -> bytes:
        found = failures(examined(self.board, self.last))
        if found:
            text = "; ".join(f"{result.text}: {result.advice}" for result in found.values())
            raise Refusal(f"doctor's {' and '.join(found)}", text)
        return b"sound"


@contextmanager
def on_board(folder: Path, device: str) -> Iterator[OnBoard]:
    """A sound PYNQ-Z2 with winogen's overlay beside it."""
    with booted(folder) as board:
        yield OnBoard(board)


@contextmanager
def opened(folder: Path, device: str) -> Iterator[Any]:
    """The same, where a program opens it."""

    class Opened(OnBoard):
        def run(self) -> bytes:
            open_device(self.board, PYNQ_Z2, self.board.overlay).core.close()
            return b"opened"

    with booted(folder) as board:
        yield Opened(board)


def clocked(board: BootedBoard, word: int) -> None:
    """Somebody else sets the clock of the logic behind winogen's back, once it is loaded."""
    load = board.download

    def download(bitstream, parser=None):
        load(bitstream, parser)
        board.slcr.write(clock.FCLK0_OFFSET, word)

    board.download = download


def pll(board: BootedBoard, name: str, word: int) -> None:
    board.slcr.words[clock.PLL_OFFSETS[name]] = word


def hwh(change: Callable[..., bytes], *arguments, **changes) -> Callable[[BootedBoard], None]:
    def fault(board: BootedBoard) -> None:
        board.hwh = change(board.hwh, *arguments, **changes)

    return fault


def another_build(board: BootedBoard) -> None:
    board.hwh = vivado_hwh.vivado_hwh(dict(vars(WIDE)), clock.PlClock(7, 1, "DDR PLL"), 512 << 20)


def other_logic(board: BootedBoard) -> None:
    """The .bit is of another build, and the .hwh is not."""
    other = replace(PYNQ_Z2, core=WIDE)
    board._core_factory = lambda memory: EmulatedCore(memory, other)


def taken(board: BootedBoard) -> None:
    """Another program holds nearly all contiguous memory."""
    board.held = board.default_memory.allocate((110 << 20,), np.uint8)


def lesser(board: BootedBoard) -> None:
    board.file("proc/meminfo", "CmaTotal: 16384 kB\nCmaFree: 16000 kB\n")


#: By name: the check that names it, what happens, what it says, and what it says to do. What comes
#: before is sound, or needs what is not: no other check may fail.
FAULTS: dict[str, tuple[str, Callable[[BootedBoard], object], str, str]] = {
    "BOARD unset": ("image", lambda b: b.environ(BOARD=None), "BOARD is not set", "sudo -i"),
    "BOARD is another": (
        "image", lambda b: b.environ(BOARD="Pynq-Z1"),
        "BOARD is Pynq-Z1, and the card's image was made for Pynq-Z2", "flash the PYNQ image",
    ),
    "a board of others": (
        "image", lambda b: b.environ(BOARD="Ultra96"), "no board Ultra96", "docs/use/boards.md",
    ),
    "not root": (
        "permissions", lambda b: b.change(uid=1000), "this is user 1000 and not root", "sudo -i",
    ),
    "XILINX_XRT unset": (
        "XRT", lambda b: b.environ(XILINX_XRT=None), "XILINX_XRT is not set", "xrt_setup.sh",
    ),
    "xclbinutil off PATH": (
        "XRT", lambda b: b.change(programs=frozenset()), "xclbinutil is not on PATH", "sudo -i",
    ),
    "zocl not loaded": (
        "XRT", lambda b: b.file("dev/dri/renderD128", None), "zocl is not loaded", "modprobe zocl",
    ),
    "card full": (
        "disk", lambda b: b.change(free=1 << 20), "firmware has 1 MB left, and pynq copies",
        "delete what",
    ),
    "card read-only": (
        "disk", lambda b: b.change(read_only=("firmware",)), "firmware cannot be written",
        "read-only",
    ),
    "home read-only": (
        "disk", lambda b: b.change(read_only=("pl_server",)), "cannot be written, and pynq notes",
        "sudo -i",
    ),
    "another FPGA": (
        "overlay files", lambda b: b.build(part="7z010clg400"),
        "winogen.bit is for the FPGA 7z010clg400, and pynq-z2 has xc7z020clg400-1", "--overlay",
    ),
    "no bitstream but text": (
        "overlay files", lambda b: b.overlay.write_bytes(b"<html>404</html>"),
        "winogen.bit is no bitstream with a header", "copy winogen.bit and winogen.hwh",
    ),
    ".hwh missing": (
        "overlay files", lambda b: b.overlay.with_suffix(".hwh").unlink(),
        "winogen.hwh is missing beside winogen.bit", "copy winogen.bit and winogen.hwh",
    ),
    ".hwh cut short": (
        "overlay files", lambda b: setattr(b, "hwh", b.hwh[:9000]), "winogen.hwh is damaged",
        "copy winogen.bit and winogen.hwh",
    ),
    ".hwh of a later build": (
        "overlay files", lambda b: b.build(day="2026/10/21"),
        "winogen.hwh was written 2026-10-22 00:35:56, after winogen.bit", "of one build",
    ),
    ".hwh of another Vivado": (
        "overlay files", lambda b: b.build("2022.1", vivado="2023.1"),
        "winogen.hwh is Vivado 2022.1's, and winogen.bit was made with 2023.1", "of one build",
    ),
    "IO PLL at another rate": (
        "processing system", lambda b: pll(b, "IO PLL", 32 << 12),
        "the IO PLL runs at 1600 MHz, and the clock of the logic is computed from 1000", "BOOT.BIN",
    ),
    "DDR PLL off": (
        "processing system", lambda b: pll(b, "DDR PLL", 21 << 12 | 2),
        "the DDR PLL does not run", "BOOT.BIN",
    ),
    "DDR PLL not locked": (
        "processing system", lambda b: b.slcr.write(clock.PLL_STATUS_OFFSET, 0b101),
        "the DDR PLL does not run", "BOOT.BIN",
    ),
    "IO PLL passed by": (
        "processing system", lambda b: pll(b, "IO PLL", 20 << 12 | 0x10),
        "the IO PLL is passed by: it gives the 50 MHz of the crystal", "BOOT.BIN",
    ),
    "FCLK0 stopped": (
        "processing system", lambda b: b.slcr.write(clock.THROTTLE_OFFSET, 1),
        "the clock of the logic (FCLK0) is stopped", "clk_ignore_unused",
    ),
    "logic in reset": (
        "processing system", lambda b: b.slcr.write(clock.RESET_OFFSET, 1),
        "the logic is held in reset", "BOOT.BIN",
    ),
    "logic cut off": (
        "processing system", lambda b: b.slcr.write(clock.SHIFTERS_OFFSET, 0),
        "the logic is cut off from the processor", "BOOT.BIN",
    ),
    "not programmed": (
        "overlay", lambda b: setattr(b, "part", "7z007sclg225"),
        "the FPGA manager says 'write complete error'", "troubleshooting",
    ),
    "another data width": (
        "overlay", another_build, "is another build than that of pynq-z2 with 8-bit data: "
        "data_width 16 instead of 8", "troubleshooting",
    ),
    "another data width in the logic": (
        "build", other_logic,
        f"data_width 16 instead of 8, configuration {WIDE.config_hash32:08x} instead of ",
        "--board and --bits",
    ),
    "clock of another overlay": (
        "clock", lambda b: clocked(b, 0x0020_0500), "at 100 MHz instead of 150", "with winogen",
    ),
    "clock from another PLL": (
        "clock", lambda b: clocked(b, 0x0010_0700 | SRCSEL.insert(2)),
        "the logic runs at 185.714 MHz and was built for 150", "load the overlay again",
    ),
    "little contiguous memory": (
        "contiguous memory", lesser,
        "the kernel sets 16 MiB of contiguous memory aside, and programs are compiled for 128",
        "cma=128M",
    ),
    "contiguous memory taken": (
        "contiguous memory", taken, "32 MiB cannot be had in one piece; 117 of 128 MiB free",
        "shut down other notebooks",
    ),
    "DRAM beyond the ports": (
        "contiguous memory", hwh(vivado_hwh.reaching, 0x0FFF_FFFF),
        "a buffer lies at bus address 0x18000000, and m_axi_0 reaches 0x00000000 to 0x0fffffff",
        "ddr_mib",
    ),
    "port set to 32 bits for reads": (
        "memory ports", lambda b: afi(b, "S_AXI_HP1", 0, 1),
        "S_AXI_HP1 is set to 32 bits for reads, and the overlay was built for 64",
        "register 0xf8009000",
    ),
    "port set to 32 bits for writes": (
        "memory ports", lambda b: afi(b, "S_AXI_HP0", WRITE_OFFSET, 0xF01),
        "S_AXI_HP0 is set to 32 bits for writes", "register 0xf8008014",
    ),
    "design with 32 bits": (
        "memory ports", hwh(vivado_hwh.edited, C_S_AXI_HP2_DATA_WIDTH="32"),
        "S_AXI_HP2 has 32 bits in the design", "C_S_AXI_HP2_DATA_WIDTH 64",
    ),
    "no UIO device": (
        "interrupt", lambda b: b.uio(None),
        f"the kernel has given interrupt {IRQ} of the logic to no driver", "uio_pdrv_genirq",
    ),
    "interrupt of another driver": (
        "interrupt", lambda b: b.uio("other", "xilinx-vdma"),
        f"interrupt {IRQ} of the logic belongs to 'xilinx-vdma', which is no UIO device",
        "uio_pdrv_genirq",
    ),
    "interrupt not wired": (
        "interrupt", hwh(vivado_hwh.without_interrupt), "the overlay describes no interrupt",
        "load winogen's own overlay",
    ),
}  # fmt: skip


def _named(name: str) -> None:
    check, happens, words, advice = FAULTS[name]

    def inject(stage: OnBoard) -> None:
        stage.last = check
        happens(stage.board)

    what = " ".join((happens.__doc__ or "").split()) or f"On a booted board: {name}."
    fault(name, on_board, refused(f"doctor's {check}", words, advice), what=what)(inject)


for _name in FAULTS:
    _named(_name)


@fault(
    "a program meets a stopped clock",
    opened,
    refused("DeviceError", "the clock of the logic is stopped", "clk_ignore_unused"),
)
def _(stage: Any) -> None:
    """Nothing of the logic may be touched then: on a board the processor would hang."""
    stage.board.slcr.write(clock.THROTTLE_OFFSET, 1)
