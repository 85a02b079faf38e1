"""The network as the user knows it: named layers with float parameters and inferred shapes.

A graph has one input and one output, and maybe exits: the same output, cheaper and not as good, of
its first layers. Shapes are (channels, rows, columns) without the batch; a latent vector of n
values is (n, 1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError, UnsupportedLayerError
from winogen.common.problems import Problems
from winogen.network.sampling import PAD_MODES, pooled_size

Shape = tuple[int, int, int]
Array = NDArray[np.float64]

#: Most values of one layer's output; a 3840 x 2160 image in 56 channels has 464 million.
MAX_VALUES = 1 << 29
#: Real values of one step that a network can have been trained with: far more than any has.
_LEAST_SCALE, _MOST_SCALE = 1e-100, 1e100

#: How far from a size that a network refuses one is looked for that it takes.
MAX_STEP = 128

#: Parameters of each operation: (name, optional).
PARAMETERS: dict[str, tuple[tuple[str, bool], ...]] = {
    "conv": (("weight", False), ("bias", True), ("weight_scale", True)),
    "deconv": (("weight", False), ("bias", True), ("weight_scale", True)),
    "linear": (("weight", False), ("bias", True)),
    "batchnorm": (("gamma", False), ("beta", False), ("mean", False), ("var", False)),
    "prelu": (("alpha", False),),
    "normalise": (("gamma", True), ("beta", True)),
}
#: Operations that no sum of products by constants is.
HOST_OPERATIONS = ("normalise", "multiply", "pad", "maxpool", "avgpool", "resample", "rearrange")
OPERATIONS = (
    *PARAMETERS,
    *HOST_OPERATIONS,
    "upsample",
    "relu",
    "leaky_relu",
    "clamp",
    "quant_relu",
    "tanh",
    "sigmoid",
    "function",
    "add",
    "subtract",
    "concat",
)
#: Operations that act on each value alone, given its channel.
POINTWISE = (
    "batchnorm",
    "relu",
    "leaky_relu",
    "prelu",
    "clamp",
    "quant_relu",
    "tanh",
    "sigmoid",
    "function",
)


@dataclass
class Node:
    """One layer.

    Attributes by operation (pairs are rows, columns; quadruples top, bottom, left, right):

    - ``conv``: kernel, stride, pad; weight (cout, cin, kh, kw), bias (cout,)
    - ``deconv``: kernel, stride, crop (taken off the full output ``(in-1)*s + k``; negative adds
      zeros); weight (cin, cout, kh, kw) in scatter form, bias (cout,), or ``(cout, *stride)`` where
      output (y, x) has a bias of its own for each y and x modulo the stride
    - ``linear``: shape (c, h, w) of its output; weight (c*h*w, inputs), bias (c*h*w,)
    - ``upsample``: factor (nearest neighbour)
    - ``batchnorm``: eps; gamma, beta, mean, var, each (channels,)
    - ``leaky_relu``: slope; ``prelu``: alpha (channels,)
    - ``clamp``: low, high; ``quant_relu``: step, high (``clip(floor(x / step + 1/2) * step, 0,
      high)``, the activation of a network trained with quantised activations)
    - ``function``: function (``winogen.network.functions.Function``)
    - ``add``, ``concat`` (channels), ``subtract`` (the second of two): nothing
    - ``normalise``: groups of channels whose statistics are taken over all pixels (as many as
      channels: instance normalisation; 1: layer normalisation), or 0: over the channels of each
      pixel; centred (whether the mean is taken off), eps; gamma, beta (channels,)
    - ``multiply``: nothing; a size of 1 is repeated along its axis
    - ``pad``: mode (``reflect``: mirrored without the edge; ``edge``; ``wrap``), edges
    - ``maxpool``, ``avgpool``: kernel, stride, pad (not negative; what lies there counts nothing)
    - ``rearrange``: factors (``winogen.network.sampling.Factors``)
    - ``resample``: axes, a ``winogen.network.sampling.Axis`` for rows and one for columns

    Networks that were trained in integers (``Graph.trained_bits``) also have

    - on ``conv`` and ``deconv``: weight_scale (cout,), the real value of one step of the weights of
      each output channel; the weights are whole steps
    - on any node: the attribute ``scale``, the real value of one step of its output
    - on ``function``: the attribute ``reach``, the largest argument that its table holds
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class InputPart:
    """One of several inputs of a network, which share its input tensor, one after the other.

    Attributes
    ----------
    name : as the model calls it
    kind : ``latent`` (a vector), ``label`` (a number from 0, or a class's name; in the tensor it is
        one-hot) or ``image``
    channels : how many it takes of the tensor; a vector is repeated over all pixels of an image
    classes : names of a label's values, if they have any
    """

    name: str
    kind: str
    channels: int
    classes: tuple[str, ...] = ()


