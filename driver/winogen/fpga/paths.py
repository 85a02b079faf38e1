"""The longest paths from register to register, by logic alone or with an estimate of the nets.

Delays are those of Yosys' models of the primitives (``specify`` blocks of ``cells_sim.v``, which
come from Project X-Ray's measurements of 7-series devices).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from winogen.fpga.netlist import Bit, Cell, Netlist, connected

#: Clock to data of a block RAM without its output register, ps. Yosys' model has it under a
#: condition that never holds, so that such a block would answer at once.
_BLOCK_RAM_READ = 2454
#: Types whose names begin so are a level of logic.
_LUTS = ("LUT", "INV")


@dataclass(frozen=True)
class Delays:
    """Of one primitive, in ps; a pin is (port, index).

    Attributes
    ----------
    through : (input pin, output pin) to delay
    arrival : output pin to delay after the clock's edge
    setup : input pin to time before the clock's edge
    """

    through: Mapping[tuple[tuple[str, int], tuple[str, int]], int]
    arrival: Mapping[tuple[str, int], int]
    setup: Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Path:
    """A path between registers: delay in ps, LUTs and carry blocks on it, and its two ends."""

    delay: int
    luts: int
    carries: int
    start: str
    end: str

    def as_dict(self) -> dict[str, Any]:
        """Name to value."""
        return asdict(self)


def probe(netlist: Netlist) -> str:
    """Verilog that has each kind of primitive of the netlist once, for ``cell_delays``.

    LUTs and memories of one type are of one kind whatever they hold.
    """
    kinds = {kind(cell): cell for cell in netlist.cells}
    lines = ["module probe;"]
    for index, cell in enumerate(kinds.values()):
        values = ", ".join(f".{n}({_literal(cell.parameters[n])})" for n in _timed(cell))
        lines.append(f"  (* keep *) {cell.type} {f'#({values}) ' if values else ''}c{index} ();")
    return "\n".join([*lines, "endmodule", ""])


def kind(cell: Cell) -> tuple[str, ...]:
    """What a primitive's delays depend on: its type and, for a DSP, its parameters."""
    return (cell.type, *(f"{n}={cell.parameters[n]}" for n in _timed(cell)))


def cell_delays(netlist: Netlist, design: Mapping[str, Any]) -> dict[tuple[str, ...], Delays]:
    """Delays of each kind of primitive, from the elaborated ``probe`` as Yosys writes it."""
    kinds = {kind(cell): cell for cell in netlist.cells}
    cells = design["modules"]["probe"]["cells"]
    return {
        key: _delays(cell.type, design["modules"][cells[f"c{index}"]["type"]])
        for index, (key, cell) in enumerate(kinds.items())
    }


def levels(delays: Mapping[tuple[str, ...], Delays]) -> dict[tuple[str, ...], Delays]:
    """The same arcs with another delay: 1 through a LUT, 0 elsewhere."""
    return {
        kind: Delays(
            dict.fromkeys(d.through, int(kind[0].startswith(_LUTS))),
            dict.fromkeys(d.arrival, 0),
            dict.fromkeys(d.setup, 0),
        )
        for kind, d in delays.items()
    }


