"""What a student learns from: inputs that are drawn, or those that were given.

Of given ones some are held out: an eighth to choose the best step by, and an eighth to judge by.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.network.graph import Graph
from winogen.program.formats import as_batch, sample_inputs

#: Inputs at most that a fitted network is judged on, and that the best step is chosen by.
JUDGED, CHOOSING = 256, 128
#: Pixels of the pictures that it is judged on: fewer large ones tell as much, in less time.
_PIXELS = 1 << 18
#: Of the given ones, one of so many is for either.
_HELD_OUT = 8
#: Seeds of what is drawn, far from those of calibration and of training's steps.
_JUDGE_SEED, _CHOOSING_SEED = 1 << 61, 1 << 60

Inputs = NDArray[np.float32]


class Source:
    """Where the inputs of a network come from; ``given`` (N, C, H, W), or None: they are drawn.

    Raises InputError where too few are given.
    """

    def __init__(self, graph: Graph, given: Inputs | None = None):
        self._spec = graph.input
        self._learned: Inputs | None = None
        if given is None:
            self._chosen_by = self._judged_by = None
            return
        given = as_batch(graph.input, np.asarray(given, np.float32), "inputs to learn from")
        if len(given) < _HELD_OUT:
            raise InputError(
                f"a network cannot learn from {len(given)} inputs: an eighth is to choose by, and "
                f"another to judge by; give {_HELD_OUT} or more, or leave --calib out and they are "
                "drawn"
            )
        order = np.random.default_rng(0).permutation(len(given))
        share = len(given) // _HELD_OUT
        self._judged_by, self._chosen_by = given[order[:share]], given[order[share : 2 * share]]
        self._learned = given[order[2 * share :]]

    def draw(self, count: int, seed: int) -> Inputs:
        """Inputs to learn from."""
        if self._learned is None:
            return sample_inputs(self._spec, count, seed)
        held = len(self._learned)
        rows = np.random.default_rng(seed).choice(held, count, replace=count > held)
        return self._learned[rows]

    def choosing(self) -> Inputs:
        """Inputs that the best step is chosen by."""
        if self._chosen_by is None:
            return sample_inputs(self._spec, self._most(CHOOSING), _CHOOSING_SEED)
        return self._chosen_by[: self._most(CHOOSING)]

    def judging(self) -> Inputs:
        """Inputs that the fitted network is judged by, which nothing else has learned from."""
        if self._judged_by is None:
            return sample_inputs(self._spec, self._most(JUDGED), _JUDGE_SEED)
        return self._judged_by[: self._most(JUDGED)]

    def _most(self, count: int) -> int:
        """So many inputs, or as many large ones as have the pixels of those for judging."""
        pixels = self._spec.shape[1] * self._spec.shape[2]
        return min(count, max(_PIXELS * count // (JUDGED * pixels), 1))

    def digest(self) -> bytes:
        """What tells given inputs apart; the same for all that are drawn."""
        parts = (self._learned, self._chosen_by)
        return hashlib.sha256(b"".join(p.tobytes() for p in parts if p is not None)).digest()
