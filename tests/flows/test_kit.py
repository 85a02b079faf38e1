"""``winogen kit``: the folder has all that a board needs, and nothing that must be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import winogen
from winogen.cli import board_kit as kit
from winogen.cli import kit as command
from winogen.cli import main as cli
from winogen.version import __version__

#: What images have, and what their Python says of itself: 3.0.1 and 3.1 of a PYNQ-Z1 or Z2, and
#: PYNQ 4 of an UltraScale+ board (docs/use/boards.md#versions).
JAMMY = {
    "pillow": "9.0.1",
    "pyyaml": "5.4.1",
    "numpy": "1.21.5",
    "pycparser": "2.19",
    "setuptools": "59.6.0",
}
NOBLE = {
    "pillow": "12.3.0",
    "pyyaml": "6.0.3",
    "numpy": "1.26.4",
    "pycparser": "2.23",
    "setuptools": "68.1.2",
}
IMAGES = {
    "3.0.1": ("3.10", "armv7l", {**JAMMY, "pynq": "3.0.1"}),
    "3.1": ("3.10", "armv7l", {**JAMMY, "pynq": "3.1"}),
    "4.0": ("3.12", "aarch64", {**NOBLE, "pynq": "4.0.0"}),
}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        [name] = [n for n in file.namelist() if n.endswith(".dist-info/METADATA")]
        return message_from_bytes(file.read(name))


def has_setuptools() -> bool:
    """Whether there is one here that builds wheels by itself."""
    try:
        return Version(version("setuptools")) >= Version("70.1")
    except PackageNotFoundError:
        return False


def missing(
    packages: Iterable[Message], python: str, machine: str, there: dict[str, str]
) -> list[str]:
    """Requirements of packages that neither they nor an image satisfy."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    versions = there | {canonicalize_name(p["Name"]): p["Version"] for p in packages}
    lacking = []
    for package in packages:
        for text in package.get_all("Requires-Dist", []):
            need = Requirement(text)
            if need.marker and not need.marker.evaluate(environment):
                continue
            found = versions.get(canonicalize_name(need.name))
            if found is None or not need.specifier.contains(found):
                lacking.append(f"{package['Name']}: {text}, and the image has {found}")
    return lacking


