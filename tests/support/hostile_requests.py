"""Requests, pictures and arrays that mean harm."""

from __future__ import annotations

import http.client
import struct
import zlib
from contextlib import suppress
from typing import NamedTuple

JSON, NPY = "application/json", "application/x-npy"


class Hostile(NamedTuple):
    """A request; ``raw`` is sent as it is, in place of all else."""

    method: str = "POST"
    path: str = "/generate/small"
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = {}
    raw: bytes = b""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, data: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            chunk(b"IHDR", head),
            *more,
            chunk(b"IDAT", data or zlib.compress(b"")),
            chunk(b"IEND", b""),
        ]
    )


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def send(port: int, hostile: Hostile) -> tuple[int, bytes]:
    """The status and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        if hostile.raw or not hostile.path:
            connection.connect()
            connection.sock.sendall(hostile.raw)
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
        else:
            headers = {"Content-Type": hostile.kind, **hostile.headers}
            body = hostile.body or None
            with suppress(BrokenPipeError, ConnectionResetError):  # answered before all had come
                connection.request(hostile.method, hostile.path, body, headers)
            answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
