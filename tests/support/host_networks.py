"""Networks with layers that the processor computes, each at every place that it can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np

from support.random_graphs import GraphBuilder
from winogen.compiler import compile
from winogen.network.functions import ACTIVATIONS
from winogen.network.graph import Graph
from winogen.network.sampling import Axis

#: Channels that fill no block of eight lanes.
ODD = 11


@contextmanager
def products_by_the_processor() -> Iterator[None]:
    """Products of activations stay its layers, as of networks that were trained in integers."""
    with mock.patch.object(compile, "by_squares", lambda graph, inputs: graph):
        yield


def normalise(b: GraphBuilder, groups: int = -1, centred: bool = True, eps: float = 1e-5) -> str:
    """Over this many groups of channels (-1: each its own) with a scale and a bias."""
    c = b.channels()
    gamma = b.rng.uniform(0.5, 1.5, c) * b.rng.choice((-1, 1), c)
    return b.add(
        "normalise", params={"gamma": gamma, "beta": b.normal(c, scale=0.3)},
        groups=c if groups < 0 else groups, centred=centred, eps=eps,
    )  # fmt: skip


def pad(b: GraphBuilder, mode: str = "reflect", edges: Any = (1, 2, 2, 1)) -> str:
    return b.add("pad", mode=mode, edges=edges)


def maxpool(b: GraphBuilder, kernel: Any = (2, 2), stride: Any = (1, 2), edges: Any = (1, 0, 0, 1)):
    return b.add("maxpool", kernel=kernel, stride=stride, pad=edges)


def avgpool(b: GraphBuilder, kernel: Any = (3, 2), stride: Any = (1, 2), edges: Any = (1, 1, 0, 1)):
    return b.add("avgpool", kernel=kernel, stride=stride, pad=edges)


def half_pixel(n: int, out: int, cubic: Fraction | None = None, inside: bool = False) -> Axis:
    scale = Fraction(out, n)
    return Axis(n, out, 1 / (2 * scale) - Fraction(1, 2), 1 / scale, cubic, inside)


def resample(b: GraphBuilder, factor: Fraction = Fraction(2), cubic: Fraction | None = None) -> str:
    axes = tuple(half_pixel(n, max(1, int(n * factor)), cubic) for n in b.shapes[b.last][1:])
    return b.add("resample", axes=axes)


def gate(b: GraphBuilder) -> str:
    """Squeeze and excitation: the mean of each channel says how much of it is let through."""
    x = b.last
    c, rows, columns = b.shapes[x]
    mean = np.zeros((c, c, rows, columns))
    mean[np.arange(c), np.arange(c)] = 1 / (rows * columns)
    b.add("conv", x, params={"weight": mean}, kernel=(rows, columns), stride=(1, 1), pad=(0,) * 4)
    b.conv(c, 1)
    b.activation("sigmoid")
    return b.add("multiply", x, b.last)


def product(b: GraphBuilder) -> str:
    """A value times its own sigmoid, pixel by pixel: squares of the accelerator."""
    x = b.last
    b.activation("sigmoid")
    return b.add("multiply", x, b.last)


def function(b: GraphBuilder, name: str = "silu") -> str:
    return b.add("function", function=ACTIVATIONS[name])


#: Every operation of the processor, appended to what is there.
STEPS: dict[str, Callable[[GraphBuilder], object]] = {
    "instance": normalise,
    "layer": lambda b: normalise(b, 1),
    "pixel": lambda b: normalise(b, 0, False),
    "reflect": pad,
    "edge": lambda b: pad(b, "edge"),
    "wrap": lambda b: pad(b, "wrap"),
    "maxpool": maxpool,
    "avgpool": avgpool,
    "linear": resample,
    "cubic": lambda b: resample(b, Fraction(3, 2), Fraction(-3, 4)),
    "square": lambda b: b.add("multiply", b.last, b.last),
    "gate": gate,
    "product": product,
}


def first(step: str) -> Graph:
    """It reads the network's input."""
    b = GraphBuilder(1, (ODD, 6, 7))
    STEPS[step](b)
    b.conv(9, 3)
    return b.graph(f"first-{step}")


def middle(step: str) -> Graph:
    """Twice in a row, between two convolutions."""
    b = GraphBuilder(2, (3, 6, 7))
    b.conv(ODD, 3)
    b.activation("relu")
    STEPS[step](b)
    STEPS[step](b)
    b.conv(5, 3)
    return b.graph(f"middle-{step}")


