"""Tables that fit the terminal, progress that stays on its line, and names that were meant."""

from __future__ import annotations

import io
import re
import sys

import pytest

from winogen.common.progress import Progress
from winogen.common.text import did_you_mean, meant, table

HEADER = ["layer", "mode", "cycles", "ratio"]
ROWS = [["deconv1", "direct", "1,000", "1.5"], ["out", "winograd", "20", "0.25"]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def narrow(monkeypatch):
    """Makes standard output a terminal of so many columns."""

    def make(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", Terminal())

    return make


def test_a_table_is_whole_where_no_terminal_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert table(HEADER, ROWS, left=2) == (
        "layer    mode      cycles  ratio\n"
        "-------  --------  ------  -----\n"
        "deconv1  direct     1,000    1.5\n"
        "out      winograd      20   0.25"
    )


def test_columns_that_do_not_fit_come_below(narrow):
    narrow(32)
    assert "\n\n" not in table(HEADER, ROWS, left=2)
    narrow(31)
    assert table(HEADER, ROWS, left=2) == (
        "layer    mode      cycles\n"
        "-------  --------  ------\n"
        "deconv1  direct     1,000\n"
        "out      winograd      20\n"
        "\n"
        "layer    ratio\n"
        "-------  -----\n"
        "deconv1    1.5\n"
        "out       0.25"
    )


@pytest.mark.parametrize("columns", range(20, 60, 7))
def test_every_value_is_shown_whatever_the_width(columns, narrow):
    narrow(columns)
    text = table(HEADER, ROWS, left=2)
    assert all(len(line) <= columns for line in text.splitlines())
    for value in (v for row in ROWS for v in row):
        assert value in text


def test_progress_never_takes_more_than_a_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress("compiling a network with a long name", 7, stream) as progress:
        progress.update(3)
        progress.stage("packing the weights of all its layers")
    shown = stream.getvalue().split("\r\x1b[K")
    assert len(shown) == 5 and shown[-1] == ""
    assert all(len(line) < 40 and "\n" not in line for line in shown)
    assert re.search(r"\.\.\.  \d+ s$", shown[2])
    assert not re.search(r"\x1b\[[0-9;]*m", stream.getvalue())  # no colour to turn off


def test_a_terminal_that_cannot_erase_shows_no_progress(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress("compiling", 7, stream) as progress:
        progress.update(3)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("dcgan", ["dcgan-4x4", "dcgan-5x5"]), ("DCGAN_4x4", ["dcgan-4x4"]),
        ("discgan", ["discogan"]), ("5x5", ["dcgan-5x5"]), ("digist", ["digits"]),
        ("", []), ("resnet", []), ("x", []),
    ],
)  # fmt: skip
def test_names_that_were_meant(word, names):
    known = ["dcgan-4x4", "dcgan-5x5", "digits", "discogan"]
    assert meant(word, known) == names
    hint = did_you_mean(word, known)
    assert hint == (f"did you mean {' or '.join(map(repr, names))}? " if names else "")
