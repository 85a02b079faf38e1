"""Model definitions: what they build, and that every refusal names the layer and the reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.strategies import examples
from winogen.common.errors import ModelError, UnsupportedLayerError
from winogen.network.definition import (
    RandomParameters,
    StoredParameters,
    load_definition,
    load_weights,
)
from winogen.network.graph import Graph, InputSpec, Node

CONV = {"name": "c", "op": "conv", "cout": 2, "k": 3, "pad": 1}


def load(layers: list[Any], weights: dict[str, Any] | None = None, **top: Any) -> Graph:
    """The graph of these layers on a 3x6x8 image."""
    data = {"name": "net", "input": {"image": [3, 6, 8]}, "layers": layers, **top}
    parameters = (
        RandomParameters(0)
        if weights is None
        else StoredParameters({k: np.asarray(v) for k, v in weights.items()}, "weights.npz")
    )
    return load_definition(yaml.safe_dump(data), parameters)


def refused(
    match: str, layers: list[Any], error: type[Exception] = ModelError, **more: Any
) -> None:
    with pytest.raises(error, match=match) as caught:
        load(layers, **more)
    assert type(caught.value) is error


def ops(graph: Graph) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(n.name, n.op, n.inputs) for n in graph.nodes]


def test_names_do_not_command_a_terminal():
    """YAML may spell any character; the names still mean the same layers and weights."""
    bad = "\x1b[2J\x9b\u202e"
    conv = {**CONV, "name": bad, "bias": False}
    weight = {f"{bad}.weight": np.zeros((2, 3, 3, 3), np.float32)}
    graph = load([conv, {"name": "r", "op": "relu", "from": bad}], weight, name=f"n{bad}")
    assert graph.name == "n?[2J??"
    assert ops(graph) == [("?[2J??", "conv", ("input",)), ("r", "relu", ("?[2J??",))]
    for layers in ([{**CONV, "name": bad, "op": bad}], [{**CONV, "from": bad}], [{"op": bad}]):
        with pytest.raises(ModelError) as caught:
            load(layers, name=f"n{bad}")
        assert str(caught.value).isprintable()


# --- what definitions build ----------------------------------------------------------------------


def test_norm_and_activation_become_layers_of_their_own():
    layer = {**CONV, "norm": "batch", "act": "relu"}
    assert ops(load([layer])) == [
        ("c", "conv", ("input",)), ("c.bn", "batchnorm", ("c",)), ("c.act", "relu", ("c.bn",)),
    ]  # fmt: skip
    assert ops(load([{**layer, "order": "act-norm"}])) == [
        ("c", "conv", ("input",)), ("c.act", "relu", ("c",)), ("c.bn", "batchnorm", ("c.act",)),
    ]  # fmt: skip


def test_later_layers_read_the_end_of_a_layer():
    graph = load([
        {**CONV, "norm": "batch", "act": "relu"},
        {**CONV, "name": "d", "act": "tanh"},
        {"name": "sum", "op": "add", "from": ["c", "d"]},
        {"name": "all", "op": "concat", "from": ["sum", "input"]},
    ])  # fmt: skip
    assert graph.nodes[3].inputs == ("c.act",)
    assert graph.nodes[5].inputs == ("c.act", "d.act")
    assert graph.nodes[6].inputs == ("sum", "input")
    assert graph.output_name == "all"
    assert graph.output_shape == (5, 6, 8)
    assert [n.name for n in graph.consumers("c.act")] == ["d", "sum"]


def test_bias_is_there_unless_a_norm_or_a_flag_takes_it_away():
    def has(**keys: Any) -> bool:
        return "bias" in load([{**CONV, **keys}]).nodes[0].params

    assert has()
    assert not has(bias=False)
    assert not has(norm="batch")
    assert has(norm="batch", bias=True)


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        ({"k": 3}, (2, 4, 6)),
        ({"k": 3, "pad": 1}, (2, 6, 8)),
        ({"k": [1, 3], "pad": [0, 0, 1, 1]}, (2, 6, 8)),
        ({"k": 4, "stride": 2, "pad": 1}, (2, 3, 4)),
        ({"k": 2, "stride": [2, 3]}, (2, 3, 3)),
        ({"k": 2, "stride": [3, 4]}, (2, 2, 2)),
        ({"k": 6, "pad": [0, 0, 0, 2]}, (2, 1, 5)),
    ],
)
def test_convolution_shapes(keys, shape):
    assert load([{"name": "c", "op": "conv", "cout": 2, **keys}]).output_shape == shape


@pytest.mark.parametrize(
    ("keys", "shape", "crop"),
    [
        ({"k": 4, "stride": 2, "pad": 1}, (2, 12, 16), (1, 1, 1, 1)),
        ({"k": 5, "stride": 2, "pad": 2, "output_padding": 1}, (2, 12, 16), (2, 1, 2, 1)),
        ({"k": 4, "crop": [1, 2, 1, 2]}, (2, 6, 8), (1, 2, 1, 2)),
        ({"k": 2, "stride": 2, "crop": [0, -1, 0, -3]}, (2, 13, 19), (0, -1, 0, -3)),
        ({"k": [3, 2], "stride": [1, 3]}, (2, 8, 23), (0, 0, 0, 0)),
    ],
)
def test_deconvolution_shapes(keys, shape, crop):
    graph = load([{"name": "c", "op": "deconv", "cout": 2, **keys}])
    assert graph.output_shape == shape
    assert graph.nodes[0].attrs["crop"] == crop


def test_linear_layers():
    graph = load(
        [
            {"name": "a", "op": "linear", "cout": 7},
            {"name": "b", "op": "dense", "reshape": [2, 3, 4]},
            {"name": "c", "op": "linear", "shape": [5, 1, 1]},
        ]
    )
    assert [graph.shapes[n] for n in "abc"] == [(7, 1, 1), (2, 3, 4), (5, 1, 1)]
    assert [n.params["weight"].shape for n in graph.nodes] == [(7, 144), (24, 7), (5, 24)]


@pytest.mark.parametrize(
    ("keys", "op", "attrs"),
    [
        ({"act": "relu"}, "relu", {}),
        ({"act": "lrelu", "slope": 0.2}, "leaky_relu", {"slope": 0.2}),
        ({"act": "leaky_relu"}, "leaky_relu", {"slope": 0.01}),
        ({"act": "prelu"}, "prelu", {}),
        ({"act": "clamp", "low": -1, "high": 2}, "clamp", {"low": -1.0, "high": 2.0}),
        ({"act": "clip01"}, "clamp", {"low": 0.0, "high": 1.0}),
        ({"act": "relu6"}, "clamp", {"low": 0.0, "high": 6.0}),
        ({"act": "qrelu4"}, "quant_relu", {"step": 1 / 16, "high": 15 / 16}),
        ({"act": "quant_relu", "step": 0.5, "high": 2}, "quant_relu", {"step": 0.5, "high": 2.0}),
        ({"act": "tanh"}, "tanh", {}),
        ({"act": "sigmoid"}, "sigmoid", {}),
    ],
)
def test_activations_joined_and_alone(keys, op, attrs):
    joined = load([{**CONV, **keys}]).nodes[1]
    assert (joined.name, joined.op, joined.attrs) == ("c.act", op, attrs)
    name = keys.pop("act")
    alone = load([CONV, {"name": "a", "op": name, **keys}]).nodes[1]
    assert (alone.name, alone.op, alone.attrs) == ("a", op, attrs)


def test_upsample_and_batchnorm_alone():
    graph = load([{"name": "u", "op": "upsample"}, {"name": "n", "op": "batchnorm", "bn_eps": 0.1},
                  {"name": "v", "op": "upsample", "factor": 3}])  # fmt: skip
    assert graph.output_shape == (3, 36, 48)
    assert graph.nodes[1].attrs["eps"] == 0.1
    assert set(graph.nodes[1].params) == {"gamma", "beta", "mean", "var"}


@pytest.mark.parametrize(
    ("data", "spec"),
    [
        ({"latent": 7}, InputSpec((7, 1, 1), "latent", "normal")),
        ({"latent": 7, "dist": "uniform"}, InputSpec((7, 1, 1), "latent", "uniform")),
        ({"image": [3, 4, 5]}, InputSpec((3, 4, 5), "image", "uniform")),
        ({"image": [3, 4, 5], "dist": "normal"}, InputSpec((3, 4, 5), "image", "normal")),
        ({"image": [3, 4, 5], "scale": 0.5}, InputSpec((3, 4, 5), "image", "uniform", 0.5)),
    ],
)
def test_inputs(data, spec):
    assert load([{"name": "r", "op": "relu"}], input=data).input == spec


def test_small_numbers_may_be_written_with_an_exponent():
    """YAML 1.1 reads 1e-3 without a point as text."""
    text = """
    input: {image: [3, 6, 8]}
    layers: [{name: n, op: batchnorm, bn_eps: 1e-3}, {name: a, op: lrelu, slope: 2e-1}]
    """
    first, second = load_definition(text, RandomParameters(0)).nodes
    assert first.attrs["eps"] == 1e-3
    assert second.attrs["slope"] == 0.2


def test_an_image_of_any_size_takes_the_layer_tables():
    graph = load([{**CONV, "in_hw": [9, 10]}], input={"kind": "image", "channels": 1})
    assert graph.input.shape == (1, 9, 10)


def test_input_scale_of_a_fixed_point_format():
    graph = load([{"name": "r", "op": "relu"}], input_quant="q1.7")
    assert graph.input.scale == 1 / 128


def test_the_rest_of_a_definition():
    graph = load([CONV], output={"range": [-1, 1]}, description="a net")
    assert (graph.name, graph.output_range, graph.description) == ("net", (-1.0, 1.0), "a net")
    assert load([CONV]).output_range is None


def test_a_definition_without_a_name_takes_the_callers():
    text = yaml.safe_dump({"input": {"latent": 3}, "layers": [{"name": "t", "op": "tanh"}]})
    assert load_definition(text, RandomParameters(0), name="folder").name == "folder"


def test_random_weights_depend_on_the_seed_alone_and_keep_the_range():
    layers = [{**CONV, "name": f"c{i}", "cout": 16, "norm": "batch", "act": "relu"}
              for i in range(4)]  # fmt: skip
    text = yaml.safe_dump({"input": {"image": [3, 6, 8]}, "layers": layers})
    one, two, other = (load_definition(text, RandomParameters(s)) for s in (1, 1, 2))
    for a, b, c in zip(one.nodes, two.nodes, other.nodes):
        for key, value in a.params.items():
            assert value.dtype == np.float32
            assert np.array_equal(value, b.params[key])
            assert not np.array_equal(value, c.params[key])


def test_stored_weights_are_taken_as_they_are_but_in_single_precision():
    weight = np.random.default_rng(0).standard_normal((2, 3, 3, 3))
    bias = np.array([1, 2], np.float16)
    (node,) = load([CONV], {"c.weight": weight, "c.bias": bias}).nodes
    assert node.params["weight"].dtype == node.params["bias"].dtype == np.float32
    assert np.array_equal(node.params["weight"], weight.astype(np.float32))


# --- refusals: weights ---------------------------------------------------------------------------

GOOD = {"c.weight": np.zeros((2, 3, 3, 3)), "c.bias": np.zeros(2)}


@pytest.mark.parametrize("missing", ["weight", "bias"])
def test_a_missing_weight(missing):
    weights = {k: v for k, v in GOOD.items() if not k.endswith(missing)}
    refused(rf"layer 'c' of model net: 'c\.{missing}' .* missing in weights\.npz", [CONV],
            weights=weights)  # fmt: skip


@pytest.mark.parametrize("key", ["gamma", "beta", "mean", "var"])
def test_a_missing_norm_parameter(key):
    weights = {**GOOD, **{f"c.bn_{k}": np.ones(2) for k in ("gamma", "beta", "mean", "var")}}
    load([{**CONV, "norm": "batch"}], weights)
    del weights[f"c.bn_{key}"]
    refused(rf"layer 'c' of model net: 'c\.bn_{key}' \(shape \(2,\)\) is missing",
            [{**CONV, "norm": "batch"}], weights=weights)  # fmt: skip


def test_a_missing_prelu_slope():
    refused(r"layer 'c' of model net: 'c\.alpha'", [{**CONV, "act": "prelu"}], weights=GOOD)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("weight", (3, 2, 3, 3), r"'c' .*weight has shape \(3, 2, 3, 3\), expected"),
        ("weight", (2, 3, 3, 2), r"'c' .*weight has shape \(2, 3, 3, 2\), expected \(2, 3, 3, 3\)"),
        ("weight", (2, 27), r"'c' .*weight has shape \(2, 27\), expected"),
        ("bias", (3,), r"'c' .*bias has shape \(3,\), expected \(2,\)"),
        ("bias", (2, 1), r"'c' .*bias has shape \(2, 1\), expected \(2,\)"),
    ],
)
def test_a_mis_shaped_weight(key, shape, message):
    refused(message, [CONV], weights={**GOOD, f"c.{key}": np.zeros(shape)})


def test_a_weight_of_another_channel_count_than_the_layer_says():
    """The file has three output channels, the definition says two."""
    weights = {"c.weight": np.zeros((3, 3, 3, 3)), "c.bias": np.zeros(3)}
    told = (
        r"2 things .*'c': its weight has shape \(3, 3, 3, 3\), expected \(2, 3, 3, 3\).*"
        r"'c': its bias has shape \(3,\), expected \(2,\)"
    )
    refused(told, [CONV], weights=weights)


@pytest.mark.parametrize("op", ["linear", "deconv"])
def test_mis_shaped_weights_of_other_layers(op):
    layer = {"name": "c", "op": op, "cout": 2, "bias": False} | ({"k": 3} if op != "linear" else {})
    refused("'c' .*weight has shape", [layer], weights={"c.weight": np.zeros((2, 5, 3, 3))})


@pytest.mark.parametrize("key", ["bn_gamma", "bn_beta", "bn_mean", "bn_var", "alpha"])
def test_mis_shaped_channel_parameters(key):
    names = ("bn_gamma", "bn_beta", "bn_mean", "bn_var", "alpha")
    weights = {**GOOD, **{f"c.{k}": np.ones(2 + (k == key)) for k in names}}
    where = "c.act" if key == "alpha" else "c.bn"
    short = key.removeprefix("bn_")
    refused(rf"'{where}' .*its {short} has shape \(3,\), expected \(2,\)",
            [{**CONV, "norm": "batch", "act": "prelu"}], weights=weights)  # fmt: skip


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("key", ["weight", "bias"])
def test_weights_that_are_not_finite(key, bad):
    weights = {k: v.copy() for k, v in GOOD.items()}
    weights[f"c.{key}"].flat[1] = bad
    refused(rf"layer 'c' of model net: its {key} holds NaN or infinity", [CONV], weights=weights)


def test_weights_too_large_for_single_precision():
    refused("'c' .*holds NaN or infinity", [CONV], weights={**GOOD, "c.bias": np.full(2, 1e300)})


@pytest.mark.parametrize("dtype", [np.int32, bool, np.complex64])
def test_weights_that_are_no_floats(dtype):
    weights = {**GOOD, "c.weight": np.zeros((2, 3, 3, 3), dtype)}
    refused("layer 'c' of model net: its weight has dtype .*expected a float", [CONV],
            weights=weights)  # fmt: skip


@pytest.mark.parametrize("var", [-1.0, -1e-5])
def test_a_variance_that_is_not_positive(var):
    weights = {**GOOD, **{f"c.bn_{k}": np.ones(2) for k in ("gamma", "beta", "mean")}}
    refused(
        "layer 'c.bn' of model net: its variance is not positive",
        [{**CONV, "norm": "batch"}],
        weights={**weights, "c.bn_var": np.array([1, var])},
    )


# --- refusals: layers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["relu"], "model net: layer 0 is not a mapping"),
        ([{"op": "relu"}], "layer '0' of model net: 'name' is missing"),
        ([CONV, {"name": "x"}], "layer 'x' of model net: 'op' is missing"),
        ([{**CONV, "kernel": 3, "foo": 1}], "layer 'c' of model net: unknown key 'foo'"),
        ([{**CONV, "from": "later"}], "layer 'c' .*input 'later' is not an earlier layer"),
        ([{**CONV, "from": "c"}], "layer 'c' .*input 'c' is not an earlier layer"),
        ([{**CONV, "from": ["input", "input"]}], "layer 'c' .*conv takes one input, not 2"),
        ([CONV, CONV], "layer 'c' of model net: the name is used twice"),
        ([CONV, {**CONV, "name": "input"}], "layer 'input' of model net: the name is used twice"),
        ([CONV, {**CONV, "name": "d", "from": "input"}], "layer 'c' .*used by no layer"),
        ([{**CONV, "cin": 4}], "layer 'c' .*cin is 4 but its input has 3 channels"),
        ([{"name": "c", "op": "conv", "k": 3}], "layer 'c' .*'cout' is missing"),
        ([{"name": "c", "op": "conv", "cout": 3}], "layer 'c' .*'k' is missing"),
        ([{"name": "c", "op": "linear"}], "layer 'c' .*'cout' is missing"),
        ([{"name": "c", "op": "linear", "shape": [2, 3]}], "layer 'c' of model net: shape: .*2, 3"),
        ([{**CONV, "k": [1, 2, 3]}], r"layer 'c' of model net: k: .*not \[1, 2, 3\]"),
        ([{**CONV, "k": "3"}], "layer 'c' of model net: k: .*not '3'"),
        ([{**CONV, "stride": 1.5}], r"layer 'c' of model net: stride: .*not 1\.5"),
        ([{**CONV, "pad": [1, 2]}], r"layer 'c' of model net: pad: .*not \[1, 2\]"),
        ([{**CONV, "pad": "same"}], "layer 'c' of model net: pad: .*not 'same'"),
        ([{**CONV, "op": "deconv", "crop": [1]}], r"layer 'c' of model net: crop: .*not \[1\]"),
        ([{**CONV, "k": 9}], "layer 'c' .*output would have size 0 x 2"),
        ([{"name": "c", "op": "deconv", "cout": 1, "k": 3, "crop": 5}], "layer 'c' .*size -2 x 0"),
        ([{"name": "u", "op": "upsample", "factor": 0}], "layer 'u' of model net: factor: .*not 0"),
        ([{**CONV, "act": "clamp"}], "layer 'c' .*'low' is missing"),
        ([{**CONV, "act": "clamp", "low": 1}], "layer 'c' .*'high' is missing"),
        ([{**CONV, "act": "clamp", "low": 2, "high": 1}], "layer 'c.act' .*low 2.0 is above high"),
        ([{**CONV, "act": "quant_relu"}], "layer 'c' .*'step' is missing"),
        ([{"name": "s", "op": "add"}], "layer 's' .*add needs at least two inputs"),
        ([{"name": "s", "op": "concat"}], "layer 's' .*concat needs at least two inputs"),
        (
            [CONV, {"name": "s", "op": "add", "from": ["input", "c"]}],
            r"layer 's' .*cannot add shapes \(3, 6, 8\) and \(2, 6, 8\)",
        ),
        (
            [{**CONV, "pad": 0}, {"name": "s", "op": "concat", "from": ["input", "c"]}],
            r"layer 's' .*cannot concat shapes \(3, 6, 8\) and \(2, 4, 6\)",
        ),
        ([], "model net has no layers"),
    ],
)
def test_refusals(layers, message):
    refused(message, layers)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"name": "x", "op": "lstm"}, "layer 'x' of model net: operation 'lstm' is not supported; "
         "supported are .*deconv"),
        ({**CONV, "act": "glu"}, "layer 'c' .*activation 'glu' is not supported; did you .*relu"),
        ({**CONV, "norm": "spectral"}, "layer 'c' .*normalisation 'spectral' is not supported; "
         "supported are batch, instance"),
    ],
)  # fmt: skip
def test_unsupported_layers(layer, message):
    refused(message, [layer], UnsupportedLayerError)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({**CONV, "k": 0}, "'c' of model net: k: .*not 0"),
        ({**CONV, "k": -1}, "'c' of model net: k: .*not -1"),
        ({**CONV, "stride": 0}, "'c' of model net: stride: .*not 0"),
        ({**CONV, "stride": [1, -2]}, "'c' of model net: stride: .*not -2"),
        ({**CONV, "cout": 0}, "'c' .*cout"),
        ({**CONV, "cout": -2}, "'c' .*cout"),
        ({**CONV, "pad": -1}, "'c' .*pad"),
        ({"name": "c", "op": "linear", "shape": [2, 0, 3]}, "'c' .*shape"),
        ({"name": "c", "op": "linear", "shape": [-2, -1, 3]}, "'c' .*shape"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_sizes_that_are_not_positive(layer, message):
    refused(message, [layer])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{**CONV, "k": 1 << 17}], "'c' .*k: .*not 131072"),
        ([{**CONV, "cout": 1 << 17}], "'c' .*cout: .*not 131072"),
        (
            [{**CONV, "cout": 60_000, "k": 64}],
            r"'c' .*weight would have shape \(60000, 3, 64, 64\)",
        ),
        ([{"name": "u", "op": "upsample", "factor": 1000}], "'u' .*factor: .*not 1000"),
        (
            [{"name": n, "op": "upsample", "factor": 64} for n in "uv"],
            r"'v' of model net: its output \(3, 24576, 32768\) has over",
        ),
    ],
)
def test_sizes_that_would_fill_the_memory(layers, message):
    refused(message, layers)


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        ({**CONV, "cout": "many"}, "cout"),
        ({**CONV, "cout": [2]}, "cout"),
        ({**CONV, "k": True}, "k"),
        ({"name": "c", "op": "upsample", "factor": "big"}, "factor"),
        ({"name": "c", "op": "upsample", "factor": 1.5}, "factor"),
        ({"name": "c", "op": "linear", "shape": 5}, "shape"),
        ({"name": "c", "op": "linear", "shape": ["a", 1, 1]}, "shape"),
        ({**CONV, "act": "lrelu", "slope": "steep"}, "slope"),
        ({**CONV, "act": "lrelu", "slope": float("nan")}, "slope"),
        ({**CONV, "act": "lrelu", "slope": float("inf")}, "slope"),
        ({**CONV, "act": "clamp", "low": "a", "high": 1}, "low"),
        ({**CONV, "act": "quant_relu", "step": 0, "high": 1}, "step"),
        ({**CONV, "act": "quant_relu", "step": -0.5, "high": 1}, "step"),
        ({**CONV, "norm": "batch", "bn_eps": "small"}, "bn_eps"),
        ({**CONV, "norm": "batch", "act": "relu", "order": "norm first"}, "order"),
        ({**CONV, "from": 3}, "from|input"),
        ({**CONV, "from": []}, "from|input"),
        ({"name": "c", "op": ["relu"]}, "op"),
        ({**CONV, "act": ["relu"]}, "act"),
        ({"name": "c", "op": "deconv", "cout": 2, "k": 3, "output_padding": "x"}, "output_padding"),
    ],
)
def test_values_of_the_wrong_kind(layer, key):
    """A slip in the file is the user's error, to be told by layer: never a Python traceback."""
    with pytest.raises(ModelError, match=rf"'c.*({key})"):
        load([layer])


