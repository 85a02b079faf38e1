"""What a student is taught and judged by: drawn inputs, and what the teacher makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from winogen.compiler.calibrate import Observed
from winogen.compression.bridge import GraphModule
from winogen.compression.inputs import Source
from winogen.compression.student import Student
from winogen.network import reference
from winogen.network.graph import Graph

#: Inputs that pass through a network at once where nothing is learnt.
AT_ONCE = 64


def peak_of(graph: Graph, source: Source | None = None) -> float:
    """The range of black to white, or of some float values where the output is no image."""
    if graph.output_range is not None:
        low, high = graph.output_range
        return high - low
    values = reference.run(graph, (source or Source(graph)).draw(8, 0))
    return float(values.max() - values.min()) or 1.0


def worth_of(observed: Observed) -> dict[str, Tensor]:
    """By layer, the root mean square of every channel that it reads: what a weight multiplies."""
    found = {}
    for block in observed.blocks:
        parts = [observed.values[s].astype(np.float64) for s in block.sources]
        rms = [np.sqrt(np.mean(p * p, axis=(0, 2, 3))) for p in parts]
        found[block.label] = torch.tensor(np.concatenate(rms), dtype=torch.float32)
    return found


@dataclass(frozen=True)
class Lesson:
    """Inputs (N, C, H, W), the teacher's outputs, and the range that errors are of."""

    inputs: Tensor
    wanted: Tensor
    peak: float

    @classmethod
    def draw(cls, graph: Graph, count: int, seed: int) -> Lesson:
        """Inputs that are drawn by ``seed``, and what the network makes of them in float."""
        return cls.of(graph, Source(graph).draw(count, seed), peak_of(graph))

    @classmethod
    def of(cls, graph: Graph, x: NDArray[np.float32], peak: float) -> Lesson:
        """These inputs, and what the network makes of them in float."""
        inputs = torch.from_numpy(x)
        teacher = GraphModule(graph.without_exits())
        with torch.no_grad():
            wanted = torch.cat([teacher(part) for part in inputs.split(AT_ONCE)])
        return cls(inputs, wanted, peak)

    def error(
        self, student: Callable[[Tensor], Tensor], device: torch.device | None = None
    ) -> float:
        """Mean square of what the student makes otherwise, of the range."""
        return self._errors(lambda x: [student(x)], device)[-1]

    def errors(self, student: Student, device: torch.device | None = None) -> list[float]:
        """The same of every exit of a student, the last of which is the whole network."""
        return self._errors(lambda x: student.outputs(student.integers(x)), device)

    def _errors(
        self, run: Callable[[Tensor], list[Tensor]], device: torch.device | None
    ) -> list[float]:
        totals: list[float] = []
        with torch.no_grad():
            for x, wanted in zip(self.inputs.split(AT_ONCE), self.wanted.split(AT_ONCE)):
                given = run(x if device is None else x.to(device))
                totals = totals or [0.0] * len(given)
                for number, out in enumerate(given):
                    totals[number] += float(torch.sum((out.cpu() - wanted).double() ** 2))
        return [total / (self.wanted.numel() * self.peak**2) for total in totals]


def decibels(error: float) -> float:
    """PSNR in dB of a mean square of the range."""
    return -10 * math.log10(max(error, 1e-20))
