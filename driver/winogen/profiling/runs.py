"""One run of a stream: when each instruction began and ended, measured and predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.cost.simulate import simulate
from winogen.profiling import trace
from winogen.profiling.trace import Times
from winogen.program.file import Program
from winogen.program.parts import StreamInfo
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


def profile_run(program: Program, stream: StreamInfo, core: Any, run: Callable[[], object]) -> Run:
    """Run a stream as often as its trace needs: a trace holds some thousand instructions.

    Parameters
    ----------
    core : the driver
    run : runs the stream once, with the same input each time

    Raises
    ------
    DeviceError : the device failed, or its trace is not that of the stream
    """
    instructions, predicted = _prediction(stream, program.board)
    parts = []
    counters: dict[str, int] | None = None
    try:
        for window in trace.windows(len(instructions)):
            trace.record(core, window)
            run()
            counters = core.counters() if counters is None else counters
            parts.append((window, trace.read(core)))
    finally:
        trace.record(core, range(0))
    assert counters is not None  # a stream has instructions
    return Run(stream, instructions, trace.join(parts, instructions), predicted, counters)


@lru_cache(maxsize=16)
def _prediction(stream: StreamInfo, board: Board) -> tuple[list[Instruction], Times]:
    """A stream's instructions and their predicted times: most calls run one stream many times."""
    instructions = stream.instructions()
    return instructions, trace.predicted(simulate(instructions, board))
