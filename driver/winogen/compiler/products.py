"""Products of two activations as squares, which the accelerator has: 4 a b = (a + b)^2 - (a - b)^2.

The array multiplies activations by constants alone, but its activation table holds any function of
one number, a square among them. A product is then two sums of two tensors, each with a table after
it, and the sum of these; everything in it is what other layers are. Quarter squares are how tables
multiplied long before (Leslie 1826; Johnson, "A digital quarter square multiplier", IEEE Trans.
Computers C-29 (3), 1980).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from winogen.network import reference
from winogen.network.functions import ARGUMENT, Function, Step
from winogen.network.graph import Graph, Node
from winogen.program.formats import sample_inputs

#: Inputs that are drawn to see how large the factors are.
_DRAWN = 8
#: Values of all layers for them together: fewer are drawn of large images.
_MAX_VALUES = 1 << 27
#: Operations whose result can be scaled at no cost, by their weights.
_SCALED = ("conv", "deconv", "linear", "batchnorm", "add")


def by_squares(graph: Graph, inputs: NDArray[np.float32] | None = None) -> Graph:
    """The same network, with squares of sums and differences in the place of products.

    Products of one number for each channel or pixel stay as they are, since they have no sum of two
    tensors, and so does a network that was trained in integers, for what its training saw.

    Parameters
    ----------
    inputs : inputs (N, C, H, W) that show how large the factors are, or None: drawn
    """
    found = [] if graph.trained_bits else [n for n in graph.nodes if _is_one(graph, n)]
    if not found:
        return graph
    values = _seen(graph, {i for node in found for i in node.inputs}, inputs)
    nodes: list[Node] = []
    for node in graph.nodes:
        if node in found:
            first, second = (values[i].astype(np.float64) for i in node.inputs)
            nodes += _squares(graph, node, first, second)
        else:
            nodes.append(node)
    names = ", ".join(f"'{node.name}'" for node in found)
    note = f"the products {names} are made of squares, by tables of the accelerator"
    return replace(graph, nodes=nodes, notes=(*graph.notes, note))


def _is_one(graph: Graph, node: Node) -> bool:
    if node.op != "multiply" or len(set(node.inputs)) == 1:
        return False
    first, second = (graph.shapes[i] for i in node.inputs)
    return first == second


def _seen(graph: Graph, names: set[str], inputs: NDArray[np.float32] | None) -> dict[str, NDArray]:
    if inputs is None:
        most = _MAX_VALUES // sum(math.prod(shape) for shape in graph.shapes.values())
        inputs = sample_inputs(graph.input, max(1, min(_DRAWN, most)), 0)
    kept: dict[str, NDArray] = {Graph.INPUT_NAME: inputs[:_DRAWN]}
    reference.run(
        graph, inputs[:_DRAWN], lambda n, v: kept.__setitem__(n, v) if n in names else None
    )
    return kept


def _squares(graph: Graph, node: Node, first: NDArray, second: NDArray) -> list[Node]:
    """The nodes of a product, the last of which has its name."""
    names, made, gain = list(node.inputs), [], 1.0
    # Both are rounded to one step: the smaller would have few of them left.
    reach = [float(np.abs(x).max()) for x in (first, second)]
    power = round(math.log2(reach[1] / reach[0])) if min(reach) > 0 else 0
    if power:
        which = next((n for n in (0, 1) if _takes_a_gain(graph, names[n])), 0)
        gain = 2.0 ** (-power if which else power)
        made.append(_scaled(graph, f"{node.name}.scaled", names[which], gain))
        names[which] = made[0].name
        first, second = (first, second * gain) if which else (first * gain, second)
    largest = float((np.abs(first) + np.abs(second)).max())
    half = largest**2 / (8 * gain)  # so that squares use positive and negative codes
    for part, op, sign in (("sum", "add", 1.0), ("difference", "subtract", -1.0)):
        name = f"{node.name}.{part}"
        made.append(Node(name, op, tuple(names)))
        square = _square(sign / (4 * gain), -sign * half)
        made.append(Node(f"{name}.squared", "function", (name,), {"function": square}))
    parts = tuple(f"{node.name}.{part}.squared" for part in ("sum", "difference"))
    return [*made, replace(node, op="add", inputs=parts)]


def _takes_a_gain(graph: Graph, name: str) -> bool:
    """Whether a value can be scaled in the layer that makes it."""
    producer = next((n for n in graph.nodes if n.name == name), None)
    alone = len(graph.consumers(name)) == 1 and name not in graph.outputs
    return producer is not None and producer.op in _SCALED and alone


def _scaled(graph: Graph, name: str, source: str, factor: float) -> Node:
    ones = np.ones(graph.shapes[source][0], np.float32)
    params = {"gamma": ones * np.float32(factor), "beta": 0 * ones, "mean": 0 * ones, "var": ones}
    return Node(name, "batchnorm", (source,), {"eps": 0.0}, params)


def _square(factor: float, offset: float) -> Function:
    """``factor * x^2 + offset``."""
    return Function(
        "square",
        (
            Step("Mul", (), (ARGUMENT, ARGUMENT)),
            Step("Mul", (), (0, float(factor))),
            Step("Add", (), (1, float(offset))),
        ),
    )