@pytest.mark.parametrize("data", [5, None, {}, {"vector": 3}])
def test_inputs_that_say_nothing(data):
    wanted = r"model net: input: expected \{latent: n\} or \{image: \[c, h, w\]\}"
    refused(wanted, [CONV], input=data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"latent": 0}, "model net: input: .*not 0"),
        ({"image": [3, 4]}, r"model net: input: .*3, 4"),
        ({"image": [3, -4, 4]}, "model net: input: .*not -4"),
        (
            {"latent": 3, "dist": "poisson"},
            "model net: input: dist: .*normal, uniform, not 'poisson'",
        ),
        ({"kind": "image", "channels": 3}, "input: 'in_hw' is missing"),
    ],
)
def test_bad_inputs(data, message):
    refused(message, [CONV], input=data)


@pytest.mark.parametrize(
    "top",
    [
        {"input": {"latent": "many"}},
        {"input": {"image": 5}},
        {"input": {"image": ["a", 1, 1]}},
        {"input": {"kind": "image"}},
        {"input": {"latent": 3, "scale": "fine"}},
        {"input": {"latent": 3, "scale": 0}},
        {"input": {"latent": 3, "scale": -1.0}},
        {"input_quant": "eight"},
        {"output": {"range": [1]}},
        {"output": {"range": "wide"}},
        {"output": {"range": [1, -1]}},
        {"output": "image"},
    ],
)
def test_inputs_and_outputs_of_the_wrong_kind(top):
    with pytest.raises(ModelError, match=r"model net.*(input|output)"):
        load([CONV], **top)


