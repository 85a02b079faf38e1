"""State dicts of PyTorch and safetensors, matched with a definition by order."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.places import ONNX_FILES
from support.strategies import examples
from winogen.common.errors import InputError, ModelError
from winogen.network import reference
from winogen.network.checkpoint import read_parameters
from winogen.network.definition import load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.network.statedict import StateDict, Wanted

#: The layers of onnx_files/make_torch.py's dcgan().
DEFINITION = """
input: {latent: 8}
output: {range: [-1, 1]}
layers:
- {name: deconv1, op: deconv, cout: 12, k: 4, norm: batch, act: relu}
- {name: deconv2, op: deconv, cout: 6, k: 4, stride: 2, pad: 1, norm: batch, act: relu}
- {name: deconv3, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, bias: false, act: tanh}
"""


def graph(arrays: dict[str, Any], definition: str = DEFINITION) -> Graph:
    state = StateDict(arrays, "net.pth")
    loaded = load_definition(definition, state)
    state.check_all_used()
    return loaded


def refusal(arrays: dict[str, Any], definition: str = DEFINITION) -> str:
    with pytest.raises(ModelError) as error:
        graph(arrays, definition)
    assert "\n" not in str(error.value)
    return str(error.value)


def unreadable(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        read_parameters(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["dcgan.pth", "dcgan-wrapped.pt", "dcgan.safetensors"])
def test_files_of_pytorch(name):
    """The arrays are those of the network of the same weights; half precision in -wrapped."""
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="reading .safetensors needs safetensors")
    arrays = read_parameters(ONNX_FILES / name)
    assert next(iter(arrays)) == "0.weight"
    assert arrays["0.weight"].shape == (8, 12, 4, 4)
    other = read_parameters(ONNX_FILES / "dcgan.pth")
    for key, value in other.items():
        assert np.allclose(np.asarray(arrays[key], np.float64), value, rtol=1e-3, atol=1e-3), key
    net = graph(arrays)
    assert [n.op for n in net.nodes] == ["deconv", "batchnorm", "relu"] * 2 + ["deconv", "tanh"]
    assert np.allclose(net.nodes[3].params["weight"], other["3.weight"], atol=1e-3)
    assert np.array_equal(net.nodes[1].params["gamma"], np.asarray(arrays["1.weight"], np.float32))
    assert np.all(np.isfinite(reference.run(net, np.ones((1, 8)))))


def test_a_folder_takes_weights_from_a_state_dict(tmp_path):
    (tmp_path / "layers.yaml").write_text(DEFINITION)
    net = load_network(tmp_path, weights=ONNX_FILES / "dcgan.pth")
    assert np.array_equal(
        net.nodes[0].params["weight"], read_parameters(ONNX_FILES / "dcgan.pth")["0.weight"]
    )


def test_npz_is_matched_by_name(tmp_path):
    arrays = read_parameters(ONNX_FILES / "dcgan.pth")
    names = {"0": "deconv1", "3": "deconv2", "6": "deconv3"}
    ours = {f"{names[k]}.weight": arrays[f"{k}.weight"] for k in names}
    for norm, layer in (("1", "deconv1"), ("4", "deconv2")):
        for key, entry in (("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"),
                           ("var", "running_var")):  # fmt: skip
            ours[f"{layer}.bn_{key}"] = arrays[f"{norm}.{entry}"]
    np.savez(tmp_path / "w.npz", **ours)
    (tmp_path / "layers.yaml").write_text(DEFINITION)
    by_name = load_network(tmp_path, weights=tmp_path / "w.npz")
    by_order = load_network(tmp_path, weights=ONNX_FILES / "dcgan.pth")
    z = np.random.default_rng(0).standard_normal((2, 8))
    assert np.array_equal(reference.run(by_name, z), reference.run(by_order, z))


def test_another_network_is_refused():
    arrays = read_parameters(ONNX_FILES / "dcgan.pth")
    wider = DEFINITION.replace("cout: 12", "cout: 13")
    assert "'0.weight' of net.pth has shape (8, 12, 4, 4), expected (8, 13, 4, 4)" in refusal(
        arrays, wider
    )
    fewer = DEFINITION[: DEFINITION.index("- {name: deconv3")]
    assert "6.weight" in refusal(arrays, fewer)
    more = DEFINITION + "- {name: more, op: conv, cout: 3, k: 1}\n"
    assert "no more layers" in refusal(arrays, more)
    biased = DEFINITION.replace("bias: false", "bias: true")
    assert "its bias is missing" in refusal(arrays, biased)


def test_a_bias_that_the_definition_leaves_out_is_refused():
    arrays = {**read_parameters(ONNX_FILES / "dcgan.pth"), "0.bias": np.zeros(12, np.float32)}
    assert "0.bias" in refusal(arrays)


def test_integers_and_spectral_norm_are_refused():
    arrays = read_parameters(ONNX_FILES / "dcgan.pth")
    assert "int64" in refusal({**arrays, "0.weight": arrays["0.weight"].astype(np.int64)})
    arrays["0.weight_orig"] = arrays.pop("0.weight")
    assert "spectral" in refusal(arrays)


def test_a_shared_prelu_slope():
    net = graph(
        {"a.weight": np.ones((2, 1, 1, 1)), "b.weight": np.array([0.5])},
        "input: {image: [1, 2, 2]}\nlayers:\n"
        "- {name: c, op: conv, cout: 2, k: 1, bias: false, act: prelu}\n",
    )
    assert np.array_equal(net.nodes[1].params["alpha"], [0.5, 0.5])


# Files that are damaged, or more than a state dict


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_that_are_none(name, tmp_path):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="reading .safetensors needs safetensors")
    path = tmp_path / name
    unreadable(path)
    for data in (b"", b"x", b"\0" * 100, pickle.dumps({"a": 1}), b"\xff" * 16):
        path.write_bytes(data)
        unreadable(path)


def test_other_kinds_of_file(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="a Keras model; export the network to ONNX"):
        read_parameters(path)


@pytest.mark.parametrize("name", ["dcgan.pth", "dcgan.safetensors"])
def test_truncation_and_damage(name, tmp_path):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="reading .safetensors needs safetensors")
    data = (ONNX_FILES / name).read_bytes()
    path = tmp_path / name
    for end in range(0, len(data), 1499):
        path.write_bytes(data[:end])
        unreadable(path)

    @examples(60)
    @given(st.dictionaries(st.integers(0, len(data) - 1), st.integers(0, 255), min_size=1))
    def damage(changes):
        damaged = bytearray(data)
        for at, value in changes.items():
            damaged[at] = value
        path.write_bytes(damaged)
        try:
            graph(read_parameters(path))
        except ModelError as error:
            assert "\n" not in str(error)

    damage()


def archive(path: Path, content: bytes, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", content)
        for name, data in files.items():
            file.writestr(f"net/data/{name}", data)
    return path


class _Call:
    def __init__(self, function: Any, *arguments: Any):
        self._reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_cannot_call_anything(protocol, tmp_path):
    target = tmp_path / "made"
    evil = pickle.dumps({"a": _Call(open, str(target), "w")}, protocol)
    text = unreadable(archive(tmp_path / "x.pth", evil))
    assert "holds no tensors but a" in text
    assert not target.exists()


def tensor_pickle(size: Any, stride: Any, offset: int, count: int) -> bytes:
    """A state dict of one tensor, with names that PyTorch would write."""
    stream = io.BytesIO()
    stream.write(b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(")
    part = io.BytesIO()
    for value in ("storage", None, "0", "cpu", count):
        if value is None:
            part.write(b"ctorch\nFloatStorage\n")
        else:
            part.write(pickle.dumps(value, 2)[2:-1])
    stream.write(b"(" + part.getvalue() + b"tQ")
    for value in (offset, size, stride):
        stream.write(pickle.dumps(value, 2)[2:-1])
    stream.write(b"tRs.")
    return stream.getvalue()


def test_a_tensor_as_pytorch_writes_it(tmp_path):
    data = np.arange(6, dtype="<f4").tobytes()
    path = archive(tmp_path / "x.pth", tensor_pickle((3, 2), (1, 3), 0, 6), **{"0": data})
    assert np.array_equal(read_parameters(path)["w"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(
    ("size", "stride", "offset", "count"),
    [
        ((2**40,), (0,), 0, 6),
        ((7,), (1,), 0, 6),
        ((2,), (2**62,), 0, 6),
        ((2,), (1,), 5, 6),
        ((-1,), (1,), 0, 6),
        ((2,), (1, 1), 0, 6),
        ((2,), (1,), 0, 7),
        ((2,), (1,), 0, 2**60),
        ((2,), (-1,), 5, 6),
    ],
)
def test_a_tensor_that_reaches_outside_its_data(size, stride, offset, count, tmp_path):
    data = np.arange(6, dtype="<f4").tobytes()
    content = tensor_pickle(size, stride, offset, count)
    unreadable(archive(tmp_path / "x.pth", content, **{"0": data}))


def test_a_pickle_cannot_ask_for_memory(tmp_path):
    """A memo index of 2**32 would make the unpickler's table that long."""
    content = b"\x80\x02}r\xff\xff\xff\xff."
    assert "damaged" in unreadable(archive(tmp_path / "x.pth", content))


