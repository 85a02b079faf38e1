"""Narrower networks: the channels that matter least are left out of every layer.

A channel matters by how much of what the layers that read it add up comes from it: how far its
values vary, times the size of the weights that they meet (as in Molchanov et al. 2017, without a
gradient). Channels that meet in a sum, or that a pointwise or depthwise layer passes on, stay or go
together; those of the network's input and output stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.network import reference
from winogen.network.graph import POINTWISE, Graph, Node

#: Layers keep a multiple of so many channels: the lanes of a word.
LANES = 8
_DENSE = ("conv", "deconv", "linear")
_PASSING = (*POINTWISE, "normalise", "upsample", "pad", "maxpool", "avgpool", "resample")
Indices = NDArray[np.int64]


def narrowed(graph: Graph, share: float, inputs: NDArray[np.float32]) -> Graph:
    """The network with about ``share`` of each layer's channels, untrained otherwise.

    ``inputs`` (N, C, H, W) tell how far channels vary. Layers of no more than 8 channels, and those
    whose channels are put in another order by their places, keep all of theirs.
    """
    channels = Channels(graph, inputs)
    return channels.narrowed({g: words_of(n, share) for g, n in channels.widths.items()})


def words_of(width: int, share: float) -> int:
    """About this share of so many channels: a multiple of the lanes, and no fewer than those."""
    return min(max(round(width * share / LANES), 1) * LANES, width)


class Channels:
    """The channels of a network that stay or go together, by group, and how much each matters.

    Attributes
    ----------
    widths : channels of each group of which some may go
    """

    def __init__(self, graph: Graph, inputs: NDArray[np.float32]):
        self._graph = graph
        self._groups = Groups(graph)
        self._worth = worth_of_channels(graph, self._groups, inputs)
        free = self._groups.widths.items()
        self.widths = {g: n for g, n in free if g not in self._groups.fixed and n > LANES}

    def narrowed(self, counts: Mapping[int, int]) -> Graph:
        """The network with so many channels of each group, those that matter most."""
        groups = self._groups
        kept = {
            group: _best(self._worth[group], counts.get(group, width))
            for group, width in groups.widths.items()
        }
        nodes = [cut(node, self._graph, groups, kept) for node in self._graph.nodes]
        return replace(self._graph, nodes=nodes, trained_bits=None)

    def share(self, name: str, counts: Mapping[int, int]) -> float:
        """The share of a value's channels that such a network has."""
        parts = [(group, self._groups.widths[group]) for group in self._groups.parts[name]]
        return sum(counts.get(g, n) for g, n in parts) / sum(n for _, n in parts)


class Groups:
    """Which channels stay or go together.

    Attributes
    ----------
    parts : by value, the groups that its channels are, one after the other
    widths : channels of each group
    fixed : groups that keep all of theirs

    Parameters
    ----------
    tied : pairs of values, of as many channels, that also stay or go together
    """

    def __init__(self, graph: Graph, tied: Sequence[tuple[str, str]] = ()):
        self.widths: dict[int, int] = {}
        self.fixed: set[int] = set()
        self._joined: dict[int, int] = {}
        first = self._new(graph.input.shape[0])
        self._parts: dict[str, tuple[int, ...]] = {graph.INPUT_NAME: (first,)}
        self._fix(self._parts[graph.INPUT_NAME])
        for node in graph.nodes:
            self._parts[node.name] = self._of(node, graph)
        for name in graph.outputs:
            self._fix(self._parts[name])
        for first_value, second_value in tied:
            self._join(self._parts[first_value], self._parts[second_value])
        roots = {self._root(group) for group in self.widths}
        self.fixed = {self._root(group) for group in self.fixed}
        self.widths = {group: self.widths[group] for group in sorted(roots)}
        self.parts = {name: tuple(map(self._root, groups)) for name, groups in self._parts.items()}

    def indices(self, name: str, kept: dict[int, Indices]) -> Indices:
        """The channels of a value that are kept."""
        found, start = [], 0
        for group in self.parts[name]:
            found.append(kept[group] + start)
            start += self.widths[group]
        return np.concatenate(found)

    def _of(self, node: Node, graph: Graph) -> tuple[int, ...]:
        inputs = [self._parts[i] for i in node.inputs]
        channels = graph.shapes[node.name][0]
        if is_depthwise(node):
            return inputs[0]
        if node.op in _DENSE:
            return (self._new(channels),)
        if node.op in _PASSING:
            if node.op == "normalise" and node.attrs["groups"] not in (0, 1, channels):
                self._fix(inputs[0])
            return inputs[0]
        if node.op == "concat":
            return tuple(group for groups in inputs for group in groups)
        if node.op in ("add", "subtract", "multiply"):
            wide = [g for g, i in zip(inputs, node.inputs) if graph.shapes[i][0] == channels]
            for other in wide[1:]:
                self._join(wide[0], other)
            return wide[0]
        for groups in inputs:  # rearrange: channels lie between pixels
            self._fix(groups)
        made = (self._new(channels),)
        self._fix(made)
        return made

    def _new(self, width: int) -> int:
        group = len(self._joined)
        self._joined[group], self.widths[group] = group, width
        return group

    def _root(self, group: int) -> int:
        while self._joined[group] != group:
            group = self._joined[group]
        return group

    def _fix(self, groups: Sequence[int]) -> None:
        self.fixed.update(groups)

    def _join(self, first: Sequence[int], second: Sequence[int]) -> None:
        if [self.widths[g] for g in first] != [self.widths[g] for g in second]:
            self._fix((*first, *second))  # cut in other places
            return
        for a, b in zip(first, second):
            self._joined[self._root(b)] = self._root(a)