# --- refusals: files -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "5", "[1, 2]", "layers: 5", "name: x"])
def test_text_that_is_no_definition(text):
    with pytest.raises(ModelError, match="expected a mapping with 'layers'"):
        load_definition(text, RandomParameters(0))


def test_files_that_cannot_be_read(tmp_path: Path):
    missing = tmp_path / "none.yaml"
    with pytest.raises(ModelError, match=r"cannot read the model definition .*none.yaml"):
        load_definition(missing, RandomParameters(0))
    broken = tmp_path / "broken.yaml"
    broken.write_text("layers: [{name: a")
    with pytest.raises(ModelError, match=r"cannot read the model definition .*broken.yaml"):
        load_definition(broken, RandomParameters(0))
    broken.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match=r"cannot read the model definition .*broken.yaml"):
        load_definition(broken, RandomParameters(0))


def test_weights_files_that_cannot_be_read(tmp_path: Path):
    path = tmp_path / "weights.npz"
    with pytest.raises(ModelError, match=r"weights file .*weights.npz does not exist"):
        load_weights(path)
    for content in (b"", b"not an archive", b"PK\x03\x04 truncated"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot read weights file .*weights.npz"):
            load_weights(path)
    np.savez(path, a=np.array([{"an": "object"}], object))
    with pytest.raises(ModelError, match=r"cannot read weights file .*weights.npz"):
        load_weights(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))  # one array, not an archive of named ones
    with pytest.raises(ModelError, match=r"cannot read weights file .*weights.npz"):
        load_weights(path)


