"""ONNX's own backend tests of single nodes, through the importer: which pass, which are refused.

``python tests/support/onnx_cases.py`` prints the page docs/reference/onnx-cases.md
(``PYTHONPATH=driver:tests``).

A node test gives a model of one node, inputs and the expected outputs. Most inputs that are
weights, bounds or shapes in a network are inputs there too; they become constants here. Inputs of
a rank that no generator has are wrapped: the network takes an image and reshapes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

from winogen.common.errors import ModelError
from winogen.network import reference
from winogen.network.onnx import import_onnx
from winogen.network.onnx.importer import OPERATORS
from winogen.network.onnx.refusals import refused_operators

TOLERANCE = 1e-4
#: Operators with several activations among their inputs.
_JOINING = ("Add", "Concat", "Max", "Mean", "Min", "Mul", "Sub", "Sum", "Div")
#: Operators that only move values: what counts is the order, which a linear layer after them shows.
_MOVING = ("Cast", "CastLike", "Dropout", "Flatten", "Identity", "Reshape", "Slice", "Squeeze",
           "Tile", "Transpose", "Unsqueeze")  # fmt: skip
_MAX_SHOWN = 2048
_FLOATS = (np.float32, np.float64, np.float16)


@dataclass(frozen=True)
class Case:
    """One node test and what became of it: ``reason`` is empty if it passed."""

    name: str
    operator: str
    reason: str


def cases() -> Iterator[Case]:
    """All node tests of the operators that the importer knows or refuses by name."""
    refused = {name for names in refused_operators().values() for name in names}
    for test in load_model_tests(kind="node"):
        model = onnx.load(Path(test.model_dir) / "model.onnx")
        nodes = model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in {*OPERATORS, *refused} and not nodes[0].domain:
            yield Case(test.name.removeprefix("test_"), nodes[0].op_type, outcome(test, model))


def outcome(test: Any, model: onnx.ModelProto) -> str:
    """Why the importer refuses the case, or nothing; AssertionError if the result is wrong."""
    folder = Path(test.model_dir) / "test_data_set_0"
    inputs = [_load(folder / f"input_{i}.pb", v) for i, v in enumerate(model.graph.input)]
    expected = _load(folder / "output_0.pb", model.graph.output[0])
    if any(i is None for i in inputs) or expected is None:
        return "its values are sequences or optional values, not tensors"
    wrapped, x = _wrap(model, inputs)
    moving = model.graph.node[-1].op_type in _MOVING and len(model.graph.output) == 1
    if moving and np.issubdtype(expected.dtype, np.floating) and expected.size <= _MAX_SHOWN:
        _append_identity(wrapped.graph, expected.size)
        expected = expected.reshape(1, -1, 1, 1)
        x, expected = _finite(x), _finite(expected)
    try:
        graph = import_onnx(wrapped.SerializeToString(), name="case")
        shape = graph.input.shape
        if x.ndim == 4 and x.shape[1:] != shape:
            x = x.transpose(0, 3, 1, 2)
        out = reference.run(graph, np.asarray(x, np.float32).reshape(-1, *shape))
    except ModelError as error:
        return str(error)
    assert out.size == expected.size, (test.name, out.shape, expected.shape)
    if expected.ndim == 4 and out.shape != expected.shape:  # (N, H, W, C)
        out = out.transpose(0, 2, 3, 1)
    difference = np.abs(out.reshape(expected.shape) - expected).max(initial=0)
    tolerance = 1e-3 if expected.dtype == np.float16 else TOLERANCE
    assert difference <= tolerance * max(1, np.abs(expected).max()), (test.name, difference)
    return ""


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    """Stand-ins for what no sum can hold."""
    return np.nan_to_num(values.astype(np.float32), nan=5, posinf=7, neginf=-7)


def _load(path: Path, info: Any) -> NDArray[Any] | None:
    if not info.type.HasField("tensor_type"):
        return None
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def _wrap(
    model: onnx.ModelProto, inputs: list[NDArray[Any]]
) -> tuple[onnx.ModelProto, NDArray[Any]]:
    """The model with one input, and what to feed it."""
    graph = model.graph
    names = [i.name for i in graph.input]
    (node,) = graph.node
    shapes = [(1,) * (4 - i.ndim) + i.shape for i in inputs]
    joint = (
        node.op_type in _JOINING
        and len(inputs) > 1
        and all(i.dtype in _FLOATS and i.ndim <= 4 for i in inputs)
        and all(s[0] == 1 and s[2:] == shapes[0][2:] for s in shapes)
    )
    if joint:
        x = np.concatenate([i.reshape(s) for i, s in zip(inputs, shapes)], axis=1)
        first = 0
        for name, array, shape in zip(names, inputs, shapes):
            pick = np.zeros((shape[1], x.shape[1], 1, 1), np.float32)
            pick[range(shape[1]), range(first, first + shape[1])] = 1
            first += shape[1]
            _prepend_reshape(graph, name, array.shape, f"{name}_picked")
            graph.initializer.append(numpy_helper.from_array(pick, f"{name}_pick"))
            conv = helper.make_node("Conv", ["image", f"{name}_pick"], [f"{name}_picked"])
            graph.node.insert(0, conv)
        activation, shape = "image", x.shape
    else:
        x = inputs[0] if inputs else np.zeros((1, 1), np.float32)
        for name, array in list(zip(names, inputs))[1:]:
            if name not in [i.name for i in graph.initializer]:
                graph.initializer.append(numpy_helper.from_array(array, name))
        activation, shape = (names or ["unused"])[0], x.shape
        if x.ndim not in (2, 4) or node.op_type in _MOVING:
            x_shape = (1,) * (3 - x.ndim) + x.shape
            shape = (1, int(np.prod(x_shape[:-2])), *x_shape[-2:])
            _prepend_reshape(graph, activation, x.shape, "image")
            activation, x = "image", x.reshape(shape)
    del graph.input[:]
    kind = helper.np_dtype_to_tensor_dtype(x.dtype) if not joint else TensorProto.FLOAT
    graph.input.append(helper.make_tensor_value_info(activation, kind, shape))
    return model, x


def _append_identity(graph: Any, size: int) -> None:
    """Follow the network by a linear layer that keeps every value, in the order of the values."""
    (last,) = graph.output
    graph.initializer.append(numpy_helper.from_array(np.array([1, -1], np.int64), "flat_shape"))
    graph.initializer.append(numpy_helper.from_array(np.eye(size, dtype=np.float32), "eye"))
    graph.node.append(helper.make_node("Reshape", [last.name, "flat_shape"], ["flat"]))
    graph.node.append(helper.make_node("MatMul", ["flat", "eye"], ["same"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, size]))


def _prepend_reshape(graph: Any, name: str, shape: tuple[int, ...], source: str) -> None:
    graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{name}_shape"))
    graph.node.insert(0, helper.make_node("Reshape", [source, f"{name}_shape"], [name]))


def table(found: list[Case]) -> str:
    """The results as Markdown: counts by operator, then every refusal of a known operator."""
    lines = ["| operator | passed | refused |", "| --- | --- | --- |"]
    for operator in sorted(set(OPERATORS) & {c.operator for c in found}):
        own = [c for c in found if c.operator == operator]
        passed = sum(not c.reason for c in own)
        lines.append(f"| {operator} | {passed} | {len(own) - passed} |")
    others = [c for c in found if c.operator not in OPERATORS]
    assert all(c.reason for c in others)
    names = sorted({c.operator for c in others})
    passed = sum(not c.reason for c in found)
    lines.append(f"| {len(names)} operators that are always refused | 0 | {len(others)} |")
    lines.append(f"| all | {passed} | {len(found) - passed} |")
    lines += ["", f"Always refused: {', '.join(names)} ([why](../use/onnx.md#what-is-refused))."]
    lines += ["", "| operator | refused because | cases |", "| --- | --- | --- |"]
    grouped: dict[tuple[str, str], list[str]] = {}
    for case in found:
        if case.reason and case.operator in OPERATORS:
            reason = _general(case.reason, case.operator)
            grouped.setdefault((case.operator, reason), []).append(f"`{case.name}`")
    for (operator, reason), refused in sorted(grouped.items()):
        lines.append(f"| {operator} | {reason} | {', '.join(refused)} |")
    lines += ["", "Passed: " + ", ".join(f"`{c.name}`" for c in found if not c.reason) + "."]
    return "\n".join(lines)


def _general(reason: str, operator: str) -> str:
    """A refusal without the names of the case."""
    reason = reason.removeprefix("case: ").replace("|", "\\|")
    reason = re.sub(rf"node '[^']*' \({operator}\):? ?", "", reason)
    reason = re.sub(r"tensor '[^']*'|input '[^']*'", lambda m: m[0].split()[0], reason)
    return re.sub(r"holds [A-Z0-9]+ values", "holds integers or 4- or 8-bit values", reason)


def page() -> str:
    """The text of docs/reference/onnx-cases.md."""
    return f"""# ONNX's backend tests

Generated by `python tests/support/onnx_cases.py` (with `PYTHONPATH=driver:tests`) from the node
tests of onnx {onnx.__version__}. Every case of the operators that the importer knows either gives
the expected output to {TOLERANCE:g} or is refused for the reason below; inputs that are weights or
bounds in a network are constants here, and inputs of an unusual rank are reshaped from an image.

{table(sorted(cases(), key=lambda c: c.name))}
"""


if __name__ == "__main__":
    sys.stdout.write(page())
