"""The parts of a Zynq-7000's processing system that matter to an overlay: clocks, resets, ports.

``Overlay.download()`` sets FCLK0..3 through the SLCR registers below, and ``pynq.Clocks`` reads
them back; ``winogen doctor`` looks at the others. All are as they are after a PYNQ-Z1/Z2 has booted
(50 MHz crystal, 1 GHz IO PLL, ports to memory of 64 bits).
"""

from __future__ import annotations

from winogen.emulation.device.errors import BusError
from winogen.target.clock import (
    CRYSTAL_MHZ,
    DIVISOR0,
    DIVISOR1,
    IO_PLL_MHZ,
    PL_CLOCKS,
    PLL_FDIV,
    PLL_LOCKED,
    PLL_OFFSETS,
    PLL_STATUS_OFFSET,
    PLLS,
    RESET_OFFSET,
    SHIFTERS_OFFSET,
    SHIFTERS_ON,
    SLCR_BASE,
    SRCSEL,
    THROTTLE_OFFSET,
    PlClock,
    fclk_offset,
    frequency,
)
from winogen.target.ports import READ_OFFSET, WRITE_OFFSET
from winogen.target.registers import ErrorCode

_ARM_CLK = 0x120
_ARM_PLL_MHZ = 1300.0
#: AFI_WRCHAN_CTRL after a reset: 64 bits, and writes begin once 15 beats are there.
_WRITE_RESET = 0xF00


class _Words:
    """Registers that hold what is written to them; ``words`` by byte offset."""

    def __init__(self, name: str, base: int, words: dict[int, int]) -> None:
        self.words = words
        self._name, self._base = name, base

    def read(self, offset: int) -> int:
        """The register at byte ``offset``; BusError where none is modelled."""
        return self.words[self._modelled(offset)]

    def write(self, offset: int, value: int) -> None:
        """Write the register at byte ``offset``; BusError where none is modelled."""
        self.words[self._modelled(offset)] = value

    def _modelled(self, offset: int) -> int:
        if offset not in self.words:
            raise BusError(
                ErrorCode.AXI_SLVERR,
                self._base + offset,
                f"{self._name} register 0x{offset:03x} is not modelled; only what an overlay and "
                "its checks need is",
            )
        return offset


class Afi(_Words):
    """The widths of a port to memory, ``S_AXI_HPn``, whose registers begin at ``base``."""

    def __init__(self, base: int) -> None:
        super().__init__("AFI", base, {READ_OFFSET: 0, WRITE_OFFSET: _WRITE_RESET})


class Slcr(_Words):
    """The registers of the SLCR for clocks, PLLs and the logic's resets.

    FCLK0 starts with the divisors of ``clock``, and from the IO PLL as after PYNQ's boot.
    """

    def __init__(self, clock: PlClock) -> None:
        rates = {"ARM PLL": _ARM_PLL_MHZ, "DDR PLL": PLLS["DDR PLL"][1], "IO PLL": IO_PLL_MHZ}
        words = {at: PLL_FDIV.insert(int(rates[n] / CRYSTAL_MHZ)) for n, at in PLL_OFFSETS.items()}
        words |= {
            PLL_STATUS_OFFSET: sum(PLL_LOCKED.values()),
            _ARM_CLK: DIVISOR0.insert(2),
            THROTTLE_OFFSET: 0,
            RESET_OFFSET: 0,
            SHIFTERS_OFFSET: SHIFTERS_ON,
        }
        for index in range(PL_CLOCKS):
            c = clock if index == 0 else PlClock.at_most(100.0)
            words[fclk_offset(index)] = DIVISOR0.insert(c.divisor0) | DIVISOR1.insert(c.divisor1)
        super().__init__("SLCR", SLCR_BASE, words)

    def fclk_mhz(self, index: int) -> float:
        """Frequency of PL clock ``index`` as it is programmed now, in MHz."""
        # What has another PLL counts as the IO PLL's: the ARM PLL clocks no logic here.
        word = self.words[fclk_offset(index)]
        return frequency(word) or frequency(word & ~SRCSEL.insert(-1)) or 0.0
