"""pynq.allocate and PynqBuffer on the emulated device."""

from __future__ import annotations

import gc
import mmap
import weakref
from pathlib import Path

import numpy as np
import pynq
import pytest

from fakes.core import InvertingDma
from winogen.emulation.device import BufferUseError, ContiguousMemoryError, EmulatedDevice
from winogen.emulation.device.memory import POISON
from winogen.target.registers import offset

MIB = 1 << 20
STATM = Path("/proc/self/statm")


@pytest.fixture
def device() -> EmulatedDevice:
    return EmulatedDevice(InvertingDma)


@pytest.fixture
def ip(device, tmp_path):
    return pynq.Overlay(str(device.ensure_overlay(tmp_path)), device=device).winogen_0


def invert(ip, source, target) -> None:
    ip.write(offset("INPUT_BASE_LO"), source.device_address)
    ip.write(offset("OUTPUT_BASE_LO"), target.device_address)
    ip.write(offset("STREAM_LENGTH"), source.nbytes)
    ip.register_map.CONTROL.start = 1
    assert ip.register_map.STATUS.done == 1


def seen(device, buffer) -> np.ndarray:
    """What the device sees of a buffer."""
    return device.memory.device_read(buffer.device_address, buffer.nbytes).view(buffer.dtype)


@pytest.fixture
def pair(device):
    return tuple(pynq.allocate(256, "i1", target=device, cacheable=1) for _ in range(2))


# The round trip, and each way to get it wrong


def test_a_program_that_flushes_and_invalidates_is_right(ip, pair):
    source, target = pair
    source[:] = np.arange(256) - 128
    source.flush()
    invert(ip, source, target)
    target.invalidate()
    assert (target == ~source).all()


def test_a_missing_flush_gives_the_device_wrong_bytes(ip, pair):
    source, target = pair
    source[:] = 1
    invert(ip, source, target)
    target.invalidate()
    assert (target.view("u1") == 0xFF - POISON).all()


def test_a_missing_second_flush_gives_the_device_old_bytes(ip, pair):
    source, target = pair
    source[:] = 1
    source.flush()
    source[:] = 2
    invert(ip, source, target)
    target.invalidate()
    assert (target == ~1).all()


def test_a_missing_invalidate_gives_the_host_old_bytes(ip, pair):
    source, target = pair
    source.flush()
    invert(ip, source, target)
    assert (target == 0).all()
    target.invalidate()
    assert (target == -1).all()


def test_sync_to_and_from_device_are_the_same_two(ip, pair):
    source, target = pair
    source[:] = 5
    source.sync_to_device()
    invert(ip, source, target)
    target.sync_from_device()
    assert (target == ~5).all()


# The same without caches


@pytest.fixture
def uncached(device):
    """As a board's driver maps a buffer unasked."""
    return tuple(pynq.allocate(256, "i1", target=device) for _ in range(2))


def test_an_uncached_buffer_needs_neither_flush_nor_invalidate(ip, uncached):
    source, target = uncached
    for value in (1, 2):
        source[:] = value
        invert(ip, source, target)
        assert (target == ~value).all()


def test_flush_and_invalidate_of_an_uncached_buffer_change_nothing(device, uncached):
    buffer, _ = uncached
    buffer[:] = 3
    device.memory.host[:] = 9  # what no buffer shows
    buffer.flush()
    assert (seen(device, buffer) == 3).all()
    device.memory.device_write(buffer.device_address, bytes(256))
    buffer.invalidate()
    assert not buffer.any()


def test_what_is_derived_from_an_uncached_buffer_is_derived_anew(device, uncached):
    """Nobody is told when the host writes there."""
    buffer, _ = uncached
    memory, where = device.memory, (buffer.device_address, buffer.nbytes)
    assert memory.device_version(*where) < memory.device_version(*where)
    buffer.freebuffer()
    cached = pynq.allocate(256, "i1", target=device, cacheable=1)
    assert cached.device_address == where[0]
    assert memory.device_version(*where) == memory.device_version(*where)


def test_a_piece_that_was_uncached_is_zero_and_poisoned_where_it_is_cached(device, uncached):
    buffer, _ = uncached
    buffer[:] = 9
    buffer.freebuffer()
    again = pynq.allocate(256, "u1", target=device, cacheable=1)
    assert not again.any()
    assert (seen(device, again) == POISON).all()
    again.freebuffer()
    assert not pynq.allocate(256, "u1", target=device).any()


# Buffers


@pytest.mark.parametrize("cacheable", [0, 1])
@pytest.mark.parametrize("shape", [7, (7,), (3, 5), (2, 3, 4, 5), (), (0, 3)])
def test_a_buffer_is_an_array_of_zeros_on_its_own_pages(device, shape, cacheable):
    buffer = pynq.allocate(shape, "i2", target=device, cacheable=cacheable)
    assert isinstance(buffer, pynq.buffer.PynqBuffer)
    assert buffer.shape == np.empty(shape).shape
    assert buffer.dtype == np.int16
    assert not buffer.any()
    assert buffer.device_address == buffer.physical_address
    assert buffer.device_address % 4096 == 0
    assert not buffer.coherent


def test_the_default_dtype(device):
    assert pynq.allocate(4, target=device, cacheable=1).dtype == np.uint32


