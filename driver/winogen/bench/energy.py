"""Energy of an image: what the logic does, counted, times what each of it takes, published.

``energy.yaml`` has a technology's constants, each with its spread and its source. What is counted
is :mod:`winogen.cost.accesses`; what is not (clock tree, registers of pipelines, queues, the AXI
ports) is not in the sum either. A multiply by an inserted zero counts as any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from winogen.cost.accesses import Accesses

_FILE = Path(__file__).with_name("energy.yaml")
#: What a constant may rest on.
KINDS = ("published", "derived", "assumed")
#: What an image's energy is the sum of, in the order in which it is shown.
TERMS = ("DRAM", "memories", "multiplies", "adds", "static")
#: Memories of LUTs or registers; the others are block RAM.
SMALL = ("patches", "accumulator memory")
#: From multiplies of 8 bits to those of 32: 0.2 to 3.1 pJ, by the product of the widths.
_AREA_POWER = math.log(3.1 / 0.2) / math.log(32 * 32 / 64)


@dataclass(frozen=True)
class Constant:
    """An energy (pJ) or a power (W): value, lowest and highest, what it rests on, and why."""

    value: float
    low: float
    high: float
    kind: str
    source: str
    how: str


@dataclass(frozen=True)
class Technology:
    """Constants of one technology, by name."""

    name: str
    title: str
    about: str
    constants: Mapping[str, Constant]

    def with_power(self, logic: float | None, processor: float | None) -> Technology:
        """The same with measured static power (W) of the logic, and of the processing system."""
        given = {"logic_static_w": logic, "processor_w": processor}
        constants = dict(self.constants)
        for name, watts in given.items():
            if watts is not None:
                constants[name] = Constant(watts, watts, watts, "given", "none", "as given")
        return replace(self, constants=constants)

    def values(self) -> dict[str, float]:
        """The values alone."""
        return {name: c.value for name, c in self.constants.items()}


@dataclass(frozen=True)
class Estimate:
    """A number with its error bar, each constant at its low and high alone, added in quadrature."""

    value: float
    low: float
    high: float


@cache
def technologies() -> dict[str, Technology]:
    """All technologies, by name."""
    data = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        name: Technology(
            name,
            tech["title"],
            " ".join(tech["about"].split()),
            {key: Constant(**c) for key, c in tech["constants"].items()},
        )
        for name, tech in data.items()
        if name != "sources"
    }


@cache
def sources() -> dict[str, str]:
    """Where constants are from, by the name that they give."""
    return dict(yaml.safe_load(_FILE.read_text(encoding="utf-8"))["sources"])


def multiply_pj(widths: tuple[int, int], of_8: float) -> float:
    """pJ of an integer multiply of two widths, from that of 8 bits."""
    return of_8 * (widths[0] * widths[1] / 64) ** _AREA_POWER


def terms(counted: Accesses, seconds: float, constants: Mapping[str, float]) -> dict[str, float]:
    """Joules of each of ``TERMS`` for what was counted, which took so many seconds."""
    ram = {"small": constants["small_ram_bit"], "large": constants["block_ram_bit"]}
    memories = sum(
        bits * ram["small" if name in SMALL else "large"]
        for name, bits in counted.memory_bits.items()
    )
    multiplies = sum(
        n * multiply_pj(widths, constants["multiply_8"]) for widths, n in counted.multiplies.items()
    )
    adds = sum(n * width * constants["add_bit"] for width, n in counted.adds.items())
    dram = 8 * (counted.dram_read + counted.dram_written) * constants["dram_bit"]
    watts = constants["logic_static_w"] + constants["processor_w"]
    return {
        "DRAM": dram * 1e-12,
        "memories": memories * 1e-12,
        "multiplies": multiplies * 1e-12,
        "adds": adds * 1e-12,
        "static": watts * seconds,
    }


def estimate(technology: Technology, of: Callable[[Mapping[str, float]], float]) -> Estimate:
    """A number that depends on the constants, with the error bar that their spread gives it."""
    values = technology.values()
    middle = of(values)
    below = above = 0.0
    for name, constant in technology.constants.items():
        ends = [of({**values, name: end}) - middle for end in (constant.low, constant.high)]
        below += min(*ends, 0.0) ** 2
        above += max(*ends, 0.0) ** 2
    return Estimate(middle, max(middle - math.sqrt(below), 0.0), middle + math.sqrt(above))


def image_energy(technology: Technology, counted: Accesses, seconds: float) -> Estimate:
    """Joules of what was counted, all terms together."""
    return estimate(technology, lambda c: sum(terms(counted, seconds, c).values()))


def energy_ratio(
    technology: Technology, one: tuple[Accesses, float], other: tuple[Accesses, float]
) -> Estimate:
    """How many times the energy of ``other`` is in ``one``; both with their seconds.

    The constants move together in both, so the bar is smaller than those of the two.
    """
    return estimate(
        technology,
        lambda c: sum(terms(*one, c).values()) / sum(terms(*other, c).values()),
    )
