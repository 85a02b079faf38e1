"""winogen serve: what it refuses, what it says, and the unit that it prints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.bench import small
from support.command_line import refuse, run
from winogen.cli import serve
from winogen.service.unit import systemd_unit

pytest.importorskip("fastapi", reason="serving needs the package fastapi")


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "my net.wg"
    small(batch=4).program.save(path)
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--port", "65536"), "a port is 0 to 65535"),
        (("--host", "no such host"), "cannot listen on no such host"),
        (("--queue", "0"), "the limit waiting must be at least 1"),
        (("--deadline", "nan"), "deadline_s must be a positive number"),
        (("--max-megabytes", "inf"), "body_bytes must be at least 1"),
        (("--gather", "-1"), "gather_s must be 0 to 10"),
        (("--token", "a b"), "no spaces"),
        (("--batch", "2"), "cannot change a compiled program"),
        (("--systemd", "--token", "a"), "everybody may read a unit: leave --token out"),
    ],
)
def test_refusals(capsys, program, out, options, reason):
    port = () if "--port" in options else ("--port", "0")
    assert reason in refuse(capsys, out, "serve", program, *port, *options)


def test_what_is_missing_is_told(capsys, out, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: name != "uvicorn")
    text = refuse(capsys, out, "serve")
    assert "needs the package uvicorn; install it with: pip install 'winogen[serve]'" in text


def test_a_unit(capsys, program, monkeypatch):
    monkeypatch.chdir(program.parent)
    text = run(
        capsys, "serve", "my net.wg", "--device", "board", "--host", "0.0.0.0", "--deadline", 20,
        "--systemd",
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    assert lines["ExecStart"] == (
        f'{sys.executable} -m winogen serve "{program}" --device board --host 0.0.0.0 --deadline 20'
    )
    assert lines["User"] == "root" and lines["TimeoutStopSec"] == "35"
    assert lines["WorkingDirectory"] == str(program.parent)
    assert lines["WantedBy"] == "multi-user.target"
    if shutil.which("systemd-analyze"):
        unit = program.parent / "winogen.service"
        unit.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
        )
        assert "winogen.service" not in done.stderr, done.stderr


def test_words_of_a_unit_are_not_expanded():
    text = systemd_unit(["/bin/x", "50%", "$HOME", 'a "b" \\c', ""], Path("/a%b"), 1.2)
    assert 'ExecStart=/bin/x 50%% $$HOME "a \\"b\\" \\\\c" ""' in text
    assert "WorkingDirectory=/a%%b" in text and "DynamicUser=yes" in text
