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
_K1, _K2 = 0.01, 0.03


def ssim(a: NDArray, b: NDArray, peak: float) -> float | None:
    """Mean SSIM over all images and channels of a and b, both (N, C, H, W).

    ``peak`` is the range that the values can have. None if a side is shorter than the window or
    the range is empty: SSIM is not defined there.
    """
    if min(a.shape[2:]) < WINDOW or not peak > 0:
        return None
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    total = 0.0
    for x, y in zip(a.astype(np.float64), b.astype(np.float64)):  # an image at a time: memory
        mean_x, mean_y = _blur(x), _blur(y)
        var_x = _blur(x * x) - mean_x**2
        var_y = _blur(y * y) - mean_y**2
        covariance = _blur(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        total += float(np.mean(luminance * (2 * covariance + c2) / (var_x + var_y + c2)))
    return total / len(a)


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means (C, H - 10, W - 10) of all whole windows of x (C, H, W)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    rows, columns = (n - WINDOW + 1 for n in x.shape[1:])
    x = sum(t * x[:, i : i + rows] for i, t in enumerate(taps))
    return sum(t * x[:, :, i : i + columns] for i, t in enumerate(taps))
