"""Folding: a graph of layers becomes a list of blocks, each one job of the accelerator.

A block is one convolution-like operation followed by a per-channel slope for negative values, a
per-channel clamp and possibly a tabulated function. Batch-norm folds into weights and bias; after
a ReLU or a clamp it folds as well, since ``gamma * max(x, 0) + beta`` is
``clamp(gamma * x + beta)`` with a bound of ``beta``. What cannot join a block starts one of its
own with an identity convolution. Linear layers, residual adds, upsampling and upsampling followed
by a convolution all become (transposed) convolutions here.
"""

from __future__ import annotations

import numpy as np

from winogen.common.errors import UnsupportedLayerError
from winogen.common.problems import Problems
from winogen.compiler.block import Block
from winogen.compiler.convolutions import HANDLERS, Layer, identity
from winogen.compiler.shape import ConvShape
from winogen.network.graph import POINTWISE, Graph, Node


def fold(graph: Graph) -> list[Block]:
    """Blocks of the graph in execution order; the last one produces the output, others its exits.

    Raises UnsupportedLayerError, naming every layer that cannot run on the accelerator.
    """
    return _Folder(graph).run()


class _Folder:
    def __init__(self, graph: Graph):
        self._graph = graph
        self._order: list[Block] = []
        #: The block that makes a node's value.
        self._blocks: dict[str, Block] = {}
        #: The values whose channels make up another: a concat is nothing but a list of them.
        self._parts: dict[str, tuple[str, ...]] = {graph.INPUT_NAME: (graph.INPUT_NAME,)}
        #: Upsampling that the convolutions which read it take in.
        self._upsampled: dict[str, Node] = {}

    def run(self) -> list[Block]:
        problems = Problems(self._graph.name)
        for node in self._graph.nodes:
            self._parts[node.name] = (node.name,)  # also of one that is refused
            with problems.gathered():
                self._add(node)
        problems.tell()
        # A block is named after its last node; sources were recorded by the same rule.
        alias = {node: block.name for block in self._order for node in block.nodes}
        for block in self._order:
            block.sources = tuple(alias.get(s, s) for s in block.sources)
        # Layers of an exit may have come between those of the last block, which nothing reads.
        return sorted(self._order, key=lambda block: block.name == self._graph.output_name)

    def _add(self, node: Node) -> None:
        if node.op == "concat" and node.name not in self._graph.outputs:
            self._parts[node.name] = tuple(p for i in node.inputs for p in self._parts[i])
        elif node.op == "upsample" and self._joins_its_readers(node):
            self._upsampled[node.name] = node
            self._parts[node.name] = self._parts[node.inputs[0]]
        elif node.op in POINTWISE:
            self._fold_pointwise(node)
        elif not self._pads(node):
            parts = tuple(self._parts[i] for i in node.inputs)
            upsample = self._upsampled.get(node.inputs[0])
            layer = Layer(self._graph, node, parts, upsample)
            self._start(HANDLERS[node.op](layer), node)

    def _pads(self, node: Node) -> bool:
        """Whether a node pads what the processor makes anyway, and for nobody else."""
        source = node.inputs[0]
        block = self._blocks.get(source)
        _, rows, columns = self._graph.shapes[node.name]
        alone = len(self._graph.consumers(source)) == 1
        if block is None or not alone or not block.try_pad(node, (rows, columns)):
            return False
        self._made_by(block, node)
        return True

    def _start(self, block: Block, node: Node) -> None:
        self._order.append(block)
        self._made_by(block, node)

    def _made_by(self, block: Block, node: Node) -> None:
        self._blocks[node.name] = block
        self._parts[node.name] = (node.name,)

    def _fold_pointwise(self, node: Node) -> None:
        source = node.inputs[0]
        block = self._blocks.get(source)
        if block and len(self._graph.consumers(source)) == 1 and block.try_append(node):
            self._made_by(block, node)
            return
        block = _passing_on(self._graph, node, self._parts[source])
        self._start(block, node)
        if not block.try_append(node):
            raise UnsupportedLayerError(
                f"layer '{node.name}' of model {self._graph.name}: {node.op} cannot be folded"
            )

    def _joins_its_readers(self, node: Node) -> bool:
        """Whether an upsampling joins the stride-1 convolutions that read it (and only they do)."""
        readers = self._graph.consumers(node.name)
        return bool(readers) and all(
            c.op == "conv" and c.attrs["stride"] == (1, 1) for c in readers
        )


def _passing_on(graph: Graph, node: Node, sources: tuple[str, ...]) -> Block:
    """A block that passes its sources on, for a pointwise node that cannot join another."""
    channels, *size = graph.shapes[node.inputs[0]]
    shape = ConvShape(False, (1, 1), (1, 1), (0, 0), (size[0], size[1]), (size[0], size[1]))
    diagonal = len(sources) == 1
    weight = np.ones((1, channels, 1, 1)) if diagonal else identity(graph, sources)
    return Block(node.name, [], sources, shape, diagonal, weight, np.zeros(channels))
