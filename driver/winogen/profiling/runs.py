"""One run of a stream: when each instruction began and ended, measured and predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from winogen.cost.simulate import simulate
from winogen.profiling import trace
from winogen.profiling.trace import Times
from winogen.program.file import Program
from winogen.program.parts import Piece, StreamInfo
from winogen.target.board import Board
from winogen.target.isa import Instruction
from winogen.target.registers import Engine

ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)


@dataclass(frozen=True, repr=False)
class Run:
    """One stream that was run, and when each of its instructions was at work.

    Attributes
    ----------
    stream : what ran
    instructions : its instructions
    measured, predicted : their times
    counters : the hardware's counters at the end
    """

    stream: StreamInfo
    instructions: list[Instruction]
    measured: Times
    predicted: Times
    counters: Mapping[str, int]


def busy_cycles(times: Times, engine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cycles in which each instruction was the one that kept its engine from being idle.

    An engine has several instructions in flight. Each cycle is counted once, for the oldest, so
    that the sum is the hardware's busy counter.
    """
    busy = np.zeros(len(engine), np.int64)
    for e in ENGINES:
        which = np.flatnonzero(engine == e)
        before = np.concatenate([[0], times.end[which][:-1]])
        busy[which] = times.end[which] - np.maximum(times.begin[which], before)
    return busy


def layer_cycles(end: NDArray[np.int64], layer: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Cycles from the end of the layers before to the end of each layer, shape (count,)."""
    ends = np.zeros(count, np.int64)
    np.maximum.at(ends, layer, end)
    return np.diff(np.maximum.accumulate(ends), prepend=0)


class RunStream(Protocol):
    """Runs a stream once, with the same input each time; calls back around each of its pieces."""

    def __call__(
        self, *, before: Callable[[Piece], object], after: Callable[[Piece], object]
    ) -> object:
        """Run it; the callbacks get the piece."""
        ...


def profile_run(program: Program, stream: StreamInfo, core: Any, run: RunStream) -> Run:
    """Run a stream as often as its trace needs: a trace holds some thousand instructions.

    Parameters
    ----------
    core : the driver
    run : runs the stream

    Raises
    ------
    DeviceError : the device failed, or its trace is not that of the stream
    """
    instructions, predicted = _prediction(stream, program.board)
    windows = {piece: trace.windows(piece.length) for piece in stream.pieces()}
    found: dict[Piece, list[tuple[range, NDArray[np.uint32]]]] = {piece: [] for piece in windows}
    counters: dict[Piece, dict[str, int]] = {}

    def before(piece: Piece) -> None:
        done = len(found[piece])
        trace.record(core, windows[piece][done] if done < len(windows[piece]) else range(0))

    def after(piece: Piece) -> None:
        counters.setdefault(piece, core.counters())
        done = len(found[piece])
        if done < len(windows[piece]):
            found[piece].append((windows[piece][done], trace.read(core)))

    try:
        for _ in range(max(map(len, windows.values()))):
            run(before=before, after=after)
    finally:
        trace.record(core, range(0))
    measured = _one_after_the_other(
        [
            trace.join(parts, instructions[piece.start : piece.stop])
            for piece, parts in found.items()
        ],
        [counters[piece]["cycles"] for piece in found],
    )
    total = {n: sum(c[n] for c in counters.values()) for n in next(iter(counters.values()))}
    return Run(stream, instructions, measured, predicted, total)


def _one_after_the_other(parts: Sequence[Times], cycles: Sequence[int]) -> Times:
    """The times of all pieces, each counted from the end of the one before."""
    starts = np.concatenate([[0], np.cumsum(cycles)])
    return Times(
        np.concatenate([part.begin + start for part, start in zip(parts, starts)]),
        np.concatenate([part.end + start for part, start in zip(parts, starts)]),
        np.concatenate([part.stall for part in parts]),
    )


@lru_cache(maxsize=16)
def _prediction(stream: StreamInfo, board: Board) -> tuple[list[Instruction], Times]:
    """A stream's instructions and their predicted times: most calls run one stream many times."""
    instructions = stream.instructions()
    lines = [simulate(instructions[p.start : p.stop], board) for p in stream.pieces()]
    times = _one_after_the_other(
        [trace.predicted(line) for line in lines], [line.cycles for line in lines]
    )
    return instructions, times
