"""What a model may leave open, or what replaces its own, as options; and graphs adapted to them."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError
from winogen.common.options import Options, option
from winogen.network.graph import Graph


def check_size(name: str, value: Any) -> tuple[int, int]:
    """Rows and columns that were given as an option; InputError if they are none."""
    try:
        rows, columns = value
        return operator.index(rows), operator.index(columns)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be two whole numbers, not {value!r}") from None


def parse_size(text: str) -> tuple[int, int]:
    """Rows and columns from text such as ``64x48``."""
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and min(int(rows), int(columns)) > 0):
        raise InputError(f"'{text}' is not ROWSxCOLUMNS, such as 64x64")
    return int(rows), int(columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkOptions(Options):
    """What a model may leave open, or what replaces its own."""

    weights: str | Path | None = option(
        group="network",
        help="parameters for the model's layers: .npz by the definition's names, or a PyTorch "
        "checkpoint or .safetensors by the names of the layers or their order",
        parse=Path,
        metavar="FILE",
    )
    weights_key: str | None = option(
        group="network",
        help="which of several networks in the weights file, such as params_ema or netG",
        default="what its names say",
        metavar="KEY",
    )
    candidate: int | None = option(
        group="network",
        help="which reading of weights that come without a definition, as a refusal counts them",
        default="the only one",
        parse=int,
        metavar="NUMBER",
    )
    image_size: tuple[int, int] | None = option(
        group="network",
        help="size of the input image, for a network that takes any size",
        parse=parse_size,
        metavar="ROWSxCOLUMNS",
    )
    input_range: tuple[float, float] | None = option(
        group="network",
        help="real values of black and white of the input image",
        default="the model's",
        parse=float,
        count=2,
        metavar=("BLACK", "WHITE"),
    )
    output_range: tuple[float, float] | None = option(
        group="network",
        help="real values of black and white of the output image",
        default="the model's",
        parse=float,
        count=2,
        metavar=("BLACK", "WHITE"),
    )
    latents: str | None = option(
        group="network",
        help="how latents are distributed; uniform is -1 to 1",
        default="the model's, or normal",
        choices=("normal", "uniform"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size is not None:
            object.__setattr__(self, "image_size", check_size("image_size", self.image_size))


def adapt(graph: Graph, options: NetworkOptions) -> Graph:
    """A graph as the options want it; InputError for one that does not apply to it."""
    if options.weights is not None:
        raise InputError(f"network {graph.name} has weights of its own: leave --weights out")
    for flag, value in (("weights-key", options.weights_key), ("candidate", options.candidate)):
        if value is not None:
            raise InputError(f"network {graph.name} has weights of its own: leave --{flag} out")
    if options.image_size is not None:
        if graph.input.kind != "image":
            raise InputError(f"network {graph.name} takes latents: leave --image-size out")
        graph = graph.resized(options.image_size)
    spec = graph.input
    if options.input_range is not None:
        if spec.kind != "image":
            raise InputError(f"network {graph.name} takes latents: leave --input-range out")
        spec = replace(spec, range=_ascending(options.input_range, "--input-range"))
        if not spec.parts:  # a signal, which is taken for normal values else
            spec = replace(spec, distribution="uniform")
    if options.latents is not None:
        if spec.kind != "latent":
            raise InputError(f"network {graph.name} takes images: leave --latents out")
        spec = replace(spec, distribution=options.latents)
    if options.output_range is not None:
        graph = replace(graph, output_range=_ascending(options.output_range, "--output-range"))
    return replace(graph, input=spec)


def _ascending(values: tuple[float, float], option: str) -> tuple[float, float]:
    low, high = values
    if not (low < high and max(abs(low), abs(high)) < 1e6):
        raise InputError(f"{option} must be two ascending numbers, not {low} and {high}")
    return low, high
