"""Check of the ports to memory: as wide as the overlay was built for, and far enough."""

from __future__ import annotations

from pathlib import Path

from winogen.common.text import printable
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Skipped
from winogen.target.handoff import read_handoff
from winogen.target.microarchitecture import LOGIC
from winogen.target.ports import PORT_REGISTERS, PORT_SIZE, READ_OFFSET, WRITE_OFFSET, masters

#: Bits of the accelerator's ports.
_WIDTH = 8 * LOGIC.beat_bytes


def memory_ports(bench: Bench) -> str:
    """Design and processing system agree on the width of each port that the accelerator has."""
    import pynq

    handoff = read_handoff(Path(bench.loaded.bitfile_name))
    if handoff is None or not handoff.ports:
        raise Skipped("the .hwh does not say which ports the accelerator has")
    wanted = masters(bench.board.core.read_ports)
    if len(handoff.ports) < wanted:
        names = ", ".join(printable(p.port) for p in handoff.ports)
        raise Failed(
            f"the accelerator has {len(handoff.ports)} of {wanted} ways to memory in the "
            f".hwh ({names})",
            "build the overlay again with winogen's own scripts ('winogen overlay build')",
        )
    for way in handoff.ports:
        port = PORT_REGISTERS[handoff.processor][way.port]
        if way.width not in (0, _WIDTH):
            raise Failed(
                f"{way.port} has {way.width} bits in the design, and the accelerator's ports have "
                f"{_WIDTH}",
                f"build the overlay again, with {port.parameter} {_WIDTH}",
            )
        registers = pynq.MMIO(port.base, PORT_SIZE, device=bench.device)
        for verb, offset in (("reads", READ_OFFSET), ("writes", WRITE_OFFSET)):
            width = port.width(int(registers.read(offset)))
            if width != _WIDTH:
                raise Failed(
                    f"{way.port} is set to {width} bits for {verb}, and the overlay was built for "
                    f"{_WIDTH}: data come as garbage",
                    "the boot file set it so: boot with the BOOT.BIN of the PYNQ image, or clear "
                    f"bits {port.mask:#x} of register 0x{port.base + offset:08x}",
                )
    return f"{', '.join(w.port for w in handoff.ports)}: {_WIDTH} bits, for reads and writes"
