"""What a stream may access: the windows that the host has opened, and the memory that there is.

Bytes are accessed in runs, page by page, as the logic does: what comes before the first page that
is refused has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from winogen.emulation.device.memory import EmulatedMemory
from winogen.target.board import CoreConfig
from winogen.target.checks import dram_range
from winogen.target.isa import Instruction, LoadInput, Store, Transfer
from winogen.target.microarchitecture import LOGIC
from winogen.target.registers import WINDOWS, Access, ErrorCode, Segment, window_names

#: Bus addresses have 64 bits, and what adds up to more begins at 0 again.
_ADDRESSES = 1 << 64


class Refused(Exception):
    """An access is refused, by the windows or by the bus.

    Attributes
    ----------
    code : ``OUTSIDE_WINDOW`` or ``AXI_DECERR``
    address : bus address, bytes, of the first byte that is not accessed
    runs : how many runs come before the one that it lies in
    """

    def __init__(self, code: ErrorCode, address: int, runs: int = 0):
        super().__init__(f"bus address 0x{address:08x}: {code.text}")
        self.code = code
        self.address = address
        self.runs = runs


class Reach:
    """The windows of each access, on a memory.

    Parameters
    ----------
    windows : first and last page of each window, in the order of their registers

    Attributes
    ----------
    windows : the same
    """

    def __init__(self, memory: EmulatedMemory, windows: Iterable[tuple[int, int]]):
        self.windows = tuple(windows)
        self._memory = range(memory.base, memory.base + memory.size)
        page = LOGIC.page_bytes
        every = iter(self.windows)
        self._open: dict[Access, list[range]] = {
            access: [
                range(first * page, (last + 1) * page)
                for first, last in (next(every) for _ in range(count))
                if first <= last
            ]
            for access, count in WINDOWS.items()
        }

    @classmethod
    def everywhere(cls, memory: EmulatedMemory) -> Reach:
        """Windows that refuse nothing of a memory."""
        first = memory.base // LOGIC.page_bytes
        last = (memory.base + memory.size - 1) // LOGIC.page_bytes
        return cls(memory, [(first, last)] * sum(WINDOWS.values()))

    @classmethod
    def of_registers(cls, memory: EmulatedMemory, get: Callable[[str], int]) -> Reach:
        """The windows that registers hold; ``get`` reads one by name."""
        names = (name for access in Access for name in window_names(access))
        return cls(memory, ((get(f"{name}_FIRST"), get(f"{name}_LAST")) for name in names))

    def check(self, access: Access, start: int, nbytes: int, runs: int = 0) -> None:
        """Raise Refused where a run of bytes may not be accessed; ``runs`` come before it."""
        start %= _ADDRESSES
        at, stop = start, start + nbytes
        while at < stop:
            allowed = max((w.stop for w in self._open[access] if at in w), default=at)
            if allowed == at:
                raise Refused(ErrorCode.OUTSIDE_WINDOW, at, runs)
            if at not in self._memory:
                raise Refused(ErrorCode.AXI_DECERR, at, runs)
            at = min(allowed, self._memory.stop)

    def check_transfer(
        self, f: Instruction, core: CoreConfig, bases: Mapping[Segment, int]
    ) -> None:
        """:meth:`check` of all that an instruction reads or writes, run by run."""
        span = dram_range(f, core)
        if span is None:
            return
        assert isinstance(f, Transfer)
        access = Access.WRITE if isinstance(f, Store) else Access.READ
        first = bases[span[0]] + f.offset
        size = span[2] - span[1]
        stop = first + size
        if any(first in w and stop <= w.stop for w in self._open[access]) and (
            first in self._memory and stop <= self._memory.stop
        ):
            return
        if isinstance(f, (LoadInput, Store)):
            for number, offset in enumerate(row_offsets(f)):
                self.check(access, first + offset * core.word_bytes, row_bytes(f, core), number)
        else:
            self.check(access, first, size)


def row_offsets(f: LoadInput | Store) -> Iterator[int]:
    """Where the rows of a box begin, in words from its first, in their order."""
    blocks = (f.blocks, f.block_stride) if isinstance(f, LoadInput) else (1, 0)
    for image in range(f.images):
        for block in range(blocks[0]):
            for row in range(f.rows):
                yield image * f.image_stride + block * blocks[1] + row * f.row_stride


def row_bytes(f: LoadInput | Store, core: CoreConfig) -> int:
    """Bytes of a row of a box, from its first word to its last."""
    step = f.column_step if isinstance(f, LoadInput) else 1
    return ((f.columns - 1) * step + 1) * core.word_bytes
