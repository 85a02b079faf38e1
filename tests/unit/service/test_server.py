"""The server as a process and over sockets: signals, slow clients, its end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.bench import small
from support.places import DRIVER
from support.serving import answering, listening, service, talk
from winogen.common.errors import InputError
from winogen.runtime.generator import Generator
from winogen.service.limits import Limits
from winogen.service.server import Server, bind, configured


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "small.wg"
    small(batch=4).program.save(path)
    return path


def start(program: Path, *options: str, **variables: str) -> tuple[subprocess.Popen, str]:
    """A service in a process, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "winogen", "serve", str(program), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(DRIVER), **variables},
    )
    line = process.stdout.readline()
    found = re.search(r"on (http://\S+/)", line)
    assert found, line + process.stderr.read()
    return process, found[1]


def get(address: str, **headers: str) -> bytes:
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def test_sigterm_answers_what_has_begun(program):
    """Requests that wait are answered, right; then the process ends with 0."""
    process, address = start(program, "--gather", "1000")
    results: dict[int, bytes] = {}

    def ask(seed: int) -> None:
        results[seed] = get(f"{address}generate/small?format=npy&seed={seed}")

    try:
        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while json.loads(get(f"{address}health"))["waiting"] < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0 and err == ""
    assert "ended: 3 images in " in out
    with Generator(program) as generator:
        for seed in range(3):
            expected = generator.generate(generator.latents(1, seed))
            np.testing.assert_array_equal(np.load(io.BytesIO(results[seed])), expected)


def test_ctrl_c_and_the_token_of_the_environment(program):
    process, address = start(program, WINOGEN_TOKEN="secret")
    try:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(f"{address}programs")
        assert get(f"{address}programs", Authorization="Bearer secret")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "") and "ended: 0 images" in out


def test_slow_clients_are_told_so():
    limits = {"head_s": 0.2, "body_s": 0.3}
    with service(**limits) as made, listening(made, Limits(**limits)) as port:
        late = talk(port, b"GET /health HTTP/1.1\r\n", b"Host: loc", pause=0.05)
        assert late.startswith(b"HTTP/1.1 408 ") and b"has not come in time" in late
        assert talk(port).startswith(b"HTTP/1.1 408 ")  # who says nothing
        head = b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
        late = talk(port, head, b"{", pause=0.05)
        assert late.startswith(b"HTTP/1.1 408 ") and b"within 0.3 s" in late
        whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = whole.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        kept = talk(port, whole, last, pause=0.3)  # idle for longer than a head may take
        assert kept.count(b"HTTP/1.1 200 ") == 2


def test_who_does_not_take_an_answer_is_cut_off():
    """What it leaves is in memory for so long only."""
    size = 32 << 20

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = bytes(size if scope["path"] == "/" else 100_000)
        await send({"type": "http.response.body", "body": body})

    with answering(large, Limits(take_s=0.3)) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(1.0)
            got = 0
            with suppress(ConnectionResetError):
                while more := len(connection.recv(1 << 20)):
                    got += more
        assert got < size
        last = b"GET /less HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert len(talk(port, last)) > 100_000  # others get all of theirs


def test_a_client_that_goes_away_leaves_the_queue():
    with service(gather_s=5.0) as made, listening(made, Limits()) as port:
        request = b"GET /generate/small HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            deadline = time.monotonic() + 10
            while made.dispatcher.waiting() < 1 and time.monotonic() < deadline:
                time.sleep(0.01)
        while made.dispatcher.waiting() > 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert made.dispatcher.waiting() == 0
        assert made.dispatcher.watched.cancelled == 1


def test_a_port_that_is_taken():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port}: Address already in use; choose"):
            bind("127.0.0.1", port)
    with pytest.raises(InputError, match="cannot listen on no such host"):
        bind("no such host", 0)


class _Ending:
    """A server in a thread, and the way it ended."""

    def __init__(self, kind: type[Server], app: Any, drain_s: float):
        self.socket = bind("127.0.0.1", 0)
        self.server = kind(configured(app, Limits(), drain_s))
        self.address = self.socket.getsockname()
        work = {"sockets": [self.socket]}
        self.thread = threading.Thread(target=self.server.run, kwargs=work, daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("turns", range(5))
def test_who_comes_as_it_ends_does_not_hold_it(turns):
    """Accepted in the very turns of the event loop in which the server begins to end."""
    late = []

    class Late(Server):
        async def shutdown(self, sockets=None):
            late.append(socket.create_connection(sockets[0].getsockname(), timeout=10))
            for _ in range(turns):
                await asyncio.sleep(0)
            await super().shutdown(sockets)

    _Ending(Late, None, drain_s=600).end()
    with late[0] as connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""


def test_no_connection_is_open_at_its_end():
    """Not even of a client whose answer has not come by the deadline."""
    begun = threading.Event()

    async def slow(scope, receive, send):
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)

    ending = _Ending(Server, slow, drain_s=1)
    with socket.create_connection(ending.address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(10)
        ending.end()
        with suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
