"""Fitting: a network becomes a smaller one, or a better one, that does as it does.

The network is its own teacher (Hinton, Vinyals & Dean 2015): nothing else is needed but inputs,
which can be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from winogen.common.errors import InputError
from winogen.compilation.compile import Compilation, compile_job
from winogen.compilation.job import Job
from winogen.compression import clock
from winogen.compression.budget import end_of_training, unbounded
from winogen.compression.checkpoint import tried_of
from winogen.compression.exits import ExitTrainer
from winogen.compression.heads import ChosenHead, choose_heads, with_heads
from winogen.compression.inputs import Source
from winogen.compression.lessons import RUNGS, SHARE_AGAIN, TRIAL, Lessons, Progress
from winogen.compression.limits import BITS
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.pretrain import Pretrainer
from winogen.compression.recipe import Recipe
from winogen.compression.stages import Stages, pretraining_of
from winogen.compression.student import Student
from winogen.compression.students import cycles
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import FAST
from winogen.compression.widths import Chosen, chosen
from winogen.network.graph import Graph

#: Of the minutes, for exits; and of those that are left, for trials that find widths, and heads.
_FOR_EXITS, _FOR_WIDTHS, _FOR_HEADS = 0.5, 0.33, 0.25


@dataclass(frozen=True)
class Fitted:
    """A fitted network.

    Attributes
    ----------
    graph : the network, with weights and scales in integers
    compilation : its program
    recipe : how its weights were planned to be held; those of a network that was trained ``again``
        are fewer than that
    steps, asked : that it was trained for; and would have been, had the time not run out
    before, after : dB to the float network on inputs that it has not seen: of what the compiler
        makes of it by itself, and of what was trained
    weights : how many there are before any is pruned
    width : share of the whole network's cycles that narrower layers leave; 1 if none is
    curve : dB by step, on inputs that were not trained on
    exits : those that were asked for, the shallowest first, with the cycles of their streams
    exits_after : dB of each as ``after``
    again : how often weights that training had made too large were made smaller, and trained again
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
    again: int = 0

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
    start = clock.now()
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
    seconds = for_exits = None
    if options.minutes is not None:
        seconds = end_of_training(60 * options.minutes, clock.now() - start)
        if options.exits:
            for_exits = _FOR_EXITS * seconds
            seconds -= for_exits
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
        heads = choose_heads(
            job,
            shares,
            lambda note: say(note, 0, 0, ""),
            None if seconds is None else clock.part_of(start + seconds, _FOR_HEADS),
        )
        own = _weights(with_heads(job.graph, [x.head for x in heads])) - _weights(job.graph)
        options, weights = _without(options, own), weights + own
    if seconds is not None:
        training = replace(training, until=start + seconds)
    pretrained = teacher if student is None else None  # what is given has been trained
    sparing = 1.0 if options.psnr is None else 2 + len(RUNGS) / TRIAL  # trials, maybe two
    sparing = sparing if options.bytes is None else 1 + 1 / SHARE_AGAIN  # maybe some steps more
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
    lessons = Lessons(job, observed, teacher, source, options, then, checkpoint, say)
    taught = lessons.taught()
    trained = taught.trained
    graph = trained.graph
    if heads:
        graph = with_heads(graph, [x.head for x in heads], training.seed)
        taught_by = teacher or job.graph
        bits = options.weight_bits or BITS
        trainer = ExitTrainer(replace(job, graph=graph), taught_by, source, judge.peak, bits)
        known = options.steps is not None or options.minutes is None
        graph = trainer.train(
            replace(training, steps=training.steps if known else 0, until=None),
            for_exits,
            say,
        )
    say("compiling", 0, 0, "")
    after = Student(replace(job, graph=graph).observe())
    compilation = compile_job(replace(job, graph=graph))
    *exits_after, whole_after = map(decibels, judge.errors(after))
    return Fitted(
        graph,
        compilation,
        taught.recipe,
        taken + taught.steps,
        taught.asked + (first.steps if first else 0),
        before,
        whole_after,
        weights,
        found.width,
        (*curve, *((taken + step, psnr) for step, psnr in trained.psnr)),
        tuple(x.of(compilation.program, n) for n, x in enumerate(heads, 1)),
        tuple(exits_after),
        taught.again,
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
