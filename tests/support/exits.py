"""Small networks with exits."""

from __future__ import annotations

from functools import cache

from support.bench import named
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compression.heads import Head, with_heads
from winogen.network.graph import Graph


def with_exits(seed: int = 0) -> Graph:
    """A latent of 5 to images (1, 8, 8) in 4 layers, with two exits, of two layers and of one."""
    b = GraphBuilder(seed, (5, 1, 1), "latent")
    b.linear((8, 4, 4))
    first = b.activation("relu")
    b.conv(24)
    second = b.activation("leaky_relu")
    b.conv(40)
    b.batchnorm()
    b.activation("relu")
    b.deconv(1, 4, 2, 1)
    b.activation("tanh")
    graph = b.graph("exits", (-1.0, 1.0))
    return with_heads(graph, [Head(first, (1, 2), (8,)), Head(second, (2,), ())], seed)


def pictures_with_exits() -> Graph:
    """From picture to picture of twice its size, in windows; an exit looks less far."""
    b = GraphBuilder(3, (1, 16, 16))
    b.conv(6)
    early = b.activation("relu")
    b.conv(6, 5)
    b.activation("relu")
    b.deconv(1, 4, 2, 1)
    b.activation("tanh")
    graph = b.graph("pictures", (-1.0, 1.0))
    return with_heads(graph, [Head(early, (2,), ())])


@cache
def compiled(bits: int = 8, batch: int = 2, board: str = "tiny") -> Compiled:
    """The network with exits as a program; compiled once."""
    return compile_graph(with_exits(), named(board, bits), batch=batch)
