"""Reading an ONNX file: bytes to a checked list of nodes, before anything is done with them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import AttributeProto, defs, helper

from winogen.common.errors import ModelError, UnsupportedLayerError, one_line
from winogen.common.opening import check_regular
from winogen.network.definition import MAX_WEIGHTS
from winogen.network.onnx.convert import converted, inlined
from winogen.network.onnx.names import shown
from winogen.network.onnx.tensors import FLOAT_TYPES, to_array, type_name
from winogen.network.onnx.wire import check_model_bytes

#: Largest model file, without its external data. A protobuf message cannot exceed twice this.
MAX_FILE_BYTES = 1 << 30
#: Most nodes; generators have some hundred.
MAX_NODES = 10_000
#: The oldest opset whose operators are known, and the oldest that is converted to it.
OLDEST_OPSET = 11
OLDEST_CONVERTED = 7
_DOMAINS = ("", "ai.onnx")
_ATTRIBUTE_TYPES = (
    AttributeProto.FLOAT,
    AttributeProto.FLOATS,
    AttributeProto.INT,
    AttributeProto.INTS,
    AttributeProto.STRING,
    AttributeProto.STRINGS,
)


#: Types of inputs that may be labels.
INTEGERS = ("INT64", "INT32")
#: Operators that keep a label what it is.
PASSING = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Op:
    """One ONNX node: its attributes as Python values, tensors as arrays."""

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any]
    proto: onnx.NodeProto = field(repr=False)
    #: Why the node can never run, whatever its inputs; empty if it may.
    problem: str = ""

    @property
    def where(self) -> str:
        """How messages name this node."""
        return f"node '{self.name}' ({self.type})"


@dataclass(frozen=True)
class Input:
    """An input of a model; ``shape`` has None for a dimension that the file leaves open."""

    name: str
    shape: tuple[int | None, ...]
    type: str

    @property
    def is_integer(self) -> bool:
        """Whether it holds integers, as labels do."""
        return self.type in INTEGERS


@dataclass(frozen=True)
class Model:
    """A checked model with at least one input, and one output.

    ``classes`` are names of a label's values, if the file says them (metadata ``classes``).
    """

    opset: int
    inputs: tuple[Input, ...]
    output: str
    constants: dict[str, NDArray[Any]]
    ops: list[Op]
    #: What the user should know about how the file was read.
    notes: tuple[str, ...] = ()
    #: What the file says of itself: who wrote it, its opset before any conversion, its output.
    producer: str = ""
    written_opset: int = 0
    output_shape: tuple[int | None, ...] | None = None
    classes: tuple[str, ...] = ()


def read_file(path: Path) -> Model:
    """The model in a file; ModelError if it cannot be read, or is no model with one input."""
    try:
        check_regular(path)
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelError(
                f"the file has {size / 1e6:,.0f} MB, the limit is {MAX_FILE_BYTES / 1e6:,.0f} MB; "
                "save its weights as external data"
            )
        with path.open("rb") as file:
            data = file.read(size)  # a larger number would be memory, if only for a moment
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror or error}") from None
    return read_model(data, path.parent)


def read_model(data: bytes, folder: Path | None = None) -> Model:
    """The model in the bytes of a file; ``folder`` is where its external data may be."""
    if not data:
        raise ModelError("the file is empty; export the model again")
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"the model has over {MAX_FILE_BYTES:,} bytes")
    proto = _parsed(data)
    notes: tuple[str, ...] = ()
    if proto.functions:
        calls = f"the model calls functions of its own ('{shown(proto.functions[0].name)}', ...)"
        _check_embedded(proto, calls)
        proto = _parsed(inlined(data))
        notes = (f"{calls}; onnx's inliner has put their nodes in their places",)
    opset = written = _opset(proto)
    producer = " ".join(filter(None, map(shown, (proto.producer_name, proto.producer_version))))
    if opset < OLDEST_OPSET:
        _check_embedded(proto, f"the model uses opset {opset}")
        proto = _parsed(converted(proto.SerializeToString(), opset, OLDEST_OPSET))
        _resize_as_before(proto)
        notes += (
            f"the model uses opset {opset}; onnx's version converter made it opset {OLDEST_OPSET}",
        )
        opset = _opset(proto)
    graph = proto.graph
    if graph.sparse_initializer:
        raise UnsupportedLayerError("sparse constants are not supported; export them dense")
    constants: dict[str, NDArray[Any]] = {}
    values = 0
    for tensor in graph.initializer:
        if tensor.name in constants:
            raise ModelError(f"the constant '{shown(tensor.name)}' is defined twice")
        constants[tensor.name] = to_array(tensor, "the model", folder)
        values += constants[tensor.name].size
        if values > MAX_WEIGHTS:
            raise ModelError(f"its constants take over {MAX_WEIGHTS:,} values together")
    infos = [i for i in graph.input if i.name not in constants]
    if not infos:
        _one(infos, "input")
    output = _one(list(graph.output), "output")
    _check_names(graph)
    ops = [_op(node, i, opset, folder) for i, node in enumerate(graph.node)]
    if written < OLDEST_OPSET:  # the converter leaves Resize the defaults of opset 11
        for op in (op for op in ops if op.type in ("Resize", "Upsample")):
            op.attrs.setdefault("coordinate_transformation_mode", "asymmetric")
            op.attrs.setdefault("nearest_mode", "floor")
    inputs = tuple(_input(info) for info in infos)
    if len(inputs) == 1 and inputs[0].is_integer and not _looked_up(inputs[0].name, ops):
        raise UnsupportedLayerError(
            f"the input '{shown(inputs[0].name)}' holds {inputs[0].type} values, not floats; "
            "export the model with a float32 input"
        )
    made = _shape(output) if output.type.tensor_type.HasField("shape") else None
    return Model(
        opset, inputs, output.name, constants, ops, notes, producer, written, made, _classes(proto),
    )  # fmt: skip


def _parsed(data: bytes) -> onnx.ModelProto:
    """The message in the bytes of a file, which has nodes, and not too many."""
    check_model_bytes(data)
    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError) as error:
        raise ModelError(
            f"the file is damaged, truncated or no ONNX model ({one_line(error, 80)}); export it "
            "again"
        ) from None
    count = len(proto.graph.node)
    if not count:
        raise ModelError("the file holds no network (no nodes); export it again")
    if count > MAX_NODES:
        raise ModelError(f"the network has {count:,} nodes, the limit is {MAX_NODES:,}")
    return proto


def _check_embedded(proto: onnx.ModelProto, why: str) -> None:
    """Refuse to convert a model whose weights are in other files, which would be lost."""
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer):
        raise ModelError(
            f"{why} and keeps weights in other files, so it cannot be converted; export it again "
            "in one file, with opset_version=17"
        )


def _opset(proto: onnx.ModelProto) -> int:
    versions = [o.version for o in proto.opset_import if o.domain in _DOMAINS]
    if not versions:
        raise ModelError("the file names no ONNX opset; export it again")
    newest = defs.onnx_opset_version()
    if not OLDEST_CONVERTED <= versions[0] <= newest:
        raise ModelError(
            f"the model uses opset {versions[0]}, supported are {OLDEST_CONVERTED} to {newest}; "
            "export it with one of those (opset_version=17)"
        )
    return int(versions[0])


def _check_names(graph: onnx.GraphProto) -> None:
    """Refuse what ONNX calls invalid and runtimes refuse: two nodes of one name."""
    seen: set[str] = set()
    for node in graph.node:
        if node.name and node.name in seen:
            raise ModelError(
                f"two nodes are named '{shown(node.name)}', and ONNX allows a name once; give "
                "nodes names of their own, or none, and save the model again"
            )
        seen.add(node.name)


def _one(infos: list[Any], what: str) -> Any:
    if len(infos) != 1:
        names = ", ".join(f"'{shown(i.name)}'" for i in infos[:5]) or "none"
        way_out = "export the generator alone"
        if what == "output" and infos:
            way_out = (
                "export a model that returns the picture alone, or cut the file down to it with "
                f"onnx.utils.extract_model (output_names=['{shown(infos[0].name)}'], for one)"
            )
        raise UnsupportedLayerError(
            f"the model has {len(infos)} {what}s ({names}); winogen needs exactly one: {way_out}"
        )
    return infos[0]


def _input(info: Any) -> Input:
    kind = info.type.tensor_type.elem_type
    known = kind in FLOAT_TYPES or type_name(kind) in INTEGERS
    if not info.type.HasField("tensor_type") or not known:
        raise UnsupportedLayerError(
            f"the input '{shown(info.name)}' holds {type_name(kind)} values, not floats; export "
            "the model with a float32 input"
        )
    return Input(info.name, _shape(info), type_name(kind))


def _looked_up(name: str, ops: list[Op]) -> bool:
    """Whether an input of integers is an index somewhere: a label."""
    names = {name}
    for op in ops:
        if op.type not in ("Gather", "OneHot", "Equal") and names.intersection(op.inputs):
            names.update(op.outputs)
        if op.type in ("Gather", "OneHot", "Equal") and names.intersection(op.inputs[:2]):
            return True
    return False


def _classes(proto: onnx.ModelProto) -> tuple[str, ...]:
    """Names of classes in the file's metadata: separated by commas, or as JSON's list."""
    text = {p.key.lower(): p.value for p in proto.metadata_props}.get("classes", "")
    if text.lstrip().startswith("["):
        try:
            return tuple(shown(str(name)) for name in json.loads(text))
        except (ValueError, RecursionError):
            return ()
    return tuple(shown(name.strip()) for name in text.split(",") if name.strip())


def _shape(info: Any) -> tuple[int | None, ...]:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        raise ModelError(f"the input '{shown(info.name)}' has no shape; export it with one")
    dims: list[int | None] = []
    for dim in tensor.shape.dim:
        known = dim.HasField("dim_value") and dim.dim_value > 0
        dims.append(int(dim.dim_value) if known else None)
    return tuple(dims)


def _resize_as_before(proto: onnx.ModelProto) -> None:
    """Have a converted Resize or Upsample take the samples that it took: onnx's converter forgets.

    Before opset 11 there was no attribute for it; the first sample of both sides was the same.
    """
    for node in proto.graph.node:
        if node.op_type == "Resize" and node.domain in _DOMAINS:
            given = {attribute.name for attribute in node.attribute}
            for name, value in (
                ("coordinate_transformation_mode", "asymmetric"),
                ("nearest_mode", "floor"),
            ):
                if name not in given:
                    node.attribute.append(helper.make_attribute(name, value))


#: Operators that a later opset has replaced, and that are run all the same.
_STILL_RUN = ("GroupNormalization",)


def _op(node: onnx.NodeProto, index: int, opset: int, folder: Path | None) -> Op:
    label = node.name or next((o for o in node.output if o), f"#{index}")
    where = f"node '{shown(label)}' ({shown(node.op_type)})"
    if node.domain not in _DOMAINS:
        problem = (
            f"{where}: operators of the domain '{shown(node.domain)}' are not supported; export "
            "with standard ONNX operators"
        )
        return Op(shown(label), shown(node.op_type), tuple(node.input), tuple(node.output), {},
                  node, problem)  # fmt: skip
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        raise ModelError(f"{where}: opset {opset} has no such operator") from None
    if schema.deprecated and node.op_type not in _STILL_RUN:
        raise ModelError(f"{where}: opset {opset} has no such operator any more")
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise ModelError(
            f"{where} has {len(node.input)} inputs, expected {schema.min_input} to "
            f"{schema.max_input}; the file is damaged"
        )
    if not schema.min_output <= len(node.output) <= schema.max_output:
        raise ModelError(f"{where} has {len(node.output)} outputs; the file is damaged")
    for index, name in enumerate(node.input):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        if not name and formal.option != defs.OpSchema.FormalParameterOption.Optional:
            raise ModelError(f"{where}: its input {index} is left out")
    attrs: dict[str, Any] = {}
    problem = ""
    for attribute in node.attribute:
        known = schema.attributes.get(attribute.name)
        kind = None if known is None else known.type.value  # type: ignore[attr-defined]
        if attribute.type != kind:
            raise ModelError(f"{where}: wrong attribute '{shown(attribute.name)}'")
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            problem = (
                f"{where} holds a network within the network, which is not supported; export the "
                "model without control flow"
            )
            attrs[attribute.name] = None
            continue
        attrs[attribute.name] = _value(attribute, where, folder)
    for name, known in schema.attributes.items():
        if known.required and name not in attrs:
            raise ModelError(f"{where}: its attribute '{name}' is missing")
    return Op(
        shown(label), node.op_type, tuple(node.input), tuple(node.output), attrs, node, problem
    )


def _value(attribute: onnx.AttributeProto, where: str, folder: Path | None) -> Any:
    if attribute.type == AttributeProto.TENSOR:
        return to_array(attribute.t, where, folder)
    if attribute.type not in _ATTRIBUTE_TYPES:
        raise UnsupportedLayerError(
            f"{where}: its attribute '{shown(attribute.name)}' is of a type that is not supported"
        )
    value = helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.STRING:
        return value.decode("ascii", "replace")
    if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS):
        return tuple(value)
    return value
