"""What is done with a picture whose size is not the network's, and how long that takes."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from winogen.cli.options import compile_options
from winogen.common.errors import InputError, NetworkNote
from winogen.network.fitting import size_taken
from winogen.network.graph import Graph
from winogen.network.identify import identify
from winogen.network.load import is_onnx, read_network
from winogen.network.locality import locality
from winogen.program.file import Program
from winogen.program.speed import speed
from winogen.runtime.fit import Fit, chosen_fit
from winogen.runtime.windows import image_spans, padded_size

#: Rows and columns, at most, for which a network of any size is read to see whether it has windows.
_TRIED = 256


@dataclass(frozen=True)
class PictureJob:
    """A picture; ``size`` are its rows and columns."""

    source: Path
    target: Path
    size: tuple[int, int]


def choose_size(options: argparse.Namespace, jobs: list[PictureJob]) -> None:
    """Have the network read for images of a size, where its file leaves that open.

    With ``--fit pad`` likewise where it does not. A network that runs in windows needs no size as
    large as the pictures', on which it would be calibrated.
    """
    model = options.model
    if options.image_size or options.window or model.endswith(".wg"):
        return
    is_open = is_onnx(model) and Path(model).is_file() and identify(model).open_size
    if options.fit == Fit.RESIZE.value or not (is_open or options.fit == Fit.PAD.value):
        return
    asked = compile_options(options)

    def read(size: tuple[int, int]) -> Graph:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NetworkNote)  # they are told when it is read to be run
            return read_network(model, replace(asked, image_size=size))

    rows, columns = (max(job.size[axis] for job in jobs) for axis in (0, 1))
    small = min(rows, _TRIED), min(columns, _TRIED)
    if is_open:
        taken = size_taken(read, small)
        if locality(read(taken)) is not None:
            options.image_size = taken
            return
    elif locality(read_network(model, asked)) is not None:
        return
    options.image_size = size_taken(read, (rows, columns))


def fit_of(job: PictureJob, program: Program, wanted: str | None) -> Fit:
    """What is done with a picture; InputError, naming it, where that is not possible."""
    try:
        return chosen_fit(job.size, program, wanted)
    except InputError as error:
        raise InputError(f"{job.source}: {error}") from None


def padded_to(job: PictureJob, program: Program) -> list[int] | None:
    """Width and height that a picture is padded to; None if it is not."""
    rows, columns = padded_size(job.size, program)
    return None if (rows, columns) == job.size else [columns, rows]


def told_of_fit(job: PictureJob, program: Program, fit: Fit) -> str:
    """What is done with a picture, in words that follow its size."""
    rows, columns = program.input_shape[1:]
    if fit is Fit.RESIZE:
        return f" resized to {columns} x {rows}"
    padded = padded_to(job, program)
    text = ""
    if padded:
        text = (
            f", mirrored at the right and bottom to {padded[0]} x {padded[1]} and the result "
            "cropped"
        )
    if fit is Fit.PAD:
        return text
    return f"{text}{',' if padded else ''} in windows of {columns} x {rows}"


def predicted_seconds(program: Program, count: int) -> float:
    """Predicted time of so many windows of one picture, in the largest batches that they fill."""
    seconds = 0.0
    for stream in reversed(program.streams):
        runs, count = divmod(count, stream.batch)
        seconds += runs * stream.batch / speed(program, stream).overlapped
    return seconds


def window_count(job: PictureJob, program: Program, fit: Fit) -> int:
    """How many windows cover a picture."""
    if fit is not Fit.WINDOWS:
        return 1
    rows, columns = image_spans(padded_size(job.size, program), program)
    return len(rows) * len(columns)
