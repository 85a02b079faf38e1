"""A network as one file: an ``.npz`` of its parameters, and of its layers as JSON.

The member ``network.json`` (uint8, the text) says all but the parameters; those of layer number i
are the members ``i.weight`` and so on. Nothing is compressed: equal networks give equal bytes
whatever compresses elsewhere, and no file asks for more memory than it is long. Nothing is ever
unpickled.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem, write_atomically
from winogen.common.opening import check_regular
from winogen.common.text import printable
from winogen.network import stored_values as values
from winogen.network.colour import COLOURS
from winogen.network.graph import (
    MAX_VALUES,
    OPERATIONS,
    PARAMETERS,
    Graph,
    InputPart,
    InputSpec,
    Node,
)
from winogen.network.kinds import NETWORK_MEMBER

#: Of networks, and of those with exits, which older versions of winogen would lose.
FORMAT, FORMAT_WITH_EXITS = 1, 2
#: Bytes of the layers' JSON, far more than any network has.
_MAX_TEXT = 1 << 24
_PLAIN = {"format": FORMAT}
_DTYPES = (np.dtype("<f4"), np.dtype("<f8"))
#: The least that a zip file can say: equal networks give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def save_network(graph: Graph, path: str | Path) -> None:
    """Write a network as a file, whole or not at all; :func:`load_stored` reads it.

    Raises ModelError for a layer that cannot be stored (a parameter of another type than float32 or
    float64, an attribute that its operation does not have), InputError if the file cannot be
    written.
    """
    write_arrays(network_arrays(graph), Path(path))


def load_stored(path: str | Path) -> Graph:
    """The network of a file that :func:`save_network` has written.

    Raises ModelError, or UnsupportedLayerError for an operation that is unknown: what is wrong with
    the file, and with which layer.
    """
    path = Path(path)
    try:
        return network_of(read_arrays(path))
    except ModelError as error:
        told = type(error)(f"network file {path}: {error}")
        told.problems = error.problems
        raise told from None
    except (*ARRAY_FILE_ERRORS, RecursionError, OverflowError, NotImplementedError) as error:
        raise ModelError(f"cannot read network file {path}: {array_problem(error)}") from None


# Writing


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays by name as a zip file of ``.npy`` members, whole or not at all.

    Equal arrays give equal bytes. Raises InputError if the file cannot be written.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, array in arrays.items():
            info = zipfile.ZipInfo(f"{member}.npy", _DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, _npy(array))
    write_atomically(path, stream.getvalue())


def network_arrays(graph: Graph) -> dict[str, NDArray[Any]]:
    """A network as arrays by name, its layers as JSON among them; see :func:`network_of`.

    Raises ModelError for a layer that cannot be stored.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for index, node in enumerate(graph.nodes):
        where = f"layer '{node.name}' of model {graph.name}"
        known = {*values.ATTRIBUTES.get(node.op, {}), *values.OPTIONAL}
        for surplus in sorted(set(node.attrs) - known):
            raise ModelError(f"{where}: its attribute '{surplus}' cannot be stored")
        for name, value in sorted(node.params.items()):
            if value.dtype.newbyteorder("<") not in _DTYPES:
                raise ModelError(f"{where}: its {name} is {value.dtype}, which cannot be stored")
            if name not in _parameters(node.op):
                raise ModelError(f"{where}: its parameter '{name}' cannot be stored")
            arrays[f"{index}.{name}"] = value.astype(value.dtype.newbyteorder("<"))
    text = json.dumps(_described(graph), sort_keys=True).encode()
    header = NETWORK_MEMBER.removesuffix(".npy")
    return {header: np.frombuffer(text, np.uint8), **arrays}


def _parameters(op: str) -> list[str]:
    return [name for name, _ in PARAMETERS.get(op, ())]


