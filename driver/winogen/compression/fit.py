"""Fitting: a network becomes a smaller one, or a better one, that does as it does.

The network is its own teacher (Hinton, Vinyals & Dean 2015): nothing else is needed but inputs,
which can be drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from winogen.common.errors import InputError
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compiler.calibrate import Observed
from winogen.compression.inputs import Source
from winogen.compression.limits import SMALL
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.plan import Sensitivity, sensitivity
from winogen.compression.pretrain import Pretrainer, asked_of
from winogen.compression.recipe import Held, Recipe
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import Distiller, Trained, Training, steps_of
from winogen.compression.widths import chosen
from winogen.network.graph import Graph

STEPS, EXAMPLES = 2000, 32
#: Sizes that are tried for a goal in dB, in bits a weight, and what share of the steps each gets.
_RUNGS = (5.0, 4.0, 3.2, 2.5, 2.0, 1.5, 1.1)
_TRIAL = 8
#: What a whole training gains over a trial of that length, in dB; measured on few networks.
_GAIN = 1.0
#: Of the minutes, for training itself: the rest is measuring.
_USED = 0.85
#: Steps that tell how long one takes.
_MEASURED = 3
#: Of a student's steps, or of its time, for training in floating point.
_FLOAT = 0.67
#: Entropy is what a perfect code would take; the file's takes a little more.
_CODED = 0.97

#: Told what is being done, how much of it, of how much, and how it goes.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Fitted:
    """A fitted network.

    Attributes
    ----------
    graph : the network, with weights and scales in integers
    compilation : its program
    recipe : how its weights are held
    steps, asked : that it was trained for; and would have been, had the time not run out
    before, after : dB to the float network on inputs that it has not seen: of what the compiler
        makes of it by itself, and of what was trained
    weights : how many there are before any is pruned
    width : share of the whole network's cycles that narrower layers leave; 1 if none is
    curve : dB by step, on inputs that were not trained on
    """

    graph: Graph
    compilation: Compilation
    recipe: Recipe
    steps: int
    asked: int
    before: float
    after: float
    weights: int
    width: float
    curve: tuple[tuple[int, float], ...]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in the program file, with their codebooks."""
        return self.compilation.program.stored.weight_bytes

    @property
    def bits(self) -> float:
        """Bits a weight in the program file, of all that there were before pruning."""
        return 8 * self.weight_bytes / max(self.weights, 1)


