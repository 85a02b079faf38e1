"""Once for all (Cai et al. 2020): one training, then a network for each board and speed.

``train_once`` makes an elastic network of any chain of layers; a ``Choice`` searches it for a
board; what it finds is trained a little more, in integers, by :func:`winogen.compression.fit.fit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compression import clock
from winogen.compression.budget import Training, bounded, seconds_of, unbounded
from winogen.compression.cycles import Costs
from winogen.compression.elastic import Elastic, in_order
from winogen.compression.fit import Fitted, Progress, fit
from winogen.compression.inputs import Inputs, Source
from winogen.compression.once_file import Once
from winogen.compression.options import FitOptions, check_compilation
from winogen.compression.recipe import Recipe
from winogen.compression.search import Found, Search, at_least, at_most, front
from winogen.compression.shrinking import Part, Shrinker
from winogen.compression.space import Setting
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import FAST, Distiller
from winogen.network.graph import Graph
from winogen.network.options import adapt

#: Steps of the training of all, and of what is taken out, unless asked otherwise.
STEPS, AFTERWARDS = 4000, 500
#: Of the steps of what is taken out, one of so many tries each of two starts.
_TRIAL = 10
#: Of the minutes, what remains after the tries however long they took.
_LEAST_LEFT = 0.1
#: Inputs that tell which channels matter and that gains are found by.
_INPUTS = 32
#: Products that judging a sub-network may take, and the least and most inputs for it.
_PRODUCTS, _LEAST_JUDGED, _MOST_JUDGED = 4e8, 8, 64
#: Bounds that the front is searched with, from the slowest to the fastest.
_RUNGS = 8
#: What is asked of a network that is taken out, and not of the training of all.
_GOALS = (
    *("bytes", "fps", "psnr", "faster", "width", "blocks"),
    *("keep", "share", "weight_bits", "exits"),
)


def elastic_of(graph: Graph, inputs: Inputs) -> Elastic:
    """An elastic network that is the graph, untrained otherwise.

    ``inputs`` (N, C, H, W) tell which channels matter. Raises UnsupportedLayerError for a network
    that cannot be elastic, InputError for one with nothing to choose.
    """
    elastic = Elastic(in_order(graph, inputs))
    if elastic.space.count == 1:
        raise InputError(
            f"network {graph.name} has nothing to choose: no layer of more than 8 channels between "
            "others, no kernel that could be smaller, none that could be left out"
        )
    elastic.calibrate(inputs)
    return elastic


def train_once(
    job: Job,
    options: FitOptions,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Once:
    """Train a job's network once for all.

    Parameters
    ----------
    checkpoint : a file that the training is saved to, and goes on from if it is there
    progress : told what is being done, how much of it, of how much, and how it goes

    Raises
    ------
    InputError : an option does not apply, or the network has nothing that is elastic
    UnsupportedLayerError : the network is no chain, or has layers that cannot be elastic
    """
    for name in _GOALS:
        if getattr(options, name) is not None:
            raise InputError(
                f"{options.described[name].flag} is for a network that is taken out of those that "
                "are trained once for all: leave it out here"
            )
    if job.graph.exits:
        raise InputError(
            f"network {job.graph.name} has exits, which would not fit what training makes of it: "
            "train the network without them once for all, and ask for --exits with what is taken "
            "out"
        )
    say = progress or (lambda what, done, of, note: None)
    say("ordering channels", 0, 0, "")
    source = Source(job.graph, job.inputs)
    seed = options.seed or 0
    inputs = source.draw(_INPUTS, seed)
    elastic = elastic_of(job.graph, inputs)

    def seconds_a_step(training: Training) -> float:
        trial = Shrinker(elastic_of(job.graph, inputs), training, job.graph, source)
        return seconds_of(trial.step)

    training = bounded(unbounded(options, STEPS), options, checkpoint, seconds_a_step)
    shrinker = Shrinker(elastic, training, job.graph, source)
    shrinker.run(checkpoint, lambda done, note: say("training", done, training.steps, note))
    return Once(elastic, job.graph, shrinker.steps)


def adapted(once: Once, job: Job) -> Once:
    """The networks as the options of a job want them: of another size of image, or range."""
    shared = adapt(once.elastic.space.graph, job.options)
    if shared.input == once.elastic.space.graph.input:
        return once
    elastic = Elastic(shared)
    elastic.load_state_dict(once.elastic.state_dict())
    return replace(once, elastic=elastic, teacher=job.graph)


class Choice:
    """What a network that was trained once for all has for a job's board.

    ``job`` is of the teacher. ``progress`` is told how many sub-networks were judged. Searches end
    by ``until`` (``winogen.compression.clock.now``).
    """

    def __init__(
        self,
        once: Once,
        job: Job,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
        until: float | None = None,
    ):
        self._until = until
        check_compilation(job.options)
        self.job = job
        self.elastic = once.elastic
        self._source = source = Source(job.graph, job.inputs)
        inputs = source.choosing()[: _judged(job.graph)]
        self._lesson = Lesson.of(job.graph, inputs, peak_of(job.graph, source))
        self.costs = Costs(job, self.elastic.space, self.elastic.graph)
        self._search = Search(self.elastic.space, self.costs, self.quality, seed, progress)

    def quality(self, setting: Setting) -> float:
        """dB of a sub-network with the shared weights to the teacher, in floating point."""
        return decibels(self._lesson.error(Part(self.elastic, setting)))

    def for_speed(self, fps: float) -> Found:
        """The best that gives so many images a second with the board's processor.

        Raises InputError where none is fast enough.
        """
        return self._search.best(at_least(fps), self._until)

    def for_cycles(self, cycles: float) -> Found:
        """The best that takes at most so many cycles of the accelerator for an image of a batch.

        Raises InputError where none takes so few.
        """
        return self._search.best(at_most(cycles), self._until)

    def front(self) -> list[Found]:
        """The best for bounds from the smallest to the whole, the fastest first."""
        space = self.elastic.space
        ends = [self.costs.exact(s) for s in (space.smallest, space.whole)]
        least, most = (cost.cycles / cost.batch for cost in ends)
        found = []
        for rung in range(_RUNGS + 1):
            cycles = math.ceil(least * (most / least) ** (rung / _RUNGS))
            until = clock.part_of(self._until, 1 / (_RUNGS + 1 - rung))
            found.append(self._search.best(at_most(cycles), until))
        return front(found)

    @property
    def judged(self) -> dict[Setting, float]:
        """The quality in dB of all sub-networks that were met."""
        return self._search.judged

    def take(
        self,
        found: Found,
        options: FitOptions,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
    ) -> Fitted:
        """What was found, trained a little more in the accelerator's integers, and compiled.

        It starts from the weights that all share, or from those that it had before they were
        shared, whichever is better after a tenth of the steps: of wide ones that are often the
        latter. Both tenths count as steps, and their time to the minutes. The whole network is
        taken as it was.
        """
        start = clock.now()
        if options.steps is None and options.minutes is None:
            options = replace(options, steps=AFTERWARDS)
        options = replace(options, fps=None)
        if found.setting == self.elastic.space.whole:
            return fit(self.job, options, checkpoint, progress)
        trial = (options.steps or AFTERWARDS) // _TRIAL
        graph = self._start(found.setting, options, trial)
        if options.steps is not None and trial:
            options = replace(options, steps=options.steps - 2 * trial)
        if options.minutes is not None:
            left = options.minutes - (clock.now() - start) / 60
            options = replace(options, minutes=max(left, _LEAST_LEFT * options.minutes))
        return fit(self.job, options, checkpoint, progress, graph)

    def _start(self, setting: Setting, options: FitOptions, steps: int) -> Graph:
        """A sub-network with the weights that are better once they were trained for some steps."""
        shared = self.elastic.graph(setting)
        if steps == 0:
            return shared
        inputs = self._source.draw(_INPUTS, options.seed or 0)
        own = elastic_of(self.job.graph, inputs).graph(setting)
        tried = replace(options, steps=steps, minutes=None)
        training = replace(unbounded(tried), rate=FAST)

        def quality(graph: Graph) -> float:
            observed = replace(self.job, graph=graph).observe()
            distiller = Distiller(observed, Recipe(), training, self.job.graph, self._source)
            return distiller.run().best

        return max((shared, own), key=quality)


def _judged(graph: Graph) -> int:
    """How many inputs a sub-network is judged by while it is searched."""
    products = 0
    for node in graph.nodes:
        if "weight" not in node.params:
            continue
        over = {"conv": node.name, "deconv": node.inputs[0]}.get(node.op)
        pixels = math.prod(graph.shapes[over][1:]) if over else 1
        products += node.params["weight"].size * pixels
    return int(min(max(_PRODUCTS / max(products, 1), _LEAST_JUDGED), _MOST_JUDGED))
