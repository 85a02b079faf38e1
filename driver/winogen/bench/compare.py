"""One network on all that can run it: emulated device, onnxruntime, and each board, predicted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.bench.peer import Peer, float_peer, int8_peer
from winogen.common.errors import BoardError, DeviceError, InputError, ModelError, QuantisationError
from winogen.compilation.check import check
from winogen.compilation.checked import Prediction
from winogen.compilation.job import Job
from winogen.compiler.compile import compile_network
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantise import quantise_observed
from winogen.quality.measure import psnr
from winogen.quality.ssim import ssim
from winogen.runtime.generator import Generator
from winogen.target.board import board_names, load_board

#: Runs that a time is the median of, and seconds after which no more are begun.
ROUNDS, SECONDS = 5, 10.0
#: Data widths that are compared.
WIDTHS = (8, 16)


@dataclass(frozen=True)
class Contender:
    """What ran the network on this machine.

    Attributes
    ----------
    name : in words
    missing : why it did not run, one sentence; empty if it did, and all that follows is then None
    seconds : of an image, in the batch that was compared; the median of several runs
    nbytes : of weights, as it keeps them
    psnr, ssim : beside the float network; ssim is None where it is not defined
    outputs : (N, C, H, W)
    """

    name: str
    missing: str = ""
    seconds: float | None = None
    nbytes: int | None = None
    psnr: float | None = None
    ssim: float | None = None
    outputs: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Comparison:
    """What was found of a network.

    Attributes
    ----------
    network : its name
    inputs : (N, C, H, W) that all of them ran; ``is_image`` if they are pictures
    black_white : real values of these in an image; those of the outputs' ends where it is none
    exact : outputs (N, C, H, W) of the float network by winogen's own reference
    parameters : weights of the network
    threads : that onnxruntime had
    contenders : what ran it here
    boards : predictions
    """

    network: str
    inputs: NDArray[np.float32]
    is_image: bool
    black_white: tuple[float, float]
    exact: NDArray[np.float32]
    parameters: int
    threads: int
    contenders: tuple[Contender, ...]
    boards: tuple[Prediction, ...]


def compare(
    job: Job, *, threads: int = 1, progress: Callable[[str], None] | None = None
) -> Comparison:
    """Run a network on everything here, and predict it for every board.

    Parameters
    ----------
    job : the network; its options say how it is calibrated and compiled
    threads : of onnxruntime
    progress : called with the name of each stage

    Raises
    ------
    UnsupportedLayerError, QuantisationError, ScheduleError : it does not run on the accelerator
    InputError : threads is no possible number
    """
    if not 1 <= threads <= 1024:
        raise InputError(f"threads must be 1 to 1024, not {threads}")
    say = progress or (lambda _: None)
    graph = job.graph.without_exits()
    job = replace(job, graph=graph)
    say("running the float network")
    observed = job.observe()
    x = observed.checked
    exact = observed.expected[observed.blocks[-1].name].astype(np.float32)
    black_white = graph.output_range or (float(exact.min()), float(exact.max()))
    peak = black_white[1] - black_white[0]

    def judge(name: str, run: Callable[[], NDArray[np.float32]], nbytes: int) -> Contender:
        outputs, seconds = _timed(run, len(x))
        return Contender(
            name, "", seconds, nbytes, psnr(outputs, exact, peak), ssim(outputs, exact, peak),
            outputs,
        )  # fmt: skip

    contenders = []
    for width in WIDTHS:
        name = f"winogen int{width}, emulated"
        say(name)
        try:
            options = _of_width(job, width, len(x))
            network = quantise_observed(
                observed, width, calibration=options.calibration, progress=say
            )
        except (BoardError, QuantisationError) as error:
            if width == job.options.target.core.data_width:
                raise
            contenders.append(Contender(name, str(error)))
            continue
        program = compile_network(graph, network, options).program
        with Generator(program) as generator:
            contenders.append(
                judge(
                    name,
                    lambda g=generator: g.generate(x, as_float=True),  # type: ignore[misc]
                    program.stored.nbytes,
                )
            )
    makers: tuple[tuple[str, Callable[[], Peer]], ...] = (
        ("onnxruntime float32", lambda: float_peer(graph, threads)),
        ("onnxruntime int8", lambda: int8_peer(graph, _calibration(job, x), threads)),
    )
    for name, make in makers:
        say(name)
        try:
            peer = make()
            found = judge(name, lambda p=peer: p.run(x), peer.nbytes)  # type: ignore[misc]
        except (DeviceError, ModelError) as error:
            found = Contender(name, str(error))
        contenders.append(found)
    say("predicting for each board")
    parameters = sum(n.params["weight"].size for n in graph.nodes if "weight" in n.params)
    boards = check(graph, board_names(), progress=say).predictions
    return Comparison(
        graph.name,
        x,
        graph.input.kind == "image",
        black_white,
        exact,
        parameters,
        threads,
        tuple(contenders),
        boards,
    )


def _of_width(job: Job, width: int, batch: int) -> CompileOptions:
    """The job's options at a data width, for the board that it is compiled for."""
    board = job.options.target
    if board.core.data_width != width:
        board = load_board(board.name, width)
    percentile = job.options.percentile
    return replace(
        job.options,
        board=board,
        bits=width,
        batch=batch,
        percentile=None if isinstance(percentile, str) else percentile,
    )


def _calibration(job: Job, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What onnxruntime's quantiser sees: the job's inputs, or those that all are compared on."""
    return x if job.inputs is None else job.inputs


def _timed(
    run: Callable[[], NDArray[np.float32]], images: int
) -> tuple[NDArray[np.float32], float]:
    """Outputs, and seconds of an image: the median of several runs after a first one."""
    outputs = np.asarray(run(), np.float32)
    begin = time.perf_counter()
    times: list[float] = []
    while len(times) < ROUNDS and (not times or time.perf_counter() - begin < SECONDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return outputs, statistics.median(times) / images
