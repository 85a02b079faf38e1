"""Functions of one number: activations of any kind, as steps of elementwise operators.

A layer that applies one of these to every value runs through the accelerator's activation table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Stands for the function's argument among the inputs of its steps.
ARGUMENT = -1


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which never overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1 + small)


def erf(x: Array) -> Array:
    """The error function."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), which never overflows."""
    return np.logaddexp(0, x)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def _gelu(attrs: Mapping[str, Any], x: Array) -> Array:
    if str(attrs.get("approximate", "none")) == "tanh":
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / math.sqrt(2))) / 2


def _selu(attrs: Mapping[str, Any], x: Array) -> Array:
    alpha, gamma = attrs.get("alpha", 1.6732632), attrs.get("gamma", 1.0507009)
    return gamma * _elu(x, alpha)


def _celu(attrs: Mapping[str, Any], x: Array) -> Array:
    alpha = attrs.get("alpha", 1.0)
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)


def _shrink(attrs: Mapping[str, Any], x: Array) -> Array:
    bias, lambd = attrs.get("bias", 0.0), attrs.get("lambd", 0.5)
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


#: Elementwise operators: what they do to their inputs, given their attributes.
ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Abs": lambda a, x: np.abs(x),
    "Add": lambda a, x, y: x + y,
    "Cast": lambda a, x: x,
    "Clip": lambda a, x, low=-math.inf, high=math.inf: np.minimum(np.maximum(x, low), high),
    "Div": lambda a, x, y: x / y,
    "Celu": _celu,
    "Cos": lambda a, x: np.cos(x),
    "Elu": lambda a, x: _elu(x, a.get("alpha", 1.0)),
    "Erf": lambda a, x: erf(x),
    "Exp": lambda a, x: np.exp(x),
    "Gelu": _gelu,
    "Greater": lambda a, x, y: (x > y).astype(np.float64),
    "GreaterOrEqual": lambda a, x, y: (x >= y).astype(np.float64),
    "HardSigmoid": lambda a, x: np.clip(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda a, x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: np.where(x < 0, a.get("alpha", 0.01) * x, x),
    "Less": lambda a, x, y: (x < y).astype(np.float64),
    "LessOrEqual": lambda a, x, y: (x <= y).astype(np.float64),
    "Log": lambda a, x: np.log(x),
    "Max": lambda a, *x: np.maximum.reduce(np.broadcast_arrays(*x)),
    "Min": lambda a, *x: np.minimum.reduce(np.broadcast_arrays(*x)),
    "Mish": lambda a, x: x * np.tanh(softplus(x)),
    "Mul": lambda a, x, y: x * y,
    "Neg": lambda a, x: -x,
    "Pow": lambda a, x, y: np.power(x, y),
    "Reciprocal": lambda a, x: 1 / x,
    "Relu": lambda a, x: np.maximum(x, 0),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": lambda a, x: sigmoid(x),
    "Sign": lambda a, x: np.sign(x),
    "Sin": lambda a, x: np.sin(x),
    "Softplus": lambda a, x: softplus(x),
    "Softsign": lambda a, x: x / (1 + np.abs(x)),
    "Sqrt": lambda a, x: np.sqrt(x),
    "Sub": lambda a, x, y: x - y,
    "Sum": lambda a, *x: np.sum(np.broadcast_arrays(*x), axis=0),
    "Swish": lambda a, x: x * sigmoid(a.get("alpha", 1.0) * x),
    "Tanh": lambda a, x: np.tanh(x),
    "Where": lambda a, c, x, y: np.where(c != 0, x, y),
    "ThresholdedRelu": lambda a, x: np.where(x > a.get("alpha", 1.0), x, 0.0),
}


#: Operators of one activation that only a table can do. (Sigmoid and Tanh have operations of their
#: own, Abs, Clip, HardSigmoid, LeakyRelu and Relu are the requantiser's.)
TABULATED = (
    "Celu", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSwish", "Log", "Mish", "Reciprocal", "Selu",
    "Shrink", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "ThresholdedRelu",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One operator: its name in ONNX, attributes, and inputs.

    An input is the number of an earlier step, :data:`ARGUMENT`, or a float.
    """

    operator: str
    attrs: tuple[tuple[str, Any], ...]
    inputs: tuple[int | float, ...]


@dataclass(frozen=True)
class Function:
    """A function of one number; its last step is the result. ``name`` is for people."""

    name: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, operator: str, attrs: Mapping[str, Any], *more: float) -> Function:
        """One operator of the argument, and of the numbers ``more`` after it."""
        step = Step(operator, tuple(sorted(attrs.items())), (ARGUMENT, *map(float, more)))
        return cls(operator.lower(), (step,))

    def __call__(self, x: Array) -> Array:
        """The function's values; NaN where it has none."""
        results: list[Array] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                values = [
                    np.float64(i) if isinstance(i, float) else x if i == ARGUMENT else results[i]
                    for i in step.inputs
                ]
                results.append(ELEMENTWISE[step.operator](dict(step.attrs), *values))
        return np.broadcast_to(np.asarray(results[-1], np.float64), np.shape(x))


#: Activations that definitions name, beside those that need no table.
ACTIVATIONS: Mapping[str, Function] = {
    "silu": Function.of("Swish", {}),
    "swish": Function.of("Swish", {}),
    "gelu": Function.of("Gelu", {}),
    "gelu_tanh": Function.of("Gelu", {"approximate": "tanh"}),
    "hardswish": Function.of("HardSwish", {}),
    "mish": Function.of("Mish", {}),
    "elu": Function.of("Elu", {}),
    "selu": Function.of("Selu", {}),
    "celu": Function.of("Celu", {}),
    "softplus": Function.of("Softplus", {}),
    "softsign": Function.of("Softsign", {}),
}
