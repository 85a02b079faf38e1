"""Damaged ONNX files: bytes changed at random, and structures changed in meaningful ways."""

from __future__ import annotations

import copy
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from hypothesis import given, seed
from hypothesis import strategies as st
from onnx import TensorProto, helper

from support.onnx_models import dcgan
from support.places import ONNX_FILES
from support.strategies import examples
from winogen.common.errors import ModelError, QuantisationError
from winogen.compiler.fold import fold
from winogen.network.onnx import import_onnx

#: Sizes and numbers that break arithmetic.
EXTREMES = (-(2**63), -(2**31), -65521, -2, -1, 0, 1, 2, 3, 65521, 2**31 - 1, 2**40, 2**63 - 1)


def mutant(data: bytes, rng: random.Random) -> bytes:
    """One damaged copy of a model file."""
    if rng.random() < 0.4:
        return _bytes(data, rng)
    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = rng.choice(_CHANGES)
        try:
            change(model, rng)
        except (IndexError, ValueError, TypeError, DecodeError):
            continue  # nothing of that kind to change, or no longer a message
    out = bytes(model.SerializeToString())
    return _bytes(out, rng) if rng.random() < 0.1 else out


def _bytes(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        kind, at = rng.randrange(5), rng.randrange(max(len(out), 1))
        if kind == 0:
            out[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del out[at : at + rng.choice((1, 2, 16, 512))]
        elif kind == 2:
            out[at:at] = rng.randbytes(rng.choice((1, 2, 16)))
        elif kind == 3:
            del out[at:]
        else:
            start = rng.randrange(max(len(out), 1))
            out[at:at] = out[start : start + rng.choice((4, 64, 1024))]
    return bytes(out)


def _node(model: Any, rng: random.Random) -> Any:
    return model.graph.node[rng.randrange(len(model.graph.node))]


def _tensor(model: Any, rng: random.Random) -> Any:
    return model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def _attribute(model: Any, rng: random.Random) -> None:
    attribute = rng.choice(rng.choice([n for n in model.graph.node if n.attribute]).attribute)
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(EXTREMES)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(EXTREMES)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice((float("nan"), float("inf"), -1e30, 0.0, 1e-45))
    else:
        attribute.s = rng.randbytes(4)


def _attribute_kind(model: Any, rng: random.Random) -> None:
    attribute = rng.choice(rng.choice([n for n in model.graph.node if n.attribute]).attribute)
    attribute.type = rng.randrange(15)


def _attribute_name(model: Any, rng: random.Random) -> None:
    attribute = rng.choice(rng.choice([n for n in model.graph.node if n.attribute]).attribute)
    attribute.name = rng.choice(("group", "auto_pad", "axis", "perm", "x" * 5000, "\n"))


def _longer(model: Any, rng: random.Random) -> None:
    attribute = rng.choice([a for n in model.graph.node for a in n.attribute if a.ints])
    attribute.ints.extend([1] * rng.choice((1, 3, 1000)))


def _operator(model: Any, rng: random.Random) -> None:
    _node(model, rng).op_type = rng.choice(sorted({s.name for s in onnx.defs.get_all_schemas()}))


def _domain(model: Any, rng: random.Random) -> None:
    _node(model, rng).domain = rng.choice(("ai.onnx.ml", "com.microsoft", "\x00"))


def _wire(model: Any, rng: random.Random) -> None:
    node, other = _node(model, rng), _node(model, rng)
    node.input[rng.randrange(len(node.input))] = rng.choice((other.output[0], "", "nowhere"))


def _more_wires(model: Any, rng: random.Random) -> None:
    _node(model, rng).input.extend(["z"] * rng.choice((1, 2, 100)))


def _fewer_wires(model: Any, rng: random.Random) -> None:
    node = _node(model, rng)
    del node.input[rng.randrange(len(node.input)) :]


def _output(model: Any, rng: random.Random) -> None:
    node, other = _node(model, rng), _node(model, rng)
    node.output[0] = rng.choice((other.output[0], "", "z"))


def _drop(model: Any, rng: random.Random) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def _swap(model: Any, rng: random.Random) -> None:
    a, b = (rng.randrange(len(model.graph.node)) for _ in range(2))
    first, second = (copy.deepcopy(model.graph.node[i]) for i in (a, b))
    model.graph.node[a].CopyFrom(second)
    model.graph.node[b].CopyFrom(first)


def _repeat(model: Any, rng: random.Random) -> None:
    node = copy.deepcopy(_node(model, rng))
    model.graph.node.extend([node] * rng.choice((1, 50)))


def _dims(model: Any, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(EXTREMES)
    else:
        tensor.dims.extend([rng.choice(EXTREMES)] * rng.choice((1, 9)))


def _element_type(model: Any, rng: random.Random) -> None:
    _tensor(model, rng).data_type = rng.randrange(30)


def _values(model: Any, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    if rng.random() < 0.5:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))
    else:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data))]


