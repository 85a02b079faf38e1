"""Names of files to write where ``-o`` gives none: that of the network, in this folder."""

from __future__ import annotations

from pathlib import Path

from winogen.common.errors import InputError
from winogen.common.files import check_writable
from winogen.common.images import is_own_png
from winogen.program.container import MAGIC


def name_of(model: str) -> str:
    """What a name, folder or file of a network, or a program, is called."""
    path = Path(model)
    if path.is_dir():
        return path.resolve().name
    return path.stem if path.is_file() or path.suffix in (".onnx", ".wg") else path.name


def default_output(name: str) -> Path:
    """A path that may be written without being asked for.

    Raises InputError where something is there that winogen has not written, or nothing can be.
    """
    path = Path(name)
    check_own(path)
    check_writable(path)
    return path


def check_own(path: Path) -> None:
    """Raise InputError where there is something that winogen has not written."""
    if path.is_symlink() or (path.exists() and not _is_own(path)):
        raise InputError(
            f"{path} is there already, and does not say that winogen wrote it: name the file to "
            "write with -o"
        )


def _is_own(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix == ".png":
        return is_own_png(path)
    with path.open("rb") as file:
        return path.suffix == ".wg" and file.read(len(MAGIC)) == MAGIC
