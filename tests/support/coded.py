"""Networks whose weights are pruned and share at most 16 values a layer, as fitted ones do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from support.bench import compile_network
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import Compiled
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.network.graph import Graph
from winogen.target.board import Board


def shared(network: QuantNetwork, pruned: float = 0.6, values: int = 15) -> QuantNetwork:
    """The network with weights of so many values beside zero, ``pruned`` of them zero."""
    layers = []
    for layer in network.layers:
        weight = np.asarray(layer.weight)
        if layer.operands is None and weight.size > 64:
            kept = np.abs(weight) > np.quantile(np.abs(weight), pruned)
            levels = np.unique(np.quantile(weight[kept], np.linspace(0.02, 0.98, values)).round())
            levels = levels[levels != 0].astype(np.int64)
            nearest = levels[np.abs(weight[..., None] - levels).argmin(axis=-1)]
            weight = np.where(kept, nearest, 0)
        layers.append(replace(layer, weight=weight))
    return replace(network, layers=tuple(layers))


def graph(blocks: int = 2) -> Graph:
    """A latent through a linear layer and deconvolutions of two kernels to three channels."""
    b = GraphBuilder(3, (24, 1, 1), "latent")
    b.linear((8 * blocks + 16, 4, 4))
    b.activation("relu")
    b.deconv(8 * blocks, 5, 2, (2, 1, 2, 1))
    b.activation("relu")
    b.deconv(24, 4, 2, 1)
    b.activation("relu")
    b.deconv(3, 4, 2, 1)
    b.activation("tanh")
    return b.graph("coded", (-1.0, 1.0))


def compiled(board: Board, pruned: float = 0.6, **options: Any) -> Compiled:
    """That network, compiled for a board."""
    g = graph()
    network = shared(quantise(g, board.core.data_width), pruned)
    return compile_network(g, network, board, **options)
