"""Layers that definitions can say: each against PyTorch's definition of it, in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from support import torch_layers as torch
from support.bench import DEVICES
from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.network import reference
from winogen.network.definition import RandomParameters, StoredParameters, load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.runtime.generator import Generator
from winogen.target.board import load_board

SIZE = (4, 6, 8)
CONV = {"op": "conv", "cout": 6, "k": 3, "pad": 1}


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


X = values(*SIZE, seed=1)


def graph(*layers: dict[str, Any], weights: dict[str, Any] | None = None, **top: Any) -> Graph:
    named = [{"name": f"l{i}", **layer} for i, layer in enumerate(layers)]
    data = {"name": "net", "input": {"image": list(SIZE)}, "layers": named, **top}
    parameters = StoredParameters(weights, "weights.npz") if weights else RandomParameters(3)
    return load_definition(yaml.safe_dump(data), parameters)


def made(*layers: dict[str, Any], weights: dict[str, Any] | None = None, x=X) -> np.ndarray:
    return reference.run(graph(*layers, weights=weights), x[None])[0]


def same(got: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)


# Convolutions


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ({"groups": 2}, {"groups": 2}),
        ({"cout": 8, "groups": "depthwise"}, {"groups": 4}),
        ({"dilation": 2, "pad": 2}, {"dilation": (2, 2), "pad": (2, 2, 2, 2)}),
        ({"k": [1, 3], "dilation": [1, 3], "groups": 2}, {"dilation": (1, 3), "groups": 2}),
        ({"stride": 2, "dilation": 2}, {"stride": (2, 2), "dilation": (2, 2)}),
    ],
)
def test_convolutions_with_groups_and_dilation(keys, more):
    layer = {**CONV, **keys}
    cout, groups = layer["cout"], more.get("groups", 1)
    kernel = layer["k"] if isinstance(layer["k"], list) else [layer["k"]] * 2
    weights = {"l0.weight": values(cout, 4 // groups, *kernel), "l0.bias": values(cout, seed=2)}
    wanted = torch.conv(X, *weights.values(), **{"pad": (1, 1, 1, 1), **more})
    same(made(layer, weights=weights), wanted)


@pytest.mark.parametrize(
    "keys", [{"groups": 2}, {"groups": 4}, {"dilation": 2}, {"dilation": [2, 1], "groups": 2}]
)
def test_transposed_convolutions_with_groups_and_dilation(keys):
    layer = {"op": "deconv", "cout": 8, "k": 3, "stride": 2, "pad": 1, **keys}
    groups, dilation = keys.get("groups", 1), keys.get("dilation", 1)
    dilation = tuple(dilation) if isinstance(dilation, list) else (dilation,) * 2
    weights = {"l0.weight": values(4, 8 // groups, 3, 3), "l0.bias": values(8)}
    wanted = torch.deconv(X, *weights.values(), (2, 2), 1, dilation, groups)
    same(made(layer, weights=weights), wanted)


@pytest.mark.parametrize("mode", ["reflect", "edge", "zero"])
def test_padding_with_the_image(mode):
    weights = {"l0.weight": values(6, 4, 3, 3), "l0.bias": values(6)}
    padded = np.pad(X, ((0, 0), (1, 2), (0, 1)), "constant" if mode == "zero" else mode)
    layer = {**CONV, "pad": [1, 2, 0, 1], "pad_mode": mode}
    same(made(layer, weights=weights), torch.conv(padded, *weights.values()))
    same(made({"op": "pad", "mode": mode, "pad": [1, 2, 0, 1]}), padded)
    assert [n.op for n in graph({**layer, "pad": 0}).nodes] == ["conv"]


@pytest.mark.parametrize("size", [(6, 8), (12, 10)])
def test_a_definition_for_another_size(size, tmp_path):
    """What depends on the input's size is made anew, where stretching a graph could not."""
    layers = [
        {"name": "up", "op": "resize", "mode": "bilinear", "factor": 1.5},
        {"name": "mean", "op": "global_avgpool"},
        {"name": "sum", "op": "add", "from": ["up", "mean"]},
    ]
    data = {"input": {"image": list(SIZE)}, "layers": layers}
    (tmp_path / "layers.yaml").write_text(yaml.safe_dump(data))
    np.savez(tmp_path / "weights.npz", none=np.zeros(1))
    x = values(4, *size)
    wide = torch.interpolate(x, [n * 3 // 2 for n in size], (1.5, 1.5), "bilinear", False)
    found = load_network(tmp_path, image_size=size)
    same(reference.run(found, x[None])[0], wide + wide.mean((1, 2), keepdims=True))


def test_a_definition_for_a_size_that_it_does_not_take(tmp_path):
    data = {"input": {"image": list(SIZE)}, "layers": [{"name": "u", "op": "pixel_unshuffle",
                                                         "factor": 2}]}  # fmt: skip
    (tmp_path / "layers.yaml").write_text(yaml.safe_dump(data))
    np.savez(tmp_path / "weights.npz", none=np.zeros(1))
    with pytest.raises(ModelError, match="7 x 8 pixels do not make blocks of 2 x 2"):
        load_network(tmp_path, image_size=(7, 8))


def test_cropping():
    same(made({"op": "crop", "crop": [1, 2, 3, 0]}), X[:, 1:-2, 3:])


# Norms


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("kind", "keys", "groups"),
    [
        ("instance", {}, 4), ("instance", {"norm_eps": 0.5}, 4), ("group", {"groups": 2}, 2),
        ("group", {"norm_groups": 4}, 4), ("layer", {}, 1), ("layer", {"norm_over": "image"}, 1),
        ("layer", {"affine": False}, 1), ("layer", {"norm_over": "pixel"}, 0),
        ("pixel", {}, 0), ("pixel", {"norm_eps": 0.1}, 0),
    ],
)  # fmt: skip
def test_norms_by_the_statistics_of_the_image(kind, keys, groups, alone):
    affine = kind != "pixel" and keys.get("affine", True)
    gamma, beta = (values(4, seed=5), values(4, seed=6)) if affine else (np.ones(4), np.zeros(4))
    weights = {"l0.norm_gamma": gamma, "l0.norm_beta": beta, "l0.alpha": np.ones(4)}
    epsilon = keys.get("norm_eps", 1e-8 if kind == "pixel" else 1e-5)
    if groups:
        wanted = torch.group_norm(X, groups, gamma, beta, epsilon)
    else:
        wanted = torch.over_channels(X, gamma, beta, epsilon, kind == "layer")
    layer = {"op": f"{kind}norm"} if alone else {"op": "prelu", "norm": kind}
    got = graph({**layer, **keys}, weights=weights)
    same(reference.run(got, X[None])[0], wanted)
    assert got.output_name == ("l0" if alone else "l0.norm")
    assert set(got.nodes[-1].params) == ({"gamma", "beta"} if affine else set())


def test_a_grouped_convolution_with_a_group_norm():
    layer = {**CONV, "groups": 2, "norm": "group", "norm_groups": 3}
    conv, norm = graph(layer).nodes
    assert norm.attrs["groups"] == 3
    assert "bias" not in conv.params


def batch_norm(x, weights, count):
    gamma, beta, mean, var = (weights[f"l0.bn_{k}"] for k in ("gamma", "beta", "mean", "var"))
    column = (count,) + (1,) * (x.ndim - 1)
    scaled = (x - mean.reshape(column)) / np.sqrt(var + 1e-5).reshape(column)
    return scaled * gamma.reshape(column) + beta.reshape(column)


@pytest.mark.parametrize(("over", "count"), [("channels", 2), ("features", 24), (None, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_batch_norm_of_a_linear_layer_before_or_after_the_reshape(over, count, bias):
    """BatchNorm1d has a value for every feature, BatchNorm2d one for every channel."""
    weights = {"l0.weight": values(24, 192), "l0.bias": values(24), "l0.bn_gamma": values(count),
               "l0.bn_beta": values(count), "l0.bn_mean": values(count, seed=3),
               "l0.bn_var": values(count) ** 2}  # fmt: skip
    keys = {} if over is None else {"norm_over": over}
    layer = {"op": "linear", "shape": [2, 3, 4], "norm": "batch", "act": "relu", "bias": bias}
    features = weights["l0.weight"] @ X.ravel() + weights["l0.bias"] * bias
    features = features.reshape(-1) if over == "features" else features.reshape(2, 3, 4)
    wanted = batch_norm(features, weights, count).reshape(2, 3, 4)
    same(made({**layer, **keys}, weights=weights), np.maximum(wanted, 0))


def test_batch_norm_without_parameters_of_its_own():
    weights = {"l0.bn_mean": values(4), "l0.bn_var": values(4) ** 2}
    full = {**weights, "l0.bn_gamma": np.ones(4), "l0.bn_beta": np.zeros(4)}
    got = made({"op": "batchnorm", "affine": False, "norm_eps": 1e-5}, weights=weights)
    same(got, batch_norm(X, full, 4))


# Activations


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("kind", torch.ACTIVATIONS)
@pytest.mark.parametrize("parameter", [None, 0.7])
def test_activations(kind, parameter, alone):
    key = {"elu": "alpha", "celu": "alpha", "swish": "beta", "softplus": "beta"}.get(kind)
    keys = {} if key is None or parameter is None else {key: parameter}
    layer = {"op": kind} if alone else {"op": "crop", "crop": 0, "act": kind}
    point = torch.ACTIVATIONS[kind]
    wanted = [point(v, parameter or 1.0) for v in 3 * X.ravel()]
    same(made({**layer, **keys}, x=3 * X).ravel(), np.array(wanted))


# Of several values, and of numbers


def test_products_and_sums():
    one = {"name": "g", "op": "global_avgpool", "from": "input"}
    mean = X.mean((1, 2), keepdims=True)
    same(made(one, {"op": "multiply", "from": ["input", "g"]}), X * mean)
    same(made(one, {"op": "add", "from": ["g", "input"]}), X + mean)
    wide = {"name": "w", "op": "resize", "size": [4, 4], "from": "input", "mode": "bilinear"}
    square = made(wide, {"op": "global_avgpool"}, {"op": "add", "from": ["w", "l1"]})
    wanted = torch.interpolate(X, (4, 4), (4 / 6, 4 / 8), "bilinear", False)
    same(square, wanted + wanted.mean((1, 2), keepdims=True))
    for size in ([1, 7], [13, 13], [22, 40]):
        wide = {"name": "w", "op": "resize", "size": size, "mode": "bilinear"}
        got = made(wide, {"op": "global_avgpool"}, {"op": "add", "from": ["l1", "w"]})
        wanted = torch.interpolate(X, size, (size[0] / 6, size[1] / 8), "bilinear", False)
        same(got, wanted + wanted.mean((1, 2), keepdims=True))
    same(made({"op": "multiply", "value": 0.2}), X * 0.2)
    same(made({"op": "add", "value": -3, "act": "relu"}), np.maximum(X - 3, 0))


@pytest.mark.parametrize("spec", [{"image": [4, 6, 8]}, {"latent": 5}])
def test_a_learned_constant(spec):
    """StyleGAN's first layer: what it gives does not depend on the input."""
    weights = {"c.value": values(3, 2, 4)}
    name = {"name": "c", "op": "constant", "shape": [3, 2, 4], "act": "relu"}
    found = graph(name, weights=weights, input=spec)
    for seed in (1, 2):
        x = values(1, *found.input.shape, seed=seed)
        same(reference.run(found, x)[0], np.maximum(weights["c.value"], 0))


def test_style_modulation():
    """A normalised image times a style, plus another: every channel has its own."""
    layers = [
        {"name": "w", "op": "linear", "cout": 8, "act": "lrelu", "slope": 0.2},
        {"name": "gain", "op": "linear", "cout": 3}, {"name": "shift", "op": "linear", "cout": 3,
                                                       "from": "w"},
        {"name": "c", "op": "constant", "shape": [3, 4, 4]},
        {"name": "n", "op": "instancenorm", "affine": False},
        {"name": "m", "op": "multiply", "from": ["n", "gain"]},
        {"name": "out", "op": "add", "from": ["m", "shift"]},
    ]  # fmt: skip
    found = graph(*layers, input={"latent": 5})
    seen: dict[str, np.ndarray] = {}
    out = reference.run(found, values(2, 5, 1, 1), lambda n, v: seen.update({n: v}))
    same(out, seen["n"] * seen["gain"] + seen["shift"])
    assert not np.allclose(out[0], out[1])


# Windows and resizing


@pytest.mark.parametrize(
    ("keys", "kernel", "stride", "pad"),
    [
        ({"k": 2}, (2, 2), (2, 2), (0, 0, 0, 0)),
        ({"k": 3, "stride": 2, "pad": 1}, (3, 3), (2, 2), (1, 1, 1, 1)),
        ({"k": [2, 3], "stride": 1, "pad": [1, 0, 2, 1]}, (2, 3), (1, 1), (1, 0, 2, 1)),
    ],
)
def test_pools(keys, kernel, stride, pad):
    largest = torch.windows(X, kernel, stride, pad, -np.inf, np.max)
    same(made({"op": "maxpool", **keys}), largest)
    same(made({"op": "avgpool", **keys}), torch.windows(X, kernel, stride, pad, 0, np.mean))
    inside = torch.windows(X, kernel, stride, pad, np.nan, np.nanmean)
    same(made({"op": "avgpool", "count_pad": False, **keys}), inside)


def test_global_pools():
    same(made({"op": "global_avgpool"}), X.mean((1, 2), keepdims=True))
    same(made({"op": "global_maxpool"}), X.max((1, 2), keepdims=True))


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("keys", "sizes", "scales"),
    [
        ({"factor": 2}, (12, 16), (2, 2)),
        ({"factor": [1.5, 0.7]}, (9, 5), (1.5, 0.7)),
        ({"size": [7, 3]}, (7, 3), (7 / 6, 3 / 8)),
        ({"size": [1, 8]}, (1, 8), (1 / 6, 1)),
    ],
)
def test_interpolation(keys, sizes, scales, mode, corners):
    got = made({"op": "resize", "mode": mode, "align_corners": corners, **keys})
    same(got, torch.interpolate(X, sizes, scales, mode, corners))


@pytest.mark.parametrize(
    "size", [[6, 8], [12, 16], [12, 8], [18, 32], [3, 4], [2, 2], [9, 5], [3, 16]]
)
def test_nearest_neighbours(size):
    rows, columns = (np.arange(m) * n // m for n, m in zip(SIZE[1:], size))
    wanted = X[:, rows][:, :, columns]
    same(made({"op": "resize", "size": size}), wanted)
    factors = [m / n for n, m in zip(SIZE[1:], size)]
    same(made({"op": "resize", "mode": "nearest", "factor": factors}), wanted)


# Channels


def test_channels_in_another_order():
    same(made({"op": "pixel_shuffle", "factor": 2}), torch.pixel_shuffle(X, 2))
    wide = made({"op": "pixel_unshuffle", "factor": 2})
    same(torch.pixel_shuffle(wide, 2), X)
    same(made({"op": "channel_shuffle", "groups": 2}), torch.channel_shuffle(X, 2))
    same(made({"op": "slice", "channels": [1, 3]}), X[1:3])
    same(made({"op": "split", "channels": [3, 4]}), X[3:])


# What is refused


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({**CONV, "groups": 3}, "groups: 4 input and 6 output channels are not 3 equal"),
        ({**CONV, "groups": 4}, "groups: 4 input and 6 output channels are not 4 equal"),
        ({**CONV, "groups": 0}, "groups: expected a whole number"),
        ({**CONV, "groups": "depth"}, "groups: expected a whole number"),
        ({**CONV, "dilation": 0}, "dilation: expected a whole number"),
        ({**CONV, "dilation": 40000}, "dilation: a kernel of 80001 x 80001 is too large"),
        ({**CONV, "pad_mode": "mirror"}, "pad_mode: expected one of zero, reflect, edge, wrap"),
        ({**CONV, "pad": 6, "pad_mode": "reflect"}, "6 x 8 pixels cannot be mirrored"),
        ({**CONV, "bias": 1}, "bias: expected true or false, not 1"),
        ({**CONV, "norm": "group"}, "norm 'group' needs norm_groups.*'groups' is the conv's own"),
        ({**CONV, "norm": "group", "groups": 2}, "norm 'group' needs norm_groups"),
        ({**CONV, "norm": "group", "norm_groups": 4}, "norm_groups: 6 channels are not 4 equal"),
        ({**CONV, "norm": "instance", "norm_eps": -1}, "norm_eps must not be negative, not -1"),
        ({**CONV, "norm": "instance", "norm_eps": "x"}, "norm_eps: expected a number"),
        ({**CONV, "norm": "batch", "norm_eps": 1, "bn_eps": 1}, "norm_eps and bn_eps are the same"),
        ({**CONV, "norm": "instance", "affine": "no"}, "affine: expected true or false"),
        ({**CONV, "norm": "layer", "norm_over": "row"}, "norm_over: expected one of image, pixel"),
        ({**CONV, "norm": "batch", "norm_over": "features"}, "'features' is for linear layers"),
        ({**CONV, "norm": "instance", "bn_eps": 1}, "'bn_eps' means nothing for op conv, norm"),
        ({**CONV, "norm": "pixel", "affine": True}, "'affine' means nothing for op conv, norm pix"),
        ({**CONV, "alpha": 1}, "'alpha' means nothing for op conv; leave it out"),
        ({**CONV, "act": "silu", "slope": 1}, "'slope' means nothing for op conv, act silu"),
        ({**CONV, "act": "elu", "alpha": 0}, "alpha must be positive, not 0"),
        ({**CONV, "act": "celu", "alpha": "x"}, "alpha: expected a number"),
        ({**CONV, "act": "softplus", "beta": -1}, "beta must be positive, not -1"),
        ({"op": "groupnorm"}, "'groups' is missing"),
        ({"op": "groupnorm", "groups": 2, "norm_groups": 2}, "are the same; give one"),
        ({"op": "linear", "shape": [6, 1, 1], "norm": "instance"}, "statistics of one value alone"),
        ({"op": "linear", "cout": 6, "norm": "batch", "act": "relu", "order": "act-norm",
          "norm_over": "features"}, "a norm over features comes before the activation"),
        ({"op": "multiply"}, "multiply takes two layers, or one and a 'value', not 1"),
        ({"op": "multiply", "from": ["input"] * 3}, "multiply takes two layers.*not 3"),
        ({"op": "add", "value": "x"}, "value: expected a number"),
        ({"op": "add", "value": 1, "from": ["input"] * 2}, "'value' goes with one layer, not 2"),
        ({"op": "pad"}, "'pad' is missing"),
        ({"op": "pad", "pad": -1}, "pad: expected a whole number"),
        ({"op": "pad", "pad": 1, "mode": "other"}, "mode: expected one of zero, reflect"),
        ({"op": "crop", "crop": 3}, "output would have size 0 x 2"),
        ({"op": "maxpool"}, "'k' is missing"),
        ({"op": "maxpool", "k": 2, "pad": 2}, "windows of 2 x 2 would lie outside the image"),
        ({"op": "avgpool", "k": 9}, "output would have size 0 x 0"),
        ({"op": "resize"}, "resize needs one of 'factor' and 'size'"),
        ({"op": "resize", "factor": 2, "size": [2, 2]}, "resize needs one of 'factor' and 'size'"),
        ({"op": "resize", "factor": 2, "mode": "area"}, "mode: expected one of nearest, bilinear"),
        ({"op": "resize", "factor": 0}, "factor: expected 1/64 to 64, not 0"),
        ({"op": "resize", "factor": [2, 2, 2]}, r"factor: expected a number, or \[rows, columns\]"),
        ({"op": "resize", "factor": 0.1, "mode": "bilinear"}, "6 x 8 pixels would become 0 x 0"),
        ({"op": "resize", "size": 5}, "size: expected 2 whole numbers"),
        ({"op": "resize", "factor": 2, "align_corners": True}, "align_corners is for bilinear"),
        ({"op": "pixel_shuffle"}, "'factor' is missing"),
        ({"op": "pixel_shuffle", "factor": 3}, "4 channels do not make blocks of 3 x 3 pixels"),
        ({"op": "pixel_unshuffle", "factor": 4}, "6 x 8 pixels do not make blocks of 4 x 4"),
        ({"op": "channel_shuffle", "groups": 3}, "groups: 4 channels are not 3 equal groups"),
        ({"op": "slice", "channels": [1, 5]}, r"channels: \[1, 5\] takes nothing, or more than"),
        ({"op": "slice", "channels": [2, 2]}, r"channels: \[2, 2\] takes nothing"),
        ({"op": "slice", "channels": 2}, "channels: expected 2 whole numbers"),
        ({"op": "constant", "shape": [1, 2]}, "shape: expected 3 whole numbers"),
        ({"op": "constant", "shape": [1, 1, 1], "from": "input"}, "a constant reads no layer"),
        ({"op": "relu", "mode": "reflect"}, "'mode' means nothing for op relu"),
        ({"op": "relu", "pad_modes": 1}, "unknown key 'pad_modes'; did you mean 'pad_mode'"),
    ],
)  # fmt: skip
def test_refusals(layer, message):
    with pytest.raises(ModelError, match=message) as caught:
        graph(layer)
    assert str(caught.value).startswith("layer 'l0") and not caught.value.problems


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({**CONV, "cout": 1000, "groups": 1000, "k": 7}, "its 1000 groups would be a dense layer"),
        ({**CONV, "cout": 1000, "dilation": 50}, "its dilations of 50 x 50 would be a kernel of"),
        ({"op": "pixel_unshuffle", "factor": 20}, "would need a layer of .* weights, nearly all"),
    ],
)
def test_layers_of_too_many_zeros(layer, message):
    with pytest.raises(UnsupportedLayerError, match=message):
        graph(layer, input={"image": [1000, 400, 400]})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"l0.norm_beta": np.ones(6)},
            r"'l0\.norm_gamma' \(shape \(6,\)\) is missing in .*; a norm that has none says affine",
        ),
        ({"l0.norm_gamma": np.ones(6), "l0.norm_beta": np.ones((6, 1, 1))}, "its beta has shape"),
    ],
)
def test_parameters_of_norms(weights, message):
    weights = {"l0.weight": np.ones((6, 4, 3, 3)), **weights}
    with pytest.raises(ModelError, match=message):
        graph({**CONV, "norm": "instance"}, weights=weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (np.ones(2), r"bn_var has shape \(2,\), expected \(6,\), one for each feature"),
        (np.ones(6, int), "bn_var has dtype int64"), (np.full(6, np.nan), "holds NaN"),
        (-np.ones(6), "its variance is not positive"),
    ],
)  # fmt: skip
def test_parameters_of_a_norm_over_features(change, message):
    layer = {"op": "linear", "cout": 6, "norm": "batch", "norm_over": "features"}
    weights = {f"l0.bn_{k}": np.ones(6) for k in ("gamma", "beta", "mean")}
    weights |= {"l0.weight": np.ones((6, 192)), "l0.bn_var": change}
    with pytest.raises(ModelError, match=message):
        graph(layer, weights=weights)


