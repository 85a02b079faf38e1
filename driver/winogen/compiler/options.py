"""The options of a compilation: for Python and for the command line, each said once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from winogen.common.errors import InputError
from winogen.common.options import option
from winogen.compiler.calibrate import DEFAULT_CALIBRATION, Calibration
from winogen.compiler.lower import Mode
from winogen.network.graph import HOST_OPERATIONS, Graph
from winogen.network.options import NetworkOptions, check_size, parse_size
from winogen.target.board import DEFAULT_BOARD, Board, board_names, load_board

DEFAULT_BITS = 8
#: How weights may lie in memory.
CODED, PLAIN = "coded", "plain"
#: Images of the largest stream unless asked otherwise.
DEFAULT_BATCH = 16
MAX_BATCH = 1024
#: Options that only calibration asks for.
CALIBRATING = ("percentile", "headroom", "inputs", "seed")
#: The percentile that stands for the one with the best images.
SEARCH = "auto"


def _percentile(text: str) -> float | str:
    if text == SEARCH:
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"'{text}' is no number and not '{SEARCH}'") from None


def _defaults(name: str) -> str:
    """A field of the default calibrations, in words."""
    values = (f"{getattr(c, name):g} for {b} bits" for b, c in DEFAULT_CALIBRATION.items())
    return ", ".join(values).removesuffix(" bits")


@dataclass(frozen=True, kw_only=True, eq=False)
class CompileOptions(NetworkOptions):
    """How a network is compiled: every option of ``winogen compile``, and of the functions.

    Sizes are (rows, columns). :class:`~winogen.common.errors.InputError` is raised for a value
    that is possible for no network.
    """

    board: str | Path | Board = option(
        DEFAULT_BOARD,
        group="compilation",
        help="{names}, or a board YAML file",
        names=board_names,
        default=DEFAULT_BOARD,
    )
    bits: int | None = option(
        group="compilation",
        help="activation and weight width",
        default=str(DEFAULT_BITS),
        parse=int,
        choices=tuple(DEFAULT_CALIBRATION),
    )
    mode: str | Mode = option(
        Mode.AUTO.value,
        group="compilation",
        help="arrangement of the multiplies; direct (TDC) and zero-padded are the baselines",
        default=f"{Mode.AUTO.value}, the cheapest for each layer",
        choices=tuple(m.value for m in Mode),
    )
    coding: str = option(
        CODED,
        group="compilation",
        help="weights in memory: coded where a layer has at most 16 values, for boards that decode "
        "them as they load, or plain",
        default=CODED,
        choices=(CODED, PLAIN),
    )
    batch: int | None = option(
        group="compilation",
        help="images that one run of the device takes at most",
        default=f"{DEFAULT_BATCH}, or fewer large ones",
        parse=int,
    )
    window: tuple[int, int] | None = option(
        group="compilation",
        help="size of the input, for networks that take images of any size: larger images are run "
        "in windows of this size",
        parse=parse_size,
        metavar="ROWSxCOLUMNS",
    )
    percentile: float | str | None = option(
        group="compilation",
        help=f"of the activations that calibration keeps in range, or {SEARCH}: try several and "
        "take the one with the best images",
        default=_defaults("percentile"),
        parse=_percentile,
    )
    headroom: float | None = option(
        group="compilation",
        help="factor on calibrated ranges",
        default=f"{_defaults('headroom')} ({DEFAULT_CALIBRATION[16].drawn:g} for drawn pictures)",
        parse=float,
    )
    inputs: NDArray[Any] | str | Path | None = option(
        group="compilation",
        flag="--calib",
        help="inputs to calibrate with: a .npy or .npz file, or a folder of images",
        default="drawn by --calib-seed",
        parse=Path,
        metavar="PATH",
    )
    seed: int | None = option(
        group="compilation",
        flag="--calib-seed",
        help="seed of the calibration inputs",
        default="0",
        parse=int,
    )

    def __post_init__(self) -> None:
        if isinstance(self.mode, Mode):
            object.__setattr__(self, "mode", self.mode.value)
        super().__post_init__()
        if self.window is not None:
            object.__setattr__(self, "window", check_size("window", self.window))
        if self.window and min(self.window) < 1:
            raise InputError(f"a window of {self.window[0]} x {self.window[1]} is not possible")
        if self.batch is not None and not 1 <= self.batch <= MAX_BATCH:
            raise InputError(f"batch must be 1 to {MAX_BATCH}, not {self.batch}")
        if isinstance(self.percentile, str) and self.percentile != SEARCH:
            raise InputError(f"percentile must be a number or '{SEARCH}', not {self.percentile!r}")
        if (self.seed or 0) < 0:
            raise InputError("a seed must not be negative")
        if self.inputs is not None and self.seed is not None:
            raise InputError("--calib brings its own inputs: leave --calib-seed out")
        _ = self.calibration  # which refuses impossible ones

    def check_applies(self, graph: Graph) -> None:
        """InputError for an option that means nothing for this network."""
        if self.window is not None and graph.input.kind != "image":
            raise InputError(
                f"network {graph.name} takes latents, which have no windows: leave --window out"
            )
        sized = next((node for node in graph.nodes if node.op in HOST_OPERATIONS), None)
        if self.window not in (None, graph.input.shape[1:]) and sized is not None:
            raise InputError(
                f"network {graph.name} has no windows: layer '{sized.name}' ({sized.op}) depends "
                "on its whole input, or on its edges; leave --window out, and give a model that "
                "takes any size the images' with --image-size"
            )

    def with_board(self) -> CompileOptions:
        """The options with the board read from its file, so that a wrong one is found at once.

        Raises BoardError as :func:`winogen.target.board.load_board` does.
        """
        return replace(self, board=self.target)

    @property
    def target(self) -> Board:
        """The board, with the core of the data width; read from its file if need be."""
        if not isinstance(self.board, Board):
            return load_board(self.board, self.data_width)
        if self.data_width != self.board.core.data_width:
            raise InputError(
                f"board {self.board.name} has a core of {self.board.core.data_width} bits here, "
                f"not {self.bits}: leave bits out, or name the board"
            )
        return self.board

    @property
    def data_width(self) -> int:
        """Bits of activations and weights."""
        if self.bits is None and isinstance(self.board, Board):
            return self.board.core.data_width
        return self.bits or DEFAULT_BITS

    @property
    def calibration(self) -> Calibration:
        """How ranges are chosen; with the default percentile where the best is to be found."""
        default = DEFAULT_CALIBRATION[self.data_width]
        percentile = None if isinstance(self.percentile, str) else self.percentile
        return Calibration(
            default.percentile if percentile is None else percentile,
            default.headroom if self.headroom is None else self.headroom,
            default.drawn if self.headroom is None else None,
        )

    @property
    def searches(self) -> bool:
        """Whether the percentile with the best images is to be found."""
        return self.percentile == SEARCH
