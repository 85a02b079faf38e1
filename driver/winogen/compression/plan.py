"""Plans: how much of each layer's weights to keep and to share, for all of them to fit a budget.

Each way of holding a layer's weights is tried by itself, untrained: what it costs in bits, and by
how much the images change. Of all combinations within a budget the one with the least change is
taken, as if changes added up: by a price for a bit (Everett 1963), found by bisection.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from winogen.common.errors import InputError
from winogen.compiler.calibrate import Observed
from winogen.compression import clock
from winogen.compression.inputs import Source
from winogen.compression.limits import MAX_SHARED, SMALL
from winogen.compression.recipe import LEVELS, Held, Recipe
from winogen.compression.student import Student
from winogen.compression.teaching import Lesson, peak_of, worth_of
from winogen.network.graph import Graph

#: The ways that are tried: shares of the weights that are kept, with as many values as fit and with
#: as many as can be shared; and fewer values, of more of the weights.
_KEPT = (1.0, 0.7, 0.55, 0.4, 0.3, 0.22, 0.15, 0.1, 0.06)
_FEWER, _KEPT_OF_FEWER = (12, 8, 6, 5, 4), (1.0, 0.7, 0.55)
_WAYS = (
    *(Held(kept, shared) for shared in (None, MAX_SHARED) for kept in _KEPT),
    *(Held(kept, shared) for shared in _FEWER for kept in _KEPT_OF_FEWER),
)
_LEAST = Held(_KEPT[-1], MAX_SHARED)
#: Inputs that a change is measured on.
_INPUTS = 32
_PLAN_SEED = 1 << 62


@dataclass(frozen=True)
class Choice:
    """One way to hold a layer's weights, and what it does.

    Attributes
    ----------
    held : the way
    bits : of all of the layer's weights in a program file
    error : mean square of the change of the network's output, of its range
    """

    held: Held
    bits: float
    error: float


@dataclass(frozen=True)
class Sensitivity:
    """What can be done with every layer.

    Attributes
    ----------
    choices : by layer, the first of them plain
    weights : how many weights each layer has
    """

    choices: dict[str, tuple[Choice, ...]]
    weights: dict[str, int]

    @property
    def plain_bits(self) -> float:
        """Bits of all weights as they are."""
        return sum(c[0].bits for c in self.choices.values())

    def plan(self, bits: float) -> Recipe:
        """The recipe with the least change whose weights have at most ``bits`` in all.

        Raises InputError where the budget is too small for any.
        """
        least = sum(min(c.bits for c in choices) for choices in self.choices.values())
        if bits < least:
            raise InputError(
                f"the weights cannot be held in {bits / 8:,.0f} bytes: even with "
                f"{100 * (1 - _KEPT[-1]):.0f}% of them pruned and {MAX_SHARED} shared values they "
                f"take {least / 8:,.0f}; ask for more bytes, or for a narrower network"
            )
        if self.plain_bits <= bits:
            return Recipe()
        low, high = 0.0, 1.0
        while self._bits(self._at(high)) > bits:
            high *= 4
        for _ in range(60):
            price = (low + high) / 2
            low, high = (low, price) if self._bits(self._at(price)) <= bits else (price, high)
        chosen = self._at(high)
        return Recipe(8, {name: c.held for name, c in chosen.items() if c.held != Held()})

    def _at(self, price: float) -> dict[str, Choice]:
        """The best choice of each layer where a bit costs ``price``."""

        def cost(c: Choice) -> tuple[float, float]:
            # NaN would be no more than anything, and no price high enough.
            return (c.error if math.isfinite(c.error) else math.inf) + price * c.bits, c.bits

        return {name: min(choices, key=cost) for name, choices in self.choices.items()}

    @staticmethod
    def _bits(chosen: dict[str, Choice]) -> float:
        return sum(c.bits for c in chosen.values())


def sensitivity(
    observed: Observed,
    teacher: Graph | None = None,
    progress: Callable[[int, int], None] | None = None,
    source: Source | None = None,
    until: float | None = None,
) -> Sensitivity:
    """Try every way with every layer; ``progress`` is called with those done, and all.

    ``teacher`` is the network that errors are against, if not the observed one; ``source`` has the
    inputs, if they are not drawn. It ends by ``until`` (:func:`winogen.compression.clock.now`):
    with as many ways as there was time for, from coarse to fine, but for every layer as it is and
    at its smallest.
    """
    student = Student(observed, LEVELS[8])
    taught_by, source = teacher or observed.graph, source or Source(observed.graph)
    peak = peak_of(taught_by, source)
    lesson = Lesson.of(taught_by, source.draw(_INPUTS, _PLAN_SEED), peak)
    worth = worth_of(observed)
    layers = dict(student.holdings())
    start = clock.now()
    plain = lesson.error(student)
    if until is not None:
        lesson = _in_time(lesson, clock.now() - start, until, 2 * len(layers))
        plain = lesson.error(student)
    found: dict[str, dict[Held, Choice]] = {
        label: {Held(): Choice(Held(), holding.coded_bits(), plain)}
        for label, holding in layers.items()
    }
    rounds = [(label, held) for held in _in_turn() for label, holding in layers.items()
              if held in _for(holding.present)]  # fmt: skip
    count = len(layers) + len(rounds)
    for done, (label, held) in enumerate(rounds, len(layers) + 1):
        if held != _LEAST and clock.over(until):
            break
        holding = layers[label]
        before = copy.deepcopy(holding.state_dict())
        if held.kept < 1:
            holding.prune(held.kept, worth[label])
        if held.shared is not None:
            holding.share(held.shared, 0)
        with torch.no_grad():
            found[label][held] = Choice(held, holding.coded_bits(), lesson.error(student))
        holding.shared = None
        holding.load_state_dict(before)
        if progress:
            progress(done, count)
    choices = {
        label: tuple(found[label][held] for held in _WAYS if held in found[label])
        for label in layers
    }
    return Sensitivity(choices, {label: holding.present for label, holding in layers.items()})


def _in_time(lesson: Lesson, seconds: float, until: float, times: int) -> Lesson:
    """The lesson, or a part of it that can be given so many times until then.

    ``seconds`` are what all of it takes.
    """
    count = len(lesson.inputs)
    left = max(until - clock.now(), 0.0)
    if seconds * times <= left:
        return lesson
    count = max(int(count * left / (seconds * times)), 1)
    return replace(lesson, inputs=lesson.inputs[:count], wanted=lesson.wanted[:count])


def _in_turn() -> list[Held]:
    """All ways but the plain one: the smallest, then from coarse to fine."""
    found = [_LEAST]
    for every in (8, 4, 2, 1):
        found += [held for held in _WAYS[::every] if held != Held() and held not in found]
    return found


def _for(present: int) -> Sequence[Held]:
    """The ways for a layer of so many weights."""
    return _WAYS if present >= SMALL else _WAYS[:1]
