"""Checks of the accelerator's reads and writes of memory, at every alignment and size class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from winogen.doctor import loopback
from winogen.doctor.bench import Bench
from winogen.doctor.loopback import Copy
from winogen.doctor.result import Failed
from winogen.target import isa
from winogen.target.board import CoreConfig
from winogen.target.registers import Segment

_LINE = 64  # bytes of a cache line, and of the accelerator's addresses
_BURST = 128  # bytes of the longest burst
_PAGE = 4096  # bytes; no burst crosses the end of one
_ADVICE = (
    "memory ports of the overlay or its clock are at fault: load the overlay again; if it stays, "
    "check that the overlay met its timing and is the one of this board"
)


def dma_read(bench: Bench) -> str:
    """Loads of every size, from every alignment."""
    core = bench.board.core
    return _check(bench, "read", spread(core, "source"), lambda c: c.read())


def dma_write(bench: Bench) -> str:
    """Stores of every size, to every alignment; nothing beside them is touched."""
    core = bench.board.core
    return _check(bench, "write", spread(core, "target"), lambda c: c.written())


def dma_boxes(bench: Bench) -> str:
    """Boxes: rows that do not follow each other, and loads that leave words out."""
    core = bench.board.core
    rows = [
        Copy(0, 0, columns, rows, columns * step + gap, columns + gap, step)
        for columns, rows in ((1, 9), (5, 7), (16, 4), (33, 2))
        for gap in (0, 1, 7)
        for step in (1, 2, 3)
    ]
    return _check(bench, "move", _apart(core, rows), lambda c: c.read())


def spread(core: CoreConfig, side: str) -> list[Copy]:
    """Copies of every size class whose source or target has every alignment; the other has none."""
    page = _PAGE // core.word_bytes
    copies = []
    for words in size_classes(core):
        # The last one ends where a page ends.
        for start in sorted({*alignments(core), -words % page}):
            copies.append(Copy(0, 0, words))
            copies[-1] = replace(copies[-1], **{side: start})
    return _apart(core, copies)


def size_classes(core: CoreConfig) -> list[int]:
    """Words: around a cache line, a burst and a page, and as many as one instruction moves."""
    word = core.word_bytes
    around = (_LINE, _BURST, 2 * _BURST, _PAGE, 2 * _PAGE)
    nbytes = {b + d for b in around for d in (-word, 0, word)} | {word, 2 * word}
    most = loopback.largest_row(core)
    return sorted({n // word for n in nbytes if 0 < n <= most * word} | {most})


def alignments(core: CoreConfig) -> list[int]:
    """Words into a page: at, before and behind where lines, bursts and pages begin."""
    word = core.word_bytes
    around = (0, _LINE, _BURST, _PAGE)
    return sorted({(b + d) // word for b in around for d in (-word, 0, word) if 0 <= b + d < _PAGE})


def _apart(core: CoreConfig, copies: Sequence[Copy]) -> list[Copy]:
    """The copies, each in pages of its own, with room around."""
    page = _PAGE // core.word_bytes
    placed, source, target = [], page, page
    for copy in copies:
        moved = replace(copy, source=source + copy.source, target=target + copy.target)
        placed.append(moved)
        source = (int(moved.read().max()) // page + 2) * page
        target = (int(moved.written().max()) // page + 2) * page
    return placed


def _check(bench: Bench, verb: str, copies: list[Copy], place: Callable[[Copy], np.ndarray]) -> str:
    core = bench.board.core
    word, page = core.word_bytes, _PAGE // core.word_bytes
    ends = [(int(c.read().max()), int(c.written().max())) for c in copies]
    sizes = [(max(e) // page + 2) * _PAGE for e in zip(*ends)]
    rng = np.random.default_rng(0)
    source, before = (rng.bytes(size) for size in sizes)
    segments = {
        Segment.WEIGHTS: loopback.constants(core),
        Segment.INPUT: source,
        Segment.OUTPUT: before,
    }
    after, _ = bench.run(isa.encode(loopback.stream(core, copies)), segments)
    wanted = loopback.copied(core, copies, source, before)
    right = np.all(
        np.frombuffer(after, np.uint8).reshape(-1, word)
        == np.frombuffer(wanted, np.uint8).reshape(-1, word),
        axis=1,
    )
    for copy in copies:
        if not right[copy.written()].all():
            start = int(place(copy).min()) % page * word
            raise Failed(
                f"wrong data: {verb} of {copy.rows} x {copy.columns * word} bytes that begins "
                f"{start} bytes into a page",
                _ADVICE,
            )
    if not right.all():
        wrong = int(np.argmin(right)) * word
        raise Failed(f"byte {wrong} was overwritten, and no store goes there", _ADVICE)
    moved = sum(c.rows * c.columns for c in copies) * word
    return f"{len(copies)} transfers, {moved:,} bytes"
