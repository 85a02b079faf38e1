"""Resize: whether it repeats every pixel a whole number of times, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.operators import Inputs, constant
from winogen.network.onnx.read import Op

_HINT = "only nearest neighbour by a whole factor works: use it, or ConvTranspose"


def repetition(op: Op, inputs: Inputs, shape: Sequence[int]) -> list[int]:
    """How often each dimension repeats its values; refused if that is not all it does."""
    mode = op.attrs.get("mode", "nearest")
    if mode != "nearest":
        raise UnsupportedLayerError(f"{op.where} interpolates ({mode}); {_HINT}")
    sizes, scales = _target(op, inputs, shape)
    factors = []
    for n, size, scale in zip(shape, sizes, scales):
        factor = size // n
        if not 1 <= factor <= 64 or size != factor * n:
            raise UnsupportedLayerError(f"{op.where} makes {size} of {n} samples; {_HINT}")
        if factor > 1 and not np.array_equal(
            _sources(op, n, size, scale), np.arange(size) // factor
        ):
            raise UnsupportedLayerError(
                f"{op.where}: its coordinates do not repeat each pixel {factor} times; use "
                "coordinate_transformation_mode=asymmetric with nearest_mode=floor"
            )
        factors.append(factor)
    return factors


def _target(op: Op, inputs: Inputs, shape: Sequence[int]) -> tuple[list[int], list[float]]:
    """Size and scale of every dimension."""
    rank = len(shape)
    axes = [a % rank for a in op.attrs.get("axes", range(rank)) if -rank <= a < rank]
    given = [
        None if i >= len(inputs) or inputs[i] is None or constant(op, inputs, i, name).size == 0
        else constant(op, inputs, i, name).astype(np.float64).ravel()
        for i, name in ((2, "scales"), (3, "sizes"))
    ]  # fmt: skip
    values = given[1] if given[0] is None else given[0]
    if values is None or len(values) != len(axes) or not np.all(np.isfinite(values)):
        raise ModelError(f"{op.where}: its scales or sizes do not fit {rank} dimensions")
    if np.any(values <= 0) or np.any(values > 1 << 31):
        raise ModelError(f"{op.where}: its scales or sizes are out of range")
    if given[0] is None and op.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedLayerError(f"{op.where} keeps the aspect ratio; give scales instead")
    sizes, scales = list(shape), [1.0] * rank
    for axis, v in zip(axes, values):
        if given[0] is None:
            sizes[axis], scales[axis] = int(v), float(v) / shape[axis]
        else:
            sizes[axis], scales[axis] = math.floor(shape[axis] * float(v)), float(v)
    return sizes, scales


def _sources(op: Op, n: int, size: int, scale: float) -> NDArray[np.int64]:
    """Index of the input sample that each output sample takes, as ONNX defines it."""
    if size > 1 << 20:
        raise ModelError(f"{op.where}: its output of {size} samples a line is too large")
    mode = op.attrs.get("coordinate_transformation_mode", "half_pixel")
    i = np.arange(size, dtype=np.float64)
    if mode == "asymmetric":
        x = i / scale
    elif mode == "half_pixel" or (mode == "pytorch_half_pixel" and size > 1):
        x = (i + 0.5) / scale - 0.5
    elif mode == "half_pixel_symmetric":
        adjusted = size / (scale * n)
        x = n / 2 * (1 - adjusted) + (i + 0.5) / scale - 0.5
    elif mode == "align_corners":
        x = i * (n - 1) / max(size - 1, 1)
    else:
        raise UnsupportedLayerError(f"{op.where}: {mode} is not supported; {_HINT}")
    nearest = op.attrs.get("nearest_mode", "round_prefer_floor")
    rounded = {
        "round_prefer_floor": np.ceil(x - 0.5),
        "round_prefer_ceil": np.floor(x + 0.5),
        "floor": np.floor(x),
        "ceil": np.ceil(x),
    }.get(nearest)
    if rounded is None:
        raise ModelError(f"{op.where}: unknown nearest_mode")
    return np.clip(rounded, 0, n - 1).astype(np.int64)
