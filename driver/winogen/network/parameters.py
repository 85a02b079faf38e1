"""Parameters of a definition: arrays by the layers' names, from a file or drawn from a seed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem
from winogen.common.opening import check_regular
from winogen.common.text import printable

#: Most weights of one layer; GP-GAN's largest has 33 million.
MAX_WEIGHTS = 1 << 28


class Parameters(Protocol):
    """Where a definition's parameters come from."""

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """The parameter ``name``; ModelError if there is none (its shape is checked later)."""
        ...


class StoredParameters:
    """Parameters from arrays, such as those of an ``.npz`` file."""

    def __init__(self, arrays: Mapping[str, NDArray], source: str):
        self._arrays = {printable(name): array for name, array in arrays.items()}
        self._source = source

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """The stored parameter; ModelError if it is missing."""
        kind = name.rsplit(".", 1)[-1]
        if name not in self._arrays:
            affine = kind in ("norm_gamma", "norm_beta", "bn_gamma", "bn_beta")
            way_out = "; a norm that has none says affine: false" if affine else ""
            raise ModelError(
                f"{where}: '{name}' (shape {shape}) is missing in {self._source}{way_out}"
            )
        value = np.asarray(self._arrays[name])
        if kind in ("weight", "bias") and value.shape != shape:
            raise ModelError(f"{where}: its {kind} has shape {value.shape}, expected {shape}")
        with np.errstate(over="ignore"):  # what overflows is refused as infinity
            return value.astype(np.float32) if np.issubdtype(value.dtype, np.floating) else value


class RandomParameters:
    """Seeded parameters whose activations stay in a realistic range through many layers."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def get(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """The next draw, shaped and scaled for the kind of parameter."""
        kind = name.rsplit(".", 1)[1]
        draw = self._rng.standard_normal(shape, np.float32)
        if kind in ("bn_gamma", "bn_var", "norm_gamma"):
            return (1 + 0.1 * np.clip(draw, -3, 3)).astype(np.float32)
        if kind == "alpha":
            return (0.25 + 0.05 * draw).astype(np.float32)
        return 0.1 * draw if kind not in ("weight", "value") else draw


def load_weights(path: Path) -> dict[str, NDArray]:
    """All arrays of an ``.npz`` file; ModelError if it cannot be read."""
    try:
        check_regular(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > 8 * MAX_WEIGHTS:
                raise ValueError(f"it unpacks to over {8 * MAX_WEIGHTS:,} bytes")
        with path.open("rb") as stream:  # numpy leaves a damaged file open if it opens it itself
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is no .npz archive")
            with file:
                return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise ModelError(f"weights file {path} does not exist") from None
    except ARRAY_FILE_ERRORS as error:
        raise ModelError(f"cannot read weights file {path}: {array_problem(error)}") from None
