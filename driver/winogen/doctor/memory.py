"""Check of contiguous memory, which the processor and the accelerator share."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from winogen.common.errors import one_line
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed
from winogen.target.handoff import read_handoff

_MEMINFO = "/proc/meminfo"
_MIB = 1 << 20
#: Of what the board's image sets aside, this much must be free in one piece.
_SHARE = 4


def contiguous(bench: Bench) -> str:
    """A quarter of the contiguous memory is free in one piece, where the accelerator reaches it."""
    import pynq

    _check_reserve(bench)
    wanted = bench.board.contiguous_mib * _MIB // _SHARE
    advice = (
        "shut down other notebooks and programs that hold buffers, or give the kernel more "
        "contiguous memory (cma= in its arguments, see docs/use/boards.md)"
    )
    try:
        buffer = pynq.allocate((wanted,), np.uint8, target=bench.device, cacheable=1)
    except (MemoryError, RuntimeError, OSError) as error:
        raise Failed(
            f"{wanted // _MIB} MiB cannot be had in one piece; {_free(bench)}: {one_line(error)}",
            advice,
        ) from None
    try:
        address = buffer.device_address
    finally:
        buffer.freebuffer()
    if address % 64 or address + wanted > 1 << 32:
        raise Failed(
            f"a buffer lies at bus address 0x{address:x}, which the accelerator cannot reach",
            "buffers must lie below 4 GiB and on 64 bytes; use the PYNQ image's own memory driver",
        )
    handoff = read_handoff(Path(bench.loaded.bitfile_name))
    for way in handoff.ports if handoff else ():
        if address < way.first or address + wanted - 1 > way.last:
            raise Failed(
                f"a buffer lies at bus address 0x{address:08x}, and {way.master} reaches "
                f"0x{way.first:08x} to 0x{way.last:08x}",
                "build the overlay again with all of the board's DRAM behind its ports "
                "(platform.ddr_mib of the board file)",
            )
    return f"{wanted // _MIB} MiB in one piece at 0x{address:08x}; {_free(bench)}"


def _check_reserve(bench: Bench) -> None:
    """Failed if the kernel sets less aside than the board's file says."""
    total = _kernel(bench).get("Total") if bench.is_hardware else None
    if total is not None and total < bench.board.contiguous_mib:
        raise Failed(
            f"the kernel sets {total} MiB of contiguous memory aside, and programs are compiled "
            f"for {bench.board.contiguous_mib} (contiguous_mib of board {bench.board.name})",
            f"boot with cma={bench.board.contiguous_mib}M in the kernel's arguments, or write a "
            "board file with less (docs/use/boards.md)",
        )


def _kernel(bench: Bench) -> dict[str, int]:
    """What the kernel says of contiguous memory, MiB."""
    text = bench.text(_MEMINFO)
    return {k: int(v) // 1024 for k, v in re.findall(r"^Cma(\w+): +(\d+) kB", text, re.M)}


def _free(bench: Bench) -> str:
    """How much is free: of an emulated device's pool, or of the kernel's."""
    if not bench.is_hardware:
        pool = bench.device.default_memory.pool
        return f"{pool.free_bytes // _MIB} of {pool.size // _MIB} MiB free"
    sizes = _kernel(bench)
    if "Free" not in sizes:
        return "the kernel does not say how much is free"
    return f"{sizes['Free']} of {sizes.get('Total', 0)} MiB free"