def _described(graph: Graph) -> dict[str, Any]:
    """All of a graph but the values of its parameters."""
    return {
        **({"format": FORMAT_WITH_EXITS, "exits": graph.exits} if graph.exits else _PLAIN),
        "name": graph.name,
        "description": graph.description,
        "notes": graph.notes,
        "input": asdict(graph.input),
        "output_range": values.plain(graph.output_range),
        "trained_bits": graph.trained_bits,
        "nodes": [
            {
                "name": node.name,
                "op": node.op,
                "inputs": node.inputs,
                "attrs": {key: values.plain(value) for key, value in node.attrs.items()},
                "params": sorted(node.params),
            }
            for node in graph.nodes
        ],
    }


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    ordered = np.ascontiguousarray(array)
    np.lib.format.write_array(stream, ordered, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


# Reading


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file that :func:`write_arrays` has written: float32, float64 or uint8.

    Nothing is unpickled, and none is larger than the file. Raises ModelError, or any of
    ``winogen.common.files.ARRAY_FILE_ERRORS`` for what is no such file.
    """
    check_regular(path)
    with path.open("rb") as stream:
        return _arrays(stream, path.stat().st_size)


def unpacked(data: bytes) -> Graph:
    """The network of a file of :func:`save_network` that was packed by xz, as winogen ships some.

    Only for what is known to be one: raises whatever Python makes of anything else.
    """
    plain = lzma.decompress(data)
    return network_of(_arrays(io.BytesIO(plain), len(plain)))


def _arrays(stream: BinaryIO, size: int) -> dict[str, NDArray[Any]]:
    """The arrays of a file of so many bytes."""
    with zipfile.ZipFile(stream) as archive:
        found: dict[str, NDArray[Any]] = {}
        if sum(info.file_size for info in archive.infolist()) > size:
            raise ModelError("it is compressed, or its members overlap; save the network again")
        for info in archive.infolist():
            name = printable(info.filename)[:100]
            if info.compress_type != zipfile.ZIP_STORED:
                raise ModelError(f"its member '{name}' is compressed; save the network again")
            if not info.filename.endswith(".npy") or info.filename[:-4] in found:
                raise ModelError(f"it has a member '{name}' too many; save the network again")
            with archive.open(info) as member:
                found[info.filename[:-4]] = _array(member.read(), name)
    return found


def _array(data: bytes, name: str) -> NDArray[Any]:
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ModelError(f"its member '{name}' is of another version of .npy")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype not in (*_DTYPES, np.dtype(np.uint8)) or fortran or len(shape) > 4:
        raise ModelError(f"its member '{name}' is no array of a network")
    start = stream.tell()
    if len(data) - start != math.prod(shape) * dtype.itemsize or min(shape, default=1) < 0:
        raise ModelError(f"its member '{name}' has another size than it says")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).copy()


def network_of(arrays: dict[str, NDArray[Any]]) -> Graph:
    """The network of :func:`network_arrays`, all of whose arrays are taken out of ``arrays``.

    Raises ModelError, TypeError, ValueError or RecursionError for what is none.
    """
    header = arrays.pop(NETWORK_MEMBER.removesuffix(".npy"), None)
    if header is None or header.dtype != np.uint8 or header.nbytes > _MAX_TEXT:
        raise ModelError(f"it has no layers ({NETWORK_MEMBER}) that can be read")
    try:
        described = json.loads(header.tobytes())
    except ValueError:
        raise ValueError("its layers are no JSON") from None
    version = described.get("format") if isinstance(described, dict) else None
    if type(version) is not int or version not in (FORMAT, FORMAT_WITH_EXITS):
        raise ModelError(
            f"it has format {printable(repr(version))[:40]}, this winogen reads {FORMAT} and "
            f"{FORMAT_WITH_EXITS}; save the network again"
        )
    _, name, description, notes, spec, output_range, trained_bits, nodes, *exits = values.members(
        described,
        *("format", "name", "description", "notes", "input", "output_range", "trained_bits"),
        *("nodes", "exits")[:version],
    )
    if not isinstance(nodes, list):
        raise values.refuse("a list of layers", nodes)
    made = [_node(node, index, arrays) for index, node in enumerate(nodes)]
    if arrays:
        raise ModelError(f"it has an array '{printable(min(arrays))[:100]}' of no layer")
    return Graph(
        values.name(name),
        _input(spec),
        made,
        _range(output_range),
        values.text(description),
        values.several(values.text)(notes),
        values.maybe(lambda v: values.whole(v, 2, 32))(trained_bits),
        values.several(values.name)(exits[0]) if exits else (),
    )


def _node(value: Any, index: int, arrays: dict[str, NDArray[Any]]) -> Node:
    where = f"layer {index}"
    try:
        title, op, inputs, attrs, params = values.members(
            value, "name", "op", "inputs", "attrs", "params"
        )
        where = f"layer '{values.name(title)}'"
        read = values.several(values.name)(inputs)
        if not read:
            raise ModelError("it reads nothing")
        node = Node(title, values.name(op), read)
        if op not in OPERATIONS:
            return node  # which the graph refuses, and names those that there are
        node.attrs = values.attributes(op, attrs)
        for name in values.several(values.one_of(*_parameters(op)))(params):
            array = arrays.pop(f"{index}.{name}", None)
            if array is None:
                raise ModelError(f"its {name} is not in the file")
            node.params[name] = array
        return node
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None


def _range(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = values.several(values.number, 2)(value)
    if not low < high:
        raise values.refuse("an ascending range", value)
    return low, high


def _input(value: Any) -> InputSpec:
    try:
        shape, kind, distribution, scale, ends, parts, colour = values.members(
            value, "shape", "kind", "distribution", "scale", "range", "parts", "colour"
        )
        spec = InputSpec(
            values.several(lambda v: values.whole(v, 1), 3)(shape),
            values.one_of("latent", "image")(kind),
            values.one_of("normal", "uniform")(distribution),
            values.maybe(values.positive)(scale),
            _range(ends),
            values.several(_part)(parts),
            values.maybe(values.one_of(*COLOURS))(colour),
        )
        if math.prod(spec.shape) > MAX_VALUES:
            raise ModelError(f"its shape {spec.shape} has over {MAX_VALUES:,} values")
        if spec.parts and sum(part.channels for part in spec.parts) != spec.shape[0]:
            raise ModelError("its parts do not make up its channels")
        if len({part.name for part in spec.parts}) != len(spec.parts):
            raise ModelError("two of its parts have one name")
        return spec
    except ModelError as error:
        raise ModelError(f"its input: {error}") from None


def _part(value: Any) -> InputPart:
    name, kind, channels, classes = values.members(value, "name", "kind", "channels", "classes")
    part = InputPart(
        values.name(name),
        values.one_of("latent", "label", "image")(kind),
        values.whole(channels, 1),
        values.several(values.text)(classes),
    )
    if part.classes and len(part.classes) != part.channels:
        raise ModelError(f"'{part.name}' has {len(part.classes)} names for {channels} classes")
    return part
