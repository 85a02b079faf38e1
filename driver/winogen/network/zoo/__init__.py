"""The networks that winogen knows by name, and networks in folders.

Definitions are the ``*.yaml`` files beside this one; one that has an ``.npz`` of the same name is
trained, the others get seeded random weights. Fitted networks are ``*.npz.xz``: the files that
``winogen fit`` writes, packed.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from winogen.common.errors import InputError, ModelError
from winogen.common.text import did_you_mean
from winogen.network.definition import (
    Parameters,
    RandomParameters,
    StoredParameters,
    load_definition,
    load_weights,
)
from winogen.network.graph import Graph
from winogen.network.stored import unpacked

_HERE = Path(__file__).parent
#: Seed of the weights of networks that ship untrained.
WEIGHT_SEED = 2020
_FITTED = ".npz.xz"


def model_names() -> list[str]:
    """Names that :func:`load_model` knows, sorted."""
    return sorted([*(p.stem for p in _HERE.glob("*.yaml")), *fitted_names()])


def fitted_names() -> list[str]:
    """Those of them whose weights are held as the accelerator multiplies them, sorted."""
    return sorted(p.name.removesuffix(_FITTED) for p in _HERE.glob(f"*{_FITTED}"))


def is_trained(name: str) -> bool:
    """Whether the named network ships with trained weights."""
    return (_HERE / f"{name}.npz").exists() or name in fitted_names()


def describe(name: str) -> str:
    """The one-line description of a named network."""
    if name in fitted_names():
        return _fitted(name).description
    return str(yaml.safe_load((_HERE / f"{name}.yaml").read_text()).get("description", ""))


def load_model(
    model: str | Path,
    weight_seed: int = WEIGHT_SEED,
    *,
    parameters: Parameters | None = None,
    image_size: tuple[int, int] | None = None,
) -> Graph:
    """The network ``model``: a name of the zoo, or a folder with layers.yaml and weights.npz.

    Names may be written with underscores for hyphens; ``parameters`` replaces the model's own,
    ``image_size`` the rows and columns of an input image.

    Raises ModelError if there is no such network or its files are damaged, InputError for
    ``parameters`` of a fitted network, whose layers fit no others.
    """
    name = str(model)
    if name.replace("_", "-") in model_names():
        name = name.replace("_", "-")
    definition = _HERE / f"{name}.yaml"
    if name in fitted_names():
        if parameters is not None:
            raise InputError(f"{name} has weights of its own: leave --weights out")
        graph = _fitted(name)
        return graph if image_size is None else graph.resized(image_size)
    if name in model_names():
        if parameters is None and not is_trained(name):
            parameters = RandomParameters(weight_seed)
        if parameters is None:
            weights = definition.with_suffix(".npz")
            parameters = StoredParameters(load_weights(weights), weights.name)
        return load_definition(definition, parameters, image_size=image_size)
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "layers.yaml").is_file():
            raise ModelError(f"folder {folder} has no layers.yaml, so it is no model")
        weights = folder / "weights.npz"
        if parameters is None:
            parameters = StoredParameters(load_weights(weights), weights.name)
        return load_definition(
            folder / "layers.yaml", parameters, name=folder.name, image_size=image_size
        )
    if folder.exists():
        raise ModelError(f"model folder {folder} is a file; give its folder")
    if folder.suffix[1:2].isalpha():  # as files have it, and no name of a network
        raise ModelError(f"{folder}: there is no such file or folder")
    if "/" in name:
        raise ModelError(f"model folder {folder} does not exist")
    hint = did_you_mean(name, model_names())
    raise ModelError(
        f"unknown model '{name}'; {hint}known models: {', '.join(model_names())} "
        "(or give a folder with layers.yaml and weights.npz, an .onnx or network file, or weights)"
    )


def _fitted(name: str) -> Graph:
    return unpacked((_HERE / f"{name}{_FITTED}").read_bytes())
