"""Folds at a network's ends: where few channels leave lanes idle, pixels become channels.

*At the input* (:class:`winogen.program.layout.Unfold`), along either axis: all taps of a
convolution become channels, or the samples of one stride do (space to depth, with the padding as
an offset), or taps that lie two or three apart, so that what is left of the kernel fits one patch.
*At the output* (:class:`winogen.program.layout.DepthToSpace`): the phases of a transposed
convolution, and neighbouring pixels, become channels of a convolution.

A folded layer does the same products and adds up the same sums, so its integers are the same: they
only lie elsewhere, and the host puts them in place as it converts them. Which fold is taken, if
any, follows from the cycles that the layer is predicted to take, and what the host's processor
takes for the numbers that it moves and the bytes that it copies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from winogen.common.errors import QuantisationError, ScheduleError
from winogen.compiler.lower import Mode
from winogen.compiler.pack import pack_one
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.shape import ConvShape
from winogen.compiler.sums import check_sums
from winogen.compiler.tdc import transposed_taps
from winogen.compiler.tiling import fastest
from winogen.network.graph import Graph, Shape
from winogen.program.layout import MAX_FOLD, PLAIN, DepthToSpace, Unfold
from winogen.target import winograd
from winogen.target.board import Board
from winogen.target.host import estimated_costs
from winogen.target.numerics import Requantiser

#: Neighbouring pixels of an output, along an axis, that become channels.
_NEIGHBOURS = (1, 2)
#: Blocks of channels that a folded end has at most.
_MOST_BLOCKS = 4


@dataclass(frozen=True)
class Ends:
    """A network as the accelerator runs it, and how its pixels lie at either end.

    Attributes
    ----------
    network : with folded layers where that is faster; its input has the shape that they see
    unfold : of the input, or None
    shuffle : of the output
    exits : of each exit's output
    """

    network: QuantNetwork
    unfold: Unfold | None = None
    shuffle: DepthToSpace = PLAIN
    exits: tuple[DepthToSpace, ...] = ()

    def at_exit(self, number: int) -> Ends:
        """Those of an exit; see ``Graph.at_exit``."""
        own = (*self.exits, self.shuffle)[number - 1]
        return Ends(self.network.at_exit(number), self.unfold, own)


def fold_ends(network: QuantNetwork, board: Board, mode: Mode, batch: int) -> Ends:
    """The folds that make a batch of a network's images faster on a board.

    Only in mode AUTO: the others are there to be compared as they are.
    """
    if mode is not Mode.AUTO:
        return Ends(network, exits=(PLAIN,) * len(network.exits))
    layers, spec = list(network.layers), network.input
    channels = {Graph.INPUT_NAME: spec.shape[0], **{x.name: x.channels for x in layers}}
    cost = _Cost(network, board, batch)
    unfold: Unfold | None = None
    last = len(layers) - 1
    readers = [i for i, x in enumerate(layers) if Graph.INPUT_NAME in x.sources]
    layer = layers[readers[0]]
    alone = len(readers) == 1 and readers[0] != last and len(layer.sources) == 1
    if alone and layer.operands is None:
        unfolds = [(None, layer), *input_folds(layer, spec.shape, board.core.ci_lanes)]
        shapes = [spec.shape if fold is None else fold.shape(spec.shape) for fold, _ in unfolds]
        moved = [(folded, seen[:1], seen, seen) for (_, folded), seen in zip(unfolds, shapes)]
        unfold, layers[readers[0]] = unfolds[cost.least(moved)]
    shuffles = []
    for name in network.outputs:
        number = next(i for i, x in enumerate(layers) if x.name == name)
        layer, shuffle = layers[number], PLAIN
        if layer.operands is None and not any(layer.name in x.sources for x in layers):
            sources, image = tuple(channels[s] for s in layer.sources), layer.output_shape
            spreads = [(PLAIN, layer), *output_folds(layer, board.core.co_lanes)]
            stored = [(folded, sources, image, folded.output_shape) for _, folded in spreads]
            shuffle, layers[number] = spreads[cost.least(stored)]
        shuffles.append(shuffle)
    if unfold is not None:
        spec = replace(spec, shape=unfold.shape(spec.shape))
    *exits, shuffle = shuffles
    return Ends(replace(network, input=spec, layers=layers), unfold, shuffle, tuple(exits))


def folded_as(
    network: QuantNetwork,
    unfold: Unfold | None,
    shuffle: DepthToSpace,
    lanes: int,
    exits: Sequence[DepthToSpace] = (),
) -> QuantNetwork | None:
    """The network with the folds that a program says it has; None where it has no such fold.

    ``exits`` are the folds of the exits' outputs, as many as the network has.
    """
    layers, spec = list(network.layers), network.input
    if len(exits) != len(network.exits):
        return None
    for name, own in zip(network.outputs, (*exits, shuffle)):
        number = next(i for i, x in enumerate(layers) if x.name == name)
        if own != PLAIN:
            spread = dict(output_folds(layers[number], lanes))
            if own not in spread:
                return None
            layers[number] = spread[own]
    if unfold is not None:
        first = next(i for i, x in enumerate(layers) if Graph.INPUT_NAME in x.sources)
        seen = dict(input_folds(layers[first], spec.shape, lanes))
        if unfold not in seen:
            return None
        layers[first] = seen[unfold]
        spec = replace(spec, shape=unfold.shape(spec.shape))
    return replace(network, input=spec, layers=layers)


class _Cost:
    """What a layer at an end costs, in cycles of the accelerator."""

    def __init__(self, network: QuantNetwork, board: Board, batch: int):
        self._network, self._board, self._batch = network, board, batch
        self._host = estimated_costs(board)

    def least(self, choices: Sequence[tuple[QuantLayer, tuple[int, ...], Shape, Shape]]) -> int:
        """Which of some layers takes least, the first of those that take the same.

        Each comes with what :meth:`_of` is told. The last ones, which are folded most, are looked
        at first: what cannot be faster need not be looked at closely.
        """
        if len(choices) == 1:
            return 0
        best, least = 0, math.inf
        for number, choice in reversed(list(enumerate(choices))):
            cycles = self._of(*choice, most=least)
            if cycles <= least:
                best, least = number, cycles
        return best

    def _of(
        self,
        layer: QuantLayer,
        sources: tuple[int, ...],
        moved: Shape,
        stored: Shape,
        most: float,
    ) -> float:
        """Cycles of one batch; infinite where the layer cannot run, or takes more than ``most``.

        Parameters
        ----------
        sources : the channels that it reads of each value
        moved : shape of what the host converts at this end
        stored : shape of what lies in memory there
        """
        network, board = self._network, self._board
        where = f"layer '{layer.label}' of model {network.name}"
        arrays = layer.weight, layer.bias
        host = self._of_host(moved, stored)
        # Sums are not the same to the last bit.
        left = (most - host) * (1 + 1e-9)
        try:
            check_sums(where, layer.shape, layer.diagonal, *arrays, network.data_width)
            packed = pack_one(network.name, layer, sources, board.core, Mode.AUTO)
            found = fastest(packed, board, self._batch, left)
        except (QuantisationError, ScheduleError):
            return math.inf
        return math.inf if found is None else found[0] + host

    def _of_host(self, moved: Shape, stored: Shape) -> float:
        """The same of the host's processor, in cycles of the accelerator."""
        board = self._board
        if self._host is None:
            return 0.0
        words = -(-stored[0] // board.core.ci_lanes) * stored[1] * stored[2]
        seconds = (
            math.prod(moved) / self._host.convert_elements_per_s
            + words * board.core.word_bytes / self._host.copy_bytes_per_s
        )
        return self._batch * seconds * board.clock_mhz * 1e6


def input_folds(layer: QuantLayer, image: Shape, lanes: int) -> Iterator[tuple[Unfold, QuantLayer]]:
    """Every fold of a convolution that reads an image, and the layer that it becomes."""
    shape = layer.shape
    if shape.transposed or layer.diagonal or image[0] >= lanes:
        return
    for axes in product(*(_axis_folds(shape, axis) for axis in (0, 1))):
        taps = axes[0].window * axes[1].window
        if taps == 1 or image[0] * taps > _MOST_BLOCKS * lanes:
            continue
        unfold, folded = _unfolded(layer, axes)
        if max(*unfold.reach, *unfold.step, *unfold.pad) <= MAX_FOLD:  # no program says more
            yield unfold, folded


class _AxisFold(NamedTuple):
    """Samples along an axis that become channels, and what is left of the kernel there.

    Tap (t, j), where t becomes part of the channel, is tap ``t * spacing + j * step`` of the layer.

    Attributes
    ----------
    window, step, pad, size, spacing : see :class:`winogen.program.layout.Unfold`
    kernel, stride, after : taps, stride and padding that are left
    """

    window: int
    step: int
    pad: int
    size: int
    spacing: int
    kernel: int
    stride: int = 1
    after: int = 0


def _axis_folds(shape: ConvShape, axis: int) -> Iterator[_AxisFold]:
    """None, the samples of a stride, taps that lie apart, and all of them."""
    kernel, stride, pad = shape.kernel[axis], shape.stride[axis], shape.pad[axis]
    outputs = shape.output_size[axis]
    yield _AxisFold(1, 1, 0, shape.input_size[axis], 1, kernel, stride, pad)
    if 1 < stride < kernel:
        taps = -(-kernel // stride)
        yield _AxisFold(stride, stride, pad, outputs + taps - 1, 1, taps)
    # A kernel as large as the image would have each image taken apart for a single output.
    if outputs > 1 and stride == 1 and kernel > winograd.TAPS:
        window = -(-kernel // winograd.TAPS)
        taps = -(-kernel // window)
        yield _AxisFold(window, 1, pad, outputs + taps - 1, taps, taps)
    if kernel > 1 and (outputs > 1 or stride >= kernel):
        yield _AxisFold(kernel, stride, pad, outputs, 1, 1)


def _unfolded(layer: QuantLayer, axes: Sequence[_AxisFold]) -> tuple[Unfold, QuantLayer]:
    taps = [np.arange(a.window)[:, None] * a.spacing + np.arange(a.kernel) * a.step for a in axes]
    cout, cin, rows, columns = layer.weight.shape
    weight = np.zeros((cout, cin, *(t.max() + 1 for t in taps)), np.int64)
    weight[..., :rows, :columns] = layer.weight
    split = weight[:, :, taps[0][:, :, None, None], taps[1]]
    channels = split.transpose(0, 2, 4, 1, 3, 5).reshape(cout, -1, *(a.kernel for a in axes))
    window, step, pad, size, spacing, kernel, stride, after = map(_pair, zip(*axes))
    unfold = Unfold(window, step, pad, size, spacing)
    folded = ConvShape(False, kernel, stride, after, size, layer.shape.output_size)
    return unfold, replace(layer, shape=folded, weight=channels)


def output_folds(layer: QuantLayer, lanes: int) -> Iterator[tuple[DepthToSpace, QuantLayer]]:
    """Every fold of a (transposed) convolution's output, and the layer that it becomes."""
    shape = layer.shape
    single = shape.transposed and 1 in shape.input_size
    if layer.diagonal or layer.bias.ndim != 1 or single or shape.output_size == (1, 1):
        return
    for neighbours in product(_NEIGHBOURS, repeat=2):
        block = _pair(n * s if shape.transposed else n for n, s in zip(neighbours, shape.stride))
        pixels = block[0] * block[1]
        fits = all(b <= n for b, n in zip(block, shape.output_size))
        if pixels > 1 and fits and layer.channels * pixels <= _MOST_BLOCKS * lanes:
            yield DepthToSpace(block), _spread(layer, block)


def _spread(layer: QuantLayer, block: tuple[int, int]) -> QuantLayer:
    """The convolution whose channels are a block of a layer's output pixels."""
    shape = layer.shape
    axes = [_axis_taps(shape, axis, block[axis]) for axis in (0, 1)]
    low = [min(0, *(d for taps in axis for d, _ in taps)) for axis in axes]
    high = [max(d for taps in axis for d, _ in taps) for axis in axes]
    kernel = _pair(h - n + 1 for n, h in zip(low, high))
    cout, cin = layer.weight.shape[:2]
    weight = np.zeros((*block, cout, cin, *kernel), np.int64)
    for (y, rows), (x, columns) in product(enumerate(axes[0]), enumerate(axes[1])):
        for (dy, ky), (dx, kx) in product(rows, columns):
            weight[y, x, :, :, dy - low[0], dx - low[1]] = layer.weight[:, :, ky, kx]
    pixels = block[0] * block[1]
    folded = ConvShape(
        False,
        kernel,
        _pair(b // s if shape.transposed else b * s for b, s in zip(block, shape.stride)),
        _pair(-n for n in low),
        shape.input_size,
        _pair(-(-n // b) for n, b in zip(shape.output_size, block)),
    )
    r = layer.requantiser
    return replace(
        layer,
        shape=folded,
        weight=weight.reshape(pixels * cout, cin, *kernel),
        bias=np.tile(layer.bias, pixels),
        requantiser=Requantiser(
            *(np.tile(v, pixels) for v in (r.positive, r.negative, r.shift, r.low, r.high))
        ),
    )


def _axis_taps(shape: ConvShape, axis: int, block: int) -> list[list[tuple[int, int]]]:
    """For each of a block's output samples along an axis, its (offset, tap) pairs.

    The offset is from where the block's window of the input begins.
    """
    kernel, stride, pad = shape.kernel[axis], shape.stride[axis], shape.pad[axis]
    if not shape.transposed:
        return [[(stride * r + k - pad, k) for k in range(kernel)] for r in range(block)]
    phases = transposed_taps(kernel, stride, pad)
    return [[(r // stride + d, k) for d, k in phases[r % stride]] for r in range(block)]


def _pair(values: Iterable[int]) -> tuple[int, int]:
    first, second = values
    return first, second
