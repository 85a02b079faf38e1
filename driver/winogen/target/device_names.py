"""Names of devices, as commands and :class:`winogen.Generator` take them.

A board that another machine drives is ``remote:ADDRESS[:PORT]``: the address of its PYNQ.remote
server, ``remote:192.168.2.99`` or ``remote:[fe80::1]:7967``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from winogen.common.errors import DeviceError
from winogen.common.text import printable

#: Devices of this machine.
DEVICES = ("emulator", "rtl", "board")
#: In place of a device: the one that :func:`winogen.runtime.pick.pick_device` picks.
AUTO = "auto"
#: The kind of a board that is driven over a network, and how it is spelt.
REMOTE = "remote"
REMOTE_FORM = f"{REMOTE}:ADDRESS"
#: All that can be given, for messages.
FORMS = ", ".join((*DEVICES, REMOTE_FORM, AUTO))
#: Where PYNQ.remote's server listens unless it was told otherwise.
REMOTE_PORT = 7967
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(?::(\d{1,5}))?", re.ASCII)


class RemoteAddress(NamedTuple):
    """Where a PYNQ.remote server listens; as text ``HOST:PORT``."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def is_remote(device: Any) -> bool:
    """Whether a device's name is that of a board which is driven over a network."""
    return isinstance(device, str) and device.startswith(f"{REMOTE}:")


def is_hardware(device: Any) -> bool:
    """Whether it is the name of a board, this machine's or another: one thing, which is shared."""
    return device == "board" or is_remote(device)


def kind_of(device: str) -> str:
    """``emulator``, ``rtl``, ``board`` or ``remote``."""
    return REMOTE if is_remote(device) else device


def remote_address(device: str) -> RemoteAddress:
    """The address in ``remote:ADDRESS[:PORT]``; DeviceError where there is none."""
    match = _ADDRESS.fullmatch(device.removeprefix(f"{REMOTE}:"))
    port = int(match[2] or REMOTE_PORT) if match else 0
    if not match or not 0 < port < 1 << 16:
        raise DeviceError(
            f"'{printable(device)[:100]}' is no address of a PYNQ.remote board; write "
            f"{REMOTE_FORM}[:PORT], as {REMOTE}:192.168.2.99 (port {REMOTE_PORT}) or "
            f"{REMOTE}:[fe80::1]:{REMOTE_PORT}"
        )
    return RemoteAddress(match[1], port)
