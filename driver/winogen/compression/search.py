"""Searching sub-networks: the best that is fast enough.

Evolution as in once for all (Cai et al. 2020) and regularised evolution before it: the best are
changed a little and crossed, what is too slow is shrunk until it is not, and in the end every
single step from the best is tried. Costs are estimates while this goes on; of what was met, the
best whose exact cost keeps the bound is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from winogen.common.errors import InputError
from winogen.compression.cycles import Cost, Costs
from winogen.compression.space import Setting, Space

#: How many there are at a time, of which so many have descendants, and for how many generations.
_POPULATION, _PARENTS, _GENERATIONS = 48, 12, 10
#: Rounds of trying all steps from the best.
_ROUNDS = 6
#: How likely each choice is to change in a descendant.
_CHANGE = 0.2
#: Share by which an estimate may miss a bound that the exact cost keeps.
_SLACK = 0.04
#: How many are costed exactly before one must keep the bound with room to spare.
_COSTED = 16

#: How a cost is to a bound: 1 and more keeps it.
Bound = Callable[[Cost], float]


@dataclass(frozen=True)
class Found:
    """A sub-network that was found.

    Attributes
    ----------
    setting : which
    cost : exactly
    quality : dB to the whole network, by the shared weights
    tried : how many sub-networks were judged to find it
    """

    setting: Setting
    cost: Cost
    quality: float
    tried: int


def at_least(fps: float) -> Bound:
    """So many images a second, with the board's processor."""
    return lambda cost: cost.fps / fps


def at_most(cycles: float) -> Bound:
    """So many cycles of the accelerator for each image."""
    return lambda cost: cycles * cost.batch / cost.cycles


