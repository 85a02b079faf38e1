"""Convolutions by their definitions: nested loops, sharing no code with the package.

Work on integers of any size (int64 or Python integers in object arrays) and on floats. Channels
are summed by a dot product; everything spatial is a loop, so that what is checked against it is
checked against the definition and not against another clever formulation.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


def deconv(x: NDArray, weight: NDArray, stride: Pair, crop: Pair, output_size: Pair) -> NDArray:
    """Transposed convolution in scatter form: x (cin, H, W), weight (cin, cout, kh, kw).

    Input (i, j) adds ``x * weight[ky, kx]`` at ``(stride * i + ky, stride * j + kx)`` of the full
    output, from which ``crop`` rows and columns are taken off the start and as many as it takes
    off the end; what lies outside the full output is zero.
    """
    _, rows, columns = x.shape
    _, cout, kh, kw = weight.shape
    out = np.zeros((cout, *output_size), x.dtype)
    for iy, ix, ky, kx in product(range(rows), range(columns), range(kh), range(kw)):
        oy, ox = iy * stride[0] + ky - crop[0], ix * stride[1] + kx - crop[1]
        if 0 <= oy < output_size[0] and 0 <= ox < output_size[1]:
            out[:, oy, ox] += np.dot(x[:, iy, ix], weight[:, :, ky, kx])
    return out


def conv(x: NDArray, weight: NDArray, stride: Pair, pad: Pair, output_size: Pair) -> NDArray:
    """Convolution (cross-correlation): x (cin, H, W), weight (cout, cin, kh, kw).

    Output (o, p) sums ``x[stride * o + ky - pad] * weight[ky, kx]``; x is zero outside itself.
    """
    _, rows, columns = x.shape
    cout, _, kh, kw = weight.shape
    out = np.zeros((cout, *output_size), x.dtype)
    for oy, ox, ky, kx in product(*map(range, (*output_size, kh, kw))):
        iy, ix = oy * stride[0] + ky - pad[0], ox * stride[1] + kx - pad[1]
        if 0 <= iy < rows and 0 <= ix < columns:
            out[:, oy, ox] += np.dot(weight[:, :, ky, kx], x[:, iy, ix])
    return out


def wrap(value: int, bits: int) -> int:
    """``value`` as a signed number of ``bits`` bits, the rest cut off."""
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value
