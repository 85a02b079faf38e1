"""The stages of CI, and their parts, each by one word: ``nox -s lint``; ``nox -l`` lists them.

Sessions run in the environment that nox is called from, made by ``pip install -e '.[dev]'``: one
for each session would take longer than what they check. Only ``pynq3`` has one of its own, for the
other generation of pynq, and ``pythons`` one for each Python. What stands behind ``--`` goes to
pytest: ``nox -s rtl -- -k wg_load``.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import nox

#: What .ci/run calls, in this order: together all that must hold before a change lands.
STAGES = ("lint", "pynq3", "tests")
#: The folders and files of the tests, by the session that runs them; a file that one session names
#: is left out by those that name its folder. The stage ``tests`` runs all of them at once.
PARTS = {
    "unit": ("tests/unit", "tests/repository"),
    "emulator": ("tests/devices", "tests/flows"),
    "rtl": ("tests/rtl",),
    "synth": ("tests/rtl/core/test_synthesis.py",),
    "docs": ("tests/repository/test_docs.py", "tests/flows/test_site.py"),
}
#: What reaches pynq, and so is run with both of its generations; bits do not depend on which.
PYNQ = (
    "tests/devices",
    "tests/unit/runtime",
    "tests/unit/emulation",
    "tests/unit/doctor",
    "tests/unit/cli/test_waits.py",
)
NOT_PYNQ = (
    "tests/unit/runtime/test_codec.py",
    "tests/unit/runtime/test_pictures.py",
    "tests/unit/runtime/test_windows.py",
    "tests/unit/runtime/test_exits.py",
    "tests/devices/test_coded_weights.py",
    "tests/devices/test_conformance.py",
    "tests/devices/test_core.py",
    "tests/devices/test_exits.py",
    "tests/devices/test_host_layers.py",
    "tests/devices/test_pairs.py",
    "tests/devices/test_random_networks.py",
)
#: Too slow for the quick tier, of which the others are.
BOARD_RUN = ("tests/devices/test_board_run.py",)
#: What boards' images have; the other generation is that of the environment.
PYNQ3 = "pynq==3.1.2"
#: The Pythons that winogen runs on: those of pyproject.toml.
PYTHONS = ("3.10", "3.11", "3.12")
#: What the README's first command runs once winogen is installed.
FIRST = ("winogen", "run", "digits", "--seed", "7", "-n", "32", "--scale", "2", "-o", "digits.png")
#: The README's test command, without its environment.
PYTEST = ("-m", "pytest", "-n", "auto", "--dist", "worksteal")

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "quick"]
nox.options.reuse_venv = "yes"


def tool(session: nox.Session, name: str, *arguments: str) -> None:
    """Run a program that was installed beside this Python, wherever PATH leads."""
    session.run(str(Path(sys.executable).parent / name), *arguments)


def part(session: nox.Session, *arguments: str) -> None:
    """Run the tests of a part, without the files that are another's."""
    own = PARTS[session.name]
    others = {path for name, paths in PARTS.items() if name != session.name for path in paths}
    left_out = [f"--ignore={path}" for path in sorted(others - set(own))]
    session.run(sys.executable, *PYTEST, *own, *left_out, *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting (of SystemVerilog too), types, the import contract."""
    tool(session, "ruff", "check", ".")
    tool(session, "ruff", "format", "--check", ".")
    tool(session, "mypy")
    session.run(str(Path(sys.executable).parent / "lint-imports"), env={"PYTHONPATH": "driver"})
    # The formatter's own --verify passes what it cannot read. The test skips where there is none.
    tool(session, "verible-verilog-format", "--version")
    session.run(sys.executable, "-m", "pytest", "-q", "tests/repository/test_format.py")


@nox.session
def quick(session: nox.Session) -> None:
    """The quick tier: what catches most, in two minutes."""
    session.run(sys.executable, *PYTEST, "-m", "quick", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Each package by itself, and what holds of the repository."""
    part(session)


@nox.session
def emulator(session: nox.Session) -> None:
    """Whole programs on the emulated device, notebooks, kits, overlay builds."""
    part(session)


@nox.session
def rtl(session: nox.Session) -> None:
    """The logic: each unit, the core, proofs."""
    part(session)


@nox.session
def synth(session: nox.Session) -> None:
    """What the logic takes of an FPGA."""
    part(session)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation: links, commands, examples, the site."""
    part(session)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation as a site: build/site/index.html."""
    sphinx = ("-m", "sphinx", "-W", "--keep-going", "-c", "docs", ".", "build/site")
    session.run(sys.executable, *sphinx)


@nox.session(venv_backend="venv", venv_params=["--without-pip"])
def pynq3(session: nox.Session) -> None:
    """What reaches pynq, with the generation of pynq that current board images have.

    Its environment has that pynq and what else it asks for; all others are those of this one, since
    a second copy of them takes as long to install as what is run here.
    """
    (folder,) = Path(session.virtualenv.location).glob("lib/python*/site-packages")
    shared = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (folder / "shared.pth").write_text(shared, encoding="utf-8")
    session.install("--no-compile", PYNQ3)
    session.run("python", "-m", "pip", "check")
    quiet = ("-q", "-p", "no:cacheprovider")
    left_out = [f"--ignore={path}" for path in NOT_PYNQ]
    session.run("python", *PYTEST, *quiet, "-m", "quick", *PYNQ, *left_out, *session.posargs)
    session.run("python", *PYTEST, *quiet, *BOARD_RUN, "-k", "suite_runs", *session.posargs)


@nox.session(venv_backend="venv", python=PYTHONS, reuse_venv=False)
def pythons(session: nox.Session) -> None:
    """The README's first command with each Python, in an environment that has nothing else.

    ``-- torch`` (or whatever else pip can install) installs that beside winogen, afterwards.
    """
    session.install(".")
    if session.posargs:
        session.install(*session.posargs)
    session.chdir(session.create_tmp())
    session.run(*FIRST)
    session.run("python", "-m", "pip", "check")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, by the README's command."""
    session.run(sys.executable, *PYTEST, *session.posargs)
