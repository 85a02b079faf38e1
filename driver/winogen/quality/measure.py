"""How close integers come to the float network: PSNR, SSIM and saturation of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.quality.ssim import ssim


@dataclass(frozen=True)
class LayerReport:
    """Quality of one layer over some inputs.

    ``low`` and ``high`` are the float network's extreme values, ``scale`` the real value of one
    step. ``saturated`` of ``values`` outputs are at either end of the data width's range. ``psnr``
    (dB) and ``ssim`` compare with the float network; the peak is the range of black to white for an
    image, and that of the float values elsewhere. ``ssim`` is None where it is not defined.
    """

    name: str
    low: float
    high: float
    scale: float
    saturated: int
    values: int
    psnr: float
    ssim: float | None


def measure(
    name: str,
    integers: NDArray[np.int64],
    real: NDArray,
    exact: NDArray,
    scale: float,
    limits: tuple[int, int],
    image_range: tuple[float, float] | None = None,
) -> LayerReport:
    """Quality of a layer's output; all arrays are (N, C, H, W).

    ``real`` is what the integers stand for, ``exact`` what the float network has; ``limits`` are
    the ends of the integer range.
    """
    low, high = float(exact.min()), float(exact.max())
    peak = image_range[1] - image_range[0] if image_range else high - low
    saturated = int(np.count_nonzero((integers == limits[0]) | (integers == limits[1])))
    return LayerReport(
        name,
        low,
        high,
        scale,
        saturated,
        integers.size,
        psnr(real, exact, peak),
        ssim(real, exact, peak),
    )


def psnr(a: NDArray, b: NDArray, peak: float) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal arrays."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    if error == 0:
        return float("inf")
    return float(10 * np.log10(peak**2 / error)) if peak > 0 else float("-inf")
