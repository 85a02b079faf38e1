"""Check of the interrupt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from winogen.common.text import printable
from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed, Skipped
from winogen.runtime.waiting import InterruptLine, interrupt_line
from winogen.target import registers
from winogen.target.device_names import REMOTE
from winogen.target.hwh import IP_NAME
from winogen.target.isa import Instruction
from winogen.target.registers import Segment

_UIO_ADVICE = (
    "boot with uio_pdrv_genirq.of_id=generic-uio in the kernel's arguments and the device tree of "
    "PYNQ's image, whose node 'fabric' has this interrupt; until then winogen polls"
)
#: A masked event must be quiet for so long.
_QUIET_SECONDS = 0.05
_ADVICE = (
    "run as root (sudo -E), since pynq waits on /dev/uio, and load winogen's own overlay, which "
    "has the interrupt controller; images come without interrupts too: winogen polls"
)


def interrupt(bench: Bench) -> str:
    """The end of a stream and an error interrupt who waits; a masked event does not."""
    line = interrupt_line(bench.core, "auto")
    if line is None and bench.kind == REMOTE:
        raise Skipped("PYNQ.remote has no interrupts: winogen looks at STATUS")
    if line is None:
        raise _missing(bench)
    try:
        _check(bench, line)
    finally:
        bench.core.set("IRQ_ENABLE", 0)
    return "comes at the end of a stream and at an error, and not where it is masked"


def _missing(bench: Bench) -> Failed:
    """Why pynq gives no interrupt, on the way from the overlay to the kernel."""
    system = bench.system
    pins = bench.loaded.ip_dict[IP_NAME]["interrupts"]
    if not pins or bench.kind != "board":
        return Failed("the overlay describes no interrupt of the accelerator", _ADVICE)
    controllers = bench.loaded.interrupt_controllers.values()
    number = next((str(c["raw_irq"]) for c in controllers if c.get("raw_irq")), "")
    rows = [row.split() for row in system.text("/proc/interrupts").splitlines()]
    names = [row[-1] for row in rows if len(row) >= 7 and row[-3] == number]
    if not names:
        return Failed(
            f"the kernel has given interrupt {number} of the logic to no driver", _UIO_ADVICE
        )
    for uio in system.names("/sys/class/uio"):
        if system.text(f"/sys/class/uio/{uio}/name").strip() == names[-1]:
            return Failed(f"pynq cannot wait at /dev/{uio} for the interrupt", _ADVICE)
    return Failed(
        f"interrupt {number} of the logic belongs to '{printable(names[-1])}', which is no UIO "
        "device, and pynq waits at those alone",
        _UIO_ADVICE,
    )


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
