"""Layers between which nothing bends become one: what a network computes stays the same.

Batch-norms go into the layers before them. A vector that passes through several layers without an
activation between them (a linear layer or a first transposed convolution, and a convolution that
reads it at once) is one matrix, which is taken where it multiplies less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from winogen.network import reference
from winogen.network.graph import Graph, InputSpec, Node, batchnorm_affine

DENSE = ("conv", "deconv", "linear")


def merged(graph: Graph) -> Graph:
    """The same network, in float, with fewer layers where fewer do; scales of training go."""
    return _one_matrix(_without_batchnorms(graph))


def _without_batchnorms(graph: Graph) -> Graph:
    """Batch-norms that follow a layer at once, and alone, become part of it."""
    nodes: list[Node] = []
    made: dict[str, int] = {}
    gone: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(gone.get(i, i) for i in node.inputs)
        attrs = {k: v for k, v in node.attrs.items() if k not in ("scale", "reach")}
        params = {k: v for k, v in node.params.items() if k != "weight_scale"}
        node = replace(node, inputs=inputs, attrs=attrs, params=params)
        before = made.get(inputs[0])
        if (
            node.op == "batchnorm"
            and before is not None
            and nodes[before].op in DENSE
            and len(graph.consumers(_original(inputs[0], gone))) == 1
            and node.name != graph.output_name
        ):
            nodes[before] = _scaled(nodes[before], node, graph)
            gone[node.name] = inputs[0]
            continue
        made[node.name] = len(nodes)
        nodes.append(node)
    return replace(graph, nodes=nodes, trained_bits=None)


def _original(name: str, gone: dict[str, str]) -> str:
    """The last value of the graph that has become ``name``."""
    return next((old for old, new in reversed(gone.items()) if new == name), name)


def _scaled(node: Node, batchnorm: Node, graph: Graph) -> Node:
    """A layer that gives what the batch-norm makes of it."""
    scale, shift = batchnorm_affine(batchnorm)
    weight, params = node.params["weight"].astype(np.float64), dict(node.params)
    if node.op == "linear":
        size = math.prod(graph.shapes[node.name][1:])
        scale, shift = np.repeat(scale, size), np.repeat(shift, size)
        weight = weight * scale[:, None]
    else:
        weight = weight * scale.reshape((-1, 1, 1, 1) if node.op == "conv" else (1, -1, 1, 1))
    bias = params["bias"].astype(np.float64) if "bias" in params else np.zeros(len(shift))
    column = (-1,) + (1,) * (bias.ndim - 1)
    bias = bias * scale.reshape(column) + shift.reshape(column)
    params["weight"], params["bias"] = weight.astype(np.float32), bias.astype(np.float32)
    return replace(node, params=params)


def _one_matrix(graph: Graph) -> Graph:
    """The layers that a vector passes first become one linear layer, if that multiplies less."""
    shape = graph.input.shape
    if shape[1:] != (1, 1) or graph.input.scale is not None:
        return graph
    chain = _chain(graph)
    if len(chain) < 2:
        return graph
    last = chain[-1]
    outputs = math.prod(graph.shapes[last.name])
    if shape[0] * outputs >= sum(_multiplies(node, graph) for node in chain):
        return graph
    part = Graph(graph.name, InputSpec(shape), [_float64(node) for node in chain])
    basis = np.concatenate([np.zeros((1, shape[0])), np.eye(shape[0])])[:, :, None, None]
    values = reference.run(part, basis).reshape(len(basis), outputs)
    made = Node(
        last.name,
        "linear",
        (Graph.INPUT_NAME,),
        {"shape": graph.shapes[last.name]},
        {
            "weight": np.ascontiguousarray((values[1:] - values[0]).T, np.float32),
            "bias": values[0].astype(np.float32),
        },
    )
    return replace(graph, nodes=[made, *graph.nodes[len(chain) :]])


def _chain(graph: Graph) -> Sequence[Node]:
    """The first layers, each of which alone reads the one before, as far as nothing bends."""
    chain: list[Node] = []
    name = Graph.INPUT_NAME
    for node in graph.nodes:
        alone = len(graph.consumers(name)) == 1 and node.inputs == (name,)
        if node.op not in DENSE or not alone:
            break
        chain.append(node)
        name = node.name
    return chain


def _multiplies(node: Node, graph: Graph) -> int:
    """Products of an image that are not by padding, about."""
    weight = node.params["weight"].size
    if node.op == "linear":
        return weight
    pixels = graph.shapes[node.inputs[0] if node.op == "deconv" else node.name][1:]
    return weight * math.prod(pixels)


def _float64(node: Node) -> Node:
    return replace(node, params={k: v.astype(np.float64) for k, v in node.params.items()})
