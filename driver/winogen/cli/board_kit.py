"""A folder to copy to a board: all that it needs there, and nothing that must be compiled.

winogen's wheel is pure Python, and so is what is needed to test it; the rest, numpy above all, is
in the board's image. So one folder serves every board and image, and a board needs no network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from winogen.common.errors import InputError
from winogen.common.files import temporary_folder
from winogen.target.board import OVERLAY_NAMES, board_folder, build_tool

#: What pytest needs on Python 3.10 too: pip leaves out what the Python that runs it does not need.
TEST_PACKAGES = ("pytest>=8.4,<10", "exceptiongroup", "tomli", "typing_extensions")
#: The oldest Python of a board's image.
PYTHON = "3.10"
#: The conformance suite, of the source tree's ``tests``.
SUITE = (
    "conftest.py",
    "support/places.py",
    "support/bench.py",
    "support/conformance.py",
    "support/random_graphs.py",
    "support/random_networks.py",
    "support/real_board.py",
    "support/tiers.py",
    "devices/test_conformance.py",
)
#: What a wheel is built from.
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "driver", "hw_src", "notebooks", "overlay")
_PIP_SECONDS = 600
#: Plugins of the image's own packages are older than this pytest, and none is needed.
_PYTEST_INI = """\
[pytest]
minversion = 8.4
testpaths = tests
pythonpath = tests
addopts = --import-mode=importlib --disable-plugin-autoload -p no:cacheprovider -m "not long"
markers =
    quick: what catches most; run with -m quick
    long: thousands of random cases; run with -m long
"""
_INSTALL = """\
winogen for {board}. On the board, as root in PYNQ's environment (sudo -i), in this folder:

    python3 -m pip install --no-index --no-deps --force-reinstall winogen-*.whl
"""
_ON_THE_BOARD = """\
    winogen doctor
    winogen run {program} -o first.png
    PYTHONPATH=packages python3 -m pytest --device board
"""
_EMULATED = """\
    winogen doctor --device emulator
    winogen run {program} --device emulator -o first.png
    PYTHONPATH=packages python3 -m pytest

These run on the emulated device: this kit has no bitstream, without which the board's logic cannot
run anything. Build one ('winogen overlay build --board {board} --tool {tool}'), then make the kit
again.
"""


def readme(board: str, program: str, *, bitstream: bool) -> str:
    """What to type on the board, all of which works there."""
    text = _INSTALL + (_ON_THE_BOARD if bitstream else _EMULATED)
    return text.format(board=board, program=program, tool=build_tool(board))


def source_tree() -> Path:
    """The checkout that this winogen runs from, or else that it is called in.

    Raises InputError where there is none.
    """
    for tree in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (tree / "driver" / "winogen").is_dir() and (tree / "tests" / SUITE[-1]).is_file():
            return tree
    raise InputError(
        "a kit is made from winogen's source tree, which this installation lacks: run it in the "
        "folder of a checkout"
    )


def bitstreams(board: str) -> list[str]:
    """Names of a board's bitstreams that are there, and so in the kit's wheel."""
    folder = board_folder() / board
    return [name for name in OVERLAY_NAMES.values() if (folder / name).is_file()]


def make_kit(
    folder: Path, board: str, programs: Mapping[str, bytes], stage: Callable[[str], None]
) -> None:
    """Write the kit's folder, whole or not at all.

    Parameters
    ----------
    folder : must not exist yet
    programs : program files by name; at least one
    stage : called with what is being done

    Raises
    ------
    InputError : the folder cannot be written, there is no source tree, or pip failed
    """
    tree = source_tree()
    if folder.exists():
        raise InputError(f"cannot write {folder}: it exists; remove it, or name another folder")
    if not folder.parent.is_dir():
        raise InputError(f"cannot write {folder}: folder {folder.parent} does not exist")
    try:
        with temporary_folder(folder.parent) as temporary:
            kit = temporary / "kit"
            _fill(kit, tree, board, programs, stage)
            kit.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from None


def _fill(
    kit: Path, tree: Path, board: str, programs: Mapping[str, bytes], stage: Callable[[str], None]
) -> None:
    kit.mkdir()
    stage("building winogen's wheel")
    # A copy: what earlier builds left in the tree's build folder would get into the wheel.
    sources = kit.parent / "sources"
    sources.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in _SOURCES:
        if (tree / name).is_dir():
            shutil.copytree(tree / name, sources / name, ignore=ignored)
        else:
            shutil.copy(tree / name, sources / name)
    _pip("wheel", "--no-deps", "--wheel-dir", str(kit), str(sources))
    stage("downloading pytest")
    # Unpacked, to be named in PYTHONPATH: what Jupyter runs with on the board stays as it is.
    packages = kit / "packages"
    _pip(
        "install", "--target", str(packages), "--only-binary=:all:", "--platform", "any",
        "--python-version", PYTHON, "--no-compile", *TEST_PACKAGES,
    )  # fmt: skip
    shutil.rmtree(packages / "bin", ignore_errors=True)  # scripts for the Python of this machine
    stage("copying")
    tests = kit / "tests"
    for name in SUITE:
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / "tests" / name, tests / name)
    for name, data in programs.items():
        (kit / name).write_bytes(data)
    (kit / "pytest.ini").write_text(_PYTEST_INI)
    (kit / "README.txt").write_text(
        readme(board, next(iter(programs)), bitstream=bool(bitstreams(board)))
    )


def _pip(*arguments: str) -> None:
    """Run pip; InputError with its last error if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(
            f"'pip {arguments[0]}' did not end within {_PIP_SECONDS} s; check the network here"
        ) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise InputError(
            f"'pip {arguments[0]}' failed ({errors[-1].strip()}); making a kit needs pip and the "
            "internet, the board does not"
        )
