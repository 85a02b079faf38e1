"""The clocks of the logic of a Zynq-7000: registers of the SLCR, divisors and sources."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.target.registers import Field

#: The SLCR's registers, and of the first clock of the logic among them (FPGA0_CLK_CTRL).
SLCR_BASE = 0xF800_0000
SLCR_SIZE = 0x1000  # bytes
FCLK0_OFFSET = 0x170
#: Clocks of the logic.
PL_CLOCKS = 4
CRYSTAL_MHZ = 50.0
IO_PLL_MHZ = 1000.0
#: PLLs that can clock the logic: SRCSEL of FPGAn_CLK_CTRL, and their frequency in MHz.
PLLS = {"IO PLL": (0, IO_PLL_MHZ), "DDR PLL": (3, 1050.0)}
#: Fields of FPGAn_CLK_CTRL.
DIVISOR0 = Field("DIVISOR0", 8, 6, "first divisor of a clock")
DIVISOR1 = Field("DIVISOR1", 20, 6, "second divisor of a clock")
SRCSEL = Field("SRCSEL", 4, 2, "PLL of a clock")


def fclk_offset(index: int) -> int:
    """Offset of FPGAn_CLK_CTRL in the SLCR, in bytes."""
    return FCLK0_OFFSET + 0x10 * index


def select_source(word: int, source: str) -> int:
    """The value of FPGAn_CLK_CTRL that takes its clock from another PLL; KeyError if unknown."""
    return word & ~SRCSEL.insert(-1) | SRCSEL.insert(PLLS[source][0])


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