@dataclass
class InputSpec:
    """The network's input: ``kind`` is ``latent`` or ``image``.

    ``distribution`` (``normal`` or ``uniform`` in [-1, 1]) says how latents are drawn; ``scale``
    fixes the real value of one quantisation step where the model was trained for it; ``range`` is
    the real values of an image's black and white, 0 and 1 if None. ``parts`` are the inputs that
    it is made of, where it is not a single one of the same kind. ``colour`` is the colour space of
    a picture's channels (``winogen.network.colour``), None for the usual one.
    """

    shape: Shape
    kind: str = "latent"
    distribution: str = "normal"
    scale: float | None = None
    range: tuple[float, float] | None = None
    parts: tuple[InputPart, ...] = ()
    colour: str | None = None


@dataclass
class Graph:
    """A network: nodes in an order in which every input is defined before it is used.

    ``output_range`` is the real range that stands for black to white, or None if the output is
    not an image. ``notes`` are what whoever reads the model in should tell its user.
    ``trained_bits`` is the data width that the network's own scales are for (see :class:`Node`),
    None for a network that was trained in floating point. ``exits`` are the layers that give the
    output early, the shallowest first; each has the shape of the last layer's, and is read by none.
    """

    name: str
    input: InputSpec
    nodes: list[Node]
    output_range: tuple[float, float] | None = None
    description: str = ""
    notes: tuple[str, ...] = ()
    trained_bits: int | None = None
    exits: tuple[str, ...] = ()

    INPUT_NAME = "input"

    def __post_init__(self) -> None:
        self.shapes = self._infer_shapes()

    @property
    def output_name(self) -> str:
        """Name of the last node."""
        return self.nodes[-1].name

    @property
    def output_shape(self) -> Shape:
        """Shape of the network's output."""
        return self.shapes[self.output_name]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all layers that give the output: the exits, and the last node."""
        return (*self.exits, self.output_name)

    def at_exit(self, number: int) -> Graph:
        """The layers that an exit needs: a network by itself, whose output that is.

        Exits count from 1, the shallowest; the last is the whole network, whose layers come first
        in every exit. Raises InputError for another number.
        """
        check_exit(self.name, number, len(self.outputs))
        if not self.exits:
            return self
        whole = self._needed(self.output_name)
        wanted = self._needed(self.outputs[number - 1])
        nodes = [n for n in self.nodes if n.name in wanted]
        nodes.sort(key=lambda n: n.name not in whole)  # and else in their order
        return replace(self, nodes=nodes, exits=())

    def _needed(self, name: str) -> set[str]:
        """The names of a layer and of all that it is made of."""
        wanted = {name}
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return wanted

    def without_exits(self) -> Graph:
        """The whole network by itself."""
        return self.at_exit(len(self.outputs))

    def resized(self, size: tuple[int, int]) -> Graph:
        """These layers for an input of ``size`` (rows, columns).

        ModelError if they refuse it, with the sizes near it that they take.
        """
        spec = replace(self.input, shape=(self.input.shape[0], *size))
        try:
            return replace(self, input=spec)
        except ModelError as error:
            near = [self._takes_near(size, step) for step in (1, -1)]
            raise ModelError(wrong_size(self.name, size, near, str(error))) from None

    def _takes_near(self, size: tuple[int, int], step: int) -> tuple[int, int] | None:
        """The nearest size from ``size`` on, upwards or downwards, that the layers take.

        Preferred is one whose output is as many times as large as that of the graph's own size, or
        as many samples smaller: where no layer drops a row that others do not.
        """
        found = []
        for axis in (1, 2):
            own, out = self.input.shape[axis], self.output_shape[axis]
            taken: list[tuple[bool, int, int]] = []
            for n in range(size[axis - 1], size[axis - 1] + step * (MAX_STEP + 1), step):
                made = self._made_of(axis, n) if n > 0 else None
                if made is not None:
                    alike = made * own == out * n or n - made == own - out
                    taken.append((not alike, len(taken), n))
            if not taken:
                return None
            found.append(min(taken)[2])
        return found[0], found[1]

    def _made_of(self, axis: int, n: int) -> int | None:
        """Rows (1) or columns (2) of the output for so many of the input; None if refused."""
        channels, rows, columns = self.input.shape
        shapes = {self.INPUT_NAME: (channels, n, columns) if axis == 1 else (channels, rows, n)}
        try:  # parameters were checked before
            for node in self.nodes:
                shapes[node.name] = _output_shape(node, [shapes[i] for i in node.inputs], "")
        except ModelError:
            return None
        return shapes[self.output_name][axis]

    def consumers(self, name: str) -> list[Node]:
        """Nodes that read the value ``name``."""
        return [n for n in self.nodes if name in n.inputs]

    def _infer_shapes(self) -> dict[str, Shape]:
        if not self.nodes:
            raise ModelError(f"model {self.name} has no layers")
        shapes = {self.INPUT_NAME: self.input.shape}
        lost: set[str] = set()  # values of layers that are wrong, whose shape is not known
        problems = Problems(self.name)
        for node in self.nodes:
            where = f"layer '{node.name}' of model {self.name}"
            with problems.gathered():
                if node.name in shapes or node.name in lost:
                    raise ModelError(f"{where}: the name is used twice")
                for name in node.inputs:
                    if name not in shapes and name not in lost:
                        raise ModelError(f"{where}: its input '{name}' is not an earlier layer")
                if lost.intersection(node.inputs):
                    check_alone(node, self.name)
                else:
                    inputs = [shapes[i] for i in node.inputs]
                    shapes[node.name] = node_shape(node, inputs, self.name)
            if node.name not in shapes:
                lost.add(node.name)
        problems.tell()
        used = {name for node in self.nodes for name in node.inputs}
        self._check_exits(shapes, used)
        for node in self.nodes[:-1]:
            with problems.gathered():
                if node.name not in used and node.name not in self.exits:
                    raise ModelError(
                        f"layer '{node.name}' of model {self.name} is used by no layer"
                    )
        problems.tell()
        return shapes

    def _check_exits(self, shapes: dict[str, Shape], used: set[str]) -> None:
        """Raise ModelError for exits that are none."""
        output = self.nodes[-1].name
        if len({*self.exits, output}) != len(self.exits) + 1:
            raise ModelError(f"model {self.name}: two of its exits are one layer")
        for name in self.exits:
            where = f"exit '{name}' of model {self.name}"
            if name not in shapes or name == self.INPUT_NAME:
                raise ModelError(f"{where}: there is no such layer")
            if name in used:
                raise ModelError(f"{where}: another layer reads it; an exit is the end of its way")
            if shapes[name] != shapes[output]:
                raise ModelError(
                    f"{where}: its output {shapes[name]} is not as large as the network's, "
                    f"{shapes[output]}"
                )


def check_exit(name: str, number: int, count: int) -> None:
    """Raise InputError where network ``name``, which has ``count`` exits, has no such one."""
    whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
    if not whole or not 1 <= number <= count:
        if count == 1:
            raise InputError(
                f"network '{name}' has no exit {number!r}: its only one is 1, all of it; 'winogen "
                "fit --exits' trains more"
            )
        raise InputError(
            f"network '{name}' has no exit {number!r}: give 1, the shallowest, to {count}, which "
            "is all of it"
        )


def wrong_size(
    name: str, size: tuple[int, int], near: Sequence[tuple[int, int] | None], reason: str
) -> str:
    """Why a network refuses a size of its image, and which it takes (``near``, as far as known)."""
    rows, columns = size
    known = list(dict.fromkeys(f"{n[0]} x {n[1]}" for n in near if n))
    if not known:
        return reason
    return (
        f"network {name} takes no image of {rows} rows x {columns} columns ({reason}); it takes "
        f"{' and '.join(known)}: crop, pad or resize the picture to that"
    )


def check_alone(node: Node, model: str) -> None:
    """Refuse what is wrong with a layer whatever it reads; raises as :func:`node_shape` does."""
    where = f"layer '{node.name}' of model {model}"
    if node.op not in OPERATIONS:
        raise UnsupportedLayerError(
            f"{where}: operation '{node.op}' is not supported; supported are "
            f"{', '.join(OPERATIONS)}"
        )
    _check_params(node, where)
    for name in ("scale", "reach"):
        if not _LEAST_SCALE <= node.attrs.get(name, 1.0) <= _MOST_SCALE:
            raise ModelError(f"{where}: a {name} of {node.attrs[name]} is not possible")


def node_shape(node: Node, inputs: list[Shape], model: str) -> Shape:
    """Output shape of one layer; ModelError or UnsupportedLayerError if the layer is wrong."""
    check_alone(node, model)
    where = f"layer '{node.name}' of model {model}"
    shape = _output_shape(node, inputs, where)
    if math.prod(shape) > MAX_VALUES:
        raise ModelError(f"{where}: its output {shape} has over {MAX_VALUES:,} values")
    return shape


def _check_params(node: Node, where: str) -> None:
    for name, optional in PARAMETERS.get(node.op, ()):
        value = node.params.get(name)
        if value is None:
            if not optional:
                raise ModelError(f"{where}: its {name} is missing")
            continue
        if not np.issubdtype(value.dtype, np.floating):
            raise ModelError(f"{where}: its {name} has dtype {value.dtype}, expected a float type")
        if not np.all(np.isfinite(value)):
            raise ModelError(f"{where}: its {name} holds NaN or infinity")
        if name == "weight_scale" and np.any((value < _LEAST_SCALE) | (value > _MOST_SCALE)):
            raise ModelError(
                f"{where}: its weight_scale is not from {_LEAST_SCALE:g} to {_MOST_SCALE:g}"
            )


def _output_shape(node: Node, inputs: list[Shape], where: str) -> Shape:
    op, attrs = node.op, node.attrs
    channels, rows, columns = inputs[0]
    if op in ("add", "concat"):
        if len(inputs) < 2:
            raise ModelError(f"{where}: {op} needs at least two inputs")
        for other in inputs[1:]:
            if other[1:] != (rows, columns) or (op == "add" and other[0] != channels):
                raise ModelError(f"{where}: cannot {op} shapes {inputs[0]} and {other}")
        return (channels if op == "add" else sum(i[0] for i in inputs), rows, columns)
    if op == "subtract":
        if len(inputs) != 2 or inputs[0] != inputs[1]:
            raise ModelError(f"{where}: cannot subtract shapes {' and '.join(map(str, inputs))}")
        return inputs[0]
    if op == "multiply":
        return _product_shape(inputs, where)
    if len(inputs) != 1:
        raise ModelError(f"{where}: {op} takes one input, not {len(inputs)}")
    if op in ("conv", "deconv"):
        return _conv_shape(node, inputs[0], where)
    if op == "linear":
        shape = tuple(int(n) for n in attrs["shape"])
        outputs = int(np.prod(shape))
        _expect(node, "weight", (outputs, channels * rows * columns), where)
        _expect(node, "bias", (outputs,), where)
        return (shape[0], shape[1], shape[2])
    if op == "upsample":
        factor = attrs["factor"]
        if factor < 1:
            raise ModelError(f"{where}: factor must be at least 1, not {factor}")
        return (channels, rows * factor, columns * factor)
    if op == "rearrange":
        factors = attrs["factors"]
        if sum((n - 1) * stride for d in factors for n, stride in d) >= math.prod(inputs[0]):
            raise ModelError(f"{where}: it reaches outside of its input {inputs[0]}")
        channels, rows, columns = (math.prod(n for n, _ in d) for d in factors)
        return channels, rows, columns
    if op in ("pad", "maxpool", "avgpool", "resample"):
        return _sampled_shape(node, inputs[0], where)
    for name, _ in PARAMETERS.get(op, ()):
        _expect(node, name, (channels,), where)
    if op == "normalise" and (attrs["groups"] < 0 or channels % (attrs["groups"] or 1)):
        raise ModelError(f"{where}: {channels} channels are not {attrs['groups']} groups")
    if op == "normalise" and not 0 <= attrs["eps"] < 1e6:
        raise ModelError(f"{where}: an epsilon of {attrs['eps']} is not possible")
    if op == "batchnorm" and np.any(node.params["var"] + attrs["eps"] <= 0):
        raise ModelError(f"{where}: its variance is not positive")
    if op == "clamp" and not attrs["low"] <= attrs["high"]:
        raise ModelError(f"{where}: clamp low {attrs['low']} is above high {attrs['high']}")
    return inputs[0]


def _product_shape(inputs: list[Shape], where: str) -> Shape:
    if len(inputs) != 2:
        raise ModelError(f"{where}: multiply takes two inputs, not {len(inputs)}")
    if any(m != n and 1 not in (m, n) for m, n in zip(*inputs)):
        raise ModelError(f"{where}: cannot multiply shapes {inputs[0]} and {inputs[1]}")
    channels, rows, columns = (max(pair) for pair in zip(*inputs))
    return channels, rows, columns


def _sampled_shape(node: Node, shape: Shape, where: str) -> Shape:
    """The shape of a layer that takes rows and columns from elsewhere."""
    attrs = node.attrs
    channels, rows, columns = shape
    if node.op == "resample":
        if [axis.inputs for axis in attrs["axes"]] != [rows, columns]:
            raise ModelError(f"{where}: it is for another size than {rows} x {columns}")
        rows, columns = (axis.outputs for axis in attrs["axes"])
        return channels, rows, columns
    edges = attrs["edges" if node.op == "pad" else "pad"]
    if min(edges) < 0:
        raise ModelError(f"{where}: {edges} cannot be negative")
    if node.op == "pad":
        beyond = zip((rows, columns), (edges[:2], edges[2:]))
        if attrs["mode"] not in PAD_MODES:
            raise ModelError(f"{where}: unknown mode of padding '{attrs['mode']}'")
        if attrs["mode"] == "reflect" and any(max(pair) >= n for n, pair in beyond):
            raise ModelError(f"{where}: {rows} x {columns} pixels cannot be mirrored by {edges}")
        return channels, rows + edges[0] + edges[1], columns + edges[2] + edges[3]
    kernel, stride = attrs["kernel"], attrs["stride"]
    if min(*kernel, *stride) < 1 or any(
        max(e) >= k for k, e in zip(kernel, (edges[:2], edges[2:]))
    ):
        raise ModelError(f"{where}: windows of {kernel} with a padding of {edges} are not possible")
    size = pooled_size((rows, columns), kernel, stride, edges)
    if min(size) < 1:
        raise ModelError(f"{where}: its output would have size {size[0]} x {size[1]}")
    return channels, *size


def _conv_shape(node: Node, shape: Shape, where: str) -> Shape:
    channels, rows, columns = shape
    kernel, stride = node.attrs["kernel"], node.attrs["stride"]
    if min(*kernel, *stride) < 1:
        raise ModelError(f"{where}: kernel {kernel} and stride {stride} must be positive")
    edges = node.attrs["pad" if node.op == "conv" else "crop"]
    weight = node.params["weight"]
    transposed = node.op == "deconv"
    if weight.ndim != 4:
        raise ModelError(f"{where}: its weight has shape {weight.shape}, expected four dimensions")
    cout = weight.shape[1 if transposed else 0]
    expected = (channels, cout, *kernel) if transposed else (cout, channels, *kernel)
    _expect(node, "weight", expected, where)
    by_phase = transposed and "bias" in node.params and node.params["bias"].ndim == 3
    _expect(node, "bias", (cout, *stride) if by_phase else (cout,), where)
    _expect(node, "weight_scale", (cout,), where)
    size = []
    for n, k, s, before, after in zip(
        (rows, columns), kernel, stride, (edges[0], edges[2]), (edges[1], edges[3])
    ):
        if transposed:
            size.append((n - 1) * s + k - before - after)
        else:
            size.append((n + before + after - k) // s + 1)
    if min(size) < 1:
        raise ModelError(f"{where}: its output would have size {size[0]} x {size[1]}")
    return (cout, size[0], size[1])


def _expect(node: Node, name: str, shape: tuple[int, ...], where: str) -> None:
    value = node.params.get(name)
    if value is not None and value.shape != shape:
        raise ModelError(f"{where}: its {name} has shape {value.shape}, expected {shape}")


def batchnorm_affine(node: Node) -> tuple[Array, Array]:
    """Scale and shift (channels,) of a batch-norm on its running statistics, float64."""
    p = {k: v.astype(np.float64) for k, v in node.params.items()}
    scale = p["gamma"] / np.sqrt(p["var"] + node.attrs["eps"])
    return scale, p["beta"] - p["mean"] * scale