def test_damaged_weights_files(tmp_path: Path):
    """Any cut and any flipped byte either reads as before or is refused as unreadable."""
    path = tmp_path / "weights.npz"
    arrays = {"a": np.random.default_rng(0).standard_normal(300), "b": np.zeros((40, 10))}
    np.savez_compressed(path, **arrays)
    good = path.read_bytes()
    assert np.array_equal(load_weights(path)["a"], arrays["a"])
    for at in range(0, len(good), 7):
        for damaged in (good[:at], good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]):
            path.write_bytes(damaged)
            try:
                load_weights(path)
            except ModelError as error:
                assert "cannot read weights file" in str(error)


# --- refusals: graphs built by hand --------------------------------------------------------------


def node(name: str, op: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, op, inputs or ("input",), attrs)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "model hand has no layers"),
        ([node("a", "relu"), node("a", "relu", "a")], "layer 'a' .*the name is used twice"),
        ([node("a", "relu", "b"), node("b", "relu", "a")], "'a' .*input 'b' is not an earlier"),
        ([node("a", "relu"), node("b", "relu")], "layer 'a' of model hand is used by no layer"),
        ([node("a", "conv", kernel=(1, 1), stride=(1, 1), pad=(0,) * 4)], "its weight is missing"),
        ([node("a", "batchnorm", eps=0.0)], "layer 'a' .*its gamma is missing"),
        ([node("a", "prelu")], "layer 'a' .*its alpha is missing"),
        ([node("a", "relu", "input", "input")], "layer 'a' .*relu takes one input, not 2"),
        ([node("a", "clamp", low=float("nan"), high=1.0)], "layer 'a' .*clamp low nan is above"),
    ],
)
def test_graphs_that_are_wrong(nodes, message):
    with pytest.raises(ModelError, match=message):
        Graph("hand", InputSpec((2, 3, 4)), nodes)


