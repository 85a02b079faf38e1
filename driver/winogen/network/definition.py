"""Model definitions in YAML: a list of layers with shorthand for normalisation and activation.

A definition looks like::

    name: example
    input: {latent: 100, dist: normal}        # or {image: [3, 64, 64]}
    output: {range: [-1, 1]}                  # omit for outputs that are no image
    layers:
      - {name: fc, op: linear, shape: [512, 4, 4], norm: batch, act: relu}
      - {name: up1, op: deconv, cout: 256, k: 4, stride: 2, pad: 1, norm: batch, act: relu}
      - {name: skip, op: add, from: [up1, fc]}

``from`` defaults to the layer before. Parameters come from a mapping (``weights.npz``) under
``<layer>.weight``, ``.bias``, ``.bn_gamma``, ``.bn_beta``, ``.bn_mean``, ``.bn_var``, ``.alpha``,
or are drawn from a seed.
"""

from __future__ import annotations

import difflib
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError, one_line
from winogen.common.files import ARRAY_FILE_ERRORS, array_problem
from winogen.common.problems import Problems
from winogen.common.text import printable
from winogen.network.graph import Graph, InputSpec, Node, Shape, node_shape
from winogen.network.yaml_values import (
    choice,
    edges,
    integer,
    integers,
    number,
    pair,
    require,
    text,
)

#: Most weights of one layer; GP-GAN's largest has 33 million.
MAX_WEIGHTS = 1 << 28

_LAYER_KEYS = {
    "name", "op", "from", "cin", "cout", "k", "stride", "pad", "crop", "output_padding", "shape",
    "reshape", "bias", "norm", "bn_eps", "act", "slope", "order", "factor", "low", "high", "step",
    "macs", "in_hw", "out_hw",
}  # fmt: skip
_OPS = {"linear": "linear", "dense": "linear", "conv": "conv", "deconv": "deconv"}
_PLAIN_OPS = ("upsample", "add", "concat", "batchnorm")
_ACTIVATIONS = {
    "relu": ("relu", {}),
    "lrelu": ("leaky_relu", {}),
    "leaky_relu": ("leaky_relu", {}),
    "prelu": ("prelu", {}),
    "clamp": ("clamp", {}),
    "clip01": ("clamp", {"low": 0.0, "high": 1.0}),
    "relu6": ("clamp", {"low": 0.0, "high": 6.0}),
    "qrelu4": ("quant_relu", {"step": 1 / 16, "high": 15 / 16}),
    "quant_relu": ("quant_relu", {}),
    "tanh": ("tanh", {}),
    "sigmoid": ("sigmoid", {}),
}


#: Orders of what follows a layer.
_ORDERS = {"norm-act": ("norm", "act"), "act-norm": ("act", "norm")}
#: ``source`` to ``macs`` say where a model is from and how large it is; they are not used.
_MODEL_KEYS = {
    "name", "description", "input", "input_quant", "output", "layers", "source", "licence",
    "license", "note", "params", "macs",
}  # fmt: skip


def _check_keys(mapping: Mapping[Any, Any], known: set[str], where: str) -> None:
    """Refuse keys that mean nothing: most are misspelled."""
    for key in mapping:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ModelError(f"{where}: unknown key '{text(key, where)}'{hint}")


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
        if name not in self._arrays:
            raise ModelError(f"{where}: '{name}' (shape {shape}) is missing in {self._source}")
        value = np.asarray(self._arrays[name])
        kind = name.rsplit(".", 1)[-1]
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
        if kind in ("bn_gamma", "bn_var"):
            return (1 + 0.1 * np.clip(draw, -3, 3)).astype(np.float32)
        if kind == "alpha":
            return (0.25 + 0.05 * draw).astype(np.float32)
        return 0.1 * draw if kind != "weight" else draw


def load_definition(
    definition: str | Path, parameters: Parameters, *, name: str | None = None
) -> Graph:
    """Build the graph of a YAML definition (a path, or the text itself).

    Raises ModelError if the file cannot be read or layers are wrong, UnsupportedLayerError if they
    cannot run on the accelerator; both name every such layer.
    """
    try:
        source = definition
        if isinstance(definition, Path):
            source = definition.read_text(encoding="utf-8")
        data = yaml.safe_load(str(source))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        where = definition if isinstance(definition, Path) else name or ""
        raise ModelError(f"cannot read the model definition {where}: {one_line(error)}") from None
    if not isinstance(data, dict) or not isinstance(data.get("layers"), list):
        raise ModelError(f"model definition {name or ''}: expected a mapping with 'layers'")
    name = text(data.get("name", name or "model"), "model name")
    _check_keys(data, _MODEL_KEYS, f"model {name}")
    if not data["layers"]:
        raise ModelError(f"model {name} has no layers")
    return _Builder(name, data, parameters).build()


