"""How the steps and minutes of a fit are divided: in floating point, in integers, for exits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from winogen.compiler.calibrate import Observed
from winogen.compression import clock
from winogen.compression.budget import USED, Training, seconds_of
from winogen.compression.checkpoint import asked_of, steps_of
from winogen.compression.inputs import Source
from winogen.compression.options import FitOptions
from winogen.compression.pretrain import Pretrainer
from winogen.compression.recipe import Recipe
from winogen.compression.train import Distiller
from winogen.network.graph import Graph

#: Of a student's steps, or of its time, for training in floating point.
_FLOAT = 0.67


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
            then = clock.part_of(training.until, share)
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
                before, after = asked_of(earlier)
                if self.checkpoint.exists():  # for which finding out has left fewer
                    after = steps_of(self.checkpoint)
                return before, after
            if self.teacher is None and self.checkpoint.exists():
                return 0, steps_of(self.checkpoint)
        seconds = USED * (training.until - clock.now())
        few = replace(training, steps=100)  # of which few are taken
        distiller = Distiller(self.observed, Recipe(), few, source=self.source)
        share = 0.0 if self.teacher is None else _FLOAT
        integers = (1 - share) * seconds / seconds_of(distiller.step) / self.sparing
        if self.teacher is None:
            return 0, max(int(integers), 1)
        pretrainer = Pretrainer(self.observed.graph, self.teacher, few, self.source)
        floats = share * seconds / seconds_of(pretrainer.step)
        return max(int(floats), 1), max(int(integers), 1)
