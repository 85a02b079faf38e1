"""Activation functions that an exporter has written out in several nodes, found by what they do.

A chain of elementwise nodes with one activation going in and one coming out is a function of one
number. It is evaluated at some numbers and held against functions with a name, so that a refusal
can say "a SiLU" instead of "a product of two activations", however it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.network.onnx.read import Op

Array = NDArray[np.float64]

#: Most nodes of one function; Mish and GELU have at most ten.
MAX_NODES = 16
_GRID = np.linspace(-8, 8, 161)
_TOLERANCE = 1e-5


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


#: Elementwise operators: what they do to their inputs, given their attributes.
_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Abs": lambda a, x: np.abs(x),
    "Add": lambda a, x, y: x + y,
    "Cast": lambda a, x: x,
    "Clip": lambda a, x, low=-math.inf, high=math.inf: np.minimum(np.maximum(x, low), high),
    "Div": lambda a, x, y: x / y,
    "Elu": lambda a, x: np.where(x < 0, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
    "Erf": lambda a, x: _erf(x),
    "Exp": lambda a, x: np.exp(x),
    "HardSigmoid": lambda a, x: np.clip(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: np.where(x < 0, a.get("alpha", 0.01) * x, x),
    "Log": lambda a, x: np.log(x),
    "Max": lambda a, *x: np.maximum.reduce(np.broadcast_arrays(*x)),
    "Min": lambda a, *x: np.minimum.reduce(np.broadcast_arrays(*x)),
    "Mul": lambda a, x, y: x * y,
    "Neg": lambda a, x: -x,
    "Pow": lambda a, x, y: np.power(x, y),
    "Reciprocal": lambda a, x: 1 / x,
    "Relu": lambda a, x: np.maximum(x, 0),
    "Sigmoid": lambda a, x: _sigmoid(x),
    "Softplus": lambda a, x: _softplus(x),
    "Sqrt": lambda a, x: np.sqrt(x),
    "Sub": lambda a, x, y: x - y,
    "Sum": lambda a, *x: np.sum(np.broadcast_arrays(*x), axis=0),
    "Tanh": lambda a, x: np.tanh(x),
}
_GELU_SCALE = math.sqrt(2 / math.pi)
#: Functions with a name, and how the name is explained.
_NAMED: dict[str, Callable[[Array], Array]] = {
    "a SiLU (Swish), x * sigmoid(x)": lambda x: x * _sigmoid(x),
    "a GELU, x * Phi(x)": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "a GELU by its tanh formula": lambda x: (
        x * (1 + np.tanh(_GELU_SCALE * (x + 0.044715 * x**3))) / 2
    ),
    "a GELU by its sigmoid formula, x * sigmoid(1.702 x)": lambda x: x * _sigmoid(1.702 * x),
    "a Mish, x * tanh(softplus(x))": lambda x: x * np.tanh(_softplus(x)),
    "a HardSwish, x * hardsigmoid(x)": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "an ELU": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "a SELU": lambda x: 1.0507009873554805 * np.where(
        x < 0, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), x
    ),
    "a Softplus": _softplus,
    "a Softsign": lambda x: x / (1 + np.abs(x)),
    "a squared ReLU": lambda x: np.square(np.maximum(x, 0.0)),
    "a sigmoid": _sigmoid,
    "a tanh": np.tanh,
}  # fmt: skip
#: Those that the accelerator has, if the file says it in one node.
_HAVE = {"a sigmoid": "Sigmoid", "a tanh": "Tanh"}


@dataclass(frozen=True)
class Composite:
    """A function in several nodes: ``entry`` is the value that goes in, ``end`` comes out."""

    name: str
    entry: str
    end: str
    nodes: tuple[Op, ...]

    @property
    def operator(self) -> str | None:
        """The operator that says the same in one node and runs; None if none does."""
        return _HAVE.get(self.name)


def find(ops: Sequence[Op], constants: Mapping[str, NDArray[Any]]) -> dict[str, Composite]:
    """The functions among the nodes, by the name of the value that comes out."""
    finder = _Finder(ops, constants)
    found: dict[str, Composite] = {}
    with np.errstate(all="ignore"):
        for op in ops:
            composite = finder.ending_at(op)
            if composite is not None:
                for inner in composite.nodes[:-1]:  # a part of a larger function
                    found.pop(inner.outputs[0], None)
                found[composite.end] = composite
    return found


class _Finder:
    def __init__(self, ops: Sequence[Op], constants: Mapping[str, NDArray[Any]]):
        self._made = {name: (i, op) for i, op in enumerate(ops) for name in op.outputs[:1]}
        self._scalars = {
            name: float(value.ravel()[0])
            for name, value in constants.items()
            if value.size == 1 and np.issubdtype(value.dtype, np.number)
        }
        for op in ops:
            self._scalar(op)

    def _scalar(self, op: Op) -> None:
        """Note the result of a node whose inputs are all known numbers."""
        value = op.attrs.get("value", op.attrs.get("value_float"))
        if op.type == "Constant" and value is not None and np.size(value) == 1:
            self._scalars[op.outputs[0]] = float(np.ravel(value)[0])
        function = _FUNCTIONS.get(op.type)
        if function and op.inputs and all(i in self._scalars for i in op.inputs):
            with np.errstate(all="ignore"):
                values = [np.float64(self._scalars[i]) for i in op.inputs]
                self._scalars[op.outputs[0]] = float(function(op.attrs, *values))

    def _sources(self, op: Op) -> set[str]:
        return {i for i in op.inputs if i and i not in self._scalars}

    def ending_at(self, end: Op) -> Composite | None:
        """The smallest function with a name that ends with this node."""
        if end.type not in _FUNCTIONS or end.outputs[0] in self._scalars:
            return None
        region, frontier = [end], self._sources(end)
        odd = self._is_odd(end)
        while frontier and len(region) <= MAX_NODES:
            if len(frontier) == 1 and odd and len(region) > 1:
                (entry,) = frontier
                name = self._name(region, entry)
                if name:
                    return Composite(name, entry, end.outputs[0], tuple(reversed(region)))
            at, op = max(
                (self._made.get(name, (-1, end)) for name in frontier), key=lambda made: made[0]
            )
            if at < 0 or op.type not in _FUNCTIONS or not op.inputs:
                return None
            region.append(op)
            odd = odd or self._is_odd(op)
            frontier = (frontier - {op.outputs[0]}) | self._sources(op)
        return None

    def _is_odd(self, op: Op) -> bool:
        """Whether no layer can do what the node does."""
        if op.type in ("Mul", "Div", "Max", "Min"):
            by_itself = op.type == "Div" and op.inputs[0] in self._scalars
            return by_itself or len([i for i in op.inputs if i not in self._scalars]) > 1
        return op.type in ("Elu", "Erf", "Exp", "Log", "Pow", "Reciprocal", "Softplus", "Sqrt")

    def _name(self, region: Sequence[Op], entry: str) -> str | None:
        values: dict[str, Any] = {entry: _GRID}
        for op in sorted(region, key=lambda op: self._made[op.outputs[0]][0]):
            try:
                arguments = [values[i] if i in values else self._scalars[i] for i in op.inputs if i]
                values[op.outputs[0]] = _FUNCTIONS[op.type](op.attrs, *arguments)
            except (KeyError, TypeError):
                return None
        result = np.broadcast_to(values[region[0].outputs[0]], _GRID.shape)
        for name, function in _NAMED.items():
            wanted = function(_GRID)
            if np.all(np.abs(result - wanted) <= _TOLERANCE * (1 + np.abs(wanted))):
                return name
        return None
