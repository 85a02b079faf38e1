"""How close integers come to the float network: PSNR, SSIM and saturation of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.calibrate import Observed
from winogen.compiler.integers import integer_activations
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.quality.ssim import ssim
from winogen.target.numerics import int_range


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


@dataclass(frozen=True)
class Quality:
    """Quality of a quantised network.

    Attributes
    ----------
    layers : of every layer, in the network's order
    held_out : whether it was measured on other inputs than those of the calibration
    """

    layers: tuple[LayerReport, ...]
    held_out: bool

    @property
    def output(self) -> LayerReport:
        """That of the network's output, the last layer."""
        return self.layers[-1]


def measure_network(network: QuantNetwork, observed: Observed) -> Quality:
    """Quality of a quantised network on the inputs that ``observed`` keeps to check with."""
    layers = tuple(report for report, _ in measure_layers(network, observed))
    return Quality(layers, observed.held_out)


def measure_layers(
    network: QuantNetwork, observed: Observed
) -> Iterator[tuple[LayerReport, NDArray[np.int64]]]:
    """Quality and integers (N, C, H, W) of every layer's output, in order."""
    q = network.quantise_input(observed.checked)
    for layer, (_, integers) in zip(network.layers, integer_activations(network, q)):
        yield measure_layer(network, layer, integers, observed.expected[layer.name]), integers


def measure_layer(
    network: QuantNetwork, layer: QuantLayer, integers: NDArray[np.int64], exact: NDArray
) -> LayerReport:
    """Quality of a network's layer for output integers and float values (N, C, H, W)."""
    return measure(
        layer.label,
        integers,
        layer.format.dequantise(integers),
        exact,
        layer.format.scale,
        int_range(network.data_width),
        network.output_range if layer.name in network.outputs else None,
    )


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
