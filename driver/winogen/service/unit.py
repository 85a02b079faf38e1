"""A systemd unit that runs the service on a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winogen.common.errors import InputError

#: Where the unit finds what must not be in it: ``WINOGEN_TOKEN=...``.
ENVIRONMENT = "/etc/default/winogen"


def systemd_unit(
    command: Sequence[str], folder: Path, drain_s: float, *, board: bool = False
) -> str:
    """The text of a unit that runs a command in a folder.

    Parameters
    ----------
    command : words of the command, the first an absolute path
    drain_s : seconds that it may take to end
    board : pynq is used, which needs root and what its image says of the board

    Raises InputError for a word that a unit cannot hold.
    """
    words = " ".join(map(_quoted, command))
    for_board = ["User=root", "Environment=XILINX_XRT=/usr", "EnvironmentFile=-/etc/environment"]
    lines = [
        "# Made by winogen serve --systemd. Install it with:",
        "#   sudo cp winogen.service /etc/systemd/system/",
        "#   sudo systemctl enable --now winogen",
        f"# A token that users must give: WINOGEN_TOKEN=... in {ENVIRONMENT}, readable by root.",
        "[Unit]",
        "Description=winogen: images of generator networks",
        "After=network-online.target",
        "Wants=network-online.target",
        "",
        "[Service]",
        "Type=exec",
        *(for_board if board else ["DynamicUser=yes", "CacheDirectory=winogen"]),
        f"EnvironmentFile=-{ENVIRONMENT}",
        f"WorkingDirectory={_path(folder)}",
        f"ExecStart={words}",
        "Restart=on-failure",
        "RestartSec=5",
        f"TimeoutStopSec={round(drain_s) + 15}",
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "ProtectSystem=full",
        "ProtectHome=read-only",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """A word as systemd reads it: in quotes where it needs some, nothing of it expanded."""
    if not word.isprintable():
        raise InputError(f"a unit cannot hold {word!r}: rename it")
    plain = word.replace("%", "%%").replace("$", "$$")
    if plain and all(c.isalnum() or c in "-_=./:@,+%$[]" for c in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _path(folder: Path) -> str:
    text = str(folder)
    if not text.isprintable():
        raise InputError(f"a unit cannot hold the folder {text!r}: run the command in another one")
    return text.replace("%", "%%")
