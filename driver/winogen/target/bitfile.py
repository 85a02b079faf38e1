"""The overlay files of the emulated device: a real .hwh, and a .bit that says it is none.

``pynq.Overlay`` wants a path to a bitstream with a .hwh beside it. There is nothing to configure
here, so the .bit has a well-formed header, for whoever lists it, and text instead of
configuration data: it names itself, and an FPGA that it is sent to finds no sync word in it.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from winogen.common.errors import InputError
from winogen.common.files import write_atomically
from winogen.common.folders import cache_folder

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
    return cache_folder("emulated") / digest(hwh)[:16]


def is_written(directory: Path, hwh: str) -> bool:
    """Whether both files lie in ``directory`` as they should."""
    try:
        return all((directory / name).read_bytes() == c for name, c in _contents(hwh).items())
    except OSError:
        return False


def write_overlay(directory: Path, hwh: str) -> Path:
    """Write the two files into ``directory``, where they differ, and return the path of the .bit.

    Each file appears whole or not at all, and the .hwh before the .bit that needs it, so several
    processes may do this at once. Raises InputError where they cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {directory}: {error.strerror or error}") from None
    for name, content in _contents(hwh).items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    return directory / f"{STEM}.bit"


def _contents(hwh: str) -> dict[str, bytes]:
    return {f"{STEM}.hwh": hwh.encode(), f"{STEM}.bit": bit_bytes(hwh)}
