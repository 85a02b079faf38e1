"""Pretraining: a student of other layers than its teacher's learns in floating point first.

A float step takes a part of the time of one in integers, and what is far off has nothing to gain
from exact rounding. The student learns the teacher's pixels, and at first its features too: the
values that layers read, as far as a 1x1 regressor makes them of the student's (Romero et al.,
*FitNets*, 2015). The regressors are left behind.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from winogen.common.errors import InputError
from winogen.compression.bridge import GraphModule
from winogen.compression.budget import Training
from winogen.compression.inputs import Source
from winogen.compression.merging import DENSE
from winogen.compression.teaching import Lesson, decibels, peak_of
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

#: What a step changes weights by at most, as a share of their own size.
_RATE = 1e-2
#: What features count for beside pixels at the start; they fade out in the first half.
_FEATURES = 0.05
#: Bytes of the teacher's answers that are kept, and given again when all steps' have been taken.
_KEPT_BYTES = 1 << 28


class Pretrainer(MeasuredTrainer):
    """One training of a student graph in floating point.

    It learns what ``teacher`` makes of the inputs of ``source``. Weights that are 0 stay 0: a layer
    in groups keeps them. Values of the same name and size in both graphs are features.
    """

    called: ClassVar[str] = "pretraining"
    measured: ClassVar[int] = 20

    def __init__(self, graph: Graph, teacher: Graph, training: Training, source: Source):
        super().__init__(training, source, graph.name)
        self._graph, self._taught_by = graph, teacher
        self._teacher = GraphModule(teacher).eval().to(self._device)
        self._student = GraphModule(graph).to(self._device)
        self._peak = peak_of(teacher, source)
        self._names = features(graph, teacher)
        self._answers: dict[int, tuple[Tensor, Tensor, dict[str, Tensor]]] = {}
        size = 4 * training.batch * (math.prod(teacher.output_shape) + math.prod(graph.input.shape))
        size += sum(4 * training.batch * math.prod(teacher.shapes[n]) for n in self._names)
        self._pool = max(_KEPT_BYTES // size, 1)
        self._regressors = self._first_regressors()
        self._lesson = Lesson.of(teacher, source.choosing(), self._peak)
        self._masks = {
            name: (values != 0).float()
            for name, values in self._student.named_parameters()
            if values.ndim == 4 and bool((values == 0).any())
        }
        self._optimiser = self._new_optimiser()
        self._done = False
        self._later = self._tried = 0

    def run(
        self,
        checkpoint: Path | None = None,
        later: int = 0,
        progress: Progress | None = None,
        tried: int = 0,
    ) -> tuple[Graph, int, tuple[tuple[int, float], ...]]:
        """Train to the end: the graph of the best step, the steps that were taken, dB by step.

        ``later`` are the steps in integers that follow, which
        :func:`winogen.compression.checkpoint.asked_of` finds there, and
        ``tried`` those of the trials that the student's widths were found by, for
        its ``tried_of``. Goes on from ``checkpoint`` if that is there, and leaves all that was
        learned there. Raises InputError where it is of another training.
        """
        self._later, self._tried = later, tried
        self._resume(checkpoint)
        if not self._curve:
            self._validate()
        if not self._done:
            self._take(progress, checkpoint)
        if self._curve[-1][0] != self._step:
            self._validate()
        self._done = True  # also if the time is over: what follows has begun from here
        if checkpoint is not None:
            self._save(checkpoint)
        assert self._best is not None
        self._student.load_state_dict(self._best[1])
        return self._student.graph(), self._step, tuple(self._curve)

    def step(self) -> None:
        """Take one step."""
        training, part = self._training, self._step / self._training.steps
        set_rates(self._optimiser, training.rate or _RATE, warmth(self._step), falling(part, 0.01))
        x, wanted, seen = self._answer(self._step % self._pool)
        own: dict[str, Tensor] = {}
        given = self._student(x, own.__setitem__)
        loss = torch.mean((given - wanted) ** 2) / self._peak**2
        counts = _FEATURES * max(1 - 2 * part, 0.0)
        if counts > 0:
            for name, regressor in zip(self._names, self._regressors):
                loss = loss + counts * _apart(regressor(own[name]), seen[name])
        self._optimiser.zero_grad()
        loss.backward()
        if not bool(torch.isfinite(loss)):
            self._stop("its outputs")
        for name, mask in self._masks.items():
            grad = self._student.get_parameter(name).grad
            assert grad is not None
            grad.mul_(mask)
        self._optimiser.step()
        self._step += 1

    def _answer(self, number: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Inputs, and what the teacher makes of them: output and features."""
        if number not in self._answers:
            x = self._drawn(number)
            seen: dict[str, Tensor] = {}

            def keep(name: str, values: Tensor) -> None:
                if name in self._names:
                    seen[name] = values

            with torch.no_grad():
                wanted = self._teacher(x, keep)
            self._answers[number] = x, wanted, seen
        return self._answers[number]

    def _first_regressors(self) -> nn.ModuleList:
        """1x1 convolutions from the student's features to the teacher's, by least squares."""
        if not self._names:
            return nn.ModuleList()
        x, _, seen = self._answer(0)
        own: dict[str, Tensor] = {}
        with torch.no_grad():
            self._student(x, own.__setitem__)
        found = []
        for name in self._names:
            found.append(_regressor(own[name], seen[name]).to(self._device))
        return nn.ModuleList(found)

    def _new_optimiser(self) -> torch.optim.Optimizer:
        """Adam, with a rate for each parameter that goes with its size; a bias has its weight's."""
        groups: list[dict[str, Any]] = []
        for module in (self._student, *self._regressors):
            size = 0.0
            for values in module.parameters():
                own = root_mean_square(values)
                size = own if values.ndim > 1 else size
                groups.append({"params": [values], "size": max(size, own) if size else own})
        return adam(groups)

    def _validate(self) -> None:
        psnr = decibels(self._lesson.error(self._student, self._device))
        if not math.isfinite(psnr):
            raise InputError(
                f"network {self._taught_by.name} gives infinite values or NaN for inputs that a "
                "student is to learn from: it cannot be learnt from"
            )
        self._curve.append((self._step, psnr))
        self._keep(psnr, self._student)

    # Checkpoints

    def _key(self) -> str:
        digest = hashlib.sha256(b"pretraining" + told_of(self._training))
        digest.update(self._source.digest())
        for graph in (self._graph, self._taught_by):
            digest.update(described(graph))
        return digest.hexdigest()

    def _state(self) -> dict[str, Any]:
        return {
            "later": self._later,
            "tried": self._tried,
            "done": self._done,
            "curve": self._curve,
            "student": self._student.state_dict(),
            "regressors": self._regressors.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "best": self._best,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._student.load_state_dict(state["student"])
        self._regressors.load_state_dict(state["regressors"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._done, self._best = bool(state["done"]), state["best"]
        self._curve = [(int(step), float(psnr)) for step, psnr in state["curve"]]


def features(graph: Graph, teacher: Graph) -> tuple[str, ...]:
    """Values that layers with weights read, of one name and size in both graphs."""
    read = {i for node in graph.nodes if node.op in DENSE for i in node.inputs}
    read.discard(Graph.INPUT_NAME)
    shared = read & set(teacher.shapes)
    return tuple(
        node.name
        for node in graph.nodes
        if node.name in shared and graph.shapes[node.name][1:] == teacher.shapes[node.name][1:]
    )


def _regressor(given: Tensor, wanted: Tensor) -> nn.Conv2d:
    """The 1x1 convolution that makes ``wanted`` (N, C, H, W) of ``given`` best: least squares."""
    flat, target = (v.double().transpose(0, 1).flatten(1) for v in (given, wanted))
    flat = torch.cat([flat, torch.ones_like(flat[:1])])
    square = flat @ flat.T
    ridge = 1e-6 * square.diagonal().mean() * torch.eye(len(flat)).to(flat)
    matrix = torch.linalg.solve(square + ridge, flat @ target.T)
    layer = nn.Conv2d(given.shape[1], wanted.shape[1], 1)
    with torch.no_grad():
        layer.weight.copy_(matrix[:-1].T[:, :, None, None])
        assert layer.bias is not None
        layer.bias.copy_(matrix[-1])
    return layer


def _apart(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean square of a difference, of the mean square of what is wanted."""
    return functional.mse_loss(given, wanted) / (wanted.pow(2).mean() + 1e-12)
