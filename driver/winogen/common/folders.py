"""Folders: what ships with winogen and is no Python of it (boards, logic), and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from winogen.common.errors import WinogenError


def shipped_folder(installed: str, checkout: str) -> Path:
    """A folder that is no Python: its copy in an installed winogen, or that of a checkout.

    Raises WinogenError if neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / installed, package.parents[1] / checkout):
        if folder.is_dir():
            return folder
    raise WinogenError(f"the folder '{installed}' is missing from {package}; install winogen again")


def cache_folder(kind: str) -> Path:
    """Where results of one kind are kept for the user, who may delete them at any time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "winogen" / kind
