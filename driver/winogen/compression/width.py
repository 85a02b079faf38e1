"""How wide a network is, and how fast its board is with it, by the cycle model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.fold import fold
from winogen.compiler.options import PLAIN
from winogen.compiler.outline import outline
from winogen.compression.narrow import narrowed
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.program.speed import speed

#: Inputs that tell which channels matter.
_INPUTS = 32


def at_width(job: Job, share: float) -> Graph:
    """The job's network with this share of its channels."""
    return narrowed(job.graph, share, drawn(job))


def drawn(job: Job) -> NDArray[np.float32]:
    """Inputs (N, C, H, W) that tell which channels of the job's network matter."""
    if job.inputs is not None:
        return job.inputs[:_INPUTS]
    return sample_inputs(job.graph.input, _INPUTS, job.options.seed or 0)


def program_of(job: Job, graph: Graph) -> Program:
    """A program of the time and memory of this graph's, which computes nothing that is right.

    Its weights lie plain: those that a layer begins with may be few values, those that are trained
    are not.
    """
    options = replace(job.options, coding=PLAIN)
    found = outline(graph, fold(graph), options.data_width)
    return compile_network(graph, found.network, options).program


def images_per_second(job: Job, graph: Graph) -> float:
    """As predicted for the job's board, with its processor, in the largest batches."""
    program = program_of(job, graph)
    return speed(program, program.streams[-1]).overlapped
