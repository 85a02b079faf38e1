"""Models of several inputs, and of labels: held against onnxruntime, input by input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

REASON = "reading ONNX models needs the packages onnx and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
ort = pytest.importorskip("onnxruntime", reason=REASON)

from onnx import TensorProto, helper  # noqa: E402

from support.onnx_models import Net  # noqa: E402
from winogen.common.errors import InputError, ModelError, UnsupportedLayerError  # noqa: E402
from winogen.compiler.compile import compile_graph  # noqa: E402
from winogen.network import reference  # noqa: E402
from winogen.network.graph import Graph  # noqa: E402
from winogen.network.onnx import import_onnx  # noqa: E402
from winogen.network.options import NetworkOptions, adapt  # noqa: E402
from winogen.program.file import Program  # noqa: E402
from winogen.program.inputs import join_inputs, with_labels  # noqa: E402
from winogen.quality.inputs import read_calibration  # noqa: E402
from winogen.runtime.generator import Generator  # noqa: E402

CLASSES = 5


def model(net: Net, output: str, inputs: dict[str, Any], classes: str = "") -> Any:
    """The network with these inputs: (element type, shape) by their names."""
    first, *others = inputs
    made = net.model(output, inputs[first][1], input_name=first, kind=inputs[first][0])
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    for name in others:
        made.graph.input.append(helper.make_tensor_value_info(name, *inputs[name]))
    if classes:
        helper.set_model_props(made, {"classes": classes})
    return made


def imported(made: Any) -> Graph:
    return import_onnx(made.SerializeToString(), name="net")


def same(made: Any, values: dict[str, np.ndarray]) -> Graph:
    """The graph, which gives what onnxruntime does for these inputs."""
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, values)
    graph = imported(made)
    got = reference.run(graph, join_inputs(graph.input, values))
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    return graph


def latents(count: int = 3, n: int = 6) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, n)).astype(np.float32)


FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32


def conditional(kind: int = INT64, shape: Any = ("n",), lookup: str = "Gather") -> Any:
    """Latents and a label, joined, and a small generator."""
    net = Net()
    if lookup == "Gather":
        e = net.node("Gather", net.weight(CLASSES, 4), "label")
        width = 4
    elif lookup == "Equal":  # F.one_hot by PyTorch's newer exporter
        e = net.node("Unsqueeze", "label", net.const([-1], np.int64))
        e = net.node("Equal", e, net.const(np.arange(CLASSES), np.int64))
        e = net.node("Cast", net.node("Cast", e, to=TensorProto.INT64), to=TensorProto.FLOAT)
        width = CLASSES
    else:
        e = net.node("OneHot", "label", net.const(CLASSES, np.int64), net.const([0, 1]))
        width = CLASSES
    if len(shape) > 1:
        e = net.node("Reshape", e, net.const([-1, width], np.int64))
    x = net.node("Concat", "z", e, axis=1)
    x = net.node("Gemm", x, net.weight(6 + width, 48), net.weight(48))
    x = net.node("Reshape", net.node("Relu", x), net.const([-1, 3, 4, 4], np.int64))
    x = net.node("Tanh", net.node("Conv", x, net.weight(1, 3, 3, 3), pads=[1] * 4))
    inputs = {"z": (FLOAT, ["n", 6]), "label": (kind, list(shape))}
    return model(net, x, inputs, "cat, dog,bird,fish,frog")


@pytest.mark.parametrize("shape", [("n",), ("n", 1)])
@pytest.mark.parametrize(
    ("kind", "lookup"),
    [
        (INT64, "Gather"),
        (INT64, "OneHot"),
        (INT64, "Equal"),
        (INT32, "Gather"),
    ],  # onnxruntime has no other OneHot
)
def test_labels(kind, shape, lookup):
    dtype = np.int64 if kind == INT64 else np.int32
    label = np.array([3, 0, 4], dtype).reshape([3] + [1] * (len(shape) - 1))
    graph = same(conditional(kind, shape, lookup), {"z": latents(), "label": label})
    z, label_part = graph.input.parts
    assert (z.kind, z.channels) == ("latent", 6)
    assert (label_part.kind, label_part.channels) == ("label", CLASSES)
    assert label_part.classes == ("cat", "dog", "bird", "fish", "frog")


@pytest.mark.parametrize("picture", [False, True])
def test_a_plane_of_a_label_beside_an_image_channels_last(picture):
    """How Keras's conditional generators begin, from latents or from a picture."""
    net = Net()
    plane = net.node("Gather", net.weight(CLASSES, 20), "label")
    plane = net.node("Reshape", plane, net.const([-1, 4, 5, 1], np.int64))
    x, inputs = "x", {"x": (FLOAT, ["n", 4, 5, 3]), "label": (INT64, ["n"])}
    if not picture:
        inputs["x"] = (FLOAT, ["n", 6])
        x = net.node("Relu", net.node("Gemm", "x", net.weight(6, 60)))
        x = net.node("Reshape", x, net.const([-1, 4, 5, 3], np.int64))
    x = net.node("Concat", x, plane, axis=3)
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Conv", x, net.weight(2, 4, 3, 3), pads=[1] * 4)
    made = model(net, net.node("Tanh", x), inputs)
    label = np.array([3, 0, 4])
    if not picture:
        graph = same(made, {"x": latents(), "label": label})
        assert "add" not in [node.op for node in graph.nodes]  # a joint of channels
        return
    graph = imported(made)
    assert [(p.kind, p.channels) for p in graph.input.parts] == [("image", 3), ("label", CLASSES)]
    pictures = np.random.default_rng(2).random((3, 4, 5, 3)).astype(np.float32)
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": pictures, "label": label})
    named = {"x": pictures.transpose(0, 3, 1, 2), "label": label}
    got = reference.run(graph, join_inputs(graph.input, named))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_program_takes_labels_by_number_and_name(bits):
    graph = imported(conditional())
    program = Program.frombytes(compile_graph(graph, "tiny", bits=bits, batch=2).program.tobytes())
    z = latents()
    with Generator(program) as generator:
        by_name = generator.generate({"z": z, "label": ["fish", "cat", "frog"]}, as_float=True)
        by_number = generator.generate({"z": z, "label": np.array([3, 0, 4])}, as_float=True)
        again = with_labels(graph.input, join_inputs(graph.input, {"z": z, "label": 1}), [3, 0, 4])
        by_array = generator.generate(again, as_float=True)
    np.testing.assert_array_equal(by_name, by_number)
    np.testing.assert_array_equal(by_name, by_array)
    wanted = reference.run(graph, again)
    noise = np.mean((by_name - wanted) ** 2)
    assert 10 * np.log10(4 / noise) > {8: 30, 16: 65}[bits]


