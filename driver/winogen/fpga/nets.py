"""Delays of nets, estimated before placement from what each net drives.

A net takes ``ENTRY`` ps to leave a cell and enter another, and ``TILE`` ps for each tile between
them. How many tiles that are follows from what must have a place near the net: the cells that it
drives take so many tiles of the device, the square of that many is as long as the way from its
middle to a corner, and nothing of it can be nearer, wherever a placer puts it.

``ENTRY`` and ``TILE`` come from the routed paths of a large design that Vivado reported for an
Artix-7 of speed grade -1 (VexiiRiscv under LiteX, published with its timing reports): nets of one
to seven loads took 263 to 715 ps, 502 in the mean; the three that crossed 22, 44 and 45 tiles took
45 ps a tile and more beyond that. They were not fitted to this logic; held against it,
``wg_burst_split`` alone, before its comparisons were registered, comes out at 145 MHz (64 address
bits) and 158 MHz (32), and nextpnr placed and routed it at 135 to 158 MHz. Vivado's own estimates
before placement on an XC7Z020-1 are more careful: 335 to 1129 ps a net of one to ten loads, 688 in
the mean. Clock skew and jitter, some 0.2 ns, come on top.

Delays inside cells are those of Yosys' models, which come from Project X-Ray's measurements, but
for what DS187 gives otherwise for -1: a look-up table is as fast from every pin (124 ps; the
router swaps pins, and what a slow pin costs is part of ``ENTRY``), and a flip-flop answers 456 ps
after the clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from winogen.fpga import area
from winogen.fpga.netlist import Bit, Cell, Netlist
from winogen.fpga.parts import Part
from winogen.fpga.paths import Delays

#: Out of a cell and into another, ps.
ENTRY = 500
#: Over one tile of logic (two slices), ps.
TILE = 45
#: LUTs of a tile, and the part of them that the loads of one net get where they lie.
_TILE_LUTS = 8
_FILL = 0.5
#: Clock to output of a flip-flop, its clock enable before the clock, and through a LUT, ps.
_FLIP_FLOP, _ENABLE, _LUT = 456, 205, 124
#: Inputs that no net of the fabric reaches: of the next block of a carry chain or the next DSP of
#: a cascade, of a wide multiplexer.
_DEDICATED = (("CARRY", "CI"), ("DSP", "PCIN"), ("DSP", "ACIN"), ("DSP", "BCIN"), ("MUXF", "I"))
#: Inputs that a LUT of the same slice reaches, if it drives nothing else.
_BESIDE = (("FD", "D"), ("CARRY", "S"), ("CARRY", "DI"), ("CARRY", "CYINIT"))
_SLICE = ("LUT", "INV", "MUXF", "CARRY")


@dataclass(frozen=True)
class Net:
    """A net, the widest bit of a vector: name, cells that it drives, delay in ps."""

    name: str
    loads: int
    delay: int

    def as_dict(self) -> dict[str, Any]:
        """Name to value."""
        return asdict(self)


class Nets:
    """Estimated delays of a netlist's nets on a device."""

    def __init__(self, netlist: Netlist, part: Part):
        self._netlist = netlist
        tiles = part.lut / _TILE_LUTS
        #: Tiles that one of these takes with all that lies between it and the next.
        self._columns = {
            "DSP48": tiles / part.dsp,
            "RAMB36": tiles / part.ramb36,
            "RAMB18": tiles / part.ramb36 / 2,
        }
        self._far: dict[Bit, tuple[int, int]] = {}

    def delay(self, bit: Bit, cell: Cell, port: str) -> int:
        """Of the net ``bit`` to a port of a cell that it drives, ps."""
        if _is(cell.type, port, _DEDICATED):
            return 0
        loads, delay = self._reach(bit)
        driver = self._netlist.drivers.get(bit)
        beside = loads == 1 and driver and driver.cell.type.startswith(_SLICE)
        return 0 if beside and _is(cell.type, port, _BESIDE) else delay

    def widest(self, count: int) -> list[Net]:
        """The nets that drive most cells, one for each vector; clocks are none of them."""
        found: dict[str, Net] = {}
        drivers = self._netlist.drivers
        bits = ((self._reach(bit), bit) for bit in self._netlist.readers if bit in drivers)
        for (loads, delay), bit in sorted(bits, key=lambda item: (-item[0][0], item[1])):
            name = re.sub(r"(\[\d+\])+$", "", self._netlist.driver_name(bit))
            if name not in found:
                found[name] = Net(name, loads, delay)
                if len(found) == count:
                    break
        return list(found.values())

    def _reach(self, bit: Bit) -> tuple[int, int]:
        """Cells that a net drives, and its delay to the farthest of them."""
        if bit not in self._far:
            cells = {pin.cell.name: pin.cell for pin in self._netlist.readers[bit]}
            spread = sum(map(self._tiles, cells.values()))
            self._far[bit] = len(cells), round(ENTRY + TILE * math.sqrt(spread))
        return self._far[bit]

    def _tiles(self, cell: Cell) -> float:
        for kind, tiles in self._columns.items():
            if cell.type.startswith(kind):
                return tiles
        return max(area.luts(cell), 1) / _TILE_LUTS / _FILL


def placed(delays: Mapping[tuple[str, ...], Delays]) -> dict[tuple[str, ...], Delays]:
    """The delays of primitives that go with ``Nets``: those of a device of speed grade -1."""
    return {kind: _placed(kind[0], cell) for kind, cell in delays.items()}


def _placed(type_: str, cell: Delays) -> Delays:
    if type_.startswith("FD"):
        setup = {pin: _ENABLE if pin[0] == "CE" else time for pin, time in cell.setup.items()}
        return replace(cell, arrival=dict.fromkeys(cell.arrival, _FLIP_FLOP), setup=setup)
    if type_.startswith(("LUT", "INV", "RAM32", "RAM64", "RAM128", "RAM256", "SRL")):
        return replace(cell, through={pins: min(t, _LUT) for pins, t in cell.through.items()})
    return cell


def _is(type_: str, port: str, pins: tuple[tuple[str, str], ...]) -> bool:
    return any(type_.startswith(t) and port.startswith(p) for t, p in pins)
