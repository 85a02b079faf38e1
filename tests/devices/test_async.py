"""Generation for coroutines: the event loop goes on, calls queue up, cancelling ends the run."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from fakes.slow_cores import Delayed, Endless, device_of
from support.bench import small
from support.random_graphs import GraphBuilder
from winogen import load_board
from winogen.common.errors import DeviceError, DeviceTimeoutError, InputError
from winogen.compiler.compile import compile_graph
from winogen.emulation.device import EmulatedDevice
from winogen.emulation.emulator import EmulatedCore
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device

TINY = load_board("tiny")


@pytest.fixture(scope="module")
def program():
    return small().program


def use(device: EmulatedDevice, **options) -> Generator:
    return Generator(small().program, device, **options)


class Patient(EmulatedCore):
    """The work happens in the register write, and ends when somebody else has done something."""

    others = threading.Event()

    def _run(self) -> None:
        assert self.others.wait(60), "nothing else went on"
        super()._run()


class Switched(Delayed):
    """Streams do not end while ``hang`` is set."""

    hang = True

    def look(self) -> None:
        if not self.hang:
            super().look()


def test_the_same_images():
    with use(device_of(Delayed)) as generator:
        z = generator.latents(5)
        for as_float in (False, True):
            wanted = generator.generate(z, as_float=as_float, count=True)
            counters = generator.counters()
            got = asyncio.run(generator.generate_async(z, as_float=as_float, count=True))
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)
            assert generator.counters() == counters


def test_windows_too():
    b = GraphBuilder(0, (1, 6, 6))
    b.conv(2, 3, 1, 1)
    program = compile_graph(b.graph(), TINY, batch=2).program
    with Generator(program, device_of(Delayed)) as generator:
        image = generator.latents(1, 3).repeat(3, 2).repeat(2, 3)[0]
        seen: list[tuple[int, int]] = []
        got = asyncio.run(generator.apply_async(image, progress=lambda *n: seen.append(n)))
        np.testing.assert_array_equal(got, generator.apply(image))
        assert seen[-1][0] == seen[-1][1] > 1


def test_the_event_loop_goes_on_while_the_device_works():
    async def main(generator: Generator) -> None:
        task = asyncio.ensure_future(generator.generate_async(generator.latents(2)))
        for _ in range(20):
            await asyncio.sleep(0.002)
        assert not task.done()
        Patient.others.set()
        await task

    with use(device_of(Patient)) as generator:
        asyncio.run(main(generator))


def test_calls_queue_up(program):
    async def main(generators: list[Generator]) -> list:
        return await asyncio.gather(
            *(g.generate_async(g.latents(1 + i)) for i in range(6) for g in generators)
        )

    with use(emulated_device(TINY)) as one:
        wanted = one.generate(one.latents(6))
    device = device_of(Delayed)
    with use(device) as one, use(device) as two:
        results = asyncio.run(main([one, two]))
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, wanted[: 1 + i // 2])


def test_progress_is_called_in_the_event_loop():
    seen: list[tuple[int, bool]] = []

    def progress(done: int) -> None:
        seen.append((done, threading.current_thread() is threading.main_thread()))

    with use(device_of(Delayed)) as generator:
        asyncio.run(generator.generate_async(generator.latents(5), progress=progress))
    assert seen == [(2, True), (4, True), (5, True)]


def test_progress_that_fails_ends_the_call():
    device = device_of(Switched)

    def progress(done: int) -> None:
        raise ZeroDivisionError(done)

    async def main(generator: Generator) -> None:
        task = asyncio.ensure_future(
            generator.generate_async(generator.latents(5), progress=progress)
        )
        await until(lambda: device.core.running)
        device.core.hang = False
        with pytest.raises(ZeroDivisionError, match="2"):
            await task

    with use(device) as generator:
        asyncio.run(main(generator))
        assert_usable(generator)


def test_progress_that_fails_at_the_end_is_not_lost():
    def progress(done: int) -> None:
        raise ZeroDivisionError(done)

    with use(device_of(Delayed)) as generator, pytest.raises(ZeroDivisionError, match="2"):
        asyncio.run(generator.generate_async(generator.latents(2), progress=progress))


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def assert_usable(generator: Generator) -> None:
    with use(emulated_device(TINY)) as sound:
        wanted = sound.generate(sound.latents(3))
    np.testing.assert_array_equal(generator.generate(generator.latents(3)), wanted)


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
def test_cancelling_ends_the_run(how):
    device = device_of(Switched)

    async def main(generator: Generator) -> None:
        work = generator.generate_async(generator.latents(2))
        if how == "wait_for":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(work, 0.1)
        else:
            task = asyncio.ensure_future(work)
            await until(lambda: device.core.running)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not device.core.running  # reset already
        device.core.hang = False
        await generator.generate_async(generator.latents(2))

    with use(device, timeout=3600) as generator:
        asyncio.run(main(generator))
        assert_usable(generator)


def test_one_that_waits_for_its_turn_is_cancelled_at_once():
    device = device_of(Switched)

    async def main(one: Generator, two: Generator) -> None:
        tasks = [asyncio.ensure_future(one.generate_async(one.latents(1)))]
        await until(lambda: device.core.running)  # else another may have the first turn
        tasks += [asyncio.ensure_future(g.generate_async(g.latents(1))) for g in (one, two, two)]
        for task in tasks[1:]:
            task.cancel()
        for task in tasks[1:]:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert device.core.running  # the first is not disturbed
        device.core.hang = False
        await tasks[0]

    with use(device, timeout=60) as one, use(device, timeout=60) as two:
        asyncio.run(main(one, two))
        assert_usable(one)
        assert_usable(two)


def test_errors_are_those_of_generate(program):
    async def wrong(generator: Generator) -> None:
        with pytest.raises(InputError, match="has shape"):
            await generator.generate_async(np.zeros((2, 6)))
        with pytest.raises(DeviceTimeoutError, match=r"did not finish within 0\.05 s"):
            await generator.generate_async(generator.latents(1))

    with use(device_of(Endless), timeout=0.05) as generator:
        asyncio.run(wrong(generator))
    with pytest.raises(DeviceError, match="this generator is closed"):
        asyncio.run(generator.generate_async(generator.latents(1)))


def test_close_while_a_coroutine_waits():
    device = device_of(Endless)

    async def main(generator: Generator) -> None:
        tasks = [
            asyncio.ensure_future(generator.generate_async(generator.latents(1))) for _ in range(3)
        ]
        await until(lambda: device.core.running)
        generator.close()
        for task in tasks:
            with pytest.raises(DeviceError, match=r"stopped|closed"):
                await asyncio.wait_for(task, 5)

    asyncio.run(main(use(device, timeout=60)))
    assert not device.core.running
