"""Blocks of MobileNetV2 and ShuffleNet on the simulated logic: cycles by its own counters.

    python benchmarks/blocks.py [--board BOARD] [--bits BITS] [--size SIZE]

Each block runs twice: as it is compiled, and with every weight between groups stored and multiplied
as the zero that it is, which is what grouped convolutions cost without being known as such. Both
give the same bits. It needs g++ and ``pip install -e '.[rtl]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler import pack
from winogen.compiler.compile import Compiled, compile_graph
from winogen.network.graph import Graph, InputSpec, Node
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator


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


@contextmanager
def dense() -> Iterator[None]:
    """Compile as if every weight between groups were one."""

    def whole(weights: np.ndarray) -> pack.Window:
        return pack.Window((0,) * len(weights), weights.shape[2])

    with mock.patch.object(pack, "_window", whole):
        yield


def measure(made: Compiled, device: str) -> tuple[list[int], int, bytes]:
    """Cycles of each layer and of all, by the device's counters, and the output."""
    with Generator(made.program, device) as generator:
        x = sample_inputs(made.program.input, 1, 0)
        out, profile = generator.generate(x, as_float=True, profile=True)
    return [row.cycles for row in profile.layers], profile.total.cycles, out.tobytes()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--size", type=int, default=14, help="rows and columns (default: 14)")
    parser.add_argument("--device", default="rtl", choices=("rtl", "emulator"))
    options = parser.parse_args()
    rows = []
    for graph in (mobilenet_v2(options.size), shufflenet(options.size)):
        known = {"bits": options.bits, "batch": 1}
        grouped = compile_graph(graph, options.board, **known)
        with dense():
            plain = compile_graph(graph, options.board, **known)
        (each, total, out), (before, all_before, same) = (
            measure(made, options.device) for made in (grouped, plain)
        )
        assert out == same, "grouped and dense differ"
        for layer, was, now in zip(grouped.program.layers, before, each):
            rows.append([graph.name, layer.name, layer.kind, f"{was:,}", f"{now:,}",
                         f"{was / now:.2f}"])  # fmt: skip
        rows.append([graph.name, "all", "", f"{all_before:,}", f"{total:,}",
                     f"{all_before / total:.2f}"])  # fmt: skip
    print(table(["block", "layer", "kind", "dense", "in groups", "ratio"], rows, left=3))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
