"""Training in integers: a student learns to give what its teacher gives, for inputs that are drawn.

There is no data set: the float network answers any latent (or picture) that can be drawn.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from winogen.common.errors import InputError
from winogen.compiler.calibrate import Observed
from winogen.compression.bridge import GraphModule
from winogen.compression.budget import Training
from winogen.compression.inputs import Source
from winogen.compression.recipe import LEVELS, Held, Recipe
from winogen.compression.self_distillation import ExitLoss
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson, decibels, peak_of, worth_of
from winogen.compression.trainer import (
    MeasuredTrainer,
    Progress,
    adam,
    described,
    falling,
    root_mean_square,
    set_rates,
    told_of,
    warmth,
)
from winogen.network.graph import Graph

#: Shares of a run's steps: until all that is to be pruned is, and until values are shared.
_PRUNED_BY, _SHARED_FROM = 0.2, 0.25
#: Rates where weights are good from the start, and where they have to be found anew.
_GENTLE, FAST = 2e-3, 1e-2
#: Of the rate, once values are shared: weights that jump from one to another learn less.
_SHARED_RATE = 0.4
#: What the regressors of exits' features are changed by at most, where weights are by their size.
_REGRESSED = 0.3
#: Steps between one pruning and the next.
_PRUNE_EVERY = 10


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes
    ----------
    graph : the network with its weights and scales in integers
    steps : that were taken
    best : dB of the network, or of its exits on average where only they were trained
    psnr : dB to the teacher on inputs that were not trained on, by training's step
    """

    graph: Graph
    steps: int
    best: float
    psnr: tuple[tuple[int, float], ...]