def load_weights(path: Path) -> dict[str, NDArray]:
    """All arrays of an ``.npz`` file; ModelError if it cannot be read."""
    try:
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


def _range(value: Any, where: str) -> tuple[float, float]:
    """Real values of black and white."""
    if not isinstance(value, list) or len(value) != 2:
        raise ModelError(f"{where}: range must be [black, white]")
    low, high = (number(v, where) for v in value)
    if not low < high:
        raise ModelError(f"{where}: range {[low, high]} must ascend")
    return low, high


def _made_up(layer: Mapping[str, Any]) -> Shape:
    """A shape in the place of one that is not known, with the channels that the layer expects."""
    channels = layer.get("cin", 1)
    return (channels if isinstance(channels, int) else 1, 1, 1)


class _Builder:
    """Turns the layers of one definition into nodes, tracking shapes on the way."""

    def __init__(self, name: str, data: dict[str, Any], parameters: Parameters):
        self._name = name
        self._data = data
        self._parameters = parameters
        self._nodes: list[Node] = []
        self._shapes: dict[str, Shape] = {}
        #: Layer name to the node that ends it (after its norm and activation); None if the layer,
        #: or one that it reads, is wrong.
        self._ends: dict[str, str | None] = {}
        self._problems = Problems(name)

    def build(self) -> Graph:
        """The graph; ModelError or UnsupportedLayerError that tells all that is wrong with it."""
        spec = None
        with self._problems.gathered():
            spec = self._input()
            self._shapes[Graph.INPUT_NAME] = spec.shape
        self._ends[Graph.INPUT_NAME] = Graph.INPUT_NAME if spec else None
        for index, layer in enumerate(self._data["layers"]):
            self._add_layer(index, layer)
        image_range = None
        with self._problems.gathered():
            image_range = self._output_range()
        description = ""
        with self._problems.gathered():
            where = f"model {self._name}: description"
            description = text(self._data.get("description", ""), where)
        self._problems.tell()
        assert spec is not None
        return Graph(self._name, spec, self._nodes, image_range, description)

    def _output_range(self) -> tuple[float, float] | None:
        output = self._data.get("output") or {}
        where = f"model {self._name}: output"
        return _range(require(output, "range", where), where) if output else None

    def _input(self) -> InputSpec:
        data = self._data.get("input")
        where = f"model {self._name}: input"
        if not isinstance(data, dict):
            raise ModelError(f"{where}: expected {{latent: n}} or {{image: [c, h, w]}}")
        scale = number(data["scale"], f"{where}: scale") if "scale" in data else None
        quant = self._data.get("input_quant")
        if quant is not None:  # "q1.7": one integer bit (the sign), seven fraction bits
            match = re.fullmatch(r"q1\.(\d{1,2})", str(quant))
            if not match:
                raise ModelError(f"{where}: input_quant must look like q1.7, not {quant!r}")
            scale = 2.0 ** -int(match[1])
        if scale is not None and scale <= 0:
            raise ModelError(f"{where}: its scale must be positive, not {scale}")
        kind = "latent" if "latent" in data else "image"
        if kind == "latent":
            shape: tuple[int, ...] = (integer(data["latent"], where), 1, 1)
        elif "image" in data:
            shape = integers(data["image"], 3, where)
        elif data.get("kind") == "image":  # a network for images of any size: its layer table's
            first = self._data["layers"][0]
            size = integers(require(first, "in_hw", where), 2, where)
            shape = (integer(require(data, "channels", where), where), *size)
        else:
            raise ModelError(f"{where}: expected {{latent: n}} or {{image: [c, h, w]}}")
        default = "normal" if kind == "latent" else "uniform"
        distribution = choice(data.get("dist", default), ("normal", "uniform"), f"{where}: dist")
        black_white = _range(data["range"], where) if "range" in data else None
        return InputSpec((shape[0], shape[1], shape[2]), kind, distribution, scale, black_white)

    def _add_layer(self, index: int, layer: Any) -> None:
        """Add a layer's nodes; what is wrong with it is gathered, and its value is then unknown.

        A layer that reads an unknown value has no known shapes either: it gets made-up ones, and
        is checked as far as it can be without.
        """
        name, inputs = self._known_as(index, layer), None
        with self._problems.gathered():
            name, inputs, where = self._place(index, layer)
        self._ends[name] = None
        if inputs is None:
            return
        known = [end for end in inputs if end is not None]
        last: str | None = None
        with self._problems.gathered():
            if len(known) == len(inputs):
                last = self._append(self._main(name, layer, tuple(known), where))
            else:
                self._main(name, layer, (), where)
        steps = ("norm", "act")
        with self._problems.gathered():
            order = choice(layer.get("order", "norm-act"), _ORDERS, f"{where}: order")
            steps = _ORDERS[order]
        for step in steps:
            if layer.get(step) is None:
                continue
            node = None
            with self._problems.gathered():
                node = self._step(step, name, layer, last, where)
                if last is not None:
                    last = self._append(node)
            if node is None:
                last = None
        self._ends[name] = last

    def _known_as(self, index: int, layer: Any) -> str:
        """What other layers may call a layer that is wrong; not the name of another layer."""
        given = layer.get("name") if isinstance(layer, dict) else None
        name = printable(given) if isinstance(given, str) else f"#{index}"
        return name if name not in self._ends else f"#{index}"

    def _place(self, index: int, layer: Any) -> tuple[str, list[str | None], str]:
        """A layer's name, the nodes that it reads (None for unknown ones), how messages name it."""
        if not isinstance(layer, dict):
            raise ModelError(f"model {self._name}: layer {index} is not a mapping")
        label = printable(str(layer.get("name", index))[:200])
        where = f"layer '{label}' of model {self._name}"
        name = text(require(layer, "name", where), f"{where}: name")
        _check_keys(layer, _LAYER_KEYS, where)
        if name in self._ends:
            raise ModelError(f"{where}: the name is used twice")
        previous = list(self._ends)[-1]
        sources = layer.get("from", previous)
        sources = sources if isinstance(sources, list) else [sources]
        if not sources:
            raise ModelError(f"{where}: 'from' is empty")
        for source in sources:
            if not isinstance(source, str) or printable(source) not in self._ends:
                raise ModelError(
                    f"{where}: its input '{printable(str(source))}' is not an earlier layer"
                )
        return name, [self._ends[printable(s)] for s in sources], where

    def _main(self, name: str, layer: dict[str, Any], inputs: tuple[str, ...], where: str) -> Node:
        """The node of a layer's operation; ``inputs`` are empty where they are not known."""
        op = text(require(layer, "op", where), f"{where}: op")
        shape = self._shapes[inputs[0]] if inputs else _made_up(layer)
        if op in _OPS:
            return self._weighted(name, _OPS[op], layer, inputs, shape, where)
        if op in _PLAIN_OPS:
            node = Node(name, op, inputs)
            if op == "upsample":
                node.attrs["factor"] = integer(layer.get("factor", 2), f"{where}: factor", 1, 64)
            if op == "batchnorm":
                self._fill_norm(node, name, layer, shape[0], where)
            return node
        if op in _ACTIVATIONS:
            return self._activation(name, name, op, layer, inputs, shape[0], where)
        raise UnsupportedLayerError(
            f"{where}: operation '{op}' is not supported; supported are "
            f"{', '.join([*_OPS, *_PLAIN_OPS, *_ACTIVATIONS])}"
        )

    def _step(
        self, step: str, name: str, layer: dict[str, Any], last: str | None, where: str
    ) -> Node:
        """The node of a layer's norm or activation; ``last`` is None where it is not known."""
        kind = text(layer[step], f"{where}: {step}")
        inputs = () if last is None else (last,)
        channels = 1 if last is None else self._shapes[last][0]
        if step == "act":
            if kind not in _ACTIVATIONS:
                raise UnsupportedLayerError(
                    f"{where}: activation '{kind}' is not supported; supported are "
                    f"{', '.join(_ACTIVATIONS)}"
                )
            return self._activation(f"{name}.act", name, kind, layer, inputs, channels, where)
        if kind != "batch":
            raise UnsupportedLayerError(
                f"{where}: normalisation '{kind}' is not supported, only 'batch': "
                "statistics over the image or the batch cannot be folded into the weights"
            )
        node = Node(f"{name}.bn", "batchnorm", inputs)
        self._fill_norm(node, name, layer, channels, where)
        return node

    def _append(self, node: Node) -> str:
        self._nodes.append(node)
        # Shapes are needed on the way: the next layer's parameters depend on them.
        inputs = [self._shapes[i] for i in node.inputs]
        self._shapes[node.name] = node_shape(node, inputs, self._name)
        return node.name

    def _weighted(
        self,
        name: str,
        op: str,
        layer: dict[str, Any],
        inputs: tuple[str, ...],
        shape: Shape,
        where: str,
    ) -> Node:
        node = Node(name, op, inputs)
        channels = shape[0]
        if inputs and layer.get("cin", channels) != channels and op != "linear":
            raise ModelError(
                f"{where}: cin is {layer['cin']} but its input has {channels} channels"
            )
        if op == "linear":
            target = layer.get("shape", layer.get("reshape"))
            if target is None:
                target = [require(layer, "cout", where), 1, 1]
            target = integers(target, 3, f"{where}: shape")
            node.attrs["shape"] = target
            outputs = math.prod(target)
            weight_shape: tuple[int, ...] = (outputs, math.prod(shape))
        else:
            outputs = integer(require(layer, "cout", where), f"{where}: cout")
            kernel = pair(require(layer, "k", where), f"{where}: k")
            stride = pair(layer.get("stride", 1), f"{where}: stride")
            node.attrs.update(kernel=kernel, stride=stride)
            pad = edges(layer.get("pad", 0), f"{where}: pad", negative=False)
            if op == "conv":
                node.attrs["pad"] = pad
                weight_shape = (outputs, channels, *kernel)
            else:
                extra = integer(layer.get("output_padding", 0), f"{where}: output_padding", 0)
                crop = (pad[0], pad[1] - extra, pad[2], pad[3] - extra)
                node.attrs["crop"] = (
                    edges(layer["crop"], f"{where}: crop") if "crop" in layer else crop
                )
                weight_shape = (channels, outputs, *kernel)
        if not inputs:  # the shapes are made up
            return node
        node.params["weight"] = self._weight(f"{name}.weight", weight_shape, node, where)
        if layer.get("bias", "norm" not in layer):
            node.params["bias"] = self._parameter(f"{name}.bias", (outputs,), where)
        return node

    def _parameter(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """A parameter; one that is missing or does not fit is told, and ones stand in for it."""
        value: NDArray[np.float32] = np.broadcast_to(np.float32(1), shape)
        with self._problems.gathered():
            value = self._parameters.get(name, shape, where)
        return value

    def _weight(
        self, name: str, shape: tuple[int, ...], node: Node, where: str
    ) -> NDArray[np.float32]:
        if math.prod(shape) > MAX_WEIGHTS:
            raise ModelError(
                f"{where}: its weight would have shape {shape}, over {MAX_WEIGHTS:,} values"
            )
        weight = self._parameter(name, shape, where)
        if isinstance(self._parameters, RandomParameters):
            # Variance-preserving: the number of products that meet in one output.
            fan_in = (
                np.prod(shape[1:])
                if node.op != "deconv"
                else (shape[0] * np.prod(node.attrs["kernel"]) / np.prod(node.attrs["stride"]))
            )
            if node.op == "deconv" and self._shapes[node.inputs[0]][1:] == (1, 1):
                fan_in = shape[0]
            weight = (weight * np.sqrt(2 / fan_in)).astype(np.float32)
        return weight

    def _activation(
        self,
        name: str,
        layer_name: str,
        kind: str,
        layer: dict[str, Any],
        inputs: tuple[str, ...],
        channels: int,
        where: str,
    ) -> Node:
        op, attrs = _ACTIVATIONS[kind]
        node = Node(name, op, inputs, dict(attrs))
        if op == "leaky_relu":
            node.attrs["slope"] = number(layer.get("slope", 0.01), f"{where}: slope")
        elif op == "prelu" and inputs:
            node.params["alpha"] = self._parameter(f"{layer_name}.alpha", (channels,), where)
        elif op in ("clamp", "quant_relu"):
            for key in ("low", "high") if op == "clamp" else ("step", "high"):
                value = node.attrs.get(key, layer.get(key))
                if value is None:
                    raise ModelError(f"{where}: '{key}' is missing")
                node.attrs[key] = number(value, f"{where}: {key}")
            if op == "quant_relu" and node.attrs["step"] <= 0:
                raise ModelError(f"{where}: step must be positive, not {node.attrs['step']}")
        return node

    def _fill_norm(
        self, node: Node, layer_name: str, layer: dict[str, Any], channels: int, where: str
    ) -> None:
        node.attrs["eps"] = number(layer.get("bn_eps", 1e-5), f"{where}: bn_eps")
        for key in () if not node.inputs else ("gamma", "beta", "mean", "var"):
            node.params[key] = self._parameter(f"{layer_name}.bn_{key}", (channels,), where)
