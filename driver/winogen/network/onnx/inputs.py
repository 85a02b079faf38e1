"""Models of several inputs, and of labels: all of them share the one tensor that a network takes.

Its channels are those of the inputs, in their order: a vector's values, one-hot labels, an image's
channels. Where an image is among them, vectors fill its rows and columns, and one pixel is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.graph import Graph, InputPart, Shape
from winogen.network.onnx.build import Builder
from winogen.network.onnx.convolution import linear
from winogen.network.onnx.folding import Folder
from winogen.network.onnx.layout import axes_of
from winogen.network.onnx.names import shown
from winogen.network.onnx.operators import Inputs, constant
from winogen.network.onnx.pointwise import affine
from winogen.network.onnx.read import PASSING, Input, Model, Op
from winogen.network.onnx.view import View

#: What may be computed with a label before it is looked up, as Keras does for labels below 0.
ELEMENTWISE = ("Add", "Cast", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "Mul",
               "Not", "Sub", "Where")  # fmt: skip
#: Most values of a label.
MAX_CLASSES = 1 << 14


@dataclass(frozen=True)
class Label:
    """An ONNX tensor of numbers that follow from a label: ``hot`` is the one-hot vector.

    ``shape`` is the tensor's, batch included; all but the batch are 1. ``values`` are what it holds
    for each class: the number of the class, until something is computed with it.
    """

    hot: View
    shape: tuple[int, ...]
    values: NDArray[Any]


@dataclass(frozen=True)
class Joined:
    """The inputs of a model as parts of one tensor of shape ``size``.

    ``last`` are the names of images whose channels are their last dimension.
    """

    batch: int
    size: Shape
    parts: tuple[InputPart, ...]
    shapes: tuple[tuple[int, ...], ...]
    last: frozenset[str]


def join(
    model: Model,
    ops: Sequence[Op],
    any_batch: int,
    image_size: Any,
    channels_last: Callable[[Input], bool],
) -> Joined:
    """How the inputs of a model share a tensor; UnsupportedLayerError where they cannot.

    Parameters
    ----------
    any_batch : stands for a batch of any size
    image_size : rows and columns of images that may have any size, or None
    channels_last : whether an input of four dimensions is (N, H, W, C)
    """
    batches = {i.shape[0] if i.shape else 1 for i in model.inputs}
    fixed = {n for n in batches if n is not None and n > 1}
    if len(fixed) > 1 or (fixed and None in batches):
        raise ModelError("its inputs are for batches of different sizes; export it with one")
    batch = max((n for n in batches if n is not None), default=any_batch)
    if None in batches:
        batch = any_batch
    parts: list[InputPart] = []
    shapes: list[tuple[int, ...]] = []
    sizes: set[tuple[int, int]] = set()
    last: set[str] = set()
    for info in model.inputs:
        if len(info.shape) == 4 and channels_last(info):
            last.add(info.name)
            info = replace(info, shape=tuple(info.shape[i] for i in (0, 3, 1, 2)))
        shape = _fixed(info, batch, image_size)
        shapes.append(shape)
        name = shown(info.name)
        if info.is_integer:
            if math.prod(shape[1:]) != 1:
                raise UnsupportedLayerError(
                    f"the input '{name}' holds integers of shape {_text(info)}; a label is one "
                    "number an image"
                )
            count = _classes(model, ops, info)
            names = model.classes if len(model.classes) == count else ()
            parts.append(InputPart(name, "label", count, names))
        elif len(shape) <= 2 or shape[2:] == (1, 1):
            parts.append(InputPart(name, "latent", math.prod(shape[1:])))
        elif len(shape) == 4:
            parts.append(InputPart(name, "image", shape[1]))
            sizes.add((shape[2], shape[3]))
        else:
            raise UnsupportedLayerError(
                f"the input '{name}' has shape {_text(info)}; expected latents (N, n), labels (N,) "
                "or images (N, C, H, W)"
            )
    if len(sizes) > 1:
        told = " and ".join(f"{h} x {w}" for h, w in sorted(sizes))
        raise UnsupportedLayerError(
            f"its inputs are images of {told}; images of one size only can be joined"
        )
    rows, columns = sizes.pop() if sizes else (1, 1)
    size = (sum(p.channels for p in parts), rows, columns)
    return Joined(batch, size, tuple(parts), tuple(shapes), frozenset(last))


def values(b: Builder, model: Model, joined: Joined) -> dict[str, View | Label]:
    """Every input of the model, read from the one tensor."""
    found: dict[str, View | Label] = {}
    first = 0
    for info, part, shape in zip(model.inputs, joined.parts, joined.shapes):
        op = Op(part.name, "Input", (), (info.name,), {}, None)  # type: ignore[arg-type]
        channels = np.arange(first, first + part.channels)
        first += part.channels
        source = b.picked(op, Graph.INPUT_NAME, channels)
        if part.kind == "image":
            plain = b.image_view(source)
            turned = info.name in joined.last
            found[info.name] = plain.transpose((0, 2, 3, 1)) if turned else plain
            continue
        _, rows, columns = joined.size
        if (rows, columns) != (1, 1):
            eye = np.eye(part.channels, dtype=np.float32)[:, :, None, None]
            crop = (0, rows - 1, 0, columns - 1)
            source = b.add(
                op, "deconv", source, weight=eye, kernel=(1, 1), stride=(1, 1), crop=crop
            )
        vector = b.vector_view(source)
        if part.kind == "label":
            found[info.name] = Label(vector, shape, _numbers(info, part.channels))
            continue
        view = vector.reshape(shape)
        assert view is not None  # a vector in another shape
        found[info.name] = view
    return found


def _numbers(info: Input, count: int) -> NDArray[Any]:
    return np.arange(count, dtype=np.int32 if info.type == "INT32" else np.int64)


def of_label(b: Builder, op: Op, inputs: Sequence[Any], folder: Folder) -> Any:
    """What a node makes of a label."""
    label = next(i for i in inputs if isinstance(i, Label))
    if op.type in PASSING and op.type != "Cast":
        return replace(label, shape=_reshaped(op, inputs, label.shape))
    if op.type in ELEMENTWISE and all(
        (isinstance(i, np.ndarray) and i.size == 1) or (isinstance(i, Label) and i.hot == label.hot)
        for i in inputs
    ):
        each = [i.values if isinstance(i, Label) else np.ravel(i)[0] for i in inputs]
        (values,) = folder.run(op, [np.asarray(e) for e in each])
        return replace(label, values=values)
    if any(isinstance(i, View) for i in inputs):  # it meets activations: as a number of them
        numbers = label.values.astype(np.float32)[None]
        return _shaped(op, linear(b, op, label.hot, numbers), label.shape)
    if op.type == "Gather" and inputs[1] is label and int(op.attrs.get("axis", 0)) == 0:
        table = constant(op, inputs, 0, "table")
        values = label.values
        if values.dtype.kind not in "iu" or values.max() >= len(table) or values.min() < 0:
            raise UnsupportedLayerError(
                f"{op.where} has {len(table)} rows, and the label has {label.hot.size[0]} classes; "
                "use tables of one length"
            )
        rows = table.reshape(len(table), -1).astype(np.float32)[label.values]
        made = linear(b, op, label.hot, np.ascontiguousarray(rows.T))
        return _shaped(op, made, (*label.shape, *table.shape[1:]))
    if op.type == "OneHot" and inputs[0] is label:
        if not np.array_equal(label.values, np.arange(label.hot.size[0])):
            raise UnsupportedLayerError(f"{op.where} of a number that was computed from a label")
        off, on = (float(v) for v in constant(op, inputs, 2, "values").ravel())
        ones = np.ones(label.hot.size[0])
        hot = affine(b, op, label.hot, (on - off) * ones, off * ones)
        rank = len(label.shape) + 1
        axis = int(op.attrs.get("axis", -1)) % rank
        shape = list(label.shape)
        shape.insert(axis, label.hot.size[0])
        return _shaped(op, hot, tuple(shape))
    if op.type == "Equal" and any(isinstance(i, np.ndarray) for i in inputs):  # F.one_hot
        numbers = next(np.asarray(i) for i in inputs if isinstance(i, np.ndarray))
        if label.shape[-1:] == (1,) and numbers.size == numbers.shape[-1]:
            hot = (numbers.reshape(-1, 1) == label.values).astype(np.float32)
            made = linear(b, op, label.hot, hot)
            b.whole.add(made.source)
            return _shaped(op, made, (*label.shape[:-1], numbers.size))
    raise UnsupportedLayerError(
        f"{op.where} computes with a label; a label can be looked up (Gather from a constant, "
        "OneHot, Equal to 0, 1, 2 and so on) or cast to a float"
    )


def _shaped(op: Op, value: View, shape: tuple[int, ...]) -> View:
    out = value.reshape(shape)
    if out is None:
        raise ModelError(f"{op.where} cannot make {list(shape)} of a label")
    return out


def _reshaped(op: Op, inputs: Inputs | Sequence[Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a label after a node that keeps it a label."""
    if op.type in ("Cast", "Identity"):
        return shape
    if op.type == "Flatten":
        return (shape[0], 1)
    if op.type == "Squeeze":
        axes = axes_of(op, inputs, len(shape))
        gone = axes if axes is not None else [i for i, n in enumerate(shape) if n == 1 and i]
        return tuple(n for i, n in enumerate(shape) if i not in gone)
    if op.type == "Unsqueeze":
        given = op.attrs.get("axes")
        count = len(given) if given is not None else constant(op, inputs, 1, "axes").size
        at = axes_of(op, inputs, len(shape) + count) or []
        rest = iter(shape)
        return tuple(1 if i in at else next(rest) for i in range(len(shape) + count))
    wanted = [int(n) for n in constant(op, inputs, 1, "shape").ravel()]
    wanted = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(wanted)]
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = shape[0] // max(known, 1)
    if math.prod(wanted) != shape[0] or shape[0] not in wanted[:1]:
        raise UnsupportedLayerError(f"{op.where} mixes the labels of a batch; keep them apart")
    return tuple(wanted)


