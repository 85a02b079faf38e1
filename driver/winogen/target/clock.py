"""The clocks of the logic of a Zynq: their registers, divisors and sources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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

#: Registers of the PLLs by their names (UG585, appendix B, *System Level Control Registers*), and
#: the bit of PLL_STATUS that says that one has locked.
PLL_OFFSETS = {"ARM PLL": 0x100, "DDR PLL": 0x104, "IO PLL": 0x108}
PLL_STATUS_OFFSET = 0x10C
PLL_LOCKED = {"ARM PLL": 1 << 0, "DDR PLL": 1 << 1, "IO PLL": 1 << 2}
#: Fields of a PLL's register: crystal times feedback divisor is its frequency, unless it is off.
PLL_FDIV = Field("PLL_FDIV", 12, 7, "feedback divisor of a PLL")
PLL_BYPASS = Field("PLL_BYPASS_FORCE", 4, 1, "the PLL is passed by")
PLL_OFF = Field("PLL_PWRDWN", 0, 2, "the PLL is held in reset, or has no power")
#: FPGA0_THR_CNT, where Linux stops the first clock of the logic: pulses until it stops, 0 for none.
THROTTLE_OFFSET = 0x178
THROTTLE = Field("LAST_CNT", 0, 16, "pulses after which a clock stops, 0: it does not")
#: Linux stops a clock that no driver of its own asks for, unless it is told not to.
STOPPED_ADVICE = (
    "give the kernel the argument clk_ignore_unused, as PYNQ's images do, and boot again"
)
#: FPGA_RST_CTRL: which resets the logic is held in; LVL_SHFTR_EN: its connections to the processor.
RESET_OFFSET = 0x240
RESETS = Field("FPGA_OUT_RST", 0, 4, "resets that hold the logic")
SHIFTERS_OFFSET = 0x900
SHIFTERS_ON = 0xF


#: Most that a divisor of 6 bits can be.
MAX_DIVISOR = 63


@dataclass(frozen=True)
class ClockRegisters:
    """Where a processing system keeps the clocks of its logic, one register each.

    Attributes
    ----------
    base, size : of the block that they lie in, bytes
    offsets : of the registers in it, by number of the clock
    mask : bits that choose the PLL and the divisors
    gate : bit without which a clock stands still, or 0
    throttle : offset of the register that stops the first clock where it is not 0, or None
    """

    base: int
    size: int
    offsets: tuple[int, ...]
    mask: int
    gate: int
    throttle: int | None = None


def fclk_offset(index: int) -> int:
    """Offset of FPGAn_CLK_CTRL in the SLCR, in bytes."""
    return FCLK0_OFFSET + 0x10 * index


def select_source(word: int, source: str) -> int:
    """The value of FPGAn_CLK_CTRL that takes its clock from another PLL; KeyError if unknown."""
    return word & ~SRCSEL.insert(-1) | SRCSEL.insert(PLLS[source][0])


#: By processor, as board files name it. On a Zynq UltraScale+ these are CRL_APB's PLn_REF_CTRL,
#: with the PLL in bits 0 to 2, the divisors from bits 8 and 16 on, and the gate in bit 24.
CLOCK_REGISTERS = {
    "zynq7": ClockRegisters(
        SLCR_BASE,
        SLCR_SIZE,
        tuple(fclk_offset(index) for index in range(PL_CLOCKS)),
        SRCSEL.insert(-1) | DIVISOR0.insert(-1) | DIVISOR1.insert(-1),
        0,
        THROTTLE_OFFSET,
    ),
    "zynqmp": ClockRegisters(0xFF5E_0000, 0x1000, (0xC0, 0xC4, 0xC8, 0xCC), 0x003F_3F07, 1 << 24),
}


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
        for divisors in _divisors():
            clock = cls(*divisors, source)
            if clock.mhz <= mhz + 1e-6:
                return clock
        raise ValueError(f"a PL clock of {mhz} MHz is too slow; the slowest is 0.251953 MHz")


@cache
def _divisors() -> list[tuple[int, int]]:
    """Both divisors of every clock, from the fastest down, the second as small as can be."""
    numbers = range(1, MAX_DIVISOR + 1)
    pairs = {d0 * d1: (d0, d1) for d1 in reversed(numbers) for d0 in numbers if d0 >= d1}
    return [pairs[product] for product in sorted(pairs)]


def frequency(word: int) -> float | None:
    """The frequency that a value of FPGAn_CLK_CTRL makes, MHz; None if its PLL is no known one."""
    sources = {code: name for name, (code, _) in PLLS.items()} | {1: "IO PLL"}  # 0 and 1 are one
    source = sources.get(SRCSEL.extract(word))
    divisors = DIVISOR0.extract(word), DIVISOR1.extract(word)
    return PlClock(*divisors, source).mhz if source and all(divisors) else None
