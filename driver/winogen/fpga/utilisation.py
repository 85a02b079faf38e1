"""What a build takes of a device, against what it may take: for people and for machines."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from winogen.common.text import table
from winogen.fpga import area
from winogen.fpga import paths as timing
from winogen.fpga.area import Area
from winogen.fpga.estimate import estimate
from winogen.fpga.nets import Net, Nets, placed
from winogen.fpga.parts import PACKED, Part
from winogen.fpga.paths import Path, Timing
from winogen.fpga.synthesis import Synthesis
from winogen.target.board import Board

#: The multiplier array.
ARRAY = "u_compute/u_array"
_WIDTH = 40
#: Paths, and nets, that a report names.
PATHS = 10
NETS = 15
#: An estimate may be off by so many percent.
_ESTIMATE_PERCENT = 10
_LABELS = {"dsp": "DSP48", "ramb36": "RAMB36", "ramb18": "RAMB18", "lut": "LUT", "ff": "FF"}
#: What a device is filled with: label, attribute of Area, attribute of Part.
_FILLED = (
    ("DSP48", "dsp", "dsp"),
    ("RAMB36", "block_ram", "ramb36"),
    ("LUT", "lut", "lut"),
    ("FF", "ff", "ff"),
)


@dataclass(frozen=True)
class Bar:
    """A number that a build is held to.

    Attributes
    ----------
    what : what is measured
    value, limit : of the build, and what it has to be at most (or at least)
    least : the limit is a lower one
    """

    what: str
    value: float
    limit: float
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is within the limit."""
        return (operator.ge if self.least else operator.le)(self.value, self.limit)