class Search:
    """All searches of one space on one board: they share what they have seen.

    ``quality`` gives the dB of a sub-network; ``progress`` is told how many were judged.
    """

    def __init__(
        self,
        space: Space,
        costs: Costs,
        quality: Callable[[Setting], float],
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
    ):
        self._space = space
        self._costs = costs
        self._quality = quality
        self._seed = seed
        self._progress = progress or (lambda done: None)
        self._judged: dict[Setting, float] = {}

    @property
    def judged(self) -> dict[Setting, float]:
        """The quality in dB of all sub-networks that were met."""
        return dict(self._judged)

    def best(self, bound: Bound) -> Found:
        """The best sub-network that keeps a bound.

        Raises InputError, with the least cost that there is, where none does.
        """
        space, costs = self._space, self._costs
        if bound(costs.exact(space.whole)) >= 1:
            return self._found(space.whole)
        least = costs.exact(space.smallest)
        if bound(least) < 1:
            raise InputError(
                f"no sub-network is fast enough: the smallest is predicted to give {least.fps:,.1f}"
                " images a second; ask for less, or fit a narrower network"
            )

        def keeps(setting: Setting) -> bool:
            return bound(costs.estimate(setting)) >= 1 - _SLACK

        self._evolve(keeps)
        return self._exactly(bound, keeps)

    def _evolve(self, keeps: Callable[[Setting], bool]) -> None:
        random = np.random.default_rng((self._seed, 2))
        population = [self._space.smallest, *self._even(keeps)]
        population += sorted((s for s in self._judged if keeps(s)), key=self._judge)[-_PARENTS:]
        while len(population) < _POPULATION:
            population.append(self._within(self._random(random), keeps, random))
        for _ in range(_GENERATIONS):
            parents = sorted(dict.fromkeys(population), key=self._judge, reverse=True)[:_PARENTS]
            population = list(parents)
            while len(population) < _POPULATION:
                one, other = (parents[int(random.integers(len(parents)))] for _ in range(2))
                child = self._crossed(one, other, random) if random.random() < 0.5 else one
                population.append(self._within(self._changed(child, random), keeps, random))
        best = max(population, key=self._judge)
        for _ in range(_ROUNDS):
            near = max((s for s in self._steps(best) if keeps(s)), key=self._judge, default=best)
            if self._judge(near) <= self._judge(best):
                break
            best = near

    def _exactly(self, bound: Bound, keeps: Callable[[Setting], bool]) -> Found:
        """The best of those that were met whose exact cost keeps the bound."""
        candidates = [s for s in self._judged if keeps(s)]
        candidates.sort(key=lambda s: (-self._judged[s], s))
        for setting in candidates[:_COSTED]:
            if bound(self._costs.exact(setting)) >= 1:
                return self._found(setting)
        for setting in candidates:
            spare = bound(self._costs.estimate(setting)) >= 1 + _SLACK
            if spare and bound(self._costs.exact(setting)) >= 1:
                return self._found(setting)
        return self._found(self._space.smallest)

    def _found(self, setting: Setting) -> Found:
        quality = self._judge(setting)
        return Found(setting, self._costs.exact(setting), quality, len(self._judged))

    def _judge(self, setting: Setting) -> float:
        if setting not in self._judged:
            self._judged[setting] = self._quality(setting)
            self._progress(len(self._judged))
        return self._judged[setting]

    def _even(self, keeps: Callable[[Setting], bool]) -> Iterator[Setting]:
        """Those that are shrunk in all ways alike, and in all of one kind, until they are kept."""
        kinds = {axis.kind for axis in self._space.axes}
        for chosen in (kinds, *({kind} for kind in sorted(kinds))):
            for part in np.linspace(0, 1, 17):
                setting = tuple(
                    round(part * (len(axis.values) - 1)) if axis.kind in chosen else 0
                    for axis in self._space.axes
                )
                if keeps(setting):
                    yield setting
                    break

    def _random(self, random: np.random.Generator) -> Setting:
        return tuple(int(random.integers(len(axis.values))) for axis in self._space.axes)

    def _changed(self, setting: Setting, random: np.random.Generator) -> Setting:
        changes = random.random(len(setting)) < _CHANGE
        changes[int(random.integers(len(setting)))] = True
        drawn = self._random(random)
        return tuple(n if change else s for s, n, change in zip(setting, drawn, changes))

    @staticmethod
    def _crossed(one: Setting, other: Setting, random: np.random.Generator) -> Setting:
        first = random.random(len(one)) < 0.5
        return tuple(a if chosen else b for a, b, chosen in zip(one, other, first))

    def _within(
        self, setting: Setting, keeps: Callable[[Setting], bool], random: np.random.Generator
    ) -> Setting:
        """The setting, shrunk where it is too large, and grown as far as the bound allows."""
        while not keeps(setting):
            setting = self._stepped(setting, random, 1)
        for axis in random.permutation(len(setting)):
            grown = _step(setting, int(axis), -1)
            if setting[axis] and keeps(grown):
                setting = grown
        return setting

    def _stepped(self, setting: Setting, random: np.random.Generator, by: int) -> Setting:
        axes = self._space.axes
        open_to = [i for i, n in enumerate(setting) if n + 1 < len(axes[i].values)]
        return _step(setting, open_to[int(random.integers(len(open_to)))], by)

    def _steps(self, setting: Setting) -> Iterator[Setting]:
        """All that are one step from a setting, or one step up and one down."""
        axes = self._space.axes
        larger = [i for i, n in enumerate(setting) if n]
        smaller = [i for i, n in enumerate(setting) if n + 1 < len(axes[i].values)]
        for up in larger:
            grown = _step(setting, up, -1)
            yield grown
            yield from (_step(grown, down, 1) for down in smaller if down != up)


def _step(setting: Setting, axis: int, by: int) -> Setting:
    return (*setting[:axis], setting[axis] + by, *setting[axis + 1 :])


def front(found: Sequence[Found]) -> list[Found]:
    """Those that none is both faster and better than, the fastest first; each once."""
    unique = {f.setting: f for f in found}.values()
    kept: list[Found] = []
    for one in sorted(unique, key=lambda f: (f.cost.cycles / f.cost.batch, -f.quality)):
        if not kept or one.quality > kept[-1].quality:
            kept.append(one)
    return kept
