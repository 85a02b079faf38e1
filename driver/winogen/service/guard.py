"""What stands before every request: who may ask, from where, and how much they may send.

A plain ASGI layer: it answers with a sentence as JSON, and nothing behind it is run.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from winogen.service.limits import Limits
from winogen.service.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Parts of the page, and what says whether the service lives: they need no token.
OPEN = ("/", "/page.css", "/page.js", "/health", "/favicon.ico")
#: Bytes of a request's head, at most.
HEAD_BYTES = 16 << 10
#: All bodies together may be as long as so many of the longest.
_MOST_BODIES = 4
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' blob: data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
)


class Refused(Exception):
    """A request is answered with this status and sentence."""

    def __init__(self, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = ()):
        super().__init__(text)
        self.status = status
        self.headers = tuple(headers)


class _Gone(Exception):
    """The client has gone before its body had come."""


class _Bytes:
    """How much of a body there is."""

    count = 0


class Guard:
    """An ASGI application around another.

    Parameters
    ----------
    token : what ``Authorization: Bearer`` must say, or None
    hosts : names and addresses that ``Host`` may say, or None for any. Where the service listens on
        this machine alone they are the machine's own: a page of another host whose name was made
        to mean this machine gets nothing
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: Metrics,
        *,
        token: str | None = None,
        hosts: Sequence[str] | None = None,
    ):
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._token = token.encode() if token else None
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._held = 0  # bytes of all bodies that are here now, wholly or in part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.monotonic()
        status = 0
        held = _Bytes()

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            headers: dict[bytes, bytes] = {}
            for name, value in scope["headers"]:
                headers.setdefault(bytes(name).lower(), bytes(value))
            self._check(scope, headers)
            body = await self._body(headers, receive, held)
            await self._app(scope, _replayed(body, receive), tell)
        except _Gone:
            status = 499
        except Refused as refused:
            if not status:
                await answer(tell, refused)
        finally:
            self._held -= held.count
            self._metrics.answered(_kind(scope["path"]), status, time.monotonic() - begin)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size + len(scope.get("raw_path") or b"") + len(scope["query_string"]) > HEAD_BYTES:
            raise Refused(431, f"the head of a request may have {HEAD_BYTES:,} bytes")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts is not None and _name(host) not in self._hosts:
            raise Refused(421, "this service is asked by another name than its own: see --host")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in (
            f"http://{host}",
            f"https://{host}",
        ):
            raise Refused(403, "pages of other hosts may not ask this service")
        if self._token is not None and scope["path"] not in OPEN:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, b"Bearer " + self._token):
                raise Refused(
                    401,
                    "give the service's token: Authorization: Bearer TOKEN",
                    [(b"www-authenticate", b"Bearer")],
                )

    async def _body(self, headers: dict[bytes, bytes], receive: Receive, held: _Bytes) -> bytes:
        """The whole body, which must come in time and not be too long.

        What has come of it is in memory from then on, and counts as that.
        """
        most = self._limits.body_bytes
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length[:20]) > most):
            raise Refused(413, f"the body may have {most:,} bytes", [(b"connection", b"close")])
        if length is None and b"transfer-encoding" not in headers:
            return b""
        parts: list[bytes] = []

        async def read() -> None:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                parts.append(message.get("body", b""))
                held.count += len(parts[-1])
                self._held += len(parts[-1])
                if held.count > most:
                    raise Refused(
                        413, f"the body may have {most:,} bytes", [(b"connection", b"close")]
                    )
                if self._held > _MOST_BODIES * most:
                    raise Refused(
                        429, "too much is being sent: try again", [(b"retry-after", b"1")]
                    )
                if not message.get("more_body"):
                    return

        try:
            await asyncio.wait_for(read(), self._limits.body_s)
        except asyncio.TimeoutError:
            raise Refused(
                408,
                f"the body has not come within {self._limits.body_s:g} s",
                [(b"connection", b"close")],
            ) from None
        return b"".join(parts)


async def answer(send: Send, refused: Refused) -> None:
    """Answer with a refusal."""
    body = json.dumps({"error": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *refused.headers,
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def own_hosts(host: str) -> list[str] | None:
    """What ``Host`` may say where a service listens on an address; None for anything.

    Only on an address of this machine alone is it known.
    """
    try:
        local = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = host == "localhost"
    return ["localhost", "127.0.0.1", "::1", host.strip("[]")] if local else None


def _name(host: str) -> str:
    """The name or address of a ``Host`` header, without the port."""
    match = re.fullmatch(r"\[([0-9a-f:.]+)\](?::\d+)?|([^:\[\]]+)(?::\d+)?", host)
    return (match[1] or match[2]) if match else ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _kind(path: str) -> str:
    """The kind of a request, of which there are few: what counts it must not grow."""
    first = path.strip("/").split("/")[0]
    return first if first in ("generate", "pictures", "programs", "timeline", "metrics") else "page"
