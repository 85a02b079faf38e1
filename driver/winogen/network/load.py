"""Any network that a user can name: one of the zoo, a folder, an ONNX file, or a state dict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError
from winogen.network import zoo
from winogen.network.definition import Parameters, StoredParameters
from winogen.network.graph import Graph
from winogen.network.options import NetworkOptions, adapt
from winogen.network.statedict import StateDict, read_parameters


def load_network(model: str | Path | Graph, **options: Any) -> Graph:
    """The network ``model``: a name of the zoo, a folder with layers.yaml, or an ``.onnx`` file.

    A graph is taken as it is, but for the options: those of
    :class:`winogen.network.options.NetworkOptions`.

    Raises
    ------
    ModelError, UnsupportedLayerError : there is no such network, or it cannot run
    InputError : an option is unknown, or does not apply to this network
    """
    return read_network(model, NetworkOptions.of("load_network", options))


def read_network(model: str | Path | Graph, options: NetworkOptions) -> Graph:
    """The network ``model``; see :func:`load_network`."""
    if isinstance(model, Graph):
        return adapt(model, options)
    if not is_onnx(model):
        graph = _load_defined(model, options.weights)
        return adapt(graph, replace(options, weights=None))
    if options.weights is not None:
        raise InputError(f"{model} has weights of its own: leave --weights out")
    graph = _import_onnx(Path(model), options.image_size)
    return adapt(graph, replace(options, image_size=None))


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
