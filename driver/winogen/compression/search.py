"""Searching sub-networks: the best that is fast enough.

Evolution as in once for all (Cai et al. 2020): the best are changed a little and crossed, and what
is too slow is shrunk until it is not. Many more descendants are made than are judged: those are
whose quality is predicted to be highest, by what each choice has been worth so far (a linear model
of all that were judged, in the place of the paper's network). Costs are estimates while this goes
on; of what was met, the best whose exact cost keeps the bound is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.compression.clock import over
from winogen.compression.cycles import Cost, Costs
from winogen.compression.space import Setting, Space

#: How many are judged at first and in each generation, of how many descendants of how many.
_FIRST, _JUDGED, _DESCENDANTS, _PARENTS = 48, 24, 160, 8
#: Generations at most, and how many without a better one end the search.
_GENERATIONS, _PATIENCE = 16, 3
#: How likely each choice is to change in a descendant.
_CHANGE = 0.2
#: How far what a choice is worth is drawn to nothing where few tell.
_RIDGE = 0.1
#: How often what estimates miss, where it is best, is made up for; and what is close enough.
_CORRECTIONS, _CLOSE = 4, 0.002
#: Share by which an estimate may miss a bound that the exact cost keeps.
_SLACK = 0.06
#: How many are costed exactly before one must keep the bound with room to spare.
_COSTED = 24

#: How many are costed exactly when the time is over, before the smallest is taken.
_LATE = 3

#: How a cost is to a bound: 1 and more keeps it.
Bound = Callable[[Cost], float]


@dataclass(frozen=True)
class Found:
    """A sub-network that was found.

    Attributes
    ----------
    setting : which
    cost : exactly
    quality : dB to the whole network, by the shared weights; infinite of the whole itself
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
        self._until: float | None = None

    @property
    def judged(self) -> dict[Setting, float]:
        """The quality in dB of all sub-networks that were met."""
        return dict(self._judged)

    def best(self, bound: Bound, until: float | None = None) -> Found:
        """The best sub-network that keeps a bound, of those that can be looked at ``until`` then.

        It keeps the bound however little time there is. Raises InputError, with the least cost that
        there is, where none does.
        """
        self._until = until
        space, costs = self._space, self._costs
        whole = costs.exact(space.whole)
        if bound(whole) >= 1:
            return Found(space.whole, whole, math.inf, max(len(self._judged), 1))
        least = costs.exact(space.smallest)
        if bound(least) < 1:
            raise InputError(
                f"no sub-network is fast enough: the smallest is predicted to give {least.fps:,.1f}"
                " images a second; ask for less, or fit a narrower network"
            )

        least_estimate = 1.0
        for _ in range(_CORRECTIONS):
            wanted = least_estimate

            def keeps(setting: Setting, wanted: float = wanted) -> bool:
                return bound(costs.estimate(setting)) >= wanted

            best = self._evolve(keeps)
            if best is None:  # the smallest keeps it, by however little
                break
            least_estimate = bound(costs.estimate(best)) / bound(costs.exact(best))
            if abs(least_estimate - wanted) < _CLOSE or over(until):
                break
        return self._exactly(bound)

    def _evolve(self, keeps: Callable[[Setting], bool]) -> Setting | None:
        """The best that could be found of those that are kept; None if none could be."""
        if not keeps(self._space.smallest):
            return None
        random = np.random.default_rng((self._seed, 2))
        first = [self._space.smallest, *self._even(keeps)]
        while len(first) < _FIRST and not over(self._until):
            first.append(self._within(self._random(random), keeps, random))
        for setting in first:
            self._judge(setting)
            if over(self._until):
                break
        waited, best = 0, -math.inf
        for _ in range(_GENERATIONS):
            parents = sorted((s for s in self._judged if keeps(s)), key=self._order)[:_PARENTS]
            waited = 0 if self._judged[parents[0]] > best else waited + 1
            best = self._judged[parents[0]]
            if waited == _PATIENCE or over(self._until):
                break
            made = dict.fromkeys(self._traded(parents[0], keeps))
            for _ in range(_DESCENDANTS):
                one, other = (parents[int(random.integers(len(parents)))] for _ in range(2))
                child = self._crossed(one, other, random) if random.random() < 0.5 else one
                made[self._within(self._changed(child, random), keeps, random)] = None
            new = [setting for setting in made if setting not in self._judged]
            for number in np.argsort(-self._predicted(new), kind="stable")[:_JUDGED]:
                if not over(self._until):
                    self._judge(new[int(number)])
        return min((s for s in self._judged if keeps(s)), key=self._order)

    def _order(self, setting: Setting) -> tuple[float, Setting]:
        """By which the best come first."""
        return -self._judged[setting], setting

    def _predicted(self, settings: Sequence[Setting]) -> NDArray[np.float64]:
        """The quality of settings that were not judged, by a linear model of those that were."""
        known = np.array([self._marks(s) for s in self._judged])
        values = np.array(list(self._judged.values()))
        mean = values.mean()
        square = known.T @ known + _RIDGE * np.eye(known.shape[1])
        worth = np.linalg.solve(square, known.T @ (values - mean))
        marks = np.array([self._marks(s) for s in settings]).reshape(-1, len(worth))
        return marks @ worth + mean

    def _marks(self, setting: Setting) -> NDArray[np.float64]:
        """One for what is chosen of each axis, and 0 for the rest."""
        return np.concatenate(
            [np.eye(len(axis.values))[n] for axis, n in zip(self._space.axes, setting)]
        )

    def _traded(self, setting: Setting, keeps: Callable[[Setting], bool]) -> Iterator[Setting]:
        """All with one choice larger, and another as much smaller as the bound then wants."""
        axes = self._space.axes
        for up, number in enumerate(setting):
            for larger in range(number):
                grown = (*setting[:up], larger, *setting[up + 1 :])
                if keeps(grown):
                    yield grown
                    continue
                for down, axis in enumerate(axes):
                    made = grown
                    while down != up and made[down] + 1 < len(axis.values) and not keeps(made):
                        made = _step(made, down, 1)
                    if keeps(made):
                        yield made

    def _exactly(self, bound: Bound) -> Found:
        """The best of those that were met whose exact cost keeps the bound."""
        kept = [s for s in self._judged if bound(self._costs.estimate(s)) >= 1 - _SLACK]
        candidates = sorted(kept, key=self._order)
        for number, setting in enumerate(candidates):
            spare = bound(self._costs.estimate(setting)) >= 1 + _SLACK
            tried = number < _COSTED or spare
            if number >= _LATE and over(self._until):
                break
            if tried and bound(self._costs.exact(setting)) >= 1:
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
