"""What the options of ``compile_options`` name: a network, and how it is calibrated."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.common.progress import Progress
from winogen.compiler.calibrate import DEFAULT_CALIBRATION, Calibration, Observed, observe
from winogen.compiler.compile import Compiled
from winogen.compiler.integers import QuantNetwork
from winogen.compiler.quantise import quantise_observed
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.quality.inputs import read_calibration
from winogen.quality.study import study
from winogen.quality.verdict import grade, improvements, quality, search_percentile, verdict_text


@dataclass(frozen=True)
class Job:
    """A network to quantise, and its calibration; ``inputs`` are None if drawn by ``seed``."""

    graph: Graph
    calibration: Calibration
    inputs: NDArray[np.float32] | None
    seed: int

    def observe(self) -> Observed:
        """Run the float network on the calibration inputs."""
        return observe(self.graph, self.inputs, seed=self.seed)


def percentile(text: str) -> float | str:
    """The value of ``--percentile``: a number, or ``auto``."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number and not 'auto'") from None


def read_job(options: argparse.Namespace, data_width: int) -> Job:
    """Read the network that the options name, and choose its calibration.

    ``--percentile auto`` quantises it several times, and prints what it found.
    """
    if (options.calib_seed or 0) < 0:
        raise InputError("a seed must not be negative")
    default = DEFAULT_CALIBRATION[data_width]
    search = options.percentile == "auto"
    calibration = Calibration(
        default.percentile if search or options.percentile is None else options.percentile,
        default.headroom if options.headroom is None else options.headroom,
    )
    if options.calib is not None and options.calib_seed is not None:
        raise InputError("--calib brings its own inputs: leave --calib-seed out")
    with Progress(f"reading {options.model}") as progress:
        graph = load_network(
            options.model,
            weights=options.weights,
            image_size=options.image_size,
            input_range=options.input_range and tuple(options.input_range),
            output_range=options.output_range and tuple(options.output_range),
            latents=options.latents,
        )
        inputs = None
        if options.calib is not None:
            inputs = read_calibration(options.calib, graph, progress.stage)
    if inputs is not None:
        print(f"calibrating on {len(inputs)} inputs of {options.calib}")
    for note in graph.notes:
        print(f"note: {note}")
    job = Job(graph, calibration, inputs, options.calib_seed or 0)
    return _search(job, data_width) if search else job


def _search(job: Job, data_width: int) -> Job:
    """The job with the percentile that gives the best images."""
    with Progress(f"calibrating {job.graph.name}") as progress:
        best, trials = search_percentile(
            job.observe(), data_width, job.calibration.headroom, progress.stage
        )
    for trial in trials:
        chosen = " (chosen)" if trial.option == f"--percentile {best.percentile:g}" else ""
        print(f"{trial.change}: {quality(trial.result)}{chosen}")
    print()
    return replace(job, calibration=best)


def verdict(job: Job, network: QuantNetwork) -> str:
    """How good the images are, in words; unless they are good, also what would better them."""
    if grade(network.report[-1]) == "good":
        return verdict_text(network)
    with Progress(f"looking for better images of {job.graph.name}") as progress:
        progress.stage("running the float network")
        network = network.resized(job.graph)  # calibration is not for windows
        trials = improvements(job.observe(), network, job.calibration, progress.stage)
    return verdict_text(network, trials)


def report(job: Job, compiled: Compiled, text: str) -> str:
    """The page for ``--report``: the network at both data widths; ``text`` is the verdict."""
    from winogen.reports.page import report_page

    network = compiled.network.resized(job.graph)
    other = 24 - network.data_width  # 8 or 16
    with Progress(f"reporting on {job.graph.name}") as progress:
        progress.stage("running the float network")
        observed = job.observe()
        networks = {
            network.data_width: network,
            other: quantise_observed(observed, other, progress=progress.stage),
        }
        return report_page(compiled.program, study(observed, networks), text)
