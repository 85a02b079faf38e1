"""What lies in the on-chip memories while a stream is followed: operands, sums, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from winogen.emulation.emulator.jobs import PLAIN, Chain, FusedPass
from winogen.emulation.emulator.spans import Span


class NotRecognised(Exception):
    """The stream does something that only the machine can follow."""


@dataclass
class _Held:
    """What a range of an on-chip memory holds."""

    start: int
    stop: int
    what: object


@dataclass(frozen=True)
class Weights:
    """A run of weight blocks: address and blocks, the phase table it was loaded with, its size.

    ``code`` is as that of :class:`WeightRun`.
    """

    place: tuple[int, int]
    window: tuple[tuple[int, ...], ...]
    positions: tuple[tuple[int, ...], ...]
    winograd: bool
    words: int
    code: tuple[int, int] = PLAIN


class OnChip:
    """Ranges of one on-chip memory and what was loaded there last."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def put(self, start: int, size: int, what: object) -> None:
        """Note what is loaded there, over what was there."""
        stop = start + size
        self._held = [h for h in self._held if h.stop <= start or stop <= h.start]
        self._held.append(_Held(start, stop, what))

    def drop(self, stale: Callable[[object], bool]) -> None:
        """Forget what ``stale`` says is no longer in DRAM as it was loaded."""
        self._held = [h for h in self._held if not stale(h.what)]

    def get(self, start: int, size: int) -> object:
        """What lies at exactly this start and at least this long."""
        for held in self._held:
            if held.start == start and start + size <= held.stop:
                return held.what
        raise NotRecognised("an operand was not loaded as one piece")


@dataclass
class Sum:
    """A sum of an output block that is not finished.

    Attributes
    ----------
    chain : its passes so far
    places : what every COMPUTE of it must agree on
    biases : where the biases came from
    """

    chain: list[FusedPass] = field(default_factory=list)
    places: tuple = ()
    biases: tuple[int, ...] = ()


@dataclass
class Output:
    """Chains that have been requantised into one range of the output buffer."""

    start: int
    shape: tuple[int, int, int]
    stride: tuple[int, int]
    chains: list[Chain] = field(default_factory=list)

    @property
    def span(self) -> Span:
        """Words of the output buffer that it takes."""
        images, rows, columns = self.shape
        return self.start, self.start + images * rows * columns
