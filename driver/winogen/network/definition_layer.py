"""One layer of a definition while nodes are made of it: its keys, what it reads, its parameters."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.network.graph import Node, Shape
from winogen.network.parameters import MAX_WEIGHTS
from winogen.network.yaml_values import number, require, text

#: Keys that every layer may have; the last three are of other tools, and not used.
COMMON_KEYS = ("name", "op", "from", "cin", "norm", "act", "order", "macs", "in_hw", "out_hw")


class Network(Protocol):
    """The network under construction, as a layer sees it."""

    @property
    def drawn(self) -> bool:
        """Whether parameters are drawn: weights are then scaled by how many products meet."""
        ...

    def append(self, node: Node) -> Shape:
        """Add a node; its output shape."""
        ...

    def shape(self, name: str) -> Shape:
        """The shape of a value."""
        ...

    def node(self, name: str) -> Node:
        """The node of a name."""
        ...

    def parameter(self, name: str, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
        """A parameter; what is wrong with it is kept, and ones stand in for it."""
        ...


@dataclass
class Layer:
    """A layer whose nodes are added one after another, each reading the one before.

    Attributes
    ----------
    name, keys : its name and all that the definition says of it
    where : how messages name it
    inputs : the values that it reads; empty where one of them is not known, because a layer before
        is wrong: no node is added then, and keys are checked as far as they can be
    shapes : the inputs' shapes; one that is made up where they are not known
    last : the node added last, or None
    """

    name: str
    keys: Mapping[str, Any]
    where: str
    network: Network
    inputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    last: str | None = field(default=None)

    @property
    def known(self) -> bool:
        """Whether what it reads is known."""
        return bool(self.inputs)

    @property
    def shape(self) -> Shape:
        """Shape of what the next node reads: the node added last, or the first input."""
        return self.network.shape(self.last) if self.last is not None else self.shapes[0]

    def lose(self) -> None:
        """What it makes is not known from here on."""
        self.inputs, self.shapes, self.last = (), ((1, 1, 1),), None

    # Keys

    def at(self, key: str) -> str:
        """How messages name a key."""
        return f"{self.where}: {key}"

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        return self.keys.get(key, default)

    def require(self, key: str) -> Any:
        """The value of a key that has to be there."""
        return require(self.keys, key, self.where)

    def number(self, key: str, default: float) -> float:
        """The finite number of a key."""
        return number(self.keys.get(key, default), self.at(key))

    def positive(self, key: str, default: float) -> float:
        """The positive number of a key."""
        value = self.number(key, default)
        if value <= 0:
            raise ModelError(f"{self.at(key)} must be positive, not {value:g}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.keys.get(key, default)
        if not isinstance(value, bool):
            raise ModelError(f"{self.at(key)}: expected true or false, not {value!r:.60}")
        return value

    # Nodes

    def add(
        self,
        op: str,
        *,
        suffix: str = "",
        inputs: tuple[str, ...] | None = None,
        params: Mapping[str, NDArray[np.float32]] | None = None,
        **attrs: Any,
    ) -> None:
        """Add a node, named as the layer and ``suffix``; nothing where the inputs are not known.

        It reads ``inputs``; by default the node added last, or all that the layer reads.
        """
        if not self.known:
            return
        if inputs is None:
            inputs = self.inputs if self.last is None else (self.last,)
        node = Node(f"{self.name}{suffix}", op, inputs, attrs, dict(params or {}))
        self.network.append(node)
        self.last = node.name

    def parameter(self, kind: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The layer's parameter of a kind, as in ``<layer>.<kind>``."""
        return self.network.parameter(f"{self.name}.{kind}", shape, self.where)

    def weight(self, shape: tuple[int, ...], fan_in: float) -> NDArray[np.float32]:
        """The layer's weight. ``fan_in``: products that meet in one output.

        Where parameters are drawn, they keep the variance of what the layer reads.
        """
        if math.prod(shape) > MAX_WEIGHTS:
            raise ModelError(
                f"{self.where}: its weight would have shape {shape}, over {MAX_WEIGHTS:,} values"
            )
        weight = self.parameter("weight", shape)
        if self.network.drawn:
            weight = (weight * np.sqrt(2 / fan_in)).astype(np.float32)
        return weight


def check_keys(mapping: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    """Refuse keys that mean nothing: most are misspelled."""
    known = set(known)
    for key in mapping:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ModelError(f"{where}: unknown key '{text(key, where)}'{hint}")
