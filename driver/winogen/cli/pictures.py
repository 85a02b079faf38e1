"""``winogen run --input``: pictures through a network that turns pictures into pictures."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from winogen.cli.programs import MAX_SCALE, check_no_latents, load_or_compile
from winogen.cli.waits import wait_options
from winogen.common.errors import InputError, ModelError
from winogen.common.files import check_writable, write_atomically
from winogen.common.images import encode_png
from winogen.common.progress import Progress
from winogen.compiler.window import choose_window
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.reports.tables import cost_summary, cost_table
from winogen.runtime.generator import Generator
from winogen.runtime.pictures import (
    check_takes_pictures,
    picture_files,
    read_picture,
    read_size,
    transform,
)
from winogen.runtime.windows import image_spans
from winogen.target.board import Board


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path
    size: tuple[int, int]


def run_pictures(options: argparse.Namespace) -> None:
    """Run the network on every picture and write what it makes of it."""
    check_no_latents(options)
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    jobs = _jobs(options.input, options.output)

    def window(graph: Graph, board: Board) -> tuple[int, int] | None:
        check_takes_pictures(
            graph.name, graph.input, graph.output_shape[0], graph.output_range
        )  # before the work of compiling
        chosen.append(_window(graph, board, jobs))
        return chosen[0]

    chosen: list[tuple[int, int] | None] = []
    program = load_or_compile(options, window)
    check_takes_pictures(program.name, program.input, program.output_shape[0], program.output_range)
    resize = chosen[0] is None if chosen else program.locality is None
    windows = [1 if resize else _windows(job, program) for job in jobs]
    if options.input.is_dir():
        options.output.mkdir(exist_ok=True)
    with (
        Generator(
            program,
            options.device,
            board=options.board,
            overlay=options.overlay,
            **wait_options(options),
        ) as generator,
        Progress("windows", sum(windows)) as progress,
    ):
        done, written = 0, []
        for job, count in zip(jobs, windows):
            made = transform(
                generator,
                read_picture(job.source),
                resize=resize,
                progress=partial(_show, progress, done),
            )
            write_atomically(job.target, encode_png(made, options.scale))
            written.append((options.scale * made.width, options.scale * made.height))
            done += count
            progress.update(done)
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    how = "resized to" if resize else "in windows of"
    rows, columns = program.input_shape[1:]
    for job, count, (width, height) in zip(jobs, windows, written):
        seconds = _seconds(program, count)
        print(
            f"wrote {job.target}: {width} x {height} pixels of {job.size[1]} x {job.size[0]} {how} "
            f"{columns} x {rows} ({count}), from the {options.device}; predicted on "
            f"{program.board.name}: {seconds:.3g} s"
        )


def _window(graph: Graph, board: Board, jobs: list[_Job]) -> tuple[int, int] | None:
    """Size of the windows for these pictures; an error names the picture that does not fit."""
    try:
        return choose_window(graph, board, [job.size for job in jobs])
    except ModelError as error:
        for job in jobs:
            try:
                graph.resized(job.size)
            except ModelError as own:
                raise InputError(f"{job.source}: {own}") from None
        raise error from None


def _show(progress: Progress, before: int, done: int, _: int) -> None:
    progress.update(before + done)


def _seconds(program: Program, count: int) -> float:
    """Predicted time of so many windows of one picture, in the largest batches that they fill."""
    cycles = 0
    for stream in reversed(program.streams):
        runs, count = divmod(count, stream.batch)
        cycles += runs * stream.cycles
    return cycles / (program.board.clock_mhz * 1e6)


def _jobs(source: Path, target: Path) -> list[_Job]:
    """The pictures to read and the files to write, after all that can be checked before."""
    if not source.is_dir():
        if target.suffix.lower() != ".png":
            raise InputError(f"cannot write {target}: its name must end in .png")
        check_writable(target)
        if target.exists() and target.samefile(source):
            raise InputError(f"{source} would be overwritten by its result; choose another name")
        return [_Job(source, target, read_size(source))]
    found = picture_files(source)
    if target.exists() and not target.is_dir():
        raise InputError(f"cannot write {target}: --input is a folder, so it must be one too")
    jobs: dict[Path, _Job] = {}
    for path in found:
        out = target / f"{path.stem}.png"
        if out in jobs:
            raise InputError(f"{path} and {jobs[out].source} would both become {out}; rename one")
        if out.exists() and out.samefile(path):
            raise InputError(f"{path} would be overwritten by its result; choose another folder")
        jobs[out] = _Job(path, out, read_size(path))
    check_writable(next(iter(jobs)) if target.is_dir() else target)
    return list(jobs.values())


def _windows(job: _Job, program: Program) -> int:
    """How many windows cover a picture; InputError, naming it, if none do."""
    try:
        rows, columns = image_spans(job.size, program)
    except InputError as error:
        raise InputError(f"{job.source}: {error}") from None
    return len(rows) * len(columns)
