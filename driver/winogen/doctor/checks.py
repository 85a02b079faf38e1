"""All checks, in the order in which they run: each relies on those before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from winogen.common.errors import WinogenError, joined_lines, one_line
from winogen.doctor import (
    caches,
    clock,
    conformance,
    disk,
    dma,
    engines,
    files,
    hostcost,
    identity,
    interrupt,
    memory,
    ports,
    processor,
    profiling,
    register_access,
    software,
    speed,
)
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed, Outcome, Result, Skipped

_AGAIN = "mend what fails above first; if nothing does, load the overlay again"


@dataclass(frozen=True)
class Check:
    """A check, its deadline in seconds on the emulated device, and checks that must have passed."""

    name: str
    run: Callable[[Bench], str]
    needs: tuple[str, ...] = ("overlay", "registers")
    seconds: float = 10.0


CHECKS = (
    Check("python", software.python, needs=()),
    Check("pynq", software.pynq_version, needs=()),
    Check("numpy", software.numpy_version, needs=()),
    Check("image", software.image, needs=()),
    Check("permissions", software.rights, needs=()),
    Check("XRT", software.xrt, needs=()),
    Check("disk", disk.disk, needs=()),
    Check("overlay files", files.overlay_files, needs=("pynq",)),
    Check("processing system", processor.processing_system, needs=("pynq", "permissions")),
    Check(
        "overlay",
        identity.overlay,
        needs=("pynq", "numpy", "overlay files", "processing system"),
        seconds=60,
    ),
    Check("build", identity.build, needs=("overlay",)),
    Check("program", identity.program, needs=("overlay",)),
    Check("clock", clock.clock, needs=("overlay",)),
    Check("registers", register_access.register_access, needs=("overlay",)),
    Check("contiguous memory", memory.contiguous, needs=("overlay",)),
    Check("memory ports", ports.memory_ports, needs=("overlay",)),
    Check("caches", caches.caches),
    Check("load engine", engines.load_engine),
    Check("compute engine", engines.compute_engine),
    Check("store engine", engines.store_engine),
    Check("DMA reads", dma.dma_read),
    Check("DMA writes", dma.dma_write),
    Check("DMA boxes", dma.dma_boxes),
    Check("errors", engines.errors),
    Check("windows", engines.windows),
    Check("watchdog", engines.watchdog),
    Check("interrupt", interrupt.interrupt),
    Check("trace", profiling.trace_records),
    Check("memory speed", speed.memory_speed),
    Check("host costs", hostcost.host_costs),
    Check("conformance", conformance.conformance, seconds=30),
    Check("conformance, direct", conformance.conformance_direct, seconds=30),
)
BY_NAME = {check.name: check for check in CHECKS}


def run_check(check: Check, bench: Bench) -> Result:
    """Run one check; whatever it raises becomes its result."""
    begin = time.monotonic()
    advice = ""
    try:
        outcome, text = Outcome.PASS, check.run(bench)
    except Skipped as reason:
        outcome, text = Outcome.SKIPPED, str(reason)
    except Failed as failure:
        outcome, text, advice = Outcome.FAIL, str(failure), failure.advice
    except WinogenError as error:
        outcome, text, advice = Outcome.FAIL, str(error), _AGAIN
    except Exception as error:  # a check must not hide those after it
        outcome, text = Outcome.FAIL, f"{type(error).__name__}: {one_line(error)}"
        advice = _AGAIN
    figures = getattr(text, "figures", {})
    took = time.monotonic() - begin
    return Result(check.name, outcome, joined_lines(text), advice, took, figures)
