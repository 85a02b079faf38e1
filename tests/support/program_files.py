"""Program files taken apart and put together again, with right checksums."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

from winogen.program.container import MAGIC

FIXED = len(MAGIC) + 4
#: What a field of a header is least likely to be made for.
EXTREMES = (
    -(2**63), -(2**31), -1, 0, 1, 2, 7, 64, 2**16, 2**31 - 1, 2**40, 2**62, 2**200, 0.5, 1e-300,
    1e300, float("nan"), float("inf"), True, None, "", "x", [], {}, [1], {"a": 1}, "\n\x1b[31m",
    "n" * 10_000,
)  # fmt: skip


def parts(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the sections of a program file."""
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    header = json.loads(data[FIXED : FIXED + length])
    sections, start = [], FIXED + length
    for size in header["sections"]:
        sections.append(data[start : start + size])
        start += size
    return header, sections


def sealed(text: bytes, sections: list[bytes]) -> bytes:
    """The file of a header's text and sections."""
    body = MAGIC + struct.pack("<I", len(text)) + text + b"".join(sections)
    return body + hashlib.sha256(body).digest()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in the header."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found
