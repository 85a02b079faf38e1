"""What the host's part of a run costs: register accesses, copies, conversions, an interrupt.

Predictions of whole calls need it (:class:`winogen.target.host.HostCosts`), and each board's
processor has its own.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from winogen.compiler.compile import compile_graph
from winogen.doctor.bench import Bench
from winogen.doctor.conformance import NETWORK
from winogen.doctor.result import Failed, Measured, Skipped
from winogen.network.definition import RandomParameters, load_definition
from winogen.program.speed import host_seconds
from winogen.runtime.codec import Codec
from winogen.runtime.waiting import interrupt_line
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.device_names import REMOTE
from winogen.target.host import HostCosts

#: Bytes of the buffer that is copied: more than a board's caches hold.
_COPY_BYTES = 1 << 20
#: What is converted: pictures, in and out, of a network that nobody runs.
_NETWORK = """
name: host-costs
input: {image: [3, 64, 64], range: [-1, 1]}
output: {range: [-1, 1]}
layers:
- {name: conv, op: conv, cout: 3, k: 1, act: tanh}
"""
_IMAGES = 8
#: Accesses to a register that are timed together, and how often each figure is taken.
_ACCESSES = 50
_TIMES = 5
#: Seconds that all of one figure may take: a simulation needs as long for one access.
_BUDGET = 2.0
#: Seconds that an interrupt may need.
_INTERRUPT_SECONDS = 1.0


def measure(core: Any, allocate: Callable[[int], Any], call_s: float = float("nan")) -> HostCosts:
    """Measure the host beside an accelerator that is idle, in a second or two.

    Parameters
    ----------
    core : the driver, a :class:`winogen.runtime.accelerator.WinogenCore`; its registers
        IRQ_ENABLE and IRQ_STATUS are used, and left as they were
    allocate : makes a contiguous uint8 buffer of so many bytes, mapped as a generator's are
    call_s : what a run takes of Python besides, for who knows it: it takes a generator to tell

    Returns
    -------
    ``interrupt_s`` is the time from an event to the thread that waits for it, what waking takes
    over looking, or NaN where there is no interrupt or none came within a second.
    """
    window = core.mmio.array  # as a run reaches them
    status, events = (registers.offset(name) // 4 for name in ("STATUS", "IRQ_STATUS"))
    return HostCosts(
        register_read_s=_access(lambda: int(window[status])),
        register_write_s=_access(lambda: window.__setitem__(events, 0)),
        copy_bytes_per_s=copy_bytes_per_s(allocate),
        convert_elements_per_s=_elements_per_s(),
        call_s=call_s,
        interrupt_s=_interrupt(core),
    )


def host_costs(bench: Bench) -> str:
    """The host's costs can be measured, and are those of mapped registers and memory."""
    if bench.kind == REMOTE:
        raise Skipped("predictions are for a processor on the board, and this one is not")
    import pynq

    def allocate(nbytes: int, **how: int) -> Any:
        return pynq.allocate((nbytes,), np.uint8, target=bench.device, **how)

    found = measure(bench.core, partial(allocate, cacheable=1))
    if bench.kind == "board":  # elsewhere a run is most of what is seen
        found = replace(found, call_s=_call_s(bench, found))
    uncached = copy_bytes_per_s(allocate)
    if min(found.copy_bytes_per_s, found.convert_elements_per_s) <= 0:
        raise Failed("the processor's clock stands still", "boot the board again")
    if found.interrupt_s != found.interrupt_s and interrupt_line(bench.core, "auto") is not None:
        raise Failed(
            f"no interrupt came within {_INTERRUPT_SECONDS:g} s, and the overlay has one",
            "mend what 'interrupt' says; until then let winogen poll (waiting='poll')",
        )
    text = (
        f"register read {found.register_read_s * 1e6:.2f} us, write "
        f"{found.register_write_s * 1e6:.2f} us; copies {found.copy_bytes_per_s / 1e6:,.0f} MB/s "
        f"(uncached {uncached / 1e6:,.0f}), {found.convert_elements_per_s / 1e6:,.0f} M elements/s"
    )
    if found.interrupt_s == found.interrupt_s:  # a number
        text += f"; interrupt {found.interrupt_s * 1e6:,.0f} us"
    if found.call_s == found.call_s:
        text += f"; a call {found.call_s * 1e6:,.0f} us"
    return Measured(text, **asdict(found), uncached_copy_bytes_per_s=uncached)