def _classes(model: Model, ops: Sequence[Op], info: Input) -> int:
    """How many values a label has: as many as the table that it is looked up in."""
    names: set[str] = {info.name}
    constants: Mapping[str, NDArray[Any]] = model.constants
    made = {op.outputs[0]: op.attrs["value"] for op in ops
            if op.type == "Constant" and isinstance(op.attrs.get("value"), np.ndarray)}  # fmt: skip
    for op in ops:
        if op.type in (*PASSING, *ELEMENTWISE) and names.intersection(op.inputs):
            names.update(op.outputs)
        if op.type == "Equal" and names.intersection(op.inputs):
            (other,) = [i for i in op.inputs if i not in names] or [""]
            numbers = constants.get(other, made.get(other))
            if numbers is not None and np.array_equal(np.ravel(numbers), np.arange(numbers.size)):
                return _few(op, numbers.size)
        table = 0 if op.type == "Gather" else 1
        if op.type in ("Gather", "OneHot") and op.inputs[1 - table] in names:
            array = constants.get(op.inputs[table], made.get(op.inputs[table]))
            if array is None:
                break
            return _few(op, len(array) if op.type == "Gather" else int(array.ravel()[0]))
    raise UnsupportedLayerError(
        f"the input '{shown(info.name)}' holds {info.type} values that are looked up in no "
        "constant table; export the model with a float input"
    )


def _few(op: Op, count: int) -> int:
    if not 0 < count <= MAX_CLASSES:
        raise UnsupportedLayerError(
            f"{op.where} has {count:,} classes, the limit is {MAX_CLASSES:,}"
        )
    return count


def _fixed(info: Input, batch: int, image_size: Any) -> tuple[int, ...]:
    """The shape with nothing left open."""
    shape = [batch, *info.shape[1:]]
    if len(shape) == 4 and image_size and None in shape[2:]:
        shape[2:] = list(image_size)
    if None in shape:
        raise ModelError(
            f"the input '{shown(info.name)}' has shape {_text(info)}, and only the batch may be "
            "left open; export the model with fixed sizes, or give the rows and columns of its "
            "images with --image-size"
        )
    return tuple(int(n) for n in shape if n is not None)


def _text(info: Input) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in info.shape[:8])})"
