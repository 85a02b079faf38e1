"""Convolutions with pixel shuffle behind them: one layer that computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from support import torch_layers as torch
from winogen.network import reference
from winogen.network.definition import RandomParameters, load_definition
from winogen.network.graph import Graph

CONV = {"name": "c", "op": "conv", "cout": 8, "k": 3, "pad": 1}
SHUFFLE = {"name": "s", "op": "pixel_shuffle", "factor": 2}


def load(*layers: dict[str, Any]) -> Graph:
    data = {"name": "net", "input": {"image": [4, 5, 6]}, "layers": [*layers]}
    return load_definition(yaml.safe_dump(data), RandomParameters(0))


def names(graph: Graph) -> list[str]:
    return [f"{node.name} {node.op}" for node in graph.nodes]


@pytest.mark.parametrize(
    "keys",
    [{}, {"k": 1, "pad": 0}, {"pad": [1, 0, 2, 3]}, {"bias": False}, {"groups": 2, "k": [3, 2]}],
)
def test_they_compute_the_same(keys):
    conv = {**CONV, **keys}
    graph = load(conv, {**SHUFFLE, "act": "relu"})
    assert names(graph) == ["s deconv", "s.act relu"]
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6))
    apart = reference.run(load(conv), x)
    wanted = np.stack([torch.pixel_shuffle(image, 2) for image in apart])
    np.testing.assert_allclose(reference.run(graph, x), np.maximum(wanted, 0), atol=1e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [{**CONV, "stride": 2}, SHUFFLE],
        [{**CONV, "act": "relu"}, SHUFFLE],
        [CONV, SHUFFLE, {"name": "d", "op": "conv", "cout": 2, "k": 1, "from": "c"},
         {"name": "e", "op": "upsample"}, {"name": "f", "op": "concat", "from": ["s", "e"]}],
        [CONV, {"name": "s", "op": "deconv", "cout": 2, "k": 2, "stride": 2}],
        [CONV, {"name": "s", "op": "channel_shuffle", "groups": 2}],
        [CONV, {"name": "s", "op": "pad", "pad": 1}],
        [{"name": "c", "op": "relu"}, SHUFFLE],
    ],
)  # fmt: skip
def test_what_stays_apart(layers):
    """Other layers between or beside them, and what is no copy of channels."""
    assert {"c", "s"} <= {node.name for node in load(*layers).nodes}