def _external(model: Any, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    tensor.data_location = TensorProto.EXTERNAL
    for key, values in (
        ("location", ("w.bin", "../../etc/passwd", "/etc/passwd", "", "a\x00b", "x" * 5000)),
        ("offset", ("0", "-1", "9" * 30, "x")),
        ("length", ("0", "4", "9" * 30)),
    ):
        tensor.external_data.add(key=key, value=rng.choice(values))


def _drop_tensor(model: Any, rng: random.Random) -> None:
    del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def _input_shape(model: Any, rng: random.Random) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[rng.randrange(len(dims))].dim_value = rng.choice(EXTREMES)


def _input_rank(model: Any, rng: random.Random) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for _ in range(rng.choice((1, 3, 200))):
        dims.add().dim_value = 2


def _input_type(model: Any, rng: random.Random) -> None:
    model.graph.input[0].type.tensor_type.elem_type = rng.randrange(30)


def _interface(model: Any, rng: random.Random) -> None:
    which = rng.choice((model.graph.input, model.graph.output))
    if rng.random() < 0.5:
        which.append(copy.deepcopy(which[0]))
    else:
        del which[:]


def _version(model: Any, rng: random.Random) -> None:
    model.opset_import[0].version = rng.choice((*EXTREMES, 9, 10, 11, 12, 99))


def _nested(model: Any, rng: random.Random) -> None:
    graph = copy.deepcopy(model.graph)
    for _ in range(rng.choice((1, 20, 120))):
        inner = onnx.GraphProto()
        inner.node.append(helper.make_node("If", ["z"], ["y"], then_branch=graph))
        graph = inner
    model.graph.node.extend(graph.node)


def _function(model: Any, rng: random.Random) -> None:
    model.functions.add(name="f" * rng.choice((1, 5000)), domain="d")


def _huge_fill(model: Any, rng: random.Random) -> None:
    """A node that would make a huge constant, or a huge shape."""
    size = rng.choice((2**20, 2**31, 2**40, 2**62))
    model.graph.initializer.append(helper.make_tensor("huge", TensorProto.INT64, [2], [size, 4]))
    op = rng.choice(("ConstantOfShape", "Range", "Expand", "Tile", "Reshape"))
    inputs = {"ConstantOfShape": ["huge"], "Range": ["huge"] * 3}.get(op, ["z", "huge"])
    model.graph.node.insert(0, helper.make_node(op, inputs, ["filled"]))
    node = _node(model, rng)
    node.input[rng.randrange(len(node.input))] = "filled"


def _name(model: Any, rng: random.Random) -> None:
    _node(model, rng).name = rng.choice(("", "\n\t\x1b[31m", "n" * 10_000, "input", "x\u202ey"))


_CHANGES: list[Callable[[Any, random.Random], None]] = [
    _attribute, _attribute, _attribute, _attribute_kind, _attribute_name, _longer, _operator,
    _operator, _domain, _wire, _wire, _more_wires, _fewer_wires, _output, _drop, _swap, _repeat,
    _dims, _dims, _element_type, _values, _external, _drop_tensor, _input_shape, _input_rank,
    _input_type, _interface, _version, _nested, _function, _huge_fill, _huge_fill, _name,
]  # fmt: skip


FILES = sorted(ONNX_FILES.glob("*.onnx"))


#: What a damaged file of at most 100 kB may cost: seconds of the processor, most take a hundredth
#: of one, and bytes.
MAX_SECONDS = 60.0


MAX_BYTES = 1 << 30


def check_mutants(count: int, draw: int) -> dict[str, int]:
    """Every damaged file is read or refused, in bounded time; returns how many of each.

    ``draw`` seeds what is drawn.
    """
    counts = {"read": 0, "refused": 0}
    sources = [dcgan().SerializeToString(), *(p.read_bytes() for p in FILES)]

    @seed(draw)
    @examples(count)
    @given(st.sampled_from(sources), st.randoms(use_true_random=False))
    def damage(source: bytes, rng: random.Random) -> None:
        data = mutant(source, rng)
        start = time.process_time()
        try:
            fold(import_onnx(data, name="mutant"))
            counts["read"] += 1
        except (ModelError, QuantisationError) as error:
            text = str(error)
            assert "\n" not in text
            assert len(text) < 800
            counts["refused"] += 1
        assert time.process_time() - start < MAX_SECONDS

    damage()
    return counts


def limit_memory() -> None:
    """Refuse allocations beyond MAX_BYTES more than are in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, used + MAX_BYTES))
