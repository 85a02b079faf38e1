"""Cheaper blocks in the place of dense layers: depthwise, inverted and shuffled ones.

A layer of k x k taps that reads and makes many channels becomes a block of the same shapes:

- ``separable``: a depthwise layer with the same taps and a 1x1 convolution (Howard et al.,
  *MobileNets*, 2017). The 1x1 convolution is where there are fewer pixels: before a transposed one.
- ``mobilenet``: an inverted residual (Sandler et al., *MobileNetV2*, 2018): a 1x1 convolution to
  more channels (here twice those of the narrower side; published are six times those that are
  read), a depthwise layer, a 1x1 convolution back, and what it reads added where the shapes are
  equal.
- ``shuffle``: a unit of ShuffleNet (Zhang et al. 2018): a 1x1 convolution in groups, a channel
  shuffle, a depthwise layer, a 1x1 convolution in groups, and what it reads added where the shapes
  are equal. Channels are shuffled by whole words of the accelerator's lanes, so that groups stay
  apart in memory.

Blocks begin with the dense weights' best factors (singular vectors), and are to be trained. Layers
of a block have the layer's name and a part's; the last has the layer's own, so its value is what it
stands for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from winogen.common.errors import InputError
from winogen.compression.limits import BLOCKS
from winogen.compression.narrow import LANES, is_depthwise
from winogen.network.graph import Array, Graph, Node

#: Layers of fewer channels on either side stay dense: a word of lanes has as many.
_LEAST = 2 * LANES
_ONE = {"kernel": (1, 1), "stride": (1, 1), "pad": (0, 0, 0, 0)}


def with_blocks(graph: Graph, kind: str) -> Graph:
    """The network with blocks in the place of the layers that :func:`replaced` names, untrained.

    ``kind`` is one of :data:`~winogen.compression.limits.BLOCKS`. Raises InputError where there is
    no such layer.
    """
    layers = replaced(graph, kind)
    if not layers:
        raise InputError(
            f"network {graph.name} has no layer that --blocks {kind} could replace: those of "
            f"several taps between {_channels(kind)} are; leave --blocks out"
        )
    made: list[Node] = []
    for node in graph.nodes:
        attrs = {k: v for k, v in node.attrs.items() if k not in ("scale", "reach")}
        params = {k: v for k, v in node.params.items() if k != "weight_scale"}
        node = replace(node, attrs=attrs, params=params)
        if node.name in layers:
            made += _MAKE[kind](_Dense.of(node, graph))
        else:
            made.append(node)
    return replace(graph, nodes=made, trained_bits=None)


def replaced(graph: Graph, kind: str) -> tuple[str, ...]:
    """The layers that a kind of block can stand for: of several taps, between many channels."""
    return tuple(n.name for n in graph.nodes if _can_stand_for(kind, n, graph))


def parts(name: str, graph: Graph) -> tuple[str, ...]:
    """All layers of the block that stands for a layer."""
    own = {f"{name}.{part}" for part in _PARTS}
    return tuple(n.name for n in graph.nodes if n.name == name or n.name in own)


def _channels(kind: str) -> str:
    multiple = f"a multiple of {_LEAST} " if kind == "shuffle" else f"{_LEAST} or more "
    return f"{multiple}channels and {multiple}others"


def _can_stand_for(kind: str, node: Node, graph: Graph) -> bool:
    if node.op not in ("conv", "deconv") or is_depthwise(node):
        return False
    names = {n.name for n in graph.nodes}
    cin, rows, columns = graph.shapes[node.inputs[0]]
    cout = graph.shapes[node.name][0]
    many = min(cin, cout) >= _LEAST and rows * columns > 1 and math.prod(node.attrs["kernel"]) > 1
    if kind == "shuffle" and (cin % _LEAST or cout % _LEAST):
        return False
    return many and not any(f"{node.name}.{part}" in names for part in _PARTS)


@dataclass(frozen=True)
class _Dense:
    """A dense layer.

    Attributes
    ----------
    weight : (cout, cin, kh, kw), of a transposed layer in scatter form
    bias : (cout,), or (cout, h, w) by phase
    skips : whether the block may add what it reads
    """

    node: Node
    weight: Array
    bias: Array
    skips: bool

    @classmethod
    def of(cls, node: Node, graph: Graph) -> _Dense:
        weight = node.params["weight"].astype(np.float64)
        if node.op == "deconv":
            weight = weight.swapaxes(0, 1)
        bias = node.params.get("bias", np.zeros(len(weight))).astype(np.float64)
        return cls(node, weight, bias, graph.shapes[node.name] == graph.shapes[node.inputs[0]])

    @property
    def flat_bias(self) -> Array:
        """One value for each channel: a 1x1 convolution has no phases."""
        return self.bias.reshape(len(self.bias), -1).mean(axis=1)

    def less_what_is_added(self) -> Array:
        """The weight of what the block computes beside the skip."""
        if not self.skips:
            return self.weight
        middle = [n // 2 for n in self.weight.shape[2:]]
        if self.node.op == "conv":
            edges = self.node.attrs["pad"]
            middle = [edges[0], edges[2]]
        weight = self.weight.copy()
        weight[range(len(weight)), range(len(weight)), middle[0], middle[1]] -= 1
        return weight

    def pointwise(self, part: str, source: str, weight: Array, bias: Array | None = None) -> Node:
        """A 1x1 convolution with a weight (cout, cin)."""
        params = {"weight": weight[:, :, None, None]}
        if bias is not None:
            params["bias"] = bias
        return self._named(part, "conv", source, dict(_ONE), params)

    def depthwise(self, part: str, source: str, taps: Array, bias: Array | None = None) -> Node:
        """A layer with this one's geometry, and taps (channels, kh, kw) for each channel."""
        weight = np.zeros((len(taps), *taps.shape))
        weight[range(len(taps)), range(len(taps))] = taps
        params = {"weight": weight}
        if bias is not None:
            params["bias"] = bias
        return self._named(part, self.node.op, source, dict(self.node.attrs), params)

    def relu(self, part: str, source: str) -> Node:
        return self._named(part, "relu", source, {}, {})

    def add(self, source: str) -> Node:
        """What the layer reads, and the block's own: under the layer's name."""
        return replace(self._named("", "add", source, {}, {}), inputs=(self.node.inputs[0], source))

    def _named(
        self, part: str, op: str, source: str, attrs: dict[str, Any], params: dict[str, Array]
    ) -> Node:
        name = f"{self.node.name}.{part}" if part else self.node.name
        arrays = {k: np.ascontiguousarray(v, np.float32) for k, v in params.items()}
        return Node(name, op, (source,), attrs, arrays)


