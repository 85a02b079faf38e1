"""The frame of every training: its steps until all are taken or the time is over.

There is no data set: each step's inputs are drawn anew. Step n of a seed always draws the same, so
a run that was interrupted goes on from its checkpoint as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from winogen.common.errors import QuantisationError
from winogen.compression import checkpoint, clock
from winogen.compression.budget import Training
from winogen.compression.inputs import Source
from winogen.network.graph import Graph

#: Seeds of what is drawn: each step has its own, far from those of calibration.
STEP_SEED = 1 << 32
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
#: The fewest steps from one measuring to the next.
_LEAST_BETWEEN = 20
#: Steps until the rate is what it is to be.
_WARM = 100

#: Told the steps that are done, and a word on how it goes.
Progress = Callable[[int, str], None]


class Trainer(ABC):
    """One training, of a network of this name, on the inputs of ``source``."""

    #: What it is called where it comes to a bad end.
    called: ClassVar[str] = "training"
    #: How many times in a run it is measured how good it has become.
    measured: ClassVar[int] = 40

    def __init__(self, training: Training, source: Source, name: str):
        torch.manual_seed(training.seed)
        self._training, self._source, self._name = training, source, name
        self._device = torch.device(training.device)
        self._step = 0

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        return self._step

    @abstractmethod
    def step(self) -> None:
        """Take one step."""

    def _stepped(self) -> None:  # noqa: B027 (not all have something to do)
        """Called after each step of a run."""

    def _note(self) -> str:
        """How it goes, in a word."""
        return ""

    def _take(self, progress: Progress | None, path: Path | None = None) -> None:
        """All steps that are left, or those that there is time for."""
        saved = clock.now()
        while self._step < self._training.steps and not clock.over(self._training.until):
            self.step()
            self._stepped()
            if progress:
                progress(self._step, self._note())
            if path is not None and clock.now() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save(path)
                saved = clock.now()

    def _save(self, path: Path) -> None:
        raise NotImplementedError(f"{type(self).__name__} keeps no checkpoint")

    # What steps have in common

    @property
    def _is_due(self) -> bool:
        """Whether it is time to measure."""
        every = max(self._training.steps // self.measured, _LEAST_BETWEEN)
        return self._step % every == 0

    def _seed(self, step: int) -> int:
        """The seed of a step's inputs."""
        return STEP_SEED * (self._training.seed + 1) + step

    def _drawn(self, step: int) -> Tensor:
        """The inputs of a step."""
        drawn = self._source.draw(self._training.batch, self._seed(step))
        return torch.from_numpy(drawn).to(self._device)

    def _stop(self, what: str) -> None:
        """Raise QuantisationError for what is not finite, before it gets into the weights."""
        raise QuantisationError(
            f"{self.called} of network {self._name} comes to an end at step {self._step:,}: "
            f"{what} got infinite or NaN; another --seed or fewer --steps may avoid it"
        )


class ResumableTrainer(Trainer):
    """One training whose run goes on from a checkpoint."""

    @abstractmethod
    def _key(self) -> str:
        """What must be the same for a checkpoint to be this training's."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """All that it has come to, but the steps."""

    @abstractmethod
    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`_state` gave."""

    def _save(self, path: Path) -> None:
        steps = {"asked": self._training.steps, "step": self._step}
        checkpoint.write(path, self._key(), {**steps, **self._state()})

    def _resume(self, path: Path | None) -> None:
        """Go on from a checkpoint, if it is there; InputError if it is of another training."""
        if path is not None and path.exists():
            with checkpoint.read(path, self._key()) as state:
                self._restore(state)
                self._step = int(state["step"])


class MeasuredTrainer(ResumableTrainer):
    """One of a student, which is measured now and then, and of which the best is kept."""

    def __init__(self, training: Training, source: Source, name: str):
        super().__init__(training, source, name)
        #: dB to the teacher, by step.
        self._curve: list[tuple[int, float]] = []
        #: dB and all values of the best student.
        self._best: tuple[float, dict[str, Tensor]] | None = None

    @abstractmethod
    def _validate(self) -> None:
        """Measure, and keep the best."""

    def _stepped(self) -> None:
        if self._is_due or self._step == self._training.steps:
            self._validate()

    def _note(self) -> str:
        return f"{self._curve[-1][1]:.1f} dB"

    def _keep(self, psnr: float, student: nn.Module) -> None:
        """Keep a student as it is now, if it is better than the best."""
        if self._best is None or psnr > self._best[0]:
            state = student.state_dict()
            self._best = psnr, {k: v.detach().cpu().clone() for k, v in state.items()}


def warmth(steps: int) -> float:
    """Of the rate, what is used after so many steps of an optimiser."""
    return min(1.0, (steps + 1) / _WARM)


def falling(part: float, last: float = 0.02) -> float:
    """Of the rate, what is used when ``part`` is done: along half a cosine to the last."""
    return last + (1 - last) * (1 + math.cos(math.pi * part)) / 2


def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Adam, whose groups say the size of what they hold; see :func:`set_rates`."""
    return torch.optim.Adam(groups, lr=1.0, betas=(0.9, 0.99))


def set_rates(optimiser: torch.optim.Optimizer, *factors: float) -> None:
    """Rates that go with the size of what is changed."""
    for group in optimiser.param_groups:
        rate = group["size"]
        for factor in factors:
            rate *= factor
        group["lr"] = rate


def root_mean_square(values: Tensor) -> float:
    """Root mean square, 1 where that is 0."""
    return float(values.detach().pow(2).mean().sqrt()) or 1.0


def told_of(training: Training) -> bytes:
    """What of a training must be the same to go on from its checkpoint, as text."""
    told = asdict(training)
    for name in ("until", "device"):
        told.pop(name)
    return json.dumps(told, sort_keys=True).encode()


def described(graph: Graph) -> bytes:
    """What tells the layers, their attributes and parameters, and the ends of a network apart."""
    digest = hashlib.sha256(repr((graph.input, graph.output_range, graph.exits)).encode())
    for node in graph.nodes:
        attributes = sorted(node.attrs.items())
        digest.update(repr((node.name, node.op, node.inputs, attributes)).encode())
        for name, value in sorted(node.params.items()):
            digest.update(name.encode() + value.tobytes())
    return digest.digest()
