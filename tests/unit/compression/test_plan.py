"""Plans: which layers are pruned and shared by how much, for a budget."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from winogen.common.errors import InputError
from winogen.compiler.calibrate import observe
from winogen.network.zoo import load_model

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import clock
from winogen.compression.plan import Choice, Sensitivity, sensitivity
from winogen.compression.recipe import Held, Recipe
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    return sensitivity(observe(load_model("digits"), samples=16))


def bits(found: Sensitivity, layers) -> float:
    chosen = [
        next(c for c in choices if c.held == layers.get(name, Held()))
        for name, choices in found.choices.items()
    ]
    return sum(c.bits for c in chosen)


def test_every_way_is_measured(found: Sensitivity) -> None:
    observed = observe(load_model("digits"), samples=16)
    held = dict(Student(observed).holdings())
    assert found.weights == {name: h.present for name, h in held.items()}
    for name, choices in found.choices.items():
        assert choices[0].held == Held()
        assert choices[0].bits == pytest.approx(held[name].coded_bits())
        assert len(choices) == (1 if held[name].present < 4096 else 33)
        assert len({c.held for c in choices}) == len(choices)
        plain = [c for c in choices if c.held.shared is None]
        for more, fewer in itertools.pairwise(plain):
            assert fewer.bits < more.bits
            assert fewer.error > 0.8 * more.error
        if len(choices) > 1:
            assert choices[17].error > 5 * choices[0].error


def test_time_bounds_it(found: Sensitivity, monkeypatch: pytest.MonkeyPatch) -> None:
    """From coarse to fine, the smallest of every layer always; what was tried is what it was."""
    now = [0.0]
    whole = Lesson.error
    given = []

    def error(self, student, device=None) -> float:
        given.append(len(self.inputs))
        now[0] += len(self.inputs) / 32
        return whole(self, student, device)

    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(Lesson, "error", error)
    observed = observe(load_model("digits"), samples=16)
    some = sensitivity(observed, until=30.0)
    assert 28 <= now[0] <= 32
    assert set(given) == {32}
    for name, choices in some.choices.items():
        assert set(choices) <= set(found.choices[name])
        assert choices[0] == found.choices[name][0]
        if len(found.choices[name]) > 1:
            assert 5 < len(choices) < 33
            assert min(c.bits for c in choices) == min(c.bits for c in found.choices[name])
    assert some.plan(0.4 * some.plain_bits).prunes
    start = now[0]
    least = sensitivity(observed, until=start + 2)  # with fewer inputs, and one for each at least
    assert now[0] <= start + 4
    assert min(given) < 16
    assert [2 <= len(c) < 6 for c in least.choices.values()] == [True, True, True, False]


def test_weights_that_fit_as_they_are_are_left_alone(found: Sensitivity) -> None:
    for bits in (found.plain_bits, 1e15):
        assert found.plan(bits) == Recipe()


def test_a_larger_budget_errs_less(found: Sensitivity) -> None:
    errors = []
    for share in (0.25, 0.4, 0.6, 0.8):
        recipe = found.plan(share * found.plain_bits)
        assert bits(found, recipe.layers) <= share * found.plain_bits
        errors.append(
            sum(
                next(c for c in choices if c.held == recipe.layers.get(name, Held())).error
                for name, choices in found.choices.items()
            )
        )
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 3 * errors[-1]  # each makes use of its budget
    assert (
        found.plan(2 * found.plain_bits).layers == {}
        or bits(found, found.plan(2 * found.plain_bits).layers) <= 2 * found.plain_bits
    )


def test_a_budget_that_is_too_small_says_what_it_takes(found: Sensitivity) -> None:
    with pytest.raises(InputError, match="cannot be held in 10 bytes"):
        found.plan(80)


def test_no_other_combination_of_that_size_is_better() -> None:
    """Among combinations on the hull: against trying them all."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        choices = {}
        for name in "abc":
            size = np.sort(rng.uniform(1, 10, 5))[::-1]
            error = np.sort(rng.uniform(0, 1, 5) ** 2)
            kept = [1.0, 0.7, 0.55, 0.4, 0.3]
            choices[name] = tuple(Choice(Held(k), b, e) for k, b, e in zip(kept, size, error))
        found = Sensitivity(choices, dict.fromkeys("abc", 100))
        budget = float(rng.uniform(0.5, 0.9)) * found.plain_bits
        try:
            recipe = found.plan(budget)
        except InputError:
            continue
        chosen = [next(c for c in choices[n] if c.held == recipe.layers.get(n, Held()))
                  for n in "abc"]  # fmt: skip
        size, error = sum(c.bits for c in chosen), sum(c.error for c in chosen)
        assert size <= budget
        for other in itertools.product(*choices.values()):
            if sum(c.bits for c in other) <= size:
                assert sum(c.error for c in other) >= error - 1e-9


def test_what_cannot_be_measured_is_not_taken() -> None:
    """No price is high enough for another where NaN is what a way does."""
    plain, wrong, right = (
        Choice(Held(), 800.0, float("nan")),
        Choice(Held(0.5), 300.0, float("inf")),
        Choice(Held(0.4), 400.0, 0.1),
    )
    known = Sensitivity({"a": (plain, wrong, right)}, {"a": 100})
    assert known._at(1e-6) == {"a": right}
    only = Sensitivity({"a": (plain, wrong)}, {"a": 100})
    assert only._at(1.0) == {"a": wrong}
    assert known.plan(500.0).layers == {"a": Held(0.4)}
