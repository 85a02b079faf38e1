"""Check of the interrupt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed
from winogen.runtime.waiting import InterruptLine, interrupt_line
from winogen.target import registers
from winogen.target.isa import Instruction
from winogen.target.registers import Segment

#: A masked event must be quiet for so long.
_QUIET_SECONDS = 0.05
_ADVICE = (
    "run as root (sudo -E), since pynq waits on /dev/uio, and load winogen's own overlay, which "
    "has the interrupt controller; images come without interrupts too: winogen polls"
)


def interrupt(bench: Bench) -> str:
    """The end of a stream and an error interrupt who waits; a masked event does not."""
    line = interrupt_line(bench.core, "auto")
    if line is None:
        raise Failed("the overlay describes no interrupt of the accelerator", _ADVICE)
    try:
        _check(bench, line)
    finally:
        bench.core.set("IRQ_ENABLE", 0)
    return "comes at the end of a stream and at an error, and not where it is masked"


def _check(bench: Bench, line: InterruptLine) -> None:
    core = bench.core
    good = loopback.stream(bench.board.core, [Copy(0, 0, 1)])
    weights = {Segment.WEIGHTS: loopback.constants(bench.board.core)}
    _expect(bench, line, good, weights, "done")
    _expect(bench, line, bytes(64), {}, "error")  # zeros are no instruction
    core.set("IRQ_ENABLE", 0)
    _drain(line)
    with bench.started(good, weights):
        core.wait(bench.seconds)
        if line.wait(_QUIET_SECONDS):
            raise Failed("an event interrupts although it is masked", _ADVICE)


def _expect(
    bench: Bench,
    line: InterruptLine,
    stream: Sequence[Instruction] | bytes,
    segments: Mapping[Segment, bytes],
    event: str,
) -> None:
    """Run a stream; Failed if its event does not interrupt, or cannot be cleared."""
    core = bench.core
    _drain(line)
    core.set("IRQ_ENABLE", registers.pack("IRQ_STATUS", **{event: 1}))
    with bench.started(stream, segments):
        if not (line.wait(bench.seconds) and _pending(bench, event)):
            raise Failed(
                f"no interrupt for '{event}' within {bench.seconds:g} s: {core.describe_state()}",
                _ADVICE,
            )
        core.set("IRQ_STATUS", registers.pack("IRQ_STATUS", **{event: 1}))
        if _pending(bench, event):
            raise Failed(f"the event '{event}' cannot be cleared", _ADVICE)


def _drain(line: InterruptLine) -> None:
    """Take the interrupt that the controller may still hold from before; a second one stays."""
    if line.wait(_QUIET_SECONDS):
        line.wait(_QUIET_SECONDS)


def _pending(bench: Bench, event: str) -> bool:
    return bool(registers.unpack("IRQ_STATUS", bench.core.get("IRQ_STATUS"))[event])
