"""Hypothesis draws what the random builders ask for, so that whatever fails shrinks.

The builders take a numpy Generator for a seed's network. Here they get :class:`Drawn` instead:
the same questions, answered by hypothesis. A failure comes down to few layers of small sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from support.random_graphs import random_graph
from support.random_networks import random_network
from winogen.network.graph import Graph

# The same examples in every run, however fast the machine is, and nothing left in the checkout.
settings.register_profile("winogen", derandomize=True, deadline=None, database=None)
settings.load_profile("winogen")

#: Seeds of the values, which nothing shrinks but towards another seed.
SEEDS = st.integers(0, 999)


def examples(count: int) -> settings:
    """So many examples; networks are slow to make, and large."""
    return settings(max_examples=count, suppress_health_check=list(HealthCheck))


class Drawn:
    """As much of numpy's Generator as the builders use; choices are drawn, noise is seeded.

    Every choice shrinks to its first or lowest value, and every chance to "no".
    """

    def __init__(self, draw: st.DrawFn):
        self._draw = draw
        self._noise = np.random.default_rng(draw(SEEDS))
        self.normal = self._noise.normal
        self.uniform = self._noise.uniform
        self.standard_normal = self._noise.standard_normal

    def integers(
        self, low: int, high: int | None = None, size: int | None = None, dtype: Any = np.int64
    ) -> Any:
        """Integers from ``low`` on and below ``high``, or below ``low``."""
        low, high = (0, low) if high is None else (low, high)
        strategy = st.integers(int(low), int(high) - 1)
        if size is None:
            return self._draw(strategy)
        return np.array([self._draw(strategy) for _ in range(size)], dtype)

    def random(self) -> float:
        """A number up to 1: what is asked is whether it is below a chance."""
        return 1 - self._draw(st.integers(0, 99)) / 100

    def choice(self, values: Sequence[Any], size: int | None = None) -> Any:
        """One of the values, or an array of some, each of all."""
        strategy = st.sampled_from(list(values))
        if size is None:
            return self._draw(strategy)
        return np.array([self._draw(strategy) for _ in range(size)])

    def permutation(self, values: Sequence[Any]) -> NDArray[Any]:
        """The values in any order."""
        return np.array(self._draw(st.permutations(list(values))))


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """What takes the place of a numpy Generator."""
    return Drawn(draw)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """The networks of :mod:`support.random_graphs`: small, of every operation."""
    return random_graph(draw(SEEDS), Drawn(draw))


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """The networks of :mod:`support.random_networks`: for whole devices, wide kernels."""
    return random_network(draw(SEEDS), Drawn(draw))
