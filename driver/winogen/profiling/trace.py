"""The hardware's trace: when each instruction of a stream began, ended, and waited before that.

The accelerator writes a record for every cycle in which an engine begins or ends an instruction, or
begins or ceases to wait for a token (``TRACE_DATA`` in docs/reference/registers.md). A record does
not name instructions: each engine takes its own in the order of the stream. The emulator makes the
same records from its cost model, so that a profile of it is a prediction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import DeviceError
from winogen.cost.simulate import Timeline
from winogen.target.isa import Instruction
from winogen.target.registers import BY_NAME, TRACE_DEPTH, Engine, unpack

_FIELDS = {f.name: f for f in BY_NAME["TRACE_DATA"].fields}
_TIME = _FIELDS["time"]
_PERIOD = 1 << _TIME.width
_EVENTS = ("begin", "end", "stall")
_ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)

#: Instructions of one trace: each has four records at most, and few of them share one.
WINDOW = TRACE_DEPTH // 4 - 16


class Times(NamedTuple):
    """Cycles of each instruction of a stream, arrays of shape (instructions,), int64.

    Attributes
    ----------
    begin, end : cycles from the start of the stream to its begin and end
    stall : cycles in which it waited for a token while its engine had nothing else to do
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    stall: NDArray[np.int64]


def windows(instructions: int, size: int = WINDOW) -> list[range]:
    """The parts of a stream that are traced one by one, as the trace does not hold all."""
    return [range(first, min(first + size, instructions)) for first in range(0, instructions, size)]


def in_window(index: int, first: int, length: int) -> bool:
    """Whether the hardware traces an instruction, in its own arithmetic (modulo 2**21)."""
    return (index - (first & 0xF_FFFF)) % (1 << 21) < length % (1 << 21)


def encode(
    instructions: Sequence[Instruction], line: Timeline, first: int, length: int
) -> NDArray[np.uint32]:
    """The records of a run, in the order of time: all, even if the hardware has not room for them.

    Parameters
    ----------
    first, length : the window, as in TRACE_FIRST and TRACE_LENGTH
    """
    if not length % (1 << 21):
        return np.zeros(0, np.uint32)
    masks: dict[int, int] = defaultdict(int)
    ended = set(line.order[: line.completed])
    for index in line.order:
        if not in_window(index, first, length):
            continue
        engine = instructions[index].engine
        begin, stall = line.start[index], line.stall[index]
        masks[begin] |= _bit("begin", engine)
        if stall:
            masks[begin - stall] ^= _bit("stall", engine)
            masks[begin] ^= _bit("stall", engine)
        if index in ended:
            masks[line.end[index]] |= _bit("end", engine)
    for wrap in range(_PERIOD, line.cycles, _PERIOD):
        masks[wrap] |= 0
    return np.array([masks[t] | _TIME.insert(t) for t in sorted(masks)], np.uint32)


def _bit(event: str, engine: Engine) -> int:
    return 1 << (_FIELDS[event].lsb + engine)


def decode(
    records: NDArray[np.uint32], instructions: Sequence[Instruction], window: Iterable[int]
) -> list[tuple[int, int, int, int]]:
    """Index, begin, end and stall of the instructions of a window, from the records of a run.

    Raises DeviceError if the records are not those of a whole run of these instructions.
    """
    words = records.astype(np.int64)
    periods = np.cumsum((words & (_PERIOD - 1)) == 0, dtype=np.int64)  # not numpy's 32-bit choice
    times = (words & (_PERIOD - 1)) + _PERIOD * periods
    expected: dict[Engine, list[int]] = {engine: [] for engine in _ENGINES}
    for index in window:
        expected[instructions[index].engine].append(index)
    out = []
    for engine, indices in expected.items():
        happened = {e: times[(words & _bit(e, engine)) != 0].tolist() for e in _EVENTS}
        begins, ends, edges = (happened[e] for e in _EVENTS)
        if len(begins) != len(indices) or len(ends) != len(indices) or len(edges) % 2:
            raise DeviceError(
                f"the trace has {len(begins)} beginnings and {len(ends)} ends of the "
                f"{len(indices)} instructions of the {engine.name.lower()} engine; run the profile "
                "again, and if that stays so, report it as a bug of winogen"
            )
        waits = iter(zip(edges[::2], edges[1::2]))
        wait = next(waits, None)
        for index, begin, end in zip(indices, begins, ends):
            stall = 0
            while wait is not None and wait[0] < begin:
                stall += wait[1] - wait[0]
                wait = next(waits, None)
            out.append((index, begin, end, stall))
    return out


def join(
    parts: Iterable[tuple[range, NDArray[np.uint32]]], instructions: Sequence[Instruction]
) -> Times:
    """The times of a whole stream, from the records of each of its windows."""
    begin, end, stall = (np.zeros(len(instructions), np.int64) for _ in range(3))
    for window, records in parts:
        for index, *values in decode(records, instructions, window):
            begin[index], end[index], stall[index] = values
    return Times(begin, end, stall)


def predicted(line: Timeline) -> Times:
    """The times that the cost model predicts."""
    return Times(*(np.array(column, np.int64) for column in (line.start, line.end, line.stall)))


def record(core: Any, window: range) -> None:
    """Let the accelerator trace these instructions of the streams that start from now on."""
    core.set("TRACE_FIRST", window.start)
    core.set("TRACE_LENGTH", len(window))


def read(core: Any) -> NDArray[np.uint32]:
    """The records of the last stream; DeviceError if some are missing."""
    count = unpack("TRACE_COUNT", core.get("TRACE_COUNT"))
    if count["overflow"] or count["records"] > TRACE_DEPTH:
        raise DeviceError(
            f"the trace holds {count['records']} records and more were lost; report it as a bug of "
            "winogen"
        )
    records = np.zeros(count["records"], np.uint32)
    for index in range(len(records)):
        core.set("TRACE_INDEX", index)
        records[index] = core.get("TRACE_DATA")
    return records
