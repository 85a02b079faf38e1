"""From a network to a program: quantise, pack, schedule, predict.

The data flows one way: graph -> blocks -> integer layers -> packed layers -> streams -> program.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError, ScheduleError
from winogen.compiler.ends import fold_ends
from winogen.compiler.functions import table_remarks
from winogen.compiler.lower import Mode, useful_multiplies, zero_padded_multiplies
from winogen.compiler.options import CODED, DEFAULT_BATCH, CompileOptions
from winogen.compiler.pack import (
    PackedHost,
    PackedLayer,
    PackedNetwork,
    in_order,
    pack_each,
    pack_network,
)
from winogen.compiler.pairs import remarks
from winogen.compiler.products import by_squares
from winogen.compiler.quantise import quantise
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.compiler.schedule import schedule
from winogen.compiler.tiling import choose_tiling
from winogen.cost.simulate import simulate
from winogen.network.graph import Graph
from winogen.network.locality import locality
from winogen.network.options import adapt
from winogen.program.exits import Exit
from winogen.program.file import Program
from winogen.program.memory_plan import MemoryPlan, plan
from winogen.program.parts import HOST, LayerInfo, StreamInfo
from winogen.target import isa
from winogen.target.board import Board
from winogen.target.checks import descriptor_problem
from winogen.target.isa import Instruction

#: Input pixels of a batch unless asked otherwise: large images keep the array busy alone.
BATCH_PIXELS = 1 << 16
#: Multiplies of a batch unless asked otherwise: so many take a tenth of a second and more.
BATCH_MULTIPLIES = 1 << 34


@dataclass(frozen=True)
class Compiled:
    """A program, and the integer network that defines what it must compute.

    ``remarks`` are sentences on channels whose weights are too large to share a multiplier, on
    functions that bend too much for their tables, and on scales trained for another data width.
    """

    program: Program
    network: QuantNetwork
    remarks: tuple[str, ...] = ()


def compile_graph(
    graph: Graph,
    board: str | Path | Board,
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Compiled:
    """Compile a network that is read already.

    ``options`` are those of :class:`winogen.compiler.options.CompileOptions`, but that
    calibration inputs are arrays (N, C, H, W), and no percentile is searched for: both are up to
    :func:`winogen.compile_model`. ``progress`` is called with the name of each stage.

    Raises
    ------
    UnsupportedLayerError, QuantisationError, ScheduleError : naming the layer and the reason
    InputError : an argument is wrong
    """
    chosen = CompileOptions.of("compile_graph", {"board": board, **options})
    if chosen.searches or isinstance(chosen.inputs, (str, Path)):
        raise InputError(
            "compile_graph neither searches for a percentile nor reads files of calibration "
            "inputs: use winogen.compile_model"
        )
    graph = by_squares(adapt(graph, chosen), chosen.inputs)
    network = quantise(
        graph,
        chosen.data_width,
        calibration=chosen.calibration,
        inputs=chosen.inputs,
        seed=chosen.seed or 0,
        progress=progress,
    )
    return compile_network(graph, network, chosen, progress)


def compile_network(
    graph: Graph,
    network: QuantNetwork,
    options: CompileOptions,
    progress: Callable[[str], None] | None = None,
    sizes: Sequence[int] | None = None,
) -> Compiled:
    """Compile what a graph was quantised to, for the board of the options.

    Of the options, those of calibration no longer matter. ``sizes`` are the batches that get a
    stream, the largest last, where not all powers of two are wanted. The rest is as for
    :func:`compile_graph`.
    """
    say = progress or (lambda _: None)
    board, window = options.target, options.window
    options.check_applies(graph)
    if window and window != graph.input.shape[1:]:
        graph = graph.resized(window)
        network = network.resized(graph)
    largest = options.batch or _default_batch(network.without_exits())
    say("packing weights")
    mode = Mode(options.mode)
    core = board.core if options.coding == CODED else replace(board.core, decoder=0)
    ends = fold_ends(network, replace(board, core=core), mode, largest)
    packed = pack_network(ends.network, core, mode)
    _check_heads(packed)
    if not any(isinstance(p, PackedLayer) for p in packed.layers):
        raise ScheduleError(
            f"network '{graph.name}' has no layer for the accelerator: the processor would compute "
            "all of it; run it with a library that is made for that"
        )
    parts = [packed.at_exit(number + 1) for number in range(len(network.outputs))]
    streams: list[list[StreamInfo]] = [[] for _ in parts]
    for size in sizes or batch_sizes(largest):
        say(f"scheduling batch {size}")
        mark = packed.writer.mark()
        made = [_stream(part, board, size) for part in parts]
        memory = plan(len(packed.segment), [s for own in (*streams, made) for s in own])
        if not memory.fits(board.contiguous_mib):
            if size == 1 or options.batch is not None:
                raise ScheduleError(_does_not_fit(graph, board, size, memory))
            packed.forget(mark)
            break
        for own, stream in zip(streams, made):
            own.append(stream)
    channels = {Graph.INPUT_NAME: ends.network.input.shape[0]}
    channels.update({layer.name: layer.channels for layer in ends.network.layers})
    layers = in_order(network)[0]
    infos = [
        _layer_info(p, layer, [channels[s] for s in layer.sources], board.core.ci_lanes)
        if isinstance(p, PackedLayer)
        else _host_info(layer)
        for p, layer in zip(packed.layers, layers)
    ]
    whole = len(parts[-1].layers)
    program = Program(
        graph.name,
        board,
        graph.input,
        network.input_format,
        network.layers[-1].output_shape,
        network.output_format,
        graph.output_range,
        tuple(infos[:whole]),
        tuple(streams[-1]),
        packed.segment,
        locality(graph.without_exits()),
        ends.unfold,
        ends.shuffle,
        {n: p.host for n, p in enumerate(packed.layers) if isinstance(p, PackedHost)},
        packed.pieces(),
        sum(node.params["weight"].size for node in graph.nodes if "weight" in node.params),
        tuple(infos[whole:]),
        tuple(
            Exit(
                numbers,
                tuple(replace(stream, exit=number + 1) for stream in own),
                network.at_exit(number + 1).output_format,
                shuffle,
                locality(graph.at_exit(number + 1)),
            )
            for number, (numbers, own, shuffle) in enumerate(
                zip(packed.numbers, streams, ends.exits)
            )
        ),
    )
    engine = [p for p in packed.layers if isinstance(p, PackedLayer)]
    said = [r for p in engine for r in remarks(p.layer.label, p.runs, board.core.co_lanes)]
    said += table_remarks(network.layers, network.data_width)
    if graph.trained_bits not in (None, network.data_width):
        said.append(
            f"network {graph.name} was trained in integers of {graph.trained_bits} bits; in "
            f"{network.data_width} it is calibrated as any other: --bits {graph.trained_bits} "
            "keeps what was trained"
        )
    return Compiled(program, network, tuple(said))


def predicted_cycles(
    network: QuantNetwork, options: CompileOptions, batches: Sequence[int]
) -> list[int]:
    """Cycles that a network without exits takes for batches of these sizes, the largest last.

    They are those of its program. Raises ScheduleError, naming the layer that does not fit.
    """
    board, mode = options.target, Mode(options.mode)
    ends = fold_ends(network, board, mode, batches[-1])
    packed = pack_network(ends.network, board.core, mode)
    return [_stream(packed, board, size).cycles for size in batches]


def _check_heads(packed: PackedNetwork) -> None:
    """Raise ScheduleError for a layer of an exit alone that the processor would compute."""
    whole = packed.numbers[-1] if packed.numbers else range(len(packed.layers))
    for layer in packed.layers[len(whole) :]:
        if isinstance(layer, PackedHost):
            raise ScheduleError(
                f"layer '{layer.layer.label}' is of an exit alone, and one for the processor: an "
                "exit ends in convolutions, or in layers that the whole network has too"
            )


def _default_batch(network: QuantNetwork) -> int:
    """How many images run at once where nobody asks for a number: fewer large ones."""
    pixels = math.prod(network.input.shape[1:])
    multiplies = sum(
        useful_multiplies(layer.shape) * math.prod(layer.weight.shape[:2])
        for layer in network.layers
        if layer.operands is None
    )
    most = min(BATCH_PIXELS // pixels, BATCH_MULTIPLIES // max(multiplies, 1))
    return min(max(most, 1), DEFAULT_BATCH)


def unfit_layers(network: QuantNetwork, board: Board, mode: str | Mode) -> list[str]:
    """A sentence on every layer of a network that the board's core has no room for."""
    problems = []
    for packed in pack_each(network, board.core, Mode(mode)):
        try:
            if isinstance(packed, ScheduleError):
                raise packed
            choose_tiling(packed, board, 1)
        except ScheduleError as error:
            problems.append(str(error))
    return problems


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
    end: list[int] = []  # of each instruction, in cycles of the accelerator from the start
    total = 0
    for piece in stream.pieces():
        line = simulate(stream.instructions[piece.start : piece.stop], board)
        if line.deadlock is not None:
            index = piece.start + line.deadlock
            raise ScheduleError(f"instruction {index} of batch {batch} would wait for ever")
        end += [total + cycle for cycle in line.end]
        total += line.cycles
    ends = [0]
    for start, stop in zip(
        stream.layer_starts, [*stream.layer_starts[1:], len(stream.instructions)]
    ):
        ends.append(max(end[start:stop], default=ends[-1]))
    cycles = [b - a for a, b in itertools.pairwise(ends)]
    return StreamInfo(
        batch,
        _encode(stream.instructions, packed),
        stream.input_bytes,
        stream.output_bytes,
        stream.scratch_bytes,
        total,
        tuple(cycles),
        stream.host,
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


def _host_info(layer: QuantLayer) -> LayerInfo:
    """The same of a layer that the processor computes: the array multiplies nothing."""
    assert layer.operands is not None
    kind = layer.operands.op.kind + (", pad" if layer.operands.pad else "")
    return LayerInfo(layer.label, kind, HOST, layer.output_shape, 0, 0, 0)


def _layer_info(
    packed: PackedLayer, layer: QuantLayer, sources: list[int], lanes: int
) -> LayerInfo:
    """What a person wants to know of a layer, which may have been folded to another.

    ``sources`` are the channels of each value that the packed layer reads.
    """
    lowered, shape = packed.lowered, layer.shape
    channels = packed.layer.channels
    tiles = lowered.tiles[0] * lowered.tiles[1]
    done = 0
    for group in lowered.groups:
        for spec in group.passes:
            most = packed.windows[spec.source].blocks * lanes
            inputs = 1 if layer.diagonal else min(sources[spec.source], most)
            done += tiles * len(spec.steps) * inputs * channels
    pairs = layer.weight.shape[0] * layer.weight.shape[1]
    kernel = _by(shape.kernel)
    zero_padded = zero_padded_multiplies(shape)
    if shape.transposed and shape.input_size == (1, 1):
        kind = "linear"  # nothing is inserted into a single pixel
        zero_padded = useful_multiplies(shape)
    else:
        kind = f"{'deconv' if shape.transposed else 'conv'} k{kernel} s{_by(shape.stride)}"
    if packed.layer.shape != shape:
        kind += f" as k{_by(packed.layer.shape.kernel)} s{_by(packed.layer.shape.stride)}"
    return LayerInfo(
        layer.label,
        kind,
        lowered.mode.value,
        layer.output_shape,
        done,
        useful_multiplies(shape) * pairs,
        zero_padded * pairs,
    )


def _by(pair: tuple[int, int]) -> str:
    return "x".join(map(str, dict.fromkeys(pair)))
