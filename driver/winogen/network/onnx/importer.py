"""From an ONNX file to a graph."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError, UnsupportedLayerError, one_line
from winogen.common.problems import numbered
from winogen.common.text import few
from winogen.network.graph import Graph, InputPart, InputSpec, Shape, wrong_size
from winogen.network.notes import tell
from winogen.network.onnx import (
    arithmetic,
    composites,
    convolution,
    joining,
    layout,
    normalisation,
    pointwise,
    reduce,
)
from winogen.network.onnx.build import Builder
from winogen.network.onnx.folding import FOLDED, Folder
from winogen.network.onnx.inputs import Label, join, of_label, values
from winogen.network.onnx.modulation import Modulated, begins, modulate
from winogen.network.onnx.names import shown
from winogen.network.onnx.operators import Operator, Repeated
from winogen.network.onnx.read import INTEGERS, Input, Model, Op, read_file, read_model
from winogen.network.onnx.refusals import refusal
from winogen.network.onnx.tensors import FLOAT_TYPES, type_name
from winogen.network.onnx.view import View, image

#: Operators on activations.
OPERATORS: dict[str, Operator] = {
    **convolution.OPERATORS,
    **pointwise.OPERATORS,
    **arithmetic.OPERATORS,
    **joining.OPERATORS,
    **layout.OPERATORS,
    **reduce.OPERATORS,
    **normalisation.OPERATORS,
}
#: What stands for a batch of any size: a prime that is no size of anything else, and whose
#: products with image sizes fit the 32-bit integers that some exporters compute shapes in.
ANY_BATCH = 65521
#: Longest message about a file, whatever the file holds; and about several things in it.
_MAX_MESSAGE = 600
_MAX_MESSAGES = 4000
#: What sizes of images are multiples of, where networks halve and double them.
_MULTIPLES = (2, 4, 8, 16, 32, 64)
#: What a refused node gives, where not even its shape is known.
_LOST: Any = object()
#: Operators whose result is as large as the numbers in it say.
_SIZED = ("ConstantOfShape", "Expand", "Range", "Tile")
#: Operators that take one image's constant as that of every image of the batch.
_BROADCASTING = ("Add", "Concat", "Div", "Gemm", "Max", "Mean", "Min", "Mul", "PRelu", "Sub", "Sum")


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
    graph = read_graph(source, name=name, image_size=image_size)
    tell(graph.notes, stacklevel=2)
    return graph


def read_graph(
    source: str | Path | bytes,
    *,
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> Graph:
    """As :func:`import_onnx`, without a warning: the notes are for the caller to tell."""
    if isinstance(source, bytes):
        where = name or "model"
    else:
        where = str(source)
        name = name or Path(source).stem
    try:
        model = read_model(source) if isinstance(source, bytes) else read_file(Path(source))
        with np.errstate(all="ignore"):  # a layer refuses NaN and infinity when it gets them
            return _at_size(model, shown(name or "model"), image_size)
    except ModelError as error:
        problems = error.problems if isinstance(error, UnsupportedLayerError) else ()
        limit = _MAX_MESSAGES if problems else _MAX_MESSAGE
        told = type(error)(f"{where}: {one_line(ValueError(_batch_named(str(error))), limit)}")
        if isinstance(told, UnsupportedLayerError):
            told.problems = tuple(_batch_named(p) for p in problems)
        raise told from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
            RuntimeError) as error:  # fmt: skip
        raise ModelError(
            f"{where}: the file is inconsistent ({type(error).__name__}: "
            f"{one_line(ValueError(_batch_named(str(error))), 100)}); export it again"
        ) from None
    except MemoryError:
        raise ModelError(f"{where}: there is not enough memory to read it") from None


def _at_size(model: Model, name: str, image_size: tuple[int, int] | None) -> Graph:
    """The graph for images of a size; where it is refused, the error says which sizes are not."""
    try:
        return _Importer(model, name, image_size).run()
    except ModelError as error:
        if image_size is None:
            raise
        for multiple in _MULTIPLES:
            near = []
            for round_to in (math.ceil, math.floor):
                rows, columns = (round_to(n / multiple) * multiple for n in image_size)
                if (rows, columns) != image_size and _runs_at(model, name, (rows, columns)):
                    near.append((rows, columns))
            if near:
                text = wrong_size(name, image_size, near, str(error))
                raise type(error)(text) from None
        raise


def _runs_at(model: Model, name: str, size: tuple[int, int]) -> bool:
    try:
        _Importer(model, name, size).run()
    except ModelError:
        return False
    return True


def _batch_named(text: str) -> str:
    """A message with the stand-in for a batch of any size, and its multiples, as N."""

    def name(match: re.Match[str]) -> str:
        times, rest = divmod(int(match[0]), ANY_BATCH)
        return match[0] if rest or not times else "N" if times == 1 else f"{times}N"

    return re.sub(r"(?<![\w.])\d{5,12}(?![\w.])", name, text)


class _Importer:
    def __init__(self, model: Model, name: str, image_size: tuple[int, int] | None):
        self._model = model
        self._name = name
        self._folder = Folder(model.opset)
        self._ops = _needed(model)
        self._norms = normalisation.find(self._ops, model.constants)
        inside = {op.outputs[0] for n in self._norms.values() for op in n.nodes}
        self._composites = {
            end: composite
            for end, composite in composites.find(self._ops, model.constants).items()
            if not inside.intersection(op.outputs[0] for op in composite.nodes)
        }
        #: Values inside of a function that runs as a whole.
        self._within = inside | {
            op.outputs[0] for c in self._composites.values() for op in c.nodes[:-1]
        }
        self._problems: dict[tuple[str, str], tuple[UnsupportedLayerError, list[Op]]] = {}
        self._told_quantised = False
        self._values: dict[str, Any] = dict(model.constants)
        self._parts: tuple[InputPart, ...] = ()
        order: tuple[int, ...] = ()
        if len(model.inputs) == 1 and not model.inputs[0].is_integer:
            batch, size, order = self._input(model.inputs[0], image_size)
            self._builder = Builder(name, size, batch, list(model.notes))
            plain = image(Graph.INPUT_NAME, size, batch)
            first = View(plain.source, size, tuple(plain.dims[i] for i in order))
            self._values[model.inputs[0].name] = first
        else:
            joined = join(model, self._ops, ANY_BATCH, image_size, self._channels_last)
            self._parts = joined.parts
            self._builder = Builder(name, joined.size, joined.batch, list(model.notes))
            self._values |= values(self._builder, model, joined)
        if order == (0, 2, 3, 1):
            self._builder.notes.append(
                "the model takes images as (N, H, W, C); its program takes (N, C, H, W)"
            )
        if other := _other_floats([i.type for i in model.inputs], self._ops):
            self._builder.notes.append(
                f"the model works in {' and '.join(other)}; its weights are read as float32"
            )

    def run(self) -> Graph:
        for op in self._ops:
            try:
                results = self._results(op)
            except UnsupportedLayerError as error:  # go on, so that all of them are told at once
                self._refuse(op, error)
                results = self._stand_ins(op)
            except ModelError:
                if self._problems:
                    break  # it may be wrong only because of what stands in
                raise
            for name, value in zip(op.outputs, results):
                if name in self._values:
                    raise ModelError(f"{op.where}: its output '{shown(name)}' is defined twice")
                if name:
                    self._values[name] = value
        if self._problems:
            raise self._all_problems()
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
        signal = len(self._model.inputs[0].shape) == 3
        latents = any(part.kind == "latent" for part in self._parts)
        distribution = "normal" if kind == "latent" or signal or latents else "uniform"
        spec = InputSpec(size, kind, distribution, parts=self._parts)
        return Graph(self._name, spec, nodes, output_range, notes=tuple(builder.notes))

    # What cannot run

    def _refuse(self, op: Op, error: UnsupportedLayerError) -> None:
        """Remember why a node cannot run, unless that is told with the function that it is of."""
        if op.outputs[0] in self._within:
            return
        text = str(error)
        reason = text.removeprefix(op.where).lstrip(": ") if text.startswith(op.where) else text
        _, where = self._problems.setdefault((op.type, reason), (error, []))
        where.append(op)

    def _stand_ins(self, op: Op) -> list[Any]:
        """Values in the place of what a refused node would give, as far as their shape is known."""
        inputs = [self._values.get(name) if name else None for name in op.inputs]
        views = [i for i in inputs if isinstance(i, View)]
        shapes = self._folder.shapes(op, [i.shape if isinstance(i, View) else i for i in inputs])
        out: list[Any] = []
        for shape in shapes or [None] * len(op.outputs):
            same = next((v for v in views if v.shape == shape), None)
            if same is not None:
                out.append(same)
            elif shape and len(shape) in (2, 4) and shape[0] == self._builder.batch:
                channels, rows, columns = [*shape[1:], 1, 1][:3]
                view = self._builder.stand_in((channels, rows, columns))
                out.append(view if len(shape) == 4 else self._builder.vector_view(view.source))
            else:
                out.append(_LOST)
        return out

    def _all_problems(self) -> UnsupportedLayerError:
        """One error for all nodes that cannot run, each kind once."""
        texts = []
        for (kind, reason), (error, ops) in self._problems.items():
            if len(ops) == 1:
                texts.append(str(error))
                continue
            names = few([f"'{op.name}'" for op in ops], 3)
            texts.append(f"nodes {names} ({kind}) {reason}")
        if len(texts) == 1:
            return UnsupportedLayerError(texts[0])
        error = UnsupportedLayerError(f"{len(texts)} things in it cannot run: {numbered(texts)}")
        error.problems = tuple(texts)
        return error

    def _input(
        self, info: Input, image_size: tuple[int, int] | None
    ) -> tuple[int, Shape, tuple[int, ...]]:
        """Batch, shape, and the axes (of N, C, H, W) that the input's dimensions are."""
        name, shape = shown(info.name), info.shape
        text = f"({', '.join('?' if n is None else str(n) for n in shape[:8])})"
        if len(shape) not in (2, 3, 4):
            raise UnsupportedLayerError(
                f"the input '{name}' has shape {text}; expected latents (N, n), images "
                "(N, C, H, W) or signals (N, C, L)"
            )
        batch = ANY_BATCH if shape[0] is None else shape[0]
        order: tuple[int, ...] = (0, 1)
        if image_size and (len(shape) == 2 or shape[2:] == (1, 1)):
            raise InputError(f"network {self._name} takes latents: leave --image-size out")
        if len(shape) == 4:
            last = self._channels_last(info)
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
        if len(shape) == 3:  # a signal: an image of one row
            order = (0, 1, 3)
        named: dict[int, Any] = dict(zip(order[1:], rest))
        size = (named[1], named.get(2, 1), named.get(3, 1))
        if max(size) > 1 << 20:
            raise ModelError(f"the input '{name}' of shape {text} is too large")
        return batch, size, order

    def _channels_last(self, info: Input) -> bool:
        """Whether a 4-D input is (N, H, W, C): its first layout change turns that to NCHW."""
        names = {info.name}
        for op in self._ops:
            if not names.intersection(op.inputs) or op.type == "Shape":
                continue
            if op.type == "Transpose":
                return tuple(op.attrs.get("perm", ())) == (0, 3, 1, 2)
            if op.type == "Reshape":  # how exporters write that transpose for a single channel
                shape = info.shape
                return shape[3] == 1 and 1 not in shape[1:3]  # else latents (N, n, 1, 1)
            if op.type not in _KEEPING_LAYOUT:
                return False
            names.update(op.outputs[:1])
        return False

    def _results(self, op: Op) -> list[Any]:
        inputs: list[Any] = []
        for name in op.inputs:
            if name and name not in self._values and not op.problem:
                raise ModelError(
                    f"{op.where} reads '{shown(name)}', which no earlier node makes; the graph is "
                    "cyclic, unsorted or incomplete: export it again"
                )
            inputs.append(self._values.get(name) if name else None)
        norm = self._norms.get(op.outputs[0])
        if norm is not None and isinstance(self._values.get(norm.entry), View):
            gain = norm.gain(self._values)
            if gain is not None:
                entry = self._values[norm.entry]
                return [normalisation.written_out(self._builder, op, norm, entry, gain)]
        composite = self._composites.get(op.outputs[0])
        if composite is not None:
            entry = self._values.get(composite.entry)
            if isinstance(entry, View):
                return [pointwise.applied(self._builder, op, entry, composite.function)]
        if any(i is _LOST for i in inputs):
            return [_LOST] * len(op.outputs)
        if any(isinstance(i, Label) for i in inputs) and op.type not in ("Shape", "Size"):
            made = of_label(self._builder, op, inputs, self._folder)
            if not any(isinstance(i, View) for i in inputs):
                return [made]
            inputs = [made if isinstance(i, Label) else i for i in inputs]
        if op.problem:
            raise UnsupportedLayerError(op.problem)
        if op.type == "Constant" and "value" in op.attrs:
            return [op.attrs["value"]]
        if any(isinstance(i, Modulated) for i in inputs) or begins(op, inputs):
            plain = [i.array if isinstance(i, Repeated) else i for i in inputs]
            return [modulate(self._builder, op, plain)]
        known = all(not isinstance(i, (View, Label)) for i in inputs)
        if known and op.type in FOLDED:
            return self._folded(op, inputs)
        why = refusal(op.type)
        if why:
            raise UnsupportedLayerError(f"{op.where} is not supported: {why}")
        if known:
            raise UnsupportedLayerError(
                f"{op.where} of constants is not supported; simplify the model first, so that "
                "what does not depend on the input is computed (onnxsim, or onnxruntime's offline "
                "optimisation)"
            )
        if op.type in ("Shape", "Size"):
            return [_shape(op, inputs[0])]
        operator = OPERATORS.get(op.type)
        if operator is None:
            raise UnsupportedLayerError(
                f"{op.where} is not supported; supported are {', '.join(sorted(OPERATORS))}"
            )
        results = operator.handler(self._builder, op, [self._one_image(op, i) for i in inputs])
        return results if isinstance(results, list) else [results]

    def _folded(self, op: Op, inputs: list[Any]) -> list[Any]:
        """The results of a node of constants."""
        if op.type in ("Shape", "Size") and isinstance(inputs[0], Repeated):
            return [
                _shape(
                    op, np.broadcast_to(inputs[0].array, (ANY_BATCH, *inputs[0].array.shape[1:]))
                )
            ]
        if op.type == "DequantizeLinear" and not self._told_quantised:
            self._told_quantised = True
            self._builder.notes.append(
                "weights that are stored as integers are read as the floats that they stand for, "
                "and quantised anew"
            )
        if not (
            any(isinstance(i, Repeated) for i in inputs)
            or (op.type in _SIZED and self._builder.batch == ANY_BATCH
                and any(i is not None and _of_batch(i).any() for i in inputs))
        ):  # fmt: skip
            return list(self._folder.run(op, inputs))
        # A function of the batch: computed for batches of one and of two, which must agree.
        one, two = (
            self._folder.run(op, [None if i is None else _at_batch(i, n) for i in inputs])
            for n in (1, 2)
        )
        results: list[Any] = []
        for first, second in zip(one, two):
            if first.shape == second.shape and np.array_equal(first, second):
                results.append(first)
            elif (
                first.ndim and len(first) == 1 and second.shape == (2, *first.shape[1:])
                and np.array_equal(second, np.concatenate([first, first]))
            ):  # fmt: skip
                results.append(Repeated(first))
            else:
                raise UnsupportedLayerError(
                    f"{op.where} makes a constant that differs with the batch, or from image to "
                    "image of it; export the model with a fixed batch of 1"
                )
        return results

    def _one_image(self, op: Op, value: Any) -> Any:
        """A handler's input, with constants of the batch's size as those of one image."""
        if not isinstance(value, Repeated):
            return value
        if op.type not in _BROADCASTING:
            raise UnsupportedLayerError(
                f"{op.where} reads a constant that is made for every image of the batch; export "
                "the model with a fixed batch of 1"
            )
        others = [self._values[n] for n in op.inputs if n]
        if any(isinstance(v, View) and value.array.ndim != len(v.dims) for v in others):
            raise ModelError(
                f"{op.where}: a constant of the batch's size, (N, "
                f"{', '.join(map(str, value.array.shape[1:]))}), does not fit its other input"
            )
        return value.array

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
        if axes is not None and "WH" not in axes.replace("C", "") and axes[1:] != "1C1":
            return value.source  # (a vector as the rows of an image is an image)
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
_KEEPING_LAYOUT = ("Identity", "Cast", "Mul", "Add", "Sub", "Div", "Pad", "Resize", "Compress",
                   "Concat")  # fmt: skip


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


