"""Quantised networks: layers in integers, and what their integers stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.fold import fold
from winogen.compiler.shape import ConvShape
from winogen.compiler.sums import check_sums
from winogen.network.graph import Graph, InputSpec, check_exit
from winogen.program.formats import TensorFormat, as_batch, input_bits
from winogen.program.host_layers import HostLayer, Operands
from winogen.target.numerics import Requantiser


@dataclass
class QuantLayer:
    """One layer in integers.

    Attributes
    ----------
    name, label : of the value that it produces; of the layer, for people
    weight : int64 (cout, cin, kh, kw), or (sources, channels, kh, kw) if ``diagonal``
    bias : int64 (cout,), or (cout, h, w) by phase, in the accumulator's scale
    requantiser : constants of shape (cout,)
    table : activation table (1025,) int16, or None
    operands : what a processor computes first, or None: then the accelerator runs the layer
    reach : half range of the table of a function, or None
    table_error : the most codes that the table of a function is off by, within what calibration saw
    """

    name: str
    label: str
    sources: tuple[str, ...]
    shape: ConvShape
    diagonal: bool
    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    requantiser: Requantiser
    table: NDArray[np.int16] | None
    format: TensorFormat
    operands: Operands | None = None
    reach: float | None = None
    table_error: float = 0.0

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.bias)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns of the output."""
        return (self.channels, *self.shape.output_size)

    def for_host(self, sources: tuple[int, ...]) -> HostLayer:
        """The layer as a processor computes it, reading ``sources`` channels of each value."""
        assert self.operands is not None
        return HostLayer(
            self.operands,
            sources,
            self.weight.reshape(-1),
            self.bias,
            self.requantiser,
            self.table,
        )


@dataclass
class QuantNetwork:
    """A network in integers; ``integers.run_integer`` says what it computes, bit for bit.

    ``exits`` are layers that give the output early, as :class:`winogen.network.graph.Graph` has
    them.
    """

    name: str
    data_width: int
    input: InputSpec
    input_format: TensorFormat
    output_range: tuple[float, float] | None
    layers: list[QuantLayer]
    exits: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all layers that give the output: the exits, and the last layer."""
        return (*self.exits, self.layers[-1].name)

    def at_exit(self, number: int) -> QuantNetwork:
        """The layers that an exit needs, as a network by itself; see ``Graph.at_exit``."""
        check_exit(self.name, number, len(self.outputs))
        if not self.exits:
            return self
        whole, wanted = self._needed(self.layers[-1].name), self._needed(self.outputs[number - 1])
        layers = [x for x in self.layers if x.name in wanted]
        layers.sort(key=lambda x: x.name not in whole)  # and else in their order
        return replace(self, layers=layers, exits=())

    def _needed(self, name: str) -> set[str]:
        wanted = {name}
        for layer in reversed(self.layers):
            if layer.name in wanted:
                wanted.update(layer.sources)
        return wanted

    def without_exits(self) -> QuantNetwork:
        """The whole network by itself."""
        return self.at_exit(len(self.outputs))

    @property
    def output_format(self) -> TensorFormat:
        """What the output's integers stand for."""
        return self.layers[-1].format

    def resized(self, graph: Graph) -> QuantNetwork:
        """The same integers for the graph's input of another size (see ``Graph.resized``).

        Raises QuantisationError where more meets in a sum than in one of the former size, and is
        more than the accumulators hold.
        """
        shapes = {block.name: block.shape for block in fold(graph)}
        layers = [replace(layer, shape=shapes[layer.name]) for layer in self.layers]
        for layer in layers:
            where = f"layer '{layer.label}' of model {self.name}"
            arrays = layer.weight, layer.bias
            check_sums(where, layer.shape, layer.diagonal, *arrays, self.data_width)
        return replace(self, input=graph.input, layers=layers)

    def quantise_input(self, x: NDArray) -> NDArray[np.int64]:
        """Integers (N, C, H, W) of real inputs (N, C, H, W) or (N, latent)."""
        x = as_batch(self.input, x, "inputs")
        return self.input_format.quantise(x, input_bits(self.input, self.data_width))
