"""The part of a Zynq-7000's processing system that pynq programs: the clocks of the logic.

``Overlay.download()`` sets FCLK0..3 through the SLCR registers below, and ``pynq.Clocks`` reads
them back; the reset values are those of a PYNQ-Z1/Z2 (50 MHz crystal, 1 GHz IO PLL).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..registers import ErrorCode, Field
from .errors import BusError

SLCR_BASE = 0xF800_0000
SLCR_SIZE = 0x1000  # bytes
#: FPGA0_CLK_CTRL, the register of the logic's first clock.
FCLK0_OFFSET = 0x170
PL_CLOCKS = 4
CRYSTAL_MHZ = 50.0
IO_PLL_MHZ = 1000.0
#: PLLs that can clock the logic: SRCSEL of FPGAn_CLK_CTRL, and their frequency in MHz.
PLLS = {"IO PLL": (0, IO_PLL_MHZ), "DDR PLL": (3, 1050.0)}

_FDIV = Field("PLL_FDIV", 12, 7, "feedback divisor of a PLL")
_DIVISOR0 = Field("DIVISOR0", 8, 6, "first divisor of a clock")
_DIVISOR1 = Field("DIVISOR1", 20, 6, "second divisor of a clock")
_SRCSEL = Field("SRCSEL", 4, 2, "PLL of a clock")
_ARM_PLL, _DDR_PLL, _IO_PLL, _ARM_CLK = 0x100, 0x104, 0x108, 0x120


def _fclk(index: int) -> int:
    return FCLK0_OFFSET + 0x10 * index


def select_source(word: int, source: str) -> int:
    """The value of FPGAn_CLK_CTRL that takes its clock from another PLL; KeyError if unknown."""
    return word & ~_SRCSEL.insert(-1) | _SRCSEL.insert(PLLS[source][0])


@dataclass(frozen=True)
class PlClock:
    """A clock of the logic: a PLL divided twice."""

    divisor0: int
    divisor1: int
    source: str = "IO PLL"

    @property
    def mhz(self) -> float:
        """The frequency, in MHz."""
        return round(PLLS[self.source][1] / (self.divisor0 * self.divisor1), 6)

    @classmethod
    def at_most(cls, mhz: float, source: str = "IO PLL") -> PlClock:
        """The fastest clock that is not faster than ``mhz``.

        Raises
        ------
        ValueError
            If ``mhz`` is below what two 6-bit divisors reach.
        """
        divisors = [cls(d0, d1, source) for d1 in range(1, 64) for d0 in range(d1, 64)]
        possible = [clock for clock in divisors if clock.mhz <= mhz + 1e-6]
        if not possible:
            raise ValueError(f"a PL clock of {mhz} MHz is too slow; the slowest is 0.251953 MHz")
        return max(possible, key=lambda clock: clock.mhz)


class Slcr:
    """The clock registers of the SLCR, readable and writable.

    FCLK0 starts with the divisors of ``clock``, and from the IO PLL as after PYNQ's boot.
    """

    def __init__(self, clock: PlClock) -> None:
        self._words = {
            _ARM_PLL: _FDIV.insert(26),
            _DDR_PLL: _FDIV.insert(int(PLLS["DDR PLL"][1] / CRYSTAL_MHZ)),
            _IO_PLL: _FDIV.insert(int(IO_PLL_MHZ / CRYSTAL_MHZ)),
            _ARM_CLK: _DIVISOR0.insert(2),
        }
        for index in range(PL_CLOCKS):
            c = clock if index == 0 else PlClock.at_most(100.0)
            self._words[_fclk(index)] = _DIVISOR0.insert(c.divisor0) | _DIVISOR1.insert(c.divisor1)

    def fclk_mhz(self, index: int) -> float:
        """Frequency of PL clock ``index`` as it is programmed now, in MHz."""
        word = self._words[_fclk(index)]
        selected = _SRCSEL.extract(word)
        # 0 and 1 are the IO PLL; the ARM PLL (2) clocks no logic here.
        source = next((n for n, (code, _) in PLLS.items() if code == selected), "IO PLL")
        return PlClock(_DIVISOR0.extract(word), _DIVISOR1.extract(word), source).mhz

    def read(self, offset: int) -> int:
        """The register at byte ``offset``; BusError where none is modelled."""
        return self._words[self._modelled(offset)]

    def write(self, offset: int, value: int) -> None:
        """Write the register at byte ``offset``; BusError where none is modelled."""
        self._words[self._modelled(offset)] = value

    def _modelled(self, offset: int) -> int:
        if offset not in self._words:
            raise BusError(
                ErrorCode.AXI_SLVERR,
                SLCR_BASE + offset,
                f"SLCR register 0x{offset:03x} is not modelled; only the clock registers are",
            )
        return offset
