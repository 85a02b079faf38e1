"""pynq.Interrupt, unmodified, on the emulated device."""

from __future__ import annotations

import asyncio
import functools

import pynq
import pytest

from fakes.core import InvertingDma
from winogen.emulation.device import EmulatedDevice
from winogen.target.registers import offset, pack

IRQ_DONE = pack("IRQ_STATUS", done=1)


@pytest.fixture
def make(monkeypatch, tmp_path):
    monkeypatch.setattr(pynq.Device, "_active_device", None, raising=False)

    def make(factory=InvertingDma):
        device = EmulatedDevice(factory)
        pynq.Device.active_device = device
        ip = pynq.Overlay(str(device.ensure_overlay(tmp_path))).winogen_0
        buffer = pynq.allocate(64, "u1")
        ip.write(offset("INPUT_BASE_LO"), buffer.device_address)
        ip.write(offset("OUTPUT_BASE_LO"), buffer.device_address)
        ip.write(offset("STREAM_LENGTH"), 64)
        ip.write(offset("IRQ_ENABLE"), IRQ_DONE)
        return device, ip, buffer

    return make


def start(ip) -> None:
    ip.write(offset("CONTROL"), pack("CONTROL", start=1))


def test_a_run_that_ends_wakes_who_waits(make):
    _, ip, _ = make()

    async def three_runs():
        for _ in range(3):
            start(ip)
            await asyncio.wait_for(ip.interrupt.wait(), 5)
            assert ip.register_map.STATUS.done == 1
            ip.write(offset("IRQ_STATUS"), IRQ_DONE)

    asyncio.run(three_runs())


def test_a_cleared_event_wakes_once_more_and_no_more(make):
    _, ip, _ = make()

    async def run():
        start(ip)
        await asyncio.wait_for(ip.interrupt.wait(), 5)
        ip.write(offset("IRQ_STATUS"), IRQ_DONE)
        await asyncio.wait_for(ip.interrupt.wait(), 5)  # held by the interrupt controller
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ip.interrupt.wait(), 0.02)

    asyncio.run(run())


def test_the_wait_may_begin_before_the_run_ends(make):
    _, ip, _ = make(functools.partial(InvertingDma, delay=3))

    async def run():
        start(ip)
        waiting = asyncio.ensure_future(ip.interrupt.wait())
        for _ in range(3):
            await asyncio.sleep(0.005)
            assert not waiting.done()
            ip.read(offset("STATUS"))
        await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


def test_a_masked_event_wakes_nobody(make):
    _, ip, _ = make()

    async def run():
        ip.write(offset("IRQ_ENABLE"), 0)
        start(ip)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ip.interrupt.wait(), 0.02)

    asyncio.run(run())


def test_a_core_without_an_interrupt_pin_never_interrupts(make):
    class Silent(InvertingDma):
        interrupt = None

    device, ip, _ = make(lambda memory: _WithoutPin(Silent(memory)))
    start(ip)
    assert ip.register_map.STATUS.done == 1
    assert not device._intc.output()


class _WithoutPin:
    def __init__(self, core) -> None:
        self.read, self.write = core.read, core.write
