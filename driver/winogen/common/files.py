"""Writing files so that nothing is lost: a reader sees the old file or the whole new one."""

from __future__ import annotations

import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from pathlib import Path

from winogen.common.errors import InputError, one_line

#: What numpy and zipfile raise for damaged, foreign or encrypted array files.
ARRAY_FILE_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


#: What numpy says of array files, by a part of it, and what is meant.
_NUMPY_SAYS = (
    ("Python objects", "it holds Python objects; save an array of numbers"),
    ("pickle", "it holds Python objects or is no .npy file; save an array of numbers"),
    ("magic string", "it is no .npy file"),
    ("No data left", "it is empty"),
    ("mmap length is greater", "it ends too early"),
    ("EOF: reading", "it ends too early"),
    ("cannot reshape", "it ends too early"),
    ("expecting", "it ends too early"),
    ("header", "its header is damaged"),
    ("Unable to allocate", "its array does not fit the memory"),
    ("cannot mmap an empty", "it is empty"),
)


def array_problem(error: BaseException) -> str:
    """Why an array file cannot be read, in words that are not numpy's."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    for part, said in _NUMPY_SAYS:
        if part in text:
            return said
    if isinstance(error, ValueError) and text:
        return one_line(error)
    return "it needs too much memory" if isinstance(error, MemoryError) else "it is damaged"


def check_writable(path: Path) -> None:
    """Raise InputError now if ``path`` cannot be written later."""
    folder = path.parent
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: folder {folder} does not exist; create it first")
    try:  # permissions alone do not tell (read-only and virtual file systems)
        descriptor, probe = tempfile.mkstemp(dir=folder, prefix=".winogen-")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    os.close(descriptor)
    os.unlink(probe)


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; InputError if that fails."""
    check_writable(path)
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".winogen-", delete=False) as f:
            temporary = f.name
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes files private
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
