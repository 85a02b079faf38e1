"""What ``winogen fit`` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from winogen.common.errors import InputError
from winogen.common.options import Options, option
from winogen.compiler.options import CompileOptions
from winogen.compression.limits import (
    BITS,
    BLOCKS,
    MAX_EXITS,
    MAX_SHARE,
    MAX_SHARED,
    MAX_STEPS,
    MIN_SHARE,
)

#: Headings of the help, which say what goes together.
_SIZE = "size (one of these, in the place of how weights are held)"
_SPEED = "speed (one of these, with any of the others)"
_HELD = "how weights are held (without a size; --share with 8 bits)"
_BESIDE = "blocks and exits (with any of the others)"
#: Options of a compilation that choose what training finds by itself.
_FOUND = ("percentile", "headroom")


def parse_shares(text: str) -> tuple[float, ...]:
    """Shares in percent from text such as ``45,70``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"'{text}' is no list of percentages, such as 45,70") from None


@dataclass(frozen=True, kw_only=True, eq=False)
class FitOptions(Options):
    """What a fitted network must keep, and how long to train for it.

    :class:`~winogen.common.errors.InputError` is raised for a value that is not possible, and for
    two goals that exclude each other.
    """

    bytes: int | None = option(
        group=_SIZE,
        help="the most bytes that the weights may take in the program file; layers are pruned and "
        "share values by how sensitive they are",
        parse=int,
        metavar="B",
    )
    fps: float | None = option(
        group=_SPEED,
        help="the least images a second, as predicted for the board with its processor; layers get "
        "narrower until it is reached",
        parse=float,
        metavar="F",
    )
    psnr: float | None = option(
        group=_SIZE,
        help="the least dB to the float network that must remain; the weights get as small as that "
        "allows",
        parse=float,
        metavar="P",
    )
    faster: float | None = option(
        group=_SPEED,
        help="how many times fewer cycles of the accelerator an image is to take, in the largest "
        "batches; layers get narrower until it is reached",
        parse=float,
        metavar="N",
    )
    width: float | None = option(
        group=_SPEED,
        help="as fast as with this share of every layer's channels; which layers get narrower is "
        "found out",
        parse=float,
        metavar="SHARE",
    )
    blocks: str | None = option(
        group=_BESIDE,
        help="cheaper blocks in the place of layers of several taps between 16 channels or more: "
        "depthwise and 1x1 convolutions, MobileNetV2's inverted residuals, or ShuffleNet's units; "
        "what they take on the board is told first",
        default="dense layers stay",
        choices=BLOCKS,
    )
    keep: float | None = option(
        group=_HELD,
        help="share of each large layer's weights that is not pruned",
        default="1, or by the goal",
        parse=float,
        metavar="SHARE",
    )
    share: int | None = option(
        group=_HELD,
        help=f"different values that each large layer has, 2 to {MAX_SHARED}",
        default="all, or by the goal",
        parse=int,
        metavar="VALUES",
    )
    weight_bits: int | None = option(
        group=_HELD,
        help="bits of a weight; the accelerator multiplies them as 8 bits",
        default="8",
        parse=int,
        choices=(8, 4),
    )
    exits: tuple[float, ...] | None = option(
        group=_BESIDE,
        help="exits before the network's end, which 'winogen run --exit' takes: each by the share "
        "of the whole network's cycles that it may take, in percent and ascending, as 45,70",
        default="none",
        parse=parse_shares,
        metavar="PERCENT,...",
    )
    steps: int | None = option(
        group="training",
        help="steps to train; the same number and seed give the same bytes on one machine's CPU",
        default="2000, or as many as --minutes allow",
        parse=int,
    )
    minutes: float | None = option(
        group="training",
        help="how long to train at most",
        default="as long as the steps take",
        parse=float,
    )
    examples: int | None = option(
        group="training",
        help="inputs that each step learns from",
        default="32",
        parse=int,
    )
    seed: int | None = option(
        group="training",
        help="seed of what is drawn to learn from",
        default="0",
        parse=int,
    )
    device: str | None = option(
        group="training",
        flag="--train-on",
        help="where torch computes",
        default="a GPU if there is one",
        choices=("cpu", "cuda"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        goals = [n for n in ("bytes", "psnr") if getattr(self, n) is not None]
        own = [n for n in ("keep", "share", "weight_bits") if getattr(self, n) is not None]
        if len(goals) > 1:
            raise InputError("give one goal: --bytes or --psnr")
        if goals and own:
            flag = self.described[own[0]].flag
            raise InputError(
                f"{flag} says how weights are held, which --{goals[0]} finds out: leave one out"
            )
        if self.share is not None and self.weight_bits == 4:
            raise InputError("--weight-bits 4 has 15 values of its own: leave it or --share out")
        for name, least, most in (
            ("bytes", 1, 1 << 40),
            ("fps", 1e-6, 1e9),
            ("faster", 1, 1000),
            ("psnr", 1, 120),
            ("share", 2, MAX_SHARED),
            ("steps", 1, MAX_STEPS),
            ("examples", 1, 4096),
            ("seed", 0, 1 << 20),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InputError(
                    f"{self.described[name].flag} must be {least:,} to {most:,}, not {value}"
                )
        if self.exits is not None:
            shares = tuple(self.exits)
            between = all(MIN_SHARE <= share <= MAX_SHARE for share in shares)
            if not (0 < len(shares) <= MAX_EXITS and between) or list(shares) != sorted(
                set(shares)
            ):
                raise InputError(
                    f"--exits takes 1 to {MAX_EXITS} different percentages from {MIN_SHARE} to "
                    f"{MAX_SHARE}, ascending, not {','.join(f'{share:g}' for share in shares)}"
                )
            object.__setattr__(self, "exits", shares)
        for name in ("keep", "width"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(f"--{name} must be above 0 and at most 1, not {value}")
        speeds = [f"--{n}" for n in ("fps", "faster", "width") if getattr(self, n) is not None]
        if len(speeds) > 1:
            raise InputError(f"{' and '.join(speeds)} say how fast it is to be: leave one out")
        if self.minutes is not None and not 0 < self.minutes < 1e5:
            raise InputError(f"--minutes must be positive, not {self.minutes}")


def check_compilation(options: CompileOptions) -> None:
    """Raise InputError for an option of the compiler that fitting has no use for."""
    if options.data_width != BITS:
        raise InputError(
            f"networks are trained in integers of {BITS} bits: leave --bits out; at 16 bits plain "
            "winogen compile loses next to nothing"
        )
    for name in _FOUND:
        if getattr(options, name) is not None:
            raise InputError(
                f"fitting finds the ranges of the activations itself: leave "
                f"{options.described[name].flag} out"
            )
