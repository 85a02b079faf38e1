"""The operating system around a board, as the checks look at it: files, variables, user, disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class System:
    """This machine's; a test has one of its own.

    Attributes
    ----------
    root : folder under which the paths of files are taken
    environment : environment variables
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def path(self, name: str) -> Path:
        """Where an absolute path leads."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """What a small file holds; empty where it cannot be read."""
        with suppress(OSError):
            return self.path(name).read_text(errors="replace").replace("\0", "")
        return ""

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted; none where it cannot be read."""
        with suppress(OSError):
            return sorted(p.name for p in self.path(folder).iterdir())
        return []

    @property
    def user(self) -> int:
        """Number of the user whose rights this process has; 0 is root."""
        return os.geteuid() if hasattr(os, "geteuid") else 0

    def program(self, name: str) -> str | None:
        """The path of a program that can be started by its name, or None."""
        return shutil.which(name, path=self.environment.get("PATH"))

    def may_write(self, folder: Path) -> bool:
        """Whether files can be made in a folder."""
        return os.access(folder, os.W_OK | os.X_OK)

    def free_bytes(self, folder: Path) -> int:
        """How much the file system of a folder has left."""
        return shutil.disk_usage(folder).free
