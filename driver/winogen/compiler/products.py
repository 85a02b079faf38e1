"""Products of two activations as squares, which the accelerator has: 4 a b = (a + b)^2 - (a - b)^2.

The array multiplies activations by constants alone, but its activation table holds any function of
one number, a square among them. A product is then two sums of two tensors, each with a table after
it, and the sum of these; everything in it is what other layers are. One number for each channel or
pixel is repeated for it, by upsampling or by a convolution of ones. Quarter squares are how tables
multiplied long before (Leslie 1826; Johnson, "A digital quarter square multiplier", IEEE Trans.
Computers C-29 (3), 1980).
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.text import few
from winogen.network import reference
from winogen.network.functions import ARGUMENT, Function, Step
from winogen.network.graph import Graph, Node
from winogen.network.interleave import repeats
from winogen.program.formats import as_batch, sample_inputs

#: Inputs that are drawn to see how large the factors are.
_DRAWN = 8
#: Values of all layers for them together: fewer are drawn of large images.
_MAX_VALUES = 1 << 27
#: Factors whose squares floats hold, also once they are scaled; larger ones stay as they are.
_LARGEST = 1e9
#: Powers of two that a factor is scaled by, at most: networks of such a range do not compile.
_MAX_POWER = 60
#: Numbers of a weight that repeats pixels, most of them zeros; rows and columns apart beyond it.
_MOST_WEIGHTS = 1 << 24
#: Operations whose result can be scaled at no cost, by their weights.
_SCALED = ("conv", "deconv", "linear", "batchnorm", "add")


def by_squares(graph: Graph, inputs: NDArray[np.float32] | None = None) -> Graph:
    """The same network, with squares of sums and differences in the place of products.

    A network that was trained in integers stays as it is, for what its training saw.

    Parameters
    ----------
    inputs : inputs (N, C, H, W) that show how large the factors are, or None: drawn
    """
    found = [n for n in graph.nodes if n.op == "multiply"]
    if graph.trained_bits or not found:
        return graph
    values = _seen(graph, {i for node in found for i in node.inputs}, inputs)
    products = {
        node.name: _squares(graph, node, *(values[i].astype(np.float64) for i in node.inputs))
        for node in found
        if all(np.abs(values[i]).max(initial=0.0) < _LARGEST for i in node.inputs)
    }
    if not products:
        return graph
    nodes = [made for node in graph.nodes for made in products.get(node.name, [node])]
    names = few([f"'{name}'" for name in products])
    note = f"made of squares, by the accelerator's tables, instead of by the processor: {names}"
    return replace(graph, nodes=nodes, notes=(*graph.notes, note))


def _seen(graph: Graph, names: set[str], inputs: NDArray[np.float32] | None) -> dict[str, NDArray]:
    if inputs is None:
        most = _MAX_VALUES // sum(math.prod(shape) for shape in graph.shapes.values())
        inputs = sample_inputs(graph.input, max(1, min(_DRAWN, most)), 0)
    x = as_batch(graph.input, np.asarray(inputs, np.float32), "calibration inputs")[:_DRAWN]
    kept: dict[str, NDArray] = {Graph.INPUT_NAME: x}
    reference.run(graph, x, lambda n, v: kept.__setitem__(n, v) if n in names else None)
    return kept


def _squares(graph: Graph, node: Node, first: NDArray, second: NDArray) -> list[Node]:
    """The nodes of a product, the last of which has its name."""
    if node.inputs[0] == node.inputs[1]:
        attrs = {"function": _square(1.0, 0.0)}
        return [replace(node, op="function", inputs=node.inputs[:1], attrs=attrs)]
    names, made, gain = list(node.inputs), [], 1.0
    # Both are rounded to one step: the smaller would have few of them left.
    reach = [float(np.abs(x).max(initial=0.0)) for x in (first, second)]
    power = round(math.log2(reach[1] / reach[0])) if min(reach) > 0 else 0
    power = min(max(power, -_MAX_POWER), _MAX_POWER)
    if power:
        which = next((n for n in (0, 1) if _takes_a_gain(graph, names[n])), _smaller(graph, names))
        gain = 2.0 ** (-power if which else power)
        made.append(_scaled(graph, _new(graph, f"{node.name}.scaled"), names[which], gain))
        names[which] = made[0].name
        first, second = (first, second * gain) if which else (first * gain, second)
    for index in (0, 1):
        repeated = _repeated(graph, node, index, names[index])
        made += repeated
        names[index] = repeated[-1].name if repeated else names[index]
    largest = float((np.abs(first) + np.abs(second)).max(initial=0.0))
    half = largest**2 / (8 * gain)  # so that squares use positive and negative codes
    squared = []
    for part, op, sign in (("sum", "add", 1.0), ("difference", "subtract", -1.0)):
        made.append(Node(_new(graph, f"{node.name}.{part}"), op, tuple(names)))
        square = {"function": _square(sign / (4 * gain), -sign * half)}
        squared.append(_new(graph, f"{node.name}.{part}.squared"))
        made.append(Node(squared[-1], "function", (made[-1].name,), square))
    return [*made, replace(node, op="add", inputs=tuple(squared))]


def _repeated(graph: Graph, node: Node, index: int, name: str) -> list[Node]:
    """The nodes that repeat a product's factor, or what it was scaled to, to its shape; or none."""
    own, (channels, *size) = graph.shapes[node.inputs[index]], graph.shapes[node.name]
    made: list[Node] = []

    def add(op: str, attrs: dict[str, Any], weight: NDArray | None = None) -> None:
        own_name = _new(graph, f"{node.name}.repeated{index}.{len(made)}")
        params = {} if weight is None else {"weight": weight}
        made.append(Node(own_name, op, (made[-1].name if made else name,), attrs, params))

    if own[0] < channels:
        attrs = {"kernel": (1, 1), "stride": (1, 1), "pad": (0,) * 4}
        add("conv", attrs, np.ones((channels, 1, 1, 1), np.float32))
    (height, down), (width, across) = (repeats(n // m) for m, n in zip(own[1:], size))
    # Repeated more often than needed where that has no small factors.
    beyond = height * own[1] - size[0], width * own[2] - size[1]
    steps = list(zip_longest(down, across, fillvalue=1))
    for step, (f, g) in enumerate(steps):
        rows, columns = beyond if step == len(steps) - 1 else (0, 0)
        if f == g and not rows and not columns:
            add("upsample", {"factor": f})
            continue
        parts = [((f, g), (0, rows, 0, columns))]
        if f * g * channels**2 > _MOST_WEIGHTS:
            parts = [((f, 1), (0, rows, 0, 0)), ((1, g), (0, 0, 0, columns))]
        for kernel, crop in parts:
            if kernel == (1, 1) and not any(crop):
                continue
            weight = np.zeros((channels, channels, *kernel), np.float32)
            weight[np.arange(channels), np.arange(channels)] = 1
            attrs = {"kernel": kernel, "stride": kernel, "crop": crop}
            add("deconv", attrs, weight)
    return made


def _smaller(graph: Graph, names: list[str]) -> int:
    """Which of two values has fewer numbers, the first of equal ones."""
    return int(np.argmin([math.prod(graph.shapes[name]) for name in names]))


def _new(graph: Graph, name: str) -> str:
    """A name that no node of the graph has."""
    while name in graph.shapes:
        name += "'"
    return name


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
