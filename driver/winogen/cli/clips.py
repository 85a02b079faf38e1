"""``winogen run --input clip.mp4``: a video through a network that turns pictures into pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from PIL import Image

from winogen.cli.cluster import opened
from winogen.cli.device import tell_of_network
from winogen.cli.exits import chosen_exit, told_of_exit
from winogen.cli.objects import predicted
from winogen.cli.outputs import name_of
from winogen.cli.picture_sizes import (
    Fit,
    PictureJob,
    choose_size,
    fit_of,
    predicted_seconds,
    told_of_fit,
    window_count,
)
from winogen.cli.programs import MAX_SCALE, check_no_latents, load_or_compile
from winogen.common.errors import InputError
from winogen.common.images import enlarged
from winogen.common.progress import Progress
from winogen.compiler.window import choose_window
from winogen.media.clips import check_sound, convert, read_clip
from winogen.media.names import Kind, is_video
from winogen.media.writers import check_target
from winogen.network.fitting import size_taken
from winogen.network.graph import Graph
from winogen.network.locality import locality
from winogen.program.file import Program
from winogen.program.inputs import beside_picture, picture_channels
from winogen.reports.tables import cost_summary, cost_table
from winogen.runtime import colour
from winogen.runtime.pictures import (
    MAX_PIXELS,
    Picture,
    check_takes_pictures,
    colours_of,
    transform_all,
)
from winogen.target.board import Board

#: Pixels, at most, of the frames that are held at once; one frame is held in any case.
_HELD_PIXELS = 1 << 24
#: Batches of the device that are given to it at once: they overlap.
_BATCHES = 2


def run_clip(options: argparse.Namespace) -> int:
    """Run the network on every frame and write a video of what it makes; returns the exit code."""
    check_no_latents(options)
    source: Path = options.input
    if options.profile or options.trace:
        raise InputError(
            "--profile and --trace are for latents and arrays: give the picture as a .npy file"
        )
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    if options.output is None:
        suffix = source.suffix if is_video(source) else ".mp4"
        suffix = suffix if suffix.lower() in (".mp4", ".webm", ".mkv", ".mov") else ".mkv"
        options.output = Path(f"{source.stem}-{name_of(options.model)}{suffix}")
        if options.output.exists():
            raise InputError(f"{options.output} is there already: name the file to write with -o")
    target: Path = options.output
    clip = read_clip(source, MAX_PIXELS)
    rate: Fraction = options.fps or clip.rate
    kind = check_target(target, rate)
    if options.fps is not None and kind in (Kind.VIDEO, Kind.FRAMES):
        raise InputError(
            f"the frames of {source} keep their times, and a folder has each once: --fps is for a "
            "GIF or WebP; leave it out"
        )
    if target.exists() and target.samefile(source):
        raise InputError(f"{source} would be overwritten by its result; choose another name")
    if not options.mute:
        check_sound(clip, source, target)
    job = PictureJob(source, target, clip.size)

    def window(graph: Graph, board: Board) -> tuple[int, int] | None:
        check_takes_pictures(graph.name, graph.input, graph.output_shape[0], graph.output_range)
        channels = (picture_channels(graph.input), graph.output_shape[0])
        colour.chosen(graph.name, channels, options.colour)
        if options.exit is not None:
            graph.at_exit(options.exit)
        if locality(graph) is None:
            return None
        return choose_window(graph, board, [size_taken(graph.resized, clip.size)])

    choose_size(options, [job])
    whole = load_or_compile(options, window)
    check_takes_pictures(whole.name, whole.input, whole.output_shape[0], whole.output_range)
    space = colours_of(whole, options.colour)
    beside = beside_picture(whole.input, options.label, seed=0)
    fit = fit_of(job, whole, options.fit)
    channels = picture_channels(whole.input)
    apart = 3 if (space, channels) == ("rgb", 1) else 1

    def count(program: Program) -> int:
        return apart * window_count(job, program, fit)

    number = chosen_exit(options, whole, count)  # each frame is to be in time
    program = whole.at_exit(number)
    at_once = _frames_at_once(program, count(program), clip.size)
    with (
        opened(options, program) as generator,
        Progress("frames", clip.frames) as progress,
    ):
        program = generator.program  # with the clock of the overlay
        made = partial(
            transform_all, generator, resize=fit is Fit.RESIZE, colour=space, beside=beside
        )

        def make(frames: Sequence[Image.Image]) -> list[Image.Image]:
            pictures = made([Picture(frame, None) for frame in frames])
            return [enlarged(picture, options.scale) for picture in pictures]

        total = clip.frames
        done = convert(
            source,
            target,
            make,
            batch=at_once,
            most_pixels=MAX_PIXELS,
            rate=rate,
            mute=options.mute,
            progress=lambda n: progress.update(min(n, total) if total else n),
        )
        if generator.unchecked:
            generator.check()
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    tell_of_network(options.device)
    print(f"colours: {colour.told(space, channels)}{told_of_exit(number, whole.exit_count)}")
    seconds = predicted_seconds(program, count(program))
    sound = "its sound copied" if done.sound else "without sound"
    print(
        f"wrote {target}: {done.frames} frames of {done.size[1]} x {done.size[0]} pixels of "
        f"{clip.size[1]} x {clip.size[0]}{told_of_fit(job, program, fit)} ({count(program)} each), "
        f"{float(rate):.4g} a second, {sound}, from the {options.device}; predicted on "
        f"{program.board.name}: {1 / seconds:.3g} frames a second"
    )
    options.result = {
        "device": options.device,
        "program": program.name,
        "exit": number,
        "board": program.board.name,
        "colour": space,
        "outputs": [
            {
                "input": str(source),
                "output": str(target),
                "kind": kind.value,
                "frames": done.frames,
                "fps": float(rate),
                "width": done.size[1],
                "height": done.size[0],
                "sound": done.sound,
                "predicted_seconds": seconds * done.frames,
            }
        ],
        "left_out": [],
        "predicted": predicted(program, stream),
    }
    return 0


def _frames_at_once(program: Program, windows: int, size: tuple[int, int]) -> int:
    """As many frames as fill a few batches of the device, and no more than memory should hold."""
    rows, columns = program.output_shape[1:]
    pixels = max(size[0] * size[1], windows * rows * columns, 1)
    wanted = -(-_BATCHES * program.streams[-1].batch // windows)
    return max(1, min(wanted, _HELD_PIXELS // pixels))
