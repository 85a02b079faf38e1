"""Models that cannot be read or run: one clear sentence each, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from support.onnx_models import NEWEST, Net, dcgan  # noqa: E402
from winogen.common.errors import ModelError, UnsupportedLayerError  # noqa: E402
from winogen.network.onnx import build, import_onnx, read, wire  # noqa: E402
from winogen.network.onnx.importer import OPERATORS  # noqa: E402
from winogen.network.onnx.refusals import refused_operators  # noqa: E402


def message(source: Any, kind: type = ModelError) -> str:
    """The sentence that refuses a model: one line, not long."""
    data = source if isinstance(source, bytes | Path) else source.SerializeToString()
    with pytest.raises(kind) as error:
        import_onnx(data)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    assert all(c.isprintable() for c in text)
    return text


def refused(net: Net, output: str, shape: Any = ("n", 4, 6, 6)) -> str:
    return message(net.model(output, shape), UnsupportedLayerError)


# Files


def test_no_file(tmp_path):
    assert "cannot be read" in message(tmp_path / "none.onnx")
    assert "cannot be read" in message(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\0", b"hello, this is no model", b"PK\3\4", b"\xff" * 99])
def test_no_model(data, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    text = message(path)
    assert text.startswith(str(path))
    assert any(word in text for word in ("empty", "damaged", "no network"))


def test_truncated_anywhere():
    data = dcgan().SerializeToString()
    for end in range(0, len(data), 97):
        message(data[:end])


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    assert "the limit is" in message(path)


def length_of(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


UNITS = {
    "nodes": b"\x0a\x00",
    "initializers": b"\x2a\x00",
    "inputs of nodes": b"\x0a\x02\x0a\x00",
    "attributes": b"\x0a\x02\x2a\x00",
    "unknown groups, then nodes": b"\xf3\x06\xf4\x06\x0a\x00",
}


@pytest.mark.parametrize("unit", UNITS)
def test_a_small_file_cannot_ask_for_many_objects(unit, monkeypatch):
    """Two bytes of file would take over a hundred of memory, so the file is not even parsed."""
    graph = UNITS[unit] * 20_000
    data = b"\x3a" + length_of(len(graph)) + graph
    assert "the limit is" in message(data) or "no network" in message(data)
    monkeypatch.setattr(wire, "MAX_OBJECTS", 10_000)
    assert "over 10,000 objects" in message(data)


def test_a_small_file_cannot_ask_for_many_integers(monkeypatch):
    """Packed in a byte each, they would take eight times as much."""
    monkeypatch.setattr(wire, "MAX_PACKED", 100_000)
    model = dcgan()
    model.graph.initializer.append(
        helper.make_tensor("t", TensorProto.INT64, [100_001], [0] * 100_001)
    )
    assert "packed integers" in message(model)


def test_a_tensor_with_a_huge_declared_shape():
    for dims in ([2**62], [2**31, 2**31], [1 << 29], [1] * 9, [-1], [-(2**63)]):
        model = dcgan()
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        assert "declares the shape" in message(model)


def test_a_tensor_with_too_few_bytes():
    model = dcgan()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-1]
    assert "the file is damaged" in message(model)


def test_a_small_file_cannot_ask_for_a_large_constant():
    net = Net()
    huge = net.node("ConstantOfShape", net.const([2**20, 2**20], np.int64))
    tracemalloc.start()
    try:
        assert "constants" in message(net.model(net.node("Add", "z", huge), ["n", 4, 6, 6]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_many_layers_of_one_weight_are_limited(monkeypatch):
    """A weight is stored once in the file, and once a layer in the graph."""
    monkeypatch.setattr(build, "MAX_WEIGHTS", 1 << 20)
    net = Net()
    weight = net.weight(64, 64)
    x = "z"
    for _ in range(260):
        x = net.node("MatMul", x, weight)
    assert "weights together" in message(net.model(x, ["n", 64], out_rank=2))


# External data


def external(tmp_path: Path, **entries: str) -> Path:
    model = dcgan()
    tensor = model.graph.initializer[0]
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data(tmp_path):
    path = external(tmp_path)
    weight = numpy_helper.to_array(dcgan().graph.initializer[0])
    assert np.array_equal(import_onnx(path).nodes[0].params["weight"], weight)


def test_external_data_that_is_missing_or_short(tmp_path):
    path = external(tmp_path)
    data = (tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(data[:-1])
    assert "truncated" in message(path)
    (tmp_path / "w.bin").unlink()
    assert "'w.bin', which is missing" in message(path)
    assert "is not a file" in message(path.read_bytes())


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "sub/../../w.bin", "", "."])
def test_external_data_outside_the_folder(location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(folder, location=location)
    (tmp_path / "w.bin").write_bytes(b"x" * 10_000)
    assert "inside the model's folder" in message(path) or "missing" in message(path)


def test_external_data_through_a_link(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(folder)
    secret = tmp_path / "secret"
    secret.write_bytes((folder / "w.bin").read_bytes())
    (folder / "w.bin").unlink()
    (folder / "w.bin").symlink_to(secret)
    assert "not inside the model's folder" in message(path)


@pytest.mark.parametrize(
    "entries", [{"offset": "-1"}, {"offset": "x"}, {"length": "1"}, {"length": "9" * 30}]
)
def test_external_data_of_a_wrong_size(entries, tmp_path):
    message(external(tmp_path, **entries))


# Graphs


def test_a_cycle():
    net = Net()
    a = net.node("Add", "z", "v1")
    x = net.node("Relu", a)
    assert "cyclic" in message(net.model(x, ["n", 4, 6, 6]))


def test_names_that_cannot_be_shown():
    net = Net()
    x = net.node("LRN", "z", size=3, name="a\nb\x1b[31m" + "n" * 9999)
    assert "node 'a?b?[31m" in refused(net, x)


@pytest.mark.parametrize("shape", [("n", 4, "h", "w"), ("n", "c", 6, 6), ("n", 4, None, 6)])
def test_dynamic_shapes(shape):
    net = Net()
    text = message(net.model(net.node("Relu", "z"), shape))
    assert "only the batch may be left open" in text
    assert "--image-size" in text


@pytest.mark.parametrize("shape", [(), ("n",), ("n", 3, 4, 5, 6)])
def test_ranks_that_no_generator_has(shape):
    net = Net()
    assert "(N, C, H, W)" in refused(net, net.node("Relu", "z"), shape)


def test_several_inputs_and_outputs():
    net = Net()
    net.node("Add", "z", "other")
    model = net.model("v0", ["n", 4, 6, 6])
    model.graph.input.append(
        helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", 4, 5, 6])
    )
    assert "images of 5 x 6 and 6 x 6; images of one size only" in message(model)
    model = dcgan()
    model.graph.output.append(helper.make_tensor_value_info("v0", TensorProto.FLOAT, None))
    assert "2 outputs" in message(model)


@pytest.mark.parametrize("version", [-1, 0, 1, 6, NEWEST + 1, 2**60])
def test_opsets(version):
    model = dcgan()
    model.opset_import[0].version = version
    assert f"supported are 7 to {NEWEST}" in message(model)


def test_other_domains_and_functions():
    model = dcgan()
    model.graph.node[0].domain = "com.microsoft"
    assert "domain 'com.microsoft'" in message(model)


def test_networks_within_networks():
    net = Net()
    inner = helper.make_graph([], "inner", [], [])
    for _ in range(60):
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "inner", [], [])
        if inner.ByteSize() > 1 << 16:
            break
    net.nodes.append(helper.make_node("If", ["z"], ["y"], then_branch=inner, else_branch=inner))
    assert "control flow" in message(net.model("y", ["n", 4, 6, 6]))


@pytest.mark.parametrize("op", sorted(n for names in refused_operators().values() for n in names))
def test_refused_operators_say_what_would_work(op):
    """Read on its own: the operator is refused before its inputs are looked at."""
    assert op not in OPERATORS
    model = dcgan(opset=NEWEST)
    if not onnx.defs.has(op):
        pytest.skip(f"onnx {onnx.__version__} does not have this operator yet")
    schema = onnx.defs.get_schema(op, NEWEST, "")
    node = helper.make_node(op, ["z"] * schema.min_input, ["out"])
    for name, attribute in schema.attributes.items():
        if attribute.required and attribute.type.name in ("INT", "INTS", "STRING"):
            value = {"INT": 1, "INTS": [1, 1], "STRING": "ij->ij"}[attribute.type.name]
            node.attribute.append(helper.make_attribute(name, value))
    del model.graph.node[-1:]
    model.graph.node.append(node)
    model.graph.output[0].name = "out"
    text = message(model, ModelError)
    assert f"node 'out' ({op})" in text
    assert any(w in text for w in ("not supported", "network within", "missing", "outputs"))


def test_a_quantised_model():
    net = Net()
    q = net.node("QuantizeLinear", "z", net.const(0.1), net.const(0, np.int8))
    x = net.node("DequantizeLinear", q, net.const(0.1), net.const(0, np.int8))
    assert "before quantisation" in refused(net, net.node("Conv", x, net.weight(2, 4, 3, 3)))


# Layers that are nearly right

CASES = {
    "dilations of 9999 x 9999 would be": ("Conv", {"dilations": [9999, 9999]}),
    "pads [0, 0, -1, 0]": ("Conv", {"pads": [0, 0, -1, 0]}),
    "strides [0, 1]": ("Conv", {"strides": [0, 1]}),
    "3 groups": ("Conv", {"group": 3}),
    "kernel_shape": ("Conv", {"kernel_shape": [2, 2]}),
    "unknown auto_pad": ("Conv", {"auto_pad": "DIFFERENT"}),
    "output_shape": ("ConvTranspose", {"output_shape": [4]}),
    "output_padding": ("ConvTranspose", {"output_padding": [-1, 0]}),
}


@pytest.mark.parametrize("part", CASES)
def test_convolutions_that_cannot_run(part):
    op, attrs = CASES[part]
    net = Net()
    assert part in message(net.model(net.node(op, "z", net.weight(4, 4, 3, 3), **attrs),
                                     ["n", 4, 6, 6]))  # fmt: skip


def test_weights_that_are_computed():
    net = Net()
    weight = net.node("Relu", "z")
    assert "only constants work" in refused(net, net.node("Conv", "z", weight))


def test_weights_with_nan():
    net = Net()
    x = net.node("Conv", "z", net.const(np.full((2, 4, 3, 3), np.nan)))
    assert "NaN or infinity" in message(net.model(x, ["n", 4, 6, 6]))


@pytest.mark.parametrize(
    ("op", "attrs", "part"),
    [
        ("Resize", {"mode": "linear", "antialias": 1}, "interpolates with antialias"),
        ("Resize", {"nearest_mode": "up"}, "unknown nearest_mode"),
        ("Pad", {"mode": "other"}, "use constant, reflect, edge or wrap"),
        ("DepthToSpace", {"blocksize": 3}, "do not make blocks"),
        ("SpaceToDepth", {"blocksize": 4}, "do not make blocks"),
        ("Transpose", {"perm": [0, 1, 1, 2]}, "perm"),
        ("LpNormalization", {"axis": 0}, "normalise over rows, columns and channels only"),
        ("AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, "use a stride"),
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, "use a stride"),
        ("LpPool", {"kernel_shape": [2, 2]}, "convolution with a stride"),
        ("Softmax", {"axis": 1}, "functions of one"),
        ("LRN", {"size": 3}, "batch normalization, which is free"),
    ],
)
def test_operators_that_cannot_run(op, attrs, part):
    net = Net(opset=19)
    inputs = {
        "Resize": [
            "z",
            "",
            net.const([1, 1, 0.5, 0.5] if attrs.get("antialias") else [1, 1, 2, 2]),
        ],
        "Pad": ["z", net.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64)],
        "Concat": ["z", "z"],
    }.get(op, ["z"])
    x = net.node(op, *inputs, name="/net/bad", **attrs)
    x = net.node("Conv", x, net.weight(2, 4, 1, 1))
    text = message(net.model(x, ["n", 4, 6, 6]))
    assert part in text
    assert "'/net/bad'" in text or op == "Transpose"  # which is refused where its order matters


def test_constants_that_differ_by_pixel():
    net = Net()
    noise = net.const(np.random.default_rng(0).normal(size=(1, 1, 6, 6)))
    assert "pixel to pixel" in refused(net, net.node("PRelu", "z", noise))


def test_batch_statistics():
    net = Net()
    params = [net.const([1.0] * 4) for _ in range(4)]
    x = net.node("BatchNormalization", "z", *params, outputs=3, training_mode=1)
    assert "model.eval()" in refused(net, x)


def test_a_linear_layer_from_image_to_image():
    net = Net()
    x = net.node("Gemm", net.node("Flatten", "z"), net.weight(144, 5000))
    x = net.node("Reshape", x, net.const((-1, 2, 50, 50), np.int64))
    assert "nearly all zero" in refused(
        net, net.node("Relu", net.node("Conv", x, net.weight(1, 2, 1, 1)))
    )


# Fuzzing


def damaged_files(count: int, draw: int = 0) -> dict[str, int]:
    """How many were read and refused, in a process of their own.

    It may not use more than 1 GiB beyond what it starts with, and shares no compiled library with
    the other tests: a crash is this test's alone.
    """
    code = f"""
