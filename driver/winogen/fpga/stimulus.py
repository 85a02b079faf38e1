"""One stream for the simulation of a netlist: the driver's writes, memory before and after.

The bench that plays it is ``hw_src/sim/tb_stream.sv``, plain SystemVerilog for any simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winogen.common.files import write_atomically
from winogen.fpga.settings import TOP, top_parameters
from winogen.target import registers
from winogen.target.board import Board
from winogen.target.hardware import hardware_folder

#: The bench's top level, and the macro that names what it instantiates.
BENCH = "tb_stream"
DUT = "WG_DUT"
#: Cycles until the bench gives up: so many times those predicted, and at least.
_PATIENCE, _LEAST = 20, 20_000
_WORD = 8


@dataclass(frozen=True)
class Stimulus:
    """A stream as the accelerator's pins see it.

    Attributes
    ----------
    board : the board and the build
    base : bus address of the memory's first byte, a multiple of 8
    before, after : the memory's bytes when the stream starts, and when it has ended
    writes : offsets and values of the writes to registers, in order; the last one starts the stream
    cycles : that the stream is predicted to take
    """

    board: Board
    base: int
    before: bytes
    after: bytes
    writes: tuple[tuple[int, int], ...]
    cycles: int

    def write(self, folder: Path) -> None:
        """Write the files that the bench reads into ``folder``."""
        files = {
            "stimulus.svh": self._header(),
            "before.hex": _words(self.before),
            "after.hex": _words(self.after),
            "writes.hex": "".join(f"{offset:08x}{value:08x}\n" for offset, value in self.writes),
        }
        for name, text in files.items():
            write_atomically(folder / name, text.encode())

    def _header(self) -> str:
        """Macros; what is instantiated is the sources' top level, unless it is named elsewhere."""
        fields = {f.name: f.lsb for f in registers.BY_NAME["STATUS"].fields}
        address_bits = self.board.platform.address_bits if self.board.platform else 32
        values = {**top_parameters(self.board.core), "ADDR_WIDTH": str(address_bits)}
        parameters = ", ".join(
            f".{name}({value.replace('0x', chr(39) + 'h')})" for name, value in values.items()
        )
        macros = {
            "ADDR_WIDTH": address_bits,
            "WORDS": len(self.before) // _WORD,
            "WRITES": len(self.writes),
            "CYCLES": max(_LEAST, _PATIENCE * self.cycles),
            "BASE": f"64'h{self.base:x}",
            "STATUS": f"12'h{registers.offset('STATUS'):x}",
            "ERROR_CODE": f"12'h{registers.offset('ERROR_CODE'):x}",
            **{name.upper(): fields[name] for name in ("idle", "done", "error")},
        }
        lines = [f"`define WG_{name} {value}" for name, value in macros.items()]
        lines += [f"`ifndef {DUT}", f"`define {DUT} {TOP} #({parameters})", "`endif"]
        return "".join(f"{line}\n" for line in lines)


def bench() -> Path:
    """The SystemVerilog file of the bench."""
    return hardware_folder() / "sim" / f"{BENCH}.sv"


def _words(data: bytes) -> str:
    return "".join(f"{word:016x}\n" for word in np.frombuffer(data, "<u8").tolist())
