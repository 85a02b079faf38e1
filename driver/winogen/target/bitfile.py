"""The overlay files of the emulated device: a real .hwh, and a .bit that says it is none.

``pynq.Overlay`` wants a path to a bitstream with a .hwh beside it. There is nothing to configure
here, so the .bit has a well-formed header, for whoever lists it, and text instead of
configuration data: it names itself, and an FPGA that it is sent to finds no sync word in it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path

MARKER = b"winogen: EMULATED OVERLAY, NOT A BITSTREAM\n"
STEM = "winogen"  # the overlay is winogen.bit and winogen.hwh


def digest(hwh: str) -> str:
    """Names the build that a .hwh describes: 64 hexadecimal digits."""
    return hashlib.sha256(hwh.encode()).hexdigest()


def bit_bytes(hwh: str) -> bytes:
    """The .bit that belongs to the .hwh text: header fields a to e, then the marker as data."""
    data = MARKER + f"belongs to the .hwh with SHA-256 {digest(hwh)}\n".encode()
    data += b"\n" * (-len(data) % 4)  # loaders take the data as 32-bit words
    header = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    for key, text in (
        (b"a", "winogen_emulated;Version=none"),
        (b"b", "emulated, no part"),
        (b"c", "1970/01/01"),
        (b"d", "00:00:00"),
    ):
        field = text.encode() + b"\0"
        header += key + struct.pack(">H", len(field)) + field
    return header + b"e" + struct.pack(">I", len(data)) + data


def cache_directory(hwh: str) -> Path:
    """Where the overlay files of a build are kept unless the caller says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "winogen" / "emulated" / digest(hwh)[:16]


def write_overlay(directory: Path, hwh: str) -> Path:
    """Write the two files into ``directory``, where they differ, and return the path of the .bit.

    Each file appears whole or not at all, and the .hwh before the .bit that needs it, so several
    processes may do this at once.
    """
    directory.mkdir(parents=True, exist_ok=True)
    bit = directory / f"{STEM}.bit"
    for path, content in ((bit.with_suffix(".hwh"), hwh.encode()), (bit, bit_bytes(hwh))):
        if not path.is_file() or path.read_bytes() != content:
            handle, temporary = tempfile.mkstemp(dir=directory, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
    return bit
