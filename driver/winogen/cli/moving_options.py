"""The options of walks and grids, and which of them go together."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction

from winogen.common.errors import InputError
from winogen.runtime.latents import REACH, STEPS

#: Frames a second where nothing is said: a whole number of a GIF's hundredths each.
FPS = 25
#: Rows and columns of a grid, at most.
MAX_SIDE = 256


def add_moving(run: argparse.ArgumentParser) -> None:
    """Add the options of walks and grids."""
    group = run.add_argument_group("walks and grids of latents")
    group.add_argument(
        "--walk",
        type=int,
        metavar="SEEDS",
        help="a moving picture from one seed to the next, round the sphere of latents: of so many "
        "seeds from --seed on, and back to the first; -n walks side by side (default: 1)",
    )
    group.add_argument(
        "--steps",
        type=int,
        help=f"frames of a walk from one seed to the next (default: {STEPS})",
    )
    group.add_argument(
        "--fps",
        type=_rate,
        metavar="F",
        help="frames a second of a walk, or of the GIF of a video (default: "
        f"{FPS}, or the video's own)",
    )
    group.add_argument(
        "--no-loop",
        dest="loop",
        action="store_false",
        help="end a walk at its last seed, and play it once",
    )
    group.add_argument(
        "--grid",
        type=_size,
        metavar="ROWSxCOLUMNS",
        help="a sheet of images along two directions from the seed's image, which is in the "
        "middle: the two that change the first layer the most, found from its weights; of a "
        "program file, which does not hold them as they were, two that are drawn by the seed",
    )
    group.add_argument(
        "--along",
        nargs=2,
        type=int,
        metavar=("DOWN", "RIGHT"),
        help="which directions of a grid, from 1, the strongest (default: 1 2)",
    )
    group.add_argument(
        "--reach",
        type=float,
        metavar="SIGMAS",
        help=f"how far a grid goes, in standard deviations of a latent (default: {REACH:g})",
    )
    group.add_argument(
        "--truncate",
        type=float,
        metavar="SIGMAS",
        help="keep latents within so many standard deviations (uniform ones: within this part of "
        "their range): fewer odd images, less variety",
    )
    group.add_argument("--mute", action="store_true", help="of a video: leave its sound out")


def check_moving(options: argparse.Namespace) -> None:
    """InputError for options that do not go together, or are for something else."""
    if options.walk is not None and options.grid is not None:
        raise InputError("a walk moves and a grid does not: give --walk or --grid")
    moving = "--walk" if options.walk is not None else "--grid"
    asked = options.walk is not None or options.grid is not None
    if asked and options.input:
        raise InputError(f"{moving} makes its own latents: leave --input out")
    if asked and (options.profile or options.trace):
        raise InputError(f"--profile and --trace are for one call: leave {moving} out")
    needs = (
        ("steps", "--steps", options.walk is not None, "--walk"),
        ("along", "--along", options.grid is not None, "--grid"),
        ("reach", "--reach", options.grid is not None, "--grid"),
    )
    for name, flag, there, what in needs:
        if getattr(options, name) is not None and not there:
            raise InputError(f"{flag} is for {what}: give it too, or leave {flag} out")
    if not options.loop and options.walk is None:
        raise InputError("--no-loop is for --walk: give it too, or leave --no-loop out")
    if options.truncate is not None and options.input:
        raise InputError("--truncate is for latents that are drawn: leave --input or it out")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not min(sides) >= 1 or not max(sides) <= MAX_SIDE:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no grid: write rows and columns as 8x8, each 1 to {MAX_SIDE}"
        )
    return sides


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no rate: write frames a second, as 25")
    return rate
