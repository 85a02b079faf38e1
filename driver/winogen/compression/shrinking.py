"""Training once for all: every sub-network learns to do as the whole network did.

Progressive shrinking (Cai et al. 2020): the whole network is trained already, and what is smaller
joins step by step, as it is allowed less of everything. Each step trains the smallest that is
allowed and some in between, and every few steps the whole (the sandwich of Yu and Huang 2019). All
of them learn from the network as it was, on inputs that are drawn anew for each step.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from winogen.common.errors import InputError, QuantisationError
from winogen.common.files import write_atomically
from winogen.compression.bridge import GraphModule
from winogen.compression.elastic import Elastic
from winogen.compression.inputs import Source
from winogen.compression.space import Setting, Space
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import STEP_SEED, Training, damage_told
from winogen.network.graph import Graph

#: Sub-networks between the smallest and the whole that each step trains; and how often the whole.
_BETWEEN, _WHOLE_EVERY = 2, 4
#: Share of the steps after which all are allowed.
_ALL_FROM = 0.4
_RATE = 1e-2
#: A sub-network counts by its error to this power less: between all the same and all alike in dB.
_POWER = 0.5
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
#: How many times in a run it is said how good both ends are, and not after fewer steps.
_SAID, _LEAST_BETWEEN = 40, 20


class Shrinker:
    """One training of an elastic network, that learns from ``teacher`` on inputs of ``source``."""

    def __init__(self, elastic: Elastic, training: Training, teacher: Graph, source: Source):
        self._elastic = elastic
        self._space = elastic.space
        self._training = training
        self._device = torch.device(training.device)
        self._taught_by = teacher
        self._teacher = GraphModule(teacher).eval().to(self._device)
        self._source = source
        self._peak = peak_of(teacher, source)
        self._key = self._digest()  # of the weights as they are before the first step
        elastic.to(self._device)
        self._optimiser = _optimiser(elastic)
        self._step = 0
        self._lesson = Lesson.of(teacher, source.choosing(), self._peak)

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        return self._step

    def run(
        self,
        checkpoint: Path | None = None,
        progress: Callable[[int, str], None] | None = None,
    ) -> None:
        """Train to the end; goes on from ``checkpoint`` if that is there, and keeps it up to date.

        ``progress`` is called with the steps that are done and a word on how it goes. Raises
        InputError where a checkpoint is of another training.
        """
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
        training = self._training
        every = max(training.steps // _SAID, _LEAST_BETWEEN)
        saved, note = time.monotonic(), ""
        while self._step < training.steps:
            self.step()
            if progress:
                if not note or self._step % every == 0:
                    note = self._said()
                progress(self._step, note)
            now = time.monotonic()
            if checkpoint is not None and now - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save(checkpoint)
                saved = now
            if training.until is not None and now > training.until:
                break
        self._elastic.cpu()

    def step(self) -> None:
        """Take one step."""
        training = self._training
        share = self._step / training.steps
        falling = 0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2
        warm = min(1.0, (self._step + 1) / 100)
        for group in self._optimiser.param_groups:
            group["lr"] = group["size"] * _RATE * warm * falling
        seed = STEP_SEED * (training.seed + 1) + self._step
        x = torch.from_numpy(self._source.draw(training.batch, seed)).to(self._device)
        with torch.no_grad():
            wanted = self._teacher(x)
        self._optimiser.zero_grad()
        for setting in drawn(self._space, share, seed, self._step):
            error = torch.mean((self._elastic(x, setting) - wanted) ** 2) / self._peak**2
            (error / error.detach().clamp_min(1e-9) ** _POWER).backward()
            self._check(error)
        self._optimiser.step()
        self._step += 1

    def _check(self, error: Tensor) -> None:
        if not bool(torch.isfinite(error)):
            raise QuantisationError(
                f"training of network {self._space.graph.name} comes to an end at step "
                f"{self._step:,}: its outputs got infinite or NaN; another --seed or fewer --steps "
                "may avoid it"
            )

    def _said(self) -> str:
        ends = {"whole": self._space.whole, "smallest": self._space.smallest}
        found = (
            f"{name} {decibels(self._lesson.error(Part(self._elastic, setting), self._device)):.1f}"
            for name, setting in ends.items()
        )
        return f"{', '.join(found)} dB"

    # Checkpoints

    def _digest(self) -> str:
        """What must be the same for a checkpoint to be this training's."""
        training = self._training
        told = {"steps": training.steps, "batch": training.batch, "seed": training.seed}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        digest.update(repr(self._space.axes).encode() + self._source.digest())
        for name, value in sorted(self._elastic.state_dict().items()):
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _save(self, path: Path) -> None:
        stream = io.BytesIO()
        state = {
            "key": self._key,
            "asked": self._training.steps,
            "step": self._step,
            "elastic": self._elastic.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, stream)
        write_atomically(path, stream.getvalue())

    def _resume(self, path: Path) -> None:
        with damage_told(path):
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["key"] != self._key:
                raise InputError(
                    f"{path} is the checkpoint of another training: remove it, or give the same "
                    "network and options to go on"
                )
            self._elastic.load_state_dict(state["elastic"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._step = int(state["step"])


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
    return torch.optim.Adam(groups, lr=1.0, betas=(0.9, 0.99))
