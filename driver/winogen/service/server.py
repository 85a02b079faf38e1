"""The server: sockets, signals, clients that are slow, and an end at which nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from winogen.common.errors import InputError
from winogen.service.guard import HEAD_BYTES, App
from winogen.service.limits import Limits

#: Seconds for which a connection may stay open between two requests.
_KEEP_ALIVE_S = 30
#: Connections that may wait to be taken.
_BACKLOG = 512
_LATE = b'{"error": "the head of the request has not come in time"}'


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; InputError that says why there can be none. Port 0 is any free one."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such address"
        raise InputError(
            f"cannot listen on {host}, port {port}: {reason}; choose another with --host and --port"
        ) from None
    return listening


def serve(app: App, listening: socket.socket, limits: Limits, drain_s: float) -> None:
    """Answer until SIGTERM or Ctrl-C; then what has begun is answered, for ``drain_s`` at most."""
    Server(configured(app, limits, drain_s)).run(sockets=[listening])


def configured(app: App, limits: Limits, drain_s: float) -> uvicorn.Config:
    """How uvicorn is to serve: plain HTTP/1.1, silent, patient with nobody."""

    class Patient(_Patient):
        head_s = limits.head_s
        take_s = limits.take_s

    return uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )


class Server(uvicorn.Server):
    """One for which a signal is an end like any other, and at whose end no connection is open."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing outside the main thread, where no handler can be set."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which does not know of connections that are being accepted as it begins,
        nor closes those that are left at the deadline."""
        # From accept() to connection_made() asyncio takes three turns of its loop, and loses a
        # connection whose server is closed between them: so nothing more is accepted first.
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        for _ in range(4):
            await asyncio.sleep(0)
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class _Patient(H11Protocol):
    """Connections on which heads must come, and answers be taken, in time; or they are closed."""

    head_s = 10.0
    take_s = 60.0
    _late: TimerHandle | None = None
    _taking: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Idle is a peer whose next request has not come, or not wholly.
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._cease()

    def pause_writing(self) -> None:
        """The client does not take what there is: its answer is in memory for so long only."""
        super().pause_writing()
        if self._taking is None:
            self._taking = self.loop.call_later(self.take_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cease()
        self._taken()
        super().connection_lost(exc)

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self._is_late)

    def _cease(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _is_late(self) -> None:
        self._late = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return
        if self.conn.our_state is h11.IDLE:
            events: tuple[Any, ...] = (
                h11.Response(
                    status_code=408,
                    headers=[
                        ("content-type", "application/json"),
                        ("content-length", str(len(_LATE))),
                        ("connection", "close"),
                    ],
                    reason=b"Request Timeout",
                ),
                h11.Data(data=_LATE),
                h11.EndOfMessage(),
            )
            with contextlib.suppress(h11.LocalProtocolError):
                for event in events:
                    self.transport.write(self.conn.send(event))
        self.transport.close()
