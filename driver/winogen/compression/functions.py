"""Functions of one number in torch: the steps of ``winogen.network.functions`` with a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from winogen.network.functions import ARGUMENT, Function


def _clip(
    attrs: Mapping[str, Any], x: Tensor, low: Any = -math.inf, high: Any = math.inf
) -> Tensor:
    return torch.minimum(torch.maximum(x, _tensor(x, low)), _tensor(x, high))


def _tensor(x: Tensor, value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=x.dtype, device=x.device)


def _elu(attrs: Mapping[str, Any], x: Tensor) -> Tensor:
    return functional.elu(x, attrs.get("alpha", 1.0))


def _selu(attrs: Mapping[str, Any], x: Tensor) -> Tensor:
    return attrs.get("gamma", 1.0507009) * functional.elu(x, attrs.get("alpha", 1.6732632))


def _shrink(attrs: Mapping[str, Any], x: Tensor) -> Tensor:
    bias, lambd = attrs.get("bias", 0.0), attrs.get("lambd", 0.5)
    zero = torch.zeros_like(x)
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, zero))


def _largest(attrs: Mapping[str, Any], *values: Tensor) -> Tensor:
    return _fold(torch.maximum, values)


def _least(attrs: Mapping[str, Any], *values: Tensor) -> Tensor:
    return _fold(torch.minimum, values)


def _fold(function: Callable[[Tensor, Tensor], Tensor], values: tuple[Tensor, ...]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = function(total, value)
    return total


#: The operators of ``winogen.network.functions.ELEMENTWISE``.
_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Abs": lambda a, x: torch.abs(x),
    "Add": lambda a, x, y: x + y,
    "Cast": lambda a, x: x,
    "Clip": _clip,
    "Div": lambda a, x, y: x / y,
    "Celu": lambda a, x: functional.celu(x, a.get("alpha", 1.0)),
    "Cos": lambda a, x: torch.cos(x),
    "Elu": _elu,
    "Erf": lambda a, x: torch.erf(x),
    "Exp": lambda a, x: torch.exp(x),
    "Gelu": lambda a, x: functional.gelu(x, approximate=str(a.get("approximate", "none"))),
    "Greater": lambda a, x, y: (x > y).to(x.dtype),
    "GreaterOrEqual": lambda a, x, y: (x >= y).to(x.dtype),
    "HardSigmoid": lambda a, x: torch.clamp(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda a, x: x * torch.clamp(x / 6 + 0.5, 0, 1),
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: torch.where(x < 0, a.get("alpha", 0.01) * x, x),
    "Less": lambda a, x, y: (x < y).to(x.dtype),
    "LessOrEqual": lambda a, x, y: (x <= y).to(x.dtype),
    "Log": lambda a, x: torch.log(x),
    "Max": _largest,
    "Min": _least,
    "Mish": lambda a, x: functional.mish(x),
    "Mul": lambda a, x, y: x * y,
    "Neg": lambda a, x: -x,
    "Pow": lambda a, x, y: torch.pow(x, y),
    "Reciprocal": lambda a, x: 1 / x,
    "Relu": lambda a, x: torch.relu(x),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Sign": lambda a, x: torch.sign(x),
    "Sin": lambda a, x: torch.sin(x),
    "Softplus": lambda a, x: torch.logaddexp(x, torch.zeros_like(x)),
    "Softsign": lambda a, x: functional.softsign(x),
    "Sqrt": lambda a, x: torch.sqrt(x),
    "Sub": lambda a, x, y: x - y,
    "Sum": lambda a, *values: _fold(torch.add, values),
    "Swish": lambda a, x: x * torch.sigmoid(a.get("alpha", 1.0) * x),
    "Tanh": lambda a, x: torch.tanh(x),
    "Where": lambda a, which, x, y: torch.where(which != 0, x, y),
    "ThresholdedRelu": lambda a, x: torch.where(x > a.get("alpha", 1.0), x, torch.zeros_like(x)),
}


def apply(function: Function, x: Tensor) -> Tensor:
    """A function's values with their gradient; 0 where it has none, as the float reference has."""
    results: list[Tensor] = []
    if x.requires_grad:
        x = x.view_as(x)
        x.register_hook(lambda slope: torch.nan_to_num(slope, posinf=0.0, neginf=0.0))
    for step in function.steps:
        values = [
            _tensor(x, i) if isinstance(i, float) else x if i == ARGUMENT else results[i]
            for i in step.inputs
        ]
        results.append(_OPERATORS[step.operator](dict(step.attrs), *values))
    return torch.nan_to_num(results[-1], posinf=0.0, neginf=0.0)
