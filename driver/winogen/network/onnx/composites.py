"""Functions of one number that an exporter has written out in several nodes.

A chain of elementwise nodes with one activation going in and one coming out is a function of one
number, and runs as one: a SiLU that is written as x * sigmoid(x), a GELU of eight nodes. It is
evaluated at some numbers and held against functions with a name, for people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.network.functions import (
    ACTIVATIONS,
    ARGUMENT,
    ELEMENTWISE,
    TABULATED,
    Function,
    Step,
    sigmoid,
)
from winogen.network.onnx.read import Op

Array = NDArray[np.float64]

#: Most nodes of one function; Mish and GELU have at most ten.
MAX_NODES = 16
_GRID = np.linspace(-8, 8, 161)
_TOLERANCE = 1e-5


#: Functions with a name, which is an operation of the graph or how people say it.
_NAMED: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "squared_relu": lambda x: np.square(np.maximum(x, 0.0)),
    **{n: f for n, f in ACTIVATIONS.items() if n != "swish"},
}


@dataclass(frozen=True)
class Composite:
    """A function in several nodes: ``entry`` is the value that goes in, ``end`` comes out."""

    function: Function
    entry: str
    end: str
    nodes: tuple[Op, ...]


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
        self._readers: dict[str, set[str]] = defaultdict(set)
        for op in ops:
            self._scalar(op)
            for name in op.inputs:
                self._readers[name].add(op.outputs[0])

    def _scalar(self, op: Op) -> None:
        """Note the result of a node whose inputs are all known numbers."""
        value = op.attrs.get("value", op.attrs.get("value_float"))
        if op.type == "Constant" and value is not None and np.size(value) == 1:
            self._scalars[op.outputs[0]] = float(np.ravel(value)[0])
        function = ELEMENTWISE.get(op.type)
        if function and op.inputs and all(i in self._scalars for i in op.inputs):
            with np.errstate(all="ignore"):
                values = [np.float64(self._scalars[i]) for i in op.inputs]
                self._scalars[op.outputs[0]] = float(function(op.attrs, *values))

    def _sources(self, op: Op) -> set[str]:
        return {i for i in op.inputs if i and i not in self._scalars}

    def ending_at(self, end: Op) -> Composite | None:
        """The function that ends with this node and needs a table.

        The largest one with a name, or else the largest; but the smallest where the value that goes
        into it is read by others too.
        """
        if end.type not in ELEMENTWISE or end.outputs[0] in self._scalars:
            return None
        region, frontier = [end], self._sources(end)
        odd = self._is_odd(end)
        best: Composite | None = None
        while frontier and len(region) <= MAX_NODES:
            if len(frontier) == 1 and odd and len(region) > 1:
                (entry,) = frontier
                function = self._function(region, entry)
                if function is not None:
                    nodes = tuple(sorted(region, key=lambda op: self._made[op.outputs[0]][0]))
                    made = Composite(function, entry, end.outputs[0], nodes)
                    if best is None or function.name in _NAMED or best.function.name not in _NAMED:
                        best = made
                    if not self._read_within(entry, region):
                        return best
            at, op = max(
                (self._made.get(name, (-1, end)) for name in frontier), key=lambda made: made[0]
            )
            if at < 0 or op.type not in ELEMENTWISE or not op.inputs:
                return best
            region.append(op)
            odd = odd or self._is_odd(op)
            frontier = (frontier - {op.outputs[0]}) | self._sources(op)
        return best

    def _read_within(self, name: str, region: Sequence[Op]) -> bool:
        """Whether nobody but the nodes of a region reads a value."""
        return self._readers[name] <= {op.outputs[0] for op in region}

    def _is_odd(self, op: Op) -> bool:
        """Whether no layer but a table can do what the node does."""
        if op.type in ("Mul", "Div"):
            by_itself = op.type == "Div" and op.inputs[0] in self._scalars
            return by_itself or len([i for i in op.inputs if i not in self._scalars]) > 1
        return op.type in TABULATED or op.type in ("Pow", "Where")

    def _function(self, region: Sequence[Op], entry: str) -> Function | None:
        numbers: dict[str, int | float] = {entry: ARGUMENT}
        steps: list[Step] = []
        for op in sorted(region, key=lambda op: self._made[op.outputs[0]][0]):
            inputs: list[int | float] = []
            for name in filter(None, op.inputs):
                number = numbers.get(name, self._scalars.get(name))
                if number is None:
                    return None
                inputs.append(number)
            numbers[op.outputs[0]] = len(steps)
            attrs = {k: v for k, v in op.attrs.items() if isinstance(v, (int, float, str))}
            steps.append(Step(op.type, tuple(sorted(attrs.items())), tuple(inputs)))
        function = Function(f"function of {len(steps)} operators", tuple(steps))
        try:
            result = function(_GRID)
        except (KeyError, TypeError):
            return None
        for name, known in _NAMED.items():
            wanted = known(_GRID)
            if np.all(np.abs(result - wanted) <= _TOLERANCE * (1 + np.abs(wanted))):
                return replace(function, name=name)
        return function
