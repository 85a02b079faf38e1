"""The search: it keeps the bound exactly, finds what is best, and is the same for a seed."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import pytest

from support.elastic import elastic_graph
from winogen.common.errors import InputError
from winogen.compression import clock
from winogen.compression.cycles import Cost
from winogen.compression.search import Found, Search, at_least, at_most, front
from winogen.compression.space import Setting, Space, folded
from winogen.network.zoo import load_model

SPACE = Space(folded(load_model("digits")))
#: What each step down of each choice saves in cycles, and costs in dB.
SAVES = (40, 70, 100, 30, 60, 20)
COSTS = (0.5, 1.0, 3.0, 2.5, 2.0, 1.5)


class Made:
    """Costs that are told by a formula; estimates are off by some percent."""

    def __init__(self, off: float = 0.02):
        self.off = off
        self.exactly: list[Setting] = []

    def exact(self, setting: Setting) -> Cost:
        self.exactly.append(setting)
        cycles = 2000.0 - sum(n * s for n, s in zip(setting, SAVES))
        return Cost(2, cycles, 1e6 / cycles)

    def estimate(self, setting: Setting) -> Cost:
        sign = 1 if sum(setting) % 2 else -1
        cycles = self.exact(setting).cycles * (1 + sign * self.off)
        self.exactly.pop()
        return Cost(2, cycles, 1e6 / cycles)


def quality(setting: Setting) -> float:
    """Falls by each choice, and once more where two choices are low together."""
    return 60 - sum(n * c for n, c in zip(setting, COSTS)) - 0.3 * setting[0] * setting[1]


def search(costs: Made, seed: int = 0) -> Search:
    return Search(SPACE, costs, quality, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("cycles", [450, 600, 750, 900])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_of_all_that_keep_the_bound(cycles: float, seed: int) -> None:
    costs = Made()
    found = search(costs, seed).best(at_most(cycles))
    assert found.cost.cycles <= 2 * cycles
    every = product(*(range(len(axis.values)) for axis in SPACE.axes))
    best = max(quality(s) for s in every if Made().exact(s).cycles <= 2 * cycles)
    assert found.quality == quality(found.setting)
    assert found.quality >= best - 0.6
    assert found.tried < 0.2 * SPACE.count


def test_estimates_that_are_far_off_break_no_bound() -> None:
    for fps in (600.0, 800.0, 1000.0):
        found = search(Made(0.08)).best(at_least(fps))
        assert found.cost.fps >= fps


def test_the_same_seed_finds_the_same() -> None:
    first, again = (search(Made(), 3).best(at_most(700)) for _ in range(2))
    assert first == again


def test_the_whole_where_it_is_fast_enough() -> None:
    found = search(Made()).best(at_most(1000))
    assert found.setting == SPACE.whole and found.tried == 1


def test_what_cannot_be_reached_is_told() -> None:
    least = Made().exact(SPACE.smallest)
    with pytest.raises(InputError, match=f"predicted to give {least.fps:,.1f} images a second"):
        search(Made()).best(at_least(2 * least.fps))


def test_the_smallest_is_found_where_nothing_else_is_fast_enough() -> None:
    least = Made().exact(SPACE.smallest)
    assert search(Made()).best(at_least(least.fps)).setting == SPACE.smallest


def test_the_front_has_none_that_another_beats() -> None:
    def one(cycles: float, quality: float, *setting: int) -> Found:
        return Found(setting, Cost(2, cycles, 1 / cycles), quality, 1)

    best = [one(10, 20, 1), one(20, 25, 2), one(30, 30, 3)]
    worse = [one(11, 20, 4), one(21, 19, 5), one(30, 29, 6)]
    assert front([*worse, *best[::-1], best[0]]) == best


def test_a_space_with_layers_that_can_go() -> None:
    """One choice more: what is there and what is not."""
    space = Space(folded(elastic_graph()))
    assert [axis.values for axis in space.axes if axis.kind == "depth"] == [(1, 0)]
    costs = SimpleNamespace(exact=lambda s: Cost(1, 100 - 5 * sum(s), 1.0))
    costs.estimate = costs.exact
    found = Search(space, costs, lambda s: -float(sum(s)), 0).best(at_most(80))  # type: ignore[arg-type]
    assert sum(found.setting) == 4


def test_time_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is, the bound is kept: by the smallest, in the end."""
    now = [0.0]

    def slow(setting: Setting) -> float:
        now[0] += 1
        return quality(setting)

    monkeypatch.setattr(clock, "now", lambda: now[0])
    costs = Made()
    whole = Search(SPACE, costs, slow).best(at_most(600))  # type: ignore[arg-type]
    assert now[0] > 60
    for seconds in (0.0, 20.0, 55.0):
        now[0] = 0.0
        costs.exactly.clear()
        one = Search(SPACE, costs, slow)  # type: ignore[arg-type]
        found = one.best(at_most(600), until=seconds)
        assert now[0] <= seconds + 3
        assert found.cost.cycles <= 1200
        assert found.quality <= whole.quality
        assert len(costs.exactly) < 30
