"""The longest paths of a placed design, from the delays that nextpnr writes (SDF).

nextpnr tells of critical paths after routing only, which a large design may never come to. Its
delays (``--sdf``) are there after placement too, with those of nets as the placer estimates them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Cells whose names begin so are a level of logic.
_LOGIC = "TRELLIS_COMB"
_INTERCONNECT = re.compile(r"\(INTERCONNECT (\S+) (\S+) \(([^)]*)\) \(([^)]*)\)\)")
_IOPATH = re.compile(
    r"\(IOPATH (?:\(\w+ (\S+)\)|(\S+)) (?:\(\w+ (\S+)\)|(\S+)) \(([^)]*)\) \(([^)]*)\)\)"
)
_SETUP = re.compile(r"\(SETUPHOLD \(\w+ (\S+)\) \(\w+ (\S+)\) \(([^)]*)\)")
_CELL = re.compile(r'\(CELLTYPE "([^"]*)"\)')
_INSTANCE = re.compile(r"\(INSTANCE (\S*)\)")
#: What Yosys and nextpnr put behind the name of the net that a cell drives.
_SUFFIX = re.compile(r"(_TRELLIS_FF_|_LUT4_|_PFUMX_|_L6MUX21_|_CCU2C_|_MULT18X18D_|\$).*")
#: Parts of a vector and generated blocks: what is told of one of them is told of all.
_INDEX = re.compile(r"\[\d+\]|\.\d+(?=\.|$)")


@dataclass(frozen=True)
class PlacedPath:
    """A path from register to register.

    Attributes
    ----------
    delay, nets : ps in all, and of that in nets
    levels : look-up tables and adders on the way
    start, end : the registers
    widest : the net on the way that drives most pins: how many
    """

    delay: int
    nets: int
    levels: int
    start: str
    end: str
    widest: int

    @property
    def modules(self) -> tuple[str, str]:
        """The instances in which it begins and ends."""
        return (module(self.start), module(self.end))

    def as_dict(self) -> dict[str, Any]:
        """Name to value."""
        return asdict(self)


def module(name: str) -> str:
    """The instance that a register belongs to."""
    return name.rpartition(".")[0] or "top"


def placed_paths(file: Path, count: int) -> list[PlacedPath]:
    """The worst paths, longest first, at most ``count``: one for each two instances.

    Parameters
    ----------
    file : SDF as nextpnr writes it
    count : how many

    Raises
    ------
    ValueError
        If the design has a combinational loop.
    """
    design = _Design(file)
    worst: dict[tuple[str, str], PlacedPath] = {}
    for delay, pin in sorted(design.ends(), reverse=True):
        path = design.path(delay, pin)
        if path.modules not in worst:
            worst[path.modules] = path
            if len(worst) == count:
                break
    return list(worst.values())


class _Design:
    """Arrival times; a pin is ``instance/port``."""

    def __init__(self, file: Path) -> None:
        self._arcs: defaultdict[str, list[tuple[str, int, bool]]] = defaultdict(list)
        self._setup: dict[str, int] = {}
        self._types: dict[str, str] = {}
        self._fanout: defaultdict[str, int] = defaultdict(int)
        clocks = self._read(file)
        # For each pin that a clock reaches: time, the pin before it, and whether by a net.
        self._arrival: dict[str, tuple[int, str | None, bool]] = dict.fromkeys(
            clocks, (0, None, False)
        )
        self._propagate(clocks)

    def ends(self) -> list[tuple[int, str]]:
        """Time and pin wherever a path ends."""
        return [
            (self._arrival[pin][0] + setup, pin)
            for pin, setup in self._setup.items()
            if pin in self._arrival
        ]

    def path(self, delay: int, pin: str) -> PlacedPath:
        """The path that ends at a pin."""
        nets = levels = widest = 0
        at = pin
        start = pin
        while True:
            time, before, is_net = self._arrival[at]
            if before is None:
                break
            if is_net:
                nets += time - self._arrival[before][0]
                widest = max(widest, self._fanout[before])
                start = before
            else:
                levels += self._types[at.rpartition("/")[0]].startswith(_LOGIC)
            at = before
        # What comes out of a distributed RAM by its clock is no level of logic.
        return PlacedPath(delay, nets, levels, _register(start), _register(pin), widest)

    def _read(self, file: Path) -> set[str]:
        """Fill in the arcs; the clock pins."""
        clocks: set[str] = set()
        type_ = instance = ""
        with file.open(errors="replace") as lines:
            for line in lines:
                if match := _INTERCONNECT.search(line):
                    source, target = match[1], match[2]
                    self._arcs[source].append((target, _longest(match[3], match[4]), True))
                    self._fanout[source] += 1
                elif match := _IOPATH.search(line):
                    source, target = match[1] or match[2], match[3] or match[4]
                    arc = (f"{instance}/{target}", _longest(match[5], match[6]), False)
                    self._arcs[f"{instance}/{source}"].append(arc)
                    if _is_clock(source):
                        clocks.add(f"{instance}/{source}")
                elif match := _SETUP.search(line):
                    pin = f"{instance}/{match[1]}"
                    self._setup[pin] = max(self._setup.get(pin, 0), _longest(match[3]))
                elif match := _CELL.search(line):
                    type_ = match[1]
                elif match := _INSTANCE.search(line):
                    instance = match[1]
                    self._types[instance] = type_
        return clocks

    def _propagate(self, clocks: set[str]) -> None:
        """Longest path in topological order (Kahn)."""
        missing: defaultdict[str, int] = defaultdict(int)
        for arcs in self._arcs.values():
            for target, _, _ in arcs:
                if target not in clocks:
                    missing[target] += 1
        ready = [pin for pin in list(self._arcs) if not missing[pin]]
        while ready:
            pin = ready.pop()
            known = self._arrival.get(pin)
            for target, delay, is_net in self._arcs.get(pin, ()):
                if target in clocks:
                    continue
                if known and known[0] + delay > self._arrival.get(target, (-1, None, False))[0]:
                    self._arrival[target] = (known[0] + delay, pin, is_net)
                missing[target] -= 1
                if not missing[target]:
                    ready.append(target)
        if left := sum(count > 0 for count in missing.values()):
            raise ValueError(f"the placed design has a combinational loop ({left} pins)")


def _longest(*times: str) -> int:
    """ps of ``least:typical:most`` triples."""
    return max(int(float(number)) for time in times for number in time.split(":") if number)


def _is_clock(port: str) -> bool:
    return "CLK" in port or port == "WCK"


def _register(pin: str) -> str:
    """Name of a register, or of a memory, by one of its pins."""
    name = re.sub(r"\\(.)", r"\1", pin.rpartition("/")[0])
    return _INDEX.sub("", _SUFFIX.sub("", name))
