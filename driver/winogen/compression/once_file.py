"""Networks that were trained once for all, as one file: what was trained, and its teacher.

A zip file like that of a network (:mod:`winogen.network.stored`), whose arrays stand in three
folders: ``teacher`` is the network as it was, ``network`` the layers with the weights that all
sub-networks share, ``elastic`` what they have beside those. What is elastic follows from the layers
and is not written: a file cannot say what its arrays do not bear out. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem
from winogen.common.text import printable
from winogen.compression.elastic import Elastic
from winogen.compression.limits import MAX_STEPS
from winogen.network.graph import Graph
from winogen.network.kinds import ONCE_MEMBER
from winogen.network.stored import network_arrays, network_of, read_arrays, write_arrays

FORMAT = 1
_HEADER = ONCE_MEMBER.removesuffix(".npy")
_TEACHER, _NETWORK, _ELASTIC = "teacher/", "network/", "elastic/"
_MAX_TEXT = 1 << 12


@dataclass(frozen=True)
class Once:
    """A network that was trained once for all.

    Attributes
    ----------
    elastic : all of its sub-networks
    teacher : the network that they learnt from
    steps : that were trained
    """

    elastic: Elastic
    teacher: Graph
    steps: int


def save_once(once: Once, path: Path) -> None:
    """Write it whole or not at all; :func:`load_once` reads it.

    Raises ModelError for a layer that cannot be stored, InputError if the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, "steps": once.steps}, sort_keys=True).encode()
    arrays: dict[str, NDArray[Any]] = {_HEADER: np.frombuffer(text, np.uint8)}
    for folder, graph in ((_TEACHER, once.teacher), (_NETWORK, once.elastic.shared())):
        arrays.update({folder + name: v for name, v in network_arrays(graph).items()})
    for name, value in sorted(once.elastic.own().items()):
        arrays[_ELASTIC + name] = value.detach().cpu().numpy().astype("<f4")
    write_arrays(arrays, path)


def load_once(path: Path) -> Once:
    """What :func:`save_once` has written.

    Raises ModelError, or UnsupportedLayerError: what is wrong with the file.
    """
    try:
        return _once(read_arrays(path))
    except (ModelError, UnsupportedLayerError) as error:
        told = type(error)(f"file {path}, trained once for all: {error}")
        told.problems = error.problems
        raise told from None
    except (*ARRAY_FILE_ERRORS, RecursionError, OverflowError, NotImplementedError) as error:
        raise ModelError(
            f"cannot read {path}, trained once for all: {array_problem(error)}"
        ) from None


def _once(arrays: dict[str, NDArray[Any]]) -> Once:
    header = arrays.pop(_HEADER, None)
    if header is None or header.dtype != np.uint8 or header.nbytes > _MAX_TEXT:
        raise ModelError(f"it has no header ({ONCE_MEMBER}) that can be read")
    said = json.loads(header.tobytes())
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        found = said.get("format") if isinstance(said, dict) else None
        raise ModelError(
            f"it has format {printable(repr(found))[:40]}, this winogen reads {FORMAT}; train it "
            "again"
        )
    steps = said.get("steps")
    if type(steps) is not int or not 0 <= steps <= MAX_STEPS:
        raise ModelError("it does not say for how many steps it was trained")
    teacher, graph = (network_of(_taken(arrays, folder)) for folder in (_TEACHER, _NETWORK))
    trained = _taken(arrays, _ELASTIC)
    if arrays:
        raise ModelError(f"it has an array '{printable(min(arrays))[:100]}' of no network")
    if (graph.input.shape, graph.output_shape) != (teacher.input.shape, teacher.output_shape):
        raise ModelError("its network is no network like its teacher")
    if graph.trained_bits is not None:
        raise ModelError("its network has scales of its own, which sub-networks would not share")
    elastic = Elastic(graph)
    _fill(elastic, trained)
    return Once(elastic, teacher, steps)


def _taken(arrays: dict[str, NDArray[Any]], folder: str) -> dict[str, NDArray[Any]]:
    names = [name for name in arrays if name.startswith(folder)]
    return {name.removeprefix(folder): arrays.pop(name) for name in names}


def _fill(elastic: Elastic, trained: dict[str, NDArray[Any]]) -> None:
    own = elastic.own()
    if set(own) != set(trained):
        name = min(set(own) ^ set(trained))
        raise ModelError(
            f"its array '{printable(name)[:100]}' is "
            + ("of no layer" if name in trained else "missing")
        )
    for name, value in trained.items():
        wanted = tuple(own[name].shape)
        if value.dtype != np.dtype("<f4") or value.shape != wanted:
            raise ModelError(
                f"its array '{printable(name)[:100]}' is {value.dtype} {value.shape}, expected "
                f"float32 {wanted}"
            )
        if not np.all(np.isfinite(value)):
            raise ModelError(f"its array '{printable(name)[:100]}' holds NaN or infinity")
        with torch.no_grad():
            own[name].copy_(torch.from_numpy(value))
