"""All SystemVerilog is laid out as verible-verilog-format does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import HARDWARE, ROOT, TESTS

FLAGS = HARDWARE / "verible.flags"
FILES = sorted(path for folder in (HARDWARE, TESTS) for path in folder.rglob("*.sv"))


def formatted(*files: Path) -> subprocess.CompletedProcess[str]:
    """What the formatter makes of files. (Its --verify is content with one that it cannot read.)"""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("verible-verilog-format", path=path)
    if program is None:
        pytest.skip("needs verible")
    command = [program, f"--flagfile={FLAGS}", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_formatted(path: Path) -> None:
    done = formatted(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == path.read_text(), (
        f"run: verible-verilog-format --flagfile={FLAGS.relative_to(ROOT)} --inplace "
        f"{path.relative_to(ROOT)}"
    )


def test_there_are_files() -> None:
    assert {path.stem for path in FILES} >= {"winogen_core", "winogen_open", "fv_fifo", "tb_units"}


def test_another_layout_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "bad.sv"
    path.write_text("module bad (input logic a_i);\nendmodule\n")
    done = formatted(path)
    assert done.returncode == 0
    assert done.stdout == "module bad (\n  input logic a_i\n);\nendmodule\n"


def test_a_file_that_cannot_be_read_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "bad.sv"
    path.write_text("module bad (;\nendmodule\n")
    done = formatted(path)
    assert done.returncode != 0
    assert "syntax error" in done.stderr
