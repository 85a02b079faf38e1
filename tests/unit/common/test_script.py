"""Scripts: exit codes, and a sentence in place of a traceback."""

from __future__ import annotations

import sys

import pytest

from winogen.common.errors import DeviceError
from winogen.common.script import run_script


def fails(error: Exception):
    def main() -> int:
        raise error

    return main


@pytest.fixture(autouse=True)
def name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks/some.py"])


@pytest.mark.parametrize("code, ends", [(None, 0), (0, 0), (1, 1)])
def test_a_script_ends_as_its_main_does(code, ends):
    assert run_script(lambda: code) == ends


@pytest.mark.parametrize(
    "error, said",
    [
        (DeviceError("placement needs a placer"), "some.py: placement needs a placer\n"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            "some.py: the package torch.nn is not installed: pip install torch\n",
        ),
    ],
)
def test_what_has_a_message_is_a_sentence(error, said, capsys):
    assert run_script(fails(error)) == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [ValueError("a bug"), ModuleNotFoundError("", name="winogen.x")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run_script(fails(error))
