"""Calibration inputs from the user: arrays, their files, or a folder of images."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from winogen.common.errors import InputError, WinogenWarning
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem
from winogen.common.images import BICUBIC
from winogen.common.opening import check_regular
from winogen.network.graph import Graph, InputSpec
from winogen.program.formats import beyond_bounds
from winogen.runtime.colour import parts
from winogen.runtime.pictures import names_of, picture_files, read_picture

#: Most inputs that calibration looks at, and most values of all layers together for them (1 GiB).
MAX_INPUTS = 256
MAX_KEPT = 1 << 28
#: Largest array file.
MAX_BYTES = 1 << 32


def read_calibration(
    source: str | Path | NDArray[Any],
    graph: Graph,
    progress: Callable[[str], None] | None = None,
) -> NDArray[np.float32]:
    """Inputs (N, C, H, W) for ``graph`` from an array, ``.npy``, ``.npz`` or a folder of images.

    Of more inputs than calibration can hold, some are taken at even distances. Arrays hold real
    values, (N, C, H, W), (N, H, W, C) or (N, latent), or pixels 0 to 255 as uint8; images are
    fitted to the network's size. What is left out or converted so is a WinogenWarning. Raises
    InputError if the file cannot be read or does not fit.
    """
    spec = graph.input
    layers = sum(math.prod(shape) for shape in graph.shapes.values())
    most = max(1, min(MAX_INPUTS, MAX_KEPT // layers))
    if isinstance(source, (str, Path)):
        if Path(source).is_dir():
            return _read_folder(Path(source), spec, most, progress or (lambda _: None))
        what = f"calibration inputs in {source}"
        array = _read_array(Path(source))
        inputs = _as_batch(what, array, spec)
        if not len(inputs):
            raise InputError(f"calibration file {source} holds no inputs")
    else:
        what = "calibration inputs"
        array = np.asarray(source)
        inputs = _as_batch(what, array, spec)
        if not len(inputs):
            raise InputError("calibration inputs are empty: give at least one")
    told = ["their last dimension is the channel"] if _is_nhwc(np.shape(array), spec) else []
    kept = _some(len(inputs), most, told)
    inputs = np.asarray(inputs[kept])
    if inputs.dtype == np.uint8 and spec.kind == "image":
        told.append("0 is black and 255 is white")
        inputs = _from_pixels(inputs, spec)
    _tell(what, told, stacklevel=2)
    if not np.issubdtype(inputs.dtype, np.floating):
        raise InputError(f"{what} are {inputs.dtype} values, not floats")
    with np.errstate(over="ignore"):
        inputs = inputs.astype(np.float32)
    if not np.all(np.isfinite(inputs)):
        raise InputError(f"{what} hold NaN or infinity")
    _check_range(what, spec, inputs)
    return inputs


def _read_array(path: Path) -> NDArray[Any]:
    """The array of a file, in its own type."""
    try:
        check_regular(path)
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"calibration file {path} has over {MAX_BYTES:,} bytes; take fewer")
        if path.suffix == ".npz":
            return _from_archive(path)
        # Mapped, so that a damaged header cannot ask for memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("its name must end in .npz")
        return array
    except FileNotFoundError:
        raise InputError(
            f"calibration inputs {path} do not exist; give a .npy or .npz file, or a folder of "
            "images"
        ) from None
    except ARRAY_FILE_ERRORS as error:
        raise InputError(
            f"cannot read calibration inputs from {path}: {array_problem(error)}; give a .npy or "
            ".npz file, or a folder of images"
        ) from None


def _some(count: int, most: int, told: list[str]) -> NDArray[np.intp]:
    """Indices of at most so many of ``count`` inputs, at even distances; says if not of all."""
    kept = np.unique(np.linspace(0, count - 1, most).round().astype(int))
    if len(kept) < count:
        told.append(f"{len(kept)} of {count:,} are taken, at even distances")
    return kept


def _tell(what: str, told: list[str], stacklevel: int) -> None:
    """Warn of what was made of inputs, in one sentence; ``stacklevel`` counts from the caller."""
    if told:
        warnings.warn(f"{what}: {'; '.join(told)}", WinogenWarning, stacklevel=stacklevel + 1)


def _is_nhwc(shape: tuple[int, ...], spec: InputSpec) -> bool:
    """Whether images lie with their channels last, and not just as well with them first."""
    c, h, w = spec.shape
    return len(shape) == 4 and shape[1:] == (h, w, c) != (c, h, w)


def _as_batch(what: str, array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """All inputs of an array, (N, C, H, W)."""
    c, h, w = spec.shape
    if array.ndim == 2 and (h, w) == (1, 1):
        array = array[:, :, None, None]
    elif _is_nhwc(array.shape, spec):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1:] != spec.shape:
        wanted = f"(N, {c})" if (h, w) == (1, 1) else f"(N, {c}, {h}, {w})"
        raise InputError(f"{what} have shape {array.shape}, the network takes {wanted}")
    return array


def _from_archive(path: Path) -> NDArray[Any]:
    """The one array of an ``.npz`` file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(m.file_size for m in members) > MAX_BYTES:
        raise ValueError(f"it holds over {MAX_BYTES:,} bytes")
    if len(members) != 1:
        raise ValueError(f"it holds {len(members)} arrays, expected one")
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return np.asarray(arrays[arrays.files[0]])


def _read_folder(
    path: Path, spec: InputSpec, most: int, say: Callable[[str], None]
) -> NDArray[np.float32]:
    if spec.kind != "image":
        raise InputError(
            f"the network takes latent vectors, so calibration needs a .npy file, not {path}"
        )
    if spec.shape[0] not in (1, 3):
        raise InputError(
            f"the network takes images of {spec.shape[0]} channels, which no picture has, so "
            f"calibration needs a .npy file, not {path}"
        )
    files, others = picture_files(path)
    told: list[str] = []
    kept = _some(len(files), most, told)
    pixels, problems, fitted = [], [], 0
    for number, index in enumerate(kept, 1):
        say(f"reading image {number} of {len(kept)}")
        try:
            picture = read_picture(files[index])
            pixels.append(_fitted(picture.image, spec))
            fitted += picture.size != spec.shape[1:]
        except InputError as error:
            problems.append(error)
    if not pixels:
        raise problems[0]
    for problem in problems:
        warnings.warn(f"left out of the calibration: {problem}", WinogenWarning, stacklevel=3)
    rows, columns = spec.shape[1:]
    if fitted:
        told.append(
            f"{fitted} of {len(pixels)} are scaled and cropped to {columns} x {rows} pixels"
        )
    if others:
        told.append(f"left out, as no pictures by their names: {names_of(others)}")
    _tell(f"calibration pictures in {path}", told, stacklevel=3)
    return _from_pixels(np.stack(pixels), spec)


def _fitted(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """Pixels (C, H, W) of a picture, scaled to cover the network's size and cropped."""
    channels, rows, columns = spec.shape
    picture = image.convert("L" if channels == 1 else "RGB")
    picture = ImageOps.fit(picture, (columns, rows), BICUBIC)
    return parts(picture, spec.colour or "rgb", channels)[0]


def _from_pixels(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    low, high = spec.range or (0.0, 1.0)
    return (low + (high - low) * (pixels / 255)).astype(np.float32)


def _check_range(what: str, spec: InputSpec, inputs: NDArray[np.float32]) -> None:
    """Refuse inputs that the network does not expect; trained scales may mean to clip."""
    if spec.scale is not None:
        return
    problem = beyond_bounds(spec, inputs, what)
    if problem:
        raise InputError(problem)
