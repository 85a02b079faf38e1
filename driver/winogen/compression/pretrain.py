"""Pretraining: a student of other layers than its teacher's learns in floating point first.

A float step takes a part of the time of one in integers, and what is far off has nothing to gain
from exact rounding. The student learns the teacher's pixels, and at first its features too: the
values that layers read, as far as a 1x1 regressor makes them of the student's (Romero et al.,
*FitNets*, 2015). The regressors are left behind.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from winogen.common.errors import InputError, QuantisationError
from winogen.common.files import write_atomically
from winogen.compression.bridge import GraphModule
from winogen.compression.inputs import Source
from winogen.compression.limits import MAX_STEPS
from winogen.compression.merging import DENSE
from winogen.compression.teaching import Lesson, decibels, peak_of
from winogen.compression.train import (
    STEP_SEED,
    Training,
    damage_told,
    described,
    root_mean_square,
)
from winogen.network.graph import Graph

#: What a step changes weights by at most, as a share of their own size.
_RATE = 1e-2
#: What features count for beside pixels at the start; they fade out in the first half.
_FEATURES = 0.05
_VALIDATIONS, _LEAST_BETWEEN = 20, 20
_SECONDS_BETWEEN_CHECKPOINTS = 30.0
#: Bytes of the teacher's answers that are kept, and given again when all steps' have been taken.
_KEPT_BYTES = 1 << 28


class Pretrainer:
    """One training of a student graph in floating point.

    It learns what ``teacher`` makes of the inputs of ``source``. Weights that are 0 stay 0: a layer
    in groups keeps them. Values of the same name and size in both graphs are features.
    """

    def __init__(self, graph: Graph, teacher: Graph, training: Training, source: Source):
        torch.manual_seed(training.seed)
        self._graph, self._taught_by = graph, teacher
        self._training, self._source = training, source
        self._device = torch.device(training.device)
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
        self._step = 0
        self._done = False
        self._curve: list[tuple[int, float]] = []
        self._best: tuple[float, dict[str, Tensor]] | None = None

    def run(
        self,
        checkpoint: Path | None = None,
        later: int = 0,
        progress: Callable[[int, str], None] | None = None,
        tried: int = 0,
    ) -> tuple[Graph, int, tuple[tuple[int, float], ...]]:
        """Train to the end: the graph of the best step, the steps that were taken, dB by step.

        ``later`` are the steps in integers that follow, which :func:`asked_of` finds there, and
        ``tried`` those of the trials that the student's widths were found by, for
        :func:`tried_of`. Goes on from ``checkpoint`` if that is there, and leaves all that was
        learned there. Raises InputError where it is of another training.
        """
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
        training = self._training
        every = max(training.steps // _VALIDATIONS, _LEAST_BETWEEN)
        saved = time.monotonic()
        if not self._curve:
            self._validate()
        while self._step < training.steps and not self._done:
            if training.until is not None and time.monotonic() > training.until:
                break
            self.step()
            if self._step % every == 0 or self._step == training.steps:
                self._validate()
            if progress:
                progress(self._step, f"{self._curve[-1][1]:.1f} dB")
            now = time.monotonic()
            if checkpoint is not None and now - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save(checkpoint, later, tried)
                saved = now
        if self._curve[-1][0] != self._step:
            self._validate()
        self._done = True  # also if the time is over: what follows has begun from here
        if checkpoint is not None:
            self._save(checkpoint, later, tried)
        assert self._best is not None
        self._student.load_state_dict(self._best[1])
        return self._student.graph(), self._step, tuple(self._curve)

    def step(self) -> None:
        """Take one step."""
        training, part = self._training, self._step / self._training.steps
        warm = min(1.0, (self._step + 1) / 100)
        falling = 0.01 + 0.99 * (1 + math.cos(math.pi * part)) / 2
        for group in self._optimiser.param_groups:
            group["lr"] = group["size"] * (training.rate or _RATE) * warm * falling
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
            raise QuantisationError(
                f"pretraining of network {self._graph.name} comes to an end at step "
                f"{self._step:,}: its outputs got infinite or NaN; another --seed or fewer --steps "
                "may avoid it"
            )
        for name, mask in self._masks.items():
            grad = self._student.get_parameter(name).grad
            assert grad is not None
            grad.mul_(mask)
        self._optimiser.step()
        self._step += 1

    def _answer(self, number: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Inputs, and what the teacher makes of them: output and features."""
        if number not in self._answers:
            seed = STEP_SEED * (self._training.seed + 1) + number
            x = torch.from_numpy(self._source.draw(self._training.batch, seed)).to(self._device)
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
        return torch.optim.Adam(groups, lr=1.0, betas=(0.9, 0.99))

    def _validate(self) -> None:
        psnr = decibels(self._lesson.error(self._student, self._device))
        if not math.isfinite(psnr):
            raise InputError(
                f"network {self._taught_by.name} gives infinite values or NaN for inputs that a "
                "student is to learn from: it cannot be learnt from"
            )
        self._curve.append((self._step, psnr))
        if self._best is None or psnr > self._best[0]:
            state = self._student.state_dict()
            self._best = psnr, {k: v.detach().cpu().clone() for k, v in state.items()}

    # Checkpoints

    def _key(self) -> str:
        told = asdict(self._training)
        for name in ("until", "device"):
            told.pop(name)
        digest = hashlib.sha256(b"pretraining" + json.dumps(told, sort_keys=True).encode())
        digest.update(self._source.digest())
        for graph in (self._graph, self._taught_by):
            digest.update(described(graph))
        return digest.hexdigest()

    def _save(self, path: Path, later: int, tried: int) -> None:
        stream = io.BytesIO()
        torch.save(
            {
                "key": self._key(),
                "asked": self._training.steps,
                "later": later,
                "tried": tried,
                "step": self._step,
                "done": self._done,
                "curve": self._curve,
                "student": self._student.state_dict(),
                "regressors": self._regressors.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "best": self._best,
            },
            stream,
        )
        write_atomically(path, stream.getvalue())

    def _resume(self, path: Path) -> None:
        with damage_told(path):
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["key"] != self._key():
                raise InputError(
                    f"{path} is the checkpoint of another training: remove it, or give the same "
                    "network and options to go on"
                )
            self._student.load_state_dict(state["student"])
            self._regressors.load_state_dict(state["regressors"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._step, self._done = int(state["step"]), bool(state["done"])
            self._best = state["best"]
            self._curve = [(int(step), float(psnr)) for step, psnr in state["curve"]]


def asked_of(checkpoint: Path) -> tuple[int, int]:
    """The steps in floating point and in integers of a training; InputError where it is none."""
    with damage_told(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        asked = int(state["asked"]), int(state["later"])
        if not all(0 < steps <= MAX_STEPS for steps in asked):
            raise ValueError(asked)
        return asked


def tried_of(checkpoint: Path) -> int:
    """The steps of each trial that a student's widths were found by, 0 if there were none.

    Raises InputError where the file is no checkpoint.
    """
    with damage_told(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        tried = int(state["tried"])
        if not 0 <= tried <= MAX_STEPS:
            raise ValueError(tried)
        return tried


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
