"""Check of the processing system of a Zynq-7000, as it booted: PLLs, clock and reset of the logic.

It reads the processor's own registers alone, which answer whatever is in the logic. So what it
finds is known before the first access that could stop the machine.
"""

from __future__ import annotations

from typing import Any

from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.target import clock

_TOLERANCE_MHZ = 0.5
_BOOT = "boot with the BOOT.BIN of the PYNQ image for exactly this board"
#: What Linux says of the logic once it holds a bitstream.
_STATE = "/sys/class/fpga_manager/fpga0/state"


def processing_system(bench: Bench) -> str:
    """PLLs run at what clocks are computed with, and the logic is clocked and out of reset."""
    platform = bench.board.platform
    zynq7 = platform is None or platform.processor == "zynq7"
    if not zynq7:
        raise Skipped("its clocks are computed by pynq from what the boot set: none is assumed")
    device = bench.bare
    if device is None:
        raise Skipped("pynq finds no board: 'overlay' says what to do")
    import pynq

    slcr = pynq.MMIO(clock.SLCR_BASE, clock.SLCR_SIZE, device=device)
    rates = {name: _pll(slcr, name) for name in clock.PLLS}
    for name, mhz in rates.items():
        wanted = clock.PLLS[name][1]
        if abs(mhz - wanted) > _TOLERANCE_MHZ:
            raise Failed(
                f"the {name} runs at {mhz:g} MHz, and the clock of the logic is computed from "
                f"{wanted:g}",
                f"{_BOOT}; with another, the logic is {mhz / wanted:.2f} times as fast as it says",
            )
    if clock.THROTTLE.extract(slcr.read(clock.THROTTLE_OFFSET)):
        raise Failed(
            "the clock of the logic (FCLK0) is stopped, so nothing in it would answer",
            clock.STOPPED_ADVICE,
        )
    # What loads a bitstream sets these: before the first one they say nothing.
    if not bench.is_hardware or bench.text(_STATE).strip() == "operating":
        if clock.RESETS.extract(slcr.read(clock.RESET_OFFSET)):
            raise Failed(
                "the logic is held in reset (register FPGA_RST_CTRL), so nothing in it would "
                "answer",
                f"{_BOOT}, and load an overlay with pynq alone",
            )
        if slcr.read(clock.SHIFTERS_OFFSET) & clock.SHIFTERS_ON != clock.SHIFTERS_ON:
            raise Failed(
                "the logic is cut off from the processor (register LVL_SHFTR_EN), so nothing in it "
                "would answer",
                f"{_BOOT}, and load an overlay with pynq alone",
            )
    return ", ".join(f"{name} {mhz:g} MHz" for name, mhz in rates.items()) + ", FCLK0 runs"


def _pll(slcr: Any, name: str) -> float:
    """The frequency of a PLL, in MHz; Failed where it does not run."""
    word = slcr.read(clock.PLL_OFFSETS[name])
    status = slcr.read(clock.PLL_STATUS_OFFSET)
    if clock.PLL_OFF.extract(word) or not status & clock.PLL_LOCKED[name]:
        raise Failed(f"the {name} does not run", _BOOT)
    if clock.PLL_BYPASS.extract(word):
        raise Failed(
            f"the {name} is passed by: it gives the {clock.CRYSTAL_MHZ:g} MHz of the crystal", _BOOT
        )
    return clock.CRYSTAL_MHZ * clock.PLL_FDIV.extract(word)