import json
import support.onnx_mutants as mutants
mutants.limit_memory()
print(json.dumps(mutants.check_mutants({count}, {draw})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def test_damaged_files():
    counts = damaged_files(200)
    assert min(counts.values()) > 10


@pytest.mark.long
@pytest.mark.parametrize("draw", range(1, 41))
def test_ten_thousand_damaged_files(draw):
    """In processes: what hypothesis remembers of its draws is more than the memory allowed here."""
    assert min(damaged_files(250, draw).values()) > 0


def test_folding_that_takes_too_long_is_refused():
    """A few hundred bytes can ask for a product of more terms than are ever folded."""
    net = Net()
    a, b = (
        net.node("ConstantOfShape", net.const(shape, np.int64))
        for shape in ((8192, 64), (64, 8192))
    )
    scale = net.node("ReduceMax", net.node("MatMul", a, b), keepdims=0)
    model = net.model(net.node("Mul", "z", scale), ("n", 4, 6, 6))
    assert "takes too long" in message(model.SerializeToString())


def test_constants_have_a_limit_together(monkeypatch):
    monkeypatch.setattr(read, "MAX_WEIGHTS", 1000)
    net = Net()
    for _ in range(3):
        net.const(np.ones(400))
    model = net.model(net.node("Relu", "z"), ("n", 4, 6, 6))
    assert "constants take over 1,000 values" in message(model.SerializeToString())


def test_a_name_of_a_file_that_no_file_system_takes(tmp_path):
    path = external(tmp_path, location="x" * 300)
    assert "not inside the model's folder" in message(path)