def test_an_operation_that_no_accelerator_knows():
    with pytest.raises(UnsupportedLayerError, match="layer 'a' of model hand: operation 'softmax'"):
        Graph("hand", InputSpec((2, 3, 4)), [node("a", "softmax")])


def test_an_encrypted_weights_file(tmp_path: Path):
    """zipfile says so with a RuntimeError."""
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.zeros(3))
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"cannot read weights file .*encrypted"):
        load_weights(path)


# --- everything that is wrong, at once -----------------------------------------------------------


def problems(layers: list[Any], **more: Any) -> list[str]:
    """What is told of several wrong layers."""
    with pytest.raises(ModelError) as caught:
        load(layers, **more)
    told = caught.value.problems
    assert str(caught.value).startswith(f"model net: {len(told)} things in it ")
    assert all(f"({i}) " in str(caught.value) for i in range(1, len(told) + 1))
    return [text.removeprefix("layer ").replace(" of model net", "") for text in told]


def test_all_unsupported_layers_are_told_at_once():
    layers = [
        CONV,
        {"name": "pool", "op": "roipool"},
        {"name": "d", "op": "deconv", "cout": 2, "k": 4, "norm": "spectral", "act": "glu"},
        {"name": "e", "op": "conv", "cout": 2, "k": 3, "act": "softmax"},
        {"name": "f", "op": "lstm", "norm": "weight"},
    ]
    with pytest.raises(UnsupportedLayerError, match="5 things in it cannot run"):
        load([layer for layer in layers if layer["name"] != "pool"])
    told = problems(layers)
    assert [text.partition(" is not supported")[0] for text in told] == [
        "'pool': operation 'roipool'",
        "'d': normalisation 'spectral'",
        "'d': activation 'glu'",
        "'e': activation 'softmax'",
        "'f': operation 'lstm'",
        "'f': normalisation 'weight'",
    ]


