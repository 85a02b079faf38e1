"""``winogen serve``: hostile requests, clients that go away, a device that fails under it."""

from __future__ import annotations

import asyncio
import atexit
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
from pytest import MonkeyPatch

from support.faults.kinds import SAME, fault, refused
from support.faults.on_commands import OnCommand, run_program
from support.faults.verdicts import Refusal
from support.hostile_requests import NPY, Hostile, chunk, npy, png, send
from support.serving import Held, listening, service, talk
from winogen.runtime import runner
from winogen.service.limits import Limits
from winogen.service.server import bind

_GOOD = Hostile(body=b'{"seeds": [7], "format": "npy"}')
_LIMITS = {"head_s": 0.3, "body_s": 0.3, "body_bytes": 200_000, "pixels": 1 << 16}
_TOKEN = "secret"


class OnService:
    """An image of a service that listens on a port of this machine.

    Attributes
    ----------
    made : the service
    request : what is asked
    headers : of all requests
    """

    def __init__(self, made: Any, port: int) -> None:
        self.made, self.port, self.request = made, port, _GOOD
        self.headers: dict[str, str] = {}
        self.struck, self.left = 0, list[str]()
        self.patch = MonkeyPatch()

    def run(self) -> bytes:
        request = self.request
        headers = {**self.headers, **request.headers}
        status, body = send(self.port, request._replace(headers=headers))
        if status == 200:
            return body
        text = body.decode(errors="replace")
        with suppress(ValueError, KeyError, TypeError):
            text = json.loads(body)["error"]
        raise Refusal(f"HTTP {status}", text)


def _listening(stack: ExitStack, token: str | None, more: dict[str, Any]) -> tuple[Any, int]:
    apart = more.pop("apart", False)
    limits = {**_LIMITS, **more}
    hosts = ["localhost", "127.0.0.1"]
    made = stack.enter_context(service(apart, **limits))
    served = listening(made, Limits(**limits), hosts=hosts, token=token)
    return made, stack.enter_context(served)


@cache
def _shared() -> tuple[Any, int]:
    """The one of all kinds that change nothing of it: it goes on, whatever it was asked before."""
    stack = ExitStack()
    atexit.register(stack.close)
    return _listening(stack, None, {})


@contextmanager
def _serving(folder: Path, device: str, token: str | None = None, **more: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        own = token or more
        made, port = _listening(stack, token, more) if own else _shared()
        stage = OnService(made, port)
        if token:
            stage.headers["Authorization"] = f"Bearer {token}"
        stack.callback(stage.patch.undo)
        yield stage


serving = partial(_serving)
guarded = partial(_serving, token=_TOKEN)
ending = partial(_serving, gather_s=0.0)
apart = partial(_serving, apart=True)


def _ask(name: str, what: str, status: int, request: Hostile, *words: str, **more: Any) -> None:
    """A request; then one that is good."""

    def inject(stage: OnService) -> Any:
        stage.request = request
        yield
        stage.request = _GOOD

    scene = more.pop("scene", serving)
    fault(name, scene, refused(f"HTTP {status}", *words), what=what, **more)(inject)


def _json(text: bytes) -> Hostile:
    return Hostile(body=text)


def _picture(data: bytes) -> Hostile:
    return Hostile(path="/pictures/x2", body=data, kind="image/png")


def _array(header: str) -> Hostile:
    return Hostile(body=npy(header, bytes(20)), kind=NPY)


def _raw(data: bytes) -> Hostile:
    return Hostile(raw=data)


# Bodies

_ask("body is no JSON", "A body cut short.", 422, _json(b'{"seeds": [1]'), "JSON")
_ask("body of random bytes", "A body that is no text.", 422, _json(bytes(range(256))), "JSON")
_ask("body too long", "More bytes than the limit.", 413, _json(b"0" * 300_000), "200,000 bytes")
_ask(
    "body nested too deep",
    "Lists within lists, 50,000 deep.",
    422,
    _json(b'{"latents":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "recursion limit",
)
_ask(
    "a number of 100,000 digits",
    "A seed that takes long to read.",
    422,
    _json(b'{"seeds": [' + b"9" * 100_000 + b"]}"),
    "number out of range",
)
_ask(
    "latents beyond all numbers",
    "1e999999999 in JSON.",
    422,
    _json(b'{"latents": [[1e999999999, 1, 1, 1, 1]]}'),
    "NaN or infinity",
)
_ask(
    "60,000 seeds",
    "More images than a request may have.",
    422,
    _json(json.dumps({"seeds": [0] * 60_000}).encode()),
    "256 images, not 60,000",
)
_ask("a member that there is not", "A misspelt name.", 422, _json(b'{"sedes": [1]}'), "sedes")
_ask(
    "an array of Python objects",
    "numpy's format, which would need pickle.",
    422,
    _array("{'descr': '|O', 'fortran_order': False, 'shape': (1, 5), }"),
    "an array of numbers is needed",
)
_ask(
    "an array that asks for memory",
    "A header that says 10⁹ x 5 values.",
    422,
    _array("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 5), }"),
    "is too large",
)
_ask(
    "a picture of 60,000 x 60,000",
    "A PNG's header, and nothing behind it.",
    422,
    _picture(png(60_000, 60_000)),
    "pixels",
)
_ask(
    "a picture whose text is a bomb",
    "A text chunk of 30 kB that unpacks to 30 MB.",
    422,
    _picture(png(16, 12, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30_000_000), 9)))),
    "the file is damaged",
)
_ask(
    "a picture cut short",
    "The first bytes of a PNG.",
    422,
    _picture(png(16, 12)[:30]),
    "no picture that pillow knows",
)
_ask(
    "a picture that is none",
    "Text in place of a picture.",
    422,
    _picture(b"<html>"),
    "no picture that pillow knows",
)

