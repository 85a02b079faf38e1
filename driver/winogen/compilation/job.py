"""A job: a network that is read, with all that its options ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winogen.compiler.calibrate import Observed, observe
from winogen.compiler.options import CompileOptions
from winogen.compiler.products import by_squares
from winogen.compiler.quantise import quantise_observed
from winogen.compiler.quantised import QuantNetwork
from winogen.network.graph import Graph
from winogen.network.load import read_network
from winogen.quality.inputs import read_calibration
from winogen.quality.verdict import Trial, search_percentile


@dataclass(frozen=True)
class Job:
    """A network to compile.

    Attributes
    ----------
    graph : the network
    options : what is asked for; only the calibration inputs are not read from here
    inputs : inputs (N, C, H, W) to calibrate with, or None: drawn by the options' seed
    """

    graph: Graph
    options: CompileOptions
    inputs: NDArray[np.float32] | None

    def observe(self) -> Observed:
        """Run the float network on the calibration inputs."""
        return observe(self.graph, self.inputs, seed=self.options.seed or 0)

    def quantise(
        self, observed: Observed, progress: Callable[[str], None] | None = None
    ) -> QuantNetwork:
        """The network in integers, at its own size."""
        return quantise_observed(
            observed,
            self.options.data_width,
            calibration=self.options.calibration,
            progress=progress,
        )

    def searched(
        self, observed: Observed, progress: Callable[[str], None]
    ) -> tuple[Job, list[Trial]]:
        """The job with the percentile that gives the best images, and all that were tried."""
        best, trials = search_percentile(
            observed, self.options.data_width, self.options.calibration, progress
        )
        return replace(self, options=replace(self.options, percentile=best.percentile)), trials


def read_job(
    model: str | Path | Graph,
    options: CompileOptions,
    progress: Callable[[str], None] | None = None,
) -> Job:
    """Read a network, and the calibration inputs where they are files.

    Parameters
    ----------
    model : a name of the zoo, a folder with layers.yaml, an ONNX or network file, or a graph
    progress : called with the name of each stage

    Raises
    ------
    ModelError, UnsupportedLayerError : there is no such network, or it cannot run
    InputError : an option does not apply to it, or a file cannot be read
    """
    graph = read_network(model, options)
    options.check_applies(graph)
    inputs = None
    if options.inputs is not None:
        inputs = read_calibration(options.inputs, graph, progress)
    return Job(by_squares(graph, inputs), options, inputs)
