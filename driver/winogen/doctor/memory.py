"""Checks of contiguous memory, which the processor and the accelerator share."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from winogen.common.errors import one_line
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed

MEMINFO = Path("/proc/meminfo")
_MIB = 1 << 20
#: Of what the board's image sets aside, this much must be free in one piece.
_SHARE = 4
_PATTERN_BYTES = 1 << 16


def contiguous(bench: Bench) -> str:
    """A quarter of the contiguous memory is free in one piece, where the accelerator reaches it."""
    import pynq

    wanted = bench.board.contiguous_mib * _MIB // _SHARE
    advice = (
        "shut down other notebooks and programs that hold buffers, or give the kernel more "
        "contiguous memory (cma= in its arguments, see docs/use/boards.md)"
    )
    try:
        buffer = pynq.allocate((wanted,), np.uint8, target=bench.device)
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
    return f"{wanted // _MIB} MiB in one piece at 0x{address:08x}; {_free(bench)}"


def caches(bench: Bench) -> str:
    """What is written and flushed is still there after the caches were dropped."""
    for seed in range(2):  # a second pattern, where the first one may have been left over
        data = np.random.default_rng(seed).bytes(_PATTERN_BYTES)
        with bench.buffer(data) as buffer:
            buffer.invalidate()
            if bytes(buffer) != data:
                wrong = int(np.argmax(np.array(buffer) != np.frombuffer(data, np.uint8)))
                raise Failed(
                    f"byte {wrong} of a buffer was lost between flush and invalidate",
                    "the image's memory driver is broken: flash the PYNQ image again",
                )
    return f"{_PATTERN_BYTES:,} bytes hold through flush and invalidate"


def _free(bench: Bench) -> str:
    """How much is free: of an emulated device's pool, or of the kernel's."""
    if bench.kind != "board":
        pool = bench.device.default_memory.pool
        return f"{pool.free_bytes // _MIB} of {pool.size // _MIB} MiB free"
    text = MEMINFO.read_text() if MEMINFO.is_file() else ""
    sizes = {k: int(v) // 1024 for k, v in re.findall(r"^Cma(\w+): +(\d+) kB", text, re.M)}
    if "Free" not in sizes:
        return "the kernel does not say how much is free"
    return f"{sizes['Free']} of {sizes.get('Total', 0)} MiB free"