def _call_s(bench: Bench, found: HostCosts) -> float:
    """Seconds of a call of a generator beside the accelerator and what else is measured."""
    from winogen.runtime.generator import Generator

    graph = load_definition(NETWORK, RandomParameters(7))
    program = compile_graph(graph, bench.board, batch=1).program
    with Generator(
        program, bench.device, board=bench.board, overlay=bench.overlay, timeout=bench.seconds,
        waiting="poll",
    ) as generator:  # fmt: skip
        z = generator.latents(1)
        seconds = _seconds(lambda: generator.generate(z))
        generator.generate(z, count=True)
        cycles = generator.counters()["cycles"]
    measured = replace(found, call_s=0.0, interrupt_s=math.inf)
    control, convert = host_seconds(
        program, program.streams[0], measured, cycles / (bench.board.clock_mhz * 1e6)
    )
    known = cycles / (bench.board.clock_mhz * 1e6) + control + convert
    return max(seconds - known, 1e-6)


def _access(access: Callable[[], object]) -> float:
    """Seconds of one access: the median of several rounds."""
    begin = time.perf_counter()
    access()
    # As many as there is time for: a register of a simulation takes longer.
    once = max(time.perf_counter() - begin, 1e-9)
    count = max(1, min(_ACCESSES, int(_BUDGET / _TIMES / once)))
    rounds = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        for _ in range(count):
            access()
        rounds.append((time.perf_counter() - begin) / count)
    return statistics.median(rounds)


def copy_bytes_per_s(allocate: Callable[[int], Any]) -> float:
    """Bytes a second from a contiguous buffer, as ``allocate`` makes it, to ordinary memory."""
    buffer = allocate(_COPY_BYTES)
    try:
        plain = np.asarray(buffer)
        target = np.empty_like(plain)
        return _COPY_BYTES / _seconds(lambda: np.copyto(target, plain))
    finally:
        buffer.freebuffer()


def _elements_per_s() -> float:
    """Numbers of inputs and outputs that are converted a second, as a generator does it."""
    graph = load_definition(_NETWORK, RandomParameters(7))
    program = compile_graph(graph, load_board("tiny"), batch=1).program
    codec = Codec(program)
    values = np.random.default_rng(7).uniform(-1, 1, (_IMAGES, *program.input_shape))
    z = values.astype(np.float32)
    words = codec.encode(codec.checked(z)).reshape(-1).view(np.uint8)  # of as many channels both
    images = codec.room(_IMAGES, as_float=False)
    encoded = _seconds(lambda: codec.encode_into(codec.checked(z), words))
    decoded = _seconds(lambda: codec.decode_into(words, images))
    return (z.size + images.size) / (encoded + decoded)


def _seconds(work: Callable[[], object]) -> float:
    """The median of several times; the first one warms up and does not count."""
    work()
    times = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return max(statistics.median(times), 1e-9)


def _interrupt(core: Any) -> float:
    """Seconds from an event to whoever waits for it, NaN where there is no interrupt."""
    line = interrupt_line(core, "auto")
    if line is None:
        return float("nan")
    enabled = core.get("IRQ_ENABLE")
    event = registers.pack("IRQ_STATUS", error=1)
    times = []
    try:
        core.set("IRQ_ENABLE", 0)
        if line.wait(0.05):  # one that was left over
            line.wait(0.05)
        for _ in range(_TIMES):
            core.set("IRQ_ENABLE", event)
            _fail_at_once(core)
            begin = time.perf_counter()
            if not line.wait(_INTERRUPT_SECONDS):
                return float("nan")
            times.append(time.perf_counter() - begin)
            core.set("IRQ_ENABLE", 0)
            core.set("IRQ_STATUS", event)
    finally:
        core.set("IRQ_ENABLE", enabled)
        core.reset()
    return statistics.median(times)


def _fail_at_once(core: Any) -> None:
    """A stream of length 0 is refused before memory is asked for anything: an event at will."""
    core.set("STREAM_LENGTH", 0)
    core.set("CONTROL", registers.pack("CONTROL", start=1))