#: What layers of blocks are called, behind the name of what they stand for.
_PARTS = ("pointwise", "depthwise", "expand", "project", "expand.act", "depthwise.act")


def _by_input(weight: Array) -> tuple[Array, Array]:
    """Taps (cin, kh, kw) and a matrix (cout, cin) whose product is nearest to a weight."""
    cout, cin, kh, kw = weight.shape
    u, s, v = np.linalg.svd(weight.transpose(1, 0, 2, 3).reshape(cin, cout, kh * kw), False)
    size = np.sqrt(s[:, :1])
    return (v[:, 0] * size).reshape(cin, kh, kw), (u[:, :, 0] * size).T


def _separable(dense: _Dense) -> list[Node]:
    source = dense.node.inputs[0]
    if dense.node.op == "conv":
        taps, matrix = _by_input(dense.weight)
        first = dense.depthwise("depthwise", source, taps)
        return [first, dense.pointwise("", first.name, matrix, dense.flat_bias)]
    taps, matrix = _by_input(dense.weight.swapaxes(0, 1))
    first = dense.pointwise("pointwise", source, matrix.T)
    return [first, dense.depthwise("", first.name, taps, dense.bias)]


def _mobilenet(dense: _Dense) -> list[Node]:
    """Twice as many channels as the narrower side has: what is read, or made, of either sign.

    Values of the teacher's activations are mostly positive: where the block reads fewer channels
    than it makes, they pass the first ReLU as they are, and the second has their filters of either
    sign.
    """
    weight = dense.less_what_is_added()
    cout, cin = weight.shape[:2]
    if cin <= cout:
        taps, matrix = _by_input(weight)
        expand = np.concatenate([np.eye(cin)] * 2)
        filters, project = np.concatenate([taps, -taps]), np.concatenate([matrix, -matrix], axis=1)
    else:
        taps, matrix = _by_input(weight.swapaxes(0, 1))
        sign = np.where(taps.sum(axis=(1, 2)) < 0, -1.0, 1.0)  # most pass the second ReLU
        taps, matrix = taps * sign[:, None, None], matrix.T * sign[:, None]
        expand, filters = np.concatenate([matrix, -matrix]), np.concatenate([taps, taps])
        project = np.concatenate([np.eye(cout), -np.eye(cout)], axis=1)
    none = np.zeros(len(expand))
    nodes = [dense.pointwise("expand", dense.node.inputs[0], expand, none)]
    nodes.append(dense.relu("expand.act", nodes[-1].name))
    nodes.append(dense.depthwise("depthwise", nodes[-1].name, filters, none))
    nodes.append(dense.relu("depthwise.act", nodes[-1].name))
    return nodes + _ending(dense, nodes[-1].name, project)