def fit(
    job: Job,
    options: FitOptions,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a job's network, and compile it.

    Parameters
    ----------
    checkpoint : a file that the training is saved to, and goes on from if it is there
    progress : see :data:`Progress`

    Raises
    ------
    InputError : an option does not apply to this network, or a goal cannot be reached
    UnsupportedLayerError, QuantisationError, ScheduleError : as :func:`compile_job` does
    """
    say = progress or (lambda what, done, of, note: None)
    start = time.monotonic()
    check_compilation(job.options)
    source = Source(job.graph, job.inputs)
    say("calibrating", 0, 0, "")
    observed = job.observe()
    compiled = Student(observed)
    if not any(True for _ in compiled.holdings()):
        raise InputError(f"network {job.graph.name} has no layer with weights to train")
    judge = Lesson.of(job.graph, source.judging(), peak_of(job.graph, source))
    before = decibels(judge.error(compiled))
    training = _training(options)
    student = chosen(job, options, training, source, lambda what, done, of: say(what, done, of, ""))
    teacher = None if student.graph is job.graph else job.graph
    job = replace(job, graph=student.graph)
    observed = observed if teacher is None else job.observe()
    weights = sum(holding.present for _, holding in Student(observed).holdings())
    until = None if options.minutes is None else start + 60 * options.minutes
    training = replace(training, until=until)
    first, training = _stages(observed, teacher, options, training, source, checkpoint)
    taken, curve = 0, tuple[tuple[int, float], ...]()
    if teacher is not None and first is not None:
        pretrainer = Pretrainer(student.graph, teacher, first, source)
        graph, taken, curve = pretrainer.run(
            None if checkpoint is None else pretraining_of(checkpoint),
            training.steps,
            lambda done, note: say("training in floating point", done, first.steps, note),
        )
        observed = replace(job, graph=graph).observe()
    lessons = _Lessons(observed, teacher, source, options, training, checkpoint, say)
    recipe, trained = lessons.trained()
    say("compiling", 0, 0, "")
    after = Student(replace(job, graph=trained.graph).observe())
    compilation = compile_job(replace(job, graph=trained.graph))
    return Fitted(
        trained.graph,
        compilation,
        recipe,
        taken + trained.steps,
        training.steps + (first.steps if first else 0),
        before,
        decibels(judge.error(after)),
        weights,
        student.width,
        (*curve, *((taken + step, psnr) for step, psnr in trained.psnr)),
    )


def pretraining_of(checkpoint: Path) -> Path:
    """Where what a student learned in floating point is kept beside a checkpoint."""
    return checkpoint.with_suffix(".pretraining")


def _training(options: FitOptions) -> Training:
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU here: leave --train-on out, or say --train-on cpu")
    steps, examples = options.steps or STEPS, options.examples or EXAMPLES
    return Training(steps, examples, seed=options.seed or 0, device=device)


def _stages(
    observed: Observed,
    teacher: Graph | None,
    options: FitOptions,
    training: Training,
    source: Source,
    checkpoint: Path | None,
) -> tuple[Training | None, Training]:
    """The training in floating point, of students only, and that in integers."""
    share = 0.0 if teacher is None else _FLOAT
    floats = min(int(share * training.steps), training.steps - 1)
    integers = training.steps - floats
    then = None
    if training.until is not None:
        now = time.monotonic()
        then = now + share * (training.until - now)
        if options.steps is None:
            floats, integers = _steps(observed, teacher, options, training, source, checkpoint)
    first = replace(training, steps=floats, until=then) if floats else None
    return first, replace(training, steps=integers)


def _steps(
    observed: Observed,
    teacher: Graph | None,
    options: FitOptions,
    training: Training,
    source: Source,
    checkpoint: Path | None,
) -> tuple[int, int]:
    """Steps in floating point and in integers for the minutes, or as measured before."""
    assert training.until is not None
    if checkpoint is not None:
        earlier = pretraining_of(checkpoint)
        if teacher is not None and earlier.exists():
            return asked_of(earlier)
        if teacher is None and checkpoint.exists():
            return 0, steps_of(checkpoint)
    seconds = _USED * (training.until - time.monotonic())
    share = 0.0 if teacher is None else _FLOAT
    few = replace(training, steps=_MEASURED + 1)
    integers = (
        (1 - share) * seconds / _seconds_a_step(Distiller(observed, Recipe(), few, source=source))
    )
    if options.psnr is not None:  # trials, and maybe a second training
        integers /= 2 + len(_RUNGS) / _TRIAL
    if teacher is None:
        return 0, max(int(integers), 1)
    pretrainer = Pretrainer(observed.graph, teacher, few, source)
    return max(int(share * seconds / _seconds_a_step(pretrainer)), 1), max(int(integers), 1)


def _seconds_a_step(run: Distiller | Pretrainer) -> float:
    """Measured on some steps that are thrown away, the first of them not counted."""
    run.step()
    start = time.monotonic()
    for _ in range(_MEASURED):
        run.step()
    return (time.monotonic() - start) / _MEASURED


@dataclass(frozen=True)
class _Lessons:
    """All trainings of one fit."""

    observed: Observed
    teacher: Graph | None
    source: Source
    options: FitOptions
    training: Training
    checkpoint: Path | None
    say: Progress

    def trained(self) -> tuple[Recipe, Trained]:
        """How weights are held in the end, and the network."""
        options = self.options
        if options.psnr is not None:
            return self._for_psnr(options.psnr)
        if options.bytes is not None:
            recipe = self._sensitivity().plan(_CODED * 8 * options.bytes)
        else:
            held = Held(options.keep or 1.0, options.share)
            layers = dict(Student(self.observed).holdings())
            large = {label: held for label, x in layers.items() if x.present >= SMALL}
            if held != Held() and not large:
                raise InputError(
                    f"network {self.observed.graph.name} has no layer of {SMALL:,} weights or "
                    "more, which are those that are pruned and shared: leave --keep and --share out"
                )
            recipe = Recipe(options.weight_bits or 8, large if held != Held() else {})
        return recipe, self._train(recipe, self.training, "training", self.checkpoint)

    def _train(
        self, recipe: Recipe, training: Training, what: str, checkpoint: Path | None
    ) -> Trained:
        distiller = Distiller(self.observed, recipe, training, self.teacher, self.source)
        return distiller.run(
            checkpoint, lambda done, note: self.say(what, done, training.steps, note)
        )

    def _sensitivity(self) -> Sensitivity:
        return sensitivity(
            self.observed,
            self.teacher,
            lambda done, of: self.say("trying layers", done, of, ""),
            self.source,
        )

    def _for_psnr(self, goal: float) -> tuple[Recipe, Trained]:
        """The smallest weights that keep ``goal`` dB: short trials, then the whole training.

        Trials go from large to small until one is too far off; a whole training that misses the
        goal after all is followed by that of the next larger size.
        """
        found = self._sensitivity()
        count = sum(found.weights.values())
        recipes = [Recipe()]
        trial = replace(self.training, steps=max(self.training.steps // _TRIAL, 1))
        for bits in _RUNGS:
            if bits * count >= found.plain_bits:
                continue
            try:
                recipe = found.plan(bits * count)
            except InputError:
                break
            reached = self._train(recipe, trial, f"trying {bits:g} bits a weight", None)
            if reached.best < goal - _GAIN:
                break
            recipes.append(recipe)
        best = 0.0
        for number, recipe in enumerate(reversed(recipes)):
            checkpoint = self.checkpoint if number == 0 else None
            trained = self._train(recipe, self.training, "training", checkpoint)
            if trained.best >= goal:
                return recipe, trained
            best = trained.best
        if self.checkpoint is not None:  # another goal is another training
            self.checkpoint.unlink(missing_ok=True)
        raise InputError(
            f"{goal:g} dB cannot be kept: with plain 8-bit weights training reaches {best:.1f}; "
            "ask for less, train longer, or compile with --bits 16"
        )
