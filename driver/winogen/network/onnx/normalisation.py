"""Normalisation by the statistics of each image: as operators, and written out in several nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.build import Builder
from winogen.network.onnx.operators import Inputs, Operator, constant, data
from winogen.network.onnx.pointwise import affine, with_channels
from winogen.network.onnx.read import Op
from winogen.network.onnx.view import BATCH, Factor, View


def _instance(b: Builder, op: Op, inputs: Inputs) -> View:
    """Over all that follows the second dimension: the channels, or groups of them."""
    value = b.settled(op, data(op, inputs, 0))
    scale, shift = (constant(op, inputs, i, n).ravel() for i, n in ((1, "scale"), (2, "bias")))
    if len(value.dims) < 3 or len(scale) != value.shape[1] or scale.shape != shift.shape:
        raise ModelError(f"{op.where}: its scale or bias does not fit {b.shape_text(value)}")
    column = (-1,) + (1,) * (len(value.dims) - 2)
    out = _over(b, op, value, set(range(2, len(value.dims))), True, _epsilon(op))
    return _scaled(b, op, out, scale.reshape(column), shift.reshape(column))


def _group(b: Builder, op: Op, inputs: Inputs) -> View:
    """Over groups of channels; scale and bias of each channel, or (opset 18) of each group."""
    value = b.image_view(b.image(op, data(op, inputs, 0)))
    groups, channels = int(op.attrs.get("num_groups", 0)), value.size[0]
    if groups < 1 or channels % groups:
        raise ModelError(f"{op.where}: {channels} channels are not {groups} groups")
    out = _normalised(b, op, value, groups, True, _epsilon(op))
    columns = []
    for index, name in ((1, "scale"), (2, "bias")):
        array = constant(op, inputs, index, name).ravel()
        if len(array) == groups != channels:
            array = np.repeat(array, channels // groups)
        if len(array) != channels:
            raise ModelError(f"{op.where}: its {name} has {len(array)} values")
        columns.append(array.reshape(-1, 1, 1))
    return _scaled(b, op, out, *columns)


def _layer(b: Builder, op: Op, inputs: Inputs) -> View:
    """Over the last dimensions; RMSNormalization does not take the mean off."""
    value = b.settled(op, data(op, inputs, 0))
    if any(op.outputs[1:]):
        raise UnsupportedLayerError(f"{op.where}: only its first output can be used")
    rank = len(value.dims)
    axis = int(op.attrs.get("axis", -1))
    if not -rank <= axis < rank:
        raise ModelError(f"{op.where}: its axis {axis} is wrong")
    axes = set(range(axis % rank, rank))
    out = _over(b, op, value, axes, op.type == "LayerNormalization", _epsilon(op))
    scale = constant(op, inputs, 1, "scale")
    shift = np.zeros(1)
    if len(inputs) > 2 and inputs[2] is not None:
        shift = constant(op, inputs, 2, "bias")
    return _scaled(b, op, out, scale, shift)


def _lp(b: Builder, op: Op, inputs: Inputs) -> View:
    """x / sqrt(sum x^2) along one axis: the root mean square, but for the number of values."""
    value = b.settled(op, data(op, inputs, 0))
    rank = len(value.dims)
    axis = int(op.attrs.get("axis", -1)) % rank
    if int(op.attrs.get("p", 2)) != 2:
        raise UnsupportedLayerError(f"{op.where} of p = 1; only p = 2 is supported")
    out = _over(b, op, value, {axis}, False, 0.0)
    return _scaled(b, op, out, np.array(1 / math.sqrt(value.shape[axis])), np.zeros(1))


def _mean_variance(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    rank = len(value.dims)
    axes = {int(a) % rank for a in op.attrs.get("axes", (0, 2, 3))}
    return _over(b, op, value, axes, True, 1e-9)


def _epsilon(op: Op) -> float:
    return float(op.attrs.get("epsilon", 1e-5))


def _scaled(b: Builder, op: Op, value: View, scale: NDArray[Any], shift: NDArray[Any]) -> View:
    """The normalised value times a scale and plus a shift, which broadcast to it."""
    value, gamma = with_channels(b, op, value, scale, "its scale")
    value, beta = with_channels(b, op, value, shift, "its bias")
    if len(gamma) != value.size[0]:
        value, gamma = with_channels(b, op, value, scale, "its scale")
    return affine(b, op, value, gamma, beta)


def _over(b: Builder, op: Op, value: View, axes: set[int], centred: bool, epsilon: float) -> View:
    """The value normalised over some of its dimensions."""
    if any(f.stride == BATCH for a in axes for f in value.dims[a]):
        raise UnsupportedLayerError(
            f"{op.where} takes statistics over the images of the batch, and an image would depend "
            "on those beside it; normalise over rows, columns and channels only"
        )
    channels, rows, columns = value.size
    area = rows * columns
    over = _apart([f for a in axes for f in value.dims[a]], area)
    others = [f for a, d in enumerate(value.dims) if a not in axes for f in d]
    rest = _apart([f for f in others if f.stride != BATCH], area)
    if any(f.stride == 0 for f in (*over, *rest)):
        value = b.image_view(b.image(op, value))
        return _over(b, op, value, axes, centred, epsilon)
    pixels = math.prod(f.size for f in over if f.stride < area)
    inside = math.prod(f.size for f in over if f.stride >= area)
    # A group is of neighbouring channels: those of the statistics vary faster than the others.
    apart = [f.stride for f in rest if f.stride >= area]
    neighbours = all(f.stride < min(apart, default=math.inf) for f in over if f.stride >= area)
    if pixels == area and neighbours:
        return value.follow(_made(b, op, value.source, channels // inside, centred, epsilon))
    if pixels == 1 and inside == channels:
        return value.follow(_made(b, op, value.source, 0, centred, epsilon))
    raise UnsupportedLayerError(
        f"{op.where} takes statistics over a part of {b.shape_text(value)} that is neither all "
        "pixels of some channels nor all channels of a pixel; normalise over one of those"
    )


def _apart(factors: Sequence[Factor], area: int) -> list[Factor]:
    """The factors, with those that go over channels and pixels cut in two."""
    found = []
    for f in factors:
        inside = area // f.stride if f.stride else 0
        if 0 < f.stride < area < f.size * f.stride and area % f.stride == f.size % inside == 0:
            found += [Factor(f.size // inside, area), Factor(inside, f.stride)]
        else:
            found.append(f)
    return found


def _normalised(
    b: Builder, op: Op, value: View, groups: int, centred: bool, epsilon: float
) -> View:
    return value.follow(_made(b, op, value.source, groups, centred, epsilon))


def _made(b: Builder, op: Op, source: str, groups: int, centred: bool, epsilon: float) -> str:
    return b.add(op, "normalise", source, groups=groups, centred=centred, eps=epsilon)


# Written out


@dataclass(frozen=True)
class Written:
    """A normalisation in several nodes: of the value ``entry``, over ``axes`` of it.

    ``total`` says that squares are added up instead of averaged; ``scale`` and ``shift`` follow.
    ``factors`` are the values that the mean square is multiplied by (1) or divided by (-1): PyTorch
    makes a variance of n - 1 degrees of freedom so. ``moved`` are the mean and the root, where
    they are reshaped or expanded on their way to the value.
    """

    entry: str
    axes: tuple[int, ...]
    centred: bool
    epsilon: float
    total: bool
    nodes: tuple[Op, ...]
    scale: NDArray[Any] | None = None
    shift: NDArray[Any] | None = None
    factors: tuple[tuple[str, int], ...] = ()
    moved: tuple[str, ...] = ()

    def gain(self, values: Mapping[str, Any]) -> float | None:
        """The factor of the mean square, given all that is computed.

        None if it is no number, or statistics do not have the shape of theirs after reshapes.
        """
        entry = values[self.entry]
        rank = len(entry.dims)
        over = {a % rank for a in self.axes} if self.axes else set(range(1, rank))
        kept = tuple(1 if a in over else n for a, n in enumerate(entry.shape))
        for name in self.moved:
            value = values.get(name)
            if not isinstance(value, View) or value.shape not in (kept, entry.shape):
                return None
        product = 1.0
        for name, power in self.factors:
            value = values.get(name)
            if not isinstance(value, np.ndarray) or value.size != 1 or not float(value) > 0:
                return None
            product *= float(value) ** power
        return product


def written_out(b: Builder, op: Op, found: Written, value: Any, gain: float = 1.0) -> View:
    """The layer for a normalisation that is written out; ``gain`` is that of its mean square."""
    if not isinstance(value, View):
        raise UnsupportedLayerError(f"{op.where} normalises a constant; simplify the model first")
    value = b.settled(op, value)
    rank = len(value.dims)
    axes = {a % rank for a in found.axes} if found.axes else set(range(1, rank))
    count = math.prod(value.shape[a] for a in axes)
    epsilon = found.epsilon / count if found.total else found.epsilon
    out = _over(b, op, value, axes, found.centred, epsilon / gain)
    if gain != 1:
        ones = np.ones(out.size[0])
        out = affine(b, op, out, ones / math.sqrt(gain), 0 * ones)
    if found.scale is not None and found.shift is not None:
        return _scaled(b, op, out, found.scale, found.shift)
    if not found.total:
        return out
    ones = np.ones(out.size[0])
    return affine(b, op, out, ones / math.sqrt(count), 0 * ones)


def find(ops: Sequence[Op], constants: Mapping[str, NDArray[Any]]) -> dict[str, Written]:
    """The normalisations that are written out, by the name of the value that comes out."""
    finder = _Finder(ops, constants)
    found = {}
    for op in ops:
        written = finder.ending_at(op)
        if written is not None:
            found[op.outputs[0]] = written
    return found


#: Lengths below which a vector is no longer made one of length 1: 0, to numbers of 16 bits.
_SMALL = 1e-6


class _Finder:
    """``c / sqrt(mean(c^2) + eps)``, where c is x, or x - mean(x)."""

    def __init__(self, ops: Sequence[Op], constants: Mapping[str, NDArray[Any]]):
        self._made = {op.outputs[0]: op for op in ops}
        self._constants = dict(constants)
        for op in ops:
            if op.type == "Constant" and isinstance(op.attrs.get("value"), np.ndarray):
                self._constants[op.outputs[0]] = op.attrs["value"]

    def ending_at(self, end: Op) -> Written | None:
        """The normalisation that ends with this node."""
        if len(end.inputs) != 2:
            return None
        if end.type == "Add":
            return self._as_affine(end.inputs[0], end.inputs[1]) or self._as_affine(
                end.inputs[1], end.inputs[0]
            )
        if end.type not in ("Div", "Mul"):
            return None
        pairs = [tuple(end.inputs)]
        if end.type == "Mul":
            pairs.append((end.inputs[1], end.inputs[0]))
        if end.type == "Div":
            length = self._of_length(*end.inputs)
            if length is not None:
                return length
        for top, factor in pairs:
            nodes: list[Op] = []
            variance = self._root(factor, end.type == "Mul", nodes)
            found = variance and self._of(top, variance, nodes)
            if found and any(op.type in ("Reshape", "Expand") for op in found.nodes):
                centre = self._made.get(top)
                off = centre.inputs[1:] if found.centred and centre is not None else ()
                return replace(found, moved=(factor, *off))
            if found:
                return found
        return None

    def _as_affine(self, first: str, second: str) -> Written | None:
        """x * k + (beta - mean(x) * k), k = gamma / sqrt(var + eps), as TensorFlow writes it."""
        scaled, offset = self._made.get(first), self._made.get(second)
        if scaled is None or offset is None or scaled.type != "Mul":
            return None
        if offset.type not in ("Add", "Sub") or len(offset.inputs) != 2:
            return None
        known = [self._constants.get(name) for name in offset.inputs]
        if (known[0] is None) == (known[1] is None):
            return None
        shift, other = (known[0], 1) if known[0] is not None else (known[1], 0)
        taken = self._made.get(offset.inputs[other])
        if taken is None or taken.type != "Mul" or (offset.type == "Sub" and other == 0):
            return None
        for x, k in (scaled.inputs, reversed(scaled.inputs)):
            rest = [name for name in taken.inputs if name != k]
            nodes = [scaled, offset, taken]
            mean = self._plain(rest[0], nodes) if len(rest) == 1 else None
            if offset.type == "Add":  # then it is -mean
                if mean is None or mean.type != "Neg":
                    continue
                mean = self._plain(mean.inputs[0], nodes)
            if mean is None or mean.type != "ReduceMean" or mean.inputs[0] != x:
                continue
            gain, root = self._gain(k)
            if gain is not None and root != k:
                nodes.append(self._made[k])
            inside: list[Op] = []
            variance = self._root(root, True, inside)
            found = variance and self._of(x, variance, [*nodes, *inside], mean)
            if found and gain is not None:
                moved = any(op.type in ("Reshape", "Expand") for op in inside)
                return replace(found, scale=gain, shift=shift, moved=(k,) if moved else ())
        return None

    def _plain(self, name: str, nodes: list[Op]) -> Op | None:
        """What makes a value, past what only reshapes it; ``nodes`` gets all of them."""
        op = self._made.get(name)
        while op is not None:
            nodes.append(op)
            if op.type not in ("Reshape", "Identity"):
                break
            op = self._made.get(op.inputs[0])
        return op

    def _gain(self, name: str) -> tuple[NDArray[Any] | None, str]:
        """The constant that a reciprocal of a root is multiplied by, and that."""
        op = self._made.get(name)
        if op is not None and op.type == "Mul":
            for constant, other in (op.inputs, reversed(op.inputs)):
                if constant in self._constants:
                    return self._constants[constant], other
        return np.ones(1), name

    def _of_length(self, top: str, divisor: str) -> Written | None:
        """x / max(sqrt(sum x^2), eps), as PyTorch's normalize writes it."""
        nodes: list[Op] = []
        op = self._made.get(divisor)
        while op is not None and op.type in ("Expand", "Clip", "Max"):
            if op.type != "Expand":
                numbers = [self._number(i) for i in op.inputs[1:] if i]
                if any(n is None or n > _SMALL for n in numbers):
                    return None
            nodes.append(op)
            op = self._made.get(op.inputs[0])
        if op is None or op.type != "ReduceL2" or op.inputs[0] != top:
            return None
        axes = self._axes(op)
        if axes is None or not op.attrs.get("keepdims", 1):
            return None
        return Written(top, axes, False, 0.0, True, (*nodes, op))

    def _past(self, name: str, nodes: list[Op]) -> Op | None:
        """What makes a value, past what reshapes and expands it, which ``nodes`` gets."""
        op = self._made.get(name)
        while op is not None and op.type in ("Reshape", "Expand", "Identity"):
            nodes.append(op)
            op = self._made.get(op.inputs[0])
        return op

    def _root(self, name: str, reciprocal: bool, nodes: list[Op]) -> str | None:
        """What a value is the square root of, or the reciprocal of that."""
        op = self._past(name, nodes)
        if op is None:
            return None
        nodes.append(op)
        if op.type == "Pow":
            wanted = -0.5 if reciprocal else 0.5
            return op.inputs[0] if self._number(op.inputs[1]) == wanted else None
        if not reciprocal:
            return op.inputs[0] if op.type == "Sqrt" else None
        if op.type == "Reciprocal":
            return self._root(op.inputs[0], False, nodes)
        if op.type == "Div" and self._number(op.inputs[0]) == 1:
            return self._root(op.inputs[1], False, nodes)
        return None

    def _of(
        self, top: str, variance: str, nodes: list[Op], mean: Op | None = None
    ) -> Written | None:
        """The normalisation of a value by its variance; ``mean`` is taken off elsewhere."""
        epsilon = 0.0
        op = self._past(variance, nodes)
        if op is not None and op.type == "Add":
            numbers = [self._number(i) for i in op.inputs]
            if (numbers[0] is None) == (numbers[1] is None):
                return None
            nodes.append(op)
            epsilon = next(n for n in numbers if n is not None)
            variance = op.inputs[0 if numbers[0] is None else 1]
        factors: list[tuple[str, int]] = []
        op = self._unscaled(variance, factors, nodes)
        if op is None or op.type not in ("ReduceMean", "ReduceSum", "ReduceSumSquare"):
            return None
        axes = self._axes(op)
        # Dimensions that are dropped, and put back by a reshape.
        put_back = any(n.type == "Reshape" for n in nodes)
        if axes is None or not (op.attrs.get("keepdims", 1) or put_back):
            return None
        nodes.append(op)
        found = self._of_square(top, op, axes, nodes, mean)
        return found and replace(found, epsilon=epsilon, factors=tuple(factors))

    def _unscaled(
        self, name: str, factors: list[tuple[str, int]], nodes: list[Op], depth: int = 6
    ) -> Op | None:
        """The mean that a value is, but for what it is multiplied and divided by."""
        op = self._made.get(name)
        if op is None or not depth or op.type.startswith("Reduce"):
            return op
        ways: list[tuple[int, tuple[tuple[str, int], ...]]] = []
        if op.type in ("Identity", "Reshape", "Expand"):
            ways = [(0, ())]
        elif op.type == "Div":
            ways = [(0, ((op.inputs[1], -1),))]
        elif op.type == "Mul":
            ways = [(i, ((op.inputs[1 - i], 1),)) for i in (0, 1)]
        for index, more in ways:
            inside: list[Op] = [op]
            rest: list[tuple[str, int]] = list(more)
            found = self._unscaled(op.inputs[index], rest, inside, depth - 1)
            if found is not None and found.type in ("ReduceMean", "ReduceSum"):
                factors += rest
                nodes += inside
                return found
        return None

    def _of_square(
        self, top: str, op: Op, axes: tuple[int, ...], nodes: list[Op], mean: Op | None
    ) -> Written | None:
        """The normalisation of a value by the mean of squares that a node makes."""
        epsilon = 0.0
        inner = op.inputs[0]
        if op.type != "ReduceSumSquare":
            square = self._made.get(inner)
            if square is None or not self._is_square(square):
                return None
            nodes.append(square)
            inner = square.inputs[0]
        total = op.type != "ReduceMean"
        if mean is not None:
            taken = self._mean_of(inner, axes)
            if taken is None or taken.inputs[0] != top or self._axes(mean) != axes:
                return None
            inside = (*nodes, self._made[inner], taken, mean)
            return Written(top, axes, True, epsilon, total, inside)
        if inner == top:
            centre = self._mean_of(inner, axes)
            if centre is not None:
                more = (self._made[inner], centre)
                return Written(centre.inputs[0], axes, True, epsilon, total, (*nodes, *more))
            return Written(top, axes, False, epsilon, total, tuple(nodes))
        first, second = self._mean_of(inner, axes), self._mean_of(top, axes)
        if first is None or second is None or first.inputs[0] != second.inputs[0]:
            return None
        moved: list[Op] = []
        self._past(self._made[top].inputs[1], moved)
        inside = (*nodes, *moved, self._made[inner], self._made[top], first, second)
        entry = self._made[top].inputs[0]
        if entry != first.inputs[0]:  # the statistics of (N, C, H W)
            if len(axes) != 1 or axes[0] not in (2, -1):
                return None
            axes = (2, 3)
        return Written(entry, axes, True, epsilon, total, inside)

    def _mean_of(self, name: str, axes: tuple[int, ...]) -> Op | None:
        """The mean over ``axes`` that a value has been taken off: x - mean(x)."""
        op = self._made.get(name)
        if op is None or op.type != "Sub":
            return None
        moved: list[Op] = []
        mean = self._past(op.inputs[1], moved)
        if mean is None or mean.type != "ReduceMean":
            return None
        if op.inputs[0] not in (mean.inputs[0], self._flattened(mean.inputs[0])):
            return None
        put_back = any(n.type == "Reshape" for n in moved)
        alike = self._axes(mean) == axes and (mean.attrs.get("keepdims", 1) or put_back)
        return mean if alike else None

    def _flattened(self, name: str) -> str | None:
        """What (N, C, H W) is a reshape of."""
        op = self._made.get(name)
        shape = self._constants.get(op.inputs[1]) if op and op.type == "Reshape" else None
        return op.inputs[0] if op and shape is not None and np.size(shape) == 3 else None

    def _is_square(self, op: Op) -> bool:
        if op.type == "Mul":
            return op.inputs[0] == op.inputs[1]
        return op.type == "Pow" and self._number(op.inputs[1]) == 2

    def _axes(self, op: Op) -> tuple[int, ...] | None:
        if "axes" in op.attrs:
            return tuple(int(a) for a in op.attrs["axes"])
        if len(op.inputs) < 2 or not op.inputs[1]:
            return ()
        array = self._constants.get(op.inputs[1])
        return None if array is None else tuple(int(a) for a in np.ravel(array))

    def _number(self, name: str) -> float | None:
        array = self._constants.get(name)
        if array is None or np.size(array) != 1 or np.asarray(array).dtype.kind not in "fiu":
            return None
        return float(np.ravel(array)[0])


OPERATORS: dict[str, Operator] = {
    "InstanceNormalization": Operator(
        _instance, "by the processor, between two runs of the accelerator"
    ),
    "GroupNormalization": Operator(_group, "as InstanceNormalization"),
    "LayerNormalization": Operator(
        _layer, "as InstanceNormalization: over all pixels of the image, or all channels of a pixel"
    ),
    "RMSNormalization": Operator(_layer, "as LayerNormalization"),
    "LpNormalization": Operator(_lp, "as LayerNormalization, with p = 2"),
    "MeanVarianceNormalization": Operator(
        _mean_variance, "as InstanceNormalization, not over the batch"
    ),
}
