"""Resize: which input sample every output sample takes, and whether that is something plain.

A Resize is judged by what it does, not by the names of its modes: the index map is computed as
ONNX defines it, and what repeats every sample equally often, or takes every n-th, is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.onnx.operators import Inputs, constant
from winogen.network.onnx.read import Op
from winogen.network.sampling import PLACES, ROUNDINGS, Axis

_HINT = "use another coordinate_transformation_mode"
#: Most samples along an axis that is interpolated.
MAX_SAMPLES = 1 << 16
#: Most times that a sample may be repeated, or samples of which one is taken.
MAX_FACTOR = 64


class Sampling(NamedTuple):
    """What becomes of a dimension: each sample ``repeat`` times, or from ``first`` every ``step``.

    Only one of ``repeat`` and ``step`` is over 1.
    """

    repeat: int = 1
    step: int = 1
    first: int = 0


def samplings(op: Op, inputs: Inputs, shape: Sequence[int]) -> list[Sampling]:
    """What a Resize or Upsample does to each dimension; refused if that is nothing plain."""
    mode = str(op.attrs.get("mode", "nearest"))
    if mode not in ("nearest", "linear", "cubic"):
        raise ModelError(f"{op.where}: unknown mode")
    sizes, scales = _target(op, inputs, shape)
    roi = _region(op, inputs, len(shape))
    found = []
    for axis, (n, size, scale) in enumerate(zip(shape, sizes, scales)):
        if scale == 1 and roi[axis] == (0.0, 1.0):
            found.append(Sampling())  # also where a batch of any size has no index map
        elif mode == "nearest":
            found.append(_plain(op, n, size, _sources(op, n, size, scale, roi[axis])))
        elif n == 1 and roi[axis] == (0.0, 1.0) and size <= MAX_FACTOR:
            found.append(Sampling(size))  # all that can be mixed is one sample
        else:
            raise UnsupportedLayerError(f"{op.where} interpolates ({mode}); {_HINT}")
    return found


def interpolations(op: Op, inputs: Inputs, shape: Sequence[int]) -> list[Axis | None] | None:
    """How a Resize mixes the samples of each dimension; None in all where it only picks some."""
    mode = str(op.attrs.get("mode", "nearest"))
    sizes, scales = _target(op, inputs, shape)
    if all(scale == 1 or n == 1 for n, scale in zip(shape, scales)):
        return None
    if mode == "nearest" and _is_plain(op, inputs, shape):
        return None
    where = op.attrs.get("coordinate_transformation_mode", "half_pixel")
    if where not in PLACES and mode == "nearest":
        return None  # which says what it is
    if where not in PLACES:
        raise UnsupportedLayerError(
            f"{op.where} interpolates ({mode}) with {where}; use {', '.join(PLACES)}"
        )
    if op.attrs.get("antialias", 0) and any(s < 1 for s in scales):
        raise UnsupportedLayerError(f"{op.where} interpolates with antialias; export it without")
    if max(sizes[1:]) > MAX_SAMPLES or max(shape[1:]) > MAX_SAMPLES:
        raise ModelError(f"{op.where}: its output of {max(sizes[1:])} samples a line is too large")
    rounding = str(op.attrs.get("nearest_mode", "round_prefer_floor"))
    if mode == "nearest" and rounding not in ROUNDINGS:
        raise ModelError(f"{op.where}: unknown nearest_mode")
    cubic = Fraction(float(op.attrs.get("cubic_coeff_a", -0.75))).limit_denominator(10**6)
    if mode == "cubic" and not -1 <= cubic <= 0:
        raise UnsupportedLayerError(
            f"{op.where} interpolates by a cubic of {float(cubic):g}; use one from -1 to 0"
        )
    inside = bool(op.attrs.get("exclude_outside", 0))
    found: list[Axis | None] = []
    for n, size, scale in zip(shape, sizes, scales):
        if scale == 1:
            found.append(None)
            continue
        if size == n:
            raise UnsupportedLayerError(
                f"{op.where} scales {n} samples by {scale:.6g} to {n}, where runtimes disagree "
                "about the coordinates; give sizes instead of scales"
            )
        whole = abs(scale * n - size) < 1e-3
        if not whole and where == "align_corners":  # runtimes differ in where its corners are
            raise UnsupportedLayerError(
                f"{op.where} scales {n} samples by {scale:.6g} with align_corners, which makes no "
                "whole number of them; give sizes instead of scales"
            )
        exact = Fraction(size, n) if whole else Fraction(scale)
        start, step = PLACES[where](exact, n, size)
        if mode == "nearest":
            found.append(Axis(n, size, start, step, nearest=rounding))
        else:
            found.append(Axis(n, size, start, step, cubic if mode == "cubic" else None, inside))
    return found


def _is_plain(op: Op, inputs: Inputs, shape: Sequence[int]) -> bool:
    """Whether every sample is repeated equally often, or every n-th taken."""
    try:
        samplings(op, inputs, shape)
    except UnsupportedLayerError:
        return False
    return True


def _plain(op: Op, n: int, size: int, sources: NDArray[np.int64]) -> Sampling:
    """The sampling of an index map from ``n`` samples to ``size``."""
    factor = size // n
    if 1 <= factor <= MAX_FACTOR and np.array_equal(sources, np.arange(size) // max(factor, 1)):
        return Sampling(factor)
    if 0 < size < n:
        first = int(sources[0])
        step = int(sources[1]) - first if size > 1 else n
        if 1 < step <= max(n, MAX_FACTOR) and first < step and np.array_equal(
            sources, first + step * np.arange(size)
        ) and (n - first - 1) // step + 1 == size:  # fmt: skip
            return Sampling(1, step, first)
    if factor < 1 or size != factor * n or factor > MAX_FACTOR:
        raise UnsupportedLayerError(f"{op.where} makes {size} of {n} samples; {_HINT}")
    raise UnsupportedLayerError(
        f"{op.where}: its coordinates do not repeat each pixel {factor} times; use "
        "coordinate_transformation_mode=asymmetric with nearest_mode=floor"
    )


def _target(op: Op, inputs: Inputs, shape: Sequence[int]) -> tuple[list[int], list[float]]:
    """Size and scale of every dimension."""
    rank = len(shape)
    axes = [a % rank for a in op.attrs.get("axes", range(rank)) if -rank <= a < rank]
    given = [
        None if i >= len(inputs) or inputs[i] is None or constant(op, inputs, i, name).size == 0
        else constant(op, inputs, i, name).astype(np.float64).ravel()
        for i, name in ((2, "scales"), (3, "sizes"))
    ]  # fmt: skip
    if given[0] is not None and given[1] is not None:
        raise ModelError(f"{op.where} has scales and sizes; ONNX wants one of them: remove one")
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


def _region(op: Op, inputs: Inputs, rank: int) -> list[tuple[float, float]]:
    """The part (from, to) of each dimension that is resized; of all but one mode the whole."""
    whole = [(0.0, 1.0)] * rank
    if op.attrs.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        return whole
    roi = constant(op, inputs, 1, "roi").astype(np.float64).ravel()
    axes = [a % rank for a in op.attrs.get("axes", range(rank)) if -rank <= a < rank]
    if len(roi) != 2 * len(axes) or not np.all(np.isfinite(roi)):
        raise ModelError(f"{op.where}: its roi does not fit {rank} dimensions")
    for i, axis in enumerate(axes):
        whole[axis] = (float(roi[i]), float(roi[i + len(axes)]))
    return whole


def _sources(
    op: Op, n: int, size: int, scale: float, roi: tuple[float, float]
) -> NDArray[np.int64]:
    """Index of the input sample that each output sample takes, as ONNX defines it."""
    if size > 1 << 20:
        raise ModelError(f"{op.where}: its output of {size} samples a line is too large")
    mode = op.attrs.get("coordinate_transformation_mode", "half_pixel")
    # In float32, as runtimes do: i divided by a third is 3 i.
    i, scale = np.arange(size, dtype=np.float32), float(np.float32(scale))
    if mode == "asymmetric":
        x = i / scale
    elif mode == "half_pixel" or (mode == "pytorch_half_pixel" and size > 1):
        x = (i + 0.5) / scale - 0.5
    elif mode == "pytorch_half_pixel":
        x = 0 * i
    elif mode == "half_pixel_symmetric":
        adjusted = size / (scale * n)
        x = n / 2 * (1 - adjusted) + (i + 0.5) / scale - 0.5
    elif mode == "align_corners":
        x = i * (n - 1) / max(size - 1, 1)
    elif mode == "tf_half_pixel_for_nn":  # of opset 11 and 12 only
        x = (i + 0.5) / scale
    elif mode == "tf_crop_and_resize":
        start, end = (edge * (n - 1) for edge in roi)
        x = start + i * (end - start) / (size - 1) if size > 1 else 0 * i + (start + end) / 2
        if np.any(x < 0) or np.any(x > n - 1):
            raise UnsupportedLayerError(
                f"{op.where} reaches outside its input and fills in a constant there; crop and pad "
                "before it"
            )
    else:
        raise ModelError(f"{op.where}: unknown coordinate_transformation_mode")
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
