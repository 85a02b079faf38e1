"""``winogen fit --once``, and what is taken out of its file: one training for all boards."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from winogen.cli.fitting import Files, Shown, finish, library
from winogen.cli.job import prepare
from winogen.cli.options import compile_options, refuse
from winogen.cli.outputs import name_of
from winogen.common.errors import InputError
from winogen.common.files import check_writable
from winogen.common.progress import Progress
from winogen.common.text import table
from winogen.compilation.job import read_job
from winogen.compression.options import FitOptions, check_compilation
from winogen.network.kinds import ONCE, weights_kind
from winogen.program.speed import speed

if TYPE_CHECKING:
    from winogen.compression.once import Choice
    from winogen.compression.search import Found
    from winogen.compression.space import Space

SUFFIX = ".once"
#: Options that a search has too, of those of a training.
_SEARCHED = ("fps", "seed", "minutes")
#: Of the minutes, for the search: the rest is for training what it finds.
_FOR_SEARCH = 0.33
#: Of the minutes, what training has however long the search took.
_LEAST_LEFT = 0.1
#: Options that a network has once it is taken out.
_LATER = ("board", "bits", "mode", "batch", "window", "percentile", "headroom")


def train(arguments: argparse.Namespace, options: FitOptions) -> None:
    """Train a network once for all, and write it."""
    output = arguments.output or Path(f"{name_of(arguments.model)}{SUFFIX}")
    if output.suffix != SUFFIX:
        raise InputError(
            f"cannot write {output}: the name of what --once trains must end in {SUFFIX}"
        )
    checkpoint = output.with_suffix(".training")
    for path in (output, checkpoint):
        check_writable(path)
    if output.exists() and weights_kind(output) != ONCE:
        raise InputError(
            f"{output} is there, and nothing that --once wrote: name another file with -o"
        )
    refuse(
        arguments,
        _LATER,
        "is of a network that is taken out of those that --once trains: give it then",
    )
    training, files = library("once"), library("once_file")
    job = prepare(arguments.model, compile_options(arguments).with_board())
    if checkpoint.exists():
        print(f"going on from {checkpoint}")
    with Progress(f"training {job.graph.name} once for all") as progress:
        once = training.train_once(job, options, checkpoint, Shown(progress))
    files.save_once(once, output)
    checkpoint.unlink(missing_ok=True)
    space = once.elastic.space
    print(f"{space.count:,} networks in one, after {once.steps:,} steps\n{_told(space)}")
    print(
        f"wrote {output} ({output.stat().st_size / 1e6:.2f} MB): winogen fit {output} shows what "
        "there is for a board, and with --fps F takes one out"
    )
    arguments.result = {
        "output": str(output),
        "bytes": output.stat().st_size,
        "steps": once.steps,
        "networks": space.count,
    }


def take(arguments: argparse.Namespace, options: FitOptions) -> None:
    """Search what was trained once for all; with ``--fps``, write the best that is fast enough."""
    for name in ("width", "faster", "blocks"):
        if getattr(options, name) is not None:
            raise InputError(
                f"{options.described[name].flag} is for a network that is not yet trained: what is "
                "trained once for all is searched by --fps"
            )
    if options.fps is None:
        for name, about in options.described.items():
            if name not in _SEARCHED and getattr(options, name, None) is not None:
                raise InputError(
                    f"{about.flag} is for the network that is taken out: say how fast it is to be, "
                    "--fps F; without that, what there is for the board is shown"
                )
    model = Path(arguments.model)
    files = None
    if options.fps is not None:
        files = Files(arguments.output or Path(f"{name_of(str(model))}-fitted.wg"), str(model))
    elif arguments.output is not None:
        raise InputError(
            f"say how fast the network is to be that is taken out of {model}: --fps F; without "
            "-o, what there is for the board is shown"
        )
    choosing, clock = library("once"), library("clock")
    start = clock.now()
    until = None
    if options.minutes is not None:
        share = 1.0 if files is None else _FOR_SEARCH
        until = start + 60 * share * options.minutes
    compilation = compile_options(arguments).with_board()
    check_compilation(compilation)
    once = library("once_file").load_once(model)
    job = read_job(once.teacher, compilation)
    once = choosing.adapted(once, job)
    board = compilation.target.name
    with Progress(f"searching {job.graph.name} for {board}") as progress:
        choice = choosing.Choice(
            once,
            job,
            options.seed or 0,
            lambda done: progress.stage(f"{done:,} of {once.elastic.space.count:,} judged"),
            until,
        )
        if files is None:
            _show(arguments, choice, choice.front(), board)
            return
        assert options.fps is not None
        found = choice.for_speed(options.fps)
    space = once.elastic.space
    if found.setting == space.whole:
        print("the whole network is fast enough")
    else:
        print(
            f"the best of {found.tried:,} networks that were judged, of {space.count:,}: "
            f"{space.described(found.setting)}"
        )
    if files.checkpoint.exists():
        print(f"going on from {files.checkpoint}")
    left = options
    if options.minutes is not None:
        gone = (clock.now() - start) / 60
        left = replace(options, minutes=max(options.minutes - gone, _LEAST_LEFT * options.minutes))
    with Progress(f"fitting {job.graph.name}") as progress:
        fitted = choice.take(found, left, files.checkpoint, Shown(progress))
    program = fitted.compilation.program
    reached = speed(program, program.streams[-1]).overlapped
    finish(
        arguments,
        files,
        replace(options, fps=None),
        fitted,
        networks=space.count,
        searched=found.tried,
        setting=space.described(found.setting),
        fps=reached,
    )
    print(f"{reached:,.1f} images a second are predicted for {board}")
    if reached < options.fps:
        print(
            f"that is less than the {options.fps:g} that were asked for: training has changed "
            "which channels share multipliers; ask for a little more"
        )


def _show(arguments: argparse.Namespace, choice: Choice, front: list[Found], board: str) -> None:
    """What there is for a board, from the fastest to the best."""
    space: Space = choice.elastic.space
    rows = [
        [
            f"{found.cost.fps:,.0f}",
            f"{found.cost.cycles / found.cost.batch:,.0f}",
            f"{found.quality:.1f}" if math.isfinite(found.quality) else "-",
            space.described(found.setting),
        ]
        for found in front
    ]
    header = ["images a second", "cycles an image", "dB before it is trained for itself", ""]
    print(f"{space.count:,} networks in one; the best for {board} of {front[-1].tried:,} judged:")
    print(table(header, rows))
    print(f"winogen fit {arguments.model} --board {board} --fps F takes the best one out")
    arguments.result = {
        "networks": space.count,
        "searched": front[-1].tried,
        "front": [
            {
                "fps": found.cost.fps,
                "cycles": found.cost.cycles / found.cost.batch,
                "psnr": found.quality if math.isfinite(found.quality) else None,
                "setting": space.described(found.setting),
            }
            for found in front
        ],
    }


def _told(space: Space) -> str:
    """What is elastic, and what is not."""
    kinds = {axis.kind for axis in space.axes}
    lines = [f"the smallest has {space.described(space.smallest)}"]
    if "depth" not in kinds:
        lines.append("no layer can be left out: none makes what has the shape of what it reads")
    if "kernel" not in kinds:
        lines.append("no kernel can be smaller: edges or strides need all of each")
    return "\n".join(lines)