def is_depthwise(node: Node) -> bool:
    """Whether a layer convolves every channel by itself."""
    return node.op in ("conv", "deconv") and depthwise(node.params["weight"])


def depthwise(weight: NDArray[Any]) -> bool:
    """Whether a weight (channels, channels, kh, kw) has nothing between different channels."""
    alike = len(weight) == weight.shape[1] > 1
    return alike and not np.any(weight[~np.eye(len(weight), dtype=bool)])


def worth_of_channels(
    graph: Graph, groups: Groups, inputs: NDArray[np.float32]
) -> dict[int, NDArray[np.float64]]:
    """How much every channel of every group matters, for inputs (N, C, H, W)."""
    deviations: dict[str, NDArray[np.float64]] = {}

    def keep(name: str, values: NDArray) -> None:
        deviations[name] = values.astype(np.float64).std(axis=(0, 2, 3))

    reference.run(graph, inputs, keep)
    worth = {group: np.zeros(width) for group, width in groups.widths.items()}
    for node in graph.nodes:
        if node.op not in _DENSE or is_depthwise(node):
            continue
        weight = _by_input(node, graph)
        size = np.sqrt(np.square(weight.astype(np.float64)).sum(axis=1))
        if graph.shapes[node.inputs[0]][1:] == (1, 1) and len(inputs) < 2:
            matters = size
        else:
            matters = size * deviations[node.inputs[0]]
        start = 0
        for group in groups.parts[node.inputs[0]]:
            width = groups.widths[group]
            worth[group] += matters[start : start + width]
            start += width
    return worth


def _by_input(node: Node, graph: Graph) -> NDArray:
    """A layer's weight as (input channels, all else)."""
    weight = node.params["weight"]
    channels = graph.shapes[node.inputs[0]][0]
    if node.op == "linear":
        weight = weight.reshape(len(weight), channels, -1).swapaxes(0, 1)
    elif node.op == "conv":
        weight = weight.swapaxes(0, 1)
    return weight.reshape(channels, -1)


def _best(worth: NDArray[np.float64], count: int) -> Indices:
    """The channels that matter most, in order."""
    return np.sort(np.argsort(-worth, kind="stable")[:count])


def cut(node: Node, graph: Graph, groups: Groups, kept: dict[int, Indices]) -> Node:
    """A layer with the channels of each group that are kept, in their order there."""
    made = groups.indices(node.name, kept)
    read = groups.indices(node.inputs[0], kept)
    attrs, params = dict(node.attrs), dict(node.params)
    if node.op == "linear":
        out, into = graph.shapes[node.name], graph.shapes[node.inputs[0]]
        weight = params["weight"].reshape(*out, *into)[made][:, :, :, read]
        attrs["shape"] = (len(made), *out[1:])
        params["weight"] = weight.reshape(len(made) * out[1] * out[2], -1)
        if "bias" in params:
            params["bias"] = params["bias"].reshape(out)[made].reshape(-1)
    else:
        if node.op == "conv":
            params["weight"] = params["weight"][made][:, read]
        elif node.op == "deconv":
            params["weight"] = params["weight"][read][:, made]
        if node.op == "normalise" and attrs["groups"] == graph.shapes[node.name][0]:
            attrs["groups"] = len(made)
        for name, value in params.items():
            if name != "weight":
                params[name] = value[made]
    for name in ("scale", "reach"):  # of other channels
        attrs.pop(name, None)
    params.pop("weight_scale", None)
    params = {name: np.ascontiguousarray(value) for name, value in params.items()}
    return replace(node, attrs=attrs, params=params)
