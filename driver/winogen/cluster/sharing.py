"""How much a worker is given at a time: by its measured speed, less towards the end of a call.

Nobody is asked how fast he is. Each has two pieces, one that runs and one that waits, and is given
the next when it has answered, so that speed decides by itself; the sizes of pieces see to it that
they cost little beside their work, and that at the end nobody waits long for a slow one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Pieces that a worker has: one that runs, and one that waits.
AHEAD = 2
#: Seconds that a piece should take on its device, where there is enough to do.
PIECE_SECONDS = 0.5
#: Bytes of a piece's inputs and outputs, at most.
PIECE_BYTES = 8 << 20
#: A worker is given at most this part of its share of what is left.
_PART = 1 / 2
#: Weight of the latest piece in the measured speed.
_NEWEST = 0.3
#: Seconds that do not matter.
_SMALL = 0.05


class Load(NamedTuple):
    """A worker.

    Attributes
    ----------
    speed : rows a second as seen from here, or None before the first answer
    held : rows that it has
    device : rows a second of its device alone, which does not fall where the network is busy;
        None: ``speed``
    """

    speed: float | None
    held: int
    device: float | None = None


def measured(speed: float | None, rows: int, seconds: float) -> float:
    """The speed after another piece of ``rows`` in ``seconds``."""
    now = rows / max(seconds, 1e-6)
    return now if speed is None else speed + _NEWEST * (now - speed)


def piece_rows(left: int, batch: int, most: int, mine: Load, all_: Iterable[Load]) -> int:
    """Rows that a worker should be given now, in whole batches of its device; 0: none.

    Parameters
    ----------
    left : rows that nobody has yet
    batch : rows of the device's largest batch
    most : rows of a piece, at most
    mine, all_ : the worker, and all that there are, this one too
    """
    if mine.speed is None:
        return min(left, batch)
    known = [load for load in all_ if load.speed]
    total = sum(load.speed or 0.0 for load in known)
    fair = left * mine.speed / total * _PART
    rows = int(min(fair, (mine.device or mine.speed) * PIECE_SECONDS, most))
    rows = min(left, max(batch, rows // batch * batch))

    def ends(load: Load) -> float:
        return (load.held + rows) / (load.speed or 1.0)

    rest = (left + sum(load.held for load in known)) / total
    soonest = min(map(ends, known))
    return rows if ends(mine) <= max(2 * soonest, rest) + _SMALL else 0
