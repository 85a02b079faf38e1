"""What products of two activations take: by the processor, and as squares by the accelerator.

    python benchmarks/products.py [--board BOARD]

Predictions for one image; each block is a 3 x 3 convolution or two and its gate, alone in a run. dB
is the ratio of the output's range to the error of the integers. The processor's part is an estimate
(``python benchmarks/host_layers.py``) until ``winogen doctor --calibrate`` has measured a board.
"""

from __future__ import annotations

import argparse
import sys
from unittest import mock

import numpy as np

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler import compile
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.network import reference
from winogen.network.functions import ACTIVATIONS
from winogen.network.graph import Graph, InputSpec, Node
from winogen.program.formats import sample_inputs
from winogen.program.speed import Speed, speed

CHANNELS = 64


def glu(size: int) -> Graph:
    """A gated linear unit: one half of the channels is let through by the sigmoid of the other."""
    nodes = [_conv("value", "input", 3), _conv("gate", "input", 3)]
    nodes.append(Node("sigmoid", "sigmoid", ("gate",)))
    return _graph("GLU", size, [*nodes, Node("gated", "multiply", ("value", "sigmoid"))])


def simple_gate(size: int) -> Graph:
    """NAFNet's gate: one half of the channels times the other."""
    nodes = [_conv("value", "input", 3), _conv("gate", "input", 3)]
    return _graph("simple gate", size, [*nodes, Node("gated", "multiply", ("value", "gate"))])


def swiglu(size: int) -> Graph:
    """One half of the channels times the SiLU of the other, and a 1 x 1 convolution."""
    nodes = [_conv("value", "input", 3), _conv("gate", "input", 3)]
    nodes.append(Node("silu", "function", ("gate",), {"function": ACTIVATIONS["silu"]}))
    nodes.append(Node("gated", "multiply", ("value", "silu")))
    return _graph("SwiGLU", size, [*nodes, _conv("last", "gated", 1)])


def squeeze_excite(size: int) -> Graph:
    """Every channel times one number, which two dense layers make of the channels' means."""
    nodes = [_conv("value", "input", 3), _mean(size), _conv("few", "mean", 1, CHANNELS // 4)]
    nodes.append(Node("relu", "relu", ("few",)))
    nodes.append(_conv("many", "relu", 1, CHANNELS, CHANNELS // 4))
    nodes.append(Node("sigmoid", "sigmoid", ("many",)))
    return _graph("SE", size, [*nodes, Node("gated", "multiply", ("value", "sigmoid"))])


def attention(size: int) -> Graph:
    """Every pixel times one number, of a convolution to one channel."""
    nodes = [_conv("value", "input", 3), _conv("one", "value", 3, 1)]
    nodes.append(Node("sigmoid", "sigmoid", ("one",)))
    return _graph("attention", size, [*nodes, Node("gated", "multiply", ("value", "sigmoid"))])


def _mean(size: int) -> Node:
    weight = np.eye(CHANNELS)[:, :, None, None] * np.full((size, size), size**-2.0)
    attrs = {"kernel": (size, size), "stride": (1, 1), "pad": (0,) * 4}
    return Node("mean", "conv", ("value",), attrs, {"weight": weight.astype(np.float32)})


def _conv(name: str, source: str, kernel: int, cout: int = CHANNELS, cin: int = CHANNELS) -> Node:
    rng = np.random.default_rng(list(name.encode()))
    weight = rng.standard_normal((cout, cin, kernel, kernel)) / np.sqrt(cin * kernel**2)
    attrs = {"kernel": (kernel,) * 2, "stride": (1, 1), "pad": (kernel // 2,) * 4}
    return Node(name, "conv", (source,), attrs, {"weight": weight.astype(np.float32)})


def _graph(name: str, size: int, nodes: list[Node]) -> Graph:
    return Graph(name, InputSpec((CHANNELS, size, size), "image", range=(-1.0, 1.0)), nodes)


def predicted(graph: Graph, board: str, bits: int) -> tuple[Speed, float]:
    """The prediction for one image alone, and the decibels."""
    made = compile_graph(graph, board, bits=bits, batch=1)
    program, network = made.program, made.network
    x = sample_inputs(graph.input, 2, 5)
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    wanted = reference.run(graph, x).astype(np.float64)
    error = np.mean((got - wanted) ** 2)
    return speed(program, program.streams[0]), float(10 * np.log10(np.ptp(wanted) ** 2 / error))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="pynq-z2")
    options = parser.parse_args()
    rows = []
    for make in (glu, simple_gate, swiglu, squeeze_excite, attention):
        for size in (16, 56):
            for bits in (8, 16):
                graph = make(size)
                with mock.patch.object(compile, "by_squares", lambda graph, inputs: graph):
                    host, host_db = predicted(graph, options.board, bits)
                now, db = predicted(graph, options.board, bits)
                rows.append([
                    graph.name, f"{CHANNELS} x {size} x {size}", str(bits),
                    f"{1e3 * host.run_s:.2f}", f"{1e3 * now.run_s:.2f}",
                    f"{host.run_s / now.run_s:.1f}", f"{1e3 * host.accelerator_s:.2f}",
                    f"{1e3 * now.accelerator_s:.2f}", f"{host_db:.1f}", f"{db:.1f}",
                ])  # fmt: skip
    names = ["block", "values", "bits", "processor, ms", "squares, ms", "ratio",
             "accelerator, ms", "with squares, ms", "dB", "with squares, dB"]  # fmt: skip
    print(table(names, rows, left=2))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
