"""The part of a Zynq-7000's processing system that pynq programs: the clocks of the logic.

``Overlay.download()`` sets FCLK0..3 through the SLCR registers below, and ``pynq.Clocks`` reads
them back; the reset values are those of a PYNQ-Z1/Z2 (50 MHz crystal, 1 GHz IO PLL).
"""

from __future__ import annotations

from winogen.emulation.device.errors import BusError
from winogen.target.clock import (
    CRYSTAL_MHZ,
    DIVISOR0,
    DIVISOR1,
    IO_PLL_MHZ,
    PL_CLOCKS,
    PLLS,
    SLCR_BASE,
    SRCSEL,
    PlClock,
    fclk_offset,
)
from winogen.target.registers import ErrorCode, Field

_FDIV = Field("PLL_FDIV", 12, 7, "feedback divisor of a PLL")
_ARM_PLL, _DDR_PLL, _IO_PLL, _ARM_CLK = 0x100, 0x104, 0x108, 0x120


class Slcr:
    """The clock registers of the SLCR, readable and writable.

    FCLK0 starts with the divisors of ``clock``, and from the IO PLL as after PYNQ's boot.
    """

    def __init__(self, clock: PlClock) -> None:
        self._words = {
            _ARM_PLL: _FDIV.insert(26),
            _DDR_PLL: _FDIV.insert(int(PLLS["DDR PLL"][1] / CRYSTAL_MHZ)),
            _IO_PLL: _FDIV.insert(int(IO_PLL_MHZ / CRYSTAL_MHZ)),
            _ARM_CLK: DIVISOR0.insert(2),
        }
        for index in range(PL_CLOCKS):
            c = clock if index == 0 else PlClock.at_most(100.0)
            self._words[fclk_offset(index)] = DIVISOR0.insert(c.divisor0) | DIVISOR1.insert(
                c.divisor1
            )

    def fclk_mhz(self, index: int) -> float:
        """Frequency of PL clock ``index`` as it is programmed now, in MHz."""
        word = self._words[fclk_offset(index)]
        selected = SRCSEL.extract(word)
        # 0 and 1 are the IO PLL; the ARM PLL (2) clocks no logic here.
        source = next((n for n, (code, _) in PLLS.items() if code == selected), "IO PLL")
        return PlClock(DIVISOR0.extract(word), DIVISOR1.extract(word), source).mhz

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