def test_wrong_and_unsupported_layers_are_told_together():
    told = problems(
        [
            {"name": "a", "op": "conv", "cout": 2, "k": "big"},
            {"name": "b", "op": "conv", "cuot": 2, "k": 3},
            {"name": "c", "op": "add", "from": ["a", "nobody"]},
            "no layer",
            {"name": "d", "op": "softmax"},
            {"name": "d", "op": "relu"},
        ],
        output={"range": [1, -1]},
    )
    assert len(told) == 7
    for text, word in zip(
        told,
        ["'a': k", "did you mean 'cout'", "'nobody'", "layer 3", "'softmax'", "twice", "ascend"],
    ):
        assert word in text


def test_what_follows_from_an_unknown_shape_is_not_told():
    """Layers that read what a wrong one makes are not blamed for shapes, channels or weights."""
    layers = [
        {"name": "a", "op": "conv", "cin": 5, "cout": 7, "k": 3},
        {"name": "b", "op": "conv", "cin": 7, "cout": 4, "k": 99},
        {"name": "c", "op": "linear", "shape": [8, 2, 2], "norm": "batch", "act": "prelu"},
        {"name": "d", "op": "add", "from": ["b", "c"]},
        {"name": "e", "op": "batchnorm"},
    ]
    refused("^layer 'a' of model net: cin is 5 but its input has 3 channels$", layers)
    refused("^layer 'a' .*cin is 5", layers, weights={})


