"""Bits that flip in a device's memory and registers while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from winogen.target.registers import offset


def flip(memory: Any, address: int, bit: int) -> None:
    """One bit of one byte."""
    memory.device_write(address, memory.device_read(address, 1) ^ np.uint8(1 << bit))


@contextmanager
def at(core: Any, register: str, strike: Callable[[], None], after: bool) -> Iterator[None]:
    """Strike when the device's register is written for the first time, before or after it is."""
    real = core.write
    todo = [strike]

    def write(where: int, value: int) -> None:
        if after:
            real(where, value)
        if where == offset(register) and todo:
            todo.pop()()
        if not after:
            real(where, value)

    core.write = write
    try:
        yield
    finally:
        del core.write
    assert not todo


@contextmanager
def stored(
    memory: Any, first: int, size: int, number: int, strike: Callable[[], None]
) -> Iterator[None]:
    """Strike when the emulator has stored to ``size`` bytes from ``first`` on so many times."""
    real = memory.device_write_strided
    left = [number]

    def write(address: int, data: Any, strides: tuple[int, ...]) -> None:
        real(address, data, strides)
        if first <= address < first + size:
            left[0] -= 1
            if left[0] == 0:
                strike()

    memory.device_write_strided = write
    try:
        yield
    finally:
        del memory.device_write_strided
