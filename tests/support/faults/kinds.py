"""Kinds of faults: what happens, and what is right then. One module of this package an area.

A kind is a function that does the harm to a stage, registered by :func:`fault`. Its docstring is
the sentence of the table. Where it is a generator, the fault goes away after its ``yield``, and the
stage must then give what it gives without.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pytest

#: Areas, in the order of the table; the module of each is ``support.faults.<area>``.
AREAS = (
    "device", "memory", "board", "process", "program", "network", "input", "output", "service",
    "cluster", "remote",
)  # fmt: skip
#: Seconds after which a kind hangs, on however slow a machine.
PATIENCE = 60.0


class Stage(Protocol):
    """Something of winogen's at work, as its user has it.

    Attributes
    ----------
    struck : how often the harm was done; it has to be said where nothing is to be seen of it
    left : files that are there afterwards and should not be
    """

    struck: int
    left: list[str]

    def run(self) -> bytes:
        """Do the work; what comes of it, byte for byte the same without a fault."""


#: Makes a stage in a folder of its own, on ``emulator`` or ``rtl``.
Scene = Callable[[Path, str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Expected:
    """What is right: ``by`` is empty for the same bytes, ``told`` for these with a warning,
    ``warning`` for a warning beside a result, and else the name of the error, the exit code or the
    status of an answer. The message holds all of ``words``."""

    by: str = ""
    words: tuple[str, ...] = ()


#: As if nothing had happened.
SAME = Expected()


def refused(by: str, *words: str) -> Expected:
    """Refused by this, in a message with these words."""
    return Expected(by, words)


def warned(*words: str) -> Expected:
    """Done, with a warning."""
    return Expected("warning", words)


def told(*words: str) -> Expected:
    """The same bytes, and a warning with these words."""
    return Expected("told", words)


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes
    ----------
    area, name : what it is called
    what : a sentence: what happens
    passes : whether it goes away, after which all is as without it
    seconds : after which it hangs
    memory : bytes that may be allocated meanwhile; 0 for any number
    long : whether it takes more than about a second
    devices : where it can happen
    """

    area: str
    name: str
    what: str
    scene: Scene
    inject: Callable[..., Any]
    expected: Expected
    passes: bool
    seconds: float = PATIENCE
    memory: int = 0
    long: bool = False
    devices: tuple[str, ...] = ("emulator",)

    def __str__(self) -> str:
        return f"{self.area}: {self.name}"


#: All kinds of the areas that were loaded, by their names.
REGISTRY: dict[str, Fault] = {}


def fault(name: str, scene: Scene, expected: Expected, **more: Any) -> Callable[[Any], Any]:
    """Register a function as a kind of its module's area.

    ``more`` are further fields of :class:`Fault`; ``what`` in place of a docstring.
    """

    def register(inject: Callable[..., Any]) -> Callable[..., Any]:
        function = getattr(inject, "func", inject)  # of a partial one
        area = function.__module__.rpartition(".")[2]
        what = more.pop("what", None) or " ".join((function.__doc__ or "").split())
        passes = inspect.isgeneratorfunction(function)
        kind = Fault(area, name, what, scene, inject, expected, passes, **more)
        assert what and str(kind) not in REGISTRY, kind
        REGISTRY[str(kind)] = kind
        return inject

    return register


def load(*areas: str) -> tuple[list[Fault], dict[str, str]]:
    """The kinds of areas (all), in the table's order; and why areas are left out."""
    missing: dict[str, str] = {}
    for area in areas or AREAS:
        try:
            import_module(f"support.faults.{area}")
        except pytest.skip.Exception as reason:  # an extra that is not installed
            missing[area] = str(reason)
    found = [kind for area in areas or AREAS for kind in REGISTRY.values() if kind.area == area]
    return found, missing
