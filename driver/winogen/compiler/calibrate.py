"""Calibration: the ranges of activations, seen by running the float network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.compiler.block import Block
from winogen.compiler.fold import fold
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.formats import as_batch, sample_inputs

#: Inputs that the quality of a quantised network is measured on.
CHECKED_INPUTS = 16
#: Values of all layers together for the inputs that are drawn (2 GiB): fewer of large images.
MAX_DRAWN = 1 << 29


@dataclass(frozen=True)
class Calibration:
    """How activation ranges are chosen.

    ``percentile`` of the magnitudes (100 takes the largest), times ``headroom``; or, if given,
    times ``drawn`` where drawn pictures stand for real ones, which can be bolder.
    """

    percentile: float
    headroom: float = 1.0
    drawn: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100:
            raise InputError(f"calibration percentile must be in (0, 100], not {self.percentile}")
        if not (np.isfinite(self.headroom) and self.headroom > 0):
            raise InputError(f"calibration headroom must be positive, not {self.headroom}")


#: int8 clips the rarest values for a finer step; int16 has bits to spare and must not clip.
DEFAULT_CALIBRATION = {8: Calibration(99.99), 16: Calibration(100.0, 1.25, 4.0)}


@dataclass(frozen=True)
class Observed:
    """What the float network does on its calibration inputs, and on inputs to check with.

    Attributes
    ----------
    values : the input (N, C, H, W) and every block's output over the calibration inputs, and what
        goes into functions that have no range of their own
    checked, expected : inputs to check with, and every block's output for them
    held_out : whether calibration did not see the checked inputs
    """

    graph: Graph
    blocks: list[Block]
    values: dict[str, NDArray]
    checked: NDArray[np.float32]
    expected: dict[str, NDArray]
    held_out: bool


def observe(
    graph: Graph, inputs: NDArray[np.float32] | None = None, *, samples: int = 64, seed: int = 0
) -> Observed:
    """Run the float network for calibration; see :func:`quantise`.

    At most ``samples`` inputs are drawn, and fewer where the network's layers are large. Inputs to
    check with are drawn by the next seed; they are the first of ``inputs`` if given.
    """
    drawn = inputs is None
    if inputs is None:
        if samples < 1:
            raise InputError(f"calibration needs at least one sample, not {samples}")
        layers = sum(math.prod(shape) for shape in graph.shapes.values())
        samples = min(samples, max(MAX_DRAWN // layers, 1))
        inputs = sample_inputs(graph.input, samples, seed)
    inputs = as_batch(graph.input, np.asarray(inputs, np.float32), "calibration inputs")
    if not len(inputs) or not np.all(np.isfinite(inputs)):
        raise InputError("calibration inputs are empty or hold NaN or infinity")
    blocks = fold(graph)
    wanted = {Graph.INPUT_NAME, *(b.name for b in blocks)}
    wanted |= {b.entering for b in blocks if b.curve and b.entering}

    def run(x: NDArray[np.float32]) -> dict[str, NDArray]:
        kept: dict[str, NDArray] = {}
        reference.run(graph, x, lambda n, v: kept.__setitem__(n, v) if n in wanted else None)
        return kept

    values = run(inputs)
    if not drawn:
        expected = {name: v[:CHECKED_INPUTS] for name, v in values.items()}
        return Observed(graph, blocks, values, inputs[:CHECKED_INPUTS], expected, False)
    checked = sample_inputs(graph.input, min(CHECKED_INPUTS, samples), seed + 1)
    return Observed(graph, blocks, values, checked, run(checked), True)
