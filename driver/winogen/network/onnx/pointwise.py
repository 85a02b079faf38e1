"""Operators that act on each value alone: affines, activations, and what changes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.functions import TABULATED, Function
from winogen.network.onnx.build import Builder
from winogen.network.onnx.operators import Inputs, Operator, constant, data
from winogen.network.onnx.read import Op
from winogen.network.onnx.tensors import FLOAT_TYPES
from winogen.network.onnx.view import BATCH, View

#: Values that a constant may have when written out for all channels.
_MAX_SPREAD = 1 << 24


class DiffersByPixelError(UnsupportedLayerError):
    """A constant that is not one value a channel."""


def of_one_image(b: Builder, op: Op, value: View, constant: NDArray[Any], what: str) -> NDArray:
    """``constant`` of as many dimensions as ``value``, with one image for all of the batch.

    Raises UnsupportedLayerError if it does not fit, or differs from image to image.
    """
    array = np.asarray(constant, np.float64)
    rank = len(value.dims)
    while array.ndim > rank and array.shape[0] == 1:
        array = array[0]
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    fits = array.ndim == rank and all(n in (1, m) for n, m in zip(array.shape, value.shape))
    if not fits or not array.size:
        raise UnsupportedLayerError(
            f"{op.where}: {what} of shape {constant.shape} does not fit its input of shape "
            f"{b.shape_text(value)}; only scalars and one value a channel work"
        )
    for axis, dim in enumerate(value.dims):
        if array.shape[axis] > 1 and any(f.stride == BATCH for f in dim):
            one = array.take([0], axis)
            if len(dim) > 1 or not np.array_equal(np.broadcast_to(one, array.shape), array):
                raise UnsupportedLayerError(
                    f"{op.where}: {what} of shape {constant.shape} differs from image to image of "
                    "the batch; export the model with a batch of 1, and make what differs a part "
                    "of its input"
                )
            array = one
    if not np.all(np.isfinite(array)):
        raise ModelError(f"{op.where}: {what} holds NaN or infinity")
    return array


def by_value(
    b: Builder, op: Op, value: View, constant: NDArray[Any], what: str
) -> NDArray[np.float64] | None:
    """What broadcasting ``constant`` to ``value`` gives every value of its source (C, H, W).

    None if the view repeats a value, with different constants for it.
    """
    array = of_one_image(b, op, value, constant, what)
    if math.prod(value.size) > _MAX_SPREAD:
        return None
    offsets = value.offsets()
    spread = np.broadcast_to(array, offsets.shape)
    out = np.full(math.prod(value.size), np.nan)
    out[offsets.ravel()] = spread.ravel()
    if not np.array_equal(out[offsets], spread) or np.any(np.isnan(out)):
        return None
    return out.reshape(value.size)


def per_channel(b: Builder, op: Op, value: View, constant: NDArray[Any], what: str) -> NDArray:
    """The (channels,) float64 values that broadcasting ``constant`` to ``value`` amounts to.

    Raises DiffersByPixelError if they differ from pixel to pixel.
    """
    array = of_one_image(b, op, value, constant, what)
    if np.all(array == array.flat[0]):
        return np.full(value.size[0], float(array.flat[0]))
    # Where the constant repeats, the first row and column stand for all, but every channel counts.
    area = value.size[1] * value.size[2]
    dims = tuple(
        dim if n > 1 else tuple(f for f in dim if f.stride >= area)
        for n, dim in zip(array.shape, value.dims)
    )
    values = math.prod(f.size for dim in dims for f in dim)
    if values <= _MAX_SPREAD:
        channels = View(value.source, value.size, dims).offsets() // area
        spread = np.broadcast_to(array, channels.shape)
        out = np.full(value.size[0], np.nan)
        out[channels.ravel()] = spread.ravel()
        if np.array_equal(out[channels], spread) and not np.any(np.isnan(out)):
            return out
    raise DiffersByPixelError(
        f"{op.where}: {what} of shape {constant.shape} differs from pixel to pixel, which no layer "
        "of the accelerator can do; use one value a channel"
    )


def with_channels(
    b: Builder, op: Op, value: View, constant: NDArray[Any], what: str
) -> tuple[View, NDArray]:
    """The view, and the values of :func:`per_channel` for it.

    Where the view shows one channel as several, and the constant differs there, they are made.
    """
    try:
        return value, per_channel(b, op, value, constant, what)
    except DiffersByPixelError:
        if len(value.dims) != 4 or all(f.stride for dim in value.dims for f in dim):
            raise
        value = b.image_view(b.image(op, value))
        return value, per_channel(b, op, value, constant, what)


def affine(b: Builder, op: Op, value: View, scale: NDArray, shift: NDArray) -> View:
    """``scale * value + shift``, both (channels,)."""
    if np.all(scale == 1) and np.all(shift == 0):
        return value
    channels = value.size[0]
    source = b.add(
        op, "batchnorm", value.source, eps=0.0, gamma=scale, beta=shift,
        mean=np.zeros(channels), var=np.ones(channels),
    )  # fmt: skip
    return value.follow(source)


def _uniform(kind: str) -> Any:
    def handle(b: Builder, op: Op, inputs: Inputs) -> View:
        value = b.settled(op, data(op, inputs, 0))
        return value.follow(b.add(op, kind, value.source))

    return handle


def applied(b: Builder, op: Op, value: View, function: Function) -> View:
    """A function of every value, by a table."""
    value = b.settled(op, value)
    if function.name in ("sigmoid", "tanh"):
        return value.follow(b.add(op, function.name, value.source))
    return value.follow(b.add(op, "function", value.source, function=function))


def _tabulated(b: Builder, op: Op, inputs: Inputs) -> View:
    attrs = {k: v for k, v in op.attrs.items() if isinstance(v, (int, float, str))}
    return applied(b, op, data(op, inputs, 0), Function.of(op.type, attrs))


def _power(b: Builder, op: Op, inputs: Inputs) -> View:
    value = data(op, inputs, 0)
    exponent = scalar(op, inputs, 1, "exponent", 1.0)
    return applied(b, op, value, Function.of("Pow", {}, exponent))


def _leaky_relu(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    slope = -1.0 if op.type == "Abs" else float(op.attrs.get("alpha", 0.01))
    return value.follow(b.add(op, "leaky_relu", value.source, slope=slope))


def _prelu(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    slope = constant(op, inputs, 1, "slope")
    value, alpha = with_channels(b, op, value, slope, "its slope")
    return value.follow(b.add(op, "prelu", value.source, alpha=alpha))


def clamp(b: Builder, op: Op, value: View, low: float, high: float) -> View:
    """Limit to ``low`` and ``high``, either of which may be infinite."""
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ModelError(f"{op.where}: its bounds {low} and {high} make no interval")
    if (low, high) == (-math.inf, math.inf):
        return value
    if (low, high) == (0.0, math.inf):
        return value.follow(b.add(op, "relu", value.source))
    return value.follow(b.add(op, "clamp", value.source, low=low, high=high))


def scalar(op: Op, inputs: Inputs, index: int, what: str, default: float) -> float:
    """An input that is one constant number; ``default`` where there is none."""
    if index >= len(inputs) or inputs[index] is None:
        return default
    array = constant(op, inputs, index, what)
    if array.size != 1:
        raise UnsupportedLayerError(f"{op.where}: its {what} has {array.size} values; use one")
    return float(array.ravel()[0])


def _clip(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    low = scalar(op, inputs, 1, "lower bound", -math.inf)
    high = scalar(op, inputs, 2, "upper bound", math.inf)
    finfo = np.finfo(np.float32)  # exporters write "no bound" as the largest float too
    low = -math.inf if low <= finfo.min else low
    high = math.inf if high >= finfo.max else high
    return clamp(b, op, value, low, high)


def _hard_sigmoid(b: Builder, op: Op, inputs: Inputs) -> View:
    value = b.settled(op, data(op, inputs, 0))
    ones = np.ones(value.size[0])
    scale, shift = op.attrs.get("alpha", 0.2), op.attrs.get("beta", 0.5)
    return clamp(b, op, affine(b, op, value, ones * scale, ones * shift), 0.0, 1.0)


def _batchnorm(b: Builder, op: Op, inputs: Inputs) -> View:
    if op.attrs.get("training_mode", 0) or any(op.outputs[1:]):
        raise UnsupportedLayerError(
            f"{op.where} runs on the statistics of its batch, which cannot be folded into weights; "
            "export the model in evaluation mode (model.eval())"
        )
    value = b.settled(op, data(op, inputs, 0))
    if len(value.dims) < 2:
        raise ModelError(f"{op.where}: its input of shape {b.shape_text(value)} has no channels")
    names = ("gamma", "beta", "mean", "var")
    params = {}
    columns = {}
    for index, name in enumerate(names, 1):
        array = constant(op, inputs, index, name)
        if array.shape != value.shape[1:2]:
            raise ModelError(
                f"{op.where}: its {name} has shape {array.shape}, expected {value.shape[1:2]}"
            )
        columns[name] = array.reshape((-1,) + (1,) * (len(value.dims) - 2))
    for name, column in columns.items():
        value, _ = with_channels(b, op, value, column, f"its {name}")
    for name, column in columns.items():  # of the view that all of them fit
        params[name] = per_channel(b, op, value, column, f"its {name}")
    eps = float(op.attrs.get("epsilon", 1e-5))
    return value.follow(b.add(op, "batchnorm", value.source, eps=eps, **params))


def _chosen(b: Builder, op: Op, inputs: Inputs) -> View:
    """Where of a condition that is known: one of the two, or both joined by zeros and ones."""
    condition = constant(op, inputs, 0, "condition").astype(bool)
    if not condition.size or np.any(condition != condition.flat[0]):
        raise UnsupportedLayerError(
            f"{op.where} chooses pixel by pixel; multiply by a mask of zeros and ones instead"
        )
    return data(op, inputs, 1 if condition.flat[0] else 2)


def _same(b: Builder, op: Op, inputs: Inputs) -> View:
    return data(op, inputs, 0)


def _dropout(b: Builder, op: Op, inputs: Inputs) -> View:
    training = inputs[2] if len(inputs) > 2 else None
    if (isinstance(training, np.ndarray) and training.any()) or isinstance(training, View):
        raise UnsupportedLayerError(
            f"{op.where} runs in training mode; export the model in evaluation mode (model.eval())"
        )
    if any(op.outputs[1:]):
        raise UnsupportedLayerError(f"{op.where}: its mask is used, which is not supported")
    return data(op, inputs, 0)


def _cast(b: Builder, op: Op, inputs: Inputs) -> View:
    like = inputs[1] if op.type == "CastLike" else None
    floats = isinstance(like, View) or op.attrs.get("to") in FLOAT_TYPES
    if isinstance(like, np.ndarray):
        floats = np.issubdtype(like.dtype, np.floating)
    view = data(op, inputs, 0)
    if not floats and view.source not in b.whole:
        raise UnsupportedLayerError(
            f"{op.where} makes integers of an activation, which is not supported; end the network "
            "before it (onnx.utils.extract_model), winogen itself writes pictures of whole pixels"
        )
    return view


OPERATORS: dict[str, Operator] = {
    "Relu": Operator(_uniform("relu"), "folded into the layer before"),
    "LeakyRelu": Operator(_leaky_relu, "folded into the layer before"),
    "PRelu": Operator(_prelu, "one slope, or one a channel; folded into the layer before"),
    "Abs": Operator(_leaky_relu, "a leaky ReLU of slope -1"),
    "Tanh": Operator(_uniform("tanh"), "through a table"),
    "Sigmoid": Operator(_uniform("sigmoid"), "through a table"),
    "HardSigmoid": Operator(_hard_sigmoid, "an affine and a clamp"),
    "Clip": Operator(_clip, "constant bounds; folded into the layer before"),
    "BatchNormalization": Operator(_batchnorm, "on its stored statistics; folded into the weights"),
    **{
        name: Operator(_tabulated, "through a table" if i == 0 else f"as {TABULATED[0]}")
        for i, name in enumerate(TABULATED)
    },
    "Pow": Operator(_power, "by a constant; through a table"),
    "Identity": Operator(_same, "nothing"),
    "Where": Operator(_chosen, "nothing, by a condition that is known"),
    "Dropout": Operator(_dropout, "nothing (evaluation mode only)"),
    "Cast": Operator(_cast, "nothing, between float types"),
    "CastLike": Operator(_cast, "nothing, between float types"),
}  # fmt: skip
