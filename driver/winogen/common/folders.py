"""Folders: what ships with winogen and is no Python of it (boards, logic), and the user's cache."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path

from winogen.common.errors import InputError, WinogenError, WinogenWarning, one_line
from winogen.common.files import temporary_folder


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
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home; who writes there is told
        cache = Path("/nonexistent/.cache")
    return Path(cache) / "winogen" / kind


def writable_folder(folder: Path) -> Path:
    """``folder`` of the cache, made where it is missing; a temporary one if it cannot be written.

    That one ends with this process, and a warning says so. Raises InputError if there can be none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder):
            return folder
    except OSError as error:
        why = one_line(error)
    try:
        spare = _spare_folder() / folder.name
        spare.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"neither the cache {folder} ({why}) nor a temporary folder ({one_line(error)}) can be "
            "written; set XDG_CACHE_HOME to a folder that can be"
        ) from None
    warnings.warn(
        f"the cache {folder} cannot be written ({why}); this process uses {spare}. Set "
        "XDG_CACHE_HOME to a folder that can be written",
        WinogenWarning,
        stacklevel=3,
    )
    return spare


class _Spare:
    """A temporary folder of one process, which is gone when that ends."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.path = Path(tempfile.mkdtemp(prefix="winogen-"))
        weakref.finalize(self, _remove, self.path, self.process)


_spare: _Spare | None = None


def _spare_folder() -> Path:
    global _spare
    if _spare is None or _spare.process != os.getpid():
        _spare = _Spare()
    return _spare.path


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:  # and not in a fork
        shutil.rmtree(path, ignore_errors=True)
