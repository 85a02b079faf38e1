"""Tensors of an ONNX file as arrays, with their declared sizes checked before anything is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from winogen.common.errors import ModelError
from winogen.network.definition import MAX_WEIGHTS
from winogen.network.onnx.names import shown

#: Element types that a constant may have: bytes of one element, and the field that holds it where
#: the tensor has no raw data.
_TYPES: dict[int, tuple[int, str]] = {
    TensorProto.FLOAT: (4, "float_data"),
    TensorProto.DOUBLE: (8, "double_data"),
    TensorProto.FLOAT16: (2, "int32_data"),
    TensorProto.BFLOAT16: (2, "int32_data"),
    TensorProto.INT8: (1, "int32_data"),
    TensorProto.UINT8: (1, "int32_data"),
    TensorProto.INT16: (2, "int32_data"),
    TensorProto.UINT16: (2, "int32_data"),
    TensorProto.INT32: (4, "int32_data"),
    TensorProto.INT64: (8, "int64_data"),
    TensorProto.UINT32: (4, "uint64_data"),
    TensorProto.UINT64: (8, "uint64_data"),
    TensorProto.BOOL: (1, "int32_data"),
}
FLOAT_TYPES = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
)


def type_name(code: int) -> str:
    """The ONNX name of an element type, such as FLOAT16."""
    known = dict(zip(TensorProto.DataType.values(), TensorProto.DataType.keys()))
    return str(known.get(code, f"type {code}"))


def to_array(tensor: onnx.TensorProto, where: str, folder: Path | None) -> NDArray[Any]:
    """The values of a tensor; ``folder`` holds the model's external data (None: there is none).

    bfloat16 comes as float32. Raises ModelError if the tensor is too large, of a type that no
    generator needs, or if its data are missing or of another size than its shape.
    """
    where = f"{where}: tensor '{shown(tensor.name)}'"
    dims = tuple(tensor.dims)
    if len(dims) > 8 or any(d < 0 for d in dims) or math.prod(dims) > MAX_WEIGHTS:
        raise ModelError(
            f"{where} declares the shape {shown(str(dims))}; a constant may have up to 8 "
            f"dimensions and {MAX_WEIGHTS:,} values"
        )
    if tensor.data_type not in _TYPES:
        raise ModelError(
            f"{where} holds {type_name(tensor.data_type)} values, which are not supported; export "
            "the model in float32"
        )
    size, field = _TYPES[tensor.data_type]
    count = math.prod(dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        copy = onnx.TensorProto(dims=dims, data_type=tensor.data_type)
        copy.raw_data = _external(tensor, count * size, where, folder)
        tensor = copy
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * size:
            raise ModelError(
                f"{where} of shape {dims} needs {count * size} bytes but has "
                f"{len(tensor.raw_data)}; the file is damaged"
            )
    elif len(getattr(tensor, field)) != count:
        raise ModelError(
            f"{where} of shape {dims} has {len(getattr(tensor, field))} of {count} values; the "
            "file is damaged"
        )
    array = np.asarray(numpy_helper.to_array(tensor))
    return array.astype(np.float32) if tensor.data_type == TensorProto.BFLOAT16 else array


#: Characters of the name of an external file: what file systems take.
MAX_LOCATION = 255


def _external(tensor: onnx.TensorProto, size: int, where: str, folder: Path | None) -> bytes:
    """Exactly ``size`` bytes from the file that the tensor names, inside ``folder``."""
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    name = shown(location)
    if folder is None:
        raise ModelError(f"{where} is in the external file '{name}', but the model is not a file")
    inside = bool(location) and "\0" not in location and len(location) <= MAX_LOCATION
    path = (folder / location).resolve() if inside else folder
    if not inside or not path.is_relative_to(folder.resolve()):
        raise ModelError(
            f"{where} names the external file '{name}', which is not inside the model's folder; "
            "save the model with its data beside it"
        )
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(size)))
    except ValueError:
        raise ModelError(f"{where}: offset or length of its external data is no number") from None
    if length != size or offset < 0:
        raise ModelError(f"{where} needs {size} bytes of '{name}', not {length} at {offset}")
    if not path.is_file():
        raise ModelError(f"{where} is in the file '{name}', which is missing beside the model")
    try:
        with path.open("rb") as file:
            available = path.stat().st_size
            if offset + size <= available:
                file.seek(offset)
                data = file.read(size)
                if len(data) == size:
                    return data
    except OSError as error:
        raise ModelError(f"{where}: cannot read '{name}': {error.strerror or error}") from None
    raise ModelError(f"{where}: its external file '{name}' is truncated; copy it again")
