"""What is elastic about a network: how wide its layers are, how large kernels, and which it has.

Once for all (Cai et al. 2020) asks for three kinds of freedom. Widths are those that lanes tell
apart; kernels are windows of the whole one, about its centre; a layer can be skipped where what it
makes has the shape of what it reads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from winogen.common.errors import UnsupportedLayerError
from winogen.compression.narrow import LANES, Groups, is_depthwise
from winogen.network.graph import POINTWISE, Graph, Node, Shape

#: Layers whose weights are trained, and what may come between them.
DENSE = ("conv", "deconv", "linear")
_BETWEEN = (*POINTWISE, "upsample")
#: Shares of a layer's channels that are told apart, in these parts, and the least of them.
_PARTS, _LEAST = 8, 2
#: The most kernels of a layer, and the largest side of one: matrices grow with its fourth power.
_KERNELS, _LARGEST = 3, 16
WIDTH, KERNEL, DEPTH = "width", "kernel", "depth"

#: A sub-network: for each axis of its space the number of what is chosen, 0 for the whole.
Setting = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One freedom.

    Attributes
    ----------
    kind : WIDTH (channels), KERNEL (side, of rows) or DEPTH (1: the layer is there, 0: it is not)
    layer : the layer that it is of; of a width, the first of those that have it together
    values : those to choose from, the whole network's first
    """

    kind: str
    layer: str
    values: tuple[int, ...]


class Space:
    """All sub-networks of a chain of layers.

    Attributes
    ----------
    graph : the network
    axes : what can be chosen
    segments : by layer that can be skipped, all nodes that go with it

    Raises
    ------
    UnsupportedLayerError : the network is no chain, or has a layer that cannot be elastic
    """

    def __init__(self, graph: Graph):
        _check(graph)
        self.graph = graph
        self.segments = _segments(graph)
        ends = [(segment[0], segment[-1]) for segment in self.segments.values()]
        entering = {node.name: node.inputs[0] for node in graph.nodes}
        self.groups = Groups(graph, [(entering[first], last) for first, last in ends])
        axes: list[Axis] = []
        self._axis_of: dict[int, int] = {}
        for node in graph.nodes:
            group = self.group(node.name)
            if group in self.groups.fixed or group in self._axis_of:
                continue
            widths = _widths(self.groups.widths[group])
            if len(widths) > 1:
                self._axis_of[group] = len(axes)
                axes.append(Axis(WIDTH, node.name, widths))
        self._kernel_of: dict[str, int] = {}
        for node in graph.nodes:
            kernels = _kernels(node)
            if len(kernels) > 1:
                self._kernel_of[node.name] = len(axes)
                axes.append(Axis(KERNEL, node.name, kernels))
        self._depth_of: dict[str, int] = {}
        for layer, segment in self.segments.items():
            self._depth_of.update(dict.fromkeys(segment, len(axes)))
            axes.append(Axis(DEPTH, layer, (1, 0)))
        self.axes = tuple(axes)

    @property
    def count(self) -> int:
        """How many sub-networks there are."""
        return math.prod(len(axis.values) for axis in self.axes)

    @property
    def whole(self) -> Setting:
        """The setting of the whole network."""
        return (0,) * len(self.axes)

    @property
    def smallest(self) -> Setting:
        """The setting with the least of everything."""
        return tuple(len(axis.values) - 1 for axis in self.axes)

    def group(self, value: str) -> int:
        """The group of a value's channels."""
        (group,) = self.groups.parts[value]
        return group

    def axis_of_width(self, value: str) -> int | None:
        """The axis of how many channels a value has; None where that is not to be chosen."""
        return self._axis_of.get(self.group(value))

    def width(self, value: str, setting: Setting) -> int:
        """How many channels of a value there are."""
        axis = self.axis_of_width(value)
        if axis is None:
            return self.groups.widths[self.group(value)]
        return self.axes[axis].values[setting[axis]]

    def kernels(self, layer: str) -> tuple[int, ...]:
        """Sides of the kernels that a layer may have."""
        axis = self._kernel_of.get(layer)
        return (0,) if axis is None else self.axes[axis].values

    def kernel(self, layer: str, setting: Setting) -> int:
        """The number of a layer's kernel among :meth:`kernels`."""
        axis = self._kernel_of.get(layer)
        return 0 if axis is None else setting[axis]

    def entered(self, layer: Node, setting: Setting) -> int:
        """The number of the width of what a layer reads."""
        axis = self.axis_of_width(layer.inputs[0])
        return 0 if axis is None else setting[axis]

    def entering(self, layer: Node) -> int:
        """How many widths what a layer reads may have."""
        axis = self.axis_of_width(layer.inputs[0])
        return 1 if axis is None else len(self.axes[axis].values)

    def changed(self, setting: Setting, layer: Node, entered: int, kernel: int) -> Setting:
        """A setting with these numbers of the width that a layer reads and of its kernel."""
        axes = {
            self.axis_of_width(layer.inputs[0]): entered,
            self._kernel_of.get(layer.name): kernel,
        }
        return tuple(axes.get(axis, number) for axis, number in enumerate(setting))

    def skips(self, node: str, setting: Setting) -> bool:
        """Whether a node is left out."""
        axis = self._depth_of.get(node)
        return axis is not None and self.axes[axis].values[setting[axis]] == 0

    def described(self, setting: Setting) -> str:
        """A setting in words: what is there of each layer, the whole network's in brackets."""
        parts = []
        for kind, word in ((WIDTH, "channels"), (KERNEL, "kernels"), (DEPTH, "layers")):
            found = [(a, a.values[n]) for a, n in zip(self.axes, setting) if a.kind == kind]
            if not found:
                continue
            if kind == DEPTH:
                parts.append(f"{sum(v for _, v in found)} of {len(found)} {word} that can go")
                continue
            chosen = ", ".join(str(value) for _, value in found)
            whole = ", ".join(str(axis.values[0]) for axis, _ in found)
            parts.append(f"{word} {chosen} (of {whole})")
        return "; ".join(parts)