def last(step: str) -> Graph:
    """It makes the network's output, in a range that is known."""
    b = GraphBuilder(3, (3, 6, 7))
    b.conv(ODD, 3)
    STEPS[step](b)
    b.activation("tanh")
    return b.graph(f"last-{step}", (-1.0, 1.0))


def plain_last(step: str) -> Graph:
    """It makes the network's output, of whatever range."""
    b = GraphBuilder(4, (3, 6, 7))
    b.conv(ODD, 3)
    STEPS[step](b)
    return b.graph(f"plain-{step}")


PLACES = {"first": first, "middle": middle, "last": last, "plain_last": plain_last}


def side_by_side() -> Graph:
    """The processor writes beside what the device wrote in the same memory, reading the input."""
    b = GraphBuilder(5, (3, 6, 7))
    kept = b.conv(3, 3)
    b.add("maxpool", "input", kernel=(1, 1), stride=(1, 1), pad=(0,) * 4)
    b.conv(3, 3)
    b.add("add", kept, b.last)
    b.conv(4, 1)
    return b.graph("side-by-side")


def concatenated() -> Graph:
    """Operands that are made of several values, some of which do not fill their blocks."""
    b = GraphBuilder(6, (5, 6, 7))
    one = b.conv(ODD, 3)
    two = b.add("conv", "input", params={"weight": b.normal(3, 5, 1, 1)},
                kernel=(1, 1), stride=(1, 1), pad=(0,) * 4)  # fmt: skip
    joined = b.add("concat", one, two, "input")
    normalise(b, 0)
    normed = b.last
    b.add("multiply", joined, normed)
    b.add("concat", b.last, one)
    maxpool(b)
    b.conv(6, 3)
    return b.graph("concatenated")


def many() -> Graph:
    """Small, of every operation: for devices that take long."""
    b = GraphBuilder(7, (3, 5, 6))
    pad(b)
    b.conv(9, 3, 1, 0)
    normalise(b)
    function(b)
    normalise(b, 0, False)
    b.add("multiply", b.last, b.last)
    maxpool(b)
    resample(b)
    b.conv(3, 3)
    b.activation("tanh")
    return b.graph("many", (-1.0, 1.0))


def random_host_graph(seed: int, rng: Any) -> Graph:
    """Layers of the accelerator's and the processor's in any order; ``rng`` chooses them."""
    b = GraphBuilder(seed, (int(rng.integers(1, 10)), *(int(n) for n in rng.integers(2, 7, 2))))
    for _ in range(int(rng.integers(1, 5))):
        if rng.random() < 0.5:
            b.conv(int(rng.integers(1, 12)), int(rng.choice((1, 3))))
            if rng.random() < 0.5:
                b.activation(str(rng.choice(("relu", "tanh", "leaky_relu"))))
        else:
            _random_step(b, rng)
        if rng.random() < 0.3:
            function(b, str(rng.choice(("silu", "gelu", "mish", "softplus"))))
    if not any(node.op == "conv" for node in b.nodes):
        b.conv(int(rng.integers(1, 12)), 1)
    return b.graph(f"host-{seed}")


def _random_step(b: GraphBuilder, rng: Any) -> None:
    c, rows, columns = b.shapes[b.last]
    kind = str(
        rng.choice(("normalise", "pad", "maxpool", "avgpool", "resample", "multiply", "gate"))
    )
    if kind == "normalise":
        divisors = [n for n in range(c + 1) if n == 0 or c % n == 0]
        normalise(b, int(rng.choice(divisors)), bool(rng.integers(2)), float(rng.choice((1e-5, 1))))
    elif kind == "pad" and max(rows, columns) < 12:
        pad(b, "reflect" if min(rows, columns) > 2 else "edge", tuple(rng.integers(0, 3, 4)))
    elif kind in ("maxpool", "avgpool") and min(rows, columns) > 2:
        kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
        edges = tuple(int(rng.integers(0, k)) for k in kernel for _ in "ab")
        pool = {"maxpool": maxpool, "avgpool": avgpool}[kind]
        pool(b, kernel, tuple(int(n) for n in rng.integers(1, 3, 2)), edges)
    elif kind == "resample" and max(rows, columns) < 9:
        cubic = Fraction(-1, 2) if rng.integers(2) else None
        axes = tuple(
            half_pixel(n, int(rng.integers(1, 2 * n + 1)), cubic, bool(rng.integers(2)))
            for n in (rows, columns)
        )
        b.add("resample", axes=axes)
    elif kind == "gate":
        gate(b)
    else:
        x = b.last
        b.conv(int(rng.choice((1, c))), 1)
        b.add("multiply", *((x, b.last) if rng.integers(2) else (b.last, x)))
