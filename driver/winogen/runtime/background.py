"""Calls of coroutines, in threads: the event loop goes on while a device works."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from winogen.common.errors import DeviceError

#: Called with how much is done.
Progress = Callable[..., object]

_T = TypeVar("_T")


class Background:
    """Two threads: while one waits for the device, the other converts inputs and outputs.

    Parameters
    ----------
    check_open : raises DeviceError where nothing may begin any more
    """

    def __init__(self, check_open: Callable[[], object]):
        self._check_open = check_open
        self._threads: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Take no more calls; those that wait are done still."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def call(
        self, work: Callable[[threading.Event, Progress | None], _T], progress: Progress | None
    ) -> _T:
        """What ``work(stop, tell)`` returns or raises in a thread.

        ``stop`` is set when the coroutine is cancelled, which then waits for the work to end.
        ``tell`` calls ``progress`` in the event loop, and ends the work if that raises; it is None
        if ``progress`` is.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        failures: list[BaseException] = []

        def show(*done: Any) -> None:
            try:
                if progress and not failures:
                    progress(*done)
            except BaseException as error:
                failures.append(error)
                stop.set()

        def tell(*done: Any) -> None:
            loop.call_soon_threadsafe(show, *done)

        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, "winogen")
        future = self._threads.submit(work, stop, tell if progress else None)
        result = asyncio.wrap_future(future)
        result.add_done_callback(lambda f: f.cancelled() or f.exception())  # it is looked at
        try:
            made = await asyncio.shield(result)
        except asyncio.CancelledError:
            stop.set()
            future.cancel()  # where it has not begun
            await asyncio.wait([result])
            raise
        except DeviceError:
            if failures:
                raise failures[0] from None
            raise
        if failures:
            raise failures[0]
        return made
