"""From a network to a program: quantise, pack, schedule, predict.

The data flows one way: graph -> blocks -> integer layers -> packed layers -> streams -> program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen import cost, isa, lower
from winogen.board import Board
from winogen.descriptor import descriptor_problem
from winogen.errors import InputError, ScheduleError
from winogen.graph import Graph
from winogen.isa import Instruction
from winogen.lower import Mode
from winogen.pack import PackedLayer, PackedNetwork, pack_network
from winogen.program import LayerInfo, Program, StreamInfo
from winogen.quantise import Calibration, QuantNetwork, quantise
from winogen.schedule import schedule

#: Images of the largest stream unless asked otherwise.
DEFAULT_BATCH = 16
MAX_BATCH = 1024


@dataclass(frozen=True)
class Compiled:
    """A program, and the integer network that defines what it must compute."""

    program: Program
    network: QuantNetwork


def compile_graph(
    graph: Graph,
    board: Board,
    *,
    mode: Mode | str = Mode.AUTO,
    batch: int = DEFAULT_BATCH,
    calibration: Calibration | None = None,
    inputs: NDArray[np.float32] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Compiled:
    """Compile a network for a board.

    Parameters
    ----------
    mode : how multiplies are arranged; a :class:`Mode` or its name: ``auto``, ``winograd``,
        ``direct`` (TDC) or ``zero-padded``
    batch : images of the largest stream; streams for all powers of two below are made too, so
        that any number of images can be run
    calibration, inputs, seed : see :func:`winogen.quantise.quantise`
    progress : called with the name of each stage

    Raises
    ------
    UnsupportedLayerError, QuantisationError, ScheduleError : naming the layer and the reason
    InputError : where an argument is wrong
    """
    if not 1 <= batch <= MAX_BATCH:
        raise InputError(f"batch must be 1 to {MAX_BATCH}, not {batch}")
    try:
        mode = Mode(mode)
    except ValueError:
        known = ", ".join(m.value for m in Mode)
        raise InputError(f"unknown mode {mode!r}; choose one of {known}") from None
    say = progress or (lambda _: None)
    network = quantise(
        graph,
        board.core.data_width,
        calibration=calibration,
        inputs=inputs,
        seed=seed,
        progress=progress,
    )
    say("packing weights")
    packed = pack_network(network, board.core, mode)
    streams = []
    for size in batch_sizes(batch):
        say(f"scheduling batch {size}")
        streams.append(_stream(packed, board, size))
    channels = {Graph.INPUT_NAME: graph.input.shape[0]}
    channels.update({layer.name: layer.channels for layer in network.layers})
    program = Program(
        graph.name,
        board,
        graph.input,
        network.input_format,
        network.layers[-1].output_shape,
        network.output_format,
        graph.output_range,
        tuple(_layer_info(p, [channels[s] for s in p.layer.sources], board) for p in packed.layers),
        tuple(streams),
        packed.segment,
    )
    return Compiled(program, network)


def batch_sizes(largest: int) -> list[int]:
    """Batch sizes that get a stream: the powers of two below ``largest``, and itself."""
    sizes = [1 << i for i in range(largest.bit_length()) if 1 << i < largest]
    return [*sizes, largest]


def _stream(packed: PackedNetwork, board: Board, batch: int) -> StreamInfo:
    stream = schedule(packed, board, batch)
    for index, instruction in enumerate(stream.instructions):
        problem = descriptor_problem(instruction, board.core)
        if problem:  # the scheduler must never emit what the hardware refuses
            raise ScheduleError(f"instruction {index} of batch {batch} is illegal: {problem}")
    line = cost.simulate(stream.instructions, board)
    if line.deadlock is not None:
        raise ScheduleError(f"instruction {line.deadlock} of batch {batch} would wait for ever")
    ends = []
    for start, stop in zip(
        stream.layer_starts, [*stream.layer_starts[1:], len(stream.instructions)]
    ):
        ends.append(max(line.end[start:stop]))
    cycles = [b - a for a, b in zip([0, *ends], ends)]
    return StreamInfo(
        batch,
        _encode(stream.instructions, packed),
        stream.input_bytes,
        stream.output_bytes,
        stream.scratch_bytes,
        line.cycles,
        tuple(cycles),
    )


def _encode(instructions: Sequence[Instruction], packed: PackedNetwork) -> bytes:
    try:
        return isa.encode(instructions)
    except isa.EncodingError:  # find the layer whose sizes the fields cannot hold
        for instruction in instructions:
            try:
                isa.encode([instruction])
            except isa.EncodingError as error:
                label = packed.layers[instruction.layer].layer.label
                raise ScheduleError(f"layer '{label}' cannot be encoded: {error}") from None
        raise


def _layer_info(packed: PackedLayer, sources: list[int], board: Board) -> LayerInfo:
    layer, lowered = packed.layer, packed.lowered
    shape = layer.shape
    pairs = len(sources) * layer.channels if layer.diagonal else sum(sources) * layer.channels
    tiles = lowered.tiles[0] * lowered.tiles[1]
    done = 0
    for group in lowered.groups:
        for spec in group.passes:
            inputs = 1 if layer.diagonal else sources[spec.source]
            done += tiles * len(spec.steps) * inputs * layer.channels
    kernel = "x".join(map(str, dict.fromkeys(shape.kernel)))
    stride = "x".join(map(str, dict.fromkeys(shape.stride)))
    zero_padded = lower.zero_padded_multiplies(shape)
    if shape.transposed and shape.input_size == (1, 1):
        kind = "linear"  # nothing is inserted into a single pixel
        zero_padded = lower.useful_multiplies(shape)
    else:
        kind = f"{'deconv' if shape.transposed else 'conv'} k{kernel} s{stride}"
    return LayerInfo(
        layer.label,
        kind,
        lowered.mode.value,
        layer.output_shape,
        done,
        lower.useful_multiplies(shape) * pairs,
        zero_padded * pairs,
    )
