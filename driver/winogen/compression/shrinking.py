"""Training once for all: every sub-network learns to do as the whole network did.

Progressive shrinking (Cai et al. 2020): the whole network is trained already, and what is smaller
joins step by step, as it is allowed less of everything. Each step trains the smallest that is
allowed and some in between, and every few steps the whole (the sandwich of Yu and Huang 2019). All
of them learn from the network as it was, on inputs that are drawn anew for each step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from winogen.compression.bridge import GraphModule
from winogen.compression.budget import Training
from winogen.compression.elastic import Elastic
from winogen.compression.inputs import Source
from winogen.compression.space import Setting, Space
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.trainer import (
    Progress,
    ResumableTrainer,
    adam,
    falling,
    set_rates,
    warmth,
)
from winogen.network.graph import Graph

#: Sub-networks between the smallest and the whole that each step trains; and how often the whole.
_BETWEEN, _WHOLE_EVERY = 2, 4
#: Share of the steps after which all are allowed.
_ALL_FROM = 0.4
_RATE = 1e-2
#: A sub-network counts by its error to this power less: between all the same and all alike in dB.
_POWER = 0.5


class Shrinker(ResumableTrainer):
    """One training of an elastic network, that learns from ``teacher`` on inputs of ``source``."""

    def __init__(self, elastic: Elastic, training: Training, teacher: Graph, source: Source):
        super().__init__(training, source, elastic.space.graph.name)
        self._elastic = elastic
        self._space = elastic.space
        self._teacher = GraphModule(teacher).eval().to(self._device)
        self._peak = peak_of(teacher, source)
        self._told = self._digest()  # of the weights as they are before the first step
        elastic.to(self._device)
        self._optimiser = _optimiser(elastic)
        self._lesson = Lesson.of(teacher, source.choosing(), self._peak)
        self._said = ""

    def run(self, checkpoint: Path | None = None, progress: Progress | None = None) -> None:
        """Train to the end; goes on from ``checkpoint`` if that is there, and keeps it up to date.

        Raises InputError where a checkpoint is of another training.
        """
        self._resume(checkpoint)
        self._take(progress, checkpoint)
        self._elastic.cpu()

    def step(self) -> None:
        """Take one step."""
        share = self._step / self._training.steps
        set_rates(self._optimiser, _RATE, warmth(self._step), falling(share))
        seed, x = self._seed(self._step), self._drawn(self._step)
        with torch.no_grad():
            wanted = self._teacher(x)
        self._optimiser.zero_grad()
        for setting in drawn(self._space, share, seed, self._step):
            error = torch.mean((self._elastic(x, setting) - wanted) ** 2) / self._peak**2
            (error / error.detach().clamp_min(1e-9) ** _POWER).backward()
            if not bool(torch.isfinite(error)):
                self._stop("its outputs")
        self._optimiser.step()
        self._step += 1

    def _note(self) -> str:
        """How good both ends are."""
        if self._said and not self._is_due:
            return self._said
        ends = {"whole": self._space.whole, "smallest": self._space.smallest}
        found = (
            f"{name} {decibels(self._lesson.error(Part(self._elastic, setting), self._device)):.1f}"
            for name, setting in ends.items()
        )
        self._said = f"{', '.join(found)} dB"
        return self._said

    # Checkpoints

    def _digest(self) -> str:
        training = self._training
        told = {"steps": training.steps, "batch": training.batch, "seed": training.seed}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        digest.update(repr(self._space.axes).encode() + self._source.digest())
        for name, value in sorted(self._elastic.state_dict().items()):
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _key(self) -> str:
        return self._told

    def _state(self) -> dict[str, Any]:
        return {"elastic": self._elastic.state_dict(), "optimiser": self._optimiser.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        self._elastic.load_state_dict(state["elastic"])
        self._optimiser.load_state_dict(state["optimiser"])


@dataclass(frozen=True)
class Part:
    """A sub-network of an elastic one, as a function of inputs."""

    elastic: Elastic
    setting: Setting

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (N, C', H', W') of inputs (N, C, H, W)."""
        return self.elastic(x, self.setting)


def drawn(space: Space, share: float, seed: int, step: int) -> list[Setting]:
    """The sub-networks of a step, when ``share`` of all have been taken."""
    random = np.random.default_rng((seed, 1))
    allowed = min(share / _ALL_FROM, 1.0)
    most = [1 + round((len(axis.values) - 1) * allowed) for axis in space.axes]
    found = [tuple(n - 1 for n in most)]
    found += [tuple(int(random.integers(n)) for n in most) for _ in range(_BETWEEN)]
    if step % _WHOLE_EVERY == 0:
        found.append(space.whole)
    return found


def _optimiser(elastic: Elastic) -> torch.optim.Optimizer:
    """Adam, with a rate for each parameter that goes with its size."""
    groups: list[dict[str, Any]] = []
    weights = 1.0
    for name, value in elastic.named_parameters():
        size = float(value.detach().pow(2).mean().sqrt())
        if name.endswith("_weight"):
            weights = size or 1.0
        size = {"gain": 0.3, "offset": max(weights, size)}.get(name.rpartition("_")[2], size)
        groups.append({"params": [value], "size": size or weights})
    return adam(groups)
