"""Blocks of MobileNetV2 and ShuffleNet, and their cycles with any revision's sources.

    PYTHONPATH=FOLDER/driver python benchmarks/block_models.py --rate MB_S [--size SIZE]

prints as JSON the cycles of one image of each, by the counters of the logic that is in FOLDER.
``benchmarks/blocks.py --before REVISION`` runs it. Only this file knows where older sources had
what it needs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np

try:
    from winogen.compiler.compile import compile_graph
    from winogen.network.graph import Graph, InputSpec, Node
    from winogen.runtime.generator import Generator
    from winogen.target.board import load_board
except ImportError:  # before the packages by stage, of 2026-11-29
    from winogen.board import load_board
    from winogen.generator import Generator
    from winogen.graph import Graph, InputSpec, Node

    from winogen.compiler import compile_graph


class Block:
    """Layers of one block; every method appends one and returns its name."""

    def __init__(self, channels: int, size: int):
        self.spec = InputSpec((channels, size, size), "image", range=(-1.0, 1.0))
        self.nodes: list[Node] = []
        self._rng = np.random.default_rng(0)

    def conv(self, source: str, cin: int, cout: int, kernel: int = 1, groups: int = 1) -> str:
        """A convolution in groups, zero padded to the same size."""
        shape = (cout // groups, cin // groups, kernel, kernel)
        weight = np.zeros((cout, cin, kernel, kernel), np.float32)
        for g in range(groups):
            rows = slice(g * shape[0], (g + 1) * shape[0])
            columns = slice(g * shape[1], (g + 1) * shape[1])
            weight[rows, columns] = self._rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        attrs = {"kernel": (kernel,) * 2, "stride": (1, 1), "pad": (kernel // 2,) * 4}
        return self._add("conv", (source,), attrs, {"weight": weight})

    def shuffled(self, groups: int) -> None:
        """Channels of the last layer's groups in turns: it gives them so, as when imported."""
        weight = self.nodes[-1].params["weight"]
        order = np.arange(len(weight)).reshape(groups, -1).T.ravel()
        self.nodes[-1].params["weight"] = weight[order]

    def relu6(self, source: str) -> str:
        """ReLU6."""
        return self._add("clamp", (source,), {"low": 0.0, "high": 6.0}, {})

    def add(self, first: str, second: str) -> str:
        """A residual sum."""
        return self._add("add", (first, second), {}, {})

    def _add(self, op: str, inputs: tuple[str, ...], attrs: dict, params: dict) -> str:
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs, attrs, params))
        return name


def mobilenet_v2(size: int) -> Graph:
    """An inverted residual of 32 channels, expanded six times."""
    b = Block(32, size)
    x = b.relu6(b.conv("input", 32, 192))
    x = b.relu6(b.conv(x, 192, 192, 3, 192))
    b.add(b.conv(x, 192, 32), "input")
    return Graph("MobileNetV2", b.spec, b.nodes)


def shufflenet(size: int) -> Graph:
    """A unit of ShuffleNet (1707.01083) of 240 channels in 3 groups, its bottleneck a quarter."""
    b = Block(240, size)
    x = b.conv("input", 240, 60, 1, 3)
    b.shuffled(3)
    x = b.conv(b.relu6(x), 60, 60, 3, 60)
    b.add(b.conv(x, 60, 240, 1, 3), "input")
    return Graph("ShuffleNet", b.spec, b.nodes)


def main() -> None:
    """Print the cycles of each block, and of all its layers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--rate", type=float, required=True, help="of memory, in MB/s")
    parser.add_argument("--size", type=int, default=14)
    parser.add_argument("--device", default="rtl")
    options = parser.parse_args()
    board = replace(load_board(options.board, options.bits), dram_mb_s=options.rate)
    found = {}
    for graph in (mobilenet_v2(options.size), shufflenet(options.size)):
        program = compile_graph(graph, board, batch=1).program
        x = np.random.default_rng(0).uniform(-1, 1, (1, *graph.input.shape)).astype(np.float32)
        with Generator(program, options.device) as generator:
            _, profile = generator.generate(x, profile=True)
        found[graph.name] = [*(row.cycles for row in profile.layers), profile.total.cycles]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
