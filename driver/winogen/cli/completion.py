"""Completion of the command line in a shell, by argcomplete (the extra ``completion``).

The shell runs the command with ``_ARGCOMPLETE`` set; only then is argcomplete imported.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from winogen.target.device_names import AUTO, DEVICES, REMOTE

#: What the shell sets where it asks for completions.
VARIABLE = "_ARGCOMPLETE"

_PROGRAM = (".wg",)
_WEIGHTS = (".npz", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".safetensors")
_NETWORK = (".onnx", *_WEIGHTS)

#: Commands whose model is no program.
_WITHOUT_PROGRAM = ("compile", "compare")

Completer = Callable[..., Iterator[str]]


def complete(parser: argparse.ArgumentParser, **how: Any) -> None:
    """Answer the shell and end the process; ``how`` is for :func:`argcomplete.autocomplete`.

    Does nothing where argcomplete is not installed: the shell then completes names of files.
    """
    try:
        import argcomplete
    except ImportError:
        return
    _attach(parser, "")
    argcomplete.autocomplete(parser, **how)


def _attach(parser: argparse.ArgumentParser, command: str) -> None:
    """Give every argument of a parser, and of those below it, what completes it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                _attach(below, name)
        elif completer := _completer(action, command):
            vars(action)["completer"] = completer


def _completer(action: argparse.Action, command: str) -> Completer | None:
    """What completes an argument; None where choices or any file do."""
    if "--device" in action.option_strings:
        return lambda **_: iter((*DEVICES, AUTO, f"{REMOTE}:"))
    if "--onnx" in action.option_strings:
        return _words((), (".onnx",))
    if action.dest == "board":
        return _words(_boards, (".yaml", ".yml"))
    if action.dest in ("program", "programs"):
        return _words((), _PROGRAM)
    if action.dest == "networks":
        return lambda **_: iter(_models())
    if action.dest in ("model", "models", "network"):
        program = () if action.option_strings or command in _WITHOUT_PROGRAM else _PROGRAM
        definition = (".yaml", ".yml") if command == "check" else ()
        return _words(_models, (*_NETWORK, *program, *definition))
    if action.dest == "weights":
        return _words((), _WEIGHTS)
    return None


def _boards() -> list[str]:
    from winogen.target.board import board_names

    return board_names()


def _models() -> list[str]:
    from winogen.network.zoo import model_names

    return model_names()


def _words(names: Callable[[], list[str]] | tuple[()], suffixes: tuple[str, ...]) -> Completer:
    """Names, files that end so, and folders, which may hold some."""

    def completer(prefix: str = "", **_: Any) -> Iterator[str]:
        if names:
            yield from names()
        yield from _files(prefix, suffixes)

    return completer


def _files(prefix: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    folder, _, start = prefix.rpartition("/")
    where = f"{folder}/" if "/" in prefix else ""
    try:
        entries = sorted(os.scandir(Path(where or ".").expanduser()), key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            yield f"{where}{entry.name}/"
        elif entry.name.lower().endswith(suffixes):
            yield f"{where}{entry.name}"
