"""Any network that a user can name: one of the zoo, a folder, a file of a network, or weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from winogen.common.errors import InputError, ModelError
from winogen.network import zoo
from winogen.network.checkpoint import read_parameters
from winogen.network.definition import Parameters, StoredParameters, load_definition
from winogen.network.graph import Graph
from winogen.network.kinds import NETWORK, ONCE, foreign_kind, looks_like_onnx, weights_kind
from winogen.network.notes import tell
from winogen.network.options import NetworkOptions, adapt
from winogen.network.recognise import Recognised, recognise
from winogen.network.statedict import StateDict, Wanted
from winogen.network.stored import load_stored


def load_network(model: str | Path | Graph, **options: Any) -> Graph:
    """The network ``model``: a name of the zoo, a folder with layers.yaml, or a file.

    A file is an ONNX model, a network file (:func:`winogen.network.stored.save_network`), or the
    weights of a generator whose layers can be told from them. A graph is taken as it is, but for
    the options: those of :class:`winogen.network.options.NetworkOptions`.

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
    if is_onnx(model):
        _leave_weights_out(model, options)
        graph = _import_onnx(Path(model), options.image_size)
        graph = adapt(graph, replace(options, image_size=None))
    elif is_stored(model):
        _leave_weights_out(model, options)
        graph = adapt(load_stored(model), options)
    else:
        if Path(model).is_file():
            _leave_weights_out(model, options)
            graph = _recognised(Path(model), options)
        else:
            graph = _load_defined(model, options)
        rest = replace(options, weights=None, weights_key=None, candidate=None)
        graph = adapt(graph, rest)
    tell(graph.notes, stacklevel=3)
    return graph


def _leave_weights_out(model: str | Path, options: NetworkOptions) -> None:
    if options.weights is not None:
        raise InputError(f"{model} has weights of its own: leave --weights out")


def is_onnx(model: str | Path) -> bool:
    """Whether a model is named as an ONNX file."""
    return Path(model).suffix.lower() == ".onnx"


def is_stored(model: str | Path) -> bool:
    """Whether a model is a network file."""
    return Path(model).is_file() and weights_kind(Path(model)) == NETWORK


def recognise_file(path: Path, options: NetworkOptions) -> Recognised:
    """The definition and parameters of the generator that a file of weights is of.

    Raises ModelError if it is of no generator that is recognised; says what other files are.
    """
    if looks_like_onnx(path):
        raise ModelError(f"{path} is an ONNX model by its content: rename it to end in .onnx")
    kind = weights_kind(path)
    if kind == NETWORK:
        raise InputError(f"{path} is a network, not weights alone: it has its layers")
    if kind == ONCE:
        raise InputError(
            f"{path} is a network that was trained once for all: take one out of it with winogen "
            f"fit {path} --fps F"
        )
    if kind is None:
        known = foreign_kind(path) or (
            "no network; give the folder with its layers.yaml, an .onnx file, a network file, or "
            "weights"
        )
        raise ModelError(f"{path} is {known}")
    notes: list[str] = []
    arrays = read_parameters(path, weights_key=options.weights_key, notes=notes)
    found = recognise(arrays, path.name, options.candidate)
    return replace(found, notes=(*notes, *found.notes))


def _recognised(path: Path, options: NetworkOptions) -> Graph:
    found = recognise_file(path, options)
    graph = load_definition(found.definition, StoredParameters(found.arrays, path.name))
    return replace(graph, notes=found.notes)


def _load_defined(model: str | Path, options: NetworkOptions) -> Graph:
    if options.candidate is not None:
        raise InputError(f"{model} has a definition: leave --candidate out")
    if options.weights is None:
        if options.weights_key is not None:
            raise InputError("--weights-key chooses in a file that --weights gives: give that too")
        return _at_size(lambda size: zoo.load_model(model, image_size=size), options.image_size)
    weights = Path(options.weights)
    notes: list[str] = []
    arrays = read_parameters(weights, weights_key=options.weights_key, notes=notes)
    wanted = Wanted()
    zoo.load_model(model, parameters=wanted)
    own = weights.suffix.lower() == ".npz" and any(name in arrays for name in wanted.names)
    if own or not any(name.endswith(".weight") for name in arrays):
        parameters: Parameters = StoredParameters(arrays, weights.name)

        def stored(size: tuple[int, int] | None) -> Graph:
            graph = zoo.load_model(model, parameters=parameters, image_size=size)
            return replace(graph, notes=tuple(notes))

        return _at_size(stored, options.image_size)

    def matched(size: tuple[int, int] | None) -> Graph:
        state = StateDict(arrays, weights.name, wanted)
        graph = zoo.load_model(model, parameters=state, image_size=size)
        state.check_all_used()
        return replace(graph, notes=(*notes, *state.notes))

    return _at_size(matched, options.image_size)


def _at_size(
    load: Callable[[tuple[int, int] | None], Graph], size: tuple[int, int] | None
) -> Graph:
    """A definition's network for an image of this size: what it makes of sizes, it makes anew."""
    graph = load(None)
    if size is None or graph.input.kind != "image":
        return graph
    try:
        return load(size)
    except ModelError:
        graph.resized(size)  # which may know a size near it that is taken
        raise


def _import_onnx(path: Path, size: tuple[int, int] | None) -> Graph:
    if not path.exists():
        raise ModelError(f"{path}: the file cannot be read: there is no such file")
    try:
        import onnx  # noqa: F401 (only whether it is there)
    except ImportError:
        raise InputError(
            "reading ONNX models needs the package onnx: pip install 'winogen[onnx]' (a compiled "
            "program runs without it)"
        ) from None
    from winogen.network.onnx.importer import read_graph

    known = foreign_kind(path)
    if known and path.is_file() and path.stat().st_size:
        raise ModelError(f"{path}: the file is {known}")
    return read_graph(path, image_size=size)