def test_a_part_of_a_layer_has_a_name_too():
    with pytest.raises(ModelError, match=r"'c\.act' .*used twice"):
        graph({"name": "c", "op": "tanh", "act": "relu"}, {"name": "c.act", "op": "relu"})


def test_bad_values_of_layers_that_read_a_wrong_one_are_told_too():
    layers = [
        {"op": "lstm"}, {**CONV, "groups": "many"}, {"op": "resize", "factor": "big"},
        {"op": "slice", "channels": [5, 2000]}, {"op": "groupnorm", "groups": 0, "alpha": 1},
        {"op": "constant", "shape": 3}, {"op": "maxpool", "k": 1, "pad": 1, "act": "glu"},
    ]  # fmt: skip
    with pytest.raises(ModelError) as caught:
        graph(*layers)
    words = ["lstm", "groups: ", "factor: ", "groups: ", "'alpha' means", "shape: ", "windows of",
             "'glu'"]  # fmt: skip
    assert len(caught.value.problems) == len(words)
    for text, word in zip(caught.value.problems, words):
        assert word in text


# All of it, on a device


def everything() -> list[dict[str, Any]]:
    """A network with a layer of each kind."""
    return [
        {"name": "wide", "op": "conv", "cout": 8, "k": 3, "pad": 1, "pad_mode": "reflect",
         "norm": "instance", "act": "silu"},
        {"name": "group", "op": "conv", "cout": 8, "k": 3, "pad": 2, "dilation": 2, "groups": 2,
         "norm": "group", "norm_groups": 2, "act": "gelu"},
        {"name": "depth", "op": "conv", "cout": 8, "k": 3, "pad": 1, "pad_mode": "edge",
         "groups": "depthwise", "norm": "layer", "act": "hardswish"},
        {"name": "mix", "op": "channel_shuffle", "groups": 4},
        {"name": "pool", "op": "maxpool", "k": 3, "stride": 2, "pad": 1},
        {"name": "mean", "op": "global_avgpool"},
        {"name": "gate", "op": "conv", "cout": 8, "k": 1, "act": "hardsigmoid"},
        {"name": "gated", "op": "multiply", "from": ["pool", "gate"], "act": "elu", "alpha": 0.5},
        {"name": "small", "op": "multiply", "value": 0.2},
        {"name": "again", "op": "add", "from": ["small", "pool", "gate"], "norm": "pixel"},
        {"name": "up", "op": "resize", "mode": "bilinear", "factor": 2, "act": "mish"},
        {"name": "cut", "op": "crop", "crop": [0, 0, 1, 1]},
        {"name": "round", "op": "pad", "mode": "edge", "pad": [0, 0, 1, 1]},
        {"name": "first", "op": "slice", "channels": [0, 4], "act": "softsign"},
        {"name": "rest", "op": "slice", "channels": [4, 8], "from": "round", "act": "softplus"},
        {"name": "learned", "op": "constant", "shape": [4, 6, 8]},
        {"name": "all", "op": "concat", "from": ["first", "rest", "learned"]},
        {"name": "half", "op": "pixel_unshuffle", "factor": 2},
        {"name": "twice", "op": "deconv", "cout": 12, "k": 3, "pad": 1, "groups": 3,
         "norm": "layer", "norm_over": "pixel", "act": "selu"},
        {"name": "shuffle", "op": "pixel_shuffle", "factor": 2, "act": "celu"},
        {"name": "size", "op": "resize", "mode": "bicubic", "size": [9, 11]},
        {"name": "soft", "op": "avgpool", "k": 2, "stride": 1, "act": "gelu_tanh"},
        {"name": "near", "op": "resize", "size": [9, 7]},
        {"name": "out", "op": "conv", "cout": 3, "k": 1, "act": "tanh"},
    ]  # fmt: skip


