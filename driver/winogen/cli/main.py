# PYTHON_ARGCOMPLETE_OK: completion in shells that ask every Python program for it
"""The command line: ``winogen models | check | compile | run | verify | info | doctor | ...``."""

from __future__ import annotations

import argparse
import atexit
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from winogen import __version__
from winogen.cli import (
    bench,
    check,
    compare,
    compile,
    completion,
    doctor,
    fit,
    inspect,
    kit,
    overlay,
    run,
    serve,
    verify,
    worker,
)
from winogen.cli.answers import answer, refusal
from winogen.cli.parser import Parser, examples
from winogen.common.errors import (
    InputError,
    WinogenError,
    WinogenWarning,
    joined_lines,
    one_line,
)
from winogen.common.progress import free_line
from winogen.common.text import printable

_EXAMPLES = examples(
    ("winogen models", "what there is to run"),
    (
        "winogen run digits --seed 7 -n 16 -o digits.png",
        "a sheet of images, emulated",
    ),
    ("winogen check generator.onnx", "does it run, how fast, what does not?"),
    ("winogen compile digits -o digits.wg", "a program file for a board"),
    ("winogen compile generator.onnx --calib latents.npy -o generator.wg", "a network of your own"),
    ("winogen run digits.wg -o digits.png", "run a program file"),
    ("winogen verify digits.wg --model digits", "where it differs from the float network"),
    ("winogen run fsrcnn-x2 --input photo.jpg -o big.png", "a picture, twice as large"),
    ("winogen serve digits", "a page to play with, and an HTTP API"),
    ("winogen worker tcp://lab:8786 --device board", "this board for a cluster"),
    ("winogen info digits.wg", "what a program does and needs"),
    ("winogen disasm digits.wg --batch 1", "its instructions"),
    ("winogen doctor", "does everything here work?"),
    ("winogen compare digits -o page.html", "on all that can run it, with pictures"),
    ("winogen bench --quick", "beside the paper and its peers"),
    ("winogen overlay report --board pynq-z2", "what the logic takes of the board's FPGA"),
    ("winogen overlay build --board pynq-z2 --tool vivado", "a bitstream"),
    ("winogen kit --board pynq-z2 -o kit", "a folder to copy to the board"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (2 for an error that has a message)."""
    _open_closed_streams()
    parser = _parser()
    if completion.VARIABLE in os.environ and arguments is None:
        completion.complete(parser)
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    told: list[str] = []
    try:
        with _terminable(), _warnings_as_lines(told), _for_machines(options, told):
            _check_folder()
            code = options.command(options)
        sys.stdout.flush()
        return int(code or 0)
    except (WinogenError, MemoryError) as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        # Torch takes a second to leave: who is impatient then is shown no traceback of it.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        print("winogen: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough, as in `| head`
        _drop_output()
        return 0
    except OSError as error:
        _complain(error)
        _drop_output()
        return 2


def _complain(error: BaseException) -> None:
    """Say what ended the command, and no more of its lines than there are.

    Line by line: what a file or a name brings along must not command the terminal.
    """
    lines = map(printable, _sentence(error).split("\n"))
    print("winogen: " + "\n".join(lines), file=sys.stderr)


def _open_closed_streams() -> None:
    """Give the null device for each standard stream that was closed, as ``>&-`` does.

    Else the next file that is opened would be standard output, and get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115


def _drop_output() -> None:
    """Let go of what standard output does not take: Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_folder() -> None:
    """Refuse a working directory that is gone: libraries ask for it, and name nothing."""
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(
            f"the working directory cannot be used ({error.strerror}); change to another folder"
        ) from None


@contextmanager
def _for_machines(options: argparse.Namespace, told: list[str]) -> Iterator[None]:
    """With ``--json``, one object on standard output and all else on standard error."""
    if not getattr(options, "as_json", False):
        yield
        return
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (WinogenError, MemoryError, OSError) as error:
        if not isinstance(error, BrokenPipeError):
            print(refusal(_sentence(error), told))
        raise
    print(answer(options.result, told))


def _sentence(error: BaseException) -> str:
    """What a command says of the error that ended it."""
    if isinstance(error, WinogenError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this; ask for fewer or smaller images"
    # Of the system: a name that is too long, a disk that is full.
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    return f"{where}{one_line(error)}"


@contextmanager
def _warnings_as_lines(told: list[str]) -> Iterator[None]:
    """What winogen warns of is a line on standard error, once; ``told`` gets it too."""
    others = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        if not issubclass(category, WinogenWarning):
            others(message, category, filename, lineno, file, line)
        elif str(message) not in told:
            told.append(str(message))
            with free_line(sys.stderr):
                print(f"winogen: warning: {printable(joined_lines(str(message)))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", WinogenWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the command as an exception does: a device is reset, a child is killed."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="winogen",
        description="Compile trained generator networks and run them on a PYNQ board's "
        "Winograd-deconvolution accelerator, or on its emulation.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"winogen {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    for module in (
        inspect,
        check,
        compile,
        fit,
        run,
        serve,
        worker,
        verify,
        compare,
        doctor,
        bench,
        overlay,
        kit,
    ):
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
