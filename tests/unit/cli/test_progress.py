"""Progress of long commands: on a terminal each stage is named, and nothing of it stays."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from winogen.cli.main import main
from winogen.common.errors import InputError

LAYERS = (
    "input: {image: [1, 8, 8]}\noutput: {range: [0, 1]}\n"
    "layers: [{name: c, op: conv, cout: 1, k: 3, pad: 1, act: clip01}]\n"
)


@pytest.fixture
def model(tmp_path) -> Path:
    """A network of pictures that compiles in no time."""
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "layers.yaml").write_text(LAYERS)
    weight = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    np.savez(folder / "weights.npz", **{"c.weight": weight, "c.bias": np.zeros(1, np.float32)})
    return folder


@pytest.fixture
def watch(monkeypatch) -> Callable[..., tuple[int, list[str], str]]:
    """Runs a command whose standard error is a terminal.

    Gives its exit code, the lines that were shown and erased, and what has stayed.
    """
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, list[str], str]:
        ours, its = pty.openpty()
        pieces: list[bytes] = []

        def read() -> None:
            while True:
                try:
                    piece = os.read(ours, 1 << 16)
                except OSError:  # on Linux, of a terminal that was closed
                    return
                if not piece:
                    return
                pieces.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patch:
            stream = io.TextIOWrapper(os.fdopen(its, "wb"), line_buffering=True)
            patch.setattr(sys, "stderr", stream)
            code = main([str(a) for a in arguments])
            stream.close()
        reader.join(60)
        os.close(ours)
        assert not reader.is_alive()
        text = b"".join(pieces).decode().replace("\r\n", "\n")
        shown = text.split("\r\x1b[K")
        return (
            code,
            [re.sub(r"  \d+ s$", "", line) for line in shown[1:-1] if line],
            (shown[0] + shown[-1]),
        )

    return run


def test_compile_verify_and_check(watch, model, tmp_path, capsys):
    path = tmp_path / "net.wg"
    code, shown, rest = watch(
        "compile", model, "--board", "tiny", "-o", path, "--report", tmp_path / "r.html"
    )
    assert (code, rest) == (0, "")
    for stage in (
        "calibrating",
        "quantising",
        "measuring",
        "packing weights",
        "scheduling batch 1",
    ):
        assert f"compiling net: {stage}" in shown
    assert f"reading {model}" in shown
    assert "reporting on net: running the float network" in shown
    code, shown, rest = watch("verify", path, "--model", model)
    assert (code, rest) == (0, "")
    assert shown[0] == f"reading {path}"
    for stage in ("running the float network", "running 4 on the emulator", "comparing"):
        assert f"verifying net: {stage}" in shown
    code, shown, rest = watch("check", model, "--board", "tiny")
    assert (code, rest) == (0, "")
    for stage in ("reading", "tiny, 8 bits", "tiny, 16 bits"):
        assert f"checking {model}: {stage}" in shown


def test_explore(watch, monkeypatch):
    """The search itself takes minutes; here it says what it is at, and gives up."""

    def search(self: object, progress: Callable[[int, int], None]) -> None:
        progress(0, 3)
        raise InputError("that is enough")

    monkeypatch.setattr("winogen.fpga.explore.Explorer.search", search)
    code, shown, rest = watch("overlay", "explore", "--network", "digits")
    assert (code, rest) == (2, "winogen: that is enough\n")
    assert "exploring: networks" in shown
    assert shown[-1] == "exploring: array 1 of 3"


def test_kit(watch, monkeypatch, tmp_path):
    def make(folder: Path, board: str, programs: object, stage: Callable[[str], None]) -> None:
        stage("building winogen's wheel")

    monkeypatch.setattr("winogen.cli.board_kit.make_kit", make)
    code, shown, rest = watch("kit", "--board", "pynq-z2", "-o", tmp_path / "kit")
    assert (code, rest) == (0, "")
    assert "kit for pynq-z2: digits, 8 bits: calibrating" in shown
    assert "kit for pynq-z2: digits, 16 bits: packing weights" in shown
    assert shown[-1] == "kit for pynq-z2: building winogen's wheel"


def test_a_warning_stays_and_progress_does_not(watch, model, tmp_path):
    """Inputs beyond the range of pictures."""
    np.save(tmp_path / "x.npy", np.full((2, 1, 8, 8), 9.0, np.float32))
    code, shown, rest = watch(
        "run", model, "--board", "tiny", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy"
    )
    assert code == 0
    stayed = [line for line in [*shown, rest] if line.startswith("winogen: warning: ")]
    assert len(stayed) == 1
    assert any(line.startswith("generating [") for line in shown)
