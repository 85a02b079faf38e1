"""What a program needs of a board's contiguous memory, buffer by buffer, before any is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winogen.program.parts import StreamInfo

_PAGE = 4096


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each buffer, in whole pages; ``streams`` are all instructions together."""

    weights: int
    streams: int
    input: int
    output: int
    scratch: int

    @property
    def total(self) -> int:
        """Bytes of all buffers."""
        return sum(asdict(self).values())

    @property
    def second(self) -> int:
        """Bytes of a second pair of input and output buffers, which is used if there is room."""
        return self.input + self.output

    def fits(self, mib: int) -> bool:
        """Whether ``mib`` MiB of contiguous memory hold all buffers."""
        return self.total <= mib << 20

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_mib(size)}" for name, size in asdict(self).items())
        return f"{_mib(self.total)} MiB ({parts})"


def plan(weights: int, streams: Sequence[StreamInfo]) -> MemoryPlan:
    """The buffers of a program with ``weights`` bytes of weights and these streams."""
    return MemoryPlan(
        _pages(weights),
        sum(_pages(len(s.stream)) for s in streams),
        max(_pages(s.input_bytes) for s in streams),
        max(_pages(s.output_bytes) for s in streams),
        max(_pages(s.scratch_bytes) for s in streams),
    )


def _pages(nbytes: int) -> int:
    return max(1, -(-nbytes // _PAGE)) * _PAGE


def _mib(nbytes: int) -> str:
    return f"{nbytes / (1 << 20):.1f}"
