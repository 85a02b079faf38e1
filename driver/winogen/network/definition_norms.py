"""Normalisations of a definition: by running statistics, or by those of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from winogen.common.errors import ModelError
from winogen.network.definition_layer import Layer
from winogen.network.graph import Node, batchnorm_affine
from winogen.network.yaml_values import choice, integer

#: Keys of normalisations; ``groups`` is the convolution's where a layer is one.
KEYS = ("norm_eps", "bn_eps", "affine", "norm_over", "norm_groups", "groups")
#: Names of normalisations, and of the operations that are one alone.
NAMES = ("batch", "instance", "group", "layer", "pixel")
OPERATIONS: Mapping[str, str] = {"batchnorm": "batch", **{f"{n}norm": n for n in NAMES[1:]}}
#: What statistics may be taken over where that is a choice; the first is the default.
_OVER = {"batch": ("channels", "features"), "layer": ("image", "pixel")}
#: Operations whose ``groups`` is their own.
GROUPED = ("conv", "deconv", "channel_shuffle")


def keys_of(kind: str, op: str) -> tuple[str, ...]:
    """The keys that a normalisation takes in a layer of an operation."""
    keys = ["norm_eps"]
    if kind == "batch":
        keys.append("bn_eps")
    if kind != "pixel":
        keys.append("affine")
    if kind in _OVER:
        keys.append("norm_over")
    if kind == "group":
        keys += ["norm_groups", *(() if op in GROUPED else ("groups",))]
    return tuple(keys)


def normalisation(layer: Layer, kind: str, suffix: str = "") -> None:
    """Add the node of a normalisation; ``kind`` is one of :data:`NAMES`."""
    over = ""
    if kind in _OVER:
        over = choice(layer.get("norm_over", _OVER[kind][0]), _OVER[kind], layer.at("norm_over"))
    affine = kind != "pixel" and layer.flag("affine", True)
    epsilon = _epsilon(layer, kind)
    if kind == "batch":
        _batch(layer, over, affine, epsilon, suffix)
        return
    channels, rows, columns = layer.shape
    groups = {"instance": channels, "layer": int(over == "image"), "pixel": 0}.get(kind)
    if groups is None:
        groups = _groups(layer)
    values = channels if not groups else channels // groups * rows * columns
    if layer.known and kind != "pixel" and values == 1:
        raise ModelError(
            f"{layer.where}: {kind} normalisation of {channels} x {rows} x {columns} values takes "
            "the statistics of one value alone, which leaves nothing of it; use another norm"
        )
    params: dict[str, NDArray[np.float32]] = {}
    for key in ("gamma", "beta") if affine and layer.known else ():
        params[key] = layer.parameter(f"norm_{key}", (channels,))
    layer.add("normalise", suffix=suffix, params=params, groups=groups, centred=kind != "pixel",
              eps=epsilon)  # fmt: skip


def _epsilon(layer: Layer, kind: str) -> float:
    """PyTorch's default; for pixel norm that of progressive GANs."""
    if "norm_eps" in layer.keys and "bn_eps" in layer.keys:
        raise ModelError(f"{layer.where}: norm_eps and bn_eps are the same; give one of them")
    key = "bn_eps" if "bn_eps" in layer.keys else "norm_eps"
    value = layer.number(key, 1e-8 if kind == "pixel" else 1e-5)
    if value < 0:
        raise ModelError(f"{layer.at(key)} must not be negative, not {value:g}")
    return value


def _groups(layer: Layer) -> int:
    own = layer.get("op") in GROUPED
    if own and "norm_groups" not in layer.keys:
        raise ModelError(
            f"{layer.where}: norm 'group' needs norm_groups, the groups of the norm; 'groups' is "
            f"the {layer.get('op')}'s own"
        )
    keys = [key for key in ("norm_groups", "groups") if key in layer.keys]
    if not own and len(keys) == 2:
        raise ModelError(f"{layer.where}: norm_groups and groups are the same; give one of them")
    key = (keys or ["groups"])[0]
    groups = integer(layer.require(key), layer.at(key))
    channels = layer.shape[0]
    if layer.known and channels % groups:
        raise ModelError(f"{layer.at(key)}: {channels} channels are not {groups} equal groups")
    return groups


def _batch(layer: Layer, over: str, affine: bool, epsilon: float, suffix: str) -> None:
    last = layer.network.node(layer.last) if layer.last is not None else None
    if over == "features" and layer.get("op") not in ("linear", "dense"):
        raise ModelError(
            f"{layer.where}: norm_over 'features' is for linear layers; leave it out, or say "
            "'channels'"
        )
    features = over == "features" and last is not None
    if features and last is not None and last.op != "linear":
        raise ModelError(
            f"{layer.where}: a norm over features comes before the activation; use "
            "order: norm-act, or norm_over: channels"
        )
    count = math.prod(layer.shape) if features else layer.shape[0]
    if not layer.known:
        return
    params = {
        "gamma": np.ones(count, np.float32), "beta": np.zeros(count, np.float32)
    }  # fmt: skip
    for key in ("gamma", "beta", "mean", "var") if affine else ("mean", "var"):
        params[key] = layer.parameter(f"bn_{key}", (count,))
    if not features or last is None:
        layer.add("batchnorm", suffix=suffix, params=params, eps=epsilon)
        return
    _into(layer, last, Node(f"{layer.name}{suffix}", "batchnorm", (), {"eps": epsilon}, params))


def _into(layer: Layer, linear: Node, norm: Node) -> None:
    """A batch-norm of every output of a linear layer, into its weights: values have no channels."""
    count = len(linear.params["weight"])
    for key, value in norm.params.items():
        if value.shape != (count,):
            raise ModelError(
                f"{layer.where}: its bn_{key} has shape {value.shape}, expected {(count,)}, one "
                "for each feature; for one of each channel leave norm_over out"
            )
        if not np.issubdtype(value.dtype, np.floating):
            raise ModelError(f"{layer.where}: its bn_{key} has dtype {value.dtype}, not a float's")
        if not np.all(np.isfinite(value)):
            raise ModelError(f"{layer.where}: its bn_{key} holds NaN or infinity")
    if np.any(norm.params["var"] + norm.attrs["eps"] <= 0):
        raise ModelError(f"{layer.where}: its variance is not positive")
    scale, shift = batchnorm_affine(norm)
    weight = linear.params["weight"].astype(np.float64) * scale[:, None]
    bias = linear.params.get("bias", np.float32(0)) * scale + shift
    linear.params |= {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
