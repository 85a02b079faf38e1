"""Time and steps: what options allow, and what a step takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from winogen.common.errors import InputError
from winogen.compression import clock
from winogen.compression.checkpoint import steps_of
from winogen.compression.options import FitOptions

STEPS, EXAMPLES = 2000, 32
#: Of the minutes, for training itself: the rest is measuring.
USED = 0.85
#: Steps that tell how long one takes.
_TIMED = 3
#: What follows training, as a multiple of what came before it: that once more, and compiling.
_CLOSING = 2.0


@dataclass(frozen=True)
class Training:
    """How long and how fast to train.

    Attributes
    ----------
    steps : of the optimiser (Adam), each on ``batch`` new inputs
    rate : what a step changes weights by at most, as a share of their own size; None: as the
        recipe needs
    seed : of the inputs that are drawn, and of all else
    until : when it ends early, with the best so far (of :func:`winogen.compression.clock.now`);
        None: never
    device : where torch computes
    """

    steps: int
    batch: int = 32
    rate: float | None = None
    seed: int = 0
    until: float | None = None
    device: str = "cpu"


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
    until = clock.now() + seconds
    if options.steps is None and checkpoint is not None and checkpoint.exists():
        training = replace(training, steps=steps_of(checkpoint))  # that were measured then
    elif options.steps is None:
        training = replace(training, steps=max(int(USED * seconds / seconds_a_step(training)), 1))
    return replace(training, until=until)


def end_of_training(seconds: float, opening: float) -> float:
    """When training ends, in seconds from the start, for all to end after ``seconds``.

    ``opening``: what calibrating and measuring took before it. They follow it once more, as does
    compiling, but half of what is left is for training however long those take.
    """
    return seconds - min(_CLOSING * opening, max(seconds - opening, 0.0) / 2)


def seconds_of(step: Callable[[], None]) -> float:
    """What a step takes, measured on some that are thrown away, the first of them not counted."""
    step()
    start = clock.now()
    for _ in range(_TIMED):
        step()
    return (clock.now() - start) / _TIMED
