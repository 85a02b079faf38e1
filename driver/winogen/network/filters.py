"""Weights of convolutions that stand for something else: groups, dilations, rearrangements.

The accelerator has dense kernels only. What has groups, gaps between its taps, or just moves values
becomes one, whose other weights are zero; the functions bound how many that may be.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import UnsupportedLayerError

Pair = tuple[int, int]

#: Most weights of a layer that stands for a rearrangement or for groups: ones among zeros.
MAX_SPARSE = 1 << 24
#: Most rows or columns of a kernel.
MAX_KERNEL = 1 << 16


def check_sparse(where: str, size: int) -> None:
    """Refuse a layer of so many weights, nearly all zero."""
    if size > MAX_SPARSE:
        raise UnsupportedLayerError(
            f"{where}: the accelerator would need a layer of {size:,} weights, nearly all "
            f"zero, to do this; the limit is {MAX_SPARSE:,}"
        )


def copies(where: str, order: NDArray[np.int64], channels: int) -> NDArray[np.float32]:
    """Scatter weight (channels, cout, r, s) that copies channel ``order[c, dy, dx]``.

    As a transposed convolution of stride (r, s) it interleaves channels into pixels.
    """
    check_sparse(where, channels * order.size)
    weight = np.zeros((channels, *order.shape), np.float32)
    c, dy, dx = np.indices(order.shape)
    weight[order, c, dy, dx] = 1
    return weight


def alike(where: str, channels: int, kernel: Pair, value: float) -> NDArray[np.float32]:
    """Weight (channels, channels, *kernel) that treats every channel by itself, alike."""
    check_sparse(where, channels * channels * math.prod(kernel))
    return np.broadcast_to(
        np.float32(value) * np.eye(channels, dtype=np.float32)[:, :, None, None],
        (channels, channels, *kernel),
    )


def dilated_kernel(kernel: Pair, dilations: Pair) -> Pair:
    """Rows and columns that a dilated kernel reaches over."""
    rows, columns = ((k - 1) * d + 1 for k, d in zip(kernel, dilations))
    return rows, columns


def dilated(where: str, weight: NDArray, dilations: Pair) -> NDArray:
    """A dilated kernel with the zeros between its taps written out."""
    whole = dilated_kernel((weight.shape[2], weight.shape[3]), dilations)
    if whole == weight.shape[2:]:
        return weight
    size = math.prod(weight.shape[:2]) * math.prod(whole)
    if max(whole) > MAX_KERNEL or size > MAX_SPARSE:
        raise UnsupportedLayerError(
            f"{where}: its dilations of {dilations[0]} x {dilations[1]} would be a kernel of "
            f"{whole[0]} x {whole[1]} and {size:,} weights, the limit is {MAX_SPARSE:,}; use a "
            "smaller dilation, or a stride, instead"
        )
    out = np.zeros((*weight.shape[:2], *whole), weight.dtype)
    out[:, :, :: dilations[0], :: dilations[1]] = weight
    return out


def dense(where: str, weight: NDArray, groups: int) -> NDArray:
    """A grouped weight, plain or in scatter form, with the zeros between groups written out."""
    if groups == 1:
        return weight
    if weight.size * groups > MAX_SPARSE:
        raise UnsupportedLayerError(
            f"{where}: its {groups} groups would be a dense layer of {weight.size * groups:,} "
            f"weights, the limit is {MAX_SPARSE:,}; use fewer groups"
        )
    first, second = weight.shape[0] // groups, weight.shape[1]
    out = np.zeros((weight.shape[0], second * groups, *weight.shape[2:]), weight.dtype)
    for g in range(groups):
        rows = slice(g * first, (g + 1) * first)
        out[rows, g * second : (g + 1) * second] = weight[rows]
    return out
