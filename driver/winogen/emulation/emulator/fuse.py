"""Recognising what a stream computes, so that whole layers can be computed at once.

A symbolic walk over the stream follows what every on-chip memory holds: which bytes of DRAM each
COMPUTE really combines, and where its results go. Computations of the same tiles then merge over
blocks of input channels (their sums continue each other) and of output channels (they share the
input). The result is a list of :class:`Job`; each is a (transposed) convolution over a box of
tiles with all its channels. Anything that does not fit the pattern raises
:class:`NotRecognised`, and the caller executes instruction by instruction instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from winogen.emulation.emulator.held import NotRecognised
from winogen.emulation.emulator.jobs import Job
from winogen.emulation.emulator.merge import merge_layers
from winogen.emulation.emulator.spans import Span
from winogen.emulation.emulator.walk import Reader, Walk
from winogen.target.board import CoreConfig
from winogen.target.isa import Instruction
from winogen.target.registers import Segment


def recognise(
    instructions: Sequence[Instruction],
    order: Sequence[int],
    core: CoreConfig,
    bases: Mapping[Segment, int],
    read: Reader,
    join: Callable[[list[Job]], list[Job]] | None = None,
) -> tuple[list[Job], list[Span]]:
    """The jobs of a stream, in an order that gives its bits, and what it cannot start without.

    The latter are ranges of DRAM that it reads and then stores over: who does some of the jobs and
    then has the machine do all has to put back what was there.

    ``order`` is one in which the tokens allow the instructions to run; ``bases`` are the bus
    addresses of the segments. ``join`` may join jobs of a layer whose order is free.
    """
    walk = Walk(core, bases, read)
    for index in order:
        walk.step(instructions[index])
    if any(s.chain for s in walk.sums) or walk.outputs:
        raise NotRecognised("a result is never stored")
    if walk.undecoded:
        raise NotRecognised("coded weights that may be wrong, whoever needs them")
    return merge_layers(walk.jobs, core.word_bytes, join), list(walk.overwritten)
