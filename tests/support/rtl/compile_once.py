"""A C++ compiler that does what is the same in every build once: ``compile_once.py c++ arguments``.

Every cocotb build has the same few sources of Verilator's own, which take longer than most of the
designs; and what is left begins with the same headers, which take as long again. Verilator's
makefiles put this before the compiler (OBJCACHE). The environment variable WG_OBJECTS is the folder
that keeps the objects and the precompiled headers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: What a design and cocotb's main program include before all else.
HEADERS = '#include "verilated.h"\n#include "verilated_vpi.h"\n'


def main(command: list[str]) -> int:
    """Run the command, or copy what it made the last time; its exit status."""
    source = Path(command[-1])
    if "-c" not in command or source.suffix != ".cpp":
        return subprocess.run(command, check=False).returncode
    if not source.name.startswith("verilated"):
        headers = precompiled(command)
        first = ["-include", str(headers)] if headers else []
        return subprocess.run([command[0], *first, *command[1:]], check=False).returncode
    target = Path(command[command.index("-o") + 1])
    kept = _folder() / f"{source.stem}-{_key(command, source)}.o"
    if not kept.is_file():
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
        _keep(target.read_bytes(), kept)
    else:
        shutil.copyfile(kept, target)
    return 0


def precompiled(command: Sequence[str]) -> Path | None:
    """The headers that the compiler is to include first, in its own form for these options.

    A compiler that cannot use that form reads the headers beside it. None if it cannot make it.
    """
    compiler, *options = _options(command)
    key = _key([compiler, *sorted(options)])  # in any order they mean the same
    headers = _folder() / f"headers-{key}.h"
    form = headers.with_name(f"{headers.name}.gch")
    if form.is_file():
        return headers
    _keep(HEADERS.encode(), headers)
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        made = Path(folder) / form.name
        make = [compiler, *options, "-x", "c++-header", str(headers), "-o", str(made)]
        if subprocess.run(make, check=False, capture_output=True).returncode:
            return None
        os.replace(made, form)
    return headers


def _options(command: Sequence[str]) -> list[str]:
    """The compiler and its options, without what it reads and writes."""
    options = list(command[:-1])
    if "-o" in options:
        del options[options.index("-o") : options.index("-o") + 2]
    return [option for option in options if option not in ("-c", "-MMD")]


def _folder() -> Path:
    folder = Path(os.environ["WG_OBJECTS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(data: bytes, path: Path) -> None:
    """Write a file whole at once: others may make the same."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


def _key(command: Sequence[str], source: Path | None = None) -> str:
    """Changes with the command, the compiler and Verilator."""
    compiler = shutil.which(command[0]) or command[0]
    made = Path(compiler).resolve().stat()
    key = hashlib.sha256(repr((*command, made.st_size, made.st_mtime_ns)).encode())
    include = Path(os.environ["VERILATOR_ROOT"]) / "include"
    for path in (source, include / "verilated_config.h"):
        if path is not None:
            key.update(path.read_bytes())
    return key.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
