"""``winogen run``: generate images on a device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.cli.checks import add_checks
from winogen.cli.cluster import add_cluster, check_cluster, opened
from winogen.cli.device import add_device, choose_device, tell_of_network
from winogen.cli.exits import add_exit, check_exit_options, chosen_exit, told_of_exit
from winogen.cli.moving_options import add_moving, check_moving
from winogen.cli.objects import add_json, predicted
from winogen.cli.options import option_parser
from winogen.cli.outputs import default_output, name_of
from winogen.cli.parser import examples
from winogen.cli.programs import MAX_SCALE, check_no_latents, load_or_compile
from winogen.cli.waits import add_waits
from winogen.common.errors import InputError
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem, check_writable, write_atomically
from winogen.common.opening import check_array, open_to_read
from winogen.common.progress import Progress
from winogen.compiler.options import CompileOptions
from winogen.media.names import VIDEO, is_video
from winogen.network.colour import COLOURS
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.inputs import join_inputs, with_labels
from winogen.reports.tables import cost_summary, cost_table

#: Images of one run, by default and at most, and the largest magnification of the sheet: what
#: fits a laptop's memory.
DEFAULT_NUMBER = 16
MAX_IMAGES = 100_000


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    run = commands.add_parser(
        "run",
        parents=[option_parser(CompileOptions)],
        help="generate images",
        description="Run a network on a device and write a sheet of its images (PNG), or its "
        "output as an array (.npy).",
        epilog=examples(
            (
                "winogen run digits --seed 7 -n 32",
                "32 images in digits.png, emulated",
            ),
            ("winogen run digits.wg --device board", "a program that is compiled, on a board"),
            ("winogen run digits -n 10000 -o many.npy --cluster tcp://lab:8786", "on many boards"),
            ("winogen run fsrcnn-x2 --input photo.jpg", "photo-fsrcnn-x2.png, twice as large"),
            ("winogen run fsrcnn-x2 --input photos -o large", "every picture of a folder"),
            ("winogen run fsrcnn-x2 --input clip.mp4 -o big.mp4", "a video, with its sound"),
            ("winogen run digits --walk 8 -o walk.gif", "from seed to seed, in a loop"),
            ("winogen run digits --grid 8x8", "along the two strongest directions"),
            ("winogen run cgan.onnx --label 3 7", "threes and sevens of a conditional network"),
            ("winogen run digits --profile --trace t.json", "where the time went"),
            ("winogen run small.wg --exit 1", "faster, of a network fitted with --exits"),
            ("winogen run small.wg -n 1 --deadline-ms 2", "the best exit that is in time"),
        ),
    )
    run.add_argument(
        "model", help="a name, a folder, an ONNX or network file, weights, or a program file (.wg)"
    )
    run.add_argument("-n", "--number", type=int, help="images (default: 16)")
    run.add_argument("--seed", type=int, help="seed of the latents (default: 0)")
    run.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="inputs to use instead: a float array (N, latent) or (N, C, H, W) in a .npy file; "
        "or, for networks that turn pictures into pictures, a picture or a folder of them, or a "
        "video (winogen[video]); for "
        "networks of several inputs arrays by their names in a .npz file",
    )
    run.add_argument(
        "--label",
        nargs="+",
        metavar="LABEL",
        help="what a conditional network is to draw: numbers from 0, or names of classes where the "
        "model has them; several take turns (default: drawn by the seed)",
    )
    run.add_argument(
        "-o",
        "--output",
        type=Path,
        help="picture (.png) or float array (.npy) to write; of a walk or a video .gif, .webp, "
        ".mp4, .webm, .mkv, .mov, frame-%%04d.png or a folder; a folder if --input is one "
        "(default: named after the model, and after the picture)",
    )
    run.add_argument(
        "--colour",
        choices=tuple(COLOURS),
        help="of a picture, what the network works on: one channel: ycbcr (luma, the chroma "
        "resized beside it), grey (luma alone) or rgb (each colour by itself); three: rgb, bgr or "
        "ycbcr (default: the model's, or the first of these)",
    )
    run.add_argument(
        "--fit",
        choices=("pad", "resize"),
        help="a picture of another size than the network's: pad it (mirrored at the right and "
        "bottom, the result cropped; the network is compiled for that size if it can be) or resize "
        "it (default: windows where the network runs in them; else what is smaller, but by less "
        "than half, is padded, and what is left resized)",
    )
    run.add_argument("--scale", type=int, default=1, help="enlarge every pixel (default: 1)")
    add_moving(run)
    add_exit(run, deadline=True)
    add_device(run)
    add_cluster(run)
    add_waits(run)
    add_checks(run)
    run.add_argument(
        "--profile",
        action="store_true",
        help="print where the time went: cycles of every layer and engine, measured and predicted",
    )
    run.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write the timeline of the engines (.json) for https://ui.perfetto.dev",
    )
    add_json(run)
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from winogen.common.images import encode_png, save_array, sheet
    from winogen.profiling import perfetto
    from winogen.runtime.generator import Generator
    from winogen.runtime.latents import LatentSpace, truncated

    if not check_cluster(options):
        choose_device(options, compiled=options.model.endswith(".wg"))
    check_exit_options(options)
    check_moving(options)
    if options.walk is not None or options.grid is not None:
        from winogen.cli.moving import run_moving

        _refuse_pictures_options(options)
        return run_moving(options)
    if options.input and (is_video(options.input) or _is_moving(options)):
        from winogen.cli.clips import run_clip

        return run_clip(options)
    if options.mute:
        raise InputError("--mute is for a video: give one with --input, or leave --mute out")
    if options.fps is not None:
        raise InputError("--fps is for what moves: give --walk, or a video with --input")
    if options.input and options.input.suffix not in (".npy", ".npz"):
        from winogen.cli.pictures import run_pictures

        if options.profile or options.trace:
            raise InputError(
                "--profile and --trace are for latents and arrays: give the picture as a .npy file"
            )
        return run_pictures(options)
    _refuse_pictures_options(options)
    if options.output and options.output.suffix.lower() not in (".png", ".npy"):
        raise InputError(
            f"cannot write {options.output}: its name must end in .png or .npy (what moves needs "
            "--walk, or a video with --input)"
        )
    check_no_latents(options)
    number = DEFAULT_NUMBER if options.number is None else options.number
    seed = options.seed or 0
    if number < 1:
        raise InputError(f"the number of images must be at least 1, not {number}")
    if number > MAX_IMAGES:
        raise InputError(f"the number of images must be at most {MAX_IMAGES:,}")
    if seed < 0:
        raise InputError("a seed must not be negative")
    if not 1 <= options.scale <= MAX_SCALE:
        raise InputError(f"the scale must be 1 to {MAX_SCALE}, not {options.scale}")
    if options.output:
        check_writable(options.output)
    if options.trace:
        perfetto.check_name(options.trace)
        check_writable(options.trace)
    inputs = _read_inputs(options.input) if options.input else None

    def check(network: Graph | Program) -> None:
        if options.exit is not None:
            network.at_exit(options.exit)
        drawn = inputs is None and options.number is options.seed is None
        if network.input.kind == "image" and drawn:
            raise InputError(
                f"network '{network.name}' takes pictures: give --input (a picture, a folder of "
                "them or a .npy file), or -n for as many drawn ones"
            )
        if options.output is None:
            image = network.output_range is not None and network.output_shape[0] in (1, 3)
            options.output = default_output(name_of(options.model) + (".png" if image else ".npy"))
        if network.output_range is None and options.output.suffix.lower() != ".npy":
            raise InputError(
                f"the output of network '{network.name}' is no image (its definition has no output "
                "range): write it to a .npy file"
            )

    program = load_or_compile(options, check=check)
    as_float = options.output.suffix.lower() == ".npy"
    with opened(options, program) as generator:
        program = generator.program  # with the clock of the overlay
        drawn = generator.latents(number, seed)
        if options.truncate is not None:
            drawn = truncated(LatentSpace.of(program.name, program.input), drawn, options.truncate)
        z = drawn if inputs is None else inputs
        if isinstance(z, dict):
            z = join_inputs(program.input, z)
        if options.label:
            z = with_labels(program.input, z, options.label)
        number = chosen_exit(options, program, len(z))
        with Progress("generating", len(z)) as progress:
            profile = None
            if isinstance(generator, Generator) and (options.profile or options.trace):
                out, profile = generator.generate(
                    z, as_float=as_float, progress=progress.update, exit=number, profile=True
                )
            else:
                out = generator.generate(
                    z, as_float=as_float, progress=progress.update, count=True, exit=number
                )
        if generator.unchecked:
            generator.check()
        counters = generator.counters()
    if as_float:
        save_array(options.output, out)
    else:
        if out.shape[3] not in (1, 3):
            raise InputError(
                f"the images of network '{program.name}' have {out.shape[3]} channels: write "
                "them to a .npy file"
            )
        write_atomically(options.output, encode_png(sheet(out), options.scale))
    exits, program = program.exit_count, program.at_exit(number)
    stream = program.streams[-1]
    options.result = {
        "device": options.device,
        "program": program.name,
        "exit": number,
        "board": program.board.name,
        "outputs": [{"output": str(options.output), "shape": list(out.shape)}],
        "left_out": [],
        "trace": str(options.trace) if options.trace else None,
        "counters": counters,
        "predicted": predicted(program, stream),
    }
    if profile and options.trace:
        perfetto.save(profile, options.trace)
    print(profile if profile and options.profile else cost_table(program, stream))
    print(cost_summary(program, stream))
    tell_of_network(options.device)
    print(
        f"wrote {options.output}: {len(out)} x {'x'.join(map(str, out.shape[1:]))} "
        f"from the {options.device}{told_of_exit(number, exits)}"
    )
    if options.trace:
        print(f"wrote {options.trace}: open it at https://ui.perfetto.dev")
    return 0


def _refuse_pictures_options(options: argparse.Namespace) -> None:
    for name in ("colour", "fit"):
        if getattr(options, name):
            raise InputError(
                f"--{name} is for pictures: give one, or a folder of them, with --input"
            )


def _is_moving(options: argparse.Namespace) -> bool:
    """Whether what is to be written moves, by its name, and is not made of an array."""
    moves = options.output is not None and options.output.suffix.lower() in (
        *VIDEO, ".gif", ".webp",
    )  # fmt: skip
    return moves and options.input.suffix not in (".npy", ".npz")


def _read_inputs(path: Path) -> NDArray | dict[str, NDArray]:
    """The array of a file, or arrays by their names."""
    try:
        with open_to_read(path) as file:
            check_array(file)
            array = np.load(file, allow_pickle=False)
            if isinstance(array, np.lib.npyio.NpzFile):
                with array:
                    return {name: array[name] for name in array.files}
    except ARRAY_FILE_ERRORS as error:
        raise InputError(f"cannot read inputs from {path}: {array_problem(error)}") from None
    if not isinstance(array, np.ndarray) or array.ndim < 2:
        raise InputError(f"inputs in {path} must be one array (N, latent) or (N, C, H, W)")
    return array
