"""The clocks of the logic: chosen for an overlay, and put back as they were found.

pynq sets the divisors that an overlay wants and leaves the PLL before them as it is. So whatever
winogen chooses there would be another overlay's too: 105 MHz in place of 100, until the board boots
again.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from winogen.common.errors import DeviceError, WinogenWarning
from winogen.common.pynq_library import pynq
from winogen.runtime.record import Record
from winogen.runtime.session import Session
from winogen.target import clock
from winogen.target.clock import CLOCK_REGISTERS, ClockRegisters
from winogen.target.handoff import Handoff, read_handoff

#: Under which a session's end knows the clocks, and their record.
_KEY = "clocks"
#: pynq sets clocks by way of a class that has one device at a time.
_choosing = threading.RLock()
#: A clock may be so much above the one of the build and count as the same.
_TOLERANCE = 0.001


def choose_clocks_of(device: Any, *, instead_of: Any = None) -> None:
    """Have pynq set this device's clocks (None: those of its active one).

    pynq keeps the clocks' registers of the device that it met first. With ``instead_of`` nothing
    happens unless they are that device's.
    """
    set_device = getattr(pynq.Clocks, "set_device", None)
    if set_device is None:  # before pynq 4 there was one device
        return
    with _choosing:  # another device may be chosen in between
        if instead_of is None or pynq.Clocks.device is instead_of:
            set_device(device)
            with suppress(AttributeError):
                del pynq.Clocks._real_instance


def keep_clocks(device: Any, overlay: Path, session: Session) -> None:
    """Put PLLs and divisors back as they are now when the session ends.

    They are those that a session found which was killed before it could put them back, if there
    was one. Nothing happens where this session keeps them already, or the .hwh of ``overlay``
    names no processing system with clocks.
    """
    handoff = read_handoff(overlay)
    if _KEY in session.at_end or handoff is None or handoff.processor not in CLOCK_REGISTERS:
        return
    kept = KeptClocks(device, CLOCK_REGISTERS[handoff.processor], session.record)
    session.at_end[_KEY] = kept.put_back
    kept.note()


class KeptClocks:
    """The clocks of the logic as they were found."""

    def __init__(self, device: Any, registers: ClockRegisters, record: Record | None):
        self._registers = registers
        self._record = record
        # Opened now: what happens at a session's end must not fail.
        self._mmio = pynq.MMIO(registers.base, registers.size, device=device)
        self._words = [self._mmio.read(offset) & registers.mask for offset in registers.offsets]
        if record is not None:
            self._words = _believable(record.read().get(_KEY), registers) or self._words

    def note(self) -> None:
        """Write down what was found, for whoever comes after a kill."""
        if self._record is not None:
            self._record.update(clocks=self._words)

    def put_back(self) -> None:
        """Write PLLs and divisors, where they differ; all other bits stay.

        A WinogenWarning where that cannot be done: the record tells the next session of it.
        """
        try:
            self._write()
            self._forget()
        except DeviceError as error:  # a board that cannot be reached
            warnings.warn(
                f"the clocks of the logic are not put back as they were: {error}",
                WinogenWarning,
                stacklevel=2,
            )
        except BaseException:  # Ctrl-C: half of it may be done
            self._write()
            self._forget()
            raise

    def _forget(self) -> None:
        if self._record is not None:
            self._record.update(clocks=None)

    def _write(self) -> None:
        mask = self._registers.mask
        for offset, word in zip(self._registers.offsets, self._words):
            now = self._mmio.read(offset)
            if now & mask != word:
                self._mmio.write(offset, now & ~mask | word)


def _believable(words: Any, registers: ClockRegisters) -> list[int] | None:
    """Recorded words, if they can be those of these registers."""
    try:
        right = len(words) == len(registers.offsets)
        right = right and not any(word & ~registers.mask for word in words)
    except TypeError:  # whatever it is, it is none of ours
        return None
    return list(words) if right else None


def choose_clock_source(device: Any, overlay: Path) -> None:
    """Choose the PLL of the logic's clock that the .hwh names: pynq sets the divisors alone.

    This is done before the overlay is loaded, while nothing in the logic can be upset by it.
    """
    handoff = read_handoff(overlay)
    if handoff is None or handoff.processor != "zynq7":
        return  # pynq says what is wrong with it, or it is no Zynq-7000
    source = handoff.clock_source
    if source not in clock.PLLS:
        raise DeviceError(
            f"overlay {overlay} clocks the logic from '{source}'; winogen can choose "
            f"{' or '.join(clock.PLLS)}: build it again with one of them"
        )
    slcr = pynq.MMIO(clock.SLCR_BASE, clock.SLCR_SIZE, device=device)
    if clock.THROTTLE.extract(slcr.read(clock.THROTTLE_OFFSET)):
        raise DeviceError(
            "the clock of the logic is stopped (register FPGA0_THR_CNT), so nothing in it would "
            f"answer: {clock.STOPPED_ADVICE}"
        )
    slcr.write(clock.FCLK0_OFFSET, clock.select_source(slcr.read(clock.FCLK0_OFFSET), source))


def is_clocked_for(device: Any, handoff: Handoff) -> bool:
    """Whether the logic has a clock now, and none above the one of the build in ``handoff``.

    How fast it is, is known of a Zynq-7000 alone: the PLLs of other processing systems run at what
    their boards choose.
    """
    registers = CLOCK_REGISTERS.get(handoff.processor)
    if registers is None:
        return False
    mmio = pynq.MMIO(registers.base, registers.size, device=device)
    word = mmio.read(registers.offsets[0])
    if word & registers.gate != registers.gate:
        return False
    if registers.throttle is not None and clock.THROTTLE.extract(mmio.read(registers.throttle)):
        return False
    if handoff.processor != "zynq7":
        return True
    mhz, built = clock.frequency(word), handoff.clock_mhz
    return bool(mhz and built and mhz <= built * (1 + _TOLERANCE))
