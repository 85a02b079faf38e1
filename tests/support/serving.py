"""A service of small programs, asked in this process or over a socket."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="serving needs the package fastapi")
pytest.importorskip("httpx", reason="these tests need the package httpx")

import httpx

from support.bench import small, small_graph
from support.bench import small_pictures as pictures
from winogen.service.app import Service
from winogen.service.hosting import Named, hosting
from winogen.service.limits import Limits
from winogen.service.server import Server, bind, configured


@contextmanager
def service(apart: bool = False, **limits: Any) -> Iterator[Service]:
    """A service of the small network, also as a program file, and of one for pictures."""
    named = [
        Named("small", small(batch=4).program, small_graph()),
        Named("file", small(batch=4).program, None),
        Named("x2", pictures(), None),
    ]
    with hosting(named, Limits(**limits), apart=apart) as made:
        yield made


def asking(made: Service, work: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
    """What ``work`` does with a client of the service, in an event loop of its own."""

    async def main() -> Any:
        made.renew()
        transport = httpx.ASGITransport(made.app(**options), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await work(client)

    return asyncio.run(main())


def ask(made: Service, method: str, path: str, *, app: dict | None = None, **more: Any) -> Any:
    """One answer."""

    async def once(client: Any) -> Any:
        return await client.request(method, path, **more)

    return asking(made, once, **(app or {}))


def array(answer: Any) -> NDArray:
    """The array of an answer."""
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


@contextmanager
def listening(made: Service, limits: Limits, **options: Any) -> Iterator[int]:
    """The port on which a server answers for a service, in a thread."""
    made.renew()
    with answering(made.app(**options), limits) as port:
        yield port


@contextmanager
def answering(app: Any, limits: Limits, drain_s: float = 5) -> Iterator[int]:
    """The same for any application."""
    with bind("127.0.0.1", 0) as socket:
        server = Server(configured(app, limits, drain_s))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        try:
            yield socket.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back for bytes that are sent one after the other, until the other side ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        got = b""
        while more := connection.recv(65536):
            got += more
        return got


class Held:
    """The device of a service, stopped until it is let go; ``begun`` once it has work."""

    def __init__(self, made: Service, monkeypatch: pytest.MonkeyPatch):
        self.gate, self.begun = threading.Event(), threading.Event()
        for hosted in made.programs.values():
            monkeypatch.setattr(hosted, "run", lambda k, r, f=hosted.run: self._run(f, k, r))

    def _run(self, run: Callable[..., Any], *work: Any) -> Any:
        self.begun.set()
        self.gate.wait(20)
        return run(*work)
