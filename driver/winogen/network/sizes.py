"""How large a network is: multiply-adds and parameters of its layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from winogen.network.graph import Graph, Node

#: What a normalisation has measured, and training has not set.
_MEASURED = ("mean", "var")


@dataclass(frozen=True)
class LayerSize:
    """One layer.

    Attributes
    ----------
    output : channels, rows, columns
    multiply_adds : for one input; those of weights, without zeros that a stride inserts
    parameters : trained numbers, as the network holds them
    """

    name: str
    operation: str
    output: tuple[int, int, int]
    multiply_adds: int
    parameters: int


def layer_sizes(graph: Graph) -> tuple[LayerSize, ...]:
    """Every layer of a network, in order."""
    return tuple(
        LayerSize(
            node.name,
            node.op,
            graph.shapes[node.name],
            _multiply_adds(graph, node),
            sum(v.size for name, v in node.params.items() if name not in _MEASURED),
        )
        for node in graph.nodes
    )


def _multiply_adds(graph: Graph, node: Node) -> int:
    weight = node.params.get("weight")
    if weight is None:
        return 0
    if node.op == "linear":
        return weight.size
    # A convolution uses its weights at each output pixel, a transposed one at each input pixel.
    pixels = graph.shapes[node.name if node.op == "conv" else node.inputs[0]][1:]
    return weight.size * math.prod(pixels)
