"""All trainings in integers of one fit: how weights are to be held is found out, then trained.

What was found is kept in the checkpoint, so that a fit that goes on trains what it began with,
however long it took to find.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.calibrate import Observed
from winogen.compiler.compile import compile_network
from winogen.compression import clock
from winogen.compression.budget import Training
from winogen.compression.checkpoint import plan_of
from winogen.compression.inputs import Source
from winogen.compression.limits import SMALL
from winogen.compression.options import FitOptions
from winogen.compression.plan import Sensitivity, sensitivity
from winogen.compression.recipe import Held, Recipe
from winogen.compression.student import Student
from winogen.compression.train import Distiller, Trained, held_by
from winogen.network.graph import Graph

#: Sizes that are tried for a goal in dB, in bits a weight, and what share of the steps each gets.
RUNGS = (5.0, 4.0, 3.2, 2.5, 2.0, 1.5, 1.1)
TRIAL = 8
#: What a whole training gains over a trial of that length, in dB; measured on few networks.
_GAIN = 1.0
#: Of the time that is left for training, the most that trying layers may take.
_FOR_LAYERS = 0.25
#: Of a goal in bytes, what weights may take before they are trained, which makes them larger; how
#: often a plan is made anew for what they take; and how much less than that is close enough.
_UNTRAINED, _SIZINGS, _CLOSE = 0.95, 4, 0.98
#: How often weights that training made too large are trained again, with what share of steps, and
#: by how much less each time, for training may make them larger again.
_AGAIN, SHARE_AGAIN, _LESS = 4, 4, 0.02

#: Told what is being done, how much of it, of how much, and how it goes.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Taught:
    """What came of all trainings: how weights are held, the network, and what it took.

    Attributes
    ----------
    steps, asked : of all trainings whose result was gone on with; and how many there would have
        been, had the time not run out
    again : how often it was trained again since its weights were too large
    """

    recipe: Recipe
    trained: Trained
    steps: int
    asked: int
    again: int = 0


@dataclass(frozen=True)
class Lessons:
    """All trainings of one fit.

    Attributes
    ----------
    job : of the network that is trained
    teacher : of the network, where that is not its own
    options : of which ``bytes`` are those of this network's weights alone
    """

    job: Job
    observed: Observed
    teacher: Graph | None
    source: Source
    options: FitOptions
    training: Training
    checkpoint: Path | None
    say: Progress

    def taught(self) -> Taught:
        """How weights are held in the end, and the network."""
        options = self.options
        if options.psnr is not None:
            return self._for_psnr(options.psnr)
        if options.bytes is not None:
            return self._for_bytes(options.bytes)
        held = Held(options.keep or 1.0, options.share)
        layers = dict(Student(self.observed).holdings())
        large = {label: held for label, x in layers.items() if x.present >= SMALL}
        if held != Held() and not large:
            raise InputError(
                f"network {self.observed.graph.name} has no layer of {SMALL:,} weights or "
                "more, which are those that are pruned and shared: leave --keep and --share out"
            )
        recipe = Recipe(options.weight_bits or 8, large if held != Held() else {})
        trained = self._train(recipe, self.training, "training", self.checkpoint)
        return Taught(recipe, trained, trained.steps, self.training.steps)

    def _train(
        self,
        recipe: Recipe,
        training: Training,
        what: str,
        checkpoint: Path | None = None,
        plan: str = "",
        observed: Observed | None = None,
    ) -> Trained:
        teacher = self.teacher or (self.observed.graph.without_exits() if observed else None)
        start = observed or self.observed
        distiller = Distiller(
            start, recipe, training, teacher, self.source, plan=plan, at_once=observed is not None
        )
        return distiller.run(
            checkpoint, lambda done, note: self.say(what, done, training.steps, note)
        )

    def _sensitivity(self) -> Sensitivity:
        return sensitivity(
            self.observed,
            self.teacher,
            lambda done, of: self.say("trying layers", done, of, ""),
            self.source,
            clock.part_of(self.training.until, _FOR_LAYERS),
        )

    def _in_time(self, until_now: float) -> Training:
        """The training with as many steps less as finding out has taken of its time."""
        training = self.training
        if training.until is None or self.options.steps is not None:
            return training
        before, left = training.until - until_now, training.until - clock.now()
        share = max(left, 0.0) / before if before > 0 else 0.0
        return replace(training, steps=max(int(share * training.steps), 1))

    def _planned(self, goal: str) -> list[Recipe] | None:
        """The recipes that an earlier run has found for this goal, in the order of their use."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        return _recipes(plan_of(self.checkpoint), goal)

    # A goal in bytes

    def _for_bytes(self, goal: int) -> Taught:
        """The best weights that take so many bytes in the file, once they are trained."""
        name, start = f"bytes {goal}", clock.now()
        planned = self._planned(name)
        training = self.training
        if planned is not None:
            recipe = planned[0]
        else:
            found = self._sensitivity()
            recipe = self._sized(found, goal)
            training = self._in_time(start)
        plan = _text(name, [recipe])
        trained = self._train(recipe, training, "training", self.checkpoint, plan)
        steps, asked, again = trained.steps, training.steps, 0
        while again < _AGAIN and (taken := self._taken(trained.graph)) > goal:
            again += 1
            observed = replace(self.job, graph=trained.graph).observe()
            smaller = self._smaller(observed, recipe, int((1 - _LESS * (again - 1)) * goal), taken)
            few = replace(training, steps=max(training.steps // SHARE_AGAIN, 1))
            trained = self._train(smaller, few, "training smaller weights", observed=observed)
            steps, asked = steps + trained.steps, asked + few.steps
        return Taught(recipe, trained, steps, asked, again)

    def _smaller(self, observed: Observed, recipe: Recipe, goal: int, taken: int) -> Recipe:
        """The recipe that prunes a little more of trained weights, for them to take ``goal`` bytes.

        Those layers are pruned that are so already; where none is, all large ones.
        """
        large = [n for n, held in Student(observed).holdings() if held.present >= SMALL]
        pruned = [n for n, held in recipe.layers.items() if held.kept < 1] or large
        before = {n: recipe.layers.get(n, Held()) for n in dict.fromkeys((*large, *recipe.layers))}

        def held(share: float) -> Recipe:
            return Recipe(8, {n: replace(x, kept=share if n in pruned else 1.0)
                              for n, x in before.items()})  # fmt: skip

        few, many = max(1 - 4 * (1 - _CLOSE * goal / taken), 0.1), 1.0
        for number in range(_SIZINGS):
            self.say("trying sizes", number, _SIZINGS, "")
            middle = (few + many) / 2
            fits = self._taken(held_by(observed, held(middle)), 1) <= _CLOSE * goal
            few, many = (middle, many) if fits else (few, middle)
        return held(few)

    def _sized(self, found: Sensitivity, goal: int) -> Recipe:
        """The recipe whose weights take at most so many bytes in a file, untrained."""
        most = _UNTRAINED * goal
        bits, few, many = 8 * most, 0.0, math.inf
        recipe = best = found.plan(bits)
        if recipe.plain:
            return recipe
        for number in range(_SIZINGS):
            if clock.over(self.training.until):
                break
            self.say("trying sizes", number, _SIZINGS, "")
            taken = self._taken(held_by(self.observed, recipe), 1)
            if taken > most:
                many = bits
            else:
                few, best = bits, recipe
            if taken <= most and (recipe.plain or taken > _CLOSE * most):
                break
            bits *= most / taken
            if not few < bits < many:
                bits = (few + many) / 2
            try:
                recipe = found.plan(bits)
            except InputError:
                break
        return best if few else recipe

    def _taken(self, graph: Graph, batch: int | None = None) -> int:
        """Bytes of the weights of a trained network in its program file."""
        job = replace(self.job, graph=graph)
        network = job.quantise(job.observe())
        options = job.options if batch is None else replace(job.options, batch=batch)
        return compile_network(graph, network, options).program.stored.weight_bytes

    # A goal in dB

    def _for_psnr(self, goal: float) -> Taught:
        """The smallest weights that keep ``goal`` dB: short trials, then the whole training.

        Trials go from large to small until one is too far off; a whole training that misses the
        goal after all is followed by that of the next larger size.
        """
        name, start = f"psnr {goal}", clock.now()
        training, recipes = self.training, self._planned(name)
        if recipes is None:
            found = self._sensitivity()
            training = self._in_time(start)
            recipes = self._tried(found, goal, training)
        best = 0.0
        for number, recipe in enumerate(recipes):
            checkpoint = self.checkpoint if number == 0 else None
            plan = _text(name, recipes)
            trained = self._train(recipe, training, "training", checkpoint, plan)
            if trained.best >= goal:
                return Taught(recipe, trained, trained.steps, training.steps)
            best = trained.best
        if self.checkpoint is not None:  # another goal is another training
            self.checkpoint.unlink(missing_ok=True)
        raise InputError(
            f"{goal:g} dB cannot be kept: with plain 8-bit weights training reaches {best:.1f}; "
            "ask for less, train longer, or compile with --bits 16"
        )

    def _tried(self, found: Sensitivity, goal: float, training: Training) -> list[Recipe]:
        """Recipes that may keep the goal, by short trials; the smallest first."""
        count = sum(found.weights.values())
        recipes = [Recipe()]
        trial = replace(training, steps=max(training.steps // TRIAL, 1))
        for bits in RUNGS:
            if bits * count >= found.plain_bits:
                continue
            if clock.over(training.until):
                break
            try:
                recipe = found.plan(bits * count)
            except InputError:
                break
            reached = self._train(recipe, trial, f"trying {bits:g} bits a weight")
            if reached.best < goal - _GAIN:
                break
            recipes.append(recipe)
        return recipes[::-1]


def _text(goal: str, recipes: Sequence[Recipe]) -> str:
    """Recipes for a goal as a checkpoint keeps them."""
    layers = [{label: [x.kept, x.shared] for label, x in r.layers.items()} for r in recipes]
    return json.dumps({"goal": goal, "recipes": layers})


def _recipes(text: str, goal: str) -> list[Recipe] | None:
    """Inverse of :func:`_text`; None where it is of another goal, or of none."""
    if not text:
        return None
    said = json.loads(text)
    if said["goal"] != goal:
        return None
    return [Recipe(8, {n: Held(*held) for n, held in r.items()}) for r in said["recipes"]]
