"""From a job to a program, and how close that comes to the float network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.quantised import QuantNetwork
from winogen.program.file import Program
from winogen.quality.measure import Quality, measure_network


@dataclass(frozen=True)
class Compilation:
    """What became of a job.

    Attributes
    ----------
    program : for the board
    network : the network in integers, at its own size where the program is for windows
    quality : how close it comes to the float network
    remarks : sentences on channels whose weights are too large to share a multiplier, on
        functions that bend too much for their tables, and on scales trained for another data width
    """

    program: Program
    network: QuantNetwork
    quality: Quality
    remarks: tuple[str, ...]


def compile_job(job: Job, progress: Callable[[str], None] | None = None) -> Compilation:
    """Compile a job; ``progress`` is called with the name of each stage.

    Raises
    ------
    UnsupportedLayerError, QuantisationError, ScheduleError : naming the layer and the reason
    BoardError, InputError : the board, or an option that does not apply to it
    """
    say = progress or (lambda _: None)
    say("calibrating")
    observed = job.observe()
    if job.options.searches:
        job, _ = job.searched(observed, say)
    network = job.quantise(observed, say)
    say("measuring")
    quality = measure_network(network, observed)
    del observed  # it can be large
    compiled = compile_network(job.graph, network, job.options, say)
    return Compilation(compiled.program, network, quality, compiled.remarks)
