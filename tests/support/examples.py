"""Python examples of pages, each as if in a process of its own, without importing all anew.

A process that has imported what they take longest to import forks for each of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.children import child
from support.places import DRIVER

#: Seconds that one example may take.
SECONDS = 300
#: A line is what to import, where to run, and what; the answer is an exit status and what it said.
_SERVER = """
import atexit, importlib, json, os, signal, sys, traceback, types
from contextlib import suppress

for line in sys.stdin:
    modules, folder, body, seconds = json.loads(line)
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)
    output = os.path.join(folder, "output.txt")
    if not (pid := os.fork()):
        signal.alarm(seconds)
        os.chdir(folder)
        into = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(into, number)
        me = sys.modules["__main__"]
        example = sys.modules["__main__"] = types.ModuleType("__main__")
        status = 1
        try:
            exec(body, example.__dict__)
            status = 0
        except BaseException:
            traceback.print_exc()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)  # to take all apart that was imported takes longer than an example
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(output, errors="replace") as file:
        print(json.dumps((status, file.read())), flush=True)
"""


class Examples:
    """Runs examples one after the other."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process

    def run(self, body: str, folder: Path, modules: Sequence[str] = ()) -> tuple[int, str]:
        """The exit status of an example in a folder, and all that it printed.

        ``modules`` are imported for it and for all later ones, if they are there.
        """
        assert self._process.stdin and self._process.stdout
        print(json.dumps((modules, str(folder), body, SECONDS)), file=self._process.stdin)
        self._process.stdin.flush()
        status, output = json.loads(self._process.stdout.readline())
        return status, output


@contextmanager
def examples(cache: Path) -> Iterator[Examples]:
    """With winogen as it lies here, and nothing of the tests; ``cache`` is a folder of its own."""
    with child(
        [sys.executable, "-c", _SERVER],
        env={
            "PYTHONPATH": str(DRIVER),
            "PATH": "/usr/bin:/bin",
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",  # small networks: threads would wait for each other
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Examples(process)
