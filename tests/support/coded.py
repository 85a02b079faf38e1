"""Networks whose weights are pruned and share at most 16 values a layer, as fitted ones do.

And streams of them that are wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.bench import Rig, compile_network
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import Compiled
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantNetwork
from winogen.network.graph import Graph
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.isa import Instruction, LoadWeights
from winogen.target.registers import Segment


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


def changed(made: Compiled, rng: np.random.Generator) -> tuple[list[Instruction], bytes]:
    """The stream of one image and the weights, of which one load's codes or fields are wrong."""
    weights = np.frombuffer(made.program.weights, np.uint8).copy()
    instructions = made.program.streams[0].instructions()
    loads = [n for n, x in enumerate(instructions) if isinstance(x, LoadWeights)]
    x = instructions[int(rng.choice(loads))]
    assert isinstance(x, LoadWeights)
    kind = rng.random()
    if kind < 0.4:
        for _ in range(int(rng.integers(1, 4))):
            weights[x.offset + int(rng.integers(0, 8 * x.beats))] ^= 1 << int(rng.integers(8))
    elif kind < 0.7:
        x.beats = max(1, x.beats + int(rng.integers(-4, 5)))
    elif kind < 0.8:
        x.coding = int(rng.integers(0, 4))
    elif kind < 0.9:
        x.offset += 8 * int(rng.integers(-8, 9))
        x.offset = max(0, x.offset)
    else:
        start = x.offset + int(rng.integers(0, 8 * x.beats))
        weights[start : start + 64] = rng.integers(0, 256, len(weights[start : start + 64]))
    return instructions, weights.tobytes()


def outcome(
    rig: Rig, made: Compiled, q: NDArray[np.int64], instructions: list[Instruction], weights: bytes
) -> tuple[int | bytes, ...]:
    """How such a stream ends for one image: registers of state and error, and what it made."""
    rig.load(made, q)
    rig.put(Segment.WEIGHTS, weights)
    rig.start(isa.encode(instructions))
    state = [rig.get(n) for n in ("STATUS", "ERROR_CODE", "ERROR_INSTRUCTION")]
    state += [rig.get("ERROR_ADDRESS_LO"), rig.get("ERROR_ADDRESS_HI")]
    done = rig.fields("STATUS")["done"]
    return (*state, rig.output(made.program, 1).tobytes() if done else b"")