def test_safetensors_whose_order_is_lost_are_refused():
    """It keeps no order: decoder would come before encoder."""
    layers = {name: np.ones((4, 4, 3, 3), np.float32) for name in ("encoder", "decoder")}
    arrays = {f"{name}.weight": array for name, array in layers.items()}
    with pytest.raises(ModelError, match="which of 'encoder' and 'decoder' comes first"):
        StateDict(arrays, "w.safetensors")
    StateDict(arrays, "w.pth")
    StateDict({f"main.{n}.weight": a for n, a in enumerate(layers.values())}, "w.safetensors")


def test_a_checkpoint_that_holds_itself_is_refused(tmp_path):
    # {"state_dict": <the dict itself>}, in the opcodes that torch.save uses.
    content = b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s."
    assert "nested without end" in unreadable(archive(tmp_path / "w.pth", content))


def test_tuples_without_end_are_refused(tmp_path):
    content = b"\x80\x02)" + b"\x85" * 100_000 + b"."
    assert "tuples" in unreadable(archive(tmp_path / "w.pth", content))


def test_a_checkpoint_without_one_network_is_refused(tmp_path):
    content = pickle.dumps({"epoch": 1, "loss": 0.5}, 2)
    assert "holds no tensors but epoch, loss" in unreadable(archive(tmp_path / "x.pth", content))


