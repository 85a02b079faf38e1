"""The student: a network whose forward pass is the accelerator's integers, with gradients.

Built from what the compiler makes of the teacher: its blocks (layers as the accelerator runs them)
and the scales that calibration finds. In float64 every value of the forward pass is the integer
that ``winogen.compiler.integers.run_integer`` computes, bit for bit; in float32, for speed, all but
the last bits of large sums are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from winogen.common.errors import QuantisationError
from winogen.compiler.between import host_operands
from winogen.compiler.block import Block
from winogen.compiler.calibrate import Observed
from winogen.compiler.quantise import (
    Target,
    quantise_observed,
    quantise_weight,
    requantise_block,
    target_of,
)
from winogen.compiler.quantised import QuantLayer
from winogen.compiler.scales import meeting
from winogen.compiler.shape import ConvShape
from winogen.compiler.sums import SUM_BITS
from winogen.compression import bridge, functions
from winogen.compression.holding import Holding, round_half_up, through
from winogen.compression.limits import BITS
from winogen.compression.narrow import depthwise
from winogen.compression.rebuild import Trained, rebuild
from winogen.network.graph import Graph
from winogen.program.formats import TensorFormat, input_bits
from winogen.program.host_layers import HostLayer
from winogen.target import numerics
from winogen.target.numerics import int_range

#: How many times a layer's largest bias its sums have room for.
_ROOM = 64
#: Operations whose weights are trained.
_TRAINED = ("conv", "deconv", "linear")


class Student(nn.Module):
    """A network in integers, to be trained.

    From inputs (N, C, H, W) to real outputs (N, C', H', W'). ``levels`` is the largest integer of a
    weight: 127 for 8 bits, 7 for 4. With ``exits_only`` what the whole network has stays as it is,
    and only what exits have besides is trained.
    """

    def __init__(self, observed: Observed, levels: int = 127, exits_only: bool = False):
        super().__init__()
        graph = observed.graph
        network = quantise_observed(observed, BITS)
        self.source = graph
        self.layers = nn.ModuleList()
        formats = {layer.name: layer.format for layer in network.layers}
        formats[Graph.INPUT_NAME] = network.input_format
        kept = {node.name for node in graph.without_exits().nodes} if exits_only else set()
        self.scales = Scales(observed, formats, kept)
        ops = {node.name: node.op for node in graph.nodes}
        for block, layer in zip(observed.blocks, network.layers):
            target = target_of(observed, block, layer.format, BITS, reach=layer.reach)
            trained = ops[block.label] in _TRAINED and block.host is None and not block.diagonal
            trained = trained and block.name not in kept
            entering = self.scales.number(block.sources[0])
            made = Layer(graph, block, layer, entering, target, levels if trained else None)
            made.is_kept = block.name in kept
            self.layers.append(made)
        self._input = network.input_format
        by_exit = enumerate(network.outputs, 1)
        self._outputs = {name: network.at_exit(n).output_format for n, name in by_exit}
        self._dtype = torch.float32

    def exactly(self) -> Student:
        """Compute in float64 from now on: every integer is exact."""
        self._dtype = torch.float64
        for layer in self.parts():
            layer.forget()
        return self

    def holdings(self) -> Iterator[tuple[str, Holding]]:
        """The layers' labels and weights, of those that are trained."""
        for layer in self.parts():
            if layer.holding is not None:
                yield layer.block.label, layer.holding

    def parts(self) -> list[Layer]:
        """All layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def forward(self, x: Tensor) -> Tensor:
        """Real outputs of real inputs."""
        return self.outputs(self.integers(x))[-1]

    def outputs(self, integers: dict[str, Tensor]) -> list[Tensor]:
        """Real outputs of every exit, the last of which is the whole network."""
        return [
            (integers[name] - form.zero_point) * self.scales(name).to(integers[name].dtype)
            for name, form in self._outputs.items()
        ]

    def real(self, integers: dict[str, Tensor], name: str) -> Tensor:
        """The real values of a layer's output that is no exit's."""
        return integers[name] * self.scales(name).to(integers[name].dtype)

    def integers(self, x: Tensor) -> dict[str, Tensor]:
        """The integers of every layer's output, by name, as floats with gradients."""
        low, high = int_range(input_bits(self.source.input, BITS))
        first = torch.floor(x.double() / self._input.scale + self._input.zero_point + 0.5)
        values = {Graph.INPUT_NAME: torch.clamp(first, low, high).to(self._dtype)}
        for layer in self.parts():
            values[layer.block.name] = layer(values, self.scales, self._dtype)
        return values

    def graph(self) -> Graph:
        """The network with what was trained: its weights are whole steps, its scales given."""
        trained = [layer.trained(self.scales) for layer in self.parts()]
        graph = rebuild(self.source, [layer.block for layer in self.parts()], trained)
        return replace(graph, trained_bits=BITS)


class Scales(nn.Module):
    """The real value of one step of every tensor: one parameter for all that meet in one sum.

    Those of the tensors ``kept`` stay as they are.
    """

    def __init__(
        self,
        observed: Observed,
        formats: dict[str, TensorFormat],
        kept: Collection[str] = frozenset(),
    ):
        super().__init__()
        group = {name: name for name in formats}

        def root(name: str) -> str:
            while group[name] != name:
                name = group[name]
            return name

        for block in observed.blocks:
            for names in meeting(block):
                for name in names[1:]:
                    group[root(name)] = root(names[0])
        given = {Graph.INPUT_NAME, *observed.graph.outputs, *(n for n in kept if n in formats)}
        given |= {b.name for b in observed.blocks if b.function or b.step is not None}
        fixed = {root(name) for name in given}
        self._root = {name: root(name) for name in formats}
        self._fixed: dict[str, float] = {}
        self._at: dict[str, int] = {}
        trained: list[nn.Parameter] = []
        for name, whose in self._root.items():
            if whose in fixed:
                self._fixed[name] = formats[name].scale
            elif whose not in self._at:
                self._at[whose] = len(trained)
                start = np.log(formats[name].scale)
                trained.append(nn.Parameter(torch.tensor(start, dtype=torch.float32)))
        self.steps = nn.ParameterList(trained)

    def forward(self, name: str) -> Tensor:
        """The scale of a tensor, float64."""
        if name in self._fixed:
            return torch.tensor(self._fixed[name], dtype=torch.float64)
        return torch.exp(self.steps[self._at[self._root[name]]].double())

    def number(self, name: str) -> float:
        """The scale of a tensor as a number."""
        return float(self(name).detach())


class Layer(nn.Module):
    """One block.

    ``layer`` is what the compiler makes of it, ``entering`` the scale of what it reads, ``levels``
    the largest integer of its weights, or None where they are not trained.
    """

    def __init__(
        self,
        graph: Graph,
        block: Block,
        layer: QuantLayer,
        entering: float,
        target: Target,
        levels: int | None,
    ):
        super().__init__()
        self._graph = graph
        self.block = block
        #: Nothing of it changes: its constants are made once.
        self.is_kept = False
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None
        self._fixed = target if target.table is not None else None
        self.holding: Holding | None = None
        self.bias: nn.Parameter | None = None
        if levels is not None:
            steps = quantise_weight(block, entering, BITS, self._own())[1]
            # The compiler's, which gives back what rounding takes off on average.
            unit = entering * steps
            bias = layer.bias * unit.reshape((-1,) + (1,) * (layer.bias.ndim - 1))
            least = _least_step(block, bias, entering)
            self.holding = Holding(block.weight, levels, np.maximum(steps, least))
            self.bias = nn.Parameter(torch.tensor(bias, dtype=torch.float32))
        #: A depthwise layer, of one input, whose other weights stay 0.
        self._alone = (
            self.holding is not None and len(block.sources) == 1 and depthwise(block.weight)
        )

    def forward(self, values: dict[str, Tensor], scales: Scales, dtype: torch.dtype) -> Tensor:
        """The integers of the output, for those of earlier layers by name."""
        inputs = [values[s] for s in self.block.sources]
        if self.block.host is not None:
            return self._on_host(inputs, scales, dtype)
        made = self._kept or self._constants(scales, inputs[0].device, dtype)
        if self.is_kept:
            self._kept = made
        weight, unit, bias = made
        if self._alone:
            weight = weight.diagonal(dim1=0, dim2=1).permute(2, 0, 1)[None]
        acc = _sums(self.block.shape, self.block.diagonal or self._alone, inputs, weight)
        acc = acc + bridge.spread(bias, acc.shape[2:])
        return self._requantised(acc, unit, scales)

    def forget(self) -> None:
        """Make constants anew: of another type, or elsewhere."""
        self._kept = None

    def _own(self) -> NDArray[np.float64] | None:
        """The steps of the weights of a network that was trained in integers before."""
        return self.block.weight_scale if self._graph.trained_bits == BITS else None

    def target(self, scales: Scales) -> Target:
        """What the sums become."""
        return self._fixed or Target(scales.number(self.block.name), BITS)

    def _constants(
        self, scales: Scales, device: torch.device, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Integer weights, the real value of a unit of the sums (cout,), the integer bias."""
        block = self.block
        entering = scales(block.sources[0])
        if self.holding is None or self.bias is None:
            held, scale = quantise_weight(block, float(entering.detach()), BITS, self._own())
            weight = torch.tensor(held, dtype=dtype, device=device)
            unit = entering * torch.tensor(scale, device=device)
            real = torch.tensor(block.bias, device=device)
        else:
            weight = self.holding.integers(dtype)
            unit = entering * self.holding.steps()
            real = self.bias.double()
        bias = round_half_up(real / unit.reshape((-1,) + (1,) * (real.ndim - 1)))
        return weight, unit, bias.to(dtype)

    def _requantised(self, acc: Tensor, unit: Tensor, scales: Scales) -> Tensor:
        target = self.target(scales)

        def column(values: NDArray[Any]) -> Tensor:
            return bridge.column(torch.tensor(values, dtype=acc.dtype, device=acc.device))

        step = scales(self.block.name) if target.table is None else target.step
        ratio = unit / step
        slope = torch.tensor(self.block.slope, device=acc.device)
        try:
            constants = requantise_block(self.block, ratio.detach().cpu().numpy(), target)
        except ValueError as error:
            raise QuantisationError(f"training of layer '{self.block.label}': {error}") from None
        power = np.ldexp(1.0, -constants.shift.astype(np.intc))
        positive = through(column(constants.positive * power), bridge.column(ratio).to(acc.dtype))
        negative = through(
            column(constants.negative * power), bridge.column(ratio * slope).to(acc.dtype)
        )
        low, high = column(constants.low), column(constants.high)
        out = _Requantised.apply(acc, positive, negative, low, high)
        return out if target.table is None else _looked_up(target.table, out)

    def _on_host(self, inputs: list[Tensor], scales: Scales, dtype: torch.dtype) -> Tensor:
        """What a processor computes: its integers, with the gradient of the float layer."""
        block = self.block
        assert block.host is not None
        operands, input_scale = host_operands(self._graph, block, _Formats(scales), BITS)
        target = self.target(scales)
        weight, scale = quantise_weight(block, input_scale, BITS)
        unit = input_scale * scale
        layer = HostLayer(
            operands,
            tuple(x.shape[1] for x in inputs),
            weight.reshape(-1),
            np.floor(block.bias / unit + 0.5).astype(np.int64),
            requantise_block(block, unit / target.step, target),
            target.table,
        )
        integers = [x.detach().cpu().numpy().astype(np.int64) for x in inputs]
        exact = torch.tensor(layer.run(integers, BITS), dtype=dtype, device=inputs[0].device)
        sources = iter([x * scales(s).to(dtype) for x, s in zip(inputs, block.sources)])
        real = [torch.cat(list(islice(sources, count)), dim=1) for count in operands.parts]
        smooth = self._float(real) / scales(block.name).to(dtype)
        return through(exact, smooth)

    def _float(self, operands: list[Tensor]) -> Tensor:
        """The block's real output for its real operands."""
        block = self.block
        assert block.host is not None

        def column(values: NDArray[Any]) -> Tensor:
            return bridge.column(torch.tensor(values).to(operands[0]))

        y = bridge.apply(block.host.node, operands, {})
        y = y * column(block.weight.reshape(-1)) + column(block.bias)
        y = torch.where(y < 0, y * column(block.slope), y)
        y = torch.minimum(torch.maximum(y, column(block.low)), column(block.high))
        if block.curve is not None:
            y = functions.apply(block.curve, y)
        elif block.function is not None:
            y = torch.tanh(y) if block.function == "tanh" else torch.sigmoid(y)
        return y if block.host.pad is None else bridge.apply(block.host.pad, [y], {})

    def trained(self, scales: Scales) -> Trained:
        """What training has made of the block."""
        scale = scales.number(self.block.name)
        reach = self.target(scales).reach if self.block.curve is not None else None
        if self.holding is None:
            return Trained(scale, reach)
        with torch.no_grad():
            device = self.holding.weight.device
            weight, unit, bias = self._constants(scales, device, torch.float64)
            steps = self.holding.steps()
            real = bias * unit.reshape((-1,) + (1,) * (bias.ndim - 1))
            return Trained(
                scale,
                reach,
                (weight * steps.reshape(-1, 1, 1, 1)).cpu().numpy(),
                real.cpu().numpy(),
                steps.cpu().numpy(),
            )


def _least_step(block: Block, bias: NDArray[np.float64], entering: float) -> float:
    """The least step of weights with which a channel's sums have room for any bias of the layer.

    A channel with next to no weights has next to no step, but its bias is trained as all others.
    """
    size = max(float(np.abs(bias).max()), float(np.sqrt(np.mean(np.square(block.weight)))))
    return _ROOM * size / (entering * 2.0 ** SUM_BITS[BITS])


class _Requantised(torch.autograd.Function):
    """Sums times their channel's factor, rounded and clamped; the gradient passes rounding.

    One operation in the place of a dozen: this is what most of a step's time would go to.
    """

    @staticmethod
    def forward(
        ctx: Any, acc: Tensor, positive: Tensor, negative: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """``clamp(floor(acc * factor + 1/2), low, high)``; factors and bounds are (1, C, 1, 1)."""
        below = acc < 0
        factor = torch.where(below, negative, positive)
        out = (acc * factor).add_(0.5).floor_()
        within = (out >= low) & (out <= high)
        ctx.save_for_backward(acc, below, factor, within)
        return torch.minimum(torch.maximum(out, low), high)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Of the sums and of both factors."""
        acc, below, factor, within = ctx.saved_tensors
        passed = grads[0] * within
        by_factor = passed * acc
        under = by_factor * below
        every = by_factor.sum(dim=(0, 2, 3), keepdim=True)
        negative = under.sum(dim=(0, 2, 3), keepdim=True)
        return passed.mul_(factor), every - negative, negative, None, None


class _Formats(dict[str, TensorFormat]):
    """The formats of tensors by name, of their scales as they are."""

    def __init__(self, scales: Scales):
        super().__init__()
        self._scales = scales

    def __missing__(self, name: str) -> TensorFormat:
        return TensorFormat(self._scales.number(name))


def _looked_up(table: NDArray[np.int16], pre: Tensor) -> Tensor:
    """What an activation table makes of 16-bit integers, with the slope of its segments."""
    integers = pre.detach().cpu().numpy().astype(np.int64)
    fraction = numerics.PREACTIVATION_BITS - (numerics.TABLE_SEGMENTS - 1).bit_length()
    segment = (integers + (1 << (numerics.PREACTIVATION_BITS - 1))) >> fraction
    rise = np.diff(table.astype(np.float64))[segment] / (1 << (fraction + 16 - BITS))
    exact = numerics.apply_table(table, integers, BITS)
    slope = torch.tensor(rise, dtype=pre.dtype, device=pre.device)
    value = torch.tensor(exact, dtype=pre.dtype, device=pre.device)
    return through(value, (pre - pre.detach()) * slope)


def _sums(shape: ConvShape, diagonal: bool, inputs: list[Tensor], weight: Tensor) -> Tensor:
    """Sums of products, as ``winogen.compiler.integers.sums_of_products`` has them."""
    if diagonal:
        parts = [_convolved(shape, x, w[:, None], len(w)) for x, w in zip(inputs, weight)]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)
    return _convolved(shape, torch.cat(inputs, dim=1), weight, 1)


def _convolved(shape: ConvShape, x: Tensor, weight: Tensor, groups: int) -> Tensor:
    edges = shape.edges()
    if shape.transposed:
        scattered = weight if groups > 1 else weight.transpose(0, 1)
        sums = bridge.deconvolve(x, scattered, shape.stride, edges, groups)
    else:
        sums = bridge.convolve(x, weight, shape.stride, edges, groups)
    rows, columns = shape.output_size
    return sums[:, :, :rows, :columns]
