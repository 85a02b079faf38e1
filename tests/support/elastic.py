"""A small network that is elastic in every way: widths, kernels, and a layer that can go."""

from __future__ import annotations

from support.random_graphs import GraphBuilder
from winogen.network.graph import Graph


def elastic_graph() -> Graph:
    """A generator of 8 x 8 images with a batch-norm, a slope for each channel and a spare layer."""
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(24, 4, 1, 0)
    b.batchnorm()
    b.add("relu")
    b.deconv(32, 4, 2, 1)
    b.add("prelu", params={"alpha": b.rng.uniform(0.1, 0.5, 32)})
    b.conv(32, 3)
    b.add("leaky_relu", slope=0.2)
    b.conv(2, 3)
    b.add("tanh")
    return b.graph(output_range=(-1.0, 1.0))
