"""What the readers of a program file's parts share: numbers, and data as long as is promised."""

from __future__ import annotations

import zlib
from typing import Any

from winogen.common.errors import ProgramError


def whole(value: Any) -> int:
    """A whole number of a header, from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ProgramError(f"{value!r} is no whole number that fits")
    return value


def inflated(data: bytes, size: int, what: str) -> bytes:
    """Exactly ``size`` bytes of compressed data, and never more than is promised."""
    inflate = zlib.decompressobj()
    result = inflate.decompress(data, size) if size else b""
    more = inflate.decompress(inflate.unconsumed_tail, 1)
    if len(result) != size or more or not inflate.eof or inflate.unused_data:
        raise ProgramError(f"{what} has another length than its header says")
    return result
