"""From trained blocks back to a graph, which folds to the same blocks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.block import Block
from winogen.network.graph import Array, Graph, Node, batchnorm_affine


@dataclass(frozen=True)
class Trained:
    """What training has made of a block.

    Attributes
    ----------
    scale : real value of one step of its output
    reach : half the range of its activation table, where the function has none of its own
    weight : (cout, cin, kh, kw), whole numbers of ``steps``; None if it was not trained, and the
        rest with it
    bias : (cout,), or (cout, h, w) by phase
    steps : (cout,), the real value of one step of the weights
    """

    scale: float
    reach: float | None = None
    weight: Array | None = None
    bias: Array | None = None
    steps: NDArray[np.float64] | None = None


def rebuild(graph: Graph, blocks: Sequence[Block], trained: Sequence[Trained]) -> Graph:
    """``graph`` with other weights, biases and scales for its ``blocks``.

    A layer that was trained becomes one (transposed) convolution with the shape of its block. A
    batch-norm that follows at once has gone into it and is left out; what comes after an activation
    stays, and is taken off the layer's weights.
    """
    found = {b.label: (b, t) for b, t in zip(blocks, trained)}
    folded = {name for block in blocks for name in block.nodes}
    ends = {b.name: t for b, t in zip(blocks, trained)}
    by_name = {node.name: node for node in graph.nodes}
    #: The values of layers that are left out, by the name of those layers.
    gone: dict[str, str] = {}
    left_out: set[str] = set()
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in left_out or (node.op == "upsample" and node.name not in folded):
            gone[node.name] = gone.get(node.inputs[0], node.inputs[0])
            if node.name in ends:
                last = next(n for n in nodes if n.name == gone[node.name])
                last.attrs["scale"] = ends[node.name].scale
            continue
        inputs = tuple(gone.get(i, i) for i in node.inputs)
        made = replace(node, inputs=inputs, attrs=dict(node.attrs))
        block, result = found.get(node.name, (None, None))
        if block is not None and result is not None and result.weight is not None:
            after = [by_name[name] for name in block.nodes[1:]]
            left_out |= {n.name for n in _at_once(after)}
            made = _convolution(made, block, result, [n for n in after if n.name not in left_out])
        if node.name in ends:
            made.attrs["scale"] = ends[node.name].scale
            if node.op == "function" and ends[node.name].reach is not None:
                made.attrs["reach"] = ends[node.name].reach
        nodes.append(made)
    return replace(graph, nodes=nodes, exits=tuple(gone.get(e, e) for e in graph.exits))


def _at_once(after: Sequence[Node]) -> list[Node]:
    """The batch-norms before anything else of what follows a layer."""
    found = []
    for node in after:
        if node.op != "batchnorm":
            break
        found.append(node)
    return found


def _convolution(node: Node, block: Block, trained: Trained, after: Sequence[Node]) -> Node:
    """A node that becomes ``block`` once it is folded with the nodes ``after`` it."""
    assert trained.weight is not None and trained.bias is not None and trained.steps is not None
    scale, shift = np.ones(block.channels), np.zeros(block.channels)
    for other in after:
        if other.op == "batchnorm":
            factor, offset = batchnorm_affine(other)
            scale, shift = scale * factor, shift * factor + offset
    scale = np.where(scale == 0, 1.0, scale)  # the channel is constant whatever its weights are
    column = (-1,) + (1,) * (trained.bias.ndim - 1)
    weight = trained.weight / scale.reshape(-1, 1, 1, 1)
    bias = (trained.bias - shift.reshape(column)) / scale.reshape(column)
    shape = block.shape
    op, edges = ("deconv", "crop") if shape.transposed else ("conv", "pad")
    attrs: dict[str, Any] = {"kernel": shape.kernel, "stride": shape.stride}
    own = node.op == op and all(node.attrs[name] == value for name, value in attrs.items())
    # The layer's own hold for images of other sizes too, where a stride leaves other samples over.
    attrs[edges] = node.attrs[edges] if own else shape.edges()
    params: dict[str, Any] = {
        "weight": weight.swapaxes(0, 1) if shape.transposed else weight,
        "bias": bias,
        "weight_scale": trained.steps / np.abs(scale),
    }
    params = {name: np.ascontiguousarray(value) for name, value in params.items()}
    return replace(node, op=op, attrs=attrs, params=params)