# Norms by the image's statistics, and learned constants

STYLE = """
input: {latent: 4}
layers:
- {name: const, op: constant, shape: [4, 3, 3]}
- {name: conv1, op: conv, cout: 6, k: 3, pad: 1, bias: true, norm: instance, act: relu}
- {name: conv2, op: conv, cout: 2, k: 1, norm: group, norm_groups: 1, act: prelu}
- {name: mean, op: batchnorm, affine: false}
"""


def style(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {
        "conv1.weight": (6, 4, 3, 3), "conv1.bias": (6,), "norm1.weight": (6,), "norm1.bias": (6,),
        "conv2.weight": (2, 6, 1, 1), "norm2.weight": (2,), "norm2.bias": (2,), "act.weight": (1,),
        "last.running_mean": (2,), "last.running_var": (2,),
    }  # fmt: skip
    arrays = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
    return {**arrays, **more}


@pytest.mark.parametrize("name", ["input.const", "const", "synthesis.input"])
def test_constants_and_norms_of_the_image(name):
    value = np.arange(36, dtype=np.float32).reshape(1, 4, 3, 3)
    arrays = style(**{name: value})
    wanted = Wanted()
    load_definition(STYLE, wanted)
    assert wanted.layers["affine"] == ["conv1", "conv2"]
    state = StateDict(arrays, "net.pth", wanted)
    loaded = load_definition(STYLE, state)
    state.check_all_used()
    assert not [note for note in state.notes if "left out" in note]
    params = {node.name: node.params for node in loaded.nodes}
    np.testing.assert_array_equal(params["const"]["bias"], value.ravel())
    np.testing.assert_array_equal(params["conv1.norm"]["gamma"], arrays["norm1.weight"])
    np.testing.assert_array_equal(params["conv2.norm"]["beta"], arrays["norm2.bias"])
    np.testing.assert_array_equal(params["mean"]["mean"], arrays["last.running_mean"])


def test_a_constant_that_the_file_does_not_have_or_has_twice():
    for more in ({}, {name: np.zeros((1, 4, 3, 3), np.float32) for name in ("one", "two")}):
        wanted = Wanted()
        load_definition(STYLE, wanted)
        with pytest.raises(ModelError, match=r"'const'.*not hold one array of shape \(4, 3, 3\)"):
            load_definition(STYLE, StateDict(style(**more), "net.pth", wanted))
