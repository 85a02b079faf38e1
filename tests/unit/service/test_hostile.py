"""Requests that mean harm: each is answered with a 4xx and a sentence, and the service goes on."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from support.bench import small
from support.hostile_requests import NPY, Hostile, chunk, npy, png, send
from support.serving import listening, service
from winogen.runtime.generator import Generator
from winogen.service.limits import Limits

LIMITS = {"head_s": 0.3, "body_s": 0.3, "body_bytes": 200_000, "pixels": 1 << 16}


def bombs(rng: np.random.Generator) -> Iterator[Hostile]:
    """Little that wants to become much."""
    sizes = ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0), (100_000, 1))
    for size in sizes:
        yield Hostile(path="/pictures/x2", body=png(*size), kind="image/png")
    zeros = zlib.compress(bytes(50_000_000), 9)
    yield Hostile(path="/pictures/x2", body=png(30_000, 1600, data=zeros), kind="image/png")
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000), 9))
    yield Hostile(path="/pictures/x2", body=png(16, 12, text), kind="image/png")
    yield Hostile(path="/pictures/x2", body=png(16, 12, chunk(b"iCCP", b"a\0\0" + zeros)))
    buffer = io.BytesIO()
    frames = [Image.new("L", (16, 12), n) for n in range(20)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    yield Hostile(path="/pictures/x2", body=buffer.getvalue(), kind="image/gif")
    for shape in (
        "(10**9,)",
        "(1000000000, 5)",
        "(-1, 5)",
        "(-1, -5)",
        "(True, 5)",
        "(5,)" * 30,
        "(99999999999999999999,)",
    ):
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        yield Hostile(body=npy(header, bytes(20)), kind=NPY)
    for dtype in ("|O", "<U1000000000", "<c16", "<M8[s]", "|V99999999", "[('a', '<f4')]"):
        header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1, 5), }}"
        yield Hostile(body=npy(header, bytes(20)), kind=NPY)
    yield Hostile(body=b"[" * 100_000)
    yield Hostile(body=b'{"latents":' + b"[" * 50_000 + b"]" * 50_000 + b"}")
    yield Hostile(body=b'{"seeds": [' + b"9" * 100_000 + b"]}")
    yield Hostile(body=b'{"latents": [[1e999999999, 1, 1, 1, 1]]}')
    yield Hostile(body=json.dumps({"seeds": [0] * 60_000}).encode())
    yield Hostile(body=b"0" * 300_000)
    yield Hostile(body=json.dumps({"seeds": [1], "walk": {"steps": 240, "fps": 1e300}}).encode())


def wrong(rng: np.random.Generator) -> Iterator[Hostile]:
    """Values of any kind where others belong, and bytes of any kind."""
    names = ["seeds", "latents", "labels", "moves", "truncate", "walk", "format", "scale",
             "columns", "exit", "deadline_ms", "__proto__", "\ud800", "\0"]  # fmt: skip
    values = [-1, 1e308, 2**70, "x" * 1000, "\ud800", None, True, [], {}, [[]], [None], ["\0"],
              {"steps": {}}, [[1, 2]], float("nan"), float("inf"), {"$ref": "#"}]  # fmt: skip
    while True:
        body = {str(rng.choice(names)): values[rng.integers(len(values))] for _ in range(3)}
        body["surely"] = "wrong"
        yield Hostile(body=json.dumps(body).encode())
        yield Hostile(body=rng.bytes(int(rng.integers(1, 300))))
        yield Hostile(path="/pictures/x2", body=rng.bytes(100), kind="image/png")
        whole = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (12, 16), np.uint8)).save(whole, "PNG")
        cut = whole.getvalue()[: int(rng.integers(1, 60))]
        yield Hostile(path="/pictures/x2", body=cut, kind="image/png")
        good = io.BytesIO()
        np.save(good, np.zeros((2, 5), np.float32))
        yield Hostile(body=good.getvalue()[: int(rng.integers(1, 160))], kind=NPY)
        yield Hostile(body=b'{"seeds": [1]', kind="text/plain")


def addresses(rng: np.random.Generator) -> Iterator[Hostile]:
    """Addresses, methods and heads that nobody should write."""
    paths = ["/generate/../../etc/passwd", "/generate/%2e%2e%2fetc", "/pictures/%00",
             "/timeline/none",
             "/generate/small?seed=" + "9" * 400, "/generate/small?n=1e9", "/generate/small?n=-5",
             "/generate/small?scale=99999", "/generate/small?" + "seed=1&" * 400, "/%f0%28%8c%28",
             "/generate/small?columns=0", "/generate/%F0%9F%92%A3", "/generate/small?label=%00",
             "/generate/small?deadline_ms=-1", "/generate/small?truncate=nan"]  # fmt: skip
    methods = ["GET", "GET", "DELETE", "PUT", "PATCH", "TRACE", "BREW"]
    raws = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"ZZ\r\n",
        b"POST /generate/small HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /generate/small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{",  # slow
        b"GET /hea",  # slower
        b"",
    ]
    while True:
        path = paths[int(rng.integers(len(paths)))]
        yield Hostile(str(rng.choice(methods)), path)
        yield Hostile(raw=raws[int(rng.integers(len(raws)))])
        yield Hostile("POST", "/generate/small", b"{}", headers={"Origin": "http://evil.example"})
        yield Hostile("GET", "/health", headers={"Host": "evil.example"})


def requests(count: int) -> Iterator[Hostile]:
    """So many, in turns of every kind; the bombs come first."""
    rng = np.random.default_rng(count)
    yield from (made := list(bombs(rng)))
    kinds = [wrong(rng), addresses(rng)]
    for number in range(count - len(made)):
        yield next(kinds[number % 2])


@pytest.mark.parametrize("count", [70, pytest.param(1000, marks=pytest.mark.long)])
def test_every_answer_is_a_4xx(count):
    answers: dict[int, int] = {}
    with service(**LIMITS) as made:
        hosts = ["localhost", "127.0.0.1"]
        with listening(made, Limits(**LIMITS), hosts=hosts) as port:
            for hostile in requests(count):
                status, body = send(port, hostile)
                where = f"{hostile!r:.400}: {status} {body[:200]!r}"
                assert 400 <= status < 500, where
                assert b"Traceback" not in body, where
                if body.startswith(b"{"):
                    text = json.loads(body)["error"]
                    assert "\n" not in text and len(text) < 400, where
                answers[status] = answers.get(status, 0) + 1
            # It is as well as before, and exact.
            status, body = send(port, Hostile(body=b'{"seeds": [7], "format": "npy"}'))
        assert status == 200
        with Generator(small(batch=4).program) as generator:
            expected = generator.generate(generator.latents(1, 7))
        np.testing.assert_array_equal(np.load(io.BytesIO(body)), expected)
        assert made.dispatcher.watched.failed == 0
    assert sum(answers.values()) == count and {400, 403, 404, 408, 413, 421, 422} <= set(answers)
