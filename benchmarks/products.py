"""What products of two activations take on a board, and would take in the logic: predictions.

    python benchmarks/products.py [--board BOARD]

Each block is a 3 x 3 convolution and its gate, alone in a run. The array has no path for a product,
so no build can be measured: *in the logic* takes it to cost what the sum of two tensors of that
size does, which reads and writes as much. The processor's part is an estimate
(``python benchmarks/host_layers.py``) until ``winogen doctor --calibrate`` has measured a board.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from winogen.common.script import run_script
from winogen.common.text import table
from winogen.compiler.compile import compile_graph
from winogen.network.graph import Graph, InputSpec, Node
from winogen.program.formats import sample_inputs
from winogen.program.speed import Speed, speed

CHANNELS = 64


def glu(size: int) -> Graph:
    """A gated linear unit: one half of the channels is let through by the sigmoid of the other."""
    nodes = [_conv("value", "input", 3), _conv("gate", "input", 3)]
    nodes.append(Node("sigmoid", "sigmoid", ("gate",)))
    return _graph("GLU", size, [*nodes, Node("gated", "multiply", ("value", "sigmoid"))])


def squeeze_excite(size: int) -> Graph:
    """The mean of each channel says, by two layers, how much of it is let through."""
    mean = np.eye(CHANNELS, dtype=np.float32)[:, :, None, None] / size**2
    whole = {"kernel": (size, size), "stride": (1, 1), "pad": (0, 0, 0, 0)}
    weight = np.broadcast_to(mean, (CHANNELS, CHANNELS, size, size))
    nodes = [
        _conv("value", "input", 3),
        Node("mean", "conv", ("value",), whole, {"weight": weight}),
        _conv("squeeze", "mean", 1, CHANNELS // 16),
        Node("relu", "relu", ("squeeze",)),
        _conv("excite", "relu", 1, CHANNELS, CHANNELS // 16),
        Node("sigmoid", "sigmoid", ("excite",)),
        Node("gated", "multiply", ("value", "sigmoid")),
    ]
    return _graph("squeeze and excitation", size, nodes)


def _conv(name: str, source: str, kernel: int, cout: int = CHANNELS, cin: int = CHANNELS) -> Node:
    rng = np.random.default_rng(list(name.encode()))
    weight = rng.standard_normal((cout, cin, kernel, kernel)) / np.sqrt(cin * kernel**2)
    attrs = {"kernel": (kernel,) * 2, "stride": (1, 1), "pad": (kernel // 2,) * 4}
    return Node(name, "conv", (source,), attrs, {"weight": weight.astype(np.float32)})


def _graph(name: str, size: int, nodes: list[Node]) -> Graph:
    return Graph(name, InputSpec((CHANNELS, size, size), "image", range=(-1.0, 1.0)), nodes)


def predicted(graph: Graph, board: str, bits: int) -> Speed:
    """The prediction for one image alone."""
    inputs = sample_inputs(graph.input, 1, 0)
    program = compile_graph(graph, board, bits=bits, batch=1, inputs=inputs).program
    return speed(program, program.streams[0])


def sum_seconds(size: int, board: str, bits: int) -> float:
    """What a sum of two tensors takes the accelerator."""
    one = [_conv("value", "input", 3)]
    two = [*one, Node("sum", "add", ("value", "input"))]
    alone, both = (predicted(_graph("sum", size, n), board, bits) for n in (one, two))
    return both.accelerator_s - alone.accelerator_s


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="pynq-z2")
    options = parser.parse_args()
    rows = []
    for make in (glu, squeeze_excite):
        for size in (16, 56):
            for bits in (8, 16):
                now = predicted(make(size), options.board, bits)
                added = sum_seconds(size, options.board, bits)
                then = now.run_s - now.layers_s + added
                rows.append([
                    make(size).name, f"{CHANNELS} x {size} x {size}", str(bits),
                    f"{1e3 * now.accelerator_s:.2f}", f"{1e3 * now.layers_s:.1f}",
                    f"{100 * now.layers_s / now.run_s:.0f}%", f"{1e3 * added:.2f}",
                    f"{now.run_s / then:.1f}",
                ])  # fmt: skip
    names = ["block", "values", "bits", "accelerator, ms", "product, ms", "its share",
             "in the logic, ms", "ratio of all"]  # fmt: skip
    print(table(names, rows, left=2))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
