"""What a client has to do with one scheduler of Dask's: who is there, and asking one of them.

Deserialising what comes from a scheduler or worker runs what it says, in Dask: both are trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import dask
from distributed import Client, Future, Security
from distributed.client import FutureCancelledError

from winogen.cluster import tasks
from winogen.cluster.pieces import STRANGE, About, Answer, Failure, LostError, Piece
from winogen.common.errors import ClusterError, one_line

_CLOSE_SECONDS = 5.0
#: Seconds between two looks at the connection, and at the scheduler's list: events may get lost.
_MIND_SECONDS = 1.0
_LOOK_SECONDS = 5.0
#: Inputs are part of the task, which is what Dask warns of from 10 MB on.
_LARGE = {"distributed.admin.large-graph-warning-threshold": "4 GiB"}


class Watcher(Protocol):
    """Who is told of workers."""

    def joined(self, link: Link, address: str) -> None:
        """A worker is there."""

    def left(self, address: str) -> None:
        """It is not any more."""

    def leaving(self, address: str) -> None:
        """It ends what it has, and wants nothing more."""


class Link:
    """A connection to a scheduler.

    Parameters
    ----------
    address : of the scheduler
    seconds : in which it must answer
    direct : outputs come from the worker to here, and not by way of the scheduler
    security : for ``tls://``; default: what Dask's configuration says
    """

    def __init__(self, address: str, seconds: float, *, direct: bool = False, security: Any = None):
        self.address = address
        self._seconds = seconds
        self._direct = direct
        self._security: Security | None = security
        self._client: Client | None = None
        self._watcher: Watcher | None = None
        self._known: set[str] = set()
        self._name = f"winogen-{uuid.uuid4().hex[:12]}"

    @property
    def alive(self) -> bool:
        """Whether the scheduler is there."""
        return self._client is not None and self._client.status == "running"

    async def open(self, watcher: Watcher) -> None:
        """Connect; ClusterError where nobody answers in time."""
        self._watcher = watcher
        for name in ("distributed", "distributed.client", "distributed.comm"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they say is said here
        client = Client(
            self.address, asynchronous=True, timeout=self._seconds, set_as_default=False,
            security=self._security, direct_to_workers=self._direct,
        )  # fmt: skip
        try:
            await asyncio.wait_for(_opened(client), 2 * self._seconds)
        except asyncio.CancelledError:
            client.status = "closed"  # or it would try to end in a loop that is gone
            raise
        # What answers may be anything: its words are then read as lengths, types, numbers.
        except Exception as error:
            await _closed(client)
            said = one_line(error, 120)
            why = "" if "Timed out" in said else f" ({said})"
            raise ClusterError(
                f"no scheduler at {self.address} answers within {self._seconds:g} s{why}: "
                "start one with 'dask scheduler', or give its address"
            ) from None
        self._client = client
        await self._greet()

    async def mind(self) -> None:
        """Keep the connection: a scheduler that comes again is asked again who is there."""
        there, looked = True, 0.0
        while True:
            await asyncio.sleep(_MIND_SECONDS)
            client = self._client
            if client is None or self._watcher is None:
                return
            if client.status == "closed":
                with contextlib.suppress(ClusterError):
                    await self.open(self._watcher)
                    there = True
                continue
            if self.alive and not there:
                await self._greet()
            elif self.alive and time.monotonic() - looked > _LOOK_SECONDS:
                await self.look()
                looked = time.monotonic()
            there = self.alive

    async def _greet(self) -> None:
        """Ask to be told of workers, and who there is."""
        assert self._client is not None
        self._client.subscribe_topic("all", self._event)
        self._client.subscribe_topic(tasks.TOPIC, self._event)
        await self.look()

    async def look(self) -> None:
        """See who is there, by the scheduler's own list."""
        assert self._client is not None and self._watcher is not None
        scheduler = self._client.scheduler
        if not self.alive or scheduler is None:
            return
        try:
            identity = await asyncio.wait_for(scheduler.identity(n_workers=-1), self._seconds)
        except (OSError, TimeoutError, asyncio.TimeoutError):
            return
        there = set(identity["workers"])
        for address in self._known - there:
            self._gone(address)
        for address in there - self._known:
            self._there(address)

    async def about(self, address: str) -> About | Failure:
        """What a worker says of itself."""
        said = await self._run(address, tasks.about)
        if isinstance(said, About | Failure):
            return said
        return Failure(STRANGE, "is no worker of winogen's: start it with 'winogen worker'")

    async def take(self, address: str, name: str, data: bytes) -> Failure | None:
        """Give a worker a program."""
        said = await self._run(address, tasks.take, name, data)
        if said is None or isinstance(said, Failure):
            return said
        return Failure(STRANGE, f"cannot take a program ({one_line(said, 120)})")

    async def check(self, address: str, name: str) -> Failure | None:
        """Have a worker look for soft errors."""
        said = await self._run(address, tasks.check, name)
        if said is None or isinstance(said, Failure):
            return said
        return Failure(STRANGE, f"cannot look for soft errors ({one_line(said, 120)})")

    async def ask(self, address: str, piece: Piece) -> Answer | Failure:
        """What a worker makes of a piece; LostError where that will never be known."""
        assert self._client is not None
        if not self.alive:
            raise LostError("lost its scheduler")
        with dask.config.set(_LARGE):
            future = self._client.submit(
                tasks.run_piece, piece, key=f"{self._name}-{piece.number}", workers=[address],
                allow_other_workers=False, resources={tasks.RESOURCE: 1}, pure=False, retries=0,
            )  # fmt: skip
        # Dask fetches for several at once: one that is given up must not end that for the others.
        result = asyncio.ensure_future(_result(future))
        try:
            said = await asyncio.shield(result)
        except asyncio.CancelledError:
            if result.cancelled():
                raise LostError("lost what it was given") from None
            if future.done():
                result.add_done_callback(_forget)
            else:
                result.cancel()
            raise
        except FutureCancelledError as error:
            raise LostError(f"lost what it was given ({error.reason})") from None
        except (OSError, KeyError) as error:
            raise LostError(f"cannot be reached ({one_line(error, 120)})") from None
        except Exception as error:
            return Failure(STRANGE, f"failed ({type(error).__name__}: {one_line(error, 120)})")
        finally:
            future.release()
        if isinstance(said, Answer | Failure):
            return said
        return Failure(STRANGE, "gave something that is no answer")

    async def close(self) -> None:
        """Go away."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                for topic in ("all", tasks.TOPIC):
                    client.unsubscribe_topic(topic)  # or it would be told that it has gone
            await _closed(client)

    async def _run(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives there, or the error that it ends with; LostError for no way."""
        if self._client is None or not self.alive:
            raise LostError("lost its scheduler")
        try:
            given = await self._client.run(
                function, *arguments, workers=[address], on_error="return"
            )
            said = given.get(address)
        except (OSError, ValueError, RuntimeError) as error:  # as where it has gone by now
            said = OSError(one_line(error))
        if isinstance(said, OSError):
            raise LostError(f"cannot be reached ({one_line(said, 120)})")
        return said

    def _event(self, event: tuple[float, Any]) -> None:
        message = event[1]
        if not isinstance(message, dict) or self._watcher is None:
            return
        address = str(message.get("worker") or message.get("leaving") or "")
        if message.get("action") == "add-worker":
            self._there(address)
        elif message.get("action") == "remove-worker":
            self._gone(address)
        elif "leaving" in message:
            self._watcher.leaving(str(message["leaving"]))

    def _there(self, address: str) -> None:
        if address not in self._known and self._watcher is not None:
            self._known.add(address)
            self._watcher.joined(self, address)

    def _gone(self, address: str) -> None:
        if address in self._known and self._watcher is not None:
            self._known.discard(address)
            self._watcher.left(address)


async def _opened(client: Client) -> None:
    await client


async def _result(future: Future[Any]) -> Any:
    return await future


def _forget(result: asyncio.Future[Any]) -> None:
    """Look at what nobody wants any more, or asyncio would say that nobody did."""
    if not result.cancelled():
        result.exception()


async def _closed(client: Client) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(timeout=_CLOSE_SECONDS), _CLOSE_SECONDS)
    client.status = "closed"  # or it would try again where nobody looks
