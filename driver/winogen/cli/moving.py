"""``winogen run --walk`` and ``--grid``: images between seeds, and along two directions."""

from __future__ import annotations

import argparse
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winogen.cli.cluster import opened
from winogen.cli.device import tell_of_network
from winogen.cli.exits import chosen_exit, told_of_exit
from winogen.cli.moving_options import FPS
from winogen.cli.objects import predicted
from winogen.cli.outputs import default_output, name_of
from winogen.cli.programs import MAX_SCALE, load_or_compile
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.images import encode_png, enlarged, save_array, sheet
from winogen.common.progress import Progress
from winogen.media.writers import MAX_FRAMES, Writer, check_target, open_writer
from winogen.network.directions import principal_directions
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.inputs import with_labels
from winogen.reports.tables import cost_summary, cost_table
from winogen.runtime import latents
from winogen.runtime.latents import REACH, STEPS, LatentSpace

#: Images of one frame.
MAX_TILES = 4096
#: Images that are given to the device at once are this many batches: they overlap.
_BATCHES = 4


def run_moving(options: argparse.Namespace) -> int:
    """Make a walk or a grid; returns the exit code."""
    seed = options.seed or 0
    if seed < 0:
        raise InputError("a seed must not be negative")
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    return _run_grid(options, seed) if options.grid else _run_walk(options, seed)


def _run_walk(options: argparse.Namespace, seed: int) -> int:
    number = 1 if options.number is None else options.number
    steps = STEPS if options.steps is None else options.steps
    if not 1 <= number <= MAX_TILES:
        raise InputError(f"the walks side by side must be 1 to {MAX_TILES:,}, not {number}")
    if options.walk < 1 or (options.walk < 2 and not options.loop):
        raise InputError(f"a walk needs 2 seeds or more, not {options.walk}")
    if not 1 <= steps <= MAX_FRAMES:
        raise InputError(f"the steps from seed to seed must be 1 to {MAX_FRAMES:,}, not {steps}")
    frames = latents.frames_of(options.walk, steps, loop=options.loop)
    if frames > MAX_FRAMES:
        raise InputError(f"a walk has at most {MAX_FRAMES:,} frames, not {frames:,}")
    rate = options.fps or Fraction(FPS)
    if options.output is None:
        path = Path(f"{name_of(options.model)}-walk.gif")
        if path.exists():
            raise InputError(f"{path} is there already: name the file to write with -o")
        options.output = path
    kind = check_target(options.output, rate)
    program = load_or_compile(options, check=partial(_check_image, options))
    exits = program.exit_count
    with opened(options, program) as generator:
        program = generator.program
        space = LatentSpace.of(program.name, program.input)
        keys = [generator.latents(number, seed + key) for key in range(options.walk)]
        keys = [_labelled(options, program, key, turn) for turn, key in enumerate(keys)]
        way = latents.walk(space, keys, steps, loop=options.loop)
        if options.truncate is not None:
            way = (latents.truncated(space, z, options.truncate) for z in way)
        chosen = chosen_exit(options, program, number)
        at_once = _BATCHES * program.streams[-1].batch
        with (
            Progress("frames", frames) as progress,
            open_writer(options.output, rate, loop=options.loop) as writer,
        ):
            done = 0
            for z in latents.flat(way, at_once):
                out = generator.generate(z, exit=chosen)
                done = _add(writer, out, number, options.scale, done, progress)
        if generator.unchecked:
            generator.check()
    tiles = sheet(np.zeros((number, *out.shape[1:]), np.uint8))
    size = (tiles.width * options.scale, tiles.height * options.scale)
    program = program.at_exit(chosen)
    _tell(options, program, chosen)
    seconds = float(frames / rate)
    print(
        f"wrote {options.output}: {frames} frames of {size[0]} x {size[1]} pixels, {seconds:.3g} s "
        f"at {float(rate):g} a second{', in a loop' if options.loop else ''}, from the "
        f"{options.device}{told_of_exit(chosen, exits)}"
    )
    options.result["outputs"] = [
        {
            "output": str(options.output),
            "kind": kind.value,
            "frames": frames,
            "fps": float(rate),
            "width": size[0],
            "height": size[1],
            "seeds": list(range(seed, seed + options.walk)),
        }
    ]
    return 0


