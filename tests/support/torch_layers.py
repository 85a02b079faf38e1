"""Layers by PyTorch's definitions, in plain loops: what definitions are compared with.

One image at a time: x is (C, H, W), float64. Nothing is shared with the package.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def conv(x, weight, bias=None, stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1) -> Array:
    """Conv2d on an image; pad is top, bottom, left, right."""
    x = np.pad(x, ((0, 0), pad[:2], pad[2:]))
    cout, per, kh, kw = weight.shape
    rows = (x.shape[1] - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (x.shape[2] - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((cout, rows, columns))
    for o, i, j, c, u, v in product(*map(range, (cout, rows, columns, per, kh, kw))):
        channel = o // (cout // groups) * per + c
        at = (i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1])
        out[o, i, j] += weight[o, c, u, v] * x[channel, at[0], at[1]]
    return out if bias is None else out + bias[:, None, None]


def deconv(x, weight, bias=None, stride=(1, 1), pad=0, dilation=(1, 1), groups=1) -> Array:
    """ConvTranspose2d of an image."""
    cin, per, kh, kw = weight.shape
    size = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in
            zip(x.shape[1:], stride, (kh, kw), dilation)]  # fmt: skip
    out = np.zeros((per * groups, *size))
    for c, i, j, o, u, v in product(*map(range, (cin, *x.shape[1:], per, kh, kw))):
        channel = c // (cin // groups) * per + o
        at = (i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1])
        out[channel, at[0], at[1]] += x[c, i, j] * weight[c, o, u, v]
    out = out[:, pad : size[0] - pad, pad : size[1] - pad]
    return out if bias is None else out + bias[:, None, None]


def group_norm(x, groups, gamma, beta, epsilon) -> Array:
    """GroupNorm: statistics of all pixels of some neighbouring channels."""
    out = np.empty_like(x)
    each = len(x) // groups
    for first in range(0, len(x), each):
        part = x[first : first + each]
        mean = sum(part.flat) / part.size
        variance = sum((v - mean) ** 2 for v in part.flat) / part.size
        out[first : first + each] = (part - mean) / math.sqrt(variance + epsilon)
    return out * gamma[:, None, None] + beta[:, None, None]


def over_channels(x, gamma, beta, epsilon, centred) -> Array:
    """Layer norm over the channels of each pixel, or pixel norm, which keeps the mean."""
    out = np.empty_like(x)
    for i, j in np.ndindex(x.shape[1:]):
        values = x[:, i, j] - (x[:, i, j].mean() if centred else 0)
        out[:, i, j] = values / math.sqrt((values**2).mean() + epsilon) * gamma + beta
    return out


def interpolate(x, sizes, scales, mode, corners) -> Array:
    """F.interpolate, bilinear and bicubic, of rows and of columns."""
    for axis, (size, scale) in enumerate(zip(sizes, scales), 1):
        n = x.shape[axis]
        lines = []
        for i in range(size):
            at = i * (n - 1) / max(size - 1, 1) if corners else (i + 0.5) / scale - 0.5
            if mode == "bilinear":
                at = min(max(at, 0.0), n - 1.0)
                low, part = math.floor(at), at - math.floor(at)
                taps = [(low, 1 - part), (min(low + 1, n - 1), part)]
            else:
                low, t = math.floor(at), at - math.floor(at)
                taps = [(min(max(low + k, 0), n - 1), _cubic(abs(k - t))) for k in range(-1, 3)]
            lines.append(sum(np.take(x, index, axis) * weight for index, weight in taps))
        x = np.stack(lines, axis)
    return x


def _cubic(x: float) -> float:
    a = -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a


def windows(x, kernel, stride, pad, fill, choose) -> Array:
    """Pooling: ``choose`` of every window, with ``fill`` around the image."""
    x = np.pad(x, ((0, 0), pad[:2], pad[2:]), constant_values=fill)
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:], kernel, stride))
    out = np.empty((len(x), rows, columns))
    for i, j in np.ndindex(rows, columns):
        top, left = i * stride[0], j * stride[1]
        window = x[:, top : top + kernel[0], left : left + kernel[1]]
        out[:, i, j] = choose(window.reshape(len(x), -1), axis=1)
    return out


def pixel_shuffle(x, r) -> Array:
    """PixelShuffle: (C*r*r, H, W) to (C, H*r, W*r)."""
    out = np.empty((len(x) // r**2, x.shape[1] * r, x.shape[2] * r))
    for c, i, j in np.ndindex(out.shape):
        out[c, i, j] = x[c * r * r + i % r * r + j % r, i // r, j // r]
    return out


def channel_shuffle(x, groups) -> Array:
    """ChannelShuffle: the first of each group, then the second of each, and so on."""
    each = len(x) // groups
    return np.stack([x[g * each + i] for i in range(each) for g in range(groups)])


#: Activations at a point, with the parameter that some have.
ACTIVATIONS = {
    "silu": lambda v, p: v / (1 + math.exp(-v)),
    "swish": lambda v, p: v / (1 + math.exp(-p * v)),
    "gelu": lambda v, p: v * 0.5 * math.erfc(-v / math.sqrt(2)),
    "gelu_tanh": lambda v, p: (
        0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
    ),
    "hardswish": lambda v, p: v * min(max(v + 3, 0), 6) / 6,
    "hardsigmoid": lambda v, p: min(max(v + 3, 0), 6) / 6,
    "hardtanh": lambda v, p: min(max(v, -1), 1),
    "mish": lambda v, p: v * math.tanh(math.log1p(math.exp(v))),
    "elu": lambda v, p: v if v > 0 else p * (math.exp(v) - 1),
    "celu": lambda v, p: max(0, v) + min(0, p * (math.exp(v / p) - 1)),
    "selu": lambda v, p: (
        1.0507009873554805 * (v if v > 0 else 1.6732632423543772 * (math.exp(v) - 1))
    ),
    "softplus": lambda v, p: math.log1p(math.exp(p * v)) / p,
    "softsign": lambda v, p: v / (1 + abs(v)),
}