def test_a_reused_piece_is_zero_and_poisoned_again(device):
    buffer = pynq.allocate(100, "u1", target=device, cacheable=1)
    address = buffer.device_address
    buffer[:] = 9
    buffer.flush()
    buffer.freebuffer()
    again = pynq.allocate(100, "u1", target=device, cacheable=1)
    assert again.device_address == address
    assert not again.any()
    assert (seen(device, again) == POISON).all()


def test_views_flush_their_own_part(device):
    buffer = pynq.allocate((4, 64), "u1", target=device, cacheable=1)
    buffer[:] = 3
    row = buffer[2]
    assert row.device_address == buffer.device_address + 128
    row.flush()
    assert (seen(device, buffer) == 3).reshape(4, 64).all(axis=1).tolist() == [0, 0, 1, 0]
    half = buffer[1:3].reshape(-1)[32:96].view("i2")
    assert half.device_address == buffer.device_address + 96
    half.flush()  # bytes 96 to 159: the lines of rows 1 and 2
    assert (seen(device, buffer) == 3).reshape(4, 64).all(axis=1).tolist() == [0, 1, 1, 0]


def test_views_invalidate_their_own_part(device):
    buffer = pynq.allocate((4, 64), "u1", target=device, cacheable=1)
    device.memory.device_write(buffer.device_address, bytes([8]) * 256)
    buffer[3:].invalidate()
    assert buffer[:, 0].tolist() == [0, 0, 0, 8]


def test_a_view_keeps_the_buffer(device):
    views = [
        pynq.allocate(64, "u1", target=device)[8:16],
        np.asarray(pynq.allocate(64, "u1", target=device)),
        memoryview(pynq.allocate(64, "u1", target=device)),
    ]
    gc.collect()
    assert device.default_memory.pool.free_bytes == 128 * MIB - 3 * 4096
    views.clear()
    gc.collect()
    assert device.default_memory.pool.free_bytes == 128 * MIB


def test_what_is_no_part_of_the_buffer_cannot_be_flushed(device):
    buffer = pynq.allocate(64, "u1", target=device)
    with pytest.raises(BufferUseError, match="result of arithmetic"):
        (buffer + 1).flush()
    with pytest.raises(BufferUseError, match="contiguous"):
        buffer[::-1].invalidate()


# Freeing


def test_freeing_returns_the_memory_at_once_and_twice_is_once(device):
    pool = device.default_memory.pool
    buffer = pynq.allocate(10_000, "u1", target=device)
    assert pool.free_bytes == 128 * MIB - 12_288
    buffer.freebuffer()
    assert pool.free_bytes == 128 * MIB
    other = pynq.allocate(10_000, "u1", target=device)
    buffer.freebuffer()
    del buffer
    gc.collect()
    assert pool.free_bytes == 128 * MIB - 12_288
    assert other.bo.live


def test_a_context_manager_frees(device):
    with pynq.allocate(10, target=device) as buffer:
        buffer.flush()
    assert device.default_memory.pool.free_bytes == 128 * MIB


def test_a_forgotten_buffer_is_freed_when_it_dies(device):
    for _ in range(300):
        pynq.allocate(MIB, "u1", target=device)
    assert device.default_memory.pool.free_bytes == 128 * MIB


def test_a_freed_buffer_cannot_be_flushed(device):
    buffer = pynq.allocate(10, target=device)
    view = buffer[2:4]
    buffer.freebuffer()
    for access in (buffer.flush, view.invalidate):
        with pytest.raises(BufferUseError, match="freed"):
            access()


def test_running_out_of_contiguous_memory_says_so(device):
    keep = pynq.allocate((100, MIB), "i1", target=device)
    with pytest.raises(ContiguousMemoryError) as caught:
        pynq.allocate((1, 3, 4096, 4096), "f4", target=device)
    message = str(caught.value)
    assert "201,326,592 bytes" in message
    assert "shape (1, 3, 4096, 4096), dtype float32" in message
    assert "29,360,128 of 134,217,728 bytes are free" in message
    keep.freebuffer()


def test_a_shape_that_makes_no_sense_takes_nothing(device):
    with pytest.raises(ValueError, match="negative"):
        pynq.allocate((-1, 4), target=device)
    assert device.default_memory.pool.free_bytes == 128 * MIB


# Size


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc")
def test_a_big_memory_takes_no_room_until_it_is_touched():
    before = resident_bytes()
    device = EmulatedDevice(InvertingDma, memory_bytes=1024 * MIB, contiguous_bytes=300 * MIB)
    buffer = pynq.allocate(MIB, "u1", target=device)
    assert buffer.device_address >= 724 * MIB
    assert resident_bytes() - before < 32 * MIB
    buffer = pynq.allocate((299, MIB), "u1", target=device)
    assert resident_bytes() - before > 299 * MIB


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * mmap.PAGESIZE


def test_the_pool_must_fit_the_memory():
    with pytest.raises(ValueError, match="contiguous_bytes"):
        EmulatedDevice(InvertingDma, memory_bytes=64 * MIB, contiguous_bytes=64 * MIB)


def test_a_device_dies_with_its_last_user(tmp_path):
    device = EmulatedDevice(InvertingDma)
    buffer = pynq.allocate(10, target=device)
    memory = weakref.ref(device.memory)
    del device, buffer
    gc.collect()
    assert memory() is None