def _add(
    writer: Writer, out: NDArray[np.uint8], number: int, scale: int, done: int, progress: Progress
) -> int:
    """Append the frames of some images; how many frames there are now."""
    for first in range(0, len(out), number):
        frame = sheet(out[first : first + number])
        writer.add(enlarged(frame, scale))
        done += 1
        progress.update(done)
    return done


def _run_grid(options: argparse.Namespace, seed: int) -> int:
    rows, columns = options.grid
    reach = REACH if options.reach is None else options.reach
    if options.number is not None:
        raise InputError("--grid says how many images there are: leave -n out")
    if not np.isfinite(reach) or not 0 < reach <= 100:
        raise InputError(f"the reach of a grid must be more than 0 and at most 100, not {reach}")
    if options.output is None:
        options.output = default_output(f"{name_of(options.model)}-grid.png")
    if options.output.suffix.lower() not in (".png", ".npy"):
        raise InputError(f"cannot write {options.output}: a grid is a .png or .npy file")
    check_writable(options.output)
    found: list[NDArray[np.float64] | None] = []

    def check(network: Graph | Program) -> None:
        if options.output.suffix.lower() != ".npy":
            _check_image(options, network)
        found.append(principal_directions(network) if isinstance(network, Graph) else None)

    program = load_or_compile(options, check=check)
    space = LatentSpace.of(program.name, program.input)
    along = options.along or [1, 2]
    directions, told = _directions(program, space, found[0], along, seed)
    as_float = options.output.suffix.lower() == ".npy"
    with opened(options, program) as generator:
        program = generator.program
        centre = _labelled(options, program, generator.latents(1, seed), 0)
        z = latents.grid(space, centre, directions, (rows, columns), reach)
        if options.truncate is not None:
            z = latents.truncated(space, z, options.truncate)
        chosen = chosen_exit(options, program, len(z))
        with Progress("generating", len(z)) as progress:
            out = generator.generate(z, as_float=as_float, progress=progress.update, exit=chosen)
        if generator.unchecked:
            generator.check()
    if as_float:
        save_array(options.output, out)
    else:
        write_atomically(options.output, encode_png(sheet(out, columns), options.scale))
    exits, program = program.exit_count, program.at_exit(chosen)
    _tell(options, program, chosen)
    print(told)
    print(
        f"wrote {options.output}: {rows} x {columns} images, up to {reach:g} standard deviations "
        f"from seed {seed}, from the {options.device}{told_of_exit(chosen, exits)}"
    )
    options.result["outputs"] = [{"output": str(options.output), "shape": list(out.shape)}]
    return 0


def _directions(
    program: Program, space: LatentSpace, found: NDArray | None, along: list[int], seed: int
) -> tuple[NDArray, str]:
    """Two directions (2, n), and what they are in words."""
    known = found if found is not None else latents.drawn_directions(space, max(*along, 2), seed)
    if max(along) > len(known) or min(along) < 1 or along[0] == along[1]:
        raise InputError(
            f"network '{program.name}' has {len(known)} directions: give two of 1 to {len(known)}"
        )
    names = f"down along direction {along[0]}, right along {along[1]}"
    if found is None:
        why = "drawn by the seed, as the first layer's weights are not at hand as a matrix"
        return known[[n - 1 for n in along]], f"{names}: {why}"
    return known[[n - 1 for n in along]], f"{names}, of those that change the first layer the most"


def _labelled(
    options: argparse.Namespace, program: Program, z: NDArray, turn: int
) -> NDArray[np.float32]:
    """A key with its labels: one walk has them one after the other, several have one each."""
    if not options.label:
        return z
    labels = options.label
    if len(z) == 1:
        labels = [labels[turn % len(labels)]]
    return with_labels(program.input, z, labels)


def _check_image(options: argparse.Namespace, network: Graph | Program) -> None:
    LatentSpace.of(network.name, network.input)
    if options.exit is not None:
        network.at_exit(options.exit)
    if network.output_range is None or network.output_shape[0] not in (1, 3):
        raise InputError(
            f"the output of network '{network.name}' is no image of 1 or 3 channels with an output "
            "range: there is nothing to show"
        )


def _tell(options: argparse.Namespace, program: Program, number: int) -> None:
    """Print what the network costs, and begin the object for machines."""
    stream = program.streams[-1]
    print(cost_table(program, stream))
    print(cost_summary(program, stream))
    tell_of_network(options.device)
    options.result = {
        "device": options.device,
        "program": program.name,
        "exit": number,
        "board": program.board.name,
        "left_out": [],
        "predicted": predicted(program, stream),
    }