def test_every_layer_without_weights_is_told():
    layers = [{**CONV, "name": f"c{i}"} for i in range(15)]
    with pytest.raises(ModelError) as caught:
        load(layers, {})
    assert len(caught.value.problems) == 30  # weight and bias of each
    assert str(caught.value).endswith("; and 18 more")


def test_a_graph_tells_all_that_is_wrong_with_it():
    nodes = [
        node("a", "relu", "input"),
        node("b", "gelu", "a"),
        node("c", "relu", "b"),
        node("d", "prelu", "c"),
        node("e", "relu", "nobody"),
        node("a", "relu", "e"),
    ]
    with pytest.raises(ModelError) as caught:
        Graph("net", InputSpec((2, 4, 4), "image"), nodes)
    words = ["'gelu' is not supported", "'d' .*alpha is missing", "'nobody'", "'a' .*used twice"]
    assert len(caught.value.problems) == len(words)
    for text, word in zip(caught.value.problems, words):
        assert re.search(word, text)


#: What makes a layer wrong, whatever it reads.
SPOILT: list[dict[str, Any]] = [
    {"op": "lstm"}, {"act": "glu"}, {"norm": "spectral"}, {"k": "big"}, {"stride": 0}, {"cuot": 3},
    {"pad": [1, 2]}, {"cout": 0}, {"act": ["relu"]}, {"from": "nobody"}, {"from": []},
]  # fmt: skip


@examples(60)
@given(st.lists(st.sampled_from([None, *SPOILT]), min_size=2, max_size=8), st.data())
def test_the_wrong_layers_and_no_others_are_told(spoilt, data):
    layers: list[dict[str, Any]] = []
    for i, change in enumerate(spoilt):
        source = data.draw(st.sampled_from(["input", *(x["name"] for x in layers)]))
        layers.append({**CONV, "name": f"c{i}", "from": source, **(change or {})})
    ends = {x["name"] for x in layers} - {str(x["from"]) for x in layers}
    layers.append({"name": "end", "op": "concat", "from": ["input", *sorted(ends)]})
    wrong = [f"c{i}" for i, change in enumerate(spoilt) if change]
    if not wrong:
        assert load(layers).output_shape[0] >= 3
        return
    with pytest.raises(ModelError) as caught:
        load(layers)
    told = caught.value.problems or (str(caught.value),)
    assert [text.split("'")[1] for text in told] == wrong
