"""Check of the caches between the processor and memory, with the accelerator as the witness.

A buffer that the processor caches is read and written several times as fast, and needs its flushes
and invalidates. Whether it is cached pynq does not say. So old bytes are looked for where they must
be if it is: at the accelerator before a flush, and at the processor before an invalidate.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed, Skipped
from winogen.target import isa
from winogen.target.registers import Segment

_PATTERN_BYTES = 1 << 16
#: Bytes that are compared at once: no processor's cache line is shorter.
_LINE = 32
#: A cache may write a line back by itself at any time; never all of them in each of so many rounds.
_ROUNDS = 8
#: Memory that is read so much slower than ordinary memory is not cached.
_SLOW = 2.0
_RATE_BYTES = 1 << 18
_DRIVER = "the image's memory driver is broken: flash the PYNQ image again"


class _Lines(NamedTuple):
    """Lines that were old where a cached buffer's may be, of ``total``."""

    at_accelerator: int
    at_processor: int
    total: int


def caches(bench: Bench) -> str:
    """Buffers are cached, and what is flushed and invalidated is right on both sides."""
    _holds(bench)
    seen = _Lines(0, 0, 0)
    for seed in range(_ROUNDS):
        found = _round(bench, np.random.default_rng(seed))
        seen = _Lines(*(a + b for a, b in zip(seen, found)))
        if seen.at_accelerator and seen.at_processor:
            return (
                f"cached: {seen.at_accelerator} of {seen.total} lines wait for a flush, "
                f"{seen.at_processor} for an invalidate"
            )
    buffer, ordinary = _rates(bench)
    if bench.kind == "board" and buffer * _SLOW < ordinary:
        raise Failed(
            f"buffers are not cached, though pynq was asked for it (cacheable=1): they are read "
            f"with {buffer:.0f} MB/s, other memory with {ordinary:.0f}; right, but slower",
            "flash a PYNQ image whose pynq is 3.0.1 or later: its memory driver ignores the wish",
        )
    lacking = [
        name
        for name, lines in (("flush", seen.at_accelerator), ("invalidate", seen.at_processor))
        if not lines
    ]
    raise Skipped(
        f"cannot tell about {' and '.join(lacking)}: bytes arrive without, so buffers are "
        "uncached, or the hardware keeps caches coherent"
    )


def _holds(bench: Bench) -> None:
    """What is written and flushed is still there after the caches were dropped."""
    for seed in range(2):  # a second pattern, where the first one may have been left over
        data = np.random.default_rng(seed).bytes(_PATTERN_BYTES)
        with bench.buffer(data) as buffer:
            buffer.invalidate()
            if bytes(buffer) != data:
                wrong = int(np.argmax(np.array(buffer) != np.frombuffer(data, np.uint8)))
                raise Failed(
                    f"byte {wrong} of a buffer was lost between flush and invalidate", _DRIVER
                )


def _round(bench: Bench, rng: np.random.Generator) -> _Lines:
    """Copies through the accelerator, first without a flush and an invalidate, then with them."""
    core = bench.board.core
    words = loopback.largest_row(core) // 2
    size = words * core.word_bytes // _LINE * _LINE
    old, new, before = (np.frombuffer(rng.bytes(size), np.uint8) for _ in range(3))
    segments = {
        Segment.WEIGHTS: loopback.constants(core),
        Segment.INPUT: old.tobytes(),
        Segment.OUTPUT: before.tobytes(),
    }
    stream = isa.encode(loopback.stream(core, [Copy(0, 0, size // core.word_bytes)]))
    with bench.placed(stream, segments) as (buffers, start):
        source, target = buffers[Segment.INPUT], buffers[Segment.OUTPUT]
        bytes(target)  # so that the caches hold it
        source[:] = new
        start()
        bench.core.wait(bench.seconds)
        unseen = _lines(target, before)
        target.invalidate()
        stale = _lines(target, old)
        if not (stale | _lines(target, new)).all():
            raise Failed(
                "bytes that the accelerator wrote are not seen after an invalidate", _DRIVER
            )
        source.flush()
        start()
        bench.core.wait(bench.seconds)
        target.invalidate()
        if not _lines(target, new).all():
            raise Failed("bytes that were flushed are not what the accelerator reads", _DRIVER)
    return _Lines(int(stale.sum()), int(unseen.sum()), len(stale))


def _lines(buffer: Any, data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which lines of a buffer hold these bytes."""
    same = np.array(buffer)[: len(data)] == data
    return np.all(same.reshape(-1, _LINE), axis=1)


def _rates(bench: Bench) -> tuple[float, float]:
    """With how many MB/s a buffer is read, and ordinary memory; the best of three."""
    ordinary = np.ones(_RATE_BYTES, np.uint8)
    with bench.buffer(ordinary.tobytes()) as buffer:
        return _rate(np.asarray(buffer)), _rate(ordinary)


def _rate(array: NDArray[np.uint8]) -> float:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        array.copy()
        seconds.append(time.perf_counter() - begin)
    return array.nbytes / max(min(seconds), 1e-9) / 1e6
