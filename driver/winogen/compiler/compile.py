"""From a network to a program: quantise, pack, schedule, predict.

The data flows one way: graph -> blocks -> integer layers -> packed layers -> streams -> program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, ScheduleError
from winogen.compiler import lower
from winogen.compiler.calibrate import Calibration
from winogen.compiler.integers import QuantNetwork
from winogen.compiler.lower import Mode
from winogen.compiler.pack import PackedLayer, PackedNetwork, pack_network
from winogen.compiler.quantise import quantise
from winogen.compiler.schedule import schedule
from winogen.cost import simulate as cost
from winogen.network.graph import Graph
from winogen.network.locality import locality
from winogen.program.file import Program
from winogen.program.memory_plan import MemoryPlan, plan
from winogen.program.parts import LayerInfo, StreamInfo
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.checks import descriptor_problem
from winogen.target.isa import Instruction

#: Images of the largest stream unless asked otherwise.
DEFAULT_BATCH = 16
MAX_BATCH = 1024
#: Input pixels of a batch unless asked otherwise: large images keep the array busy alone.
BATCH_PIXELS = 1 << 16


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
    batch: int | None = None,
    window: tuple[int, int] | None = None,
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
        that any number of images can be run. Default: 16, or fewer for large images
        and where the board's contiguous memory does not hold their buffers
    window : rows and columns of the input, where the network takes images of any size;
        calibration is for the network's own size
    calibration, inputs, seed : see :func:`winogen.compiler.quantise.quantise`
    progress : called with the name of each stage

    Raises
    ------
    UnsupportedLayerError, QuantisationError, ScheduleError : naming the layer and the reason
    InputError : where an argument is wrong
    """
    if window and min(window) < 1:
        raise InputError(f"a window of {window[0]} x {window[1]} is not possible")
    largest = batch
    if largest is None:
        pixels = math.prod(window or graph.input.shape[1:])
        largest = min(max(BATCH_PIXELS // pixels, 1), DEFAULT_BATCH)
    if not 1 <= largest <= MAX_BATCH:
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
    if window and window != graph.input.shape[1:]:
        graph = graph.resized(window)
        network = network.resized(graph)
    say("packing weights")
    packed = pack_network(network, board.core, mode)
    streams: list[StreamInfo] = []
    for size in batch_sizes(largest):
        say(f"scheduling batch {size}")
        stream = _stream(packed, board, size)
        memory = plan(len(packed.segment), [*streams, stream])
        if not memory.fits(board.contiguous_mib):
            if size == 1 or batch is not None:
                raise ScheduleError(_does_not_fit(graph, board, size, memory))
            break
        streams.append(stream)
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
        locality(graph),
    )
    return Compiled(program, network)


def _does_not_fit(graph: Graph, board: Board, batch: int, memory: MemoryPlan) -> str:
    advice = "use a smaller batch"
    if batch == 1:
        advice = "use 8 bits, a smaller window"
    return (
        f"network {graph.name} in batches of {batch} needs {memory} of contiguous memory, board "
        f"{board.name} has {board.contiguous_mib} MiB: {advice}, or give the board's kernel more "
        "(cma=) and its description too (contiguous_mib)"
    )


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
