"""Clocks that a board's processing system can make for the logic: whole fractions of its PLLs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from winogen.common.errors import BoardError
from winogen.target.board import Board, Platform
from winogen.target.clock import MAX_DIVISOR, PLLS

#: Clocks this close are one: Vivado writes some digits, and PLLs are not exact.
_TOLERANCE = 1e-3
#: A build goes down to this share of the clock that it wants.
_LOWEST = 0.5
#: Of those that a refusal lists: so many above what was wanted, and so many below.
_ABOVE, _BELOW = 2, 4


@dataclass(frozen=True)
class LogicClock:
    """A clock of the logic: a PLL divided twice.

    Attributes
    ----------
    source, source_mhz : the PLL and its frequency, MHz
    divisor0, divisor1 : 1 to 63 each
    """

    source: str
    source_mhz: float
    divisor0: int
    divisor1: int

    @property
    def mhz(self) -> float:
        """The frequency, in MHz."""
        return self.source_mhz / (self.divisor0 * self.divisor1)


def legal_clocks(platform: Platform) -> dict[str, tuple[LogicClock, ...]]:
    """All clocks of the logic that a board's PLLs make, by PLL, from the fastest down.

    The PLL of the board file comes first. Those of a Zynq-7000 are both that winogen can choose; of
    others there is no second one, since their PLLs run at what each board sets.
    """
    plls = {platform.clock_source: platform.source_mhz}
    if platform.processor == "zynq7":
        plls |= {name: mhz for name, (_, mhz) in PLLS.items() if name not in plls}
    return {pll: _clocks(pll, mhz) for pll, mhz in plls.items()}


@lru_cache(maxsize=16)
def _clocks(pll: str, mhz: float) -> tuple[LogicClock, ...]:
    """A thousand, which every build and every board that is looked at asks for."""
    pairs = {d0 * d1: (d0, d1) for d0 in range(1, MAX_DIVISOR + 1) for d1 in range(1, d0 + 1)}
    return tuple(LogicClock(pll, mhz, *pairs[divisor]) for divisor in sorted(pairs))


def wanted_clock(board: Board, platform: Platform) -> LogicClock:
    """The clock that the board file wants, from the PLL that it names.

    Raises
    ------
    BoardError
        If that is no whole fraction of the PLL; it lists what is, of both PLLs.
    """
    mhz, clocks = board.clock_mhz, legal_clocks(platform)
    for clock in clocks[platform.clock_source]:
        if abs(clock.mhz - mhz) <= _TOLERANCE * mhz:
            return clock
    choices = []
    for pll, own in clocks.items():
        near = [c for c in own if c.mhz > mhz][-_ABOVE:] + [c for c in own if c.mhz <= mhz][:_BELOW]
        rates = ", ".join(f"{clock.mhz:.6g}" for clock in near)
        choices.append(f"{rates} from {pll} ({own[0].mhz:g})")
    raise BoardError(
        f"board '{board.name}': its clock_mhz, {mhz:g}, is no whole fraction of "
        f"{platform.source_mhz:g} MHz ({platform.clock_source}); give one of these in MHz, with "
        f"its clock_source and source_mhz: {'; '.join(choices)}"
    )


def lower_clocks(board: Board, platform: Platform) -> list[LogicClock]:
    """What a build tries, from the fastest down, where the wanted clock misses its timing.

    These are of both PLLs; where both make a frequency, it is the board file's.
    """
    found = [wanted_clock(board, platform)]
    every = [clock for own in legal_clocks(platform).values() for clock in own]
    for clock in sorted(every, key=lambda clock: -round(clock.mhz, 6)):  # stable
        if _LOWEST * found[0].mhz <= clock.mhz < found[-1].mhz * (1 - _TOLERANCE):
            found.append(clock)
    return found[1:]