@pytest.mark.parametrize("alone", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_kit(alone, tmp_path, monkeypatch, capsys):
    """It is made by the documented command, holds what it should, and works as installed.

    The wheel is built ``alone``, as pip does it by itself, with setuptools from the internet; or
    with the setuptools that is here, which takes half the time.
    """
    if not alone and has_setuptools():
        monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip takes it for --no-build-isolation
    folder = tmp_path / "kit"
    assert cli.main(["kit", "--board", "pynq-z2", "-o", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"wrote {folder}" in out and "there is none for pynq-z2 yet" in out
    assert {p.name for p in folder.iterdir()} == {
        "README.txt", "digits-int16.wg", "digits-int8.wg", "packages", "pytest.ini", "tests",
        f"winogen-{__version__}-py3-none-any.whl",
    }  # fmt: skip
    text = (folder / "README.txt").read_text()
    assert "--device board" not in text and text.count("--device emulator") == 2
    [own] = folder.glob("winogen-*.whl")
    unpacked = [message_from_bytes(p.read_bytes()) for p in folder.glob("packages/*/METADATA")]
    assert {p["Name"] for p in unpacked} >= {"pytest", "exceptiongroup"}
    assert not any(p.suffix in (".so", ".pyc", ".pyd") for p in folder.rglob("*"))
    for image in IMAGES.values():
        assert not missing([metadata(own)], *image) and not missing(unpacked, *image)

    with zipfile.ZipFile(own) as file:
        names = set(file.namelist())
    for needed in (
        "winogen/hw/rtl/top/winogen_core.sv", "winogen/notebooks/00_bring_up.ipynb",
        "winogen/network/zoo/digits.npz", "winogen/overlays/pynq-z2/board.yaml",
        "winogen/overlays/pynq-z2-open/board.yaml", "winogen/hw/sim/tb_stream.sv",
        "winogen/cli/board_kit.py",
    ):  # fmt: skip
        assert needed in names
    # Nothing is left out or left over from another build.
    modules = {
        f"winogen/{p.relative_to(kit.source_tree() / 'driver' / 'winogen')}"
        for p in Path(winogen.__file__).parent.rglob("*.py")
    }
    others = ("winogen/hw/", "winogen/notebooks/", "winogen/overlays/")
    assert {n for n in names if n.endswith(".py") and not n.startswith(others)} == modules

    # As its README says, but beside this environment's pynq and numpy instead of an image's.
    place = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "-q"]
    subprocess.run([*pip, "--target", place, own], check=True, timeout=120)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}

    def run(*command: str, path: str = str(place)) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, env=environment | {"PYTHONPATH": path},
            timeout=120, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("winogen", "--version").strip() == f"winogen {__version__}"
    where = run("winogen", "run", "digits-int16.wg", "--device", "emulator", "-o", "first.png")
    assert "wrote first.png" in where
    path = os.pathsep.join(["packages", str(place)])
    text = run("pytest", "--device", "emulator", "-k", "conv-1x1 or linear", "-v", path=path)
    assert "7 passed" in text and "rootdir: " + str(folder) in text
    assert "plugins:" not in text  # none of the image's


@pytest.fixture
def digits(monkeypatch):
    """What a kit takes where no program is named is compiled once, for a small board."""
    monkeypatch.setattr(command, "compile_model", lambda *_, **__: small_digits())


@cache
def small_digits() -> winogen.Program:
    return winogen.compile_model("digits", board="tiny", batch=1)


def test_the_readme_has_what_works(monkeypatch):
    """Without a bitstream nothing runs on the board, and --device auto would choose it."""
    for bitstream in (False, True):
        text = kit.readme("pynq-z2", "mine.wg", bitstream=bitstream)
        commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
        assert len(commands) == 4 and "pip install" in commands[0]
        assert "winogen run mine.wg" in commands[2]
        runs = [line for line in commands[1:3] if "--device emulator" in line]
        assert len(runs) == (0 if bitstream else 2)
        assert ("--device board" in commands[3]) == bitstream
    for board, tool in (("pynq-z2", "vivado"), ("pynq-z2-open", "open")):
        text = kit.readme(board, "mine.wg", bitstream=False)
        assert f"'winogen overlay build --board {board} --tool {tool}'" in text


def test_programs_of_the_users_own(tmp_path, monkeypatch):
    """They are for the board, and in the folder under their names."""
    small_digits().save(tmp_path / "mine.wg")
    made = []
    monkeypatch.setattr(kit, "make_kit", lambda *a: made.append(a))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["kit", "mine.wg", "--board", "pynq-z1", "-o", "kit"]) == 2
    winogen.compile_model("digits", board="pynq-z2", batch=1).save(tmp_path / "mine.wg")
    assert cli.main(["kit", "mine.wg", "--board", "pynq-z1", "-o", "kit"]) == 0
    assert made[0][2] == {"mine.wg": (tmp_path / "mine.wg").read_bytes()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "old"], "cannot write old: it exists"),
        (["-o", "none/kit"], "cannot write none/kit: folder none does not exist"),
        (["-o", "kit", "--board", "z9"], "unknown board 'z9'; known: kc705,"),
        (["-o", "kit", "--board", "kc705"], "kc705 has no processor"),
        (["-o", "kit", "none.wg"], "none.wg"),
    ],
)
def test_kits_that_cannot_be(arguments, words, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("old").mkdir()
    assert cli.main(["kit", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("winogen: ") and words in line
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_without_the_sources(tmp_path, monkeypatch, capsys):
    """As in an installed winogen: it needs a checkout to stand in."""
    checkout = kit.source_tree()
    package = tmp_path / "site-packages" / "winogen"
    package.mkdir(parents=True)
    monkeypatch.setattr(kit, "__file__", str(package / "kit.py"))
    monkeypatch.chdir(checkout)
    assert kit.source_tree() == checkout
    monkeypatch.chdir(tmp_path)
    assert cli.main(["kit", "-o", str(tmp_path / "kit")]) == 2
    assert "a kit is made from winogen's source tree" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('ERROR: No matching distribution found for setuptools')",
         "'pip wheel' failed (ERROR: No matching distribution found for setuptools); making a kit "
         "needs pip and the internet, the board does not"),
        ("import sys; sys.exit(1)", "'pip wheel' failed (no message)"),
        ("import time; time.sleep(60)", "'pip wheel' did not end within 0.5 s"),
    ],
)  # fmt: skip
def test_pip_that_fails(script, words, digits, tmp_path, monkeypatch, capsys):
    """One sentence, and no half of a folder."""
    tool = tmp_path / "python"
    tool.write_text(f"#!{sys.executable}\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tool))
    monkeypatch.setattr(kit, "_PIP_SECONDS", 0.5 if "sleep" in script else 60)
    assert cli.main(["kit", "-o", str(tmp_path / "kit")]) == 2
    assert words in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["python"]
