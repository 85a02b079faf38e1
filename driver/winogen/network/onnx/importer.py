"""From an ONNX file to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError, UnsupportedLayerError, one_line
from winogen.network.graph import Graph, InputSpec, Shape
from winogen.network.onnx import convolution, layout, pointwise
from winogen.network.onnx.build import Builder
from winogen.network.onnx.folding import FOLDED, Folder
from winogen.network.onnx.names import shown
from winogen.network.onnx.operators import Operator, Value
from winogen.network.onnx.read import Model, Op, read_file, read_model
from winogen.network.onnx.refusals import refusal
from winogen.network.onnx.view import View, image

#: Operators on activations.
OPERATORS: dict[str, Operator] = {
    **convolution.OPERATORS,
    **pointwise.OPERATORS,
    **layout.OPERATORS,
}
#: What stands for a batch of any size: a prime that is no size of anything else, and whose
#: products with image sizes fit the 32-bit integers that some exporters compute shapes in.
ANY_BATCH = 65521
#: Longest message about a file, whatever the file holds.
_MAX_MESSAGE = 600


def import_onnx(
    source: str | Path | bytes,
    *,
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> Graph:
    """The graph of an ONNX model: a file, or its bytes.

    Parameters
    ----------
    name : of the model; default: the file's
    image_size : rows and columns, for a model whose input image may have any size

    Returns
    -------
    A graph that is the same function in float32. Its ``notes`` say what the user should know.

    Raises
    ------
    ModelError : the file is damaged, or is no network with one input and one output
    UnsupportedLayerError : a node cannot run on the accelerator; says which, why, and what would
    """
    if isinstance(source, bytes):
        where = name or "model"
    else:
        where = str(source)
        name = name or Path(source).stem
    try:
        model = read_model(source) if isinstance(source, bytes) else read_file(Path(source))
        with np.errstate(all="ignore"):  # a layer refuses NaN and infinity when it gets them
            return _Importer(model, shown(name or "model"), image_size).run()
    except ModelError as error:
        raise type(error)(f"{where}: {one_line(error, _MAX_MESSAGE)}") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
            RuntimeError) as error:  # fmt: skip
        raise ModelError(
            f"{where}: the file is inconsistent ({type(error).__name__}: {one_line(error, 100)}); "
            "export it again"
        ) from None
    except MemoryError:
        raise ModelError(f"{where}: there is not enough memory to read it") from None


class _Importer:
    def __init__(self, model: Model, name: str, image_size: tuple[int, int] | None):
        self._model = model
        self._name = name
        self._folder = Folder(model.opset)
        self._ops = _needed(model)
        batch, size, order = self._input(image_size)
        self._builder = Builder(name, size, batch)
        plain = image(Graph.INPUT_NAME, size, batch)
        first = View(plain.source, size, tuple(plain.dims[i] for i in order))
        self._values: dict[str, Value] = {**model.constants, model.input: first}
        if order == (0, 2, 3, 1):
            self._builder.notes.append(
                "the model takes images as (N, H, W, C); its program takes (N, C, H, W)"
            )
        if model.input_type != "FLOAT":
            self._builder.notes.append(
                f"the model works in {model.input_type.lower()}; its weights are read as float32"
            )

    def run(self) -> Graph:
        for op in self._ops:
            for name, value in zip(op.outputs, self._results(op)):
                if name in self._values:
                    raise ModelError(f"{op.where}: its output '{shown(name)}' is defined twice")
                if name:
                    self._values[name] = value
        output = self._values[self._model.output]
        if not isinstance(output, View):
            raise ModelError("the network's output does not depend on its input")
        source, output_range = self._finish(output)
        builder = self._builder
        nodes = builder.graph_nodes(source)
        if not nodes:
            raise ModelError("the network has no layers: its output is its input")
        size = builder.input_size
        kind = "latent" if size[1:] == (1, 1) else "image"
        spec = InputSpec(size, kind, "normal" if kind == "latent" else "uniform")
        return Graph(self._name, spec, nodes, output_range, notes=tuple(builder.notes))

    def _input(self, image_size: tuple[int, int] | None) -> tuple[int, Shape, tuple[int, ...]]:
        """Batch, shape, and the axes (of N, C, H, W) that the input's dimensions are."""
        name, shape = shown(self._model.input), self._model.input_shape
        text = f"({', '.join('?' if n is None else str(n) for n in shape[:8])})"
        if len(shape) not in (2, 4):
            raise UnsupportedLayerError(
                f"the input '{name}' has shape {text}; expected latents (N, n) or images "
                "(N, C, H, W)"
            )
        batch = ANY_BATCH if shape[0] is None else shape[0]
        order: tuple[int, ...] = (0, 1)
        if image_size and (len(shape) == 2 or shape[2:] == (1, 1)):
            raise InputError(f"network {self._name} takes latents: leave --image-size out")
        if len(shape) == 4:
            last = self._channels_last()
            order = (0, 2, 3, 1) if last else (0, 1, 2, 3)
            if image_size:
                shape = (shape[0], *image_size, shape[3]) if last else (*shape[:2], *image_size)
        rest = shape[1:]
        if None in rest:
            raise ModelError(
                f"the input '{name}' has shape {text}, and only the batch may be left open; export "
                "the model with fixed sizes, or give the rows and columns of its images with "
                "--image-size"
            )
        named: dict[int, Any] = dict(zip(order[1:], rest))
        size = (named[1], named.get(2, 1), named.get(3, 1))
        if max(size) > 1 << 20:
            raise ModelError(f"the input '{name}' of shape {text} is too large")
        return batch, size, order

    def _channels_last(self) -> bool:
        """Whether a 4-D input is (N, H, W, C): its first layout change turns that to NCHW."""
        names = {self._model.input}
        for op in self._ops:
            if not names.intersection(op.inputs):
                continue
            if op.type == "Transpose":
                return tuple(op.attrs.get("perm", ())) == (0, 3, 1, 2)
            if op.type == "Reshape":  # how exporters write that transpose for a single channel
                shape = self._model.input_shape
                return shape[3] == 1 and 1 not in shape[1:3]  # else latents (N, n, 1, 1)
            if op.type not in _KEEPING_LAYOUT:
                return False
            names.update(op.outputs[:1])
        return False

    def _results(self, op: Op) -> list[Any]:
        inputs: list[Value | None] = []
        for name in op.inputs:
            if name and name not in self._values:
                raise ModelError(
                    f"{op.where} reads '{shown(name)}', which no earlier node makes; the graph is "
                    "cyclic, unsorted or incomplete: export it again"
                )
            inputs.append(self._values[name] if name else None)
        why = refusal(op.type)
        if why:
            raise UnsupportedLayerError(f"{op.where} is not supported: {why}")
        known = [i for i in inputs if not isinstance(i, View)]
        if op.type == "Constant" and "value" in op.attrs:
            return [op.attrs["value"]]
        if len(known) == len(inputs):
            if op.type not in FOLDED:
                raise UnsupportedLayerError(f"{op.where} of constants is not supported")
            return self._folder.run(op, known)
        if op.type in ("Shape", "Size"):
            return [_shape(op, inputs[0])]
        operator = OPERATORS.get(op.type)
        if operator is None:
            raise UnsupportedLayerError(
                f"{op.where} is not supported; supported are {', '.join(sorted(OPERATORS))}"
            )
        return [operator.handler(self._builder, op, inputs)]

    def _finish(self, value: View) -> tuple[str, tuple[float, float] | None]:
        """The name of the output, and its real range if it is an image that has one."""
        b = self._builder
        op = next(op for op in reversed(self._ops) if self._model.output in op.outputs)
        source = self._plain_output(op, b.settled(op, value))
        channels, rows, columns = b.image_view(source).size
        if channels not in (1, 3) or rows * columns == 1:
            return source, None
        scale, shift, name = 1.0, 0.0, source
        while (node := b.node(name)) and node.op == "batchnorm":
            gain = node.params["gamma"] / np.sqrt(node.params["var"] + node.attrs["eps"])
            offset = node.params["beta"] - node.params["mean"] * gain
            if np.ptp(gain) or np.ptp(offset) or gain[0] <= 0:
                return source, None
            shift, scale = shift + scale * float(offset[0]), scale * float(gain[0])
            name = node.inputs[0]
        bounds = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}.get(node.op if node else "")
        if node and node.op == "clamp" and np.isfinite(node.attrs["low"] + node.attrs["high"]):
            bounds = (node.attrs["low"], node.attrs["high"])
        if bounds is None or not bounds[0] < bounds[1]:
            return source, None
        low, high = (float(np.float32(scale * v + shift)) for v in bounds)
        if name != source:  # an affine after a bounded function is bounded too: keep that known
            source = b.add(op, "clamp", source, low=low, high=high)
        return source, (low, high)

    def _plain_output(self, op: Op, value: View) -> str:
        """The graph value of the output, whose layout (NCHW, NHWC, flat) does not matter."""
        b = self._builder
        axes = value.axes()
        if axes is not None and "WH" not in axes.replace("C", ""):
            return value.source
        if len(value.dims) <= 2 and np.array_equal(
            value.offsets().ravel(), np.arange(np.prod(value.size))
        ):
            return value.source
        if len(value.dims) == 3 and b.batch == 1:
            value = View(value.source, value.size, ((), *value.dims))
        if len(value.dims) == 4 and value.shape[3] in (1, 3) and value.shape[1] not in (1, 3):
            value = value.transpose((0, 3, 1, 2))
        return b.image(op, value)


#: Operators that may stand between a channels-last input and its Transpose.
_KEEPING_LAYOUT = ("Identity", "Cast", "Mul", "Add", "Sub", "Div", "Pad", "Resize")


def _needed(model: Model) -> list[Op]:
    """The nodes that the output depends on, in order."""
    wanted = {model.output}
    needed = []
    for op in reversed(model.ops):
        if wanted.intersection(op.outputs):
            needed.append(op)
            wanted.update(i for i in op.inputs if i)
    if not any(model.output in op.outputs for op in needed):
        raise ModelError(f"no node makes the output '{shown(model.output)}'")
    return needed[::-1]


def _shape(op: Op, value: Any) -> NDArray[np.int64]:
    """Result of Shape or Size, with ANY_BATCH for an open batch."""
    shape = np.array(value.shape, np.int64)
    if op.type == "Size":
        return np.array(shape.prod(), np.int64)
    return shape[op.attrs.get("start", 0) : op.attrs.get("end", len(shape))]