def _other_floats(input_types: list[str], ops: list[Op]) -> list[str]:
    """Float types other than float32 that a model takes, or casts to on the way."""
    casts = [op.attrs.get("to") for op in ops if op.type == "Cast"]
    types = [*input_types, *(type_name(to) for to in casts if to in FLOAT_TYPES)]
    return [k.lower() for k in dict.fromkeys(types) if k not in ("FLOAT", *INTEGERS)]


def _of_batch(value: Any) -> NDArray[np.bool_]:
    """Which entries of a constant are the batch, or a multiple of it."""
    if isinstance(value, Repeated) or not np.issubdtype(value.dtype, np.integer):
        return np.zeros(1, bool)
    return (value != 0) & (value % ANY_BATCH == 0)


def _at_batch(value: Any, batch: int) -> NDArray[Any]:
    """A constant as it is for a batch of this size."""
    if isinstance(value, Repeated):
        return np.repeat(value.array, batch, 0)
    return (
        np.where(_of_batch(value), value // ANY_BATCH * batch, value)
        if (_of_batch(value).any())
        else value
    )


def _shape(op: Op, value: Any) -> NDArray[np.int64]:
    """Result of Shape or Size, with ANY_BATCH for an open batch."""
    shape = np.array(value.shape, np.int64)
    if op.type == "Size":
        return np.array(shape.prod(), np.int64)
    return shape[op.attrs.get("start", 0) : op.attrs.get("end", len(shape))]