class Timing:
    """Arrival times of a netlist.

    Parameters
    ----------
    netlist : flat, of primitives
    delays : of each kind of primitive
    net : ps that a net takes to a port of a cell that it drives (default: none)
    """

    def __init__(
        self,
        netlist: Netlist,
        delays: Mapping[tuple[str, ...], Delays],
        net: Callable[[Bit, Cell, str], int] = lambda bit, cell, port: 0,
    ):
        self._netlist = netlist
        self._net = net
        self._delays = {cell.name: delays[kind(cell)] for cell in netlist.cells}
        # For each bit that a register's output reaches: time, and the (pin, bit) before it.
        self._arrival: dict[Bit, tuple[int, Bit | None]] = {}
        self._propagate()

    def longest(self, count: int, above: int = 0) -> list[Path]:
        """The worst paths, longest first: one for each register (a vector counts once).

        At most ``count`` of them, and none of ``above`` ps or less.
        """
        worst: dict[str, Path] = {}
        ends = (
            (self._arrival[bit][0] + setup + self._net(bit, cell, pin[0]), cell, bit, pin)
            for cell in self._netlist.cells
            for pin, setup in self._delays[cell.name].setup.items()
            for bit in self._pins(cell.inputs, [pin])
            if bit in self._arrival
        )
        for delay, cell, bit, pin in sorted(ends, key=lambda e: (-e[0], e[1].name, e[3])):
            if delay <= above:
                break
            end = self._register(cell, pin)
            vector = re.sub(r"\[\d+\]| \(.*", "", end)
            if vector not in worst:
                worst[vector] = self._path(delay, bit, end)
                if len(worst) == count:
                    break
        return list(worst.values())

    def _propagate(self) -> None:
        """Longest path in topological order (Kahn); a combinational loop is a ValueError."""
        missing: defaultdict[Bit, int] = defaultdict(int)
        arcs: defaultdict[Bit, list[tuple[Bit, int]]] = defaultdict(list)
        for cell in self._netlist.cells:
            delays = self._delays[cell.name]
            for (source, target), delay in delays.through.items():
                for a in self._pins(cell.inputs, [source]):
                    net = self._net(a, cell, source[0])
                    for b in self._pins(cell.outputs, [target]):
                        arcs[a].append((b, delay + net))
                        missing[b] += 1
            for pin, delay in delays.arrival.items():
                for bit in self._pins(cell.outputs, [pin]):
                    if delay >= self._arrival.get(bit, (0, None))[0]:
                        self._arrival[bit] = (delay, None)
        ready = [bit for bit in list(arcs) if not missing[bit]]
        while ready:
            bit = ready.pop()
            time = self._arrival.get(bit)
            for reached, delay in arcs[bit]:
                if time and time[0] + delay > self._arrival.get(reached, (-1, None))[0]:
                    self._arrival[reached] = (time[0] + delay, bit)
                missing[reached] -= 1
                if not missing[reached]:
                    ready.append(reached)
        if left := sum(count > 0 for count in missing.values()):
            raise ValueError(f"the netlist has a combinational loop ({left} nets)")

    def _path(self, delay: int, bit: Bit, end: str) -> Path:
        luts = carries = 0
        while True:
            driver = self._netlist.drivers[bit]
            before = self._arrival[bit][1]
            if before is None:
                return Path(delay, luts, carries, self._netlist.driver_name(bit), end)
            luts += driver.cell.type.startswith(_LUTS)
            carries += driver.cell.type.startswith("CARRY")
            bit = before

    def _register(self, cell: Cell, pin: tuple[str, int]) -> str:
        """Name of a register by a pin that ends a path."""
        names = (self._netlist.name_of(bit) for _, _, bit in connected(cell.outputs))
        name = None if cell.has_own_name else next(filter(None, names), None)
        plain = cell.type.startswith("FD") and pin[0] == "D"
        return (name or self._netlist.whole(cell)) + ("" if plain else f" ({cell.type} {pin[0]})")

    @staticmethod
    def _pins(ports: Mapping[str, list[Bit | None]], pins: Iterable[tuple[str, int]]) -> list[Bit]:
        found = []
        for port, index in pins:
            bits = ports.get(port, ())
            if index < len(bits) and (bit := bits[index]) is not None:
                found.append(bit)
        return found


def _timed(cell: Cell) -> list[str]:
    """Parameters that delays depend on."""
    return sorted(cell.parameters) if cell.type.startswith("DSP") else []


def _literal(value: str) -> str:
    return f"{len(value)}'b{value}" if re.fullmatch("[01x]+", value) else f'"{value.strip()}"'


def _delays(type_: str, module: Mapping[str, Any]) -> Delays:
    """Read the ``$specify2/3`` and ``$specrule`` cells of a primitive's model."""
    pins = {
        bit: (port, index)
        for port, data in module["ports"].items()
        for index, bit in enumerate(data["bits"])
    }
    through: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}
    arrival: dict[tuple[str, int], int] = {}
    setup: dict[tuple[str, int], int] = {}

    def slower(times: dict[Any, int], key: Any, delay: int) -> None:
        times[key] = max(delay, times.get(key, delay))

    for cell in module["cells"].values():
        parameters, nets = cell["parameters"], cell["connections"]

        def number(name: str, parameters: Mapping[str, str] = parameters) -> int:
            return int(parameters[name].replace("x", "0"), 2)  # a DSP's port that is not used

        if cell["type"] == "$specrule":
            if parameters["TYPE"].strip() == "$setup":
                for bit in nets["SRC"]:
                    slower(setup, pins[bit], number("T_LIMIT_MAX"))
        elif cell["type"] in ("$specify2", "$specify3") and nets["EN"] != ["0"]:
            delay = max(number("T_RISE_MAX"), number("T_FALL_MAX"))
            targets = [pins[bit] for bit in nets["DST"]]
            if cell["type"] == "$specify3":
                for target in targets:
                    slower(arrival, target, delay)
                continue
            sources = [pins[bit] for bit in nets["SRC"]]
            pairs = (
                [(s, t) for s in sources for t in targets]
                if number("FULL")
                else list(zip(sources, targets))
            )
            for pair in pairs:
                slower(through, pair, delay)
    if type_.startswith("RAMB"):
        for port, data in module["ports"].items():
            if port.startswith("DO"):
                for index in range(len(data["bits"])):
                    arrival.setdefault((port, index), _BLOCK_RAM_READ)
    return Delays(through, arrival, setup)