def test_a_label_is_exactly_one_in_integers():
    """The step of normal latents is chosen so."""
    network = compile_graph(imported(conditional()), "tiny").network
    one = 1 / network.input_format.scale
    assert one == round(one)


def test_what_keras_computes_with_a_label_before_it_is_looked_up():
    """Labels below 0 count from the end."""
    net = Net()
    count = net.const(CLASSES, np.int64)
    below = net.node("Less", "label", net.const(0, np.int64))
    x = net.node("Where", below, net.node("Add", "label", count), "label")
    x = net.node("Gather", net.weight(CLASSES, 3), x)
    made = model(net, net.node("Relu", x), {"label": (INT64, ["n"])})
    graph = same(made, {"label": np.array([4, 0, 2, 2])})
    assert [part.kind for part in graph.input.parts] == ["label"]


def test_an_image_and_a_vector():
    """The vector fills the image's rows and columns, and one pixel of it is read."""
    net = Net()
    style = net.node("Gemm", "s", net.weight(4, 3), net.weight(3))
    style = net.node("Reshape", style, net.const([-1, 3, 1, 1], np.int64))
    x = net.node("Mul", net.node("Conv", "x", net.weight(3, 2, 1, 1)), style)
    made = model(net, x, {"x": (FLOAT, ["n", 2, 5, 6]), "s": (FLOAT, ["n", 4])})
    image = np.random.default_rng(2).uniform(0, 1, (3, 2, 5, 6)).astype(np.float32)
    graph = same(made, {"x": image, "s": latents(n=4)})
    assert graph.input.shape == (6, 5, 6) and graph.input.distribution == "normal"


def test_two_images_and_scalars():
    net = Net()
    x = net.node("Concat", "a", "b", axis=1)
    x = net.node("Mul", net.node("Conv", x, net.weight(2, 3, 1, 1)), net.const(0.5))
    made = model(net, x, {"a": (FLOAT, ["n", 1, 4, 5]), "b": (FLOAT, ["n", 2, 4, 5])})
    rng = np.random.default_rng(2)
    a, b = (rng.uniform(0, 1, (2, c, 4, 5)).astype(np.float32) for c in (1, 2))
    same(made, {"a": a, "b": b})


