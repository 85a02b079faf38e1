"""Which windows of bus addresses the accelerator is given: its buffers, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from winogen.target.microarchitecture import LOGIC
from winogen.target.registers import CLOSED_WINDOW, WINDOWS, Access


class Buffer(Protocol):
    """Contiguous memory, as ``pynq.allocate`` gives it."""

    device_address: int
    nbytes: int


def window_words(buffers: Mapping[Access, Sequence[Buffer]]) -> tuple[int, ...]:
    """Values of all registers of windows, in their order, that open these buffers.

    A window has whole pages, as buffers of pynq do. ValueError if an access has fewer windows than
    buffers.
    """
    words: list[int] = []
    for access, count in WINDOWS.items():
        own = list(dict.fromkeys(_pages(b) for b in buffers.get(access, ())))
        if len(own) > count:
            raise ValueError(f"{len(own)} buffers for {count} windows in which {access.text}")
        for pages in own + [CLOSED_WINDOW] * (count - len(own)):
            words += pages
    return tuple(words)


def _pages(buffer: Buffer) -> tuple[int, int]:
    """First and last page of a buffer."""
    page = LOGIC.page_bytes
    last = buffer.device_address + max(buffer.nbytes, 1) - 1
    return buffer.device_address // page, last // page
