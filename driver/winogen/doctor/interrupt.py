"""Check of the interrupt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from winogen import loopback, registers
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed
from winogen.isa import Instruction
from winogen.loopback import Copy
from winogen.registers import Segment

#: A masked event must be quiet for so long.
_QUIET_SECONDS = 0.05
_ADVICE = (
    "run as root (sudo -E), since pynq waits on /dev/uio, and load winogen's own overlay, which "
    "has the interrupt controller; images come without interrupts too: winogen polls"
)


def interrupt(bench: Bench) -> str:
    """The end of a stream and an error interrupt who waits; a masked event does not."""
    if not hasattr(bench.core, "interrupt"):
        raise Failed("the overlay describes no interrupt of the accelerator", _ADVICE)
    # One event loop for all: pynq's interrupt belongs to the first that waits for it.
    try:
        asyncio.run(_check(bench))
    finally:
        bench.core.set("IRQ_ENABLE", 0)
    return "comes at the end of a stream and at an error, and not where it is masked"


async def _check(bench: Bench) -> None:
    core = bench.core
    good = loopback.stream(bench.board.core, [Copy(0, 0, 1)])
    weights = {Segment.WEIGHTS: loopback.constants(bench.board.core)}
    await _expect(bench, good, weights, "done")
    await _expect(bench, bytes(64), {}, "error")  # zeros are no instruction
    core.set("IRQ_ENABLE", 0)
    await _drain(core)
    with bench.started(good, weights):
        core.wait(bench.seconds)
        if await _comes(core, _QUIET_SECONDS):
            raise Failed("an event interrupts although it is masked", _ADVICE)


async def _expect(
    bench: Bench,
    stream: Sequence[Instruction] | bytes,
    segments: Mapping[Segment, bytes],
    event: str,
) -> None:
    """Run a stream; Failed if its event does not interrupt, or cannot be cleared."""
    core = bench.core
    await _drain(core)
    core.set("IRQ_ENABLE", registers.pack("IRQ_STATUS", **{event: 1}))
    with bench.started(stream, segments):
        if not (await _comes(core, bench.seconds) and _pending(core, event)):
            raise Failed(
                f"no interrupt for '{event}' within {bench.seconds:g} s: {core.describe_state()}",
                _ADVICE,
            )
        core.set("IRQ_STATUS", registers.pack("IRQ_STATUS", **{event: 1}))
        if _pending(core, event):
            raise Failed(f"the event '{event}' cannot be cleared", _ADVICE)


async def _drain(core: Any) -> None:
    """Take the interrupt that the controller may still hold from before; a second one stays."""
    if await _comes(core, _QUIET_SECONDS):
        await _comes(core, _QUIET_SECONDS)


def _pending(core: Any, event: str) -> bool:
    return bool(registers.unpack("IRQ_STATUS", core.get("IRQ_STATUS"))[event])


async def _comes(core: Any, seconds: float) -> bool:
    """Whether an interrupt comes within so many seconds."""
    try:
        await asyncio.wait_for(core.interrupt.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