def _ending(dense: _Dense, source: str, matrix: Array) -> list[Node]:
    """The 1x1 convolution at the end of a block, and the skip."""
    part = "project" if dense.skips else ""
    last = dense.pointwise(part, source, matrix, dense.flat_bias)
    return [last, dense.add(last.name)] if dense.skips else [last]


def _shuffle(dense: _Dense) -> list[Node]:
    """Each pair of a group that is read and one that is made shares a word of lanes, or some."""
    cout, cin = dense.weight.shape[:2]
    groups = groups_of(cin, cout)
    unit = LANES * groups**2
    middle = unit * math.ceil(min(cin, cout) / unit)
    each = middle // groups**2
    matrix, taps = np.zeros((middle, cin)), np.zeros((middle, *dense.weight.shape[2:]))
    project = np.zeros((cout, middle))
    weight = dense.less_what_is_added()
    for of in range(groups):
        for to in range(groups):
            # Shuffled: those of one target together, and of those the sources in turn.
            start = (to * groups + of) * each
            rows = slice(start, start + each)
            into = slice(of * cin // groups, (of + 1) * cin // groups)
            out = slice(to * cout // groups, (to + 1) * cout // groups)
            matrix[rows, into], taps[rows], project[out, rows] = _factors(weight[out, into], each)
    nodes = [dense.pointwise("expand", dense.node.inputs[0], matrix, np.zeros(middle))]
    nodes.append(dense.relu("expand.act", nodes[-1].name))
    nodes.append(dense.depthwise("depthwise", nodes[-1].name, taps, np.zeros(middle)))
    return nodes + _ending(dense, nodes[-1].name, project)


def groups_of(cin: int, cout: int) -> int:
    """Groups of a shuffled block: 4 where each has whole words, and words enough to shuffle."""
    return (
        4 if min(cin, cout) >= 16 * LANES and not (cin % (4 * LANES) or cout % (4 * LANES)) else 2
    )


def _factors(weight: Array, count: int) -> tuple[Array, Array, Array]:
    """Matrix (count, cin), taps (count, kh, kw) and matrix (cout, count) near to a weight.

    The first matrix has the weight's singular vectors; what each stands for goes to taps and
    outputs, of which the largest product is taken. Where there are fewer vectors than ``count``,
    they come again with the next largest.
    """
    cout, cin, kh, kw = weight.shape
    u, s, v = np.linalg.svd(weight.transpose(1, 0, 2, 3).reshape(cin, cout * kh * kw), False)
    into, taps, out = np.zeros((count, cin)), np.zeros((count, kh, kw)), np.zeros((cout, count))
    for n in range(count):
        m = n % len(s)
        inner, sizes, along = np.linalg.svd((s[m] * v[m]).reshape(cout, kh * kw), False)
        k = min(n // len(s), len(sizes) - 1)
        sign = 1.0 if u[:, m].sum() >= 0 else -1.0  # most pass the ReLU
        into[n] = sign * u[:, m]
        taps[n] = along[k].reshape(kh, kw) * np.sqrt(sizes[k])
        out[:, n] = sign * inner[:, k] * np.sqrt(sizes[k])
    return into, taps, out


_MAKE: dict[str, Callable[[_Dense], list[Node]]] = dict(
    zip(BLOCKS, (_separable, _mobilenet, _shuffle), strict=True)
)
