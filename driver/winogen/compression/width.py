"""How wide a network may be for its board to give so many images a second, by the cycle model."""

from __future__ import annotations

from collections.abc import Callable

from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.fold import fold
from winogen.compiler.outline import outline
from winogen.compression.narrow import narrowed
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.program.speed import speed

#: Shares of the channels that are told apart.
STEPS = 32
#: Inputs that tell which channels matter.
_INPUTS = 32


def at_width(job: Job, share: float) -> Graph:
    """The job's network with this share of its channels."""
    inputs = job.inputs
    if inputs is None:
        inputs = sample_inputs(job.graph.input, _INPUTS, job.options.seed or 0)
    return narrowed(job.graph, share, inputs[:_INPUTS])


def program_of(job: Job, graph: Graph) -> Program:
    """A program of the time and memory of this graph's, which computes nothing that is right."""
    found = outline(graph, fold(graph), job.options.data_width)
    return compile_network(graph, found.network, job.options).program


def images_per_second(job: Job, graph: Graph) -> float:
    """As predicted for the job's board, with its processor, in the largest batches."""
    program = program_of(job, graph)
    return speed(program, program.streams[-1]).overlapped


def fitting_width(job: Job, goal: float, say: Callable[[str], None]) -> float:
    """The largest share of its channels with which the network is as fast as ``goal``.

    Raises InputError, with what can be reached, where no share is narrow enough.
    """

    def fast(step: int) -> float:
        share = step / STEPS
        say(f"predicting {100 * share:.0f}% of the channels")
        graph = job.graph if step == STEPS else at_width(job, share)
        return images_per_second(job, graph)

    if fast(STEPS) >= goal:
        return 1.0
    low, high = 1, STEPS  # fast enough, too slow
    narrowest = fast(low)
    if narrowest < goal:
        raise InputError(
            f"{goal:g} images a second cannot be reached on {job.options.target.name}: with the "
            f"fewest channels, 8 a layer, {narrowest:,.1f} are predicted"
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fast(middle) >= goal else (low, middle)
    return low / STEPS
