"""The contiguous pool, against a model that marks pages one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.common.errors import WinogenError
from winogen.emulation.device import BufferUseError, ContiguousMemoryError
from winogen.emulation.device.allocator import ContiguousPool, rounded
from winogen.emulation.device.memory import PAGE

PAGES = 16
BASE = 0x10_0000


@examples(300)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6 * PAGE)), max_size=60))
def test_the_pool_agrees_with_a_map_of_pages(steps):
    pool = ContiguousPool(BASE, PAGES * PAGE)
    pages = [None] * PAGES  # address of the buffer that has the page
    for allocate, number in steps:
        owners = sorted({p for p in pages if p is not None})
        runs = _free_runs(pages)
        if allocate:
            need = rounded(number) // PAGE
            if need > max(runs, default=0):
                with pytest.raises(ContiguousMemoryError):
                    pool.allocate(number)
                continue
            address = pool.allocate(number)
            first = (address - BASE) // PAGE
            assert (address - BASE) % PAGE == 0
            assert pages[first : first + need] == [None] * need
            pages[first : first + need] = [address] * need
        elif owners:
            address = owners[number % len(owners)]
            pool.free(address)
            pages = [None if p == address else p for p in pages]
        runs = _free_runs(pages)
        assert pool.free_bytes == sum(runs) * PAGE
        assert pool.largest_free == max(runs, default=0) * PAGE


def _free_runs(pages):
    runs = "".join("." if p is None else "#" for p in pages).split("#")
    return [len(run) for run in runs if run]


def test_the_smallest_piece_that_fits_is_taken():
    pool = ContiguousPool(BASE, 10 * PAGE)
    first = pool.allocate(3 * PAGE)
    keep = pool.allocate(PAGE)
    pool.free(first)
    assert pool.allocate(2 * PAGE) == first
    assert pool.allocate(4 * PAGE) == keep + PAGE


def test_running_out_says_what_was_asked_what_is_left_and_what_to_do():
    pool = ContiguousPool(BASE, 4 * PAGE)
    pool.allocate(PAGE)
    middle = pool.allocate(PAGE)
    pool.allocate(PAGE)
    pool.free(middle)
    with pytest.raises(ContiguousMemoryError) as caught:
        pool.allocate(5000, "a buffer of shape (5000,), dtype int8")
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, WinogenError)
    message = str(caught.value)
    for part in (
        "5,000 bytes",
        "shape (5000,), dtype int8",
        "8,192 of 16,384 bytes are free",
        "largest free piece has 4,096",
        "freebuffer()",
    ):
        assert part in message


def test_a_double_free_is_refused():
    pool = ContiguousPool(BASE, 4 * PAGE)
    address = pool.allocate(1)
    pool.free(address)
    with pytest.raises(BufferUseError, match="0x00100000"):
        pool.free(address)


def test_a_pool_comes_in_whole_pages():
    with pytest.raises(ValueError, match="pages"):
        ContiguousPool(BASE, PAGE + 1)
