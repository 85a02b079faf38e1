"""Counting primitives: DSP48, block RAM, LUT, flip-flops, in all and by instance."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass

from winogen.fpga.netlist import Cell, Netlist, connected

#: LUTs that a primitive takes where it stands alone; two small ones may share a LUT6 once placed.
_LUTS = {
    **{f"LUT{n}": 1 for n in range(1, 7)},
    **{"INV": 1, "SRL16E": 1, "SRLC32E": 1},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8},
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM32M16": 8, "RAM64M8": 8},
}
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
_SHIFT_REGISTERS = ("SRL16E", "SRLC32E")
_LATCHES = ("LDCE", "LDPE")
#: Cells that are part of a slice and no resource of their own.
_FREE = ("CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "VCC", "GND")

#: Registers of a DSP48 that a multiplier should use.
_DSP_REGISTERS = ("AREG", "BREG", "MREG", "PREG")


@dataclass
class Area:
    """Resources of a design or a part of it."""

    dsp: int = 0
    ramb36: int = 0
    ramb18: int = 0
    lut: int = 0
    lutram: int = 0  # of lut: memory and shift registers
    ff: int = 0

    def add(self, kind: str, times: int = 1) -> None:
        """Count a primitive so often; ValueError if it is none that a report should meet."""
        if kind in _LUTS:
            self.lut += times * _LUTS[kind]
            self.lutram += times * _LUTS[kind] if kind.startswith(("RAM", "SRL")) else 0
        elif kind in _FLIP_FLOPS:
            self.ff += times
        elif kind.startswith("DSP48"):
            self.dsp += times
        elif kind.startswith("RAMB36"):
            self.ramb36 += times
        elif kind.startswith("RAMB18"):
            self.ramb18 += times
        elif kind not in _FREE and kind not in _LATCHES:
            raise ValueError(f"the netlist has a cell of unknown type {kind}")

    def merge(self, other: Area) -> None:
        """Count all that another part has."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)

    @property
    def block_ram(self) -> float:
        """Places of RAMB36 taken; two RAMB18 share one."""
        return self.ramb36 + self.ramb18 / 2

    def as_dict(self) -> dict[str, int]:
        """Name to number."""
        return asdict(self)


def luts(cell: Cell) -> int:
    """LUTs that a primitive takes where it stands alone; 0 for what is none."""
    return _LUTS.get(cell.type, 0)


def total(netlist: Netlist) -> Area:
    """All of the design."""
    area = Area()
    for cell in netlist.cells:
        area.add(cell.type)
    return area


def by_instance(netlist: Netlist) -> dict[str, Area]:
    """Each instance alone, without those below it, by name."""
    areas: defaultdict[str, Area] = defaultdict(Area)
    for cell in netlist.cells:
        areas[netlist.owners[cell.name]].add(cell.type)
    return dict(sorted(areas.items()))


def latches(netlist: Netlist) -> list[str]:
    """Names of what latches hold."""
    return sorted(
        netlist.name_of(bit) or cell.name
        for cell in netlist.cells
        if cell.type in _LATCHES
        for bits in cell.outputs.values()
        for bit in bits
        if bit is not None
    )


def multipliers(netlist: Netlist, instance: str) -> list[Cell]:
    """DSPs that multiply, in an instance and those below it."""
    return [
        cell
        for cell in netlist.cells
        if cell.type.startswith("DSP48")
        and cell.parameters.get("USE_MULT") != "NONE"
        and (not instance or f"{netlist.owners[cell.name]}/".startswith(f"{instance}/"))
    ]


def block_rams(netlist: Netlist) -> list[Cell]:
    """All block RAMs."""
    return [cell for cell in netlist.cells if cell.type.startswith("RAMB")]


def is_registered(netlist: Netlist, ram: Cell) -> bool:
    """Whether all that a block RAM answers goes to its output registers, or straight to others.

    Vivado moves the latter into the block; Yosys leaves them where they are.
    """
    if ram.number("DOA_REG") and ram.number("DOB_REG"):
        return True
    return all(
        pin.cell.type in (*_FLIP_FLOPS, *_SHIFT_REGISTERS) and pin.port == "D"
        for port, _, bit in connected(ram.outputs)
        if port.startswith("DO")
        for pin in netlist.readers.get(bit, ())
    )


def registers_used(cells: list[Cell]) -> dict[str, int]:
    """How many of these DSPs use each of the registers that a multiplier has."""
    used = Counter(r for cell in cells for r in _DSP_REGISTERS if cell.number(r) > 0)
    return {register: used[register] for register in _DSP_REGISTERS}
