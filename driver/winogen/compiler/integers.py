"""The definition of right: what a quantised network must compute, in plain integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.shape import ConvShape
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.target import numerics


def run_integer(network: QuantNetwork, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) for input integers (N, C, H, W).

    The definition of right: plain integer (transposed) convolutions, then requantisation.
    """
    out = x
    for _, out in integer_activations(network, x):  # noqa: B007 (the last one counts)
        pass
    return out


def integer_activations(
    network: QuantNetwork, x: NDArray[np.int64]
) -> Iterable[tuple[str, NDArray[np.int64]]]:
    """Name and integers (N, C, H, W) of every layer's output, in order."""
    values = {Graph.INPUT_NAME: np.asarray(x, np.int64)}
    last_use = {s: i for i, layer in enumerate(network.layers) for s in layer.sources}
    for i, layer in enumerate(network.layers):
        values[layer.name] = run_layer(
            layer, [values[s] for s in layer.sources], network.data_width
        )
        yield layer.name, values[layer.name]
        for source in layer.sources:
            if last_use[source] == i:
                values.pop(source, None)


def run_layer(
    layer: QuantLayer, inputs: list[NDArray[np.int64]], data_width: int
) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) of one layer."""
    if layer.operands is not None:
        return layer.for_host(tuple(x.shape[1] for x in inputs)).run(inputs, data_width)
    acc = with_bias(layer, accumulate(layer, inputs))
    return requantise(layer, numerics.wrap(acc, numerics.accumulator_bits(data_width)), data_width)


def with_bias(layer: QuantLayer, acc: NDArray[Any]) -> NDArray[Any]:
    """Sums of products (N, C, H, W) with the layer's bias."""
    return acc + reference.spread(layer.bias, acc.shape[2:])


def requantise(layer: QuantLayer, acc: NDArray[np.int64], data_width: int) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) of one layer for its accumulators, bias included."""
    out = layer.requantiser(np.moveaxis(acc, 1, -1))
    if layer.table is not None:
        out = numerics.apply_table(layer.table, out, data_width)
    return np.moveaxis(out, -1, 1)


def accumulate(layer: QuantLayer, inputs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Exact sums of products (N, C, H, W) of one layer, without bias."""
    return sums_of_products(layer.shape, layer.diagonal, inputs, layer.weight).astype(np.int64)


def sums_of_products(
    shape: ConvShape, diagonal: bool, inputs: Sequence[NDArray], weight: NDArray
) -> NDArray[np.float64]:
    """Sums of products (N, C, H, W) of a layer or block; exact for integers up to 2**53."""
    if diagonal:  # one channel at a time is its own batch item
        out: Any = 0
        if shape.pointwise:
            for x, w in zip(inputs, weight):
                out = out + x.astype(np.float64) * w
            return np.asarray(out)
        for x, w in zip(inputs, weight):
            parts = [_convolve(shape, x[:, c : c + 1], w[c][None, None]) for c in range(len(w))]
            out = out + np.concatenate(parts, axis=1)
        return np.asarray(out)
    return _convolve(shape, np.concatenate(inputs, axis=1), weight)


def _convolve(shape: ConvShape, x: NDArray, weight: NDArray) -> NDArray[np.float64]:
    """Plain (transposed) convolution in float64."""
    edges = shape.edges()
    xf, wf = x.astype(np.float64), weight.astype(np.float64)
    if shape.transposed:
        sums = reference.deconv2d(xf, wf.swapaxes(0, 1), shape.stride, edges)
    else:
        sums = reference.conv2d(xf, wf, shape.stride, edges)
    rows, columns = shape.output_size
    return sums[:, :, :rows, :columns]
