"""How the steps and minutes of a fit are divided: in floating point, in integers, for exits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from winogen.common.errors import InputError
from winogen.compiler.calibrate import Observed
from winogen.compression.inputs import Source
from winogen.compression.options import FitOptions
from winogen.compression.pretrain import Pretrainer, asked_of
from winogen.compression.recipe import Recipe
from winogen.compression.train import Distiller, Training, steps_of
from winogen.network.graph import Graph

STEPS, EXAMPLES = 2000, 32
#: Of the minutes, for training itself: the rest is measuring.
USED = 0.85
#: Steps that tell how long one takes.
_TIMED = 3
#: Of a student's steps, or of its time, for training in floating point.
_FLOAT = 0.67


def unbounded(options: FitOptions, usual: int = STEPS) -> Training:
    """The training that options ask for, but for the minutes; ``usual`` steps if they say none.

    Raises InputError where torch does not have the device.
    """
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU here: leave --train-on out, or say --train-on cpu")
    steps, examples = options.steps or usual, options.examples or EXAMPLES
    return Training(steps, examples, seed=options.seed or 0, device=device)


def bounded(
    training: Training,
    options: FitOptions,
    checkpoint: Path | None,
    seconds_a_step: Callable[[Training], float],
) -> Training:
    """The training within the minutes that options give, if they do.

    Its steps are those that fit by ``seconds_a_step``, or those of the checkpoint if that is there.
    """
    if options.minutes is None:
        return training
    seconds = 60 * options.minutes
    until = time.monotonic() + seconds
    if options.steps is None and checkpoint is not None and checkpoint.exists():
        training = replace(training, steps=steps_of(checkpoint))  # that were measured then
    elif options.steps is None:
        training = replace(training, steps=max(int(USED * seconds / seconds_a_step(training)), 1))
    return replace(training, until=until)


def seconds_of(step: Callable[[], None]) -> float:
    """What a step takes, measured on some that are thrown away, the first of them not counted."""
    step()
    start = time.monotonic()
    for _ in range(_TIMED):
        step()
    return (time.monotonic() - start) / _TIMED


def pretraining_of(checkpoint: Path) -> Path:
    """Where what a student learned in floating point is kept beside a checkpoint."""
    return checkpoint.with_suffix(".pretraining")


@dataclass(frozen=True)
class Stages:
    """The trainings of a fit that go one after the other.

    Attributes
    ----------
    teacher : of a student that learns in floating point first; None: there is no such stage
    sparing : how many times as long one training in integers may take as there is time for; those
        of a search are several
    """

    observed: Observed
    teacher: Graph | None
    source: Source
    options: FitOptions
    checkpoint: Path | None
    sparing: float = 1.0

    def of(self, training: Training) -> tuple[Training | None, Training]:
        """The training in floating point, and that in integers, within the time of ``training``."""
        share = 0.0 if self.teacher is None else _FLOAT
        floats = min(int(share * training.steps), training.steps - 1)
        integers = training.steps - floats
        then = None
        if training.until is not None:
            now = time.monotonic()
            then = now + share * (training.until - now)
            if self.options.steps is None:
                floats, integers = self._measured(training)
        first = replace(training, steps=floats, until=then) if floats else None
        return first, replace(training, steps=integers)

    def _measured(self, training: Training) -> tuple[int, int]:
        """Steps in floating point and in integers for the time, or as measured before."""
        assert training.until is not None
        if self.checkpoint is not None:
            earlier = pretraining_of(self.checkpoint)
            if self.teacher is not None and earlier.exists():
                return asked_of(earlier)
            if self.teacher is None and self.checkpoint.exists():
                return 0, steps_of(self.checkpoint)
        seconds = USED * (training.until - time.monotonic())
        few = replace(training, steps=100)  # of which few are taken
        distiller = Distiller(self.observed, Recipe(), few, source=self.source)
        share = 0.0 if self.teacher is None else _FLOAT
        integers = (1 - share) * seconds / seconds_of(distiller.step) / self.sparing
        if self.teacher is None:
            return 0, max(int(integers), 1)
        pretrainer = Pretrainer(self.observed.graph, self.teacher, few, self.source)
        floats = share * seconds / seconds_of(pretrainer.step)
        return max(int(floats), 1), max(int(integers), 1)
