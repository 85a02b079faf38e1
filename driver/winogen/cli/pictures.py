"""``winogen run --input``: pictures through a network that turns pictures into pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from winogen.cli.cluster import opened
from winogen.cli.device import tell_of_network
from winogen.cli.exits import chosen_exit, told_of_exit
from winogen.cli.objects import predicted
from winogen.cli.outputs import check_own, default_output, name_of
from winogen.cli.picture_sizes import (
    Fit,
    PictureJob,
    choose_size,
    fit_of,
    padded_to,
    predicted_seconds,
    told_of_fit,
    window_count,
)
from winogen.cli.programs import MAX_SCALE, check_no_latents, load_or_compile
from winogen.common.errors import InputError, ModelError
from winogen.common.files import check_writable, write_atomically
from winogen.common.images import encode_png
from winogen.common.progress import Progress
from winogen.compiler.window import choose_window
from winogen.network.fitting import size_taken
from winogen.network.graph import Graph
from winogen.network.locality import locality
from winogen.program.file import Program
from winogen.program.inputs import beside_picture, picture_channels
from winogen.reports.tables import cost_summary, cost_table
from winogen.runtime import colour
from winogen.runtime.pictures import (
    check_takes_pictures,
    colours_of,
    names_of,
    picture_files,
    read_picture,
    read_size,
    transform,
)
from winogen.target.board import Board


@dataclass
class _Folder:
    """What is said of files that are not made, where a folder is run.

    Attributes
    ----------
    others : what is no picture by its name
    failed : a sentence on each picture that cannot be read or does not suit the network
    """

    others: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def keep(
        self, jobs: list[PictureJob], check: Callable[[PictureJob], object]
    ) -> list[PictureJob]:
        """The jobs that pass a check; InputError if none does."""
        kept = []
        for job in jobs:
            try:
                check(job)
                kept.append(job)
            except (InputError, ModelError) as error:
                self.failed.append(str(error))
                problem = error
        if not kept:
            raise problem
        return kept

    def left_out(self) -> list[str]:
        """A sentence on each file that was not made."""
        return [*self.failed, *(f"{path} is no picture by its name" for path in self.others)]

    def report(self) -> int:
        """Say what was left out; the exit code."""
        for text in self.failed:
            print(f"winogen: left out: {text}", file=sys.stderr)
        if self.others:
            print(f"left out, as no pictures by their names: {names_of(self.others)}")
        return 1 if self.failed else 0


def run_pictures(options: argparse.Namespace) -> int:
    """Run the network on every picture and write what it makes of it; returns the exit code.

    Of a folder, what cannot be made is left out and said.
    """
    check_no_latents(options)
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    folder = _Folder() if options.input.is_dir() else None
    default = options.output is None
    if default:
        picture = options.input.resolve().name if folder else options.input.stem
        name = f"{picture}-{name_of(options.model)}"
        options.output = Path(name) if folder else default_output(f"{name}.png")
    jobs = _jobs(options.input, options.output, folder)
    for job in jobs if default else ():
        check_own(job.target)

    def window(graph: Graph, board: Board) -> tuple[int, int] | None:
        check_takes_pictures(
            graph.name, graph.input, graph.output_shape[0], graph.output_range
        )  # before the work of compiling
        channels = (picture_channels(graph.input), graph.output_shape[0])
        colour.chosen(graph.name, channels, options.colour)
        if options.exit is not None:
            graph.at_exit(options.exit)  # which says what exits there are
        chosen.append(_window(graph, board, jobs, folder))
        return chosen[0]

    chosen: list[tuple[int, int] | None] = []
    choose_size(options, jobs)
    whole = load_or_compile(options, window)
    program = whole.at_exit(whole.exit_count if options.exit is None else options.exit)
    check_takes_pictures(program.name, program.input, program.output_shape[0], program.output_range)
    space = colours_of(program, options.colour)
    beside = beside_picture(program.input, options.label, seed=0)
    drawn = [p.name for p in program.input.parts if p.kind == "latent" or (
        p.kind == "label" and not options.label)]  # fmt: skip
    if drawn:
        print(f"drawn, as there is nothing else to take: {', '.join(drawn)}")
    if folder:
        jobs = folder.keep(jobs, lambda job: fit_of(job, program, options.fit))
        options.output.mkdir(exist_ok=True)
    fits = [fit_of(job, program, options.fit) for job in jobs]
    channels = picture_channels(program.input)
    apart = 3 if (space, channels) == ("rgb", 1) else 1  # colours, of pictures that have them

    def counts(program: Program) -> list[int]:
        return [apart * window_count(job, program, fit) for job, fit in zip(jobs, fits)]

    # Each picture is to be in time.
    number = chosen_exit(options, whole, lambda program: max(counts(program), default=1))
    program = whole.at_exit(number)
    windows = counts(program)
    with (
        opened(options, program) as generator,
        Progress("windows", sum(windows)) as progress,
    ):
        program = generator.program  # with the clock of the overlay
        done, written = 0, []
        for job, count, fit in zip(jobs, windows, fits):
            show = partial(_show, progress, done)
            done += count
            try:
                picture = read_picture(job.source)
                made = transform(
                    generator,
                    picture,
                    resize=fit is Fit.RESIZE,
                    colour=space,
                    beside=beside,
                    progress=show,
                )
                if generator.unchecked:
                    generator.check()
            except InputError as error:
                if not folder:
                    raise
                folder.failed.append(str(error))
                continue
            finally:
                progress.update(done)
            if picture.image.mode == "L":
                count //= apart
            write_atomically(job.target, encode_png(made, options.scale))
            size = (options.scale * made.width, options.scale * made.height)
            written.append((job, count, size, fit))
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    tell_of_network(options.device)
    print(f"colours: {colour.told(space, channels)}{told_of_exit(number, whole.exit_count)}")
    for job, count, (width, height), fit in written:
        seconds = predicted_seconds(program, count)
        print(
            f"wrote {job.target}: {width} x {height} pixels of {job.size[1]} x {job.size[0]}"
            f"{told_of_fit(job, program, fit)} ({count}), from the {options.device}; predicted on "
            f"{program.board.name}: {seconds:.3g} s"
        )
    options.result = {
        "device": options.device,
        "program": program.name,
        "exit": number,
        "board": program.board.name,
        "colour": space,
        "outputs": [
            {
                "input": str(job.source),
                "output": str(job.target),
                "width": size[0],
                "height": size[1],
                "padded": None if fit is Fit.RESIZE else padded_to(job, program),
                "windows": None if fit is Fit.RESIZE else count,
                "predicted_seconds": predicted_seconds(program, count),
            }
            for job, count, size, fit in written
        ],
        "left_out": folder.left_out() if folder else [],
        "predicted": predicted(program, stream),
    }
    return folder.report() if folder else 0


def _window(
    graph: Graph, board: Board, jobs: list[PictureJob], folder: _Folder | None
) -> tuple[int, int] | None:
    """Size of the windows for these pictures; an error names the picture that does not fit.

    Of a folder, those are taken out of ``jobs``.
    """

    if locality(graph) is None:
        return None

    def taken(job: PictureJob) -> tuple[int, int]:
        try:
            return size_taken(graph.resized, job.size)
        except ModelError as own:
            raise InputError(f"{job.source}: {own}") from None

    if folder:
        jobs[:] = folder.keep(jobs, taken)
    return choose_window(graph, board, [taken(job) for job in jobs])


def _show(progress: Progress, before: int, done: int, _: int) -> None:
    progress.update(before + done)


def _jobs(source: Path, target: Path, folder: _Folder | None) -> list[PictureJob]:
    """The pictures to read and the files to write, after all that can be checked before."""
    if not folder:
        if target.suffix.lower() != ".png":
            raise InputError(f"cannot write {target}: its name must end in .png")
        check_writable(target)
        if target.exists() and target.samefile(source):
            raise InputError(f"{source} would be overwritten by its result; choose another name")
        return [PictureJob(source, target, read_size(source))]
    found, folder.others = picture_files(source)
    if target.exists() and not target.is_dir():
        raise InputError(f"cannot write {target}: --input is a folder, so it must be one too")
    places: dict[Path, Path] = {}
    for path in found:
        out = target / f"{path.stem}.png"
        if out in places:
            raise InputError(f"{path} and {places[out]} would both become {out}; rename one")
        if out.exists() and path.exists() and out.samefile(path):
            raise InputError(f"{path} would be overwritten by its result; choose another folder")
        places[out] = path
    check_writable(next(iter(places)) if target.is_dir() else target)
    jobs: list[PictureJob] = []
    problem: InputError | None = None
    for out, path in places.items():
        try:
            jobs.append(PictureJob(path, out, read_size(path)))
        except InputError as error:
            folder.failed.append(str(error))
            problem = error
    if problem and not jobs:
        raise problem
    return jobs
