"""Tables that fit the terminal, progress that stays on its line, and names that were meant."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Callable

import pytest

from winogen.common.progress import Progress, free_line
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
    monkeypatch.setattr("winogen.common.progress._TICK_SECONDS", 1e3)
    stream = Terminal()
    with Progress("compiling a network with a long name", 7, stream) as progress:
        progress.update(3)
        progress.stage("packing the weights of all its layers")
    shown = stream.getvalue().split("\r\x1b[K")
    assert len(shown) == 5 and shown[-1] == ""
    assert all(len(line) < 40 and "\n" not in line for line in shown)
    assert re.search(r"\.\.\.  \d+ s$", shown[2])
    assert not re.search(r"\x1b\[[0-9;]*m", stream.getvalue())  # no colour to turn off


def lines(stream: Terminal) -> list[str]:
    """What has stood on the line, one after the other, without the seconds."""
    return [re.sub(r"  \d+ s$", "", text) for text in stream.getvalue().split("\r\x1b[K")]


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    """A terminal on which progress is written anew without delay."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("winogen.common.progress._TICK_SECONDS", 0.01)
    return Terminal()


def test_progress_goes_on_while_the_work_is_silent(terminal):
    """And it is over when the work is: nothing is written after its end."""
    with Progress("compiling", stream=terminal) as progress:
        wait_for(lambda: lines(terminal).count("compiling") > 2)
        progress.stage("packing")
        wait_for(lambda: lines(terminal).count("compiling: packing") > 2)
    assert lines(terminal)[-1] == ""
    assert not [t for t in threading.enumerate() if t.name == "progress"]


def test_progress_within_another_takes_its_place(terminal):
    with Progress("outer", stream=terminal):
        with Progress("inner", stream=terminal):
            wait_for(lambda: lines(terminal).count("inner") > 2)
            since = lines(terminal).index("inner")
            assert set(lines(terminal)[since:]) == {"inner"}
        before = lines(terminal).count("outer")
        wait_for(lambda: lines(terminal).count("outer") > before)


def test_what_is_to_stay_has_a_line_of_its_own(terminal):
    with Progress("compiling", stream=terminal):
        for _ in range(50):
            with free_line(terminal):
                terminal.write("winogen: ")
                time.sleep(0.001)
                terminal.write("warning\n")
    assert terminal.getvalue().count("\r\x1b[Kwinogen: warning\n") == 50


def test_a_terminal_that_is_gone_ends_no_work(monkeypatch, terminal):
    with Progress("compiling", stream=terminal):
        wait_for(lambda: lines(terminal).count("compiling") > 1)
        failed = threading.Event()

        def fail(text: str) -> int:
            failed.set()
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(terminal, "write", fail)
        wait_for(failed.is_set)
        monkeypatch.undo()


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
