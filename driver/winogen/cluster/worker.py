"""A worker's process: one station on a scheduler of Dask's, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask
from distributed import Worker

from winogen.cluster.station import Station
from winogen.cluster.tasks import RESOURCE, TOPIC, StationPlugin
from winogen.common.errors import ClusterError, one_line

#: Seconds in which a scheduler must answer at first.
CONNECT_SECONDS = 15.0
#: Seconds for which one is waited for that was there and has gone.
AGAIN_SECONDS = 300.0
#: Seconds between two tries.
_PAUSE = 1.0
#: Seconds in which what runs is ended after a signal, and taken by the client.
_DRAIN_SECONDS = 10.0
_TAKEN_SECONDS = 2.0
_CLOSE_SECONDS = 5.0
_LOOK = 0.02

#: What would use a small processor for nobody.
_CONFIG = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.gil.enabled": False,
}


def run_worker(
    scheduler: str,
    station: Station,
    *,
    host: str | None = None,
    tell: Callable[[str], object] = print,
    again_seconds: float = AGAIN_SECONDS,
) -> int:
    """Work for a scheduler until SIGTERM or Ctrl-C; returns the signal's number.

    What runs then is done first, within 10 s; what is queued goes back to the clients. A scheduler
    that ends is waited for.

    Parameters
    ----------
    scheduler : its address
    station : runs the pieces; it stays open
    host : address of this machine at which clients and others reach it; default: the one that leads
        to the scheduler
    tell : gets a line when it is connected, and when the scheduler has gone
    again_seconds : for which one that has gone is waited for

    Raises
    ------
    ClusterError : no scheduler answers, or none does any more
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(_CONFIG), tempfile.TemporaryDirectory(prefix="winogen-") as folder:
        options = {"host": host, "local_directory": folder}
        return asyncio.run(_work(scheduler, station, options, tell, again_seconds))


async def _work(
    scheduler: str,
    station: Station,
    options: dict[str, Any],
    tell: Callable[[str], object],
    again_seconds: float,
) -> int:
    with _signals() as caught:
        connected = False
        while True:
            seconds = again_seconds if connected else CONNECT_SECONDS
            worker = await _connected(scheduler, station, options, seconds, caught)
            if worker is None:
                return caught.result()
            connected = True
            tell(f"worker {station.name} at {worker.address} for {scheduler}")
            gone = asyncio.ensure_future(worker.finished())
            await asyncio.wait((gone, caught), return_when=asyncio.FIRST_COMPLETED)
            if caught.done():
                await _leave(worker, station)
                return caught.result()
            tell(f"the scheduler at {scheduler} has gone: waiting for it")


async def _connected(
    scheduler: str,
    station: Station,
    options: dict[str, Any],
    seconds: float,
    caught: asyncio.Future[int],
) -> Worker | None:
    """A worker that the scheduler knows; None where a signal came first."""
    end = asyncio.get_running_loop().time() + seconds
    while (left := end - asyncio.get_running_loop().time()) > 0:
        worker = Worker(
            scheduler, nthreads=1, name=station.name, plugins=(StationPlugin(station),),
            resources={RESOURCE: 1}, memory_limit=0, dashboard=False,
            dashboard_address="127.0.0.1:0", death_timeout=left, **options,
        )  # fmt: skip
        start = asyncio.ensure_future(_started(worker))
        await asyncio.wait((start, caught), return_when=asyncio.FIRST_COMPLETED)
        if caught.done():
            start.cancel()
            with suppress(BaseException):
                await start
            with suppress(Exception):
                await asyncio.wait_for(worker.close(timeout=1, executor_wait=False), _CLOSE_SECONDS)
            return None
        problem = start.exception()
        if problem is None:
            return worker
        root = _root(problem)
        if isinstance(root, ValueError):  # as for a name that another worker has
            raise ClusterError(f"the scheduler at {scheduler} refuses it: {one_line(root)}")
        await asyncio.wait((caught,), timeout=_PAUSE)
    raise ClusterError(
        f"no scheduler at {scheduler} answers within {seconds:g} s: start one with 'dask "
        "scheduler', or give its address"
    )


async def _started(worker: Worker) -> None:
    await worker


def _root(error: BaseException) -> BaseException:
    """The error that an error is from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


async def _leave(worker: Worker, station: Station) -> None:
    """Have clients give nothing more, end what runs, and close."""
    station.leaving = True  # what is queued is answered by that
    worker.log_event(TOPIC, {"leaving": worker.address})
    loop = asyncio.get_running_loop()
    end = loop.time() + _DRAIN_SECONDS
    while worker.state.executing_count and loop.time() < end:
        await asyncio.sleep(_LOOK)
    end = min(end, loop.time() + _TAKEN_SECONDS)
    while worker.state.tasks and loop.time() < end:
        await asyncio.sleep(_LOOK)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(
            worker.close(timeout=_CLOSE_SECONDS, executor_wait=False, reason="signal"),
            2 * _CLOSE_SECONDS,
        )


@contextmanager
def _signals() -> Iterator[asyncio.Future[int]]:
    """The first SIGTERM or SIGINT, when it comes; what they did before is put back."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Future[int] = loop.create_future()

    def catch(number: int) -> None:
        if not caught.done():
            caught.set_result(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, catch, number)
    try:
        yield caught
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
