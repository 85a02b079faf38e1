"""Waiting for an interrupt leaves nothing behind, however it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from support.bench import run_script
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


def test_a_fork_has_a_thread_of_its_own():
    """Its parent's is not there: what waits for that would wait for ever."""
    done = run_script(
        """
        import os, signal
        from winogen.runtime.waiting import on_interrupt_thread
        assert on_interrupt_thread(os.getpid) == os.getpid()
        child = os.fork()
        if not child:
            signal.alarm(20)
            os._exit(on_interrupt_thread(os.getpid) != os.getpid())
        assert os.waitpid(child, 0)[1] == 0
        """,
        PATIENCE,
    )
    assert done.returncode == 0, done.stderr


def test_only_the_new_controller_hears_the_interrupt():
    """An old one would acknowledge and mask it; one whose device is given back hears none."""
    old, new = object(), SimpleNamespace()
    new.parent = SimpleNamespace(wait_events=[old, new, old])
    core = SimpleNamespace(interrupt=SimpleNamespace(parent=lambda: new))
    assert waiting.sole_controller(core) is core
    assert new.parent.wait_events == [new]
    new.parent.wait_events = [new, old, new]
    waiting.end_waiting(new)
    assert new.parent.wait_events == [old]


def test_an_interrupt_that_does_not_come_in_time():
    interrupt = Interrupt()
    assert waiting.InterruptLine(interrupt).wait(0.01) is False
    assert not interrupt.awaited.is_set() or interrupt.abandoned.wait(PATIENCE)
