"""What a report shows of a network's accuracy: its images and layers, in float and in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.calibrate import Observed
from winogen.compiler.quantised import QuantNetwork
from winogen.quality.measure import LayerReport, measure_layers
from winogen.target.numerics import int_range

#: Bars of a histogram.
BINS = 48


@dataclass(frozen=True)
class Histogram:
    """Float values of a layer: counts of equal bins from ``low`` to ``high``."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Width:
    """A layer at one data width.

    ``range`` are the real values of the lowest and highest integer, ``clipped`` the share of the
    float values beyond them.
    """

    report: LayerReport
    range: tuple[float, float]
    clipped: float


@dataclass(frozen=True)
class LayerStudy:
    """A layer's float values, and its integers by data width."""

    name: str
    shape: tuple[int, int, int]
    histogram: Histogram
    widths: dict[int, Width]


@dataclass(frozen=True)
class Study:
    """Outputs (N, C, H, W) of the float network and by data width, and all layers."""

    exact: NDArray[np.float32]
    outputs: dict[int, NDArray[np.float32]]
    layers: list[LayerStudy]


def study(observed: Observed, networks: dict[int, QuantNetwork]) -> Study:
    """Compare quantised networks, by data width, with the float network on its checked inputs."""
    outputs: dict[int, NDArray[np.float32]] = {}
    reports: dict[int, list[LayerReport]] = {}
    for width, network in networks.items():
        reports[width] = []
        for layer, (report, q) in zip(network.layers, measure_layers(network, observed)):
            reports[width].append(report)
            if layer is network.layers[-1]:
                outputs[width] = layer.format.dequantise(q)
    first = next(iter(networks.values()))
    layers = []
    for number, layer in enumerate(first.layers):
        values = observed.expected[layer.name]
        widths = {w: _width(n, number, reports[w][number], values) for w, n in networks.items()}
        histogram = _histogram(values)
        layers.append(LayerStudy(layer.label, layer.output_shape, histogram, widths))
    return Study(observed.expected[first.layers[-1].name], outputs, layers)


def _width(network: QuantNetwork, number: int, report: LayerReport, values: NDArray) -> Width:
    ends = np.array(int_range(network.data_width))
    low, high = map(float, network.layers[number].format.dequantise(ends))
    half = network.layers[number].format.scale / 2
    beyond = np.count_nonzero((values < low - half) | (values > high + half))
    return Width(report, (low, high), beyond / values.size)


def _histogram(values: NDArray) -> Histogram:
    low, high = float(values.min()), float(values.max())
    if low == high:  # a constant still needs a bin with a width
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, BINS, (low, high))
    return Histogram(low, high, tuple(map(int, counts)))
