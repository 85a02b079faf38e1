"""Checkpoints: what a training has come to, in a file that it goes on from.

A file says by a key which training it is of: of the same network, options and inputs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from winogen.common.errors import InputError
from winogen.common.files import write_atomically
from winogen.compression.limits import MAX_STEPS


def write(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write what a training has come to, whole or not at all."""
    stream = io.BytesIO()
    torch.save({"key": key, **state}, stream)
    write_atomically(path, stream.getvalue())


@contextmanager
def read(path: Path, key: str) -> Iterator[dict[str, Any]]:
    """What :func:`write` wrote.

    Raises InputError where it is of another training, or damaged, which shows while it is used.
    """
    with _damage_told(path):
        state = _loaded(path)
        if state["key"] != key:
            raise InputError(
                f"{path} is the checkpoint of another training: remove it, or give the same "
                "network and options to go on"
            )
        yield state


def steps_of(path: Path) -> int:
    """The steps of the training that a checkpoint is of; InputError where it is none."""
    return _counts(path, 1, "asked")[0]


def asked_of(path: Path) -> tuple[int, int]:
    """The steps in floating point and in integers of a training; InputError where it is none."""
    first, later = _counts(path, 1, "asked", "later")
    return first, later


def tried_of(path: Path) -> int:
    """The steps of each trial that a student's widths were found by, 0 if there were none.

    Raises InputError where the file is no checkpoint.
    """
    return _counts(path, 0, "tried")[0]


def plan_of(path: Path) -> str:
    """How weights are to be held, as the training of a checkpoint was told; '' if it was not.

    Raises InputError where the file is no checkpoint.
    """
    with _damage_told(path):
        return str(_loaded(path)["plan"])


def _counts(path: Path, least: int, *names: str) -> list[int]:
    """Numbers of steps in a checkpoint."""
    with _damage_told(path):
        state = _loaded(path)
        found = [int(state[name]) for name in names]
        if not all(least <= number <= MAX_STEPS for number in found):
            raise ValueError(found)
        return found


def _loaded(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """InputError for whatever torch makes of a damaged checkpoint while it is read."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever torch makes of a damaged file
        raise InputError(
            f"cannot go on from the checkpoint {path}: it is damaged, or of another version "
            f"of winogen ({type(error).__name__}); remove it to begin anew"
        ) from None
