"""A job of the command line: what is said while it is read, and what is said of its quality."""

from __future__ import annotations

import warnings

from winogen.common.errors import NetworkNote
from winogen.common.progress import Progress
from winogen.compilation.compile import Compilation
from winogen.compilation.job import Job, read_job
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantise import quantise_observed
from winogen.quality.study import study
from winogen.quality.verdict import grade, improvements, in_words, verdict_text


def prepare(model: str, options: CompileOptions) -> Job:
    """Read the network that the options name, and choose its calibration.

    ``--percentile auto`` quantises it several times, and prints what it found.
    """
    with Progress(f"reading {model}") as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", NetworkNote)  # they are printed below
        job = read_job(model, options, progress.stage)
    if job.inputs is not None:
        print(f"calibrating on {len(job.inputs)} inputs of {options.inputs}")
    for note in job.graph.notes:
        print(f"note: {note}")
    return _search(job) if options.searches else job


def _search(job: Job) -> Job:
    """The job with the percentile that gives the best images."""
    with Progress(f"calibrating {job.graph.name}") as progress:
        job, trials = job.searched(job.observe(), progress.stage)
    for trial in trials:
        chosen = trial.option == f"--percentile {job.options.calibration.percentile:g}"
        print(f"{trial.change}: {in_words(trial.result)}{' (chosen)' if chosen else ''}")
    print()
    return job


def verdict(job: Job, compiled: Compilation) -> str:
    """How good the images are, in words; unless they are good, also what would better them."""
    network, quality = compiled.network, compiled.quality
    if grade(quality.output) == "good":
        return verdict_text(network, quality)
    with Progress(f"looking for better images of {job.graph.name}") as progress:
        progress.stage("running the float network")
        observed = job.observe()
        trials = improvements(observed, network, quality, job.options.calibration, progress.stage)
    return verdict_text(network, quality, trials)


def report(job: Job, compiled: Compilation, text: str) -> str:
    """The page for ``--report``: the network at both data widths; ``text`` is the verdict."""
    from winogen.reports.page import report_page

    network = compiled.network
    other = 24 - network.data_width  # 8 or 16
    with Progress(f"reporting on {job.graph.name}") as progress:
        progress.stage("running the float network")
        observed = job.observe()
        networks = {
            network.data_width: network,
            other: quantise_observed(observed, other, progress=progress.stage),
        }
        return report_page(compiled.program, study(observed, networks), text)
