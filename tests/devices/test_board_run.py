"""``pytest --device board``: the conformance suite on a board, here on a stand-in for one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import DRIVER, ROOT, TESTS
from winogen.runtime.open import emulated_device
from winogen.target.board import load_board

DEADLINE = 120


@pytest.fixture
def board(tmp_path):
    """Run pytest on a machine with a fake board; returns its exit code and what it printed."""

    def run(*arguments: str, build: str = "pynq-z2 8", fault: str = "", **environment: str):
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (DRIVER, TESTS))),
            "BOARD": "Pynq-Z2",
            "FAKE_BOARD": build,
            "FAKE_FAULT": fault,
            "FAKE_LOCKS": str(tmp_path),
            "PYTEST_ADDOPTS": "",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "fakes.board", "-p", "no:cacheprovider",
             "-p", "no:xdist", "--device", "board", *arguments],
            cwd=ROOT, env=variables, capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def bitstream(folder: Path, name: str = "pynq-z2", bits: int = 8) -> str:
    """What the fake board takes for one."""
    return str(emulated_device(load_board(name, bits)).ensure_overlay(folder))


def counts(text: str) -> dict[str, int]:
    """How many tests passed, failed and so on, by pytest's last line."""
    return {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", text.splitlines()[-1])}


def loads(text: str) -> int:
    return len(re.findall("fake-board: .* is loaded", text))


def test_the_suite_runs_on_the_board_and_its_build_alone(board, tmp_path):
    """Both of the suite's boards become this one, its overlay is loaded once."""
    path = bitstream(tmp_path)
    code, text = board("-s", "-k", "conv-1x1 or test_batches", f"--overlay={path}")
    assert code == 0, text
    assert f"board: pynq-z2, int8 build, overlay {path}" in text
    assert counts(text)["passed"] == 6  # a layer, and five batches of 8 bits
    assert loads(text) == 1
    assert "test_batches[board-16" not in text


@pytest.mark.parametrize(
    ("name", "page"), [("pynq-z2", "board-pynq-z1-z2"), ("zcu104", "board-zcu104")]
)
def test_the_guides_say_how_many_tests_there_are(board, tmp_path, name, page):
    """They are chosen once the board is open; none of them runs here."""
    code, text = board(
        "--setup-plan", f"--overlay={bitstream(tmp_path, name)}", build=f"{name} 8", BOARD=name
    )
    assert code == 0, text
    [count] = re.findall(r"(\d+) selected", text)
    guide = (ROOT / "docs" / "start" / f"{page}.md").read_text(encoding="utf-8")
    assert f"`{count} passed`" in guide


def test_a_16_bit_build(board, tmp_path):
    path = bitstream(tmp_path, "pynq-z2", 16)
    arguments = ["-v", "-k", "conv-1x1 or last_bit or slopes", f"--overlay={path}", "--bits", "16"]
    code, text = board(*arguments, build="pynq-z2 16")
    assert code == 0, text
    assert "board: pynq-z2, int16 build" in text
    assert "-16] PASSED" in text and "-8]" not in text
    assert counts(text)["passed"] == 6


def test_a_stream_that_does_not_end_fails_its_test_alone(board, tmp_path):
    code, text = board(
        "-s", "-k", "every_layer and conv", f"--overlay={bitstream(tmp_path)}", fault="hang"
    )
    assert code == 1
    assert counts(text)["failed"] == 1 and counts(text)["passed"] > 5
    assert "the accelerator did not finish within" in text
    assert loads(text) == 2  # once more after the failure


def test_wrong_bits_are_found(board, tmp_path):
    code, text = board(
        "-k", "conv-1x1 or linear", f"--overlay={bitstream(tmp_path)}", fault="wrong"
    )
    assert code == 1
    assert counts(text)["failed"] >= 2 and "passed" not in counts(text)
    assert "Mismatched elements" in text


def refusal(outcome: tuple[int, str]) -> str:
    """The one line of a run that could not begin."""
    code, text = outcome
    assert code == 4, text
    [line] = [x for x in text.splitlines() if x.strip() and not x.startswith("fake-board")]
    assert line.startswith("ERROR: ")
    return line


def test_no_bitstream(board):
    line = refusal(board())
    assert "there is no int8 bitstream for pynq-z2 yet; build one with 'winogen overlay" in line


def test_an_overlay_that_is_not_there(board, tmp_path):
    line = refusal(board(f"--overlay={tmp_path / 'none.bit'}"))
    assert "none.bit does not exist" in line


def test_the_overlay_of_another_build(board, tmp_path):
    line = refusal(board(f"--overlay={bitstream(tmp_path, 'tiny')}", build="tiny 8"))
    assert "is of build configuration" in line and "pynq-z2 with 8-bit data is" in line


def test_no_accelerator_answers(board, tmp_path):
    line = refusal(board(f"--overlay={bitstream(tmp_path)}", fault="dead"))
    assert "register MAGIC reads 0x00000000" in line


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "BOARD does not say which board this is"), ("Ultra96", "unknown board 'ultra96'")],
)
def test_boards_that_are_not_known(board, name, words):
    assert words in refusal(board(BOARD=name))


def test_options_that_mean_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--bits", "8"],
        cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "--overlay and --bits are for --device board" in done.stderr


def test_devices_that_are_simulated():
    """The same option with other devices, several at once, and no test of anything else."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q",
         "--device", "emulator", "--device", "machine", "--collect-only"],
        cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"^tests/(\S+)::", done.stdout, re.M)) == {"devices/test_conformance.py"}
    assert set(re.findall(r"\[(\w+)-", done.stdout)) == {"emulator", "machine"}
