"""Principal directions, held against what the first layer really makes of moved latents."""

from __future__ import annotations

import numpy as np
import pytest

from winogen.network import reference
from winogen.network.directions import principal_directions
from winogen.network.graph import Graph, InputPart, InputSpec, Node
from winogen.network.zoo import load_model


def layer(op: str, rng: np.random.Generator) -> Node:
    """A first layer of 6 latents to 4 channels."""
    if op == "linear":
        return Node("fc", "linear", ("input",), {"shape": (4, 2, 3)}, {"weight": draw(rng, 24, 6)})
    if op == "deconv":
        return Node(
            "fc", "deconv", ("input",), {"kernel": (4, 4), "stride": (2, 2), "crop": (1, 0, -1, 2)},
            {"weight": draw(rng, 6, 4, 4, 4)},
        )  # fmt: skip
    return Node(
        "fc", "conv", ("input",), {"kernel": (3, 3), "stride": (1, 1), "pad": (1, 1, 1, 1)},
        {"weight": draw(rng, 4, 6, 3, 3)},
    )  # fmt: skip


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def norm(rng: np.random.Generator) -> Node:
    params = {n: draw(rng, 4) for n in ("gamma", "beta", "mean")}
    return Node("bn", "batchnorm", ("fc",), {"eps": 1e-5}, {**params, "var": draw(rng, 4) ** 2})


def reach(graph: Graph, directions: np.ndarray) -> np.ndarray:
    """How far a unit step along each direction moves the output of a linear network."""
    moved = reference.run(graph, directions.astype(np.float32))
    still = reference.run(graph, np.zeros_like(directions, np.float32))
    return np.linalg.norm((moved - still).reshape(len(directions), -1), axis=1)


@pytest.mark.parametrize("op", ["linear", "deconv", "conv"])
@pytest.mark.parametrize("normed", [False, True])
def test_no_direction_moves_the_first_layer_more(op, normed):
    rng = np.random.default_rng(0)
    nodes = [layer(op, rng)] + [norm(rng)] * normed
    graph = Graph("net", InputSpec((6, 1, 1)), nodes)
    found = principal_directions(graph)
    np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=1e-10)
    strengths = reach(graph, found)
    assert np.all(np.diff(strengths) <= 1e-5 * strengths[0])
    others = rng.standard_normal((200, 6))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert reach(graph, others).max() <= strengths[0] * (1 + 1e-6)
    rest = others - (others @ found[:1].T) * found[:1]
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    assert reach(graph, rest).max() <= strengths[1] * (1 + 1e-6)
    assert all(d[np.abs(d).argmax()] > 0 for d in found)


def test_labels_are_left_out():
    rng = np.random.default_rng(1)
    parts = (InputPart("digit", "label", 2), InputPart("z", "latent", 4))
    graph = Graph("net", InputSpec((6, 1, 1), parts=parts), [layer("linear", rng)])
    assert principal_directions(graph).shape == (4, 4)


def test_a_network_of_the_zoo():
    found = principal_directions(load_model("digits"), 5)
    assert found.shape == (5, 64)


def test_where_the_weights_alone_do_not_say_it():
    spec = InputSpec((6, 1, 1))
    scaled = [Node("n", "normalise", ("input",), {"groups": 0, "centred": False, "eps": 1e-8}),
              Node("fc", "linear", ("n",), {"shape": (4, 1, 1)},
                   {"weight": np.ones((4, 6), np.float32)})]  # fmt: skip
    assert principal_directions(Graph("net", spec, scaled)) is None
    assert principal_directions(load_model("fsrcnn-x2")) is None
    dead = layer("linear", np.random.default_rng(0))
    dead.params["weight"][:] = 0
    assert principal_directions(Graph("net", spec, [dead])) is None
