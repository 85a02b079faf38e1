"""Values known at compile time: operators on constants, by ONNX's own reference evaluator.

Exporters compute shapes and prepare weights with nodes; all of that is done here, once. What an
operator would produce is inferred before it runs, so that a small file cannot ask for a large
array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from winogen.common.errors import ModelError, one_line
from winogen.network.definition import MAX_WEIGHTS
from winogen.network.onnx.read import Op

#: Operators that exporters use on shapes and weights.
FOLDED = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast",
    "CastLike", "Ceil", "Clip", "Compress", "Concat", "Constant", "ConstantOfShape", "Conv",
    "ConvTranspose",
    "Cos", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Einsum", "Elu", "Equal",
    "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND",
    "Gelu", "Gemm", "GlobalAveragePool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "LpNormalization", "MatMul", "Max", "Mean", "Min", "Mish", "Mod",
    "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "Round", "ScatterElements", "ScatterND",
    "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax",
    "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish",
    "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
#: Operators that the evaluator knows from a later opset on, with the same meaning before.
_EVALUATED_SINCE = {"DequantizeLinear": 19}
#: Values that are read and made, and terms that are added, by all folding together.
MAX_WORK = 1 << 30
#: Constants of up to this many values take part in the inference of shapes.
_SMALL = 1024


class Folder:
    """Evaluates nodes; all that it returns counts towards one budget of MAX_WEIGHTS values."""

    def __init__(self, opset: int):
        self._opset = opset
        self._left = MAX_WEIGHTS
        self._work = MAX_WORK

    def run(self, op: Op, inputs: Sequence[NDArray[Any] | None]) -> list[NDArray[Any]]:
        """Outputs of a node whose inputs are all known; ModelError if it cannot be evaluated."""
        model = self._model(op, inputs)
        made = self._values(op, model)
        read = sum(x.size for x in inputs if x is not None)
        self._work -= read + max(made, _terms(op, inputs, made))
        if self._work < 0:
            raise ModelError(f"{op.where}: folding the model's constants takes too long; simplify "
                             "the model first")  # fmt: skip
        self._left -= made
        if self._left < 0:
            raise ModelError(f"{op.where}: the constants of the model take over {MAX_WEIGHTS:,} "
                             "values")  # fmt: skip
        feeds = {f"i{n}": x for n, x in enumerate(inputs) if x is not None}
        try:
            with np.errstate(all="ignore"):
                results = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:  # the evaluator raises whatever numpy does
            raise ModelError(f"{op.where} cannot be evaluated: {one_line(error)}") from None
        assert isinstance(results, list)
        return [np.asarray(r) for r in results]

    def shapes(self, op: Op, inputs: Sequence[Any]) -> list[tuple[int, ...] | None]:
        """Shapes of a node's outputs, None where unknown; ``inputs`` are arrays or shapes."""
        if op.problem or len(inputs) != len(op.inputs):
            return []
        arrays = [np.broadcast_to(np.float32(0), i) if isinstance(i, tuple) else i for i in inputs]
        if not all(a is None or isinstance(a, np.ndarray) for a in arrays):
            return []
        try:
            inferred = shape_inference.infer_shapes(self._model(op, arrays), data_prop=True)
        except Exception:  # the node is refused already: its shape is only nice to have
            return []
        found: list[tuple[int, ...] | None] = []
        for output in inferred.graph.output:
            dims = output.type.tensor_type.shape.dim
            known = all(d.HasField("dim_value") and d.dim_value > 0 for d in dims)
            found.append(tuple(d.dim_value for d in dims) if known and len(dims) else None)
        return found

    def _model(self, op: Op, inputs: Sequence[NDArray[Any] | None]) -> onnx.ModelProto:
        names = ["" if x is None else f"i{n}" for n, x in enumerate(inputs)]
        infos, small = [], []
        for name, x in zip(names, inputs):
            if x is None:
                continue
            kind = helper.np_dtype_to_tensor_dtype(x.dtype)
            infos.append(helper.make_tensor_value_info(name, kind, x.shape))
            if x.size <= _SMALL:
                small.append(numpy_helper.from_array(x, name))
        node = onnx.NodeProto()
        node.CopyFrom(op.proto)
        del node.input[:], node.output[:]
        node.input.extend(names)
        node.output.extend(f"o{n}" if o else "" for n, o in enumerate(op.outputs))
        outputs = [onnx.ValueInfoProto(name=o) for o in node.output if o]
        graph = helper.make_graph([node], "fold", infos, outputs, small)
        opset = max(self._opset, _EVALUATED_SINCE.get(op.type, 0))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])

    def _values(self, op: Op, model: onnx.ModelProto) -> int:
        """How many values the node would produce."""
        try:
            inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception as error:  # shape inference raises RuntimeErrors of several kinds
            raise ModelError(f"{op.where} is wrong: {one_line(error)}") from None
        total = 0
        for output in inferred.graph.output:
            tensor = output.type.tensor_type
            dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
            if not tensor.HasField("shape") or None in dims or any((d or 0) < 0 for d in dims):
                raise ModelError(f"{op.where}: the size of its result cannot be told beforehand")
            total += math.prod(d or 0 for d in dims)
        return total


def _terms(op: Op, inputs: Sequence[NDArray[Any] | None], made: int) -> int:
    """How many products are added up for the ``made`` results of a node, at most."""
    shapes = [() if x is None else x.shape for x in inputs]
    if op.type == "MatMul":
        return made * (shapes[0][-1] if shapes[0] else 1)
    if op.type in ("Conv", "ConvTranspose"):
        return made * math.prod(shapes[1]) // max(shapes[1][0] if shapes[1] else 1, 1)
    if op.type == "Gemm":
        return made * max(shapes[0], default=1)
    if op.type in ("Erf", "Gelu"):  # which the evaluator computes one by one
        return 64 * made
    if op.type == "Einsum":
        letters = [part.strip() for part in str(op.attrs["equation"]).split("->")[0].split(",")]
        if any("." in part for part in letters) or list(map(len, letters)) != list(
            map(len, shapes)
        ):
            return math.prod(math.prod(s) for s in shapes)
        return math.prod(
            {c: n for part, shape in zip(letters, shapes) for c, n in zip(part, shape)}.values()
        )
    return made
