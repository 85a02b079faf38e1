"""What to do where a library cannot be imported, in words."""

from __future__ import annotations

from pathlib import Path

from winogen.common.errors import one_line


def why_no_pynq(error: Exception) -> tuple[str, str]:
    """What an import of pynq failed for, and what to install."""
    module = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if module.partition(".")[0] == "pkg_resources":
        return (
            "it needs pkg_resources, which newer setuptools do not have (another package, as "
            "torch, may have brought them)",
            "pip install 'setuptools<81'",
        )
    try:
        Path.cwd()  # which libraries ask for when they are imported
    except OSError as gone:
        return f"the working directory cannot be used ({gone.strerror})", "change to another folder"
    return one_line(error), "install winogen again, in an environment of its own"
