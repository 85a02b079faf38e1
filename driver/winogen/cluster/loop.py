"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from winogen.common.errors import InputError

_T = TypeVar("_T")

#: Seconds between two looks of whoever waits.
LOOK_SECONDS = 0.05
_END_SECONDS = 15.0


class Loop:
    """The loop and its thread, from now on until :meth:`close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="cluster", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start work there; InputError after the end."""
        if self._loop.is_closed():
            work.close()
            raise InputError("the cluster is closed: make a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, _T], look: Callable[[], object]) -> _T:
        """What work gives; ``look`` is called now and then, here. Ctrl-C cancels the work."""
        future = self.begin(work)
        try:
            while True:
                try:
                    return future.result(LOOK_SECONDS)
                except (concurrent.futures.TimeoutError, TimeoutError):
                    if future.done():  # it is the work's own
                        raise
                    look()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, object]) -> None:
        """Do what is to be done last, and end the thread."""
        work = self.begin(last)
        try:
            work.result(_END_SECONDS)
        except (concurrent.futures.TimeoutError, TimeoutError):
            work.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_trouble)
        self._loop.run_forever()
        self._loop.close()


def _trouble(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what a task of the loop's ended with, but for what Dask raises to itself, unheard."""
    ours = isinstance(context.get("future"), asyncio.Task)
    error = context.get("exception")
    if ours and not type(error).__module__.startswith("distributed"):
        loop.default_exception_handler(context)
