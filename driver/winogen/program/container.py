"""The container of a program file: a header and sections, checked before they are understood.

Layout: the magic ``WINOGEN1``; the header's length (32 bits, little-endian) and the header, JSON;
the sections one after the other; the SHA-256 of everything before. The header names the sections
(the weight segment, :mod:`winogen.program.weights_file`; one zlib-compressed instruction stream for
each batch size; and what the processor's layers multiply by, if there are any).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any

from winogen.common.errors import ProgramError

MAGIC = b"WINOGEN1"
_DIGEST_BYTES = 32
_LENGTH = struct.Struct("<I")


def joined(header: dict[str, Any], sections: Sequence[bytes]) -> bytes:
    """The contents of a file; equal headers and sections give equal bytes."""
    sizes = {"sections": [len(section) for section in sections]}
    text = json.dumps({**header, **sizes}, sort_keys=True).encode()
    body = b"".join([MAGIC, _LENGTH.pack(len(text)), text, *sections])
    return body + hashlib.sha256(body).digest()


def split(data: bytes, source: str) -> tuple[dict[str, Any], list[bytes]]:
    """Header and sections of a program file, after every check that needs no understanding."""
    fixed = len(MAGIC) + _LENGTH.size
    if data[: len(MAGIC)] != MAGIC:
        kind = "empty" if not data else "not a winogen program"
        raise ProgramError(f"{source} is {kind}; make one with 'winogen compile'")
    if len(data) < fixed + _DIGEST_BYTES:
        raise ProgramError(f"{source} is truncated: it has only {len(data)} bytes; copy it again")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    end = len(data) - _DIGEST_BYTES
    if fixed + length > end:
        raise ProgramError(
            f"{source} is truncated: its header needs {length} bytes of {end - fixed}; "
            "copy it again"
        )
    if hashlib.sha256(data[:end]).digest() != data[end:]:
        raise ProgramError(
            f"{source} is damaged or truncated: its checksum does not match; copy it again or "
            "compile the network again"
        )
    try:
        header = json.loads(data[fixed : fixed + length])
        sizes = [int(s) for s in header["sections"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ProgramError(f"{source}: its header cannot be read; compile it again") from None
    start = fixed + length
    if any(s < 0 for s in sizes) or start + sum(sizes) != end:
        raise ProgramError(f"{source}: its sections do not add up to its size; compile it again")
    sections = []
    for size in sizes:
        sections.append(data[start : start + size])
        start += size
    return header, sections
