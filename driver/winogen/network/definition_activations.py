"""Activations of a definition: the names, what they become, and the keys that they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from winogen.common.errors import ModelError
from winogen.network.definition_layer import Layer
from winogen.network.functions import ACTIVATIONS, ARGUMENT, Function, Step
from winogen.network.yaml_values import number

#: What limits values, or is the same for every layer: operation and attributes.
_PLAIN: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "relu": ("relu", {}),
    "lrelu": ("leaky_relu", {}),
    "leaky_relu": ("leaky_relu", {}),
    "prelu": ("prelu", {}),
    "clamp": ("clamp", {}),
    "clip01": ("clamp", {"low": 0.0, "high": 1.0}),
    "relu6": ("clamp", {"low": 0.0, "high": 6.0}),
    "hardtanh": ("clamp", {"low": -1.0, "high": 1.0}),
    "hardsigmoid": ("clamp", {"low": 0.0, "high": 1.0}),
    "qrelu4": ("quant_relu", {"step": 1 / 16, "high": 15 / 16}),
    "quant_relu": ("quant_relu", {}),
    "tanh": ("tanh", {}),
    "sigmoid": ("sigmoid", {}),
}
#: Activations by the names that definitions have for them.
NAMES = (*_PLAIN, *ACTIVATIONS)


def _softplus(beta: float) -> Function:
    steps = (
        Step("Mul", (), (ARGUMENT, beta)),
        Step("Softplus", (), (0,)),
        Step("Div", (), (1, beta)),
    )
    return ACTIVATIONS["softplus"] if beta == 1 else Function("softplus", steps)


#: Functions with a parameter: its key, which has to be positive, and what they are with it; 1 is
#: the default.
_OF_ONE: Mapping[str, tuple[str, Callable[[float], Function]]] = {
    "elu": ("alpha", lambda alpha: Function.of("Elu", {"alpha": alpha})),
    "celu": ("alpha", lambda alpha: Function.of("Celu", {"alpha": alpha})),
    "swish": ("beta", lambda beta: Function.of("Swish", {"alpha": beta})),
    "softplus": ("beta", _softplus),
}
_KEYS = {"leaky_relu": ("slope",), "clamp": ("low", "high"), "quant_relu": ("step", "high")}


def keys_of(kind: str) -> tuple[str, ...]:
    """The keys that an activation takes."""
    if kind in _OF_ONE:
        return (_OF_ONE[kind][0],)
    op, given = _PLAIN.get(kind, ("", {}))
    return tuple(key for key in _KEYS.get(op, ()) if key not in given)


def activation(layer: Layer, kind: str, suffix: str = "") -> None:
    """Add the node of an activation; ``kind`` is one of :data:`NAMES`."""
    if kind in ACTIVATIONS:
        layer.add("function", suffix=suffix, function=_function(layer, kind))
        return
    op, attrs = _PLAIN[kind]
    if kind == "hardsigmoid":  # x / 6 + 1/2, limited
        scale(layer, 1 / 6, 0.5, f"{suffix}.scale")
    if op == "prelu":
        channels = layer.shape[0]
        alpha = {"alpha": layer.parameter("alpha", (channels,))} if layer.known else {}
        layer.add(op, suffix=suffix, params=alpha)
        return
    layer.add(op, suffix=suffix, **_attributes(layer, op, attrs))


def scale(layer: Layer, factor: float, shift: float, suffix: str = "") -> None:
    """Add a node that multiplies by a number and adds one."""
    ones = np.ones(layer.shape[0], np.float32)
    layer.add(
        "batchnorm", suffix=suffix, eps=0.0,
        params={"gamma": ones * np.float32(factor), "beta": ones * np.float32(shift),
                "mean": 0 * ones, "var": ones},
    )  # fmt: skip


def _function(layer: Layer, kind: str) -> Function:
    if kind not in _OF_ONE:
        return ACTIVATIONS[kind]
    key, made = _OF_ONE[kind]
    value = layer.positive(key, 1.0)
    return ACTIVATIONS[kind] if value == 1 else made(value)


def _attributes(layer: Layer, op: str, given: Mapping[str, float]) -> dict[str, Any]:
    attrs: dict[str, Any] = dict(given)
    if op == "leaky_relu":
        attrs["slope"] = layer.number("slope", 0.01)
    for key in _KEYS[op] if op in ("clamp", "quant_relu") else ():
        value = attrs.get(key, layer.get(key))
        if value is None:
            raise ModelError(f"{layer.where}: '{key}' is missing")
        attrs[key] = number(value, layer.at(key))
    if op == "quant_relu" and attrs["step"] <= 0:
        raise ModelError(f"{layer.where}: step must be positive, not {attrs['step']}")
    return attrs
