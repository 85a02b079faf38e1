"""Which weights are chosen for a goal in bytes, before any training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from winogen.common.errors import InputError

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import lessons
from winogen.compression.recipe import Held, Recipe

#: Bits of all weights as a plan counts them, where they are plain.
PLAIN = 8000


class Found:
    """Plans for one layer, of which so many steps of shares are kept."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def plan(self, bits: float) -> Recipe:
        if bits < PLAIN / 10:
            raise InputError("too few")
        if bits >= PLAIN:
            return Recipe()
        return Recipe(8, {"layer": Held(max(round(bits / PLAIN * self.steps), 1) / self.steps)})


def sized(monkeypatch: pytest.MonkeyPatch, found: Found, goal: int, plain: int) -> float:
    """The share that is kept for a goal, where plain weights take ``plain`` bytes in a file."""
    kept = lambda recipe: 1.0 if recipe.plain else recipe.layers["layer"].kept  # noqa: E731
    monkeypatch.setattr(lessons, "held_by", lambda observed, recipe: recipe)
    monkeypatch.setattr(lessons.Lessons, "_taken", lambda self, graph, _: kept(graph) * plain)
    nothing: Any = None
    training: Any = SimpleNamespace(until=None)
    lesson = lessons.Lessons(
        nothing, nothing, None, nothing, nothing, training, None, lambda *_: None
    )
    return kept(lesson._sized(found, goal))  # type: ignore[arg-type]


def test_the_file_decides_and_not_the_plan(monkeypatch):
    """Weights take a third more, or less, in a file than a plan has counted."""
    for plain in (750, 1000, 1300):
        kept = sized(monkeypatch, Found(1000), 500, plain)
        assert 0.96 * 475 < kept * plain <= 475


def test_coarse_plans_give_the_largest_that_fits(monkeypatch):
    assert sized(monkeypatch, Found(10), 500, 1300) == 0.3


def test_weights_stay_plain_where_these_fit(monkeypatch):
    """Also where a plan has counted too many bits at first."""
    assert sized(monkeypatch, Found(1000), 700, 600) == 1.0
    assert sized(monkeypatch, Found(1000), 5000, 600) == 1.0
