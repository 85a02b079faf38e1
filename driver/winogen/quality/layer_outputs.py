"""Every layer's output from any device, in one run of a program's own instructions.

A program's tensors share scratch memory, so that most are overwritten before the run ends. A
*traced* program has the same instructions, weights and tokens, but every layer stores its output in
a place of its own, and reads its inputs from there: only DRAM addresses differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ProgramError
from winogen.network.graph import Shape
from winogen.program.file import Program
from winogen.program.formats import TensorFormat
from winogen.program.host_layers import HostStep, Place
from winogen.program.layout import PLAIN
from winogen.program.parts import StreamInfo
from winogen.runtime.generator import Generator
from winogen.target import isa
from winogen.target.isa import LoadInput, Store
from winogen.target.registers import Segment


@dataclass(frozen=True)
class _Place:
    """Where a layer's output lies: bytes [start, stop) of a segment."""

    segment: int
    start: int
    stop: int


def traced(program: Program) -> Program:
    """The program whose output is all layers' outputs, one after the other, as they lie in DRAM.

    It runs like any other; its output has shape (values, 1, 1), and its integers stand for
    themselves. ProgramError where a stream reads what no layer has stored.
    """
    words = sum(_image_words(program))
    whole = replace(
        program,
        output_shape=(words * program.core.co_lanes, 1, 1),
        output_format=TensorFormat(1.0),
        output_range=None,
        shuffle=PLAIN,
        streams=tuple(_traced_stream(program, stream) for stream in program.streams),
    )
    # Traced outputs need more memory: the largest streams may have no room.
    first, *others = whole.streams
    fitting = [s for s in others if whole.memory(s.batch).fits(program.board.contiguous_mib)]
    return replace(whole, streams=(first, *fitting))


def run_layers(
    program: Program,
    generator: Generator,
    x: NDArray,
    progress: Callable[[int], None] | None = None,
) -> list[NDArray[np.int64]]:
    """Output integers (N, C, H, W) of every layer of ``program`` for inputs x.

    ``generator`` runs ``traced(program)``.
    """
    parts = []
    done = 0
    for stream in _streams(generator.program, len(x)):
        out = generator.generate(x[done : done + stream.batch], as_float=True)
        parts.append(_split(program, out.astype(np.int64).ravel(), stream.batch))
        done += stream.batch
        if progress:
            progress(done)
    return [np.concatenate(layer) for layer in zip(*parts)]


def _streams(program: Program, count: int) -> Iterator[StreamInfo]:
    """Streams whose batches add up to ``count``, so that each call of generate runs just one."""
    for stream in reversed(program.streams):
        while count >= stream.batch:
            yield stream
            count -= stream.batch


def _image_words(program: Program) -> list[int]:
    """Words of every layer's output for one image."""
    lanes = program.core.co_lanes
    return [-(-c // lanes) * h * w for c, h, w in _stored(program)]


def _stored(program: Program) -> list[Shape]:
    """The shape of every layer's output as it lies in memory."""
    return [*(layer.output for layer in program.layers[:-1]), program.stored_shape]


def _split(program: Program, values: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Layers' outputs (batch, C, H, W) from the memory of one traced run."""
    lanes = program.core.co_lanes
    layers = []
    start = 0
    for (c, h, w), words in zip(_stored(program), _image_words(program)):
        stop = start + batch * words * lanes
        grid = values[start:stop].reshape(batch, -1, h, w, lanes).transpose(0, 1, 4, 2, 3)
        layers.append(grid.reshape(batch, -1, h, w)[:, :c])
        start = stop
    layers[-1] = program.shuffle.apply(layers[-1], program.output_shape)
    return layers


def _traced_stream(program: Program, stream: StreamInfo) -> StreamInfo:
    instructions = stream.instructions()
    sizes = [stream.batch * w * program.core.word_bytes for w in _image_words(program)]
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    places: dict[int, _Place] = {}
    for step in stream.host:
        start = step.target.offset
        places[step.layer] = _Place(
            step.target.segment, start, start + step.target.size(stream.batch)
        )
    for i in instructions:  # the first word of an output is its lowest address
        if isinstance(i, Store) and i.layer < len(sizes):
            first = places[i.layer].start if i.layer in places else i.offset
            start = min(first, i.offset)
            places[i.layer] = _Place(i.segment, start, start + sizes[i.layer])
    for number, i in enumerate(instructions):
        if isinstance(i, Store):
            source = i.layer
        elif isinstance(i, LoadInput) and i.segment != Segment.INPUT:
            source = _writer(places, i.segment, i.offset, i.layer)
        else:
            continue
        if source not in places:
            raise ProgramError(
                f"instruction {number} of batch {stream.batch} belongs to no layer's output, so "
                "the program cannot be traced; compile it again"
            )
        i.offset += starts[source] - places[source].start
        i.segment = Segment.OUTPUT
    try:
        code = isa.encode(instructions)
    except isa.EncodingError as error:
        raise ProgramError(f"program '{program.name}' is too large to trace: {error}") from None
    return replace(
        stream,
        stream=code,
        output_bytes=starts[-1],
        scratch_bytes=0,
        host=tuple(_traced_step(step, places, starts) for step in stream.host),
    )


def _traced_step(step: HostStep, places: dict[int, _Place], starts: list[int]) -> HostStep:
    """A step of the host with its data where a traced stream has them."""

    def moved(place: Place, source: int) -> Place:
        if place.segment is Segment.INPUT:
            return place
        if source not in places:
            raise ProgramError(
                f"the host's layer {step.layer} reads what no layer has made, so the program "
                "cannot be traced; compile it again"
            )
        offset = place.offset + starts[source] - places[source].start
        return replace(place, segment=Segment.OUTPUT, offset=offset)

    sources = (moved(p, _writer(places, p.segment, p.offset, step.layer)) for p in step.sources)
    return replace(step, sources=tuple(sources), target=moved(step.target, step.layer))


def _writer(places: dict[int, _Place], segment: int, offset: int, layer: int) -> int:
    """The layer that was the last to store at an address before ``layer``; -1 if none was."""
    writers = (
        n
        for n, p in places.items()
        if n < layer and p.segment == segment and p.start <= offset < p.stop
    )
    return max(writers, default=-1)
