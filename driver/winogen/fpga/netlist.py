"""A flat netlist of Xilinx primitives, as Yosys writes it (JSON).

A cell belongs to an instance of the logic by its own name (memories) or that of a net that it
drives. Most LUTs, and DSPs in a cascade, drive nets without a name; they belong to the instance
that most of their readers belong to.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

#: A net of one bit: its number. Constants ("0", "1", "x") are no nets.
Bit = int

#: Levels of the hierarchy in an instance's name: ``u_compute/u_output/u_activation`` has three.
_DEPTH = 3


@dataclass(frozen=True)
class Cell:
    """A primitive: its name and type, parameters, and the bits on each port (None: constant)."""

    name: str
    type: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, list[Bit | None]]
    outputs: Mapping[str, list[Bit | None]]

    @property
    def has_own_name(self) -> bool:
        """Whether its name comes from the logic, as those of memories, and not from Yosys."""
        return not self.name.startswith("$")

    def number(self, parameter: str) -> int:
        """A parameter that holds a whole number, 0 where the cell does not set it."""
        return int(self.parameters.get(parameter, "0"), 2)


@dataclass(frozen=True)
class Pin:
    """One bit of a port of a cell."""

    cell: Cell
    port: str
    index: int


@dataclass
class Netlist:
    """The cells and named nets of a flat design.

    Attributes
    ----------
    cells : all primitives
    names : for a bit, the public names of nets that it is part of, with its index there
    """

    cells: list[Cell]
    names: Mapping[Bit, list[str]] = field(repr=False)

    @classmethod
    def from_json(cls, design: Mapping[str, Any], top: str, inside: str = "") -> Netlist:
        """Read what ``write_json`` has written; KeyError if ``top`` is not in it.

        What lies in the instance ``inside`` of the top level is named as if that were the top.
        """
        prefix = f"{inside}."
        module = design["modules"][top]
        cells = []
        for name, data in module["cells"].items():
            ports: dict[str, dict[str, list[Bit | None]]] = {"input": {}, "output": {}}
            for port, direction in data["port_directions"].items():
                bits = data["connections"].get(port, [])
                ports[direction][port] = [b if isinstance(b, int) else None for b in bits]
            cells.append(
                Cell(
                    name.removeprefix(prefix),
                    data["type"],
                    data["parameters"],
                    ports["input"],
                    ports["output"],
                )
            )
        names: dict[Bit, list[str]] = defaultdict(list)
        for name, net in module["netnames"].items():
            if net["hide_name"]:
                continue
            for index, bit in enumerate(net["bits"]):
                if isinstance(bit, int):
                    suffix = f"[{index}]" if len(net["bits"]) > 1 else ""
                    names[bit].append(name.removeprefix(prefix) + suffix)
        return cls(cells, dict(names))

    @cached_property
    def drivers(self) -> dict[Bit, Pin]:
        """The output that drives a bit; the top level's inputs have none."""
        return {
            bit: Pin(cell, port, index)
            for cell in self.cells
            for port, index, bit in connected(cell.outputs)
        }

    @cached_property
    def readers(self) -> dict[Bit, list[Pin]]:
        """The inputs that read a bit."""
        readers: dict[Bit, list[Pin]] = defaultdict(list)
        for cell in self.cells:
            for port, index, bit in connected(cell.inputs):
                readers[bit].append(Pin(cell, port, index))
        return dict(readers)

    def name_of(self, bit: Bit) -> str | None:
        """The name of a bit where it is driven, None if it has no public name."""
        names = self.names.get(bit)
        return min(names, key=_rank) if names else None

    def driver_name(self, bit: Bit) -> str:
        """The name of a bit, or of what drives it where it has no public name."""
        pin = self.drivers[bit]
        return self.name_of(bit) or f"{self.whole(pin.cell)} ({pin.cell.type} {pin.port})"

    def whole(self, cell: Cell) -> str:
        """The memory or the instance that a cell is a part of."""
        if cell.has_own_name:
            return memory_of(cell)
        return self.owners[cell.name] or "(top level)"

    @cached_property
    def owners(self) -> dict[str, str]:
        """For each cell, the instance that it belongs to; "" is the top level."""
        owners: dict[str, str] = {}
        waiting = []
        for cell in self.cells:
            if cell.has_own_name:
                owners[cell.name] = instance_of(memory_of(cell))
                continue
            bits = [bit for _, _, bit in connected(cell.outputs)]
            if votes := Counter(instance_of(n) for n in map(self.name_of, bits) if n):
                owners[cell.name] = votes.most_common(1)[0][0]
            else:
                waiting.append(cell)
        while waiting:
            found = {}
            for cell in waiting:
                if votes := Counter(
                    owners[pin.cell.name]
                    for _, _, bit in connected(cell.outputs)
                    for pin in self.readers.get(bit, ())
                    if pin.cell.name in owners
                ):
                    found[cell.name] = votes.most_common(1)[0][0]
            owners |= found or {cell.name: "" for cell in waiting}
            waiting = [cell for cell in waiting if cell.name not in owners]
        return owners


def connected(ports: Mapping[str, list[Bit | None]]) -> Iterator[tuple[str, int, Bit]]:
    """(port, index, bit) for all bits of these ports that are not constant."""
    for port, bits in ports.items():
        for index, bit in enumerate(bits):
            if bit is not None:
                yield port, index, bit


def memory_of(cell: Cell) -> str:
    """The memory that a cell with its own name is a part of."""
    return re.sub(r"(\.\d+)+$", "", cell.name)


def instance_of(name: str) -> str:
    """The instance that a net's name lies in, all elements of an array of instances as one."""
    instances: list[str] = []
    scope = ""
    for part in _parts(name)[:-1]:
        scope += re.sub(r"\[\d+\]", "[*]", part)
        if part.startswith(("g_", "gen_")):  # a generate block, which the next instance is in
            scope += "."
        elif len(instances) < _DEPTH:
            instances.append(scope)
            scope = ""
    return "/".join(instances)


def _parts(name: str) -> list[str]:
    return re.sub(r"\[\d+\]$", "", name).split(".")


def _rank(name: str) -> tuple[int, int, str]:
    """The lowest is the name at the driver: a register, an output, never the reader's input."""
    last = _parts(name)[-1]
    kind = 0 if last.endswith("_q") else 2 if last.endswith("_i") else 1
    return kind, -name.count("."), name
