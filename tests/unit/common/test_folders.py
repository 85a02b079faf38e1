"""The user's cache, and where there is none."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.bench import small
from support.places import DRIVER
from winogen.common import folders
from winogen.common.errors import InputError, WinogenWarning
from winogen.common.folders import cache_folder, writable_folder
from winogen.runtime.generator import Generator


@pytest.fixture
def blocked(monkeypatch, tmp_path) -> Path:
    """A cache that nobody can write, not even root."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(folders, "_spare", None)
    return tmp_path / "file"


def test_the_cache_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    folder = cache_folder("kind") / "x"
    assert writable_folder(folder) == folder == tmp_path / "new" / "winogen" / "kind" / "x"
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home(monkeypatch):
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(folders.Path, "home", none)
    assert cache_folder("kind") == Path("/nonexistent/.cache/winogen/kind")


def test_a_generator_runs_without_a_cache(blocked):
    with pytest.warns(WinogenWarning, match=r"cannot be written .* Set XDG_CACHE_HOME to a folder"):
        generator = Generator(small().program, "emulator")
    with generator:
        assert generator.generate(generator.latents(1)).shape[0] == 1
        assert Path(generator.overlay.bitfile_name).is_relative_to(tempfile.gettempdir())


def test_a_cache_that_is_only_read_is_used(monkeypatch, tmp_path):
    """As one that an image brings along."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Generator(small().program, "emulator") as generator:
        path = generator.overlay.bitfile_name
    monkeypatch.setattr("winogen.emulation.device.emulated.writable_folder", pytest.fail)
    with Generator(small().program, "emulator") as generator:
        assert generator.overlay.bitfile_name == path


def test_neither_a_cache_nor_a_temporary_folder(blocked, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(blocked))
    with pytest.raises(InputError, match=r"neither the cache .* set XDG_CACHE_HOME to a folder"):
        Generator(small().program, "emulator")


def run(arguments: list[str], blocked: Path, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore:Distutils", "-W", "ignore:Setuptools", "-m", "winogen",
         *arguments],
        env={"PYTHONPATH": str(DRIVER), "XDG_CACHE_HOME": str(blocked), "PATH": "/usr/bin:/bin",
             "TMPDIR": str(folder), "SETUPTOOLS_USE_DISTUTILS": "stdlib"},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip


def test_the_command_says_it_in_a_line_and_leaves_nothing(blocked, tmp_path):
    spare, out = tmp_path / "spare", tmp_path / "a.npy"
    spare.mkdir()
    done = run(["run", "digits", "--board", "tiny", "-n", "1", "-o", str(out)], blocked, spare)
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    [line] = [x for x in done.stderr.splitlines() if "cache" in x]
    assert line.startswith("winogen: warning: the cache ")
    assert line.endswith("Set XDG_CACHE_HOME to a folder that can be written")
    assert "WinogenWarning" not in done.stderr
    assert list(spare.iterdir()) == []


GONE = """
import os, sys, tempfile
folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
"""


def test_python_in_a_working_directory_that_is_gone():
    code = "import winogen\ntry: winogen.Generator\nexcept winogen.WinogenError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GONE + code],
        env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.stdout == (
        "pynq cannot be imported: the working directory cannot be used (No such file or "
        "directory); change to another folder\n"
    )


def test_a_working_directory_that_is_gone():
    """Whatever a command needs it for, it says so."""
    code = f"{GONE}\nfrom winogen.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    for arguments in (
        ["run", "digits", "--board", "tiny", "-o", "a.png"],
        ["compile", "digits", "--board", "tiny", "-o", "a.wg"],
        ["info", "a.wg"],
        ["models"],
        ["kit", "--board", "pynq-z2", "-o", "kit"],
    ):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "winogen: the working directory cannot be used (No such file or directory); change to "
            "another folder\n"
        )
