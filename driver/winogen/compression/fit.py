"""Fitting: a network becomes a smaller one, or a better one, that does as it does.

The network is its own teacher (Hinton, Vinyals & Dean 2015): nothing else is needed but inputs,
which can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from winogen.common.errors import InputError
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compiler.calibrate import Observed
from winogen.compression import budget
from winogen.compression.budget import Training, unbounded
from winogen.compression.checkpoint import tried_of
from winogen.compression.exits import ExitTrainer
from winogen.compression.heads import ChosenHead, choose_heads, with_heads
from winogen.compression.inputs import Source
from winogen.compression.limits import BITS, SMALL
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.plan import Sensitivity, sensitivity
from winogen.compression.pretrain import Pretrainer
from winogen.compression.recipe import Held, Recipe
from winogen.compression.stages import Stages, pretraining_of
from winogen.compression.student import Student
from winogen.compression.students import cycles
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import FAST, Distiller, Trained
from winogen.compression.widths import Chosen, chosen
from winogen.network.graph import Graph

#: Sizes that are tried for a goal in dB, in bits a weight, and what share of the steps each gets.
_RUNGS = (5.0, 4.0, 3.2, 2.5, 2.0, 1.5, 1.1)
_TRIAL = 8
#: What a whole training gains over a trial of that length, in dB; measured on few networks.
_GAIN = 1.0
#: Of the minutes, for exits; and of those that are left, for trials that find widths.
_FOR_EXITS, _FOR_WIDTHS = 0.5, 0.33
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
    exits : those that were asked for, the shallowest first, with the cycles of their streams
    exits_after : dB of each as ``after``
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
    exits: tuple[ChosenHead, ...] = ()
    exits_after: tuple[float, ...] = ()

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
    student: Graph | None = None,
) -> Fitted:
    """Fit a job's network, and compile it.

    Parameters
    ----------
    student : a smaller network that is trained to do as the job's does, and compiled in its place
    checkpoint : a file that the training is saved to, and goes on from if it is there
    progress : see :data:`Progress`

    Raises
    ------
    InputError : an option does not apply to this network, or a goal cannot be reached
    UnsupportedLayerError, QuantisationError, ScheduleError : as :func:`compile_job` does
    """
    say = progress or (lambda what, done, of, note: None)
    start = budget.now()
    check_compilation(job.options)
    if job.graph.exits and not options.exits:
        raise InputError(
            f"network {job.graph.name} has exits, which would not fit what training makes of it: "
            "ask for new ones with --exits, or compile it as it is"
        )
    job = replace(job, graph=job.graph.without_exits())
    source = Source(job.graph, job.inputs)
    say("calibrating", 0, 0, "")
    observed = job.observe()
    whole = Student(observed)
    if not any(True for _ in whole.holdings()):
        raise InputError(f"network {job.graph.name} has no layer with weights to train")
    judge = Lesson.of(job.graph, source.judging(), peak_of(job.graph, source))
    before = decibels(judge.error(whole))
    training = unbounded(options)
    seconds = None
    if options.minutes is not None:
        seconds = 60 * (1 - _FOR_EXITS if options.exits else 1.0) * options.minutes
    earlier = None if checkpoint is None else pretraining_of(checkpoint)
    if student is None:
        found = chosen(
            job,
            options,
            training,
            source,
            lambda what, n, of: say(what, n, of, ""),
            None if seconds is None else start + _FOR_WIDTHS * seconds,
            tried_of(earlier) if earlier is not None and earlier.exists() else None,
        )
    else:
        found = Chosen(student, cycles(job, student) / cycles(job, job.graph))
        training = replace(training, rate=FAST)
    teacher = None if found.graph is job.graph else job.graph
    job = replace(job, graph=found.graph)
    observed = observed if teacher is None else job.observe()
    weights = sum(holding.present for _, holding in Student(observed).holdings())
    heads: list[ChosenHead] = []
    if options.exits:
        shares = [percent / 100 for percent in options.exits]
        heads = choose_heads(job, shares, lambda note: say(note, 0, 0, ""))
        own = _weights(with_heads(job.graph, [x.head for x in heads])) - _weights(job.graph)
        options, weights = _without(options, own), weights + own
    if seconds is not None:
        training = replace(training, until=start + seconds)
    pretrained = teacher if student is None else None  # what is given has been trained
    sparing = 1.0 if options.psnr is None else 2 + len(_RUNGS) / _TRIAL  # trials, maybe two
    stages = Stages(observed, pretrained, source, options, checkpoint, sparing)
    first, then = stages.of(training)
    taken, curve = 0, tuple[tuple[int, float], ...]()
    if pretrained is not None and first is not None:
        pretrainer = Pretrainer(job.graph, pretrained, first, source)
        graph, taken, curve = pretrainer.run(
            earlier,
            then.steps,
            lambda done, note: say("training in floating point", done, first.steps, note),
            found.tried,
        )
        observed = replace(job, graph=graph).observe()
    lessons = _Lessons(observed, teacher, source, options, then, checkpoint, say)
    recipe, trained = lessons.trained()
    graph = trained.graph
    if heads:
        graph = with_heads(graph, [x.head for x in heads], training.seed)
        taught_by = teacher or job.graph
        bits = options.weight_bits or BITS
        trainer = ExitTrainer(replace(job, graph=graph), taught_by, source, judge.peak, bits)
        known = options.steps is not None or options.minutes is None
        graph = trainer.train(
            replace(training, steps=training.steps if known else 0, until=None),
            None if options.minutes is None else 60 * _FOR_EXITS * options.minutes,
            say,
        )
    say("compiling", 0, 0, "")
    after = Student(replace(job, graph=graph).observe())
    compilation = compile_job(replace(job, graph=graph))
    *exits_after, whole_after = map(decibels, judge.errors(after))
    return Fitted(
        graph,
        compilation,
        recipe,
        taken + trained.steps,
        then.steps + (first.steps if first else 0),
        before,
        whole_after,
        weights,
        found.width,
        (*curve, *((taken + step, psnr) for step, psnr in trained.psnr)),
        tuple(x.of(compilation.program, n) for n, x in enumerate(heads, 1)),
        tuple(exits_after),
    )


def _weights(graph: Graph) -> int:
    return sum(node.params["weight"].size for node in graph.nodes if "weight" in node.params)


def _without(options: FitOptions, heads: int) -> FitOptions:
    """The options for the network without its exits, whose heads have so many weights.

    They take a byte each at most of what all weights may take.
    """
    if options.bytes is None:
        return options
    if options.bytes <= heads:
        raise InputError(
            f"the exits' own weights take {heads:,} bytes of the {options.bytes:,} that all may "
            "take: ask for more bytes, for fewer exits, or for smaller ones"
        )
    return replace(options, bytes=options.bytes - heads)


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
