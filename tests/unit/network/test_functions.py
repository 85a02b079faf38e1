"""Functions of one number, each against its formula in the functions of ``math``."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from winogen.network.functions import (
    ACTIVATIONS,
    ARGUMENT,
    ELEMENTWISE,
    TABULATED,
    Function,
    Step,
    sigmoid,
    softplus,
)

GRID = [n / 8 for n in range(-80, 81)]


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def soft(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0)


FORMULAS: dict[str, Callable[[float], float]] = {
    "silu": lambda x: x * logistic(x),
    "swish": lambda x: x * logistic(x),
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "gelu_tanh": lambda x: x * 0.5 * (
        1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    ),
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "mish": lambda x: x * math.tanh(soft(x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "celu": lambda x: max(0, x) + min(0, math.expm1(x)),
    "softplus": soft,
    "softsign": lambda x: x / (1 + abs(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    got = ACTIVATIONS[name](np.array(GRID))
    wanted = [FORMULAS[name](x) for x in GRID]
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


OPERATORS: dict[str, dict[str, float]] = {
    "Celu": {"alpha": 2.0}, "Elu": {"alpha": 0.5}, "Selu": {"alpha": 1.25, "gamma": 0.5},
    "Shrink": {"bias": 0.25, "lambd": 1.0}, "ThresholdedRelu": {"alpha": 1.5},
    "HardSigmoid": {"alpha": 0.125, "beta": 0.25}, "LeakyRelu": {"alpha": 0.1},
    "Swish": {"alpha": 1.5},
}  # fmt: skip
SAID: dict[str, Callable[[float], float]] = {
    "Celu": lambda x: x if x > 0 else 2 * math.expm1(x / 2),
    "Elu": lambda x: x if x > 0 else 0.5 * math.expm1(x),
    "Selu": lambda x: 0.5 * (x if x > 0 else 1.25 * math.expm1(x)),
    "Shrink": lambda x: x + 0.25 if x < -1 else x - 0.25 if x > 1 else 0,
    "ThresholdedRelu": lambda x: x if x > 1.5 else 0,
    "HardSigmoid": lambda x: min(max(0.125 * x + 0.25, 0), 1),
    "LeakyRelu": lambda x: x if x > 0 else 0.1 * x,
    "Swish": lambda x: x * logistic(1.5 * x),
}


@pytest.mark.parametrize("operator", SAID)
def test_operators_with_attributes(operator):
    got = Function.of(operator, OPERATORS[operator])(np.array(GRID))
    np.testing.assert_allclose(got, [SAID[operator](x) for x in GRID], rtol=1e-9, atol=1e-12)


def test_no_function_overflows():
    far = np.array([-1e4, -800.0, 800.0, 1e4])
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(far).tolist() == [0, 0, 1, 1]
        assert softplus(far).tolist() == [0, 0, 800, 1e4]
    for name in ("silu", "gelu", "mish", "softplus", "elu", "selu"):
        assert np.isfinite(ACTIVATIONS[name](far)).all(), name


def test_where_there_is_no_value():
    """A table has something for every input: what a function has no value for is told as such."""
    assert np.isnan(Function.of("Log", {})(np.array([-1.0]))).all()
    assert np.isinf(Function.of("Reciprocal", {})(np.array([0.0]))).all()


def test_every_operator_with_a_table_is_known():
    assert set(TABULATED) <= set(ELEMENTWISE)


def test_steps():
    """tanh(2 x) + x, and what is no function of its argument."""
    twice = Step("Mul", (), (ARGUMENT, 2.0))
    steps = (twice, Step("Tanh", (), (0,)), Step("Add", (), (1, ARGUMENT)))
    np.testing.assert_allclose(
        Function("f", steps)(np.array(GRID)), [math.tanh(2 * x) + x for x in GRID]
    )
    constant = Function("one", (Step("Add", (), (0.25, 0.75)),))
    assert constant(np.zeros((2, 3))).tolist() == [[1.0] * 3] * 2
