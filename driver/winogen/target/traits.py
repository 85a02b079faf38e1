"""What a program that drives a device has to know of its kind, and no more.

A device that winogen makes says it of itself, in an attribute ``traits``. Boards are pynq's own
devices, which say nothing: theirs is ``BOARD``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """How a device differs from others.

    Attributes
    ----------
    is_real : it is hardware, whose bitstream is a file of the board's; any other device brings its
        own overlay, which ``device.ensure_overlay()`` writes
    is_measured : its counters and traces are those of logic, real or simulated; else a prediction
    takes_limit : a run goes on while a register is read, and ends after so many seconds of that if
        ``device.limit_run(seconds)`` says so
    turn_seconds : how long a run may keep other threads from the device; None: until its deadline,
        since no register access takes time
    lock_name : devices of this name are one to all processes, which lock it; None: its memory is
        this process's, so it needs no lock
    poll_seconds : longest pause between two looks at whether a run has ended
    copied_bytes_per_s : how fast buffers get there and back, at least; a board's own are there
    """

    is_real: bool
    is_measured: bool
    takes_limit: bool
    turn_seconds: float | None
    lock_name: str | None
    poll_seconds: float = 0.001
    copied_bytes_per_s: float = float("inf")


#: A board, of which a machine has one: hence one lock.
BOARD = Traits(
    is_real=True, is_measured=True, takes_limit=False, turn_seconds=None, lock_name="board"
)
