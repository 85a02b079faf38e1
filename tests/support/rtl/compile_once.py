"""A C++ compiler that compiles Verilator's own sources once: ``compile_once.py c++ arguments``.

Every cocotb build has the same few of them, which take longer than most of the designs. Verilator's
makefiles put this before the compiler (OBJCACHE). The environment variable WG_OBJECTS is the folder
that keeps the objects.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main(command: list[str]) -> int:
    """Run the command, or copy what it made the last time; its exit status."""
    source = Path(command[-1])
    if not source.name.startswith("verilated") or command[-3:-2] != ["-o"]:
        return subprocess.run(command, check=False).returncode
    target = Path(command[-2])
    folder = Path(os.environ["WG_OBJECTS"])
    kept = folder / f"{source.stem}-{_key(command, source)}.o"
    if not kept.is_file():
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(target.read_bytes())
        os.replace(file.name, kept)  # whole at once: others may make the same
    else:
        shutil.copyfile(kept, target)
    return 0


def _key(command: list[str], source: Path) -> str:
    """Changes with the command, the compiler and Verilator."""
    compiler = shutil.which(command[0]) or command[0]
    made = Path(compiler).resolve().stat()
    key = hashlib.sha256(repr((command, made.st_size, made.st_mtime_ns)).encode())
    for path in (source, source.with_name("verilated_config.h")):
        key.update(path.read_bytes())
    return key.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
