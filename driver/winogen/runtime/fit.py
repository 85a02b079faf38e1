"""What is done with a picture whose size is not the network's."""

from __future__ import annotations

from enum import Enum

from winogen.program.file import Program
from winogen.runtime.windows import padded_size, takes_windows


class Fit(Enum):
    """What is done with a picture whose size is not the network's."""

    WINDOWS = "windows"
    PAD = "pad"
    RESIZE = "resize"


def chosen_fit(size: tuple[int, int], program: Program, wanted: str | None = None) -> Fit:
    """What is done with a picture of ``size`` (rows, columns); ``wanted`` is a value of Fit.

    By itself: windows where the network runs in them; of other networks, what is smaller than the
    network's image and at least half of it is padded, and the rest resized. Raises InputError for a
    picture that is to be padded and is larger.
    """
    if wanted == Fit.RESIZE.value:
        return Fit.RESIZE
    own = program.input_shape[1:]
    if size == own or takes_windows(program):
        return Fit.WINDOWS
    if wanted == Fit.PAD.value or all(n <= m <= 2 * n for n, m in zip(size, own)):
        padded_size(size, program)
        return Fit.PAD
    return Fit.RESIZE
