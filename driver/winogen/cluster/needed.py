"""One sentence where Dask is not installed, or an address is none."""

from __future__ import annotations

import re
from importlib.util import find_spec

from winogen.common.errors import InputError

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


def check_distributed() -> None:
    """InputError where the library is missing."""
    if not find_spec("distributed"):
        raise InputError(
            "a cluster needs the package distributed; install it with: pip install "
            "'winogen[cluster]'"
        )


def check_address(address: str) -> str:
    """The address of a scheduler, with ``tcp://`` where it says nothing; InputError for none."""
    whole = address if "://" in address else f"tcp://{address}"
    match = _ADDRESS.fullmatch(whole)
    if not match or not 0 < int(match[3]) < 65536:
        raise InputError(
            f"'{address}' is no address of a scheduler: write it as tcp://host:8786, or tls://"
        )
    return whole
