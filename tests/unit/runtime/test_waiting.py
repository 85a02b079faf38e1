"""Waiting for an interrupt leaves nothing behind, however it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

from winogen.runtime import waiting

#: For what comes at once, on any machine that still answers.
PATIENCE = 60.0


class Interrupt:
    """One that never comes, and tells what becomes of those who wait for it."""

    def __init__(self) -> None:
        self.awaited, self.abandoned = threading.Event(), threading.Event()

    def parent(self) -> Interrupt:
        return self

    async def wait(self) -> None:
        self.awaited.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.abandoned.set()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, concurrent.futures.TimeoutError])
def test_whoever_gives_up_leaves_no_waiter(stop, monkeypatch):
    """pynq would hand the next interrupt to a waiter that nobody listens to."""
    interrupt = Interrupt()
    threadsafe = asyncio.run_coroutine_threadsafe

    def interrupted(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:
        future = threadsafe(coroutine, loop)

        def result(timeout: float | None = None) -> Any:
            assert interrupt.awaited.wait(PATIENCE)
            raise stop

        future.result = result
        return future

    monkeypatch.setattr(waiting.asyncio, "run_coroutine_threadsafe", interrupted)
    line = waiting.InterruptLine(interrupt)
    if stop is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            line.wait(100 * PATIENCE)
    else:
        assert line.wait(100 * PATIENCE) is False
    assert interrupt.abandoned.wait(PATIENCE)


def test_an_interrupt_that_does_not_come_in_time():
    interrupt = Interrupt()
    assert waiting.InterruptLine(interrupt).wait(0.01) is False
    assert not interrupt.awaited.is_set() or interrupt.abandoned.wait(PATIENCE)
