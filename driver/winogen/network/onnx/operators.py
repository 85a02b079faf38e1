"""What a handler of an ONNX operator is given, and how it reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.build import Builder
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import View


@dataclass(frozen=True)
class Repeated:
    """A constant that is the same for every image of a batch of any size.

    ``array`` (1, ...) stands for (N, ...).
    """

    array: NDArray[Any]


#: An ONNX value: known now, or a view of a graph value.
Value = NDArray[Any] | View
#: A node's inputs; None where an optional one is left out.
Inputs = Sequence[Value | None]
#: Gives the node's output, or a list of its outputs.
Handler = Callable[[Builder, Op, Inputs], View | list[View]]


class Operator(NamedTuple):
    """How an operator on activations is imported; ``note`` says what becomes of it."""

    handler: Handler
    note: str


def data(op: Op, inputs: Inputs, index: int) -> View:
    """Input ``index``, which must be an activation."""
    value = inputs[index] if index < len(inputs) else None
    if not isinstance(value, View):
        raise UnsupportedLayerError(
            f"{op.where}: its input {index} must come from the network's input, not be a constant; "
            "simplify the model first (onnxsim)"
        )
    return value


def constant(op: Op, inputs: Inputs, index: int, what: str) -> NDArray[Any]:
    """Input ``index``, which must be known at compile time."""
    value = inputs[index] if index < len(inputs) else None
    if isinstance(value, View):
        raise UnsupportedLayerError(
            f"{op.where}: its {what} is computed from the network's input; only constants work: "
            "export the model with fixed sizes and weights"
        )
    if value is None:
        raise ModelError(f"{op.where}: its {what} is missing")
    return value


def weights(op: Op, inputs: Inputs, index: int, what: str) -> NDArray[np.floating[Any]]:
    """Input ``index``, a constant of floats."""
    array = constant(op, inputs, index, what)
    if not np.issubdtype(array.dtype, np.floating):
        raise ModelError(f"{op.where}: its {what} holds {array.dtype} values, not floats")
    return array
