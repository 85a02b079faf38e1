"""Structural similarity of two images (Wang, Bovik, Sheikh & Simoncelli 2004).

The standard form: a Gaussian window of 11 x 11 pixels with a deviation of 1.5, K1 = 0.01 and
K2 = 0.03, averaged over the pixels whose window lies inside the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Pixels a side of the window; smaller images have no SSIM.
WINDOW = 11
_SIGMA = 1.5
#: Values that are worked on at once: more would go through memory for each tap of the window.
_IN_CACHE = 1 << 15
_K1, _K2 = 0.01, 0.03


def ssim(a: NDArray, b: NDArray, peak: float) -> float | None:
    """Mean SSIM over all images and channels of a and b, both (N, C, H, W).

    ``peak`` is the range that the values can have. None if a side is shorter than the window or
    the range is empty: SSIM is not defined there.
    """
    if min(a.shape[2:]) < WINDOW or not peak > 0:
        return None
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    planes = [v.reshape(-1, *v.shape[2:]) for v in (a, b)]
    together = max(_IN_CACHE // (a.shape[2] * a.shape[3]), 1)
    total = 0.0
    for first in range(0, len(planes[0]), together):
        x, y = (v[first : first + together].astype(np.float64) for v in planes)
        mean_x, mean_y = _blur(x), _blur(y)
        product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
        covariance = _blur(x * y) - product
        variances = _blur(x * x + y * y) - squares
        luminance = (2 * product + c1) / (squares + c1)
        each = luminance * (2 * covariance + c2) / (variances + c2)
        total += len(x) * float(np.mean(each))
    return total / len(planes[0])


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means (N, H - 10, W - 10) of all whole windows of x (N, H, W)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    for axis in (1, 2):
        last = x.shape[axis] - WINDOW + 1
        parts = [x[:, i : i + last] if axis == 1 else x[:, :, i : i + last] for i in range(WINDOW)]
        out = taps[WINDOW // 2] * parts[WINDOW // 2]
        for i in range(WINDOW // 2):  # the window is its own mirror image
            pair = parts[i] + parts[-1 - i]
            pair *= taps[i]
            out += pair
        x = out
    return x