def window(whole: Sequence[int], side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column, and the shape, of the window about the centre of a kernel.

    ``side`` is how many rows it has; it has as many fewer columns as it has fewer rows.
    """
    less = whole[0] - side
    return (less // 2, less // 2), (whole[0] - less, whole[1] - less)


def edges_within(edges: Sequence[int], whole: Sequence[int], side: int) -> tuple[int, ...]:
    """Padding or crop (top, bottom, left, right) of a layer with the window of its kernel.

    Its taps stay where they are, so that its output keeps its size.
    """
    less = whole[0] - side
    before = less // 2
    return tuple(e - n for e, n in zip(edges, (before, less - before) * 2))


def shape_within(graph: Graph, layer: Node, width: int) -> Shape:
    """The shape of a layer's output with ``width`` channels."""
    return (width, *graph.shapes[layer.name][1:])


def folded(graph: Graph) -> Graph:
    """The same network in floating point, with batch-norms that follow a layer folded into it."""
    by_name: dict[str, Node] = {}
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(renamed.get(i, i) for i in node.inputs)
        before = by_name.get(inputs[0])
        once = len(graph.consumers(node.inputs[0])) == 1
        if node.op == "batchnorm" and before is not None and before.op in DENSE and once:
            by_name[before.name] = _with_norm(before, node, graph)
            renamed[node.name] = before.name
            continue
        attrs = {k: v for k, v in node.attrs.items() if k not in ("scale", "reach")}
        params = {k: v for k, v in node.params.items() if k != "weight_scale"}
        by_name[node.name] = replace(node, inputs=inputs, attrs=attrs, params=params)
    return replace(graph, nodes=list(by_name.values()), trained_bits=None)


def _with_norm(layer: Node, norm: Node, graph: Graph) -> Node:
    p = {k: v.astype(np.float64) for k, v in norm.params.items()}
    scale = p["gamma"] / np.sqrt(p["var"] + norm.attrs["eps"])
    shift = p["beta"] - p["mean"] * scale
    weight = layer.params["weight"].astype(np.float64)
    bias = layer.params.get("bias", np.zeros(1)).astype(np.float64)
    if layer.op == "linear":
        _, rows, columns = graph.shapes[layer.name]
        scale, shift = (np.repeat(v, rows * columns) for v in (scale, shift))
        weight = weight * scale[:, None]
    elif layer.op == "conv":
        weight = weight * scale.reshape(-1, 1, 1, 1)
    else:
        weight = weight * scale.reshape(1, -1, 1, 1)
    if bias.ndim == 3:
        scale, shift = scale.reshape(-1, 1, 1), shift.reshape(-1, 1, 1)
    params = {"weight": weight, "bias": bias * scale + shift}
    return replace(layer, params={k: v.astype(np.float32) for k, v in params.items()})


def _check(graph: Graph) -> None:
    """Raise UnsupportedLayerError for what is no chain of layers that can be elastic."""
    before = graph.INPUT_NAME
    for node in graph.nodes:
        where = f"layer '{node.name}' of model {graph.name}"
        advice = "fit it without --once"
        if node.inputs != (before,):
            raise UnsupportedLayerError(
                f"{where} does not follow the layer before it, and only chains of layers are "
                f"trained once for all: {advice}"
            )
        if node.op not in (*DENSE, *_BETWEEN):
            raise UnsupportedLayerError(
                f"{where}: a layer of kind {node.op} cannot be trained once for all: {advice}"
            )
        if is_depthwise(node):
            raise UnsupportedLayerError(
                f"{where} filters each channel by itself, which cannot be trained once for all: "
                f"{advice}"
            )
        before = node.name


def _widths(whole: int) -> tuple[int, ...]:
    """Multiples of the lanes near whole parts of a width, from all channels down to a quarter."""
    parts = (whole * part / _PARTS for part in range(_PARTS - 1, _LEAST - 1, -1))
    rounded = {max(round(part / LANES), 1) * LANES for part in parts}
    return (whole, *sorted((w for w in rounded if w < whole), reverse=True))


def _kernels(node: Node) -> tuple[int, ...]:
    """Rows of the kernels that a layer can have: its own, and windows that leave no gap.

    Of an odd side every other row goes, so that a window has a centre; the window must hold all
    that edges are taken off, and be no smaller than the stride.
    """
    if node.op not in ("conv", "deconv"):
        return (0,)
    whole, stride = node.attrs["kernel"], node.attrs["stride"]
    edges = node.attrs["pad" if node.op == "conv" else "crop"]
    step = 2 if any(side % 2 for side in whole) else 1
    found = [whole[0]]
    if max(whole) > _LARGEST:
        return tuple(found)
    for less in range(step, min(whole), step):
        _, shape = window(whole, whole[0] - less)
        inside = edges_within(edges, whole, whole[0] - less)
        if any(k < s for k, s in zip(shape, stride)) or min(inside) < 0:
            break
        found.append(whole[0] - less)
    return tuple(found[:_KERNELS])


def _segments(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By layer that can be skipped: itself, and what follows it up to the next layer."""
    found: dict[str, tuple[str, ...]] = {}
    nodes = graph.nodes
    starts = [i for i, node in enumerate(nodes) if node.op in DENSE]
    for start, stop in itertools.pairwise(starts):
        entering = nodes[start].inputs[0]
        shapes = graph.shapes[entering], graph.shapes[nodes[stop - 1].name]
        if shapes[0] == shapes[1] and start > starts[0]:
            found[nodes[start].name] = tuple(node.name for node in nodes[start:stop])
    return found
