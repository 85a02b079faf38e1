"""Which exit of a program is in time, by its predicted time on the board with the host's part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from winogen.common.errors import InputError
from winogen.program.file import Program
from winogen.program.parts import StreamInfo
from winogen.program.speed import speed


def split(count: int, streams: Sequence[StreamInfo]) -> Iterator[StreamInfo]:
    """Streams whose batches add up to ``count``, largest first, so no work is wasted.

    ``streams`` are by ascending batch size, from 1.
    """
    for stream in reversed(streams):
        while count >= stream.batch:
            yield stream
            count -= stream.batch


def predicted_seconds(program: Program, count: int) -> float:
    """Predicted time of ``count`` inputs: of the runs that they take, one after the other.

    Runs of one call overlap with what the host does for the next; a deadline does not count on it.
    """
    return sum(speed(program, stream).run_s for stream in split(count, program.streams))


def exit_in_time(
    at_exit: Callable[[int], Program],
    exits: int,
    count: int | Callable[[Program], int],
    deadline_ms: float,
) -> int:
    """The deepest exit that is predicted to be in time for ``count`` inputs.

    Parameters
    ----------
    at_exit : the program that runs to an exit, which counts from 1 to ``exits``
    count : how many inputs; or, of the program of an exit, how many windows it takes, which
        overlap by as much as its own layers reach
    deadline_ms : how many milliseconds there are

    Raises InputError, with the least time that there is, where none is in time.
    """
    if isinstance(deadline_ms, bool) or not (math.isfinite(deadline_ms) and deadline_ms > 0):
        raise InputError(f"a deadline must be a positive number of ms, not {deadline_ms}")
    least, inputs = {}, {}
    for number in range(exits, 0, -1):
        program = at_exit(number)
        inputs[number] = count(program) if callable(count) else count
        least[number] = 1e3 * predicted_seconds(program, inputs[number])
        if least[number] <= deadline_ms:
            return number
    number = min(least, key=lambda n: least[n])
    program, there = at_exit(number), inputs[number]
    what = f"exit {number} of " if exits > 1 else ""
    raise InputError(
        f"{deadline_ms:g} ms are too few on {program.board.name}: the fastest there is, {what}"
        f"network '{program.name}', is predicted to take {least[number]:.3g} ms for "
        f"{there} image{'s' * (there != 1)}; give more time, or fewer images at once"
    )