@pytest.mark.parametrize("bits", [8, 16])
def test_a_network_of_all_of_it_runs(bits):
    """The emulated device gives the integers that the compiler defines, near the float network."""
    found = graph(*everything(), output={"range": [-1, 1]})
    compiled = compile_graph(found, load_board("pynq-z2", bits), batch=2)
    x = np.random.default_rng(4).uniform(0, 1, (3, *SIZE)).astype(np.float32)
    with Generator(compiled.program, DEVICES["emulator"](compiled.program.board)) as generator:
        got = generator.generate(x, as_float=True)
    wanted = run_integer(compiled.network, compiled.network.quantise_input(x))
    np.testing.assert_array_equal(got, compiled.network.output_format.dequantise(wanted))
    error = np.abs(got - reference.run(found, x)).mean()
    assert error < (0.2 if bits == 8 else 0.01)


def test_drawn_parameters_keep_the_range():
    """Through many layers of every kind, activations neither vanish nor explode."""
    block = [
        {**CONV, "cout": 12, "groups": 4, "norm": "instance", "act": "silu"},
        {"op": "deconv", "cout": 12, "k": 3, "pad": 1, "groups": 3, "norm": "layer", "act": "relu"},
        {**CONV, "cout": 12, "dilation": 2, "pad": 2, "act": "gelu"},
    ]
    first = {**CONV, "cout": 12}
    out = made(first, *(block * 6))
    assert 0.1 < out.std() < 10
    again = {"op": "constant", "shape": [12, 6, 8]}
    assert 0.8 < made(again).std() < 1.2