# Heads and addresses

_ask(
    "no such program",
    "A misspelt name.",
    404,
    Hostile("GET", "/generate/smal"),
    "did you mean 'small'?",
)
_ask(
    "a path out of the folder",
    "/generate/../../etc/passwd",
    404,
    Hostile("GET", "/generate/../../etc/passwd"),
    "nothing at this address",
)
_ask(
    "a method that there is not",
    "BREW",
    405,
    Hostile("BREW", "/generate/small"),
    "takes another method",
)
_ask(
    "the name of another host",
    "As a page of a rebound name would ask.",
    421,
    Hostile("GET", "/health", headers={"Host": "evil.example"}),
    "see --host",
)
_ask(
    "the page of another host",
    "A page elsewhere asks for images.",
    403,
    Hostile(body=b"{}", headers={"Origin": "http://evil.example"}),
    "pages of other hosts",
)
_ask(
    "a wrong token",
    "A token that lacks a letter.",
    401,
    _GOOD._replace(headers={"Authorization": "Bearer secre"}),
    "token",
    scene=guarded,
)
_ask(
    "a head of 30,000 letters",
    "A request line without end.",
    431,
    _raw(b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "16,384 bytes",
)
_ask(
    "a length below zero",
    "Content-Length: -5",
    400,
    _raw(b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"),
    "Invalid HTTP request",
)
_ask(
    "chunks that are none",
    "A chunked body whose length is no number.",
    400,
    _raw(
        b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"ZZ\r\n"
    ),
    "Invalid HTTP request",
)
_ask(
    "TLS on a port without",
    "The beginning of a handshake.",
    400,
    _raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n"),
    "Invalid HTTP request",
)

# Clients

_ask(
    "a client says nothing",
    "A connection, and no request.",
    408,
    Hostile(path="", raw=b""),
    "in time",
)
_ask(
    "a head that does not come",
    "Half of a request line, and then nothing.",
    408,
    _raw(b"GET /hea"),
    "in time",
)
_ask(
    "a body that does not come",
    "A byte of twenty, and then nothing.",
    408,
    _raw(b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{"),
    "within 0.3 s",
)


@fault("a client goes away", partial(_serving, gather_s=0.3), SAME)
def _(stage: OnService) -> None:
    """It closes its connection while it waits: its request leaves the queue."""
    watched = stage.made.dispatcher.watched
    request = b"GET /generate/small HTTP/1.1\r\nHost: localhost\r\n\r\n"
    thread = threading.Thread(target=_leave, args=(stage.port, request), daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not watched.cancelled and time.monotonic() < end:
        time.sleep(0.01)
    thread.join(10)
    stage.struck += watched.cancelled


def _leave(port: int, request: bytes) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        time.sleep(0.05)


@fault("clients that say nothing hold many connections", serving, SAME)
def _(stage: OnService) -> None:
    """Thirty that are open and idle: another one is answered."""
    threads = [threading.Thread(target=talk, args=(stage.port,), daemon=True) for _ in range(30)]
    for thread in threads:
        thread.start()
    stage.struck += len(threads)


# The queue and the device


def _beside(stage: OnService, first: str, then: str) -> Any:
    """The answer to ``then`` while the device is held at work on ``first``."""
    held = Held(stage.made, stage.patch)

    async def both() -> Any:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stage.port}") as client:
            busy = [asyncio.ensure_future(client.get(first))]
            await asyncio.to_thread(held.begun.wait, 20)
            busy.append(asyncio.ensure_future(client.get(first)))
            while not stage.made.dispatcher.waiting():
                await asyncio.sleep(0.01)
            answer = await client.get(then)
            held.gate.set()
            done = [await one for one in busy]
            assert [one.status_code for one in done] == [200, 200], done
            return answer

    return both


def _waits(name: str, what: str, status: int, path: str, *words: str, **limits: Any) -> None:
    def inject(stage: OnService) -> Any:
        real, both = stage.run, _beside(stage, "/generate/small?n=4", path)

        def run() -> bytes:
            answer = asyncio.run(both())
            if answer.status_code == 200:
                return answer.content
            if status == 429:
                assert int(answer.headers["retry-after"]) >= 1
            raise Refusal(f"HTTP {answer.status_code}", answer.json()["error"])

        stage.run = run  # type: ignore[method-assign]
        yield
        stage.run = real  # type: ignore[method-assign]

    fault(name, partial(_serving, **limits), refused(f"HTTP {status}", *words), what=what)(inject)


_waits(
    "the queue is full",
    "Eight images wait, and no more may.",
    429,
    "/generate/small?seed=1",
    "wait already",
    waiting=4,
)
_waits(
    "a deadline passes in the queue",
    "A request may take 50 ms, and the device is at work.",
    408,
    "/generate/small?deadline_ms=50",
    "within 0.05 s",
)


def _fails(make: Callable[[OnService], Callable[..., Any]]) -> Callable[[OnService], Any]:
    """The device fails in one run, and in none after it."""

    def inject(stage: OnService) -> Any:
        hosted = stage.made.programs["small"]
        with MonkeyPatch.context() as patch:
            patch.setattr(hosted, "run", make(stage))
            yield

    return inject


def _device_error(stage: OnService) -> Callable[..., Any]:
    def run(*_: Any) -> Any:
        raise runner.DeviceError("the accelerator stopped with AXI_SLVERR; run 'winogen doctor'")

    return run


def _bug(stage: OnService) -> Callable[..., Any]:
    def run(*_: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    return run


fault("the device fails under a request", serving, refused("HTTP 503", "AXI_SLVERR"),
      what="A stream stops with an error; the next request is answered, right.",
      )(_fails(_device_error))  # fmt: skip
fault("a bug strikes under a request", serving, refused("HTTP 500", "Internal Server Error"),
      what="An exception that nobody expects; the next request is answered, right.",
      )(_fails(_bug))  # fmt: skip


@fault("the process that has the device is killed", apart, refused("HTTP 503", "signal 9", "anew"))
def _(stage: OnService) -> Any:
    """As by the system where memory runs out; the next request is answered, right."""
    process = stage.made.programs["small"].generator._process._process
    process.kill()
    process.join(20)
    yield


@fault("it ends while it is asked", ending, refused("HTTP 503", "the service ends"))
def _(stage: OnService) -> None:
    """SIGTERM has come: what waits is worked off, and nothing new is taken."""
    stage.made.dispatcher.close(1)


# Its start


@fault("the port is taken", run_program, refused("exit 2", "Address already in use; choose"))
def _(stage: OnCommand) -> Any:
    """Another service listens there."""
    words = stage.words
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        stage.words = lambda s: ["serve", s.file, "--port", port]
        yield
        stage.words = words


@fault("a host that is not this machine's", run_program, refused("exit 2", "cannot listen on"))
def _(stage: OnCommand) -> Any:
    """An address that no interface has."""
    words = stage.words
    stage.words = lambda s: ["serve", s.file, "--host", "203.0.113.1", "--port", "0"]
    yield
    stage.words = words