@dataclass(frozen=True)
class Report:
    """A synthesised build on a device.

    Attributes
    ----------
    board, data_width, part, tool, key : what was synthesised, for what, with what; the digest of it
    total, estimated : resources of the flat netlist, and what ``estimate`` expects
    instances : the same for each instance alone, without those below it
    array : DSPs of the multiplier array, each a multiplier
    registers : how many of these use their A, B, M and P registers
    rams, registered : block RAMs, and how many of them are read through a register
    latches : names of latches
    paths, deepest : the longest paths by logic alone, and that of most LUTs; None where Yosys
        knows no delays
    routed : the longest path to each register, nets estimated, longest first: all that are longer
        than the part's goal, or ``PATHS``; None as above
    nets : those that drive most
    period : of the board's clock, ps
    """

    board: str
    data_width: int
    multipliers: int
    part: Part
    tool: str
    key: str
    total: Area
    estimated: Area
    instances: Mapping[str, Area]
    array: int
    registers: Mapping[str, int]
    rams: int
    registered: int
    latches: list[str]
    paths: list[Path] | None
    deepest: Path | None
    routed: list[Path] | None
    nets: list[Net]
    period: int

    @classmethod
    def of(cls, board: Board, part: Part, synthesis: Synthesis) -> Report:
        """Measure a synthesised board."""
        netlist = synthesis.netlist
        array = area.multipliers(netlist, ARRAY)
        rams = area.block_rams(netlist)
        nets = Nets(netlist, part)
        paths, deepest, routed = _paths(synthesis, nets, part.goal)
        return cls(
            board=board.name,
            data_width=board.core.data_width,
            multipliers=board.core.multipliers,
            part=part,
            tool=synthesis.tool,
            key=synthesis.key,
            total=area.total(netlist),
            estimated=estimate(board.core, part.family),
            instances=area.by_instance(netlist),
            array=len(array),
            registers=area.registers_used(array),
            rams=len(rams),
            registered=sum(area.is_registered(netlist, ram) for ram in rams),
            latches=area.latches(netlist),
            paths=paths,
            deepest=deepest,
            routed=routed,
            nets=nets.widest(NETS),
            period=round(1e6 / board.clock_mhz),
        )

    def bars(self) -> list[Bar]:
        """All that the build is held to: the device, the part's limits, one DSP a multiplier."""
        limits = self.part.limits.get(self.data_width, {})
        total, part = self.total, self.part
        bars = [
            Bar("DSP48 of the array, at most one a multiplier", self.array, self.multipliers),
            Bar(
                "DSP48 of the array, at least one a multiplier", self.array, self.multipliers, True
            ),
            *(
                Bar(f"DSP48 of the array with {register}", count, self.multipliers, True)
                for register, count in self.registers.items()
                if part.family in PACKED
            ),
            Bar("block RAMs read through a register", self.registered, self.rams, True),
            Bar("latches", len(self.latches), 0),
            *(
                Bar(label, getattr(total, used), part.limit(there, self.data_width))
                for label, used, there in _FILLED
            ),
            *(
                Bar(f"estimate of {label}, percent off", _off(self, used), _ESTIMATE_PERCENT)
                for label, used, _ in _FILLED
            ),
        ]
        if "dsp_least" in limits and 2 * self.multipliers > part.dsp:  # else meant to be small
            bars.append(Bar("DSP48", total.dsp, limits["dsp_least"], True))
        if self.paths and "delay" in limits:
            longest = self.paths[0]
            bars.append(Bar("ps of logic on the longest path", longest.delay, limits["delay"]))
            bars.append(Bar("LUTs on the longest path", longest.luts, limits["levels"]))
        if self.routed and "late" in limits:
            late = self._over(self.period)
            bars.append(Bar("registers that miss the clock, nets estimated", late, limits["late"]))
        return bars

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "board": self.board,
            "data_width": self.data_width,
            "part": asdict(self.part),
            "tool": self.tool,
            "key": self.key,
            "total": {**self.total.as_dict(), "block_ram": self.total.block_ram},
            "instances": {name: part.as_dict() for name, part in self.instances.items()},
            "array": {"multipliers": self.multipliers, "dsp": self.array, **self.registers},
            "block_rams": {"all": self.rams, "registered": self.registered},
            "latches": self.latches,
            "paths": [path.as_dict() for path in self.paths or ()],
            "deepest": self.deepest and self.deepest.as_dict(),
            "routed": {
                "period": self.period,
                "goal": self.part.goal,
                "over_period": self._over(self.period),
                "over_goal": self._over(self.part.goal),
                "paths": [path.as_dict() for path in self._slowest()],
            },
            "nets": [net.as_dict() for net in self.nets],
            "bars": [{**asdict(bar), "met": bar.met} for bar in self.bars()],
        }

    def _over(self, delay: int) -> int:
        """Registers that a path of more than so many ps ends at, vectors as one."""
        return sum(path.delay > delay for path in self.routed or ())

    def _slowest(self) -> list[Path]:
        """Of ``routed`` those that miss the clock, and some at least."""
        return (self.routed or [])[: max(self._over(self.period), PATHS)]

    def text(self) -> str:
        """For a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.board} int{self.data_width} on {self.part.name}, synthesised by {self.tool} "
            "(not placed, not routed)\n"
        )
        for label, *names in _FILLED:
            used, there = (getattr(o, n) for o, n in zip((self.total, self.part), names))
            filled = min(_WIDTH, round(_WIDTH * used / there))
            yield (
                f"{label:7}|{'#' * filled:{_WIDTH}}| {used:>8,g} of {there:>7,} "
                f"{100 * used / there:5.1f} %"
            )
        yield (
            f"\n{self.array} of {self.multipliers} multipliers of the array are one DSP48 each; "
            "registers used: " + ", ".join(f"{n} {c}" for n, c in self.registers.items())
        )
        if self.part.family not in PACKED:
            yield (
                "Yosys puts no registers and adders into the DSP48 of this family; Vivado does, "
                "and needs fewer LUTs and flip-flops."
            )
        yield ""
        yield table(
            ["part of the design", *_LABELS.values(), "of LUT: memory"],
            [
                [name, *(f"{getattr(part, n):,g}" for n in _LABELS), f"{part.lutram:,}"]
                for name, part in _grouped(self.instances).items()
            ],
        )
        if self.paths:
            yield "\nLongest paths from register to register, logic alone:"
            yield _path_table(self.paths)
        if self.deepest:
            yield f"Most LUTs: {self.deepest.luts}, {self.deepest.start} to {self.deepest.end}"
        if self.routed:
            yield "\nLongest paths, nets estimated by what they drive:"
            yield _path_table(self._slowest())
            for what, delay in (("the clock", self.period), ("the goal", self.part.goal)):
                if delay:
                    yield f"Registers over {delay:,} ps, {what}: {self._over(delay)}"
        yield "\nNets that drive most cells:"
        yield table(
            ["net", "cells", "ps, estimated" if self.routed else ""],
            [[n.name, f"{n.loads:,}", f"{n.delay}" if self.routed else ""] for n in self.nets],
        )
        yield ""
        for bar in self.bars():
            sign = "at least" if bar.least else "at most"
            yield (
                f"{'ok    ' if bar.met else 'MISSED'}  {bar.what}: {bar.value:,g}, {sign} "
                f"{bar.limit:,g}"
            )


def _paths(
    synthesis: Synthesis, nets: Nets, goal: int
) -> tuple[list[Path] | None, Path | None, list[Path] | None]:
    """The longest paths, the deepest one, and the longest with nets estimated."""
    netlist, delays = synthesis.netlist, synthesis.delays
    if delays is None:
        return None, None, None
    deepest = Timing(netlist, timing.levels(delays)).longest(1)
    whole = Timing(netlist, placed(delays), nets.delay)
    over = whole.longest(len(netlist.cells), goal) if goal else []
    return (
        Timing(netlist, delays).longest(PATHS),
        next(iter(deepest), None),
        over if len(over) >= PATHS else whole.longest(PATHS),
    )


def _path_table(paths: Sequence[Path]) -> str:
    return table(
        ["from", "to", "ps", "LUT", "CARRY"],
        [[p.start, p.end, f"{p.delay}", f"{p.luts}", f"{p.carries}"] for p in paths],
        left=2,
    )


def _off(report: Report, resource: str) -> float:
    """Percent by which an estimate is off."""
    measured = getattr(report.total, resource)
    return 100 * abs(getattr(report.estimated, resource) - measured) / max(measured, 1)


def _grouped(instances: Mapping[str, Area]) -> dict[str, Area]:
    """Instances of the first two levels, with what lies below."""
    groups: dict[str, Area] = {}
    for name, part in instances.items():
        group = "/".join(name.split("/")[:2]) or "(top level)"
        groups.setdefault(group, Area()).merge(part)
    return groups