@pytest.mark.parametrize(
    ("inputs", "kind", "text"),
    [
        ({"a": (FLOAT, ["n", 1, 4, 5]), "b": (FLOAT, ["n", 1, 5, 4])}, UnsupportedLayerError,
         "images of 4 x 5 and 5 x 4"),
        ({"a": (FLOAT, [2, 4]), "b": (FLOAT, ["n", 4])}, ModelError, "batches of different sizes"),
        ({"a": (FLOAT, [2, 4]), "b": (FLOAT, [3, 4])}, ModelError, "batches of different sizes"),
        ({"a": (FLOAT, ["n", 4]), "b": (INT64, ["n"])}, UnsupportedLayerError,
         "looked up in no constant table"),
        ({"a": (FLOAT, ["n", 4]), "b": (INT64, ["n", 2])}, UnsupportedLayerError,
         "a label is one number"),
        ({"a": (FLOAT, ["n", 4]), "b": (FLOAT, ["n", 2, 3, 4, 5])}, UnsupportedLayerError,
         "expected latents"),
        ({"a": (FLOAT, ["n", 4]), "b": (FLOAT, ["n", 1, "h", "w"])}, ModelError, "--image-size"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_joined(inputs, kind, text):
    net = Net()
    for name in inputs:
        net.node("Identity", name)
    with pytest.raises(kind, match=text):
        imported(model(net, net.node("Relu", "a"), inputs))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"z": latents()}, "input 'label' is missing"),
        ({"z": latents(), "label": 1, "noise": 1}, "no input 'noise'"),
        ({"z": latents(), "label": 5}, "give 0 to 4, or cat, dog"),
        ({"z": latents(), "label": -1}, "give 0 to 4"),
        ({"z": latents(), "label": "cow"}, "'cow' is no label"),
        ({"z": latents(), "label": [0, 1]}, "'label' has 2 values, others 3"),
        ({"z": latents(n=5), "label": 0}, r"'z' \(latent\) has shape"),
        ({"z": latents(), "label": 1.5}, "is no label"),
    ],
)
def test_values_that_do_not_fit(values, text):
    graph = imported(conditional())
    with pytest.raises(InputError, match=text):
        join_inputs(graph.input, values)


def test_names_are_for_networks_of_several_inputs():
    net = Net()
    graph = imported(net.model(net.node("Relu", net.node("Gemm", "z", net.weight(4, 3))), ["n", 4],
                               out_rank=2))  # fmt: skip
    with pytest.raises(InputError, match="a single input"):
        join_inputs(graph.input, {"z": latents(n=4)})
    with pytest.raises(InputError, match="0 labels, not one"):
        with_labels(graph.input, latents(n=4), [1])


def test_group_norm_as_tensorflow_writes_it():
    """x * k + (beta - mean * k), over groups of channels in five dimensions."""
    net = Net()
    x = net.node("Transpose", net.node("Conv", "z", net.weight(8, 3, 3, 3)), perm=[0, 2, 3, 1])
    x = net.node("Reshape", x, net.const([-1, 4, 4, 2, 4], np.int64))
    mean = net.node("ReduceMean", x, axes=[1, 2, 4], keepdims=1)
    apart = net.node("Sub", x, mean)
    variance = net.node("ReduceMean", net.node("Mul", apart, apart), axes=[1, 2, 4], keepdims=1)
    root = net.node("Sqrt", net.node("Add", variance, net.const(1e-3)))
    gamma = net.const(np.linspace(0.5, 1.5, 8).reshape(1, 1, 1, 2, 4))
    k = net.node("Mul", net.node("Reciprocal", root), gamma)
    beta = net.const(np.linspace(-1, 1, 8).reshape(1, 1, 1, 2, 4))
    offset = net.node("Add", net.node("Mul", net.node("Neg", mean), k), beta)
    x = net.node("Add", net.node("Mul", x, k), offset)
    x = net.node("Reshape", x, net.const([-1, 4, 4, 8], np.int64))
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    made = net.model(net.node("Conv", x, net.weight(2, 8, 1, 1)), ["n", 3, 6, 6])
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    z = np.random.default_rng(3).uniform(0, 1, (2, 3, 6, 6)).astype(np.float32)
    graph = imported(made)
    assert [n.op for n in graph.nodes].count("normalise") == 1
    np.testing.assert_allclose(reference.run(graph, z), session.run(None, {"z": z})[0], atol=1e-4)


def test_spectra_of_a_range():
    """A vocoder takes logarithms, of which half are below -4.5: the range is to be said."""
    net = Net()
    x = net.node("Conv", "z", net.weight(1, 4, 3), pads=[1, 1])
    graph = import_onnx(net.model(x, ["n", 4, 9]).SerializeToString(), name="net")
    mel = np.random.default_rng(0).uniform(-11.5, 2, (2, 4, 1, 9)).astype(np.float32)
    with pytest.raises(InputError, match="compile with --input-range"):
        read_calibration(mel, graph)
    ranged = adapt(graph, NetworkOptions(input_range=(-11.6, 2.0)))
    assert np.array_equal(read_calibration(mel, ranged), mel)
    network = compile_graph(ranged, "pynq-z2", inputs=mel).network
    q = network.quantise_input(mel)
    assert np.abs(network.input_format.dequantise(q) - mel).max() < 0.06
