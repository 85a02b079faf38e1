"""Any network that a user can name: one of the zoo, a folder, an ONNX file, or a state dict."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError
from winogen.common.options import Options, option
from winogen.network import zoo
from winogen.network.definition import Parameters, StoredParameters
from winogen.network.graph import Graph
from winogen.network.statedict import StateDict, read_parameters


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
        "state dict (.pt, .pth, .safetensors) by the order of the layers",
        parse=Path,
        metavar="FILE",
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


def load_network(model: str | Path | Graph, **options: Any) -> Graph:
    """The network ``model``: a name of the zoo, a folder with layers.yaml, or an ``.onnx`` file.

    A graph is taken as it is, but for the options: those of :class:`NetworkOptions`.

    Raises
    ------
    ModelError, UnsupportedLayerError : there is no such network, or it cannot run
    InputError : an option is unknown, or does not apply to this network
    """
    return read_network(model, NetworkOptions.of("load_network", options))


def read_network(model: str | Path | Graph, options: NetworkOptions) -> Graph:
    """The network ``model``; see :func:`load_network`."""
    size = options.image_size
    if not isinstance(model, Graph) and is_onnx(model):
        _leave_weights_out(str(model), options)
        graph = _import_onnx(Path(model), size)
    else:
        graph = model if isinstance(model, Graph) else _load_defined(model, options.weights)
        if graph is model:
            _leave_weights_out(f"network {graph.name}", options)
        if size is not None:
            if graph.input.kind != "image":
                raise InputError(f"network {graph.name} takes latents: leave --image-size out")
            graph = graph.resized(size)
    spec = graph.input
    if options.input_range is not None:
        if spec.kind != "image":
            raise InputError(f"network {graph.name} takes latents: leave --input-range out")
        spec = replace(spec, range=_ascending(options.input_range, "--input-range"))
    if options.latents is not None:
        if spec.kind != "latent":
            raise InputError(f"network {graph.name} takes images: leave --latents out")
        spec = replace(spec, distribution=options.latents)
    if options.output_range is not None:
        graph = replace(graph, output_range=_ascending(options.output_range, "--output-range"))
    return replace(graph, input=spec)


def _leave_weights_out(model: str, options: NetworkOptions) -> None:
    if options.weights is not None:
        raise InputError(f"{model} has weights of its own: leave --weights out")


def is_onnx(model: str | Path) -> bool:
    """Whether a model is named as an ONNX file."""
    return Path(model).suffix.lower() == ".onnx"


def _load_defined(model: str | Path, file: str | Path | None) -> Graph:
    if file is None:
        return zoo.load_model(model)
    weights = Path(file)
    arrays = read_parameters(weights)
    if weights.suffix == ".npz":
        parameters: Parameters = StoredParameters(arrays, weights.name)
        return zoo.load_model(model, parameters=parameters)
    state = StateDict(arrays, weights.name)
    graph = zoo.load_model(model, parameters=state)
    state.check_all_used()
    return graph


def _import_onnx(path: Path, size: tuple[int, int] | None) -> Graph:
    try:
        import onnx  # noqa: F401 (only whether it is there)
    except ImportError:
        raise InputError(
            "reading ONNX models needs the package onnx: pip install 'winogen[onnx]' (a compiled "
            "program runs without it)"
        ) from None
    from winogen.network.onnx import import_onnx

    return import_onnx(path, image_size=size)


def _ascending(values: tuple[float, float], option: str) -> tuple[float, float]:
    low, high = values
    if not (low < high and max(abs(low), abs(high)) < 1e6):
        raise InputError(f"{option} must be two ascending numbers, not {low} and {high}")
    return low, high
