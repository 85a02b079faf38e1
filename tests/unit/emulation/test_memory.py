"""The emulated DDR: two views, and nothing but flush and invalidate between them."""

from __future__ import annotations

import numpy as np
import pytest

from winogen.emulation.device import BusError, EmulatedMemory
from winogen.emulation.device.memory import CACHE_LINE, POISON
from winogen.target.registers import ErrorCode

BASE = 0x10_0000
SIZE = 1 << 20


@pytest.fixture
def memory() -> EmulatedMemory:
    memory = EmulatedMemory(BASE, SIZE)
    memory.claim(BASE, 8192)
    return memory


def test_a_fresh_buffer_is_zero_for_the_host_and_poison_for_the_device(memory):
    assert not memory.host[:8192].any()
    assert (memory.device_read(BASE, 8192) == POISON).all()


def test_the_device_sees_a_host_write_only_after_a_flush(memory):
    memory.host[:64] = 7
    assert (memory.device_read(BASE, 64) == POISON).all()
    memory.flush(BASE, 64)
    assert (memory.device_read(BASE, 64) == 7).all()


def test_the_host_sees_a_device_write_only_after_an_invalidate(memory):
    memory.device_write(BASE, np.arange(32, dtype=np.int16))
    assert not memory.host[:64].any()
    memory.invalidate(BASE, 64)
    assert (memory.host[:64].view(np.int16) == np.arange(32)).all()


def test_flush_and_invalidate_work_on_whole_cache_lines(memory):
    memory.host[: 4 * CACHE_LINE] = 7
    memory.flush(BASE + CACHE_LINE + 1, 1)
    seen = memory.device_read(BASE, 4 * CACHE_LINE) == 7
    assert seen.nonzero()[0].tolist() == list(range(CACHE_LINE, 2 * CACHE_LINE))
    memory.invalidate(BASE + 3 * CACHE_LINE - 1, 2)
    lost = memory.host[: 4 * CACHE_LINE] == POISON
    assert lost.nonzero()[0].tolist() == list(range(2 * CACHE_LINE, 4 * CACHE_LINE))


def test_the_last_line_of_the_memory_can_be_flushed(memory):
    memory.host[-1] = 7
    memory.flush(BASE + SIZE - 1, 1)
    assert memory.device_read(BASE + SIZE - 1, 1)[0] == 7


@pytest.mark.parametrize(
    "data", [b"\1\2\3\4", bytearray(b"\1\2\3\4"), np.array([[1, 2], [3, 4]], np.int8)]
)
def test_device_write_takes_bytes_and_arrays(memory, data):
    memory.device_write(BASE + 3, data)
    assert memory.device_read(BASE + 3, 4).tolist() == [1, 2, 3, 4]


def test_device_write_takes_arrays_that_are_not_contiguous(memory):
    memory.device_write(BASE, np.arange(6, dtype=np.int8).reshape(2, 3).T)
    assert memory.device_read(BASE, 6).tolist() == [0, 3, 1, 4, 2, 5]


def test_what_the_device_reads_cannot_be_written(memory):
    with pytest.raises(ValueError, match="read-only"):
        memory.device_read(BASE, 4)[0] = 1


@pytest.mark.parametrize(
    ("address", "nbytes"), [(0, 4), (BASE - 1, 4), (BASE + SIZE - 3, 4), (BASE + SIZE, 1)]
)
def test_outside_the_memory_nothing_answers(memory, address, nbytes):
    for access in (
        lambda: memory.device_read(address, nbytes),
        lambda: memory.device_write(address, bytes(nbytes)),
        lambda: memory.flush(address, nbytes),
    ):
        with pytest.raises(BusError, match=r"0x00100000\.\.0x001fffff") as caught:
            access()
        assert caught.value.code is ErrorCode.AXI_DECERR
        assert caught.value.address == address


def test_the_version_grows_with_what_the_device_sees(memory):
    before = memory.device_version(BASE, 4096)
    memory.host[:] = 1
    memory.invalidate(BASE, 4096)
    assert memory.device_version(BASE, 4096) == before
    memory.flush(BASE, 1)
    flushed = memory.device_version(BASE, 4096)
    memory.device_write(BASE + 4095, b"\0")
    written = memory.device_version(BASE, 4096)
    assert before < flushed < written


def test_what_was_changed_in_place_has_another_version(memory):
    before = memory.device_version(memory.base, 4096)
    memory.device_view()[:64] = 7
    assert memory.device_version(memory.base, 4096) == before
    memory.device_written(memory.base, 64)
    assert memory.device_version(memory.base, 4096) > before
    with pytest.raises(BusError):
        memory.device_written(memory.base + memory.size, 1)


def test_a_change_far_away_leaves_the_version_alone(memory):
    before = memory.device_version(BASE, 4096)
    memory.device_write(BASE + (1 << 19), b"\0")
    assert memory.device_version(BASE, 4096) == before
    assert memory.device_version(BASE, SIZE) > before


def test_a_change_across_version_pages_shows_in_each(memory):
    edge = BASE + (1 << 16)
    before = memory.device_version(BASE, SIZE)
    memory.device_write(edge - 1, b"\0\0")
    assert memory.device_version(edge - 1, 1) > before
    assert memory.device_version(edge, 1) > before


@pytest.mark.parametrize(("base", "size"), [(1, 4096), (0, 4095), (0, 0), (-4096, 4096)])
def test_memory_comes_in_whole_pages(base, size):
    with pytest.raises(ValueError, match="pages"):
        EmulatedMemory(base, size)
