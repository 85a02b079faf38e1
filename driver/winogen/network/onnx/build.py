"""The graph under construction, and views of its values put into the order that a layer needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.definition import MAX_WEIGHTS
from winogen.network.filters import alike, check_sparse, copies
from winogen.network.graph import Graph, Node, Shape, batchnorm_affine, node_shape
from winogen.network.interleave import small_factors, sub_pixel
from winogen.network.onnx import view
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import BATCH, Factor, View

#: Most pixels that one pixel becomes in a layer where they are not in steps.
MAX_BLOCK = 64
#: Most pixels that a linear layer makes of a vector: they are one tile, in one memory of the chip.
MAX_LINEAR = 1024
#: Longest chain of pointwise layers through which an order is handed back to where data are made.
MAX_REORDERED = 16
#: Pointwise layers that treat every value alike, whatever its channel.
_UNIFORM = ("relu", "leaky_relu", "clamp", "tanh", "sigmoid", "function")


class Spread(NamedTuple):
    """A value with its rows and columns ``step`` apart, after ``before`` zeros."""

    source: str
    step: tuple[int, int]
    before: tuple[int, int]


@dataclass
class Builder:
    """Nodes so far. ``batch`` is the size that stands for the batch; ``model`` the model's name.

    ``notes`` collects what the user should know about how the model was read.
    """

    model: str
    input_size: Shape
    batch: int
    notes: list[str] = field(default_factory=list)
    #: Values that are whole numbers, whatever the input: casting them to integers is nothing.
    whole: set[str] = field(default_factory=set)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _sizes: dict[str, Shape] = field(default_factory=dict)
    _values: int = 0
    _rearranged: dict[tuple[str, bytes], str] = field(default_factory=dict)
    _constants: dict[tuple[str, bytes], str] = field(default_factory=dict)
    #: What the layers always give that do not depend on the input: (C, H, W).
    _known: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    #: Values picked from another one: its name, and the channel there of each channel.
    _picked: dict[str, tuple[str, NDArray[np.int64]]] = field(default_factory=dict)
    #: The first number of the input, where a layer has taken it.
    _first: str = ""
    #: Values with zeros between their pixels: what they are spread from.
    _spread: dict[str, Spread] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sizes[Graph.INPUT_NAME] = self.input_size

    # Adding layers

    def add(self, op: Op, kind: str, *inputs: str, **parts: Any) -> str:
        """Add a layer for the node ``op``; array keywords are parameters, the others attributes."""
        return self._add(op.name, kind, inputs, parts, op.where)

    def image_view(self, source: str) -> View:
        """The value as ONNX's (N, C, H, W)."""
        return view.image(source, self._sizes[source], self.batch)

    def vector_view(self, source: str) -> View:
        """The vector as ONNX's (N, features)."""
        return View(source, self._sizes[source], self.image_view(source).dims[:2])

    def node(self, name: str) -> Node | None:
        """The layer of this name; None for the input."""
        return self._nodes.get(name)

    def graph_nodes(self, output: str) -> list[Node]:
        """The layers that ``output`` depends on, in order."""
        wanted = {output}
        for node in reversed(self._nodes.values()):
            if node.name in wanted:
                wanted.update(node.inputs)
        return [n for n in self._nodes.values() if n.name in wanted]

    def _add(
        self, label: str, kind: str, inputs: tuple[str, ...], parts: dict[str, Any], where: str
    ) -> str:
        shape = parts.get("shape", ())
        if math.prod(shape[1:]) > MAX_LINEAR and self._sizes[inputs[0]][1:] == (1, 1):
            return self._large_linear(label, inputs, parts, where)
        with np.errstate(over="ignore"):  # what overflows is refused as infinity
            params = {
                k: v.astype(np.float32) for k, v in parts.items() if isinstance(v, np.ndarray)
            }
        attrs = {k: v for k, v in parts.items() if k not in params}
        self._values += sum(v.size for v in params.values())
        if self._values > MAX_WEIGHTS:
            raise ModelError(f"{where}: the layers take over {MAX_WEIGHTS:,} weights together")
        node = Node(self._unique(label), kind, inputs, attrs, params)
        size = node_shape(node, [self._sizes[i] for i in inputs], self.model)
        self._nodes[node.name] = node
        self._sizes[node.name] = size
        return node.name

    def _large_linear(
        self, label: str, inputs: tuple[str, ...], parts: dict[str, Any], where: str
    ) -> str:
        """A linear layer to a large image: to a vector, which the processor lays out."""
        shape = parts["shape"]
        flat = self._add(
            label, "linear", inputs, {**parts, "shape": (math.prod(shape), 1, 1)}, where
        )
        wide = view.image_dims(shape, 1)[1:]
        factors = tuple(tuple((f.size, f.stride) for f in dim) for dim in wide)
        return self._add(label, "rearrange", (flat,), {"factors": factors}, where)

    def _unique(self, label: str) -> str:
        name, n = label, 1
        while name in self._sizes:
            n += 1
            name = f"{label}.{n}"
        return name

    # Views to values

    def image(self, op: Op, value: View) -> str:
        """The name of a graph value that holds the (N, C, H, W) tensor ``value`` plainly."""
        value = self.settled(op, value)
        if len(value.dims) != 4 or value.dims[0] != self.batch_dim:
            raise UnsupportedLayerError(
                f"{op.where}: its input has shape {self.shape_text(value)}, expected a batch of "
                "images (N, C, H, W); reshape it to that before"
            )
        if value.dims == self.image_view(value.source).dims and (
            value.shape[1:] == self._sizes[value.source]
        ):
            return value.source
        return self._rearrange(op, value)

    def with_channels(self, op: Op, value: View, axis: int) -> View:
        """The view, of a value whose channels are the dimension ``axis`` (1 or 3) where it can."""
        if len(value.dims) == 4 and axis == 3:
            plain = self.image_view(self.image(op, value.transpose((0, 3, 1, 2))))
            return plain.transpose((0, 2, 3, 1))
        if len(value.dims) == 4:
            return self.image_view(self.image(op, value))
        if len(value.dims) == 3 and axis:  # rows, or columns, of one image
            order = (0, axis, 3 - axis)
            turned = value.transpose(order)
            wide = View(turned.source, turned.size, (*turned.dims, ()))
            n, c, t, _ = self.image_view(self.image(op, wide)).dims
            source = self.image(op, wide)
            dims = [n, c, t]
            return View(source, self._sizes[source], tuple(dims[i] for i in order))
        if len(value.dims) == 2 and axis == 1 and value.dims[0] == self.batch_dim:
            return self.vector_view(self.chosen(op, value, value.offsets().ravel()))
        return value

    def settled(self, op: Op, value: View) -> View:
        """The view with its zeros around the image added by a layer."""
        if not any(value.pads):
            return value
        eye = self._one_hot(op, np.arange(value.size[0])[:, None, None], value.size[0])
        crop = tuple(-p for p in value.pads)
        source = self.add(
            op, "deconv", value.source, weight=eye, kernel=(1, 1), stride=(1, 1), crop=crop
        )
        if value.dims == self.image_view(value.source).dims:
            return self.image_view(source)
        return value.follow(source, self._sizes[source])

    def cut(self, op: Op, value: View, cuts: dict[str, tuple[int, int]]) -> View:
        """The view with (before, after) taken off the axes H and W of its source."""
        every = np.arange(value.size[0])[:, None, None]
        (top, bottom), (left, right) = (cuts.get(axis, (0, 0)) for axis in "HW")
        source = self.add(
            op, "deconv", value.source, weight=self._one_hot(op, every, value.size[0]),
            kernel=(1, 1), stride=(1, 1), crop=(top, bottom, left, right),
        )  # fmt: skip
        return value.follow(source, self._sizes[source])

    def picked(self, op: Op, source: str, channels: NDArray[np.int64]) -> str:
        """A value that has these channels of ``source``, in this order."""
        if np.array_equal(channels, np.arange(self._sizes[source][0])):
            return source
        origin, inside = self.origin(source)
        channels = inside[channels]
        if np.array_equal(channels, np.arange(self._sizes[origin][0])):
            return origin
        name = self._depth_to_space(op, origin, channels[:, None, None])
        self._picked[name] = (origin, channels)
        return name

    def chosen(self, op: Op, value: View, offsets: NDArray[np.int64]) -> str:
        """A vector of some values of the source of ``value``: a layer of ones, if need be."""
        inputs = math.prod(value.size)
        if value.is_vector and np.array_equal(offsets, np.arange(inputs)):
            return value.source
        self.check_sparse(op, inputs * len(offsets))
        weight = np.zeros((len(offsets), inputs), np.float32)
        weight[np.arange(len(offsets)), offsets] = 1
        return self.add(op, "linear", value.source, weight=weight, shape=(len(offsets), 1, 1))

    def origin(self, source: str) -> tuple[str, NDArray[np.int64]]:
        """The value that ``source`` is picked from, and the channel there of each of its own."""
        return self._picked.get(source, (source, np.arange(self._sizes[source][0])))

    # Values that do not depend on the input

    def constant(self, op: Op, values: NDArray[np.float64], like: str) -> str:
        """A layer that always gives ``values`` (C, H, W).

        Where all pixels of a channel are equal it is a convolution by zeros with a bias, of the
        value ``like`` (of as many rows and columns); otherwise a linear layer by zeros.
        """
        plain = bool(np.all(values == values[:, :1, :1]))
        key = (like if plain else "", values.tobytes() + bytes(str(values.shape), "ascii"))
        if key in self._constants:
            return self._constants[key]
        count = math.prod(values.shape)
        if plain and self._sizes[like][1:] == values.shape[1:]:
            weight = np.zeros((len(values), self._sizes[like][0], 1, 1), np.float32)
            name = self.add(
                op, "conv", like, weight=weight, bias=values[:, 0, 0], kernel=(1, 1),
                stride=(1, 1), pad=(0, 0, 0, 0),
            )  # fmt: skip
        elif len(values) > 1 and np.all(values == values[:1]):  # noise, that all channels share
            one = self.constant(op, values[:1], like)
            weight = np.ones((len(values), 1, 1, 1), np.float32)
            name = self.add(
                op, "conv", one, weight=weight, kernel=(1, 1), stride=(1, 1), pad=(0, 0, 0, 0)
            )
        else:
            weight = np.zeros((count, 1), np.float32)
            self.check_sparse(op, count)
            name = self.add(
                op, "linear", self._one_value(op), weight=weight, bias=values.ravel(),
                shape=values.shape,
            )  # fmt: skip
        self._constants[key] = name
        self._known[name] = values
        return name

    def known(self, name: str) -> NDArray[np.float64] | None:
        """What a value always is (C, H, W), or None if it depends on the input."""
        return self._known.get(name)

    def _one_value(self, op: Op) -> str:
        """A vector of one number, whatever it is: the first of the input."""
        channels, rows, columns = self.input_size
        if self.input_size == (1, 1, 1):
            return Graph.INPUT_NAME
        if not self._first:
            weight = np.zeros((channels, 1, 1, 1), np.float32)
            weight[0] = 1
            self._first = self.add(
                op, "deconv", Graph.INPUT_NAME, weight=weight, kernel=(1, 1), stride=(1, 1),
                crop=(0, rows - 1, 0, columns - 1),
            )  # fmt: skip
        return self._first

    def stand_in(self, size: Shape) -> View:
        """An image of this size in the place of what could not be made; the graph is not used."""
        name = self._unique("?")
        self._sizes[name] = size
        return self.image_view(name)

    def size(self, name: str) -> Shape:
        """The shape of a value."""
        return self._sizes[name]

    def every(self, op: Op, value: View, first: tuple[int, int], step: tuple[int, int]) -> View:
        """The view with the rows and columns of its source that are ``step`` apart from ``first``.

        A strided convolution whose only tap is at ``first``.
        """
        channels = value.size[0]
        kernel = (first[0] + 1, first[1] + 1)
        self.check_sparse(op, channels * channels * math.prod(kernel))
        weight = np.zeros((channels, channels, *kernel), np.float32)
        weight[:, :, first[0], first[1]] = np.eye(channels)
        source = self.add(
            op, "conv", value.source, weight=weight, kernel=kernel, stride=step, pad=(0, 0, 0, 0)
        )
        if 1 in value.size[1:]:
            return self.image_view(source)
        return value.follow(source, self._sizes[source])

    def spread(self, op: Op, source: str, step: tuple[int, int], before: tuple[int, int]) -> str:
        """The value with its rows and columns ``step`` apart, after ``before`` zeros.

        A transposed convolution of one tap; convolutions that read it take it in.
        """
        weight = self.diagonal(op, self._sizes[source][0], (1, 1), 1.0)
        edges = [(-n, n + 1 - s) for s, n in zip(step, before)]
        crop = (*edges[0], *edges[1])
        name = self.add(op, "deconv", source, weight=weight, kernel=(1, 1), stride=step, crop=crop)
        self._spread[name] = Spread(source, step, before)
        return name

    def spread_from(self, name: str) -> Spread | None:
        """What a value with zeros between its pixels was made from by :meth:`spread`."""
        return self._spread.get(name)

    def diagonal(
        self, op: Op, channels: int, kernel: tuple[int, int], value: float
    ) -> NDArray[np.float32]:
        """Weight (channels, channels, *kernel) that treats every channel by itself, alike."""
        return alike(op.where, channels, kernel, value)

    def repeated(self, op: Op, value: View, block: tuple[int, int]) -> str:
        """The source of ``value`` with every pixel repeated in a block of rows and columns."""
        channels = value.size[0]
        order = np.broadcast_to(np.arange(channels)[:, None, None], (channels, *block))
        return self._by_ones(op, value.source, order)

    def _by_ones(self, op: Op, source: str, order: NDArray[np.int64]) -> str:
        weight = self._one_hot(op, order, self._sizes[source][0])
        block = order.shape[1:]
        return self.add(
            op, "deconv", source, weight=weight, kernel=block, stride=block, crop=(0, 0, 0, 0)
        )

    @property
    def batch_dim(self) -> view.Dim:
        """The dimension N of a view."""
        return (Factor(self.batch, BATCH),) if self.batch > 1 else ()

    def shape_text(self, value: View) -> str:
        """The shape of a tensor for messages, with N for the batch."""
        sizes = [
            "N" if any(f.stride == BATCH for f in dim) and self.batch > 1 else str(n)
            for dim, n in zip(value.dims, value.shape)
        ]
        return f"({', '.join(sizes)})"

    def _rearrange(self, op: Op, value: View) -> str:
        """A value whose pixels are ``value``'s: interleaved, repeated, in blocks, or refused."""
        _, rows, columns = value.size
        area = rows * columns
        depth, *axes = value.dims[1:]
        plain = (Factor(rows, columns), Factor(columns, 1))
        block, offsets = [], []
        for dim, whole in zip(axes, plain):
            slow = (whole,) if whole.size > 1 else ()
            fast = dim[len(slow) :]
            if dim[: len(slow)] != slow or any(f.stride % area for f in fast):
                return self._space_to_depth(op, value)
            block.append(math.prod(f.size for f in fast))
            offsets.append(fast)
        if any(f.stride % area for f in depth):
            return self._space_to_depth(op, value)
        self.check_sparse(op, math.prod(f.size for dim in (depth, *offsets) for f in dim))
        repeats = all(f.stride == 0 for dim in offsets for f in dim)
        if repeats and block[0] == block[1] > 1:
            once = [(f,) if f.size > 1 else () for f in plain]
            small = View(value.source, value.size, (value.dims[0], depth, *once))
            # In steps: what one pixel becomes in a layer has to fit on the chip.
            factors = small_factors(block[0])
            if factors:
                source = self.image(op, small)
                for factor in factors:
                    source = self.add(op, "upsample", source, factor=factor)
                return source
        if repeats and math.prod(block) > MAX_BLOCK:
            return self.by_processor(op, value)
        blocks = View(value.source, value.size, (depth, *offsets))
        return self._depth_to_space(op, value.source, blocks.offsets() // area)

    def _depth_to_space(self, op: Op, source: str, order: NDArray[np.int64]) -> str:
        """Output (c, y*r + dy, x*s + dx) is channel ``order[c, dy, dx]`` of the source at (y, x).

        Where the source is a layer that can produce that order itself, it does, at no cost;
        otherwise it is a transposed convolution by ones.
        """
        key = (source, order.tobytes() + bytes(str(order.shape), "ascii"))
        if key not in self._rearranged:
            found = self._produce(source, order)
            if found is None:
                found = self._by_ones(op, source, order)
            self._rearranged[key] = found
        return self._rearranged[key]

    def _produce(
        self, source: str, order: NDArray[np.int64], depth: int = MAX_REORDERED
    ) -> str | None:
        """A copy of the layer ``source`` whose output is in the given order; None if impossible.

        The copy takes the place of the original, which is dropped at the end if nothing else
        reads it.
        """
        node = self._nodes.get(source)
        if node is None or not depth:
            return None
        where = f"layer '{node.name}'"
        if node.op == "linear" and self._sizes[source][1:] == (1, 1):
            if self._sizes[node.inputs[0]][1:] != (1, 1) and order.shape[1:] != (1, 1):
                return None  # the accelerator has no layer from an image to an image of its own
            rows = order.ravel()
            params = {k: v[rows] for k, v in node.params.items()}
            shape = tuple(int(n) for n in order.shape)
            return self._add(node.name, "linear", node.inputs, {**params, "shape": shape}, where)
        alone = order.shape[1:] == (1, 1)
        if alone and node.op == "linear":
            whole = tuple(node.attrs["shape"])
            rows = np.arange(math.prod(whole)).reshape(whole)[order.ravel()].ravel()
            params = {k: v[rows] for k, v in node.params.items()}
            return self._add(
                node.name, "linear", node.inputs,
                {**params, "shape": (order.size, *whole[1:])}, where,
            )  # fmt: skip
        if node.op == "add":
            inner_names = [self._produce(i, order, depth - 1) for i in node.inputs]
            if None in inner_names:
                return None
            return self._add(node.name, "add", tuple(n for n in inner_names if n), {}, where)
        if alone and node.op in ("conv", "deconv"):  # channels in another order
            channels = order.ravel()
            axis = int(node.op == "deconv")
            pick: dict[str, Any] = {"weight": node.params["weight"].take(channels, axis)}
            if "bias" in node.params:
                pick["bias"] = node.params["bias"][channels]
            return self._add(node.name, node.op, node.inputs, {**node.attrs, **pick}, where)
        if node.op == "conv" and node.attrs["stride"] == (1, 1):
            return self._sub_pixel(node, order)
        if node.op in _UNIFORM or (alone and node.op == "upsample"):
            inner = self._produce(node.inputs[0], order, depth - 1)
            if inner is None:
                return None
            return self._add(node.name, node.op, (inner,), {**node.attrs}, where)
        if node.op in ("batchnorm", "prelu"):
            alike = {k: v[order] for k, v in node.params.items()}
            if all(np.all(v == v[:, :1, :1]) for v in alike.values()):
                inner = self._produce(node.inputs[0], order, depth - 1)
                if inner is None:
                    return None
                params = {k: v[:, 0, 0] for k, v in alike.items()}
                return self._add(node.name, node.op, (inner,), {**node.attrs, **params}, where)
            if node.op == "batchnorm":
                return self._produce_scaled(node, order)
        return None

    def _produce_scaled(self, norm: Node, order: NDArray[np.int64]) -> str | None:
        """As _produce, for an affine that differs within a block: into the layer before it."""
        scale, shift = batchnorm_affine(norm)
        before = self._nodes.get(norm.inputs[0])
        while before is not None and before.op == "batchnorm":
            inner = batchnorm_affine(before)
            scale, shift = scale * inner[0], scale * inner[1] + shift
            before = self._nodes.get(before.inputs[0])
        if before is None or before.op not in ("linear", "conv"):
            return None
        weight = before.params["weight"].astype(np.float64)
        weight = weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
        bias = before.params.get("bias", np.float32(0)) * scale + shift
        name = self._add(
            before.name, before.op, before.inputs, {**before.attrs, "weight": weight, "bias": bias},
            f"layer '{before.name}'",
        )  # fmt: skip
        return self._produce(name, order)

    def _sub_pixel(self, node: Node, order: NDArray[np.int64]) -> str:
        """A convolution whose channels are interleaved into pixels, as a transposed convolution."""
        parts = sub_pixel(node, order)
        return self._add(node.name, "deconv", node.inputs, parts, f"layer '{node.name}'")

    def by_processor(self, op: Op, value: View) -> str:
        """Any other order, which no layer of the accelerator can produce."""
        if any(f.stride == BATCH for dim in value.dims[1:] for f in dim):
            raise UnsupportedLayerError(
                f"{op.where}: its input of shape {self.shape_text(value)} mixes the images of the "
                "batch; export the model without that, or with a batch of 1"
            )
        factors = tuple(tuple((f.size, f.stride) for f in dim) for dim in value.dims[1:])
        key = (value.source, repr(factors).encode())
        if key not in self._rearranged:
            self._rearranged[key] = self.add(op, "rearrange", value.source, factors=factors)
        return self._rearranged[key]

    def _space_to_depth(self, op: Op, value: View) -> str:
        """Blocks of pixels become channels: a strided convolution by ones."""
        channels, rows, columns = value.size
        area = rows * columns
        depth, *axes = value.dims[1:]
        (_, height, width) = value.shape[1:]
        block = (max(rows // height, 1), max(columns // width, 1))
        slow = (Factor(height, block[0] * columns), Factor(width, block[1]))
        if (
            (height * block[0], width * block[1]) != (rows, columns)
            or any(d != ((f,) if f.size > 1 else ()) for d, f in zip(axes, slow))
            or value.is_vector
        ):
            return self.by_processor(op, value)
        offsets = View(value.source, value.size, (depth,)).offsets()
        weight = np.zeros((len(offsets), channels, *block), np.float32)
        self.check_sparse(op, weight.size)
        channel, rest = np.divmod(offsets, area)
        row, column = np.divmod(rest, columns)
        weight[np.arange(len(offsets)), channel, row, column] = 1
        return self.add(
            op, "conv", value.source, weight=weight, kernel=block, stride=block, pad=(0, 0, 0, 0)
        )

    def _one_hot(self, op: Op, order: NDArray[np.int64], channels: int) -> NDArray[np.float32]:
        """Scatter weight (channels, cout, r, s) that copies channel ``order[c, dy, dx]``."""
        return copies(op.where, order, channels)

    def check_sparse(self, op: Op, size: int) -> None:
        """Refuse a layer of so many weights, nearly all zero."""
        check_sparse(op.where, size)
