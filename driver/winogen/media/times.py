"""Frames whose times vary, in a file that shows each as long as any other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Protocol, TypeVar

#: Seconds for which one frame is shown at most: a file may say anything.
_LONGEST = 60


class Timed(Protocol):
    """A decoded frame: it is shown at ``pts * time_base`` seconds, if it says so."""

    @property
    def pts(self) -> int | None:
        """When, in units."""

    @property
    def time_base(self) -> Fraction | None:
        """The unit, in seconds."""


_Frame = TypeVar("_Frame", bound=Timed)


def in_turn(frames: Iterable[_Frame], rate: Fraction) -> Iterator[tuple[_Frame, int]]:
    """Frames, and for how many turns of ``1 / rate`` seconds each is shown.

    What would be shown for none is left out. Where a file's times go back, they go on from there.
    """
    held: _Frame | None = None
    held_at = 0  # its turn
    before = moved = Fraction(0)
    for frame in frames:
        time = before + (1 / rate if held is not None else 0)
        if frame.pts is not None and frame.time_base:
            said = frame.pts * Fraction(frame.time_base)
            if held is None or said + moved < before:
                moved = time - said
            time = said + moved
        at = math.floor(time * rate + Fraction(1, 2))
        before = time
        if held is None:
            held = frame
        elif at > held_at:
            yield held, min(at - held_at, max(round(_LONGEST * rate), 1))
            held, held_at = frame, at
    if held is not None:
        yield held, 1
