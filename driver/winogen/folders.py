"""Where what ships with winogen and is no Python of it lies: boards, logic."""

from __future__ import annotations

from pathlib import Path

from winogen.errors import WinogenError


def shipped_folder(installed: str, checkout: str) -> Path:
    """A folder that is no Python: its copy in an installed winogen, or that of a checkout.

    Raises WinogenError if neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / installed, package.parents[1] / checkout):
        if folder.is_dir():
            return folder
    raise WinogenError(f"the folder '{installed}' is missing from {package}; install winogen again")
