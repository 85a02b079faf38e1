"""Convolutions whose channels become pixels: together, one transposed convolution.

Pixel shuffle after a convolution is how super-resolution enlarges. The accelerator would compute
all channels, store them, and copy them by a layer of ones; it can as well make the pixels at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Node


def sub_pixel(conv: Node, order: NDArray[np.int64]) -> dict[str, Any]:
    """Parts of the transposed convolution whose output is a convolution's, interleaved.

    Pixel (c, y*r + dy, x*s + dx) of it is channel ``order[c, dy, dx]`` of the convolution, which
    has no stride, at (y, x). Tap ky of that reads input row y + ky - pad, so in scatter form it is
    tap dy + (k - 1 - ky)*r with a crop of (k - 1 - pad)*r.
    """
    weight = conv.params["weight"]
    _, cin, kh, kw = weight.shape
    count, r, s = order.shape
    flipped = weight[:, :, ::-1, ::-1][order]  # (count, r, s, cin, kh, kw)
    taps = flipped.transpose(3, 0, 4, 1, 5, 2).reshape(cin, count, kh * r, kw * s)
    top, bottom, left, right = conv.attrs["pad"]
    crop = ((kh - 1 - top) * r, (kh - 1 - bottom) * r, (kw - 1 - left) * s, (kw - 1 - right) * s)
    parts: dict[str, Any] = {"weight": taps}
    if "bias" in conv.params:
        bias = conv.params["bias"][order]
        parts["bias"] = bias[:, 0, 0] if np.all(bias == bias[:, :1, :1]) else bias
    return {**parts, "kernel": (kh * r, kw * s), "stride": (r, s), "crop": crop}


def joined(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, with each pixel shuffle joined to the convolution that it alone reads.

    What is joined has the shuffle's name.
    """
    readers = Counter(name for node in nodes for name in node.inputs)
    made: dict[str, Node] = {}
    for node in nodes:
        conv = made.get(node.inputs[0])
        order = _order(node) if _plain(conv) and readers[node.inputs[0]] == 1 else None
        if conv is None or order is None:
            made[node.name] = node
            continue
        parts = sub_pixel(conv, order)
        params: dict[str, NDArray[np.float32]] = {
            name: np.ascontiguousarray(parts.pop(name)) for name in conv.params
        }
        del made[conv.name]
        made[node.name] = replace(node, inputs=conv.inputs, attrs=parts, params=params)
    return list(made.values())


def _plain(node: Node | None) -> bool:
    return node is not None and node.op == "conv" and node.attrs["stride"] == (1, 1)


def _order(node: Node) -> NDArray[np.int64] | None:
    """The channel that each pixel of a block is a copy of; None if the node does not copy so."""
    if node.op != "deconv" or "bias" in node.params or any(node.attrs["crop"]):
        return None
    if node.attrs["kernel"] != node.attrs["stride"] or node.attrs["stride"] == (1, 1):
        return None
    weight = node.params["weight"]
    copies = np.all((weight == 0) | (weight == 1)) and np.all(weight.sum(axis=0) == 1)
    return weight.argmax(axis=0) if copies else None


def small_factors(number: int) -> list[int]:
    """Factors of at most 8, the largest first; empty if there are others."""
    factors = []
    for factor in range(8, 1, -1):
        while number % factor == 0:
            factors.append(factor)
            number //= factor
    return factors if number == 1 else []


def repeats(size: int) -> tuple[int, list[int]]:
    """The steps that repeat one pixel ``size`` times or, where that has large factors, a few more.

    Returns how many pixels they make, and the factor of each.
    """
    while size > 1 and not small_factors(size):
        size += 1
    return size, small_factors(size)
