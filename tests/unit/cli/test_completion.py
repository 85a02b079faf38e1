"""Completion in a shell: what argcomplete is answered, and that nobody else pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import DRIVER
from winogen.cli import main as cli
from winogen.network import zoo
from winogen.target.board import board_names

pytest.importorskip("argcomplete")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, with a file of each kind."""
    for name in ("net.onnx", "net.pth", "net.wg", "net.txt", "net.yaml", ".hidden.wg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "deep.wg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def protocol(line: str) -> dict[str, str]:
    """What bash sets when the cursor is behind ``line``."""
    return {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }


#: A process that completes line after line: argcomplete takes file descriptors for its own.
_CHILD = """
import io, json, os, sys
from winogen.cli import completion, main

def end(code=0):
    assert not code
    raise SystemExit

found = {}
for line, variables in json.load(sys.stdin).items():
    os.environ.update(variables)
    stream = io.StringIO()
    try:
        completion.complete(main._parser(), exit_method=end, output_stream=stream)
    except SystemExit:
        found[line] = stream.getvalue().split("\\n")
json.dump(found, sys.stdout)
"""


def completed(*lines: str) -> dict[str, set[str]]:
    """The completions of each line."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps({line: protocol(line) for line in lines}),
        env={**os.environ, "PYTHONPATH": str(DRIVER)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == list(lines)
    return {line: {w.strip() for w in words if w.strip()} for line, words in found.items()}


FILES = {
    "compile": {"net.onnx", "net.pth"},
    "run": {"net.onnx", "net.pth", "net.wg"},
    "info": {"net.onnx", "net.pth", "net.wg"},
    "check": {"net.onnx", "net.pth", "net.wg", "net.yaml"},
}


def test_models_are_names_files_and_folders(folder):
    lines = {c: [f"winogen {c} {start}" for start in ("", "net", "dcgan-")] for c in FILES}
    found = completed(*(line for three in lines.values() for line in three))
    for command, (every, net, name) in lines.items():
        words = {word for word in found[every] if not word.startswith("-")}
        assert words == {*zoo.model_names(), *FILES[command], "nets/"}
        assert found[net] == {*FILES[command], "nets/"}
        assert found[name] == {"dcgan-4x4", "dcgan-5x5"}


def test_words(folder):
    wanted = {
        "winogen com": {"compare", "compile"},
        "winogen bench --networks fsrcnn-x2 dcgan-5": {"dcgan-5x5"},
        "winogen compare dig": {"digits", "digits-fitted"},
        "winogen run --dev": {"--device"},
        "winogen run digits --device e": {"emulator"},
        "winogen run nets/": {"nets/deep.wg"},
        "winogen disasm ne": {"net.wg", "nets/"},
        "winogen kit ne": {"net.wg", "nets/"},
        "winogen serve digits ne": {"net.onnx", "net.pth", "net.wg", "nets/"},
        "winogen verify net.wg --model dig": {"digits", "digits-fitted"},
        "winogen verify net.wg --onnx net": {"net.onnx", "nets/"},
        "winogen compile digits --weights net": {"net.pth", "nets/"},
        "winogen overlay explore --network dcgan-5": {"dcgan-5x5"},
        "winogen run nowhere/": set(),
    }
    assert completed(*wanted) == wanted


def test_boards(folder):
    commands = ("compile digits", "check digits", "doctor", "overlay report")
    found = completed(*(f"winogen {c} --board {s}" for c in commands for s in ("", "zc")))
    for line, words in found.items():
        every = {*board_names(), "net.yaml", "nets/"}
        assert words == ({"zcu104"} if line.endswith("zc") else every)


def test_the_command_answers_a_shell(folder):
    path = folder / "answer"
    done = subprocess.run(
        [sys.executable, "-m", "winogen"],
        env={**os.environ, **protocol("winogen check fsrcnn-x"), "PYTHONPATH": str(DRIVER),
             "_ARGCOMPLETE_STDOUT_FILENAME": str(path)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {w.strip() for w in path.read_text().split()} == {f"fsrcnn-x{n}" for n in (2, 3, 4)}


def test_without_argcomplete_the_command_runs(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setattr(sys, "argv", ["winogen", "models"])
    assert cli.main() == 0
    assert "digits" in capsys.readouterr().out


def test_a_command_does_not_import_argcomplete():
    code = (
        "import sys; from winogen.cli.main import main; main(['models']); "
        "assert 'argcomplete' not in sys.modules"
    )
    environment = {k: v for k, v in os.environ.items() if k != "_ARGCOMPLETE"}
    environment["PYTHONPATH"] = str(DRIVER)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=300,
                   stdout=subprocess.DEVNULL)  # fmt: skip


@pytest.mark.parametrize("module", ["cli/main.py", "__main__.py"])
def test_shells_that_ask_every_program_find_the_mark(module):
    """argcomplete looks for it in the first kilobyte."""
    assert b"PYTHON_ARGCOMPLETE_OK" in (DRIVER / "winogen" / module).read_bytes()[:1024]
