"""Any network that a user can name: one of the zoo, a folder, an ONNX file, or a state dict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from winogen.common.errors import InputError
from winogen.network import zoo
from winogen.network.definition import Parameters, StoredParameters
from winogen.network.graph import Graph
from winogen.network.statedict import StateDict, read_parameters


def load_network(
    model: str | Path,
    *,
    weights: Path | None = None,
    image_size: tuple[int, int] | None = None,
    input_range: tuple[float, float] | None = None,
    output_range: tuple[float, float] | None = None,
    latents: str | None = None,
) -> Graph:
    """The network ``model``: a name of the zoo, a folder with layers.yaml, or an ``.onnx`` file.

    Parameters
    ----------
    weights : parameters for the layers of ``model``: ``.npz`` by the definition's names, or a
        PyTorch state dict (``.pt``, ``.pth``, ``.safetensors``) by the order of the layers
    image_size : rows and columns of its input image, if it takes any size
    input_range, output_range : real values of an image's black and white
    latents : how latents are distributed, ``normal`` or ``uniform`` in [-1, 1]

    Raises
    ------
    ModelError, UnsupportedLayerError : there is no such network, or it cannot run
    InputError : an option does not apply to this network
    """
    if is_onnx(model):
        if weights is not None:
            raise InputError(f"{model} has weights of its own: leave --weights out")
        graph = _import_onnx(Path(model), image_size)
    else:
        graph = _load_defined(model, weights)
        if image_size is not None:
            if graph.input.kind != "image":
                raise InputError(f"network {graph.name} takes latents: leave --image-size out")
            graph = graph.resized(image_size)
    spec = graph.input
    if input_range is not None:
        if spec.kind != "image":
            raise InputError(f"network {graph.name} takes latents: leave --input-range out")
        spec = replace(spec, range=_ascending(input_range, "--input-range"))
    if latents is not None:
        if spec.kind != "latent":
            raise InputError(f"network {graph.name} takes images: leave --latents out")
        spec = replace(spec, distribution=latents)
    if output_range is not None:
        graph = replace(graph, output_range=_ascending(output_range, "--output-range"))
    return replace(graph, input=spec)


def is_onnx(model: str | Path) -> bool:
    """Whether a model is named as an ONNX file."""
    return Path(model).suffix.lower() == ".onnx"


def _load_defined(model: str | Path, weights: Path | None) -> Graph:
    if weights is None:
        return zoo.load_model(model)
    arrays = read_parameters(weights)
    if weights.suffix == ".npz":
        parameters: Parameters = StoredParameters(arrays, weights.name)
        return zoo.load_model(model, parameters=parameters)
    state = StateDict(arrays, weights.name)
    graph = zoo.load_model(model, parameters=state)
    state.check_all_used()
    return graph


def _import_onnx(path: Path, image_size: tuple[int, int] | None) -> Graph:
    try:
        import onnx  # noqa: F401 (only whether it is there)
    except ImportError:
        raise InputError(
            "reading ONNX models needs the package onnx: pip install 'winogen[onnx]' (a compiled "
            "program runs without it)"
        ) from None
    from winogen.network.onnx import import_onnx

    return import_onnx(path, image_size=image_size)


def _ascending(values: tuple[float, float], option: str) -> tuple[float, float]:
    low, high = values
    if not (low < high and max(abs(low), abs(high)) < 1e6):
        raise InputError(f"{option} must be two ascending numbers, not {low} and {high}")
    return low, high