class Distiller(MeasuredTrainer):
    """One training run: what was observed becomes a student that is held by a recipe.

    It learns from ``teacher``, or from its own float network, what that makes of the inputs of
    ``source``, or of drawn ones. With ``exits_only`` its exits learn, from the whole network too,
    which stays as it is. ``plan`` is kept in checkpoints, for who finds them.
    ``at_once`` is for weights that are held like that, or nearly so, already.
    """

    def __init__(
        self,
        observed: Observed,
        recipe: Recipe,
        training: Training,
        teacher: Graph | None = None,
        source: Source | None = None,
        exits_only: bool = False,
        plan: str = "",
        at_once: bool = False,
    ):
        super().__init__(training, source or Source(observed.graph), observed.graph.name)
        self._recipe, self._plan = recipe, plan
        self._pruned_by, self._shared_from = (0.0, 0.0) if at_once else (_PRUNED_BY, _SHARED_FROM)
        self._graph = observed.graph
        self._taught_by = teacher or observed.graph.without_exits()
        self._teacher = GraphModule(self._taught_by).eval().to(self._device)
        self._peak = peak_of(self._taught_by, self._source)
        self._student = Student(observed, LEVELS[recipe.bits], exits_only)
        self._worth = worth_of(observed)
        self._student.to(self._device)
        self._exits = ExitLoss(self._graph, self._peak).to(self._device) if exits_only else None
        gentle = recipe.plain and not exits_only
        self._rate = training.rate or (_GENTLE if gentle else FAST)
        self._pruned = self._shared = False
        self._optimiser = self._new_optimiser()
        self._lesson = Lesson.of(self._taught_by, self._source.choosing(), self._peak)

    def run(self, checkpoint: Path | None = None, progress: Progress | None = None) -> Trained:
        """Train to the end; goes on from ``checkpoint`` if that is there, and keeps it up to date.

        Raises InputError where a checkpoint is of another training.
        """
        self._resume(checkpoint)
        if self._step == 0:
            self._validate()
            if not math.isfinite(self._curve[0][1]):
                raise InputError(
                    f"network {self._graph.name} gives infinite values or NaN for inputs that "
                    "it is to learn from: it cannot be learnt from"
                )
        self._take(progress, checkpoint)
        best = self._finish()
        return Trained(self._student.graph(), self._step, best, tuple(self._curve))

    def step(self) -> None:
        """Take one step."""
        share = self._step / self._training.steps
        self._hold(share)
        set_rates(
            self._optimiser,
            self._rate,
            warmth(self._since()),
            falling(self._part(share)) * (_SHARED_RATE if self._shared else 1),
        )
        x = self._drawn(self._step)
        with torch.no_grad():
            wanted = self._teacher(x)
        loss = self._loss(x, wanted)
        self._optimiser.zero_grad()
        loss.backward()
        self._check(loss)
        self._optimiser.step()
        self._step += 1

    def _loss(self, x: Tensor, wanted: Tensor) -> Tensor:
        """How far outputs are from those wanted; of exits, what self distillation has too."""
        if self._exits is None:
            return torch.mean((self._student(x) - wanted) ** 2) / self._peak**2
        integers = self._student.integers(x)
        outputs = self._student.outputs(integers)
        return self._exits(outputs, partial(self._student.real, integers), wanted)

    def _check(self, loss: Tensor) -> None:
        """Raise QuantisationError before what is not finite gets into the weights."""
        wrong = [] if bool(torch.isfinite(loss)) else ["its outputs"]
        for name, values in self._student.named_parameters():
            if values.grad is not None and not bool(torch.isfinite(values.grad).all()):
                wrong.append(f"the gradient of {name}")
        if wrong:
            self._stop(wrong[0])

    def _since(self) -> int:
        """Steps since the optimiser was made."""
        start = math.ceil(self._shared_from * self._training.steps) if self._shared else 0
        return self._step - start

    def _part(self, share: float) -> float:
        """How far the learning rate has fallen, 0 to 1: it starts anew once values are shared."""
        if not self._recipe.shares:
            return share
        if share < self._shared_from:
            return share / self._shared_from
        return (share - self._shared_from) / (1 - self._shared_from)

    def _hold(self, share: float) -> None:
        """Prune and share what is due after this share of the steps."""
        if self._recipe.prunes and not self._pruned and self._step % _PRUNE_EVERY == 0:
            done = min(share / self._pruned_by, 1.0) if self._pruned_by else 1.0
            self._prune((1 - done) ** 3)  # Zhu & Gupta 2017
        if self._recipe.shares and not self._shared and share >= self._shared_from:
            self._prune(0)
            self._share()
            self._optimiser = self._new_optimiser()
            self._best = None

    def _prune(self, left: float) -> None:
        """Prune all but this share of what is to be pruned."""
        for label, holding in self._student.holdings():
            held = self._recipe.layers.get(label)
            if held is not None and held.kept < 1:
                holding.prune(held.kept + (1 - held.kept) * left, self._worth[label])
        self._pruned = left == 0

    def _share(self) -> None:
        for label, holding in self._student.holdings():
            held = self._recipe.layers.get(label)
            if held is not None and held.shared is not None:
                holding.share(held.shared, self._training.seed)
        self._shared = True

    def _is_held(self) -> bool:
        """Whether all weights are held as they are to be."""
        pruned = self._pruned or not self._recipe.prunes
        return pruned and (self._shared or not self._recipe.shares)

    def _new_optimiser(self) -> torch.optim.Optimizer:
        """Adam, with a rate for each parameter that goes with its size."""
        groups: list[dict[str, Any]] = []
        for layer in self._student.parts():
            holding, bias = layer.holding, layer.bias
            if holding is None or bias is None:
                continue
            size = root_mean_square(holding.weight)
            groups.append({"params": [holding.weight], "size": size})
            groups.append({"params": [bias], "size": max(size, root_mean_square(bias))})
            groups.append({"params": [holding.step], "size": 0.3})
            if holding.shared is not None:
                groups.append(
                    {"params": [holding.shared], "size": root_mean_square(holding.shared)}
                )
        groups.append({"params": list(self._student.scales.parameters()), "size": 0.3})
        if self._exits is not None:
            groups.append({"params": list(self._exits.parameters()), "size": _REGRESSED})
        groups = [g for g in groups if g["params"]]
        return adam(groups)

    def _validate(self) -> None:
        """Measure, and keep the best of those whose weights are held as they are to be."""
        psnr = self._psnr()
        self._curve.append((self._step, psnr))
        if self._is_held():
            self._keep(psnr, self._student)

    def _psnr(self) -> float:
        """dB of the network, or of its exits on average where they are what is trained."""
        if self._exits is None:
            return decibels(self._lesson.error(self._student, self._device))
        *exits, _ = self._lesson.errors(self._student, self._device)
        return sum(map(decibels, exits)) / len(exits)

    def _finish(self) -> float:
        """Hold the weights as they are to be, at the best that was seen; gives its dB."""
        if not self._is_held():  # it was ended early
            self._prune(0)
            if self._recipe.shares and not self._shared:
                self._share()
            self._validate()
        elif self._curve[-1][0] != self._step:  # since when they may just have been shared
            self._validate()
        assert self._best is not None
        self._student.load_state_dict(self._best[1])
        return self._best[0]

    # Checkpoints

    def _key(self) -> str:
        digest = hashlib.sha256(told_of(self._training))
        digest.update(repr(self._recipe).encode() + self._source.digest())
        digest.update(described(self._graph) + described(self._taught_by))
        return digest.hexdigest()

    def _state(self) -> dict[str, Any]:
        return {
            "plan": self._plan,
            "pruned": self._pruned,
            "shared": self._shared,
            "curve": self._curve,
            "student": self._student.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "best": self._best,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._pruned, self._shared = bool(state["pruned"]), bool(state["shared"])
        for number, layer in enumerate(self._student.parts()):
            shared = state["student"].get(f"layers.{number}.holding.shared")
            if shared is not None and layer.holding is not None:
                layer.holding.shared = nn.Parameter(shared.to(self._device))
        self._optimiser = self._new_optimiser()
        self._student.load_state_dict(state["student"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._best = state["best"]
        self._curve = [(int(step), float(psnr)) for step, psnr in state["curve"]]


def held_by(observed: Observed, recipe: Recipe) -> Graph:
    """The network with its weights held by a recipe, untrained."""
    student, worth = Student(observed, LEVELS[recipe.bits]), worth_of(observed)
    for label, holding in student.holdings():
        held = recipe.layers.get(label, Held())
        if held.kept < 1:
            holding.prune(held.kept, worth[label])
        if held.shared is not None:
            holding.share(held.shared, 0)
    return student.graph()
