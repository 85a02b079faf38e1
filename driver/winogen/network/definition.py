"""Model definitions in YAML: a list of layers with shorthand for normalisation and activation.

A definition looks like::

    name: example
    input: {latent: 100, dist: normal}        # or {image: [3, 64, 64]}; several: definition_inputs
    output: {range: [-1, 1]}                  # omit for outputs that are no image
    layers:
      - {name: fc, op: linear, shape: [512, 4, 4], norm: batch, act: relu}
      - {name: up1, op: deconv, cout: 256, k: 4, stride: 2, pad: 1, norm: batch, act: relu}
      - {name: skip, op: add, from: [up1, fc]}

``from`` defaults to the layer before. Parameters come from a mapping (``weights.npz``) under
``<layer>.weight``, ``.bias``, ``.bn_gamma``, ``.bn_beta``, ``.bn_mean``, ``.bn_var``,
``.norm_gamma``, ``.norm_beta``, ``.alpha``, ``.value``, or are drawn from a seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from winogen.common.errors import ModelError, UnsupportedLayerError, one_line
from winogen.common.opening import open_to_read
from winogen.common.problems import Problems
from winogen.common.text import did_you_mean, printable
from winogen.common.yaml_text import read_yaml
from winogen.network import definition_activations as activations
from winogen.network import definition_inputs as inputs
from winogen.network import definition_norms as norms
from winogen.network.colour import named, suiting
from winogen.network.definition_layer import COMMON_KEYS, Layer, check_keys
from winogen.network.definition_operations import OPERATIONS
from winogen.network.graph import Graph, InputSpec, Node, Shape, node_shape
from winogen.network.interleave import joined
from winogen.network.parameters import (
    MAX_WEIGHTS,
    Parameters,
    RandomParameters,
    StoredParameters,
    load_weights,
)
from winogen.network.yaml_values import (
    choice,
    integer,
    integers,
    number,
    require,
    text,
)

__all__ = [
    "MAX_WEIGHTS",
    "Parameters",
    "RandomParameters",
    "StoredParameters",
    "load_definition",
    "load_weights",
]

#: Orders of what follows a layer.
_ORDERS = {"norm-act": ("norm", "act"), "act-norm": ("act", "norm")}
#: All keys of layers.
_LAYER_KEYS = frozenset(
    (*COMMON_KEYS, *norms.KEYS, *(key for op in OPERATIONS.values() for key in op.keys))
)
_INPUT_KEYS = ("latent", "image", "kind", "channels", "dist", "scale", "range", "colour")
#: ``source`` to ``macs`` say where a model is from and how large it is; they are not used.
_MODEL_KEYS = {
    "name", "description", "input", "inputs", "input_quant", "output", "layers", "source",
    "licence", "license", "note", "params", "macs",
}  # fmt: skip


def load_definition(
    definition: str | Path,
    parameters: Parameters,
    *,
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> Graph:
    """Build the graph of a YAML definition (a path, or the text itself).

    ``image_size``: rows and columns of the input, if it is an image, instead of the definition's.

    Raises ModelError if the file cannot be read or layers are wrong, UnsupportedLayerError if they
    cannot run on the accelerator; both name every such layer.
    """
    try:
        source = definition
        if isinstance(definition, Path):
            with open_to_read(definition) as file:
                source = file.read().decode("utf-8")
        data = read_yaml(str(source))
    except (OSError, ValueError, yaml.YAMLError) as error:
        where = definition if isinstance(definition, Path) else name or ""
        raise ModelError(f"cannot read the model definition {where}: {one_line(error)}") from None
    if not isinstance(data, dict) or not isinstance(data.get("layers"), list):
        raise ModelError(f"model definition {name or ''}: expected a mapping with 'layers'")
    name = text(data.get("name", name or "model"), "model name")
    check_keys(data, _MODEL_KEYS, f"model {name}")
    if not data["layers"]:
        raise ModelError(f"model {name} has no layers")
    return _Builder(name, data, parameters, image_size).build()


def _range(value: Any, where: str) -> tuple[float, float]:
    """Real values of black and white."""
    if not isinstance(value, list) or len(value) != 2:
        raise ModelError(f"{where}: range must be [black, white]")
    low, high = (number(v, where) for v in value)
    if not low < high:
        raise ModelError(f"{where}: range {[low, high]} must ascend")
    return low, high


def _colour(value: Any, where: str) -> str:
    """The colour space of a word."""
    try:
        return named(value)
    except ValueError as error:
        raise ModelError(f"{where}: colour: {error}") from None


def _made_up(layer: Mapping[str, Any]) -> Shape:
    """A shape in the place of one that is not known, with the channels that the layer expects."""
    channels = layer.get("cin", 1)
    return (channels if isinstance(channels, int) else 1, 1, 1)


class _Builder:
    """Turns the layers of one definition into nodes, tracking shapes on the way."""

    def __init__(
        self,
        name: str,
        data: dict[str, Any],
        parameters: Parameters,
        image_size: tuple[int, int] | None,
    ):
        self._image_size = image_size
        self._name = name
        self._data = data
        self._parameters = parameters
        self._nodes: dict[str, Node] = {}
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
        if spec is not None:
            with self._problems.gathered():
                for node in inputs.pieces(spec, f"model {self._name}: inputs"):
                    self.append(node)
                    self._ends[node.name] = node.name
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
        nodes = self._read_nodes(spec)
        graph = Graph(self._name, spec, nodes, image_range, description)
        fewer = joined(nodes)
        if len(fewer) < len(nodes):
            graph = replace(graph, nodes=fewer)
        self._check_colour(graph)
        return graph

    def _read_nodes(self, spec: InputSpec) -> list[Node]:
        """The nodes, without what takes out inputs that layers read with all others, or not."""
        nodes = list(self._nodes.values())
        used = {name for node in nodes for name in node.inputs}
        taken = {part.name for part in spec.parts}
        nodes = [node for node in nodes if node.name in used or node.name not in taken]
        if not nodes:
            raise ModelError(f"model {self._name} has no layers")
        whole = any(Graph.INPUT_NAME in node.inputs and node.name not in taken for node in nodes)
        for name in sorted(taken - used):
            if not whole:
                raise ModelError(f"model {self._name}: inputs: '{name}' is read by no layer")
        return nodes

    def _output_range(self) -> tuple[float, float] | None:
        output = self._data.get("output") or {}
        where = f"model {self._name}: output"
        return _range(require(output, "range", where), where) if output else None

    def _input(self) -> InputSpec:
        if "inputs" in self._data:
            return self._several_inputs()
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
        check_keys(data, _INPUT_KEYS, where)
        if kind == "image" and self._image_size is not None:
            shape = (shape[0], *self._image_size)
        default = "normal" if kind == "latent" else "uniform"
        distribution = choice(data.get("dist", default), ("normal", "uniform"), f"{where}: dist")
        black_white = _range(data["range"], where) if "range" in data else None
        colour = data.get("colour")
        if colour is not None:
            colour = _colour(colour, where)
            if kind == "latent":
                raise ModelError(f"{where}: latents have no colour; leave it out")
        return InputSpec(
            (shape[0], shape[1], shape[2]), kind, distribution, scale, black_white, colour=colour
        )

    def _several_inputs(self) -> InputSpec:
        where = f"model {self._name}: inputs"
        for key in ("input", "input_quant"):
            if key in self._data:
                raise ModelError(f"{where}: '{key}' is for a single input; leave one of them out")
        spec = inputs.several(self._data["inputs"], where, self._image_size)
        for entry in self._data["inputs"]:
            own = f"{where}: '{text(entry['name'], where)}'"
            if "range" in entry:
                spec = replace(spec, range=_range(entry["range"], own))
            if "colour" in entry:
                spec = replace(spec, colour=_colour(entry["colour"], own))
        return spec

    def _check_colour(self, graph: Graph) -> None:
        colour = graph.input.colour
        images = [part.channels for part in graph.input.parts if part.kind == "image"]
        channels, outputs = graph.input.shape[0], graph.output_shape[0]
        if graph.input.parts:
            channels = images[0] if len(images) == 1 else 0
        if colour is not None and colour not in suiting(channels, outputs):
            known = " or ".join(suiting(channels, outputs)) or "left out"
            raise ModelError(
                f"model {self._name}: input: colour {colour} does not suit a network that makes "
                f"{outputs} channels of {channels}; it can be {known}"
            )

    def _add_layer(self, index: int, layer: Any) -> None:
        """Add a layer's nodes; what is wrong with it is gathered, and its value is then unknown.

        A layer that reads an unknown value has no known shapes either: it gets made-up ones, and
        is checked as far as it can be without.
        """
        name, sources = self._known_as(index, layer), None
        with self._problems.gathered():
            name, sources, where = self._place(index, layer)
        self._ends[name] = None
        if sources is None:
            return
        known = tuple(end for end in sources if end is not None)
        made = Layer(name, layer, where, self, known, tuple(self._shapes[i] for i in known))
        if len(known) < len(sources):
            made.lose()
            made.shapes = (_made_up(layer),)
        complete = False
        with self._problems.gathered():
            self._operation(made)
            complete = True
        steps = ("norm", "act")
        with self._problems.gathered():
            order = choice(layer.get("order", "norm-act"), _ORDERS, f"{where}: order")
            steps = _ORDERS[order]
        for step in steps:
            if layer.get(step) is None:
                continue
            if not complete:
                made.lose()
            complete = False
            with self._problems.gathered():
                self._step(step, made)
                complete = True
        with self._problems.gathered():
            _check_placed(layer, where)
        self._ends[name] = made.last if complete else None

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
        check_keys(layer, _LAYER_KEYS, where)
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

    def _operation(self, layer: Layer) -> None:
        """Add the nodes of a layer's operation."""
        op = text(layer.require("op"), layer.at("op"))
        if op not in OPERATIONS:
            raise UnsupportedLayerError(
                f"{layer.where}: operation '{op}' is not supported; "
                f"{did_you_mean(op, OPERATIONS)}supported are {', '.join(OPERATIONS)}"
            )
        OPERATIONS[op].build(layer)

    def _step(self, step: str, layer: Layer) -> None:
        """Add the nodes of a layer's norm or activation."""
        kind = text(layer.get(step), layer.at(step))
        if step == "act":
            if kind not in activations.NAMES:
                raise UnsupportedLayerError(
                    f"{layer.where}: activation '{kind}' is not supported; "
                    f"{did_you_mean(kind, activations.NAMES)}supported are "
                    f"{', '.join(activations.NAMES)}"
                )
            activations.activation(layer, kind, ".act")
            return
        if kind not in norms.NAMES:
            raise UnsupportedLayerError(
                f"{layer.where}: normalisation '{kind}' is not supported; "
                f"{did_you_mean(kind, norms.NAMES)}supported are {', '.join(norms.NAMES)}"
            )
        norms.normalisation(layer, kind, ".bn" if kind == "batch" else ".norm")

    # What layers see of the network

    @property
    def drawn(self) -> bool:
        """Whether parameters are drawn."""
        return isinstance(self._parameters, RandomParameters)

    def append(self, node: Node) -> Shape:
        """Add a node; its output shape, which the next layer's parameters depend on."""
        if node.name in self._nodes:
            raise ModelError(
                f"layer '{node.name}' of model {self._name}: the name is used twice, by a "
                "layer and by a part of one; choose another"
            )
        self._nodes[node.name] = node
        shapes = [self._shapes[i] for i in node.inputs]
        self._shapes[node.name] = node_shape(node, shapes, self._name)
        return self._shapes[node.name]

    def shape(self, name: str) -> Shape:
        """The shape of a value."""
        return self._shapes[name]

    def node(self, name: str) -> Node:
        """The node of a name."""
        return self._nodes[name]

    def parameter(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """A parameter; one that is missing or does not fit is told, and ones stand in for it."""
        value: NDArray[np.float32] = np.broadcast_to(np.float32(1), shape)
        with self._problems.gathered():
            value = self._parameters.get(name, shape, where)
        return value


def _check_placed(layer: Mapping[str, Any], where: str) -> None:
    """Refuse keys that mean nothing in this layer."""
    known = set(COMMON_KEYS)
    op, norm, act = (layer.get(key) for key in ("op", "norm", "act"))
    if not isinstance(op, str) or op not in OPERATIONS:
        return  # which is told
    known.update(OPERATIONS[op].keys)
    if norm is not None:
        known.update(norms.keys_of(norm, op) if norm in norms.NAMES else norms.KEYS)
    if act is not None:
        known.update(activations.keys_of(act) if act in activations.NAMES else _LAYER_KEYS)
    for key in layer:
        if key not in known:
            what = ", ".join(f"{k} {v}" for k, v in (("op", op), ("norm", norm), ("act", act)) if v)
            raise ModelError(
                f"{where}: '{key}' means nothing for {what}; leave it out, or check what it is for"
            )
