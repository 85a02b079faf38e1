"""Which registers of windows say that these buffers may be accessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from winogen.runtime.reach import window_words
from winogen.target.registers import BY_NAME, SETTINGS, WINDOWS, Access, window_names

PAGE = 4096
REGISTERS = [f"{n}_{end}" for a in Access for n in window_names(a) for end in ("FIRST", "LAST")]


def buffer(page: int, nbytes: int = PAGE, offset: int = 0) -> Any:
    return SimpleNamespace(device_address=page * PAGE + offset, nbytes=nbytes)


def windows(words: tuple[int, ...], access: Access) -> list[tuple[int, int]]:
    """Those that hold something, in order."""
    values = dict(zip(REGISTERS, words, strict=True))
    pairs = [(values[f"{n}_FIRST"], values[f"{n}_LAST"]) for n in window_names(access)]
    return [(first, last) for first, last in pairs if first <= last]


def test_words_are_in_the_order_of_the_registers():
    assert list(SETTINGS[-len(REGISTERS) :]) == REGISTERS
    offsets = [BY_NAME[name].offset for name in REGISTERS]
    assert offsets == list(range(offsets[0], offsets[0] + 4 * len(offsets), 4))
    assert window_words({}) == tuple(BY_NAME[name].reset for name in REGISTERS)


@pytest.mark.parametrize(
    ("nbytes", "offset", "pages"),
    [
        (1, 0, (5, 5)),
        (PAGE, 0, (5, 5)),
        (PAGE + 1, 0, (5, 6)),
        (3 * PAGE, 0, (5, 7)),
        (PAGE, 64, (5, 6)),
        (0, 0, (5, 5)),
    ],
)
@pytest.mark.parametrize("access", Access)
def test_a_window_has_the_pages_of_its_buffer(access, nbytes, offset, pages):
    words = window_words({access: [buffer(5, nbytes, offset)]})
    assert windows(words, access) == [pages]
    assert not any(windows(words, other) for other in set(Access) - {access})


def test_a_buffer_has_one_window():
    words = window_words({Access.READ: [buffer(1), buffer(2), buffer(1, 8)]})
    assert windows(words, Access.READ) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("access", Access)
def test_there_are_so_many_windows(access):
    count = WINDOWS[access]
    many = [buffer(2 * i) for i in range(count + 1)]
    assert len(windows(window_words({access: many[:-1]}), access)) == count
    with pytest.raises(ValueError, match=f"^{count + 1} buffers for {count} windows in which"):
        window_words({access: many})
